/* reduce.c: reductions, softmax and normalisation along any set of axes, see reduce.h. Start reading at
 * make_plan and hz_reduce.
 *
 * A reduction runs over a loop nest of x, its axes merged and sorted by stride and then split into kept and
 * reduced ones. If the innermost axis is reduced, rows are folded to one number each; if it is kept, rows are
 * folded into a row of accumulators. Work is divided among threads by outputs, or, when one output has a long
 * sum to itself, by parts whose borders depend on the shape alone and which are combined in order.
 *
 * Softmax and normalisation are fused, row by row, when the axes are the trailing ones of contiguous tensors
 * (normalisation: also when rows of one group are scattered, as in batch norm). Otherwise they are composed of
 * reductions and maps.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/reduce.h"

#include <math.h>
#include <string.h>

#include "tensor/elementwise.h"
#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/nest.h"
#include "tensor/kernels/reduce.h"

enum {
    BLOCK = 512, /* columns folded side by side, and elements gathered at a time */
    PART = 32768 /* elements of a row folded in one go */
};

static const hz__reduce *kernels(const hz_exec *ex, hz_dtype dtype) {
    static const hz__reduce *const table[][2] = {
        [HZ_ISA_AUTO] = {&hz__reduce_f32_c, &hz__reduce_f64_c},
        [HZ_ISA_C] = {&hz__reduce_f32_c, &hz__reduce_f64_c},
#if defined(HZ_HAVE_AVX2)
        [HZ_ISA_AVX2] = {&hz__reduce_f32_avx2, &hz__reduce_f64_avx2},
#endif
#if defined(HZ_HAVE_AVX512)
        [HZ_ISA_AVX512] = {&hz__reduce_f32_avx512, &hz__reduce_f64_avx512},
#endif
    };
    return table[ex->isa][dtype == HZ_F64];
}

static void store(hz_dtype dtype, char *p, double value) {
    if (dtype == HZ_F32)
        *(float *)(void *)p = (float)value;
    else
        *(double *)(void *)p = value;
}

static double load(hz_dtype dtype, const char *p) {
    return dtype == HZ_F32 ? (double)*(const float *)(const void *)p : *(const double *)(const void *)p;
}

/* ---- the plan of a reduction ---- */

/* A set of loops; strides in bytes. */
typedef struct loops {
    int rank;
    int64_t count; /* product of dim */
    int64_t dim[HZ_MAX_RANK], x[HZ_MAX_RANK], y[HZ_MAX_RANK];
} loops;

typedef struct plan {
    const hz__fold *fold;
    hz_dtype dtype;
    int64_t size;    /* bytes of an element */
    int64_t divisor; /* what a result is divided by: the count for MEAN, else 1 */
    const char *x;
    char *y;
    loops kept, reduced; /* without the innermost loop, which is … */
    bool row;            /* … reduced (true) or kept, */
    int64_t n, sx, sy;   /* n long, with these strides in bytes */
    double *partial;     /* for fold_parts */
} plan;

static void add_loop(loops *l, int64_t dim, int64_t x, int64_t y) {
    l->dim[l->rank] = dim;
    l->x[l->rank] = x;
    l->y[l->rank] = y;
    l->rank++;
    l->count *= dim;
}

/* Where an iteration over loops is: an index and its offsets in bytes. */
typedef struct cursor {
    int64_t x, y;
    int64_t index[HZ_MAX_RANK];
} cursor;

/* Iteration i, the last loop the fastest. */
static cursor locate(const loops *l, int64_t i) {
    cursor c = {0};
    for (int k = l->rank - 1; k >= 0; k--) {
        c.index[k] = i % l->dim[k];
        i /= l->dim[k];
        c.x += c.index[k] * l->x[k];
        c.y += c.index[k] * l->y[k];
    }
    return c;
}

static void advance(const loops *l, cursor *c) {
    for (int k = l->rank - 1; k >= 0; k--) {
        c->x += l->x[k];
        c->y += l->y[k];
        if (++c->index[k] < l->dim[k]) return;
        c->index[k] = 0;
        c->x -= l->dim[k] * l->x[k];
        c->y -= l->dim[k] * l->y[k];
    }
}

/* y as a view of x's shape, with stride 0 along reduced axes. */
static hz_tensor spread_over(const hz_tensor *y, const hz_tensor *x, hz_axes axes) {
    hz_tensor view = *y;
    for (int k = 0; k < x->rank; k++) {
        view.dim[k] = x->dim[k];
        if (axes >> k & 1) view.stride[k] = 0;
    }
    return view;
}

static void make_plan(plan *p, const hz_tensor *x, hz_axes axes, const hz_tensor *y) {
    const hz_tensor view = spread_over(y, x, axes);
    hz__nest nest;
    hz__nest_make(&nest, (const hz_tensor *[]){x, &view}, 2);
    const int last = nest.rank - 1;
    *p = (plan){.dtype = x->dtype,
                .size = (int64_t)hz_dtype_size(x->dtype),
                .divisor = 1,
                .x = nest.data[0],
                .y = nest.data[1],
                .kept = {.count = 1},
                .reduced = {.count = 1},
                .row = nest.stride[1][last] == 0,
                .n = nest.dim[last],
                .sx = nest.stride[0][last],
                .sy = nest.stride[1][last]};
    for (int k = 0; k < last; k++)
        add_loop(nest.stride[1][k] == 0 ? &p->reduced : &p->kept, nest.dim[k], nest.stride[0][k],
                 nest.stride[1][k]);
}

/* ---- innermost axis reduced: fold rows ---- */

static double fold_row(const plan *p, const char *x, int64_t n) {
    if (p->sx == p->size) return p->fold->row(n, x);
    _Alignas(HZ_ALIGN) char buffer[BLOCK * sizeof(double)];
    double total = p->fold->identity;
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t count = n - start < BLOCK ? n - start : BLOCK;
        hz__move((size_t)p->size, count, x + start * p->sx, p->sx, buffer, p->size);
        total = p->fold->combine(total, p->fold->row(count, buffer));
    }
    return total;
}

static int64_t parts_per_row(const plan *p) {
    return (p->n + PART - 1) / PART;
}

static double fold_part(const plan *p, const char *row, int64_t part) {
    const int64_t start = part * PART;
    return fold_row(p, row + start * p->sx, p->n - start < PART ? p->n - start : PART);
}

static void finish(const plan *p, char *y, double total) {
    store(p->dtype, y, p->divisor == 1 ? total : total / (double)p->divisor);
}

/* The output whose elements start at x: its rows in order, each in parts. */
static double fold_output(const plan *p, const char *x) {
    const int64_t parts = parts_per_row(p);
    double total = p->fold->identity;
    if (p->reduced.count == 1 && parts == 1) return fold_row(p, x, p->n);
    cursor row = locate(&p->reduced, 0);
    for (int64_t r = 0; r < p->reduced.count; r++, advance(&p->reduced, &row))
        for (int64_t part = 0; part < parts; part++)
            total = p->fold->combine(total, fold_part(p, x + row.x, part));
    return total;
}

/* Outputs begin … end − 1, each by itself. */
static void fold_outputs(const void *ctx, int64_t begin, int64_t end) {
    const plan *p = ctx;
    cursor at = locate(&p->kept, begin);
    for (int64_t i = begin; i < end; i++, advance(&p->kept, &at))
        finish(p, p->y + at.y, fold_output(p, p->x + at.x));
}

/* Parts begin … end − 1 of all outputs, into p->partial. */
static void fold_parts(const void *ctx, int64_t begin, int64_t end) {
    const plan *p = ctx;
    const int64_t per_row = parts_per_row(p), per_output = p->reduced.count * per_row;
    for (int64_t i = begin; i < end; i++) {
        const cursor output = locate(&p->kept, i / per_output);
        const cursor row = locate(&p->reduced, i % per_output / per_row);
        p->partial[i] = fold_part(p, p->x + output.x + row.x, i % per_row);
    }
}

/* Few outputs, many parts, several threads: fold the parts in parallel and combine them in order. The same
 * additions as in fold_outputs. */
static bool fold_rows_in_parts(const hz_exec *ex, plan *p) {
    const int64_t parts = p->reduced.count * parts_per_row(p);
    hz_block *block = hz_pool_get(ex->pool, (size_t)(p->kept.count * parts) * sizeof(double));
    if (!block) return false;
    p->partial = block->data;
    hz__parallel_for(ex, p->kept.count * p->reduced.count * p->n, p->kept.count * parts, fold_parts, p);
    cursor at = locate(&p->kept, 0);
    for (int64_t i = 0; i < p->kept.count; i++, advance(&p->kept, &at)) {
        double total = p->fold->identity;
        for (int64_t part = 0; part < parts; part++)
            total = p->fold->combine(total, p->partial[i * parts + part]);
        finish(p, p->y + at.y, total);
    }
    hz_block_unref(block);
    return true;
}

static void fold_rows(const hz_exec *ex, plan *p) {
    const int64_t work = p->kept.count * p->reduced.count * p->n;
    const bool in_parts = ex->threads > 1 && work >= HZ__PARALLEL && p->kept.count < 4 * ex->threads;
    if (in_parts && fold_rows_in_parts(ex, p)) return;
    hz__parallel_for(ex, work, p->kept.count, fold_outputs, p);
}

/* ---- innermost axis kept: fold columns ---- */

/* Take one set of rows (`rows` of them, `stride` bytes apart) into n accumulators. */
static void fold_columns(const plan *p, const char *x, int64_t rows, int64_t stride, int64_t n, double *acc) {
    if (p->sx == p->size && stride % p->size == 0) {
        p->fold->columns(rows, stride / p->size, n, x, acc);
        return;
    }
    _Alignas(HZ_ALIGN) char buffer[BLOCK * sizeof(double)];
    for (int64_t r = 0; r < rows; r++) {
        hz__move((size_t)p->size, n, x + r * stride, p->sx, buffer, p->size);
        p->fold->columns(1, 0, n, buffer, acc);
    }
}

/* Column blocks begin … end − 1: each is up to BLOCK columns of one index of the kept loops. */
static void fold_column_blocks(const void *ctx, int64_t begin, int64_t end) {
    const plan *p = ctx;
    const int64_t per_row = (p->n + BLOCK - 1) / BLOCK;
    const int inner = p->reduced.rank - 1; /* this loop goes into the kernel */
    const int64_t rows = inner >= 0 ? p->reduced.dim[inner] : 1,
                  stride = inner >= 0 ? p->reduced.x[inner] : 0;
    double acc[BLOCK];
    for (int64_t i = begin; i < end; i++) {
        const int64_t start = i % per_row * BLOCK, n = p->n - start < BLOCK ? p->n - start : BLOCK;
        const cursor at = locate(&p->kept, i / per_row);
        for (int64_t j = 0; j < n; j++) acc[j] = p->fold->identity;
        for (int64_t r = 0; r < p->reduced.count; r += rows) {
            const cursor row = locate(&p->reduced, r);
            fold_columns(p, p->x + at.x + row.x + start * p->sx, rows, stride, n, acc);
        }
        for (int64_t j = 0; j < n; j++) finish(p, p->y + at.y + (start + j) * p->sy, acc[j]);
    }
}

/* ---- reductions ---- */

/* The value over no elements. */
static double empty_value(hz_reduction kind) {
    static const double value[HZ_REDUCTIONS] = {[HZ_REDUCE_MEAN] = NAN,
                                                [HZ_REDUCE_MAX] = -INFINITY,
                                                [HZ_REDUCE_MIN] = INFINITY,
                                                [HZ_REDUCE_PROD] = 1,
                                                [HZ_REDUCE_LOGSUMEXP] = -INFINITY};
    return value[kind];
}

static void reduce(const hz_exec *ex, hz_reduction kind, const hz_tensor *x, hz_axes axes,
                   const hz_tensor *y) {
    plan p;
    if (hz_numel(x) == 0) {
        hz_fill(ex, y, empty_value(kind));
        return;
    }
    make_plan(&p, x, axes, y);
    p.fold = &kernels(ex, x->dtype)->fold[kind == HZ_REDUCE_MEAN ? HZ_REDUCE_SUM : kind];
    if (kind == HZ_REDUCE_MEAN) p.divisor = hz_numel(x) / hz_numel(y);
    if (p.row)
        fold_rows(ex, &p);
    else
        hz__parallel_for(ex, hz_numel(x), p.kept.count * ((p.n + BLOCK - 1) / BLOCK), fold_column_blocks, &p);
}

/* ---- composing: scratch tensors and broadcasts ---- */

/* A contiguous scratch tensor: x's shape, with extent 1 along axes. */
static hz_block *scratch(const hz_exec *ex, const hz_tensor *x, hz_axes axes, hz_tensor *t, hz_error *err) {
    *t = *x;
    for (int k = 0; k < x->rank; k++)
        if (axes >> k & 1) t->dim[k] = 1;
    return hz_pool_tensor(ex->pool, t, err);
}

/* z = f(x, s): s has extent 1 along axes. */
static void map_broadcast(const hz_exec *ex, hz_binary f, const hz_tensor *x, const hz_tensor *s,
                          hz_axes axes, const hz_tensor *z) {
    const hz_tensor view = spread_over(s, x, axes);
    hz_map2(ex, f, x, &view, 0, 0, z);
}

static double finite_or_zero(double x, double a, double b) {
    (void)a, (void)b;
    return isfinite(x) ? x : 0;
}

/* ---- rows: the trailing axes of contiguous tensors ---- */

typedef struct rows {
    int64_t count, n; /* rows and their length; 0 if the axes are not the trailing ones */
} rows;

/* axes as rows: all axes of extent > 1 from the first one in the set on must be in it. */
static rows trailing_rows(const hz_tensor *x, hz_axes axes) {
    rows r = {.count = 1, .n = 1};
    if (!hz_is_contiguous(x)) return (rows){0};
    for (int k = 0; k < x->rank; k++) {
        const bool reduced = axes >> k & 1;
        if (!reduced && r.n > 1 && x->dim[k] != 1) return (rows){0};
        *(reduced ? &r.n : &r.count) *= x->dim[k];
    }
    return r.count * r.n > 0 ? r : (rows){0};
}

typedef struct row_job {
    const hz__reduce *reduce;
    const hz__vmath *vmath;
    hz__unary_row *affine;
    hz_dtype dtype;
    bool logarithm;
    double eps;
    int64_t n, bytes; /* of a row */
    const char *x, *dy;
    char *y;
} row_job;

static row_job job_of(const hz_exec *ex, rows r, const hz_tensor *x, const hz_tensor *dy,
                      const hz_tensor *y) {
    return (row_job){.reduce = kernels(ex, x->dtype),
                     .vmath = hz__vmath_table(x->dtype, ex->isa),
                     .affine = hz__elementwise_table(x->dtype, ex->isa)->unary[HZ_AFFINE],
                     .dtype = x->dtype,
                     .n = r.n,
                     .bytes = r.n * (int64_t)hz_dtype_size(x->dtype),
                     .x = x->data,
                     .dy = dy ? dy->data : NULL,
                     .y = y->data};
}

/* ---- log Σ e^x ---- */

static void logsumexp_rows(const void *ctx, int64_t begin, int64_t end) {
    const row_job *j = ctx;
    const int64_t size = j->bytes / j->n;
    for (int64_t i = begin; i < end; i++) {
        const char *x = j->x + i * j->bytes;
        const double shift = finite_or_zero(j->reduce->fold[HZ_REDUCE_MAX].row(j->n, x), 0, 0);
        store(j->dtype, j->y + i * size, shift + log(j->vmath->exp_sum(j->n, x, shift, NULL)));
    }
}

static bool logsumexp(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *y,
                      hz_error *err) {
    const rows r = trailing_rows(x, axes);
    hz_tensor shift, e;
    hz_block *shift_block = NULL, *e_block = NULL;
    bool ok = false;
    if (r.n > 0) {
        const row_job job = job_of(ex, r, x, NULL, y);
        hz__parallel_for(ex, hz_numel(x), r.count, logsumexp_rows, &job);
        return true;
    }
    if (!(shift_block = scratch(ex, x, axes, &shift, err)) || !(e_block = scratch(ex, x, 0, &e, err)))
        goto out;
    reduce(ex, HZ_REDUCE_MAX, x, axes, &shift);
    hz_map_scalar(ex, finite_or_zero, &shift, 0, 0, &shift);
    map_broadcast(ex, HZ_SUB, x, &shift, axes, &e);
    hz_map1(ex, HZ_EXP, &e, 0, 0, &e);
    reduce(ex, HZ_REDUCE_SUM, &e, axes, y);
    hz_map1(ex, HZ_LOG, y, 0, 0, y);
    hz_map2(ex, HZ_ADD, y, &shift, 0, 0, y);
    ok = true;
out:
    hz_block_unref(e_block);
    hz_block_unref(shift_block);
    return ok;
}

bool hz_reduce(const hz_exec *ex, hz_reduction kind, const hz_tensor *x, hz_axes axes, const hz_tensor *y,
               hz_error *err) {
    if (kind == HZ_REDUCE_LOGSUMEXP && hz_numel(x) > 0) return logsumexp(ex, x, axes, y, err);
    reduce(ex, kind, x, axes, y);
    return true;
}

/* ---- arg max, cumulative sum: along one axis ---- */

/* The lines of x along an axis. */
typedef struct lines {
    const hz__reduce *reduce;
    const hz_tensor *x, *y;
    int axis, sign;
    bool exclusive, reverse;
} lines;

/* Offsets in bytes of line i in x and y; y may have extent 1 along the axis. */
static void locate_line(const lines *l, int64_t i, int64_t *x, int64_t *y) {
    hz_tensor outer = *l->x;
    int64_t index[HZ_MAX_RANK] = {0};
    outer.dim[l->axis] = 1;
    hz_unravel(&outer, i, index);
    *x = hz_offset(l->x, index) * (int64_t)hz_dtype_size(l->x->dtype);
    *y = hz_offset(l->y, index) * (int64_t)hz_dtype_size(l->y->dtype);
}

/* Whether a comes before b in the order of arg_extreme: larger (smaller), or NaN against a number. */
static bool beats(double a, double b, int sign) {
    if (b != b) return false;
    return a != a || (sign > 0 ? a > b : a < b);
}

static int64_t arg_extreme_of(const lines *l, const char *x) {
    const int64_t n = l->x->dim[l->axis], size = (int64_t)hz_dtype_size(l->x->dtype);
    const int64_t stride = l->x->stride[l->axis] * size;
    _Alignas(HZ_ALIGN) char buffer[BLOCK * sizeof(double)];
    int64_t best = 0;
    if (stride == size) return l->reduce->arg_extreme(n, x, l->sign);
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t count = n - start < BLOCK ? n - start : BLOCK;
        hz__move((size_t)size, count, x + start * stride, stride, buffer, size);
        const int64_t found = start + l->reduce->arg_extreme(count, buffer, l->sign);
        if (beats(load(l->x->dtype, x + found * stride), load(l->x->dtype, x + best * stride), l->sign))
            best = found;
    }
    return best;
}

static void arg_extreme_lines(const void *ctx, int64_t begin, int64_t end) {
    const lines *l = ctx;
    for (int64_t i = begin; i < end; i++) {
        int64_t x, y;
        locate_line(l, i, &x, &y);
        *(int64_t *)(void *)((char *)l->y->data + y) = arg_extreme_of(l, (const char *)l->x->data + x);
    }
}

bool hz_arg_extreme(const hz_exec *ex, int sign, const hz_tensor *x, int axis, const hz_tensor *y,
                    hz_error *err) {
    const lines l = {.reduce = kernels(ex, x->dtype), .x = x, .y = y, .axis = axis, .sign = sign};
    (void)err;
    if (hz_numel(x) == 0)
        hz_fill(ex, y, 0);
    else
        hz__parallel_for(ex, hz_numel(x), hz_numel(y), arg_extreme_lines, &l);
    return true;
}

static void cumsum_lines(const void *ctx, int64_t begin, int64_t end) {
    const lines *l = ctx;
    const int64_t n = l->x->dim[l->axis], size = (int64_t)hz_dtype_size(l->x->dtype);
    const int64_t sx = l->x->stride[l->axis] * size, sy = l->y->stride[l->axis] * size;
    for (int64_t i = begin; i < end; i++) {
        int64_t at_x, at_y;
        double total = 0;
        locate_line(l, i, &at_x, &at_y);
        for (int64_t k = 0; k < n; k++) {
            const int64_t at = l->reverse ? n - 1 - k : k;
            const double before = total;
            total += load(l->x->dtype, (const char *)l->x->data + at_x + at * sx);
            store(l->x->dtype, (char *)l->y->data + at_y + at * sy, l->exclusive ? before : total);
        }
    }
}

bool hz_cumsum_map(const hz_exec *ex, const hz_tensor *x, int axis, bool exclusive, bool reverse,
                   const hz_tensor *y, hz_error *err) {
    const lines l = {.x = x, .y = y, .axis = axis, .exclusive = exclusive, .reverse = reverse};
    (void)err;
    if (hz_numel(x) > 0) hz__parallel_for(ex, hz_numel(x), hz_numel(x) / x->dim[axis], cumsum_lines, &l);
    return true;
}

/* ---- softmax ---- */

static void softmax_rows(const void *ctx, int64_t begin, int64_t end) {
    const row_job *j = ctx;
    for (int64_t i = begin; i < end; i++) {
        const char *x = j->x + i * j->bytes;
        char *y = j->y + i * j->bytes;
        const double shift = j->reduce->fold[HZ_REDUCE_MAX].row(j->n, x);
        const double total = j->vmath->exp_sum(j->n, x, shift, j->logarithm ? NULL : y);
        if (j->logarithm)
            j->reduce->shift_twice(j->n, x, shift, log(total), y);
        else
            j->affine(j->n, y, 1 / total, 0, y);
    }
}

/* y = e^(x − max)/Σ, or y = (x − max) − log Σ */
static bool softmax_composed(const hz_exec *ex, bool logarithm, const hz_tensor *x, hz_axes axes,
                             const hz_tensor *y, hz_error *err) {
    hz_tensor s, e;
    hz_block *s_block = scratch(ex, x, axes, &s, err), *e_block = NULL;
    bool ok = false;
    if (!s_block) goto out;
    if (logarithm && !(e_block = scratch(ex, x, 0, &e, err))) goto out;
    if (!logarithm) e = *y;
    reduce(ex, HZ_REDUCE_MAX, x, axes, &s);
    map_broadcast(ex, HZ_SUB, x, &s, axes, y);
    hz_map1(ex, HZ_EXP, y, 0, 0, &e);
    reduce(ex, HZ_REDUCE_SUM, &e, axes, &s);
    if (logarithm) hz_map1(ex, HZ_LOG, &s, 0, 0, &s);
    map_broadcast(ex, logarithm ? HZ_SUB : HZ_DIV, y, &s, axes, y);
    ok = true;
out:
    hz_block_unref(e_block);
    hz_block_unref(s_block);
    return ok;
}

bool hz_softmax_map(const hz_exec *ex, bool logarithm, const hz_tensor *x, hz_axes axes, const hz_tensor *y,
                    hz_error *err) {
    const rows r = trailing_rows(x, axes);
    if (hz_numel(x) == 0) return true;
    if (r.n == 0) return softmax_composed(ex, logarithm, x, axes, y, err);
    row_job job = job_of(ex, r, x, NULL, y);
    job.logarithm = logarithm;
    hz__parallel_for(ex, hz_numel(x), r.count, softmax_rows, &job);
    return true;
}

static void softmax_grad_rows(const void *ctx, int64_t begin, int64_t end) {
    const row_job *j = ctx;
    for (int64_t i = begin; i < end; i++) {
        const char *y = j->x + i * j->bytes, *dy = j->dy + i * j->bytes;
        char *dx = j->y + i * j->bytes;
        if (j->logarithm)
            j->vmath->log_softmax_grad(j->n, y, dy, j->reduce->fold[HZ_REDUCE_SUM].row(j->n, dy), dx);
        else
            j->reduce->softmax_grad(j->n, y, dy, j->reduce->dot(j->n, y, dy), dx);
    }
}

static bool softmax_grad_composed(const hz_exec *ex, bool logarithm, const hz_tensor *y, const hz_tensor *dy,
                                  hz_axes axes, const hz_tensor *dx, hz_error *err) {
    hz_tensor s, t;
    hz_block *s_block = scratch(ex, y, axes, &s, err), *t_block = scratch(ex, y, 0, &t, err);
    const bool ok = s_block && t_block;
    if (ok && logarithm) {
        reduce(ex, HZ_REDUCE_SUM, dy, axes, &s);
        hz_map1(ex, HZ_EXP, y, 0, 0, &t);
        map_broadcast(ex, HZ_MUL, &t, &s, axes, &t);
        hz_map2(ex, HZ_SUB, dy, &t, 0, 0, dx);
    } else if (ok) {
        hz_map2(ex, HZ_MUL, dy, y, 0, 0, &t);
        reduce(ex, HZ_REDUCE_SUM, &t, axes, &s);
        map_broadcast(ex, HZ_SUB, dy, &s, axes, &t);
        hz_map2(ex, HZ_MUL, &t, y, 0, 0, dx);
    }
    hz_block_unref(t_block);
    hz_block_unref(s_block);
    return ok;
}

bool hz_softmax_grad_map(const hz_exec *ex, bool logarithm, const hz_tensor *y, const hz_tensor *dy,
                         hz_axes axes, const hz_tensor *dx, hz_error *err) {
    const rows r = trailing_rows(y, axes);
    if (hz_numel(y) == 0) return true;
    if (r.n == 0 || !hz_is_contiguous(dy)) return softmax_grad_composed(ex, logarithm, y, dy, axes, dx, err);
    row_job job = job_of(ex, r, y, dy, dx);
    job.logarithm = logarithm;
    hz__parallel_for(ex, hz_numel(y), r.count, softmax_grad_rows, &job);
    return true;
}

/* ---- normalisation ---- */

/* x seen as (outer, groups, inner) with one mean and variance per group, over outer and inner: layer norm has
 * outer = 1 (its groups are the rows), batch norm of (N, C, H, W) has outer = N, groups = C, inner = H·W. */
typedef struct grouping {
    int64_t outer, groups, inner; /* inner 0: x does not have this form */
} grouping;

static grouping group_rows(const hz_tensor *x, hz_axes axes) {
    grouping g = {1, 1, 1};
    if (!hz_is_contiguous(x) || hz_numel(x) == 0) return (grouping){0};
    int k = 0;
    for (; k < x->rank && (x->dim[k] == 1 || axes >> k & 1); k++) g.outer *= x->dim[k];
    for (; k < x->rank && (x->dim[k] == 1 || !(axes >> k & 1)); k++) g.groups *= x->dim[k];
    for (; k < x->rank && (x->dim[k] == 1 || axes >> k & 1); k++) g.inner *= x->dim[k];
    enum { WORTH_A_CALL = 8 }; /* shorter rows are left to the composed form */
    if (k < x->rank || g.inner < WORTH_A_CALL) return (grouping){0};
    return g;
}

/* What a parameter that broadcasts against x has one number for. */
typedef enum spread { NO_PARAMETER, PER_GROUP, PER_COLUMN, OTHERWISE } spread;

typedef struct normalize_job {
    const hz__reduce *reduce;
    hz__binary_row *multiply;
    grouping g;
    double eps;
    hz_dtype dtype;
    int64_t size;
    const char *x, *dy;
    char *y;
    spread spread; /* of gamma and beta */
    const char *gamma, *beta;
    int64_t rows_of_part; /* for dot_parts: */
    double *partial;      /* (parts, inner) */
} normalize_job;

static normalize_job normalize_job_of(const hz_exec *ex, grouping g, double eps, const hz_tensor *x,
                                      const hz_tensor *dy, const hz_tensor *y) {
    return (normalize_job){.reduce = kernels(ex, x->dtype),
                           .multiply = hz__elementwise_table(x->dtype, ex->isa)->binary[HZ_MUL],
                           .g = g,
                           .eps = eps,
                           .dtype = x->dtype,
                           .size = (int64_t)hz_dtype_size(x->dtype),
                           .x = x->data,
                           .dy = dy ? dy->data : NULL,
                           .y = y->data};
}

static int64_t row_offset(const normalize_job *j, int64_t group, int64_t outer) {
    return (outer * j->g.groups + group) * j->g.inner * j->size;
}

typedef struct moments {
    double mean, var, rstd;
} moments;

static moments group_moments(const normalize_job *j, int64_t group) {
    const double count = (double)(j->g.outer * j->g.inner);
    double sum = 0, squares = 0;
    for (int64_t o = 0; o < j->g.outer; o++)
        sum += j->reduce->fold[HZ_REDUCE_SUM].row(j->g.inner, j->x + row_offset(j, group, o));
    for (int64_t o = 0; o < j->g.outer; o++)
        squares += j->reduce->squares_about(j->g.inner, j->x + row_offset(j, group, o), sum / count);
    return (moments){sum / count, squares / count, 1 / sqrt(squares / count + j->eps)};
}

static void normalize_row(const normalize_job *j, int64_t group, moments m, const char *x, char *y) {
    if (j->spread == PER_COLUMN) {
        j->reduce->shift_scale_affine(j->g.inner, x, m.mean, m.rstd, j->gamma, j->beta, y);
        return;
    }
    const bool affine = j->spread == PER_GROUP;
    const double gamma = affine ? load(j->dtype, j->gamma + group * j->size) : 1;
    const double beta = affine ? load(j->dtype, j->beta + group * j->size) : 0;
    j->reduce->shift_scale(j->g.inner, x, m.mean, m.rstd * gamma, beta, y);
}

static void normalize_groups(const void *ctx, int64_t begin, int64_t end) {
    const normalize_job *j = ctx;
    for (int64_t group = begin; group < end; group++) {
        const moments m = group_moments(j, group);
        for (int64_t o = 0; o < j->g.outer; o++) {
            const int64_t at = row_offset(j, group, o);
            normalize_row(j, group, m, j->x + at, j->y + at);
        }
    }
}

/* A row of the cotangent of x̂, but for a factor that all of it has: dy, or dy·gamma, put where the result will be. */
static const char *cotangent_row(const normalize_job *j, int64_t at) {
    return (j->spread == PER_COLUMN ? j->y : j->dy) + at;
}

static void fold_gamma(const normalize_job *j, int64_t at) {
    if (j->spread == PER_COLUMN) j->multiply(j->g.inner, j->dy + at, 1, j->gamma, 1, 0, 0, j->y + at);
}

static void normalize_grad_groups(const void *ctx, int64_t begin, int64_t end) {
    const normalize_job *j = ctx;
    const double count = (double)(j->g.outer * j->g.inner);
    for (int64_t group = begin; group < end; group++) {
        const moments m = group_moments(j, group);
        const double gamma = j->spread == PER_GROUP ? load(j->dtype, j->gamma + group * j->size) : 1;
        double sum = 0, dot = 0;
        for (int64_t o = 0; o < j->g.outer; o++) {
            const int64_t at = row_offset(j, group, o);
            fold_gamma(j, at);
            sum += j->reduce->fold[HZ_REDUCE_SUM].row(j->g.inner, cotangent_row(j, at));
            dot += j->reduce->dot_about(j->g.inner, j->x + at, cotangent_row(j, at), m.mean);
        }
        for (int64_t o = 0; o < j->g.outer; o++) {
            const int64_t at = row_offset(j, group, o);
            j->reduce->normalize_grad(j->g.inner, j->x + at, cotangent_row(j, at), m.mean, m.rstd,
                                      sum / count, dot * m.rstd / count, gamma * m.rstd, j->y + at);
        }
    }
}

/* y = x − mean and rstd (extent 1 along axes), by reductions and maps. */
static void center(const hz_exec *ex, const hz_tensor *x, hz_axes axes, double eps, const hz_tensor *y,
                   const hz_tensor *rstd) {
    const double count = (double)(hz_numel(x) / hz_numel(rstd));
    reduce(ex, HZ_REDUCE_MEAN, x, axes, rstd);
    map_broadcast(ex, HZ_SUB, x, rstd, axes, y);
    reduce(ex, HZ_REDUCE_SUM_SQUARES, y, axes, rstd);
    hz_map1(ex, HZ_AFFINE, rstd, 1 / count, eps, rstd);
    hz_map1(ex, HZ_RSQRT, rstd, 0, 0, rstd);
}

typedef struct moments_job {
    normalize_job job;
    hz_tensor mean, var; /* one number per group */
} moments_job;

static void moments_of_groups(const void *ctx, int64_t begin, int64_t end) {
    const moments_job *j = ctx;
    for (int64_t group = begin; group < end; group++) {
        const moments m = group_moments(&j->job, group);
        hz_set(&j->mean, &group, m.mean);
        hz_set(&j->var, &group, m.var);
    }
}

bool hz_moments(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *mean,
                const hz_tensor *var, hz_error *err) {
    const grouping g = group_rows(x, axes);
    if (g.inner > 0) {
        const int64_t n = g.groups;
        const moments_job j = {.job = normalize_job_of(ex, g, 0, x, NULL, mean),
                               .mean = hz_tensor_of(mean->data, mean->dtype, 1, &n),
                               .var = hz_tensor_of(var->data, var->dtype, 1, &n)};
        hz__parallel_for(ex, hz_numel(x), n, moments_of_groups, &j);
        return true;
    }
    hz_tensor centred;
    hz_block *block = scratch(ex, x, 0, &centred, err);
    if (!block) return false;
    reduce(ex, HZ_REDUCE_MEAN, x, axes, mean);
    map_broadcast(ex, HZ_SUB, x, mean, axes, &centred);
    reduce(ex, HZ_REDUCE_SUM_SQUARES, &centred, axes, var);
    hz_map1(ex, HZ_AFFINE, var, (double)hz_numel(var) / (double)hz_numel(x), 0, var);
    hz_block_unref(block);
    return true;
}

bool hz_normalize_map(const hz_exec *ex, const hz_tensor *x, hz_axes axes, double eps, const hz_tensor *y,
                      hz_error *err) {
    const grouping g = group_rows(x, axes);
    hz_tensor rstd;
    if (hz_numel(x) == 0) return true;
    if (g.inner > 0) {
        const normalize_job j = normalize_job_of(ex, g, eps, x, NULL, y);
        hz__parallel_for(ex, hz_numel(x), g.groups, normalize_groups, &j);
        return true;
    }
    hz_block *block = scratch(ex, x, axes, &rstd, err);
    if (!block) return false;
    center(ex, x, axes, eps, y, &rstd);
    map_broadcast(ex, HZ_MUL, y, &rstd, axes, y);
    hz_block_unref(block);
    return true;
}

/* ---- normalisation with gamma and beta ---- */

/* Whether p (of x's rank, extents x's or 1) has one number for each index along `axes` of x, side by side. */
static bool varies_along(const hz_tensor *p, const hz_tensor *x, hz_axes axes) {
    int64_t dense = 1;
    for (int k = x->rank - 1; k >= 0; k--) {
        if (x->dim[k] == 1) continue;
        const bool varies = axes >> k & 1;
        if (p->dim[k] != (varies ? x->dim[k] : 1) || (varies && p->stride[k] != dense)) return false;
        if (varies) dense *= x->dim[k];
    }
    return true;
}

static spread spread_of(const hz_tensor *p, const hz_tensor *x, hz_axes axes, grouping g) {
    if (g.inner == 0) return OTHERWISE;
    if (varies_along(p, x, ~axes)) return PER_GROUP;
    return g.outer == 1 && varies_along(p, x, axes) ? PER_COLUMN : OTHERWISE;
}

/* The axes along which p is repeated to x's shape. */
static hz_axes repeated_axes(const hz_tensor *p, const hz_tensor *x) {
    hz_axes axes = 0;
    for (int k = 0; k < x->rank; k++)
        if (p->dim[k] != x->dim[k]) axes |= (hz_axes)1 << k;
    return axes;
}

bool hz_normalize_affine_map(const hz_exec *ex, const hz_tensor *x, hz_axes axes, double eps,
                             const hz_tensor *gamma, const hz_tensor *beta, const hz_tensor *y,
                             hz_error *err) {
    const grouping g = group_rows(x, axes);
    const spread form = spread_of(gamma, x, axes, g);
    if (hz_numel(x) == 0) return true;
    if (form == OTHERWISE || spread_of(beta, x, axes, g) != form) {
        if (!hz_normalize_map(ex, x, axes, eps, y, err)) return false;
        const hz_tensor all_gamma = spread_over(gamma, x, repeated_axes(gamma, x));
        const hz_tensor all_beta = spread_over(beta, x, repeated_axes(beta, x));
        hz_mul_add(ex, y, &all_gamma, &all_beta, y);
        return true;
    }
    normalize_job j = normalize_job_of(ex, g, eps, x, NULL, y);
    j.spread = form;
    j.gamma = gamma->data;
    j.beta = beta->data;
    hz__parallel_for(ex, hz_numel(x), g.groups, normalize_groups, &j);
    return true;
}

/* x̂ and the products are scratch; dx may be dy. */
static bool normalize_grad_composed(const hz_exec *ex, const hz_tensor *x, const hz_tensor *gamma,
                                    const hz_tensor *dy, hz_axes axes, double eps, const hz_tensor *dx,
                                    hz_error *err) {
    hz_tensor xhat, t, rstd, mean;
    hz_block *xhat_block = scratch(ex, x, 0, &xhat, err), *t_block = scratch(ex, x, 0, &t, err);
    hz_block *rstd_block = scratch(ex, x, axes, &rstd, err), *mean_block = scratch(ex, x, axes, &mean, err);
    const bool ok = xhat_block && t_block && rstd_block && mean_block;
    if (ok) {
        if (gamma) map_broadcast(ex, HZ_MUL, dy, gamma, repeated_axes(gamma, x), dx), dy = dx;
        center(ex, x, axes, eps, &xhat, &rstd);
        map_broadcast(ex, HZ_MUL, &xhat, &rstd, axes, &xhat);
        hz_map2(ex, HZ_MUL, dy, &xhat, 0, 0, &t);
        reduce(ex, HZ_REDUCE_MEAN, &t, axes, &mean); /* mean(dy·x̂) */
        map_broadcast(ex, HZ_MUL, &xhat, &mean, axes, &t);
        reduce(ex, HZ_REDUCE_MEAN, dy, axes, &mean);
        map_broadcast(ex, HZ_SUB, dy, &mean, axes, dx);
        hz_map2(ex, HZ_SUB, dx, &t, 0, 0, dx);
        map_broadcast(ex, HZ_MUL, dx, &rstd, axes, dx);
    }
    hz_block_unref(mean_block);
    hz_block_unref(rstd_block);
    hz_block_unref(t_block);
    hz_block_unref(xhat_block);
    return ok;
}

bool hz_normalize_grad_map(const hz_exec *ex, const hz_tensor *x, const hz_tensor *gamma, const hz_tensor *dy,
                           hz_axes axes, double eps, const hz_tensor *dx, hz_error *err) {
    const grouping g = group_rows(x, axes);
    const spread form = gamma ? spread_of(gamma, x, axes, g) : NO_PARAMETER;
    if (hz_numel(x) == 0) return true;
    if (g.inner == 0 || form == OTHERWISE || !hz_is_contiguous(dy))
        return normalize_grad_composed(ex, x, gamma, dy, axes, eps, dx, err);
    normalize_job j = normalize_job_of(ex, g, eps, x, dy, dx);
    j.spread = form;
    j.gamma = gamma ? gamma->data : NULL;
    hz__parallel_for(ex, hz_numel(x), g.groups, normalize_grad_groups, &j);
    return true;
}

/* ---- the gradient of gamma ---- */

static void dot_groups(const void *ctx, int64_t begin, int64_t end) {
    const normalize_job *j = ctx;
    for (int64_t group = begin; group < end; group++) {
        const moments m = group_moments(j, group);
        double dot = 0;
        for (int64_t o = 0; o < j->g.outer; o++) {
            const int64_t at = row_offset(j, group, o);
            dot += j->reduce->dot_about(j->g.inner, j->x + at, j->dy + at, m.mean);
        }
        store(j->dtype, j->y + group * j->size, dot * m.rstd);
    }
}

/* Groups that are rows: some of them at a time, so that they are still in L1 when the columns are summed. */
static void dot_part(const normalize_job *j, int64_t first, int64_t end, double *acc) {
    enum { ROWS = 4 };
    double mean[ROWS], rstd[ROWS];
    for (int64_t i = 0; i < j->g.inner; i++) acc[i] = 0;
    for (int64_t row = first; row < end; row += ROWS) {
        const int64_t count = end - row < ROWS ? end - row : ROWS, at = row_offset(j, row, 0);
        for (int64_t r = 0; r < count; r++) {
            const moments m = group_moments(j, row + r);
            mean[r] = m.mean;
            rstd[r] = m.rstd;
        }
        j->reduce->hat_dot_columns(count, j->g.inner, j->x + at, j->dy + at, mean, rstd, acc);
    }
}

static void dot_parts(const void *ctx, int64_t begin, int64_t end) {
    const normalize_job *j = ctx;
    for (int64_t part = begin; part < end; part++) {
        const int64_t first = part * j->rows_of_part, rest = j->g.groups - first;
        dot_part(j, first, first + (rest < j->rows_of_part ? rest : j->rows_of_part),
                 j->partial + part * j->g.inner);
    }
}

/* Parts of rows, whose borders depend on the shape alone, added up in order. */
static bool dot_columns(const hz_exec *ex, normalize_job *j, hz_error *err) {
    enum { MIN_ROWS = 64, MAX_PARTS = 64 };
    const int64_t share = (j->g.groups + MAX_PARTS - 1) / MAX_PARTS;
    j->rows_of_part = share > MIN_ROWS ? share : MIN_ROWS;
    const int64_t parts = (j->g.groups + j->rows_of_part - 1) / j->rows_of_part;
    hz_tensor partial = hz_tensor_of(NULL, HZ_F64, HZ_DIMS(parts, j->g.inner));
    hz_block *block = hz_pool_tensor(ex->pool, &partial, err);
    if (!block) return false;
    j->partial = partial.data;
    hz__parallel_for(ex, j->g.groups * j->g.inner, parts, dot_parts, j);
    for (int64_t i = 0; i < j->g.inner; i++) {
        double total = 0;
        for (int64_t part = 0; part < parts; part++) total += j->partial[part * j->g.inner + i];
        store(j->dtype, j->y + i * j->size, total);
    }
    hz_block_unref(block);
    return true;
}

static bool dot_composed(const hz_exec *ex, const hz_tensor *x, const hz_tensor *dy, hz_axes axes, double eps,
                         const hz_tensor *z, hz_error *err) {
    hz_tensor t;
    hz_block *block = scratch(ex, x, 0, &t, err);
    bool ok = block && hz_normalize_map(ex, x, axes, eps, &t, err);
    if (ok) {
        hz_map2(ex, HZ_MUL, &t, dy, 0, 0, &t);
        reduce(ex, HZ_REDUCE_SUM, &t, repeated_axes(z, x), z);
    }
    hz_block_unref(block);
    return ok;
}

bool hz_normalize_dot_map(const hz_exec *ex, const hz_tensor *x, const hz_tensor *dy, hz_axes axes,
                          double eps, const hz_tensor *z, hz_error *err) {
    const grouping g = group_rows(x, axes);
    const spread form = hz_numel(x) > 0 && hz_is_contiguous(dy) ? spread_of(z, x, axes, g) : OTHERWISE;
    if (form == OTHERWISE) return dot_composed(ex, x, dy, axes, eps, z, err);
    normalize_job j = normalize_job_of(ex, g, eps, x, dy, z);
    if (form == PER_COLUMN) return dot_columns(ex, &j, err);
    hz__parallel_for(ex, hz_numel(x), g.groups, dot_groups, &j);
    return true;
}
