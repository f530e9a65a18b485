/* cumsum.c: running sum along one axis, y_k = Σ x_j over j ≤ k; exclusive: over j < k; reverse: from the end.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/reduction.h"

static hz_axes mask_of(const hz_node *n) {
    const hz_attr_cumsum *a = n->attr;
    return (hz_axes)1 << hz_axis(n->value.rank, a->axis);
}

static bool cumsum_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_cumsum *a = n->attr;
    if (!hz_shape_float(n, out, err)) return false;
    if (hz_axis(out->rank, a->axis) < 0)
        return hz_fail(err, HZ_EINVAL, "axis %d is outside rank %d", a->axis, (int)out->rank);
    return true;
}

static bool cumsum_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_attr_cumsum *a = n->attr;
    const hz_tensor *x = hz_in(n, 0);
    return hz_cumsum_map(ex, x, hz_axis(x->rank, a->axis), a->exclusive, a->reverse, &n->value, err);
}

/* dx = running sum of dy from the other end */
static hz_var cumsum_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_cumsum *a = n->attr;
    (void)i;
    return hz_cumsum(dy, a->axis, a->exclusive, !a->reverse);
}

static bool cumsum_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    hz__reduced_reach(hz_in(n, i), mask_of(n), true, out, in);
    return true;
}

static bool cumsum_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr) {
    (void)in, (void)attr;
    return hz__covers(out, &n->value, mask_of(n));
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_cumsum(x[0], -1, false, false);
}

static hz_var call_exclusive(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_cumsum(x[0], 0, true, false);
}

static hz_var call_reverse(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_cumsum(x[0], 1, false, true);
}

static hz_var call_exclusive_reverse(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_cumsum(x[0], 0, true, true);
}

static const hz_sample samples[] = {
    {"rows", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"columns, exclusive", 1, {{.rank = 2, .dim = {3, 2}}}, call_exclusive, false},
    {"middle axis, reverse", 1, {{.rank = 3, .dim = {2, 3, 2}}}, call_reverse, false},
    {"exclusive, reverse", 1, {{.rank = 1, .dim = {5}}}, call_exclusive_reverse, false},
    {"one element", 1, {{.rank = 1, .dim = {1}}}, call, false},
    {"no rows", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
    {"rows without elements", 1, {{.rank = 2, .dim = {3, 0}}}, call, false},
};

const hz_op hz_op_cumsum = {.name = "cumsum",
                            .n_in = 1,
                            .attr_size = sizeof(hz_attr_cumsum),
                            .shape = cumsum_shape,
                            .forward = cumsum_forward,
                            .vjp = cumsum_vjp,
                            .reach = cumsum_reach,
                            .crop = cumsum_crop,
                            .samples = samples,
                            .n_samples = HZ__COUNT(samples)};

hz_var hz_cumsum(hz_var x, int axis, bool exclusive, bool reverse) {
    return hz_apply1(&hz_op_cumsum, x,
                     &(hz_attr_cumsum){.axis = axis, .exclusive = exclusive, .reverse = reverse});
}
