/* test_index.c: gather, scatter_add, their elementwise kin, embedding and one_hot.
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

TestSuite(index, .init = open_tape, .fini = close_tape);

Test(index, gather_puts_the_axes_of_the_index_in_place_of_one) {
    hz_var x = given(t, HZ_F64, HZ_DIMS(2, 3), (double[]){0, 1, 2, 10, 11, 12});
    hz_var index = given(t, HZ_I64, HZ_DIMS(2, 2), (double[]){0, 2, -1, -3});
    expect_values(hz_gather(x, 1, index), HZ_DIMS(2, 2, 2), (double[]){0, 2, 2, 0, 10, 12, 12, 10}, 0);
    hz_var row = given(t, HZ_I32, 0, NULL, (double[]){-1});
    expect_values(hz_gather(x, -2, row), HZ_DIMS(3), (double[]){10, 11, 12}, 0);
}

Test(index, gather_adds_up_the_gradients_of_a_place) {
    hz_var x = given(t, HZ_F64, HZ_DIMS(2, 3), (double[]){0, 1, 2, 10, 11, 12});
    hz_var index = given(t, HZ_I64, HZ_DIMS(4), (double[]){0, 2, -1, 2});
    expect_values(gradient(hz_gather(x, 1, index), x), HZ_DIMS(2, 3), (double[]){1, 0, 3, 1, 0, 3}, 0);
}

Test(index, embedding_looks_rows_up) {
    hz_var table = given(t, HZ_F32, HZ_DIMS(3, 2), (double[]){0, 1, 10, 11, 20, 21});
    hz_var index = given(t, HZ_I32, HZ_DIMS(1, 2), (double[]){2, 0});
    expect_values(hz_embedding(table, index), HZ_DIMS(1, 2, 2), (double[]){20, 21, 0, 1}, 0);
    expect_values(gradient(hz_embedding(table, index), table), HZ_DIMS(3, 2), (double[]){1, 1, 0, 0, 1, 1},
                  0);
}

/* ⟨gather(x), v⟩ = ⟨x, scatter(v)⟩ */
Test(index, scatters_are_the_adjoints_of_gathers) {
    hz_var x = varied(t, HZ_F64, HZ_DIMS(3, 4, 2), 1), v = varied(t, HZ_F64, HZ_DIMS(3, 2, 3, 2), 2);
    hz_var index = given(t, HZ_I64, HZ_DIMS(2, 3), (double[]){0, 3, -1, 1, 1, -4});
    cr_expect(alike(dot(hz_gather(x, 1, index), v), dot(x, hz_scatter_add(index, v, 1, 4)), 1e-14));
    hz_var each = given(t, HZ_I64, HZ_DIMS(3, 1, 2), (double[]){0, 3, -1, 1, 1, -4}),
           u = varied(t, HZ_F64, HZ_DIMS(3, 1, 2), 3);
    cr_expect(
        alike(dot(hz_gather_elements(x, 1, each), u), dot(x, hz_scatter_elements(each, u, 1, 4)), 1e-14));
    expect_ok(t);
}

Test(index, gather_elements_takes_one_for_each) {
    hz_var x = given(t, HZ_F64, HZ_DIMS(3, 2), (double[]){0, 1, 10, 11, 20, 21});
    hz_var index = given(t, HZ_I64, HZ_DIMS(2, 1), (double[]){1, -1});
    expect_values(hz_gather_elements(x, 1, index), HZ_DIMS(2, 1), (double[]){1, 11}, 0);
    expect_values(gradient(hz_gather_elements(x, 1, index), x), HZ_DIMS(3, 2), (double[]){0, 1, 0, 1, 0, 0},
                  0);
    expect_values(hz_gather_elements(x, 0, index), HZ_DIMS(2, 1), (double[]){10, 20}, 0);
}

Test(index, one_hot_marks_the_index) {
    hz_var index = given(t, HZ_I32, HZ_DIMS(2), (double[]){2, -3});
    expect_values(hz_one_hot(index, 3, HZ_F32), HZ_DIMS(2, 3), (double[]){0, 0, 1, 1, 0, 0}, 0);
    cr_expect_eq(hz_value(hz_one_hot(index, 3, HZ_U8))->dtype, HZ_U8);
}

Test(index, an_index_outside_is_named) {
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(2, 3), 0),
           index = given(t, HZ_I64, HZ_DIMS(2, 2), (double[]){0, 1, 3, 0});
    hz_scope_push(t, "tokens");
    hz_gather(x, 1, index);
    expect_error(t, HZ_EINVAL, "gather \"tokens\": index 3 at [1,0] lies outside an axis of extent 3");
    hz_scatter_add(index, hz_full(t, HZ_F32, HZ_DIMS(2, 2), 0), 0, 3);
    expect_error(t, HZ_EINVAL, "scatter_add \"tokens\": index 3 at [1,0]");
    hz_one_hot(index, 2, HZ_F32);
    expect_error(t, HZ_EINVAL, "one_hot \"tokens\": index 3 at [1,0]");
}

Test(index, says_what_else_is_wrong) {
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(2, 3), 0), index = hz_full(t, HZ_I64, HZ_DIMS(4), 0);
    hz_gather(x, 2, index);
    expect_error(t, HZ_EINVAL, "gather: axis 2 is outside [2,3]");
    hz_gather(x, 0, x);
    expect_error(t, HZ_ESHAPE, "indices must be i32 or i64, not f32");
    hz_gather_elements(x, -3, index);
    expect_error(t, HZ_EINVAL, "gather_elements: axis -3 is outside [2,3]");
    hz_gather_elements(x, 0, index);
    expect_error(t, HZ_ESHAPE, "disagree on rank (1 vs 2)");
    hz_scatter_add(index, x, 0, 5);
    expect_error(t, HZ_ESHAPE,
                 "scatter_add: source [2,3] is not [4,3], what indices [4] at axis 0 of [5,3] give");
    hz_scatter_add(index, x, 2, 5);
    expect_error(t, HZ_ESHAPE, "source f32 [2,3] has no place for indices [4] at axis 2");
    hz_scatter_elements(index, x, 0, 5);
    expect_error(t, HZ_ESHAPE, "source f32 [2,3], of floats, and indices [4] must have one shape");
    hz_embedding(index, index);
    expect_error(t, HZ_ESHAPE, "embedding: table [4] must be (V, D)");
    hz_one_hot(x, 3, HZ_F32);
    expect_error(t, HZ_ESHAPE, "one_hot: indices must be i32 or i64, not f32");
    hz_one_hot(index, -1, HZ_F32);
    expect_error(t, HZ_ESHAPE, "negative extent");
}
