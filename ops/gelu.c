/* gelu.c: y = x · Φ(x), Φ the distribution function of the normal distribution (Hendrycks & Gimpel 2016).
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool gelu_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_GELU, 0, 0);
}

/* dx = dy · gelu′(x) */
static hz_var gelu_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_gelu_grad(n->in[0], dy);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_gelu(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"one number", 1, {{.rank = 0}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_gelu = {.name = "gelu",
                          .n_in = 1,
                          .flags = HZ_OP_POINTWISE,
                          .shape = hz_shape_float,
                          .forward = gelu_forward,
                          .vjp = gelu_vjp,
                          .samples = samples,
                          .n_samples = HZ__COUNT(samples)};

hz_var hz_gelu(hz_var x) {
    return hz_apply1(&hz_op_gelu, x, NULL);
}
