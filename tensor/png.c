/* png.c: PNG writing through libpng. Start with hz_png_write.
 *
 * libpng reports errors by longjmp. All that a jump passes over is write_png, which owns nothing: whatever
 * must be freed hangs on `png_writing`, in the caller's frame.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/png.h"

#include <png.h>
#include <string.h>

enum { MAX_EXTENT = 1000000, MAX_KEY = 79 };

typedef struct {
    const char *path;
    const hz_tensor *image;
    const hz_text_pair *text;
    size_t n_text;
    hz_allocator alloc;
    hz_file_out *out;
    png_struct *png;
    png_info *info;
    png_text *chunks; /* n_text of them */
    png_byte *row;    /* one packed row of pixels */
    hz_error *err;
    bool reported; /* err already says why writing failed */
} png_writing;

/* ---- what libpng calls ---- */

static void on_error(png_struct *png, const char *message) {
    png_writing *w = png_get_error_ptr(png);
    if (!w->reported) hz_fail(w->err, HZ_EINVAL, "%s: libpng: %s", hz_label(w->path).s, message);
    w->reported = true;
    png_longjmp(png, 1);
}

static void on_warning(png_struct *png, const char *message) {
    (void)png;
    (void)message;
}

static void *on_malloc(png_struct *png, size_t size) {
    png_writing *w = png_get_mem_ptr(png);
    void *memory = hz_alloc(&w->alloc, size);
    if (!memory && !w->reported) {
        hz_fail(w->err, HZ_ENOMEM, "%s: out of memory", hz_label(w->path).s);
        w->reported = true;
    }
    return memory;
}

static void on_free(png_struct *png, void *memory) {
    png_writing *w = png_get_mem_ptr(png);
    hz_free(&w->alloc, memory);
}

static void on_write(png_struct *png, png_byte *data, size_t size) {
    png_writing *w = png_get_io_ptr(png);
    if (hz_file_put(w->out, data, size, w->err)) return;
    w->reported = true;
    png_error(png, "write");
}

static void on_flush(png_struct *png) {
    (void)png;
}

/* ---- checks ---- */

static bool check_image(const char *path, const hz_tensor *t, hz_error *err) {
    if (t->dtype != HZ_U8)
        return hz_fail(err, HZ_EINVAL, "%s: image is %s, not u8", hz_label(path).s, hz_dtype_name(t->dtype));
    bool ok = t->rank == 3 && (t->dim[2] == 1 || t->dim[2] == 3 || t->dim[2] == 4);
    for (int k = 0; ok && k < 2; k++) ok = t->dim[k] >= 1 && t->dim[k] <= MAX_EXTENT;
    return ok || hz_fail(err, HZ_ESHAPE, "%s: image %s is no (H, W, C) with C = 1, 3 or 4 and H, W in 1..%d",
                         hz_label(path).s, hz_shape_str(t).s, MAX_EXTENT);
}

static bool is_key(const char *key) {
    size_t n = strlen(key);
    for (size_t i = 0; i < n; i++)
        if (key[i] < ' ' || key[i] > '~' ||
            (key[i] == ' ' && (i == 0 || key[i + 1] == 0 || key[i + 1] == ' ')))
            return false;
    return n >= 1 && n <= MAX_KEY;
}

static bool check_text(const char *path, const hz_text_pair *text, size_t n, hz_error *err) {
    for (size_t i = 0; i < n; i++) {
        if (!is_key(text[i].key))
            return hz_fail(err, HZ_EINVAL,
                           "%s: text key \"%s\" is not 1 to %d ASCII characters, singly spaced",
                           hz_label(path).s, hz_label(text[i].key).s, MAX_KEY);
        if (!hz_is_utf8(text[i].value))
            return hz_fail(err, HZ_EINVAL, "%s: text of \"%s\" is not UTF-8", hz_label(path).s,
                           hz_label(text[i].key).s);
    }
    return n <= INT32_MAX || hz_fail(err, HZ_EINVAL, "%s: has too many texts", hz_label(path).s);
}

/* ---- writing ---- */

static bool is_ascii(const char *s) {
    while (*s > 0) s++;
    return *s == 0;
}

static void fill_chunks(png_writing *w) {
    for (size_t i = 0; i < w->n_text; i++) {
        const char *value = w->text[i].value;
        bool ascii = is_ascii(value);
        /* libpng's struct is for reading, too, hence not const; it does not write to these. */
        w->chunks[i] = (png_text){
            .compression = ascii ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE,
            .key = (char *)(uintptr_t)w->text[i].key,
            .text = (char *)(uintptr_t)value,
            .text_length = ascii ? strlen(value) : 0,
            .itxt_length = ascii ? 0 : strlen(value),
        };
    }
}

static void gather_row(const hz_tensor *t, int64_t y, png_byte *row) {
    for (int64_t x = 0; x < t->dim[1]; x++)
        for (int64_t c = 0; c < t->dim[2]; c++)
            *row++ = ((const png_byte *)t->data)[hz_offset(t, (int64_t[]){y, x, c})];
}

/* Jumps out through on_error if anything fails. */
static void write_png(png_writing *w) {
    static const int color[5] = {
        [1] = PNG_COLOR_TYPE_GRAY, [3] = PNG_COLOR_TYPE_RGB, [4] = PNG_COLOR_TYPE_RGB_ALPHA};
    const hz_tensor *t = w->image;
    png_set_write_fn(w->png, w, on_write, on_flush);
    png_set_IHDR(w->png, w->info, (png_uint_32)t->dim[1], (png_uint_32)t->dim[0], 8, color[t->dim[2]],
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_text(w->png, w->info, w->chunks, (int)w->n_text);
    png_write_info(w->png, w->info);
    for (int64_t y = 0; y < t->dim[0]; y++) {
        gather_row(t, y, w->row);
        png_write_row(w->png, w->row);
    }
    png_write_end(w->png, NULL);
}

static bool try_write(png_writing *w) {
    if (setjmp(png_jmpbuf(w->png)) != 0) return false;
    write_png(w);
    return true;
}

static bool prepare(png_writing *w) {
    w->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, w, on_error, on_warning, w, on_malloc, on_free);
    w->info = w->png ? png_create_info_struct(w->png) : NULL;
    w->row = hz_alloc(&w->alloc, (size_t)(w->image->dim[1] * w->image->dim[2]));
    w->chunks =
        w->n_text < SIZE_MAX / sizeof *w->chunks ? hz_alloc(&w->alloc, w->n_text * sizeof *w->chunks) : NULL;
    if (!w->info || !w->row || !w->chunks)
        return hz_fail(w->err, HZ_ENOMEM, "%s: out of memory", hz_label(w->path).s);
    fill_chunks(w);
    w->out = hz_file_create(w->path, &w->alloc, w->err);
    return w->out != NULL;
}

bool hz_png_write(const char *path, const hz_tensor *image, const hz_text_pair *text, size_t n,
                  const hz_allocator *alloc, hz_error *err) {
    if (!check_image(path, image, err) || !check_text(path, text, n, err)) return false;
    png_writing w = {.path = path, .image = image, .text = text, .n_text = n, .err = err};
    if (alloc) w.alloc = *alloc;
    bool ok = prepare(&w) && try_write(&w);
    png_destroy_write_struct(&w.png, &w.info);
    hz_free(&w.alloc, w.row);
    hz_free(&w.alloc, w.chunks);
    if (ok) return hz_file_commit(w.out, err);
    hz_file_discard(w.out);
    return false;
}
