/* square.c: y = x².
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool square_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_SQUARE, 0, 0);
}

/* dx = 2 · dy · x */
static hz_var square_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_scale(hz_mul(dy, n->in[0]), 2);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_square(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"one number", 1, {{.rank = 0}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_square = {.name = "square",
                            .n_in = 1,
                            .flags = HZ_OP_POINTWISE,
                            .shape = hz_shape_float,
                            .forward = square_forward,
                            .vjp = square_vjp,
                            .samples = samples,
                            .n_samples = HZ__COUNT(samples)};

hz_var hz_square(hz_var x) {
    return hz_apply1(&hz_op_square, x, NULL);
}
