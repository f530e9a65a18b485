/* reduce.h: sums, extremes, softmax and normalisation along any set of axes.
 *
 * A set of axes is a bit mask: bit k stands for axis k. Outputs keep the reduced axes with extent 1 ("keepdim"),
 * so that they broadcast against the input; drop them with hz_view_reshape. Inputs have any strides, outputs are
 * contiguous. Floats are f32 or f64; f32 sums are accurate to a few ulp whatever the length (blocked, in wider
 * or several accumulators) and do not depend on the number of threads. Nothing is checked here (ops do).
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_REDUCE_H
#define HZ_TENSOR_REDUCE_H

#include "tensor/exec.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t hz_axes;

typedef enum hz_reduction {
    HZ_REDUCE_SUM,
    HZ_REDUCE_MEAN,
    HZ_REDUCE_MAX, /* NaN if any is */
    HZ_REDUCE_MIN, /* NaN if any is */
    HZ_REDUCE_PROD,
    HZ_REDUCE_SUM_SQUARES,
    HZ_REDUCE_LOGSUMEXP, /* log Σ e^x, shifted by the maximum */
    HZ_REDUCTIONS
} hz_reduction;

/* y = reduction of x over axes; y has x's dtype and keepdim shape. Over no elements: 0 for sums, 1 for PROD,
 * NaN for MEAN, −∞ for MAX and LOGSUMEXP, +∞ for MIN. */
bool hz_reduce(const hz_exec *ex, hz_reduction kind, const hz_tensor *x, hz_axes axes, const hz_tensor *y,
               hz_error *err);

/* y (i64, keepdim) = index along axis of the first maximum (sign = 1) or minimum (sign = −1); a NaN wins. */
bool hz_arg_extreme(const hz_exec *ex, int sign, const hz_tensor *x, int axis, const hz_tensor *y,
                    hz_error *err);

/* Softmax, or its logarithm, jointly over axes. */
bool hz_softmax_map(const hz_exec *ex, bool logarithm, const hz_tensor *x, hz_axes axes, const hz_tensor *y,
                    hz_error *err);

/* dx = y·(dy − Σ dy·y), or for the logarithm dy − e^y·Σ dy; y is the output of hz_softmax_map. */
bool hz_softmax_grad_map(const hz_exec *ex, bool logarithm, const hz_tensor *y, const hz_tensor *dy,
                         hz_axes axes, const hz_tensor *dx, hz_error *err);

/* Mean and biased variance of x over axes: of x's dtype and keepdim shape, contiguous. x is not empty. */
bool hz_moments(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *mean,
                const hz_tensor *var, hz_error *err);

/* y = (x − mean)/√(var + eps) over axes, biased variance. */
bool hz_normalize_map(const hz_exec *ex, const hz_tensor *x, hz_axes axes, double eps, const hz_tensor *y,
                      hz_error *err);

/* dx = (u − mean(u) − x̂·mean(u·x̂))/√(var + eps), x̂ the output of hz_normalize_map on x, u = dy·gamma; gamma has x's
 * rank and broadcasts against it, NULL stands for ones. */
bool hz_normalize_grad_map(const hz_exec *ex, const hz_tensor *x, const hz_tensor *gamma, const hz_tensor *dy,
                           hz_axes axes, double eps, const hz_tensor *dx, hz_error *err);

/* y = x̂·gamma + beta; gamma and beta broadcast against x and have its rank. */
bool hz_normalize_affine_map(const hz_exec *ex, const hz_tensor *x, hz_axes axes, double eps,
                             const hz_tensor *gamma, const hz_tensor *beta, const hz_tensor *y,
                             hz_error *err);

/* z = Σ dy·x̂ over the axes along which z has extent 1: with gamma's shape, the gradient of gamma. */
bool hz_normalize_dot_map(const hz_exec *ex, const hz_tensor *x, const hz_tensor *dy, hz_axes axes,
                          double eps, const hz_tensor *z, hz_error *err);

/* y = running sum of x along axis. */
bool hz_cumsum_map(const hz_exec *ex, const hz_tensor *x, int axis, bool exclusive, bool reverse,
                   const hz_tensor *y, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
