/* gelu_tanh_grad.c: dx = dy · gelu_tanh′(x): the adjoint of gelu_tanh, which is x·s(u) with s = sigmoid and
 * u = 2√(2/π)·(x + 0.044715·x³).
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool gelu_tanh_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward2(n, ex, HZ_GELU_TANH_GRAD, 0, 0);
}

/* v · (x·s(u))″ = v · s·(1 − s)·(2u′ + x·((1 − 2s)·u′² + u″)). Beyond |x| = 40, s·(1 − s) is 0: clipping there keeps
 * the other factor finite. */
static hz_var second_derivative(hz_var x, hz_var v) {
    const double a = 1.59576912160573071176, b = 0.044715; /* a = 2√(2/π) */
    x = hz_clip(x, -40, 40);
    hz_var square = hz_square(x);
    hz_var u = hz_mul(x, hz_affine(square, a * b, a));
    hz_var u1 = hz_affine(square, 3 * a * b, a), u2 = hz_scale(x, 6 * a * b);
    hz_var s = hz_sigmoid(u);
    hz_var bend = hz_add(hz_mul(hz_affine(s, -2, 1), hz_square(u1)), u2);
    return hz_mul(hz_sigmoid_grad(s, v), hz_add(hz_scale(u1, 2), hz_mul(x, bend)));
}

/* in dy the same again; in x, g · dy · gelu_tanh″(x) */
static hz_var gelu_tanh_grad_vjp(const hz_node *n, int i, hz_var g) {
    if (i == 1) return hz__sum_like(hz_gelu_tanh_grad(n->in[0], g), n->in[1]);
    hz_var v = hz_mul(g, n->in[1]);
    return hz__sum_like(second_derivative(n->in[0], v), n->in[0]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_gelu_tanh_grad(x[0], x[1]);
}

static const hz_sample samples[] = {
    {"matrices", 2, {{.rank = 2, .dim = {3, 4}}, {.rank = 2, .dim = {3, 4}}}, call, false},
    {"broadcast", 2, {{.rank = 2, .dim = {3, 1}}, {.rank = 3, .dim = {2, 1, 4}}}, call, false},
    {"numbers", 2, {{.rank = 0}, {.rank = 0}}, call, false},
    {"empty", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_gelu_tanh_grad = {.name = "gelu_tanh_grad",
                                    .n_in = 2,
                                    .flags = HZ_OP_POINTWISE,
                                    .shape = hz__shape_broadcast_float,
                                    .forward = gelu_tanh_grad_forward,
                                    .vjp = gelu_tanh_grad_vjp,
                                    .samples = samples,
                                    .n_samples = HZ__COUNT(samples)};

hz_var hz_gelu_tanh_grad(hz_var x, hz_var dy) {
    return hz_apply2(&hz_op_gelu_tanh_grad, x, dy, NULL);
}
