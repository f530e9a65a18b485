/* mul.c: z = x · y, element by element, broadcast.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool mul_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward2(n, ex, HZ_MUL, 0, 0);
}

/* dx = dz · y, dy = dz · x, each summed over what was broadcast */
static hz_var mul_vjp(const hz_node *n, int i, hz_var dz) {
    return hz__sum_like(hz_mul(dz, n->in[1 - i]), n->in[i]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_mul(x[0], x[1]);
}

static const hz_sample samples[] = {
    {"matrices", 2, {{.rank = 2, .dim = {3, 4}}, {.rank = 2, .dim = {3, 4}}}, call, false},
    {"broadcast both ways", 2, {{.rank = 3, .dim = {2, 1, 3}}, {.rank = 2, .dim = {4, 1}}}, call, false},
    {"with a number", 2, {{.rank = 0}, {.rank = 2, .dim = {2, 2}}}, call, false},
    {"empty", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 1, .dim = {3}}}, call, false},
};

const hz_op hz_op_mul = {.name = "mul",
                         .n_in = 2,
                         .flags = HZ_OP_POINTWISE,
                         .shape = hz__shape_broadcast_float,
                         .forward = mul_forward,
                         .vjp = mul_vjp,
                         .samples = samples,
                         .n_samples = HZ__COUNT(samples)};

hz_var hz_mul(hz_var x, hz_var y) {
    return hz_apply2(&hz_op_mul, x, y, NULL);
}
