/* softmax.c: y = e^x / Σ e^x, jointly over a set of axes, shifted by the maximum so that nothing overflows.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/reduction.h"

static bool softmax_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    return hz_softmax_map(ex, false, hz_in(n, 0), hz__along_mask(n), &n->value, err);
}

/* dx = y · (dy − Σ dy·y) */
static hz_var softmax_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_axes *axes = n->attr;
    (void)i;
    return hz_softmax_grad(n->out, dy, *axes);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_softmax(x[0], HZ_AXIS(-1));
}

static hz_var call_outer(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_softmax(x[0], HZ_AXIS(0) | HZ_AXIS(2));
}

static hz_var call_all(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_softmax(x[0], HZ_ALL_AXES);
}

static const hz_sample samples[] = {
    {"rows of a matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"outer axes", 1, {{.rank = 3, .dim = {2, 2, 3}}}, call_outer, false},
    {"all axes", 1, {{.rank = 2, .dim = {2, 3}}}, call_all, false},
    {"no rows", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
    {"rows without elements", 1, {{.rank = 2, .dim = {3, 0}}}, call, false},
};

const hz_op hz_op_softmax = {.name = "softmax",
                             .n_in = 1,
                             .attr_size = sizeof(hz_axes),
                             .shape = hz__along_shape,
                             .forward = softmax_forward,
                             .vjp = softmax_vjp,
                             .reach = hz__along_reach,
                             .crop = hz__along_crop,
                             .samples = samples,
                             .n_samples = HZ__COUNT(samples)};

hz_var hz_softmax(hz_var x, hz_axes axes) {
    return hz_apply1(&hz_op_softmax, x, &axes);
}
