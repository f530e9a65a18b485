/* tfjs.h: reading the weights of a TensorFlow.js model. Private to nn/weights.c.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_TFJS_H
#define HZ_NN_TFJS_H

#include "tensor/memory.h"

typedef struct hz__weight {
    const char *name;
    hz_tensor tensor;
} hz__weight;

typedef struct hz__tfjs {
    hz__weight *weight; /* in the order of the manifest; the array and the names lie in the caller's arena */
    size_t count;
    void *data; /* all elements: one block from the caller's allocator */
} hz__tfjs;

/* Read model.json at path and the shards in its folder. On failure data is NULL. */
bool hz__tfjs_read(const char *path, const hz_allocator *alloc, hz_arena *arena, hz__tfjs *out,
                   hz_error *err);

#endif
