/* test_winograd.c: Winograd convolution, called whether it pays or not, against plain loops and against the same
 * convolution in f64.
 *
 * SPDX-License-Identifier: MIT */
#include "layouts.h"
#include "tensor/conv2d_parts.h"

/* ---- cases ---- */

typedef struct winograd_case {
    int64_t n, c, h, w, k;
    int64_t before[2], after[2]; /* padding */
    int64_t kernel;              /* 3 or 5 */
} winograd_case;

typedef struct operands {
    hz_conv2d_geometry g;
    sample x, w, b, dy;
    sample got[3], want[3], size[3]; /* y, dx, dw; size: the same of absolute values */
} operands;

static hz_exec exec_of(hz_isa isa, int threads) {
    return (hz_exec){.pool = hz_pool_new(NULL), .threads = threads, .isa = isa};
}

static bool has_outputs(const winograd_case *c) {
    return c->h + c->before[0] + c->after[0] >= c->kernel && c->w + c->before[1] + c->after[1] >= c->kernel;
}

static winograd_case random_case(uint64_t *state) {
    for (;;) {
        winograd_case c = {random_int(state, 1, 3),
                           random_int(state, 1, 40),
                           random_int(state, 1, 14),
                           random_int(state, 1, 40),
                           random_int(state, 1, 40),
                           {0},
                           {0},
                           3 + 2 * random_int(state, 0, 1)};
        for (int axis = 0; axis < 2; axis++) {
            c.before[axis] = random_int(state, -2, 4);
            c.after[axis] = random_int(state, -2, 4);
        }
        if (has_outputs(&c)) return c;
    }
}

static operands operands_of(winograd_case c, const layout kinds[3], uint64_t *state) {
    operands o = {.g = {{1, 1}, {c.before[0], c.before[1]}, {c.after[0], c.after[1]}, {1, 1}, 1}};
    const int64_t x[] = {c.n, c.c, c.h, c.w}, reach = c.kernel - 1;
    const int64_t w[] = {c.k, c.c, reach + 1, reach + 1};
    const int64_t y[] = {c.n, c.k, c.h + c.before[0] + c.after[0] - reach,
                         c.w + c.before[1] + c.after[1] - reach};
    const int64_t *result[] = {y, x, w};
    o.x = sample_of(HZ_F32, 4, x, kinds[0], state);
    o.w = sample_of(HZ_F32, 4, w, kinds[1], state);
    o.dy = sample_of(HZ_F32, 4, y, kinds[2], state);
    o.b = sample_of(HZ_F32, 1, w, CONTIGUOUS, state);
    for (int i = 0; i < 3; i++) {
        o.got[i] = sample_of(HZ_F32, 4, result[i], CONTIGUOUS, state);
        o.want[i] = sample_of(HZ_F64, 4, result[i], CONTIGUOUS, state);
        o.size[i] = sample_of(HZ_F64, 4, result[i], CONTIGUOUS, state);
    }
    return o;
}

static void free_operands(operands *o) {
    sample *all[] = {&o->x, &o->w, &o->b, &o->dy};
    for (int i = 0; i < 4; i++) free_sample(all[i]);
    for (int i = 0; i < 3; i++) {
        free_sample(&o->got[i]);
        free_sample(&o->want[i]);
        free_sample(&o->size[i]);
    }
}

static bool run_winograd(const hz_exec *ex, const operands *o, const hz_tensor *b, hz_error *err) {
    const hz__conv2d v = hz__conv2d_numbers(ex, &o->g, &o->x.t, &o->w.t, &o->dy.t);
    return hz__conv2d_winograd(&v, &o->x.t, &o->w.t, b, &o->got[0].t, err) &&
           hz__conv2d_winograd_input_grad(&v, &o->dy.t, &o->w.t, &o->got[1].t, err) &&
           hz__conv2d_winograd_weight_grad(&v, &o->x.t, &o->dy.t, &o->got[2].t, err);
}

/* The same in f64, by matrix products. */
static void run_wide(const operands *o, const sample result[3], bool absolute, bool bias) {
    const hz_exec ex = exec_of(hz_isa_resolve(HZ_ISA_AUTO), 2);
    sample x = wide_copy(&o->x.t, absolute), w = wide_copy(&o->w.t, absolute);
    sample dy = wide_copy(&o->dy.t, absolute), b = wide_copy(&o->b.t, absolute);
    cr_assert(hz_conv2d_map(&ex, &o->g, &x.t, &w.t, bias ? &b.t : NULL, &result[0].t, NULL));
    cr_assert(hz_conv2d_input_grad_map(&ex, &o->g, &dy.t, &w.t, &result[1].t, NULL));
    cr_assert(hz_conv2d_weight_grad_map(&ex, &o->g, &x.t, &dy.t, &result[2].t, NULL));
    sample *all[] = {&x, &w, &dy, &b};
    for (int i = 0; i < 4; i++) free_sample(all[i]);
    hz_pool_free(ex.pool);
}

static double largest(const hz_tensor *t) {
    double most = 0;
    for (int64_t i = 0; i < hz_numel(t); i++) most = fmax(most, fabs(hz_get_flat(t, i)));
    return most;
}

/* No element is further from the truth than `most`. */
static void check_within(const operands *o, int result, double most, int trial) {
    static const char *const names[] = {"y", "dx", "dw"};
    const hz_tensor *got = &o->got[result].t, *want = &o->want[result].t;
    for (int64_t i = 0; i < hz_numel(want); i++) {
        const double a = hz_get_flat(got, i), b = hz_get_flat(want, i);
        cr_assert(fabs(a - b) <= most, "%s, trial %d: element %lld of %s is %.9g, not %.9g", names[result],
                  trial, (long long)i, hz_shape_str(want).s, a, b);
    }
}

/* An error may be as large as some roundings of the largest sum of absolute values: single products pass through the
 * transforms of a whole tile. */
static void check_case(const hz_exec *ex, winograd_case c, const layout kinds[3], bool bias, uint64_t *state,
                       int trial) {
    operands o = operands_of(c, kinds, state);
    hz_error err = {0};
    cr_assert(run_winograd(ex, &o, bias ? &o.b.t : NULL, &err), "%s", err.text);
    run_wide(&o, o.want, false, bias);
    run_wide(&o, o.size, true, bias);
    const double roundings = c.kernel == 3 ? 32 : 128;
    for (int i = 0; i < 3; i++) check_within(&o, i, roundings * FLT_EPSILON * largest(&o.size[i].t), trial);
    free_operands(&o);
}

static void check_random_cases(hz_isa isa) {
    const hz_exec ex = exec_of(isa, 1);
    uint64_t state = 21;
    for (int trial = 0; trial < 60; trial++) {
        layout kinds[3];
        for (int i = 0; i < 3; i++) kinds[i] = (layout)random_int(&state, 0, LAYOUTS - 1);
        if (trial % 3 == 0) kinds[0] = kinds[1] = kinds[2] = CONTIGUOUS;
        check_case(&ex, random_case(&state), kinds, trial % 2 == 0, &state, trial);
    }
    hz_pool_free(ex.pool);
}

/* ---- claims ---- */

Test(winograd, agrees_with_matrix_products_in_plain_c) {
    check_random_cases(HZ_ISA_C);
}

Test(winograd, agrees_with_matrix_products_on_avx2) {
    if (hz_isa_resolve(HZ_ISA_AVX2) != HZ_ISA_AVX2) cr_skip_test("no AVX2 here");
    check_random_cases(HZ_ISA_AVX2);
}

Test(winograd, agrees_with_matrix_products_on_avx512) {
    if (hz_isa_resolve(HZ_ISA_AVX512) != HZ_ISA_AVX512) cr_skip_test("no AVX-512 here");
    check_random_cases(HZ_ISA_AVX512);
}

/* Several blocks of tiles, of filters, of both, each with a ragged end; one pixel; channels that fill no vector. */
static const winograd_case large[] = {
    {1, 17, 175, 190, 18, {1, 1}, {1, 1}, 3}, {1, 330, 6, 7, 210, {1, 0}, {2, 1}, 3},
    {8, 520, 9, 9, 150, {1, 1}, {1, 1}, 3},   {1, 64, 3, 3, 1, {0, 0}, {0, 0}, 3},
    {3, 1, 20, 5, 70, {5, -1}, {-2, 6}, 3},   {1, 17, 175, 190, 18, {2, 2}, {2, 1}, 5},
    {1, 330, 6, 7, 210, {2, 0}, {2, 1}, 5},   {8, 260, 9, 9, 150, {2, 2}, {2, 2}, 5},
    {1, 64, 5, 5, 1, {0, 0}, {0, 0}, 5},
};
enum { LARGE = sizeof large / sizeof large[0] };
static const layout plain[] = {CONTIGUOUS, CONTIGUOUS, CONTIGUOUS};

Test(winograd, agrees_with_matrix_products_across_blocks) {
    const hz_exec ex = exec_of(hz_isa_resolve(HZ_ISA_AUTO), 2);
    uint64_t state = 22;
    for (int i = 0; i < LARGE; i++) check_case(&ex, large[i], plain, true, &state, i);
    hz_pool_free(ex.pool);
}

Test(winograd, threads_do_not_change_a_bit) {
    const hz_exec one = exec_of(hz_isa_resolve(HZ_ISA_AUTO), 1);
    uint64_t state = 23;
    for (int i = 0; i < LARGE; i++) {
        operands o = operands_of(large[i], plain, &state);
        sample first[3];
        cr_assert(run_winograd(&one, &o, &o.b.t, NULL));
        for (int r = 0; r < 3; r++) first[r] = wide_copy(&o.got[r].t, false);
        for (int threads = 2; threads <= 3; threads++) {
            hz_exec many = one;
            many.threads = threads;
            for (int r = 0; r < 3; r++) memset(o.got[r].memory, 0xff, hz_nbytes(&o.got[r].t));
            cr_assert(run_winograd(&many, &o, &o.b.t, NULL));
            for (int r = 0; r < 3; r++) {
                sample again = wide_copy(&o.got[r].t, false);
                cr_assert_eq(memcmp(first[r].memory, again.memory, hz_nbytes(&again.t)), 0,
                             "case %d, result %d, %d threads", i, r, threads);
                free_sample(&again);
            }
        }
        for (int r = 0; r < 3; r++) free_sample(&first[r]);
        free_operands(&o);
    }
    hz_pool_free(one.pool);
}

/* The oracle's zeros are zeros: dy is zero but for a few pixels, also at the border of a tile and of the plane. */
Test(winograd, nothing_arrives_where_dy_is_zero) {
    const hz_exec ex = exec_of(hz_isa_resolve(HZ_ISA_AUTO), 1);
    uint64_t state = 27;
    int64_t zeros = 0;
    for (int trial = 0; trial < 40; trial++) {
        layout kinds[] = {CONTIGUOUS, CONTIGUOUS, trial % 2 ? REVERSED : CROPPED};
        operands o = operands_of(random_case(&state), kinds, &state);
        for (int64_t i = 0; i < hz_numel(&o.dy.t); i++) {
            if (random_int(&state, 0, 40 * o.dy.t.dim[1]) > 0) hz_set_flat(&o.dy.t, i, 0);
        }
        for (int64_t i = 0; i < hz_numel(&o.w.t); i++) hz_set_flat(&o.w.t, i, i % 7 + 1);
        cr_assert(run_winograd(&ex, &o, NULL, NULL));
        run_wide(&o, o.size, true, false);
        for (int64_t i = 0; i < hz_numel(&o.got[1].t); i++) {
            if (hz_get_flat(&o.size[1].t, i) != 0) continue;
            cr_assert_eq(hz_get_flat(&o.got[1].t, i), 0);
            zeros++;
        }
        free_operands(&o);
    }
    cr_assert(zeros > 1000);
    hz_pool_free(ex.pool);
}

static double normal(uint64_t *state) {
    const double u = (double)(next_random(state) >> 11) * 0x1p-53,
                 v = (double)(next_random(state) >> 11) * 0x1p-53;
    return sqrt(-2 * log(1 - u)) * cos(2 * 3.14159265358979323846 * v);
}

/* Numbers as a network has them: inputs that passed a ReLU, weights that keep their variance, cotangents of both
 * signs. */
static void make_realistic(operands *o, uint64_t *state) {
    const double spread = sqrt(2.0 / (double)(o->w.t.dim[2] * o->w.t.dim[3] * o->w.t.dim[1]));
    for (int64_t i = 0; i < hz_numel(&o->x.t); i++) hz_set_flat(&o->x.t, i, fmax(normal(state), 0));
    for (int64_t i = 0; i < hz_numel(&o->w.t); i++) hz_set_flat(&o->w.t, i, spread * normal(state));
    for (int64_t i = 0; i < hz_numel(&o->dy.t); i++) hz_set_flat(&o->dy.t, i, normal(state));
}

/* What conv2d.h promises, for the shapes of VGG-16 (fewer filters where the oracle takes long); then for 5×5, in AlexNet, in
 * LeNet and in something wide. */
Test(winograd, errors_stay_below_a_hundred_thousandth_of_the_range) {
    static const winograd_case layers[] = {
        {1, 64, 112, 112, 16, {1, 1}, {1, 1}, 3}, {1, 128, 56, 56, 32, {1, 1}, {1, 1}, 3},
        {1, 256, 28, 28, 64, {1, 1}, {1, 1}, 3},  {1, 512, 14, 14, 128, {1, 1}, {1, 1}, 3},
        {1, 64, 14, 14, 512, {1, 1}, {1, 1}, 3},  {1, 64, 27, 27, 48, {2, 2}, {2, 2}, 5},
        {8, 16, 14, 14, 32, {2, 2}, {2, 2}, 5},   {1, 512, 14, 14, 64, {2, 2}, {2, 2}, 5},
    };
    uint64_t state = 24;
    for (int i = 0; i < (int)(sizeof layers / sizeof layers[0]); i++) {
        operands o = operands_of(layers[i], plain, &state);
        make_realistic(&o, &state);
        for (hz_isa isa = HZ_ISA_C; isa <= hz_isa_resolve(HZ_ISA_AUTO); isa++) {
            const hz_exec ex = exec_of(isa, 2);
            cr_assert(run_winograd(&ex, &o, NULL, NULL));
            if (isa == HZ_ISA_C) run_wide(&o, o.want, false, false);
            for (int r = 0; r < 3; r++) check_within(&o, r, 1e-5 * largest(&o.want[r].t), i);
            hz_pool_free(ex.pool);
        }
        free_operands(&o);
    }
}

Test(winograd, is_chosen_for_wide_layers_only) {
    static const struct {
        winograd_case c;
        bool fits;
    } choices[] = {
        {{1, 64, 56, 56, 64, {1, 1}, {1, 1}, 3}, true},   {{1, 512, 14, 14, 512, {1, 1}, {1, 1}, 3}, true},
        {{1, 3, 224, 224, 64, {1, 1}, {1, 1}, 3}, false}, {{1, 64, 224, 224, 3, {1, 1}, {1, 1}, 3}, false},
        {{1, 512, 3, 3, 512, {1, 1}, {1, 1}, 3}, false},  {{64, 16, 14, 14, 32, {2, 2}, {2, 2}, 5}, true},
        {{64, 1, 28, 28, 16, {2, 2}, {2, 2}, 5}, false},
    };
    if (hz_isa_resolve(HZ_ISA_AUTO) == HZ_ISA_C) cr_skip("no vector kernels here: it never pays");
    const hz_exec ex = exec_of(hz_isa_resolve(HZ_ISA_AUTO), 1);
    uint64_t state = 25;
    for (int i = 0; i < (int)(sizeof choices / sizeof choices[0]); i++) {
        operands o = operands_of(choices[i].c, plain, &state);
        hz__conv2d v = hz__conv2d_numbers(&ex, &o.g, &o.x.t, &o.w.t, &o.dy.t);
        cr_assert_eq(hz__conv2d_winograd_fits(&v), choices[i].fits, "case %d", i);
        v.dtype = HZ_F64;
        cr_assert_not(hz__conv2d_winograd_fits(&v));
        v.dtype = HZ_F32;
        v.window.dilation[1] = 2;
        cr_assert_not(hz__conv2d_winograd_fits(&v));
        free_operands(&o);
    }
    hz_pool_free(ex.pool);
}

Test(winograd, reports_memory_that_cannot_be_had) {
    uint64_t state = 26;
    failing_allocator failing = {.fail_at = 0};
    hz_allocator allocator = {failing_alloc, failing_free, &failing};
    operands o = operands_of((winograd_case){1, 20, 9, 9, 20, {1, 1}, {1, 1}, 3}, plain, &state);
    int failures = 0;
    for (int fail_at = 2; fail_at < 100; fail_at++) {
        hz_error err = {0};
        failing = (failing_allocator){.fail_at = fail_at};
        const hz_exec ex = {.pool = hz_pool_new(&allocator), .threads = 1, .isa = HZ_ISA_C};
        const bool ok = ex.pool && run_winograd(&ex, &o, &o.b.t, &err);
        cr_assert(ok || !ex.pool || err.code == HZ_ENOMEM);
        hz_pool_free(ex.pool);
        if (ok) break;
        failures++;
    }
    cr_assert(failures > 0 && failures < 98);
    free_operands(&o);
}
