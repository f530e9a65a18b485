/* tanh.c: y = tanh x.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool tanh_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_TANH, 0, 0);
}

/* dx = dy · (1 − y²) */
static hz_var tanh_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_tanh_grad(n->out, dy);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_tanh(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"one number", 1, {{.rank = 0}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_tanh = {.name = "tanh",
                          .n_in = 1,
                          .flags = HZ_OP_POINTWISE,
                          .shape = hz_shape_float,
                          .forward = tanh_forward,
                          .vjp = tanh_vjp,
                          .samples = samples,
                          .n_samples = HZ__COUNT(samples)};

hz_var hz_tanh(hz_var x) {
    return hz_apply1(&hz_op_tanh, x, NULL);
}
