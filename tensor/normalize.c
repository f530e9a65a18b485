/* normalize.c: normalisation along any set of axes and its adjoints, see reduce.h.
 *
 * It is fused, row by row, when the axes are the trailing ones of contiguous tensors, or the outer and inner ones around
 * the groups that are normalised, as in batch norm. Otherwise it is composed of reductions and maps.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/nest.h"
#include "tensor/reduce_parts.h"

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
    return (normalize_job){.reduce = hz__reduce_table(ex, x->dtype),
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
    const double gamma = affine ? hz__get(j->dtype, j->gamma + group * j->size) : 1;
    const double beta = affine ? hz__get(j->dtype, j->beta + group * j->size) : 0;
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
        const double gamma = j->spread == PER_GROUP ? hz__get(j->dtype, j->gamma + group * j->size) : 1;
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
    hz__reduce_along(ex, HZ_REDUCE_MEAN, x, axes, rstd);
    hz__map_broadcast(ex, HZ_SUB, x, rstd, axes, y);
    hz__reduce_along(ex, HZ_REDUCE_SUM_SQUARES, y, axes, rstd);
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
    hz_block *block = hz__scratch(ex, x, 0, &centred, err);
    if (!block) return false;
    hz__reduce_along(ex, HZ_REDUCE_MEAN, x, axes, mean);
    hz__map_broadcast(ex, HZ_SUB, x, mean, axes, &centred);
    hz__reduce_along(ex, HZ_REDUCE_SUM_SQUARES, &centred, axes, var);
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
    hz_block *block = hz__scratch(ex, x, axes, &rstd, err);
    if (!block) return false;
    center(ex, x, axes, eps, y, &rstd);
    hz__map_broadcast(ex, HZ_MUL, y, &rstd, axes, y);
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
        const hz_tensor all_gamma = hz__spread_over(gamma, x, repeated_axes(gamma, x));
        const hz_tensor all_beta = hz__spread_over(beta, x, repeated_axes(beta, x));
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
    hz_block *xhat_block = hz__scratch(ex, x, 0, &xhat, err), *t_block = hz__scratch(ex, x, 0, &t, err);
    hz_block *rstd_block = hz__scratch(ex, x, axes, &rstd, err),
             *mean_block = hz__scratch(ex, x, axes, &mean, err);
    const bool ok = xhat_block && t_block && rstd_block && mean_block;
    if (ok) {
        if (gamma) hz__map_broadcast(ex, HZ_MUL, dy, gamma, repeated_axes(gamma, x), dx), dy = dx;
        center(ex, x, axes, eps, &xhat, &rstd);
        hz__map_broadcast(ex, HZ_MUL, &xhat, &rstd, axes, &xhat);
        hz_map2(ex, HZ_MUL, dy, &xhat, 0, 0, &t);
        hz__reduce_along(ex, HZ_REDUCE_MEAN, &t, axes, &mean); /* mean(dy·x̂) */
        hz__map_broadcast(ex, HZ_MUL, &xhat, &mean, axes, &t);
        hz__reduce_along(ex, HZ_REDUCE_MEAN, dy, axes, &mean);
        hz__map_broadcast(ex, HZ_SUB, dy, &mean, axes, dx);
        hz_map2(ex, HZ_SUB, dx, &t, 0, 0, dx);
        hz__map_broadcast(ex, HZ_MUL, dx, &rstd, axes, dx);
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
        hz__put(j->dtype, j->y + group * j->size, dot * m.rstd);
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
        hz__put(j->dtype, j->y + i * j->size, total);
    }
    hz_block_unref(block);
    return true;
}

static bool dot_composed(const hz_exec *ex, const hz_tensor *x, const hz_tensor *dy, hz_axes axes, double eps,
                         const hz_tensor *z, hz_error *err) {
    hz_tensor t;
    hz_block *block = hz__scratch(ex, x, 0, &t, err);
    bool ok = block && hz_normalize_map(ex, x, axes, eps, &t, err);
    if (ok) {
        hz_map2(ex, HZ_MUL, &t, dy, 0, 0, &t);
        hz__reduce_along(ex, HZ_REDUCE_SUM, &t, repeated_axes(z, x), z);
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
