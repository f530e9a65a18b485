/* tensor.h: the tensor, an open strided view of memory that somebody else owns.
 *
 * A view never allocates and never frees. Element (i0, …, ir) lies at
 *     data + (i0*stride[0] + … + ir*stride[r]) elements,
 * strides may be 0 (broadcast) or negative (reversed). Slicing, permuting, broadcasting and, where the
 * strides allow it, reshaping give another view of the same memory. Rank 0 is one number.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_TENSOR_H
#define HZ_TENSOR_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HZ_MAX_RANK = 8 };

typedef enum hz_dtype {
    HZ_F32 = 0, /* float: the working type */
    HZ_F64,     /* double: the checking type */
    HZ_I32,     /* int32_t: indices, labels */
    HZ_I64,     /* int64_t: indices, labels */
    HZ_U8,      /* uint8_t: pixels, booleans (0 or 1) */
    HZ_DTYPES   /* how many there are; not a dtype */
} hz_dtype;

typedef struct hz_tensor {
    void *data;                  /* element (0, …, 0); may be NULL when the tensor has no elements */
    hz_dtype dtype;              /* type of an element */
    int32_t rank;                /* number of axes, 0 … HZ_MAX_RANK */
    int64_t dim[HZ_MAX_RANK];    /* extent of each axis, ≥ 0; entries from rank on are unspecified */
    int64_t stride[HZ_MAX_RANK]; /* elements (not bytes) from one index to the next; likewise */
} hz_tensor;

/* ---- dtypes ---- */

size_t hz_dtype_size(hz_dtype dtype);      /* bytes of an element; 0 for a value that is no dtype */
const char *hz_dtype_name(hz_dtype dtype); /* "f32", "f64", "i32", "i64", "u8" */
bool hz_dtype_is_float(hz_dtype dtype);    /* f32 and f64: the types that carry gradients */

/* ---- making views ---- */

/* A contiguous row-major view of data: shape dim[0..rank). The caller keeps owning data. Rank and extents are
 * taken as given; use hz_shape_check on numbers from outside. */
hz_tensor hz_tensor_of(void *data, hz_dtype dtype, int rank, const int64_t *dim);

/* The same for short literals: hz_tensor_of(p, HZ_F32, HZ_DIMS(2, 3)). */
#define HZ_DIMS(...) \
    ((int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))), ((const int64_t[]){__VA_ARGS__})

/* Set the strides of *t to contiguous row-major order for its dims. */
void hz_tensor_set_contiguous(hz_tensor *t);

/* ---- asking about shapes ---- */

int64_t hz_numel(const hz_tensor *t);      /* product of extents; 1 for rank 0 */
size_t hz_nbytes(const hz_tensor *t);      /* numel times element size */
bool hz_is_contiguous(const hz_tensor *t); /* row-major without gaps (axes of extent 1 do not count) */
bool hz_same_shape(const hz_tensor *a, const hz_tensor *b); /* same rank and extents; dtypes may differ */

/* True if the extents are ≥ 0, the rank within HZ_MAX_RANK and the total size in bytes fits in ptrdiff_t;
 * otherwise HZ_ESHAPE, the sentence opening with what (NULL: nothing). For numbers from files and callers. */
bool hz_shape_check(const char *what, hz_dtype dtype, int rank, const int64_t *dim, hz_error *err);

/* "[2,3,4]" (or "[]") into text; returns text, for use inside a printf argument. */
enum { HZ_SHAPE_TEXT = 192 };
typedef struct hz_shape_text {
    char s[HZ_SHAPE_TEXT];
} hz_shape_text;
hz_shape_text hz_shape_str(const hz_tensor *t);
hz_shape_text hz_dims_str(int rank, const int64_t *dim);

/* ---- views of a tensor; each leaves *t alone and shares its memory ---- */

/* Row-major reinterpretation as dim[0..rank). Fails with HZ_ESHAPE if the element counts differ or if the
 * strides of *t need a copy (see hz_can_view for telling the two apart). One extent may be −1: inferred. */
bool hz_view_reshape(const hz_tensor *t, int rank, const int64_t *dim, hz_tensor *out, hz_error *err);

/* Whether hz_view_reshape to these (already positive, count-preserving) dims needs no copy. */
bool hz_can_view(const hz_tensor *t, int rank, const int64_t *dim);

/* out axis k is axis perm[k] of t; perm must be a permutation of 0 … rank−1. */
bool hz_view_permute(const hz_tensor *t, const int *perm, hz_tensor *out, hz_error *err);

/* Swap two axes; negative axes count from the end. */
bool hz_view_transpose(const hz_tensor *t, int axis_a, int axis_b, hz_tensor *out, hz_error *err);

/* Elements start, start+step, … (count of them) along axis; step may be negative, never 0. All must lie
 * inside the axis. */
bool hz_view_slice(const hz_tensor *t, int axis, int64_t start, int64_t count, int64_t step, hz_tensor *out,
                   hz_error *err);

/* NumPy broadcasting: align at the last axis, extents equal or 1; axes of extent 1 or missing get stride 0. */
bool hz_view_broadcast(const hz_tensor *t, int rank, const int64_t *dim, hz_tensor *out, hz_error *err);

/* The shape two tensors broadcast to, into out->rank and out->dim. HZ_ESHAPE names both and the axis. */
bool hz_broadcast_shape(const hz_tensor *a, const hz_tensor *b, hz_tensor *out, hz_error *err);

/* ---- axes ---- */

/* axis (negative counts from the end) as 0 … rank−1, or −1 if it lies outside. */
int hz_axis(int rank, int axis);

/* ---- single elements, converted to and from double; idx has t->rank entries, unchecked ---- */

int64_t hz_offset(const hz_tensor *t, const int64_t *idx); /* in elements from data */
double hz_get(const hz_tensor *t, const int64_t *idx);
void hz_set(const hz_tensor *t, const int64_t *idx, double value);

/* Element number k in row-major order, 0 ≤ k < numel, whatever the strides: slow, for tests and reports. */
double hz_get_flat(const hz_tensor *t, int64_t k);
void hz_set_flat(const hz_tensor *t, int64_t k, double value);

/* Split row-major number k into an index of t->rank entries. */
void hz_unravel(const hz_tensor *t, int64_t k, int64_t *idx);

#ifdef __cplusplus
}
#endif
#endif
