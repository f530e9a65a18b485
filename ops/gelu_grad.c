/* gelu_grad.c: dx = dy · gelu′(x), gelu′ = Φ(x) + x·φ(x), φ = Φ′ the normal density: the adjoint of gelu.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool gelu_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward2(n, ex, HZ_GELU_GRAD, 0, 0);
}

/* v · gelu″(x), gelu″ = φ(x)·(2 − x²). Beyond |x| = 40, φ is 0 in double, too: clipping there keeps x² finite. */
static hz_var second_derivative(hz_var x, hz_var v) {
    const double peak = 0.39894228040143267794; /* φ(0) = 1/√(2π) */
    hz_var square = hz_square(hz_clip(x, -40, 40));
    hz_var density = hz_scale(hz_exp(hz_scale(square, -0.5)), peak);
    return hz_mul(v, hz_mul(density, hz_affine(square, -1, 2)));
}

/* in dy the same again; in x, g · dy · gelu″(x) */
static hz_var gelu_grad_vjp(const hz_node *n, int i, hz_var g) {
    if (i == 1) return hz__sum_like(hz_gelu_grad(n->in[0], g), n->in[1]);
    hz_var v = hz_mul(g, n->in[1]);
    return hz__sum_like(second_derivative(n->in[0], v), n->in[0]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_gelu_grad(x[0], x[1]);
}

static const hz_sample samples[] = {
    {"matrices", 2, {{.rank = 2, .dim = {3, 4}}, {.rank = 2, .dim = {3, 4}}}, call, false},
    {"broadcast", 2, {{.rank = 2, .dim = {3, 1}}, {.rank = 3, .dim = {2, 1, 4}}}, call, false},
    {"numbers", 2, {{.rank = 0}, {.rank = 0}}, call, false},
    {"empty", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_gelu_grad = {.name = "gelu_grad",
                               .n_in = 2,
                               .flags = HZ_OP_POINTWISE,
                               .shape = hz__shape_broadcast_float,
                               .forward = gelu_grad_forward,
                               .vjp = gelu_grad_vjp,
                               .samples = samples,
                               .n_samples = HZ__COUNT(samples)};

hz_var hz_gelu_grad(hz_var x, hz_var dy) {
    return hz_apply2(&hz_op_gelu_grad, x, dy, NULL);
}
