/* logic.c: comparisons, logic, choice and conversion of types. Only Where and Cast between floats have a gradient.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "nn/onnx/internal.h"
#include "tensor/half.h"

enum {
    BOOL = ONNX__TENSOR_PROTO__DATA_TYPE__BOOL,
    FLOAT16 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16,
    BFLOAT16 = ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16
};

/* ---- comparisons and logic ---- */

static void compare(hz__call *c) {
    hz__give_as(c, 0, c->mapping->f2(hz__arg(c, 0), hz__arg(c, 1)), BOOL);
}

/* x ∧ y = x ? y : x, x ∨ y = x ? x : y; exclusive or is inequality */
static hz_var f_and(hz_var x, hz_var y) {
    return hz_where(x, y, x);
}

static hz_var f_or(hz_var x, hz_var y) {
    return hz_where(x, x, y);
}

static void negate(hz__call *c) {
    hz__give_as(c, 0, hz_eq(hz__arg(c, 0), hz__number(hz__arg(c, 0), 0)), BOOL);
}

static void is_nan(hz__call *c) {
    hz__give_as(c, 0, hz_ne(hz__arg(c, 0), hz__arg(c, 0)), BOOL);
}

static void is_inf(hz__call *c) {
    hz_var x = hz__arg(c, 0);
    bool up = hz__attr_int(c, "detect_positive", 1) != 0, down = hz__attr_int(c, "detect_negative", 1) != 0;
    hz_var seen = up && down ? hz_abs(x) : down ? hz_neg(x) : x;
    hz__give_as(c, 0, hz_eq(seen, hz__number(x, up || down ? INFINITY : NAN)), BOOL);
}

static void where(hz__call *c) {
    hz__give_as(c, 0, hz_where(hz__arg(c, 0), hz__arg(c, 1), hz__arg(c, 2)), hz__arg_type(c, 1));
}

/* ---- If ---- */

/* The condition, the results of one branch, those of the other: of these, one has run. */
static void choose(hz__call *c) {
    const hz_tensor *condition = hz__arg_value(c, 0);
    int n = (int)c->node->proto->n_output;
    if (hz_numel(condition) != 1) {
        hz__bad(c, "condition %s is not one truth value", hz_shape_str(condition).s);
        return;
    }
    int from = hz_get_flat(condition, 0) != 0 ? 1 : 1 + n;
    for (int k = 0; k < n; k++) hz__give_as(c, k, hz__arg(c, from + k), hz__arg_type(c, from + k));
}

/* ---- Cast ---- */

/* Before opset 19 the rounding to bfloat16 was left open, and its official results are cut off. */
enum { BFLOAT16_ROUNDS_SINCE = 19 };

/* x as the nearest float of 16 bits (ties to even), in f32. */
static float round16(float x, int type, bool cut) {
    uint32_t bits;
    if (type == FLOAT16) return hz__f32_of_f16(hz__f16_of_f64((double)x));
    memcpy(&bits, &x, sizeof bits);
    uint32_t up = cut ? 0 : 0x7fffu + (bits >> 16 & 1u);
    return hz__f32_of_bf16((uint16_t)((bits + up) >> 16));
}

/* Floats of 16 bits are kept in 32, but hold what 16 bits can: y = x + (rounded − x), the second term a constant. */
static hz_var round_to(hz_var x, int type, bool cut) {
    if (!hz_ok(x) || (type != FLOAT16 && type != BFLOAT16)) return x;
    hz_var rest = hz_copy_in(x.tape, hz_value(x));
    if (!hz_ok(rest)) return rest;
    float *r = hz_value(rest)->data;
    for (int64_t k = 0; k < hz_numel(hz_value(rest)); k++)
        r[k] = isfinite(r[k]) ? round16(r[k], type, cut) - r[k] : 0;
    return hz_add(x, rest);
}

static hz_var cast_to(hz__call *c, hz_var x, int type) {
    const hz__elem *e = hz__elem_of(type);
    if (e->width == 0) return hz__refuse(c, "to %s", e->name);
    if (type == BOOL) return hz_ne(x, hz__number(x, 0));
    if (hz_dtype_is_float(e->dtype) && c->wide) return hz_astype(x, HZ_F64);
    if (hz_dtype_is_float(e->dtype))
        return round_to(hz_astype(x, e->dtype), type, c->node->opset < BFLOAT16_ROUNDS_SINCE);
    return hz__from_i64(hz__to_i64(x), type);
}

static void cast(hz__call *c) {
    int64_t type = hz__attr_int(c, "to", 0);
    int known = type > 0 && type < 64 ? (int)type : 0;
    hz__give_as(c, 0, cast_to(c, hz__arg(c, 0), known), known);
}

static void cast_like(hz__call *c) {
    hz__give_as(c, 0, cast_to(c, hz__arg(c, 0), hz__arg_type(c, 1)), hz__arg_type(c, 1));
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"Equal", .since = 7, .need = 2, .run = compare, .f2 = hz_eq},
    {"Less", .since = 7, .need = 2, .run = compare, .f2 = hz_lt},
    {"LessOrEqual", .since = 12, .need = 2, .run = compare, .f2 = hz_le},
    {"Greater", .since = 7, .need = 2, .run = compare, .f2 = hz_gt},
    {"GreaterOrEqual", .since = 12, .need = 2, .run = compare, .f2 = hz_ge},
    {"And", .since = 7, .need = 2, .run = compare, .f2 = f_and},
    {"Or", .since = 7, .need = 2, .run = compare, .f2 = f_or},
    {"Xor", .since = 7, .need = 2, .run = compare, .f2 = hz_ne},
    {"Not", .since = 1, .run = negate},
    {"IsNaN", .since = 9, .run = is_nan},
    {"IsInf", .since = 10, .run = is_inf},
    {"Where", .since = 9, .need = 3, .run = where},
    {"If", .since = 1, .run = choose, .lazy = true},
    {"Cast", .since = 6, .run = cast},
    {"CastLike", .since = 15, .need = 2, .run = cast_like},
};

const hz__family hz__onnx_logic = {mappings, HZ__COUNT(mappings)};
