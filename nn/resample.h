/* resample.h: part of a picture resized, as the makers of networks resize it. Private to nn/preprocess.c.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_RESAMPLE_H
#define HZ_NN_RESAMPLE_H

#include "tensor/memory.h"

/* One axis: `in` pixels become `out`, of which only first … first + count − 1 are wanted. */
typedef struct hz__resample_axis {
    int64_t in, out, first, count;
} hz__resample_axis;

/* dst (rows.count, columns.count, C) = the wanted part of src (rows.in, columns.in, C) resized; both u8, dst
 * contiguous. HZ_ENOMEM. */
bool hz__resample(const hz_tensor *src, hz__resample_axis rows, hz__resample_axis columns,
                  const hz_allocator *alloc, const hz_tensor *dst, hz_error *err);

#endif
