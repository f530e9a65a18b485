/* normalize.c: x̂ = (x − mean)·r, r = 1/√(var + eps), with the mean and the biased variance over some axes.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/normalization.h"

static bool normalize_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_attr_normalization *a = n->attr;
    return hz_normalize_map(ex, hz_in(n, 0), hz__along_mask(n), a->eps, &n->value, err);
}

static hz_var normalize_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_normalization *a = n->attr;
    return hz_normalize_grad(n->in[i], dy, a->axes, a->eps);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_normalize(x[0], HZ_AXIS(-1), 1e-2);
}

static hz_var call_outer(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_normalize(x[0], HZ_AXIS(0) | HZ_AXIS(2), 1e-2);
}

static hz_var call_all(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_normalize(x[0], HZ_ALL_AXES, 1e-2);
}

static hz_var call_group_norm(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_group_norm(x[0], x[1], x[2], 2, 1e-2);
}

static const hz_sample samples[] = {
    {"rows of a matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"outer axes", 1, {{.rank = 3, .dim = {3, 2, 3}}}, call_outer, false},
    {"all axes", 1, {{.rank = 2, .dim = {3, 4}}}, call_all, false},
    {"group_norm",
     3,
     {{.rank = 3, .dim = {2, 4, 2}}, {.rank = 1, .dim = {4}}, {.rank = 1, .dim = {4}}},
     call_group_norm,
     false},
    {"no rows", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_normalize = {.name = "normalize",
                               .n_in = 1,
                               .attr_size = sizeof(hz_attr_normalization),
                               .shape = hz__normalization_shape,
                               .forward = normalize_forward,
                               .vjp = normalize_vjp,
                               .reach = hz__along_reach,
                               .crop = hz__along_crop,
                               .samples = samples,
                               .n_samples = HZ__COUNT(samples)};

hz_var hz_normalize(hz_var x, hz_axes axes, double eps) {
    return hz_apply1(&hz_op_normalize, x, &(hz_attr_normalization){.axes = axes, .eps = eps});
}
