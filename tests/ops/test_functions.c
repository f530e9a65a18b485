/* test_functions.c: elementwise functions of one argument: values and derivatives against the C library, special values,
 * and what happens at kinks and far out.
 *
 * SPDX-License-Identifier: MIT */
#include "values.h"

typedef hz_var unary(hz_var x);

/* ---- against double ---- */

static double square(double x) {
    return x * x;
}
static double twice(double x) {
    return 2 * x;
}
static double half_over_root(double x) {
    return 0.5 / sqrt(x);
}
static double inverse_root(double x) {
    return 1 / sqrt(x);
}
static double inverse_root_slope(double x) {
    return -0.5 / (x * sqrt(x));
}
static double inverse(double x) {
    return 1 / x;
}
static double inverse_slope(double x) {
    return -1 / (x * x);
}
static double log1p_slope(double x) {
    return 1 / (1 + x);
}
static double minus_sin(double x) {
    return -sin(x);
}
static double tanh_slope(double x) {
    return 1 / (cosh(x) * cosh(x));
}
static double erf_slope(double x) {
    return 2 / sqrt(acos(-1)) * exp(-x * x);
}
static double sign_of(double x) {
    return (x > 0) - (x < 0);
}

static const struct function {
    const char *name;
    unary *f;
    double (*value)(double), (*slope)(double);
    double lo, hi;
} functions[] = {
    {"abs", hz_abs, fabs, sign_of, -5, 5},
    {"square", hz_square, square, twice, -5, 5},
    {"sqrt", hz_sqrt, sqrt, half_over_root, 0.01, 9},
    {"rsqrt", hz_rsqrt, inverse_root, inverse_root_slope, 0.1, 9},
    {"reciprocal", hz_reciprocal, inverse, inverse_slope, 0.2, 9},
    {"exp", hz_exp, exp, exp, -20, 20},
    {"expm1", hz_expm1, expm1, exp, -20, 20},
    {"log", hz_log, log, inverse, 0.01, 100},
    {"log1p", hz_log1p, log1p, log1p_slope, -0.9, 100},
    {"sin", hz_sin, sin, cos, -50, 50},
    {"cos", hz_cos, cos, minus_sin, -50, 50},
    {"tanh", hz_tanh, tanh, tanh_slope, -4, 4},
    {"erf", hz_erf, erf, erf_slope, -4, 4},
};

enum { POINTS = 101 };

static void check_function(const struct function *f, hz_dtype dtype, double tol) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, dtype, HZ_DIMS(POINTS), 0);
    double value[POINTS], slope[POINTS];
    for (int k = 0; k < POINTS; k++) {
        hz_set_flat(hz_value(x), k, f->lo + (f->hi - f->lo) * k / (POINTS - 1));
        double at = hz_get_flat(hz_value(x), k); /* rounded to dtype */
        value[k] = f->value(at);
        slope[k] = f->slope(at);
    }
    hz_var y = f->f(x);
    expect_values(y, HZ_DIMS(POINTS), value, tol);
    expect_values(gradient(y, x), HZ_DIMS(POINTS), slope, 20 * tol);
    hz_tape_free(t);
}

Test(functions, agree_with_the_c_library_in_f64) {
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
        check_function(&functions[k], HZ_F64, 4e-15);
}

Test(functions, agree_with_the_c_library_in_f32) {
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
        check_function(&functions[k], HZ_F32, 1e-6);
}

/* ---- piecewise constant ones ---- */

Test(functions, rounding_goes_down_up_and_to_even) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(6), (double[]){-1.5, -0.5, 0.5, 1.5, 2.5, -0.2});
    expect_values(hz_floor(x), HZ_DIMS(6), (double[]){-2, -1, 0, 1, 2, -1}, 0);
    expect_values(hz_ceil(x), HZ_DIMS(6), (double[]){-1, 0, 1, 2, 3, 0}, 0);
    expect_values(hz_round(x), HZ_DIMS(6), (double[]){-2, 0, 0, 2, 2, 0}, 0);
    hz_tape_free(t);
}

Test(functions, sign_and_step_at_zero_and_nan) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(5), (double[]){-3, 0, 4, INFINITY, NAN});
    expect_values(hz_sign(x), HZ_DIMS(5), (double[]){-1, 0, 1, 1, NAN}, 0);
    expect_values(hz_step(x), HZ_DIMS(5), (double[]){0, 0, 1, 1, 0}, 0);
    hz_tape_free(t);
}

Test(functions, piecewise_constant_ones_have_a_gradient_and_it_is_zero) {
    unary *const flat[] = {hz_sign, hz_step, hz_floor, hz_ceil, hz_round};
    for (int k = 0; k < 5; k++) {
        hz_tape *t = hz_tape_new(NULL);
        hz_var x = given(t, HZ_F64, HZ_DIMS(2), (double[]){-0.3, 0.7});
        expect_values(gradient(flat[k](x), x), HZ_DIMS(2), (double[]){0, 0}, 0);
        hz_tape_free(t);
    }
}

/* ---- kinks, borders, far out ---- */

Test(abs, derivative_is_zero_at_zero) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(3), (double[]){-2, 0, 2});
    expect_values(gradient(hz_abs(x), x), HZ_DIMS(3), (double[]){-1, 0, 1}, 0);
    hz_tape_free(t);
}

Test(functions, outside_their_domain_they_are_nan_or_infinite) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2), (double[]){-1, 0});
    expect_values(hz_log(x), HZ_DIMS(2), (double[]){NAN, -INFINITY}, 0);
    expect_values(hz_sqrt(x), HZ_DIMS(2), (double[]){NAN, 0}, 0);
    expect_values(hz_rsqrt(x), HZ_DIMS(2), (double[]){NAN, INFINITY}, 0);
    expect_values(hz_reciprocal(x), HZ_DIMS(2), (double[]){-1, INFINITY}, 0);
    expect_values(hz_log1p(x), HZ_DIMS(2), (double[]){-INFINITY, 0}, 0);
    hz_tape_free(t);
}

Test(functions, nan_stays_nan) {
    unary *const every[] = {hz_abs, hz_floor, hz_ceil, hz_round, hz_square, hz_sqrt, hz_rsqrt, hz_reciprocal,
                            hz_exp, hz_expm1, hz_log,  hz_log1p, hz_sin,    hz_cos,  hz_tanh,  hz_erf};
    for (size_t k = 0; k < sizeof every / sizeof *every; k++)
        for (int d = 0; d < 2; d++) {
            hz_tape *t = hz_tape_new(NULL);
            hz_var y = every[k](hz_scalar(t, d ? HZ_F64 : HZ_F32, NAN));
            cr_expect(isnan(hz_item(y)), "%s", hz_node_of(y)->op->name);
            hz_tape_free(t);
        }
}

Test(functions, infinities_give_the_limits) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(2), (double[]){-INFINITY, INFINITY});
    expect_values(hz_exp(x), HZ_DIMS(2), (double[]){0, INFINITY}, 0);
    expect_values(hz_expm1(x), HZ_DIMS(2), (double[]){-1, INFINITY}, 0);
    expect_values(hz_tanh(x), HZ_DIMS(2), (double[]){-1, 1}, 0);
    expect_values(hz_erf(x), HZ_DIMS(2), (double[]){-1, 1}, 0);
    hz_tape_free(t);
}

Test(functions, log1p_and_expm1_keep_small_arguments) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_scalar(t, HZ_F64, 1e-20);
    cr_expect_eq(hz_item(hz_log1p(x)), 1e-20);
    cr_expect_eq(hz_item(hz_expm1(x)), 1e-20);
    hz_tape_free(t);
}

Test(expm1, gradient_does_not_vanish_before_its_time) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_scalar(t, HZ_F64, -50);
    double slope = hz_item(gradient(hz_expm1(x), x));
    cr_expect(fabs(slope / exp(-50) - 1) < 1e-14, "%g", slope);
    hz_tape_free(t);
}

Test(functions, refuse_integers) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_I64, HZ_DIMS(2), 1);
    cr_expect_not(hz_ok(hz_exp(x)));
    expect_error(t, HZ_ESHAPE, "exp: input [2] is i64, not f32 or f64");
    hz_abs(x);
    expect_error(t, HZ_ESHAPE, "abs: ");
    hz_tape_free(t);
}
