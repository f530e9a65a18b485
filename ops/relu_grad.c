/* relu_grad.c: dx = dy where x > 0, else 0: the adjoint of relu.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool relu_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward2(n, ex, HZ_RELU_GRAD, 0, 0);
}

/* in dy the same again; in x it is piecewise constant */
static hz_var relu_grad_vjp(const hz_node *n, int i, hz_var g) {
    if (i == 0) return hz_none(n->tape);
    return hz__sum_like(hz_relu_grad(n->in[0], g), n->in[1]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_relu_grad(x[0], x[1]);
}

static const hz_sample samples[] = {
    {"matrices",
     2,
     {{.rank = 2, .dim = {3, 4}, .kink = {0}, .n_kinks = 1}, {.rank = 2, .dim = {3, 4}}},
     call,
     false},
    {"broadcast",
     2,
     {{.rank = 2, .dim = {12, 1}, .lo = -1, .hi = 2, .kink = {0}, .n_kinks = 1},
      {.rank = 3, .dim = {2, 1, 2}}},
     call,
     false},
    {"numbers", 2, {{.rank = 0, .lo = 0.5, .hi = 2}, {.rank = 0}}, call, false},
    {"empty", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_relu_grad = {.name = "relu_grad",
                               .n_in = 2,
                               .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                               .shape = hz__shape_broadcast_float,
                               .forward = relu_grad_forward,
                               .vjp = relu_grad_vjp,
                               .samples = samples,
                               .n_samples = HZ__COUNT(samples)};

hz_var hz_relu_grad(hz_var x, hz_var dy) {
    return hz_apply2(&hz_op_relu_grad, x, dy, NULL);
}
