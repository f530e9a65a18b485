/* kernels/reduce.h: the table of kernels behind tensor/reduce.c, one per dtype and instruction set. They work
 * on elements side by side and accumulate in double, in an order fixed by the source: sums come out the same
 * from every instruction set.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_KERNELS_REDUCE_H
#define HZ_TENSOR_KERNELS_REDUCE_H

#include "tensor/reduce.h"

/* A reduction folds elements into an accumulator that starts as `identity`; two accumulators combine. */
typedef struct hz__fold {
    double identity;
    double (*combine)(double a, double b);

    /* The fold of n elements. */
    double (*row)(int64_t n, const void *x);

    /* acc[j] takes in x[r·stride + j] for r = 0 … rows − 1, each of the n columns by itself. */
    void (*columns)(int64_t rows, int64_t stride, int64_t n, const void *x, double *acc);
} hz__fold;

typedef struct hz__reduce {
    hz__fold fold[HZ_REDUCTIONS]; /* SUM, MAX, MIN, PROD, SUM_SQUARES; the others are made of these */

    double (*dot)(int64_t n, const void *x, const void *y); /* Σ x·y */

    /* Index of the first largest (sign = 1) or smallest (sign = −1) element; a NaN wins. n ≥ 1. */
    int64_t (*arg_extreme)(int64_t n, const void *x, int sign);

    /* Σ (x − mean)² */
    double (*squares_about)(int64_t n, const void *x, double mean);

    /* y = (x − shift)·scale + lift */
    void (*shift_scale)(int64_t n, const void *x, double shift, double scale, double lift, void *y);

    /* y = (x − shift)·scale·gamma + beta, gamma and beta n elements each */
    void (*shift_scale_affine)(int64_t n, const void *x, double shift, double scale, const void *gamma,
                               const void *beta, void *y);

    /* y = (x − first) − second */
    void (*shift_twice)(int64_t n, const void *x, double first, double second, void *y);

    /* dx = y·(dy − dot) */
    void (*softmax_grad)(int64_t n, const void *y, const void *dy, double dot, void *dx);

    /* Σ (x − mean)·y */
    double (*dot_about)(int64_t n, const void *x, const void *y, double mean);

    /* acc[j] += Σ (x[r·n + j] − mean[r])·rstd[r]·y[r·n + j] over r = 0 … rows − 1 */
    void (*hat_dot_columns)(int64_t rows, int64_t n, const void *x, const void *y, const double *mean,
                            const double *rstd, double *acc);

    /* dx = (dy − mean_dy − (x − mean)·rstd·mean_dot)·scale */
    void (*normalize_grad)(int64_t n, const void *x, const void *dy, double mean, double rstd, double mean_dy,
                           double mean_dot, double scale, void *dx);
} hz__reduce;

extern const hz__reduce hz__reduce_f32_c, hz__reduce_f64_c;
extern const hz__reduce hz__reduce_f32_avx2, hz__reduce_f64_avx2;
extern const hz__reduce hz__reduce_f32_avx512, hz__reduce_f64_avx512;

#endif
