/* tensor.c: shapes and the algebra of views. Nothing here allocates or touches elements, but for the few
 * functions at the end that read or write a single one.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- dtypes ---- */

static const struct {
    const char *name;
    size_t size;
    bool is_float;
} dtypes[HZ_DTYPES] = {
    [HZ_F32] = {"f32", sizeof(float), true},    [HZ_F64] = {"f64", sizeof(double), true},
    [HZ_I32] = {"i32", sizeof(int32_t), false}, [HZ_I64] = {"i64", sizeof(int64_t), false},
    [HZ_U8] = {"u8", sizeof(uint8_t), false},
};

static bool is_dtype(hz_dtype dtype) {
    return (unsigned)dtype < HZ_DTYPES;
}

size_t hz_dtype_size(hz_dtype dtype) {
    return is_dtype(dtype) ? dtypes[dtype].size : 0;
}

const char *hz_dtype_name(hz_dtype dtype) {
    return is_dtype(dtype) ? dtypes[dtype].name : "no dtype";
}

bool hz_dtype_is_float(hz_dtype dtype) {
    return is_dtype(dtype) && dtypes[dtype].is_float;
}

/* ---- making views ---- */

void hz_tensor_set_contiguous(hz_tensor *t) {
    int64_t step = 1;
    for (int k = t->rank - 1; k >= 0; k--) {
        t->stride[k] = step;
        if (t->dim[k] > 1) step *= t->dim[k]; /* an extent of 0 must not make strides of 0 */
    }
}

hz_tensor hz_tensor_of(void *data, hz_dtype dtype, int rank, const int64_t *dim) {
    hz_tensor t = {.data = data, .dtype = dtype, .rank = rank};
    for (int k = 0; k < rank; k++) t.dim[k] = dim[k];
    hz_tensor_set_contiguous(&t);
    return t;
}

/* ---- asking about shapes ---- */

static int64_t count(int rank, const int64_t *dim) {
    int64_t n = 1;
    for (int k = 0; k < rank; k++) n *= dim[k];
    return n;
}

int64_t hz_numel(const hz_tensor *t) {
    return count(t->rank, t->dim);
}

size_t hz_nbytes(const hz_tensor *t) {
    return (size_t)hz_numel(t) * hz_dtype_size(t->dtype);
}

bool hz_is_contiguous(const hz_tensor *t) {
    int64_t step = 1;
    bool in_order = true;
    for (int k = t->rank - 1; k >= 0; k--) {
        if (t->dim[k] == 0) return true;
        if (t->dim[k] == 1) continue;
        in_order = in_order && t->stride[k] == step;
        step *= t->dim[k];
    }
    return in_order;
}

bool hz_same_shape(const hz_tensor *a, const hz_tensor *b) {
    if (a->rank != b->rank) return false;
    for (int k = 0; k < a->rank; k++)
        if (a->dim[k] != b->dim[k]) return false;
    return true;
}

/* Two factors of fewer bits than this have a product that fits: a division is saved. */
enum { HALF_BITS = sizeof(ptrdiff_t) * 4 - 1 };

/* Do the bytes of a shape fit in ptrdiff_t? Extents of 0 do not count: strides have to fit, too. */
static bool fits(hz_dtype dtype, int rank, const int64_t *dim) {
    int64_t bytes = (int64_t)hz_dtype_size(dtype);
    for (int k = 0; k < rank; k++) {
        if (dim[k] == 0) continue;
        const bool small = (bytes | dim[k]) >> HALF_BITS == 0;
        if (!small && bytes > PTRDIFF_MAX / dim[k]) return false;
        bytes *= dim[k];
    }
    return true;
}

static bool check_shape(hz_dtype dtype, int rank, const int64_t *dim, hz_error *err) {
    if (!is_dtype(dtype)) return hz_fail(err, HZ_ESHAPE, "%d is no dtype", (int)dtype);
    if (rank < 0 || rank > HZ_MAX_RANK)
        return hz_fail(err, HZ_ESHAPE, "rank %d is outside 0 … %d", rank, HZ_MAX_RANK);
    for (int k = 0; k < rank; k++)
        if (dim[k] < 0)
            return hz_fail(err, HZ_ESHAPE, "shape %s has a negative extent, %" PRId64 " at axis %d",
                           hz_dims_str(rank, dim).s, dim[k], k);
    if (fits(dtype, rank, dim)) return true;
    return hz_fail(err, HZ_ESHAPE, "shape %s of %s is too large to be addressed", hz_dims_str(rank, dim).s,
                   hz_dtype_name(dtype));
}

bool hz_shape_check(const char *what, hz_dtype dtype, int rank, const int64_t *dim, hz_error *err) {
    if (check_shape(dtype, rank, dim, err)) return true;
    return what ? hz_fail_in(err, "%s", what) : false;
}

hz_shape_text hz_dims_str(int rank, const int64_t *dim) {
    hz_shape_text text = {"["}; /* 8 numbers of 20 characters and what goes between them fit */
    size_t length = 1;
    for (int k = 0; k < rank && k < HZ_MAX_RANK; k++)
        length +=
            (size_t)snprintf(text.s + length, sizeof text.s - length, k ? ",%" PRId64 : "%" PRId64, dim[k]);
    snprintf(text.s + length, sizeof text.s - length, rank > HZ_MAX_RANK ? ",…]" : "]");
    return text;
}

hz_shape_text hz_shape_str(const hz_tensor *t) {
    return hz_dims_str(t->rank, t->dim);
}

/* ---- reshape ---- */

/* The axes of t, innermost first, without those of extent 1 and with neighbours merged where one stride walks
 * through both. Returns how many remain. */
static int merge_axes(const hz_tensor *t, int64_t *extent, int64_t *stride) {
    int n = 0;
    for (int k = t->rank - 1; k >= 0; k--) {
        if (t->dim[k] == 1) continue;
        if (n > 0 && t->stride[k] == extent[n - 1] * stride[n - 1]) {
            extent[n - 1] *= t->dim[k];
            continue;
        }
        extent[n] = t->dim[k];
        stride[n++] = t->stride[k];
    }
    return n;
}

/* Strides that show the non-empty t as dim[0..rank), of equal count; false if there are none. Every merged axis
 * must be cut into new axes without remainder. */
static bool split_axes(const hz_tensor *t, int rank, const int64_t *dim, int64_t *stride) {
    int64_t extent[HZ_MAX_RANK], merged[HZ_MAX_RANK];
    const int n = merge_axes(t, extent, merged);
    int64_t left = 1, step = 1; /* of the merged axis that is being cut */
    for (int k = rank - 1, next = 0; k >= 0; k--) {
        if (left == 1 && next < n) {
            left = extent[next];
            step = merged[next++];
        }
        if (left % dim[k] != 0) return false;
        stride[k] = step;
        step *= dim[k];
        left /= dim[k];
    }
    return true;
}

static bool reshape_strides(const hz_tensor *t, hz_tensor *out) {
    if (!hz_is_contiguous(t)) return split_axes(t, out->rank, out->dim, out->stride);
    hz_tensor_set_contiguous(out);
    return true;
}

bool hz_can_view(const hz_tensor *t, int rank, const int64_t *dim) {
    hz_tensor out = hz_tensor_of(t->data, t->dtype, rank, dim);
    return reshape_strides(t, &out);
}

/* Copy dim into *out with the one −1 among them, if there is one, replaced by what keeps the count of t. */
static bool infer_extent(const hz_tensor *t, int rank, const int64_t *dim, hz_tensor *out, hz_error *err) {
    int unknown = -1;
    for (int k = 0; k < rank; k++) {
        if (dim[k] == -1 && unknown >= 0)
            return hz_fail(err, HZ_ESHAPE, "shape %s leaves two extents open", hz_dims_str(rank, dim).s);
        if (dim[k] == -1) unknown = k;
        out->dim[k] = dim[k] == -1 ? 1 : dim[k];
    }
    out->rank = rank;
    if (!check_shape(t->dtype, rank, out->dim, err)) return false;
    const int64_t rest = hz_numel(out);
    if (unknown < 0) return true;
    if (rest == 0 || hz_numel(t) % rest != 0)
        return hz_fail(err, HZ_ESHAPE, "no extent in place of −1 lets %s hold the %" PRId64 " elements of %s",
                       hz_dims_str(rank, dim).s, hz_numel(t), hz_shape_str(t).s);
    out->dim[unknown] = hz_numel(t) / rest;
    return true;
}

bool hz_view_reshape(const hz_tensor *t, int rank, const int64_t *dim, hz_tensor *out, hz_error *err) {
    hz_tensor view = {.data = t->data, .dtype = t->dtype};
    if (rank < 0 || rank > HZ_MAX_RANK)
        return hz_fail(err, HZ_ESHAPE, "rank %d is outside 0 … %d", rank, HZ_MAX_RANK);
    if (!infer_extent(t, rank, dim, &view, err)) return false;
    if (hz_numel(&view) != hz_numel(t))
        return hz_fail(err, HZ_ESHAPE, "%s has %" PRId64 " elements and %s has %" PRId64, hz_shape_str(t).s,
                       hz_numel(t), hz_shape_str(&view).s, hz_numel(&view));
    if (!reshape_strides(t, &view))
        return hz_fail(err, HZ_ESHAPE, "the strides %s of %s allow no view as %s; copy it first",
                       hz_dims_str(t->rank, t->stride).s, hz_shape_str(t).s, hz_shape_str(&view).s);
    *out = view;
    return true;
}

/* ---- other views ---- */

bool hz_view_permute(const hz_tensor *t, const int *perm, hz_tensor *out, hz_error *err) {
    hz_tensor view = *t;
    unsigned seen = 0;
    for (int k = 0; k < t->rank; k++) {
        const int axis = perm[k];
        if (axis < 0 || axis >= t->rank)
            return hz_fail(err, HZ_EINVAL, "axis %d lies outside the rank of %s", axis, hz_shape_str(t).s);
        if (seen & 1u << axis) return hz_fail(err, HZ_EINVAL, "axis %d is named twice", axis);
        seen |= 1u << axis;
        view.dim[k] = t->dim[axis];
        view.stride[k] = t->stride[axis];
    }
    *out = view;
    return true;
}

bool hz_view_transpose(const hz_tensor *t, int axis_a, int axis_b, hz_tensor *out, hz_error *err) {
    const int a = hz_axis(t->rank, axis_a), b = hz_axis(t->rank, axis_b);
    if (a < 0 || b < 0)
        return hz_fail(err, HZ_EINVAL, "axis %d lies outside the rank of %s", a < 0 ? axis_a : axis_b,
                       hz_shape_str(t).s);
    int perm[HZ_MAX_RANK];
    for (int k = 0; k < t->rank; k++) perm[k] = k == a ? b : k == b ? a : k;
    return hz_view_permute(t, perm, out, err);
}

/* Do start, start+step, … (n ≥ 1 of them) lie in [0, extent)? */
static bool slice_inside(int64_t extent, int64_t start, int64_t n, int64_t step) {
    if (start < 0 || start >= extent) return false;
    const uint64_t stride = step < 0 ? -(uint64_t)step : (uint64_t)step;
    const uint64_t room = (uint64_t)(step < 0 ? start : extent - 1 - start);
    return (uint64_t)(n - 1) <= room / stride;
}

bool hz_view_slice(const hz_tensor *t, int axis, int64_t start, int64_t n, int64_t step, hz_tensor *out,
                   hz_error *err) {
    const int a = hz_axis(t->rank, axis);
    if (a < 0) return hz_fail(err, HZ_EINVAL, "axis %d lies outside the rank of %s", axis, hz_shape_str(t).s);
    if (n < 0 || step == 0)
        return hz_fail(err, HZ_EINVAL, "%" PRId64 " elements in steps of %" PRId64 " are no slice", n, step);
    if (n > 0 && !slice_inside(t->dim[a], start, n, step))
        return hz_fail(err, HZ_EINVAL,
                       "%" PRId64 " elements from %" PRId64 " in steps of %" PRId64 " leave axis %d of %s", n,
                       start, step, a, hz_shape_str(t).s);
    hz_tensor view = *t;
    view.dim[a] = n;
    if (n > 1)
        view.stride[a] = t->stride[a] * step; /* for n ≤ 1 the product might overflow, and is not needed */
    if (t->data && hz_numel(&view) > 0)       /* a shape without data may be sliced, too */
        view.data = (char *)t->data + start * t->stride[a] * (int64_t)hz_dtype_size(t->dtype);
    *out = view;
    return true;
}

bool hz_view_broadcast(const hz_tensor *t, int rank, const int64_t *dim, hz_tensor *out, hz_error *err) {
    if (!check_shape(t->dtype, rank, dim, err)) return false;
    const int missing = rank - t->rank;
    if (missing < 0)
        return hz_fail(err, HZ_ESHAPE, "%s has more axes than %s", hz_shape_str(t).s,
                       hz_dims_str(rank, dim).s);
    hz_tensor view = {.data = t->data, .dtype = t->dtype, .rank = rank};
    for (int k = 0; k < rank; k++) {
        const int64_t extent = k < missing ? 1 : t->dim[k - missing];
        if (extent != 1 && extent != dim[k])
            return hz_fail(err, HZ_ESHAPE,
                           "%s does not broadcast to %s: axis %d is %" PRId64 ", not 1 or %" PRId64,
                           hz_shape_str(t).s, hz_dims_str(rank, dim).s, k, extent, dim[k]);
        view.dim[k] = dim[k];
        view.stride[k] = extent == 1 ? 0 : t->stride[k - missing];
    }
    *out = view;
    return true;
}

/* Extent of t along the axis that is `back` axes from the last; 1 where it has none. */
static int64_t extent_from_last(const hz_tensor *t, int back) {
    return back < t->rank ? t->dim[t->rank - 1 - back] : 1;
}

bool hz_broadcast_shape(const hz_tensor *a, const hz_tensor *b, hz_tensor *out, hz_error *err) {
    const int rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t dim[HZ_MAX_RANK] = {0};
    for (int k = 0; k < rank; k++) {
        const int64_t m = extent_from_last(a, rank - 1 - k), n = extent_from_last(b, rank - 1 - k);
        if (m != n && m != 1 && n != 1)
            return hz_fail(err, HZ_ESHAPE,
                           "shapes %s and %s do not broadcast: axis %d is %" PRId64 " and %" PRId64,
                           hz_shape_str(a).s, hz_shape_str(b).s, k, m, n);
        dim[k] = m == 1 ? n : m;
    }
    if (!check_shape(a->dtype, rank, dim, err)) return false;
    out->rank = rank;
    for (int k = 0; k < rank; k++) out->dim[k] = dim[k];
    return true;
}

/* ---- axes ---- */

int hz_axis(int rank, int axis) {
    if (axis < 0) axis += rank;
    return axis >= 0 && axis < rank ? axis : -1;
}

/* ---- single elements ---- */

int64_t hz_offset(const hz_tensor *t, const int64_t *idx) {
    int64_t offset = 0;
    for (int k = 0; k < t->rank; k++) offset += idx[k] * t->stride[k];
    return offset;
}

double hz_get(const hz_tensor *t, const int64_t *idx) {
    const int64_t at = hz_offset(t, idx);
    switch (t->dtype) {
    case HZ_F32:
        return ((const float *)t->data)[at];
    case HZ_F64:
        return ((const double *)t->data)[at];
    case HZ_I32:
        return ((const int32_t *)t->data)[at];
    case HZ_I64:
        return (double)((const int64_t *)t->data)[at];
    case HZ_U8:
        return ((const uint8_t *)t->data)[at];
    case HZ_DTYPES:
        break;
    }
    return 0;
}

/* value cut to [lo, hi] and towards 0; NaN is 0. hi is the largest double whose integer fits. */
static int64_t to_integer(double value, double lo, double hi) {
    if (value != value) return 0;
    return (int64_t)(value < lo ? lo : value > hi ? hi : value);
}

static int64_t to_i64(double value) {
    return value >= 0x1p63 ? INT64_MAX : to_integer(value, -0x1p63, 0x1p63);
}

void hz_set(const hz_tensor *t, const int64_t *idx, double value) {
    const int64_t at = hz_offset(t, idx);
    switch (t->dtype) {
    case HZ_F32:
        ((float *)t->data)[at] = (float)value;
        break;
    case HZ_F64:
        ((double *)t->data)[at] = value;
        break;
    case HZ_I32:
        ((int32_t *)t->data)[at] = (int32_t)to_integer(value, INT32_MIN, INT32_MAX);
        break;
    case HZ_I64:
        ((int64_t *)t->data)[at] = to_i64(value);
        break;
    case HZ_U8:
        ((uint8_t *)t->data)[at] = (uint8_t)to_integer(value, 0, UINT8_MAX);
        break;
    case HZ_DTYPES:
        break;
    }
}

void hz_unravel(const hz_tensor *t, int64_t k, int64_t *idx) {
    for (int axis = t->rank - 1; axis >= 0; axis--) {
        idx[axis] = k % t->dim[axis];
        k /= t->dim[axis];
    }
}

double hz_get_flat(const hz_tensor *t, int64_t k) {
    int64_t idx[HZ_MAX_RANK];
    hz_unravel(t, k, idx);
    return hz_get(t, idx);
}

void hz_set_flat(const hz_tensor *t, int64_t k, double value) {
    int64_t idx[HZ_MAX_RANK];
    hz_unravel(t, k, idx);
    hz_set(t, idx, value);
}
