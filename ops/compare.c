/* compare.c: z = 1 where x ∘ y holds, else 0, as u8; ∘ is one of = ≠ < ≤ > ≥, kept in the attributes. x and y are of one
 * dtype, any, and broadcast. Comparisons with NaN are false, ≠ is true. No gradient.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool compare_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    if (!hz_shape_broadcast(n, out, err)) return false;
    out->dtype = HZ_U8;
    return true;
}

static bool compare_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    const hz_comparison *relation = n->attr;
    hz_tensor x = hz__stretched(n, 0), y = hz__stretched(n, 1);
    hz_compare(ex, *relation, &x, &y, &n->value);
    return true;
}

static hz_var compare(hz_var x, hz_var y, hz_comparison relation) {
    return hz_apply2(&hz_op_compare, x, y, &relation);
}

/* ---- samples: a factor of 1 or 2, as the comparison says ---- */

static hz_var times(hz_var truth, hz_var x) {
    return hz_mul(hz_add_scalar(hz_astype(truth, hz_value(x)->dtype), 1), x);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    return times(hz_gt(x[0], hz_scalar(t, hz_value(x[0])->dtype, 0)), x[0]);
}

static hz_var call_between(hz_tape *t, const hz_var *x) {
    (void)t;
    return times(hz_le(x[0], x[1]), hz_mul(x[0], x[1]));
}

static const hz_sample samples[] = {
    {"with a number", 1, {{.rank = 2, .dim = {3, 4}, .kink = {0}, .n_kinks = 1}}, call, false},
    {"broadcast both ways",
     2,
     {{.rank = 2, .dim = {3, 1}, .kink = {0}, .n_kinks = 1, .margin = 0.5},
      {.rank = 1, .dim = {4}, .lo = -0.4, .hi = 0.4}},
     call_between,
     false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_compare = {.name = "compare",
                             .n_in = 2,
                             .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                             .attr_size = sizeof(hz_comparison),
                             .shape = compare_shape,
                             .forward = compare_forward,
                             .samples = samples,
                             .n_samples = HZ__COUNT(samples)};

hz_var hz_eq(hz_var x, hz_var y) {
    return compare(x, y, HZ_EQ);
}

hz_var hz_ne(hz_var x, hz_var y) {
    return compare(x, y, HZ_NE);
}

hz_var hz_lt(hz_var x, hz_var y) {
    return compare(x, y, HZ_LT);
}

hz_var hz_le(hz_var x, hz_var y) {
    return compare(x, y, HZ_LE);
}

hz_var hz_gt(hz_var x, hz_var y) {
    return compare(x, y, HZ_GT);
}

hz_var hz_ge(hz_var x, hz_var y) {
    return compare(x, y, HZ_GE);
}
