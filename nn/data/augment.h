/* augment.h: one picture on its way into a batch: moved, mirrored, normalised, with a square cut out. Private to nn/data/.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_DATA_AUGMENT_H
#define HZ_NN_DATA_AUGMENT_H

#include "nn/loader.h"

/* What is drawn for one picture. All zero: it stays as it is. */
typedef struct hz__pose {
    int64_t dy, dx;      /* row y of the result is row y + dy of the picture, column x column x + dx; */
    bool flip;           /* then columns are reversed; */
    int64_t top, bottom; /* then rows top … bottom − 1 and */
    int64_t left, right; /* columns left … right − 1 become 0 */
} hz__pose;

/* The pose of picture number k of a random stream, h × w pixels. */
hz__pose hz__pose_draw(const hz_augment *a, uint64_t seed, uint64_t stream, uint64_t k, int64_t h, int64_t w);

/* How the numbers of one channel are normalised: bytes by table[byte], floats by a·v + b. */
typedef struct hz__scale {
    float table[256];
    float a, b;
} hz__scale;

/* out (C, H, W), contiguous, = the picture (C, H, W), u8, f32 or f64 of any strides, in that pose; scale has C entries. */
void hz__pose_apply(const hz__pose *pose, bool reflect, const hz_tensor *picture, const hz__scale *scale,
                    float *out);

#endif
