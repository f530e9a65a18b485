/* test_activations.c: activations and their adjoints: values and derivatives against plain double formulas, kinks,
 * inputs far out, second derivatives, parameters.
 *
 * SPDX-License-Identifier: MIT */
#include "values.h"

/* ---- the formulas ---- */

static double logistic(double x) {
    return 1 / (1 + exp(-x));
}
static double normal_cdf(double x) {
    return 0.5 * erfc(-x / sqrt(2));
}
static double normal_density(double x) {
    return exp(-0.5 * x * x) / sqrt(2 * acos(-1));
}

static double relu(double x) {
    return x > 0 ? x : 0;
}
static double relu_slope(double x) {
    return x > 0;
}
static double relu6(double x) {
    return x < 0 ? 0 : x > 6 ? 6 : x;
}
static double relu6_slope(double x) {
    return x > 0 && x < 6;
}
static double clip(double x) {
    return x < -1 ? -1 : x > 2.5 ? 2.5 : x;
}
static double clip_slope(double x) {
    return x > -1 && x < 2.5;
}
static double leaky(double x) {
    return x > 0 ? x : 0.1 * x;
}
static double leaky_slope(double x) {
    return x > 0 ? 1 : 0.1;
}
static double elu(double x) {
    return x > 0 ? x : 1.5 * expm1(x);
}
static double elu_slope(double x) {
    return x > 0 ? 1 : 1.5 * exp(x);
}
static double logistic_slope(double x) {
    return logistic(x) * logistic(-x);
}
static double softplus2(double x) {
    return log1p(exp(-fabs(2 * x))) / 2 + relu(x);
}
static double softplus2_slope(double x) {
    return logistic(2 * x);
}
static double silu(double x) {
    return x * logistic(x);
}
static double silu_slope(double x) {
    return logistic(x) * (1 + x * logistic(-x));
}
static double gelu(double x) {
    return x * normal_cdf(x);
}
static double gelu_slope(double x) {
    return normal_cdf(x) + x * normal_density(x);
}
static double gelu_tanh(double x) {
    return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}
static double gelu_tanh_slope(double x) {
    double a = sqrt(2 / acos(-1)), u = a * (x + 0.044715 * x * x * x), u1 = a * (1 + 3 * 0.044715 * x * x);
    return (1 + tanh(u)) / 2 + x / 2 * u1 / (cosh(u) * cosh(u));
}
static double hard_sigmoid(double x) {
    return x <= -3 ? 0 : x >= 3 ? 1 : x / 6 + 0.5;
}
static double hard_sigmoid_slope(double x) {
    return x > -3 && x < 3 ? 1.0 / 6 : 0;
}
static double hard_swish(double x) {
    return x * hard_sigmoid(x);
}
static double hard_swish_slope(double x) {
    return hard_sigmoid(x) + x * hard_sigmoid_slope(x);
}
static double hard_tanh(double x) {
    return x < -1 ? -1 : x > 1 ? 1 : x;
}
static double hard_tanh_slope(double x) {
    return x > -1 && x < 1;
}

/* ---- the ops with their parameters ---- */

static hz_var call_clip(hz_var x) {
    return hz_clip(x, -1, 2.5);
}
static hz_var call_leaky(hz_var x) {
    return hz_leaky_relu(x, 0.1);
}
static hz_var call_elu(hz_var x) {
    return hz_elu(x, 1.5);
}
static hz_var call_softplus2(hz_var x) {
    return hz_softplus(x, 2);
}
static hz_var call_hard_sigmoid(hz_var x) {
    return hz_hard_sigmoid(x, 1.0 / 6, 0.5);
}

static const struct activation {
    const char *name;
    hz_var (*f)(hz_var x);
    double (*value)(double), (*slope)(double);
} activations[] = {
    {"relu", hz_relu, relu, relu_slope},
    {"relu6", hz_relu6, relu6, relu6_slope},
    {"clip", call_clip, clip, clip_slope},
    {"leaky_relu", call_leaky, leaky, leaky_slope},
    {"elu", call_elu, elu, elu_slope},
    {"sigmoid", hz_sigmoid, logistic, logistic_slope},
    {"softplus", call_softplus2, softplus2, softplus2_slope},
    {"silu", hz_silu, silu, silu_slope},
    {"gelu", hz_gelu, gelu, gelu_slope},
    {"gelu_tanh", hz_gelu_tanh, gelu_tanh, gelu_tanh_slope},
    {"hard_sigmoid", call_hard_sigmoid, hard_sigmoid, hard_sigmoid_slope},
    {"hard_swish", hz_hard_swish, hard_swish, hard_swish_slope},
    {"hard_tanh", hz_hard_tanh, hard_tanh, hard_tanh_slope},
};
enum { ACTIVATIONS = sizeof activations / sizeof *activations, POINTS = 129 };

/* From −8 to 8 in steps of 1/8: every kink is among them. */
static void check_activation(const struct activation *a, hz_dtype dtype, double tol) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, dtype, HZ_DIMS(POINTS), 0);
    double value[POINTS], slope[POINTS];
    for (int k = 0; k < POINTS; k++) {
        double at = (k - 64) / 8.0;
        hz_set_flat(hz_value(x), k, at);
        value[k] = a->value(at);
        slope[k] = a->slope(at);
    }
    hz_var y = a->f(x);
    expect_values(y, HZ_DIMS(POINTS), value, tol);
    expect_values(gradient(y, x), HZ_DIMS(POINTS), slope, tol);
    hz_tape_free(t);
}

Test(activations, values_and_derivatives_are_those_of_the_formulas_in_f64) {
    for (int k = 0; k < ACTIVATIONS; k++) check_activation(&activations[k], HZ_F64, 1e-14);
}

Test(activations, values_and_derivatives_are_those_of_the_formulas_in_f32) {
    for (int k = 0; k < ACTIVATIONS; k++) check_activation(&activations[k], HZ_F32, 2e-6);
}

Test(relu, gradient_is_zero_at_zero) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(4), (double[]){-1, 0, -0.0, 1});
    expect_values(gradient(hz_relu(x), x), HZ_DIMS(4), (double[]){0, 0, 0, 1}, 0);
    hz_tape_free(t);
}

Test(clip, is_a_relu_when_open_above) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(3), (double[]){-1, 0, 1e30});
    expect_values(hz_clip(x, 0, INFINITY), HZ_DIMS(3), (double[]){0, 0, 1e30}, 1e-7);
    expect_values(gradient(hz_clip(x, 0, INFINITY), x), HZ_DIMS(3), (double[]){0, 0, 1}, 0);
    hz_tape_free(t);
}

Test(activations, nan_stays_nan) {
    for (int k = 0; k < ACTIVATIONS; k++)
        for (int d = 0; d < 2; d++) {
            hz_tape *t = hz_tape_new(NULL);
            hz_var y = activations[k].f(hz_scalar(t, d ? HZ_F64 : HZ_F32, NAN));
            cr_expect(isnan(hz_item(y)), "%s", activations[k].name);
            hz_tape_free(t);
        }
}

/* ---- far out ---- */

/* Value, first and second derivative at ±30, ±1e3, ±1e15 and near the largest number must be finite, and the first
 * derivative that of the formula. */
Test(activations, stay_finite_far_out_to_the_second_derivative) {
    static const double far[] = {30, 1e3, 1e15, 1e38};
    for (int k = 0; k < ACTIVATIONS; k++)
        for (int j = 0; j < 16; j++) {
            hz_tape *t = hz_tape_new(NULL);
            hz_var x = hz_scalar(t, j & 8 ? HZ_F64 : HZ_F32, (j & 4 ? -1 : 1) * far[j & 3]);
            hz_var y = activations[k].f(x), d1 = gradient(y, x), d2 = gradient(d1, x);
            expect_ok(t);
            cr_expect(isfinite(hz_item(y)), "%s(%g) = %g", activations[k].name, hz_item(x), hz_item(y));
            double slope = activations[k].slope(hz_item(x));
            if (isfinite(slope)) /* the plain formulas may overflow */
                cr_expect(alike(hz_item(d1), slope, 1e-6), "%s′(%g) = %g, expected %g", activations[k].name,
                          hz_item(x), hz_item(d1), slope);
            cr_expect(fabs(hz_item(d2)) < 1e-4, "%s″(%g) = %g", activations[k].name, hz_item(x), hz_item(d2));
            hz_tape_free(t);
        }
}

Test(activations, infinities_give_the_limits) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(2), (double[]){-INFINITY, INFINITY});
    static const double limits[] = {0, INFINITY};
    expect_values(hz_sigmoid(x), HZ_DIMS(2), (double[]){0, 1}, 0);
    expect_values(hz_softplus(x, 1), HZ_DIMS(2), limits, 0);
    expect_values(hz_silu(x), HZ_DIMS(2), limits, 0);
    expect_values(hz_gelu(x), HZ_DIMS(2), limits, 0);
    expect_values(hz_gelu_tanh(x), HZ_DIMS(2), limits, 0);
    expect_values(hz_hard_swish(x), HZ_DIMS(2), limits, 0);
    expect_values(hz_elu(x, 1), HZ_DIMS(2), (double[]){-1, INFINITY}, 0);
    hz_tape_free(t);
}

/* Relative accuracy where the value is tiny: naive forms give 0. */
Test(activations, keep_their_digits_in_the_left_tail) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_scalar(t, HZ_F64, -20);
    cr_expect(fabs(hz_item(hz_gelu(x)) / gelu(-20) - 1) < 1e-12);
    cr_expect(fabs(hz_item(hz_sigmoid(x)) / logistic(-20) - 1) < 1e-14);
    cr_expect(fabs(hz_item(hz_softplus(x, 1)) / log1p(exp(-20)) - 1) < 1e-14);
    hz_tape_free(t);
}

/* ---- second derivatives, which are composed of ops, against differences of the first ---- */

Test(activations, second_derivatives_match_differences_everywhere) {
    const double h = 1e-5;
    for (int k = 0; k < ACTIVATIONS; k++)
        for (double at = -11.97; at < 12; at += 0.25) { /* passes by every kink at some distance */
            hz_tape *t = hz_tape_new(NULL);
            hz_var x = hz_scalar(t, HZ_F64, at);
            double got = hz_item(gradient(gradient(activations[k].f(x), x), x));
            double want = (activations[k].slope(at + h) - activations[k].slope(at - h)) / (2 * h);
            cr_expect(fabs(got - want) < 1e-7, "%s″(%g) = %g, expected %g", activations[k].name, at, got,
                      want);
            hz_tape_free(t);
        }
}

Test(relu, second_derivative_is_zero_but_gradients_of_gradients_pass) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(3), (double[]){-1, 2, 3});
    hz_var d1 = gradient(hz_mul(x, hz_relu(x)), x); /* 2x where x > 0 */
    expect_values(d1, HZ_DIMS(3), (double[]){0, 4, 6}, 0);
    expect_values(gradient(d1, x), HZ_DIMS(3), (double[]){0, 2, 2}, 0);
    hz_tape_free(t);
}

/* ---- the adjoints by themselves ---- */

Test(adjoints, apply_the_derivative_to_a_cotangent) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(4), (double[]){-2, 0, 0.5, 2}),
           dy = given(t, HZ_F64, HZ_DIMS(4), (double[]){10, 20, 30, -40});
    expect_values(hz_relu_grad(x, dy), HZ_DIMS(4), (double[]){0, 0, 30, -40}, 0);
    expect_values(hz_clip_grad(x, dy, 0, 2), HZ_DIMS(4), (double[]){0, 0, 30, 0}, 0);
    expect_values(hz_leaky_relu_grad(x, dy, 0.1), HZ_DIMS(4), (double[]){1, 2, 30, -40}, 1e-15);
    expect_values(hz_elu_grad(x, dy, 2), HZ_DIMS(4), (double[]){20 * exp(-2), 40, 30, -40}, 1e-15);
    expect_values(hz_tanh_grad(x, dy), HZ_DIMS(4), (double[]){-30, 20, 22.5, 120}, 1e-15);
    expect_values(hz_sigmoid_grad(x, dy), HZ_DIMS(4), (double[]){-60, 0, 7.5, 80}, 1e-15);
    hz_tape_free(t);
}

Test(adjoints, relu_grad_lets_nothing_through_where_the_cotangent_is_not_finite_and_x_is_off) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(2), (double[]){-1, -1}),
           dy = given(t, HZ_F32, HZ_DIMS(2), (double[]){NAN, INFINITY});
    expect_values(hz_relu_grad(x, dy), HZ_DIMS(2), (double[]){0, 0}, 0);
    hz_tape_free(t);
}

/* ---- parameters ---- */

Test(activations, refuse_parameters_that_make_no_sense) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(2), 0);
    cr_expect_not(hz_ok(hz_clip(x, 2, 1)));
    expect_error(t, HZ_EINVAL, "clip: lower bound 2 is above upper bound 1");
    hz_clip(x, NAN, 1);
    expect_error(t, HZ_EINVAL, "clip: lower bound is NaN");
    hz_clip(x, 0, NAN);
    expect_error(t, HZ_EINVAL, "clip: upper bound is NaN");
    hz_clip_grad(x, x, 0, NAN);
    expect_error(t, HZ_EINVAL, "clip_grad: upper bound is NaN");
    hz_softplus(x, 0);
    expect_error(t, HZ_EINVAL, "softplus: beta is 0; it must be finite and not 0");
    hz_softplus(x, NAN);
    expect_error(t, HZ_EINVAL, "softplus: beta is");
    hz_leaky_relu(x, NAN);
    expect_error(t, HZ_EINVAL, "leaky_relu: slope is NaN");
    hz_leaky_relu_grad(x, x, NAN);
    expect_error(t, HZ_EINVAL, "leaky_relu_grad: slope is NaN");
    hz_elu(x, NAN);
    expect_error(t, HZ_EINVAL, "elu: alpha is NaN");
    hz_elu_grad(x, x, NAN);
    expect_error(t, HZ_EINVAL, "elu_grad: alpha is NaN");
    hz_hard_sigmoid(x, NAN, 0);
    expect_error(t, HZ_EINVAL, "hard_sigmoid: a is NaN");
    hz_hard_sigmoid(x, 1, NAN);
    expect_error(t, HZ_EINVAL, "hard_sigmoid: b is NaN");
    hz_tape_free(t);
}

Test(activations, refuse_integers) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_U8, HZ_DIMS(2), 1);
    for (int k = 0; k < ACTIVATIONS; k++) {
        cr_expect_not(hz_ok(activations[k].f(x)), "%s", activations[k].name);
        expect_error(t, HZ_ESHAPE, "u8, not f32 or f64");
    }
    hz_tape_free(t);
}
