/* pool2d.h: 2-d pooling and its adjoints, as kernels on tensors (N, C, H, W) → (N, C, OH, OW).
 *
 * Window (oy, ox) covers rows oy·stride − pad_before + r·dilation, r = 0 … kernel−1, and columns likewise;
 * positions outside the input do not take part. One float dtype, inputs of any strides, outputs contiguous.
 * A tie goes to the first maximum in row-major order; a NaN wins. A window with no position inside gives −∞
 * (maximum) or 0 (average).
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_POOL2D_H
#define HZ_TENSOR_POOL2D_H

#include "tensor/exec.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hz_pool2d_geometry {
    int64_t kernel[2], stride[2], dilation[2]; /* ≥ 1 */
    int64_t pad_before[2], pad_after[2];       /* may be negative: a crop */
    bool
        count_padding; /* averages divide by kernel size (within the padded input), not by positions inside */
    /* For averages over a crop of a larger input, so that the padded edge stays where it was: positions
     * [edge_lo, edge_hi) are inside input plus padding, in coordinates of this input. Both 0: computed. */
    int64_t edge_lo[2], edge_hi[2];
} hz_pool2d_geometry;

bool hz_max_pool2d_map(const hz_exec *ex, const hz_pool2d_geometry *g, const hz_tensor *x, const hz_tensor *y,
                       hz_error *err);
/* dx = dy routed to the maximum of each window of x, summed where windows share it. */
bool hz_max_pool2d_grad_map(const hz_exec *ex, const hz_pool2d_geometry *g, const hz_tensor *x,
                            const hz_tensor *dy, const hz_tensor *dx, hz_error *err);
/* y = v at the position of the maximum of each window of x: the adjoint of the line above in dy. */
bool hz_max_pool2d_take_map(const hz_exec *ex, const hz_pool2d_geometry *g, const hz_tensor *x,
                            const hz_tensor *v, const hz_tensor *y, hz_error *err);

bool hz_avg_pool2d_map(const hz_exec *ex, const hz_pool2d_geometry *g, const hz_tensor *x, const hz_tensor *y,
                       hz_error *err);
bool hz_avg_pool2d_grad_map(const hz_exec *ex, const hz_pool2d_geometry *g, const hz_tensor *dy,
                            const hz_tensor *dx, hz_error *err);

/* Adaptive average: window oy covers rows ⌊oy·H/OH⌋ … ⌈(oy+1)·H/OH⌉−1. */
bool hz_adaptive_avg_pool2d_map(const hz_exec *ex, const hz_tensor *x, const hz_tensor *y, hz_error *err);
bool hz_adaptive_avg_pool2d_grad_map(const hz_exec *ex, const hz_tensor *dy, const hz_tensor *dx,
                                     hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
