/* mean.c: y = Σ x / count over a set of axes, and the variance made of two of them.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/reduction.h"

static bool mean_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    return hz__reduction_forward(n, ex, HZ_REDUCE_MEAN, err);
}

/* dx = dy / count, repeated along the axes */
static hz_var mean_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    hz_var share = hz_scale(dy, 1.0 / (double)hz__reduction_count(n));
    return hz__broadcast_like(hz__reduction_keep(n, share), n->in[0]);
}

static hz_var call_rows(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_mean(x[0], HZ_AXIS(1), false);
}

static hz_var call_outer(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_mean(x[0], HZ_AXIS(0) | HZ_AXIS(-1), true);
}

static hz_var call_middle(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_mean(x[0], HZ_AXIS(-2), false);
}

static hz_var call_all(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_mean(x[0], HZ_ALL_AXES, false);
}

static const hz_sample samples[] = {
    {"rows of a matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call_rows, false},
    {"outer axes, kept", 1, {{.rank = 3, .dim = {2, 3, 4}}}, call_outer, false},
    {"middle axis, dropped", 1, {{.rank = 3, .dim = {2, 3, 2}}}, call_middle, false},
    {"all axes", 1, {{.rank = 3, .dim = {2, 1, 3}}}, call_all, false},
    {"one number", 1, {{.rank = 0}}, call_all, false},
    {"one element a row", 1, {{.rank = 2, .dim = {3, 1}}}, call_rows, false},
    {"no rows", 1, {{.rank = 2, .dim = {0, 3}}}, call_rows, false},
};

const hz_op hz_op_mean = {.name = "mean",
                          .n_in = 1,
                          .attr_size = sizeof(hz_attr_reduction),
                          .shape = hz__reduction_shape,
                          .forward = mean_forward,
                          .vjp = mean_vjp,
                          .reach = hz__reduction_reach,
                          .samples = samples,
                          .n_samples = HZ__COUNT(samples)};

hz_var hz_mean(hz_var x, hz_axes axes, bool keep) {
    return hz__reduce(&hz_op_mean, x, axes, keep);
}

/* mean((x − mean(x))²): unlike mean(x²) − mean(x)², no cancellation */
hz_var hz_var_of(hz_var x, hz_axes axes, bool keep) {
    hz_var centred = hz_sub(x, hz_mean(x, axes, true));
    return hz_mean(hz_square(centred), axes, keep);
}
