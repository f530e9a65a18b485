/* pool2d.h: pooling of one plane, one table per dtype and instruction set. Private.
 *
 * Strides s[2] of a plane are those of its rows and columns, in elements; planes without strides are contiguous.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_KERNELS_POOL2D_H
#define HZ_TENSOR_KERNELS_POOL2D_H

#include "tensor/exec.h"
#include "tensor/kernels/window.h"

typedef struct hz__pooling {
    hz__window window;
    hz__span counted[2]; /* positions that an average divides by, per axis */
} hz__pooling;

typedef struct hz__pool2d_kernels {
    void (*max)(const hz__pooling *p, const void *x, const int64_t *x_s, void *y);
    void (*max_grad)(const hz__pooling *p, const void *x, const int64_t *x_s, const void *dy,
                     const int64_t *dy_s, void *dx);
    void (*max_take)(const hz__pooling *p, const void *x, const int64_t *x_s, const void *v,
                     const int64_t *v_s, void *y);
    void (*avg)(const hz__pooling *p, const void *x, const int64_t *x_s, void *y);
    void (*avg_grad)(const hz__pooling *p, const void *dy, const int64_t *dy_s, void *dx);
    /* Only window.in and window.out count. */
    void (*adaptive)(const hz__pooling *p, const void *x, const int64_t *x_s, void *y);
    void (*adaptive_grad)(const hz__pooling *p, const void *dy, const int64_t *dy_s, void *dx);
} hz__pool2d_kernels;

extern const hz__pool2d_kernels hz__pool2d_f32_c, hz__pool2d_f64_c;
extern const hz__pool2d_kernels hz__pool2d_f32_avx2, hz__pool2d_f64_avx2;
extern const hz__pool2d_kernels hz__pool2d_f32_avx512, hz__pool2d_f64_avx512;

#endif
