/* round.c: y = the integer nearest to x, ties to even; derivative 0 everywhere.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool round_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_ROUND, 0, 0);
}

/* x · round(x): a derivative other than 0 would show in the product rule. */
static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_mul(x[0], hz_round(x[0]));
}

static const hz_sample samples[] = {
    {"matrix",
     1,
     {{.rank = 2, .dim = {3, 4}, .lo = -2, .hi = 1.4, .kink = {-1.5, -0.5, 0.5}, .n_kinks = 3}},
     call,
     false},
    {"one number", 1, {{.rank = 0, .lo = 0.6, .hi = 1.4}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_round = {.name = "round",
                           .n_in = 1,
                           .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                           .shape = hz_shape_float,
                           .forward = round_forward,
                           .vjp = hz__vjp_zero,
                           .samples = samples,
                           .n_samples = HZ__COUNT(samples)};

hz_var hz_round(hz_var x) {
    return hz_apply1(&hz_op_round, x, NULL);
}
