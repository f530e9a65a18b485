/* tfjs.c: the weights of a TensorFlow.js model. Start with hz__tfjs_read.
 *
 *   model.json   {"weightsManifest": [group, …], …}
 *   group        {"paths": ["group1-shard1of25.bin", …], "weights": [{"name", "shape", "dtype"}, …]}
 *   shards       the weights of their group, in order, without gaps: little-endian, row-major
 *
 * A weight may straddle shards. Kernels are stored with the output channels last; they are turned round here so that
 * the rest of the library knows one order. Everything is untrusted: the sizes of the shards are added up before memory
 * is asked for, and a shard is a plain file name, so that nothing outside the folder is read.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/tfjs.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tensor/elementwise.h"
#include "tensor/file.h"

enum { MAX_JSON = 32 << 20, MAX_SHARDS = 1 << 16 };

typedef struct {
    const char *path; /* of model.json */
    const hz_allocator *alloc;
    hz_arena *arena;
    const json_t *manifest;
    hz__tfjs *out;
    unsigned char *data; /* where the next group goes */
} reader;

static bool no_memory(const reader *r, hz_error *err) {
    return hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(r->path).s);
}

static bool malformed(const reader *r, hz_error *err, const char *what) {
    return hz_fail(err, HZ_EFORMAT, "%s: %s", hz_label(r->path).s, what);
}

/* What goes in front of a complaint about one weight. */
static bool in_weight(const reader *r, const char *name, hz_error *err) {
    return hz_fail_in(err, "%s: weight \"%s\"", hz_label(r->path).s, hz_label(name).s);
}

/* ---- shards ---- */

/* A name that stays in the folder it is looked up in. (JSON strings with a NUL were refused by the parser.) */
static bool is_plain_name(const json_t *path) {
    const char *name = json_string_value(path);
    return name && *name && !strpbrk(name, "/\\") && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* "FOLDER/name" in the arena, FOLDER that of model.json. */
static const char *beside(const reader *r, const char *name) {
    const char *slash = strrchr(r->path, '/');
    size_t folder = slash ? (size_t)(slash - r->path) + 1 : 0, n = strlen(name) + 1;
    char *full = hz_arena_alloc(r->arena, folder + n);
    if (!full) return NULL;
    memcpy(full, r->path, folder);
    memcpy(full + folder, name, n);
    return full;
}

static bool open_shard(const reader *r, const json_t *path, hz_file_in *in, hz_error *err) {
    if (!is_plain_name(path))
        return hz_fail(err, HZ_EFORMAT, "%s: shard \"%s\" is no plain file name", hz_label(r->path).s,
                       hz_label(json_is_string(path) ? json_string_value(path) : "").s);
    const char *full = beside(r, json_string_value(path));
    return full ? hz_file_open(full, in, err) : no_memory(r, err);
}

/* Bytes of all shards of all groups. Naming a shard twice would let a small folder ask for any amount of memory. */
static bool measure_shards(const reader *r, json_t *seen, uint64_t *total, hz_error *err) {
    size_t g, s;
    const json_t *group, *path;
    json_array_foreach (r->manifest, g, group) {
        const json_t *paths = json_object_get(group, "paths");
        if (!json_is_array(paths))
            return malformed(r, err, "a group of weightsManifest has no list \"paths\"");
        json_array_foreach (paths, s, path) {
            hz_file_in in;
            if (!open_shard(r, path, &in, err)) return false;
            hz_file_close(&in);
            if (json_object_get(seen, json_string_value(path)))
                return hz_fail(err, HZ_EFORMAT, "%s: shard \"%s\" is listed twice", hz_label(r->path).s,
                               hz_label(json_string_value(path)).s);
            if (json_object_size(seen) >= MAX_SHARDS || in.size > PTRDIFF_MAX - *total)
                return malformed(r, err, "the shards are too many or too large");
            *total += in.size;
            if (json_object_set_new(seen, json_string_value(path), json_true()) != 0)
                return no_memory(r, err);
        }
    }
    return true;
}

/* The shards of one group, one after the other, to r->data, where `room` bytes are left. */
static bool read_shards(const reader *r, const json_t *paths, uint64_t room, uint64_t *size, hz_error *err) {
    size_t s;
    const json_t *path;
    *size = 0;
    json_array_foreach (paths, s, path) {
        hz_file_in in;
        if (!open_shard(r, path, &in, err)) return false;
        bool ok = in.size <= room - *size ? hz_file_get(&in, r->data + *size, (size_t)in.size, err)
                                          : malformed(r, err, "a shard grew while it was read");
        hz_file_close(&in);
        if (!ok) return false;
        *size += in.size;
    }
    return true;
}

/* ---- one weight; errors get the file's and the weight's name from in_weight ---- */

static bool read_dtype(const json_t *info, hz_dtype *dtype, hz_error *err) {
    const char *name = json_string_value(json_object_get(info, "dtype"));
    if (json_object_get(info, "quantization"))
        return hz_fail(err, HZ_EFORMAT,
                       "is quantized, which is not read: convert the model without quantization");
    if (!name) return hz_fail(err, HZ_EFORMAT, "dtype is missing or no string");
    if (strcmp(name, "float32") != 0 && strcmp(name, "int32") != 0)
        return hz_fail(err, HZ_EFORMAT, "dtype %s is neither float32 nor int32", hz_label(name).s);
    *dtype = *name == 'f' ? HZ_F32 : HZ_I32;
    return true;
}

static bool read_shape(const json_t *info, hz_tensor *t, hz_error *err) {
    const json_t *shape = json_object_get(info, "shape");
    size_t rank = json_array_size(shape);
    int64_t dim[HZ_MAX_RANK];
    if (!json_is_array(shape)) return hz_fail(err, HZ_EFORMAT, "shape is missing or no list");
    if (rank > HZ_MAX_RANK)
        return hz_fail(err, HZ_EFORMAT, "shape has %zu axes, more than %d", rank, HZ_MAX_RANK);
    for (size_t i = 0; i < rank; i++) {
        const json_t *extent = json_array_get(shape, i);
        if (!json_is_integer(extent)) return hz_fail(err, HZ_EFORMAT, "shape[%zu] is no integer", i);
        dim[i] = json_integer_value(extent);
    }
    if (!hz_shape_check("shape", t->dtype, (int)rank, dim, err)) return false;
    *t = hz_tensor_of(NULL, t->dtype, (int)rank, dim);
    return true;
}

static bool read_weight(const json_t *info, hz_tensor *t, uint64_t left, hz_error *err) {
    if (!read_dtype(info, &t->dtype, err) || !read_shape(info, t, err)) return false;
    if (hz_nbytes(t) > left)
        return hz_fail(err, HZ_EFORMAT, "%s needs %zu bytes, its shards have %" PRIu64 " left",
                       hz_shape_str(t).s, hz_nbytes(t), left);
    return true;
}

/* ---- kernels ---- */

static bool last_word_is(const char *name, const char *word) {
    const char *slash = strrchr(name, '/');
    return strcmp(slash ? slash + 1 : name, word) == 0;
}

/* How the axes of this weight are to be permuted: output channels first. NULL: they stay. */
static const int *kernel_order(const hz__weight *w) {
    static const int conv[] = {3, 2, 0, 1};      /* H W in out → out in H W */
    static const int depthwise[] = {2, 3, 0, 1}; /* H W C m → C m H W */
    static const int dense[] = {1, 0};           /* in out → out in */
    if (w->tensor.rank == 4 && last_word_is(w->name, "kernel")) return conv;
    if (w->tensor.rank == 4 && last_word_is(w->name, "depthwise_kernel")) return depthwise;
    if (w->tensor.rank == 2 && last_word_is(w->name, "kernel")) return dense;
    return NULL;
}

/* Turn w's elements round where they lie, by way of scratch, which has room for them. */
static bool turn_kernel(hz__weight *w, const hz_exec *ex, void *scratch, hz_error *err) {
    const int *order = kernel_order(w);
    hz_tensor stored = w->tensor, turned;
    if (!order) return true;
    stored.data = memcpy(scratch, w->tensor.data, hz_nbytes(&w->tensor));
    if (!hz_view_permute(&stored, order, &turned, err)) return false;
    w->tensor = hz_tensor_of(w->tensor.data, turned.dtype, turned.rank, turned.dim);
    hz_copy(ex, &turned, &w->tensor);
    if (!last_word_is(w->name, "depthwise_kernel")) return true;
    const int64_t one_group_each[] = {-1, 1, turned.dim[2], turned.dim[3]};
    return hz_view_reshape(&w->tensor, 4, one_group_each, &w->tensor, err);
}

static bool turn_kernels(const reader *r, hz_error *err) {
    size_t largest = 0;
    for (size_t i = 0; i < r->out->count; i++) {
        size_t size = hz_nbytes(&r->out->weight[i].tensor);
        if (kernel_order(&r->out->weight[i]) && size > largest) largest = size;
    }
    hz_exec ex = {.pool = hz_pool_new(r->alloc), .threads = 1, .isa = hz_isa_resolve(HZ_ISA_AUTO)};
    void *scratch = hz_alloc(r->alloc, largest);
    bool ok = (ex.pool && scratch) || no_memory(r, err);
    for (size_t i = 0; ok && i < r->out->count; i++) {
        hz__weight *w = &r->out->weight[i];
        ok = turn_kernel(w, &ex, scratch, err) || in_weight(r, w->name, err);
    }
    hz_free(r->alloc, scratch);
    hz_pool_free(ex.pool);
    return ok;
}

/* ---- groups ---- */

static bool add_weight(reader *r, const json_t *info, uint64_t *left, hz_error *err) {
    const char *name = json_string_value(json_object_get(info, "name"));
    if (!name) return malformed(r, err, "a weight has no name");
    hz__weight *w = &r->out->weight[r->out->count++];
    w->name = hz_arena_strdup(r->arena, name);
    if (!w->name) return no_memory(r, err);
    if (!read_weight(info, &w->tensor, *left, err)) return in_weight(r, name, err);
    size_t size = hz_nbytes(&w->tensor);
    w->tensor.data = r->data;
    hz_file_byte_order(r->data, size / 4, 4, false);
    r->data += size;
    *left -= size;
    return true;
}

/* A group's shards to where r->data stands, and its weights as views of them. *left: bytes from there on. */
static bool read_group(reader *r, const json_t *group, uint64_t *left, hz_error *err) {
    uint64_t size, unused;
    size_t i;
    const json_t *info;
    if (!read_shards(r, json_object_get(group, "paths"), *left, &size, err)) return false;
    unused = size;
    json_array_foreach (json_object_get(group, "weights"), i, info) {
        if (!add_weight(r, info, &unused, err)) return false;
    }
    if (unused)
        return hz_fail(err, HZ_EFORMAT, "%s: shards have %" PRIu64 " bytes, their weights need %" PRIu64,
                       hz_label(r->path).s, size, size - unused);
    *left -= size;
    return true;
}

/* Room for every weight of the manifest. */
static bool make_table(reader *r, hz_error *err) {
    size_t g, n = 0;
    const json_t *group;
    json_array_foreach (r->manifest, g, group) {
        const json_t *weights = json_object_get(group, "weights");
        if (!json_is_array(weights))
            return malformed(r, err, "a group of weightsManifest has no list \"weights\"");
        n += json_array_size(weights);
    }
    r->out->weight = hz_arena_alloc(r->arena, (n + 1) * sizeof *r->out->weight);
    return r->out->weight || no_memory(r, err);
}

static bool read_groups(reader *r, uint64_t total, hz_error *err) {
    size_t g;
    const json_t *group;
    r->out->data = hz_alloc(r->alloc, (size_t)total);
    if (!r->out->data) return no_memory(r, err);
    r->data = r->out->data;
    json_array_foreach (r->manifest, g, group) {
        if (!read_group(r, group, &total, err)) return false;
    }
    return turn_kernels(r, err);
}

/* ---- model.json ---- */

static json_t *load_json(const reader *r, hz_error *err) {
    void *text;
    size_t n;
    json_error_t at;
    if (!hz_file_read(r->path, MAX_JSON, r->alloc, &text, &n, err)) return NULL;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &at);
    hz_free(r->alloc, text);
    if (!root)
        hz_fail(err, HZ_EFORMAT, "%s: no valid JSON at byte %d: %s", hz_label(r->path).s, at.position,
                hz_label(at.text).s);
    return root;
}

static bool read_manifest(reader *r, hz_error *err) {
    uint64_t total = 0;
    if (!json_is_array(r->manifest)) return malformed(r, err, "has no list \"weightsManifest\"");
    json_t *seen = json_object();
    bool ok = seen ? measure_shards(r, seen, &total, err) : no_memory(r, err);
    json_decref(seen);
    return ok && make_table(r, err) && read_groups(r, total, err);
}

bool hz__tfjs_read(const char *path, const hz_allocator *alloc, hz_arena *arena, hz__tfjs *out,
                   hz_error *err) {
    reader r = {.path = path, .alloc = alloc, .arena = arena, .out = out};
    *out = (hz__tfjs){.data = NULL};
    json_t *root = load_json(&r, err);
    r.manifest = json_object_get(root, "weightsManifest");
    bool ok = root && read_manifest(&r, err);
    json_decref(root);
    if (ok) return true;
    hz_free(alloc, out->data);
    *out = (hz__tfjs){.data = NULL};
    return false;
}
