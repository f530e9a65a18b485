/* kernels/nest.h: how a driver walks over tensors. A nest holds the loops over the common shape of some
 * operands, with as few axes as their strides allow; hz__nest_run calls a function once for each innermost row.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_KERNELS_NEST_H
#define HZ_TENSOR_KERNELS_NEST_H

#include "tensor/exec.h"

enum {
    HZ__OPERANDS = 4,            /* tensors one nest can walk over */
    HZ__PIECE = 1 << 14,         /* elements of cheap work that are worth handing to a thread */
    HZ__PARALLEL = 2 * HZ__PIECE /* less work than this stays on the calling thread */
};

typedef struct hz__nest {
    int operands, rank;                        /* rank ≥ 1: the last axis is the row */
    int64_t numel;                             /* product of dim */
    int64_t dim[HZ_MAX_RANK];                  /* extents, outermost first */
    int64_t stride[HZ__OPERANDS][HZ_MAX_RANK]; /* in bytes */
    char *data[HZ__OPERANDS];                  /* where each operand starts */
} hz__nest;

/* The loops over operands of one shape. Axes are sorted by the strides of operand 0, largest first, its negative
 * strides turned round, and merged where all operands allow. */
void hz__nest_make(hz__nest *nest, const hz_tensor *const *operand, int operands);

/* n elements of each operand: the first one at p[k], the next stride[k] bytes further. */
typedef void hz__row_fn(const void *ctx, int64_t n, char *const *p, const int64_t *stride);

/* Call row for all rows of a nest with numel > 0, in pieces and, when it is worth it, in parallel. */
void hz__nest_run(const hz_exec *ex, const hz__nest *nest, hz__row_fn *row, const void *ctx);

/* fn(ctx, begin, end) on ranges that together cover 0 … count; in parallel if work (in elements) is enough.
 * What fn computes for one index must not depend on the range it came in. */
typedef void hz__range_fn(const void *ctx, int64_t begin, int64_t end);
void hz__parallel_for(const hz_exec *ex, int64_t work, int64_t count, hz__range_fn *fn, const void *ctx);

/* Copy n elements of size bytes, 1, 4 or 8, between places that do not overlap, with strides in bytes. */
void hz__move(size_t size, int64_t n, const char *from, int64_t from_stride, char *to, int64_t to_stride);

#endif
