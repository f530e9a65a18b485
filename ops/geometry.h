/* geometry.h: what the shape, convolution and pooling ops share: extents as attributes, and the arithmetic of
 * windows that slide over an axis. Private to ops/.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_OPS_GEOMETRY_H
#define HZ_OPS_GEOMETRY_H

#include "ops/common.h"

/* The extents a caller gave. An impossible rank is kept as it is: shape() reports it. */
hz_attr_dims hz__dims_of(int rank, const int64_t *dim);

/* The extents of a box, as attributes of an op whose output is cropped to it. */
void hz__dims_crop(hz_attr_dims *dims, const hz_box *box);

/* ⌊a/b⌋ and ⌈a/b⌉ for b > 0. */
int64_t hz__floor_div(int64_t a, int64_t b);
int64_t hz__ceil_div(int64_t a, int64_t b);

/* A window along one axis: position p covers p·stride − pad_before + r·dilation, r = 0 … kernel−1. */
typedef struct hz__axis_window {
    int64_t kernel, stride, dilation, pad_before, pad_after;
} hz__axis_window;

/* Padding given for both sides plus that for one; what does not fit becomes what hz__window_check rejects. */
int64_t hz__window_pad(int64_t both, int64_t one);

/* False with a sentence if a number is outside what windows may have. axis: "rows" or "columns". */
bool hz__window_check(const hz__axis_window *w, const char *axis, hz_error *err);

/* Axis k of *in becomes what the window positions of *out cover: not clipped. */
void hz__window_reach(const hz__axis_window *w, int k, const hz_box *out, hz_box *in);

/* The padding with which an input cropped to axis k of *in has exactly the window positions of *out. */
void hz__window_crop(hz__axis_window *w, int k, const hz_box *out, const hz_box *in);

/* The other way round: axis k of *positions becomes the window positions that touch *covered. */
void hz__window_touching(const hz__axis_window *w, int k, const hz_box *covered, hz_box *positions);

/* The padding with which an input cropped to axis k of *covered has exactly the window positions given. */
void hz__window_crop_touching(hz__axis_window *w, int k, const hz_box *covered, const hz_box *positions);

#endif
