/* image_scan.c: walks over the structure of PNG (W3C PNG, 2nd edition) and JPEG (ITU-T T.81, annex B) files.
 * Start with hz__scan_png and hz__scan_jpeg.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/image_scan.h"

#include <inttypes.h>
#include <string.h>

static uint32_t be16(const uint8_t *p) {
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p) {
    return be16(p) << 16 | be16(p + 2);
}

/* Extents a decoder may be asked for; see image.h. */
static bool check_extents(const char *format, const hz__image_scan *scan, hz_error *err) {
    const int64_t w = scan->width, h = scan->height;
    if (w >= 1 && h >= 1 && w <= HZ__IMAGE_MAX_EXTENT && h <= HZ__IMAGE_MAX_EXTENT &&
        w * h <= HZ__IMAGE_MAX_PIXELS)
        return true;
    return hz_fail(err, HZ_EFORMAT,
                   "%s has %" PRId64 "x%" PRId64 " pixels; accepted are 1 to %d a side and %d in all", format,
                   w, h, HZ__IMAGE_MAX_EXTENT, HZ__IMAGE_MAX_PIXELS);
}

/* ---- PNG ---- */

static const uint8_t PNG_SIGNATURE[8] = {137, 'P', 'N', 'G', '\r', '\n', 26, '\n'};
enum { IHDR_SIZE = 13, PALETTE_ENTRIES = 256, MAX_DEFLATE = 1032 /* most bytes out of one byte in */ };

typedef struct {
    char type[5];
    const uint8_t *data;
    uint32_t size;
} chunk;

/* What is known while walking, and the PNG being written. */
typedef struct {
    const uint8_t *bytes; /* the file */
    size_t size, at;
    chunk header, palette, transparency; /* data is NULL until met */
    int color, depth;
    uint8_t *out;
    size_t out_size;
    size_t idat;         /* where the length field of the written IDAT stands, 0 before there is one */
    bool idat_over, end; /* another chunk came after IDAT; IEND was met */
} png_walk;

bool hz__is_png(const uint8_t *bytes, size_t size) {
    return size >= sizeof PNG_SIGNATURE && memcmp(bytes, PNG_SIGNATURE, sizeof PNG_SIGNATURE) == 0;
}

/* CRC-32 (reflected, polynomial 0xedb88320), four bits at a time. */
static uint32_t crc32_of(const uint8_t *p, size_t n) {
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                       0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = table[crc & 15] ^ crc >> 4;
        crc = table[crc & 15] ^ crc >> 4;
    }
    return ~crc;
}

/* The next chunk, its checksum verified. */
static bool next_chunk(png_walk *w, chunk *c, hz_error *err) {
    size_t left = w->size - w->at;
    const uint8_t *p = w->bytes + w->at;
    if (left < 12 || be32(p) > left - 12)
        return hz_fail(err, HZ_EFORMAT, "PNG chunk at byte %zu reaches past the end of the file (truncated?)",
                       w->at);
    c->size = be32(p);
    c->data = p + 8;
    memcpy(c->type, p + 4, 4);
    c->type[4] = 0;
    for (int i = 0; i < 4; i++)
        if ((c->type[i] | 32) < 'a' || (c->type[i] | 32) > 'z')
            return hz_fail(err, HZ_EFORMAT, "PNG chunk at byte %zu has no type of four letters", w->at);
    if (crc32_of(p + 4, (size_t)c->size + 4) != be32(c->data + c->size))
        return hz_fail(err, HZ_EFORMAT, "PNG chunk %s at byte %zu has a wrong checksum", c->type, w->at);
    w->at += (size_t)c->size + 12;
    return true;
}

static size_t begin_chunk(png_walk *w, const char *type, uint32_t size) {
    size_t at = w->out_size;
    const uint8_t head[8] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                             (uint8_t)size,         (uint8_t)type[0],      (uint8_t)type[1],
                             (uint8_t)type[2],      (uint8_t)type[3]};
    memcpy(w->out + at, head, sizeof head);
    w->out_size += sizeof head;
    return at;
}

static void append(png_walk *w, const void *data, size_t size) {
    memcpy(w->out + w->out_size, data, size);
    w->out_size += size;
}

static void end_chunk(png_walk *w) {
    append(w, "\0\0\0\0", 4); /* the checksum, which stb_image skips */
}

/* Depths that a color type may have, as a set of bits (1 << depth); 0 for what is no color type. */
static const uint32_t color_depths[7] = {
    [0] = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 8 | 1 << 16, /* gray */
    [2] = 1 << 8 | 1 << 16,                            /* RGB */
    [3] = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 8,           /* palette */
    [4] = 1 << 8 | 1 << 16,                            /* gray, alpha */
    [6] = 1 << 8 | 1 << 16,                            /* RGB, alpha */
};
static const int color_samples[7] = {[0] = 1, [2] = 3, [3] = 1, [4] = 2, [6] = 4};

static bool read_ihdr(png_walk *w, const chunk *c, hz__image_scan *scan, hz_error *err) {
    const uint8_t *p = c->data;
    if (strcmp(c->type, "IHDR") != 0 || c->size != IHDR_SIZE)
        return hz_fail(err, HZ_EFORMAT, "PNG begins with a %s chunk of %" PRIu32 " bytes, not IHDR of %d",
                       c->type, c->size, IHDR_SIZE);
    w->header = *c;
    scan->width = be32(p);
    scan->height = be32(p + 4);
    w->depth = p[8];
    w->color = p[9];
    if (w->color > 6 || w->depth > 16 || !(color_depths[w->color] & 1u << w->depth))
        return hz_fail(err, HZ_EFORMAT, "PNG has no color type %d of %d bits", w->color, w->depth);
    if (p[10] != 0 || p[11] != 0 || p[12] > 1)
        return hz_fail(err, HZ_EFORMAT, "PNG compression %d, filter %d or interlace %d is unknown", p[10],
                       p[11], p[12]);
    return true;
}

static bool check_palette(const png_walk *w, hz_error *err) {
    uint32_t entries = w->palette.size / 3;
    if (w->color != 3) return true;
    if (!w->palette.data || w->palette.size % 3 != 0 || entries == 0 || entries > 1u << w->depth)
        return hz_fail(err, HZ_EFORMAT, "PNG palette of %" PRIu32 " bytes does not suit %d bits",
                       w->palette.size, w->depth);
    return true;
}

static bool check_transparency(const png_walk *w, hz_error *err) {
    static const uint32_t sizes[7] = {[0] = 2, [2] = 6};
    if (!w->transparency.data) return true;
    uint32_t size = w->transparency.size;
    bool ok = w->color == 3 ? size >= 1 && size <= w->palette.size / 3 : size == sizes[w->color] && size > 0;
    return ok || hz_fail(err, HZ_EFORMAT, "PNG tRNS of %" PRIu32 " bytes does not suit color type %d", size,
                         w->color);
}

/* The first IDAT has come: write what must stand before it. Unset palette entries become black. */
static bool write_head(png_walk *w, hz_error *err) {
    uint8_t palette[3 * PALETTE_ENTRIES] = {0};
    if (!check_palette(w, err) || !check_transparency(w, err)) return false;
    append(w, PNG_SIGNATURE, sizeof PNG_SIGNATURE);
    begin_chunk(w, "IHDR", IHDR_SIZE);
    append(w, w->header.data, IHDR_SIZE);
    end_chunk(w);
    if (w->color == 3) {
        memcpy(palette, w->palette.data, w->palette.size);
        begin_chunk(w, "PLTE", sizeof palette);
        append(w, palette, sizeof palette);
        end_chunk(w);
    }
    if (w->transparency.data) {
        begin_chunk(w, "tRNS", w->transparency.size);
        append(w, w->transparency.data, w->transparency.size);
        end_chunk(w);
    }
    w->idat = begin_chunk(w, "IDAT", 0);
    return true;
}

static bool take_chunk(png_walk *w, const chunk *c, hz_error *err) {
    chunk *once = strcmp(c->type, "PLTE") == 0   ? &w->palette
                  : strcmp(c->type, "tRNS") == 0 ? &w->transparency
                                                 : NULL;
    bool idat = strcmp(c->type, "IDAT") == 0;
    w->end = strcmp(c->type, "IEND") == 0;
    if (w->idat && !idat) w->idat_over = true;
    if (once && (once->data || w->idat))
        return hz_fail(err, HZ_EFORMAT, "PNG chunk %s comes twice or after IDAT", c->type);
    if (once) *once = *c;
    if (idat && w->idat_over) return hz_fail(err, HZ_EFORMAT, "PNG chunks IDAT do not follow each other");
    if (idat && !w->idat && !write_head(w, err)) return false;
    if (idat) append(w, c->data, c->size);
    if (!once && !idat && !w->end && !(c->type[0] & 32)) /* lower case: a chunk one may ignore */
        return hz_fail(err, HZ_EFORMAT, "PNG chunk %s is unknown or in the wrong place", c->type);
    return true;
}

/* The pixels cannot need more bytes than the compressed data can unfold to. */
static bool finish_png(png_walk *w, const hz__image_scan *scan, hz_error *err) {
    if (!w->idat) return hz_fail(err, HZ_EFORMAT, "PNG has no IDAT chunk");
    if (w->at != w->size)
        return hz_fail(err, HZ_EFORMAT, "PNG is followed by %zu bytes of something else", w->size - w->at);
    uint64_t held = w->out_size - w->idat - 8, bits = (uint64_t)(color_samples[w->color] * w->depth);
    uint64_t needed = (uint64_t)scan->height * ((uint64_t)scan->width * bits / 8);
    if (needed / MAX_DEFLATE > held)
        return hz_fail(err, HZ_EFORMAT,
                       "PNG of %" PRId64 "x%" PRId64 " pixels needs %" PRIu64 " bytes, its %" PRIu64
                       " compressed ones cannot hold them",
                       scan->width, scan->height, needed, held);
    end_chunk(w);
    for (int i = 0; i < 4; i++) w->out[w->idat + (size_t)i] = (uint8_t)(held >> (24 - 8 * i));
    begin_chunk(w, "IEND", 0);
    end_chunk(w);
    return true;
}

bool hz__scan_png(const uint8_t *bytes, size_t size, uint8_t *out, size_t *out_size, hz__image_scan *scan,
                  hz_error *err) {
    png_walk w = {.bytes = bytes, .size = size, .at = sizeof PNG_SIGNATURE, .out = out};
    chunk c;
    if (!next_chunk(&w, &c, err) || !read_ihdr(&w, &c, scan, err) || !check_extents("PNG", scan, err))
        return false;
    while (!w.end)
        if (!next_chunk(&w, &c, err) || !take_chunk(&w, &c, err)) return false;
    if (!finish_png(&w, scan, err)) return false;
    *out_size = w.out_size;
    return true;
}

/* ---- JPEG ---- */

enum {
    SOF0 = 0xc0, /* baseline */
    SOF1 = 0xc1, /* extended */
    SOF2 = 0xc2, /* progressive */
    DHT = 0xc4,
    RST0 = 0xd0,
    RST7 = 0xd7,
    SOI = 0xd8,
    EOI = 0xd9,
    SOS = 0xda,
    DQT = 0xdb,
    DNL = 0xdc,
    DRI = 0xdd,
    APP0 = 0xe0,
    APP15 = 0xef,
    COM = 0xfe,
    MAX_SCANS = 100,     /* encoders write 1 to about 20 */
    PIXELS_A_BYTE = 512, /* a block of 8×8 pixels takes at least a bit */
};

typedef struct {
    const uint8_t *bytes;
    size_t size, at;
    int frames, scans;
} jpeg_walk;

bool hz__is_jpeg(const uint8_t *bytes, size_t size) {
    return size >= 3 && bytes[0] == 0xff && bytes[1] == SOI && bytes[2] == 0xff;
}

/* Step over a marker; 0 if none stands here. */
static int next_marker(jpeg_walk *w) {
    size_t at = w->at;
    if (at >= w->size || w->bytes[at] != 0xff) return 0;
    while (at < w->size && w->bytes[at] == 0xff) at++; /* any number of fill bytes */
    if (at >= w->size) return 0;
    w->at = at + 1;
    return w->bytes[at];
}

/* Step over the entropy-coded data after a scan header, to the next marker that is no restart. */
static void skip_entropy(jpeg_walk *w) {
    for (; w->at + 1 < w->size; w->at++) {
        int next = w->bytes[w->at + 1];
        if (w->bytes[w->at] == 0xff && next != 0 && next != 0xff && !(next >= RST0 && next <= RST7)) return;
    }
    w->at = w->size;
}

static bool bad_segment(const char *what, size_t at, hz_error *err) {
    return hz_fail(err, HZ_EFORMAT, "JPEG %s segment at byte %zu is malformed", what, at);
}

/* Tables of 16 counts and as many symbols as they add up to, at most 256. */
static bool check_huffman(const uint8_t *p, size_t size, size_t at, hz_error *err) {
    while (size > 0) {
        size_t symbols = 0;
        if (size < 17 || p[0] >> 4 > 1 || (p[0] & 15) > 3) return bad_segment("DHT", at, err);
        for (int i = 1; i <= 16; i++) symbols += p[i];
        if (symbols > 256 || symbols > size - 17) return bad_segment("DHT", at, err);
        p += 17 + symbols;
        size -= 17 + symbols;
    }
    return true;
}

static bool read_frame(jpeg_walk *w, const uint8_t *p, size_t size, hz__image_scan *scan, hz_error *err) {
    if (w->frames++ > 0 || size < 6) return bad_segment("SOF", w->at, err);
    scan->height = be16(p + 1);
    scan->width = be16(p + 3);
    if (!check_extents("JPEG", scan, err)) return false;
    if ((uint64_t)(scan->width * scan->height) / PIXELS_A_BYTE > w->size)
        return hz_fail(err, HZ_EFORMAT, "JPEG of %" PRId64 "x%" PRId64 " pixels cannot fit %zu bytes",
                       scan->width, scan->height, w->size);
    return true;
}

static bool read_scan(jpeg_walk *w, hz_error *err) {
    if (w->frames == 0) return bad_segment("SOS", w->at, err);
    if (++w->scans > MAX_SCANS) return hz_fail(err, HZ_EFORMAT, "JPEG has more than %d scans", MAX_SCANS);
    skip_entropy(w);
    return true;
}

/* The segment of a marker other than EOI; w->at stands behind the marker. */
static bool read_segment(jpeg_walk *w, int marker, hz__image_scan *scan, hz_error *err) {
    size_t at = w->at, left = w->size - at;
    size_t size = left >= 2 ? be16(w->bytes + at) : 0;
    if (size < 2 || size > left)
        return hz_fail(err, HZ_EFORMAT,
                       "JPEG segment 0x%02x at byte %zu reaches past the end of the file (truncated?)",
                       (unsigned)marker, at);
    const uint8_t *p = w->bytes + at + 2;
    w->at += size;
    switch (marker) {
    case SOF0:
    case SOF1:
    case SOF2:
        return read_frame(w, p, size - 2, scan, err);
    case SOS:
        return read_scan(w, err);
    case DHT:
        return check_huffman(p, size - 2, at, err);
    case DQT:
    case DNL:
    case DRI:
    case COM:
        return true; /* the decoder checks these well enough */
    default:
        if (marker >= APP0 && marker <= APP15) return true;
        return hz_fail(err, HZ_EFORMAT, "JPEG marker 0x%02x at byte %zu is not supported", (unsigned)marker,
                       at);
    }
}

bool hz__scan_jpeg(const uint8_t *bytes, size_t size, hz__image_scan *scan, hz_error *err) {
    jpeg_walk w = {.bytes = bytes, .size = size, .at = 2};
    for (;;) {
        size_t at = w.at;
        int marker = next_marker(&w);
        if (marker == 0)
            return hz_fail(err, HZ_EFORMAT, "JPEG has no marker at byte %zu of %zu (truncated?)", at, size);
        if (marker == EOI) break;
        if (!read_segment(&w, marker, scan, err)) return false;
    }
    if (w.scans == 0) return hz_fail(err, HZ_EFORMAT, "JPEG ends before its first scan");
    return true;
}
