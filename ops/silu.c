/* silu.c: y = x · sigmoid(x), also called swish (Elfwing, Uchibe, Doya 2018).
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool silu_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_SILU, 0, 0);
}

/* dx = dy · silu′(x) */
static hz_var silu_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_silu_grad(n->in[0], dy);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_silu(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"one number", 1, {{.rank = 0}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_silu = {.name = "silu",
                          .n_in = 1,
                          .flags = HZ_OP_POINTWISE,
                          .shape = hz_shape_float,
                          .forward = silu_forward,
                          .vjp = silu_vjp,
                          .samples = samples,
                          .n_samples = HZ__COUNT(samples)};

hz_var hz_silu(hz_var x) {
    return hz_apply1(&hz_op_silu, x, NULL);
}
