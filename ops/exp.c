/* exp.c: y = e^x.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool exp_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_EXP, 0, 0);
}

/* dx = dy · y */
static hz_var exp_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_mul(dy, n->out);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_exp(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"one number", 1, {{.rank = 0}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_exp = {.name = "exp",
                         .n_in = 1,
                         .flags = HZ_OP_POINTWISE,
                         .shape = hz_shape_float,
                         .forward = exp_forward,
                         .vjp = exp_vjp,
                         .samples = samples,
                         .n_samples = HZ__COUNT(samples)};

hz_var hz_exp(hz_var x) {
    return hz_apply1(&hz_op_exp, x, NULL);
}
