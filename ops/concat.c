/* concat.c: tensors one after the other along an axis; stack does so along a new one.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/geometry.h"

#include <inttypes.h>

static int axis_of(const hz_node *n) {
    return hz_axis(hz_in(n, 0)->rank, ((const hz_attr_concat *)n->attr)->axis);
}

/* Where input i begins along the axis. */
static int64_t offset_of(const hz_node *n, int i) {
    int axis = axis_of(n);
    int64_t offset = 0;
    for (int j = 0; j < i; j++) offset += hz_in(n, j)->dim[axis];
    return offset;
}

static bool fits(const hz_node *n, int i, int axis, hz_error *err) {
    const hz_tensor *first = hz_in(n, 0), *x = hz_in(n, i);
    if (x->rank != first->rank)
        return hz_fail(err, HZ_ESHAPE, "input 0 %s and input %d %s disagree on the rank (%d vs %d)",
                       hz_shape_str(first).s, i, hz_shape_str(x).s, first->rank, x->rank);
    if (x->dtype != first->dtype)
        return hz_fail(err, HZ_ESHAPE, "input 0 is %s and input %d is %s", hz_dtype_name(first->dtype), i,
                       hz_dtype_name(x->dtype));
    for (int k = 0; k < x->rank; k++)
        if (k != axis && x->dim[k] != first->dim[k])
            return hz_fail(err, HZ_ESHAPE,
                           "along axis %d, input 0 %s and input %d %s disagree on axis %d (%" PRId64
                           " vs %" PRId64 ")",
                           axis, hz_shape_str(first).s, i, hz_shape_str(x).s, k, first->dim[k], x->dim[k]);
    return true;
}

static bool concat_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *first = hz_in(n, 0);
    int axis = axis_of(n);
    if (axis < 0)
        return hz_fail(err, HZ_EINVAL, "axis %d is outside input 0 %s",
                       ((const hz_attr_concat *)n->attr)->axis, hz_shape_str(first).s);
    hz_tensor all = hz_tensor_of(NULL, first->dtype, first->rank, first->dim);
    for (int i = 1; i < n->n_in; i++) {
        if (!fits(n, i, axis, err)) return false;
        int64_t more = hz_in(n, i)->dim[axis];
        if (more > INT64_MAX - all.dim[axis])
            return hz_fail(err, HZ_ESHAPE, "axis %d of the result is too long", axis);
        all.dim[axis] += more;
    }
    if (!hz_shape_check(NULL, all.dtype, all.rank, all.dim, err)) return false;
    *out = all;
    return true;
}

static bool concat_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    int axis = axis_of(n);
    int64_t offset = 0;
    for (int i = 0; i < n->n_in; i++) {
        const hz_tensor *x = hz_in(n, i);
        hz_tensor part;
        if (!hz_view_slice(&n->value, axis, offset, x->dim[axis], 1, &part, err)) return false;
        hz_copy(ex, x, &part);
        offset += x->dim[axis];
    }
    return true;
}

static hz_var concat_vjp(const hz_node *n, int i, hz_var dy) {
    int axis = axis_of(n);
    return hz_slice(dy, axis, offset_of(n, i), hz_in(n, i)->dim[axis], 1);
}

/* The part of the box that lies in input i: nothing for inputs that the box does not touch. */
static bool concat_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    int axis = axis_of(n);
    int64_t offset = offset_of(n, i), extent = hz_in(n, i)->dim[axis];
    int64_t lo = out->lo[axis] - offset, hi = out->hi[axis] - offset;
    *in = *out;
    in->lo[axis] = lo < 0 ? 0 : lo > extent ? extent : lo;
    in->hi[axis] = hi < 0 ? 0 : hi > extent ? extent : hi;
    return true;
}

static hz_var call_channels(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_concat(x, 3, 1);
}

static hz_var call_last(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_concat(x, 2, -1);
}

static hz_var call_twice(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_concat((const hz_var[]){x[0], x[0]}, 2, 0);
}

static hz_var call_stack(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_stack(x, 2, 1);
}

static const hz_sample samples[] = {
    {"channels",
     3,
     {{.rank = 4, .dim = {2, 1, 2, 2}}, {.rank = 4, .dim = {2, 3, 2, 2}}, {.rank = 4, .dim = {2, 2, 2, 2}}},
     call_channels,
     false},
    {"last axis, one of them empty",
     2,
     {{.rank = 2, .dim = {3, 0}}, {.rank = 2, .dim = {3, 2}}},
     call_last,
     false},
    {"the same one twice", 1, {{.rank = 2, .dim = {2, 3}}}, call_twice, false},
    {"stack", 2, {{.rank = 2, .dim = {2, 3}}, {.rank = 2, .dim = {2, 3}}}, call_stack, false},
};

const hz_op hz_op_concat = {.name = "concat",
                            .n_in = HZ_VARIADIC,
                            .attr_size = sizeof(hz_attr_concat),
                            .shape = concat_shape,
                            .forward = concat_forward,
                            .vjp = concat_vjp,
                            .reach = concat_reach,
                            .samples = samples,
                            .n_samples = HZ__COUNT(samples)};

hz_var hz_concat(const hz_var *x, int n, int axis) {
    return hz_apply(&hz_op_concat, x, n, &(hz_attr_concat){.axis = axis});
}

hz_var hz_stack(const hz_var *x, int n, int axis) {
    if (n < 1 || !hz_ok(x[0])) return n < 1 ? (hz_var){NULL, 0} : x[0];
    hz_tape *t = x[0].tape;
    hz_block *scratch = hz_pool_get(hz_tape_exec(t)->pool, (size_t)n * sizeof *x);
    if (!scratch) return hz_tape_fail(t, HZ_ENOMEM, "stack: no memory for a list of %d inputs", n);
    hz_var *layer = scratch->data;
    for (int i = 0; i < n; i++) layer[i] = hz_unsqueeze(x[i], axis);
    hz_var y = hz_concat(layer, n, axis);
    hz_block_unref(scratch);
    return y;
}
