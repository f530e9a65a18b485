/* sigmoid_grad.c: dx = dy · y · (1 − y), y = sigmoid(x): the adjoint of sigmoid.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool sigmoid_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward2(n, ex, HZ_SIGMOID_GRAD, 0, 0);
}

/* in dy the same again; in y, g · dy · (1 − 2y) */
static hz_var sigmoid_grad_vjp(const hz_node *n, int i, hz_var g) {
    if (i == 1) return hz__sum_like(hz_sigmoid_grad(n->in[0], g), n->in[1]);
    hz_var slope = hz_affine(n->in[0], -2, 1);
    return hz__sum_like(hz_mul(hz_mul(g, n->in[1]), slope), n->in[0]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_sigmoid_grad(x[0], x[1]);
}

static const hz_sample samples[] = {
    {"matrices",
     2,
     {{.rank = 2, .dim = {3, 4}, .lo = 0.05, .hi = 0.4}, {.rank = 2, .dim = {3, 4}}},
     call,
     false},
    {"broadcast",
     2,
     {{.rank = 2, .dim = {3, 1}, .lo = 0.05, .hi = 0.4}, {.rank = 3, .dim = {2, 1, 4}}},
     call,
     false},
    {"numbers", 2, {{.rank = 0, .lo = 0.05, .hi = 0.4}, {.rank = 0}}, call, false},
    {"empty", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_sigmoid_grad = {.name = "sigmoid_grad",
                                  .n_in = 2,
                                  .flags = HZ_OP_POINTWISE,
                                  .shape = hz__shape_broadcast_float,
                                  .forward = sigmoid_grad_forward,
                                  .vjp = sigmoid_grad_vjp,
                                  .samples = samples,
                                  .n_samples = HZ__COUNT(samples)};

hz_var hz_sigmoid_grad(hz_var y, hz_var dy) {
    return hz_apply2(&hz_op_sigmoid_grad, y, dy, NULL);
}
