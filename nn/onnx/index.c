/* index.c: gathering and scattering. Where elements go is worked out here, in plain integers, and becomes an index
 * tensor; the elements themselves move by ops that have a gradient.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "nn/onnx/internal.h"

enum { INT64 = ONNX__TENSOR_PROTO__DATA_TYPE__INT64, MAX_ROUNDS = 1024 };

static int64_t product(const int64_t *dim, int from, int to) {
    int64_t n = 1;
    for (int k = from; k < to; k++) n *= dim[k];
    return n;
}

/* ---- Gather, GatherElements ---- */

static void gather(hz__call *c) {
    int axis;
    if (!hz__axis(c, hz__attr_int(c, "axis", 0), hz__arg_value(c, 0)->rank, &axis)) return;
    hz__give_as(c, 0, hz_gather(hz__arg(c, 0), axis, hz__arg(c, 1)), hz__arg_type(c, 0));
}

static void gather_elements(hz__call *c) {
    int axis;
    if (!hz__axis(c, hz__attr_int(c, "axis", 0), hz__arg_value(c, 0)->rank, &axis)) return;
    hz__give_as(c, 0, hz_gather_elements(hz__arg(c, 0), axis, hz__arg(c, 1)), hz__arg_type(c, 0));
}

/* ---- GatherND, ScatterND: an index has one coordinate for each of the first axes ---- */

/* A row of data: the axes behind `axes` batch and index axes, number row of the `rows` in row-major order. */
typedef struct rows {
    int axes;      /* of data, that batch and index cover */
    int64_t count; /* rows of data */
    hz_var row;    /* i64 (M): the row each index names */
} rows;

/* index (…, q): the first `batch` axes of it and of data are the same; q coordinates follow. */
static bool find_rows(hz__call *c, int batch, rows *out) {
    const hz_tensor *x = hz__arg_value(c, 0), *index = hz__arg_value(c, 1);
    int64_t q = index->rank ? index->dim[index->rank - 1] : -1;
    bool fits = batch >= 0 && q >= 0 && batch < index->rank && batch <= x->rank && q <= x->rank - batch;
    for (int k = 0; fits && k < batch; k++) fits = x->dim[k] == index->dim[k];
    if (!fits) {
        hz__bad(c, "indices %s into %s", hz_shape_str(index).s, hz_shape_str(x).s);
        return false;
    }
    int64_t m = product(index->dim, 0, index->rank - 1), batches = product(x->dim, 0, batch);
    *out = (rows){.axes = batch + (int)q, .count = product(x->dim, 0, batch + (int)q)};
    hz_var all = hz__to_i64(hz__arg(c, 1));
    out->row = hz__new_i64(c, HZ_DIMS(m));
    if (!hz_ok(all) || !hz_ok(out->row)) return false;
    for (int64_t k = 0; k < m; k++) {
        int64_t row = batches ? k / (m / batches) : 0;
        for (int a = 0; a < (int)q; a++) {
            int64_t at = hz__i64(all)[k * q + a], extent = x->dim[batch + a];
            if (at < -extent || at >= extent) {
                hz__bad(c, "index %" PRId64 " is outside axis %d of %s", at, batch + a, hz_shape_str(x).s);
                return false;
            }
            row = row * extent + (at < 0 ? at + extent : at);
        }
        hz__i64(out->row)[k] = row;
    }
    return true;
}

static void gather_nd(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0), *index = hz__arg_value(c, 1);
    rows r;
    int64_t batch = hz__attr_int(c, "batch_dims", 0), dim[2 * HZ_MAX_RANK];
    if (!find_rows(c, batch >= 0 && batch <= HZ_MAX_RANK ? (int)batch : -1, &r)) return;
    int rank = index->rank - 1 + x->rank - r.axes;
    if (rank > HZ_MAX_RANK) {
        hz__refuse(c, "to rank %d", rank);
        return;
    }
    for (int k = 0; k < index->rank - 1; k++) dim[k] = index->dim[k];
    for (int k = r.axes; k < x->rank; k++) dim[index->rank - 1 + k - r.axes] = x->dim[k];
    int64_t inner = product(x->dim, r.axes, x->rank);
    hz_var y = hz_gather(hz_reshape(hz__arg(c, 0), HZ_DIMS(r.count, inner)), 0, r.row);
    hz__give_as(c, 0, hz_reshape(y, rank, dim), hz__arg_type(c, 0));
}

/* ---- scattering ---- */

static hz_var integer_aside(hz__call *c, hz_var x, hz_var y, hz_var (*f)(hz_var, hz_var)) {
    if (hz__is_float(c, 0)) return f(x, y);
    return hz_astype(f(hz_astype(x, HZ_F64), hz_astype(y, HZ_F64)), hz_value(x)->dtype);
}

/* How an update meets what is there; NULL: replaces it. False for a reduction that does not exist. */
static bool reduction_of(hz__call *c, hz_var (**f)(hz_var, hz_var)) {
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    hz_var (*const functions[])(hz_var, hz_var) = {NULL, hz_add, hz_mul, hz_maximum, hz_minimum};
    for (int k = 0; k < HZ__COUNT(functions); k++)
        if (hz__attr_is(c, "reduction", names[k], k == 0)) {
            *f = functions[k];
            return true;
        }
    hz__refuse(c, "with this reduction");
    return false;
}

/* Which update each row gets in this round, −1 for none: the last of all when they replace (what comes later wins), the
 * next one not used yet when they are combined. Returns whether any update is left for another round. */
static bool plan_round(const int64_t *row, int64_t m, bool replace, uint8_t *used, int64_t *from,
                       int64_t count) {
    bool left = false;
    for (int64_t k = 0; k < count; k++) from[k] = -1;
    for (int64_t k = 0; k < m; k++) {
        if (used[k]) continue;
        bool free_row = replace || from[row[k]] < 0;
        if (free_row) from[row[k]] = k, used[k] = 1;
        left |= !free_row;
    }
    return left;
}

/* data (rows, inner), updates (m, inner): update k goes to row[k]. */
static hz_var scatter_rows(hz__call *c, hz_var data, hz_var updates, hz_var row) {
    hz_var (*combine)(hz_var, hz_var);
    if (!reduction_of(c, &combine) || !hz_ok(data) || !hz_ok(updates)) return hz_none(c->t);
    int64_t m = hz_value(updates)->dim[0], count = hz_value(data)->dim[0];
    if (m == 0 || count == 0) return data;
    hz_var used = hz_full(c->t, HZ_U8, HZ_DIMS(m), 0);
    bool left = hz_ok(used);
    for (int round = 0; left && hz_ok(data); round++) {
        if (round == MAX_ROUNDS) return hz__refuse(c, "with more than %d updates of one element", MAX_ROUNDS);
        hz_var from = hz__new_i64(c, HZ_DIMS(count)), hit = hz_full(c->t, HZ_U8, HZ_DIMS(count, 1), 0);
        if (!hz_ok(from) || !hz_ok(hit)) return hz_none(c->t);
        left = plan_round(hz__i64(row), m, !combine, hz_value(used)->data, hz__i64(from), count);
        for (int64_t k = 0; k < count; k++) {
            ((uint8_t *)hz_value(hit)->data)[k] = hz__i64(from)[k] >= 0;
            if (hz__i64(from)[k] < 0) hz__i64(from)[k] = 0;
        }
        hz_var news = hz_gather(updates, 0, from);
        data = hz_where(hit, combine ? integer_aside(c, data, news, combine) : news, data);
    }
    return data;
}

static void scatter_nd(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0), *updates = hz__arg_value(c, 2);
    rows r;
    if (!find_rows(c, 0, &r)) return;
    int64_t inner = product(x->dim, r.axes, x->rank), m = hz_value(r.row)->dim[0];
    if (hz_numel(updates) != m * inner) {
        hz__bad(c, "updates %s for %" PRId64 " rows of %" PRId64, hz_shape_str(updates).s, m, inner);
        return;
    }
    hz_var y = scatter_rows(c, hz_reshape(hz__arg(c, 0), HZ_DIMS(r.count, inner)),
                            hz_reshape(hz__arg(c, 2), HZ_DIMS(m, inner)), r.row);
    hz__give_as(c, 0, hz_reshape(y, x->rank, x->dim), hz__arg_type(c, 0));
}

/* The row-major number of the element of x that each index along `axis` names. */
static hz_var element_numbers(hz__call *c, int axis) {
    const hz_tensor *x = hz__arg_value(c, 0), *index = hz__arg_value(c, 1);
    hz_tensor whole = hz_tensor_of(NULL, x->dtype, x->rank, x->dim);
    hz_var number = hz__to_i64(hz__arg(c, 1));
    int64_t *v = hz_ok(number) ? hz__i64(number) : NULL, at[HZ_MAX_RANK];
    for (int64_t k = 0; v && k < hz_numel(index); k++) {
        hz_unravel(index, k, at);
        int64_t extent = x->dim[axis];
        at[axis] = v[k] < 0 ? v[k] + extent : v[k];
        for (int a = 0; a < x->rank; a++)
            if (at[a] < 0 || at[a] >= x->dim[a])
                return hz__bad(c, "index %" PRId64 " is outside %s", v[k], hz_shape_str(x).s);
        v[k] = hz_offset(&whole, at);
    }
    return number;
}

static void scatter_elements(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0), *index = hz__arg_value(c, 1);
    int axis;
    if (!hz__axis(c, hz__attr_int(c, "axis", 0), x->rank, &axis)) return;
    if (index->rank != x->rank || !hz_same_shape(index, hz__arg_value(c, 2))) {
        hz__bad(c, "updates %s at %s of %s", hz_shape_str(hz__arg_value(c, 2)).s, hz_shape_str(index).s,
                hz_shape_str(x).s);
        return;
    }
    hz_var number = element_numbers(c, axis);
    if (!hz_ok(number)) return;
    hz_var y = scatter_rows(c, hz_reshape(hz__arg(c, 0), HZ_DIMS(-1, 1)),
                            hz_reshape(hz__arg(c, 2), HZ_DIMS(-1, 1)), number);
    hz__give_as(c, 0, hz_reshape(y, x->rank, x->dim), hz__arg_type(c, 0));
}

/* ---- OneHot, NonZero, Compress, ReverseSequence ---- */

static void one_hot(hz__call *c) {
    const hz_tensor *values = hz__arg_value(c, 2);
    int64_t depth = 0, axis = hz__attr_int(c, "axis", -1);
    hz_var index = hz__to_i64(hz__arg(c, 0));
    if (!hz_ok(index) || hz_numel(hz__arg_value(c, 1)) != 1 || hz_numel(values) != 2) {
        hz__bad(c, "depth %s, values %s", hz_shape_str(hz__arg_value(c, 1)).s, hz_shape_str(values).s);
        return;
    }
    depth = hz__int_at(hz__arg_value(c, 1), 0);
    hz_tensor shape = *hz_value(index);
    int64_t n = hz_numel(&shape);
    if (shape.rank == HZ_MAX_RANK || depth < 0 || depth > INT32_MAX) {
        hz__refuse(c, "of depth %" PRId64 " for %s", depth, hz_shape_str(&shape).s);
        return;
    }
    shape.dim[shape.rank++] = depth;
    hz_var hot = hz_full(c->t, HZ_U8, shape.rank, shape.dim, 0);
    for (int64_t k = 0; hz_ok(hot) && k < n; k++) {
        int64_t at = hz__i64(index)[k];
        if (at < 0) at += depth;
        if (at >= 0 && at < depth) ((uint8_t *)hz_value(hot)->data)[k * depth + at] = 1;
    }
    int to, perm[HZ_MAX_RANK];
    if (!hz__axis(c, axis, shape.rank, &to)) return;
    for (int k = 0; k < shape.rank; k++) perm[k] = k < to ? k : k == to ? shape.rank - 1 : k - 1;
    hz_var pair = hz_reshape(hz__arg(c, 2), HZ_DIMS(2));
    const int64_t off[] = {0}, on[] = {1};
    hz__give_as(c, 0, hz_where(hz_permute(hot, perm), hz_pick(pair, on), hz_pick(pair, off)),
                hz__arg_type(c, 2));
}

/* (rank, how many): one row for each axis. */
static void non_zero(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t count = 0, n = hz_numel(x), at[HZ_MAX_RANK];
    for (int64_t k = 0; k < n; k++) count += hz_get_flat(x, k) != 0;
    hz_var y = hz__new_i64(c, HZ_DIMS(x->rank, count));
    for (int64_t k = 0, j = 0; hz_ok(y) && k < n; k++) {
        if (hz_get_flat(x, k) == 0) continue;
        hz_unravel(x, k, at);
        for (int a = 0; a < x->rank; a++) hz__i64(y)[a * count + j] = at[a];
        j++;
    }
    hz__give_as(c, 0, y, INT64);
}

static void compress(hz__call *c) {
    hz_var x = hz__arg(c, 0);
    const hz_tensor *condition = hz__arg_value(c, 1);
    int axis = 0;
    int64_t count = 0, n = hz_numel(condition), j = 0;
    if (!hz__attr(c, "axis"))
        x = hz_reshape(x, HZ_DIMS(-1));
    else if (!hz__axis(c, hz__attr_int(c, "axis", 0), hz_value(x)->rank, &axis))
        return;
    if (n > hz_value(x)->dim[axis]) n = hz_value(x)->dim[axis];
    for (int64_t k = 0; k < n; k++) count += hz_get_flat(condition, k) != 0;
    hz_var index = hz__new_i64(c, HZ_DIMS(count));
    for (int64_t k = 0; hz_ok(index) && k < n; k++)
        if (hz_get_flat(condition, k) != 0) hz__i64(index)[j++] = k;
    hz__give_as(c, 0, hz_gather(x, axis, index), hz__arg_type(c, 0));
}

/* The first so many elements along the time axis of each batch, the other way round. */
static void reverse_sequence(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0), *lengths = hz__arg_value(c, 1);
    int batch, time, perm[HZ_MAX_RANK], back[HZ_MAX_RANK], n = 2;
    if (!hz__axis(c, hz__attr_int(c, "batch_axis", 1), x->rank, &batch) ||
        !hz__axis(c, hz__attr_int(c, "time_axis", 0), x->rank, &time))
        return;
    if (batch == time || hz_numel(lengths) != x->dim[batch]) {
        hz__bad(c, "lengths %s for %s", hz_shape_str(lengths).s, hz_shape_str(x).s);
        return;
    }
    perm[0] = batch, perm[1] = time;
    for (int k = 0; k < x->rank; k++)
        if (k != batch && k != time) perm[n++] = k;
    for (int k = 0; k < x->rank; k++) back[perm[k]] = k;
    int64_t rows_n = x->dim[batch], steps = x->dim[time];
    hz_var y = hz_permute(hz__arg(c, 0), perm), row = hz__new_i64(c, HZ_DIMS(rows_n * steps));
    if (!hz_ok(y) || !hz_ok(row)) return;
    hz_tensor shape = *hz_value(y);
    for (int64_t k = 0; k < rows_n * steps; k++) {
        int64_t b = k / steps, s = k % steps, length = hz__int_at(lengths, b);
        hz__i64(row)[k] = b * steps + (length <= steps && s < length ? length - 1 - s : s);
    }
    int64_t inner = product(shape.dim, 2, shape.rank);
    y = hz_gather(hz_reshape(y, HZ_DIMS(rows_n * steps, inner)), 0, row);
    hz__give_as(c, 0, hz_permute(hz_reshape(y, shape.rank, shape.dim), back), hz__arg_type(c, 0));
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"Gather", .since = 1, .need = 2, .run = gather},
    {"GatherElements", .since = 11, .need = 2, .run = gather_elements},
    {"GatherND", .since = 11, .need = 2, .run = gather_nd},
    {"Scatter", .since = 9, .until = 10, .need = 3, .run = scatter_elements},
    {"ScatterElements", .since = 11, .need = 3, .run = scatter_elements},
    {"ScatterND", .since = 11, .need = 3, .run = scatter_nd},
    {"OneHot", .since = 9, .need = 3, .run = one_hot},
    {"NonZero", .since = 9, .run = non_zero},
    {"Compress", .since = 9, .need = 2, .run = compress},
    {"ReverseSequence", .since = 10, .need = 2, .run = reverse_sequence},
};

const hz__family hz__onnx_index = {mappings, HZ__COUNT(mappings)};
