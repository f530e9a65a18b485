/* math.c: elementwise arithmetic and functions, comparisons and conversion.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "nn/onnx/write/write.h"
#include "tensor/elementwise.h"

static const hz_attr_scalars *scalars(const hz__writer *w) {
    return w->n->attr;
}

/* ---- nodes of one ONNX op ---- */

static hz__wire *plain(hz__writer *w) {
    return hz__emit_list(w, w->form->type, w->in, w->n->n_in);
}

static hz__wire *add_n(hz__writer *w) {
    return w->n->n_in == 1 ? w->in[0] : plain(w);
}

/* ---- with parameters ---- */

static hz__wire *affine(hz__writer *w) {
    double a = scalars(w)->a, b = scalars(w)->b;
    hz__wire *x = w->in[0];
    if (a == -1 && b == 0) return hz__emit1(w, "Neg", x);
    if (a != 1) x = hz__scaled(w, x, a);
    return b != 0 ? hz__shifted(w, x, b) : x;
}

static hz__wire *pow_scalar(hz__writer *w) {
    return hz__emit2(w, "Pow", w->in[0], hz__scalar(w, w->in[0]->type, scalars(w)->a));
}

/* ---- functions ---- */

static hz__wire *square(hz__writer *w) {
    return hz__product(w, w->in[0], w->in[0]);
}

static hz__wire *rsqrt(hz__writer *w) {
    return hz__emit1(w, "Reciprocal", hz__emit1(w, "Sqrt", w->in[0]));
}

static hz__wire *step(hz__writer *w) {
    return hz__cast(w, hz__positive(w, w->in[0]), w->in[0]->type);
}

/* e^x − 1 = 2·sinh(x/2)·e^(x/2), accurate near 0; below −50 it is −1, and sinh would overflow */
static hz__wire *expm1_(hz__writer *w) {
    hz__wire *half = hz__scaled(w, w->in[0], 0.5);
    half = hz__emit2(w, "Max", half, hz__scalar(w, half->type, -25));
    return hz__scaled(w, hz__product(w, hz__emit1(w, "Sinh", half), hz__emit1(w, "Exp", half)), 2);
}

/* log(1 + x) = 2·atanh(x/(x + 2)), accurate near 0; for x > 1 the plain formula is */
static hz__wire *log1p_(hz__writer *w) {
    hz__wire *x = w->in[0], *one = hz__scalar(w, x->type, 1);
    hz__wire *large = hz__of_type(hz__emit2(w, "Greater", x, one), HZ__BOOL);
    hz__wire *ratio = hz__emit2(w, "Div", x, hz__shifted(w, x, 2));
    hz__wire *small = hz__scaled(w, hz__emit1(w, "Atanh", ratio), 2);
    return hz__choose(w, large, hz__emit1(w, "Log", hz__emit2(w, "Add", x, one)), small);
}

/* ---- comparisons, choice, conversion ---- */

static hz__wire *compare(hz__writer *w) {
    static const char *const op[] = {
        [HZ_EQ] = "Equal",       [HZ_NE] = "Equal",   [HZ_LT] = "Less",
        [HZ_LE] = "LessOrEqual", [HZ_GT] = "Greater", [HZ_GE] = "GreaterOrEqual"};
    hz_comparison relation = *(const hz_comparison *)w->n->attr;
    hz__wire *x = hz__plain(w, w->in[0]), *y = hz__plain(w, w->in[1]);
    hz__wire *z = hz__of_type(hz__emit2(w, op[relation], x, y), HZ__BOOL);
    return relation == HZ_NE ? hz__emit1(w, "Not", z) : z;
}

static hz__wire *where(hz__writer *w) {
    hz__wire *x = hz__plain(w, w->in[1]), *y = hz__plain(w, w->in[2]);
    return hz__choose(w, hz__cast(w, w->in[0], HZ__BOOL), x, y);
}

static hz__wire *astype(hz__writer *w) {
    return hz__cast(w, w->in[0], hz__type_of(*(const hz_dtype *)w->n->attr));
}

static hz__wire *same(hz__writer *w) {
    return w->in[0];
}

/* ---- the table ---- */

static const hz__form forms[] = {
    {&hz_op_add, .write = plain, .type = "Add"},
    {&hz_op_sub, .write = plain, .type = "Sub"},
    {&hz_op_mul, .write = plain, .type = "Mul"},
    {&hz_op_div, .write = plain, .type = "Div"},
    {&hz_op_pow, .write = plain, .type = "Pow"},
    {&hz_op_maximum, .write = plain, .type = "Max"},
    {&hz_op_minimum, .write = plain, .type = "Min"},
    {&hz_op_abs, .write = plain, .type = "Abs"},
    {&hz_op_sign, .write = plain, .type = "Sign"},
    {&hz_op_floor, .write = plain, .type = "Floor"},
    {&hz_op_ceil, .write = plain, .type = "Ceil"},
    {&hz_op_round, .write = plain, .type = "Round"},
    {&hz_op_sqrt, .write = plain, .type = "Sqrt"},
    {&hz_op_reciprocal, .write = plain, .type = "Reciprocal"},
    {&hz_op_exp, .write = plain, .type = "Exp"},
    {&hz_op_log, .write = plain, .type = "Log"},
    {&hz_op_sin, .write = plain, .type = "Sin"},
    {&hz_op_cos, .write = plain, .type = "Cos"},
    {&hz_op_atan, .write = plain, .type = "Atan"},
    {&hz_op_erf, .write = plain, .type = "Erf"},
    {&hz_op_add_n, .write = add_n, .type = "Sum"},
    {&hz_op_affine, .write = affine},
    {&hz_op_pow_scalar, .write = pow_scalar},
    {&hz_op_square, .write = square},
    {&hz_op_rsqrt, .write = rsqrt},
    {&hz_op_step, .write = step},
    {&hz_op_expm1, .write = expm1_},
    {&hz_op_log1p, .write = log1p_},
    {&hz_op_compare, .write = compare},
    {&hz_op_where, .write = where},
    {&hz_op_astype, .write = astype},
    {&hz_op_detach, .write = same},
};

const hz__forms hz__write_math = {forms, HZ__COUNT(forms)};
