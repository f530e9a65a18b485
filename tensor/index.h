/* index.h: moving elements to and from places that an index tensor names.
 *
 *   gather            y[o, j, n] = x[o, idx[j], n]             idx of any shape: numpy.take, an embedding
 *   scatter_add       y[o, idx[j], n] += src[o, j, n]          its adjoint
 *   gather_elements   y[o, j, n] = x[o, idx[o, j, n], n]       idx has the rank of x: torch.gather
 *   scatter_elements_add                                       its adjoint
 *   one_hot           y[j, c] = on where c = idx[j], else off
 *
 * with o the axes before `axis` (0 ≤ axis < rank) and n those behind it. Indices are i32 or i64 and negative ones
 * count from the end of the axis. Every index is checked before anything is read or written; one that lies outside
 * fails with HZ_EINVAL and is named with its position and the extent. All tensors may have any strides (outputs
 * not 0). Shapes are not checked here: ops ask the two shape functions first.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_INDEX_H
#define HZ_TENSOR_INDEX_H

#include "tensor/exec.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Are all of idx in −extent … extent − 1? HZ_EINVAL names the first that is not; HZ_ESHAPE for other dtypes. */
bool hz_check_indices(const hz_tensor *idx, int64_t extent, hz_error *err);

/* Dtype, rank and dims of gather's y: dims of x before axis, dims of idx, dims of x behind axis. */
bool hz_gather_shape(const hz_tensor *x, int axis, const hz_tensor *idx, hz_tensor *y, hz_error *err);

/* The same for gather_elements, whose y has the shape of idx. idx must have the rank of x and, except along axis,
 * no larger extents. */
bool hz_gather_elements_shape(const hz_tensor *x, int axis, const hz_tensor *idx, hz_tensor *y,
                              hz_error *err);

/* Any dtype; x and y have the same. */
bool hz_gather_map(const hz_exec *ex, const hz_tensor *x, int axis, const hz_tensor *idx, const hz_tensor *y,
                   hz_error *err);
bool hz_gather_elements_map(const hz_exec *ex, const hz_tensor *x, int axis, const hz_tensor *idx,
                            const hz_tensor *y, hz_error *err);

/* f32 or f64; y is set to zero first. src has the shape that gathering from y would give. What falls on one place
 * is added in an order that does not depend on the number of threads. */
bool hz_scatter_add_map(const hz_exec *ex, const hz_tensor *idx, int axis, const hz_tensor *src,
                        const hz_tensor *y, hz_error *err);
bool hz_scatter_elements_add_map(const hz_exec *ex, const hz_tensor *idx, int axis, const hz_tensor *src,
                                 const hz_tensor *y, hz_error *err);

/* y has the dims of idx and a last axis of extent depth; any dtype. */
bool hz_one_hot_map(const hz_exec *ex, const hz_tensor *idx, int64_t depth, double on, double off,
                    const hz_tensor *y, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
