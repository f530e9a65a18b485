/* test_explain.c: why a gradient is zero, where the first NaN came from, and the graph as text.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "ops/ops.h"

static hz_tape *t;
static hz_zero_report report;

static void set_up(void) {
    t = hz_tape_new(NULL);
}
static void tear_down(void) {
    hz_tape_free(t);
}
TestSuite(explain, .init = set_up, .fini = tear_down);

static hz_var leaf(double *p, int64_t n) {
    hz_tensor v = hz_tensor_of(p, HZ_F64, 1, &n);
    return hz_name(hz_input(t, &v), "pixels");
}

Test(explain, a_gradient_that_is_not_zero) {
    double d[2] = {1, 2};
    hz_var x = leaf(d, 2);
    cr_assert(hz_explain_zero(hz_sum(hz_relu(x), HZ_ALL_AXES, false), x, NULL, &report));
    cr_assert_eq(report.reason, HZ_NOT_ZERO);
}

Test(explain, a_dead_unit) {
    double d[2] = {-1, 2};
    hz_var x = leaf(d, 2), h = hz_name(hz_relu(x), "relu_conv1");
    cr_assert(hz_explain_zero(hz_pick(h, (const int64_t[]){0}), x, NULL, &report));
    cr_assert_eq(report.reason, HZ_DEAD_UNIT, "%s", report.text);
    cr_assert_eq(report.blocked_at, h.id);
    cr_assert(strstr(report.text, "relu_conv1"), "%s", report.text);
}

Test(explain, blocked_further_down_names_the_relu) {
    double d[2] = {-1, -2};
    hz_var x = leaf(d, 2), h = hz_name(hz_relu(x), "first");
    hz_var y = hz_sum(hz_relu(hz_add_scalar(hz_scale(h, 2), 1)), HZ_ALL_AXES, false);
    uint32_t before = hz_tape_size(t);
    cr_assert(hz_explain_zero(y, x, NULL, &report));
    cr_assert_eq(report.reason, HZ_BLOCKED, "%s", report.text);
    cr_assert_eq(report.blocked_at, h.id);
    cr_assert(strstr(report.text, "\"first\""), "%s", report.text);
    cr_assert_eq(hz_tape_size(t), before);
}

Test(explain, no_path) {
    double d[2] = {1, 2};
    hz_var x = leaf(d, 2), y = hz_sum(hz_full(t, HZ_F64, HZ_DIMS(2), 1), HZ_ALL_AXES, false);
    cr_assert(hz_explain_zero(y, x, NULL, &report));
    cr_assert_eq(report.reason, HZ_NO_PATH);
    cr_assert(hz_tape_ok(t, NULL));
}

Test(explain, the_answer_depends_on_the_rule) {
    double d[1] = {-1};
    hz_var x = leaf(d, 1), y = hz_sum(hz_relu(x), HZ_ALL_AXES, false);
    cr_assert(hz_explain_zero(y, x, hz_rules_named("deconvnet"), &report));
    cr_assert_eq(report.reason, HZ_NOT_ZERO);
}

Test(explain, the_first_nan_is_found_where_it_was_made) {
    double d[3] = {1, 0, -2};
    hz_error what = {.code = HZ_OK};
    hz_var x = leaf(d, 3), bad = hz_name(hz_log(x), "log_p");
    hz_exp(hz_neg(bad));
    hz_var found = hz_find_nonfinite(t, &what);
    cr_assert_eq(found.id, bad.id);
    cr_assert(strstr(what.text, "log_p") && strstr(what.text, "infinity") && strstr(what.text, "[1]"), "%s",
              what.text);
}

Test(explain, all_finite_finds_nothing) {
    double d[2] = {1, 2};
    hz_exp(leaf(d, 2));
    cr_assert_not(hz_ok(hz_find_nonfinite(t, NULL)));
}

Test(explain, the_graph_as_text_shows_what_a_variable_depends_on) {
    double d[2] = {1, 2};
    hz_var x = leaf(d, 2), y = hz_name(hz_relu(x), "a \"quoted\" name"), other = hz_exp(x);
    (void)other;
    char *all = hz_graph_dot(t, hz_none(t)), *part = hz_graph_dot(t, y);
    cr_assert(strstr(all, "exp") && strstr(all, "pixels") && strstr(all, "a \\\"quoted\\\" name"), "%s", all);
    cr_assert(strstr(part, "relu") && !strstr(part, "exp"), "%s", part);
    free(all);
    free(part);
}
