/* tanh_grad.c: dx = dy · (1 − y²), y = tanh(x): the adjoint of tanh.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool tanh_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward2(n, ex, HZ_TANH_GRAD, 0, 0);
}

/* in dy the same again; in y, g · dy · −2y */
static hz_var tanh_grad_vjp(const hz_node *n, int i, hz_var g) {
    if (i == 1) return hz__sum_like(hz_tanh_grad(n->in[0], g), n->in[1]);
    hz_var slope = hz_scale(n->in[0], -2);
    return hz__sum_like(hz_mul(hz_mul(g, n->in[1]), slope), n->in[0]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_tanh_grad(x[0], x[1]);
}

static const hz_sample samples[] = {
    {"matrices",
     2,
     {{.rank = 2, .dim = {3, 4}, .lo = -0.9, .hi = 0.9}, {.rank = 2, .dim = {3, 4}}},
     call,
     false},
    {"broadcast",
     2,
     {{.rank = 2, .dim = {3, 1}, .lo = -0.9, .hi = 0.9}, {.rank = 3, .dim = {2, 1, 4}}},
     call,
     false},
    {"numbers", 2, {{.rank = 0, .lo = -0.9, .hi = 0.9}, {.rank = 0}}, call, false},
    {"empty", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_tanh_grad = {.name = "tanh_grad",
                               .n_in = 2,
                               .flags = HZ_OP_POINTWISE,
                               .shape = hz__shape_broadcast_float,
                               .forward = tanh_grad_forward,
                               .vjp = tanh_grad_vjp,
                               .samples = samples,
                               .n_samples = HZ__COUNT(samples)};

hz_var hz_tanh_grad(hz_var y, hz_var dy) {
    return hz_apply2(&hz_op_tanh_grad, y, dy, NULL);
}
