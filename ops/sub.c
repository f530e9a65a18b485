/* sub.c: z = x − y, broadcast.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool sub_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward2(n, ex, HZ_SUB, 0, 0);
}

/* dx = dz, dy = −dz, each summed over what was broadcast */
static hz_var sub_vjp(const hz_node *n, int i, hz_var dz) {
    hz_var d = hz__sum_like(dz, n->in[i]);
    return i == 0 ? d : hz_neg(d);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_sub(x[0], x[1]);
}

static const hz_sample samples[] = {
    {"matrices", 2, {{.rank = 2, .dim = {3, 4}}, {.rank = 2, .dim = {3, 4}}}, call, false},
    {"broadcast both ways", 2, {{.rank = 3, .dim = {2, 1, 3}}, {.rank = 2, .dim = {4, 1}}}, call, false},
    {"with a number", 2, {{.rank = 0}, {.rank = 2, .dim = {2, 2}}}, call, false},
    {"empty", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 1, .dim = {3}}}, call, false},
};

const hz_op hz_op_sub = {.name = "sub",
                         .n_in = 2,
                         .flags = HZ_OP_POINTWISE,
                         .shape = hz__shape_broadcast_float,
                         .forward = sub_forward,
                         .vjp = sub_vjp,
                         .samples = samples,
                         .n_samples = HZ__COUNT(samples)};

hz_var hz_sub(hz_var x, hz_var y) {
    return hz_apply2(&hz_op_sub, x, y, NULL);
}
