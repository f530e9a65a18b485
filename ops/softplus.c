/* softplus.c: y = log(1 + e^(beta·x)) / beta, beta ≠ 0.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "ops/common.h"

static bool softplus_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_scalars *p = n->attr;
    if (p->a == 0 || !isfinite(p->a))
        return hz_fail(err, HZ_EINVAL, "beta is %g; it must be finite and not 0", p->a);
    return hz_shape_float(n, out, err);
}

static bool softplus_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    const hz_attr_scalars *p = n->attr;
    return hz__forward1(n, ex, HZ_SOFTPLUS, p->a, 0);
}

/* dx = dy · sigmoid(beta·x) */
static hz_var softplus_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_scalars *p = n->attr;
    (void)i;
    return hz_mul(dy, hz_sigmoid(hz_scale(n->in[0], p->a)));
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_softplus(x[0], 1);
}

static hz_var call_sharp(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_softplus(x[0], 3);
}

static hz_var call_negative(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_softplus(x[0], -1);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"one number", 1, {{.rank = 0}}, call, false},
    {"beta = 3", 1, {{.rank = 1, .dim = {5}}}, call_sharp, false},
    {"beta = −1", 1, {{.rank = 1, .dim = {5}}}, call_negative, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_softplus = {.name = "softplus",
                              .n_in = 1,
                              .flags = HZ_OP_POINTWISE,
                              .attr_size = sizeof(hz_attr_scalars),
                              .shape = softplus_shape,
                              .forward = softplus_forward,
                              .vjp = softplus_vjp,
                              .samples = samples,
                              .n_samples = HZ__COUNT(samples)};

hz_var hz_softplus(hz_var x, double beta) {
    return hz_apply1(&hz_op_softplus, x, &(hz_attr_scalars){.a = beta});
}
