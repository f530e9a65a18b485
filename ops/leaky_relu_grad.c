/* leaky_relu_grad.c: dx = dy where x > 0, else slope · dy: the adjoint of leaky_relu.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool leaky_relu_grad_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_scalars *p = n->attr;
    return hz__check_number("slope", p->a, err) && hz__shape_broadcast_float(n, out, err);
}

static bool leaky_relu_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    const hz_attr_scalars *p = n->attr;
    return hz__forward2(n, ex, HZ_LEAKY_RELU_GRAD, p->a, 0);
}

/* in dy the same again; in x it is piecewise constant */
static hz_var leaky_relu_grad_vjp(const hz_node *n, int i, hz_var g) {
    const hz_attr_scalars *p = n->attr;
    if (i == 0) return hz_none(n->tape);
    return hz__sum_like(hz_leaky_relu_grad(n->in[0], g, p->a), n->in[1]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_leaky_relu_grad(x[0], x[1], 0.1);
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
    {"numbers", 2, {{.rank = 0, .kink = {0}, .n_kinks = 1}, {.rank = 0}}, call, false},
    {"empty", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_leaky_relu_grad = {.name = "leaky_relu_grad",
                                     .n_in = 2,
                                     .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                                     .attr_size = sizeof(hz_attr_scalars),
                                     .shape = leaky_relu_grad_shape,
                                     .forward = leaky_relu_grad_forward,
                                     .vjp = leaky_relu_grad_vjp,
                                     .samples = samples,
                                     .n_samples = HZ__COUNT(samples)};

hz_var hz_leaky_relu_grad(hz_var x, hz_var dy, double slope) {
    return hz_apply2(&hz_op_leaky_relu_grad, x, dy, &(hz_attr_scalars){.a = slope});
}
