/* kernels/elementwise.h: the tables of row kernels behind tensor/elementwise.c, one table per dtype and
 * instruction set. A row kernel handles n ≥ 1 elements that lie side by side; a second kind of stride exists
 * for the inputs of two-input kernels: 0, the same element n times. Output and input may be the same memory.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_KERNELS_ELEMENTWISE_H
#define HZ_TENSOR_KERNELS_ELEMENTWISE_H

#include "tensor/elementwise.h"

/* y[i] = f(x[i]; a, b) */
typedef void hz__unary_row(int64_t n, const void *x, double a, double b, void *y);

/* z[i] = f(x[i·sx], y[i·sy]; a, b), sx and sy 0 or 1 */
typedef void hz__binary_row(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a,
                            double b, void *z);

/* z[i] = x[i·sx] ∘ y[i·sy], 0 or 1 */
typedef void hz__compare_row(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, uint8_t *z);

/* z[i] = where[i] ? x[i] : y[i] for elements of the table's size, whatever their type */
typedef void hz__where_row(int64_t n, const uint8_t *where, const void *x, const void *y, void *z);

/* Whether all n elements have a property. */
typedef bool hz__test_row(int64_t n, const void *x);

/* Copy so many bytes past the caches, in whole vectors. `to` is a multiple of HZ_ALIGN. The caller orders
 * these stores before later ones (sfence). */
typedef void hz__stream(int64_t bytes, const void *from, void *to);

/* Arithmetic (elementwise_tmpl.c); NULL where vmath.c has the kernel. */
typedef struct hz__elementwise {
    hz__unary_row *unary[HZ_UNARIES];
    hz__binary_row *binary[HZ_BINARIES];
    hz__compare_row *compare[HZ_GE + 1];
    hz__where_row *where;
    hz__test_row *all_zero;
    hz__test_row *all_finite;
    hz__stream *stream;
} hz__elementwise;

/* Transcendental functions (vmath.c); NULL where elementwise_tmpl.c has the kernel. */
typedef struct hz__vmath {
    hz__unary_row *unary[HZ_UNARIES];
    hz__binary_row *binary[HZ_BINARIES];

    /* y[i] = e^(x[i] − shift); returns their sum. y may be NULL: only the sum. */
    double (*exp_sum)(int64_t n, const void *x, double shift, void *y);

    /* dx[i] = dy[i] − e^y[i]·sum */
    void (*log_softmax_grad)(int64_t n, const void *y, const void *dy, double sum, void *dx);
} hz__vmath;

extern const hz__elementwise hz__elementwise_f32_c, hz__elementwise_f64_c;
extern const hz__elementwise hz__elementwise_f32_avx2, hz__elementwise_f64_avx2;
extern const hz__elementwise hz__elementwise_f32_avx512, hz__elementwise_f64_avx512;

extern const hz__vmath hz__vmath_f32_c, hz__vmath_f64_c;
extern const hz__vmath hz__vmath_f32_avx2, hz__vmath_f64_avx2;
extern const hz__vmath hz__vmath_f32_avx512, hz__vmath_f64_avx512;

/* The tables for a float dtype; isa resolved. */
const hz__elementwise *hz__elementwise_table(hz_dtype dtype, hz_isa isa);
const hz__vmath *hz__vmath_table(hz_dtype dtype, hz_isa isa);

#endif
