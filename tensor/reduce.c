/* reduce.c: reductions along any set of axes, see reduce.h. Start reading at make_plan and hz_reduce.
 *
 * A reduction runs over a loop nest of x, its axes merged and sorted by stride and then split into kept and
 * reduced ones. If the innermost axis is reduced, rows are folded to one number each; if it is kept, rows are
 * folded into a row of accumulators. Work is divided among threads by outputs, or, when one output has a long
 * sum to itself, by parts whose borders depend on the shape alone and which are combined in order.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "tensor/kernels/nest.h"
#include "tensor/reduce_parts.h"

enum {
    BLOCK = 512, /* columns folded side by side, and elements gathered at a time */
    PART = 32768 /* elements of a row folded in one go */
};

const hz__reduce *hz__reduce_table(const hz_exec *ex, hz_dtype dtype) {
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

hz_tensor hz__spread_over(const hz_tensor *y, const hz_tensor *x, hz_axes axes) {
    hz_tensor view = *y;
    for (int k = 0; k < x->rank; k++) {
        view.dim[k] = x->dim[k];
        if (axes >> k & 1) view.stride[k] = 0;
    }
    return view;
}

static void make_plan(plan *p, const hz_tensor *x, hz_axes axes, const hz_tensor *y) {
    const hz_tensor view = hz__spread_over(y, x, axes);
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
    hz__put(p->dtype, y, p->divisor == 1 ? total : total / (double)p->divisor);
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

void hz__reduce_along(const hz_exec *ex, hz_reduction kind, const hz_tensor *x, hz_axes axes,
                      const hz_tensor *y) {
    plan p;
    if (hz_numel(x) == 0) {
        hz_fill(ex, y, empty_value(kind));
        return;
    }
    make_plan(&p, x, axes, y);
    p.fold = &hz__reduce_table(ex, x->dtype)->fold[kind == HZ_REDUCE_MEAN ? HZ_REDUCE_SUM : kind];
    if (kind == HZ_REDUCE_MEAN) p.divisor = hz_numel(x) / hz_numel(y);
    if (p.row)
        fold_rows(ex, &p);
    else
        hz__parallel_for(ex, hz_numel(x), p.kept.count * ((p.n + BLOCK - 1) / BLOCK), fold_column_blocks, &p);
}

/* ---- composing: scratch tensors and broadcasts ---- */

hz_block *hz__scratch(const hz_exec *ex, const hz_tensor *x, hz_axes axes, hz_tensor *t, hz_error *err) {
    *t = *x;
    for (int k = 0; k < x->rank; k++)
        if (axes >> k & 1) t->dim[k] = 1;
    return hz_pool_tensor(ex->pool, t, err);
}

void hz__map_broadcast(const hz_exec *ex, hz_binary f, const hz_tensor *x, const hz_tensor *s, hz_axes axes,
                       const hz_tensor *z) {
    const hz_tensor view = hz__spread_over(s, x, axes);
    hz_map2(ex, f, x, &view, 0, 0, z);
}

bool hz_reduce(const hz_exec *ex, hz_reduction kind, const hz_tensor *x, hz_axes axes, const hz_tensor *y,
               hz_error *err) {
    if (kind == HZ_REDUCE_LOGSUMEXP && hz_numel(x) > 0) return hz__logsumexp(ex, x, axes, y, err);
    hz__reduce_along(ex, kind, x, axes, y);
    return true;
}
