/* saliency.c: the class score of whole networks, and its gradient at the pixels.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "bench.h"
#include "networks.h"

typedef struct saliency {
    network net;
    hz_var x, scores; /* (1, 3, 224, 224), (1, 1000) */
} saliency;

static void prepare(hz_tape *t, void *data) {
    saliency *s = data;
    s->x = bench_normal(t, HZ_DIMS(1, 3, 224, 224));
}

static void prepare_recorded(hz_tape *t, void *data) {
    saliency *s = data;
    prepare(t, data);
    s->scores = network_record(&s->net, s->x, NULL);
}

static void run_forward(hz_tape *t, void *data) {
    saliency *s = data;
    (void)t;
    s->scores = network_record(&s->net, s->x, NULL);
}

static void run_backward(hz_tape *t, void *data) {
    const saliency *s = data;
    (void)t;
    hz_grad1(hz_pick(s->scores, (const int64_t[]){0, 7}), s->x, NULL);
}

static void run_both(hz_tape *t, void *data) {
    run_forward(t, data);
    run_backward(t, data);
}

static void measure(bench *b, const char *net, const char *what, workload w) {
    char name[64];
    snprintf(name, sizeof name, "%s:%s", net, what);
    w.name = name;
    bench_run(b, &w);
}

void bench_saliency(bench *b) {
    for (int k = 0; k < CLASSIFIERS; k++) {
        const char *net = classifiers[k].name;
        saliency s = {.net.layers = classifiers[k].layers};
        measure(b, net, "forward_only", (workload){.prepare = prepare, .run = run_forward, .data = &s});
        measure(b, net, "class_logit_fwd+bwd", (workload){.prepare = prepare, .run = run_both, .data = &s});
        measure(b, net, "class_logit_bwd_only",
                (workload){.prepare = prepare_recorded, .run = run_backward, .data = &s});
        network_free(&s.net);
    }
}
