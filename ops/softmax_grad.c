/* softmax_grad.c: dx = y · (dy − Σ dy·y), y = softmax(x): the adjoint of softmax.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/reduction.h"

static bool softmax_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    return hz_softmax_grad_map(ex, false, hz_in(n, 0), hz_in(n, 1), hz__along_mask(n), &n->value, err);
}

/* in dy, where the map is symmetric, the same again; in y, g · (dy − Σ dy·y) − dy · Σ g·y */
static hz_var softmax_grad_vjp(const hz_node *n, int i, hz_var g) {
    const hz_axes *axes = n->attr;
    hz_var y = n->in[0], dy = n->in[1];
    if (i == 1) return hz_softmax_grad(y, g, *axes);
    hz_var centred = hz_sub(dy, hz_sum(hz_mul(dy, y), *axes, true));
    return hz_sub(hz_mul(g, centred), hz_mul(dy, hz_sum(hz_mul(g, y), *axes, true)));
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_softmax_grad(x[0], x[1], HZ_AXIS(-1));
}

static hz_var call_outer(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_softmax_grad(x[0], x[1], HZ_AXIS(0) | HZ_AXIS(2));
}

static hz_var call_all(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_softmax_grad(x[0], x[1], HZ_ALL_AXES);
}

static const hz_sample samples[] = {
    {"rows of a matrix", 2, {{.rank = 2, .dim = {3, 4}}, {.rank = 2, .dim = {3, 4}}}, call, false},
    {"outer axes", 2, {{.rank = 3, .dim = {2, 2, 3}}, {.rank = 3, .dim = {2, 2, 3}}}, call_outer, false},
    {"all axes", 2, {{.rank = 2, .dim = {2, 3}}, {.rank = 2, .dim = {2, 3}}}, call_all, false},
    {"one element a row", 2, {{.rank = 2, .dim = {3, 1}}, {.rank = 2, .dim = {3, 1}}}, call, false},
    {"no rows", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 2, .dim = {0, 3}}}, call, false},
    {"rows without elements", 2, {{.rank = 2, .dim = {3, 0}}, {.rank = 2, .dim = {3, 0}}}, call, false},
};

const hz_op hz_op_softmax_grad = {.name = "softmax_grad",
                                  .n_in = 2,
                                  .attr_size = sizeof(hz_axes),
                                  .shape = hz__along_shape,
                                  .forward = softmax_grad_forward,
                                  .vjp = softmax_grad_vjp,
                                  .reach = hz__along_reach,
                                  .crop = hz__along_crop,
                                  .samples = samples,
                                  .n_samples = HZ__COUNT(samples)};

hz_var hz_softmax_grad(hz_var y, hz_var dy, hz_axes axes) {
    return hz_apply2(&hz_op_softmax_grad, y, dy, &axes);
}
