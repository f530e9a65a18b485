/* data.c: data sets whatever their format: which one a file has, several joined, classes checked. Start with hz_data_open.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "nn/data/internal.h"
#include "tensor/elementwise.h"

/* ---- opening and closing ---- */

void hz__data_begin(hz_data *data, const hz_allocator *alloc) {
    *data = (hz_data){.x = {.dtype = HZ_U8}};
    if (alloc) data->alloc = *alloc;
}

void hz_data_close(hz_data *data) {
    for (size_t k = 0; k < sizeof data->memory / sizeof *data->memory; k++)
        hz_free(&data->alloc, data->memory[k]);
    hz__data_begin(data, NULL);
}

bool hz__data_end(hz_data *data, bool ok) {
    if (!ok) hz_data_close(data);
    return ok;
}

hz_tensor hz__data_row(const hz_tensor *t, int64_t k) {
    hz_tensor row = {.dtype = t->dtype, .rank = t->rank - 1};
    row.data = (char *)t->data + k * t->stride[0] * (int64_t)hz_dtype_size(t->dtype);
    memcpy(row.dim, t->dim + 1, (size_t)row.rank * sizeof *row.dim);
    memcpy(row.stride, t->stride + 1, (size_t)row.rank * sizeof *row.stride);
    return row;
}

/* ---- which format ---- */

/* Overwrite the last occurrence of from in s with to, as long. */
static void replace_last(char *s, const char *from, const char *to) {
    char *found = NULL;
    for (char *p = strstr(s, from); p; p = strstr(p + 1, from)) found = p;
    if (found) memcpy(found, to, strlen(to));
}

static bool open_pair_of(const char *images, const hz_allocator *alloc, hz_data *data, hz_error *err) {
    size_t n = strlen(images) + 1;
    char *labels = hz_alloc(alloc, n);
    if (!labels) return hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(images).s);
    memcpy(labels, images, n);
    replace_last(labels, "images", "labels");
    replace_last(labels, "idx3", "idx1");
    bool ok = hz_data_open_idx(images, labels, alloc, data, err);
    hz_free(alloc, labels);
    return ok;
}

bool hz_data_open(const char *path, const hz_allocator *alloc, hz_data *data, hz_error *err) {
    uint8_t magic[3] = {0};
    hz_file_in in;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return hz_data_open_folder(path, NULL, alloc, data, err);
    hz__data_begin(data, alloc);
    if (!hz_file_open(path, &in, err)) return false;
    bool ok = in.size < sizeof magic || hz_file_get(&in, magic, sizeof magic, err);
    hz_file_close(&in);
    if (!ok) return false;
    /* A CIFAR-10 record may begin with 0, 0, 8, too; its file's size tells. */
    bool idx = magic[0] == 0 && magic[1] == 0 && magic[2] == 8 && !hz__is_cifar10_size(in.size);
    return idx ? open_pair_of(path, alloc, data, err) : hz_data_open_cifar10(path, alloc, data, err);
}

/* ---- several as one ---- */

/* The same but for the number of examples. */
static bool same_kind(const hz_tensor *a, const hz_tensor *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           (a->rank == 0 || memcmp(a->dim + 1, b->dim + 1, (size_t)(a->rank - 1) * sizeof *a->dim) == 0);
}

static bool check_parts(const hz_data *parts, size_t n, hz_error *err) {
    if (n < 1) return hz_fail(err, HZ_EINVAL, "no data sets to join");
    for (size_t k = 0; k < n; k++) {
        if (parts[k].read || parts[k].x.rank < 1)
            return hz_fail(err, HZ_EINVAL, "data set %zu of %zu has no examples in memory", k, n);
        if (!same_kind(&parts[0].x, &parts[k].x) || !same_kind(&parts[0].y, &parts[k].y))
            return hz_fail(
                err, HZ_ESHAPE, "data sets differ: x %s %s with y %s %s, but number %zu %s %s with %s %s",
                hz_dtype_name(parts[0].x.dtype), hz_shape_str(&parts[0].x).s, hz_dtype_name(parts[0].y.dtype),
                hz_shape_str(&parts[0].y).s, k, hz_dtype_name(parts[k].x.dtype), hz_shape_str(&parts[k].x).s,
                hz_dtype_name(parts[k].y.dtype), hz_shape_str(&parts[k].y).s);
    }
    return true;
}

static const hz_tensor *side(const hz_data *data, bool y) {
    return y ? &data->y : &data->x;
}

/* x, or y, of the parts one after the other, copied into memory of data's own. */
static bool join_side(const hz_data *parts, size_t n, bool y, const hz_exec *ex, hz_data *data,
                      hz_error *err) {
    hz_tensor all = *side(&parts[0], y), piece;
    if (all.rank == 0) return true;
    for (size_t k = 1; k < n; k++) all.dim[0] += side(&parts[k], y)->dim[0];
    if (!hz_shape_check("joined data sets", all.dtype, all.rank, all.dim, err)) return false;
    hz_tensor_set_contiguous(&all);
    all.data = data->memory[y] = hz_alloc(&data->alloc, hz_nbytes(&all));
    if (!all.data) return hz_fail(err, HZ_ENOMEM, "no memory for %zu bytes of joined data", hz_nbytes(&all));
    int64_t at = 0;
    for (size_t k = 0; k < n; k++) {
        const hz_tensor *part = side(&parts[k], y);
        if (!hz_view_slice(&all, 0, at, part->dim[0], 1, &piece, err)) return false;
        hz_copy(ex, part, &piece);
        at += part->dim[0];
    }
    *(y ? &data->y : &data->x) = all;
    return true;
}

static bool join(const hz_data *parts, size_t n, hz_data *data, hz_error *err) {
    hz_pool *pool = hz_pool_new(&data->alloc);
    if (!pool) return hz_fail(err, HZ_ENOMEM, "no memory to join data sets");
    const hz_exec ex = {.pool = pool, .threads = 1, .isa = hz_isa_resolve(HZ_ISA_AUTO)};
    bool ok = join_side(parts, n, false, &ex, data, err) && join_side(parts, n, true, &ex, data, err);
    hz_pool_free(pool);
    data->names = parts[0].names;
    data->classes = parts[0].classes;
    for (size_t k = 1; k < n; k++)
        if (parts[k].classes > data->classes) data->classes = parts[k].classes;
    for (size_t k = 0; k < n; k++)
        if (parts[k].classes == 0) data->classes = 0;
    return ok;
}

bool hz_data_join(const hz_data *parts, size_t n, const hz_allocator *alloc, hz_data *data, hz_error *err) {
    hz__data_begin(data, alloc);
    return hz__data_end(data, check_parts(parts, n, err) && join(parts, n, data, err));
}

/* parts has room for n. */
static bool open_parts(const char *const *paths, size_t n, hz_data *parts, hz_data *data, hz_error *err) {
    size_t opened = 0;
    while (opened < n && hz_data_open(paths[opened], &data->alloc, &parts[opened], err)) opened++;
    bool ok = opened == n && (check_parts(parts, n, err) || hz_fail_in(err, "%s", hz_label(paths[0]).s)) &&
              join(parts, n, data, err);
    while (opened > 0) hz_data_close(&parts[--opened]);
    return ok;
}

bool hz_data_open_all(const char *const *paths, size_t n, const hz_allocator *alloc, hz_data *data,
                      hz_error *err) {
    if (n == 1) return hz_data_open(paths[0], alloc, data, err);
    hz__data_begin(data, alloc);
    if (n < 1) return hz_fail(err, HZ_EINVAL, "no files to open");
    hz_data *parts = n < SIZE_MAX / sizeof *parts ? hz_alloc(alloc, n * sizeof *parts) : NULL;
    if (!parts) return hz_fail(err, HZ_ENOMEM, "no memory for %zu data sets", n);
    bool ok = open_parts(paths, n, parts, data, err);
    hz_free(alloc, parts);
    return hz__data_end(data, ok);
}

/* ---- parts and classes ---- */

bool hz_data_slice(const hz_data *data, int64_t first, int64_t count, hz_data *part, hz_error *err) {
    *part = *data;
    memset(part->memory, 0, sizeof part->memory);
    if (first < 0 || count < 1 || data->x.rank < 1 || count > data->x.dim[0] - first)
        return hz_fail(err, HZ_EINVAL, "%" PRId64 " examples from number %" PRId64 " on are not within %s",
                       count, first, hz_shape_str(&data->x).s);
    part->first += first;
    if (data->read)
        part->x.dim[0] = count;
    else if (!hz_view_slice(&data->x, 0, first, count, 1, &part->x, err))
        return false;
    return data->y.rank == 0 || hz_view_slice(&data->y, 0, first, count, 1, &part->y, err);
}

bool hz_data_check_classes(const hz_data *data, int64_t classes, hz_error *err) {
    const hz_tensor *y = &data->y;
    if (y->rank < 1 || hz_dtype_is_float(y->dtype)) return hz_fail(err, HZ_EINVAL, "the data has no classes");
    if (data->classes > 0 && data->classes <= classes) return true;
    int64_t each = y->dim[0] ? hz_numel(y) / y->dim[0] : 0;
    for (int64_t k = 0; k < hz_numel(y); k++) {
        double label = hz_get_flat(y, k);
        if (label < 0 || label >= (double)classes)
            return hz_fail(err, HZ_EFORMAT, "label %.0f of example %" PRId64 " is not below %" PRId64, label,
                           k / each, classes);
    }
    return true;
}
