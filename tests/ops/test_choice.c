/* test_choice.c: comparisons, where, astype.
 *
 * SPDX-License-Identifier: MIT */
#include "values.h"

typedef hz_var comparison(hz_var x, hz_var y);

/* ---- compare ---- */

Test(compare, says_what_c_says_for_every_dtype) {
    for (int d = 0; d < HZ_DTYPES; d++) {
        hz_tape *t = hz_tape_new(NULL);
        hz_var x = given(t, (hz_dtype)d, HZ_DIMS(3), (double[]){1, 2, 3});
        hz_var y = given(t, (hz_dtype)d, HZ_DIMS(3), (double[]){2, 2, 2});
        expect_values(hz_eq(x, y), HZ_DIMS(3), (double[]){0, 1, 0}, 0);
        expect_values(hz_ne(x, y), HZ_DIMS(3), (double[]){1, 0, 1}, 0);
        expect_values(hz_lt(x, y), HZ_DIMS(3), (double[]){1, 0, 0}, 0);
        expect_values(hz_le(x, y), HZ_DIMS(3), (double[]){1, 1, 0}, 0);
        expect_values(hz_gt(x, y), HZ_DIMS(3), (double[]){0, 0, 1}, 0);
        expect_values(hz_ge(x, y), HZ_DIMS(3), (double[]){0, 1, 1}, 0);
        cr_expect_eq(hz_value(hz_eq(x, y))->dtype, HZ_U8);
        hz_tape_free(t);
    }
}

Test(compare, with_nan_only_unequal_holds) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(2), (double[]){NAN, 1}), y = hz_full(t, HZ_F32, HZ_DIMS(2), NAN);
    comparison *const false_ones[] = {hz_eq, hz_lt, hz_le, hz_gt, hz_ge};
    for (int k = 0; k < 5; k++) expect_values(false_ones[k](x, y), HZ_DIMS(2), (double[]){0, 0}, 0);
    expect_values(hz_ne(x, y), HZ_DIMS(2), (double[]){1, 1}, 0);
    hz_tape_free(t);
}

Test(compare, broadcasts) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_I64, HZ_DIMS(2, 1), (double[]){1, 3}),
           y = given(t, HZ_I64, HZ_DIMS(3), (double[]){1, 2, 3});
    expect_values(hz_ge(x, y), HZ_DIMS(2, 3), (double[]){1, 0, 0, 1, 1, 1}, 0);
    hz_tape_free(t);
}

Test(compare, refuses_mixed_dtypes) {
    hz_tape *t = hz_tape_new(NULL);
    cr_expect_not(hz_ok(hz_lt(hz_scalar(t, HZ_F32, 0), hz_scalar(t, HZ_I32, 0))));
    expect_error(t, HZ_ESHAPE, "compare: ");
    hz_tape_free(t);
}

Test(compare, has_no_gradient) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_scalar(t, HZ_F64, 1), y = hz_astype(hz_gt(x, hz_scalar(t, HZ_F64, 0)), HZ_F64), dx;
    cr_expect_not(hz_grad(&y, 1, &x, 1, NULL, &dx));
    expect_error(t, HZ_EGRAD, "no path");
    hz_tape_free(t);
}

/* ---- where ---- */

Test(where, chooses_for_every_dtype) {
    for (int d = 0; d < HZ_DTYPES; d++) {
        hz_tape *t = hz_tape_new(NULL);
        hz_var c = given(t, HZ_U8, HZ_DIMS(2, 1), (double[]){0, 7});
        hz_var x = given(t, (hz_dtype)d, HZ_DIMS(3), (double[]){1, 2, 3});
        hz_var y = hz_scalar(t, (hz_dtype)d, 9);
        expect_values(hz_where(c, x, y), HZ_DIMS(2, 3), (double[]){9, 9, 9, 1, 2, 3}, 0);
        hz_tape_free(t);
    }
}

Test(where, condition_may_be_the_largest_of_the_three) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var c = given(t, HZ_U8, HZ_DIMS(2, 2), (double[]){1, 0, 0, 1});
    hz_var x = given(t, HZ_F64, HZ_DIMS(2), (double[]){1, 2}), y = hz_scalar(t, HZ_F64, -1);
    hz_var z = hz_where(c, x, y);
    expect_values(z, HZ_DIMS(2, 2), (double[]){1, -1, -1, 2}, 0);
    expect_values(gradient(z, x), HZ_DIMS(2), (double[]){1, 1}, 0);
    expect_values(gradient(z, y), 0, NULL, (double[]){2}, 0);
    hz_tape_free(t);
}

Test(where, nan_of_the_other_branch_stays_out_of_value_and_gradient) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var c = given(t, HZ_U8, HZ_DIMS(2), (double[]){1, 0});
    hz_var x = given(t, HZ_F64, HZ_DIMS(2), (double[]){1, NAN}),
           y = given(t, HZ_F64, HZ_DIMS(2), (double[]){NAN, 2});
    hz_var z = hz_where(c, x, y);
    expect_values(z, HZ_DIMS(2), (double[]){1, 2}, 0);
    expect_values(gradient(z, x), HZ_DIMS(2), (double[]){1, 0}, 0);
    expect_values(gradient(z, y), HZ_DIMS(2), (double[]){0, 1}, 0);
    hz_tape_free(t);
}

Test(where, refuses_what_does_not_fit) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var c = hz_full(t, HZ_U8, HZ_DIMS(2), 1), x = hz_full(t, HZ_F32, HZ_DIMS(2), 1);
    cr_expect_not(hz_ok(hz_where(x, x, x)));
    expect_error(t, HZ_ESHAPE, "where: the condition [2] is f32, not u8");
    hz_where(c, x, hz_scalar(t, HZ_F64, 0));
    expect_error(t, HZ_ESHAPE, "where: x [2] is f32 but y [] is f64");
    hz_where(c, x, hz_full(t, HZ_F32, HZ_DIMS(3), 1));
    expect_error(t, HZ_ESHAPE, "[3]");
    hz_where(hz_full(t, HZ_U8, HZ_DIMS(5), 1), x, x);
    expect_error(t, HZ_ESHAPE, "[5]");
    hz_tape_free(t);
}

/* ---- astype ---- */

Test(astype, converts_as_c_does_and_saturates) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(5), (double[]){-1.9, 1.9, 300, 1e30, NAN});
    expect_values(hz_astype(x, HZ_I32), HZ_DIMS(5), (double[]){-1, 1, 300, 2147483647, 0}, 0);
    expect_values(hz_astype(x, HZ_U8), HZ_DIMS(5), (double[]){0, 1, 255, 255, 0}, 0);
    hz_var f = hz_astype(x, HZ_F32);
    cr_expect_eq(hz_value(f)->dtype, HZ_F32);
    cr_expect_eq(hz_get_flat(hz_value(f), 0), (double)-1.9f);
    hz_tape_free(t);
}

Test(astype, to_the_same_dtype_copies_nothing) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F32, HZ_DIMS(3), (double[]){1, 2, 3}), y = hz_astype(x, HZ_F32);
    expect_values(y, HZ_DIMS(3), (double[]){1, 2, 3}, 0);
    cr_expect_eq(hz_value(y)->data, hz_value(x)->data);
    expect_values(gradient(y, x), HZ_DIMS(3), (double[]){1, 1, 1}, 0);
    hz_tape_free(t);
}

Test(astype, gradient_passes_between_floats_in_the_dtype_of_the_input) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2), (double[]){3, -4});
    hz_var dx = gradient(hz_square(hz_astype(x, HZ_F32)), x);
    cr_expect_eq(hz_value(dx)->dtype, HZ_F64);
    expect_values(dx, HZ_DIMS(2), (double[]){6, -8}, 0);
    hz_tape_free(t);
}

Test(astype, through_an_integer_the_gradient_is_zero) {
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = given(t, HZ_F64, HZ_DIMS(2), (double[]){3.5, -4});
    hz_var y = hz_astype(hz_astype(x, HZ_I32), HZ_F64);
    expect_values(gradient(hz_add(y, hz_scale(x, 2)), x), HZ_DIMS(2), (double[]){2, 2}, 0);
    hz_tape_free(t);
}

Test(astype, refuses_what_is_no_dtype) {
    hz_tape *t = hz_tape_new(NULL);
    cr_expect_not(hz_ok(hz_astype(hz_scalar(t, HZ_F32, 1), HZ_DTYPES)));
    expect_error(t, HZ_EINVAL, "astype: 5 is no dtype");
    hz_tape_free(t);
}
