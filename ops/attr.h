/* attr.h: what hz_node.attr points to, op by op: for code that reads a recorded graph, to translate, optimise or draw it.
 *
 * Ops not listed have no attributes. Axes are as the caller gave them: negative ones count from the end.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_OPS_ATTR_H
#define HZ_OPS_ATTR_H

#include "ops/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Those without a struct of their own:
 *   int                 gather, gather_elements: the axis
 *   hz_dtype            astype
 *   hz_comparison       compare (tensor/elementwise.h)
 *   hz_axes             softmax, log_softmax and their adjoints
 *   hz_reduce_loss      cross_entropy
 *   hz_conv2d_geometry  conv2d
 *   hz_pool2d_geometry  max_pool2d, max_pool2d_grad, avg_pool2d */

/* affine, pow_scalar (a), leaky_relu and its adjoint (a: the slope), elu and its adjoint (a: alpha), softplus (a: beta),
 * hard_sigmoid; clip and its adjoint (a: lo, b: hi) */
typedef struct hz_attr_scalars {
    double a, b;
} hz_attr_scalars;

/* ---- along axes ---- */

/* sum, mean, max, min, logsumexp */
typedef struct hz_attr_reduction {
    hz_axes axes;
    bool keep;
} hz_attr_reduction;

typedef struct hz_attr_argmax {
    int axis;
    int sign; /* 1: maximum, −1: minimum */
    bool keep;
} hz_attr_argmax;

typedef struct hz_attr_cumsum {
    int axis;
    bool exclusive, reverse;
} hz_attr_cumsum;

/* normalize, normalize_affine and their adjoints. The axes come first, as in the attributes of softmax. */
typedef struct hz_attr_normalization {
    hz_axes axes;
    double eps;
} hz_attr_normalization;

/* ---- shapes ---- */

/* reshape, broadcast_to, sum_to: the shape of the result, in reshape one extent may be −1 */
typedef struct hz_attr_dims {
    int rank;
    int64_t dim[HZ_MAX_RANK];
} hz_attr_dims;

/* normalize_dot */
typedef struct hz_attr_normalize_dot {
    hz_attr_normalization normalization;
    hz_attr_dims to;
} hz_attr_normalize_dot;

typedef struct hz_attr_permute {
    int axis[HZ_MAX_RANK]; /* output axis k is input axis axis[k] */
} hz_attr_permute;

typedef struct hz_attr_slice {
    int axis;
    int64_t start, count, step;
} hz_attr_slice;

typedef struct hz_attr_slice_grad {
    int axis;
    int64_t start, step;
    int64_t extent; /* of the axis in the output */
} hz_attr_slice_grad;

typedef struct hz_attr_concat {
    int axis;
} hz_attr_concat;

/* pad and its adjoint */
typedef struct hz_attr_padding {
    int64_t before[HZ_MAX_RANK], after[HZ_MAX_RANK];
    hz_pad_mode mode;
    double value;
} hz_attr_padding;

/* ---- indices ---- */

/* scatter_add, scatter_elements */
typedef struct hz_attr_placement {
    int axis;       /* of the output */
    int64_t extent; /* that it has there */
} hz_attr_placement;

typedef struct hz_attr_one_hot {
    int64_t depth;
    hz_dtype dtype;
} hz_attr_one_hot;

/* ---- images ---- */

/* conv2d_input_grad, conv2d_weight_grad: the extents that the wanted factor has along H and W */
typedef struct hz_attr_conv2d_adjoint {
    hz_conv2d_geometry g;
    int64_t extent[2];
} hz_attr_conv2d_adjoint;

/* max_pool2d_take, avg_pool2d_grad: the extents that the result has along H and W */
typedef struct hz_attr_pool2d_adjoint {
    hz_pool2d_geometry g;
    int64_t extent[2];
} hz_attr_pool2d_adjoint;

/* adaptive_avg_pool2d and its adjoint: likewise */
typedef struct hz_attr_extents {
    int64_t of[2];
} hz_attr_extents;

/* ---- others ---- */

/* batch_norm_infer; inputs x, mean, var, then gamma and beta if there are */
typedef struct hz_attr_batch_norm {
    double eps;
    bool gamma, beta; /* which of them there are */
} hz_attr_batch_norm;

/* dropout_mask */
typedef struct hz_attr_dropout {
    double p;
    uint64_t seed;
} hz_attr_dropout;

#ifdef __cplusplus
}
#endif
#endif
