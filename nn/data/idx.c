/* idx.c: pairs of IDX files, as MNIST comes in (yann.lecun.com/exdb/mnist).
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "nn/data/internal.h"

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Read an IDX file of bytes with `rank` axes as a tensor. */
static bool read_idx(const char *path, const hz_allocator *alloc, int rank, void **memory, hz_tensor *t,
                     hz_error *err) {
    size_t size, header = 4 + 4 * (size_t)rank;
    int64_t dim[HZ_MAX_RANK];
    if (!hz_file_read(path, HZ__MAX_DATA_FILE, alloc, memory, &size, err)) return false;
    const uint8_t *p = *memory;
    if (size < header || big_endian(p) != (UINT32_C(0x800) | (uint32_t)rank))
        return hz_fail(err, HZ_EFORMAT, "%s: is no IDX file of bytes with %d axes", hz_label(path).s, rank);
    for (int k = 0; k < rank; k++) dim[k] = big_endian(p + 4 + 4 * k);
    if (!hz_shape_check("IDX extents", HZ_U8, rank, dim, err)) return hz_fail_in(err, "%s", hz_label(path).s);
    *t = hz_tensor_of((uint8_t *)*memory + header, HZ_U8, rank, dim);
    if (hz_nbytes(t) != size - header)
        return hz_fail(err, HZ_EFORMAT, "%s: extents %s need %zu bytes, %zu follow", hz_label(path).s,
                       hz_shape_str(t).s, hz_nbytes(t), size - header);
    return true;
}

static bool read_idx_pair(hz_data *data, const char *images, const char *labels, hz_error *err) {
    hz_tensor t;
    if (!read_idx(images, &data->alloc, 3, &data->memory[0], &t, err) ||
        !read_idx(labels, &data->alloc, 1, &data->memory[1], &data->y, err))
        return false;
    if (t.dim[0] != data->y.dim[0])
        return hz_fail(err, HZ_EFORMAT, "%s: has %" PRId64 " images, %s %" PRId64 " labels",
                       hz_label(images).s, t.dim[0], hz_label(labels).s, data->y.dim[0]);
    if (hz_numel(&t) == 0) return hz_fail(err, HZ_EFORMAT, "%s: has no images", hz_label(images).s);
    data->x = hz_tensor_of(t.data, HZ_U8, HZ_DIMS(t.dim[0], 1, t.dim[1], t.dim[2]));
    return true;
}

bool hz_data_open_idx(const char *images, const char *labels, const hz_allocator *alloc, hz_data *data,
                      hz_error *err) {
    hz__data_begin(data, alloc);
    return hz__data_end(data, read_idx_pair(data, images, labels, err));
}
