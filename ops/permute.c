/* permute.c: the axes in another order; a view.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/geometry.h"

static bool permute_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_permute *perm = n->attr;
    return hz_view_permute(hz_in(n, 0), perm->axis, out, err);
}

/* Only for an x without memory, one that has no elements. */
static bool permute_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)n, (void)ex, (void)err;
    return true;
}

static hz_var permute_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    const hz_attr_permute *perm = n->attr;
    int inverse[HZ_MAX_RANK] = {0};
    for (int k = 0; k < n->value.rank; k++) inverse[perm->axis[k]] = k;
    return hz_permute(dy, inverse);
}

static bool permute_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    (void)i;
    const hz_attr_permute *perm = n->attr;
    for (int k = 0; k < n->value.rank; k++) {
        in->lo[perm->axis[k]] = out->lo[k];
        in->hi[perm->axis[k]] = out->hi[k];
    }
    return true;
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_permute(x[0], (const int[]){2, 0, 1});
}

static hz_var call_transpose(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_transpose(x[0], 0, -1);
}

static const hz_sample samples[] = {
    {"cycle", 1, {{.rank = 3, .dim = {2, 3, 4}}}, call, false},
    {"transpose", 1, {{.rank = 2, .dim = {3, 4}}}, call_transpose, false},
    {"empty", 1, {{.rank = 3, .dim = {2, 0, 4}}}, call, false},
};

const hz_op hz_op_permute = {.name = "permute",
                             .n_in = 1,
                             .flags = HZ_OP_VIEW,
                             .attr_size = sizeof(hz_attr_permute),
                             .shape = permute_shape,
                             .forward = permute_forward,
                             .vjp = permute_vjp,
                             .reach = permute_reach,
                             .samples = samples,
                             .n_samples = HZ__COUNT(samples)};

hz_var hz_permute(hz_var x, const int *perm) {
    hz_attr_permute p = {{0}};
    if (hz_ok(x))
        for (int k = 0; k < hz_value(x)->rank; k++) p.axis[k] = perm[k];
    return hz_apply1(&hz_op_permute, x, &p);
}

hz_var hz_transpose(hz_var x, int a, int b) {
    if (!hz_ok(x)) return x;
    int rank = hz_value(x)->rank, from = hz_axis(rank, a), to = hz_axis(rank, b);
    if (from < 0 || to < 0)
        return hz_tape_fail(x.tape, HZ_EINVAL, "transpose: axis %d is outside %s", from < 0 ? a : b,
                            hz_shape_str(hz_value(x)).s);
    int perm[HZ_MAX_RANK];
    for (int k = 0; k < rank; k++) perm[k] = k == from ? to : k == to ? from : k;
    return hz_permute(x, perm);
}
