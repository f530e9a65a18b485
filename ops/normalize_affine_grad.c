/* normalize_affine_grad.c: the gradient of normalize_affine in x, in one pass: normalize_grad(x, dy·gamma).
 *
 * Its own derivatives are those of that composition: G = normalize_grad(x, u) is symmetric in u = dy·gamma.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/normalization.h"

/* n->in */
enum { X, DY, GAMMA };

static bool normalize_affine_grad_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *x = hz_in(n, X), *dy = hz_in(n, DY);
    if (!hz__affine_shape(n, GAMMA, out, err)) return false;
    if (dy->dtype == x->dtype && hz_same_shape(dy, x)) return true;
    return hz_fail(err, HZ_ESHAPE, "dy %s %s is not like input %s %s", hz_dtype_name(dy->dtype),
                   hz_shape_str(dy).s, hz_dtype_name(x->dtype), hz_shape_str(x).s);
}

static bool normalize_affine_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_attr_normalization *a = n->attr;
    const hz_tensor *x = hz_in(n, X), gamma = hz__with_rank(hz_in(n, GAMMA), x->rank);
    return hz_normalize_grad_map(ex, x, &gamma, hz_in(n, DY), hz__along_mask(n), a->eps, &n->value, err);
}

static hz_var normalize_affine_grad_vjp(const hz_node *n, int i, hz_var v) {
    const hz_attr_normalization *a = n->attr;
    hz_var x = n->in[X], gamma = n->in[GAMMA], dy = n->in[DY];
    if (i == X) return hz__normalize_grad_in_x(x, hz_mul(dy, gamma), n->out, v, a);
    hz_var du = hz_normalize_grad(x, v, a->axes, a->eps);
    return i == DY ? hz_mul(du, gamma) : hz__sum_like(hz_mul(du, dy), gamma);
}

static hz_var call_rows(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_normalize_affine_grad(x[0], x[1], x[2], HZ_AXIS(-1), 1e-2);
}

static hz_var call_channels(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_normalize_affine_grad(x[0], x[1], x[2], HZ_AXIS(0) | HZ_AXIS(2), 1e-2);
}

static const hz_sample samples[] = {
    {"rows",
     3,
     {{.rank = 2, .dim = {2, 9}}, {.rank = 2, .dim = {2, 9}}, {.rank = 1, .dim = {9}}},
     call_rows,
     false},
    {"channels",
     3,
     {{.rank = 3, .dim = {2, 2, 8}}, {.rank = 3, .dim = {2, 2, 8}}, {.rank = 2, .dim = {2, 1}}},
     call_channels,
     false},
    {"all gammas",
     3,
     {{.rank = 2, .dim = {2, 3}}, {.rank = 2, .dim = {2, 3}}, {.rank = 2, .dim = {2, 3}}},
     call_rows,
     false},
    {"no rows",
     3,
     {{.rank = 2, .dim = {0, 3}}, {.rank = 2, .dim = {0, 3}}, {.rank = 1, .dim = {3}}},
     call_rows,
     false},
};

const hz_op hz_op_normalize_affine_grad = {.name = "normalize_affine_grad",
                                           .n_in = 3,
                                           .attr_size = sizeof(hz_attr_normalization),
                                           .shape = normalize_affine_grad_shape,
                                           .forward = normalize_affine_grad_forward,
                                           .vjp = normalize_affine_grad_vjp,
                                           .reach = hz__affine_reach,
                                           .crop = hz__along_crop,
                                           .samples = samples,
                                           .n_samples = HZ__COUNT(samples)};

hz_var hz_normalize_affine_grad(hz_var x, hz_var dy, hz_var gamma, hz_axes axes, double eps) {
    return hz_apply3(&hz_op_normalize_affine_grad, x, dy, gamma,
                     &(hz_attr_normalization){.axes = axes, .eps = eps});
}
