/* broadcast_to.c: repeat along axes of extent 1 and along new leading axes, as NumPy does; a view with strides of 0.
 * Its adjoint is sum_to. Also tile.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/geometry.h"

static bool broadcast_to_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_dims *to = n->attr;
    return hz_view_broadcast(hz_in(n, 0), to->rank, to->dim, out, err);
}

/* Only for an x without memory, one that has no elements. */
static bool broadcast_to_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)n, (void)ex, (void)err;
    return true;
}

static hz_var broadcast_to_vjp(const hz_node *n, int i, hz_var dy) {
    return hz__sum_like(dy, n->in[i]);
}

static bool broadcast_to_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr) {
    (void)n, (void)in;
    hz__dims_crop(attr, out);
    return true;
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_broadcast_to(x[0], HZ_DIMS(2, 3, 4));
}

static hz_var call_empty(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_broadcast_to(x[0], HZ_DIMS(2, 0, 3));
}

static const hz_sample samples[] = {
    {"inner axis", 1, {{.rank = 3, .dim = {2, 1, 4}}}, call, false},
    {"new axes", 1, {{.rank = 1, .dim = {4}}}, call, false},
    {"both", 1, {{.rank = 2, .dim = {3, 1}}}, call, false},
    {"a number", 1, {{.rank = 0}}, call, false},
    {"as it is", 1, {{.rank = 3, .dim = {2, 3, 4}}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call_empty, false},
};

const hz_op hz_op_broadcast_to = {.name = "broadcast_to",
                                  .n_in = 1,
                                  .flags = HZ_OP_POINTWISE | HZ_OP_VIEW,
                                  .attr_size = sizeof(hz_attr_dims),
                                  .shape = broadcast_to_shape,
                                  .forward = broadcast_to_forward,
                                  .vjp = broadcast_to_vjp,
                                  .crop = broadcast_to_crop,
                                  .samples = samples,
                                  .n_samples = HZ__COUNT(samples)};

hz_var hz_broadcast_to(hz_var x, int rank, const int64_t *dim) {
    hz_attr_dims to = hz__dims_of(rank, dim);
    return hz_apply1(&hz_op_broadcast_to, x, &to);
}

/* ---- tile ---- */

/* Repeat x `count` times along one axis, through (before, 1, extent · after) → (before, count, extent · after). */
static hz_var tile_axis(hz_var x, int axis, int64_t count) {
    const hz_tensor *v = hz_value(x);
    int64_t before = 1, after = 1;
    for (int k = 0; k < v->rank; k++) *(k < axis ? &before : &after) *= v->dim[k];
    hz_attr_dims to = hz__dims_of(v->rank, v->dim);
    if (to.dim[axis] > 0 && count > INT64_MAX / to.dim[axis])
        return hz_tape_fail(x.tape, HZ_ESHAPE, "tile: axis %d of %s is too long to be repeated so often",
                            axis, hz_shape_str(v).s);
    to.dim[axis] *= count;
    hz_var repeated =
        hz_broadcast_to(hz_reshape(x, HZ_DIMS(before, 1, after)), HZ_DIMS(before, count, after));
    return hz_reshape(repeated, to.rank, to.dim);
}

hz_var hz_tile(hz_var x, const int64_t *repeats) {
    for (int k = 0; hz_ok(x) && k < hz_value(x)->rank; k++) {
        if (repeats[k] < 0) return hz_tape_fail(x.tape, HZ_EINVAL, "tile: a negative count at axis %d", k);
        if (repeats[k] != 1) x = tile_axis(x, k, repeats[k]);
    }
    return x;
}
