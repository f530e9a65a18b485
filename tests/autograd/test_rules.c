/* test_rules.c: whom a rule is for, several rules in one call, coverage, and rules that match nothing.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include <criterion/criterion.h>

#include "autograd/internal.h"
#include "ops/ops.h"

static hz_tape *t;
static hz_var x, inner, outer, y;

/* y = Σ relu(relu(x) − 1) on x = (−1, 0.5, 3), the ReLUs named "fire2.relu_a" and "relu_b" */
static void set_up(void) {
    static double data[3] = {-1, 0.5, 3};
    hz_tensor v = hz_tensor_of(data, HZ_F64, HZ_DIMS(3));
    t = hz_tape_new(NULL);
    x = hz_name(hz_input(t, &v), "pixels");
    inner = hz_name(hz_relu(x), "fire2.relu_a");
    outer = hz_name(hz_relu(hz_affine(inner, 1, -1)), "relu_b");
    y = hz_sum(outer, HZ_ALL_AXES, false);
}
static void tear_down(void) {
    hz_tape_free(t);
}
TestSuite(rules, .init = set_up, .fini = tear_down);

static hz_var pass_all(const hz_node *n, int i, hz_var dy) {
    (void)n, (void)i;
    return dy;
}

static void expect_values(hz_var g, double a, double b, double c) {
    hz_error err = {.code = HZ_OK};
    cr_assert(hz_tape_ok(t, &err) && hz_ok(g), "%s", err.text);
    cr_expect_eq(hz_get_flat(hz_value(g), 0), a);
    cr_expect_eq(hz_get_flat(hz_value(g), 1), b);
    cr_expect_eq(hz_get_flat(hz_value(g), 2), c);
}

Test(rules, one_forward_pass_serves_any_number_of_rules) {
    expect_values(hz_grad1(y, x, NULL), 0, 0, 1);
    expect_values(hz_grad1(y, x, HZ_RULES({.op = &hz_op_relu, .vjp = pass_all})), 1, 1, 1);
    expect_values(hz_grad1(y, x, NULL), 0, 0, 1);
}

Test(rules, a_name_glob_picks_nodes) {
    expect_values(hz_grad1(y, x, HZ_RULES({.name = "fire*/relu*", .vjp = pass_all})), 0, 0, 1);
    expect_values(hz_grad1(y, x, HZ_RULES({.name = "relu_?", .vjp = pass_all})), 0, 1, 1);
}

Test(rules, a_glob_may_match_any_of_a_nodes_names) {
    hz_name(outer, "block1");
    expect_values(hz_grad1(y, x, HZ_RULES({.name = "relu_b", .vjp = pass_all})), 0, 1, 1);
    expect_values(hz_grad1(y, x, HZ_RULES({.name = "block?", .vjp = pass_all})), 0, 1, 1);
}

static bool is_second(const hz_node *n, const void *ctx) {
    return n->id == *(const uint32_t *)ctx;
}

Test(rules, a_predicate_picks_nodes) {
    expect_values(hz_grad1(y, x, HZ_RULES({.match = is_second, .ctx = &outer.id, .vjp = pass_all})), 0, 1, 1);
}

Test(rules, all_criteria_must_hold) {
    cr_assert_not(hz_ok(hz_grad1(y, x, HZ_RULES({.op = &hz_op_mul, .name = "relu_b", .vjp = pass_all}))));
}

static hz_var times_ctx(const hz_node *n, int i, hz_var dy) {
    (void)i;
    return hz_scale(dy, *(const double *)n->rule->ctx);
}

Test(rules, the_first_that_matches_wins_and_sees_its_context) {
    double two = 2, ten = 10;
    expect_values(hz_grad1(y, x,
                           HZ_RULES({.name = "relu_b", .vjp = times_ctx, .ctx = &ten},
                                    {.op = &hz_op_relu, .vjp = times_ctx, .ctx = &two})),
                  20, 20, 20);
}

Test(rules, coverage_counts_nodes_on_the_way) {
    hz_grad_report report;
    hz_var dx;
    hz_grad_opts opts = {.rules = HZ_RULES({.label = "mine", .name = "relu_b", .vjp = pass_all}),
                         .report = &report};
    cr_assert(hz_grad(&y, 1, &x, 1, &opts, &dx));
    cr_assert_eq(report.rule[0].matched, 1);
    cr_assert_eq(report.rule[0].of, 2);
    cr_assert_str_eq(report.text, "mine: 1 of 2 relu");
    opts.rules = hz_rules_named("guided");
    cr_assert(hz_grad(&y, 1, &x, 1, &opts, &dx));
    cr_assert_str_eq(report.text, "guided: 2 of 2 relu");
}

Test(rules, a_rule_that_matches_no_node_is_an_error) {
    cr_assert_not(hz_ok(hz_grad1(y, x, HZ_RULES({.label = "typo", .name = "fier*", .vjp = pass_all}))));
    hz_error err = {.code = HZ_OK};
    hz_tape_ok(t, &err);
    cr_assert(strstr(err.text, "typo") && strstr(err.text, "fier*"), "%s", err.text);
}

Test(rules, one_that_matches_only_elsewhere_is_not) {
    hz_grad_report report;
    hz_var half = hz_sum(hz_affine(inner, 1, -1), HZ_ALL_AXES, false), dx;
    hz_grad_opts opts = {.rules = HZ_RULES({.label = "late", .name = "relu_b", .vjp = pass_all}),
                         .report = &report};
    cr_assert(hz_grad(&half, 1, &x, 1, &opts, &dx));
    cr_assert_eq(report.rule[0].matched, 0);
}

Test(rules, one_that_is_left_nothing_by_those_before_it_is_not) {
    hz_grad_report report;
    const hz_rules *rules =
        HZ_RULES({.name = "*relu*", .vjp = pass_all}, {.op = &hz_op_relu, .vjp = pass_all});
    hz_var dx;
    cr_assert(hz_grad(&y, 1, &x, 1, &(hz_grad_opts){.rules = rules, .report = &report}, &dx));
    expect_values(dx, 1, 1, 1);
    cr_expect_eq(report.rule[0].matched, 2);
    cr_expect_eq(report.rule[1].matched, 0);
}

static hz_var from_another_tape(const hz_node *n, int i, hz_var dy) {
    (void)i, (void)dy;
    return *(const hz_var *)n->rule->ctx;
}

Test(rules, a_vjp_that_returns_a_variable_of_another_tape_is_refused) {
    hz_tape *other = hz_tape_new(NULL);
    const hz_var alike = hz_full(other, HZ_F64, HZ_DIMS(3), 1);
    hz_grad1(y, x, HZ_RULES({.op = &hz_op_relu, .vjp = from_another_tape, .ctx = &alike}));
    hz_error err = {.code = HZ_OK};
    cr_expect(!hz_tape_ok(t, &err) && strstr(err.text, "another tape"), "%s", err.text);
    hz_tape_free(other);
}

Test(rules, a_rule_without_a_vjp_is_refused) {
    cr_assert_not(hz_ok(hz_grad1(y, x, HZ_RULES({.op = &hz_op_relu}))));
}

Test(rules, a_rule_covers_a_relu_used_inline_and_twice) {
    hz_var once = hz_relu(x), twice = hz_add(once, hz_relu(hz_neg(once)));
    hz_grad_report report;
    hz_var z = hz_sum(twice, HZ_ALL_AXES, false), dx;
    hz_grad_opts opts = {.rules = HZ_RULES({.op = &hz_op_relu, .vjp = pass_all}), .report = &report};
    cr_assert(hz_grad(&z, 1, &x, 1, &opts, &dx));
    cr_assert_eq(report.rule[0].matched, 2);
    expect_values(dx, 0, 0, 0); /* 1 along one path, −1 along the other */
}

Test(rules, deconvnet_and_guided_as_published) {
    static double dy_data[4] = {-2, 3, -4, 5}, x_data[4] = {1, -1, -1, 1};
    static const double want[3][4] = {{-2, 0, 0, 5}, {0, 3, 0, 5}, {0, 0, 0, 5}};
    hz_tensor vx = hz_tensor_of(x_data, HZ_F64, HZ_DIMS(4)), vdy = hz_tensor_of(dy_data, HZ_F64, HZ_DIMS(4));
    hz_var (*family[3])(hz_var) = {hz_relu, hz_relu6, NULL};
    for (int f = 0; f < 3; f++)
        for (int rule = 0; rule < 3; rule++) {
            hz_var in = hz_input(t, &vx), dy = hz_input(t, &vdy), dx;
            hz_var out = family[f] ? family[f](in) : hz_clip(in, 0, 4);
            hz_grad_opts opts = {.dy = &dy, .rules = hz_rules_named(hz_rule_names[rule])};
            cr_assert(hz_grad(&out, 1, &in, 1, &opts, &dx));
            for (int k = 0; k < 4; k++) cr_expect_eq(hz_get_flat(hz_value(dx), k), want[rule][k]);
        }
}

Test(rules, relu6_stops_above_its_top_under_guided_but_not_under_deconvnet) {
    static double data[2] = {7, 5};
    hz_tensor v = hz_tensor_of(data, HZ_F64, HZ_DIMS(2));
    hz_var in = hz_input(t, &v), z = hz_sum(hz_relu6(in), HZ_ALL_AXES, false);
    hz_var guided = hz_grad1(z, in, hz_rules_named("guided")),
           deconv = hz_grad1(z, in, hz_rules_named("deconvnet"));
    cr_expect_eq(hz_get_flat(hz_value(guided), 0), 0);
    cr_expect_eq(hz_get_flat(hz_value(guided), 1), 1);
    cr_expect_eq(hz_get_flat(hz_value(deconv), 0), 1);
}

Test(rules, a_ruled_gradient_can_be_differentiated) {
    hz_var dx;
    hz_var z = hz_sum(hz_mul(outer, outer), HZ_ALL_AXES, false);
    hz_grad_opts opts = {.rules = hz_rules_named("guided"), .differentiable = true};
    cr_assert(hz_grad(&z, 1, &x, 1, &opts, &dx));
    expect_values(dx, 0, 0, 4);
    expect_values(hz_grad1(hz_sum(dx, HZ_ALL_AXES, false), x, NULL), 0, 0, 2);
}

/* A rule that looks at the mean of what it is given, and says so. */
static hz_var minus_mean(const hz_node *n, int i, hz_var dy) {
    (void)n, (void)i;
    return hz_sub(dy, hz_mean(dy, HZ_ALL_AXES, true));
}

Test(rules, a_whole_rule_is_never_given_a_crop) {
    hz_var unit = hz_pick(outer, (const int64_t[]){2});
    expect_values(hz_grad1(unit, inner, HZ_RULES({.name = "relu_b", .vjp = minus_mean, .whole = true})),
                  -1.0 / 3, -1.0 / 3, 1 - 1.0 / 3);
}

Test(rules, globs) {
    static const struct {
        const char *pattern, *name;
        bool match;
    } cases[] = {
        {"*", "", true},
        {"*", "anything", true},
        {"", "", true},
        {"", "a", false},
        {"a*c", "abc", true},
        {"a*c", "abcd", false},
        {"*b*", "abc", true},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"fire*/relu*", "fire2.relu_x", true},
        {"a.b", "a/b", true},
        {"[abc]x", "bx", true},
        {"[a-c]x", "dx", false},
        {"[!a-c]x", "dx", true},
        {"[!a-c]x", "bx", false},
        {"[abc", "a", false},
        {"*a*b*c", "xaybzc", true},
        {"*a*b*c", "xaybz", false},
        {"[]]", "]", true},
        {"**", "x", true},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
        cr_expect_eq(hz_glob(cases[k].pattern, cases[k].name), cases[k].match, "%s against %s",
                     cases[k].pattern, cases[k].name);
}
