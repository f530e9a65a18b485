/* normalize_affine.c: y = x̂·gamma + beta with x̂ = normalize(x), in one pass: what layer norm and batch norm are.
 *
 *   dx = normalize_affine_grad(x, dy, gamma),   dgamma = Σ dy·x̂,   dbeta = Σ dy
 *
 * the sums over what gamma and beta are repeated along.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/normalization.h"

/* n->in */
enum { X, GAMMA, BETA };

static bool normalize_affine_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    return hz__affine_shape(n, GAMMA, out, err);
}

static bool normalize_affine_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_attr_normalization *a = n->attr;
    const hz_tensor *x = hz_in(n, X);
    hz_tensor gamma = hz__with_rank(hz_in(n, GAMMA), x->rank), beta = hz__with_rank(hz_in(n, BETA), x->rank);
    return hz_normalize_affine_map(ex, x, hz__along_mask(n), a->eps, &gamma, &beta, &n->value, err);
}

static hz_var normalize_affine_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_normalization *a = n->attr;
    hz_var x = n->in[X], gamma = n->in[GAMMA];
    const hz_tensor *p = hz_value(gamma);
    if (i == X) return hz_normalize_affine_grad(x, dy, gamma, a->axes, a->eps);
    if (i == GAMMA) return hz_normalize_dot(x, dy, a->axes, a->eps, p->rank, p->dim);
    return hz__sum_like(dy, n->in[BETA]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_normalize_affine(x[0], x[1], x[2], HZ_AXIS(-1), 1e-2);
}

static hz_var call_channels(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_normalize_affine(x[0], x[1], x[2], HZ_AXIS(0) | HZ_AXIS(2), 1e-2);
}

static hz_var call_batch_norm(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_batch_norm(x[0], x[1], x[2], 1e-2);
}

static hz_var call_layer_norm(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_layer_norm(x[0], x[1], x[2], 2, 1e-2);
}

static const hz_sample samples[] = {
    {"rows", 3, {{.rank = 2, .dim = {3, 9}}, {.rank = 1, .dim = {9}}, {.rank = 1, .dim = {9}}}, call, false},
    {"channels",
     3,
     {{.rank = 3, .dim = {2, 2, 8}}, {.rank = 2, .dim = {2, 1}}, {.rank = 2, .dim = {2, 1}}},
     call_channels,
     false},
    {"one number and all of them",
     3,
     {{.rank = 2, .dim = {2, 8}}, {.rank = 0}, {.rank = 2, .dim = {2, 8}}},
     call,
     false},
    {"batch_norm",
     3,
     {{.rank = 3, .dim = {3, 2, 2}}, {.rank = 1, .dim = {2}}, {.rank = 1, .dim = {2}}},
     call_batch_norm,
     false},
    {"layer_norm",
     3,
     {{.rank = 3, .dim = {3, 2, 2}}, {.rank = 2, .dim = {2, 2}}, {.rank = 2, .dim = {2, 2}}},
     call_layer_norm,
     false},
    {"no rows",
     3,
     {{.rank = 2, .dim = {0, 3}}, {.rank = 1, .dim = {3}}, {.rank = 1, .dim = {3}}},
     call,
     false},
};

const hz_op hz_op_normalize_affine = {.name = "normalize_affine",
                                      .n_in = 3,
                                      .attr_size = sizeof(hz_attr_normalization),
                                      .shape = normalize_affine_shape,
                                      .forward = normalize_affine_forward,
                                      .vjp = normalize_affine_vjp,
                                      .reach = hz__affine_reach,
                                      .crop = hz__along_crop,
                                      .samples = samples,
                                      .n_samples = HZ__COUNT(samples)};

hz_var hz_normalize_affine(hz_var x, hz_var gamma, hz_var beta, hz_axes axes, double eps) {
    return hz_apply3(&hz_op_normalize_affine, x, gamma, beta,
                     &(hz_attr_normalization){.axes = axes, .eps = eps});
}
