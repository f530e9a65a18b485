/* unit.c: the gradient of single units at the pixels: group "unit", an early, a middle and a late unit of each network;
 * group "field", an early unit in ever larger images, the zeros around its field left out: the image must not show.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "bench.h"
#include "networks.h"

typedef struct unit {
    network net;
    const char *layer;
    int64_t side;      /* of the image */
    bool support_only; /* leave out the zeros around the receptive field */
    hz_var x, h;       /* (1, 3, side, side); the layer's output, (1, C, H, W) */
    char shape[HZ_SHAPE_TEXT + 16];
} unit;

static void prepare(hz_tape *t, void *data) {
    unit *u = data;
    u->x = bench_normal(t, HZ_DIMS(1, 3, u->side, u->side));
}

static void record(hz_tape *t, unit *u) {
    (void)t;
    u->h = network_record(&u->net, u->x, u->layer);
}

static void prepare_recorded(hz_tape *t, void *data) {
    prepare(t, data);
    record(t, data);
}

/* The last channel, in the middle of the picture. */
static void run_backward(hz_tape *t, void *data) {
    unit *u = data;
    (void)t;
    const int64_t *dim = hz_value(u->h)->dim;
    snprintf(u->shape, sizeof u->shape, "\"shape\": %s", hz_shape_str(hz_value(u->h)).s);
    hz_var one = hz_pick(u->h, (const int64_t[]){0, dim[1] - 1, dim[2] / 2, dim[3] / 2}), dx;
    hz_box support;
    hz_grad_opts opts = {.support = &support, .support_only = u->support_only};
    hz_grad(&one, 1, &u->x, 1, &opts, &dx);
}

static void run_both(hz_tape *t, void *data) {
    record(t, data);
    run_backward(t, data);
}

static void measure(bench *b, unit *u, const char *name, bool forward) {
    bench_run(b, &(workload){.name = name,
                             .prepare = forward ? prepare : prepare_recorded,
                             .run = forward ? run_both : run_backward,
                             .data = u,
                             .extra = u->shape});
}

void bench_unit(bench *b) {
    static const char *const depth[] = {"early", "middle", "late"};
    for (int k = 0; k < CLASSIFIERS; k++) {
        const classifier *c = &classifiers[k];
        const char *const layers[] = {c->early, c->middle, c->late};
        unit u = {.net.layers = c->layers, .side = 224};
        for (int j = 0; j < 3; j++) {
            char name[64];
            u.layer = layers[j];
            snprintf(name, sizeof name, "%s:%s:fwd+bwd", c->name, depth[j]);
            measure(b, &u, name, true);
            snprintf(name, sizeof name, "%s:%s:bwd_only", c->name, depth[j]);
            measure(b, &u, name, false);
        }
        network_free(&u.net);
    }
}

void bench_field(bench *b) {
    const classifier *vgg16 = classifier_named("vgg16");
    unit u = {.net.layers = vgg16->layers, .layer = vgg16->early, .support_only = true};
    for (u.side = 112; u.side <= 448; u.side *= 2) {
        char name[64];
        snprintf(name, sizeof name, "vgg16_%s_image%d:bwd_only", u.layer, (int)u.side);
        measure(b, &u, name, false);
    }
    network_free(&u.net);
}
