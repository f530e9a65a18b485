/* relu.c: y = max(x, 0), derivative 0 at 0.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool relu_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_RELU, 0, 0);
}

/* dx = dy · [x > 0] */
static hz_var relu_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_relu_grad(n->in[0], dy);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_relu(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}, .kink = {0}, .n_kinks = 1}}, call, false},
    {"one element", 1, {{.rank = 0, .lo = 0.5, .hi = 2}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_relu = {.name = "relu",
                          .n_in = 1,
                          .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                          .shape = hz_shape_float,
                          .forward = relu_forward,
                          .vjp = relu_vjp,
                          .samples = samples,
                          .n_samples = HZ__COUNT(samples)};

hz_var hz_relu(hz_var x) {
    return hz_apply1(&hz_op_relu, x, NULL);
}
