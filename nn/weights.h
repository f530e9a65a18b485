/* weights.h: the parameters of a trained network: tensors by name, out of a file.
 *
 *   hz_weights *w;
 *   if (!hz_weights_open("squeezenet.safetensors", NULL, &w, &err)) …
 *   const hz_tensor *k = hz_weights_find(w, "fire2.squeeze1x1.weight");
 *   hz_weights_close(w);                                  k dangles from here on
 *
 * Names are those of the file; in a search '.' and '/' are the same. Read are
 *   FILE.safetensors       see tensor/safetensors.h
 *   DIR/model.json or DIR  a TensorFlow.js model: its weightsManifest and the shards beside it. Kernels are brought
 *                          into this library's order: (H, W, in, out) of a convolution becomes (out, in, H, W), (in, out)
 *                          of a dense layer (out, in); (H, W, C, m) of a depthwise one (C·m, 1, H, W).
 * Files are untrusted.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_WEIGHTS_H
#define HZ_NN_WEIGHTS_H

#include "tensor/file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hz_weights hz_weights;

/* Memory comes from alloc (NULL: the C library). HZ_ENOTFOUND, HZ_EIO, HZ_EFORMAT or HZ_ENOMEM, naming the file. */
bool hz_weights_open(const char *path, const hz_allocator *alloc, hz_weights **out, hz_error *err);

/* A safetensors file whose bytes are in memory; path is what errors call it. */
bool hz_weights_open_bytes(const char *path, const void *bytes, size_t size, const hz_allocator *alloc,
                           hz_weights **out, hz_error *err);

/* The tensors dangle from here on. NULL is legal. */
void hz_weights_close(hz_weights *w);

/* The tensors in the order of the file, 0 ≤ i < count. Contiguous views that w owns. */
size_t hz_weights_count(const hz_weights *w);
const char *hz_weights_name(const hz_weights *w, size_t i);
const hz_tensor *hz_weights_tensor(const hz_weights *w, size_t i);

/* The tensor called name; NULL if there is none. */
const hz_tensor *hz_weights_find(const hz_weights *w, const char *name);

/* The same into *out, with HZ_ENOTFOUND naming the file and the names next to this one in the alphabet. */
bool hz_weights_get(const hz_weights *w, const char *name, hz_tensor *out, hz_error *err);

/* What the file says of itself under key (safetensors' __metadata__); NULL if nothing. */
const char *hz_weights_metadata(const hz_weights *w, const char *key);
const hz_text_pair *hz_weights_metadata_pairs(const hz_weights *w, size_t *count); /* all of it */

#ifdef __cplusplus
}
#endif
#endif
