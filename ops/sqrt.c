/* sqrt.c: y = √x.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool sqrt_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_SQRT, 0, 0);
}

/* dx = dy / 2y */
static hz_var sqrt_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_div(hz_scale(dy, 0.5), n->out);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_sqrt(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}, .lo = 0.3, .hi = 3}}, call, false},
    {"one number", 1, {{.rank = 0, .lo = 0.3, .hi = 3}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_sqrt = {.name = "sqrt",
                          .n_in = 1,
                          .flags = HZ_OP_POINTWISE,
                          .shape = hz_shape_float,
                          .forward = sqrt_forward,
                          .vjp = sqrt_vjp,
                          .samples = samples,
                          .n_samples = HZ__COUNT(samples)};

hz_var hz_sqrt(hz_var x) {
    return hz_apply1(&hz_op_sqrt, x, NULL);
}
