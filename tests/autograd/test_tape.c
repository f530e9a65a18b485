/* test_tape.c: recording, errors that stick, marks, memory in steady state.
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
TestSuite(tape, .init = set_up, .fini = tear_down);

static float six[6] = {1, -2, 3, -4, 5, -6};

static hz_var matrix(void) {
    hz_tensor x = hz_tensor_of(six, HZ_F32, HZ_DIMS(2, 3));
    return hz_input(t, &x);
}

Test(tape, a_leaf_borrows_the_callers_memory) {
    hz_var x = matrix();
    cr_assert_eq(hz_value(x)->data, six);
    cr_assert_eq(hz_node_of(x)->op, &hz_op_leaf);
}

Test(tape, copy_in_does_not_borrow) {
    float two[2] = {1, 2};
    hz_tensor v = hz_tensor_of(two, HZ_F32, HZ_DIMS(2));
    hz_var x = hz_copy_in(t, &v);
    two[0] = 9;
    cr_assert_eq(hz_get_flat(hz_value(x), 0), 1);
}

Test(tape, every_op_is_a_node_with_its_inputs) {
    hz_var x = matrix(), y = hz_relu(x);
    const hz_node *n = hz_node_of(y);
    cr_assert_eq(n->op, &hz_op_relu);
    cr_assert_eq(n->n_in, 1);
    cr_assert_eq(n->in[0].id, x.id);
    cr_assert_eq(n->out.id, y.id);
}

Test(tape, nodes_do_not_move_when_the_tape_grows) {
    hz_var x = matrix(), y = hz_relu(x);
    const hz_node *n = hz_node_of(y);
    for (int k = 0; k < 5000; k++) hz_relu(x);
    cr_assert_eq(n, hz_node_of(y));
    cr_assert_eq(hz_get_flat(&n->value, 4), 5);
}

Test(tape, the_first_error_sticks_and_later_ops_pass_through) {
    hz_var x = matrix();
    float four[4] = {0};
    hz_tensor other = hz_tensor_of(four, HZ_F32, HZ_DIMS(4));
    hz_var bad = hz_mul(x, hz_input(t, &other));
    hz_error err = {.code = HZ_OK};
    cr_assert_not(hz_ok(bad));
    cr_assert_not(hz_tape_ok(t, &err));
    cr_assert_eq(err.code, HZ_ESHAPE);
    cr_assert(strstr(err.text, "mul") && strstr(err.text, "[2,3]") && strstr(err.text, "[4]"), "%s",
              err.text);
    uint32_t size = hz_tape_size(t);
    cr_assert_not(hz_ok(hz_relu(x)));
    hz_tape_fail(t, HZ_EINVAL, "another one");
    hz_error again = {.code = HZ_OK};
    hz_tape_ok(t, &again);
    cr_assert_str_eq(again.text, err.text);
    cr_assert_eq(hz_tape_size(t), size);
}

Test(tape, an_error_names_the_scope_it_happened_in) {
    float four[4] = {0};
    hz_tensor other = hz_tensor_of(four, HZ_F32, HZ_DIMS(4));
    hz_scope_push(t, "fire2");
    hz_scope_push(t, "squeeze1x1");
    hz_mul(matrix(), hz_input(t, &other));
    hz_error err = {.code = HZ_OK};
    hz_tape_ok(t, &err);
    cr_assert_eq(strncmp(err.text, "mul \"fire2.squeeze1x1\": ", 24), 0, "%s", err.text);
}

Test(tape, variables_of_two_tapes_do_not_mix) {
    hz_tape *other = hz_tape_new(NULL);
    hz_tensor v = hz_tensor_of(six, HZ_F32, HZ_DIMS(2, 3));
    hz_var y = hz_mul(matrix(), hz_input(other, &v));
    cr_assert_not(hz_ok(y));
    cr_assert_not(hz_tape_ok(t, NULL));
    cr_assert(hz_tape_ok(other, NULL));
    hz_tape_free(other);
}

Test(tape, a_variable_that_was_rewound_is_refused) {
    hz_mark mark = hz_tape_mark(t);
    hz_var x = matrix();
    hz_tape_rewind(t, mark);
    cr_assert_not(hz_ok(x));
    cr_assert_not(hz_ok(hz_relu(x)));
    hz_error err = {.code = HZ_OK};
    cr_assert_not(hz_tape_ok(t, &err));
    cr_assert(strstr(err.text, "no longer on the tape"), "%s", err.text);
}

Test(tape, bad_shapes_from_outside_are_refused) {
    hz_tensor negative = hz_tensor_of(six, HZ_F32, HZ_DIMS(2, -3));
    cr_assert_not(hz_ok(hz_input(t, &negative)));
    hz_tape_reset(t);
    cr_assert_not(hz_ok(hz_full(t, HZ_F32, HZ_DIMS(INT64_MAX, 2), 0)));
    hz_tape_reset(t);
    cr_assert_not(hz_ok(hz_full(t, (hz_dtype)77, HZ_DIMS(2), 0)));
    hz_tape_reset(t);
    hz_tensor none = hz_tensor_of(NULL, HZ_F32, HZ_DIMS(2));
    cr_assert_not(hz_ok(hz_input(t, &none)));
}

Test(tape, rewind_forgets_values_names_and_scopes) {
    hz_var x = hz_name(matrix(), "x");
    hz_mark mark = hz_tape_mark(t);
    hz_scope_push(t, "deep");
    hz_name(hz_relu(x), "y");
    cr_assert(hz_ok(hz_lookup(t, "deep.y")));
    hz_tape_rewind(t, mark);
    cr_assert_not(hz_ok(hz_lookup(t, "deep.y")));
    cr_assert(hz_ok(hz_lookup(t, "x")));
    cr_assert(hz_ok(hz_lookup(t, "x")));
    hz_name(hz_relu(x), "z");
    cr_assert(hz_ok(hz_lookup(t, "z")), "the scope was rewound, too");
}

Test(tape, item_wants_one_element) {
    cr_assert(isnan(hz_item(matrix())));
    cr_assert_not(hz_tape_ok(t, NULL));
    hz_tape_reset(t);
    cr_assert_eq(hz_item(hz_scalar(t, HZ_F64, 2.5)), 2.5);
}

Test(tape, ten_thousand_steps_take_no_memory_after_the_first) {
    uint64_t after_first = 0;
    size_t held = 0;
    for (int step = 0; step < 10000; step++) {
        hz_var x = hz_name(matrix(), "x"), y = hz_relu(x);
        hz_var z = hz_sum(hz_mul(y, hz_mul(x, y)), HZ_ALL_AXES, false);
        cr_assert(hz_ok(hz_grad1(z, x, NULL)));
        hz_tape_reset(t);
        hz_pool_stats s = hz_pool_get_stats(hz_tape_pool(t));
        if (step == 1) after_first = s.allocated, held = s.held;
        cr_assert_eq(s.used, 0);
    }
    hz_pool_stats s = hz_pool_get_stats(hz_tape_pool(t));
    cr_assert_eq(s.allocated, after_first);
    cr_assert_eq(s.held, held);
}

/* ---- names ---- */

Test(tape, names_are_found_with_dots_or_slashes) {
    hz_scope_push(t, "fire2");
    hz_var x = hz_name(matrix(), "squeeze1x1");
    hz_scope_pop(t, "fire2");
    cr_assert_eq(hz_find(t, "fire2.squeeze1x1").id, x.id);
    cr_assert_eq(hz_find(t, "fire2/squeeze1x1").id, x.id);
    cr_assert_str_eq(hz_node_of(x)->name, "fire2.squeeze1x1");
}

Test(tape, a_variable_may_have_two_names_and_a_name_two_variables) {
    hz_var x = hz_name(hz_name(matrix(), "linear"), "logits");
    cr_assert_eq(hz_find(t, "linear").id, x.id);
    cr_assert_eq(hz_find(t, "logits").id, x.id);
    hz_var later = hz_name(hz_relu(x), "linear");
    cr_assert_eq(hz_find(t, "linear").id, later.id);
}

/* ---- names for later ---- */

typedef struct doubling {
    hz_var x;
    int *made; /* how often */
} doubling;

static hz_var make_double(hz_tape *tape, const void *data) {
    const doubling *d = data;
    (void)tape;
    ++*d->made;
    return hz_scale(d->x, 2);
}

Test(tape, what_is_named_for_later_is_made_when_it_is_looked_up) {
    int made = 0;
    doubling d = {matrix(), &made};
    hz_name_later(t, "double", make_double, &d, sizeof d);
    d.made = NULL; /* it was copied */
    uint32_t size = hz_tape_size(t);
    cr_assert_eq(made, 0);
    hz_var y = hz_find(t, "double");
    cr_assert_eq(made, 1);
    cr_assert_eq(y.id, size);
    cr_assert_eq(hz_get_flat(hz_value(y), 2), 6);
    cr_assert_str_eq(hz_node_of(y)->name, "double");
    cr_assert_eq(hz_lookup(t, "double").id, y.id);
    cr_assert_eq(made, 1);
}

Test(tape, what_was_named_for_later_outlives_a_rewind) {
    int made = 0;
    const doubling d = {matrix(), &made};
    hz_scope_push(t, "scope");
    hz_name_later(t, "double", make_double, &d, sizeof d);
    hz_scope_pop(t, "scope");
    hz_mark mark = hz_tape_mark(t);
    hz_var y;
    cr_assert_str_eq(hz_tape_name(t, 0, &y), "scope.double");
    cr_assert(hz_ok(y));
    hz_tape_rewind(t, mark);
    hz_name(hz_relu(d.x), "in its place");
    hz_var again = hz_find(t, "scope/double");
    cr_assert_eq(made, 2);
    cr_assert_eq(hz_get_flat(hz_value(again), 3), -8);
    hz_tape_reset(t);
    cr_assert_not(hz_ok(hz_lookup(t, "scope/double")));
}

Test(tape, a_later_name_that_cannot_be_made_says_why) {
    int made = 0;
    const doubling d = {matrix(), &made};
    hz_name_later(t, "double", make_double, &d, sizeof d);
    hz_tape_fail(t, HZ_EINVAL, "the first failure");
    cr_assert_not(hz_ok(hz_lookup(t, "double")));
    hz_tape_clear_error(t);
    cr_assert(hz_ok(hz_lookup(t, "double")));
}

Test(tape, an_empty_name_is_the_scope_itself) {
    hz_scope_push(t, "conv1");
    hz_var x = hz_name(matrix(), "");
    hz_scope_pop(t, "conv1");
    cr_assert_eq(hz_find(t, "conv1").id, x.id);
}

Test(tape, an_unknown_name_suggests_near_ones) {
    hz_name(matrix(), "fire9");
    hz_name(matrix(), "conv10");
    cr_assert_not(hz_ok(hz_lookup(t, "fier9")));
    cr_assert(hz_tape_ok(t, NULL), "lookup does not record");
    hz_find(t, "fier9");
    hz_error err = {.code = HZ_OK};
    cr_assert_not(hz_tape_ok(t, &err));
    cr_assert_eq(err.code, HZ_ENOTFOUND);
    cr_assert(strstr(err.text, "\"fire9\""), "%s", err.text);
}

Test(tape, popping_another_scope_than_was_pushed_is_an_error) {
    hz_scope_push(t, "layer1.0");
    hz_scope_pop(t, "layer1");
    cr_assert_not(hz_tape_ok(t, NULL));
}

Test(tape, scopes_with_dots_pop_whole) {
    hz_scope_push(t, "net");
    hz_scope_push(t, "layer1.0");
    hz_scope_pop(t, "layer1.0");
    hz_var x = hz_name(matrix(), "x");
    cr_assert_str_eq(hz_node_of(x)->name, "net.x");
}

Test(tape, a_rewind_gives_a_node_the_name_it_had_before) {
    hz_var x = hz_name(hz_scalar(t, HZ_F32, 1), "first"), y = hz_scalar(t, HZ_F32, 2);
    hz_mark mark = hz_tape_mark(t);
    hz_name(hz_name(x, "second"), "third");
    hz_name(y, "only");
    hz_tape_rewind(t, mark);
    cr_expect_str_eq(hz_node_of(x)->name, "first");
    cr_expect_null(hz_node_of(y)->name);
}
