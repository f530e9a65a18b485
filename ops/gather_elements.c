/* gather_elements.c: y[o, j, n] = x[o, index[o, j, n], n], an index for each element of y (torch.gather).
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"
#include "tensor/index.h"

/* n->in: x, index; attribute: the axis, an int */

static int axis_of(const hz_node *n) {
    return hz_axis(hz_in(n, 0)->rank, *(const int *)n->attr);
}

static bool gather_elements_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *x = hz_in(n, 0);
    if (axis_of(n) < 0)
        return hz_fail(err, HZ_EINVAL, "axis %d is outside %s", *(const int *)n->attr, hz_shape_str(x).s);
    return hz_gather_elements_shape(x, axis_of(n), hz_in(n, 1), out, err) &&
           hz_shape_check("result", out->dtype, out->rank, out->dim, err);
}

static bool gather_elements_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    return hz_gather_elements_map(ex, hz_in(n, 0), axis_of(n), hz_in(n, 1), &n->value, err);
}

/* Scattered back, and zeros along the axes on which the index is shorter than x. */
static hz_var gather_elements_vjp(const hz_node *n, int i, hz_var dy) {
    static const int64_t none[HZ_MAX_RANK];
    if (i == 1) return hz_none(n->tape);
    const hz_tensor *x = hz_in(n, 0), *index = hz_in(n, 1);
    int axis = axis_of(n);
    int64_t more[HZ_MAX_RANK] = {0};
    bool whole = true;
    for (int k = 0; k < x->rank; k++) {
        if (k != axis) more[k] = x->dim[k] - index->dim[k];
        whole = whole && more[k] == 0;
    }
    hz_var dx = hz_scatter_elements(n->in[1], dy, axis, x->dim[axis]);
    return whole ? dx : hz_pad(dx, none, more, HZ_PAD_CONSTANT, 0);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_gather_elements(x[0], 1, x[1]);
}

static hz_var call_last(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_gather_elements(x[0], -1, x[1]);
}

static const hz_sample samples[] = {
    {"inner axis",
     2,
     {{.rank = 3, .dim = {2, 4, 3}}, {.rank = 3, .dim = {2, 2, 3}, .dtype = HZ_I64, .lo = -4, .hi = 3}},
     call,
     false},
    {"fewer rows",
     2,
     {{.rank = 2, .dim = {3, 4}}, {.rank = 2, .dim = {2, 5}, .dtype = HZ_I32, .lo = 0, .hi = 3}},
     call_last,
     false},
    {"no indices",
     2,
     {{.rank = 2, .dim = {3, 4}}, {.rank = 2, .dim = {3, 0}, .dtype = HZ_I64, .lo = 0, .hi = 3}},
     call,
     false},
};

const hz_op hz_op_gather_elements = {.name = "gather_elements",
                                     .n_in = 2,
                                     .attr_size = sizeof(int),
                                     .shape = gather_elements_shape,
                                     .forward = gather_elements_forward,
                                     .vjp = gather_elements_vjp,
                                     .samples = samples,
                                     .n_samples = HZ__COUNT(samples)};

hz_var hz_gather_elements(hz_var x, int axis, hz_var index) {
    return hz_apply2(&hz_op_gather_elements, x, index, &axis);
}
