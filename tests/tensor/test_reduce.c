/* test_reduce.c: reductions, softmax and normalisation along every set of axes and over every layout, against the
 * definition written out in double, element by element.
 *
 * SPDX-License-Identifier: MIT */
#include "layouts.h"

#include "tensor/elementwise.h"
#include "tensor/reduce.h"

static hz_exec exec_of(hz_isa isa, int threads) {
    return (hz_exec){.pool = hz_pool_new(NULL), .threads = threads, .isa = isa};
}

static hz_isa best(void) {
    return hz_isa_resolve(HZ_ISA_AUTO);
}

/* ---- the definition ---- */

enum { MOST = 4096 }; /* elements of a random tensor, at most */

/* A tensor as doubles, and for each element the number of the group (the output) that it falls into. */
typedef struct groups {
    int64_t numel, count; /* elements; groups */
    double x[MOST];
    int64_t group[MOST];
    int64_t size; /* elements of a group */
} groups;

static hz_tensor keepdim(const hz_tensor *x, hz_axes axes, hz_dtype dtype) {
    hz_tensor t = *x;
    for (int k = 0; k < t.rank; k++)
        if (axes >> k & 1) t.dim[k] = 1;
    t.dtype = dtype;
    t.data = NULL;
    hz_tensor_set_contiguous(&t);
    return t;
}

static groups *group(const hz_tensor *x, hz_axes axes) {
    groups *g = malloc(sizeof *g);
    const hz_tensor y = keepdim(x, axes, x->dtype);
    g->numel = hz_numel(x);
    g->count = hz_numel(&y);
    g->size = g->numel / g->count;
    for (int64_t i = 0; i < g->numel; i++) {
        int64_t index[HZ_MAX_RANK] = {0};
        g->x[i] = hz_get_flat(x, i);
        hz_unravel(x, i, index);
        for (int k = 0; k < x->rank; k++)
            if (axes >> k & 1) index[k] = 0;
        g->group[i] = hz_offset(&y, index);
    }
    return g;
}

static double start_of(hz_reduction kind) {
    return kind == HZ_REDUCE_MAX ? -INFINITY : kind == HZ_REDUCE_MIN ? INFINITY : kind == HZ_REDUCE_PROD;
}

static long double take(hz_reduction kind, long double acc, double x) {
    switch (kind) {
    case HZ_REDUCE_MAX:
        return isnan(acc) || acc > x ? acc : x;
    case HZ_REDUCE_MIN:
        return isnan(acc) || acc < x ? acc : x;
    case HZ_REDUCE_PROD:
        return acc * x;
    case HZ_REDUCE_SUM_SQUARES:
        return acc + (long double)x * x;
    case HZ_REDUCE_LOGSUMEXP:
        return acc + expl(x);
    default:
        return acc + x;
    }
}

/* out[k] = the reduction of group k; size[k] = the same of absolute values, the measure of rounding. */
static void define(const groups *g, hz_reduction kind, double *out, double *size) {
    static long double value[MOST], absolute[MOST];
    for (int64_t k = 0; k < g->count; k++) value[k] = absolute[k] = start_of(kind);
    for (int64_t i = 0; i < g->numel; i++) {
        value[g->group[i]] = take(kind, value[g->group[i]], g->x[i]);
        absolute[g->group[i]] = take(kind, absolute[g->group[i]], fabs(g->x[i]));
    }
    for (int64_t k = 0; k < g->count; k++) {
        const long double divisor = kind == HZ_REDUCE_MEAN ? (long double)g->size : 1;
        out[k] = (double)(kind == HZ_REDUCE_LOGSUMEXP ? logl(value[k]) : value[k] / divisor);
        size[k] = (double)(absolute[k] / divisor);
        if (kind == HZ_REDUCE_LOGSUMEXP) size[k] = 4 + fabs(out[k]);
        if (kind == HZ_REDUCE_MAX || kind == HZ_REDUCE_MIN) size[k] = 0; /* exact */
    }
}

/* ---- random cases ---- */

typedef struct trial {
    sample x, dy;
    hz_axes axes;
    hz_dtype dtype;
} trial;

/* Extents favour 1 and sizes about the lanes of the kernels; the layout of dy is drawn by itself. */
static trial random_trial(uint64_t *state, int number) {
    static const int64_t extents[] = {1, 2, 3, 5, 8, 13, 31, 33, 64, 140, 600};
    int64_t dim[HZ_MAX_RANK], numel = 1;
    const int rank = (int)random_int(state, 1, 4);
    trial t = {.dtype = number % 2 ? HZ_F64 : HZ_F32};
    for (int k = 0; k < rank; k++) {
        dim[k] = extents[random_int(state, 0, 10)];
        if (numel * dim[k] > MOST) dim[k] = 1;
        numel *= dim[k];
    }
    t.axes = (hz_axes)random_int(state, 0, (1 << rank) - 1);
    t.x = sample_of(t.dtype, rank, dim,
                    random_int(state, 0, 1) ? CONTIGUOUS : (layout)random_int(state, 0, BROADCAST), state);
    t.dy = sample_of(t.dtype, rank, dim,
                     random_int(state, 0, 1) ? CONTIGUOUS : (layout)random_int(state, 0, BROADCAST), state);
    return t;
}

static void free_trial(trial *t) {
    free_sample(&t->x);
    free_sample(&t->dy);
}

static void check(const hz_tensor *got, int64_t i, double want, double size, double ulps, const char *what,
                  const trial *t) {
    const double eps = got->dtype == HZ_F32 ? FLT_EPSILON : DBL_EPSILON, value = hz_get_flat(got, i);
    const double tiny = got->dtype == HZ_F32 ? FLT_MIN : DBL_MIN; /* below, digits are lost by nature */
    if (got->dtype == HZ_F32 && fabs(want) > FLT_MAX) want = copysign(INFINITY, want);
    cr_assert((isnan(want) && isnan(value)) || value == want ||
                  fabs(value - want) <= ulps * eps * size + tiny,
              "%s over axes %#x of %s in %s: element %lld is %.17g, not %.17g", what, t->axes,
              hz_shape_str(&t->x.t).s, hz_dtype_name(got->dtype), (long long)i, value, want);
}

/* f32 accumulates in double and keeps its few ulp whatever the length; f64 has nothing wider, and its error grows
 * like the root of the number of terms. */
static double growing(double ulps, const trial *t, const groups *g) {
    return t->dtype == HZ_F32 ? ulps : ulps + sqrt((double)g->size);
}

enum { TRIALS = 600 }; /* per instruction set */

Test(reduce, follows_its_definition_over_any_axes_and_layout) {
    static double out[MOST], size[MOST], memory[MOST];
    uint64_t state = 1;
    for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++) {
        const hz_exec ex = exec_of(isa, 1);
        for (int number = 0; number < TRIALS; number++) {
            trial t = random_trial(&state, number);
            groups *g = group(&t.x.t, t.axes);
            for (hz_reduction kind = 0; kind < HZ_REDUCTIONS; kind++) {
                hz_tensor y = keepdim(&t.x.t, t.axes, t.dtype);
                y.data = memory;
                define(g, kind, out, size);
                cr_assert(hz_reduce(&ex, kind, &t.x.t, t.axes, &y, NULL));
                const bool product =
                    kind == HZ_REDUCE_PROD && t.dtype == HZ_F64; /* every factor may add an ulp */
                const double ulps = product ? 2 + (double)g->size : growing(4, &t, g);
                for (int64_t k = 0; k < g->count; k++) check(&y, k, out[k], size[k], ulps, "reduction", &t);
            }
            free(g);
            free_trial(&t);
        }
        hz_pool_free(ex.pool);
    }
}

/* ---- softmax and its gradient ---- */

static void define_softmax(const groups *g, bool logarithm, double *y) {
    static long double total[MOST];
    memset(total, 0, sizeof total);
    for (int64_t i = 0; i < g->numel; i++) total[g->group[i]] += expl(g->x[i]);
    for (int64_t i = 0; i < g->numel; i++)
        y[i] = logarithm ? (double)(g->x[i] - logl(total[g->group[i]]))
                         : (double)(expl(g->x[i]) / total[g->group[i]]);
}

/* dx = y·(dy − Σ dy·y), or dy − e^y·Σ dy; size bounds the terms. */
static void define_softmax_grad(const groups *y, const groups *dy, bool logarithm, double *dx, double *size) {
    static long double total[MOST], absolute[MOST];
    memset(total, 0, sizeof total);
    memset(absolute, 0, sizeof absolute);
    for (int64_t i = 0; i < y->numel; i++) {
        const double term = dy->x[i] * (logarithm ? 1 : y->x[i]);
        total[y->group[i]] += term;
        absolute[y->group[i]] += fabs(term);
    }
    for (int64_t i = 0; i < y->numel; i++) {
        const double s = total[y->group[i]], a = absolute[y->group[i]],
                     p = logarithm ? exp(y->x[i]) : y->x[i];
        dx[i] = logarithm ? dy->x[i] - p * s : p * (dy->x[i] - s);
        size[i] = logarithm ? fabs(dy->x[i]) + p * a * (1 + fabs(y->x[i])) : fabs(p) * (fabs(dy->x[i]) + a);
    }
}

Test(softmax, and_its_gradient_follow_their_definitions) {
    static double want[MOST], size[MOST], my[MOST], mdx[MOST];
    uint64_t state = 2;
    for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++) {
        const hz_exec ex = exec_of(isa, 1);
        for (int number = 0; number < TRIALS; number++) {
            trial t = random_trial(&state, number);
            const bool logarithm = number / 2 % 2;
            hz_tensor y = keepdim(&t.x.t, 0, t.dtype), dx = y;
            y.data = my, dx.data = mdx;
            groups *gx = group(&t.x.t, t.axes);
            define_softmax(gx, logarithm, want);
            cr_assert(hz_softmax_map(&ex, logarithm, &t.x.t, t.axes, &y, NULL));
            for (int64_t i = 0; i < gx->numel; i++)
                check(&y, i, want[i], logarithm ? 4 + fabs(want[i]) : want[i], growing(6, &t, gx), "softmax",
                      &t);
            groups *gy = group(&y, t.axes), *gdy = group(&t.dy.t, t.axes);
            define_softmax_grad(gy, gdy, logarithm, want, size);
            cr_assert(hz_softmax_grad_map(&ex, logarithm, &y, &t.dy.t, t.axes, &dx, NULL));
            for (int64_t i = 0; i < gx->numel; i++)
                check(&dx, i, want[i], size[i], growing(6, &t, gx), "softmax gradient", &t);
            free(gx), free(gy), free(gdy);
            free_trial(&t);
        }
        hz_pool_free(ex.pool);
    }
}

Test(softmax, of_large_logits_neither_overflows_nor_loses_digits) {
    float x[] = {1e4f, 1e4f, -1e4f}, y[3];
    const hz_exec ex = exec_of(best(), 1);
    const hz_tensor in = hz_tensor_of(x, HZ_F32, HZ_DIMS(1, 3)), out = hz_tensor_of(y, HZ_F32, HZ_DIMS(1, 3));
    cr_assert(hz_softmax_map(&ex, false, &in, 2, &out, NULL));
    cr_assert(y[0] == 0.5f && y[1] == 0.5f && y[2] == 0);
    cr_assert(hz_softmax_map(&ex, true, &in, 2, &out, NULL));
    cr_assert(fabs((double)y[0] + log(2)) < 1e-6 && y[2] < -19999);
    hz_pool_free(ex.pool);
}

/* ---- normalisation and its gradient ---- */

static const double EPS = 1e-3;

static void define_moments(const groups *g, double *mean, double *rstd) {
    memset(mean, 0, (size_t)g->count * sizeof *mean);
    memset(rstd, 0, (size_t)g->count * sizeof *rstd);
    for (int64_t i = 0; i < g->numel; i++) mean[g->group[i]] += g->x[i] / (double)g->size;
    for (int64_t i = 0; i < g->numel; i++)
        rstd[g->group[i]] += pow(g->x[i] - mean[g->group[i]], 2) / (double)g->size;
    for (int64_t k = 0; k < g->count; k++) rstd[k] = 1 / sqrt(rstd[k] + EPS);
}

Test(normalize, and_its_gradient_follow_their_definitions) {
    static double mean[MOST], rstd[MOST], mean_dy[MOST], mean_dot[MOST], my[MOST], mdx[MOST];
    uint64_t state = 3;
    for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++) {
        const hz_exec ex = exec_of(isa, 1);
        for (int number = 0; number < TRIALS; number++) {
            trial t = random_trial(&state, number);
            hz_tensor y = keepdim(&t.x.t, 0, t.dtype), dx = y;
            y.data = my, dx.data = mdx;
            groups *g = group(&t.x.t, t.axes), *gdy = group(&t.dy.t, t.axes);
            define_moments(g, mean, rstd);
            memset(mean_dy, 0, sizeof mean_dy);
            memset(mean_dot, 0, sizeof mean_dot);
            for (int64_t i = 0; i < g->numel; i++) {
                const int64_t k = g->group[i];
                mean_dy[k] += gdy->x[i] / (double)g->size;
                mean_dot[k] += gdy->x[i] * (g->x[i] - mean[k]) * rstd[k] / (double)g->size;
            }
            cr_assert(hz_normalize_map(&ex, &t.x.t, t.axes, EPS, &y, NULL));
            cr_assert(hz_normalize_grad_map(&ex, &t.x.t, NULL, &t.dy.t, t.axes, EPS, &dx, NULL));
            for (int64_t i = 0; i < g->numel; i++) {
                const int64_t k = g->group[i];
                const double xhat = (g->x[i] - mean[k]) * rstd[k];
                check(&y, i, xhat, 4 * rstd[k], growing(4, &t, g), "normalisation", &t);
                check(&dx, i, (gdy->x[i] - mean_dy[k] - xhat * mean_dot[k]) * rstd[k],
                      rstd[k] * (4 + fabs(xhat) * 4) * (1 + rstd[k]), growing(8, &t, g),
                      "normalisation gradient", &t);
            }
            free(g), free(gdy);
            free_trial(&t);
        }
        hz_pool_free(ex.pool);
    }
}

Test(normalize, keeps_its_digits_far_from_zero) {
    enum { COUNT = 1000 };
    float x[COUNT], y[COUNT];
    const hz_exec ex = exec_of(best(), 1);
    const hz_tensor in = hz_tensor_of(x, HZ_F32, HZ_DIMS(1, COUNT)),
                    out = hz_tensor_of(y, HZ_F32, HZ_DIMS(1, COUNT));
    for (int i = 0; i < COUNT; i++) x[i] = 1e4f + (float)(i % 2 ? 0.5 : 0);
    cr_assert(hz_normalize_map(&ex, &in, 2, 0, &out, NULL));
    for (int i = 0; i < COUNT; i++) cr_assert(fabs((double)y[i] - (i % 2 ? 1 : -1)) < 1e-6);
    hz_pool_free(ex.pool);
}

enum { ELEMENTS = 1 << 17 };

/* Large enough for threads; gamma (and beta) are numbers per column, per group, or something else. */
typedef struct affine_case {
    int64_t dim[3], parameter[3];
    hz_axes axes;
} affine_case;

static void check_alike(const hz_tensor *got, const hz_tensor *want, const char *what) {
    for (int64_t i = 0; i < hz_numel(want); i++)
        cr_assert(fabs(hz_get_flat(got, i) - hz_get_flat(want, i)) <= 2e-4, "%s %lld: %g, not %g", what,
                  (long long)i, hz_get_flat(got, i), hz_get_flat(want, i));
}

/* The gradient in x is that of normalize for the cotangent dy·gamma. */
static void check_affine_grad(const affine_case *c, const hz_exec *ex, const hz_tensor *x,
                              const hz_tensor *dy, const hz_tensor *gamma, const hz_tensor *all_gamma) {
    static float mu[ELEMENTS], mdx[ELEMENTS], mwant[ELEMENTS];
    const hz_tensor u = hz_tensor_of(mu, HZ_F32, 3, c->dim), dx = hz_tensor_of(mdx, HZ_F32, 3, c->dim),
                    want = hz_tensor_of(mwant, HZ_F32, 3, c->dim);
    hz_map2(ex, HZ_MUL, dy, all_gamma, 0, 0, &u);
    cr_assert(hz_normalize_grad_map(ex, x, NULL, &u, c->axes, EPS, &want, NULL));
    cr_assert(hz_normalize_grad_map(ex, x, gamma, dy, c->axes, EPS, &dx, NULL));
    check_alike(&dx, &want, "normalize_grad with gamma");
}

static void check_affine(const affine_case *c, const hz_exec *ex, const hz_tensor *first) {
    static float mx[ELEMENTS], mdy[ELEMENTS], mgamma[ELEMENTS], mbeta[ELEMENTS], my[ELEMENTS],
        mwant[ELEMENTS], mz[ELEMENTS], mz_want[ELEMENTS];
    const hz_tensor x = hz_tensor_of(mx, HZ_F32, 3, c->dim), dy = hz_tensor_of(mdy, HZ_F32, 3, c->dim),
                    y = hz_tensor_of(my, HZ_F32, 3, c->dim), want = hz_tensor_of(mwant, HZ_F32, 3, c->dim),
                    gamma = hz_tensor_of(mgamma, HZ_F32, 3, c->parameter),
                    beta = hz_tensor_of(mbeta, HZ_F32, 3, c->parameter),
                    z = hz_tensor_of(mz, HZ_F32, 3, c->parameter),
                    z_want = hz_tensor_of(mz_want, HZ_F32, 3, c->parameter);
    uint64_t state = 9;
    for (int i = 0; i < ELEMENTS; i++) mx[i] = (float)random_int(&state, -1000, 1000) / 300;
    for (int i = 0; i < ELEMENTS; i++) mdy[i] = (float)random_int(&state, -1000, 1000) / 3e4F;
    for (int i = 0; i < ELEMENTS; i++) mgamma[i] = (float)i / 1e3F, mbeta[i] = (float)(i % 7);
    hz_tensor all_gamma, all_beta;
    hz_axes summed = 0;
    for (int k = 0; k < 3; k++)
        if (c->parameter[k] != c->dim[k]) summed |= (hz_axes)1 << k;
    cr_assert(hz_view_broadcast(&gamma, 3, c->dim, &all_gamma, NULL));
    cr_assert(hz_view_broadcast(&beta, 3, c->dim, &all_beta, NULL));
    cr_assert(hz_normalize_map(ex, &x, c->axes, EPS, &want, NULL));
    hz_map2(ex, HZ_MUL, &want, &dy, 0, 0, &y);
    cr_assert(hz_reduce(ex, HZ_REDUCE_SUM, &y, summed, &z_want, NULL));
    hz_mul_add(ex, &want, &all_gamma, &all_beta, &want);
    cr_assert(hz_normalize_affine_map(ex, &x, c->axes, EPS, &gamma, &beta, &y, NULL));
    cr_assert(hz_normalize_dot_map(ex, &x, &dy, c->axes, EPS, &z, NULL));
    check_alike(&y, &want, "normalize_affine");
    check_alike(&z, &z_want, "normalize_dot");
    check_affine_grad(c, ex, &x, &dy, &gamma, &all_gamma);
    if (ex->threads == 1) {
        hz_copy(ex, &y, &first[0]);
        hz_copy(ex, &z, &first[1]);
    }
    cr_assert_eq(memcmp(my, first[0].data, hz_nbytes(&y)), 0, "normalize_affine depends on the threads");
    cr_assert_eq(memcmp(mz, first[1].data, hz_nbytes(&z)), 0, "normalize_dot depends on the threads");
}

Test(normalize_affine, and_the_gradient_of_gamma_are_maps_and_sums_with_the_same_bits_on_any_threads) {
    static const affine_case cases[] = {
        {{1, 301, 203}, {1, 1, 203}, 4}, {{301, 20, 10}, {1, 20, 10}, 6}, {{20, 6, 500}, {1, 6, 1}, 5},
        {{20, 6, 500}, {1, 6, 500}, 5},  {{3, 4, 5000}, {3, 1, 1}, 4},
    };
    static float my[1 << 17], mz[1 << 17];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++)
            for (int threads = 1; threads <= 3; threads++) {
                const hz_exec ex = exec_of(isa, threads);
                const hz_tensor first[] = {hz_tensor_of(my, HZ_F32, 3, cases[k].dim),
                                           hz_tensor_of(mz, HZ_F32, 3, cases[k].parameter)};
                check_affine(&cases[k], &ex, first);
                hz_pool_free(ex.pool);
            }
}

/* ---- arg max and cumulative sums ---- */

/* Small integers in, so that there are ties, and now and then a NaN. */
static void make_ties(const sample *x, uint64_t *state) {
    for (int64_t i = 0; i < hz_numel(&x->t); i++)
        hz_set_flat(&x->t, i, random_int(state, 0, 300) ? (double)random_int(state, -3, 3) : NAN);
}

static bool beats(double a, double b, int sign) {
    return !isnan(b) && (isnan(a) || sign * a > sign * b);
}

Test(arg_extreme, is_the_first_of_equals_and_the_first_nan) {
    static int64_t memory[MOST];
    uint64_t state = 4;
    for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++) {
        const hz_exec ex = exec_of(isa, 1);
        for (int number = 0; number < TRIALS; number++) {
            trial t = random_trial(&state, number);
            const int axis = (int)random_int(&state, 0, t.x.t.rank - 1), sign = number / 2 % 2 ? 1 : -1;
            hz_tensor y = keepdim(&t.x.t, (hz_axes)1 << axis, HZ_I64);
            y.data = memory;
            make_ties(&t.x, &state);
            cr_assert(hz_arg_extreme(&ex, sign, &t.x.t, axis, &y, NULL));
            for (int64_t k = 0; k < hz_numel(&y); k++) {
                int64_t index[HZ_MAX_RANK] = {0}, first = 0;
                double extreme = NAN;
                hz_unravel(&y, k, index);
                for (int64_t i = 0; i < t.x.t.dim[axis]; i++) {
                    index[axis] = i;
                    const double value = hz_get(&t.x.t, index);
                    if (i == 0 || beats(value, extreme, sign)) first = i, extreme = value;
                }
                cr_assert(memory[k] == first, "axis %d of %s: %lld, not %lld", axis, hz_shape_str(&t.x.t).s,
                          (long long)memory[k], (long long)first);
            }
            free_trial(&t);
        }
        hz_pool_free(ex.pool);
    }
}

Test(cumsum, runs_along_its_axis_both_ways) {
    static double memory[MOST];
    uint64_t state = 5;
    const hz_exec ex = exec_of(best(), 1);
    for (int number = 0; number < TRIALS; number++) {
        trial t = random_trial(&state, number);
        const int axis = (int)random_int(&state, 0, t.x.t.rank - 1);
        const bool exclusive = number / 2 % 2, reverse = number / 4 % 2;
        hz_tensor y = keepdim(&t.x.t, 0, t.dtype), lines = keepdim(&t.x.t, (hz_axes)1 << axis, t.dtype);
        y.data = memory;
        cr_assert(hz_cumsum_map(&ex, &t.x.t, axis, exclusive, reverse, &y, NULL));
        for (int64_t k = 0; k < hz_numel(&lines); k++) {
            int64_t index[HZ_MAX_RANK] = {0};
            const int64_t n = t.x.t.dim[axis];
            double total = 0, absolute = 0;
            hz_unravel(&lines, k, index);
            for (int64_t i = 0; i < n; i++) {
                index[axis] = reverse ? n - 1 - i : i;
                const double value = hz_get(&t.x.t, index), want = exclusive ? total : total + value;
                total += value, absolute += fabs(value);
                const double got = hz_get(&y, index), eps = t.dtype == HZ_F32 ? FLT_EPSILON : DBL_EPSILON;
                cr_assert(fabs(got - want) <= eps * absolute, "axis %d of %s: %.9g, not %.9g", axis,
                          hz_shape_str(&t.x.t).s, got, want);
            }
        }
        free_trial(&t);
    }
    hz_pool_free(ex.pool);
}

/* ---- edges ---- */

Test(reduce, over_no_elements_gives_the_neutral_one) {
    const double want[HZ_REDUCTIONS] = {[HZ_REDUCE_MEAN] = NAN,
                                        [HZ_REDUCE_MAX] = -INFINITY,
                                        [HZ_REDUCE_MIN] = INFINITY,
                                        [HZ_REDUCE_PROD] = 1,
                                        [HZ_REDUCE_LOGSUMEXP] = -INFINITY};
    const hz_exec ex = exec_of(best(), 1);
    for (hz_reduction kind = 0; kind < HZ_REDUCTIONS; kind++) {
        double memory[3] = {5, 5, 5};
        const hz_tensor x = hz_tensor_of(NULL, HZ_F64, HZ_DIMS(3, 0)),
                        y = hz_tensor_of(memory, HZ_F64, HZ_DIMS(3, 1));
        cr_assert(hz_reduce(&ex, kind, &x, 2, &y, NULL));
        for (int i = 0; i < 3; i++)
            cr_assert(memory[i] == want[kind] || (isnan(memory[i]) && isnan(want[kind])), "%d", kind);
    }
    hz_pool_free(ex.pool);
}

Test(reduce, of_rank_zero_is_the_element) {
    float x = 3, y = 0;
    const hz_exec ex = exec_of(best(), 1);
    const hz_tensor in = hz_tensor_of(&x, HZ_F32, 0, NULL), out = hz_tensor_of(&y, HZ_F32, 0, NULL);
    cr_assert(hz_reduce(&ex, HZ_REDUCE_SUM_SQUARES, &in, 0, &out, NULL) && y == 9);
    cr_assert(hz_reduce(&ex, HZ_REDUCE_LOGSUMEXP, &in, 0, &out, NULL) && fabsf(y - 3) < 1e-6f);
    cr_assert(hz_softmax_map(&ex, false, &in, 0, &out, NULL) && y == 1);
    hz_pool_free(ex.pool);
}

Test(reduce, lets_nan_through_from_any_place) {
    for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++) {
        const hz_exec ex = exec_of(isa, 1);
        for (int64_t n = 1; n < 300; n += 7)
            for (hz_reduction kind = 0; kind < HZ_REDUCTIONS; kind++)
                for (int axis = 0; axis < 2; axis++) {
                    float memory[300], y;
                    const int64_t dim[] = {axis ? 1 : n, axis ? n : 1};
                    const hz_tensor x = hz_tensor_of(memory, HZ_F32, 2, dim),
                                    out = hz_tensor_of(&y, HZ_F32, HZ_DIMS(1, 1));
                    for (int64_t i = 0; i < n; i++) memory[i] = 1;
                    memory[n * 5 / 7] = NAN;
                    cr_assert(hz_reduce(&ex, kind, &x, 3, &out, NULL) && isnan(y), "kind %d, n %d", kind,
                              (int)n);
                }
        hz_pool_free(ex.pool);
    }
}

Test(logsumexp, of_infinities_is_infinite_and_not_nan) {
    const hz_exec ex = exec_of(best(), 1);
    float x[2][2] = {{-INFINITY, -INFINITY}, {INFINITY, 0}}, y[2];
    const hz_tensor in = hz_tensor_of(x, HZ_F32, HZ_DIMS(2, 2)), out = hz_tensor_of(y, HZ_F32, HZ_DIMS(2, 1));
    cr_assert(hz_reduce(&ex, HZ_REDUCE_LOGSUMEXP, &in, 2, &out, NULL));
    cr_assert(isinf(y[0]) && y[0] < 0 && isinf(y[1]) && y[1] > 0);
    hz_tensor turned;
    cr_assert(hz_view_transpose(&in, 0, 1, &turned, NULL));
    const hz_tensor across = hz_tensor_of(y, HZ_F32, HZ_DIMS(1, 2));
    y[0] = y[1] = 0;
    cr_assert(hz_reduce(&ex, HZ_REDUCE_LOGSUMEXP, &turned, 1, &across, NULL));
    cr_assert(isinf(y[0]) && y[0] < 0 && isinf(y[1]) && y[1] > 0);
    hz_pool_free(ex.pool);
}

Test(sum, of_many_floats_keeps_its_digits) {
    enum { COUNT = 1000000 };
    float *memory = malloc(COUNT * sizeof *memory), y;
    double exact = 0;
    const hz_exec ex = exec_of(best(), 1);
    for (int i = 0; i < COUNT; i++) exact += (double)(memory[i] = 1 + (float)(i % 7) / 7);
    const hz_tensor x = hz_tensor_of(memory, HZ_F32, HZ_DIMS(COUNT)),
                    out = hz_tensor_of(&y, HZ_F32, HZ_DIMS(1));
    cr_assert(hz_reduce(&ex, HZ_REDUCE_SUM, &x, 1, &out, NULL));
    cr_assert(fabs((double)y - exact) <= FLT_EPSILON * exact, "%.9g, not %.9g", (double)y, exact);
    free(memory);
    hz_pool_free(ex.pool);
}

/* ---- threads and memory ---- */

typedef bool run_fn(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *y, hz_error *err);

static bool run_sum(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *y, hz_error *err) {
    hz_tensor out = keepdim(x, axes, x->dtype);
    out.data = y->data;
    return hz_reduce(ex, HZ_REDUCE_SUM, x, axes, &out, err);
}
static bool run_logsumexp(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *y,
                          hz_error *err) {
    hz_tensor out = keepdim(x, axes, x->dtype);
    out.data = y->data;
    return hz_reduce(ex, HZ_REDUCE_LOGSUMEXP, x, axes, &out, err);
}
static bool run_softmax(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *y,
                        hz_error *err) {
    return hz_softmax_map(ex, false, x, axes, y, err);
}
static bool run_log_softmax(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *y,
                            hz_error *err) {
    return hz_softmax_map(ex, true, x, axes, y, err);
}
static bool run_softmax_grad(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *y,
                             hz_error *err) {
    return hz_softmax_grad_map(ex, false, x, x, axes, y, err);
}
static bool run_log_softmax_grad(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *y,
                                 hz_error *err) {
    return hz_softmax_grad_map(ex, true, x, x, axes, y, err);
}
static bool run_normalize(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *y,
                          hz_error *err) {
    return hz_normalize_map(ex, x, axes, EPS, y, err);
}
static bool run_normalize_grad(const hz_exec *ex, const hz_tensor *x, hz_axes axes, const hz_tensor *y,
                               hz_error *err) {
    return hz_normalize_grad_map(ex, x, NULL, x, axes, EPS, y, err);
}
static run_fn *const runs[] = {run_sum,          run_logsumexp,        run_softmax,   run_log_softmax,
                               run_softmax_grad, run_log_softmax_grad, run_normalize, run_normalize_grad};
enum { RUNS = sizeof runs / sizeof runs[0] };

Test(reduce, does_not_depend_on_the_number_of_threads) {
    uint64_t state = 6;
    const hz_exec serial = exec_of(best(), 1), parallel = exec_of(best(), 2);
    for (hz_axes axes = 0; axes < 16; axes++) {
        sample x = sample_of(HZ_F32, HZ_DIMS(8, 12, 31, 33), CONTIGUOUS, &state);
        const size_t bytes = hz_nbytes(&x.t);
        void *one = calloc(1, bytes), *two = calloc(1, bytes);
        for (int k = 0; k < RUNS; k++) {
            hz_tensor y = x.t, z = x.t;
            y.data = one, z.data = two;
            cr_assert(runs[k](&serial, &x.t, axes, &y, NULL) && runs[k](&parallel, &x.t, axes, &z, NULL));
            cr_assert(memcmp(one, two, bytes) == 0, "run %d over axes %#x", k, axes);
        }
        free(one), free(two);
        free_sample(&x);
    }
    hz_pool_free(serial.pool), hz_pool_free(parallel.pool);
}

Test(reduce, in_place_gives_the_same_as_elsewhere) {
    uint64_t state = 7;
    const hz_exec ex = exec_of(best(), 1);
    for (int k = 2; k < RUNS; k++)
        for (hz_axes axes = 0; axes < 8; axes++) {
            sample x = sample_of(HZ_F32, HZ_DIMS(4, 9, 17), CONTIGUOUS, &state);
            float elsewhere[4 * 9 * 17];
            hz_tensor y = x.t;
            y.data = elsewhere;
            cr_assert(runs[k](&ex, &x.t, axes, &y, NULL) && runs[k](&ex, &x.t, axes, &x.t, NULL));
            cr_assert(memcmp(elsewhere, x.memory, sizeof elsewhere) == 0, "run %d over axes %#x", k, axes);
            free_sample(&x);
        }
    hz_pool_free(ex.pool);
}

Test(reduce, says_so_when_memory_is_out_and_succeeds_once_there_is_enough) {
    uint64_t state = 8;
    for (int k = 0; k < RUNS; k++)
        for (hz_axes axes = 1; axes < 8; axes++) {
            bool done = false;
            sample x = sample_of(HZ_F32, HZ_DIMS(4, 9, 17), CONTIGUOUS, &state);
            sample y = sample_of(HZ_F32, HZ_DIMS(4, 9, 17), CONTIGUOUS, &state);
            for (int fail_at = 1; !done; fail_at++) {
                failing_allocator f = {.fail_at = fail_at};
                hz_pool *pool = hz_pool_new(&(const hz_allocator){failing_alloc, failing_free, &f});
                hz_error err = {0};
                if (!pool) continue;
                done = runs[k](&(const hz_exec){.pool = pool, .threads = 1, .isa = best()}, &x.t, axes, &y.t,
                               &err);
                cr_assert(done || err.code == HZ_ENOMEM, "run %d over axes %#x", k, axes);
                cr_assert(hz_pool_get_stats(pool).used == 0);
                hz_pool_free(pool);
            }
            free_sample(&x), free_sample(&y);
        }
}
