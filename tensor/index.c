/* index.c: gather, scatter and one-hot.
 *
 * Both gathers are one loop over y beside two views of y's shape: the indices, with stride 0 along the axes they
 * do not depend on, and x, with stride 0 along the axes they replace. Then
 *     y[k] = (x shifted by index[k] · stride of the axis)[k],
 * and a scatter is the same loop with the arrow turned round. Start at take_axis.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/index.h"

#include <inttypes.h>
#include <string.h>

#include "tensor/elementwise.h"
#include "tensor/kernels/nest.h"

/* ---- checks ---- */

static int64_t index_at(const hz_tensor *idx, int64_t offset) {
    return idx->dtype == HZ_I64 ? ((const int64_t *)idx->data)[offset] : ((const int32_t *)idx->data)[offset];
}

bool hz_check_indices(const hz_tensor *idx, int64_t extent, hz_error *err) {
    if (idx->dtype != HZ_I32 && idx->dtype != HZ_I64)
        return hz_fail(err, HZ_ESHAPE, "indices must be i32 or i64, not %s", hz_dtype_name(idx->dtype));
    const bool contiguous = hz_is_contiguous(idx);
    const int64_t numel = hz_numel(idx);
    for (int64_t k = 0; k < numel; k++) {
        int64_t place[HZ_MAX_RANK];
        if (!contiguous) hz_unravel(idx, k, place);
        const int64_t i = index_at(idx, contiguous ? k : hz_offset(idx, place));
        if (i >= -extent && i < extent) continue;
        hz_unravel(idx, k, place);
        return hz_fail(err, HZ_EINVAL, "index %" PRId64 " at %s lies outside an axis of extent %" PRId64, i,
                       hz_dims_str(idx->rank, place).s, extent);
    }
    return true;
}

bool hz_gather_shape(const hz_tensor *x, int axis, const hz_tensor *idx, hz_tensor *y, hz_error *err) {
    if (axis < 0 || axis >= x->rank)
        return hz_fail(err, HZ_EINVAL, "axis %d lies outside the rank of %s", axis, hz_shape_str(x).s);
    hz_tensor shape = {.dtype = x->dtype, .rank = x->rank - 1 + idx->rank};
    if (shape.rank > HZ_MAX_RANK)
        return hz_fail(err, HZ_ESHAPE, "indices %s into %s give rank %d, more than %d", hz_shape_str(idx).s,
                       hz_shape_str(x).s, shape.rank, HZ_MAX_RANK);
    int k = 0;
    for (int j = 0; j < axis; j++) shape.dim[k++] = x->dim[j];
    for (int j = 0; j < idx->rank; j++) shape.dim[k++] = idx->dim[j];
    for (int j = axis + 1; j < x->rank; j++) shape.dim[k++] = x->dim[j];
    if (!hz_shape_check("gather", shape.dtype, shape.rank, shape.dim, err)) return false;
    *y = shape;
    return true;
}

bool hz_gather_elements_shape(const hz_tensor *x, int axis, const hz_tensor *idx, hz_tensor *y,
                              hz_error *err) {
    if (axis < 0 || axis >= x->rank)
        return hz_fail(err, HZ_EINVAL, "axis %d lies outside the rank of %s", axis, hz_shape_str(x).s);
    if (idx->rank != x->rank)
        return hz_fail(err, HZ_ESHAPE, "indices %s and %s disagree on rank (%d vs %d)", hz_shape_str(idx).s,
                       hz_shape_str(x).s, idx->rank, x->rank);
    for (int k = 0; k < x->rank; k++)
        if (k != axis && idx->dim[k] > x->dim[k])
            return hz_fail(err, HZ_ESHAPE,
                           "indices %s reach beyond %s along axis %d (%" PRId64 " vs %" PRId64 ")",
                           hz_shape_str(idx).s, hz_shape_str(x).s, k, idx->dim[k], x->dim[k]);
    *y = hz_tensor_of(NULL, x->dtype, idx->rank, idx->dim);
    return true;
}

/* ---- the common picture ---- */

/* A tensor t addressed through idx along one of its axes, as two views of one shape. */
typedef struct lookup {
    hz_tensor index;  /* the indices */
    hz_tensor place;  /* t at index 0 of the axis */
    int first, count; /* the axes of that shape along which different elements may meet in one place of t */
    int64_t extent;   /* of the axis */
    int64_t step;     /* bytes from one index of the axis to the next */
    size_t size;      /* bytes of an element of t */
} lookup;

static lookup look_up(const hz_tensor *t, int axis, const hz_tensor *idx) {
    const size_t size = hz_dtype_size(t->dtype);
    return (lookup){
        .index = {.data = idx->data, .dtype = idx->dtype},
        .place = {.data = t->data, .dtype = t->dtype},
        .first = axis,
        .count = 1,
        .extent = t->dim[axis],
        .step = t->stride[axis] * (int64_t)size,
        .size = size,
    };
}

static void add_axis(lookup *l, int64_t extent, int64_t place_stride, int64_t index_stride) {
    const int k = l->place.rank++;
    l->index.rank = l->place.rank;
    l->place.dim[k] = l->index.dim[k] = extent;
    l->place.stride[k] = place_stride;
    l->index.stride[k] = index_stride;
}

/* idx takes the place of the axis. */
static lookup take_axis(const hz_tensor *t, int axis, const hz_tensor *idx) {
    lookup l = look_up(t, axis, idx);
    for (int k = 0; k < axis; k++) add_axis(&l, t->dim[k], t->stride[k], 0);
    for (int k = 0; k < idx->rank; k++) add_axis(&l, idx->dim[k], 0, idx->stride[k]);
    for (int k = axis + 1; k < t->rank; k++) add_axis(&l, t->dim[k], t->stride[k], 0);
    l.count = idx->rank;
    return l;
}

/* idx names an index of the axis for every element. */
static lookup take_elements(const hz_tensor *t, int axis, const hz_tensor *idx) {
    lookup l = look_up(t, axis, idx);
    for (int k = 0; k < idx->rank; k++)
        add_axis(&l, idx->dim[k], k == axis ? 0 : t->stride[k], idx->stride[k]);
    return l;
}

/* Bytes from index 0 of the axis to the index stored at p. */
static inline int64_t shift(const lookup *l, const char *p) {
    const int64_t i =
        l->index.dtype == HZ_I64 ? *(const int64_t *)(const void *)p : *(const int32_t *)(const void *)p;
    return (i < 0 ? i + l->extent : i) * l->step;
}

/* ---- gather ---- */

/* size is a constant where this is called, so that memcpy becomes a load and a store. */
static inline void gather_each(const lookup *l, size_t size, int64_t n, char *const *p,
                               const int64_t *stride) {
    for (int64_t k = 0; k < n; k++)
        memcpy(p[0] + k * stride[0], p[1] + k * stride[1] + shift(l, p[2] + k * stride[2]), size);
}

/* A row of y (p[0]), x (p[1]) and indices (p[2]). */
static void gather_row(const void *ctx, int64_t n, char *const *p, const int64_t *stride) {
    const lookup *l = ctx;
    const int64_t size = (int64_t)l->size;
    if (stride[2] == 0 && stride[0] == size && stride[1] == size)
        memcpy(p[0], p[1] + shift(l, p[2]), (size_t)(n * size));
    else if (stride[2] == 0)
        hz__move(l->size, n, p[1] + shift(l, p[2]), stride[1], p[0], stride[0]);
    else if (size == 4)
        gather_each(l, 4, n, p, stride);
    else if (size == 8)
        gather_each(l, 8, n, p, stride);
    else
        gather_each(l, l->size, n, p, stride);
}

static bool gather(const hz_exec *ex, const lookup *l, const hz_tensor *idx, const hz_tensor *y,
                   hz_error *err) {
    if (!hz_check_indices(idx, l->extent, err)) return false;
    if (hz_numel(y) == 0) return true;
    hz__nest nest;
    hz__nest_make(&nest, (const hz_tensor *const[]){y, &l->place, &l->index}, 3);
    hz__nest_run(ex, &nest, gather_row, l);
    return true;
}

bool hz_gather_map(const hz_exec *ex, const hz_tensor *x, int axis, const hz_tensor *idx, const hz_tensor *y,
                   hz_error *err) {
    const lookup l = take_axis(x, axis, idx);
    return gather(ex, &l, idx, y, err);
}

bool hz_gather_elements_map(const hz_exec *ex, const hz_tensor *x, int axis, const hz_tensor *idx,
                            const hz_tensor *y, hz_error *err) {
    const lookup l = take_elements(x, axis, idx);
    return gather(ex, &l, idx, y, err);
}

/* ---- scatter ---- */

static void add_f32(int64_t n, const float *restrict x, float *restrict y) {
    for (int64_t k = 0; k < n; k++) y[k] += x[k];
}

static void add_f64(int64_t n, const double *restrict x, double *restrict y) {
    for (int64_t k = 0; k < n; k++) y[k] += x[k];
}

/* A row of src (p[0]), y (p[1]) and indices (p[2]). */
static void scatter_row(const void *ctx, int64_t n, char *const *p, const int64_t *stride) {
    const lookup *l = ctx;
    const int64_t size = (int64_t)l->size;
    const bool dense = stride[2] == 0 && stride[0] == size && stride[1] == size;
    const int64_t at_once = dense ? n : 1;
    for (int64_t k = 0; k < n; k += at_once) {
        void *x = p[0] + k * stride[0], *y = p[1] + k * stride[1] + shift(l, p[2] + k * stride[2]);
        if (l->place.dtype == HZ_F32)
            add_f32(at_once, x, y);
        else
            add_f64(at_once, x, y);
    }
}

typedef struct scatter {
    const hz_exec *ex;
    const lookup *l;
    const hz_tensor *src;
    int lane; /* the axis that threads share out among them */
} scatter;

/* What lies in begin … end along the lane, in order, on this thread. */
static void scatter_lanes(const void *ctx, int64_t begin, int64_t end) {
    const scatter *s = ctx;
    const hz_exec alone = {.pool = s->ex->pool, .threads = 1, .isa = s->ex->isa};
    hz_tensor operand[3] = {*s->src, s->l->place, s->l->index};
    for (int k = 0; k < 3 && s->lane >= 0; k++)
        hz_view_slice(&operand[k], s->lane, begin, end - begin, 1, &operand[k], NULL);
    hz__nest nest;
    hz__nest_make(&nest, (const hz_tensor *const[]){&operand[0], &operand[1], &operand[2]}, 3);
    hz__nest_run(&alone, &nest, scatter_row, s->l);
}

/* The longest axis along which elements never meet in one place; −1 if there is none. */
static int longest_lane(const lookup *l) {
    int lane = -1;
    for (int k = 0; k < l->place.rank; k++) {
        const bool meet = k >= l->first && k < l->first + l->count;
        if (!meet && (lane < 0 || l->place.dim[k] > l->place.dim[lane])) lane = k;
    }
    return lane;
}

static bool scatter_add(const hz_exec *ex, const lookup *l, const hz_tensor *idx, const hz_tensor *src,
                        const hz_tensor *y, hz_error *err) {
    if (!hz_check_indices(idx, l->extent, err)) return false;
    hz_fill(ex, y, 0);
    const int64_t numel = hz_numel(src);
    if (numel == 0) return true;
    const scatter s = {.ex = ex, .l = l, .src = src, .lane = longest_lane(l)};
    hz__parallel_for(ex, numel, s.lane < 0 ? 1 : src->dim[s.lane], scatter_lanes, &s);
    return true;
}

bool hz_scatter_add_map(const hz_exec *ex, const hz_tensor *idx, int axis, const hz_tensor *src,
                        const hz_tensor *y, hz_error *err) {
    const lookup l = take_axis(y, axis, idx);
    return scatter_add(ex, &l, idx, src, y, err);
}

bool hz_scatter_elements_add_map(const hz_exec *ex, const hz_tensor *idx, int axis, const hz_tensor *src,
                                 const hz_tensor *y, hz_error *err) {
    const lookup l = take_elements(y, axis, idx);
    return scatter_add(ex, &l, idx, src, y, err);
}

/* ---- one-hot ---- */

bool hz_one_hot_map(const hz_exec *ex, const hz_tensor *idx, int64_t depth, double on, double off,
                    const hz_tensor *y, hz_error *err) {
    if (!hz_check_indices(idx, depth, err)) return false;
    hz_fill(ex, y, off);
    const int64_t numel = hz_numel(idx);
    for (int64_t k = 0; k < numel; k++) {
        int64_t place[HZ_MAX_RANK];
        hz_unravel(idx, k, place);
        const int64_t i = index_at(idx, hz_offset(idx, place));
        place[idx->rank] = i < 0 ? i + depth : i;
        hz_set(y, place, on);
    }
    return true;
}
