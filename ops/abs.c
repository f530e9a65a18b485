/* abs.c: y = |x|, derivative 0 at 0.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool abs_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_ABS, 0, 0);
}

/* dx = dy · sign(x) */
static hz_var abs_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_mul(dy, hz_sign(n->in[0]));
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_abs(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}, .kink = {0}, .n_kinks = 1}}, call, false},
    {"one number", 1, {{.rank = 0, .kink = {0}, .n_kinks = 1}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_abs = {.name = "abs",
                         .n_in = 1,
                         .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                         .shape = hz_shape_float,
                         .forward = abs_forward,
                         .vjp = abs_vjp,
                         .samples = samples,
                         .n_samples = HZ__COUNT(samples)};

hz_var hz_abs(hz_var x) {
    return hz_apply1(&hz_op_abs, x, NULL);
}
