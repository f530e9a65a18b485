/* elu_grad.c: dx = dy where x > 0, else dy · alpha · e^x: the adjoint of elu.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool elu_grad_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_scalars *p = n->attr;
    return hz__check_number("alpha", p->a, err) && hz__shape_broadcast_float(n, out, err);
}

static bool elu_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    const hz_attr_scalars *p = n->attr;
    return hz__forward2(n, ex, HZ_ELU_GRAD, p->a, 0);
}

/* in dy the same again; in x, v · alpha · e^x where x ≤ 0 and 0 elsewhere, v = g · dy */
static hz_var elu_grad_vjp(const hz_node *n, int i, hz_var g) {
    const hz_attr_scalars *p = n->attr;
    if (i == 1) return hz__sum_like(hz_elu_grad(n->in[0], g, p->a), n->in[1]);
    hz_var v = hz_mul(g, n->in[1]);
    return hz__sum_like(hz_sub(hz_elu_grad(n->in[0], v, p->a), hz_relu_grad(n->in[0], v)), n->in[0]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_elu_grad(x[0], x[1], 1.5);
}

static const hz_sample samples[] = {
    {"matrices",
     2,
     {{.rank = 2, .dim = {3, 4}, .kink = {0}, .n_kinks = 1}, {.rank = 2, .dim = {3, 4}}},
     call,
     false},
    {"broadcast",
     2,
     {{.rank = 2, .dim = {3, 1}, .kink = {0}, .n_kinks = 1}, {.rank = 3, .dim = {2, 1, 4}}},
     call,
     false},
    {"numbers", 2, {{.rank = 0, .lo = -2, .hi = -0.3}, {.rank = 0}}, call, false},
    {"empty", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_elu_grad = {.name = "elu_grad",
                              .n_in = 2,
                              .flags = HZ_OP_POINTWISE,
                              .attr_size = sizeof(hz_attr_scalars),
                              .shape = elu_grad_shape,
                              .forward = elu_grad_forward,
                              .vjp = elu_grad_vjp,
                              .samples = samples,
                              .n_samples = HZ__COUNT(samples)};

hz_var hz_elu_grad(hz_var x, hz_var dy, double alpha) {
    return hz_apply2(&hz_op_elu_grad, x, dy, &(hz_attr_scalars){.a = alpha});
}
