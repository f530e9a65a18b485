/* test_gradcheck.c: the checker itself: it must fail where it should, and say where.
 * That it catches every op's vjp broken in six ways is tested in tests/ops/test_all_gradients.c.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <criterion/criterion.h>

#include "autograd/gradcheck.h"
#include "ops/ops.h"

static hz_gradcheck_report report;
static double data[3] = {0.3, -0.7, 1.2};

static bool check(hz_gradcheck_fn f, const hz_gradcheck_opts *opts) {
    hz_tensor x = hz_tensor_of(data, HZ_F64, HZ_DIMS(3));
    return hz_gradcheck_function(f, NULL, &x, 1, opts, &report);
}

static int cube(hz_tape *t, const hz_var *x, int n, hz_var *y, void *ctx) {
    (void)t, (void)n, (void)ctx;
    y[0] = hz_mul(x[0], hz_mul(x[0], x[0]));
    return 1;
}

Test(gradcheck, passes_a_correct_function_and_counts) {
    cr_assert(check(cube, &(hz_gradcheck_opts){.order = 2}), "%s", report.text);
    cr_assert_eq(report.compared, 3 + 6);
    cr_assert_eq(report.nonzero, 3 + 6);
    cr_assert_eq(report.mismatched, 0);
}

Test(gradcheck, random_directions_count_one_each) {
    cr_assert(check(cube, &(hz_gradcheck_opts){.directions = 5}), "%s", report.text);
    cr_assert_eq(report.compared, 5);
}

Test(gradcheck, leaves_the_callers_data_alone) {
    check(cube, NULL);
    cr_assert_eq(data[0], 0.3);
    cr_assert_eq(data[2], 1.2);
}

static int detached(hz_tape *t, const hz_var *x, int n, hz_var *y, void *ctx) {
    (void)t, (void)n, (void)ctx;
    y[0] = hz_detach(x[0]);
    return 1;
}

Test(gradcheck, a_gradient_that_is_missing_is_a_mismatch) {
    cr_assert_not(check(detached, NULL));
    cr_assert_eq(report.mismatched, 3);
    cr_assert_eq(report.analytic, 0);
    cr_assert_float_eq(fabs(report.numeric), 1, 0.3);
}

static int constant(hz_tape *t, const hz_var *x, int n, hz_var *y, void *ctx) {
    (void)x, (void)n, (void)ctx;
    y[0] = hz_scalar(t, HZ_F64, 1);
    return 1;
}

Test(gradcheck, all_zeros_prove_nothing) {
    cr_assert_not(check(constant, NULL));
    cr_assert(strstr(report.text, "zero"), "%s", report.text);
}

static int nothing(hz_tape *t, const hz_var *x, int n, hz_var *y, void *ctx) {
    (void)t, (void)x, (void)n, (void)y, (void)ctx;
    return 0;
}

static int tiny_square(hz_tape *t, const hz_var *x, int n, hz_var *y, void *ctx) {
    (void)t, (void)n, (void)ctx;
    y[0] = hz_scale(hz_mul(x[0], x[0]), 1e-9);
    return 1;
}

Test(gradcheck, gradients_below_the_tolerance_prove_nothing) {
    cr_assert_not(check(tiny_square, NULL));
    cr_assert_eq(report.nonzero, 0);
    cr_assert(check(tiny_square, &(hz_gradcheck_opts){.atol = 1e-12, .rtol = 1e-3}), "%s", report.text);
}

Test(gradcheck, an_empty_input_is_not_a_success) {
    hz_tensor x = hz_tensor_of(data, HZ_F64, HZ_DIMS(0));
    cr_assert_not(hz_gradcheck_function(cube, NULL, &x, 1, NULL, &report));
}

Test(gradcheck, an_order_it_does_not_know_is_refused) {
    cr_assert_not(check(cube, &(hz_gradcheck_opts){.order = 7}));
    cr_assert(strstr(report.text, "7"), "%s", report.text);
}

Test(gradcheck, samples_that_never_run_the_op_fail) {
    hz_op op = hz_op_mul;
    cr_assert_not(hz_gradcheck(&op, NULL, &report), "another op by address");
    cr_assert(strstr(report.text, "does not run"), "%s", report.text);
}

Test(gradcheck, nothing_compared_is_a_failure) {
    cr_assert_not(check(nothing, NULL));
    cr_assert(strstr(report.text, "nothing compared"), "%s", report.text);
}

static int relu_at_zero(hz_tape *t, const hz_var *x, int n, hz_var *y, void *ctx) {
    (void)n;
    hz_tensor shift = hz_tensor_of(ctx ? ctx : data, HZ_F64, HZ_DIMS(3));
    y[0] = hz_relu(hz_sub(x[0], hz_input(t, &shift)));
    return 1;
}

static int abs_at_zero(hz_tape *t, const hz_var *x, int n, hz_var *y, void *ctx) {
    (void)n, (void)ctx;
    hz_tensor shift = hz_tensor_of(data, HZ_F64, HZ_DIMS(3));
    y[0] = hz_abs(hz_sub(x[0], hz_input(t, &shift)));
    return 1;
}

Test(gradcheck, a_kink_at_the_point_is_reported) {
    cr_assert_not(check(relu_at_zero, NULL));
    cr_assert_eq(report.kinks, 3, "%s", report.text);
    cr_assert(strstr(report.text, "kink"), "%s", report.text);
}

Test(gradcheck, a_kink_where_both_sides_say_zero_is_reported_too) {
    cr_assert_not(check(abs_at_zero, NULL));
    cr_assert_eq(report.kinks, 3, "%s", report.text);
}

Test(gradcheck, a_kink_anywhere_within_the_step_is_reported) {
    for (int k = -18; k <= 18; k++) {
        double shift[3], step = 1e-5;
        for (int j = 0; j < 3; j++) shift[j] = data[j] + step * fmax(1, fabs(data[j])) * k / 20.0;
        hz_tensor x = hz_tensor_of(data, HZ_F64, HZ_DIMS(3));
        cr_assert_not(hz_gradcheck_function(relu_at_zero, shift, &x, 1, NULL, &report));
        cr_expect_gt(report.kinks + report.mismatched, 2, "at %d/20 of the step: %s", k, report.text);
    }
}

static int steep(hz_tape *t, const hz_var *x, int n, hz_var *y, void *ctx) {
    (void)t, (void)n, (void)ctx;
    y[0] = hz_exp(hz_scale(x[0], 6));
    return 1;
}

Test(gradcheck, strong_curvature_is_not_taken_for_a_kink) {
    cr_assert(check(steep, &(hz_gradcheck_opts){.order = 2, .rtol = 1e-4}), "%s", report.text);
    cr_assert_eq(report.kinks, 0);
}

static hz_var wrong_sign(const hz_node *n, int i, hz_var dy) {
    return hz_neg(n->op->vjp(n, i, dy));
}

Test(gradcheck, the_report_names_input_element_and_both_values) {
    hz_gradcheck_opts opts = {.rules =
                                  HZ_RULES({.op = &hz_op_mul, .vjp = wrong_sign, .true_gradient = true})};
    hz_tensor x[2] = {hz_tensor_of(data, HZ_F64, HZ_DIMS(3)), hz_tensor_of(data, HZ_F64, HZ_DIMS(3))};
    hz_sample sample = hz_op_mul.samples[0];
    (void)x;
    cr_assert_not(hz_gradcheck_sample(&sample, &opts, &report));
    cr_assert_float_eq(report.analytic, -report.numeric, 1e-6);
    cr_assert_gt(fabs(report.analytic), 0.01);
    cr_assert(strstr(report.text, "input") && strstr(report.text, "element"), "%s", report.text);
}

Test(gradcheck, a_rule_that_is_no_true_gradient_is_refused) {
    hz_gradcheck_opts opts = {.rules = hz_rules_named("guided")};
    cr_assert_not(hz_gradcheck(&hz_op_relu, &opts, &report));
    cr_assert(strstr(report.text, "guided"), "%s", report.text);
}

static hz_var no_forward(hz_tape *t, const hz_var *x) {
    (void)x;
    return hz_tape_fail(t, HZ_EINVAL, "deliberate");
}

Test(gradcheck, a_failing_forward_fails_with_its_text) {
    hz_sample sample = {"broken", 1, {{.rank = 1, .dim = {2}}}, no_forward, false};
    cr_assert_not(hz_gradcheck_sample(&sample, NULL, &report));
    cr_assert(strstr(report.text, "deliberate"), "%s", report.text);
}

Test(gradcheck, an_op_without_samples_fails) {
    hz_op op = hz_op_mul;
    op.n_samples = 0;
    cr_assert_not(hz_gradcheck(&op, NULL, &report));
}

Test(gradcheck, a_wrong_second_derivative_is_caught_at_order_two) {
    /* dx = dy·x is right for x²/2 at first order when x is detached, and wrong at second. */
    hz_tensor x = hz_tensor_of(data, HZ_F64, HZ_DIMS(3));
    hz_gradcheck_opts opts = {.order = 1};
    extern int half_square(hz_tape *, const hz_var *, int, hz_var *, void *);
    cr_assert(hz_gradcheck_function(half_square, NULL, &x, 1, &opts, &report), "%s", report.text);
    opts.order = 2;
    cr_assert_not(hz_gradcheck_function(half_square, NULL, &x, 1, &opts, &report));
    cr_assert_eq(report.order, 2);
}

static hz_var frozen_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_mul(dy, hz_detach(n->in[0]));
}

static bool half_square_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)ex, (void)err;
    for (int64_t e = 0; e < hz_numel(&n->value); e++) {
        double x = hz_get_flat(hz_in(n, 0), e);
        hz_set_flat(&n->value, e, x * x / 2);
    }
    return true;
}

static const hz_op op_half_square = {.name = "half_square",
                                     .n_in = 1,
                                     .shape = hz_shape_float,
                                     .forward = half_square_forward,
                                     .vjp = frozen_vjp};

int half_square(hz_tape *t, const hz_var *x, int n, hz_var *y, void *ctx);
int half_square(hz_tape *t, const hz_var *x, int n, hz_var *y, void *ctx) {
    (void)t, (void)n, (void)ctx;
    y[0] = hz_apply1(&op_half_square, x[0], NULL);
    return 1;
}

Test(gradcheck, sample_values_do_not_depend_on_layout_and_keep_off_kinks) {
    hz_sample_input in = {
        .rank = 2, .dim = {3, 5}, .lo = -1, .hi = 1, .kink = {0, 0.5}, .n_kinks = 2, .margin = 0.1};
    hz_tensor a, b;
    void *base_a, *base_b;
    for (int layout = 0; layout < HZ_LAYOUTS; layout++) {
        cr_assert(hz_sample_draw(&in, HZ_F64, HZ_LAYOUT_CONTIGUOUS, 4, &a, &base_a, NULL));
        cr_assert(hz_sample_draw(&in, HZ_F64, (hz_layout)layout, 4, &b, &base_b, NULL));
        for (int64_t e = 0; e < 15; e++) {
            double v = hz_get_flat(&b, e);
            cr_assert_eq(v, hz_get_flat(&a, e));
            cr_assert_geq(fabs(v), 0.1 - 1e-12);
            cr_assert_geq(fabs(v - 0.5), 0.1 - 1e-12);
        }
        free(base_a);
        free(base_b);
    }
}

Test(gradcheck, distinct_samples_are_distinct_or_refused) {
    hz_sample_input in = {.rank = 1, .dim = {20}, .lo = -2, .hi = 2, .distinct = true};
    hz_tensor a;
    void *base;
    cr_assert(hz_sample_draw(&in, HZ_F64, HZ_LAYOUT_REVERSED, 4, &a, &base, NULL));
    for (int64_t e = 0; e < 20; e++)
        for (int64_t f = 0; f < e; f++) cr_assert_geq(fabs(hz_get_flat(&a, e) - hz_get_flat(&a, f)), 0.05);
    free(base);
    in.dim[0] = 200;
    cr_assert_not(hz_sample_draw(&in, HZ_F64, HZ_LAYOUT_CONTIGUOUS, 4, &a, &base, NULL));
}
