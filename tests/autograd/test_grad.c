/* test_grad.c: what hz_grad promises: any target, any cotangent, repeatable, differentiable, nothing left behind.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <criterion/criterion.h>

#include "ops/ops.h"

static hz_tape *t;

static void set_up(void) {
    t = hz_tape_new(NULL);
}
static void tear_down(void) {
    hz_tape_free(t);
}
TestSuite(grad, .init = set_up, .fini = tear_down);

static double one_two_three[3] = {1, 2, 3}, fours[3] = {4, 5, 6};

static hz_var vector(double *p) {
    hz_tensor x = hz_tensor_of(p, HZ_F64, HZ_DIMS(3));
    return hz_input(t, &x);
}

static void expect_values(hz_var x, double a, double b, double c) {
    hz_error err = {.code = HZ_OK};
    cr_assert(hz_ok(x) && hz_tape_ok(t, &err), "%s", err.text);
    cr_expect_float_eq(hz_get_flat(hz_value(x), 0), a, 1e-12);
    cr_expect_float_eq(hz_get_flat(hz_value(x), 1), b, 1e-12);
    cr_expect_float_eq(hz_get_flat(hz_value(x), 2), c, 1e-12);
}

static hz_var total(hz_var x) {
    return hz_sum(x, HZ_ALL_AXES, false);
}

static const char *error_text(void) {
    static hz_error err;
    err = (hz_error){.code = HZ_OK};
    hz_tape_ok(t, &err);
    return err.text;
}

Test(grad, of_a_product) {
    hz_var x = vector(one_two_three), y = vector(fours);
    expect_values(hz_grad1(total(hz_mul(x, y)), x, NULL), 4, 5, 6);
}

Test(grad, sums_over_all_paths) {
    hz_var x = vector(one_two_three);
    expect_values(hz_grad1(total(hz_mul(x, hz_mul(x, x))), x, NULL), 3, 12, 27);
}

Test(grad, of_a_variable_with_respect_to_itself_is_one) {
    hz_var x = hz_scalar(t, HZ_F64, 3);
    cr_assert_eq(hz_item(hz_grad1(x, x, NULL)), 1);
}

Test(grad, with_respect_to_an_activation_and_the_input_at_once) {
    hz_var x = vector(one_two_three), h = hz_mul(x, x), y = total(hz_mul(h, h)), targets[2] = {h, x}, dx[2];
    cr_assert(hz_grad(&y, 1, targets, 2, NULL, dx));
    expect_values(dx[0], 2, 8, 18);   /* 2h */
    expect_values(dx[1], 4, 32, 108); /* 4x³ */
}

Test(grad, the_same_target_may_be_asked_for_twice) {
    hz_var x = vector(one_two_three), y = total(hz_mul(x, x)), targets[2] = {x, x}, dx[2];
    cr_assert(hz_grad(&y, 1, targets, 2, NULL, dx));
    expect_values(dx[0], 2, 4, 6);
    expect_values(dx[1], 2, 4, 6);
}

Test(grad, takes_cotangents_of_several_outputs) {
    hz_var x = vector(one_two_three), y[2] = {hz_mul(x, x), hz_scale(x, 10)};
    hz_var dy[2] = {vector(fours), vector(one_two_three)}, dx;
    cr_assert(hz_grad(y, 2, &x, 1, &(hz_grad_opts){.dy = dy}, &dx));
    expect_values(dx, 8 + 10, 20 + 20, 36 + 30);
}

Test(grad, repeated_calls_do_not_accumulate) {
    hz_var x = vector(one_two_three), y = total(hz_mul(x, x));
    for (int k = 0; k < 3; k++) expect_values(hz_grad1(y, x, NULL), 2, 4, 6);
}

Test(grad, a_lean_sweep_leaves_only_its_result_on_the_tape) {
    hz_var x = vector(one_two_three), y = total(hz_mul(hz_mul(x, x), hz_relu(x)));
    uint32_t before = hz_tape_size(t);
    size_t used = hz_pool_get_stats(hz_tape_pool(t)).used;
    hz_grad1(y, x, NULL);
    cr_assert_eq(hz_tape_size(t), before + 1);
    cr_assert_leq(hz_pool_get_stats(hz_tape_pool(t)).used - used, 128);
}

Test(grad, cotangents_are_released_at_their_last_use) {
    enum { N = 1 << 16, DEEP = 50 };
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(N), 0.5), y = x;
    for (int k = 0; k < DEEP; k++) y = hz_tanh(y);
    y = total(y);
    size_t before = hz_pool_get_stats(hz_tape_pool(t)).used;
    cr_assert(hz_ok(hz_grad1(y, x, NULL)));
    size_t peak = hz_pool_get_stats(hz_tape_pool(t)).peak;
    cr_assert_leq(peak - before, 3 * (size_t)N * sizeof(float) * 9 / 8, "peak grew by %zu", peak - before);
}

/* A weight used by every step of a recurrence: the number of paths must show neither in time nor in memory. */
Test(grad, many_paths_to_one_variable_are_added_up_by_and_by) {
    enum { N = 1 << 14, STEPS = 2000 };
    hz_var w = hz_full(t, HZ_F32, HZ_DIMS(N), 1e-3), sum = hz_scalar(t, HZ_F32, 0);
    for (int k = 0; k < STEPS; k++) sum = hz_add(sum, hz_mean(hz_scale(w, 2), HZ_ALL_AXES, false));
    size_t before = hz_pool_get_stats(hz_tape_pool(t)).used;
    hz_var dw = hz_grad1(sum, w, NULL);
    cr_assert(hz_ok(dw));
    cr_expect_float_eq(hz_get_flat(hz_value(dw), N / 2), 2.0 * STEPS / N, 1e-6);
    size_t peak = hz_pool_get_stats(hz_tape_pool(t)).peak;
    cr_expect_leq(peak - before, 24 * (size_t)N * sizeof(float), "peak grew by %zu", peak - before);
}

Test(grad, without_outputs_or_targets_there_is_nothing_to_do) {
    hz_var x = vector(one_two_three), dx;
    cr_expect_not(hz_grad(NULL, 0, &x, 1, NULL, &dx));
    cr_expect_not(hz_tape_ok(t, NULL));
}

Test(grad, an_unreachable_target_is_an_error_that_names_it) {
    hz_var x = hz_name(vector(one_two_three), "pixels"), y = total(vector(fours));
    cr_assert_not(hz_ok(hz_grad1(y, x, NULL)));
    cr_assert(strstr(error_text(), "pixels") && strstr(error_text(), "no path"), "%s", error_text());
}

Test(grad, an_unreachable_target_is_none_or_zero_on_request) {
    hz_var x = vector(one_two_three), z = vector(fours), y = total(hz_mul(z, z)), targets[2] = {x, z}, dx[2];
    cr_assert(hz_grad(&y, 1, targets, 2, &(hz_grad_opts){.unreachable = HZ_UNREACHABLE_NONE}, dx));
    cr_assert_not(hz_ok(dx[0]));
    expect_values(dx[1], 8, 10, 12);
    cr_assert(hz_grad(&y, 1, targets, 2, &(hz_grad_opts){.unreachable = HZ_UNREACHABLE_ZERO}, dx));
    expect_values(dx[0], 0, 0, 0);
}

Test(grad, detach_cuts_the_path) {
    hz_var x = vector(one_two_three);
    expect_values(hz_grad1(total(hz_mul(x, hz_detach(x))), x, NULL), 1, 2, 3);
    cr_assert_not(hz_ok(hz_grad1(total(hz_detach(x)), x, NULL)));
}

Test(grad, of_many_elements_needs_a_cotangent) {
    hz_var x = vector(one_two_three);
    cr_assert_not(hz_ok(hz_grad1(hz_mul(x, x), x, NULL)));
    cr_assert(strstr(error_text(), "[3]"), "%s", error_text());
}

Test(grad, cotangents_of_another_shape_or_dtype_are_refused) {
    hz_var x = vector(one_two_three), y = hz_mul(x, x), dx, dy = hz_scalar(t, HZ_F64, 1);
    cr_assert_not(hz_grad(&y, 1, &x, 1, &(hz_grad_opts){.dy = &dy}, &dx));
    hz_tape_clear_error(t);
    dy = hz_full(t, HZ_F32, HZ_DIMS(3), 1);
    cr_assert_not(hz_grad(&y, 1, &x, 1, &(hz_grad_opts){.dy = &dy}, &dx));
}

Test(grad, integers_carry_no_gradient_and_say_so) {
    hz_var k = hz_full(t, HZ_I64, HZ_DIMS(3), 1);
    cr_assert_not(hz_ok(hz_grad1(hz_scalar(t, HZ_F64, 1), k, NULL)));
    cr_assert(strstr(error_text(), "i64"), "%s", error_text());
}

Test(grad, differentiable_results_can_be_differentiated_to_any_order) {
    hz_var x = vector(one_two_three), y = total(hz_mul(hz_mul(x, x), hz_mul(x, x))), dx;
    hz_grad_opts opts = {.differentiable = true};
    static const double want[4][3] = {{4, 32, 108}, {12, 48, 108}, {24, 48, 72}, {24, 24, 24}};
    for (int order = 0; order < 4; order++) {
        cr_assert(hz_grad(&y, 1, &x, 1, &opts, &dx));
        expect_values(dx, want[order][0], want[order][1], want[order][2]);
        y = total(dx);
    }
}

Test(grad, a_failing_forward_leaves_gradients_inert) {
    hz_var x = vector(one_two_three), bad = hz_reshape(x, HZ_DIMS(2, 2)), dx = x;
    cr_assert_not(hz_grad(&bad, 1, &x, 1, NULL, &dx));
    cr_assert_not(hz_ok(dx));
}

static hz_var wrong_shape(const hz_node *n, int i, hz_var dy) {
    (void)i, (void)dy;
    return hz_scalar(n->tape, HZ_F64, 1);
}

Test(grad, a_vjp_of_the_wrong_shape_is_named) {
    hz_var x = vector(one_two_three);
    cr_assert_not(hz_ok(hz_grad1(total(hz_relu(x)), x, HZ_RULES({.op = &hz_op_relu, .vjp = wrong_shape}))));
    cr_assert(strstr(error_text(), "relu") && strstr(error_text(), "[3]"), "%s", error_text());
}

Test(grad, a_nan_on_the_way_back_is_named_when_asked_for) {
    double zero[3] = {0, 1, 4};
    hz_var x = vector(zero), y = total(hz_name(hz_sqrt(x), "root")), dx;
    cr_assert(hz_grad(&y, 1, &x, 1, NULL, &dx));
    cr_assert_not(hz_grad(&y, 1, &x, 1, &(hz_grad_opts){.check_finite = true}, &dx));
    cr_assert(strstr(error_text(), "root"), "%s", error_text());
}

Test(grad, hundred_thousand_nodes_do_not_overflow_the_stack) {
    hz_var x = hz_scalar(t, HZ_F64, 1), y = x;
    for (int k = 0; k < 100000; k++) y = hz_affine(y, 1, 1);
    cr_assert_eq(hz_item(hz_grad1(y, x, NULL)), 1);
}

/* ---- jacobians and hessians ---- */

Test(grad, jacobian_of_a_square) {
    hz_var x = vector(one_two_three), j = hz_jacobian(hz_mul(x, x), x, NULL);
    cr_assert(hz_ok(j), "%s", error_text());
    for (int k = 0; k < 9; k++)
        cr_expect_float_eq(hz_get_flat(hz_value(j), k), k % 4 == 0 ? 2.0 * (1 + k / 4) : 0.0, 1e-12);
}

Test(grad, hessian_vector_product_of_a_cubic) {
    hz_var x = vector(one_two_three), y = total(hz_mul(hz_mul(x, x), x));
    expect_values(hz_hvp(y, x, vector(fours)), 24, 60, 108); /* 6·x·v */
}

Test(grad, hessian_vector_product_of_a_linear_function_is_zero) {
    hz_var x = vector(one_two_three);
    expect_values(hz_hvp(total(hz_scale(x, 2)), x, vector(fours)), 0, 0, 0);
}

/* A two-layer network's Hessian-vector product against differences of its gradient. */
Test(grad, hessian_vector_product_of_a_network_matches_differences) {
    double w1[6] = {.3, -.2, .5, .7, -.4, .1}, w2[2] = {1.5, -.8}, x0[3] = {.2, -.6, .9}, v0[3] = {1, -2, .5};
    hz_tensor tw1 = hz_tensor_of(w1, HZ_F64, HZ_DIMS(2, 3)), tw2 = hz_tensor_of(w2, HZ_F64, HZ_DIMS(1, 2));
    double g[2][3], hv[3], h = 1e-5;
    for (int k = 0; k < 3; k++) {
        double at[3];
        for (int j = 0; j < 3; j++) at[j] = x0[j] + (k == 1 ? h : k == 2 ? -h : 0) * v0[j];
        hz_tape_reset(t);
        hz_var x = vector(at);
        hz_var y = total(
            hz_linear(hz_tanh(hz_linear(x, hz_input(t, &tw1), hz_none(t))), hz_input(t, &tw2), hz_none(t)));
        hz_var r = k == 0 ? hz_hvp(y, x, vector(v0)) : hz_grad1(y, x, NULL);
        cr_assert(hz_ok(r), "%s", error_text());
        for (int j = 0; j < 3; j++) (k == 0 ? hv : g[k - 1])[j] = hz_get_flat(hz_value(r), j);
    }
    for (int j = 0; j < 3; j++) cr_expect_float_eq(hv[j], (g[0][j] - g[1][j]) / (2 * h), 1e-8);
}

/* ---- being told of results on the way ---- */

typedef struct told {
    int order[4], n;
    double first[4]; /* elements */
    int64_t numel[4];
} told;

static void note(int k, const hz_tensor *dx, void *ctx) {
    told *to = ctx;
    to->first[to->n] = hz_get_flat(dx, 0);
    to->numel[to->n] = hz_numel(dx);
    to->order[to->n++] = k;
}

/* y = Σ x·w·v: the later an input comes, the earlier its gradient is complete. */
static void check_told(bool differentiable) {
    told to = {.n = 0};
    hz_var w = vector(fours), x = vector(one_two_three), dx[4];
    hz_var z = hz_mul(x, w), v = vector(fours), y = total(hz_mul(z, v)), lone = vector(fours);
    const hz_grad_opts opts = {.ready = note,
                               .ready_ctx = &to,
                               .differentiable = differentiable,
                               .unreachable = HZ_UNREACHABLE_NONE};
    cr_assert(hz_grad(&y, 1, (hz_var[]){w, v, lone, w}, 4, &opts, dx));
    cr_assert_eq(to.n, 3);
    cr_expect(to.order[0] == 1 && to.first[0] == 4 && to.numel[0] == 3); /* ∂y/∂v = x·w */
    cr_expect(to.order[1] == 0 && to.first[1] == 4 && to.order[2] == 3); /* ∂y/∂w = x·v */
    expect_values(dx[0], 4, 10, 18);
}

Test(grad, results_are_told_as_soon_as_they_are_complete) {
    check_told(false);
    check_told(true);
}

Test(grad, results_are_told_whole) {
    told to = {.n = 0};
    hz_var x = vector(one_two_three), dx;
    hz_var y = hz_slice(hz_mul(x, x), 0, 1, 1, 1);
    cr_assert(hz_grad(&y, 1, &x, 1, &(hz_grad_opts){.ready = note, .ready_ctx = &to}, &dx));
    cr_expect(to.n == 1 && to.numel[0] == 3 && to.first[0] == 0);
    expect_values(dx, 0, 4, 0);
}

Test(grad, results_are_not_told_in_part) {
    told to = {.n = 0};
    hz_box box;
    hz_var x = vector(one_two_three), y = total(x), dx;
    cr_expect_not(hz_grad(
        &y, 1, &x, 1, &(hz_grad_opts){.ready = note, .ready_ctx = &to, .support = &box, .support_only = true},
        &dx));
    cr_expect(strstr(error_text(), "no ready"));
}
