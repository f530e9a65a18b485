/* test_reductions.c: sums, means, extremes, softmax and running sums along axes, and dropout's mask.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/random.h"
#include "values.h"

/* ---- every set of axes of a (2, 3, 4) tensor, against loops ---- */

enum { NUMEL = 24 };

typedef hz_var reduction(hz_var x, hz_axes axes, bool keep);

static double add(double a, double x) {
    return a + x;
}
static double add_exp(double a, double x) {
    return a + exp(x);
}
static double itself(double a, double count) {
    (void)count;
    return a;
}
static double over_count(double a, double count) {
    return a / count;
}
static double log_of(double a, double count) {
    (void)count;
    return log(a);
}

static const struct fold {
    const char *name;
    reduction *f;
    double start;
    double (*step)(double a, double x), (*finish)(double a, double count);
} folds[] = {
    {"sum", hz_sum, 0, add, itself},
    {"mean", hz_mean, 0, add, over_count},
    {"max", hz_max, -INFINITY, fmax, itself},
    {"min", hz_min, INFINITY, fmin, itself},
    {"logsumexp", hz_logsumexp, 0, add_exp, log_of},
};

/* The folded values for the kept-axes shape dim, which is set. Returns how many. */
static int fold_by_loops(const struct fold *f, const double *x, unsigned mask, int64_t *dim, double *want) {
    static const int64_t full[3] = {2, 3, 4};
    double count[NUMEL] = {0};
    for (int k = 0; k < 3; k++) dim[k] = mask >> k & 1 ? 1 : full[k];
    int n = (int)(dim[0] * dim[1] * dim[2]);
    for (int k = 0; k < n; k++) want[k] = f->start;
    for (int k = 0; k < NUMEL; k++) {
        int64_t i[3] = {k / 12 % dim[0], k / 4 % 3 % dim[1], k % 4 % dim[2]};
        int64_t to = (i[0] * dim[1] + i[1]) * dim[2] + i[2];
        want[to] = f->step(want[to], x[k]);
        count[to]++;
    }
    for (int k = 0; k < n; k++) want[k] = f->finish(want[k], count[k]);
    return n;
}

static void check_fold(const struct fold *f, unsigned mask, hz_axes axes) {
    hz_tape *t = hz_tape_new(NULL);
    double values[NUMEL], want[NUMEL];
    for (int k = 0; k < NUMEL; k++) values[k] = 2 * sin(1.7 * k);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2, 3, 4), values);
    int64_t kept[3], dropped[3];
    fold_by_loops(f, values, mask, kept, want);
    int rank = 0;
    for (int k = 0; k < 3; k++)
        if (!(mask >> k & 1)) dropped[rank++] = kept[k];
    expect_values(f->f(x, axes, true), 3, kept, want, 1e-14);
    expect_values(f->f(x, axes, false), rank, dropped, want, 1e-14);
    hz_tape_free(t);
}

Test(reductions, every_set_of_axes_agrees_with_loops) {
    for (int k = 0; k < 5; k++) {
        for (unsigned mask = 1; mask < 8; mask++) check_fold(&folds[k], mask, mask);
        check_fold(&folds[k], 7, HZ_ALL_AXES);
    }
}

Test(reductions, negative_axes_count_from_the_end) {
    for (int k = 0; k < 5; k++) {
        check_fold(&folds[k], 4, HZ_AXIS(-1));
        check_fold(&folds[k], 3, HZ_AXIS(0) | HZ_AXIS(-2));
        check_fold(&folds[k], 1, HZ_AXIS(0) | HZ_AXIS(-3)); /* one axis named twice */
    }
}

Test(reductions, of_one_number_is_that_number) {
    for (int k = 0; k < 5; k++) {
        hz_tape *t = hz_tape_new(NULL);
        expect_values(folds[k].f(hz_scalar(t, HZ_F64, 2.5), HZ_ALL_AXES, false), 0, NULL, (double[]){2.5},
                      1e-15);
        hz_tape_free(t);
    }
}

Test(reductions, over_nothing_give_the_neutral_element) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(2, 0), 0);
    expect_values(hz_sum(x, HZ_AXIS(1), false), HZ_DIMS(2), (double[]){0, 0}, 0);
    expect_values(hz_mean(x, HZ_AXIS(1), false), HZ_DIMS(2), (double[]){NAN, NAN}, 0);
    expect_values(hz_max(x, HZ_AXIS(1), false), HZ_DIMS(2), (double[]){-INFINITY, -INFINITY}, 0);
    expect_values(hz_min(x, HZ_AXIS(1), true), HZ_DIMS(2, 1), (double[]){INFINITY, INFINITY}, 0);
    expect_values(hz_logsumexp(x, HZ_AXIS(1), false), HZ_DIMS(2), (double[]){-INFINITY, -INFINITY}, 0);
    for (int k = 0; k < 5; k++)
        expect_values(gradient(folds[k].f(x, HZ_AXIS(1), false), x), HZ_DIMS(2, 0), NULL, 0);
    hz_tape_free(t);
}

Test(reductions, refuse_axes_outside_the_rank) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(2, 3), 0), i = hz_full(t, HZ_I32, HZ_DIMS(2), 0);
    for (int k = 0; k < 5; k++) {
        cr_expect_not(hz_ok(folds[k].f(x, HZ_AXIS(2), false)));
        expect_error(t, HZ_EINVAL, "axis 2 is outside rank 2");
        folds[k].f(x, HZ_AXIS(-3), false);
        expect_error(t, HZ_EINVAL, "axis -3 is outside rank 2");
        folds[k].f(i, 0, false);
        expect_error(t, HZ_ESHAPE, folds[k].name);
    }
    hz_tape_free(t);
}

/* ---- what is special to each ---- */

Test(sum, of_many_f32_is_accurate) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(1000, 1000), 0.1);
    double want = 1e6 * (double)0.1f;
    cr_expect(fabs(hz_item(hz_sum(x, 0, false)) / want - 1) < 2e-7);
    cr_expect(fabs(hz_item(hz_mean(x, 0, false)) / (double)0.1f - 1) < 2e-7);
    hz_tape_free(t);
}

Test(max, shares_the_gradient_evenly_between_ties) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2, 4), (double[]){3, 1, 3, 0, 5, 5, 5, 5});
    expect_values(gradient(hz_max(x, HZ_AXIS(1), false), x), HZ_DIMS(2, 4),
                  (double[]){0.5, 0, 0.5, 0, 0.25, 0.25, 0.25, 0.25}, 0);
    expect_values(gradient(hz_min(x, HZ_AXIS(1), true), x), HZ_DIMS(2, 4),
                  (double[]){0, 0, 0, 1, 0.25, 0.25, 0.25, 0.25}, 0);
    hz_tape_free(t);
}

Test(max, is_nan_if_any_is) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(2, 3), (double[]){1, NAN, 3, 4, 5, 6});
    expect_values(hz_max(x, HZ_AXIS(1), false), HZ_DIMS(2), (double[]){NAN, 6}, 0);
    expect_values(hz_min(x, HZ_AXIS(1), false), HZ_DIMS(2), (double[]){NAN, 4}, 0);
    hz_tape_free(t);
}

Test(logsumexp, neither_overflows_nor_underflows) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2, 2), (double[]){1e5, 1e5, -1e5, -1e5});
    expect_values(hz_logsumexp(x, HZ_AXIS(1), false), HZ_DIMS(2), (double[]){1e5 + log(2), -1e5 + log(2)},
                  1e-15);
    expect_values(gradient(hz_logsumexp(x, HZ_AXIS(1), false), x), HZ_DIMS(2, 2),
                  (double[]){0.5, 0.5, 0.5, 0.5}, 1e-15);
    hz_tape_free(t);
}

Test(var_of, is_the_biased_variance_without_cancellation) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2, 4), (double[]){1, 2, 3, 4, 1e8 + 1, 1e8 + 2, 1e8 + 3, 1e8 + 4});
    expect_values(hz_var_of(x, HZ_AXIS(1), false), HZ_DIMS(2), (double[]){1.25, 1.25}, 0);
    expect_values(hz_var_of(x, HZ_AXIS(1), true), HZ_DIMS(2, 1), (double[]){1.25, 1.25}, 0);
    hz_var row = hz_slice(x, 0, 0, 1, 1);
    expect_values(gradient(hz_var_of(row, 0, false), row), HZ_DIMS(1, 4),
                  (double[]){-0.75, -0.25, 0.25, 0.75}, 1e-15);
    hz_tape_free(t);
}

Test(argmax, takes_the_first_of_equals_and_nan_wins) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(3, 3), (double[]){1, 7, 7, 2, 2, 2, 9, NAN, 3});
    hz_var k = hz_argmax(x, 1, false);
    cr_expect_eq(hz_value(k)->dtype, HZ_I64);
    expect_values(k, HZ_DIMS(3), (double[]){1, 0, 1}, 0);
    expect_values(hz_argmax(x, -1, true), HZ_DIMS(3, 1), (double[]){1, 0, 1}, 0);
    expect_values(hz_argmin(x, 1, false), HZ_DIMS(3), (double[]){0, 0, 1}, 0);
    expect_values(hz_argmin(x, 0, false), HZ_DIMS(3), (double[]){0, 2, 1}, 0);
    hz_tape_free(t);
}

Test(argmax, refuses_an_axis_without_elements) {
    hz_tape *t = hz_tape_new(NULL);
    cr_expect_not(hz_ok(hz_argmax(hz_full(t, HZ_F32, HZ_DIMS(2, 0), 0), 1, false)));
    expect_error(t, HZ_ESHAPE, "argmax: axis 1 of [2,0] has no elements to choose from");
    hz_argmax(hz_scalar(t, HZ_F32, 0), 0, false);
    expect_error(t, HZ_EINVAL, "argmax: axis 0 is outside rank 0");
    expect_values(hz_argmax(hz_full(t, HZ_F32, HZ_DIMS(0, 3), 0), 1, false), HZ_DIMS(0), NULL, 0);
    hz_tape_free(t);
}

Test(cumsum, in_its_four_modes) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(4), (double[]){1, 2, 3, 4});
    expect_values(hz_cumsum(x, 0, false, false), HZ_DIMS(4), (double[]){1, 3, 6, 10}, 0);
    expect_values(hz_cumsum(x, 0, true, false), HZ_DIMS(4), (double[]){0, 1, 3, 6}, 0);
    expect_values(hz_cumsum(x, 0, false, true), HZ_DIMS(4), (double[]){10, 9, 7, 4}, 0);
    expect_values(hz_cumsum(x, -1, true, true), HZ_DIMS(4), (double[]){9, 7, 4, 0}, 0);
    hz_cumsum(x, 1, false, false);
    expect_error(t, HZ_EINVAL, "cumsum: axis 1 is outside rank 1");
    hz_tape_free(t);
}

Test(cumsum, along_an_inner_axis) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(2, 3), (double[]){1, 2, 3, 4, 5, 6});
    expect_values(hz_cumsum(x, 0, false, false), HZ_DIMS(2, 3), (double[]){1, 2, 3, 5, 7, 9}, 0);
    expect_values(hz_cumsum(x, 1, false, false), HZ_DIMS(2, 3), (double[]){1, 3, 6, 4, 9, 15}, 0);
    hz_tape_free(t);
}

/* ---- softmax ---- */

Test(softmax, is_exp_over_the_sum_of_exp) {
    static const double x[] = {1, 2, 3, -1, 0, 1};
    double p[6], logp[6], joint = 0;
    for (int k = 0; k < 6; k++) joint += exp(x[k]);
    for (int k = 0; k < 6; k++) {
        const double *row = x + k / 3 * 3;
        p[k] = exp(x[k]) / (exp(row[0]) + exp(row[1]) + exp(row[2]));
        logp[k] = log(p[k]);
    }
    hz_tape *t = hz_tape_new(NULL);
    hz_var v = given(t, HZ_F64, HZ_DIMS(2, 3), x);
    expect_values(hz_softmax(v, HZ_AXIS(1)), HZ_DIMS(2, 3), p, 1e-15);
    expect_values(hz_log_softmax(v, HZ_AXIS(-1)), HZ_DIMS(2, 3), logp, 1e-15);
    for (int k = 0; k < 6; k++) p[k] = exp(x[k]) / joint;
    expect_values(hz_softmax(v, HZ_ALL_AXES), HZ_DIMS(2, 3), p, 1e-15);
    hz_tape_free(t);
}

Test(softmax, huge_and_masked_logits) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(2, 3), (double[]){1e30, -1e30, 0, 0, -INFINITY, 0});
    expect_values(hz_softmax(x, HZ_AXIS(1)), HZ_DIMS(2, 3), (double[]){1, 0, 0, 0.5, 0, 0.5}, 0);
    hz_var y = given(t, HZ_F64, HZ_DIMS(2), (double[]){0, -2000});
    expect_values(hz_log_softmax(y, HZ_AXIS(0)), HZ_DIMS(2), (double[]){0, -2000}, 1e-15);
    hz_tape_free(t);
}

Test(softmax, adjoints_are_those_of_the_formulas) {
    static const double y[] = {0.2, 0.3, 0.5}, dy[] = {1, -2, 4};
    double dot = 0, sum = 0, d1[3], d2[3];
    for (int k = 0; k < 3; k++) dot += y[k] * dy[k], sum += dy[k];
    for (int k = 0; k < 3; k++) d1[k] = y[k] * (dy[k] - dot), d2[k] = dy[k] - exp(y[k]) * sum;
    hz_tape *t = hz_tape_new(NULL);
    hz_var a = given(t, HZ_F64, HZ_DIMS(3), y), b = given(t, HZ_F64, HZ_DIMS(3), dy);
    expect_values(hz_softmax_grad(a, b, HZ_AXIS(0)), HZ_DIMS(3), d1, 1e-15);
    expect_values(hz_log_softmax_grad(a, b, HZ_AXIS(0)), HZ_DIMS(3), d2, 1e-15);
    hz_softmax_grad(a, hz_scalar(t, HZ_F64, 1), HZ_AXIS(0));
    expect_error(t, HZ_ESHAPE, "softmax_grad: input 0 f64 [3] and input 1 f64 [] must be alike");
    hz_softmax(a, HZ_AXIS(1));
    expect_error(t, HZ_EINVAL, "softmax: axis 1 is outside rank 1");
    hz_tape_free(t);
}

/* ∂p_k/∂x_j = p_k·([j = k] − p_j) on the unit's row, 0 on others; so also when the sweep is boxed to the row. */
Test(softmax, gradient_of_one_unit_lives_on_its_row) {
    static const double x[] = {1, 2, 3, 4, 5, 7};
    double p[3], want[6] = {0}, sum = exp(4) + exp(5) + exp(7);
    for (int k = 0; k < 3; k++) p[k] = exp(x[3 + k]) / sum;
    for (int k = 0; k < 3; k++) want[3 + k] = p[2] * ((k == 2) - p[k]);
    hz_tape *t = hz_tape_new(NULL);
    hz_var v = given(t, HZ_F64, HZ_DIMS(2, 3), x);
    hz_var unit = hz_pick(hz_softmax(v, HZ_AXIS(1)), (int64_t[]){1, 2});
    for (int whole = 0; whole < 2; whole++) {
        hz_var dx;
        hz_grad(&unit, 1, &v, 1, &(hz_grad_opts){.whole = whole}, &dx);
        expect_values(dx, HZ_DIMS(2, 3), want, 1e-15);
    }
    hz_tape_free(t);
}

/* ---- dropout ---- */

Test(dropout, mask_is_a_function_of_seed_and_position) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_F64, HZ_DIMS(5, 20), 3);
    double want[100];
    for (int k = 0; k < 100; k++) want[k] = hz_random_uniform(11, 0, (uint64_t)k) < 0.25 ? 0 : 1 / 0.75;
    expect_values(hz_dropout_mask(x, 0.25, 11), HZ_DIMS(5, 20), want, 0);
    for (int k = 0; k < 100; k++) want[k] *= 3;
    expect_values(hz_dropout(x, 0.25, 11), HZ_DIMS(5, 20), want, 1e-15);
    hz_tape_free(t);
}

Test(dropout, drops_about_a_share_of_p_and_another_one_under_another_seed) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(10000), 1);
    hz_var a = hz_dropout(x, 0.3, 1), b = hz_dropout(x, 0.3, 2);
    int zeros = 0, differ = 0;
    for (int k = 0; k < 10000; k++) {
        zeros += hz_get_flat(hz_value(a), k) == 0;
        differ += hz_get_flat(hz_value(a), k) != hz_get_flat(hz_value(b), k);
    }
    cr_expect(zeros > 2800 && zeros < 3200, "%d", zeros);
    cr_expect(differ > 3900 && differ < 4500, "%d", differ); /* 2·0.3·0.7 */
    hz_tape_free(t);
}

Test(dropout, with_probability_zero_keeps_everything) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(1000), 1);
    cr_expect_eq(hz_item(hz_sum(hz_dropout(x, 0, 5), 0, false)), 1000);
    hz_tape_free(t);
}

Test(dropout, gradient_is_the_mask) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_full(t, HZ_F64, HZ_DIMS(50), 3);
    double want[50];
    for (int k = 0; k < 50; k++) want[k] = hz_random_uniform(4, 0, (uint64_t)k) < 0.5 ? 0 : 2;
    expect_values(gradient(hz_dropout(x, 0.5, 4), x), HZ_DIMS(50), want, 0);
    hz_tape_free(t);
}

Test(dropout, refuses_what_is_no_probability_below_one) {
    static const double bad[] = {1, -0.1, 1.5, NAN, INFINITY};
    for (int k = 0; k < 5; k++) {
        hz_tape *t = hz_tape_new(NULL);
        cr_expect_not(hz_ok(hz_dropout(hz_scalar(t, HZ_F32, 1), bad[k], 1)));
        expect_error(t, HZ_EINVAL, "is outside [0, 1)");
        hz_tape_free(t);
    }
}
