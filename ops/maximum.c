/* maximum.c: z = the larger of x and y, broadcast; a tie's gradient goes to x; NaN if either is.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool maximum_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward2(n, ex, HZ_MAX, 0, 0);
}

/* dx = dz where x ≥ y, dy = dz elsewhere, each summed over what was broadcast */
static hz_var maximum_vjp(const hz_node *n, int i, hz_var dz) {
    hz_var takes_x = hz_ge(n->in[0], n->in[1]), zero = hz_scalar(n->tape, hz_value(dz)->dtype, 0);
    hz_var d = i == 0 ? hz_where(takes_x, dz, zero) : hz_where(takes_x, zero, dz);
    return hz__sum_like(d, n->in[i]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_maximum(x[0], x[1]);
}

/* x keeps 0.5 away from 0 and y lies within 0.4 of it: they cannot meet. */
static const hz_sample samples[] = {
    {"matrices",
     2,
     {{.rank = 2, .dim = {3, 4}, .kink = {0}, .n_kinks = 1, .margin = 0.5},
      {.rank = 2, .dim = {3, 4}, .lo = -0.4, .hi = 0.4}},
     call,
     false},
    {"broadcast both ways",
     2,
     {{.rank = 3, .dim = {2, 1, 3}, .kink = {0}, .n_kinks = 1, .margin = 0.5},
      {.rank = 2, .dim = {4, 1}, .lo = -0.4, .hi = 0.4}},
     call,
     false},
    {"with a number",
     2,
     {{.rank = 0, .kink = {0}, .n_kinks = 1, .margin = 0.5},
      {.rank = 2, .dim = {2, 2}, .lo = -0.4, .hi = 0.4}},
     call,
     false},
    {"empty", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 1, .dim = {3}}}, call, false},
};

const hz_op hz_op_maximum = {.name = "maximum",
                             .n_in = 2,
                             .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                             .shape = hz__shape_broadcast_float,
                             .forward = maximum_forward,
                             .vjp = maximum_vjp,
                             .samples = samples,
                             .n_samples = HZ__COUNT(samples)};

hz_var hz_maximum(hz_var x, hz_var y) {
    return hz_apply2(&hz_op_maximum, x, y, NULL);
}
