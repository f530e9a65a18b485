/* test_conv2d.c: convolution and its adjoints against plain loops, over random geometries and memory layouts.
 *
 * SPDX-License-Identifier: MIT */
#include "layouts.h"
#include "tensor/conv2d_parts.h"

/* ---- cases ---- */

typedef struct geometry_case {
    hz_conv2d_geometry g;
    int64_t x[4], w[4], y[4];
} geometry_case;

static geometry_case case_of(int64_t n, int64_t c, int64_t h, int64_t w, int64_t k, int64_t r, int64_t s,
                             hz_conv2d_geometry g) {
    geometry_case out = {g, {n, c, h, w}, {k, c / g.groups, r, s}, {n, k, 0, 0}};
    for (int axis = 0; axis < 2; axis++) {
        out.y[2 + axis] = hz_conv2d_extent(out.x[2 + axis], out.w[2 + axis], g.stride[axis],
                                           g.pad_before[axis], g.pad_after[axis], g.dilation[axis]);
    }
    return out;
}

static bool is_legal(const geometry_case *c) {
    return c->y[2] >= 0 && c->y[3] >= 0;
}

/* Any geometry; flavour 0 dense, 1 grouped, 2 depthwise, 3 pointwise, 4 "same". */
static geometry_case random_case(uint64_t *state) {
    for (;;) {
        const int64_t flavour = random_int(state, 0, 4);
        hz_conv2d_geometry g = {.groups = 1};
        int64_t kernel[2], multiple = random_int(state, 1, 3), c = random_int(state, 1, 6);
        for (int axis = 0; axis < 2; axis++) {
            kernel[axis] = random_int(state, 1, 4);
            g.stride[axis] = random_int(state, 1, 3);
            g.dilation[axis] = random_int(state, 1, 3);
            g.pad_before[axis] = random_int(state, -2, 3);
            g.pad_after[axis] = random_int(state, -2, 3);
            if (flavour >= 3) {
                kernel[axis] = flavour == 3 ? 1 : 3;
                g.stride[axis] = g.dilation[axis] = 1;
                g.pad_before[axis] = g.pad_after[axis] = flavour == 3 ? 0 : 1;
            }
        }
        int64_t k = random_int(state, 1, 8);
        if (flavour == 1) {
            g.groups = random_int(state, 1, 3);
            k = g.groups * random_int(state, 1, 4);
            c = g.groups * random_int(state, 1, 3);
        } else if (flavour == 2) {
            g.groups = c;
            k = c * multiple;
        }
        const geometry_case out = case_of(random_int(state, 0, 4), c, random_int(state, 0, 12),
                                          random_int(state, 0, 12), k, kernel[0], kernel[1], g);
        if (is_legal(&out)) return out;
    }
}

/* Everything a check needs: operands in the dtype under test, and wide copies of them, signed and absolute. */
typedef struct operands {
    geometry_case c;
    sample x, w, b, dy;
    sample wide[2][4]; /* x, w, b, dy */
    sample result[3];  /* y, dx, dw */
} operands;

static operands operands_of(geometry_case c, hz_dtype dtype, const layout kinds[3], uint64_t *state) {
    operands o = {.c = c};
    o.x = sample_of(dtype, 4, c.x, kinds[0], state);
    o.w = sample_of(dtype, 4, c.w, kinds[1], state);
    o.dy = sample_of(dtype, 4, c.y, kinds[2], state);
    o.b = sample_of(dtype, 1, c.w, kinds[0] == PERMUTED ? CONTIGUOUS : kinds[0], state);
    for (int absolute = 0; absolute < 2; absolute++) {
        const sample *from[] = {&o.x, &o.w, &o.b, &o.dy};
        for (int i = 0; i < 4; i++) o.wide[absolute][i] = wide_copy(&from[i]->t, absolute);
    }
    const int64_t *shapes[] = {c.y, c.x, c.w};
    for (int i = 0; i < 3; i++) o.result[i] = sample_of(dtype, 4, shapes[i], CONTIGUOUS, state);
    return o;
}

static void free_operands(operands *o) {
    free_sample(&o->x);
    free_sample(&o->w);
    free_sample(&o->b);
    free_sample(&o->dy);
    for (int i = 0; i < 3; i++) free_sample(&o->result[i]);
    for (int i = 0; i < 8; i++) free_sample(&o->wide[i / 4][i % 4]);
}

static bool run_all(const hz_exec *ex, const operands *o, bool bias, hz_error *err) {
    const hz_conv2d_geometry *g = &o->c.g;
    return hz_conv2d_map(ex, g, &o->x.t, &o->w.t, bias ? &o->b.t : NULL, &o->result[0].t, err) &&
           hz_conv2d_input_grad_map(ex, g, &o->dy.t, &o->w.t, &o->result[1].t, err) &&
           hz_conv2d_weight_grad_map(ex, g, &o->x.t, &o->dy.t, &o->result[2].t, err);
}

/* The same by matrix products, which is not always what is chosen. */
static bool run_gemm(const hz_exec *ex, const operands *o, bool bias, hz_error *err) {
    const hz__conv2d v = hz__conv2d_numbers(ex, &o->c.g, &o->x.t, &o->w.t, &o->dy.t);
    return hz__conv2d_gemm(&v, &o->x.t, &o->w.t, bias ? &o->b.t : NULL, &o->result[0].t, err) &&
           hz__conv2d_gemm_input_grad(&v, &o->dy.t, &o->w.t, &o->result[1].t, err) &&
           hz__conv2d_gemm_weight_grad(&v, &o->x.t, &o->dy.t, &o->result[2].t, err);
}

static bool is_empty(const operands *o) {
    return hz_numel(&o->x.t) == 0 || hz_numel(&o->w.t) == 0 || hz_numel(&o->dy.t) == 0;
}

static void check_all(const operands *o, bool bias, int trial) {
    static const char *const names[] = {"y", "dx", "dw"};
    sample want[2][3];
    for (int absolute = 0; absolute < 2; absolute++) {
        const sample *t = o->wide[absolute];
        sample *r = want[absolute];
        for (int i = 0; i < 3; i++) r[i] = wide_copy(&o->result[i].t, false);
        hz_conv2d_reference(&o->c.g, &t[0].t, &t[1].t, bias ? &t[2].t : NULL, &r[0].t);
        hz_conv2d_input_grad_reference(&o->c.g, &t[3].t, &t[1].t, &r[1].t);
        hz_conv2d_weight_grad_reference(&o->c.g, &t[0].t, &t[3].t, &r[2].t);
    }
    for (int i = 0; i < 3; i++) {
        check_close(&o->result[i].t, &want[0][i].t, &want[1][i].t, 16, names[i], trial);
        free_sample(&want[0][i]);
        free_sample(&want[1][i]);
    }
}

static void check_case(const hz_exec *ex, geometry_case c, hz_dtype dtype, const layout kinds[3], bool bias,
                       uint64_t *state, int trial) {
    operands o = operands_of(c, dtype, kinds, state);
    hz_error err = {0};
    cr_assert(run_all(ex, &o, bias, &err), "%s", err.text);
    check_all(&o, bias, trial);
    if (!is_empty(&o)) {
        cr_assert(run_gemm(ex, &o, bias, &err), "%s", err.text);
        check_all(&o, bias, trial);
    }
    free_operands(&o);
}

static hz_exec exec_of(hz_isa isa, int threads) {
    return (hz_exec){.pool = hz_pool_new(NULL), .threads = threads, .isa = isa};
}

static void check_random_cases(hz_isa isa, int trials) {
    hz_exec ex = exec_of(isa, 1);
    uint64_t state = 7;
    for (int trial = 0; trial < trials; trial++) {
        layout kinds[3];
        for (int i = 0; i < 3; i++) kinds[i] = (layout)random_int(&state, 0, LAYOUTS - 1);
        if (trial % 3 == 0) kinds[0] = kinds[1] = kinds[2] = CONTIGUOUS;
        check_case(&ex, random_case(&state), trial % 2 ? HZ_F32 : HZ_F64, kinds, trial % 3 != 1, &state,
                   trial);
    }
    hz_pool_free(ex.pool);
}

/* ---- claims ---- */

Test(conv2d, agrees_with_plain_loops_in_plain_c) {
    check_random_cases(HZ_ISA_C, 400);
}

Test(conv2d, agrees_with_plain_loops_on_avx2) {
    if (hz_isa_resolve(HZ_ISA_AVX2) != HZ_ISA_AVX2) cr_skip_test("no AVX2 here");
    check_random_cases(HZ_ISA_AVX2, 400);
}

Test(conv2d, agrees_with_plain_loops_on_avx512) {
    if (hz_isa_resolve(HZ_ISA_AVX512) != HZ_ISA_AVX512) cr_skip_test("no AVX-512 here");
    check_random_cases(HZ_ISA_AVX512, 400);
}

/* Large enough for several tiles, bands, blocks of filters and chunks of images, each with a ragged end. */
static const struct {
    int64_t n, c, h, w, k, r, s;
    hz_conv2d_geometry g;
} large[] = {
    {1, 3, 61, 70, 5, 3, 3, {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 1}},
    {1, 3, 67, 59, 7, 11, 11, {{4, 4}, {2, 0}, {0, 1}, {1, 1}, 1}},
    {1, 40, 9, 9, 260, 3, 3, {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 1}},
    {21, 5, 7, 7, 6, 3, 3, {{2, 1}, {1, 0}, {1, 2}, {1, 1}, 1}},
    {70, 4, 2, 2, 10, 2, 2, {{1, 1}, {0, 0}, {0, 0}, {1, 1}, 2}},
    {1, 12, 40, 41, 10, 1, 1, {{1, 1}, {0, 0}, {0, 0}, {1, 1}, 1}},
    {3, 300, 3, 3, 4, 3, 3, {{1, 1}, {0, 0}, {0, 0}, {1, 1}, 1}},
    {2, 2, 33, 37, 4, 2, 3, {{1, 2}, {-3, 2}, {2, -1}, {3, 2}, 1}},
    {2, 9, 30, 31, 18, 3, 3, {{2, 2}, {0, 1}, {1, 1}, {1, 1}, 9}},
    {1, 2, 300, 3, 3, 9, 2, {{1, 1}, {4, 0}, {4, 1}, {2, 1}, 1}},
    {1, 1, 16, 16, 3, 2, 2, {{100000007, 1}, {0, 0}, {0, 0}, {15, 3}, 1}},
    {1, 2, 16, 16, 2, 2, 2, {{100000007, 1}, {0, 0}, {0, 0}, {15, 3}, 2}},
    {1, 3, 70, 75, 30, 7, 5, {{2, 3}, {3, 0}, {2, 9}, {1, 2}, 1}},
    {2, 14, 40, 45, 9, 5, 4, {{6, 4}, {-1, 4}, {3, 0}, {4, 6}, 1}},
    {1, 60, 33, 64, 2, 3, 3, {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 1}},
};
enum { LARGE = sizeof large / sizeof large[0] };

static geometry_case large_case(int i) {
    return case_of(large[i].n, large[i].c, large[i].h, large[i].w, large[i].k, large[i].r, large[i].s,
                   large[i].g);
}

Test(conv2d, agrees_with_plain_loops_across_tiles) {
    hz_exec ex = exec_of(hz_isa_resolve(HZ_ISA_AUTO), 2);
    uint64_t state = 8;
    for (int i = 0; i < LARGE; i++) {
        const layout kind = i % 2 ? CROPPED : CONTIGUOUS;
        check_case(&ex, large_case(i), HZ_F32, (layout[]){kind, CONTIGUOUS, kind}, true, &state, i);
    }
    hz_pool_free(ex.pool);
}

Test(conv2d, threads_do_not_change_a_bit) {
    uint64_t state = 9;
    hz_exec one = exec_of(hz_isa_resolve(HZ_ISA_AUTO), 1);
    for (int i = 0; i < LARGE; i++) {
        operands o =
            operands_of(large_case(i), HZ_F32, (layout[]){CONTIGUOUS, CONTIGUOUS, CONTIGUOUS}, &state);
        cr_assert(run_all(&one, &o, true, NULL));
        operands again = o;
        for (int r = 0; r < 3; r++) {
            again.result[r] = sample_of(HZ_F32, 4, o.result[r].t.dim, CONTIGUOUS, &state);
        }
        for (int threads = 2; threads <= 3; threads++) {
            hz_exec many = one;
            many.threads = threads;
            cr_assert(run_all(&many, &again, true, NULL));
            for (int r = 0; r < 3; r++) {
                cr_assert_eq(memcmp(o.result[r].memory, again.result[r].memory, hz_nbytes(&o.result[r].t)), 0,
                             "case %d, result %d, %d threads", i, r, threads);
            }
        }
        for (int r = 0; r < 3; r++) free_sample(&again.result[r]);
        free_operands(&o);
    }
    hz_pool_free(one.pool);
}

static double inner(const hz_tensor *a, const hz_tensor *b) {
    double sum = 0;
    for (int64_t i = 0; i < hz_numel(a); i++) sum += hz_get_flat(a, i) * hz_get_flat(b, i);
    return sum;
}

/* Where a picture is flat, a layer is: no position rounds otherwise than its neighbours, however the work is cut. */
Test(conv2d, equal_patches_give_equal_results_in_f64) {
    static const int64_t shape[][4] = {{96, 16, 55, 1}, {16, 64, 55, 3},  {64, 64, 27, 3},  {512, 64, 13, 1},
                                       {64, 40, 56, 3}, {300, 30, 11, 3}, {128, 520, 7, 1}, {3, 20, 99, 1}};
    for (int isa = HZ_ISA_C; isa <= HZ_ISA_AVX512; isa++) {
        if (hz_isa_resolve((hz_isa)isa) != (hz_isa)isa) continue;
        hz_exec ex = exec_of((hz_isa)isa, 2);
        uint64_t state = 12;
        for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
            const int64_t *s = shape[i], r = s[3];
            const hz_conv2d_geometry g = {{1, 1}, {0, 0}, {0, 0}, {1, 1}, 1};
            const layout kinds[3] = {CONTIGUOUS, CONTIGUOUS, CONTIGUOUS};
            operands o = operands_of(case_of(1, s[0], s[2], s[2], s[1], r, r, g), HZ_F64, kinds, &state);
            for (int64_t k = 0; k < hz_numel(&o.x.t); k++)
                ((double *)o.x.t.data)[k] = 0.37 * (double)(k / (s[2] * s[2])) + 0.11;
            hz_error err = {0};
            cr_assert(run_gemm(&ex, &o, i % 2, &err), "%s", err.text);
            const double *y = o.result[0].t.data;
            const int64_t area = (s[2] - r + 1) * (s[2] - r + 1);
            for (int64_t k = 0; k < hz_numel(&o.result[0].t); k++)
                cr_assert_eq(y[k], y[k / area * area], "case %zu: position %lld", i, (long long)(k % area));
            free_operands(&o);
        }
        hz_pool_free(ex.pool);
    }
}

Test(conv2d, the_three_are_adjoint_to_each_other) {
    hz_exec ex = exec_of(hz_isa_resolve(HZ_ISA_AUTO), 1);
    uint64_t state = 10;
    for (int i = 0; i < LARGE; i++) {
        operands o =
            operands_of(large_case(i), HZ_F64, (layout[]){CONTIGUOUS, CONTIGUOUS, CONTIGUOUS}, &state);
        cr_assert(run_all(&ex, &o, false, NULL));
        const double y = inner(&o.result[0].t, &o.dy.t), dx = inner(&o.x.t, &o.result[1].t);
        const double dw = inner(&o.w.t, &o.result[2].t);
        const double size = 1e-10 * (1 + (double)hz_numel(&o.dy.t));
        cr_assert(fabs(y) > 0 && fabs(y - dx) < size && fabs(y - dw) < size, "case %d: %g %g %g", i, y, dx,
                  dw);
        free_operands(&o);
    }
    hz_pool_free(ex.pool);
}

/* One hidden unit: a crop of a few filters of a larger layer. */
Test(conv2d, a_unit_is_a_crop_of_its_layer) {
    hz_exec ex = exec_of(hz_isa_resolve(HZ_ISA_AUTO), 1);
    uint64_t state = 11;
    const int64_t shape_w[] = {64, 48, 3, 3}, shape_x[] = {1, 48, 3, 3}, shape_y[] = {1, 1, 1, 1};
    sample w = sample_of(HZ_F64, 4, shape_w, CONTIGUOUS, &state),
           dy = sample_of(HZ_F64, 4, shape_y, CONTIGUOUS, &state);
    sample dx = sample_of(HZ_F64, 4, shape_x, CONTIGUOUS, &state);
    hz_tensor filter;
    cr_assert(hz_view_slice(&w.t, 0, 17, 1, 1, &filter, NULL));
    const hz_conv2d_geometry g = {{1, 1}, {0, 0}, {0, 0}, {1, 1}, 1};
    cr_assert(hz_conv2d_input_grad_map(&ex, &g, &dy.t, &filter, &dx.t, NULL));
    for (int64_t i = 0; i < hz_numel(&dx.t); i++) {
        cr_assert_float_eq(hz_get_flat(&dx.t, i), hz_get_flat(&filter, i) * hz_get_flat(&dy.t, 0), 1e-15);
    }
    free_sample(&w);
    free_sample(&dy);
    free_sample(&dx);
    hz_pool_free(ex.pool);
}

Test(conv2d, extent_refuses_what_does_not_fit_or_overflows) {
    cr_assert_eq(hz_conv2d_extent(5, 3, 1, 0, 0, 1), 3);
    cr_assert_eq(hz_conv2d_extent(5, 3, 2, 1, 1, 1), 3);
    cr_assert_eq(hz_conv2d_extent(5, 3, 1, 0, 0, 2), 1);
    cr_assert_eq(hz_conv2d_extent(5, 3, 1, -1, -1, 1), 1);
    cr_assert_eq(hz_conv2d_extent(5, 3, 1, -2, -1, 1), -1);
    cr_assert_eq(hz_conv2d_extent(2, 3, 1, 0, 0, 1), -1);
    cr_assert_eq(hz_conv2d_extent(5, 0, 1, 0, 0, 1), -1);
    cr_assert_eq(hz_conv2d_extent(5, 3, 0, 0, 0, 1), -1);
    cr_assert_eq(hz_conv2d_extent(5, 3, 1, INT64_MAX, 0, 1), -1);
    cr_assert_eq(hz_conv2d_extent(5, 3, 1, INT64_MIN, INT64_MIN, 1), -1);
    cr_assert_eq(hz_conv2d_extent(5, 3, 1, 0, 0, INT64_MAX), -1);
    cr_assert_eq(hz_conv2d_extent(5, INT64_MAX, 1, 0, 0, 2), -1);
}

Test(conv2d, reports_memory_that_cannot_be_had) {
    uint64_t state = 12;
    for (int i = 0; i < LARGE; i++) {
        failing_allocator failing = {.fail_at = 1 << 30};
        hz_allocator allocator = {failing_alloc, failing_free, &failing};
        operands o = operands_of(large_case(i), HZ_F64, (layout[]){CONTIGUOUS, REVERSED, CONTIGUOUS}, &state);
        int failures = 0;
        for (int fail_at = 2; fail_at < 100; fail_at++) {
            hz_error err = {0};
            failing = (failing_allocator){.fail_at = fail_at};
            hz_exec ex = {.pool = hz_pool_new(&allocator), .threads = 1, .isa = HZ_ISA_C};
            const bool ok = ex.pool && run_all(&ex, &o, true, &err);
            cr_assert(ok || !ex.pool || err.code == HZ_ENOMEM);
            hz_pool_free(ex.pool);
            if (ok) break;
            failures++;
        }
        cr_assert(failures > 0);
        free_operands(&o);
    }
}
