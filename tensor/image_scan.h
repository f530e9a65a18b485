/* image_scan.h: what is checked of a PNG or JPEG before a decoder sees it. Private to image.c.
 *
 * stb_image 2.27 checks no PNG checksums, trusts a JPEG's Huffman tables to have at most 256 symbols (more
 * overflow its heap), reads palette entries that were never set, skips chunks past the end of the file, and
 * decodes as many scans as a file cares to list. These scans close those holes: they accept well-formed files
 * only and hand on what they understood.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_IMAGE_SCAN_H
#define HZ_TENSOR_IMAGE_SCAN_H

#include "tensor/tensor.h"

enum {
    HZ__IMAGE_MAX_EXTENT = 16384,   /* pixels a side */
    HZ__IMAGE_MAX_PIXELS = 1 << 26, /* pixels in all: 64 Mi */
};

/* Both fill width and height, positive and plausible for the size of the file. Errors name no file. */
typedef struct hz__image_scan {
    int64_t width, height;
} hz__image_scan;

bool hz__is_png(const uint8_t *bytes, size_t size);
bool hz__is_jpeg(const uint8_t *bytes, size_t size);

/* Check a PNG and write it anew into out, which has room for size + HZ__PNG_SLACK bytes: signature, IHDR, a
 * palette of exactly 256 entries if there is one, tRNS, one IDAT, IEND; no other chunk, and no checksums. */
enum { HZ__PNG_SLACK = 1024 };
bool hz__scan_png(const uint8_t *bytes, size_t size, uint8_t *out, size_t *out_size, hz__image_scan *scan,
                  hz_error *err);

/* Check a baseline or progressive JPEG up to its end marker. */
bool hz__scan_jpeg(const uint8_t *bytes, size_t size, hz__image_scan *scan, hz_error *err);

#endif
