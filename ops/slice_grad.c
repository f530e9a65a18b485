/* slice_grad.c: the adjoint of slice: dy put at positions start, start + step, … of an axis of zeros.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/geometry.h"

/* The elements of the output that dy goes to. */
static bool view_places(const hz_attr_slice_grad *p, const hz_tensor *dy, const hz_tensor *out,
                        hz_tensor *view, hz_error *err) {
    return hz_view_slice(out, p->axis, p->start, dy->dim[hz_axis(dy->rank, p->axis)], p->step, view, err);
}

static bool slice_grad_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *dy = hz_in(n, 0);
    const hz_attr_slice_grad *p = n->attr;
    int axis = hz_axis(dy->rank, p->axis);
    if (axis < 0)
        return hz_fail(err, HZ_EINVAL, "axis %d is outside the cotangent %s", p->axis, hz_shape_str(dy).s);
    hz_tensor whole = hz_tensor_of(NULL, dy->dtype, dy->rank, dy->dim), ignored;
    whole.dim[axis] = p->extent;
    if (!hz_shape_check(NULL, dy->dtype, whole.rank, whole.dim, err)) return false;
    if (!view_places(p, dy, &whole, &ignored, err)) return false;
    *out = whole;
    return true;
}

static bool slice_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    hz_tensor places;
    if (!view_places(n->attr, hz_in(n, 0), &n->value, &places, err)) return false;
    hz_fill(ex, &n->value, 0);
    hz_copy(ex, hz_in(n, 0), &places);
    return true;
}

static hz_var slice_grad_vjp(const hz_node *n, int i, hz_var ddx) {
    const hz_tensor *dy = hz_in(n, i);
    const hz_attr_slice_grad *p = n->attr;
    return hz_slice(ddx, p->axis, p->start, dy->dim[hz_axis(dy->rank, p->axis)], p->step);
}

/* Elements j of dy with lo ≤ start + j·step < hi. */
static bool slice_grad_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    (void)i;
    const hz_attr_slice_grad *p = n->attr;
    int axis = hz_axis(n->value.rank, p->axis);
    int64_t lo = out->lo[axis] - p->start, last = out->hi[axis] - 1 - p->start, step = p->step;
    *in = *out;
    in->lo[axis] = step > 0 ? hz__ceil_div(lo, step) : hz__ceil_div(-last, -step);
    in->hi[axis] = 1 + (step > 0 ? hz__floor_div(last, step) : hz__floor_div(-lo, -step));
    return true;
}

static bool slice_grad_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr) {
    hz_attr_slice_grad *p = attr;
    int axis = hz_axis(n->value.rank, p->axis);
    p->start += in->lo[axis] * p->step - out->lo[axis];
    p->extent = out->hi[axis] - out->lo[axis];
    return true;
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_slice_grad(x[0], 1, 1, 1, 5);
}

static hz_var call_step(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_slice_grad(x[0], -1, 1, 2, 7);
}

static hz_var call_back(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_slice_grad(x[0], 1, 5, -2, 7);
}

static const hz_sample samples[] = {
    {"columns", 1, {{.rank = 3, .dim = {2, 3, 3}}}, call, false},
    {"every second one", 1, {{.rank = 2, .dim = {3, 3}}}, call_step, false},
    {"backwards", 1, {{.rank = 2, .dim = {3, 3}}}, call_back, false},
    {"no elements", 1, {{.rank = 2, .dim = {3, 0}}}, call, false},
};

const hz_op hz_op_slice_grad = {.name = "slice_grad",
                                .n_in = 1,
                                .attr_size = sizeof(hz_attr_slice_grad),
                                .shape = slice_grad_shape,
                                .forward = slice_grad_forward,
                                .vjp = slice_grad_vjp,
                                .reach = slice_grad_reach,
                                .crop = slice_grad_crop,
                                .samples = samples,
                                .n_samples = HZ__COUNT(samples)};

hz_var hz_slice_grad(hz_var dy, int axis, int64_t start, int64_t step, int64_t extent) {
    return hz_apply1(&hz_op_slice_grad, dy,
                     &(hz_attr_slice_grad){.axis = axis, .start = start, .step = step, .extent = extent});
}
