/* argmax.c: index (i64) of the first maximum, or minimum, along one axis; a NaN wins. No gradient.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/reduction.h"

static hz_axes mask_of(const hz_node *n) {
    const hz_attr_argmax *a = n->attr;
    return (hz_axes)1 << hz_axis(hz_in(n, 0)->rank, a->axis);
}

static bool argmax_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_argmax *a = n->attr;
    const hz_tensor *x = hz_in(n, 0);
    if (!hz_shape_float(n, out, err)) return false;
    int axis = hz_axis(x->rank, a->axis);
    if (axis < 0) return hz_fail(err, HZ_EINVAL, "axis %d is outside rank %d", a->axis, (int)x->rank);
    hz__reduced_shape(x, mask_of(n), a->keep, out);
    if (x->dim[axis] == 0 && hz_numel(out) > 0)
        return hz_fail(err, HZ_ESHAPE, "axis %d of %s has no elements to choose from", a->axis,
                       hz_shape_str(x).s);
    out->dtype = HZ_I64;
    return true;
}

static bool argmax_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_attr_argmax *a = n->attr;
    const hz_tensor *x = hz_in(n, 0);
    hz_tensor kept = n->value;
    hz__reduced_shape(x, mask_of(n), true, &kept);
    hz_tensor_set_contiguous(&kept);
    return hz_arg_extreme(ex, a->sign, x, hz_axis(x->rank, a->axis), &kept, err);
}

static bool argmax_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    const hz_attr_argmax *a = n->attr;
    hz__reduced_reach(hz_in(n, i), mask_of(n), a->keep, out, in);
    return true;
}

/* The index as a factor. */
static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    hz_var place = hz_argmax(x[0], -1, true);
    return hz_mul(x[0], hz_add_scalar(hz_astype(place, hz_value(x[0])->dtype), 1));
}

static hz_var call_min(hz_tape *t, const hz_var *x) {
    (void)t;
    hz_var place = hz_argmin(x[0], 0, false);
    return hz_mul(x[0], hz_add_scalar(hz_astype(place, hz_value(x[0])->dtype), 1));
}

static const hz_sample samples[] = {
    {"along rows, kept", 1, {{.rank = 2, .dim = {3, 4}, .distinct = true}}, call, false},
    {"minimum of columns, dropped", 1, {{.rank = 2, .dim = {3, 4}, .distinct = true}}, call_min, false},
    {"no rows", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_argmax = {.name = "argmax",
                            .n_in = 1,
                            .flags = HZ_OP_KINKS,
                            .attr_size = sizeof(hz_attr_argmax),
                            .shape = argmax_shape,
                            .forward = argmax_forward,
                            .reach = argmax_reach,
                            .samples = samples,
                            .n_samples = HZ__COUNT(samples)};

hz_var hz_argmax(hz_var x, int axis, bool keep) {
    return hz_apply1(&hz_op_argmax, x, &(hz_attr_argmax){.axis = axis, .sign = 1, .keep = keep});
}

hz_var hz_argmin(hz_var x, int axis, bool keep) {
    return hz_apply1(&hz_op_argmax, x, &(hz_attr_argmax){.axis = axis, .sign = -1, .keep = keep});
}
