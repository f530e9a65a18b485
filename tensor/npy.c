/* npy.c: the format of npy.h. Start with hz_npy_load and hz_npy_save.
 *
 * The header is a Python dictionary literal. Only the form that NumPy and its imitators write is understood:
 * three keys, in any order, a string, a boolean and a tuple of integers.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tensor/half.h"

static const unsigned char MAGIC[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
enum { MAX_HEADER = 1 << 16, PREFIX = 8, SAVE_ALIGN = 64 };

typedef struct {
    const char *descr; /* without its byte-order mark */
    size_t width;
    hz_dtype dtype;
} stored_type;

static const stored_type types[] = {
    {"f4", 4, HZ_F32}, {"f8", 8, HZ_F64}, {"i4", 4, HZ_I32}, {"i8", 8, HZ_I64},
    {"u1", 1, HZ_U8},  {"b1", 1, HZ_U8},  {"f2", 2, HZ_F32},
};
enum { TYPES = sizeof types / sizeof types[0], TYPE_B1 = 5, TYPE_F2 = 6 };

/* What a header says. */
typedef struct {
    const stored_type *type;
    bool big, fortran;
    hz_tensor tensor;
} description;

/* ---- the dictionary ---- */

/* A cursor in the header's text, which ends with a 0 byte. */
typedef struct {
    const char *text, *at;
} cursor;

static bool expected(const cursor *c, const char *what, hz_error *err) {
    return hz_fail(err, HZ_EFORMAT, "header byte %td: expected %s", c->at - c->text, what);
}

static void skip_spaces(cursor *c) {
    while (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r') c->at++;
}

/* Step over one character if it comes next. */
static bool accept(cursor *c, char character) {
    skip_spaces(c);
    if (*c->at != character) return false;
    c->at++;
    return true;
}

static bool accept_word(cursor *c, const char *word) {
    skip_spaces(c);
    if (strncmp(c->at, word, strlen(word)) != 0) return false;
    c->at += strlen(word);
    return true;
}

/* A quoted string without escapes into text[0..size). */
static bool parse_string(cursor *c, char *text, size_t size, hz_error *err) {
    char quote = accept(c, '\'') ? '\'' : accept(c, '"') ? '"' : 0;
    if (!quote) return expected(c, "a string (structured dtypes are not supported)", err);
    const char *end = strchr(c->at, quote);
    size_t length = end ? (size_t)(end - c->at) : size;
    if (length >= size) return expected(c, "a shorter string", err);
    memcpy(text, c->at, length);
    text[length] = 0;
    c->at = end + 1;
    return true;
}

/* A decimal integer ≥ 0. */
static bool parse_size(cursor *c, int64_t *value, hz_error *err) {
    skip_spaces(c);
    if (*c->at < '0' || *c->at > '9') return expected(c, "an integer ≥ 0", err);
    for (*value = 0; *c->at >= '0' && *c->at <= '9'; c->at++) {
        int digit = *c->at - '0';
        if (*value > (INT64_MAX - digit) / 10) return expected(c, "an integer below 2^63", err);
        *value = *value * 10 + digit;
    }
    return true;
}

static bool parse_descr(cursor *c, description *d, hz_error *err) {
    char descr[32];
    if (!parse_string(c, descr, sizeof descr, err)) return false;
    d->big = descr[0] == '>';
    for (int i = 0; i < TYPES && strchr("<>|", descr[0]) && descr[0]; i++)
        if (strcmp(descr + 1, types[i].descr) == 0) {
            d->type = &types[i];
            return true;
        }
    return hz_fail(err, HZ_EFORMAT, "dtype '%s' is not one of f2, f4, f8, i4, i8, u1, b1", hz_label(descr).s);
}

static bool parse_order(cursor *c, description *d, hz_error *err) {
    d->fortran = accept_word(c, "True");
    return d->fortran || accept_word(c, "False") || expected(c, "True or False", err);
}

/* "()", "(3,)", "(3, 4)" */
static bool parse_shape(cursor *c, description *d, hz_error *err) {
    hz_tensor *t = &d->tensor;
    if (!accept(c, '(')) return expected(c, "'('", err);
    for (t->rank = 0; !accept(c, ')'); t->rank++) {
        if (t->rank == HZ_MAX_RANK)
            return hz_fail(err, HZ_EFORMAT, "shape has more than %d axes", HZ_MAX_RANK);
        if (!parse_size(c, &t->dim[t->rank], err)) return false;
        if (!accept(c, ',') && *c->at != ')') return expected(c, "',' or ')'", err);
    }
    return true;
}

static const struct {
    const char *key;
    bool (*parse)(cursor *c, description *d, hz_error *err);
} fields[] = {{"descr", parse_descr}, {"fortran_order", parse_order}, {"shape", parse_shape}};
enum { FIELDS = sizeof fields / sizeof fields[0], ALL_FIELDS = (1 << FIELDS) - 1 };

/* One "key: value"; *seen has a bit for every field met. */
static bool parse_field(cursor *c, description *d, int *seen, hz_error *err) {
    char key[32];
    if (!parse_string(c, key, sizeof key, err)) return false;
    if (!accept(c, ':')) return expected(c, "':'", err);
    for (int i = 0; i < FIELDS; i++)
        if (strcmp(key, fields[i].key) == 0) {
            if (*seen & 1 << i) return hz_fail(err, HZ_EFORMAT, "header has '%s' twice", key);
            *seen |= 1 << i;
            return fields[i].parse(c, d, err);
        }
    return hz_fail(err, HZ_EFORMAT, "header key '%s' is unknown", hz_label(key).s);
}

static bool parse_header(const char *text, size_t size, description *d, hz_error *err) {
    cursor c = {.text = text, .at = text};
    int seen = 0;
    if (!accept(&c, '{')) return expected(&c, "'{'", err);
    while (!accept(&c, '}')) {
        if (!parse_field(&c, d, &seen, err)) return false;
        if (!accept(&c, ',') && *c.at != '}') return expected(&c, "',' or '}'", err);
    }
    skip_spaces(&c);
    if (c.at != text + size) return expected(&c, "nothing more", err);
    if (seen != ALL_FIELDS) return hz_fail(err, HZ_EFORMAT, "header lacks descr, fortran_order or shape");
    return hz_shape_check("shape", d->type->dtype, d->tensor.rank, d->tensor.dim, NULL) ||
           hz_fail(err, HZ_EFORMAT, "shape %s is too large", hz_shape_str(&d->tensor).s);
}

/* ---- the file ---- */

/* Length of the dictionary, from the magic, the version and the length field. */
static bool read_prefix(hz_file_in *in, size_t *length, size_t *prefix, hz_error *err) {
    unsigned char head[PREFIX + 4] = {0};
    if (in->size < PREFIX + 4)
        return hz_fail(err, HZ_EFORMAT, "%s: has %" PRIu64 " bytes, too few for a header",
                       hz_label(in->path).s, in->size);
    if (!hz_file_get(in, head, PREFIX, err)) return false;
    if (memcmp(head, MAGIC, sizeof MAGIC) != 0)
        return hz_fail(err, HZ_EFORMAT, "%s: is no .npy file: wrong magic", hz_label(in->path).s);
    if (head[6] < 1 || head[6] > 3)
        return hz_fail(err, HZ_EFORMAT, "%s: .npy version %d.%d is not one of 1, 2, 3", hz_label(in->path).s,
                       head[6], head[7]);
    size_t field = head[6] == 1 ? 2 : 4;
    if (!hz_file_get(in, head + PREFIX, field, err)) return false;
    *prefix = PREFIX + field;
    *length = head[8] | (size_t)head[9] << 8 | (size_t)head[10] << 16 | (size_t)head[11] << 24;
    if (*length > MAX_HEADER || *length > in->size - *prefix)
        return hz_fail(err, HZ_EFORMAT,
                       "%s: header length %zu exceeds the %" PRIu64 " bytes that follow or the limit of %d",
                       hz_label(in->path).s, *length, in->size - *prefix, MAX_HEADER);
    return true;
}

/* The description, and that the rest of the file is exactly its elements. */
static bool read_description(hz_file_in *in, const hz_allocator *alloc, description *d, hz_error *err) {
    size_t length = 0, prefix = 0;
    if (!read_prefix(in, &length, &prefix, err)) return false;
    char *text = hz_alloc0(alloc, length + 1);
    if (!text) return hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(in->path).s);
    bool ok = hz_file_get(in, text, length, err) &&
              (parse_header(text, length, d, err) || hz_fail_in(err, "%s", hz_label(in->path).s));
    hz_free(alloc, text);
    if (!ok) return false;
    uint64_t held = in->size - prefix - length, needed = (uint64_t)hz_numel(&d->tensor) * d->type->width;
    if (held != needed)
        return hz_fail(err, HZ_EFORMAT,
                       "%s: %" PRIu64 " bytes follow the header, shape %s of %s needs %" PRIu64,
                       hz_label(in->path).s, held, hz_shape_str(&d->tensor).s, d->type->descr, needed);
    return true;
}

static void set_fortran(hz_tensor *t) {
    int64_t step = 1;
    for (int i = 0; i < t->rank; i++) {
        t->stride[i] = step;
        step *= t->dim[i] > 0 ? t->dim[i] : 1;
    }
}

/* f16 at the end of a block to f32 from its start: element i is read before byte 4i + 3 ≤ 2n + 2i + 1 is
 * written. */
static void widen_in_place(float *to, const unsigned char *from, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, sizeof half);
        to[i] = hz__f32_of_f16(half);
    }
}

static bool read_elements(hz_file_in *in, const description *d, hz_error *err) {
    size_t n = (size_t)hz_numel(&d->tensor), width = d->type->width, size = hz_nbytes(&d->tensor);
    unsigned char *bytes = (unsigned char *)d->tensor.data + (size - n * width);
    if (!hz_file_get(in, bytes, n * width, err)) return false;
    hz_file_byte_order(bytes, n, width, d->big);
    if (d->type == &types[TYPE_F2]) widen_in_place(d->tensor.data, bytes, n);
    if (d->type == &types[TYPE_B1])
        for (size_t i = 0; i < n; i++) bytes[i] = bytes[i] != 0;
    return true;
}

static bool load(hz_file_in *in, const hz_allocator *alloc, hz_tensor *out, hz_error *err) {
    description d = {0};
    if (!read_description(in, alloc, &d, err)) return false;
    d.tensor = hz_tensor_of(NULL, d.type->dtype, d.tensor.rank, d.tensor.dim);
    if (d.fortran) set_fortran(&d.tensor);
    d.tensor.data = hz_alloc(alloc, hz_nbytes(&d.tensor));
    if (!d.tensor.data)
        return hz_fail(err, HZ_ENOMEM, "%s: no memory for %zu bytes", hz_label(in->path).s,
                       hz_nbytes(&d.tensor));
    if (read_elements(in, &d, err)) {
        *out = d.tensor;
        return true;
    }
    hz_free(alloc, d.tensor.data);
    return false;
}

bool hz_npy_load(const char *path, const hz_allocator *alloc, hz_tensor *out, hz_error *err) {
    hz_file_in in;
    *out = (hz_tensor){0};
    if (!hz_file_open(path, &in, err)) return false;
    bool ok = load(&in, alloc, out, err);
    hz_file_close(&in);
    return ok;
}

/* ---- writing ---- */

enum { SAVE_HEADER = 512 }; /* more than 8 extents of 19 digits need */

/* Magic, version, length and dictionary, padded to a multiple of SAVE_ALIGN; returns its size. */
static size_t format_header(const hz_tensor *t, const stored_type *type, char head[SAVE_HEADER]) {
    char shape[256];
    int used = 0;
    shape[0] = 0;
    for (int i = 0; i < t->rank; i++)
        used += snprintf(shape + used, sizeof shape - (size_t)used, "%s%" PRId64, i ? ", " : "", t->dim[i]);
    int n = snprintf(head + PREFIX + 2, SAVE_HEADER - PREFIX - 2,
                     "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s%s), }",
                     type->width == 1 ? '|' : '<', type->descr, shape, t->rank == 1 ? "," : "");
    size_t end = PREFIX + 2 + (size_t)n, size = (end + 1 + SAVE_ALIGN - 1) / SAVE_ALIGN * SAVE_ALIGN;
    memset(head + end, ' ', size - end - 1);
    head[size - 1] = '\n';
    memcpy(head, MAGIC, sizeof MAGIC);
    head[6] = 1;
    head[7] = 0;
    head[8] = (char)((size - PREFIX - 2) & 255);
    head[9] = (char)((size - PREFIX - 2) >> 8);
    return size;
}

static const stored_type *stored_as(hz_dtype dtype) {
    for (int i = 0; i < TYPES; i++)
        if (types[i].dtype == dtype) return &types[i];
    return NULL;
}

bool hz_npy_save(const char *path, const hz_tensor *t, const hz_allocator *alloc, hz_error *err) {
    char head[SAVE_HEADER];
    const stored_type *type = stored_as(t->dtype);
    if (!type) return hz_fail(err, HZ_EINVAL, "%s: dtype %d is none", hz_label(path).s, (int)t->dtype);
    if (!hz_shape_check(hz_label(path).s, t->dtype, t->rank, t->dim, err)) return false;
    size_t size = format_header(t, type, head);
    hz_file_out *out = hz_file_create(path, alloc, err);
    if (!out) return false;
    if (hz_file_put(out, head, size, err) && hz_file_put_tensor(out, t, false, err))
        return hz_file_commit(out, err);
    hz_file_discard(out);
    return false;
}
