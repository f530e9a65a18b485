/* reduce_tmpl.c: kernels that fold rows and columns, and the row kernels of softmax and normalisation.
 *
 * A row is folded in LANES accumulators, element i into accumulator i mod LANES, which are combined in a tree at
 * the end: the compiler keeps them in vector registers, and the order of the additions is the same whatever the
 * registers' width. f32 accumulates in double, so that a sum of any length is right to an ulp.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <tgmath.h>

#include "tensor/kernels/reduce.h"
#include "tensor/kernels/template.h"

enum { LANES = 32 };

typedef double fold_fn(double acc, double x);
typedef double term_fn(double x, double y, double a, double b);

/* ---- folds ---- */

static inline double add(double a, double b) {
    return a + b;
}
static inline double add_square(double a, double x) {
    return a + x * x;
}
static inline double multiply(double a, double b) {
    return a * b;
}
static inline double larger(double a, double b) {
    return ((a > b) | (a != a)) ? a : b; /* NaN if either is */
}
static inline double smaller(double a, double b) {
    return ((a < b) | (a != a)) ? a : b;
}

HZ_INLINE double combine_lanes(double *acc, fold_fn *combine) {
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++) acc[j] = combine(acc[j], acc[j + width]);
    return acc[0];
}

HZ_INLINE double fold_row(int64_t n, const void *px, double identity, fold_fn *take, fold_fn *combine) {
    const real *x = px;
    double acc[LANES];
    int64_t i = 0;
    for (int j = 0; j < LANES; j++) acc[j] = identity;
    for (; i + LANES <= n; i += LANES) {
#pragma omp simd
        for (int j = 0; j < LANES; j++) acc[j] = take(acc[j], (double)x[i + j]);
    }
    for (int j = 0; i + j < n; j++) acc[j] = take(acc[j], (double)x[i + j]);
    return combine_lanes(acc, combine);
}

/* Four rows at a time: the accumulators are read and written once for four elements. */
HZ_INLINE void fold_columns(int64_t rows, int64_t stride, int64_t n, const void *px, double *restrict acc,
                            fold_fn *take) {
    const real *x = px;
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4, x += 4 * stride) {
        const real *x1 = x + stride, *x2 = x + 2 * stride, *x3 = x + 3 * stride;
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            acc[j] =
                take(take(take(take(acc[j], (double)x[j]), (double)x1[j]), (double)x2[j]), (double)x3[j]);
    }
    for (; r < rows; r++, x += stride) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++) acc[j] = take(acc[j], (double)x[j]);
    }
}

static double row_sum(int64_t n, const void *x) {
    return fold_row(n, x, 0, add, add);
}
static double row_max(int64_t n, const void *x) {
    return fold_row(n, x, -INFINITY, larger, larger);
}
static double row_min(int64_t n, const void *x) {
    return fold_row(n, x, INFINITY, smaller, smaller);
}
static double row_prod(int64_t n, const void *x) {
    return fold_row(n, x, 1, multiply, multiply);
}
static double row_sum_squares(int64_t n, const void *x) {
    return fold_row(n, x, 0, add_square, add);
}
static void columns_sum(int64_t rows, int64_t stride, int64_t n, const void *x, double *acc) {
    fold_columns(rows, stride, n, x, acc, add);
}
static void columns_max(int64_t rows, int64_t stride, int64_t n, const void *x, double *acc) {
    fold_columns(rows, stride, n, x, acc, larger);
}
static void columns_min(int64_t rows, int64_t stride, int64_t n, const void *x, double *acc) {
    fold_columns(rows, stride, n, x, acc, smaller);
}
static void columns_prod(int64_t rows, int64_t stride, int64_t n, const void *x, double *acc) {
    fold_columns(rows, stride, n, x, acc, multiply);
}
static void columns_sum_squares(int64_t rows, int64_t stride, int64_t n, const void *x, double *acc) {
    fold_columns(rows, stride, n, x, acc, add_square);
}

/* ---- sums of terms of two rows ---- */

HZ_INLINE double sum_terms(int64_t n, const void *px, const void *py, double a, double b, term_fn *term) {
    const real *x = px, *y = py;
    double acc[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
#pragma omp simd
        for (int j = 0; j < LANES; j++) acc[j] += term((double)x[i + j], (double)y[i + j], a, b);
    }
    for (int j = 0; i + j < n; j++) acc[j] += term((double)x[i + j], (double)y[i + j], a, b);
    return combine_lanes(acc, add);
}

static inline double product(double x, double y, double a, double b) {
    (void)a, (void)b;
    return x * y;
}
static inline double square_about(double x, double y, double mean, double b) {
    (void)y, (void)b;
    return (x - mean) * (x - mean);
}
static inline double normalized_product(double x, double dy, double mean, double rstd) {
    return dy * ((x - mean) * rstd);
}

static double dot(int64_t n, const void *x, const void *y) {
    return sum_terms(n, x, y, 0, 0, product);
}
static double squares_about(int64_t n, const void *x, double mean) {
    return sum_terms(n, x, x, mean, 0, square_about);
}
static double normalized_dot(int64_t n, const void *x, const void *dy, double mean, double rstd) {
    return sum_terms(n, x, dy, mean, rstd, normalized_product);
}

/* ---- rows that come out as rows ---- */

static void shift_scale(int64_t n, const void *px, double shift, double scale, void *py) {
    const real *x = px;
    real *y = py;
    const real by = (real)shift, factor = (real)scale;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = (x[i] - by) * factor;
}

static void shift_twice(int64_t n, const void *px, double first, double second, void *py) {
    const real *x = px;
    real *y = py;
    const real a = (real)first, b = (real)second;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = (x[i] - a) - b;
}

static void softmax_grad(int64_t n, const void *py, const void *pdy, double dot_product, void *pdx) {
    const real *y = py, *dy = pdy;
    real *dx = pdx;
    const real mean = (real)dot_product;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) dx[i] = y[i] * (dy[i] - mean);
}

static void normalize_grad(int64_t n, const void *px, const void *pdy, double mean, double rstd,
                           double mean_dy, double mean_dot, void *pdx) {
    const real *x = px, *dy = pdy;
    real *dx = pdx;
    const real center = (real)mean, scale = (real)rstd, lift = (real)mean_dy, tilt = (real)(rstd * mean_dot);
#pragma omp simd
    for (int64_t i = 0; i < n; i++) dx[i] = (dy[i] - lift - (x[i] - center) * tilt) * scale;
}

/* ---- where the extreme is ---- */

/* Find the extreme value in a vectorised pass, then the first place that has it. */
static int64_t arg_extreme(int64_t n, const void *px, int sign) {
    const real *x = px;
    const real best = (real)(sign > 0 ? row_max(n, x) : row_min(n, x));
    int64_t i = 0;
    if (best != best)
        while (x[i] == x[i]) i++;
    else
        while (x[i] != best) i++;
    return i;
}

const hz__reduce HZ_KERNEL(reduce) = {
    .fold =
        {
            [HZ_REDUCE_SUM] = {0, add, row_sum, columns_sum},
            [HZ_REDUCE_MAX] = {-INFINITY, larger, row_max, columns_max},
            [HZ_REDUCE_MIN] = {INFINITY, smaller, row_min, columns_min},
            [HZ_REDUCE_PROD] = {1, multiply, row_prod, columns_prod},
            [HZ_REDUCE_SUM_SQUARES] = {0, add, row_sum_squares, columns_sum_squares},
        },
    .dot = dot,
    .arg_extreme = arg_extreme,
    .squares_about = squares_about,
    .shift_scale = shift_scale,
    .shift_twice = shift_twice,
    .softmax_grad = softmax_grad,
    .normalized_dot = normalized_dot,
    .normalize_grad = normalize_grad,
};
