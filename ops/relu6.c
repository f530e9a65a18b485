/* relu6.c: y = min(max(x, 0), 6), derivative 0 at 0 and at 6.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool relu6_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_CLIP, 0, 6);
}

/* dx = dy · [0 < x < 6] */
static hz_var relu6_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_clip_grad(n->in[0], dy, 0, 6);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_relu6(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}, .lo = -3, .hi = 9, .kink = {0, 6}, .n_kinks = 2}}, call, false},
    {"one number", 1, {{.rank = 0, .lo = 0.5, .hi = 5.5}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_relu6 = {.name = "relu6",
                           .n_in = 1,
                           .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                           .shape = hz_shape_float,
                           .forward = relu6_forward,
                           .vjp = relu6_vjp,
                           .samples = samples,
                           .n_samples = HZ__COUNT(samples)};

hz_var hz_relu6(hz_var x) {
    return hz_apply1(&hz_op_relu6, x, NULL);
}
