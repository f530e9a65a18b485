/* picture.h: a map of influence as a picture in which gray is zero.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZERO_PICTURE_H
#define HZERO_PICTURE_H

#include "tensor/box.h"

/* The value drawn as full brightness: the 99.5th percentile of |g| among the elements that are not zero, so that a few
 * extreme pixels do not turn everything else gray. 1 where all is zero. g (C, H, W), f32, any strides. NAN when out of
 * memory. */
double picture_scale(const hz_tensor *g);

/* Draw g (C, H, W), f32: channel value v becomes 128 + 127·v/scale, cut off at both ends; 0, and nothing else, becomes 128.
 * Three channels are red, green and blue (reversed if bgr); any other number is summed and drawn in gray levels.
 * *out is u8 (H, W, 3) in memory from malloc: free(out->data). False when out of memory. */
bool picture_of_map(const hz_tensor *g, double scale, bool bgr, hz_tensor *out);

#endif
