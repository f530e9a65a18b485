/* pow_scalar.c: y = x^a.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool pow_scalar_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_scalars *p = n->attr;
    return hz__check_number("exponent", p->a, err) && hz_shape_float(n, out, err);
}

static bool pow_scalar_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    const hz_attr_scalars *p = n->attr;
    return hz__forward1(n, ex, HZ_POW_SCALAR, p->a, 0);
}

/* dx = dy · a · x^(a−1); x^0 is constant, also where x^−1 is infinite */
static hz_var pow_scalar_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_scalars *p = n->attr;
    (void)i;
    if (p->a == 0) return hz_none(n->tape);
    return hz_scale(hz_mul(dy, hz_pow_scalar(n->in[0], p->a - 1)), p->a);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pow_scalar(x[0], 2.5);
}

static hz_var call_cube(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pow_scalar(x[0], 3);
}

static hz_var call_inverse(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pow_scalar(x[0], -1);
}

static hz_var call_zero(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_mul(x[0], hz_pow_scalar(x[0], 0));
}

static const hz_sample samples[] = {
    {"a = 2.5", 1, {{.rank = 2, .dim = {3, 4}, .lo = 0.3, .hi = 3}}, call, false},
    {"a = 3, negative x", 1, {{.rank = 1, .dim = {5}, .lo = -3, .hi = -0.3}}, call_cube, false},
    {"a = −1, one number", 1, {{.rank = 0, .lo = 0.3, .hi = 3}}, call_inverse, false},
    {"x · x^0", 1, {{.rank = 1, .dim = {4}}}, call_zero, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_pow_scalar = {.name = "pow_scalar",
                                .n_in = 1,
                                .flags = HZ_OP_POINTWISE,
                                .attr_size = sizeof(hz_attr_scalars),
                                .shape = pow_scalar_shape,
                                .forward = pow_scalar_forward,
                                .vjp = pow_scalar_vjp,
                                .samples = samples,
                                .n_samples = HZ__COUNT(samples)};

hz_var hz_pow_scalar(hz_var x, double a) {
    return hz_apply1(&hz_op_pow_scalar, x, &(hz_attr_scalars){.a = a});
}
