/* sample_graph.h: the graph of an op's sample, with its gradients where it has some: what the writer of ONNX is tested on.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_NN_SAMPLE_GRAPH_H
#define HZ_TESTS_NN_SAMPLE_GRAPH_H

#include <stdlib.h>

#include "autograd/gradcheck.h"
#include "ops/ops.h"

typedef struct sample_graph {
    hz_tape *t;
    hz_tensor data[HZ_SAMPLE_INPUTS];
    void *base[HZ_SAMPLE_INPUTS];
    hz_var in[HZ_SAMPLE_INPUTS], out[1 + HZ_SAMPLE_INPUTS];
    int n_in, n_out;
} sample_graph;

/* out[1 …]: the gradients of out[0] for a cotangent of 0.7 everywhere, in inputs that have one. */
static inline void sample_graph_differentiate(sample_graph *g) {
    hz_var x[HZ_SAMPLE_INPUTS], dx[HZ_SAMPLE_INPUTS];
    int n = 0;
    const hz_tensor *y = hz_value(g->out[0]);
    if (!hz_dtype_is_float(y->dtype)) return;
    hz_var dy = hz_full(g->t, y->dtype, y->rank, y->dim, 0.7);
    const hz_grad_opts opts = {.dy = &dy, .differentiable = true, .unreachable = HZ_UNREACHABLE_NONE};
    for (int k = 0; k < g->n_in; k++)
        if (hz_dtype_is_float(g->data[k].dtype)) x[n++] = g->in[k];
    if (!hz_grad(g->out, 1, x, n, &opts, dx)) return;
    for (int k = 0; k < n; k++)
        if (dx[k].id) g->out[g->n_out++] = dx[k];
}

static inline bool sample_graph_record(sample_graph *g, const hz_sample *sample, hz_dtype dtype,
                                       hz_error *err) {
    *g = (sample_graph){.t = hz_tape_new(NULL), .n_in = sample->n_in, .n_out = 1};
    for (int k = 0; k < sample->n_in; k++) {
        if (!hz_sample_draw(&sample->in[k], dtype, HZ_LAYOUT_CONTIGUOUS, (uint64_t)k + 1, &g->data[k],
                            &g->base[k], err))
            return false;
        g->in[k] = hz_input(g->t, &g->data[k]);
    }
    g->out[0] = sample->call(g->t, g->in);
    if (hz_ok(g->out[0])) sample_graph_differentiate(g);
    return hz_tape_ok(g->t, err);
}

static inline void sample_graph_free(sample_graph *g) {
    hz_tape_free(g->t);
    for (int k = 0; k < g->n_in; k++) free(g->base[k]);
}

#endif
