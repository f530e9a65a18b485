/* test_pool2d.c: pooling and its adjoints against the definition, position by position.
 *
 * SPDX-License-Identifier: MIT */
#include "layouts.h"
#include "tensor/conv2d.h"
#include "tensor/pool2d.h"

static hz_exec exec_of(hz_isa isa, int threads) {
    return (hz_exec){.pool = hz_pool_new(NULL), .threads = threads, .isa = isa};
}

/* ---- the definition ---- */

typedef struct window {
    int64_t at[64][2]; /* positions inside the input, in row-major order */
    int inside, counted;
} window;

static window window_at(const hz_pool2d_geometry *g, const int64_t *x, int64_t oy, int64_t ox) {
    window out = {.inside = 0};
    for (int64_t r = 0; r < g->kernel[0]; r++) {
        for (int64_t s = 0; s < g->kernel[1]; s++) {
            const int64_t at[] = {oy * g->stride[0] - g->pad_before[0] + r * g->dilation[0],
                                  ox * g->stride[1] - g->pad_before[1] + s * g->dilation[1]};
            bool inside = true, counted = true;
            for (int axis = 0; axis < 2; axis++) {
                const bool edge = g->edge_lo[axis] != 0 || g->edge_hi[axis] != 0;
                const int64_t lo = edge ? g->edge_lo[axis] : -g->pad_before[axis];
                const int64_t hi = edge ? g->edge_hi[axis] : x[2 + axis] + g->pad_after[axis];
                if (at[axis] < 0 || at[axis] >= x[2 + axis]) inside = false;
                if (at[axis] < lo || at[axis] >= hi) counted = false;
            }
            if (g->count_padding ? counted : inside) out.counted++;
            if (!inside) continue;
            memcpy(out.at[out.inside++], at, sizeof at);
        }
    }
    return out;
}

/* Place of the maximum of plane (n, c) in the window, −1 if it is empty. */
static int top_of(const window *w, const hz_tensor *x, int64_t n, int64_t c) {
    int top = -1;
    double best = 0;
    for (int i = 0; i < w->inside; i++) {
        const double value = hz_get(x, (int64_t[]){n, c, w->at[i][0], w->at[i][1]});
        if (top < 0 || value > best || (isnan(value) && !isnan(best))) {
            top = i;
            best = value;
        }
    }
    return top;
}

typedef struct operands {
    hz_pool2d_geometry g;
    int64_t x_dim[4], y_dim[4];
    sample x, v, dy;
    sample y, take, dx, mean, mean_dx; /* results */
} operands;

/* What the five functions should give, from the definition, added to contiguous f64 zeros. */
static void define(const operands *o, sample want[5]) {
    const int64_t *x = o->x_dim;
    for (int64_t i = 0; i < hz_numel(&o->y.t); i++) {
        int64_t at[HZ_MAX_RANK];
        hz_unravel(&o->y.t, i, at);
        const window w = window_at(&o->g, x, at[2], at[3]);
        const int top = top_of(&w, &o->x.t, at[0], at[1]);
        const double dy = hz_get(&o->dy.t, at);
        double sum = 0;
        for (int k = 0; k < w.inside; k++) {
            const int64_t from[] = {at[0], at[1], w.at[k][0], w.at[k][1]};
            sum += hz_get(&o->x.t, from);
            hz_set(&want[4].t, from, hz_get(&want[4].t, from) + dy / w.counted);
            if (k != top) continue;
            hz_set(&want[0].t, at, hz_get(&o->x.t, from));
            hz_set(&want[1].t, at, hz_get(&o->v.t, from));
            hz_set(&want[2].t, from, hz_get(&want[2].t, from) + dy);
        }
        if (top < 0) hz_set(&want[0].t, at, -INFINITY);
        hz_set(&want[3].t, at, w.counted ? sum / w.counted : 0);
    }
}

static bool run_all(const hz_exec *ex, const operands *o, hz_error *err) {
    return hz_max_pool2d_map(ex, &o->g, &o->x.t, &o->y.t, err) &&
           hz_max_pool2d_take_map(ex, &o->g, &o->x.t, &o->v.t, &o->take.t, err) &&
           hz_max_pool2d_grad_map(ex, &o->g, &o->x.t, &o->dy.t, &o->dx.t, err) &&
           hz_avg_pool2d_map(ex, &o->g, &o->x.t, &o->mean.t, err) &&
           hz_avg_pool2d_grad_map(ex, &o->g, &o->dy.t, &o->mean_dx.t, err);
}

/* ---- random cases ---- */

static hz_pool2d_geometry random_geometry(uint64_t *state, const int64_t *x, int64_t *y) {
    for (;;) {
        hz_pool2d_geometry g = {.count_padding = random_int(state, 0, 1)};
        const bool halves = random_int(state, 0, 3) == 0; /* 2×2 in steps of two has a loop of its own */
        for (int axis = 0; axis < 2; axis++) {
            g.kernel[axis] = random_int(state, 1, 4);
            g.stride[axis] = random_int(state, 1, 3);
            g.dilation[axis] = random_int(state, 1, 2);
            g.pad_before[axis] = random_int(state, -1, 2);
            g.pad_after[axis] = random_int(state, -1, 2);
            if (halves) g.kernel[axis] = g.stride[axis] = 2, g.dilation[axis] = 1, g.pad_before[axis] = 0;
            if (random_int(state, 0, 4) == 0) {
                g.edge_lo[axis] = random_int(state, -3, 1);
                g.edge_hi[axis] = x[2 + axis] + random_int(state, -1, 3);
            }
            y[2 + axis] = hz_conv2d_extent(x[2 + axis], g.kernel[axis], g.stride[axis], g.pad_before[axis],
                                           g.pad_after[axis], g.dilation[axis]);
        }
        if (y[2] >= 0 && y[3] >= 0) return g;
    }
}

static operands random_operands(hz_dtype dtype, uint64_t *state, int trial) {
    operands o;
    const int64_t most = trial % 8 == 0 ? 600 : 14;
    const int64_t x[] = {random_int(state, 0, 3), random_int(state, 1, 4), random_int(state, 1, 12),
                         random_int(state, 1, most)};
    memcpy(o.x_dim, x, sizeof x);
    memcpy(o.y_dim, x, sizeof x);
    o.g = random_geometry(state, o.x_dim, o.y_dim);
    o.x = sample_of(dtype, 4, o.x_dim, (layout)random_int(state, 0, LAYOUTS - 1), state);
    o.v = sample_of(dtype, 4, o.x_dim, (layout)random_int(state, 0, LAYOUTS - 1), state);
    o.dy = sample_of(dtype, 4, o.y_dim, (layout)random_int(state, 0, LAYOUTS - 1), state);
    sample *of_y[] = {&o.y, &o.take, &o.mean}, *of_x[] = {&o.dx, &o.mean_dx};
    for (int i = 0; i < 3; i++) *of_y[i] = sample_of(dtype, 4, o.y_dim, CONTIGUOUS, state);
    for (int i = 0; i < 2; i++) *of_x[i] = sample_of(dtype, 4, o.x_dim, CONTIGUOUS, state);
    return o;
}

static void free_operands(operands *o) {
    sample *all[] = {&o->x, &o->v, &o->dy, &o->y, &o->take, &o->dx, &o->mean, &o->mean_dx};
    for (int i = 0; i < 8; i++) free_sample(all[i]);
}

/* Few distinct values: ties; and some NaN. */
static void make_ties(const sample *x, uint64_t *state) {
    for (int64_t i = 0; i < hz_numel(&x->t); i++) {
        const int64_t value = random_int(state, -2, 6);
        hz_set_flat(&x->t, i, value == 6 ? NAN : (double)(value > 2 ? 2 : value));
    }
}

/* Equal up to rounding; a NaN where a NaN is wanted. */
static void check_equal(const sample *got, const sample *want, const char *what, int trial) {
    const double eps = got->t.dtype == HZ_F32 ? FLT_EPSILON : DBL_EPSILON;
    for (int64_t i = 0; i < hz_numel(&want->t); i++) {
        const double a = hz_get_flat(&got->t, i), b = hz_get_flat(&want->t, i);
        cr_assert(a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 32 * eps * (2 + fabs(b)),
                  "%s, trial %d: element %lld of %s is %g, not %g", what, trial, (long long)i,
                  hz_shape_str(&want->t).s, a, b);
    }
}

static void check_random_cases(hz_isa isa) {
    static const char *const names[] = {"maximum", "take", "maximum grad", "average", "average grad"};
    hz_exec ex = exec_of(isa, 1);
    uint64_t state = 5;
    for (int trial = 0; trial < 300; trial++) {
        operands o = random_operands(trial % 2 ? HZ_F32 : HZ_F64, &state, trial);
        if (trial % 3 == 0) make_ties(&o.x, &state);
        const sample *got[] = {&o.y, &o.take, &o.dx, &o.mean, &o.mean_dx};
        sample want[5];
        for (int i = 0; i < 5; i++) {
            want[i] = wide_copy(&got[i]->t, false);
            memset(want[i].memory, 0, hz_nbytes(&want[i].t));
        }
        define(&o, want);
        hz_error err = {0};
        cr_assert(run_all(&ex, &o, &err), "%s", err.text);
        for (int i = 0; i < 5; i++) {
            check_equal(got[i], &want[i], names[i], trial);
            free_sample(&want[i]);
        }
        free_operands(&o);
    }
    hz_pool_free(ex.pool);
}

/* ---- claims ---- */

Test(pool2d, agrees_with_the_definition_in_plain_c) {
    check_random_cases(HZ_ISA_C);
}

Test(pool2d, agrees_with_the_definition_on_avx2) {
    if (hz_isa_resolve(HZ_ISA_AVX2) != HZ_ISA_AVX2) cr_skip_test("no AVX2 here");
    check_random_cases(HZ_ISA_AVX2);
}

Test(pool2d, agrees_with_the_definition_on_avx512) {
    if (hz_isa_resolve(HZ_ISA_AVX512) != HZ_ISA_AVX512) cr_skip_test("no AVX-512 here");
    check_random_cases(HZ_ISA_AVX512);
}

static const hz_pool2d_geometry two_by_two = {.kernel = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}};

Test(pool2d, a_tie_goes_to_the_first_maximum) {
    hz_exec ex = exec_of(HZ_ISA_C, 1);
    float x[] = {3, 3, 3, 3}, dy[] = {5}, dx[4];
    hz_tensor tx = hz_tensor_of(x, HZ_F32, HZ_DIMS(1, 1, 2, 2)),
              tdy = hz_tensor_of(dy, HZ_F32, HZ_DIMS(1, 1, 1, 1));
    hz_tensor tdx = hz_tensor_of(dx, HZ_F32, HZ_DIMS(1, 1, 2, 2));
    cr_assert(hz_max_pool2d_grad_map(&ex, &two_by_two, &tx, &tdy, &tdx, NULL));
    cr_assert(dx[0] == 5 && dx[1] == 0 && dx[2] == 0 && dx[3] == 0);
    hz_pool_free(ex.pool);
}

/* Every window of 2×2 that can be made of these: the first of the largest counts, and the first NaN of all. */
static void check_pairs(hz_isa isa) {
    enum { VALUES = 5, WINDOWS = VALUES * VALUES * VALUES * VALUES };
    static const float value[VALUES] = {-INFINITY, -1, 0, 1, NAN};
    static float x[2][2 * WINDOWS], y[WINDOWS], dy[WINDOWS], dx[2][2 * WINDOWS];
    for (int i = 0; i < WINDOWS; i++) {
        for (int k = 0, rest = i; k < 4; k++, rest /= VALUES) x[k / 2][2 * i + k % 2] = value[rest % VALUES];
        dy[i] = (float)(i + 1);
    }
    const hz_exec ex = exec_of(isa, 1);
    const hz_tensor tx = hz_tensor_of(x, HZ_F32, HZ_DIMS(1, 1, 2, 2 * WINDOWS));
    const hz_tensor tdx = hz_tensor_of(dx, HZ_F32, HZ_DIMS(1, 1, 2, 2 * WINDOWS));
    const hz_tensor ty = hz_tensor_of(y, HZ_F32, HZ_DIMS(1, 1, 1, WINDOWS));
    const hz_tensor tdy = hz_tensor_of(dy, HZ_F32, HZ_DIMS(1, 1, 1, WINDOWS));
    cr_assert(hz_max_pool2d_map(&ex, &two_by_two, &tx, &ty, NULL) &&
              hz_max_pool2d_grad_map(&ex, &two_by_two, &tx, &tdy, &tdx, NULL));
    for (int i = 0; i < WINDOWS; i++) {
        int top = 0;
        for (int k = 1; k < 4; k++) {
            const float now = x[k / 2][2 * i + k % 2], most = x[top / 2][2 * i + top % 2];
            if (now > most || (isnan(now) && !isnan(most))) top = k;
        }
        const float most = x[top / 2][2 * i + top % 2];
        cr_assert(y[i] == most || (isnan(y[i]) && isnan(most)), "window %d: %g", i, y[i]);
        for (int k = 0; k < 4; k++)
            cr_assert_eq(dx[k / 2][2 * i + k % 2], k == top ? dy[i] : 0, "window %d", i);
    }
    hz_pool_free(ex.pool);
}

Test(pool2d, every_pair_of_pairs_has_its_first_maximum) {
    for (hz_isa isa = HZ_ISA_C; isa <= hz_isa_resolve(HZ_ISA_AUTO); isa++) check_pairs(isa);
}

Test(pool2d, minus_infinity_can_be_a_maximum) {
    hz_exec ex = exec_of(hz_isa_resolve(HZ_ISA_AUTO), 1);
    double x[] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY}, dy[] = {5}, dx[4];
    hz_tensor tx = hz_tensor_of(x, HZ_F64, HZ_DIMS(1, 1, 2, 2)),
              tdy = hz_tensor_of(dy, HZ_F64, HZ_DIMS(1, 1, 1, 1));
    hz_tensor tdx = hz_tensor_of(dx, HZ_F64, HZ_DIMS(1, 1, 2, 2));
    cr_assert(hz_max_pool2d_grad_map(&ex, &two_by_two, &tx, &tdy, &tdx, NULL));
    cr_assert(dx[0] == 5 && dx[1] == 0 && dx[2] == 0 && dx[3] == 0);
    hz_pool_free(ex.pool);
}

Test(pool2d, an_average_can_count_the_padding_or_not) {
    hz_exec ex = exec_of(HZ_ISA_C, 1);
    float x[] = {1, 2, 3, 4}, y[4];
    hz_tensor tx = hz_tensor_of(x, HZ_F32, HZ_DIMS(1, 1, 2, 2)),
              ty = hz_tensor_of(y, HZ_F32, HZ_DIMS(1, 1, 2, 2));
    hz_pool2d_geometry g = two_by_two;
    g.pad_before[0] = g.pad_before[1] = g.pad_after[0] = g.pad_after[1] = 1;
    cr_assert(hz_avg_pool2d_map(&ex, &g, &tx, &ty, NULL));
    cr_assert(y[0] == 1 && y[1] == 2 && y[2] == 3 && y[3] == 4);
    g.count_padding = true;
    cr_assert(hz_avg_pool2d_map(&ex, &g, &tx, &ty, NULL));
    cr_assert(y[0] == 0.25f && y[1] == 0.5f && y[2] == 0.75f && y[3] == 1);
    hz_pool_free(ex.pool);
}

/* A crop knows through edge_lo and edge_hi where the padded input ended. */
Test(pool2d, an_average_over_a_crop_equals_the_crop_of_the_average) {
    hz_exec ex = exec_of(hz_isa_resolve(HZ_ISA_AUTO), 1);
    uint64_t state = 6;
    hz_pool2d_geometry g = {.kernel = {3, 3}, .stride = {2, 2}, .dilation = {1, 1}, .count_padding = true};
    for (int axis = 0; axis < 2; axis++) g.pad_before[axis] = g.pad_after[axis] = 2;
    const int64_t x_dim[] = {1, 2, 7, 7}, y_dim[] = {1, 2, 5, 5}, crop_dim[] = {1, 2, 2, 5};
    sample x = sample_of(HZ_F64, 4, x_dim, CONTIGUOUS, &state),
           y = sample_of(HZ_F64, 4, y_dim, CONTIGUOUS, &state);
    sample crop = sample_of(HZ_F64, 4, crop_dim, CONTIGUOUS, &state);
    cr_assert(hz_avg_pool2d_map(&ex, &g, &x.t, &y.t, NULL));
    /* rows 3 and 4 of y see the padded rows 4 … 8, of which 4, 5, 6 are rows of x */
    hz_tensor rows, want;
    hz_view_slice(&x.t, 2, 4, 3, 1, &rows, NULL);
    hz_view_slice(&y.t, 2, 3, 2, 1, &want, NULL);
    g.pad_before[0] = 0;
    g.pad_after[0] = 2;
    g.edge_lo[0] = -6;
    g.edge_hi[0] = 5;
    cr_assert(hz_avg_pool2d_map(&ex, &g, &rows, &crop.t, NULL));
    for (int64_t i = 0; i < hz_numel(&want); i++) {
        cr_assert_float_eq(hz_get_flat(&crop.t, i), hz_get_flat(&want, i), 1e-15);
    }
    free_sample(&x);
    free_sample(&y);
    free_sample(&crop);
    hz_pool_free(ex.pool);
}

static double inner(const hz_tensor *a, const hz_tensor *b) {
    double sum = 0;
    for (int64_t i = 0; i < hz_numel(a); i++) sum += hz_get_flat(a, i) * hz_get_flat(b, i);
    return sum;
}

static void check_adaptive(const hz_exec *ex, int64_t h, int64_t w, int64_t oh, int64_t ow, layout kind,
                           uint64_t *state) {
    const int64_t x_dim[] = {2, 3, h, w}, y_dim[] = {2, 3, oh, ow};
    sample x = sample_of(HZ_F64, 4, x_dim, kind, state), y = sample_of(HZ_F64, 4, y_dim, CONTIGUOUS, state);
    sample dy = sample_of(HZ_F64, 4, y_dim, kind, state), dx = sample_of(HZ_F64, 4, x_dim, CONTIGUOUS, state);
    cr_assert(hz_adaptive_avg_pool2d_map(ex, &x.t, &y.t, NULL));
    for (int64_t i = 0; i < hz_numel(&y.t); i++) {
        int64_t at[HZ_MAX_RANK];
        hz_unravel(&y.t, i, at);
        const int64_t lo[] = {at[2] * h / oh, at[3] * w / ow};
        const int64_t hi[] = {((at[2] + 1) * h + oh - 1) / oh, ((at[3] + 1) * w + ow - 1) / ow};
        double sum = 0;
        for (int64_t iy = lo[0]; iy < hi[0]; iy++) {
            for (int64_t ix = lo[1]; ix < hi[1]; ix++) sum += hz_get(&x.t, (int64_t[]){at[0], at[1], iy, ix});
        }
        sum /= (double)((hi[0] - lo[0]) * (hi[1] - lo[1]));
        cr_assert_float_eq(hz_get(&y.t, at), sum, 1e-13);
    }
    cr_assert(hz_adaptive_avg_pool2d_grad_map(ex, &dy.t, &dx.t, NULL));
    cr_assert_float_eq(inner(&y.t, &dy.t), inner(&x.t, &dx.t), 1e-10);
    cr_assert(fabs(inner(&dx.t, &dx.t)) > 0);
    free_sample(&x);
    free_sample(&y);
    free_sample(&dy);
    free_sample(&dx);
}

Test(pool2d, adaptive_windows_follow_the_definition_and_have_their_adjoint) {
    uint64_t state = 8;
    for (hz_isa isa = HZ_ISA_C; isa <= hz_isa_resolve(HZ_ISA_AUTO); isa++) {
        hz_exec ex = exec_of(isa, 1);
        for (int trial = 0; trial < 40; trial++) {
            check_adaptive(&ex, random_int(&state, 1, 20), random_int(&state, 1, 40),
                           random_int(&state, 1, 7), random_int(&state, 1, 7), (layout)(trial % LAYOUTS),
                           &state);
        }
        hz_pool_free(ex.pool);
    }
}

Test(pool2d, threads_do_not_change_a_bit) {
    uint64_t state = 9;
    const int64_t x_dim[] = {3, 7, 61, 57}, y_dim[] = {3, 7, 30, 28};
    const hz_pool2d_geometry g = {.kernel = {3, 3}, .stride = {2, 2}, .dilation = {1, 1}};
    hz_exec one = exec_of(hz_isa_resolve(HZ_ISA_AUTO), 1), two = one;
    two.threads = 2;
    sample x = sample_of(HZ_F32, 4, x_dim, CROPPED, &state),
           dy = sample_of(HZ_F32, 4, y_dim, CROPPED, &state);
    sample a[4], b[4];
    for (int i = 0; i < 4; i++) {
        a[i] = sample_of(HZ_F32, 4, i % 2 ? x_dim : y_dim, CONTIGUOUS, &state);
        b[i] = sample_of(HZ_F32, 4, i % 2 ? x_dim : y_dim, CONTIGUOUS, &state);
    }
    for (int pass = 0; pass < 2; pass++) {
        const hz_exec *ex = pass ? &two : &one;
        sample *r = pass ? b : a;
        cr_assert(hz_max_pool2d_map(ex, &g, &x.t, &r[0].t, NULL));
        cr_assert(hz_max_pool2d_grad_map(ex, &g, &x.t, &dy.t, &r[1].t, NULL));
        cr_assert(hz_avg_pool2d_map(ex, &g, &x.t, &r[2].t, NULL));
        cr_assert(hz_avg_pool2d_grad_map(ex, &g, &dy.t, &r[3].t, NULL));
    }
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(memcmp(a[i].memory, b[i].memory, hz_nbytes(&a[i].t)), 0, "result %d", i);
        free_sample(&a[i]);
        free_sample(&b[i]);
    }
    free_sample(&x);
    free_sample(&dy);
    hz_pool_free(one.pool);
}
