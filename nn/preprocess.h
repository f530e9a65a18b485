/* preprocess.h: from a picture to a network's input.
 *
 *   x[n, c, y, x] = (pixel · range/255 − mean[c]) / std[c]
 *
 * A picture that already has the network's size is used as it is, pixel for pixel. Any other is resized so that its
 * shorter side has `resize` pixels (the longer one in proportion, rounded to the nearest) with the bicubic filter, widened
 * when shrinking so that nothing aliases, as Pillow does; then the middle size × size pixels are taken, of an odd
 * margin the larger part below and right. For an input that is not square, the side that has less to spare gets resize/size
 * times the pixels wanted of it. A network of one channel gets the brightness, 0.299 red + 0.587 green
 * + 0.114 blue (ITU-R BT.601). A file NAME.npy, float32 (C, H, W) or (1, C, H, W), is the network's input itself.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_PREPROCESS_H
#define HZ_NN_PREPROCESS_H

#include "tensor/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hz_channel_order { HZ_RGB = 0, HZ_BGR } hz_channel_order;

/* What a network expects. Colors count red, green, blue, whatever the order. */
typedef struct hz_preprocess {
    int64_t size;     /* rows of the input, 1 to 16384, and columns, too, unless: */
    int64_t width;    /* columns, if there are not as many, 1 to 16384; 0: size */
    int64_t resize;   /* shorter side before the crop, size to 16384; 0: size, nothing is cropped of it */
    int64_t channels; /* 3 colors, or 1: gray; 0: 3 */
    hz_channel_order order; /* which color is channel 0 */
    double range;           /* what a white pixel counts: 255 or 1; 0: 255 */
    double mean[3];         /* taken away, in units of range; of gray the first counts */
    double std[3];          /* divided by; 0: 1 */
} hz_preprocess;

/* *p with every 0 replaced by what it stands for. The functions below do so themselves. */
hz_preprocess hz_preprocess_complete(const hz_preprocess *p);

/* The network's input from the file at path: f32 (1, channels, size, width), contiguous unless a .npy file is in Fortran order.
 * Freed with hz_free(alloc, input->data). HZ_ESHAPE if a .npy file has another shape or dtype. */
bool hz_preprocess_file(const hz_preprocess *p, const char *path, const hz_allocator *alloc, hz_tensor *input,
                        hz_error *err);

/* The steps. Resize and crop a picture u8 (H, W, 3) of any strides to u8 (size, width, 3): what the network gets to see. */
bool hz_preprocess_fit(const hz_preprocess *p, const hz_tensor *picture, const hz_allocator *alloc,
                       hz_tensor *fitted, hz_error *err);

/* Pixels u8 (N, channels, H, W) of any strides, red first (or (N, 1, H, W): gray), as the network counts them, into input,
 * f32 (N, channels, H, W), contiguous. HZ_ESHAPE. */
bool hz_preprocess_normalize(const hz_preprocess *p, const hz_tensor *pixels, const hz_tensor *input,
                             hz_error *err);

/* Whether the numbers make sense: sizes in bounds, everything finite, no std below 0. */
bool hz_preprocess_check(const hz_preprocess *p, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
