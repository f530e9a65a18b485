/* slice.c: elements start, start + step, … (count of them) along one axis; a view. Its adjoint is slice_grad. Also
 * flip, and pick, which takes one element.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/geometry.h"

static bool slice_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_slice *s = n->attr;
    return hz_view_slice(hz_in(n, 0), s->axis, s->start, s->count, s->step, out, err);
}

/* Only for an x without memory, one that has no elements. */
static bool slice_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)n, (void)ex, (void)err;
    return true;
}

static hz_var slice_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_slice *s = n->attr;
    const hz_tensor *x = hz_in(n, i);
    return hz_slice_grad(dy, s->axis, s->start, s->step, x->dim[hz_axis(x->rank, s->axis)]);
}

static bool slice_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    (void)i;
    const hz_attr_slice *s = n->attr;
    int axis = hz_axis(n->value.rank, s->axis);
    *in = *out;
    int64_t first = s->start + out->lo[axis] * s->step, last = s->start + (out->hi[axis] - 1) * s->step;
    in->lo[axis] = first < last ? first : last;
    in->hi[axis] = (first < last ? last : first) + 1;
    return true;
}

static bool slice_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr) {
    hz_attr_slice *s = attr;
    int axis = hz_axis(n->value.rank, s->axis);
    s->start += out->lo[axis] * s->step - in->lo[axis];
    s->count = out->hi[axis] - out->lo[axis];
    return true;
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_slice(x[0], 1, 1, 3, 1);
}

static hz_var call_step(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_slice(x[0], -1, 1, 3, 2);
}

static hz_var call_back(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_slice(x[0], 1, 5, 3, -2);
}

static hz_var call_none(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_slice(x[0], 0, 0, 0, 1);
}

static hz_var call_pick(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pick(x[0], (const int64_t[]){1, 0, 2});
}

static const hz_sample samples[] = {
    {"columns", 1, {{.rank = 3, .dim = {2, 5, 3}}}, call, false},
    {"every second one", 1, {{.rank = 2, .dim = {3, 7}}}, call_step, false},
    {"backwards", 1, {{.rank = 2, .dim = {3, 7}}}, call_back, false},
    {"no elements", 1, {{.rank = 2, .dim = {3, 4}}}, call_none, false},
    {"one element", 1, {{.rank = 3, .dim = {2, 3, 4}}}, call_pick, false},
};

const hz_op hz_op_slice = {.name = "slice",
                           .n_in = 1,
                           .flags = HZ_OP_VIEW | HZ_OP_PART,
                           .attr_size = sizeof(hz_attr_slice),
                           .shape = slice_shape,
                           .forward = slice_forward,
                           .vjp = slice_vjp,
                           .reach = slice_reach,
                           .crop = slice_crop,
                           .samples = samples,
                           .n_samples = HZ__COUNT(samples)};

hz_var hz_slice(hz_var x, int axis, int64_t start, int64_t count, int64_t step) {
    if (count == 1 && step != 0) step = 1; /* one element: no step, however long, is ever taken */
    return hz_apply1(&hz_op_slice, x,
                     &(hz_attr_slice){.axis = axis, .start = start, .count = count, .step = step});
}

hz_var hz_flip(hz_var x, int axis) {
    if (!hz_ok(x)) return x;
    const hz_tensor *v = hz_value(x);
    int at = hz_axis(v->rank, axis);
    if (at < 0)
        return hz_tape_fail(x.tape, HZ_EINVAL, "flip: axis %d is outside %s", axis, hz_shape_str(v).s);
    return hz_slice(x, at, v->dim[at] - 1, v->dim[at], -1);
}

hz_var hz_pick(hz_var x, const int64_t *index) {
    if (!hz_ok(x)) return x;
    int rank = hz_value(x)->rank;
    for (int k = 0; k < rank; k++) x = hz_slice(x, k, index[k], 1, 1);
    return hz_reshape(x, 0, NULL);
}
