/* pooling.h: what the poolings and their adjoints share. Private to ops/.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_OPS_POOLING_H
#define HZ_OPS_POOLING_H

#include "ops/geometry.h"
#include "tensor/pool2d.h"

/* The geometry for x of options as a caller gives them, not yet checked. */
hz_pool2d_geometry hz__pool2d_geometry_of(hz_var x, const hz_pool2d_opts *opts);

/* Check the geometry and x (N, C, H, W); *y becomes the shape (N, C, OH, OW) of the result. */
bool hz__pool2d_check(const hz_pool2d_geometry *g, const hz_tensor *x, hz_tensor *y, hz_error *err);

/* Check that the cotangent dy is what x of this shape has. */
bool hz__pool2d_check_cotangent(const hz_pool2d_geometry *g, const hz_tensor *x, const hz_tensor *dy,
                                hz_error *err);

/* shape, reach and crop of a pooling: attributes hz_pool2d_geometry, one input. */
bool hz__pool2d_shape(const hz_node *n, hz_tensor *out, hz_error *err);
bool hz__pool2d_reach(const hz_node *n, int i, const hz_box *out, hz_box *in);
bool hz__pool2d_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr);

/* Check x (N, C, H, W) with something to pool, and the extents wanted, for adaptive pooling. */
bool hz__adaptive_check(const hz_tensor *x, int64_t oh, int64_t ow, hz_error *err);

#endif
