/* softmax.c: softmax, its logarithm, log Σ e^x and their adjoints, see reduce.h.
 *
 * They are fused, row by row, when the axes are the trailing ones of contiguous tensors, otherwise composed of reductions
 * and maps.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/nest.h"
#include "tensor/reduce_parts.h"

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
    return (row_job){.reduce = hz__reduce_table(ex, x->dtype),
                     .vmath = hz__vmath_table(x->dtype, ex->isa),
                     .affine = hz__elementwise_table(x->dtype, ex->isa)->unary[HZ_AFFINE],
                     .dtype = x->dtype,
                     .n = r.n,
                     .bytes = r.n * (int64_t)hz_dtype_size(x->dtype),
                     .x = x->data,
                     .dy = dy ? dy->data : NULL,
                     .y = y->data};
}

static double finite_or_zero(double x, double a, double b) {
    (void)a, (void)b;
    return isfinite(x) ? x : 0;
}

/* ---- log Σ e^x ---- */

static void logsumexp_rows(const void *ctx, int64_t begin, int64_t end) {
    const row_job *j = ctx;
    const int64_t size = j->bytes / j->n;
    for (int64_t i = begin; i < end; i++) {
        const char *x = j->x + i * j->bytes;
        const double shift = finite_or_zero(j->reduce->fold[HZ_REDUCE_MAX].row(j->n, x), 0, 0);
        hz__put(j->dtype, j->y + i * size, shift + log(j->vmath->exp_sum(j->n, x, shift, NULL)));
    }
}

bool hz__logsumexp(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *y, hz_error *err) {
    const rows r = trailing_rows(x, axes);
    hz_tensor shift, e;
    hz_block *shift_block = NULL, *e_block = NULL;
    bool ok = false;
    if (r.n > 0) {
        const row_job job = job_of(ex, r, x, NULL, y);
        hz__parallel_for(ex, hz_numel(x), r.count, logsumexp_rows, &job);
        return true;
    }
    if (!(shift_block = hz__scratch(ex, x, axes, &shift, err)) || !(e_block = hz__scratch(ex, x, 0, &e, err)))
        goto out;
    hz__reduce_along(ex, HZ_REDUCE_MAX, x, axes, &shift);
    hz_map_scalar(ex, finite_or_zero, &shift, 0, 0, &shift);
    hz__map_broadcast(ex, HZ_SUB, x, &shift, axes, &e);
    hz_map1(ex, HZ_EXP, &e, 0, 0, &e);
    hz__reduce_along(ex, HZ_REDUCE_SUM, &e, axes, y);
    hz_map1(ex, HZ_LOG, y, 0, 0, y);
    hz_map2(ex, HZ_ADD, y, &shift, 0, 0, y);
    ok = true;
out:
    hz_block_unref(e_block);
    hz_block_unref(shift_block);
    return ok;
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
    hz_block *s_block = hz__scratch(ex, x, axes, &s, err), *e_block = NULL;
    bool ok = false;
    if (!s_block) goto out;
    if (logarithm && !(e_block = hz__scratch(ex, x, 0, &e, err))) goto out;
    if (!logarithm) e = *y;
    hz__reduce_along(ex, HZ_REDUCE_MAX, x, axes, &s);
    hz__map_broadcast(ex, HZ_SUB, x, &s, axes, y);
    hz_map1(ex, HZ_EXP, y, 0, 0, &e);
    hz__reduce_along(ex, HZ_REDUCE_SUM, &e, axes, &s);
    if (logarithm) hz_map1(ex, HZ_LOG, &s, 0, 0, &s);
    hz__map_broadcast(ex, logarithm ? HZ_SUB : HZ_DIV, y, &s, axes, y);
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
    hz_block *s_block = hz__scratch(ex, y, axes, &s, err), *t_block = hz__scratch(ex, y, 0, &t, err);
    const bool ok = s_block && t_block;
    if (ok && logarithm) {
        hz__reduce_along(ex, HZ_REDUCE_SUM, dy, axes, &s);
        hz_map1(ex, HZ_EXP, y, 0, 0, &t);
        hz__map_broadcast(ex, HZ_MUL, &t, &s, axes, &t);
        hz_map2(ex, HZ_SUB, dy, &t, 0, 0, dx);
    } else if (ok) {
        hz_map2(ex, HZ_MUL, dy, y, 0, 0, &t);
        hz__reduce_along(ex, HZ_REDUCE_SUM, &t, axes, &s);
        hz__map_broadcast(ex, HZ_SUB, dy, &s, axes, &t);
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
