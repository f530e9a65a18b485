/* conv2d.h: the inner loops of convolution, one table per dtype and instruction set. Private.
 *
 * The im2col matrix of one group has a row for every weight position q = (c, r, s) and a column for every output
 * position (n, oy, ox): its element is the input pixel that this weight meets there, 0 outside the input. Then
 *     y = W · cols,   dW = dY · colsᵀ,   dx = col2im(Wᵀ · dY).
 * It is never made whole, but in tiles that stay in the cache.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_KERNELS_CONV2D_H
#define HZ_TENSOR_KERNELS_CONV2D_H

#include "tensor/exec.h"
#include "tensor/kernels/window.h"

/* Columns of the im2col matrix: output positions [p0, p1) of the row-major plane, of each image n0 … n1−1. */
typedef struct hz__tile {
    int64_t n0, n1, p0, p1;
} hz__tile;

/* A plane with its padding, for direct convolution: row u, phase u % stride of the columns first, so that the
 * pixels which one tap meets along an output row are neighbours. */
typedef struct hz__padded {
    int64_t rows, pitch, phase; /* elements from row to row, and from phase to phase within a row */
} hz__padded;

typedef struct hz__conv2d_kernels {
    /* Rows [q0, q1) of the tile into cols, ld elements apart. x points to channel 0 of the group in image 0;
     * x_stride are the strides of its four axes. */
    void (*im2col)(const hz__window *w, const void *x, const int64_t *x_stride, const hz__tile *tile,
                   int64_t q0, int64_t q1, void *cols, int64_t ld);
    /* The adjoint: cols is added to dx (contiguous planes; strides of its image and channel axes given) and
     * spoilt on the way. */
    void (*col2im)(const hz__window *w, void *cols, int64_t ld, const hz__tile *tile, int64_t q0, int64_t q1,
                   void *dx, const int64_t *dx_stride);

    /* y[k, :] = b[k·b_stride] (0 if b is NULL), rows k = 0 … rows−1 of n elements, ld apart. */
    void (*fill_rows)(const void *b, int64_t b_stride, int64_t rows, int64_t n, void *y, int64_t ld);
    /* y[i] += x[i]. */
    void (*add)(int64_t n, const void *x, void *y);

    /* y[i·step] = x[i], i < n. */
    void (*spread)(int64_t n, const void *x, int64_t step, void *y);

    /* One plane into its padded form. */
    void (*pad)(const hz__window *w, const hz__padded *f, const void *x, const int64_t *x_stride,
                void *padded);
} hz__conv2d_kernels;

extern const hz__conv2d_kernels hz__conv2d_f32_c, hz__conv2d_f64_c;
extern const hz__conv2d_kernels hz__conv2d_f32_avx2, hz__conv2d_f64_avx2;
extern const hz__conv2d_kernels hz__conv2d_f32_avx512, hz__conv2d_f64_avx512;

/* The table for a float dtype; isa resolved. */
const hz__conv2d_kernels *hz__conv2d_table(hz_dtype dtype, hz_isa isa);

#endif
