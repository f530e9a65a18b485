/* conv2d.h: 2-d convolution (cross-correlation) and its two adjoints, as kernels on tensors.
 *
 *   y[n,k,oy,ox] = b[k] + Σ_{c,r,s} w[k,c,r,s] · x[n, g·C/G + c, oy·stride − pad + r·dilation, …]
 *
 * x (N, C, H, W), w (K, C/G, R, S), b (K) or NULL, y (N, K, OH, OW) with
 *   OH = (H + pad_before + pad_after − dilation·(R−1) − 1)/stride + 1   (rounded down).
 * One float dtype; x, w, dy of any strides, outputs contiguous. Sizes are not checked here (ops do, with
 * hz_conv2d_extent). Depthwise is groups = C. Transposed convolution is hz_conv2d_input_grad_map.
 *
 * Accuracy: f64, and f32 in general, sums the products one by one. 3×3 and 5×5 kernels of stride 1 in f32 with many channels
 * go through Winograd's algorithm, whose errors stay below 10⁻⁵ of the largest absolute value of the result for data as
 * networks have them (2·10⁻⁶ was seen for 3×3, 6·10⁻⁶ for 5×5); there, what is not finite spreads to the 4×4 pixels around
 * it. Either way, an element of dx that only zeros of dy reach is 0.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_CONV2D_H
#define HZ_TENSOR_CONV2D_H

#include "tensor/exec.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Index 0 is the vertical axis (H), 1 the horizontal one (W). */
typedef struct hz_conv2d_geometry {
    int64_t stride[2];     /* ≥ 1 */
    int64_t pad_before[2]; /* zeros above and left; may be negative: a crop */
    int64_t pad_after[2];  /* zeros below and right; may be negative */
    int64_t dilation[2];   /* ≥ 1 */
    int64_t groups;        /* ≥ 1, divides C and K */
} hz_conv2d_geometry;

/* Output extent for one axis, or −1 if the kernel does not fit or a number overflows. */
int64_t hz_conv2d_extent(int64_t in, int64_t kernel, int64_t stride, int64_t pad_before, int64_t pad_after,
                         int64_t dilation);

bool hz_conv2d_map(const hz_exec *ex, const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *w,
                   const hz_tensor *b, const hz_tensor *y, hz_error *err);

/* dx = the adjoint in x applied to dy; dx is written whole (zeros where nothing arrives). */
bool hz_conv2d_input_grad_map(const hz_exec *ex, const hz_conv2d_geometry *g, const hz_tensor *dy,
                              const hz_tensor *w, const hz_tensor *dx, hz_error *err);

/* dw = the adjoint in w. */
bool hz_conv2d_weight_grad_map(const hz_exec *ex, const hz_conv2d_geometry *g, const hz_tensor *x,
                               const hz_tensor *dy, const hz_tensor *dw, hz_error *err);

/* The same three in plain loops: the oracle of the tests. */
void hz_conv2d_reference(const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *w,
                         const hz_tensor *b, const hz_tensor *y);
void hz_conv2d_input_grad_reference(const hz_conv2d_geometry *g, const hz_tensor *dy, const hz_tensor *w,
                                    const hz_tensor *dx);
void hz_conv2d_weight_grad_reference(const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *dy,
                                     const hz_tensor *dw);

#ifdef __cplusplus
}
#endif
#endif
