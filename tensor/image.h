/* image.h: photos as tensors: PNG and JPEG files to u8 (H, W, C).
 *
 * Files are untrusted. Accepted are at most 64 MiB, 16384 pixels a side, 64 Mi pixels in all, and no more
 * pixels than the file's bytes can possibly encode. Decoding needs at most four times the file, 28 bytes a
 * pixel and 2 MiB.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_IMAGE_H
#define HZ_TENSOR_IMAGE_H

#include "tensor/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Read the image at path into *image, u8 (H, W, C), contiguous, top row first. Its memory is one block from
 * alloc, freed with hz_free(alloc, image->data).
 *   channels = 0: as in the file: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha
 *   channels = 3: RGB; gray is repeated, alpha is laid over white: c·a + 255·(1 − a)
 * PNG: all color types and depths (of 16 bits the upper 8; palettes are resolved; a transparent color is
 * alpha); checksums are verified. JPEG: baseline and progressive; bytes after its end, where cameras put
 * previews, are ignored. Gamma and color profiles are not applied. HZ_ENOTFOUND, HZ_EIO, HZ_EFORMAT, HZ_ENOMEM;
 * HZ_EINVAL for other numbers of channels. */
bool hz_image_load(const char *path, int channels, const hz_allocator *alloc, hz_tensor *image,
                   hz_error *err);

/* The same for a file already in memory; name is what errors call it. */
bool hz_image_decode(const char *name, const void *bytes, size_t size, int channels,
                     const hz_allocator *alloc, hz_tensor *image, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
