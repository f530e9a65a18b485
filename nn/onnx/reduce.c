/* reduce.c: reductions over axes, ArgMax and ArgMin, CumSum, TopK. Integers are reduced in f64, exact up to 2^53.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "nn/onnx/internal.h"

/* ---- reductions ---- */

static hz_var l1(hz_var x, hz_axes axes, bool keep) {
    return hz_sum(hz_abs(x), axes, keep);
}

static hz_var sum_square(hz_var x, hz_axes axes, bool keep) {
    return hz_sum(hz_square(x), axes, keep);
}

static hz_var l2(hz_var x, hz_axes axes, bool keep) {
    return hz_sqrt(sum_square(x, axes, keep));
}

static hz_var log_sum(hz_var x, hz_axes axes, bool keep) {
    return hz_log(hz_sum(x, axes, keep));
}

/* Along one axis, the two halves are multiplied until one element is left: log2 n products, and a derivative that is
 * right where elements are zero, which y/x is not. */
static hz_var prod_along(hz_var x, int axis) {
    while (hz_ok(x) && hz_value(x)->dim[axis] > 1) {
        int64_t n = hz_value(x)->dim[axis], half = n / 2;
        hz_var y = hz_mul(hz_slice(x, axis, 0, half, 1), hz_slice(x, axis, half, half, 1));
        const hz_var parts[] = {y, n % 2 ? hz_slice(x, axis, n - 1, 1, 1) : y};
        x = n % 2 ? hz_concat(parts, 2, axis) : y;
    }
    return x;
}

static hz_var prod(hz_var x, hz_axes axes, bool keep) {
    for (int k = 0; hz_ok(x) && k < hz_value(x)->rank; k++) {
        hz_tensor one = *hz_value(x);
        if (!(axes & HZ_AXIS(k))) continue;
        one.dim[k] = 1;
        x = hz_value(x)->dim[k] ? prod_along(x, k) : hz_full(x.tape, one.dtype, one.rank, one.dim, 1);
    }
    return keep || !hz_ok(x) || !axes ? x : hz_squeeze(x, axes);
}

typedef hz_var (*reduction)(hz_var x, hz_axes axes, bool keep);

enum { SUM, MEAN, MAX, MIN, PROD, L1, L2, LOG_SUM, LOG_SUM_EXP, SUM_SQUARE, KINDS };

static const reduction reductions[KINDS] = {
    [SUM] = hz_sum,
    [MEAN] = hz_mean,
    [MAX] = hz_max,
    [MIN] = hz_min,
    [PROD] = prod,
    [L1] = l1,
    [L2] = l2,
    [LOG_SUM] = log_sum,
    [LOG_SUM_EXP] = hz_logsumexp,
    [SUM_SQUARE] = sum_square,
};

/* Over no axes at all only what is done to each element remains. */
static hz_var elementwise(int kind, hz_var x) {
    return kind == L1 || kind == L2 ? hz_abs(x)
           : kind == LOG_SUM        ? hz_log(x)
           : kind == SUM_SQUARE     ? hz_square(x)
                                    : x;
}

/* Without axes: all of them, unless noop_with_empty_axes. */
static void reduce(hz__call *c) {
    int64_t given[HZ_MAX_RANK];
    int n, kind = c->mapping->kind;
    hz_axes axes;
    hz_var x = hz__arg_float(c, 0);
    int rank = hz_value(x)->rank;
    bool keep = hz__attr_int(c, "keepdims", 1) != 0;
    if (!hz__ints(c, 1, "axes", given, HZ_MAX_RANK, &n) || !hz__axes(c, given, n, rank, &axes)) return;
    bool noop = n <= 0 && hz__attr_int(c, "noop_with_empty_axes", 0) != 0;
    if (!axes) axes = ((hz_axes)1 << rank) - 1;
    hz__give_like_arg(c, 0, noop || rank == 0 ? elementwise(kind, x) : reductions[kind](x, axes, keep));
}

/* ---- ArgMax, ArgMin ---- */

/* The last of equal extremes is the first from the other end. */
static void arg_extreme(hz__call *c) {
    hz_var x = hz__arg_float(c, 0);
    int axis;
    bool keep = hz__attr_int(c, "keepdims", 1) != 0, last = hz__attr_int(c, "select_last_index", 0) != 0;
    if (!hz__axis(c, hz__attr_int(c, "axis", 0), hz_value(x)->rank, &axis)) return;
    int64_t extent = hz_value(x)->dim[axis];
    if (last) x = hz_flip(x, axis);
    hz_var at = c->mapping->kind > 0 ? hz_argmax(x, axis, keep) : hz_argmin(x, axis, keep);
    int64_t *v = hz_ok(at) ? hz__i64(at) : NULL;
    for (int64_t k = 0; last && v && k < hz_numel(hz_value(at)); k++) v[k] = extent - 1 - v[k];
    hz__give_as(c, 0, at, ONNX__TENSOR_PROTO__DATA_TYPE__INT64);
}

/* ---- CumSum ---- */

static void cumsum(hz__call *c) {
    hz_var x = hz__arg_float(c, 0);
    int64_t given;
    int n, axis;
    if (!hz__ints(c, 1, NULL, &given, 1, &n)) return;
    if (n != 1 || !hz__axis(c, given, hz_value(x)->rank, &axis)) return;
    bool exclusive = hz__attr_int(c, "exclusive", 0) != 0, reverse = hz__attr_int(c, "reverse", 0) != 0;
    hz__give_like_arg(c, 0, hz_cumsum(x, axis, exclusive, reverse));
}

/* ---- TopK ---- */

typedef struct ranked {
    double value;
    int64_t at;
} ranked;

/* Largest first; the earlier of equals first. A NaN counts as largest. */
static int by_value(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    bool nx = isnan(x->value), ny = isnan(y->value);
    int order = nx || ny ? ny - nx : (x->value < y->value) - (x->value > y->value);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* Indices of the k largest (sign 1) or smallest (−1) along the last axis of x, into the rows of index. */
static bool rank_rows(hz_var x, int64_t k, double sign, int64_t *index) {
    const hz_tensor *v = hz_value(x);
    int64_t n = v->dim[v->rank - 1], rows = n ? hz_numel(v) / n : 0;
    ranked *row = n <= INT32_MAX ? malloc((size_t)(n ? n : 1) * sizeof *row) : NULL;
    if (!row) return false;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = 0; j < n; j++) row[j] = (ranked){sign * hz_get_flat(v, r * n + j), j};
        qsort(row, (size_t)n, sizeof *row, by_value);
        for (int64_t j = 0; j < k; j++) index[r * k + j] = row[j].at;
    }
    free(row);
    return true;
}

static void top_k(hz__call *c) {
    hz_var x = hz__arg(c, 0);
    const hz_tensor *v = hz_value(x);
    int64_t k = hz__attr_int(c, "k", -1);
    int n, axis;
    if (hz__has(c, 1) && !hz__ints(c, 1, NULL, &k, 1, &n)) return;
    if (!hz__axis(c, hz__attr_int(c, "axis", -1), v->rank, &axis)) return;
    if (k < 0 || k > v->dim[axis]) {
        hz__bad(c, "%" PRId64 " of %" PRId64 " elements", k, v->dim[axis]);
        return;
    }
    hz_var rows = hz_transpose(x, axis, -1);
    hz_tensor shape = *hz_value(rows);
    shape.dim[shape.rank - 1] = k;
    hz_var index = hz__new_i64(c, shape.rank, shape.dim);
    double sign = hz__attr_int(c, "largest", 1) ? 1 : -1;
    if (!hz_ok(index)) return;
    if (!rank_rows(rows, k, sign, hz__i64(index))) {
        hz_tape_fail(c->t, HZ_ENOMEM, "no memory to sort");
        return;
    }
    index = hz_transpose(index, axis, -1);
    hz__give_like_arg(c, 0, hz_gather_elements(x, axis, index));
    hz__give_as(c, 1, index, ONNX__TENSOR_PROTO__DATA_TYPE__INT64);
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"ReduceSum", .since = 1, .run = reduce, .kind = SUM},
    {"ReduceMean", .since = 1, .run = reduce, .kind = MEAN},
    {"ReduceMax", .since = 1, .run = reduce, .kind = MAX},
    {"ReduceMin", .since = 1, .run = reduce, .kind = MIN},
    {"ReduceProd", .since = 1, .run = reduce, .kind = PROD},
    {"ReduceL1", .since = 1, .run = reduce, .kind = L1},
    {"ReduceL2", .since = 1, .run = reduce, .kind = L2},
    {"ReduceLogSum", .since = 1, .run = reduce, .kind = LOG_SUM},
    {"ReduceLogSumExp", .since = 1, .run = reduce, .kind = LOG_SUM_EXP},
    {"ReduceSumSquare", .since = 1, .run = reduce, .kind = SUM_SQUARE},
    {"ArgMax", .since = 1, .run = arg_extreme, .kind = 1},
    {"ArgMin", .since = 1, .run = arg_extreme, .kind = -1},
    {"CumSum", .since = 11, .need = 2, .run = cumsum},
    {"TopK", .since = 1, .run = top_k},
};

const hz__family hz__onnx_reduce = {mappings, HZ__COUNT(mappings)};
