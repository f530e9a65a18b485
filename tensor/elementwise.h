/* elementwise.h: maps over tensors of any strides: copy, fill, cast, and y[k] = f(x[k], …).
 *
 * The innermost loops are the kernels of tensor/kernels/elementwise_tmpl.c (arithmetic) and tensor/vmath.c
 * (exp, log, tanh, … through SLEEF), built for plain C, AVX2 and AVX-512 and chosen by ex->isa. The functions
 * here broadcast nothing and check nothing: shapes and dtypes must agree as said (ops check them), inputs may
 * have any strides, outputs any non-zero ones. An output may be the very same view as an input (in place), but
 * not overlap it otherwise. Floats are f32 or f64.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_ELEMENTWISE_H
#define HZ_TENSOR_ELEMENTWISE_H

#include "tensor/exec.h"

#ifdef __cplusplus
extern "C" {
#endif

void hz_copy(const hz_exec *ex, const hz_tensor *x, const hz_tensor *y); /* y = x; same dtype, any dtype */
void hz_cast(const hz_exec *ex, const hz_tensor *x, const hz_tensor *y); /* y = (dtype of y)x, as C converts;
                                                                            * float to integer saturates, NaN is 0 */
void hz_fill(const hz_exec *ex, const hz_tensor *y, double value);       /* any dtype */
bool hz_all_zero(const hz_exec *ex, const hz_tensor *x);                 /* floats: every element is ±0 */
bool hz_all_finite(const hz_exec *ex, const hz_tensor *x);               /* floats: no NaN, no infinity */

/* y = f(x; a, b), x and y of one float dtype and shape. */
typedef enum hz_unary {
    HZ_AFFINE,     /* a·x + b */
    HZ_ABS,        /* |x| */
    HZ_SIGN,       /* −1, 0, 1 */
    HZ_STEP,       /* 1 where x > 0, else 0 */
    HZ_SQUARE,     /* x² */
    HZ_SQRT,       /* √x */
    HZ_RSQRT,      /* 1/√x */
    HZ_RECIPROCAL, /* 1/x */
    HZ_FLOOR,
    HZ_CEIL,
    HZ_ROUND,        /* to even */
    HZ_RELU,         /* max(x, 0); NaN stays NaN */
    HZ_LEAKY_RELU,   /* x > 0 ? x : a·x */
    HZ_CLIP,         /* min(max(x, a), b); NaN stays NaN */
    HZ_INSIDE,       /* 1 where a < x < b, else 0 */
    HZ_HARD_SIGMOID, /* min(max(a·x + b, 0), 1) */
    HZ_HARD_SWISH,   /* x·min(max(x/6 + 1/2, 0), 1) */
    HZ_EXP,
    HZ_EXPM1,
    HZ_LOG,
    HZ_LOG1P,
    HZ_POW_SCALAR, /* x^a */
    HZ_SIN,
    HZ_COS,
    HZ_TANH,
    HZ_ERF,
    HZ_SIGMOID,   /* 1/(1 + e^−x), no overflow on either side */
    HZ_SOFTPLUS,  /* log(1 + e^(a·x))/a, no overflow */
    HZ_SILU,      /* x·sigmoid(x) */
    HZ_GELU,      /* x·Φ(x), exact, by erf */
    HZ_GELU_TANH, /* x/2·(1 + tanh(√(2/π)(x + 0.044715x³))) */
    HZ_ELU,       /* x > 0 ? x : a·(e^x − 1) */
    HZ_UNARIES
} hz_unary;
void hz_map1(const hz_exec *ex, hz_unary f, const hz_tensor *x, double a, double b, const hz_tensor *y);

/* z = f(x, y; a, b), all of one float dtype and shape (broadcast inputs with hz_view_broadcast first). */
typedef enum hz_binary {
    HZ_ADD,
    HZ_SUB,
    HZ_MUL,
    HZ_DIV,
    HZ_MAX,             /* NaN if either is */
    HZ_MIN,             /* NaN if either is */
    HZ_POW,             /* x^y */
    HZ_AXPY,            /* a·x + y */
    HZ_RELU_GRAD,       /* y where x > 0, else 0: y is the cotangent */
    HZ_LEAKY_RELU_GRAD, /* x > 0 ? y : a·y */
    HZ_CLIP_GRAD,       /* y where a < x < b, else 0 */
    HZ_RELU_GUIDED,     /* max(y, 0) where x > 0, else 0 */
    HZ_TANH_GRAD,       /* y·(1 − x²), x the output of tanh */
    HZ_SIGMOID_GRAD,    /* y·x·(1 − x), x the output of sigmoid */
    HZ_GELU_GRAD,       /* y·gelu′(x) */
    HZ_GELU_TANH_GRAD,  /* y·gelu_tanh′(x) */
    HZ_SILU_GRAD,       /* y·silu′(x) */
    HZ_ELU_GRAD,        /* x > 0 ? y : y·a·e^x */
    HZ_SOFTPLUS_GRAD,   /* y·sigmoid(a·x) */
    HZ_BINARIES
} hz_binary;
void hz_map2(const hz_exec *ex, hz_binary f, const hz_tensor *x, const hz_tensor *y, double a, double b,
             const hz_tensor *z);

/* z = x·a + b, all of one float dtype and shape; the product is rounded. z may be x or a, not b. */
void hz_mul_add(const hz_exec *ex, const hz_tensor *x, const hz_tensor *a, const hz_tensor *b,
                const hz_tensor *z);

/* z (u8, 0 or 1) = x ∘ y; x and y of one dtype, any. Comparisons with NaN are false, NE true. */
typedef enum hz_comparison { HZ_EQ, HZ_NE, HZ_LT, HZ_LE, HZ_GT, HZ_GE } hz_comparison;
void hz_compare(const hz_exec *ex, hz_comparison f, const hz_tensor *x, const hz_tensor *y,
                const hz_tensor *z);

/* z = where (u8) is not 0 ? x : y; x, y, z of one dtype, any. */
void hz_where_map(const hz_exec *ex, const hz_tensor *where, const hz_tensor *x, const hz_tensor *y,
                  const hz_tensor *z);

/* z = Σ x[i], n ≥ 1 tensors of one float dtype and shape, added in order, one pass over memory. */
void hz_sum_n(const hz_exec *ex, const hz_tensor *const *x, int n, const hz_tensor *z);

/* y = f(x), element by element through double: for ops without a kernel of their own. */
void hz_map_scalar(const hz_exec *ex, double (*f)(double x, double a, double b), const hz_tensor *x, double a,
                   double b, const hz_tensor *y);

#ifdef __cplusplus
}
#endif
#endif
