/* reduce_parts.h: what reductions, softmax and normalisation share. Private.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_REDUCE_PARTS_H
#define HZ_TENSOR_REDUCE_PARTS_H

#include "tensor/elementwise.h"
#include "tensor/kernels/reduce.h"
#include "tensor/reduce.h"

const hz__reduce *hz__reduce_table(const hz_exec *ex, hz_dtype dtype);

/* A number in memory, f32 or f64. */
static inline void hz__put(hz_dtype dtype, char *p, double value) {
    if (dtype == HZ_F32)
        *(float *)(void *)p = (float)value;
    else
        *(double *)(void *)p = value;
}
static inline double hz__get(hz_dtype dtype, const char *p) {
    return dtype == HZ_F32 ? (double)*(const float *)(const void *)p : *(const double *)(const void *)p;
}

/* y as a view of x's shape, with stride 0 along axes. */
hz_tensor hz__spread_over(const hz_tensor *y, const hz_tensor *x, hz_axes axes);

/* A contiguous scratch tensor: x's shape, with extent 1 along axes. */
hz_block *hz__scratch(const hz_exec *ex, const hz_tensor *x, hz_axes axes, hz_tensor *t, hz_error *err);

/* z = f(x, s): s has extent 1 along axes. */
void hz__map_broadcast(const hz_exec *ex, hz_binary f, const hz_tensor *x, const hz_tensor *s, hz_axes axes,
                       const hz_tensor *z);

/* hz_reduce, but for HZ_REDUCE_LOGSUMEXP, */
void hz__reduce_along(const hz_exec *ex, hz_reduction kind, const hz_tensor *x, hz_axes axes,
                      const hz_tensor *y);

/* which this is (softmax.c). x is not empty. */
bool hz__logsumexp(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *y, hz_error *err);

#endif
