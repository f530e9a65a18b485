/* safetensors.h: named tensors in a file (https://github.com/huggingface/safetensors, format 0.3).
 *
 *   8 bytes    length n of the header, little-endian
 *   n bytes    a JSON object {"name": {"dtype": "F32", "shape": [2,3], "data_offsets": [begin,end]}, …,
 *              "__metadata__": {"key": "value", …}}, possibly followed by spaces
 *   the rest   the tensors' bytes, row-major, little-endian; together they cover it without hole or overlap
 *
 *   hz_safetensors *st;
 *   hz_tensor w;
 *   if (!hz_safetensors_open("net.safetensors", NULL, &st, &err)) …
 *   if (!hz_safetensors_get(st, "conv1.weight", &w, &err)) …
 *   hz_safetensors_close(st);                            w dangles from here on
 *
 * A file is untrusted: every rule above is checked, an error names the file, the tensor and the two numbers
 * that disagree, and nothing is read or allocated on the word of a header alone. A header may have 100 MB and
 * 2 million values (some 300,000 tensors). Memory: the data (three times the share that is 16-bit; twice the
 * share that is misaligned), and, while opening, the parsed header, below 600 MB at worst.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_SAFETENSORS_H
#define HZ_TENSOR_SAFETENSORS_H

#include "tensor/file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hz_safetensors hz_safetensors;

/* Read the file at path into memory from alloc (NULL: the C library). F32, F64, I32, I64 and U8 keep their
 * types, BOOL becomes u8 (0 or 1), F16 and BF16 are widened to f32; any other dtype is HZ_EFORMAT. */
bool hz_safetensors_open(const char *path, const hz_allocator *alloc, hz_safetensors **out, hz_error *err);

/* The same for a file whose bytes are in memory; path is what errors call it. */
bool hz_safetensors_open_bytes(const char *path, const void *bytes, size_t size, const hz_allocator *alloc,
                               hz_safetensors **out, hz_error *err);

/* Free the tensors and their names; views of them dangle. NULL is legal. */
void hz_safetensors_close(hz_safetensors *st);

/* The tensors, numbered in the order of their data. 0 ≤ i < count. Contiguous views that st owns. */
size_t hz_safetensors_count(const hz_safetensors *st);
const char *hz_safetensors_name(const hz_safetensors *st, size_t i);
const hz_tensor *hz_safetensors_tensor(const hz_safetensors *st, size_t i);

/* The tensor called name; NULL if there is none. */
const hz_tensor *hz_safetensors_find(const hz_safetensors *st, const char *name);

/* The same into *out, a view, with HZ_ENOTFOUND naming the file. */
bool hz_safetensors_get(const hz_safetensors *st, const char *name, hz_tensor *out, hz_error *err);

/* "__metadata__": all pairs in the file's order, or the value of one key (NULL if absent). */
const hz_text_pair *hz_safetensors_metadata(const hz_safetensors *st, size_t *count);
const char *hz_safetensors_metadata_value(const hz_safetensors *st, const char *key);

/* ---- writing ---- */

typedef struct hz_safetensors_entry {
    const char *name; /* UTF-8, not "__metadata__", each once */
    hz_tensor tensor; /* any strides */
} hz_safetensors_entry;

typedef struct hz_safetensors_options {
    const hz_allocator *alloc; /* for scratch; NULL: the C library */
    bool as_f16; /* write f32 and f64 as F16, rounded to nearest even (beyond 65504: infinity) */
} hz_safetensors_options;

/* Write n tensors and the metadata pairs to path, all or nothing. Data lies in the order given, wider
 * elements first, so that every tensor is aligned. opts may be NULL. */
bool hz_safetensors_write(const char *path, const hz_safetensors_entry *entries, size_t n,
                          const hz_text_pair *metadata, size_t n_metadata, const hz_safetensors_options *opts,
                          hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
