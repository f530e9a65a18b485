/* test_rules.c: the gradient rules of the ReLU family.
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

TestSuite(rules, .init = open_tape, .fini = close_tape);

/* What the rule hands through y = f(x) for the cotangent dy. */
static void expect_through(hz_var y, hz_var x, hz_var dy, const char *rule, const double *want) {
    hz_var dx;
    hz_grad(&y, 1, &x, 1, &(hz_grad_opts){.dy = &dy, .rules = hz_rules_named(rule)}, &dx);
    expect_values(dx, HZ_DIMS(8), want, 0);
}

Test(rules, have_their_published_definitions) {
    hz_var x = given(t, HZ_F64, HZ_DIMS(8), (double[]){-1, -1, 0, 0, 2, 2, 7, 7});
    hz_var dy = given(t, HZ_F64, HZ_DIMS(8), (double[]){-3, 3, -3, 3, -3, 3, -3, 3});
    const double deconvnet[] = {0, 3, 0, 3, 0, 3, 0, 3};
    const double open[] = {0, 0, 0, 0, -3, 3, -3, 3}, open_guided[] = {0, 0, 0, 0, 0, 3, 0, 3};
    const double top[] = {0, 0, 0, 0, -3, 3, 0, 0}, top_guided[] = {0, 0, 0, 0, 0, 3, 0, 0};
    const struct {
        hz_var y;
        const double *gradient, *guided;
    } family[] = {
        {hz_relu(x), open, open_guided},
        {hz_relu6(x), top, top_guided},
        {hz_clip(x, 0, 5), top, top_guided},
        {hz_clip(x, 0, INFINITY), open, open_guided},
    };
    for (size_t k = 0; k < sizeof family / sizeof family[0]; k++) {
        expect_through(family[k].y, x, dy, "gradient", family[k].gradient);
        expect_through(family[k].y, x, dy, "deconvnet", deconvnet);
        expect_through(family[k].y, x, dy, "guided", family[k].guided);
    }
}

Test(rules, are_for_the_relu_family_alone) {
    hz_var x = hz_scalar(t, HZ_F64, 1);
    const hz_var relu[] = {hz_relu(x), hz_relu6(x), hz_clip(x, 0, 3)};
    const hz_var other[] = {hz_clip(x, -1, 1), hz_leaky_relu(x, 0.1), hz_maximum(x, x), hz_neg(x)};
    for (int k = 0; k < 3; k++) cr_expect(hz_is_relu(hz_node_of(relu[k]), NULL), "%d", k);
    for (int k = 0; k < 4; k++) cr_expect_not(hz_is_relu(hz_node_of(other[k]), NULL), "%d", k);
}

Test(rules, are_found_by_name) {
    int count = 0;
    while (hz_rule_names[count]) cr_expect(hz_rules_named(hz_rule_names[count++]));
    cr_expect_eq(count, 3);
    cr_expect_eq(hz_rules_named("gradient")->n, 0);
    cr_expect_eq(hz_rules_named("guided")->n, 1);
    cr_expect_str_eq(hz_rules_named("guided")->rule[0].label, "guided");
    cr_expect_str_eq(hz_rules_named("deconvnet")->rule[0].label, "deconvnet");
    cr_expect_null(hz_rules_named("Guided"));
    cr_expect_null(hz_rules_named(""));
}

/* x = 0 … 15 as 4×4; conv 1→2, 3×3 all ones, bias (−50, −75); ReLU; flatten; linear with 4 equal rows (1,1,1,1,1,−1,
 * −1,−1); ReLU; unit 0 */
static hz_var golden_unit(hz_var x) {
    double ones[18], rows[32];
    for (int k = 0; k < 18; k++) ones[k] = 1;
    for (int k = 0; k < 32; k++) rows[k] = k % 8 < 5 ? 1 : -1;
    hz_var w = given(t, HZ_F32, HZ_DIMS(2, 1, 3, 3), ones),
           b = given(t, HZ_F32, HZ_DIMS(2), (double[]){-50, -75});
    hz_var h = hz_flatten(hz_relu(hz_conv2d(x, w, b, NULL)), 1);
    hz_var y = hz_relu(hz_linear(h, given(t, HZ_F32, HZ_DIMS(4, 8), rows), hz_none(t)));
    hz_name(y, "top");
    return hz_unit(t, "top[0]");
}

Test(rules, golden_case_by_hand) {
    double image[16];
    for (int k = 0; k < 16; k++) image[k] = k;
    hz_var x = given(t, HZ_F32, HZ_DIMS(1, 1, 4, 4), image), unit = golden_unit(x);
    expect_values(hz_grad1(unit, x, hz_rules_named("gradient")), HZ_DIMS(1, 1, 4, 4),
                  (double[]){0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0}, 0);
    expect_values(hz_grad1(unit, x, hz_rules_named("guided")), HZ_DIMS(1, 1, 4, 4),
                  (double[]){0, 1, 1, 1, 1, 3, 3, 2, 1, 3, 3, 2, 1, 2, 2, 1}, 0);
    expect_values(hz_grad1(unit, x, hz_rules_named("deconvnet")), HZ_DIMS(1, 1, 4, 4),
                  (double[]){2, 3, 3, 1, 3, 5, 5, 2, 3, 5, 5, 2, 1, 2, 2, 1}, 0);
}
