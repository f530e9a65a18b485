/* test_image.c: PNG and JPEG in, PNG out.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "data.h"
#include "files.h"
#include "jpegs.h"
#include "layouts.h"
#include "tensor/image.h"
#include "tensor/png.h"

/* ---- PNG files made by hand ---- */

typedef struct bytes {
    size_t size;
    uint8_t data[8192];
} bytes;

static void put(bytes *b, const void *data, size_t n) {
    cr_assert(b->size + n <= sizeof b->data);
    memcpy(b->data + b->size, data, n);
    b->size += n;
}

static void put32(bytes *b, uint32_t x) {
    put(b, (uint8_t[]){(uint8_t)(x >> 24), (uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x}, 4);
}

/* CRC-32, a bit at a time. */
static uint32_t crc_of(const uint8_t *p, size_t n) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    return ~crc;
}

static void put_chunk(bytes *b, const char *type, const void *data, size_t n) {
    const size_t start = b->size + 4;
    put32(b, (uint32_t)n);
    put(b, type, 4);
    put(b, data, n);
    put32(b, crc_of(b->data + start, n + 4));
}

static bytes png_start(uint32_t width, uint32_t height, int depth, int color, int interlace) {
    bytes b = {0}, head = {0};
    put(&b, "\x89PNG\r\n\x1a\n", 8);
    put32(&head, width);
    put32(&head, height);
    put(&head, (uint8_t[]){(uint8_t)depth, (uint8_t)color, 0, 0, (uint8_t)interlace}, 5);
    put_chunk(&b, "IHDR", head.data, head.size);
    return b;
}

/* An IDAT of one stored block, rows with their filter bytes, and IEND. */
static void png_finish(bytes *b, const void *rows, size_t n) {
    bytes z = {0};
    put(&z, (uint8_t[]){0x78, 1, 1, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)~n, (uint8_t)(~n >> 8)}, 7);
    put(&z, rows, n);
    put32(&z, 0); /* Adler-32, which the decoder ignores */
    put_chunk(b, "IDAT", z.data, z.size);
    put_chunk(b, "IEND", "", 0);
}

static hz_tensor decode_good(const void *data, size_t size, int channels) {
    hz_tensor t;
    hz_error err = {0};
    cr_assert(hz_image_decode("memory", data, size, channels, NULL, &t, &err), "%s", err.text);
    cr_assert(t.dtype == HZ_U8 && t.rank == 3 && hz_is_contiguous(&t));
    return t;
}

static void check_pixels(hz_tensor t, const int64_t dim[3], const uint8_t *want) {
    cr_assert(t.dim[0] == dim[0] && t.dim[1] == dim[1] && t.dim[2] == dim[2], "%s", hz_shape_str(&t).s);
    for (size_t i = 0; i < hz_nbytes(&t); i++)
        cr_assert(((uint8_t *)t.data)[i] == want[i], "byte %zu is %d, not %d", i, ((uint8_t *)t.data)[i],
                  want[i]);
    hz_free(NULL, t.data);
}

static void check_bad(const void *data, size_t size, const char *words) {
    hz_tensor t;
    hz_error err = {0};
    cr_assert(!hz_image_decode("memory", data, size, 0, NULL, &t, &err), "accepted; expected: %s", words);
    cr_assert(err.code == HZ_EFORMAT && strstr(err.text, words) && !t.data, "%s", err.text);
    cr_assert(strncmp(err.text, "memory: ", 8) == 0, "%s", err.text);
}

/* ---- reading PNG ---- */

Test(image, palettes_are_resolved) {
    bytes b = png_start(3, 1, 2, 3, 0);
    put_chunk(&b, "PLTE", "\x01\x02\x03\x0a\x0b\x0c", 6);
    png_finish(&b, "\0\x10", 2); /* indices 0, 1, 0 */
    check_pixels(decode_good(b.data, b.size, 0), (int64_t[]){1, 3, 3},
                 (uint8_t[]){1, 2, 3, 10, 11, 12, 1, 2, 3});
}

Test(image, palette_entries_that_are_not_there_are_black) {
    bytes b = png_start(2, 1, 8, 3, 0);
    put_chunk(&b, "PLTE", "\x01\x02\x03", 3);
    png_finish(&b, "\0\xc8\0", 3);
    check_pixels(decode_good(b.data, b.size, 0), (int64_t[]){1, 2, 3}, (uint8_t[]){0, 0, 0, 1, 2, 3});
}

Test(image, a_transparent_palette_entry_shows_white) {
    bytes b = png_start(2, 1, 8, 3, 0);
    put_chunk(&b, "PLTE", "\x01\x02\x03\x0a\x0b\x0c", 6);
    put_chunk(&b, "tRNS", "\0", 1);
    png_finish(&b, "\0\0\x01", 3);
    check_pixels(decode_good(b.data, b.size, 0), (int64_t[]){1, 2, 4},
                 (uint8_t[]){1, 2, 3, 0, 10, 11, 12, 255});
    check_pixels(decode_good(b.data, b.size, 3), (int64_t[]){1, 2, 3},
                 (uint8_t[]){255, 255, 255, 10, 11, 12});
}

Test(image, of_16_bits_the_upper_8_are_kept) {
    bytes b = png_start(1, 2, 16, 2, 0);
    png_finish(&b, "\0\x10\xff\x20\x00\x30\x80\0\x40\x00\x50\x00\x60\x00", 14);
    check_pixels(decode_good(b.data, b.size, 0), (int64_t[]){2, 1, 3}, (uint8_t[]){16, 32, 48, 64, 80, 96});
}

Test(image, gray_of_few_bits_spans_the_full_range) {
    bytes b = png_start(4, 1, 2, 0, 0);
    png_finish(&b, "\0\x1b", 2);
    check_pixels(decode_good(b.data, b.size, 0), (int64_t[]){1, 4, 1}, (uint8_t[]){0, 85, 170, 255});
    check_pixels(decode_good(b.data, b.size, 3), (int64_t[]){1, 4, 3},
                 (uint8_t[]){0, 0, 0, 85, 85, 85, 170, 170, 170, 255, 255, 255});
}

Test(image, alpha_is_laid_over_white) {
    bytes b = png_start(2, 1, 8, 4, 0); /* gray and alpha */
    png_finish(&b, "\0\x64\x80\x00\x33", 5);
    check_pixels(decode_good(b.data, b.size, 0), (int64_t[]){1, 2, 2}, (uint8_t[]){100, 128, 0, 51});
    check_pixels(decode_good(b.data, b.size, 3), (int64_t[]){1, 2, 3},
                 (uint8_t[]){177, 177, 177, 204, 204, 204});
}

Test(image, interlaced_rows_are_put_in_place) {
    bytes b = png_start(2, 2, 8, 0, 1); /* Adam7: pass 1 has (0,0), pass 6 (0,1), pass 7 row 1 */
    png_finish(&b, "\0\x01\0\x02\0\x03\x04", 7);
    check_pixels(decode_good(b.data, b.size, 0), (int64_t[]){2, 2, 1}, (uint8_t[]){1, 2, 3, 4});
}

Test(image, chunks_one_may_ignore_are_ignored) {
    bytes b = png_start(1, 1, 8, 0, 0);
    put_chunk(&b, "tEXt", "k\0v", 3);
    put_chunk(&b, "vpAg", "junk", 4);
    png_finish(&b, "\0\x07", 2);
    check_pixels(decode_good(b.data, b.size, 0), (int64_t[]){1, 1, 1}, (uint8_t[]){7});
}

Test(image, other_numbers_of_channels_are_refused) {
    hz_tensor t;
    hz_error err = {0};
    cr_assert(!hz_image_decode("x", gray_jpeg, sizeof gray_jpeg, 4, NULL, &t, &err) && err.code == HZ_EINVAL);
}

/* ---- hostile PNG ---- */

typedef enum where { HEAD, PALETTE, TRANSPARENT, DATA, END, NONE } where;

/* A palette PNG of 2 × 1 with one chunk left out, doubled, or replaced. */
static bytes altered(where omitted, where doubled, const char *extra_type, where extra_before) {
    bytes b = {0}, head = png_start(2, 1, 8, 3, 0), tail = {0};
    png_finish(&tail, "\0\0\x01", 3);
    put(&b, head.data, 8);
    for (where w = HEAD; w <= END; w++) {
        if (w == extra_before && extra_type) put_chunk(&b, extra_type, "", 0);
        for (int n = w == omitted ? 0 : w == doubled ? 2 : 1; n > 0; n--) {
            if (w == HEAD) put(&b, head.data + 8, head.size - 8);
            if (w == PALETTE) put_chunk(&b, "PLTE", "\1\2\3\4\5\6", 6);
            if (w == TRANSPARENT) put_chunk(&b, "tRNS", "\x80", 1);
            if (w == DATA) put(&b, tail.data, tail.size - 12);
            if (w == END) put(&b, tail.data + tail.size - 12, 12);
        }
    }
    return b;
}

Test(image, png_chunks_out_of_order_are_refused) {
    static const struct {
        where omitted, doubled, extra_before;
        const char *extra, *words;
    } cases[] = {
        {HEAD, NONE, NONE, NULL, "not IHDR"},
        {PALETTE, NONE, NONE, NULL, "palette of 0 bytes"},
        {DATA, NONE, NONE, NULL, "no IDAT"},
        {END, NONE, NONE, NULL, "past the end"},
        {NONE, HEAD, NONE, NULL, "IHDR is unknown or in the wrong place"},
        {NONE, PALETTE, NONE, NULL, "PLTE comes twice"},
        {NONE, TRANSPARENT, NONE, NULL, "tRNS comes twice"},
        {NONE, END, NONE, NULL, "followed by 12 bytes"},
        {NONE, NONE, END, "PLTE", "after IDAT"},
        {NONE, NONE, END, "CHNK", "CHNK is unknown"},
        {NONE, NONE, HEAD, "CgBI", "not IHDR"},
        {NONE, NONE, DATA, "a1bc", "no type of four letters"},
    };
    const bytes good = altered(NONE, NONE, NULL, NONE);
    hz_free(NULL, decode_good(good.data, good.size, 0).data);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bytes b = altered(cases[i].omitted, cases[i].doubled, cases[i].extra, cases[i].extra_before);
        check_bad(b.data, b.size, cases[i].words);
    }
}

Test(image, png_headers_that_lie_are_refused) {
    static const struct {
        uint32_t width, height;
        int depth, color, interlace;
        const char *words;
    } cases[] = {
        {0, 1, 8, 0, 0, "has 0x1 pixels"},
        {1, 0, 8, 0, 0, "has 1x0 pixels"},
        {16385, 1, 8, 0, 0, "16385x1"},
        {0xffffffff, 0xffffffff, 8, 0, 0, "4294967295x4294967295"},
        {16384, 8192, 8, 0, 0, "in all"},
        {8192, 8192, 16, 6, 0, "cannot hold them"},
        {1, 1, 3, 0, 0, "no color type 0 of 3 bits"},
        {1, 1, 16, 3, 0, "no color type 3 of 16 bits"},
        {1, 1, 4, 2, 0, "no color type 2 of 4 bits"},
        {1, 1, 8, 1, 0, "no color type 1"},
        {1, 1, 8, 7, 0, "no color type 7"},
        {1, 1, 255, 0, 0, "of 255 bits"},
        {1, 1, 8, 0, 2, "interlace 2"},
        {2, 1, 8, 0, 0, "cannot be decoded"}, /* fewer pixels than said */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b =
            png_start(cases[i].width, cases[i].height, cases[i].depth, cases[i].color, cases[i].interlace);
        png_finish(&b, "\0\1", 2);
        check_bad(b.data, b.size, cases[i].words);
    }
}

Test(image, png_checksums_are_verified) {
    bytes b = png_start(1, 1, 8, 0, 0);
    png_finish(&b, "\0\x07", 2);
    b.data[b.size - 12 - 8] ^= 1; /* in IDAT */
    check_bad(b.data, b.size, "PNG chunk IDAT at byte 33 has a wrong checksum");
}

Test(image, what_is_neither_png_nor_jpeg_is_refused) {
    check_bad("GIF89a", 6, "neither PNG nor JPEG");
    check_bad("", 0, "neither PNG nor JPEG");
    check_bad("\x89PNG\r\n\x1a\n", 8, "past the end");
    check_bad("BM", 2, "neither PNG nor JPEG");
}

/* ---- damage ---- */

static bool load(const uint8_t *data, size_t size, hz_error *err) {
    hz_tensor t;
    if (!hz_image_decode("damaged", data, size, 3, NULL, &t, err)) return false;
    read_elements(&t);
    hz_free(NULL, t.data);
    return true;
}

/* The same with the checksums made right again, so that damage reaches the decoder. */
static bool load_resealed(const uint8_t *data, size_t size, hz_error *err) {
    uint8_t *copy = memcpy(malloc(size + 1), data, size);
    for (size_t at = 8; at + 12 <= size;) {
        const size_t n =
            (size_t)copy[at] << 24 | (size_t)copy[at + 1] << 16 | (size_t)copy[at + 2] << 8 | copy[at + 3];
        if (n > size - at - 12) break;
        const uint32_t crc = crc_of(copy + at + 4, n + 4);
        for (int i = 0; i < 4; i++) copy[at + 8 + n + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += n + 12;
    }
    const bool ok = load(copy, size, err);
    free(copy);
    return ok;
}

Test(image, damaged_png_gives_an_error_or_pixels) {
    const scratch s = scratch_path("damage.png");
    uint64_t state = 3;
    for (int channels = 1; channels <= 4; channels += channels == 1 ? 2 : 1) {
        const int64_t dim[3] = {6, 7, channels};
        uint8_t pixels[6 * 7 * 4];
        for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(next_random(&state) & 0x3f);
        const hz_tensor t = hz_tensor_of(pixels, HZ_U8, 3, dim);
        cr_assert(hz_png_write(s.path, &t, NULL, 0, NULL, NULL));
        size_t size;
        uint8_t *good = read_bytes(s.path, &size);
        check_truncations(load, good, size);
        cr_assert(check_mutations(load, good, size, 500) == 500); /* the checksums tell */
        const int refused = check_mutations(load_resealed, good, size, 3000);
        cr_assert(refused > 300 && refused < 3000, "%d of 3000 refused", refused);
        free(good);
    }
    unlink(s.path);
}

Test(image, damaged_palette_png_gives_an_error_or_pixels) {
    bytes b = png_start(5, 5, 4, 3, 1);
    put_chunk(&b, "PLTE", "\1\2\3\4\5\6\7\10\11", 9);
    put_chunk(&b, "tRNS", "\x80\x40", 2);
    png_finish(&b, "\0\x01\0\x20\0\x01\x10\0\x01\0\x02\0\x10\x20\x10\0\x10\0\x20\0\0\0\x10\0\x10", 25);
    check_mutations(load_resealed, b.data, b.size, 5000);
}

Test(image, damaged_jpeg_gives_an_error_or_pixels) {
    check_truncations(load, baseline_jpeg, sizeof baseline_jpeg);
    check_truncations(load, progressive_jpeg, sizeof progressive_jpeg);
    check_truncations(load, gray_jpeg, sizeof gray_jpeg);
    cr_assert(check_mutations(load, baseline_jpeg, sizeof baseline_jpeg, 20000) > 2000);
    cr_assert(check_mutations(load, progressive_jpeg, sizeof progressive_jpeg, 20000) > 2000);
    cr_assert(check_mutations(load, gray_jpeg, sizeof gray_jpeg, 20000) > 2000);
}

/* ---- JPEG ---- */

static void check_gradient(const uint8_t *jpeg, size_t size) {
    hz_tensor t = decode_good(jpeg, size, 0);
    const uint8_t *p = t.data;
    cr_assert(t.dim[0] == 12 && t.dim[1] == 20 && t.dim[2] == 3);
    for (int y = 0; y < 12; y++)
        for (int x = 0; x < 20; x++, p += 3) {
            const int want[3] = {x * 255 / 19, y * 255 / 11, 128};
            for (int k = 0; k < 3; k++)
                cr_assert(abs(p[k] - want[k]) <= 24, "(%d,%d,%d): %d, not %d", y, x, k, p[k], want[k]);
        }
    hz_free(NULL, t.data);
}

Test(image, jpegs_show_what_was_encoded) {
    check_gradient(baseline_jpeg, sizeof baseline_jpeg);
    check_gradient(progressive_jpeg, sizeof progressive_jpeg);
    hz_tensor t = decode_good(gray_jpeg, sizeof gray_jpeg, 0);
    cr_assert(t.dim[0] == 5 && t.dim[1] == 9 && t.dim[2] == 1);
    for (int64_t i = 0; i < 45; i++) cr_assert(fabs(hz_get_flat(&t, i) - (double)(i % 9 * 255 / 8)) <= 8);
    hz_free(NULL, t.data);
}

Test(image, bytes_after_a_jpeg_are_ignored) {
    uint8_t data[sizeof gray_jpeg + 3] = {0};
    memcpy(data, gray_jpeg, sizeof gray_jpeg);
    hz_free(NULL, decode_good(data, sizeof data, 0).data);
}

static size_t find_marker(const uint8_t *jpeg, int marker) {
    size_t at = 2;
    while (jpeg[at + 1] != marker) at += 2 + ((size_t)jpeg[at + 2] << 8 | jpeg[at + 3]);
    return at;
}

/* gray_jpeg with n bytes put before the segment of this marker. */
static bytes with_inserted(int marker, const void *data, size_t n) {
    bytes b = {0};
    const size_t at = find_marker(gray_jpeg, marker);
    put(&b, gray_jpeg, at);
    put(&b, data, n);
    put(&b, gray_jpeg + at, sizeof gray_jpeg - at);
    return b;
}

Test(image, jpeg_structures_known_to_break_decoders_are_refused) {
    uint8_t huge[2 + 2 + 17] = {0xff, 0xc4, 0, 19};
    memset(huge + 5, 255, 16); /* a Huffman table of 4080 symbols */
    bytes b = with_inserted(0xda, huge, sizeof huge);
    check_bad(b.data, b.size, "DHT segment");
    const size_t frame = find_marker(gray_jpeg, 0xc0), frame_size = 4 + (size_t)gray_jpeg[frame + 3] - 2;
    b = with_inserted(0xda, gray_jpeg + frame, frame_size); /* a second frame */
    check_bad(b.data, b.size, "SOF segment");
    b = with_inserted(0xc0, gray_jpeg + find_marker(gray_jpeg, 0xda), 10); /* a scan before the frame */
    check_bad(b.data, b.size, "SOS segment");
    b = with_inserted(0xc0, "\xff\xcc\0\2", 4); /* arithmetic coding */
    check_bad(b.data, b.size, "marker 0xcc");
    b = with_inserted(0xc0, "junk", 4);
    check_bad(b.data, b.size, "no marker");
    b = with_inserted(0xc0, "", 0);
    b.data[find_marker(b.data, 0xc0) + 5] = 0x40; /* 16389 rows */
    check_bad(b.data, b.size, "9x16389");
    b.data[find_marker(b.data, 0xc0) + 5] = 0x3f;
    b.data[find_marker(b.data, 0xc0) + 7] = 0x0f; /* 3849 × 16133 pixels in 170 bytes */
    check_bad(b.data, b.size, "cannot fit");
}

Test(image, a_jpeg_of_very_many_scans_is_refused) {
    bytes b = {0};
    const size_t scan = find_marker(gray_jpeg, 0xda), scan_size = sizeof gray_jpeg - 2 - scan;
    put(&b, gray_jpeg, scan);
    for (int i = 0; i < 101; i++) put(&b, gray_jpeg + scan, scan_size);
    put(&b, "\xff\xd9", 2);
    check_bad(b.data, b.size, "more than 100 scans");
}

/* ---- memory ---- */

static bool load_action(const hz_allocator *a, const char *path, hz_error *err) {
    hz_tensor t;
    if (!hz_image_load(path, 3, a, &t, err)) return false;
    hz_free(a, t.data);
    return true;
}

Test(image, lack_of_memory_is_an_error_without_a_leak) {
    const scratch s = scratch_path("memory");
    bytes b = png_start(2, 2, 16, 6, 1);
    uint8_t rows[64] = {0};
    png_finish(&b, rows, sizeof rows);
    write_bytes(s.path, b.data, b.size);
    fail_every_allocation(load_action, s.path);
    write_bytes(s.path, baseline_jpeg, sizeof baseline_jpeg);
    fail_every_allocation(load_action, s.path);
    write_bytes(s.path, progressive_jpeg, sizeof progressive_jpeg);
    fail_every_allocation(load_action, s.path);
    unlink(s.path);
}

/* ---- real files ---- */

static void check_real(const char *name, int64_t height, int64_t width, int64_t channels) {
    const char *path = hz_test_data(name);
    if (!path) cr_skip("no %s: set HZ_DATA", name);
    hz_tensor t;
    hz_error err = {0};
    cr_assert(hz_image_load(path, 0, NULL, &t, &err), "%s", err.text);
    cr_assert(t.dim[0] == height && t.dim[1] == width && t.dim[2] == channels, "%s is %s", name,
              hz_shape_str(&t).s);
    hz_free(NULL, t.data);
}

Test(image, the_cat_is_read) {
    check_real("chelsea_227.png", 227, 227, 3);
    check_real("chelsea.png", 300, 451, 3);
}

Test(image, the_rocket_is_read) {
    check_real("skimage_rocket.jpg", 427, 640, 3);
}

Test(image, only_regular_files_are_opened) {
    hz_tensor t;
    hz_error err = {0};
    cr_assert(!hz_image_load("/tmp", 0, NULL, &t, &err) && err.code == HZ_EIO, "%s", err.text);
    cr_assert(!hz_image_load("/nowhere", 0, NULL, &t, &err) && err.code == HZ_ENOTFOUND, "%s", err.text);
}

/* ---- writing PNG ---- */

Test(png, pictures_of_any_layout_come_back) {
    const scratch s = scratch_path("trip.png");
    uint64_t state = 9;
    uint8_t pixels[20 * 20 * 4];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)next_random(&state);
    for (int trial = 0; trial < 60; trial++) {
        const int64_t channels = (const int64_t[]){1, 3, 4}[trial % 3];
        hz_tensor t = hz_tensor_of(pixels, HZ_U8, 3, (int64_t[]){20, 20, channels}), back;
        if (trial & 4) t = hz_tensor_of(pixels, HZ_U8, 3, (int64_t[]){channels, 20, 20});
        if (trial & 4) hz_view_permute(&t, (int[]){1, 2, 0}, &t, NULL);
        if (trial & 8) hz_view_slice(&t, 0, 19, random_int(&state, 1, 20), -1, &t, NULL);
        if (trial & 16) hz_view_slice(&t, 1, 1, random_int(&state, 1, 9), 2, &t, NULL);
        hz_error err = {0};
        cr_assert(hz_png_write(s.path, &t, NULL, 0, NULL, &err), "%s", err.text);
        cr_assert(hz_image_load(s.path, 0, NULL, &back, &err), "%s", err.text);
        cr_assert(hz_same_shape(&t, &back), "%s", hz_shape_str(&back).s);
        for (int64_t k = 0; k < hz_numel(&t); k++) cr_assert(hz_get_flat(&t, k) == hz_get_flat(&back, k));
        hz_free(NULL, back.data);
    }
    unlink(s.path);
}

/* Whether a chunk of this type begins with these bytes. */
static bool has_chunk(const uint8_t *png, size_t size, const char *type, const void *data, size_t n) {
    for (size_t at = 8; at + 12 + n <= size; at += 12 + ((size_t)png[at + 2] << 8 | png[at + 3]))
        if (memcmp(png + at + 4, type, 4) == 0 && memcmp(png + at + 8, data, n) == 0) return true;
    return false;
}

Test(png, text_is_stored_with_the_picture) {
    const scratch s = scratch_path("text.png");
    uint8_t pixel = 0;
    const hz_tensor t = hz_tensor_of(&pixel, HZ_U8, 3, (int64_t[]){1, 1, 1});
    const hz_text_pair text[] = {{"unit", "fire9[489,5,3]"}, {"rule", "größer"}, {"empty", ""}};
    hz_error err = {0};
    cr_assert(hz_png_write(s.path, &t, text, 3, NULL, &err), "%s", err.text);
    size_t size;
    uint8_t *png = read_bytes(s.path, &size);
    cr_assert(has_chunk(png, size, "tEXt", "unit\0fire9[489,5,3]", 19));
    cr_assert(has_chunk(png, size, "iTXt", "rule\0\0\0\0\0größer", 17));
    cr_assert(has_chunk(png, size, "tEXt", "empty\0", 6));
    cr_assert(!has_chunk(png, size, "tIME", "", 0), "the same picture must give the same bytes");
    free(png);
    unlink(s.path);
}

Test(png, impossible_requests_write_nothing) {
    const scratch s = scratch_path("bad.png");
    uint8_t pixels[16] = {0};
    const int64_t shapes[][3] = {{1, 1, 2}, {0, 1, 1}, {1, 0, 3}, {1, 1, 5}, {1000001, 1, 1}};
    hz_error err = {0};
    for (int i = 0; i < 5; i++) {
        const hz_tensor t = hz_tensor_of(pixels, HZ_U8, 3, shapes[i]);
        cr_assert(!hz_png_write(s.path, &t, NULL, 0, NULL, &err) && err.code == HZ_ESHAPE, "%s", err.text);
    }
    const hz_tensor wide = hz_tensor_of(pixels, HZ_F32, 3, (int64_t[]){1, 1, 1}),
                    flat = hz_tensor_of(pixels, HZ_U8, 2, (int64_t[]){4, 4}),
                    good = hz_tensor_of(pixels, HZ_U8, 3, (int64_t[]){1, 1, 1});
    cr_assert(!hz_png_write(s.path, &wide, NULL, 0, NULL, &err) && err.code == HZ_EINVAL, "%s", err.text);
    cr_assert(!hz_png_write(s.path, &flat, NULL, 0, NULL, &err) && err.code == HZ_ESHAPE, "%s", err.text);
    char long_key[81];
    memset(long_key, 'k', 80);
    long_key[80] = 0;
    const char *keys[] = {"", " a", "a ", "a  b", "é", "a\n", long_key};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        cr_assert(!hz_png_write(s.path, &good, (hz_text_pair[]){{keys[i], "v"}}, 1, NULL, &err) &&
                  err.code == HZ_EINVAL);
    cr_assert(!hz_png_write(s.path, &good, (hz_text_pair[]){{"k", "\xff"}}, 1, NULL, &err) &&
              strstr(err.text, "UTF-8"));
    cr_assert(access(s.path, F_OK) != 0);
}

static bool write_action(const hz_allocator *a, const char *path, hz_error *err) {
    uint8_t pixels[300] = {0};
    const hz_tensor t = hz_tensor_of(pixels, HZ_U8, 3, (int64_t[]){10, 10, 3});
    return hz_png_write(path, &t, (hz_text_pair[]){{"k", "é"}}, 1, a, err);
}

Test(png, lack_of_memory_is_an_error_without_a_leak) {
    const scratch s = scratch_path("memory.png");
    fail_every_allocation(write_action, s.path);
    unlink(s.path);
}
