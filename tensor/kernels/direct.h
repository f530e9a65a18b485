/* direct.h: the inner loops of direct convolution, a table per dtype and instruction set. Private.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_KERNELS_DIRECT_H
#define HZ_TENSOR_KERNELS_DIRECT_H

#include "tensor/exec.h"

typedef struct hz__direct_kernels {
    int64_t rows;  /* most rows of a product */
    int64_t lanes; /* elements of a vector */

    /* y[i·ld + p] = bias[i] + Σ_q w[q·rows + i] · x[offset[q] + p],  i < rows, p < n.
     * Both x and y are read and written in whole vectors: up to lanes − 1 elements further. */
    void (*run)(int64_t rows, int64_t n, int64_t taps, const int64_t *offset, const void *x, const void *w,
                const void *bias, void *y, int64_t ld);

    /* sum[q] += Σ_p dy[p] · x[offset[q] + p],  q < taps, p < n. Whole vectors are read: dy is 0 from n on. */
    void (*correlate)(int64_t n, int64_t taps, const int64_t *offset, const void *x, const void *dy,
                      void *sum);
} hz__direct_kernels;

extern const hz__direct_kernels hz__direct_f32_c, hz__direct_f64_c;
extern const hz__direct_kernels hz__direct_f32_avx2, hz__direct_f64_avx2;
extern const hz__direct_kernels hz__direct_f32_avx512, hz__direct_f64_avx512;

/* The kernels for a float dtype; isa resolved. */
const hz__direct_kernels *hz__direct_table(hz_dtype dtype, hz_isa isa);

#endif
