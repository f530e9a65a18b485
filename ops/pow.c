/* pow.c: z = x^y, broadcast; differentiable in y where x > 0.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool pow_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    return hz__forward2(n, ex, HZ_POW, 0, 0);
}

/* 1 where zero holds, else x: keeps 0^−1 and log 0 out of products whose other factor is 0. */
static hz_var one_where(hz_var zero, hz_var x) {
    return hz_where(zero, hz_scalar(x.tape, hz_value(x)->dtype, 1), x);
}

static hz_var equals_zero(hz_var x) {
    return hz_eq(x, hz_scalar(x.tape, hz_value(x)->dtype, 0));
}

/* dx = dz · y · x^(y−1), which is 0 where x and y are 0 */
static hz_var toward_base(const hz_node *n, hz_var dz) {
    hz_var x = n->in[0], y = n->in[1];
    hz_var both_zero = equals_zero(hz_maximum(hz_abs(x), hz_abs(y)));
    hz_var power = hz_pow(one_where(both_zero, x), hz_add_scalar(y, -1));
    return hz_mul(dz, hz_mul(y, power));
}

/* dy = dz · z · log x, which is 0 where x is 0 and y > 0 */
static hz_var toward_exponent(const hz_node *n, hz_var dz) {
    hz_var x = n->in[0];
    return hz_mul(dz, hz_mul(n->out, hz_log(one_where(equals_zero(x), x))));
}

/* each summed over what was broadcast */
static hz_var pow_vjp(const hz_node *n, int i, hz_var dz) {
    return hz__sum_like(i == 0 ? toward_base(n, dz) : toward_exponent(n, dz), n->in[i]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pow(x[0], x[1]);
}

static hz_var call_cube(hz_tape *t, const hz_var *x) {
    return hz_pow(x[0], hz_scalar(t, hz_value(x[0])->dtype, 3));
}

static const hz_sample samples[] = {
    {"matrices",
     2,
     {{.rank = 2, .dim = {3, 4}, .lo = 0.3, .hi = 3}, {.rank = 2, .dim = {3, 4}}},
     call,
     false},
    {"broadcast both ways",
     2,
     {{.rank = 3, .dim = {2, 1, 3}, .lo = 0.3, .hi = 3}, {.rank = 2, .dim = {4, 1}}},
     call,
     false},
    {"with a number", 2, {{.rank = 0, .lo = 0.3, .hi = 3}, {.rank = 2, .dim = {2, 2}}}, call, false},
    {"negative base, toward the base alone",
     1,
     {{.rank = 1, .dim = {4}, .lo = -3, .hi = -0.3}},
     call_cube,
     false},
    {"empty", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 1, .dim = {3}}}, call, false},
};

const hz_op hz_op_pow = {.name = "pow",
                         .n_in = 2,
                         .flags = HZ_OP_POINTWISE,
                         .shape = hz__shape_broadcast_float,
                         .forward = pow_forward,
                         .vjp = pow_vjp,
                         .samples = samples,
                         .n_samples = HZ__COUNT(samples)};

hz_var hz_pow(hz_var x, hz_var y) {
    return hz_apply2(&hz_op_pow, x, y, NULL);
}
