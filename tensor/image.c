/* image.c: photos as tensors; the only file that knows stb. Start with hz_image_decode.
 *
 * stb_image is a small decoder, not a hardened one. Its copy here is private (STB_IMAGE_STATIC), has two
 * formats, reads memory only, and is kept from doing harm on three sides:
 *   - image_scan.c lets through well-formed files only, and PNGs only in a form rewritten by us;
 *   - all its memory comes from a heap that is capped, zeroed (the JPEG decoder reads tables a file may not
 *     have set) and given back whole afterwards (it leaks on some errors);
 *   - the build compiles this file with -fwrapv and without the shift sanitizer: the entropy decoder lets
 *     sums wrap and, out of bits, shifts by too much; either only spoils pixels.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tensor/file.h"
#include "tensor/image_scan.h"

enum { MAX_FILE = 64 << 20 };

/* ---- the decoder's heap ---- */

/* Stands before every piece of memory the decoder holds. */
typedef struct piece {
    struct piece *next, *before;
    size_t size;
    size_t unused; /* keeps what follows aligned to 16 bytes */
} piece;

typedef struct {
    hz_allocator alloc;
    size_t left;  /* bytes it may still have */
    bool starved; /* the caller's allocator had no more */
    piece *first;
} decoder_heap;

/* stb's allocation macros take no context, so the heap of the call that is running on this thread is kept
 * here; it is NULL whenever none is. */
static _Thread_local decoder_heap *running;

static void *decoder_malloc(size_t size) {
    decoder_heap *heap = running;
    if (!heap || size > heap->left || heap->left - size < sizeof(piece)) return NULL;
    piece *p = hz_alloc0(&heap->alloc, sizeof *p + size);
    if (!p) {
        heap->starved = true;
        return NULL;
    }
    *p = (piece){.next = heap->first, .size = size};
    if (p->next) p->next->before = p;
    heap->first = p;
    heap->left -= sizeof *p + size;
    return p + 1;
}

static void decoder_free(void *memory) {
    decoder_heap *heap = running;
    if (!heap || !memory) return;
    piece *p = (piece *)memory - 1;
    if (p->next) p->next->before = p->before;
    if (p->before)
        p->before->next = p->next;
    else
        heap->first = p->next;
    heap->left += sizeof *p + p->size;
    hz_free(&heap->alloc, p);
}

static void *decoder_realloc(void *memory, size_t size) {
    void *grown = decoder_malloc(size);
    if (grown && memory) {
        size_t old = ((piece *)memory - 1)->size;
        memcpy(grown, memory, old < size ? old : size);
        decoder_free(memory);
    }
    return grown;
}

/* Formats left out are declared all the same, which gcc reports at the end of this file: no pop. */
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-function"
#endif

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS HZ__IMAGE_MAX_EXTENT
#define STBI_ASSERT(condition) ((void)0) /* it asserts on files, which may well say otherwise */
#define STBI_MALLOC(size) decoder_malloc(size)
#define STBI_REALLOC(memory, size) decoder_realloc(memory, size)
#define STBI_FREE(memory) decoder_free(memory)
#include <stb_image.h>

/* ---- decoding ---- */

/* Enough for every path through the decoder, among them: interlaced 16-bit RGBA (raw, passes, result, 8 bits:
 * 24 bytes a pixel), progressive JPEG of four components (16, extents rounded up to whole blocks), IDAT in a
 * doubling buffer. */
static size_t heap_limit(size_t file_size, const hz__image_scan *scan) {
    size_t width = ((size_t)scan->width + 31) / 32 * 32, height = ((size_t)scan->height + 31) / 32 * 32;
    return 2 * file_size + 24 * width * height + (1 << 20);
}

/* One row of n pixels to RGB over white. */
static void to_rgb(const uint8_t *from, int channels, int64_t n, uint8_t *to) {
    bool gray = channels <= 2, alpha = channels % 2 == 0;
    for (int64_t i = 0; i < n; i++, from += channels, to += 3) {
        int a = alpha ? from[channels - 1] : 255;
        for (int k = 0; k < 3; k++) to[k] = (uint8_t)((from[gray ? 0 : k] * a + 255 * (255 - a) + 127) / 255);
    }
}

/* The decoder's pixels into a block of the caller's. */
static bool hand_over(const char *name, const uint8_t *pixels, const int64_t dim[3], int channels,
                      const hz_allocator *alloc, hz_tensor *image, hz_error *err) {
    int64_t wanted[3] = {dim[0], dim[1], channels ? channels : dim[2]}; /* (H, W, C) */
    hz_tensor t = hz_tensor_of(NULL, HZ_U8, 3, wanted);
    t.data = hz_alloc(alloc, hz_nbytes(&t));
    if (!t.data)
        return hz_fail(err, HZ_ENOMEM, "%s: no memory for %zu pixel bytes", hz_label(name).s, hz_nbytes(&t));
    if (wanted[2] == dim[2])
        memcpy(t.data, pixels, hz_nbytes(&t));
    else
        to_rgb(pixels, (int)dim[2], dim[0] * dim[1], t.data);
    *image = t;
    return true;
}

/* bytes have been scanned; everything the decoder allocates is gone when this returns. */
static bool decode(const char *name, const uint8_t *bytes, size_t size, const hz__image_scan *scan,
                   int channels, const hz_allocator *alloc, hz_tensor *image, hz_error *err) {
    decoder_heap heap = {.alloc = alloc ? *alloc : (hz_allocator){0}, .left = heap_limit(size, scan)};
    decoder_heap *outer = running; /* not NULL if the caller's allocator itself loads images */
    int width = 0, height = 0, depth = 0;
    bool ok = false;
    running = &heap;
    stbi__err("corrupt data", ""); /* some failures give no reason of their own */
    uint8_t *pixels = stbi_load_from_memory(bytes, (int)size, &width, &height, &depth, 0);
    if (!pixels)
        hz_fail(err, heap.starved ? HZ_ENOMEM : HZ_EFORMAT, "%s: cannot be decoded: %s", hz_label(name).s,
                heap.starved ? "out of memory" : stbi_failure_reason());
    else if (width != scan->width || height != scan->height || depth < 1 || depth > 4)
        hz_fail(err, HZ_EFORMAT, "%s: decoded to %dx%d pixels of %d, its header says %" PRId64 "x%" PRId64,
                hz_label(name).s, width, height, depth, scan->width, scan->height);
    else
        ok = hand_over(name, pixels, (const int64_t[]){height, width, depth}, channels, alloc, image, err);
    while (heap.first) decoder_free(heap.first + 1);
    running = outer;
    return ok;
}

static bool decode_png(const char *name, const uint8_t *bytes, size_t size, int channels,
                       const hz_allocator *alloc, hz_tensor *image, hz_error *err) {
    hz__image_scan scan;
    size_t rewritten_size;
    uint8_t *rewritten = hz_alloc(alloc, size + HZ__PNG_SLACK);
    if (!rewritten) return hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(name).s);
    bool ok = hz__scan_png(bytes, size, rewritten, &rewritten_size, &scan, err)
                  ? decode(name, rewritten, rewritten_size, &scan, channels, alloc, image, err)
                  : hz_fail_in(err, "%s", hz_label(name).s);
    hz_free(alloc, rewritten);
    return ok;
}

static bool decode_jpeg(const char *name, const uint8_t *bytes, size_t size, int channels,
                        const hz_allocator *alloc, hz_tensor *image, hz_error *err) {
    hz__image_scan scan;
    if (!hz__scan_jpeg(bytes, size, &scan, err)) return hz_fail_in(err, "%s", hz_label(name).s);
    return decode(name, bytes, size, &scan, channels, alloc, image, err);
}

bool hz_image_decode(const char *name, const void *bytes, size_t size, int channels,
                     const hz_allocator *alloc, hz_tensor *image, hz_error *err) {
    *image = (hz_tensor){0};
    if (channels != 0 && channels != 3)
        return hz_fail(err, HZ_EINVAL, "%s: %d channels were asked for, not 0 (as in the file) or 3",
                       hz_label(name).s, channels);
    if (size > MAX_FILE)
        return hz_fail(err, HZ_EFORMAT, "%s: has %zu bytes, more than the %d accepted", hz_label(name).s,
                       size, MAX_FILE);
    if (hz__is_png(bytes, size)) return decode_png(name, bytes, size, channels, alloc, image, err);
    if (hz__is_jpeg(bytes, size)) return decode_jpeg(name, bytes, size, channels, alloc, image, err);
    return hz_fail(err, HZ_EFORMAT, "%s: is neither PNG nor JPEG", hz_label(name).s);
}

bool hz_image_load(const char *path, int channels, const hz_allocator *alloc, hz_tensor *image,
                   hz_error *err) {
    void *bytes;
    size_t size;
    *image = (hz_tensor){0};
    if (!hz_file_read(path, MAX_FILE, alloc, &bytes, &size, err)) return false;
    bool ok = hz_image_decode(path, bytes, size, channels, alloc, image, err);
    hz_free(alloc, bytes);
    return ok;
}
