/* shape.c: constants, shapes, and what rearranges elements without computing.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "nn/onnx/internal.h"

enum { INT64 = ONNX__TENSOR_PROTO__DATA_TYPE__INT64, FLOAT = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT };

/* ---- constants ---- */

static hz_var list_of_ints(hz__call *c, const Onnx__AttributeProto *a) {
    hz_tensor v = hz_tensor_of(a->ints, HZ_I64, HZ_DIMS((int64_t)a->n_ints));
    return hz_copy_in(c->t, &v);
}

static hz_var list_of_floats(hz__call *c, const Onnx__AttributeProto *a) {
    hz__array list = {hz_tensor_of(a->floats, HZ_F32, HZ_DIMS((int64_t)a->n_floats)), FLOAT};
    return hz__leaf(c, &list);
}

static void constant(hz__call *c) {
    const Onnx__AttributeProto *a;
    if (c->node->tensor.type)
        hz__give_as(c, 0, hz__leaf(c, &c->node->tensor), c->node->tensor.type);
    else if ((a = hz__attr(c, "value_ints")))
        hz__give_as(c, 0, list_of_ints(c, a), INT64);
    else if ((a = hz__attr(c, "value_floats")))
        hz__give_as(c, 0, list_of_floats(c, a), FLOAT);
    else if ((a = hz__attr(c, "value_int"))) {
        hz_var x = hz__new_i64(c, 0, NULL);
        if (hz_ok(x)) hz__i64(x)[0] = a->i;
        hz__give_as(c, 0, x, INT64);
    } else if ((a = hz__attr(c, "value_float")))
        hz__give_as(c, 0, hz_scalar(c->t, hz__dtype(c, hz__elem_of(FLOAT)), (double)a->f), FLOAT);
    else
        hz__refuse(c, "of strings or sparse tensors");
}

/* A shape read from input k, checked for element type e. */
static bool read_shape(hz__call *c, int k, const hz__elem *e, int64_t *dim, int *rank) {
    hz_error why = {.code = HZ_OK};
    if (!hz__ints(c, k, NULL, dim, HZ_MAX_RANK, rank)) return false;
    if (hz_shape_check("shape", e->dtype, *rank, dim, &why)) return true;
    hz__bad(c, "%s", why.text);
    return false;
}

static void constant_of_shape(hz__call *c) {
    int64_t dim[HZ_MAX_RANK];
    int rank, type = c->node->tensor.type ? c->node->tensor.type : FLOAT;
    const hz_tensor *fill = &c->node->tensor.value;
    if (!read_shape(c, 0, hz__elem_of(type), dim, &rank)) return;
    double value = c->node->tensor.type && hz_numel(fill) == 1 ? hz_get_flat(fill, 0) : 0;
    hz__give_as(c, 0, hz_full(c->t, hz__dtype(c, hz__elem_of(type)), rank, dim, value), type);
}

/* start + k·delta in ops, for a start or delta that may be differentiated. */
static hz_var differentiable_range(hz__call *c, hz_var k) {
    hz_var start = hz_reshape(hz__arg(c, 0), 0, NULL), delta = hz_reshape(hz__arg(c, 2), 0, NULL);
    return hz_add(start, hz_mul(delta, hz_astype(k, hz__arg_value(c, 0)->dtype)));
}

/* start, start + delta, … below (above, for a negative delta) limit. Computed in f64: exact for integers to 2^53. */
static void range(hz__call *c) {
    double v[3];
    for (int k = 0; k < 3; k++) {
        if (hz_numel(hz__arg_value(c, k)) != 1) {
            hz__bad(c, "input %d %s is no number", k, hz_shape_str(hz__arg_value(c, k)).s);
            return;
        }
        v[k] = hz_get_flat(hz__arg_value(c, k), 0);
    }
    double count = ceil((v[1] - v[0]) / v[2]);
    if (!(count > 0)) count = 0;
    if (!(count < 1e9) || v[2] == 0) {
        hz__bad(c, "%g numbers from %g to %g in steps of %g", count, v[0], v[1], v[2]);
        return;
    }
    bool varies = hz__varies(c, 0) || hz__varies(c, 2);
    hz_var y = hz_full(c->t, varies ? HZ_F64 : hz__arg_value(c, 0)->dtype, HZ_DIMS((int64_t)count), 0);
    for (int64_t k = 0; hz_ok(y) && k < (int64_t)count; k++)
        hz_set_flat(hz_value(y), k, varies ? (double)k : v[0] + (double)k * v[2]);
    hz__give(c, 0, varies ? differentiable_range(c, y) : y);
}

static void eye_like(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t k = hz__attr_int(c, "k", 0), type = hz__attr_int(c, "dtype", hz__arg_type(c, 0));
    const hz__elem *e = hz__elem_of(type > 0 && type < 64 ? (int)type : 0);
    if (x->rank != 2 || e->width == 0) {
        hz__refuse(c, "of rank %d and type %s", x->rank, e->name);
        return;
    }
    hz_var y = hz_full(c->t, hz__dtype(c, e), 2, x->dim, 0);
    for (int64_t i = 0; hz_ok(y) && i < x->dim[0]; i++)
        if (k > -x->dim[0] && k < x->dim[1] && i + k >= 0 && i + k < x->dim[1])
            hz_set_flat(hz_value(y), i * x->dim[1] + i + k, 1);
    hz__give_as(c, 0, y, e->type);
}

/* w[k] = a0 − a1·cos(2πk/N) + a2·cos(4πk/N), N the size, or one less for a symmetric window */
static void cosine_window(hz__call *c) {
    static const double a[][3] = {{0.5, 0.5, 0}, {25. / 46, 1 - 25. / 46, 0}, {0.42, 0.5, 0.08}};
    const double *w = a[c->mapping->kind], turn = 6.28318530717958647692;
    int64_t size, type = hz__attr_int(c, "output_datatype", FLOAT);
    int n;
    if (!hz__ints(c, 0, NULL, &size, 1, &n)) return;
    const hz__elem *e = hz__elem_of(type > 0 && type < 64 ? (int)type : 0);
    if (n != 1 || size < 0 || !hz_dtype_is_float(e->dtype) || e->width == 0) {
        hz__refuse(c, "of this size or type");
        return;
    }
    hz_var y = hz_full(c->t, hz__dtype(c, e), HZ_DIMS(size), 0);
    double steps = (double)(hz__attr_int(c, "periodic", 1) ? size : size - 1);
    for (int64_t k = 0; hz_ok(y) && k < size; k++) {
        double angle = turn * (double)k / steps;
        hz_set_flat(hz_value(y), k, w[0] - w[1] * cos(angle) + w[2] * cos(2 * angle));
    }
    hz__give_as(c, 0, y, e->type);
}

/* ---- Shape, Size, Identity, Dropout ---- */

static int64_t clamp(int64_t x, int64_t lo, int64_t hi) {
    return x < lo ? lo : x > hi ? hi : x;
}

static void shape(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t start = hz__attr_int(c, "start", 0), end = hz__attr_int(c, "end", x->rank);
    start = clamp(start < 0 ? start + x->rank : start, 0, x->rank);
    end = clamp(end < 0 ? end + x->rank : end, start, x->rank);
    hz_tensor dims = hz_tensor_of((void *)(uintptr_t)(x->dim + start), HZ_I64, HZ_DIMS(end - start));
    hz__give_as(c, 0, hz_copy_in(c->t, &dims), INT64);
}

static void size(hz__call *c) {
    hz_var n = hz__new_i64(c, 0, NULL);
    if (hz_ok(n)) hz__i64(n)[0] = hz_numel(hz__arg_value(c, 0));
    hz__give_as(c, 0, n, INT64);
}

static void identity(hz__call *c) {
    hz__give_as(c, 0, hz__arg(c, 0), hz__arg_type(c, 0));
}

/* In inference nothing is dropped, and the mask says so. Training at a ratio of 0 is the same. */
static void dropout(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0);
    bool training =
        hz__has(c, 2) && hz_numel(hz__arg_value(c, 2)) == 1 && hz_get_flat(hz__arg_value(c, 2), 0) != 0;
    double ratio =
        hz__has(c, 1) && hz_numel(hz__arg_value(c, 1)) == 1 ? hz_get_flat(hz__arg_value(c, 1), 0) : 0.5;
    if (training && ratio != 0) {
        hz__refuse(c, "in training");
        return;
    }
    identity(c);
    hz__give_as(c, 1, hz_full(c->t, HZ_U8, x->rank, x->dim, 1), ONNX__TENSOR_PROTO__DATA_TYPE__BOOL);
}

/* ---- Reshape, Flatten, Squeeze, Unsqueeze, Transpose ---- */

static void reshape(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t dim[HZ_MAX_RANK];
    int rank;
    bool allow_zero = hz__attr_int(c, "allowzero", 0) != 0;
    if (!hz__ints(c, 1, "shape", dim, HZ_MAX_RANK, &rank) || rank < 0) return;
    for (int k = 0; k < rank; k++)
        if (dim[k] == 0 && !allow_zero && k < x->rank) dim[k] = x->dim[k];
    hz__give(c, 0, hz_reshape(hz__arg(c, 0), rank, dim));
}

/* Into two axes: those before `axis` and the rest. */
static void flatten(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t axis = hz__attr_int(c, "axis", 1), before = 1, behind = 1;
    if (axis < 0) axis += x->rank;
    if (axis < 0 || axis > x->rank) {
        hz__bad(c, "axis %" PRId64 " is outside %s", axis, hz_shape_str(x).s);
        return;
    }
    for (int k = 0; k < x->rank; k++) *(k < axis ? &before : &behind) *= x->dim[k];
    hz__give(c, 0, hz_reshape(hz__arg(c, 0), HZ_DIMS(before, behind)));
}

static void squeeze(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t given[HZ_MAX_RANK];
    int n;
    hz_axes axes;
    if (!hz__ints(c, 1, "axes", given, HZ_MAX_RANK, &n) || !hz__axes(c, given, n, x->rank, &axes)) return;
    hz__give(c, 0, n == 0 ? hz__arg(c, 0) : hz_squeeze(hz__arg(c, 0), axes));
}

static void unsqueeze(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t given[HZ_MAX_RANK], dim[HZ_MAX_RANK];
    int n;
    hz_axes axes;
    if (!hz__ints(c, 1, "axes", given, HZ_MAX_RANK, &n)) return;
    int rank = x->rank + (n > 0 ? n : 0);
    if (rank > HZ_MAX_RANK) {
        hz__refuse(c, "to rank %d", rank);
        return;
    }
    if (!hz__axes(c, given, n, rank, &axes)) return;
    int from = 0;
    for (int k = 0; k < rank; k++) {
        bool fresh = axes & HZ_AXIS(k);
        if (!fresh && from == x->rank) {
            hz__bad(c, "an axis is given twice");
            return;
        }
        dim[k] = fresh ? 1 : x->dim[from++];
    }
    hz__give(c, 0, hz_reshape(hz__arg(c, 0), rank, dim));
}

static void transpose(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t given[HZ_MAX_RANK];
    int perm[HZ_MAX_RANK] = {0}, n;
    if (!hz__attr_ints(c, "perm", given, HZ_MAX_RANK, &n)) return;
    if (n >= 0 && n != x->rank) {
        hz__bad(c, "a permutation of %d axes for %s", n, hz_shape_str(x).s);
        return;
    }
    for (int k = 0; k < x->rank; k++) {
        if (n >= 0 && !hz__axis(c, given[k], x->rank, &perm[k])) return;
        if (n < 0) perm[k] = x->rank - 1 - k;
    }
    hz__give(c, 0, hz_permute(hz__arg(c, 0), perm));
}

/* ---- Concat, Split, Slice ---- */

static void concat(hz__call *c) {
    hz_var few[16], *x = few;
    int n = hz__n_args(c), axis;
    if (!hz__axis(c, hz__attr_int(c, "axis", 1), hz__arg_value(c, 0)->rank, &axis)) return;
    if (n > HZ__COUNT(few)) x = hz_alloc(&c->model->alloc, (size_t)n * sizeof *x);
    for (int k = 0; x && k < n; k++) x[k] = hz__arg(c, k);
    hz__give(c, 0, x ? hz_concat(x, n, axis) : hz_tape_fail(c->t, HZ_ENOMEM, "out of memory"));
    if (x != few) hz_free(&c->model->alloc, x);
}

/* The extent of part k of n: given, or equal parts, the last one smaller (opset 18 on). */
static int64_t part(const hz__call *c, int64_t extent, int64_t n, int64_t k, int64_t at) {
    int64_t each = (extent + n - 1) / n;
    if (hz__has(c, 1)) return k < hz_numel(hz__arg_value(c, 1)) ? hz__int_at(hz__arg_value(c, 1), k) : -1;
    const Onnx__AttributeProto *a = hz__attr(c, "split");
    if (a) return k < (int64_t)a->n_ints ? a->ints[k] : -1;
    return each < extent - at ? each : extent - at;
}

static void split(hz__call *c) {
    int axis, n = (int)c->node->proto->n_output;
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t at = 0;
    if (!hz__axis(c, hz__attr_int(c, "axis", 0), x->rank, &axis)) return;
    for (int k = 0; k < n; k++) {
        int64_t count = part(c, x->dim[axis], n, k, at);
        if (count < 0 || count > x->dim[axis] - at) {
            hz__bad(c, "part %d of %" PRId64 " elements does not fit %s", k, count, hz_shape_str(x).s);
            return;
        }
        hz__give(c, k, hz_slice(hz__arg(c, 0), axis, at, count, 1));
        at += count;
    }
}

/* NumPy's rules: negative positions count from the end, those outside are brought to the edge. */
static hz_var slice_axis(hz_var x, int axis, int64_t start, int64_t end, int64_t step) {
    int64_t n = hz_value(x)->dim[axis], count = 0;
    if (start < 0) start = start < -n ? -1 - n : start + n;
    if (end < 0) end = end < -n ? -1 - n : end + n;
    start = clamp(start, step > 0 ? 0 : -1, step > 0 ? n : n - 1);
    end = clamp(end, step > 0 ? 0 : -1, step > 0 ? n : n - 1);
    if (step > 0 && end > start) count = (end - start - 1) / step + 1;
    if (step < 0 && end < start) count = (start - end - 1) / (step == INT64_MIN ? INT64_MAX : -step) + 1;
    return hz_slice(x, axis, count ? start : 0, count, count > 1 ? step : 1);
}

static void slice(hz__call *c) {
    hz_var x = hz__arg(c, 0);
    int64_t start[HZ_MAX_RANK], end[HZ_MAX_RANK], given[HZ_MAX_RANK], step[HZ_MAX_RANK];
    int n, n_end, n_axes, n_steps, axis;
    if (!hz__ints(c, 1, "starts", start, HZ_MAX_RANK, &n) ||
        !hz__ints(c, 2, "ends", end, HZ_MAX_RANK, &n_end) ||
        !hz__ints(c, 3, "axes", given, HZ_MAX_RANK, &n_axes) ||
        !hz__ints(c, 4, NULL, step, HZ_MAX_RANK, &n_steps))
        return;
    if (n < 0 || n_end != n || (n_axes >= 0 && n_axes != n) || (n_steps >= 0 && n_steps != n)) {
        hz__bad(c, "%d starts, %d ends, %d axes, %d steps", n, n_end, n_axes, n_steps);
        return;
    }
    for (int k = 0; k < n && hz_ok(x); k++) {
        if (!hz__axis(c, n_axes < 0 ? k : given[k], hz_value(x)->rank, &axis)) return;
        if (n_steps > 0 && step[k] == 0) {
            hz__bad(c, "step 0");
            return;
        }
        x = slice_axis(x, axis, start[k], end[k], n_steps > 0 ? step[k] : 1);
    }
    hz__give(c, 0, x);
}

/* ---- Pad, Expand, Tile ---- */

static bool pad_mode(hz__call *c, hz_pad_mode *mode) {
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    static const hz_pad_mode modes[] = {HZ_PAD_CONSTANT, HZ_PAD_REFLECT, HZ_PAD_EDGE, HZ_PAD_WRAP};
    for (int k = 0; k < HZ__COUNT(modes); k++)
        if (hz__attr_is(c, "mode", names[k], k == 0)) {
            *mode = modes[k];
            return true;
        }
    hz__refuse(c, "in this mode");
    return false;
}

/* What pads are negative for is cut first, so that every mode can fill the rest. */
static hz_var pad_axes(hz_var x, int64_t *before, int64_t *after, hz_pad_mode mode, double value) {
    int64_t cut_before[HZ_MAX_RANK], cut_after[HZ_MAX_RANK];
    if (mode == HZ_PAD_CONSTANT) return hz_pad(x, before, after, mode, value);
    for (int k = 0; k < hz_value(x)->rank; k++) {
        cut_before[k] = before[k] < 0 ? before[k] : 0, cut_after[k] = after[k] < 0 ? after[k] : 0;
        before[k] -= cut_before[k], after[k] -= cut_after[k];
    }
    return hz_pad(hz_pad(x, cut_before, cut_after, HZ_PAD_CONSTANT, 0), before, after, mode, 0);
}

/* Where there is padding, the derivative of its value. */
static hz_var pad_derivative(hz__call *c, hz_var y, const int64_t *before, const int64_t *after) {
    const hz_tensor *x = hz__arg_value(c, 0);
    hz_var inside = hz_full(c->t, x->dtype, x->rank, x->dim, 0);
    hz_var padding = hz_pad(inside, before, after, HZ_PAD_CONSTANT, 1);
    return hz_add(y, hz_mul(padding, hz_reshape(hz__derivative_of(hz__arg(c, 2)), 0, NULL)));
}

static void pad(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t pads[2 * HZ_MAX_RANK], given[HZ_MAX_RANK];
    int64_t before[HZ_MAX_RANK] = {0}, after[HZ_MAX_RANK] = {0};
    int n, n_axes, axis;
    hz_pad_mode mode;
    if (!hz__ints(c, 1, "pads", pads, 2 * HZ_MAX_RANK, &n) ||
        !hz__ints(c, 3, NULL, given, HZ_MAX_RANK, &n_axes) || !pad_mode(c, &mode))
        return;
    int axes = n_axes < 0 ? x->rank : n_axes;
    if (n != 2 * axes) {
        hz__bad(c, "%d pads for %d axes", n, axes);
        return;
    }
    for (int k = 0; k < axes; k++) {
        if (!hz__axis(c, n_axes < 0 ? k : given[k], x->rank, &axis)) return;
        before[axis] = pads[k], after[axis] = pads[axes + k];
    }
    double value = hz__has(c, 2) && hz_numel(hz__arg_value(c, 2)) == 1 ? hz_get_flat(hz__arg_value(c, 2), 0)
                                                                       : hz__attr_float(c, "value", 0);
    hz_var y = pad_axes(hz__arg(c, 0), before, after, mode, value);
    bool varies = mode == HZ_PAD_CONSTANT && hz__varies(c, 2);
    hz__give(c, 0, varies ? pad_derivative(c, y, before, after) : y);
}

/* To a given extent of each axis, the middle staying the middle; what does not divide is cut or filled at the end. */
static void center_crop_pad(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t extent[HZ_MAX_RANK], given[HZ_MAX_RANK];
    int64_t before[HZ_MAX_RANK] = {0}, after[HZ_MAX_RANK] = {0};
    int n, n_axes, axis;
    if (!hz__ints(c, 1, NULL, extent, HZ_MAX_RANK, &n) ||
        !hz__attr_ints(c, "axes", given, HZ_MAX_RANK, &n_axes))
        return;
    if (n != (n_axes < 0 ? x->rank : n_axes)) {
        hz__bad(c, "%d extents for %d axes", n, n_axes < 0 ? x->rank : n_axes);
        return;
    }
    for (int k = 0; k < n; k++) {
        if (!hz__axis(c, n_axes < 0 ? k : given[k], x->rank, &axis)) return;
        if (extent[k] < 0 || extent[k] > INT32_MAX) {
            hz__bad(c, "extent %" PRId64, extent[k]);
            return;
        }
        int64_t more = extent[k] - x->dim[axis];
        before[axis] = more / 2, after[axis] = more - more / 2;
    }
    hz__give(c, 0, hz_pad(hz__arg(c, 0), before, after, HZ_PAD_CONSTANT, 0));
}

/* To the shape that x and the one given broadcast to. */
static void expand(hz__call *c) {
    int64_t dim[HZ_MAX_RANK];
    int rank;
    hz_tensor to;
    hz_error why;
    if (!read_shape(c, 1, hz__elem_of(hz__arg_type(c, 0)), dim, &rank)) return;
    hz_tensor given = hz_tensor_of(NULL, hz__arg_value(c, 0)->dtype, rank, dim);
    if (!hz_broadcast_shape(hz__arg_value(c, 0), &given, &to, &why)) {
        hz__bad(c, "%s", why.text);
        return;
    }
    hz__give(c, 0, hz_broadcast_to(hz__arg(c, 0), to.rank, to.dim));
}

static void tile(hz__call *c) {
    int64_t repeats[HZ_MAX_RANK];
    int n;
    if (!hz__ints(c, 1, NULL, repeats, HZ_MAX_RANK, &n)) return;
    if (n != hz__arg_value(c, 0)->rank) {
        hz__bad(c, "%d repeats for %s", n, hz_shape_str(hz__arg_value(c, 0)).s);
        return;
    }
    hz__give(c, 0, hz_tile(hz__arg(c, 0), repeats));
}

/* ---- DepthToSpace, SpaceToDepth ---- */

static bool block_size(hz__call *c, int64_t *b) {
    const hz_tensor *x = hz__arg_value(c, 0);
    *b = hz__attr_int(c, "blocksize", 0);
    if (x->rank == 4 && *b >= 1 && *b <= INT16_MAX) return true;
    hz__bad(c, "blocks of %" PRId64 " in %s", *b, hz_shape_str(x).s);
    return false;
}

/* (N, b·b·C, H, W) → (N, C, H·b, W·b); CRD: channels are the slowest axis of the depth */
static void depth_to_space(hz__call *c) {
    const int64_t *d = hz__arg_value(c, 0)->dim;
    int64_t b;
    if (!block_size(c, &b)) return;
    int64_t ch = d[1] / (b * b);
    bool crd = hz__attr_is(c, "mode", "CRD", false);
    hz_var x = crd ? hz_reshape(hz__arg(c, 0), HZ_DIMS(d[0], ch, b, b, d[2], d[3]))
                   : hz_reshape(hz__arg(c, 0), HZ_DIMS(d[0], b, b, ch, d[2], d[3]));
    x = crd ? hz_permute(x, (const int[]){0, 1, 4, 2, 5, 3}) : hz_permute(x, (const int[]){0, 3, 4, 1, 5, 2});
    hz__give(c, 0, hz_reshape(x, HZ_DIMS(d[0], ch, d[2] * b, d[3] * b)));
}

static void space_to_depth(hz__call *c) {
    const int64_t *d = hz__arg_value(c, 0)->dim;
    int64_t b;
    if (!block_size(c, &b)) return;
    hz_var x = hz_reshape(hz__arg(c, 0), HZ_DIMS(d[0], d[1], d[2] / b, b, d[3] / b, b));
    x = hz_permute(x, (const int[]){0, 3, 5, 1, 2, 4});
    hz__give(c, 0, hz_reshape(x, HZ_DIMS(d[0], d[1] * b * b, d[2] / b, d[3] / b)));
}

/* ---- Trilu, CenterCropPad ---- */

static void trilu(hz__call *c) {
    hz_var x = hz__arg(c, 0);
    const hz_tensor *v = hz_value(x);
    int64_t k = 0;
    int n;
    bool upper = hz__attr_int(c, "upper", 1) != 0;
    if (hz__has(c, 1) && !hz__ints(c, 1, NULL, &k, 1, &n)) return;
    if (v->rank < 2) {
        hz__bad(c, "of %s", hz_shape_str(v).s);
        return;
    }
    int64_t rows = v->dim[v->rank - 2], columns = v->dim[v->rank - 1];
    k = clamp(k, -rows - 1, columns + 1);
    hz_var keep = hz_full(c->t, HZ_U8, HZ_DIMS(rows, columns), 0);
    for (int64_t i = 0; hz_ok(keep) && i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            ((uint8_t *)hz_value(keep)->data)[i * columns + j] = upper ? j - i >= k : j - i <= k;
    hz__give_as(c, 0, hz_where(keep, x, hz__number(x, 0)), hz__arg_type(c, 0));
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"Constant", .since = 1, .need = -1, .run = constant},
    {"ConstantOfShape", .since = 9, .run = constant_of_shape},
    {"Range", .since = 11, .need = 3, .run = range},
    {"EyeLike", .since = 9, .run = eye_like},
    {"HannWindow", .since = 17, .run = cosine_window, .kind = 0},
    {"HammingWindow", .since = 17, .run = cosine_window, .kind = 1},
    {"BlackmanWindow", .since = 17, .run = cosine_window, .kind = 2},
    {"Shape", .since = 1, .run = shape},
    {"Size", .since = 1, .run = size},
    {"Identity", .since = 1, .run = identity},
    {"Dropout", .since = 6, .run = dropout},
    {"Reshape", .since = 1, .run = reshape},
    {"Flatten", .since = 1, .run = flatten},
    {"Squeeze", .since = 1, .run = squeeze},
    {"Unsqueeze", .since = 1, .run = unsqueeze},
    {"Transpose", .since = 1, .run = transpose},
    {"Concat", .since = 1, .run = concat},
    {"Split", .since = 2, .run = split},
    {"Slice", .since = 1, .run = slice},
    {"Pad", .since = 2, .run = pad},
    {"CenterCropPad", .since = 18, .need = 2, .run = center_crop_pad},
    {"Expand", .since = 8, .need = 2, .run = expand},
    {"Tile", .since = 6, .need = 2, .run = tile},
    {"DepthToSpace", .since = 1, .run = depth_to_space},
    {"SpaceToDepth", .since = 1, .run = space_to_depth},
    {"Trilu", .since = 14, .run = trilu},
};

const hz__family hz__onnx_shape = {mappings, HZ__COUNT(mappings)};
