/* log1p.c: y = log(1 + x), accurate near 0.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool log1p_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_LOG1P, 0, 0);
}

/* dx = dy / (1 + x) */
static hz_var log1p_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_div(dy, hz_add_scalar(n->in[0], 1));
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_log1p(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}, .lo = -0.7, .hi = 2}}, call, false},
    {"one number", 1, {{.rank = 0, .lo = -0.7, .hi = 2}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_log1p = {.name = "log1p",
                           .n_in = 1,
                           .flags = HZ_OP_POINTWISE,
                           .shape = hz_shape_float,
                           .forward = log1p_forward,
                           .vjp = log1p_vjp,
                           .samples = samples,
                           .n_samples = HZ__COUNT(samples)};

hz_var hz_log1p(hz_var x) {
    return hz_apply1(&hz_op_log1p, x, NULL);
}
