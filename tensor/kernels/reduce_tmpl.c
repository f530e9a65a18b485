/* reduce_tmpl.c: kernels that fold rows and columns, and the row kernels of softmax and normalisation.
 *
 * A row is folded in LANES accumulators, element i into accumulator i mod LANES, which are combined in a tree at
 * the end: the compiler keeps them in vector registers, and the order of the additions is the same whatever the
 * registers' width. Of a long row the four quarters are read side by side: memory answers four streams sooner than one. f32 accumulates in double, so that a sum of any length is right to an ulp.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <tgmath.h>

#include "tensor/kernels/reduce.h"
#include "tensor/kernels/template.h"

enum {
    LANES = 32,
    AHEAD = 512,
    SHORT = 12 /* a row this short is not worth setting up the lanes for */
};

typedef double take_fn(double acc, double x);
typedef double take4_fn(double acc, real a, real b, real c, real d);
typedef real term_fn(real x, real y, real a);

/* ---- folds: one element, four elements, two accumulators ---- */

static inline double add(double a, double b) {
    return a + b;
}
static inline double add4(double acc, real a, real b, real c, real d) {
    return acc + (double)((a + b) + (c + d)); /* two roundings in real, and a quarter of the conversions */
}
static inline double add_square(double acc, double x) {
    return acc + x * x;
}
static inline double add_square4(double acc, real a, real b, real c, real d) {
    return add_square(add_square(add_square(add_square(acc, (double)a), (double)b), (double)c), (double)d);
}
static inline double multiply(double a, double b) {
    return a * b;
}
static inline double multiply4(double acc, real a, real b, real c, real d) {
    return acc * (double)a * (double)b * (double)c * (double)d; /* in real, partial products might overflow */
}

/* NaN if either is: where only b is NaN, the first line gives b. Two plain selections vectorise; a condition
 * with || does not. */
static inline double larger(double a, double b) {
    const double numbers = a > b ? a : b;
    return a == a ? numbers : a;
}
static inline double smaller(double a, double b) {
    const double numbers = a < b ? a : b;
    return a == a ? numbers : a;
}
static inline real larger_real(real a, real b) {
    const real numbers = a > b ? a : b;
    return a == a ? numbers : a;
}
static inline real smaller_real(real a, real b) {
    const real numbers = a < b ? a : b;
    return a == a ? numbers : a;
}
static inline double larger4(double acc, real a, real b, real c, real d) {
    return larger(acc, (double)larger_real(larger_real(a, b), larger_real(c, d)));
}
static inline double smaller4(double acc, real a, real b, real c, real d) {
    return smaller(acc, (double)smaller_real(smaller_real(a, b), smaller_real(c, d)));
}

HZ_INLINE double combine_lanes(double *acc, take_fn *combine) {
#pragma GCC unroll 5
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++) acc[j] = combine(acc[j], acc[j + width]);
    return acc[0];
}

/* How a row is read, LANES elements at each of four places at a time. */
typedef struct streams {
    int64_t count, apart, step,
        rest; /* times, distance of the places, what they move on, and from the first to the rest */
} streams;

static streams streams_of(int64_t n) {
    enum { LONG = 4096 };
    const int64_t count = n / (4 * LANES);
    return n < LONG ? (streams){count, LANES, 4 * LANES, 0}
                    : (streams){count, count * LANES, LANES, 3 * count * LANES};
}

/* Ask for what lies ahead of x: rows that follow each other become one stream, which memory does not see end, and the
 * next row comes while this one is computed with. */
HZ_INLINE void fetch(const real *x, int ahead) {
    for (int k = 0; k < 4 * LANES; k += 64 / (int)sizeof(real)) __builtin_prefetch(x + ahead + k);
}

HZ_INLINE double fold_row(int64_t n, const void *px, double identity, take_fn *take, take4_fn *take4,
                          take_fn *combine) {
    const real *x = px;
    double acc[LANES];
    if (n <= SHORT) {
        for (int64_t i = 0; i < n; i++) identity = take(identity, (double)x[i]);
        return identity;
    }
#pragma GCC unroll 32
    for (int j = 0; j < LANES; j++) acc[j] = identity;
    const streams s = streams_of(n);
    for (int64_t i = 0; i < s.count; i++, x += s.step) {
        fetch(x, AHEAD);
#pragma omp simd
        for (int j = 0; j < LANES; j++)
            acc[j] = take4(acc[j], x[j], x[j + s.apart], x[j + 2 * s.apart], x[j + 3 * s.apart]);
    }
    n -= s.count * 4 * LANES, x += s.rest;
    for (; n >= LANES; n -= LANES, x += LANES) {
#pragma omp simd
        for (int j = 0; j < LANES; j++) acc[j] = take(acc[j], (double)x[j]);
    }
    for (int j = 0; j < n; j++) acc[j] = take(acc[j], (double)x[j]);
    return combine_lanes(acc, combine);
}

/* Four rows at a time: the accumulators are read and written once for four elements. */
HZ_INLINE void fold_columns(int64_t rows, int64_t stride, int64_t n, const void *px, double *restrict acc,
                            take_fn *take, take4_fn *take4) {
    const real *x = px;
    for (; rows >= 4; rows -= 4, x += 4 * stride) {
        const real *x1 = x + stride, *x2 = x + 2 * stride, *x3 = x + 3 * stride;
#pragma omp simd
        for (int64_t j = 0; j < n; j++) acc[j] = take4(acc[j], x[j], x1[j], x2[j], x3[j]);
    }
    for (; rows > 0; rows--, x += stride) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++) acc[j] = take(acc[j], (double)x[j]);
    }
}

static double row_sum(int64_t n, const void *x) {
    return fold_row(n, x, 0, add, add4, add);
}
static double row_max(int64_t n, const void *x) {
    return fold_row(n, x, -INFINITY, larger, larger4, larger);
}
static double row_min(int64_t n, const void *x) {
    return fold_row(n, x, INFINITY, smaller, smaller4, smaller);
}
static double row_prod(int64_t n, const void *x) {
    return fold_row(n, x, 1, multiply, multiply4, multiply);
}
static double row_sum_squares(int64_t n, const void *x) {
    return fold_row(n, x, 0, add_square, add_square4, add);
}
static void columns_sum(int64_t rows, int64_t stride, int64_t n, const void *x, double *acc) {
    fold_columns(rows, stride, n, x, acc, add, add4);
}
static void columns_max(int64_t rows, int64_t stride, int64_t n, const void *x, double *acc) {
    fold_columns(rows, stride, n, x, acc, larger, larger4);
}
static void columns_min(int64_t rows, int64_t stride, int64_t n, const void *x, double *acc) {
    fold_columns(rows, stride, n, x, acc, smaller, smaller4);
}
static void columns_prod(int64_t rows, int64_t stride, int64_t n, const void *x, double *acc) {
    fold_columns(rows, stride, n, x, acc, multiply, multiply4);
}
static void columns_sum_squares(int64_t rows, int64_t stride, int64_t n, const void *x, double *acc) {
    fold_columns(rows, stride, n, x, acc, add_square, add_square4);
}

/* ---- sums of terms of two rows; the terms are added by fours like those of add4 ---- */

HZ_INLINE double sum_terms(int64_t n, const void *px, const void *py, double a, term_fn *term) {
    const real *x = px, *y = py;
    const real c = (real)a;
    double acc[LANES] = {0};
    const streams s = streams_of(n);
    for (int64_t i = 0; i < s.count; i++, x += s.step, y += s.step) {
        fetch(x, 3 * AHEAD); /* a sum over the same row has asked for what is nearer */
#pragma omp simd
        for (int j = 0; j < LANES; j++)
            acc[j] = add4(acc[j], term(x[j], y[j], c), term(x[j + s.apart], y[j + s.apart], c),
                          term(x[j + 2 * s.apart], y[j + 2 * s.apart], c),
                          term(x[j + 3 * s.apart], y[j + 3 * s.apart], c));
    }
    n -= s.count * 4 * LANES, x += s.rest, y += s.rest;
    for (; n >= LANES; n -= LANES, x += LANES, y += LANES) {
#pragma omp simd
        for (int j = 0; j < LANES; j++) acc[j] += (double)term(x[j], y[j], c);
    }
    for (int j = 0; j < n; j++) acc[j] += (double)term(x[j], y[j], c);
    return combine_lanes(acc, add);
}

static inline real product(real x, real y, real a) {
    (void)a;
    return x * y;
}
static inline real square_about(real x, real y, real mean) {
    (void)y;
    return (x - mean) * (x - mean);
}
static inline real product_about(real x, real y, real mean) {
    return (x - mean) * y;
}

static double dot(int64_t n, const void *x, const void *y) {
    return sum_terms(n, x, y, 0, product);
}
static double squares_about(int64_t n, const void *x, double mean) {
    return sum_terms(n, x, x, mean, square_about);
}
static double dot_about(int64_t n, const void *x, const void *y, double mean) {
    return sum_terms(n, x, y, mean, product_about);
}

static inline real hat_dot(real x, real y, double mean, double rstd) {
    return (x - (real)mean) * (real)rstd * y;
}

/* Four rows at a time, like fold_columns. */
static void hat_dot_columns(int64_t rows, int64_t n, const void *px, const void *py, const double *mean,
                            const double *rstd, double *restrict acc) {
    const real *x = px, *y = py;
    for (; rows >= 4; rows -= 4, x += 4 * n, y += 4 * n, mean += 4, rstd += 4) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            acc[j] = add4(acc[j], hat_dot(x[j], y[j], mean[0], rstd[0]),
                          hat_dot(x[j + n], y[j + n], mean[1], rstd[1]),
                          hat_dot(x[j + 2 * n], y[j + 2 * n], mean[2], rstd[2]),
                          hat_dot(x[j + 3 * n], y[j + 3 * n], mean[3], rstd[3]));
    }
    for (; rows > 0; rows--, x += n, y += n, mean++, rstd++) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++) acc[j] += (double)hat_dot(x[j], y[j], *mean, *rstd);
    }
}

/* ---- rows that come out as rows ---- */

/* The mean is taken off in two parts, so that there is no error of |shift|·ε. */
static void shift_scale(int64_t n, const void *px, double shift, double scale, double lift, void *py) {
    const real *x = px;
    real *y = py;
    const real high = (real)shift, low = (real)(shift - (double)high), factor = (real)scale, add = (real)lift;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = ((x[i] - high) - low) * factor + add;
}

static void shift_scale_affine(int64_t n, const void *px, double shift, double scale, const void *pgamma,
                               const void *pbeta, void *py) {
    const real *x = px, *gamma = pgamma, *beta = pbeta;
    real *y = py;
    const real high = (real)shift, low = (real)(shift - (double)high), factor = (real)scale;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = ((x[i] - high) - low) * factor * gamma[i] + beta[i];
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
                           double mean_dy, double mean_dot, double scale, void *pdx) {
    const real *x = px, *dy = pdy;
    real *dx = pdx;
    const real center = (real)mean, factor = (real)scale, lift = (real)mean_dy,
               tilt = (real)(rstd * mean_dot);
#pragma omp simd
    for (int64_t i = 0; i < n; i++) dx[i] = (dy[i] - lift - (x[i] - center) * tilt) * factor;
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
    .shift_scale_affine = shift_scale_affine,
    .shift_twice = shift_twice,
    .softmax_grad = softmax_grad,
    .dot_about = dot_about,
    .hat_dot_columns = hat_dot_columns,
    .normalize_grad = normalize_grad,
};
