/* data.h: labelled pictures in files, and how many of them a network gets right.
 *
 *   NAME.bin                              CIFAR-10's binary records: one byte of label, then 32 × 32 bytes each of red,
 *                                         green and blue
 *   NAME-images-idx3-ubyte with           an IDX pair as of MNIST: 4 bytes magic, the extents as big-endian 32-bit
 *   NAME-labels-idx1-ubyte beside it      numbers, the bytes
 *
 * Files are untrusted: one that is truncated, or longer than it says, is HZ_EFORMAT.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_DATA_H
#define HZ_NN_DATA_H

#include "nn/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hz_data {
    hz_tensor
        pixels; /* u8 (N, C, H, W), C = 3 (red, green, blue) or 1; views, strides as the file has them */
    hz_tensor labels; /* u8 (N) */
    hz_allocator alloc;
    void *memory[2]; /* private */
} hz_data;

/* Read the file at path, whose kind its first bytes tell (IDX begins with 0, 0, 8). For an IDX pair, path is the file of the
 * images, and "images" and "idx3" in its name become "labels" and "idx1" in the other's. Memory comes from alloc. */
bool hz_data_open(const char *path, const hz_allocator *alloc, hz_data *data, hz_error *err);
bool hz_data_open_cifar10(const char *path, const hz_allocator *alloc, hz_data *data, hz_error *err);
bool hz_data_open_idx(const char *images, const char *labels, const hz_allocator *alloc, hz_data *data,
                      hz_error *err);
void hz_data_close(hz_data *data); /* data that failed to open is legal */

/* Pictures first … first + count − 1 as the network counts them, into input, f32 (count, 3, H, W), contiguous. */
bool hz_data_batch(const hz_data *data, const hz_preprocess *p, int64_t first, const hz_tensor *input,
                   hz_error *err);

typedef struct hz_accuracy {
    int64_t right, of; /* top-1 */
} hz_accuracy;

/* How many labels the strongest score names (of equal scores, the first counts). Runs in batches of `batch` pictures (0: 100)
 * on a tape of its own. HZ_ESHAPE if the pictures have not the model's size, HZ_EINVAL if a label is no class of it. */
bool hz_evaluate(const hz_model *model, const hz_data *data, int64_t batch, const hz_tape_opts *opts,
                 hz_accuracy *accuracy, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
