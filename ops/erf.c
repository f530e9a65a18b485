/* erf.c: y = erf x = 2/√π · ∫₀ˣ e^(−t²) dt.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool erf_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward1(n, ex, HZ_ERF, 0, 0);
}

/* dx = 2/√π · dy · e^(−x²) */
static hz_var erf_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    const double slope = 1.12837916709551257390; /* 2/√π */
    hz_var bell = hz_exp(hz_neg(hz_square(n->in[0])));
    return hz_scale(hz_mul(dy, bell), slope);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_erf(x[0]);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"one number", 1, {{.rank = 0}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_erf = {.name = "erf",
                         .n_in = 1,
                         .flags = HZ_OP_POINTWISE,
                         .shape = hz_shape_float,
                         .forward = erf_forward,
                         .vjp = erf_vjp,
                         .samples = samples,
                         .n_samples = HZ__COUNT(samples)};

hz_var hz_erf(hz_var x) {
    return hz_apply1(&hz_op_erf, x, NULL);
}
