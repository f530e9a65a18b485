/* hard_swish.c: y = x · h(x), h(x) = min(max(x/6 + 1/2, 0), 1) (Howard et al. 2019, section 5.2).
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool hard_swish_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_HARD_SWISH, 0, 0);
}

/* dx = dy · h(x) + dy · x/6 · [−3 < x < 3] */
static hz_var hard_swish_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    hz_var x = n->in[0];
    hz_var product = hz_mul(dy, hz_hard_sigmoid(x, 1.0 / 6, 0.5));
    return hz_add(product, hz_clip_grad(x, hz_scale(hz_mul(dy, x), 1.0 / 6), -3, 3));
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_hard_swish(x[0]);
}

static const hz_sample samples[] = {
    {"matrix",
     1,
     {{.rank = 2, .dim = {3, 4}, .lo = -5, .hi = 5, .kink = {-3, 3}, .n_kinks = 2}},
     call,
     false},
    {"one number", 1, {{.rank = 0, .lo = 0.5, .hi = 2}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_hard_swish = {.name = "hard_swish",
                                .n_in = 1,
                                .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                                .shape = hz_shape_float,
                                .forward = hard_swish_forward,
                                .vjp = hard_swish_vjp,
                                .samples = samples,
                                .n_samples = HZ__COUNT(samples)};

hz_var hz_hard_swish(hz_var x) {
    return hz_apply1(&hz_op_hard_swish, x, NULL);
}
