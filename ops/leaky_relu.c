/* leaky_relu.c: y = x where x > 0, else slope · x (Maas, Hannun, Ng 2013).
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool leaky_relu_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_scalars *p = n->attr;
    return hz__check_number("slope", p->a, err) && hz_shape_float(n, out, err);
}

static bool leaky_relu_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    const hz_attr_scalars *p = n->attr;
    return hz__forward1(n, ex, HZ_LEAKY_RELU, p->a, 0);
}

/* dx = dy where x > 0, else slope · dy */
static hz_var leaky_relu_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_scalars *p = n->attr;
    (void)i;
    return hz_leaky_relu_grad(n->in[0], dy, p->a);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_leaky_relu(x[0], 0.1);
}

static hz_var call_negative(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_leaky_relu(x[0], -2);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}, .kink = {0}, .n_kinks = 1}}, call, false},
    {"one number", 1, {{.rank = 0, .kink = {0}, .n_kinks = 1}}, call, false},
    {"negative slope", 1, {{.rank = 1, .dim = {5}, .kink = {0}, .n_kinks = 1}}, call_negative, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_leaky_relu = {.name = "leaky_relu",
                                .n_in = 1,
                                .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                                .attr_size = sizeof(hz_attr_scalars),
                                .shape = leaky_relu_shape,
                                .forward = leaky_relu_forward,
                                .vjp = leaky_relu_vjp,
                                .samples = samples,
                                .n_samples = HZ__COUNT(samples)};

hz_var hz_leaky_relu(hz_var x, double slope) {
    return hz_apply1(&hz_op_leaky_relu, x, &(hz_attr_scalars){.a = slope});
}
