/* step.c: y = 1 where x > 0, else 0; derivative 0 everywhere.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool step_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_STEP, 0, 0);
}

/* x · step(x): a derivative other than 0 would show in the product rule. */
static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_mul(x[0], hz_step(x[0]));
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}, .kink = {0}, .n_kinks = 1}}, call, false},
    {"one number", 1, {{.rank = 0, .lo = 0.5, .hi = 2}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_step = {.name = "step",
                          .n_in = 1,
                          .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                          .shape = hz_shape_float,
                          .forward = step_forward,
                          .vjp = hz__vjp_zero,
                          .samples = samples,
                          .n_samples = HZ__COUNT(samples)};

hz_var hz_step(hz_var x) {
    return hz_apply1(&hz_op_step, x, NULL);
}
