/* pool2d.h: pooling of one plane, one table per dtype and instruction set. Private.
 *
 * Strides s[2] of a plane are those of its rows and columns, in elements; planes without strides are contiguous.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_KERNELS_POOL2D_H
#define HZ_TENSOR_KERNELS_POOL2D_H

#include "tensor/exec.h"
#include "tensor/kernels/window.h"

typedef struct hz__max_pool2d {
    void (*max)(const hz__window *w, const void *x, const int64_t *x_s, void *y);
    /* dx = dy at the position of each maximum of x, summed. */
    void (*grad)(const hz__window *w, const void *x, const int64_t *x_s, const void *dy, const int64_t *dy_s,
                 void *dx);
    /* y = v at the position of each maximum of x. */
    void (*take)(const hz__window *w, const void *x, const int64_t *x_s, const void *v, const int64_t *v_s,
                 void *y);
} hz__max_pool2d;

/* The window of an average, and the positions it divides by, per axis. */
typedef struct hz__averaging {
    hz__window window;
    hz__span counted[2];
} hz__averaging;

typedef struct hz__avg_pool2d {
    void (*avg)(const hz__averaging *p, const void *x, const int64_t *x_s, void *y);
    void (*grad)(const hz__averaging *p, const void *dy, const int64_t *dy_s, void *dx);
    /* Only window.in and window.out count. */
    void (*adaptive)(const hz__averaging *p, const void *x, const int64_t *x_s, void *y);
    void (*adaptive_grad)(const hz__averaging *p, const void *dy, const int64_t *dy_s, void *dx);
} hz__avg_pool2d;

extern const hz__max_pool2d hz__max_pool2d_f32_c, hz__max_pool2d_f64_c;
extern const hz__max_pool2d hz__max_pool2d_f32_avx2, hz__max_pool2d_f64_avx2;
extern const hz__max_pool2d hz__max_pool2d_f32_avx512, hz__max_pool2d_f64_avx512;

extern const hz__avg_pool2d hz__avg_pool2d_f32_c, hz__avg_pool2d_f64_c;
extern const hz__avg_pool2d hz__avg_pool2d_f32_avx2, hz__avg_pool2d_f64_avx2;
extern const hz__avg_pool2d hz__avg_pool2d_f32_avx512, hz__avg_pool2d_f64_avx512;

#endif
