/* normalize_dot.c: z = Σ u·x̂ with x̂ = normalize(x), summed to a shape that broadcasts to x's: the gradient of gamma in
 * normalize_affine. With v the cotangent of z, repeated to x's shape:
 *
 *   du = v·x̂,   dx = normalize_grad(x, v·u)
 *
 * SPDX-License-Identifier: MIT */
#include "ops/geometry.h"
#include "ops/normalization.h"

static bool normalize_dot_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_normalize_dot *a = n->attr;
    hz_tensor x, ignored;
    if (!hz__normalization_shape(n, &x, err)) return false;
    if (!hz_shape_check(NULL, x.dtype, a->to.rank, a->to.dim, err)) return false;
    *out = hz_tensor_of(NULL, x.dtype, a->to.rank, a->to.dim);
    if (hz_view_broadcast(out, x.rank, x.dim, &ignored, NULL)) return true;
    return hz_fail(err, HZ_ESHAPE, "the result's shape %s does not broadcast to input %s",
                   hz_shape_str(out).s, hz_shape_str(&x).s);
}

static bool normalize_dot_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_attr_normalize_dot *a = n->attr;
    const hz_tensor *x = hz_in(n, 0), z = hz__with_rank(&n->value, x->rank);
    return hz_normalize_dot_map(ex, x, hz_in(n, 1), hz__along_mask(n), a->normalization.eps, &z, err);
}

static hz_var normalize_dot_vjp(const hz_node *n, int i, hz_var v) {
    const hz_attr_normalization *a = n->attr;
    hz_var x = n->in[0], u = n->in[1];
    if (i == 0) return hz_normalize_grad(x, hz_mul(u, v), a->axes, a->eps);
    return hz_mul(hz_normalize(x, a->axes, a->eps), v);
}

static hz_var call_rows(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_normalize_dot(x[0], x[1], HZ_AXIS(-1), 1e-2, HZ_DIMS(9));
}

static hz_var call_channels(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_normalize_dot(x[0], x[1], HZ_AXIS(0) | HZ_AXIS(2), 1e-2, HZ_DIMS(2, 1));
}

static hz_var call_scalar(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_normalize_dot(x[0], x[1], HZ_AXIS(0), 1e-2, 0, NULL);
}

static const hz_sample samples[] = {
    {"rows", 2, {{.rank = 2, .dim = {6, 9}}, {.rank = 2, .dim = {6, 9}}}, call_rows, false},
    {"channels", 2, {{.rank = 3, .dim = {2, 2, 8}}, {.rank = 3, .dim = {2, 2, 8}}}, call_channels, false},
    {"one number", 2, {{.rank = 2, .dim = {3, 2}}, {.rank = 2, .dim = {3, 2}}}, call_scalar, false},
    {"no rows", 2, {{.rank = 2, .dim = {0, 9}}, {.rank = 2, .dim = {0, 9}}}, call_rows, false},
};

const hz_op hz_op_normalize_dot = {.name = "normalize_dot",
                                   .n_in = 2,
                                   .attr_size = sizeof(hz_attr_normalize_dot),
                                   .shape = normalize_dot_shape,
                                   .forward = normalize_dot_forward,
                                   .vjp = normalize_dot_vjp,
                                   .samples = samples,
                                   .n_samples = HZ__COUNT(samples)};

hz_var hz_normalize_dot(hz_var x, hz_var dy, hz_axes axes, double eps, int rank, const int64_t *dim) {
    const hz_attr_normalize_dot a = {.normalization = {.axes = axes, .eps = eps},
                                     .to = hz__dims_of(rank, dim)};
    return hz_apply2(&hz_op_normalize_dot, x, dy, &a);
}
