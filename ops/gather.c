/* gather.c: y[o, j, n] = x[o, index[j], n]: the axes of the index take the place of one axis (numpy.take). Its adjoint
 * is scatter_add. Also embedding.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"
#include "tensor/index.h"

/* n->in: x, index; attribute: the axis, an int */

static int axis_of(const hz_node *n) {
    return hz_axis(hz_in(n, 0)->rank, *(const int *)n->attr);
}

static bool gather_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *x = hz_in(n, 0);
    if (axis_of(n) < 0)
        return hz_fail(err, HZ_EINVAL, "axis %d is outside %s", *(const int *)n->attr, hz_shape_str(x).s);
    return hz_gather_shape(x, axis_of(n), hz_in(n, 1), out, err) &&
           hz_shape_check("result", out->dtype, out->rank, out->dim, err);
}

static bool gather_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    return hz_gather_map(ex, hz_in(n, 0), axis_of(n), hz_in(n, 1), &n->value, err);
}

static hz_var gather_vjp(const hz_node *n, int i, hz_var dy) {
    if (i == 1) return hz_none(n->tape);
    return hz_scatter_add(n->in[1], dy, axis_of(n), hz_in(n, 0)->dim[axis_of(n)]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_gather(x[0], 1, x[1]);
}

static hz_var call_embedding(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_embedding(x[0], x[1]);
}

static const hz_sample samples[] = {
    {"inner axis, indices from the end",
     2,
     {{.rank = 3, .dim = {2, 4, 3}}, {.rank = 1, .dim = {5}, .dtype = HZ_I64, .lo = -4, .hi = 3}},
     call,
     false},
    {"embedding",
     2,
     {{.rank = 2, .dim = {5, 3}}, {.rank = 2, .dim = {2, 3}, .dtype = HZ_I32, .lo = 0, .hi = 4}},
     call_embedding,
     false},
    {"one index",
     2,
     {{.rank = 2, .dim = {3, 4}}, {.rank = 0, .dtype = HZ_I64, .lo = 1, .hi = 3}},
     call,
     false},
    {"no indices",
     2,
     {{.rank = 2, .dim = {3, 4}}, {.rank = 1, .dim = {0}, .dtype = HZ_I64, .lo = 0, .hi = 3}},
     call,
     false},
};

const hz_op hz_op_gather = {.name = "gather",
                            .n_in = 2,
                            .attr_size = sizeof(int),
                            .shape = gather_shape,
                            .forward = gather_forward,
                            .vjp = gather_vjp,
                            .samples = samples,
                            .n_samples = HZ__COUNT(samples)};

hz_var hz_gather(hz_var x, int axis, hz_var index) {
    return hz_apply2(&hz_op_gather, x, index, &axis);
}

hz_var hz_embedding(hz_var table, hz_var index) {
    if (hz_ok(table) && hz_value(table)->rank != 2)
        return hz_tape_fail(table.tape, HZ_ESHAPE, "embedding: table %s must be (V, D)",
                            hz_shape_str(hz_value(table)).s);
    return hz_gather(table, 0, index);
}
