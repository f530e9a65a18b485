/* test_all_kernels.c: every op's values: f32 against f64, every instruction set against plain C, every memory layout
 * against the contiguous one, two threads against one, and what happens when memory runs out.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "all_ops.h"

static void expect_close(const hz_op *op, const hz_sample *sample, const char *what, hz_var got, hz_var want,
                         double tolerance) {
    const hz_tensor *a = hz_value(got), *b = hz_value(want);
    cr_assert(hz_same_shape(a, b), "%s, \"%s\", %s: shape %s, not %s", op->name, sample->label, what,
              hz_shape_str(a).s, hz_shape_str(b).s);
    double scale = 1;
    for (int64_t e = 0; e < hz_numel(b); e++) scale = fmax(scale, fabs(hz_get_flat(b, e)));
    for (int64_t e = 0; e < hz_numel(b); e++) {
        double x = hz_get_flat(a, e), y = hz_get_flat(b, e);
        cr_expect(fabs(x - y) <= tolerance * scale, "%s, \"%s\", %s: element %lld is %.9g, not %.9g",
                  op->name, sample->label, what, (long long)e, x, y);
    }
}

ParameterizedTestParameters(all_kernels, f32_agrees_with_f64) {
    return every_op();
}
ParameterizedTest(int *k, all_kernels, f32_agrees_with_f64) {
    const hz_op *op = hz_ops[*k];
    for (int s = 0; s < op->n_samples; s++) {
        sample_run a, b;
        run_sample(&a, &op->samples[s], HZ_F32, HZ_LAYOUT_CONTIGUOUS, NULL);
        run_sample(&b, &op->samples[s], HZ_F64, HZ_LAYOUT_CONTIGUOUS, NULL);
        expect_close(op, &op->samples[s], "f32", a.y, b.y, 1e-5);
        free_run(&a);
        free_run(&b);
    }
}

ParameterizedTestParameters(all_kernels, every_instruction_set_agrees_with_plain_c) {
    return every_op();
}
ParameterizedTest(int *k, all_kernels, every_instruction_set_agrees_with_plain_c) {
    const hz_op *op = hz_ops[*k];
    for (int s = 0; s < op->n_samples; s++)
        for (int isa = HZ_ISA_AVX2; isa <= (int)hz_isa_resolve(HZ_ISA_AUTO); isa++)
            for (int dtype = HZ_F32; dtype <= HZ_F64; dtype++) {
                sample_run a, b;
                run_sample(&a, &op->samples[s], (hz_dtype)dtype, HZ_LAYOUT_CONTIGUOUS,
                           &(hz_tape_opts){.isa = (hz_isa)isa});
                run_sample(&b, &op->samples[s], (hz_dtype)dtype, HZ_LAYOUT_CONTIGUOUS,
                           &(hz_tape_opts){.isa = HZ_ISA_C});
                expect_close(op, &op->samples[s], hz_isa_name((hz_isa)isa), a.y, b.y,
                             dtype == HZ_F32 ? 2e-6 : 1e-13);
                free_run(&a);
                free_run(&b);
            }
}

ParameterizedTestParameters(all_kernels, memory_layout_makes_no_difference) {
    return every_op();
}
ParameterizedTest(int *k, all_kernels, memory_layout_makes_no_difference) {
    const hz_op *op = hz_ops[*k];
    for (int s = 0; s < op->n_samples; s++)
        for (int layout = 1; layout < HZ_LAYOUTS; layout++)
            for (int dtype = HZ_F32; dtype <= HZ_F64; dtype++) {
                sample_run a, b;
                run_sample(&a, &op->samples[s], (hz_dtype)dtype, (hz_layout)layout, NULL);
                run_sample(&b, &op->samples[s], (hz_dtype)dtype, HZ_LAYOUT_CONTIGUOUS, NULL);
                expect_close(op, &op->samples[s], "layout", a.y, b.y, dtype == HZ_F32 ? 1e-6 : 1e-14);
                free_run(&a);
                free_run(&b);
            }
}

ParameterizedTestParameters(all_kernels, two_threads_give_the_same_bits_as_one) {
    return every_op();
}
ParameterizedTest(int *k, all_kernels, two_threads_give_the_same_bits_as_one) {
    const hz_op *op = hz_ops[*k];
    for (int s = 0; s < op->n_samples; s++) {
        sample_run a, b;
        run_sample(&a, &op->samples[s], HZ_F32, HZ_LAYOUT_CONTIGUOUS, &(hz_tape_opts){.threads = 1});
        run_sample(&b, &op->samples[s], HZ_F32, HZ_LAYOUT_CONTIGUOUS, &(hz_tape_opts){.threads = 2});
        for (int64_t e = 0; e < hz_numel(hz_value(a.y)); e++) {
            double x = hz_get_flat(hz_value(a.y), e), y = hz_get_flat(hz_value(b.y), e);
            cr_expect(memcmp(&x, &y, sizeof x) == 0, "%s, \"%s\": element %lld", op->name,
                      op->samples[s].label, (long long)e);
        }
        free_run(&a);
        free_run(&b);
    }
}

/* ---- memory that runs out at the n-th request ---- */

typedef struct miser {
    long left; /* requests still granted */
} miser;

static void *miserly_alloc(void *ctx, size_t size) {
    miser *m = ctx;
    return m->left-- > 0 ? malloc(size) : NULL;
}

static void miserly_free(void *ctx, void *p) {
    (void)ctx;
    free(p);
}

/* Run forward and backward with so many requests granted; true if nothing failed. */
static bool survive(const hz_sample *sample, long granted, const hz_tensor *data) {
    miser m = {granted};
    hz_allocator alloc = {miserly_alloc, miserly_free, &m};
    hz_tape *t = hz_tape_new(&(hz_tape_opts){.alloc = &alloc, .threads = 1});
    if (!t) return false;
    hz_var x[HZ_SAMPLE_INPUTS];
    for (int k = 0; k < sample->n_in; k++) x[k] = hz_input(t, &data[k]);
    hz_var y = sample->call(t, x), dx;
    const hz_tensor *v = hz_value(y);
    hz_var dy = hz_full(t, v->dtype, v->rank, v->dim, 1.0);
    if (hz_tape_ok(t, NULL) && hz_dtype_is_float(v->dtype))
        hz_grad(&y, 1, &x[0], 1, &(hz_grad_opts){.dy = &dy, .unreachable = HZ_UNREACHABLE_ZERO}, &dx);
    hz_error err = {.code = HZ_OK};
    bool ok = hz_tape_ok(t, &err);
    bool honest = ok || err.code == HZ_ENOMEM || err.code == HZ_EGRAD;
    hz_tape_free(t);
    cr_expect(honest, "%s: %s", sample->label, err.text);
    return ok || err.code == HZ_EGRAD;
}

ParameterizedTestParameters(all_kernels, running_out_of_memory_is_an_error_and_no_more) {
    return every_op();
}
ParameterizedTest(int *k, all_kernels, running_out_of_memory_is_an_error_and_no_more) {
    const hz_op *op = hz_ops[*k];
    const hz_sample *sample = &op->samples[0];
    hz_tensor data[HZ_SAMPLE_INPUTS];
    void *base[HZ_SAMPLE_INPUTS] = {NULL};
    for (int j = 0; j < sample->n_in; j++)
        cr_assert(hz_sample_draw(&sample->in[j], HZ_F64, HZ_LAYOUT_STRIDED, 1, &data[j], &base[j], NULL));
    long granted = 0;
    while (!survive(sample, granted, data)) cr_assert_lt(++granted, 1000, "%s never succeeds", op->name);
    cr_expect_gt(granted, 2);
    for (int j = 0; j < sample->n_in; j++) free(base[j]);
}
