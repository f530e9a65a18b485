/* memory.c: how much memory the class score's gradient takes at its peak: parameters, activations, and as few cotangents
 * as there can be at a time.
 *
 *   peak_mb         parameters, and what the tape's pool had handed out at most
 *   parameters_mb   of the network; they lie outside of the pool
 *   activations_mb  the picture and the outputs of all layers
 *   cotangents      what the peak holds besides, in units of the widest activation: cotangents, scratch memory, results
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "bench.h"
#include "networks.h"

typedef struct memory {
    network net;
    hz_var x; /* (1, 3, 224, 224) */
    char extra[160];
} memory;

static void prepare(hz_tape *t, void *data) {
    memory *m = data;
    m->x = bench_normal(t, HZ_DIMS(1, 3, 224, 224));
}

static double megabytes(double bytes) {
    return bytes / (1 << 20);
}

static double parameters(const network *n) {
    double bytes = 0;
    for (int k = 0; k < n->made; k++) bytes += (double)hz_nbytes(&n->param[k]);
    return bytes;
}

/* The picture and what the layers have made of it; returns the sum, and the largest. Parameters, which lie in the
 * network, and other shapes of the same numbers are none. */
static double activations(hz_tape *t, const memory *m, double *widest) {
    double bytes = *widest = (double)hz_nbytes(hz_value(m->x));
    for (uint32_t id = m->x.id + 1; id < hz_tape_size(t); id++) {
        const hz_node *n = hz_node_of(hz_at(t, id));
        if (n->n_in == 0 || n->value.data == hz_value(n->in[0])->data) continue;
        bytes += (double)hz_nbytes(&n->value);
        *widest = fmax(*widest, (double)hz_nbytes(&n->value));
    }
    return bytes;
}

static void run(hz_tape *t, void *data) {
    memory *m = data;
    double widest;
    hz_pool_reset_peak(hz_tape_exec(t)->pool);
    const hz_var scores = network_record(&m->net, m->x, NULL);
    const double kept = activations(t, m, &widest), params = parameters(&m->net);
    hz_grad1(hz_pick(scores, (const int64_t[]){0, 7}), m->x, NULL);
    const double peak = (double)hz_pool_get_stats(hz_tape_pool(t)).peak;
    snprintf(m->extra, sizeof m->extra,
             "\"peak_mb\": %.1f, \"parameters_mb\": %.1f, \"activations_mb\": %.1f, \"cotangents\": %.2f",
             megabytes(peak + params), megabytes(params), megabytes(kept), (peak - kept) / widest);
}

void bench_memory(bench *b) {
    for (int k = 0; k < CLASSIFIERS; k++) {
        memory m = {.net.layers = classifiers[k].layers};
        char name[64];
        snprintf(name, sizeof name, "%s:class_logit_fwd+bwd", classifiers[k].name);
        bench_run(b, &(workload){.name = name, .prepare = prepare, .run = run, .data = &m, .extra = m.extra});
        network_free(&m.net);
    }
}
