/* padding.h: what pad and pad_grad share. Private to ops/.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_OPS_PADDING_H
#define HZ_OPS_PADDING_H

#include "ops/geometry.h"

/* The attributes from what the caller gave, for a variable of this rank. */
hz_attr_padding hz__padding_of(int rank, const int64_t *before, const int64_t *after, hz_pad_mode mode,
                               double value);

/* The shape `inner`, not empty if that would leave a border without a source, grown by the padding. */
bool hz__padding_grow(const hz_attr_padding *p, const hz_tensor *inner, hz_tensor *outer, hz_error *err);

/* The part of outer, grown from extents dim, that is not border. */
hz_tensor hz__padding_centre(const hz_attr_padding *p, const hz_tensor *outer, const int64_t *dim);

/* Which position 0 … n−1 of an axis is seen at position k, anywhere on its line; for the modes that copy. */
int64_t hz__padding_source(hz_pad_mode mode, int64_t k, int64_t n);

/* Layer j of the border of an axis (those before it, then those after it), and the layer it is a copy of. */
bool hz__padding_layer(const hz_attr_padding *p, const hz_tensor *grown, int axis, int64_t j,
                       hz_tensor *layer, hz_tensor *source, hz_error *err);

#endif
