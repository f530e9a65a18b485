/* test_losses.c: cross-entropy with and without options, losses of pairs. PyTorch's word on them is
 * tests/nn/train_oracle.py.
 *
 * SPDX-License-Identifier: MIT */
#include "autograd/gradcheck.h"
#include "values.h"

static const double logits[] = {1, 2, 0.5, -1, 0, 3}; /* (2, 3) */

/* −log softmax(row)[label], straightforwardly */
static double row_loss(const double *row, int label) {
    double sum = 0;
    for (int c = 0; c < 3; c++) sum += exp(row[c]);
    return log(sum) - row[label];
}

Test(cross_entropy, is_minus_the_log_of_the_labels_probability) {
    for (int d = 0; d < 4; d++) {
        hz_dtype dtype = d & 1 ? HZ_F64 : HZ_F32, label_dtype = d & 2 ? HZ_I64 : HZ_I32;
        hz_tape *t = hz_tape_new(NULL);
        hz_var x = given(t, dtype, HZ_DIMS(2, 3), logits),
               labels = given(t, label_dtype, HZ_DIMS(2), (double[]){2, 0});
        double a = row_loss(logits, 2), b = row_loss(logits + 3, 0), tol = dtype == HZ_F64 ? 1e-15 : 1e-6;
        expect_values(hz_cross_entropy(x, labels, HZ_LOSS_NONE), HZ_DIMS(2), (double[]){a, b}, tol);
        expect_values(hz_cross_entropy(x, labels, HZ_LOSS_SUM), 0, NULL, (double[]){a + b}, tol);
        expect_values(hz_cross_entropy(x, labels, HZ_LOSS_MEAN), 0, NULL, (double[]){(a + b) / 2}, tol);
        hz_tape_free(t);
    }
}

Test(cross_entropy, gradient_is_softmax_minus_one_hot_over_n) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2, 3), logits),
           labels = given(t, HZ_I64, HZ_DIMS(2), (double[]){2, 0});
    double want[6];
    for (int k = 0; k < 6; k++) want[k] = exp(-row_loss(logits + k / 3 * 3, k % 3)) - (k == 2 || k == 3);
    hz_var sum = hz_cross_entropy(x, labels, HZ_LOSS_SUM), mean = hz_cross_entropy(x, labels, HZ_LOSS_MEAN);
    expect_values(gradient(sum, x), HZ_DIMS(2, 3), want, 1e-15);
    expect_values(gradient(hz_cross_entropy(x, labels, HZ_LOSS_NONE), x), HZ_DIMS(2, 3), want, 1e-15);
    for (int k = 0; k < 6; k++) want[k] /= 2;
    expect_values(gradient(mean, x), HZ_DIMS(2, 3), want, 1e-15);
    hz_tape_free(t);
}

Test(cross_entropy, huge_logits_do_not_overflow) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(2, 2), (double[]){1e4, 0, -1e4, 1e4});
    hz_var labels = given(t, HZ_I32, HZ_DIMS(2), (double[]){1, 1});
    expect_values(hz_cross_entropy(x, labels, HZ_LOSS_NONE), HZ_DIMS(2), (double[]){1e4, 0}, 1e-6);
    expect_values(gradient(hz_cross_entropy(x, labels, HZ_LOSS_SUM), x), HZ_DIMS(2, 2),
                  (double[]){1, -1, 0, 0}, 1e-6);
    hz_tape_free(t);
}

Test(cross_entropy, of_no_rows_sums_to_zero_and_has_no_mean) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(0, 3), 0), labels = hz_full(t, HZ_I32, HZ_DIMS(0), 0);
    expect_values(hz_cross_entropy(x, labels, HZ_LOSS_SUM), 0, NULL, (double[]){0}, 0);
    expect_values(hz_cross_entropy(x, labels, HZ_LOSS_MEAN), 0, NULL, (double[]){NAN}, 0);
    expect_values(gradient(hz_cross_entropy(x, labels, HZ_LOSS_SUM), x), HZ_DIMS(0, 3), NULL, 0);
    hz_tape_free(t);
}

Test(cross_entropy, names_row_label_and_classes_of_a_bad_label) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2, 3), logits);
    cr_expect_not(hz_ok(hz_cross_entropy(x, given(t, HZ_I64, HZ_DIMS(2), (double[]){2, 3}), HZ_LOSS_MEAN)));
    expect_error(t, HZ_EINVAL, "cross_entropy: label 3 of row 1 is outside 0 … 2 (C = 3)");
    hz_cross_entropy(x, given(t, HZ_I32, HZ_DIMS(2), (double[]){-1, 0}), HZ_LOSS_MEAN);
    expect_error(t, HZ_EINVAL, "label -1 of row 0");
    hz_tape_free(t);
}

Test(cross_entropy, refuses_shapes_and_dtypes_that_do_not_fit) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2, 3), logits), labels = hz_full(t, HZ_I64, HZ_DIMS(2), 0);
    hz_cross_entropy(x, hz_full(t, HZ_F64, HZ_DIMS(2), 0), HZ_LOSS_MEAN);
    expect_error(t, HZ_ESHAPE, "labels [2] are f64, not i32 or i64");
    hz_cross_entropy(x, hz_full(t, HZ_I64, HZ_DIMS(3), 0), HZ_LOSS_MEAN);
    expect_error(t, HZ_ESHAPE, "logits [2,3] and labels [3] are not (N, C) and (N)");
    hz_cross_entropy(hz_full(t, HZ_F32, HZ_DIMS(2), 0), labels, HZ_LOSS_MEAN);
    expect_error(t, HZ_ESHAPE, "logits [2] and labels [2]");
    hz_cross_entropy(hz_full(t, HZ_F32, HZ_DIMS(2, 0), 0), labels, HZ_LOSS_MEAN);
    expect_error(t, HZ_ESHAPE, "have no classes");
    hz_cross_entropy(x, labels, (hz_reduce_loss)3);
    expect_error(t, HZ_EINVAL, "3 is no hz_reduce_loss");
    hz_tape_free(t);
}

/* ---- cross-entropy with options ---- */

static const double weights[] = {0.5, 2, 1.5};
static const int64_t padding = -100;

/* −Σ_c w_c·((1 − e)·[c = label] + e/3)·log softmax(row)_c */
static double full_loss(const double *row, int label, double e, const double *w) {
    double sum = 0;
    for (int c = 0; c < 3; c++) sum += (w ? w[c] : 1) * ((1 - e) * (c == label) + e / 3) * row_loss(row, c);
    return sum;
}

Test(cross_entropy_with, smooths_weighs_and_ignores_in_every_combination) {
    static const double three[] = {1, 2, 0.5, -1, 0, 3, 0.3, -2, 1};
    for (int c = 0; c < 8; c++) {
        const double e = c & 1 ? 0.1 : 0, *w = c & 2 ? weights : NULL;
        const bool ignores = c & 4;
        hz_tape *t = hz_tape_new(NULL);
        hz_var x = given(t, HZ_F64, HZ_DIMS(3, 3), three);
        hz_var labels = given(t, HZ_I32, HZ_DIMS(3), (double[]){2, ignores ? -100 : 1, 0});
        hz_cross_entropy_opts o = {.label_smoothing = e, .ignore = ignores ? &padding : NULL};
        if (w) o.class_weights = given(t, HZ_F64, HZ_DIMS(3), w);
        double want[3], sum = 0, weight = 0;
        for (int n = 0; n < 3; n++) {
            const int label = 2 - n;
            const bool counts = !ignores || n != 1;
            want[n] = counts ? full_loss(three + 3 * n, label, e, w) : 0;
            sum += want[n];
            weight += counts ? (w ? w[label] : 1) : 0;
        }
        hz_var log_p = hz_log_softmax(x, HZ_AXIS(1));
        expect_values(hz_cross_entropy_with(x, labels, &o), 0, NULL, (double[]){sum / weight}, 1e-14);
        expect_values(hz_nll(log_p, labels, &o), 0, NULL, (double[]){sum / weight}, 1e-14);
        o.reduce = HZ_LOSS_SUM;
        expect_values(hz_cross_entropy_with(x, labels, &o), 0, NULL, (double[]){sum}, 1e-14);
        o.reduce = HZ_LOSS_NONE;
        expect_values(hz_cross_entropy_with(x, labels, &o), HZ_DIMS(3), want, 1e-14);
        expect_values(hz_nll(log_p, labels, &o), HZ_DIMS(3), want, 1e-14);
        hz_tape_free(t);
    }
}

Test(cross_entropy_with, nothing_is_cross_entropy) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(2, 3), logits),
           labels = given(t, HZ_I64, HZ_DIMS(2), (double[]){2, 0});
    double want = hz_item(hz_cross_entropy(x, labels, HZ_LOSS_MEAN));
    expect_values(hz_cross_entropy_with(x, labels, NULL), 0, NULL, &want, 0);
    expect_values(hz_nll(hz_log_softmax(x, HZ_AXIS(1)), labels, NULL), 0, NULL, &want, 1e-6);
    hz_tape_free(t);
}

Test(cross_entropy_with, rows_to_ignore_send_no_gradient_whatever_they_hold) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2, 3), (double[]){1, 2, 0.5, -1e300, 0, 1e300});
    hz_var labels = given(t, HZ_I64, HZ_DIMS(2), (double[]){2, 0});
    hz_cross_entropy_opts o = {.ignore = &(int64_t){0}, .label_smoothing = 0.2};
    double want[6] = {0};
    for (int c = 0; c < 3; c++) want[c] = exp(-row_loss(logits, c)) - (0.8 * (c == 2) + 0.2 / 3);
    hz_var loss = hz_cross_entropy_with(x, labels, &o);
    expect_values(loss, 0, NULL, (double[]){full_loss(logits, 2, 0.2, NULL)}, 1e-14);
    expect_values(gradient(loss, x), HZ_DIMS(2, 3), want, 1e-14);
    hz_tape_free(t);
}

Test(cross_entropy_with, has_no_mean_where_no_row_counts) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2, 3), logits),
           labels = given(t, HZ_I64, HZ_DIMS(2), (double[]){1, 1});
    hz_cross_entropy_opts o = {.ignore = &(int64_t){1}};
    expect_values(hz_cross_entropy_with(x, labels, &o), 0, NULL, (double[]){NAN}, 0);
    o.reduce = HZ_LOSS_SUM;
    expect_values(hz_cross_entropy_with(x, labels, &o), 0, NULL, (double[]){0}, 0);
    hz_tape_free(t);
}

static int call_with_options(hz_tape *t, const hz_var *x, int n, hz_var *y, void *ctx) {
    const int c = *(const int *)ctx;
    (void)n;
    hz_var labels = given(t, HZ_I64, HZ_DIMS(3), (double[]){2, -100, 1});
    y[0] = hz_cross_entropy_with(x[0], labels,
                                 &(hz_cross_entropy_opts){.reduce = (hz_reduce_loss)(c % 3),
                                                          .label_smoothing = c / 3 * 0.3,
                                                          .class_weights = x[1],
                                                          .ignore = &padding});
    return 1;
}

Test(cross_entropy_with, gradients_match_differences_to_second_order) {
    double p[12] = {0.2, -0.4, 0.6, 0.85, 1.2, -0.3, 0.1, 0.7, -0.9, 0.4, 0.5, 0.6},
           q[4] = {0.9, 0.3, 1.5, 0.5};
    hz_tensor x[2] = {hz_tensor_of(p, HZ_F64, HZ_DIMS(3, 4)), hz_tensor_of(q, HZ_F64, HZ_DIMS(4))};
    for (int c = 0; c < 6; c++) {
        hz_gradcheck_report report;
        bool ok =
            hz_gradcheck_function(call_with_options, &c, x, 2, &(hz_gradcheck_opts){.order = 2}, &report);
        cr_expect(ok, "case %d: %s", c, report.text);
    }
}

Test(cross_entropy_with, says_what_is_wrong) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2, 3), logits),
           labels = given(t, HZ_I64, HZ_DIMS(2), (double[]){2, -1});
    hz_var good = given(t, HZ_I64, HZ_DIMS(2), (double[]){2, 1});
    hz_cross_entropy_with(x, labels, &(hz_cross_entropy_opts){.ignore = &padding});
    expect_error(t, HZ_EINVAL, "cross_entropy: label -1 of row 1 is outside 0 … 2 (C = 3)");
    hz_nll(x, labels, NULL);
    expect_error(t, HZ_EINVAL, "nll: label -1 of row 1");
    hz_nll(x, good, &(hz_cross_entropy_opts){.label_smoothing = 1.5});
    expect_error(t, HZ_EINVAL, "nll: label_smoothing is 1.5, outside 0 … 1");
    hz_nll(x, good, &(hz_cross_entropy_opts){.reduce = (hz_reduce_loss)4});
    expect_error(t, HZ_EINVAL, "nll: 4 is no hz_reduce_loss");
    hz_nll(x, good, &(hz_cross_entropy_opts){.class_weights = hz_full(t, HZ_F32, HZ_DIMS(3), 1)});
    expect_error(t, HZ_ESHAPE, "class weights f32 [3] are not one f64 for each class of [2,3]");
    hz_nll(x, good, &(hz_cross_entropy_opts){.class_weights = hz_full(t, HZ_F64, HZ_DIMS(2), 1)});
    expect_error(t, HZ_ESHAPE, "class weights f64 [2]");
    hz_nll(good, good, NULL);
    expect_error(t, HZ_ESHAPE, "nll: input [2] is i64, not f32 or f64");
    hz_nll(x, hz_full(t, HZ_I64, HZ_DIMS(3), 0), NULL);
    expect_error(t, HZ_ESHAPE, "are not (N, C) and (N)");
    hz_nll(x, hz_none(t), NULL);
    expect_error(t, HZ_EINVAL, "nll: an input is the inert variable");
    hz_nll(x, good, &(hz_cross_entropy_opts){.class_weights = hz_none(t)});
    expect_error(t, HZ_EINVAL, "an input is the inert variable");
    cr_expect_not(hz_ok(hz_nll((hz_var){NULL, 0}, good, NULL)));
    hz_tape_free(t);
}

/* ---- mse ---- */

Test(mse, is_the_mean_of_squared_differences) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2, 2), (double[]){1, 2, 3, 4}),
           y = given(t, HZ_F64, HZ_DIMS(2, 2), (double[]){1, 0, 0, 5});
    expect_values(hz_mse(x, y, HZ_LOSS_NONE), HZ_DIMS(2, 2), (double[]){0, 4, 9, 1}, 0);
    expect_values(hz_mse(x, y, HZ_LOSS_SUM), 0, NULL, (double[]){14}, 0);
    expect_values(hz_mse(x, y, HZ_LOSS_MEAN), 0, NULL, (double[]){3.5}, 0);
    expect_values(gradient(hz_mse(x, y, HZ_LOSS_MEAN), x), HZ_DIMS(2, 2), (double[]){0, 1, 1.5, -0.5}, 0);
    hz_tape_free(t);
}

/* ---- binary cross-entropy ---- */

Test(bce, bounds_the_logarithms) {
    for (int d = 0; d < 2; d++) {
        hz_tape *t = hz_tape_new(NULL);
        hz_var p = given(t, (hz_dtype)d, HZ_DIMS(5), (double[]){0, 1, 0, 1, 0.25});
        hz_var y = given(t, (hz_dtype)d, HZ_DIMS(5), (double[]){0, 1, 1, 0, 1});
        hz_var loss = hz_bce(p, y, HZ_LOSS_NONE);
        expect_values(loss, HZ_DIMS(5), (double[]){0, 0, 100, 100, -log(0.25)}, 1e-6);
        hz_var dp = gradient(loss, p);
        for (int k = 0; k < 5; k++) cr_expect(isfinite(hz_get_flat(hz_value(dp), k)), "element %d", k);
        cr_expect(alike(hz_get_flat(hz_value(dp), 4), -4, 1e-6));
        hz_tape_free(t);
    }
}

Test(bce, outside_0_to_1_it_is_nan_and_not_a_made_up_number) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var p = given(t, HZ_F64, HZ_DIMS(2), (double[]){-0.1, 1.1}),
           y = given(t, HZ_F64, HZ_DIMS(2), (double[]){1, 0});
    expect_values(hz_bce(p, y, HZ_LOSS_NONE), HZ_DIMS(2), (double[]){NAN, NAN}, 0);
    hz_tape_free(t);
}

Test(bce_with_logits, is_bce_of_the_sigmoid) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(4), (double[]){-3, -0.5, 0, 2}),
           y = given(t, HZ_F64, HZ_DIMS(4), (double[]){0, 1, 0.3, 0.9});
    hz_var a = hz_bce_with_logits(x, y, HZ_LOSS_NONE), b = hz_bce(hz_sigmoid(x), y, HZ_LOSS_NONE);
    double want[4], slope[4];
    for (int k = 0; k < 4; k++)
        want[k] = hz_get_flat(hz_value(b), k), slope[k] = hz_get_flat(hz_value(gradient(b, x)), k);
    expect_values(a, HZ_DIMS(4), want, 1e-14);
    expect_values(gradient(a, x), HZ_DIMS(4), slope, 1e-14);
    hz_tape_free(t);
}

Test(bce_with_logits, is_accurate_far_out_and_at_zero) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(5), (double[]){30, -30, 1e30, -1e30, 0}),
           y = given(t, HZ_F32, HZ_DIMS(5), (double[]){1, 0, 0, 0, 1});
    hz_var loss = hz_bce_with_logits(x, y, HZ_LOSS_NONE);
    expect_values(loss, HZ_DIMS(5), (double[]){0, 0, 1e30, 0, log(2)}, 1e-6);
    cr_expect(fabs(hz_get_flat(hz_value(loss), 0) / exp(-30) - 1) < 1e-5); /* not cancelled to 0 */
    cr_expect(fabs(hz_get_flat(hz_value(loss), 1) / exp(-30) - 1) < 1e-5);
    expect_values(gradient(loss, x), HZ_DIMS(5), (double[]){0, 0, 1, 0, -0.5}, 1e-6);
    hz_tape_free(t);
}

/* ---- l1, huber, kl, hinge ---- */

Test(l1, is_the_distance_and_its_slope_the_sign) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(3), (double[]){1, 2, -3}),
           y = given(t, HZ_F64, HZ_DIMS(3), (double[]){1, 0, 0});
    expect_values(hz_l1(x, y, HZ_LOSS_NONE), HZ_DIMS(3), (double[]){0, 2, 3}, 0);
    expect_values(hz_l1(x, y, HZ_LOSS_SUM), 0, NULL, (double[]){5}, 0);
    expect_values(gradient(hz_l1(x, y, HZ_LOSS_SUM), x), HZ_DIMS(3), (double[]){0, 1, -1}, 0);
    hz_tape_free(t);
}

Test(huber, is_a_parabola_that_goes_on_straight) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(5), (double[]){0, 0.25, -0.5, 2, -1e200}),
           y = hz_full(t, HZ_F64, HZ_DIMS(5), 0);
    expect_values(hz_huber(x, y, 0.5, HZ_LOSS_NONE), HZ_DIMS(5), (double[]){0, 0.03125, 0.125, 0.875, 5e199},
                  1e-15);
    expect_values(gradient(hz_huber(x, y, 0.5, HZ_LOSS_SUM), x), HZ_DIMS(5),
                  (double[]){0, 0.25, -0.5, 0.5, -0.5}, 1e-15);
    expect_values(hz_smooth_l1(x, y, 0.5, HZ_LOSS_NONE), HZ_DIMS(5), (double[]){0, 0.0625, 0.25, 1.75, 1e200},
                  1e-15);
    expect_values(hz_smooth_l1(x, y, 0, HZ_LOSS_NONE), HZ_DIMS(5), (double[]){0, 0.25, 0.5, 2, 1e200}, 0);
    hz_huber(x, y, 0, HZ_LOSS_MEAN);
    expect_error(t, HZ_EINVAL, "huber: delta is 0, not above 0");
    hz_smooth_l1(x, y, NAN, HZ_LOSS_MEAN);
    expect_error(t, HZ_EINVAL, "smooth_l1: beta is");
    hz_tape_free(t);
}

Test(kl, takes_zero_times_the_logarithm_of_zero_for_zero) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var p = given(t, HZ_F64, HZ_DIMS(3), (double[]){0, 0.25, 0.75});
    hz_var log_q = given(t, HZ_F64, HZ_DIMS(3), (double[]){-1, log(0.25), -2});
    expect_values(hz_kl(log_q, p, HZ_LOSS_NONE), HZ_DIMS(3), (double[]){0, 0, 0.75 * (log(0.75) + 2)}, 1e-15);
    expect_values(gradient(hz_kl(log_q, p, HZ_LOSS_SUM), log_q), HZ_DIMS(3), (double[]){0, -0.25, -0.75}, 0);
    hz_var dp = gradient(hz_kl(log_q, p, HZ_LOSS_SUM), p);
    expect_values(dp, HZ_DIMS(3), (double[]){1, 1, log(0.75) + 3}, 1e-15);
    hz_tape_free(t);
}

Test(hinge, is_zero_beyond_the_margin) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(4), (double[]){2, 0.5, -0.5, -3});
    hz_var y = given(t, HZ_F64, HZ_DIMS(4), (double[]){1, 1, 1, -1});
    expect_values(hz_hinge(x, y, HZ_LOSS_NONE), HZ_DIMS(4), (double[]){0, 0.5, 1.5, 0}, 0);
    expect_values(gradient(hz_hinge(x, y, HZ_LOSS_SUM), x), HZ_DIMS(4), (double[]){0, -1, -1, 0}, 0);
    hz_tape_free(t);
}

/* ---- all of them ---- */

typedef hz_var pair_loss(hz_var x, hz_var target, hz_reduce_loss how);
static hz_var huber(hz_var x, hz_var target, hz_reduce_loss how) {
    return hz_huber(x, target, 0.3, how); /* between the differences that the gradients are checked at */
}
static hz_var smooth_l1(hz_var x, hz_var target, hz_reduce_loss how) {
    return hz_smooth_l1(x, target, 0.2, how);
}
static pair_loss *const pair_losses[] = {hz_mse, hz_bce,  hz_bce_with_logits, hz_l1, huber, smooth_l1,
                                         hz_kl,  hz_hinge};
static const char *const pair_names[] = {"mse", "bce",  "bce_with_logits", "l1", "huber", "smooth_l1",
                                         "kl",  "hinge"};
enum { PAIR_LOSSES = sizeof pair_losses / sizeof pair_losses[0] };

static int call_pair_loss(hz_tape *t, const hz_var *x, int n_x, hz_var *y, void *ctx) {
    (void)t, (void)n_x;
    int k = *(const int *)ctx;
    y[0] = pair_losses[k / 3](x[0], x[1], (hz_reduce_loss)(k % 3));
    return 1;
}

Test(losses, gradients_match_differences_to_second_order) {
    double p[4] = {0.2, 0.4, 0.6, 0.85}, q[4] = {0.9, 0.3, 0.15, 0.5};
    hz_tensor x[2] = {hz_tensor_of(p, HZ_F64, HZ_DIMS(2, 2)), hz_tensor_of(q, HZ_F64, HZ_DIMS(2, 2))};
    for (int k = 0; k < 3 * PAIR_LOSSES; k++) {
        hz_gradcheck_report report;
        bool ok = hz_gradcheck_function(call_pair_loss, &k, x, 2, &(hz_gradcheck_opts){.order = 2}, &report);
        cr_expect(ok, "loss %d, reduction %d: %s", k / 3, k % 3, report.text);
    }
}

Test(losses, refuse_to_broadcast) {
    for (int k = 0; k < PAIR_LOSSES; k++) {
        hz_tape *t = hz_tape_new(NULL);
        hz_var x = hz_full(t, HZ_F32, HZ_DIMS(4, 1), 0.5), y = hz_full(t, HZ_F32, HZ_DIMS(4), 0.5);
        cr_expect_not(hz_ok(pair_losses[k](x, y, HZ_LOSS_MEAN)));
        expect_error(t, HZ_ESHAPE, pair_names[k]);
        pair_losses[k](y, x, HZ_LOSS_MEAN);
        expect_error(t, HZ_ESHAPE, "input f32 [4] and target f32 [4,1] must be alike");
        pair_losses[k](y, y, (hz_reduce_loss)7);
        expect_error(t, HZ_EINVAL, "7 is no hz_reduce_loss");
        hz_tape_free(t);
    }
}

Test(losses, refuse_the_inert_variable) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(2), 0.5);
    for (int k = 0; k < PAIR_LOSSES; k++) {
        cr_expect_not(hz_ok(pair_losses[k](x, hz_none(t), HZ_LOSS_MEAN)));
        expect_error(t, HZ_EINVAL, "the target is the inert variable");
        pair_losses[k](hz_none(t), x, HZ_LOSS_MEAN);
        expect_error(t, HZ_EINVAL, "the input is the inert variable");
        cr_expect_not(hz_ok(pair_losses[k]((hz_var){NULL, 0}, x, HZ_LOSS_MEAN)));
    }
    hz_tape_free(t);
}

Test(losses, pass_the_inert_variable_through) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var bad = hz_find(t, "nobody"), x = hz_none(t);
    for (int k = 0; k < PAIR_LOSSES; k++) cr_expect_not(hz_ok(pair_losses[k](bad, x, HZ_LOSS_MEAN)));
    cr_expect_not(hz_ok(hz_cross_entropy(bad, x, HZ_LOSS_MEAN)));
    expect_error(t, HZ_ENOTFOUND, "nobody"); /* the first error is the one that is kept */
    hz_tape_free(t);
}
