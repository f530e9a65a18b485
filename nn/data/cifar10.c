/* cifar10.c: CIFAR-10's binary records (Krizhevsky 2009; cs.toronto.edu/~kriz/cifar.html).
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "nn/data/internal.h"

enum { SIDE = 32, RECORD = 1 + 3 * SIDE * SIDE, CLASSES = 10 };

bool hz__is_cifar10_size(uint64_t size) {
    return size > 0 && size % RECORD == 0;
}

static bool view_records(hz_data *data, const char *path, size_t size, hz_error *err) {
    static const char *const names[CLASSES] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                               "dog",      "frog",       "horse", "ship", "truck"};
    uint8_t *record = data->memory[0];
    int64_t n = (int64_t)(size / RECORD);
    if (!hz__is_cifar10_size(size))
        return hz_fail(err, HZ_EFORMAT, "%s: has %zu bytes, which are not one or more CIFAR-10 records of %d",
                       hz_label(path).s, size, RECORD);
    data->x = hz_tensor_of(record + 1, HZ_U8, HZ_DIMS(n, 3, SIDE, SIDE));
    data->y = hz_tensor_of(record, HZ_U8, HZ_DIMS(n));
    data->x.stride[0] = data->y.stride[0] = RECORD;
    data->classes = CLASSES;
    data->names = names;
    for (int64_t k = 0; k < n; k++)
        if (record[k * RECORD] >= CLASSES)
            return hz_fail(err, HZ_EFORMAT, "%s: label %d of record %" PRId64 " is not below %d",
                           hz_label(path).s, record[k * RECORD], k, CLASSES);
    return true;
}

bool hz_data_open_cifar10(const char *path, const hz_allocator *alloc, hz_data *data, hz_error *err) {
    size_t size;
    hz__data_begin(data, alloc);
    return hz__data_end(data,
                        hz_file_read(path, HZ__MAX_DATA_FILE, &data->alloc, &data->memory[0], &size, err) &&
                            view_records(data, path, size, err));
}
