/* min.c: y = the smallest x over a set of axes, NaN if any is; the gradient is shared evenly between equal minima.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/reduction.h"

static bool min_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    return hz__reduction_forward(n, ex, HZ_REDUCE_MIN, err);
}

static hz_var call_rows(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_min(x[0], HZ_AXIS(1), false);
}

static hz_var call_outer(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_min(x[0], HZ_AXIS(0) | HZ_AXIS(-1), true);
}

static hz_var call_middle(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_min(x[0], HZ_AXIS(-2), false);
}

static hz_var call_all(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_min(x[0], HZ_ALL_AXES, false);
}

static const hz_sample samples[] = {
    {"rows of a matrix", 1, {{.rank = 2, .dim = {3, 4}, .distinct = true}}, call_rows, false},
    {"outer axes, kept", 1, {{.rank = 3, .dim = {2, 3, 4}, .distinct = true}}, call_outer, false},
    {"middle axis, dropped", 1, {{.rank = 3, .dim = {2, 3, 2}, .distinct = true}}, call_middle, false},
    {"all axes", 1, {{.rank = 3, .dim = {2, 1, 3}, .distinct = true}}, call_all, false},
    {"one number", 1, {{.rank = 0, .distinct = true}}, call_all, false},
    {"one element a row", 1, {{.rank = 2, .dim = {3, 1}, .distinct = true}}, call_rows, false},
    {"no rows", 1, {{.rank = 2, .dim = {0, 3}}}, call_rows, false},
};

const hz_op hz_op_min = {.name = "min",
                         .n_in = 1,
                         .flags = HZ_OP_KINKS,
                         .attr_size = sizeof(hz_attr_reduction),
                         .shape = hz__reduction_shape,
                         .forward = min_forward,
                         .vjp = hz__extreme_vjp,
                         .reach = hz__reduction_reach,
                         .samples = samples,
                         .n_samples = HZ__COUNT(samples)};

hz_var hz_min(hz_var x, hz_axes axes, bool keep) {
    return hz__reduce(&hz_op_min, x, axes, keep);
}
