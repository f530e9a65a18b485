/* text.c: text as windows of tokens, for language models. Start with hz_data_open_text.
 *
 * Windows are views of one array of tokens: x[k, t] = token[k·step + t], y[k, t] = token[k·step + t + 1].
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "nn/data/internal.h"

enum { CODE_POINTS = 0x110000, BYTES = 256, DEFAULT_LENGTH = 64, MAX_CHARACTER = 4 };
static const uint64_t max_file = UINT64_C(256) << 20;

/* ---- characters ---- */

/* The character at `at`, of at most `left` bytes: its length, 0 if it is malformed, and code point. */
static int decode(const char *at, size_t left, int32_t *point) {
    static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07}; /* bits of the first byte that count */
    char text[MAX_CHARACTER + 1] = {0};
    memcpy(text, at, left < MAX_CHARACTER ? left : MAX_CHARACTER);
    int length = hz_utf8_length(text);
    *point = (unsigned char)text[0] & lead[length];
    for (int k = 1; k < length; k++) *point = *point << 6 | (text[k] & 0x3f);
    return length;
}

static int encode(int32_t point, char text[MAX_CHARACTER]) {
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    int length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (int k = length - 1; k > 0; k--, point >>= 6) text[k] = (char)(0x80 | (point & 0x3f));
    text[0] = (char)(lead[length] | point);
    return length;
}

/* Code points into tokens[], as many as there are characters; present[] tells which occur. */
static bool read_characters(const char *path, const char *text, size_t size, int32_t *tokens, int64_t *count,
                            uint8_t *present, hz_error *err) {
    int64_t line = 1;
    *count = 0;
    for (size_t at = 0; at < size;) {
        int32_t point;
        int length = decode(text + at, size - at, &point);
        if (length == 0)
            return hz_fail(err, HZ_EFORMAT, "%s: line %" PRId64 ": byte %zu begins no UTF-8 character",
                           hz_label(path).s, line, at);
        line += point == '\n';
        present[point] = 1;
        tokens[(*count)++] = point;
        at += (size_t)length;
    }
    return true;
}

static void read_bytes(const char *text, size_t size, int32_t *tokens, int64_t *count) {
    for (size_t k = 0; k < size; k++) tokens[k] = (unsigned char)text[k];
    *count = (int64_t)size;
}

/* ---- the vocabulary ---- */

static bool out_of_memory(const char *path, hz_error *err) {
    return hz_fail(err, HZ_ENOMEM, "%s: no memory for its text", hz_label(path).s);
}

/* A name that is no UTF-8 is a byte's. */
static bool is_bytes(const hz_data *vocabulary) {
    return vocabulary->classes == BYTES && (unsigned char)vocabulary->names[BYTES - 1][0] == BYTES - 1;
}

static bool list_bytes(hz__names *names) {
    for (int k = 0; k < BYTES; k++) {
        const char byte = (char)k;
        if (!hz__names_add(names, &byte, 1)) return false;
    }
    return true;
}

/* The characters that are present, in the order of their code points. */
static bool list_characters(const uint8_t *present, hz__names *names) {
    for (int32_t point = 0; point < CODE_POINTS; point++) {
        char text[MAX_CHARACTER];
        if (present[point] && !hz__names_add(names, text, (size_t)encode(point, text))) return false;
    }
    return true;
}

static bool list_again(const hz_data *vocabulary, hz__names *names) {
    for (int64_t k = 0; k < vocabulary->classes; k++)
        if (!hz__names_add(names, vocabulary->names[k], strlen(vocabulary->names[k]))) return false;
    return true;
}

/* present: the characters of the text; NULL: it is one of bytes. */
static bool make_vocabulary(const char *path, const hz_text_opts *o, const uint8_t *present, hz_data *data,
                            hz_error *err) {
    hz__names names = {.arena = {.alloc = data->alloc}};
    bool ok = o->vocabulary ? list_again(o->vocabulary, &names)
              : present     ? list_characters(present, &names)
                            : list_bytes(&names);
    data->memory[2] = ok ? hz__names_pack(&names, &data->alloc) : NULL;
    data->names = data->memory[2];
    data->classes = (int64_t)names.n;
    hz__names_free(&names);
    return data->memory[2] || out_of_memory(path, err);
}

/* ---- tokens ---- */

static bool fail_unknown(const char *path, const int32_t *points, int64_t k, hz_error *err) {
    char text[MAX_CHARACTER + 1] = {0};
    int64_t line = 1;
    for (int64_t i = 0; i < k; i++) line += points[i] == '\n';
    encode(points[k], text);
    return hz_fail(err, HZ_EFORMAT, "%s: line %" PRId64 ": character \"%s\" is not in the vocabulary",
                   hz_label(path).s, line, hz_label(text).s);
}

/* Code points become their places in the vocabulary; rank has room for all code points. */
static bool number_characters(const char *path, const hz_data *data, int32_t *rank, int32_t *tokens,
                              int64_t count, hz_error *err) {
    for (int32_t k = 0; k < CODE_POINTS; k++) rank[k] = -1;
    for (int32_t k = 0; k < data->classes; k++) {
        int32_t point;
        decode(data->names[k], strlen(data->names[k]), &point);
        rank[point] = k;
    }
    for (int64_t k = 0; k < count; k++) /* all are looked up before the first is overwritten */
        if (rank[tokens[k]] < 0) return fail_unknown(path, tokens, k, err);
    for (int64_t k = 0; k < count; k++) tokens[k] = rank[tokens[k]];
    return true;
}

static bool tokenize_characters(const char *path, const hz_text_opts *o, const char *text, size_t size,
                                hz_data *data, int64_t *count, hz_error *err) {
    uint8_t *present = hz_alloc0(&data->alloc, CODE_POINTS);
    int32_t *rank = hz_alloc(&data->alloc, CODE_POINTS * sizeof *rank), *tokens = data->memory[0];
    bool ok = (present && rank) || out_of_memory(path, err);
    ok = ok && read_characters(path, text, size, tokens, count, present, err) &&
         make_vocabulary(path, o, present, data, err) &&
         number_characters(path, data, rank, tokens, *count, err);
    hz_free(&data->alloc, present);
    hz_free(&data->alloc, rank);
    return ok;
}

static bool tokenize(const char *path, const hz_text_opts *o, const char *text, size_t size, hz_data *data,
                     int64_t *count, hz_error *err) {
    data->memory[0] = hz_alloc(&data->alloc, size * sizeof(int32_t));
    if (!data->memory[0]) return out_of_memory(path, err);
    if (!(o->vocabulary ? is_bytes(o->vocabulary) : o->bytes))
        return tokenize_characters(path, o, text, size, data, count, err);
    read_bytes(text, size, data->memory[0], count);
    return make_vocabulary(path, o, NULL, data, err);
}

/* ---- windows ---- */

static bool view_windows(const char *path, const hz_text_opts *o, int64_t count, hz_data *data,
                         hz_error *err) {
    int64_t length = o->length ? o->length : DEFAULT_LENGTH, step = o->step ? o->step : length;
    int32_t *tokens = data->memory[0];
    if (count - 1 < length)
        return hz_fail(err, HZ_EFORMAT,
                       "%s: has %" PRId64 " characters, fewer than the %" PRId64
                       " of a window and the one after it",
                       hz_label(path).s, count, length + 1);
    int64_t n = (count - 1 - length) / step + 1;
    data->x = hz_tensor_of(tokens, HZ_I32, HZ_DIMS(n, length));
    data->y = hz_tensor_of(tokens + 1, HZ_I32, HZ_DIMS(n, length));
    data->x.stride[0] = data->y.stride[0] = step;
    return true;
}

static bool check_opts(const hz_text_opts *o, hz_error *err) {
    if (o->length < 0 || o->length > INT32_MAX || o->step < 0 || o->step > INT32_MAX)
        return hz_fail(err, HZ_EINVAL, "windows of %" PRId64 " tokens, %" PRId64 " apart", o->length,
                       o->step);
    return !o->vocabulary || (o->vocabulary->names && o->vocabulary->classes > 0) ||
           hz_fail(err, HZ_EINVAL, "the vocabulary has no names");
}

bool hz_data_open_text(const char *path, const hz_text_opts *opts, const hz_allocator *alloc, hz_data *data,
                       hz_error *err) {
    const hz_text_opts o = opts ? *opts : (hz_text_opts){0};
    void *text = NULL;
    size_t size = 0;
    int64_t count = 0;
    hz__data_begin(data, alloc);
    bool ok = check_opts(&o, err) && hz_file_read(path, max_file, alloc, &text, &size, err) &&
              tokenize(path, &o, text, size, data, &count, err) && view_windows(path, &o, count, data, err);
    hz_free(alloc, text);
    return hz__data_end(data, ok);
}

bool hz_text_encode(const hz_data *vocabulary, const char *text, int64_t room, int64_t *tokens,
                    int64_t *count, hz_error *err) {
    bool bytes = vocabulary->names && is_bytes(vocabulary);
    for (*count = 0; *text; ++*count) {
        char name[MAX_CHARACTER + 1] = {0};
        int32_t point;
        int length = bytes ? 1 : decode(text, strlen(text), &point);
        memcpy(name, text, (size_t)length);
        int64_t token = bytes        ? (unsigned char)*text
                        : length > 0 ? hz__names_find(vocabulary->names, vocabulary->classes, name)
                                     : -1;
        if (token < 0)
            return hz_fail(err, HZ_ENOTFOUND,
                           "character \"%s\", number %" PRId64 ", is not in the vocabulary",
                           length > 0 ? hz_label(name).s : "?", *count);
        if (*count == room)
            return hz_fail(err, HZ_EINVAL, "the text has more than %" PRId64 " characters", room);
        tokens[*count] = token;
        text += length;
    }
    return true;
}
