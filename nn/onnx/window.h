/* window.h: what convolutions and poolings share: a window that slides over 1 to 3 spatial axes.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_ONNX_WINDOW_H
#define HZ_NN_ONNX_WINDOW_H

#include "nn/onnx/internal.h"

enum { HZ__SPACE = 3 };

/* Entry k stands for spatial axis k, axis 2 + k of the tensor. */
typedef struct hz__window {
    int n;
    int64_t kernel[HZ__SPACE], stride[HZ__SPACE], dilation[HZ__SPACE], before[HZ__SPACE], after[HZ__SPACE];
    bool ceil;
} hz__window;

/* The window of node c over input 0 as its attributes say, automatic padding resolved. kernel: from the weights; NULL:
 * from the attribute. False with the tape's error set. */
bool hz__window_of(hz__call *c, const int64_t *kernel, hz__window *w);

/* dilation·(kernel − 1) + 1 */
int64_t hz__window_span(const hz__window *w, int k);

/* (N, C, L) → (N, C, 1, L) for what exists in two dimensions only, and the window with it; the way back. */
hz_var hz__lift(hz_var x, hz__window *w);
hz_var hz__lower(hz_var y, int n);

#endif
