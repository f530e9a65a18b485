/* box.h: an axis-aligned box of element positions, one half-open range [lo, hi) an axis.
 *
 * Boxes describe which part of a cotangent can be non-zero (autograd/support.c) and receptive fields. A box
 * has the rank of the tensor it speaks of. Its bounds may reach outside the tensor until it is clipped.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_BOX_H
#define HZ_TENSOR_BOX_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hz_box {
    int64_t lo[HZ_MAX_RANK]; /* first position inside, per axis */
    int64_t hi[HZ_MAX_RANK]; /* first position past the end, per axis; hi ≤ lo: the box is empty */
} hz_box;

hz_box hz_box_full(const hz_tensor *t);                          /* every element of t */
bool hz_box_is_full(const hz_box *box, const hz_tensor *t);      /* reaches to both ends of every axis */
bool hz_box_is_empty(const hz_box *box, int rank);               /* some axis has hi ≤ lo */
bool hz_box_equal(const hz_box *a, const hz_box *b, int rank);   /* same bounds on every axis */
hz_box hz_box_clip(const hz_box *box, const hz_tensor *t);       /* what lies inside t; may be empty */
hz_box hz_box_union(const hz_box *a, const hz_box *b, int rank); /* smallest box around both */
int64_t hz_box_numel(const hz_box *box, int rank);               /* positions inside; 0 if empty */

/* The part of t inside box as a view (no copy). The box must lie within t; an empty box gives extents of 0. */
hz_tensor hz_view_box(const hz_tensor *t, const hz_box *box);

#ifdef __cplusplus
}
#endif
#endif
