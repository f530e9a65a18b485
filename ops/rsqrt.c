/* rsqrt.c: y = 1/√x.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool rsqrt_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_RSQRT, 0, 0);
}

/* dx = −½ · dy · y³ */
static hz_var rsqrt_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_scale(hz_mul(dy, hz_mul(hz_square(n->out), n->out)), -0.5);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_rsqrt(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}, .lo = 0.3, .hi = 3}}, call, false},
    {"one number", 1, {{.rank = 0, .lo = 0.3, .hi = 3}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_rsqrt = {.name = "rsqrt",
                           .n_in = 1,
                           .flags = HZ_OP_POINTWISE,
                           .shape = hz_shape_float,
                           .forward = rsqrt_forward,
                           .vjp = rsqrt_vjp,
                           .samples = samples,
                           .n_samples = HZ__COUNT(samples)};

hz_var hz_rsqrt(hz_var x) {
    return hz_apply1(&hz_op_rsqrt, x, NULL);
}
