/* sum_to.c: the sum over what broadcasting to x's shape would repeat; the adjoint of broadcast_to.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/geometry.h"

static bool sum_to_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *x = hz_in(n, 0);
    const hz_attr_dims *to = n->attr;
    if (!hz_shape_float(n, out, err)) return false;
    if (!hz_shape_check(NULL, x->dtype, to->rank, to->dim, err)) return false;
    hz_tensor target = hz_tensor_of(NULL, x->dtype, to->rank, to->dim), ignored;
    if (!hz_view_broadcast(&target, x->rank, x->dim, &ignored, err)) return false;
    *out = target;
    return true;
}

/* Extent of the target along axis k of x: 1 where it has no such axis. */
static int64_t target_extent(const hz_node *n, int k) {
    int at = k - (hz_in(n, 0)->rank - n->value.rank);
    return at < 0 ? 1 : n->value.dim[at];
}

static bool sum_to_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_tensor *x = hz_in(n, 0);
    hz_axes axes = 0;
    int64_t keepdim[HZ_MAX_RANK];
    for (int k = 0; k < x->rank; k++) {
        keepdim[k] = target_extent(n, k);
        if (x->dim[k] != keepdim[k]) axes |= HZ_AXIS(k);
    }
    hz_tensor y = hz_tensor_of(n->value.data, x->dtype, x->rank, keepdim);
    if (axes) return hz_reduce(ex, HZ_REDUCE_SUM, x, axes, &y, err);
    hz_copy(ex, x, &y);
    return true;
}

static hz_var sum_to_vjp(const hz_node *n, int i, hz_var dy) {
    return hz__broadcast_like(dy, n->in[i]);
}

static bool sum_to_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    const hz_tensor *x = hz_in(n, i);
    int skip = x->rank - n->value.rank;
    for (int k = 0; k < x->rank; k++) {
        bool summed = k < skip || x->dim[k] != n->value.dim[k - skip];
        in->lo[k] = summed ? 0 : out->lo[k - skip];
        in->hi[k] = summed ? x->dim[k] : out->hi[k - skip];
    }
    return true;
}

static bool sum_to_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr) {
    (void)n, (void)in;
    hz__dims_crop(attr, out);
    return true;
}

static hz_var call_inner(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_sum_to(x[0], HZ_DIMS(2, 1, 4));
}

static hz_var call_leading(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_sum_to(x[0], HZ_DIMS(3, 1));
}

static hz_var call_scalar(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_sum_to(x[0], 0, NULL);
}

static const hz_sample samples[] = {
    {"inner axis", 1, {{.rank = 3, .dim = {2, 3, 4}}}, call_inner, false},
    {"leading axes", 1, {{.rank = 3, .dim = {2, 3, 4}}}, call_leading, false},
    {"everything", 1, {{.rank = 2, .dim = {3, 4}}}, call_scalar, false},
    {"nothing", 1, {{.rank = 3, .dim = {2, 1, 4}}}, call_inner, false},
    {"over no elements", 1, {{.rank = 3, .dim = {2, 0, 4}}}, call_inner, false},
};

const hz_op hz_op_sum_to = {.name = "sum_to",
                            .n_in = 1,
                            .attr_size = sizeof(hz_attr_dims),
                            .shape = sum_to_shape,
                            .forward = sum_to_forward,
                            .vjp = sum_to_vjp,
                            .reach = sum_to_reach,
                            .crop = sum_to_crop,
                            .samples = samples,
                            .n_samples = HZ__COUNT(samples)};

hz_var hz_sum_to(hz_var x, int rank, const int64_t *dim) {
    hz_attr_dims to = hz__dims_of(rank, dim);
    return hz_apply1(&hz_op_sum_to, x, &to);
}
