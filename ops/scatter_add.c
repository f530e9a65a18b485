/* scatter_add.c: y[o, index[j], n] += src[o, j, n] into zeros: the adjoint of gather.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"
#include "tensor/index.h"

/* n->in: index, src */

static int axis_of(const hz_node *n) {
    const hz_attr_placement *p = n->attr;
    return hz_axis(hz_in(n, 1)->rank - hz_in(n, 0)->rank + 1, p->axis);
}

/* src with the axes that the index has become one of the extent wanted. */
static bool scatter_add_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *index = hz_in(n, 0), *src = hz_in(n, 1);
    const hz_attr_placement *p = n->attr;
    int axis = axis_of(n), rank = src->rank - index->rank + 1;
    if (axis < 0 || !hz_dtype_is_float(src->dtype))
        return hz_fail(err, HZ_ESHAPE, "source %s %s has no place for indices %s at axis %d",
                       hz_dtype_name(src->dtype), hz_shape_str(src).s, hz_shape_str(index).s, p->axis);
    hz_tensor y = {.dtype = src->dtype, .rank = rank}, gathered;
    for (int k = 0; k < rank; k++) y.dim[k] = src->dim[k < axis ? k : k + index->rank - 1];
    y.dim[axis] = p->extent;
    if (!hz_shape_check("result", y.dtype, y.rank, y.dim, err)) return false;
    if (!hz_gather_shape(&y, axis, index, &gathered, err)) return false;
    if (!hz_same_shape(src, &gathered))
        return hz_fail(err, HZ_ESHAPE, "source %s is not %s, what indices %s at axis %d of %s give",
                       hz_shape_str(src).s, hz_shape_str(&gathered).s, hz_shape_str(index).s, axis,
                       hz_shape_str(&y).s);
    *out = y;
    return true;
}

static bool scatter_add_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    return hz_scatter_add_map(ex, hz_in(n, 0), axis_of(n), hz_in(n, 1), &n->value, err);
}

static hz_var scatter_add_vjp(const hz_node *n, int i, hz_var dy) {
    return i == 0 ? hz_none(n->tape) : hz_gather(dy, axis_of(n), n->in[0]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_scatter_add(x[0], x[1], 1, 4);
}

static hz_var call_first(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_scatter_add(x[0], x[1], 0, 3);
}

static const hz_sample samples[] = {
    {"inner axis",
     2,
     {{.rank = 1, .dim = {5}, .dtype = HZ_I64, .lo = -4, .hi = 3}, {.rank = 3, .dim = {2, 5, 3}}},
     call,
     false},
    {"two axes of indices",
     2,
     {{.rank = 2, .dim = {2, 3}, .dtype = HZ_I32, .lo = 0, .hi = 2}, {.rank = 3, .dim = {2, 3, 2}}},
     call_first,
     false},
    {"no indices",
     2,
     {{.rank = 1, .dim = {0}, .dtype = HZ_I64, .lo = 0, .hi = 3}, {.rank = 2, .dim = {2, 0}}},
     call,
     false},
};

const hz_op hz_op_scatter_add = {.name = "scatter_add",
                                 .n_in = 2,
                                 .attr_size = sizeof(hz_attr_placement),
                                 .shape = scatter_add_shape,
                                 .forward = scatter_add_forward,
                                 .vjp = scatter_add_vjp,
                                 .samples = samples,
                                 .n_samples = HZ__COUNT(samples)};

hz_var hz_scatter_add(hz_var index, hz_var src, int axis, int64_t extent) {
    return hz_apply2(&hz_op_scatter_add, index, src, &(hz_attr_placement){.axis = axis, .extent = extent});
}
