/* png.h: pictures out: a u8 tensor to a PNG file, with text that says what the picture shows.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_PNG_H
#define HZ_TENSOR_PNG_H

#include "tensor/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Write image, u8 (H, W, C) of any strides, to path, all or nothing: C = 1 gray, 3 RGB, 4 RGB and alpha; H and
 * W from 1 to 10⁶. text: n pairs, kept in this order (n = 0: text may be NULL). A key has 1 to 79 printable ASCII
 * characters, no space at its ends and no two in a row; a value is UTF-8, stored as tEXt if it is ASCII, else as
 * iTXt. The same call writes the same bytes. alloc is for scratch. HZ_EINVAL, HZ_ESHAPE, HZ_EIO, HZ_ENOMEM. */
bool hz_png_write(const char *path, const hz_tensor *image, const hz_text_pair *text, size_t n,
                  const hz_allocator *alloc, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
