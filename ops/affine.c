/* affine.c: y = a·x + b, and the everyday functions that are one.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool affine_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_scalars *p = n->attr;
    return hz__check_number("a", p->a, err) && hz__check_number("b", p->b, err) &&
           hz_shape_float(n, out, err);
}

static bool affine_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    const hz_attr_scalars *p = n->attr;
    return hz__forward1(n, ex, HZ_AFFINE, p->a, p->b);
}

/* dx = a · dy */
static hz_var affine_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_scalars *p = n->attr;
    (void)i;
    return hz_scale(dy, p->a);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_affine(x[0], -1.5, 0.5);
}

static hz_var call_scale(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_scale(x[0], 3);
}

static hz_var call_add_scalar(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_add_scalar(x[0], 2);
}

static hz_var call_neg(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_neg(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"scale, one number", 1, {{.rank = 0}}, call_scale, false},
    {"add a number", 1, {{.rank = 1, .dim = {5}}}, call_add_scalar, false},
    {"negate", 1, {{.rank = 3, .dim = {1, 3, 1}}}, call_neg, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_affine = {.name = "affine",
                            .n_in = 1,
                            .flags = HZ_OP_POINTWISE,
                            .attr_size = sizeof(hz_attr_scalars),
                            .shape = affine_shape,
                            .forward = affine_forward,
                            .vjp = affine_vjp,
                            .samples = samples,
                            .n_samples = HZ__COUNT(samples)};

hz_var hz_affine(hz_var x, double a, double b) {
    return hz_apply1(&hz_op_affine, x, &(hz_attr_scalars){.a = a, .b = b});
}

hz_var hz_scale(hz_var x, double a) {
    return hz_affine(x, a, 0);
}

hz_var hz_add_scalar(hz_var x, double b) {
    return hz_affine(x, 1, b);
}

hz_var hz_neg(hz_var x) {
    return hz_affine(x, -1, 0);
}
