/* cos.c: y = cos x.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool cos_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_COS, 0, 0);
}

/* dx = −dy · sin x */
static hz_var cos_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_neg(hz_mul(dy, hz_sin(n->in[0])));
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_cos(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"one number", 1, {{.rank = 0}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_cos = {.name = "cos",
                         .n_in = 1,
                         .flags = HZ_OP_POINTWISE,
                         .shape = hz_shape_float,
                         .forward = cos_forward,
                         .vjp = cos_vjp,
                         .samples = samples,
                         .n_samples = HZ__COUNT(samples)};

hz_var hz_cos(hz_var x) {
    return hz_apply1(&hz_op_cos, x, NULL);
}
