/* test_gemm.c: matrix products against three plain loops.
 *
 * SPDX-License-Identifier: MIT */
#include "layouts.h"
#include "tensor/gemm.h"

static hz_exec serial(void) {
    return (hz_exec){.pool = hz_pool_new(NULL), .threads = 1, .isa = hz_isa_resolve(HZ_ISA_AUTO)};
}

/* alpha·A·B + beta·C of the given shapes and layouts agrees with the reference. */
static void compare(const hz_exec *ex, hz_dtype dtype, const int64_t mnk[3], const layout kinds[3],
                    double alpha, double beta, uint64_t *state, int trial) {
    sample a = sample_of(dtype, 2, (int64_t[]){mnk[0], mnk[2]}, kinds[0], state);
    sample b = sample_of(dtype, 2, (int64_t[]){mnk[2], mnk[1]}, kinds[1], state);
    sample c = sample_of(dtype, 2, (int64_t[]){mnk[0], mnk[1]}, kinds[2], state);
    sample wa = wide_copy(&a.t, false), wb = wide_copy(&b.t, false), want = wide_copy(&c.t, false);
    sample aa = wide_copy(&a.t, true), ab = wide_copy(&b.t, true), size = wide_copy(&c.t, true);
    hz_gemm_reference(alpha, &wa.t, &wb.t, beta, &want.t);
    hz_gemm_reference(fabs(alpha), &aa.t, &ab.t, fabs(beta), &size.t);
    hz_error err = {0};
    cr_assert(hz_gemm(ex, alpha, &a.t, &b.t, beta, &c.t, &err), "%s", err.text);
    check_close(&c.t, &want.t, &size.t, 16, "gemm", trial);
    sample *all[] = {&a, &b, &c, &wa, &wb, &want, &aa, &ab, &size};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free_sample(all[i]);
}

Test(gemm, agrees_with_plain_loops_for_all_layouts) {
    hz_exec ex = serial();
    uint64_t state = 1;
    static const layout results[] = {CONTIGUOUS, CROPPED, PERMUTED};
    for (int trial = 0; trial < 600; trial++) {
        const int64_t most = trial % 10 == 0 ? 90 : 20;
        const int64_t mnk[] = {random_int(&state, 0, most), random_int(&state, 0, most),
                               random_int(&state, 0, most)};
        const layout kinds[] = {(layout)(trial % LAYOUTS), (layout)(trial / LAYOUTS % LAYOUTS),
                                results[trial % 3]};
        static const double factors[] = {0, 1, -0.5, 2};
        compare(&ex, trial % 2 ? HZ_F32 : HZ_F64, mnk, kinds, factors[trial / 3 % 4], factors[trial / 7 % 4],
                &state, trial);
    }
    hz_pool_free(ex.pool);
}

Test(gemm, vectors_and_single_numbers_are_products_too) {
    hz_exec ex = serial();
    uint64_t state = 2;
    static const int64_t extents[][3] = {{1, 1, 1},     {1, 300, 70}, {300, 1, 70}, {70, 90, 1},
                                         {1, 1, 500},   {500, 1, 1},  {1, 500, 1},  {2, 2, 600},
                                         {1, 5003, 21}, {5003, 1, 21}};
    enum { EXTENTS = sizeof extents / sizeof extents[0] };
    static const double beta[] = {1, 0, -0.5};
    for (hz_isa isa = HZ_ISA_C; isa <= hz_isa_resolve(HZ_ISA_AUTO); isa++) {
        ex.isa = isa;
        for (int trial = 0; trial < 6 * EXTENTS * LAYOUTS; trial++) {
            const layout kinds[] = {(layout)(trial / EXTENTS % LAYOUTS), (layout)(trial / 7 % LAYOUTS),
                                    CONTIGUOUS};
            compare(&ex, trial % 2 ? HZ_F32 : HZ_F64, extents[trial / 2 % EXTENTS], kinds, 1, beta[trial % 3],
                    &state, trial);
        }
    }
    hz_pool_free(ex.pool);
}

Test(gemm, beta_zero_does_not_read_the_result) {
    hz_exec ex = serial();
    for (int64_t k = 0; k < 40; k += 13) {
        float a[400], b[400], c[100];
        for (int i = 0; i < 400; i++) a[i] = b[i] = 1;
        for (int i = 0; i < 100; i++) c[i] = NAN;
        hz_tensor ta = hz_tensor_of(a, HZ_F32, HZ_DIMS(10, k)), tb = hz_tensor_of(b, HZ_F32, HZ_DIMS(k, 10));
        hz_tensor tc = hz_tensor_of(c, HZ_F32, HZ_DIMS(10, 10));
        cr_assert(hz_gemm(&ex, 1, &ta, &tb, 0, &tc, NULL));
        for (int i = 0; i < 100; i++) cr_assert_eq(c[i], (float)k);
    }
    hz_pool_free(ex.pool);
}

Test(gemm, nothing_to_sum_leaves_beta_times_the_result) {
    hz_exec ex = serial();
    double c[] = {1, 2, 3, 4};
    hz_tensor ta = hz_tensor_of(NULL, HZ_F64, HZ_DIMS(2, 0)), tb = hz_tensor_of(NULL, HZ_F64, HZ_DIMS(0, 2));
    hz_tensor tc = hz_tensor_of(c, HZ_F64, HZ_DIMS(2, 2));
    cr_assert(hz_gemm(&ex, 1, &ta, &tb, 3, &tc, NULL));
    cr_assert(c[0] == 3 && c[1] == 6 && c[2] == 9 && c[3] == 12);
    hz_pool_free(ex.pool);
}

Test(gemm, a_batch_is_its_products_one_by_one) {
    hz_exec ex = serial();
    uint64_t state = 3;
    for (int trial = 0; trial < 60; trial++) {
        const int64_t p = random_int(&state, 0, 5), m = random_int(&state, 1, 12),
                      n = random_int(&state, 1, 12), k = random_int(&state, 0, 12);
        const hz_dtype dtype = trial % 2 ? HZ_F32 : HZ_F64;
        sample a = sample_of(dtype, 3, (int64_t[]){p, m, k}, (layout)(trial % LAYOUTS), &state);
        sample b = sample_of(dtype, 3, (int64_t[]){p, k, n}, (layout)(trial / LAYOUTS % LAYOUTS), &state);
        sample c = sample_of(dtype, 3, (int64_t[]){p, m, n}, CROPPED, &state);
        sample want = wide_copy(&c.t, false);
        cr_assert(hz_gemm_batched(&ex, 2, &a.t, &b.t, 0.5, &c.t, NULL));
        for (int64_t i = 0; i < p; i++) {
            hz_tensor one[4], *whole[] = {&a.t, &b.t, &want.t, &c.t};
            for (int j = 0; j < 4; j++) {
                hz_view_slice(whole[j], 0, i, 1, 1, &one[j], NULL);
                one[j].rank = 2;
                for (int axis = 0; axis < 2; axis++) {
                    one[j].dim[axis] = one[j].dim[axis + 1];
                    one[j].stride[axis] = one[j].stride[axis + 1];
                }
            }
            hz_gemm_reference(2, &one[0], &one[1], 0.5, &one[2]);
            sample size = wide_copy(&one[2], true);
            for (int64_t e = 0; e < m * n; e++) hz_set_flat(&size.t, e, 8.0 * (double)k + 4);
            check_close(&one[3], &one[2], &size.t, 16, "batched", trial);
            free_sample(&size);
        }
        free_sample(&a);
        free_sample(&b);
        free_sample(&c);
        free_sample(&want);
    }
    hz_pool_free(ex.pool);
}

Test(gemm, threads_do_not_change_a_bit) {
    hz_exec one = serial();
    uint64_t state = 4;
    static const int64_t shapes[][3] = {
        {200, 300, 150}, {1, 4000, 700}, {4000, 1, 700}, {64, 2000, 27}, {331, 257, 97}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int64_t m = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
        sample a = sample_of(HZ_F32, 2, (int64_t[]){m, k}, CROPPED, &state);
        sample b = sample_of(HZ_F32, 2, (int64_t[]){k, n}, CONTIGUOUS, &state);
        sample c = sample_of(HZ_F32, 2, (int64_t[]){m, n}, CONTIGUOUS, &state);
        sample d = sample_of(HZ_F32, 2, (int64_t[]){m, n}, CONTIGUOUS, &state);
        cr_assert(hz_gemm(&one, 1, &a.t, &b.t, 0, &c.t, NULL));
        for (int threads = 2; threads <= 5; threads++) {
            hz_exec many = one;
            many.threads = threads;
            cr_assert(hz_gemm(&many, 1, &a.t, &b.t, 0, &d.t, NULL));
            cr_assert_eq(memcmp(c.t.data, d.t.data, hz_nbytes(&c.t)), 0, "shape %zu, %d threads", i, threads);
        }
        free_sample(&a);
        free_sample(&b);
        free_sample(&c);
        free_sample(&d);
    }
    hz_pool_free(one.pool);
}

Test(gemm, names_the_shapes_that_disagree) {
    hz_exec ex = serial();
    double x[12] = {0};
    hz_tensor a = hz_tensor_of(x, HZ_F64, HZ_DIMS(2, 3)), b = hz_tensor_of(x, HZ_F64, HZ_DIMS(4, 2));
    hz_tensor c = hz_tensor_of(x, HZ_F64, HZ_DIMS(2, 2)), f = hz_tensor_of(x, HZ_F32, HZ_DIMS(3, 2));
    hz_error err = {0};
    cr_assert_not(hz_gemm(&ex, 1, &a, &b, 0, &c, &err));
    cr_assert_eq(err.code, HZ_ESHAPE);
    cr_assert(strstr(err.text, "[2,3]") && strstr(err.text, "[4,2]"), "%s", err.text);
    cr_assert_not(hz_gemm(&ex, 1, &a, &f, 0, &c, &err));
    cr_assert_eq(err.code, HZ_ESHAPE);
    cr_assert_not(hz_gemm_batched(&ex, 1, &a, &b, 0, &c, &err));
    cr_assert_eq(err.code, HZ_ESHAPE);
    hz_pool_free(ex.pool);
}

Test(gemm, reports_memory_that_cannot_be_had) {
    failing_allocator failing = {.fail_at = 1 << 30};
    hz_allocator allocator = {failing_alloc, failing_free, &failing};
    hz_exec ex = {.pool = hz_pool_new(&allocator), .threads = 1, .isa = HZ_ISA_C};
    cr_assert_not_null(ex.pool);
    double x[4] = {1, 2, 3, 4}, y[4];
    hz_tensor a = {x + 3, HZ_F64, 2, {2, 2}, {-2, -1}}, c = hz_tensor_of(y, HZ_F64, HZ_DIMS(2, 2));
    bool ok = false;
    for (failing.fail_at = 1; !ok && failing.fail_at < 50; failing.fail_at++) {
        hz_error err = {0};
        failing.calls = 0;
        ok = hz_gemm(&ex, 1, &a, &a, 0, &c, &err);
        cr_assert(ok || err.code == HZ_ENOMEM);
        cr_assert(failing.fail_at > 1 || !ok, "a reversed operand needs memory");
    }
    cr_assert(ok);
    cr_assert(y[0] == 22 && y[1] == 15 && y[2] == 10 && y[3] == 7);
    hz_pool_free(ex.pool);
}
