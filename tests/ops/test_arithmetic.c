/* test_arithmetic.c: add, sub, mul, div, pow, maximum, minimum, affine, pow_scalar.
 *
 * SPDX-License-Identifier: MIT */
#include "values.h"

static const hz_dtype floats[] = {HZ_F32, HZ_F64};

/* ---- values ---- */

Test(arithmetic, combines_element_by_element) {
    for (int k = 0; k < 2; k++) {
        hz_tape *t = hz_tape_new(NULL);
        hz_var x = given(t, floats[k], HZ_DIMS(3), (double[]){1, -2, 3});
        hz_var y = given(t, floats[k], HZ_DIMS(3), (double[]){4, 5, -6});
        expect_values(hz_add(x, y), HZ_DIMS(3), (double[]){5, 3, -3}, 0);
        expect_values(hz_sub(x, y), HZ_DIMS(3), (double[]){-3, -7, 9}, 0);
        expect_values(hz_mul(x, y), HZ_DIMS(3), (double[]){4, -10, -18}, 0);
        expect_values(hz_div(x, y), HZ_DIMS(3), (double[]){0.25, -0.4, -0.5}, 1e-7);
        expect_values(hz_maximum(x, y), HZ_DIMS(3), (double[]){4, 5, 3}, 0);
        expect_values(hz_minimum(x, y), HZ_DIMS(3), (double[]){1, -2, -6}, 0);
        hz_tape_free(t);
    }
}

Test(arithmetic, broadcasts_as_numpy_does) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var column = given(t, HZ_F64, HZ_DIMS(2, 1), (double[]){10, 20});
    hz_var row = given(t, HZ_F64, HZ_DIMS(3), (double[]){1, 2, 3});
    hz_var number = hz_scalar(t, HZ_F64, 100);
    expect_values(hz_add(column, row), HZ_DIMS(2, 3), (double[]){11, 12, 13, 21, 22, 23}, 0);
    expect_values(hz_sub(row, column), HZ_DIMS(2, 3), (double[]){-9, -8, -7, -19, -18, -17}, 0);
    expect_values(hz_div(number, column), HZ_DIMS(2, 1), (double[]){10, 5}, 0);
    hz_tape_free(t);
}

Test(arithmetic, broadcasts_over_nothing) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var nothing = hz_full(t, HZ_F32, HZ_DIMS(0, 3), 0), row = hz_full(t, HZ_F32, HZ_DIMS(3), 1);
    expect_values(hz_mul(nothing, row), HZ_DIMS(0, 3), NULL, 0);
    expect_values(gradient(hz_mul(nothing, row), row), HZ_DIMS(3), (double[]){0, 0, 0}, 0);
    hz_tape_free(t);
}

Test(arithmetic, pow_has_the_values_of_c) {
    hz_tape *t = hz_tape_new(NULL);
    static const double base[] = {2, 0.5, 0, 0, -2, -2, 1, 4}, exponent[] = {10, -2, 0, 3, 3, 0.5, 1e9, 0.5};
    double want[8];
    for (int k = 0; k < 8; k++) want[k] = pow(base[k], exponent[k]);
    hz_var x = given(t, HZ_F64, HZ_DIMS(8), base), y = given(t, HZ_F64, HZ_DIMS(8), exponent);
    expect_values(hz_pow(x, y), HZ_DIMS(8), want, 1e-14);
    hz_tape_free(t);
}

Test(arithmetic, maximum_and_minimum_pass_nan_on) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(2), (double[]){NAN, 1}),
           y = given(t, HZ_F32, HZ_DIMS(2), (double[]){1, NAN});
    expect_values(hz_maximum(x, y), HZ_DIMS(2), (double[]){NAN, NAN}, 0);
    expect_values(hz_minimum(x, y), HZ_DIMS(2), (double[]){NAN, NAN}, 0);
    hz_tape_free(t);
}

Test(arithmetic, affine_and_its_short_forms) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2), (double[]){1, -4});
    expect_values(hz_affine(x, 3, -1), HZ_DIMS(2), (double[]){2, -13}, 0);
    expect_values(hz_scale(x, 0.5), HZ_DIMS(2), (double[]){0.5, -2}, 0);
    expect_values(hz_add_scalar(x, 0.5), HZ_DIMS(2), (double[]){1.5, -3.5}, 0);
    expect_values(hz_neg(x), HZ_DIMS(2), (double[]){-1, 4}, 0);
    expect_values(gradient(hz_affine(x, 3, -1), x), HZ_DIMS(2), (double[]){3, 3}, 0);
    hz_tape_free(t);
}

/* ---- gradients where finite differences cannot look ---- */

Test(arithmetic, gradient_is_summed_over_what_was_broadcast) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var column = given(t, HZ_F64, HZ_DIMS(2, 1), (double[]){10, 20});
    hz_var row = given(t, HZ_F64, HZ_DIMS(3), (double[]){1, 2, 3});
    expect_values(gradient(hz_add(column, row), column), HZ_DIMS(2, 1), (double[]){3, 3}, 0);
    expect_values(gradient(hz_sub(column, row), row), HZ_DIMS(3), (double[]){-2, -2, -2}, 0);
    expect_values(gradient(hz_mul(column, row), row), HZ_DIMS(3), (double[]){30, 30, 30}, 0);
    hz_tape_free(t);
}

Test(maximum, gradient_of_a_tie_goes_to_the_first_argument) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(3), (double[]){1, 2, 3}),
           y = given(t, HZ_F64, HZ_DIMS(3), (double[]){2, 2, 2});
    expect_values(gradient(hz_maximum(x, y), x), HZ_DIMS(3), (double[]){0, 1, 1}, 0);
    expect_values(gradient(hz_maximum(x, y), y), HZ_DIMS(3), (double[]){1, 0, 0}, 0);
    expect_values(gradient(hz_minimum(x, y), x), HZ_DIMS(3), (double[]){1, 1, 0}, 0);
    expect_values(gradient(hz_minimum(x, y), y), HZ_DIMS(3), (double[]){0, 0, 1}, 0);
    hz_tape_free(t);
}

Test(maximum, of_a_variable_with_itself_has_derivative_one) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2), (double[]){-1, 2});
    expect_values(gradient(hz_maximum(x, x), x), HZ_DIMS(2), (double[]){1, 1}, 0);
    hz_tape_free(t);
}

Test(pow, gradients_at_base_zero_are_finite_where_the_limit_is) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(4), (double[]){0, 0, 0, 0});
    hz_var y = given(t, HZ_F64, HZ_DIMS(4), (double[]){0, 1, 2, 0.5});
    expect_values(gradient(hz_pow(x, y), x), HZ_DIMS(4), (double[]){0, 1, 0, INFINITY}, 0);
    expect_values(gradient(hz_pow(x, y), y), HZ_DIMS(4), (double[]){0, 0, 0, 0}, 0);
    hz_tape_free(t);
}

Test(pow, negative_base_with_whole_exponent_has_a_gradient_in_the_base) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2), (double[]){-2, -3}),
           y = given(t, HZ_F64, HZ_DIMS(2), (double[]){3, 2});
    expect_values(gradient(hz_pow(x, y), x), HZ_DIMS(2), (double[]){12, -6}, 1e-14);
    hz_tape_free(t);
}

Test(pow_scalar, derivatives_end_when_the_exponent_is_used_up) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(3), (double[]){0, -2, 3});
    hz_var d1 = gradient(hz_pow_scalar(x, 2), x), d2 = gradient(d1, x), d3 = gradient(d2, x);
    expect_values(d1, HZ_DIMS(3), (double[]){0, -4, 6}, 1e-15);
    expect_values(d2, HZ_DIMS(3), (double[]){2, 2, 2}, 1e-15);
    expect_values(d3, HZ_DIMS(3), (double[]){0, 0, 0}, 0);
    expect_values(gradient(hz_pow_scalar(x, 0), x), HZ_DIMS(3), (double[]){0, 0, 0}, 0);
    expect_values(gradient(hz_pow_scalar(x, 1), x), HZ_DIMS(3), (double[]){1, 1, 1}, 0);
    hz_tape_free(t);
}

/* ---- refusals ---- */

Test(arithmetic, refuses_shapes_that_do_not_broadcast) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(2, 3), 0), y = hz_full(t, HZ_F32, HZ_DIMS(2), 0);
    cr_expect_not(hz_ok(hz_add(x, y)));
    expect_error(t, HZ_ESHAPE, "[2,3]");
    hz_pow(x, y);
    expect_error(t, HZ_ESHAPE, "pow: ");
    hz_tape_free(t);
}

Test(arithmetic, refuses_mixed_dtypes_and_integers) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var f = hz_full(t, HZ_F32, HZ_DIMS(2), 0), d = hz_full(t, HZ_F64, HZ_DIMS(2), 0),
           i = hz_full(t, HZ_I32, HZ_DIMS(2), 0);
    hz_var (*const binary[])(hz_var, hz_var) = {hz_add, hz_sub,     hz_mul,    hz_div,
                                                hz_pow, hz_maximum, hz_minimum};
    for (int k = 0; k < 7; k++) {
        cr_expect_not(hz_ok(binary[k](f, d)));
        expect_error(t, HZ_ESHAPE, "f64");
        cr_expect_not(hz_ok(binary[k](i, i)));
        expect_error(t, HZ_ESHAPE, "i32, not f32 or f64");
    }
    hz_scale(i, 2);
    expect_error(t, HZ_ESHAPE, "affine: ");
    hz_tape_free(t);
}

Test(arithmetic, refuses_nan_parameters) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(2), 0);
    hz_affine(x, NAN, 0);
    expect_error(t, HZ_EINVAL, "affine: a is NaN");
    hz_add_scalar(x, NAN);
    expect_error(t, HZ_EINVAL, "affine: b is NaN");
    hz_pow_scalar(x, NAN);
    expect_error(t, HZ_EINVAL, "pow_scalar: exponent is NaN");
    hz_tape_free(t);
}
