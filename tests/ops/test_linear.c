/* test_linear.c: matmul and linear against loops, over ranks, broadcasts and strides.
 *
 * SPDX-License-Identifier: MIT */
#include "varied.h"

static hz_tape *t;

static void open_tape(void) {
    t = hz_tape_new(NULL);
}
static void close_tape(void) {
    hz_tape_free(t);
}

TestSuite(linear, .init = open_tape, .fini = close_tape);

/* Element idx of x, whose axes are the last of those idx has; stretched ones count as 0. */
static double broadcast_get(const hz_tensor *x, int rank, const int64_t *idx) {
    int64_t own[HZ_MAX_RANK];
    for (int k = 0; k < x->rank; k++) own[k] = x->dim[k] == 1 ? 0 : idx[k + rank - x->rank];
    return hz_get(x, own);
}

/* c[…,i,j] = Σ_p a[…,i,p]·b[…,p,j], the leading axes broadcast */
static void expect_product(hz_var c, hz_var a, hz_var b, double tol) {
    expect_ok(t);
    const hz_tensor *v = hz_value(c), *p = hz_value(a), *q = hz_value(b);
    int64_t inner = p->dim[p->rank - 1];
    for (int64_t k = 0; k < hz_numel(v); k++) {
        int64_t idx[HZ_MAX_RANK], at_a[HZ_MAX_RANK], at_b[HZ_MAX_RANK];
        hz_unravel(v, k, idx);
        memcpy(at_a, idx, sizeof idx);
        memcpy(at_b, idx, sizeof idx);
        double want = 0;
        for (int64_t m = 0; m < inner; m++) {
            at_a[v->rank - 1] = at_b[v->rank - 2] = m;
            want += broadcast_get(p, v->rank, at_a) * broadcast_get(q, v->rank, at_b);
        }
        cr_expect(alike(hz_get(v, idx), want, tol), "%s·%s at %s: %.9g, expected %.9g", hz_shape_str(p).s,
                  hz_shape_str(q).s, hz_dims_str(v->rank, idx).s, hz_get(v, idx), want);
    }
}

Test(linear, matmul_matches_loops_for_every_kind_of_batch) {
    static const struct {
        int rank_a;
        int64_t a[5];
        int rank_b;
        int64_t b[5];
        const char *shape;
    } cases[] = {
        {2, {3, 4}, 2, {4, 5}, "[3,5]"},
        {2, {1, 4}, 2, {4, 1}, "[1,1]"},
        {3, {6, 3, 4}, 2, {4, 5}, "[6,3,5]"},
        {2, {3, 4}, 3, {6, 4, 5}, "[6,3,5]"},
        {3, {6, 3, 4}, 3, {6, 4, 5}, "[6,3,5]"},
        {4, {2, 1, 3, 4}, 4, {1, 3, 4, 2}, "[2,3,3,2]"},
        {4, {2, 3, 2, 2}, 3, {3, 2, 4}, "[2,3,2,4]"},
        {5, {2, 1, 3, 2, 2}, 4, {2, 1, 2, 3}, "[2,2,3,2,3]"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
        for (int dtype = HZ_F32; dtype <= HZ_F64; dtype++) {
            hz_var a = varied(t, (hz_dtype)dtype, cases[k].rank_a, cases[k].a, 1);
            hz_var b = varied(t, (hz_dtype)dtype, cases[k].rank_b, cases[k].b, 2), c = hz_matmul(a, b);
            expect_ok(t);
            cr_expect_str_eq(hz_shape_str(hz_value(c)).s, cases[k].shape);
            expect_product(c, a, b, dtype == HZ_F32 ? 1e-5 : 1e-13);
        }
}

Test(linear, matmul_takes_any_strides) {
    hz_var x = varied(t, HZ_F64, HZ_DIMS(2, 3, 4, 5), 1), y = varied(t, HZ_F64, HZ_DIMS(3, 2, 5, 6), 2);
    hz_var turned = hz_permute(x, (const int[]){1, 0, 2, 3}), gaps = hz_slice(y, 3, 0, 3, 2);
    expect_product(hz_matmul(turned, gaps), turned, gaps, 1e-13);
    hz_var back = hz_flip(turned, 3), down = hz_flip(gaps, 2);
    expect_product(hz_matmul(back, down), back, down, 1e-13);
    hz_var wide = hz_broadcast_to(hz_slice(y, 0, 0, 1, 1), HZ_DIMS(3, 2, 5, 6));
    expect_product(hz_matmul(turned, wide), turned, wide, 1e-13);
}

Test(linear, vectors_multiply_as_in_numpy) {
    hz_var u = given(t, HZ_F64, HZ_DIMS(2), (double[]){2, 3});
    hz_var a = given(t, HZ_F64, HZ_DIMS(2, 2), (double[]){1, 10, 100, 1000});
    expect_values(hz_matmul(u, u), 0, NULL, (double[]){13}, 0);
    expect_values(hz_matmul(a, u), HZ_DIMS(2), (double[]){32, 3200}, 0);
    expect_values(hz_matmul(u, a), HZ_DIMS(2), (double[]){302, 3020}, 0);
}

Test(linear, sums_over_nothing_are_zero) {
    hz_var a = hz_full(t, HZ_F32, HZ_DIMS(2, 0), 1), b = hz_full(t, HZ_F32, HZ_DIMS(0, 3), 1);
    expect_values(hz_matmul(a, b), HZ_DIMS(2, 3), (double[]){0, 0, 0, 0, 0, 0}, 0);
    hz_var bias = given(t, HZ_F32, HZ_DIMS(3), (double[]){1, 2, 3});
    hz_var y = hz_linear(a, hz_transpose(b, 0, 1), bias);
    expect_values(y, HZ_DIMS(2, 3), (double[]){1, 2, 3, 1, 2, 3}, 0);
}

Test(linear, matmul_names_both_shapes) {
    hz_scope_push(t, "attention");
    hz_matmul(hz_full(t, HZ_F32, HZ_DIMS(2, 3), 0), hz_full(t, HZ_F32, HZ_DIMS(4, 5), 0));
    expect_error(t, HZ_ESHAPE,
                 "matmul \"attention\": [2,3] and [4,5] disagree on the inner extent (3 columns vs 4 rows)");
    hz_matmul(hz_full(t, HZ_F32, HZ_DIMS(2, 2, 3), 0), hz_full(t, HZ_F32, HZ_DIMS(3, 3, 5), 0));
    expect_error(t, HZ_ESHAPE, "do not broadcast");
    hz_matmul(hz_full(t, HZ_F32, HZ_DIMS(2, 3), 0), hz_scalar(t, HZ_F32, 1));
    expect_error(t, HZ_ESHAPE, "at least one axis");
    hz_matmul(hz_full(t, HZ_F32, HZ_DIMS(2, 3), 0), hz_full(t, HZ_F64, HZ_DIMS(3, 2), 0));
    expect_error(t, HZ_ESHAPE, "[2,3] is f32 and [3,2] is f64");
}

Test(linear, linear_is_rows_times_the_transposed_weight_plus_bias) {
    hz_var w = varied(t, HZ_F64, HZ_DIMS(3, 4), 1), b = varied(t, HZ_F64, HZ_DIMS(3), 2);
    const hz_var inputs[] = {varied(t, HZ_F64, HZ_DIMS(4), 3), varied(t, HZ_F64, HZ_DIMS(1, 4), 4),
                             varied(t, HZ_F64, HZ_DIMS(2, 5, 4), 5),
                             hz_permute(varied(t, HZ_F64, HZ_DIMS(4, 2, 3), 6), (const int[]){2, 1, 0})};
    for (size_t k = 0; k < sizeof inputs / sizeof inputs[0]; k++) {
        hz_var want = hz_matmul(inputs[k], hz_transpose(w, 0, 1));
        expect_same(hz_linear(inputs[k], w, hz_none(t)), want, 1e-13);
        expect_same(hz_linear(inputs[k], w, b), hz_add(want, b), 1e-13);
    }
}

Test(linear, gradient_of_one_output_stays_on_its_row) {
    hz_var x = varied(t, HZ_F64, HZ_DIMS(3, 4), 1), w = varied(t, HZ_F64, HZ_DIMS(5, 4), 2),
           b = varied(t, HZ_F64, HZ_DIMS(5), 3);
    const hz_var of[] = {x, w, b};
    expect_boxes_agree(hz_linear(x, w, b), (const int64_t[]){1, 3}, of, 3);
    hz_box support[3], want[3] = {{{1, 0}, {2, 4}}, {{3, 0}, {4, 4}}, {{3}, {4}}};
    hz_var one = hz_pick(hz_linear(x, w, b), (const int64_t[]){1, 3}), dx[3];
    cr_assert(hz_grad(&one, 1, of, 3, &(hz_grad_opts){.support = support}, dx));
    for (int k = 0; k < 3; k++) cr_expect(hz_box_equal(&support[k], &want[k], hz_value(of[k])->rank));
}

Test(linear, linear_says_what_disagrees) {
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(2, 512), 0), w = hz_full(t, HZ_F32, HZ_DIMS(10, 256), 0);
    hz_scope_push(t, "fc");
    hz_linear(x, w, hz_none(t));
    expect_error(t, HZ_ESHAPE,
                 "linear \"fc\": input [2,512] and weight [10,256] disagree on features (512 vs 256)");
    hz_linear(w, w, hz_full(t, HZ_F32, HZ_DIMS(9), 0));
    expect_error(t, HZ_ESHAPE, "bias [9] is not [10], one number for each row of weight [10,256]");
    hz_linear(x, x, hz_full(t, HZ_F64, HZ_DIMS(2), 0));
    expect_error(t, HZ_ESHAPE, "input is f32, weight f32, bias f64");
    hz_linear(x, hz_full(t, HZ_F32, HZ_DIMS(512), 0), hz_none(t));
    expect_error(t, HZ_ESHAPE, "weight [512] (out, in)");
}
