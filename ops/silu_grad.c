/* silu_grad.c: dx = dy · silu′(x), silu′ = s·(1 + x·(1 − s)), s = sigmoid(x): the adjoint of silu.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool silu_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward2(n, ex, HZ_SILU_GRAD, 0, 0);
}

/* v · silu″(x), silu″ = s·(1 − s)·(2 + x·(1 − 2s)) */
static hz_var second_derivative(hz_var x, hz_var v) {
    hz_var s = hz_sigmoid(x);
    hz_var factor = hz_add_scalar(hz_mul(x, hz_affine(s, -2, 1)), 2);
    return hz_mul(hz_sigmoid_grad(s, v), factor);
}

/* in dy the same again; in x, g · dy · silu″(x) */
static hz_var silu_grad_vjp(const hz_node *n, int i, hz_var g) {
    if (i == 1) return hz__sum_like(hz_silu_grad(n->in[0], g), n->in[1]);
    hz_var v = hz_mul(g, n->in[1]);
    return hz__sum_like(second_derivative(n->in[0], v), n->in[0]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_silu_grad(x[0], x[1]);
}

static const hz_sample samples[] = {
    {"matrices", 2, {{.rank = 2, .dim = {3, 4}}, {.rank = 2, .dim = {3, 4}}}, call, false},
    {"broadcast", 2, {{.rank = 2, .dim = {3, 1}}, {.rank = 3, .dim = {2, 1, 4}}}, call, false},
    {"numbers", 2, {{.rank = 0}, {.rank = 0}}, call, false},
    {"empty", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_silu_grad = {.name = "silu_grad",
                               .n_in = 2,
                               .flags = HZ_OP_POINTWISE,
                               .shape = hz__shape_broadcast_float,
                               .forward = silu_grad_forward,
                               .vjp = silu_grad_vjp,
                               .samples = samples,
                               .n_samples = HZ__COUNT(samples)};

hz_var hz_silu_grad(hz_var x, hz_var dy) {
    return hz_apply2(&hz_op_silu_grad, x, dy, NULL);
}
