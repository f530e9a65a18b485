/* scatter_elements.c: y[o, index[o, j, n], n] += src[o, j, n] into zeros: the adjoint of gather_elements.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"
#include "tensor/index.h"

/* n->in: index, src */

static int axis_of(const hz_node *n) {
    const hz_attr_placement *p = n->attr;
    return hz_axis(hz_in(n, 1)->rank, p->axis);
}

static bool scatter_elements_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *index = hz_in(n, 0), *src = hz_in(n, 1);
    const hz_attr_placement *p = n->attr;
    int axis = axis_of(n);
    if (!hz_dtype_is_float(src->dtype) || !hz_same_shape(index, src))
        return hz_fail(err, HZ_ESHAPE, "source %s %s, of floats, and indices %s must have one shape",
                       hz_dtype_name(src->dtype), hz_shape_str(src).s, hz_shape_str(index).s);
    if (axis < 0) return hz_fail(err, HZ_EINVAL, "axis %d is outside %s", p->axis, hz_shape_str(src).s);
    hz_tensor y = hz_tensor_of(NULL, src->dtype, src->rank, src->dim), gathered;
    y.dim[axis] = p->extent;
    if (!hz_shape_check("result", y.dtype, y.rank, y.dim, err)) return false;
    if (!hz_gather_elements_shape(&y, axis, index, &gathered, err)) return false;
    *out = y;
    return true;
}

static bool scatter_elements_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    return hz_scatter_elements_add_map(ex, hz_in(n, 0), axis_of(n), hz_in(n, 1), &n->value, err);
}

static hz_var scatter_elements_vjp(const hz_node *n, int i, hz_var dy) {
    return i == 0 ? hz_none(n->tape) : hz_gather_elements(dy, axis_of(n), n->in[0]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_scatter_elements(x[0], x[1], 1, 4);
}

static const hz_sample samples[] = {
    {"inner axis",
     2,
     {{.rank = 3, .dim = {2, 5, 2}, .dtype = HZ_I64, .lo = -4, .hi = 3}, {.rank = 3, .dim = {2, 5, 2}}},
     call,
     false},
    {"no indices",
     2,
     {{.rank = 2, .dim = {3, 0}, .dtype = HZ_I64, .lo = 0, .hi = 3}, {.rank = 2, .dim = {3, 0}}},
     call,
     false},
};

const hz_op hz_op_scatter_elements = {.name = "scatter_elements",
                                      .n_in = 2,
                                      .attr_size = sizeof(hz_attr_placement),
                                      .shape = scatter_elements_shape,
                                      .forward = scatter_elements_forward,
                                      .vjp = scatter_elements_vjp,
                                      .samples = samples,
                                      .n_samples = HZ__COUNT(samples)};

hz_var hz_scatter_elements(hz_var index, hz_var src, int axis, int64_t extent) {
    return hz_apply2(&hz_op_scatter_elements, index, src,
                     &(hz_attr_placement){.axis = axis, .extent = extent});
}
