/* safetensors.c: the format of safetensors.h. Start with hz_safetensors_open and hz_safetensors_write.
 *
 * Opening goes in this order, so that a lie is found before it costs anything: the header's length against
 * the file's; the JSON; each tensor's shape against its offsets; all offsets together against the file's
 * length; then the data.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/half.h"

enum { MAX_HEADER = 100 * 1000 * 1000, MAX_DEPTH = 3, MAX_VALUES = 1 << 21 };
static const char METADATA[] = "__metadata__";

/* How a dtype of the file becomes one of ours; widen is NULL where the bytes are taken as they are. */
typedef struct {
    const char *name;
    size_t width; /* bytes of an element in the file */
    hz_dtype dtype;
    float (*widen)(uint16_t);
} stored_type;

static const stored_type types[] = {
    {"F32", 4, HZ_F32, NULL},
    {"F64", 8, HZ_F64, NULL},
    {"I32", 4, HZ_I32, NULL},
    {"I64", 8, HZ_I64, NULL},
    {"U8", 1, HZ_U8, NULL},
    {"BOOL", 1, HZ_U8, NULL},
    {"F16", 2, HZ_F32, hz__f32_of_f16},
    {"BF16", 2, HZ_F32, hz__f32_of_bf16},
};
enum { TYPES = sizeof types / sizeof types[0], TYPE_BOOL = 5, TYPE_F16 = 6 };

typedef struct {
    const char *name; /* in the arena */
    const stored_type *type;
    uint64_t begin, end; /* bytes from the start of the data */
    hz_tensor tensor;
} entry;

struct hz_safetensors {
    hz_allocator alloc;
    hz_arena arena; /* names, entries, metadata */
    char *path;
    entry *entries; /* in the order of their data */
    size_t count;
    hz_text_pair *metadata;
    size_t n_metadata;
    void *data;  /* the file's data section */
    void *extra; /* widened or realigned copies of the tensors that need one */
};

static bool no_memory(const hz_safetensors *st, hz_error *err) {
    return hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(st->path).s);
}

/* Every complaint about a tensor opens with these words. */
static bool in_tensor(const hz_safetensors *st, const char *name, hz_error *err) {
    return hz_fail_in(err, "%s: tensor \"%s\"", hz_label(st->path).s, hz_label(name).s);
}

/* ---- the header's JSON ---- */

/* Refuse what a general JSON parser would pay for in stack and memory: deeper nesting than the format has,
 * and more values than the tensors of any model. */
static bool check_structure(const hz_safetensors *st, const char *text, size_t n, hz_error *err) {
    int depth = 0, commas = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (quoted)
            continue;
        else if (text[i] == '{' || text[i] == '[')
            depth++;
        else if (text[i] == '}' || text[i] == ']')
            depth--;
        else if (text[i] == ',')
            commas++;
        if (depth > MAX_DEPTH || commas >= MAX_VALUES)
            return hz_fail(err, HZ_EFORMAT,
                           "%s: header nests deeper than %d levels or has more than %d values at byte %zu",
                           hz_label(st->path).s, MAX_DEPTH, MAX_VALUES, i);
    }
    return true;
}

static json_t *parse_header(const hz_safetensors *st, const char *text, size_t n, hz_error *err) {
    json_error_t at;
    if (!check_structure(st, text, n, err)) return NULL;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &at);
    if (!root && json_error_code(&at) == json_error_out_of_memory) {
        no_memory(st, err);
    } else if (!root) {
        hz_fail(err, HZ_EFORMAT, "%s: header is no valid JSON at byte %d: %s", hz_label(st->path).s,
                at.position, hz_label(at.text).s);
    } else if (text[0] != '{') {
        hz_fail(err, HZ_EFORMAT, "%s: header is no JSON object", hz_label(st->path).s);
        json_decref(root);
        root = NULL;
    }
    return root;
}

/* The header's text, checked for length and parsed; the caller drops it with json_decref. */
static json_t *read_header(const hz_safetensors *st, hz_file_in *in, uint64_t *header_end, hz_error *err) {
    uint64_t n;
    if (in->size < sizeof n) {
        hz_fail(err, HZ_EFORMAT, "%s: has %" PRIu64 " bytes, too few for a header", hz_label(st->path).s,
                in->size);
        return NULL;
    }
    if (!hz_file_get(in, &n, sizeof n, err)) return NULL;
    hz_file_byte_order(&n, 1, sizeof n, false);
    if (n < 2 || n > MAX_HEADER || n > in->size - sizeof n) {
        hz_fail(err, HZ_EFORMAT,
                "%s: header length %" PRIu64 " is not between 2 and the %" PRIu64
                " bytes that follow (limit %d)",
                hz_label(st->path).s, n, in->size - (uint64_t)sizeof n, MAX_HEADER);
        return NULL;
    }
    char *text = hz_alloc(&st->alloc, (size_t)n);
    if (!text) {
        no_memory(st, err);
        return NULL;
    }
    json_t *root = hz_file_get(in, text, (size_t)n, err) ? parse_header(st, text, (size_t)n, err) : NULL;
    hz_free(&st->alloc, text);
    *header_end = sizeof n + n;
    return root;
}

/* ---- one tensor's entry; the errors here get the file's and tensor's name from in_tensor ---- */

static bool read_type(const json_t *info, const stored_type **type, hz_error *err) {
    const char *name = json_string_value(json_object_get(info, "dtype"));
    if (!name) return hz_fail(err, HZ_EFORMAT, "dtype is missing or no string");
    for (int i = 0; i < TYPES; i++)
        if (strcmp(types[i].name, name) == 0) {
            *type = &types[i];
            return true;
        }
    return hz_fail(err, HZ_EFORMAT, "dtype %s is not one of F32, F64, F16, BF16, I32, I64, U8, BOOL",
                   hz_label(name).s);
}

/* array[i] as a size ≥ 0, or −1 if it is anything else. */
static int64_t size_at(const json_t *array, size_t i) {
    const json_t *number = json_array_get(array, i);
    json_int_t value = json_integer_value(number);
    return json_is_integer(number) && value >= 0 ? (int64_t)value : -1;
}

static bool read_shape(const json_t *info, hz_dtype dtype, hz_tensor *t, hz_error *err) {
    const json_t *shape = json_object_get(info, "shape");
    int64_t dim[HZ_MAX_RANK];
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape)) return hz_fail(err, HZ_EFORMAT, "shape is missing or no array");
    if (rank > HZ_MAX_RANK)
        return hz_fail(err, HZ_EFORMAT, "shape has %zu axes, more than %d", rank, HZ_MAX_RANK);
    for (size_t i = 0; i < rank; i++) {
        dim[i] = size_at(shape, i);
        if (dim[i] < 0) return hz_fail(err, HZ_EFORMAT, "shape[%zu] is no integer ≥ 0", i);
    }
    if (!hz_shape_check("shape", dtype, (int)rank, dim, NULL))
        return hz_fail(err, HZ_EFORMAT, "shape %s is too large", hz_dims_str((int)rank, dim).s);
    *t = hz_tensor_of(NULL, dtype, (int)rank, dim);
    return true;
}

static bool read_offsets(const json_t *info, entry *e, hz_error *err) {
    const json_t *pair = json_object_get(info, "data_offsets");
    int64_t begin = size_at(pair, 0), end = size_at(pair, 1);
    if (!json_is_array(pair) || json_array_size(pair) != 2 || begin < 0 || end < 0)
        return hz_fail(err, HZ_EFORMAT, "data_offsets is missing or no pair of integers ≥ 0");
    if (end < begin)
        return hz_fail(err, HZ_EFORMAT, "data_offsets [%" PRId64 ",%" PRId64 "] end before they begin", begin,
                       end);
    uint64_t held = (uint64_t)(end - begin), needed = (uint64_t)hz_numel(&e->tensor) * e->type->width;
    if (held != needed)
        return hz_fail(err, HZ_EFORMAT,
                       "data_offsets [%" PRId64 ",%" PRId64 "] hold %" PRIu64
                       " bytes, shape %s of %s needs %" PRIu64,
                       begin, end, held, hz_shape_str(&e->tensor).s, e->type->name, needed);
    e->begin = (uint64_t)begin;
    e->end = (uint64_t)end;
    return true;
}

static bool read_entry(hz_safetensors *st, const char *name, const json_t *info, entry *e, hz_error *err) {
    e->name = hz_arena_strdup(&st->arena, name);
    if (!e->name) return no_memory(st, err);
    bool ok = json_is_object(info)
                  ? read_type(info, &e->type, err) && read_shape(info, e->type->dtype, &e->tensor, err) &&
                        read_offsets(info, e, err)
                  : hz_fail(err, HZ_EFORMAT, "is no JSON object");
    return ok || in_tensor(st, name, err);
}

/* ---- all entries ---- */

static bool read_metadata(hz_safetensors *st, json_t *object, hz_error *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return hz_fail(err, HZ_EFORMAT, "%s: %s is no JSON object", hz_label(st->path).s, METADATA);
    st->metadata = hz_arena_alloc(&st->arena, (json_object_size(object) + 1) * sizeof *st->metadata);
    if (!st->metadata) return no_memory(st, err);
    json_object_foreach (object, key, value) {
        if (!json_is_string(value))
            return hz_fail(err, HZ_EFORMAT, "%s: %s value of \"%s\" is no string", hz_label(st->path).s,
                           METADATA, hz_label(key).s);
        hz_text_pair *pair = &st->metadata[st->n_metadata++];
        pair->key = hz_arena_strdup(&st->arena, key);
        pair->value = hz_arena_strdup(&st->arena, json_string_value(value));
        if (!pair->key || !pair->value) return no_memory(st, err);
    }
    return true;
}

static bool read_entries(hz_safetensors *st, json_t *root, hz_error *err) {
    const char *name;
    json_t *info;
    st->entries = hz_arena_alloc(&st->arena, (json_object_size(root) + 1) * sizeof *st->entries);
    if (!st->entries) return no_memory(st, err);
    json_object_foreach (root, name, info) {
        bool ok = strcmp(name, METADATA) == 0 ? read_metadata(st, info, err)
                                              : read_entry(st, name, info, &st->entries[st->count++], err);
        if (!ok) return false;
    }
    return true;
}

static int by_offset(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Sorted by offset, each tensor must begin where the one before ended, and the last end with the file. */
static bool check_cover(hz_safetensors *st, uint64_t data_size, hz_error *err) {
    uint64_t at = 0;
    qsort(st->entries, st->count, sizeof *st->entries, by_offset);
    for (size_t i = 0; i < st->count; i++) {
        const entry *e = &st->entries[i];
        if (e->begin != at) {
            hz_fail(err, HZ_EFORMAT,
                    "data_offsets [%" PRIu64 ",%" PRIu64 "] %s byte %" PRIu64
                    ", where the tensor before ends",
                    e->begin, e->end, e->begin < at ? "overlap what lies before" : "leave a hole after", at);
            return in_tensor(st, e->name, err);
        }
        if (e->end > data_size) {
            hz_fail(err, HZ_EFORMAT,
                    "data_offsets [%" PRIu64 ",%" PRIu64 "] end after the file's %" PRIu64 " bytes of data",
                    e->begin, e->end, data_size);
            return in_tensor(st, e->name, err);
        }
        at = e->end;
    }
    if (at != data_size)
        return hz_fail(err, HZ_EFORMAT, "%s: has %" PRIu64 " bytes of data, its tensors %" PRIu64,
                       hz_label(st->path).s, data_size, at);
    return true;
}

/* ---- the data ---- */

/* Whether e's bytes cannot serve as a tensor where they lie: 16-bit floats, misaligned numbers. */
static bool needs_copy(const entry *e) {
    return e->end > e->begin && (e->type->widen || e->begin % e->type->width != 0);
}

/* A copy's place in `extra`, kept aligned for every dtype. Cannot overflow: at most 7 more bytes than nbytes,
 * of which the file holds at least half. */
static uint64_t copy_size(const entry *e) {
    return needs_copy(e) ? ((uint64_t)hz_nbytes(&e->tensor) + 7) / 8 * 8 : 0;
}

static void widen(const entry *e, const unsigned char *from, float *to) {
    for (uint64_t i = 0, n = (e->end - e->begin) / 2; i < n; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, sizeof half);
        to[i] = e->type->widen(half);
    }
}

/* Point e's tensor at its elements, in the machine's byte order and a type of ours. */
static void place(hz_safetensors *st, entry *e, unsigned char *copy) {
    unsigned char *bytes = (unsigned char *)st->data + e->begin;
    uint64_t size = e->end - e->begin;
    hz_file_byte_order(bytes, (size_t)size / e->type->width, e->type->width, false);
    if (e->type == &types[TYPE_BOOL])
        for (uint64_t i = 0; i < size; i++) bytes[i] = bytes[i] != 0;
    e->tensor.data = needs_copy(e) ? copy : bytes;
    if (e->type->widen)
        widen(e, bytes, e->tensor.data);
    else if (needs_copy(e))
        memcpy(copy, bytes, (size_t)size);
}

static bool read_data(hz_safetensors *st, hz_file_in *in, uint64_t size, hz_error *err) {
    uint64_t extra = 0;
    for (size_t i = 0; i < st->count; i++) extra += copy_size(&st->entries[i]);
    if (size > PTRDIFF_MAX || extra > PTRDIFF_MAX) return no_memory(st, err);
    st->data = hz_alloc(&st->alloc, (size_t)size);
    st->extra = extra ? hz_alloc(&st->alloc, (size_t)extra) : NULL;
    if (!st->data || (extra && !st->extra)) return no_memory(st, err);
    if (!hz_file_get(in, st->data, (size_t)size, err)) return false;
    unsigned char *copy = st->extra;
    for (size_t i = 0; i < st->count; i++) {
        place(st, &st->entries[i], copy);
        if (copy) copy += copy_size(&st->entries[i]);
    }
    return true;
}

/* ---- open, close, look up ---- */

static bool read_file(hz_safetensors *st, hz_file_in *in, hz_error *err) {
    uint64_t header_end;
    json_t *root = read_header(st, in, &header_end, err);
    bool ok = root && read_entries(st, root, err);
    json_decref(root);
    if (!ok) return false;
    uint64_t data_size = in->size - header_end;
    return check_cover(st, data_size, err) && read_data(st, in, data_size, err);
}

/* Read *in, which is closed afterwards. */
static bool open_input(hz_file_in *in, const hz_allocator *alloc, hz_safetensors **out, hz_error *err) {
    hz_safetensors *st = hz_alloc0(alloc, sizeof *st);
    bool ok = false;
    if (st) {
        if (alloc) st->alloc = *alloc;
        st->arena.alloc = st->alloc;
        st->path = hz_arena_strdup(&st->arena, in->path);
    }
    if (st && st->path)
        ok = read_file(st, in, err);
    else
        hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(in->path).s);
    hz_file_close(in);
    if (!ok) hz_safetensors_close(st);
    if (ok) *out = st;
    return ok;
}

bool hz_safetensors_open(const char *path, const hz_allocator *alloc, hz_safetensors **out, hz_error *err) {
    hz_file_in in;
    *out = NULL;
    return hz_file_open(path, &in, err) && open_input(&in, alloc, out, err);
}

bool hz_safetensors_open_bytes(const char *path, const void *bytes, size_t size, const hz_allocator *alloc,
                               hz_safetensors **out, hz_error *err) {
    hz_file_in in;
    *out = NULL;
    hz_file_open_bytes(path, bytes, size, &in);
    return open_input(&in, alloc, out, err);
}

void hz_safetensors_close(hz_safetensors *st) {
    if (!st) return;
    hz_allocator alloc = st->alloc;
    hz_free(&alloc, st->data);
    hz_free(&alloc, st->extra);
    hz_arena_free(&st->arena);
    hz_free(&alloc, st);
}

size_t hz_safetensors_count(const hz_safetensors *st) {
    return st->count;
}

const char *hz_safetensors_name(const hz_safetensors *st, size_t i) {
    return st->entries[i].name;
}

const hz_tensor *hz_safetensors_tensor(const hz_safetensors *st, size_t i) {
    return &st->entries[i].tensor;
}

const hz_tensor *hz_safetensors_find(const hz_safetensors *st, const char *name) {
    for (size_t i = 0; i < st->count; i++)
        if (strcmp(st->entries[i].name, name) == 0) return &st->entries[i].tensor;
    return NULL;
}

bool hz_safetensors_get(const hz_safetensors *st, const char *name, hz_tensor *out, hz_error *err) {
    const hz_tensor *found = hz_safetensors_find(st, name);
    if (!found)
        return hz_fail(err, HZ_ENOTFOUND, "%s: has no tensor \"%s\" among its %zu", hz_label(st->path).s,
                       hz_label(name).s, st->count);
    *out = *found;
    return true;
}

const hz_text_pair *hz_safetensors_metadata(const hz_safetensors *st, size_t *count) {
    *count = st->n_metadata;
    return st->metadata;
}

const char *hz_safetensors_metadata_value(const hz_safetensors *st, const char *key) {
    for (size_t i = 0; i < st->n_metadata; i++)
        if (strcmp(st->metadata[i].key, key) == 0) return st->metadata[i].value;
    return NULL;
}

/* ---- writing ---- */

static const stored_type *stored_as(const hz_tensor *t, bool as_f16) {
    if (as_f16 && hz_dtype_is_float(t->dtype)) return &types[TYPE_F16];
    for (int i = 0; i < TYPES; i++)
        if (types[i].dtype == t->dtype) return &types[i];
    return NULL;
}

static json_t *describe(const hz_tensor *t, const stored_type *type, uint64_t begin, uint64_t end) {
    json_t *shape = json_array();
    for (int i = 0; shape && i < t->rank; i++)
        if (json_array_append_new(shape, json_integer(t->dim[i])) != 0) {
            json_decref(shape);
            shape = NULL;
        }
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", type->name, "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

/* object[key] = value; takes over value, and NULL as its value means that memory ran out. */
static bool add_key(const char *path, json_t *object, const char *key, json_t *value, hz_error *err) {
    bool twice = json_object_get(object, key) != NULL, utf8 = hz_is_utf8(key);
    if (!twice && utf8 && json_object_set_new(object, key, value) == 0) return true;
    if (twice || !utf8) {
        json_decref(value);
        return hz_fail(err, HZ_EINVAL, "%s: name \"%s\" %s", hz_label(path).s, hz_label(key).s,
                       twice ? "is given twice" : "is not UTF-8");
    }
    return hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(path).s);
}

static bool add_metadata(const char *path, json_t *root, const hz_text_pair *metadata, size_t n,
                         hz_error *err) {
    json_t *object = json_object();
    if (!add_key(path, root, METADATA, object, err)) return false;
    for (size_t i = 0; i < n; i++) {
        if (!hz_is_utf8(metadata[i].value))
            return hz_fail(err, HZ_EINVAL, "%s: value of metadata \"%s\" is not UTF-8", hz_label(path).s,
                           hz_label(metadata[i].key).s);
        if (!add_key(path, object, metadata[i].key, json_string(metadata[i].value), err)) return false;
    }
    return true;
}

/* What is to be written, in the order of the data. */
typedef struct {
    const char *path;
    const hz_safetensors_entry **order;
    size_t n;
    bool as_f16;
} writing;

static bool check_entry(const char *path, const hz_safetensors_entry *e, hz_error *err) {
    const hz_tensor *t = &e->tensor;
    bool ok = strcmp(e->name, METADATA) == 0 ? hz_fail(err, HZ_EINVAL, "this name is reserved")
              : stored_as(t, false)          ? hz_shape_check("data", t->dtype, t->rank, t->dim, err)
                                             : hz_fail(err, HZ_EINVAL, "dtype %d is none", (int)t->dtype);
    return ok || hz_fail_in(err, "%s: tensor \"%s\"", hz_label(path).s, hz_label(e->name).s);
}

/* Wider elements first, otherwise as given. */
static bool sort_entries(writing *w, const hz_safetensors_entry *entries, size_t n, hz_error *err) {
    for (size_t i = 0; i < n; i++)
        if (!check_entry(w->path, &entries[i], err)) return false;
    for (size_t width = 8; width > 0; width /= 2)
        for (size_t i = 0; i < n; i++)
            if (stored_as(&entries[i].tensor, w->as_f16)->width == width) w->order[w->n++] = &entries[i];
    return true;
}

static bool add_tensors(const writing *w, json_t *root, hz_error *err) {
    uint64_t at = 0;
    for (size_t i = 0; i < w->n; i++) {
        const hz_safetensors_entry *e = w->order[i];
        const stored_type *type = stored_as(&e->tensor, w->as_f16);
        uint64_t end = at + (uint64_t)hz_numel(&e->tensor) * type->width;
        if (end > INT64_MAX)
            return hz_fail(err, HZ_EINVAL, "%s: tensors exceed 2^63 bytes", hz_label(w->path).s);
        if (!add_key(w->path, root, e->name, describe(&e->tensor, type, at, end), err)) return false;
        at = end;
    }
    return true;
}

static bool put_header(const char *path, hz_file_out *out, const json_t *root, hz_error *err) {
    char *text = json_dumps(root, JSON_COMPACT);
    if (!text) return hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(path).s);
    size_t length = strlen(text), padding = (8 - length % 8) % 8;
    uint64_t n = length + padding;
    hz_file_byte_order(&n, 1, sizeof n, false);
    bool ok = length + padding <= MAX_HEADER
                  ? hz_file_put(out, &n, sizeof n, err) && hz_file_put(out, text, length, err) &&
                        hz_file_put(out, "       ", padding, err)
                  : hz_fail(err, HZ_EINVAL, "%s: header would have %zu bytes, more than %d", hz_label(path).s,
                            length, MAX_HEADER);
    free(text);
    return ok;
}

static bool put_file(const writing *w, hz_file_out *out, const json_t *root, hz_error *err) {
    if (!put_header(w->path, out, root, err)) return false;
    for (size_t i = 0; i < w->n; i++)
        if (!hz_file_put_tensor(out, &w->order[i]->tensor, w->as_f16, err)) return false;
    return true;
}

static bool write_file(const writing *w, const json_t *root, const hz_allocator *alloc, hz_error *err) {
    hz_file_out *out = hz_file_create(w->path, alloc, err);
    if (!out) return false;
    if (put_file(w, out, root, err)) return hz_file_commit(out, err);
    hz_file_discard(out);
    return false;
}

bool hz_safetensors_write(const char *path, const hz_safetensors_entry *entries, size_t n,
                          const hz_text_pair *metadata, size_t n_metadata, const hz_safetensors_options *opts,
                          hz_error *err) {
    const hz_allocator *alloc = opts ? opts->alloc : NULL;
    writing w = {.path = path, .as_f16 = opts && opts->as_f16};
    if (n < SIZE_MAX / sizeof *w.order) w.order = hz_alloc(alloc, n * sizeof *w.order);
    json_t *root = w.order ? json_object() : NULL;
    bool ok = root ? sort_entries(&w, entries, n, err) &&
                         (n_metadata == 0 || add_metadata(path, root, metadata, n_metadata, err)) &&
                         add_tensors(&w, root, err) && write_file(&w, root, alloc, err)
                   : hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(path).s);
    json_decref(root);
    hz_free(alloc, w.order);
    return ok;
}
