/* atan.c: y = arctan x.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "ops/common.h"

static double arctangent(double x, double a, double b) {
    (void)a, (void)b;
    return atan(x);
}

static bool atan_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    hz_map_scalar(ex, arctangent, hz_in(n, 0), 0, 0, &n->value);
    return true;
}

/* dx = dy / (1 + x²) */
static hz_var atan_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_div(dy, hz_add_scalar(hz_square(n->in[0]), 1));
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_atan(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"one number", 1, {{.rank = 0}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_atan = {.name = "atan",
                          .n_in = 1,
                          .flags = HZ_OP_POINTWISE,
                          .shape = hz_shape_float,
                          .forward = atan_forward,
                          .vjp = atan_vjp,
                          .samples = samples,
                          .n_samples = HZ__COUNT(samples)};

hz_var hz_atan(hz_var x) {
    return hz_apply1(&hz_op_atan, x, NULL);
}
