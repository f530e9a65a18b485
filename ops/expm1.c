/* expm1.c: y = e^x − 1, accurate near 0.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool expm1_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_EXPM1, 0, 0);
}

/* dx = dy · e^x; not y + 1, which is 0 for very negative x */
static hz_var expm1_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_mul(dy, hz_exp(n->in[0]));
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_expm1(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"one number", 1, {{.rank = 0}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_expm1 = {.name = "expm1",
                           .n_in = 1,
                           .flags = HZ_OP_POINTWISE,
                           .shape = hz_shape_float,
                           .forward = expm1_forward,
                           .vjp = expm1_vjp,
                           .samples = samples,
                           .n_samples = HZ__COUNT(samples)};

hz_var hz_expm1(hz_var x) {
    return hz_apply1(&hz_op_expm1, x, NULL);
}
