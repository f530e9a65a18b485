/* shape.c: what rearranges elements without computing.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "nn/onnx/write/write.h"

static hz__wire *reshape(hz__writer *w) {
    const hz_tensor *y = hz__out_value(w);
    return hz__reshaped(w, w->in[0], y->rank, y->dim, hz__out_follows(w));
}

static hz__wire *permute(hz__writer *w) {
    const hz_attr_permute *a = w->n->attr;
    int64_t axis[HZ_MAX_RANK];
    int rank = hz__out_value(w)->rank;
    for (int k = 0; k < rank; k++) axis[k] = a->axis[k];
    return hz__permuted(w, w->in[0], axis, rank);
}

/* ---- slices ---- */

static hz__wire *cut(hz__writer *w, hz__wire *x, int64_t axis, int64_t start, int64_t end, int64_t step) {
    hz__wire *const in[] = {x, hz__ints_of(w, &start, 1), hz__ints_of(w, &end, 1), hz__ints_of(w, &axis, 1),
                            hz__ints_of(w, &step, 1)};
    return hz__emit_list(w, "Slice", in, 5);
}

hz__wire *hz__sliced(hz__writer *w, hz__wire *x, const int64_t *axis, const int64_t *start,
                     const int64_t *end, int n) {
    hz__wire *const in[] = {x, hz__ints_of(w, start, n), hz__ints_of(w, end, n), hz__ints_of(w, axis, n)};
    return hz__emit_list(w, "Slice", in, 4);
}

/* A whole axis that follows the batch is cut by no number. */
static hz__wire *slice(hz__writer *w) {
    const hz_attr_slice *a = w->n->attr;
    const hz_tensor *x = hz__in_value(w, 0);
    int axis = hz_axis(x->rank, a->axis);
    int64_t end = a->start + a->count * a->step;
    if (hz__out_follows(w).axis == axis)
        return a->step > 0 ? w->in[0] : cut(w, w->in[0], axis, -1, INT32_MIN, -1);
    if (end < 0) end = -x->dim[axis] - 1; /* past the beginning: −1 would be the last element */
    if (a->count == 0) return cut(w, w->in[0], axis, 0, 0, 1);
    return cut(w, w->in[0], axis, a->start, end, a->step);
}

/* step − 1 zeros behind each element: (…, n, …) → (…, n, 1, …) → (…, n, step, …) → (…, n·step, …) */
static hz__wire *spread(hz__writer *w, hz__wire *dy, int axis, int64_t step) {
    const hz_tensor *v = hz__in_value(w, 0);
    int64_t dim[HZ_MAX_RANK + 1], none[HZ_MAX_RANK + 1] = {0}, more[HZ_MAX_RANK + 1] = {0};
    hz__follows f = hz__in_follows(w, 0), wide = f;
    for (int k = 0; k <= v->rank; k++) dim[k] = k <= axis ? v->dim[k] : k == axis + 1 ? 1 : v->dim[k - 1];
    if (f.axis > axis) wide.axis++;
    dy = hz__reshaped(w, dy, v->rank + 1, dim, wide);
    more[axis + 1] = step - 1;
    dy = hz__padded(w, dy, v->rank + 1, none, more, 0);
    for (int k = 0; k < v->rank; k++) dim[k] = k == axis ? v->dim[k] * step : v->dim[k];
    return hz__reshaped(w, dy, v->rank, dim, f);
}

/* dy put at start, start + step, … of zeros; backward steps are forward ones after a flip */
static hz__wire *slice_grad(hz__writer *w) {
    const hz_attr_slice_grad *a = w->n->attr;
    const hz_tensor *dy = hz__in_value(w, 0), *y = hz__out_value(w);
    int axis = hz_axis(dy->rank, a->axis);
    int64_t n = dy->dim[axis], step = llabs(a->step), first = a->start;
    int64_t before[HZ_MAX_RANK] = {0}, after[HZ_MAX_RANK] = {0};
    hz__wire *x = w->in[0];
    if (hz_numel(dy) == 0)
        return hz__zeros(w, hz__shape_vector(w, y->rank, y->dim, hz__out_follows(w)), x->type);
    if (a->step < 0) {
        x = cut(w, x, axis, -1, INT32_MIN, -1);
        first += (n - 1) * a->step;
    }
    if (hz__in_follows(w, 0).axis == axis) return x;
    if (hz__out_follows(w).axis == axis) { /* rows of a batch of any size */
        double *place = hz__keep(w, (size_t)n, sizeof *place);
        if (!place) return &w->nothing;
        for (int64_t k = 0; k < n; k++) place[k] = (double)(first + k * step);
        hz__wire *zeros = hz__zeros(w, hz__shape_vector(w, y->rank, y->dim, hz__out_follows(w)), x->type);
        return hz__emit3(w, "ScatterND", zeros, hz__table(w, HZ__INT64, 2, (const int64_t[]){n, 1}, place),
                         x);
    }
    if (step > 1 && n > 1) x = spread(w, x, axis, step);
    before[axis] = first;
    after[axis] = y->dim[axis] - first - (n > 1 ? n * step : n);
    return hz__padded(w, x, y->rank, before, after, 0);
}

/* ---- joining, repeating, adding up ---- */

static hz__wire *concat(hz__writer *w) {
    const hz_attr_concat *a = w->n->attr;
    hz__wire **in = hz__keep(w, (size_t)w->n->n_in + 1, sizeof(hz__wire *));
    bool mixed = false;
    if (!in) return &w->nothing;
    for (int k = 0; k < w->n->n_in; k++) mixed |= w->in[k]->type != w->in[0]->type;
    for (int k = 0; k < w->n->n_in; k++) in[k] = mixed ? hz__plain(w, w->in[k]) : w->in[k];
    hz__wire *y = hz__emit_list(w, "Concat", in, w->n->n_in);
    hz__with_int(w, "axis", hz_axis(hz__out_value(w)->rank, a->axis));
    return y;
}

/* Expand leaves an axis alone where it is asked for an extent of 1. */
static hz__wire *broadcast_to(hz__writer *w) {
    const hz_tensor *x = hz__in_value(w, 0), *y = hz__out_value(w);
    hz__follows f = hz__out_follows(w), g = hz__in_follows(w, 0);
    int64_t dim[HZ_MAX_RANK];
    for (int k = 0; k < y->rank; k++) dim[k] = y->dim[k];
    if (f.axis >= 0 && g.axis == f.axis - (y->rank - x->rank)) dim[f.axis] = 1, f = hz__fixed;
    return hz__emit2(w, "Expand", w->in[0], hz__shape_vector(w, y->rank, dim, f));
}

hz__wire *hz__summed_to(hz__writer *w, hz__wire *x, const hz_tensor *from, const hz_tensor *to) {
    int skip = from->rank - to->rank, n = 0;
    int64_t lead[HZ_MAX_RANK];
    hz_axes axes = 0;
    for (int k = 0; k < from->rank; k++)
        if (k < skip || from->dim[k] != to->dim[k - skip]) axes |= HZ_AXIS(k);
    for (int k = 0; k < skip; k++) lead[n++] = k;
    if (axes) x = hz__reduced(w, "ReduceSum", x, axes, from->rank, true);
    return n ? hz__emit2(w, "Squeeze", x, hz__ints_of(w, lead, n)) : x;
}

static hz__wire *sum_to(hz__writer *w) {
    return hz__summed_to(w, w->in[0], hz__in_value(w, 0), hz__out_value(w));
}

/* ---- padding ---- */

/* Which position 0 … n−1 of an axis is seen at position k. */
static int64_t source_of(hz_pad_mode mode, int64_t k, int64_t n) {
    int64_t period = mode == HZ_PAD_REFLECT ? (n > 1 ? 2 * (n - 1) : 1) : n;
    if (mode == HZ_PAD_EDGE) return k < 0 ? 0 : k >= n ? n - 1 : k;
    k = (k % period + period) % period;
    return mode == HZ_PAD_REFLECT && k >= n ? period - k : k;
}

/* The source of each position of an axis of n with its border. */
static hz__wire *sources(hz__writer *w, const hz_attr_padding *p, int axis, int64_t n, int64_t *count) {
    *count = p->before[axis] + n + p->after[axis];
    int64_t *at = hz__keep(w, (size_t)*count + 1, sizeof *at);
    if (!at) return &w->nothing;
    for (int64_t k = 0; k < *count; k++) at[k] = source_of(p->mode, k - p->before[axis], n);
    return hz__ints_of(w, at, (int)*count);
}

/* Copied borders: along each axis the elements that are to be seen. */
static hz__wire *pad(hz__writer *w) {
    const hz_attr_padding *p = w->n->attr;
    const hz_tensor *x = hz__in_value(w, 0);
    hz__wire *y = w->in[0];
    int64_t count;
    if (p->mode == HZ_PAD_CONSTANT) return hz__padded(w, y, x->rank, p->before, p->after, p->value);
    for (int k = 0; k < x->rank; k++) {
        if (!p->before[k] && !p->after[k]) continue;
        y = hz__emit2(w, "Gather", y, sources(w, p, k, x->dim[k], &count));
        hz__with_int(w, "axis", k);
    }
    return y;
}

/* Backwards: every element is added to its source. */
static hz__wire *pad_grad(hz__writer *w) {
    const hz_attr_padding *p = w->n->attr;
    const hz_tensor *x = hz__out_value(w);
    hz_tensor now = *hz__in_value(w, 0);
    hz__wire *y = w->in[0];
    int64_t count;
    for (int k = x->rank - 1; k >= 0; k--) {
        if (!p->before[k] && !p->after[k]) continue;
        hz__wire *index = sources(w, p, k, x->dim[k], &count);
        int64_t line[HZ_MAX_RANK];
        for (int j = 0; j < x->rank; j++) line[j] = j == k ? count : 1;
        index = hz__emit2(w, "Expand", hz__reshaped(w, index, x->rank, line, hz__fixed),
                          hz__of_type(hz__emit1(w, "Shape", y), HZ__INT64));
        now.dim[k] = x->dim[k];
        y = hz__added_along(w, index, y, hz__shape_vector(w, x->rank, now.dim, hz__out_follows(w)), k);
    }
    return y;
}

/* ---- the table ---- */

static const hz__form forms[] = {
    {&hz_op_reshape, .write = reshape},   {&hz_op_permute, .write = permute},
    {&hz_op_slice, .write = slice},       {&hz_op_slice_grad, .write = slice_grad},
    {&hz_op_concat, .write = concat},     {&hz_op_broadcast_to, .write = broadcast_to},
    {&hz_op_sum_to, .write = sum_to},     {&hz_op_pad, .write = pad},
    {&hz_op_pad_grad, .write = pad_grad},
};

const hz__forms hz__write_shape = {forms, HZ__COUNT(forms)};
