/* data.h: data sets: examples x and, for each, y, what a network is to make of it. nn/loader.h makes batches of them.
 *
 *   hz_data train, test;
 *   if (!hz_data_open("train-images-idx3-ubyte", NULL, &train, &err)) …
 *   hz_data_close(&train);                                after the loaders that use it
 *
 * Files are untrusted: one that is truncated, longer than it says, or whose labels are no classes is HZ_EFORMAT, and the
 * sentence says where. No file may have more than 4 GiB.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_DATA_H
#define HZ_NN_DATA_H

#include "tensor/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The caller may fill one with tensors of its own: hz_data d = {.x = features, .y = labels}; such is not closed. */
typedef struct hz_data hz_data;
struct hz_data {
    hz_tensor x; /* (N, …), any strides. Pictures: u8 (N, C, H, W), C = 3 (red, green, blue) or 1 */
    hz_tensor y; /* integers: classes, (N) or (N, …); floats: targets (N, …); rank 0: there are none */
    int64_t classes;          /* every class lies below it; 0: not known, or y holds none */
    const char *const *names; /* of the classes; NULL: not known */
    /* Put example k into *example, u8 (C, H, W), contiguous. Not NULL where examples are read when they are needed: then
     * x.data is NULL. Several threads may call it at once. */
    bool (*read)(const hz_data *data, int64_t k, const hz_tensor *example, hz_error *err);
    hz_allocator alloc;
    void *memory[3]; /* private */
};

/* Frees what was opened. One that failed to open is legal. */
void hz_data_close(hz_data *data);

/* Fails with HZ_EFORMAT, naming the first example whose class is not in 0 … classes − 1; HZ_EINVAL if y holds no classes. */
bool hz_data_check_classes(const hz_data *data, int64_t classes, hz_error *err);

/* ---- labelled pictures in binary files ---- */

/* Read the file at path, whose kind its first bytes tell:
 *   NAME.bin                          CIFAR-10's records: one byte of label, then 32 × 32 bytes each of red, green, blue
 *   NAME-images-idx3-ubyte with       an IDX pair as of MNIST (IDX begins with 0, 0, 8): 4 bytes magic, the extents as
 *   NAME-labels-idx1-ubyte beside it  big-endian 32-bit numbers, the bytes
 * For an IDX pair, path is the file of the images, and "images" and "idx3" in its name become "labels" and "idx1" in the
 * other's. Memory comes from alloc (NULL: the C library). */
bool hz_data_open(const char *path, const hz_allocator *alloc, hz_data *data, hz_error *err);
bool hz_data_open_cifar10(const char *path, const hz_allocator *alloc, hz_data *data, hz_error *err);
bool hz_data_open_idx(const char *images, const char *labels, const hz_allocator *alloc, hz_data *data,
                      hz_error *err);

/* n files, n ≥ 1, one after the other, as one data set: the five training batches of CIFAR-10. Needs, for a moment, the memory
 * twice. */
bool hz_data_open_all(const char *const *paths, size_t n, const hz_allocator *alloc, hz_data *data,
                      hz_error *err);

/* n data sets in memory, n ≥ 1, one after the other, copied; names are those of the first,
 * borrowed. HZ_ESHAPE if their examples or dtypes differ. */
bool hz_data_join(const hz_data *parts, size_t n, const hz_allocator *alloc, hz_data *data, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
