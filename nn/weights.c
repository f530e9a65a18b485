/* weights.c: one face for the weights files of weights.h. Start with hz_weights_open.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "nn/internal.h"
#include "nn/tfjs.h"
#include "tensor/safetensors.h"

struct hz_weights {
    hz_allocator alloc;
    hz_arena arena; /* path, index and names */
    const char *path;
    hz__weight *weight; /* in the file's order */
    size_t count;
    const hz__weight **by_name; /* the same, sorted */
    hz_safetensors *safetensors;
    void *data; /* elements that no safetensors owns */
};

static bool no_memory(const char *path, hz_error *err) {
    return hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(path).s);
}

/* ---- the two kinds of file ---- */

static bool take_safetensors(hz_weights *w, hz_error *err) {
    size_t n = hz_safetensors_count(w->safetensors);
    w->weight = hz_arena_alloc(&w->arena, (n + 1) * sizeof *w->weight);
    if (!w->weight) return no_memory(w->path, err);
    for (size_t i = 0; i < n; i++)
        w->weight[i] = (hz__weight){.name = hz_safetensors_name(w->safetensors, i),
                                    .tensor = *hz_safetensors_tensor(w->safetensors, i)};
    w->count = n;
    return true;
}

static bool read_safetensors(hz_weights *w, hz_error *err) {
    return hz_safetensors_open(w->path, &w->alloc, &w->safetensors, err) && take_safetensors(w, err);
}

static bool read_tfjs(hz_weights *w, hz_error *err) {
    hz__tfjs model;
    if (!hz__tfjs_read(w->path, &w->alloc, &w->arena, &model, err)) return false;
    w->weight = model.weight;
    w->count = model.count;
    w->data = model.data;
    return true;
}

static bool is_directory(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* The file to read for the path given: of a directory, its model.json. */
static bool settle_path(hz_weights *w, const char *path, hz_error *err) {
    const char *inside = is_directory(path) ? "/model.json" : "";
    size_t n = strlen(path) + strlen(inside) + 1;
    char *full = hz_arena_alloc(&w->arena, n);
    if (!full) return no_memory(path, err);
    snprintf(full, n, "%s%s", path, inside);
    w->path = full;
    return true;
}

/* ---- finding ---- */

static int compare_weights(const void *a, const void *b) {
    return hz__compare_names((*(const hz__weight *const *)a)->name, (*(const hz__weight *const *)b)->name);
}

static bool build_index(hz_weights *w, hz_error *err) {
    w->by_name = hz_arena_alloc(&w->arena, (w->count + 1) * sizeof *w->by_name);
    if (!w->by_name) return no_memory(w->path, err);
    for (size_t i = 0; i < w->count; i++) w->by_name[i] = &w->weight[i];
    qsort(w->by_name, w->count, sizeof *w->by_name, compare_weights);
    for (size_t i = 1; i < w->count; i++)
        if (compare_weights(&w->by_name[i - 1], &w->by_name[i]) == 0)
            return hz_fail(err, HZ_EFORMAT, "%s: two tensors go by the name \"%s\"", hz_label(w->path).s,
                           hz_label(w->by_name[i]->name).s);
    return true;
}

/* How many names come before this one. */
static size_t position(const hz_weights *w, const char *name) {
    size_t lo = 0, hi = w->count;
    while (lo < hi) {
        size_t middle = lo + (hi - lo) / 2;
        if (hz__compare_names(w->by_name[middle]->name, name) < 0)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

const hz_tensor *hz_weights_find(const hz_weights *w, const char *name) {
    size_t at = position(w, name);
    bool found = at < w->count && hz__compare_names(w->by_name[at]->name, name) == 0;
    return found ? &w->by_name[at]->tensor : NULL;
}

bool hz_weights_get(const hz_weights *w, const char *name, hz_tensor *out, hz_error *err) {
    const hz_tensor *found = hz_weights_find(w, name);
    if (found) {
        *out = *found;
        return true;
    }
    size_t at = position(w, name);
    const char *before = at > 0 ? w->by_name[at - 1]->name : NULL;
    const char *after = at < w->count ? w->by_name[at]->name : NULL;
    return hz_fail(err, HZ_ENOTFOUND, "%s: no tensor is named \"%s\"%s%s%s%s", hz_label(w->path).s,
                   hz_label(name).s, before || after ? "; next to it in the alphabet: " : "",
                   before ? hz_label(before).s : "", before && after ? ", " : "",
                   after ? hz_label(after).s : "");
}

/* ---- opening and closing ---- */

static bool read_file(hz_weights *w, const char *path, hz_error *err) {
    if (!settle_path(w, path, err)) return false;
    bool read = hz__ends_with(w->path, ".json") ? read_tfjs(w, err) : read_safetensors(w, err);
    return read && build_index(w, err);
}

static bool read_bytes(hz_weights *w, const char *path, const void *bytes, size_t size, hz_error *err) {
    w->path = hz_arena_strdup(&w->arena, path);
    if (!w->path) return no_memory(path, err);
    return hz_safetensors_open_bytes(path, bytes, size, &w->alloc, &w->safetensors, err) &&
           take_safetensors(w, err) && build_index(w, err);
}

/* From a file, or from bytes if there are any. */
static bool open_weights(const char *path, const void *bytes, size_t size, const hz_allocator *alloc,
                         hz_weights **out, hz_error *err) {
    *out = NULL;
    hz_weights *w = hz_alloc0(alloc, sizeof *w);
    if (!w) return no_memory(path, err);
    if (alloc) w->alloc = *alloc;
    w->arena.alloc = w->alloc;
    if (bytes ? read_bytes(w, path, bytes, size, err) : read_file(w, path, err)) {
        *out = w;
        return true;
    }
    hz_weights_close(w);
    return false;
}

bool hz_weights_open(const char *path, const hz_allocator *alloc, hz_weights **out, hz_error *err) {
    return open_weights(path, NULL, 0, alloc, out, err);
}

bool hz_weights_open_bytes(const char *path, const void *bytes, size_t size, const hz_allocator *alloc,
                           hz_weights **out, hz_error *err) {
    return open_weights(path, bytes, size, alloc, out, err);
}

void hz_weights_close(hz_weights *w) {
    if (!w) return;
    hz_allocator alloc = w->alloc;
    hz_safetensors_close(w->safetensors);
    hz_free(&alloc, w->data);
    hz_arena_free(&w->arena);
    hz_free(&alloc, w);
}

/* ---- looking ---- */

size_t hz_weights_count(const hz_weights *w) {
    return w->count;
}

const char *hz_weights_name(const hz_weights *w, size_t i) {
    return w->weight[i].name;
}

const hz_tensor *hz_weights_tensor(const hz_weights *w, size_t i) {
    return &w->weight[i].tensor;
}

const char *hz_weights_metadata(const hz_weights *w, const char *key) {
    return w->safetensors ? hz_safetensors_metadata_value(w->safetensors, key) : NULL;
}

const hz_text_pair *hz_weights_metadata_pairs(const hz_weights *w, size_t *count) {
    *count = 0;
    return w->safetensors ? hz_safetensors_metadata(w->safetensors, count) : NULL;
}
