/* math.c: elementwise arithmetic and functions. On floats these are ops with a gradient; on integers they are computed
 * here, in 64 bits, and wrapped to their type: shapes and indices carry no gradient.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "nn/onnx/internal.h"

/* ---- one input ---- */

static hz_var map_integers(hz_var x, int64_t (*f)(int64_t)) {
    hz_var y = hz__to_i64(x);
    if (!hz_ok(y)) return y;
    int64_t *v = hz__i64(y);
    for (int64_t k = 0; k < hz_numel(hz_value(y)); k++) v[k] = f(v[k]);
    return y;
}

static void unary(hz__call *c) {
    const hz__mapping *m = c->mapping;
    if (hz__is_float(c, 0))
        hz__give(c, 0, m->f1(hz__arg(c, 0)));
    else if (m->i1)
        hz__give(c, 0, hz__from_i64(map_integers(hz__arg(c, 0), m->i1), hz__arg_type(c, 0)));
    else
        hz__refuse(c, "of %s", hz__elem_of(hz__arg_type(c, 0))->name);
}

static int64_t i_abs(int64_t x) {
    return x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
}

static int64_t i_neg(int64_t x) {
    return (int64_t)(0 - (uint64_t)x);
}

static int64_t i_sign(int64_t x) {
    return (x > 0) - (x < 0);
}

static int64_t i_not(int64_t x) {
    return ~x;
}

static int64_t i_same(int64_t x) {
    return x;
}

/* x for the derivative's sake, in a form that has one */
static hz_var f_tan(hz_var x) {
    return hz_div(hz_sin(x), hz_cos(x));
}

/* asin x = 2·atan(x / (1 + √(1 − x²))) */
static hz_var f_asin(hz_var x) {
    hz_var root = hz_sqrt(hz_affine(hz_square(x), -1, 1));
    return hz_scale(hz_atan(hz_div(x, hz_add_scalar(root, 1))), 2);
}

static hz_var f_acos(hz_var x) {
    return hz_affine(f_asin(x), -1, 1.57079632679489661923);
}

/* (e^x − e^−x)/2, accurate near 0 */
static hz_var f_sinh(hz_var x) {
    return hz_scale(hz_sub(hz_expm1(x), hz_expm1(hz_neg(x))), 0.5);
}

static hz_var f_cosh(hz_var x) {
    return hz_scale(hz_add(hz_exp(x), hz_exp(hz_neg(x))), 0.5);
}

/* asinh x = log(x + √(x² + 1)); on the side of a negative x, −log(−x + √(x² + 1)) does not cancel */
static hz_var f_asinh(hz_var x) {
    hz_var root = hz_sqrt(hz_add_scalar(hz_square(x), 1));
    hz_var negative = hz_lt(x, hz__number(x, 0));
    return hz_where(negative, hz_neg(hz_log(hz_sub(root, x))), hz_log(hz_add(root, x)));
}

static hz_var f_acosh(hz_var x) {
    return hz_log(hz_add(x, hz_sqrt(hz_add_scalar(hz_square(x), -1))));
}

static hz_var f_atanh(hz_var x) {
    return hz_scale(hz_sub(hz_log1p(x), hz_log1p(hz_neg(x))), 0.5);
}

/* ---- two inputs ---- */

/* z[k] = f(x[k], y[k]) in 64 bits, broadcast. */
static hz_var combine_integers(hz_var x, hz_var y, int64_t (*f)(int64_t, int64_t)) {
    hz_tensor shape;
    hz_error why;
    if (!hz_ok(x) || !hz_ok(y)) return hz_none(x.tape);
    if (!hz_broadcast_shape(hz_value(x), hz_value(y), &shape, &why))
        return hz_tape_fail(x.tape, why.code, "%s", why.text);
    hz_var a = hz__to_i64(hz_broadcast_to(x, shape.rank, shape.dim));
    hz_var b = hz__to_i64(hz_broadcast_to(y, shape.rank, shape.dim));
    if (!hz_ok(a) || !hz_ok(b)) return hz_none(x.tape);
    int64_t *u = hz__i64(a), *v = hz__i64(b);
    for (int64_t k = 0; k < hz_numel(hz_value(a)); k++) u[k] = f(u[k], v[k]);
    return a;
}

/* Both inputs of one float dtype: as they are. Otherwise, mixed types are those Pow allows. */
static hz_var combine(hz__call *c, hz_var x, hz_var y) {
    const hz__mapping *m = c->mapping;
    bool fx = hz_dtype_is_float(hz_value(x)->dtype), fy = hz_dtype_is_float(hz_value(y)->dtype);
    if (fx && fy && m->f2) return m->f2(x, y);
    if (!fx && !fy && m->i2) return hz__from_i64(combine_integers(x, y, m->i2), hz__arg_type(c, 0));
    return hz__refuse(c, "of %s and %s", hz__elem_of(hz__arg_type(c, 0))->name,
                      hz__elem_of(hz__arg_type(c, 1))->name);
}

static void binary(hz__call *c) {
    hz__give(c, 0, combine(c, hz__arg(c, 0), hz__arg(c, 1)));
}

/* Before opset 7 the axes of the second input stand for those of the first from `axis` on (the last ones, if it is not
 * given): ones are added behind. */
static hz_var aligned(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0), *y = hz__arg_value(c, 1);
    int64_t dim[HZ_MAX_RANK];
    int axis, rank = 0;
    if (!hz__attr(c, "axis")) return hz__arg(c, 1);
    if (!hz__axis(c, hz__attr_int(c, "axis", 0), x->rank, &axis)) return hz_none(c->t);
    if (axis + y->rank > x->rank)
        return hz__bad(c, "%s from axis %d of %s on", hz_shape_str(y).s, axis, hz_shape_str(x).s);
    for (; rank < y->rank; rank++) dim[rank] = y->dim[rank];
    for (; rank < x->rank - axis; rank++) dim[rank] = 1;
    return hz_reshape(hz__arg(c, 1), rank, dim);
}

static void old_binary(hz__call *c) {
    hz_var y = aligned(c);
    if (hz_ok(y)) hz__give(c, 0, combine(c, hz__arg(c, 0), y));
}

/* Max, Min, Sum: any number of inputs. */
static hz_var fold(hz__call *c) {
    hz_var y = hz__arg(c, 0);
    for (int k = 1; k < hz__n_args(c) && hz_ok(y); k++) y = combine(c, y, hz__arg(c, k));
    return y;
}

static void variadic(hz__call *c) {
    hz__give(c, 0, fold(c));
}

static void mean(hz__call *c) {
    hz__give(c, 0, hz_scale(fold(c), 1.0 / hz__n_args(c)));
}

static int64_t i_add(int64_t x, int64_t y) {
    return (int64_t)((uint64_t)x + (uint64_t)y);
}

static int64_t i_sub(int64_t x, int64_t y) {
    return (int64_t)((uint64_t)x - (uint64_t)y);
}

static int64_t i_mul(int64_t x, int64_t y) {
    return (int64_t)((uint64_t)x * (uint64_t)y);
}

/* Toward zero, as C; by 0, which has no result: 0. */
static int64_t i_div(int64_t x, int64_t y) {
    return y == 0 ? 0 : y == -1 ? i_neg(x) : x / y;
}

static int64_t i_max(int64_t x, int64_t y) {
    return x > y ? x : y;
}

static int64_t i_min(int64_t x, int64_t y) {
    return x < y ? x : y;
}

static int64_t i_and(int64_t x, int64_t y) {
    return x & y;
}

static int64_t i_or(int64_t x, int64_t y) {
    return x | y;
}

static int64_t i_xor(int64_t x, int64_t y) {
    return x ^ y;
}

static int64_t i_left(int64_t x, int64_t y) {
    return y < 0 || y > 63 ? 0 : (int64_t)((uint64_t)x << y);
}

static int64_t i_right(int64_t x, int64_t y) {
    return y < 0 || y > 63 ? 0 : (int64_t)((uint64_t)x >> y);
}

static void shift(hz__call *c) {
    bool left = hz__attr_is(c, "direction", "LEFT", true);
    hz_var z = combine_integers(hz__arg(c, 0), hz__arg(c, 1), left ? i_left : i_right);
    hz__give(c, 0, hz__from_i64(z, hz__arg_type(c, 0)));
}

/* ---- Mod ---- */

/* The sign of the divisor, as Python's %. */
static int64_t i_mod(int64_t x, int64_t y) {
    int64_t r = y == 0 || y == -1 ? 0 : x % y;
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

static int64_t i_fmod(int64_t x, int64_t y) {
    return y == 0 || y == -1 ? 0 : x % y;
}

/* x − y·⌊x/y⌋, or with the quotient rounded toward zero; the derivative in x is 1 */
static hz_var f_mod(hz_var x, hz_var y, bool toward_zero) {
    hz_var q = hz_div(x, y);
    hz_var whole = toward_zero ? hz_mul(hz_sign(q), hz_floor(hz_abs(q))) : hz_floor(q);
    return hz_sub(x, hz_mul(y, whole));
}

static void mod(hz__call *c) {
    bool fmod = hz__attr_int(c, "fmod", 0) != 0;
    hz_var x = hz__arg(c, 0), y = hz__arg(c, 1);
    if (hz__is_float(c, 0))
        hz__give(c, 0, f_mod(x, y, fmod));
    else
        hz__give(c, 0, hz__from_i64(combine_integers(x, y, fmod ? i_fmod : i_mod), hz__arg_type(c, 0)));
}

/* ---- Pow ---- */

/* The exponent is one number, the same for all: then the base may be negative and a gradient needs no logarithm. */
static hz_var power(hz_var x, hz_var y) {
    const hz_tensor *e = hz_value(y);
    bool fixed = hz_numel(e) == 1 && hz_node_of(y)->op == &hz_op_leaf && e->rank <= hz_value(x)->rank;
    return fixed ? hz_pow_scalar(x, hz_get_flat(e, 0)) : hz_pow(x, y);
}

/* The base's type is the result's. Integers by way of f64, exact up to 2^53. */
static void pow_any(hz__call *c) {
    hz_var x = hz__arg(c, 0), y = c->node->opset < 7 ? aligned(c) : hz__arg(c, 1);
    if (!hz_ok(y)) return;
    hz_dtype dtype = hz__is_float(c, 0) ? hz_value(x)->dtype : HZ_F64;
    hz_var z = power(hz_astype(x, dtype), hz_astype(y, dtype));
    hz__give_like_arg(c, 0, z);
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"Abs", .since = 1, .run = unary, .f1 = hz_abs, .i1 = i_abs},
    {"Neg", .since = 1, .run = unary, .f1 = hz_neg, .i1 = i_neg},
    {"Sign", .since = 1, .run = unary, .f1 = hz_sign, .i1 = i_sign},
    {"Floor", .since = 1, .run = unary, .f1 = hz_floor, .i1 = i_same},
    {"Ceil", .since = 1, .run = unary, .f1 = hz_ceil, .i1 = i_same},
    {"Round", .since = 1, .run = unary, .f1 = hz_round, .i1 = i_same},
    {"Sqrt", .since = 1, .run = unary, .f1 = hz_sqrt},
    {"Reciprocal", .since = 1, .run = unary, .f1 = hz_reciprocal},
    {"Exp", .since = 1, .run = unary, .f1 = hz_exp},
    {"Log", .since = 1, .run = unary, .f1 = hz_log},
    {"Sin", .since = 1, .run = unary, .f1 = hz_sin},
    {"Cos", .since = 1, .run = unary, .f1 = hz_cos},
    {"Tan", .since = 1, .run = unary, .f1 = f_tan},
    {"Asin", .since = 1, .run = unary, .f1 = f_asin},
    {"Acos", .since = 1, .run = unary, .f1 = f_acos},
    {"Atan", .since = 1, .run = unary, .f1 = hz_atan},
    {"Sinh", .since = 1, .run = unary, .f1 = f_sinh},
    {"Cosh", .since = 1, .run = unary, .f1 = f_cosh},
    {"Asinh", .since = 1, .run = unary, .f1 = f_asinh},
    {"Acosh", .since = 1, .run = unary, .f1 = f_acosh},
    {"Atanh", .since = 1, .run = unary, .f1 = f_atanh},
    {"Tanh", .since = 1, .run = unary, .f1 = hz_tanh},
    {"Erf", .since = 1, .run = unary, .f1 = hz_erf},
    {"BitwiseNot", .since = 18, .run = unary, .f1 = NULL, .i1 = i_not},
    {"Add", .since = 1, .until = 6, .need = 2, .run = old_binary, .f2 = hz_add, .i2 = i_add},
    {"Add", .since = 7, .need = 2, .run = binary, .f2 = hz_add, .i2 = i_add},
    {"Sub", .since = 1, .until = 6, .need = 2, .run = old_binary, .f2 = hz_sub, .i2 = i_sub},
    {"Sub", .since = 7, .need = 2, .run = binary, .f2 = hz_sub, .i2 = i_sub},
    {"Mul", .since = 1, .until = 6, .need = 2, .run = old_binary, .f2 = hz_mul, .i2 = i_mul},
    {"Mul", .since = 7, .need = 2, .run = binary, .f2 = hz_mul, .i2 = i_mul},
    {"Div", .since = 1, .until = 6, .need = 2, .run = old_binary, .f2 = hz_div, .i2 = i_div},
    {"Div", .since = 7, .need = 2, .run = binary, .f2 = hz_div, .i2 = i_div},
    {"Pow", .since = 1, .need = 2, .run = pow_any},
    {"Mod", .since = 10, .need = 2, .run = mod},
    {"BitShift", .since = 11, .need = 2, .run = shift},
    {"BitwiseAnd", .since = 18, .need = 2, .run = binary, .i2 = i_and},
    {"BitwiseOr", .since = 18, .need = 2, .run = binary, .i2 = i_or},
    {"BitwiseXor", .since = 18, .need = 2, .run = binary, .i2 = i_xor},
    {"Max", .since = 1, .run = variadic, .f2 = hz_maximum, .i2 = i_max},
    {"Min", .since = 1, .run = variadic, .f2 = hz_minimum, .i2 = i_min},
    {"Sum", .since = 1, .run = variadic, .f2 = hz_add},
    {"Mean", .since = 1, .run = mean, .f2 = hz_add},
};

const hz__family hz__onnx_math = {mappings, HZ__COUNT(mappings)};
