/* convolution.h: what conv2d and its two adjoints share. Private to ops/.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_OPS_CONVOLUTION_H
#define HZ_OPS_CONVOLUTION_H

#include "ops/geometry.h"
#include "tensor/conv2d.h"

/* The geometry of options as a caller gives them (NULL: defaults), not yet checked. */
hz_conv2d_geometry hz__conv2d_geometry_of(const hz_conv2d_opts *opts);

/* y = conv2d(x, w) without bias. */
hz_var hz__conv2d(hz_var x, hz_var w, const hz_conv2d_geometry *g);

/* Check the geometry, x (N, C, H, W) and w (K, C/groups, R, S) against each other, and set *y to the shape (N, K, OH,
 * OW) of the result. */
bool hz__conv2d_check(const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *w, hz_tensor *y,
                      hz_error *err);

/* Check that the cotangent dy is what x and w of these shapes have. */
bool hz__conv2d_check_cotangent(const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *w,
                                const hz_tensor *dy, hz_error *err);

/* The window along axis k: 0 is vertical. */
hz__axis_window hz__conv2d_window(const hz_conv2d_geometry *g, const hz_tensor *w, int k);

/* The groups that channels lo ≤ c < hi, `size` of them to a group, belong to. */
typedef struct hz__group_range {
    int64_t first, end; /* groups first ≤ g < end */
    bool whole;         /* the channels are all of these groups' */
} hz__group_range;
hz__group_range hz__groups_holding(int64_t lo, int64_t hi, int64_t size);

/* Whether a convolution cropped to these channels is one again: whole groups, or part of one. Sets *groups. */
bool hz__groups_crop(hz__group_range range, int64_t *groups);

#endif
