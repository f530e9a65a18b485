/* sign.c: y = −1, 0 or 1 as x is negative, zero or positive; derivative 0 everywhere.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool sign_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_SIGN, 0, 0);
}

/* x · sign(x): a derivative other than 0 would show in the product rule. */
static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_mul(x[0], hz_sign(x[0]));
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}, .kink = {0}, .n_kinks = 1}}, call, false},
    {"one number", 1, {{.rank = 0, .kink = {0}, .n_kinks = 1}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_sign = {.name = "sign",
                          .n_in = 1,
                          .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                          .shape = hz_shape_float,
                          .forward = sign_forward,
                          .vjp = hz__vjp_zero,
                          .samples = samples,
                          .n_samples = HZ__COUNT(samples)};

hz_var hz_sign(hz_var x) {
    return hz_apply1(&hz_op_sign, x, NULL);
}
