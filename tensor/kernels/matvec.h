/* matvec.h: the inner loops of products of a matrix and a vector, a table per dtype and instruction set. Private.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_KERNELS_MATVEC_H
#define HZ_TENSOR_KERNELS_MATVEC_H

#include "tensor/exec.h"

enum { HZ__MATVEC_ROWS = 8 }; /* rows of the matrix that are read side by side */

typedef struct hz__matvec_kernels {
    /* y[i] = Σ_j a[i·rs + j]·x[j],  i < rows ≤ HZ__MATVEC_ROWS, j < n */
    void (*dots)(int64_t rows, int64_t n, const void *a, int64_t rs, const void *x, void *y);

    /* y[j] += Σ_i x[i·xs]·a[i·rs + j],  the same i and j */
    void (*add_rows)(int64_t rows, int64_t n, const void *a, int64_t rs, const void *x, int64_t xs, void *y);
} hz__matvec_kernels;

extern const hz__matvec_kernels hz__matvec_f32_c, hz__matvec_f64_c;
extern const hz__matvec_kernels hz__matvec_f32_avx2, hz__matvec_f64_avx2;
extern const hz__matvec_kernels hz__matvec_f32_avx512, hz__matvec_f64_avx512;

#endif
