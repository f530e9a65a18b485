/* max_pool2d_take.c: y = v at the position of the maximum of each window of x; v has x's shape. Linear in v, the
 * adjoint of max_pool2d_grad in dy, and the other way round.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/pooling.h"

#include <inttypes.h>

/* n->in: x, v */

static bool max_pool2d_take_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_pool2d_adjoint *a = n->attr;
    const hz_tensor *x = hz_in(n, 0), *v = hz_in(n, 1);
    if (!hz__pool2d_check(&a->g, x, out, err)) return false;
    if (v->dtype != x->dtype || !hz_same_shape(v, x))
        return hz_fail(err, HZ_ESHAPE, "input %s %s and values %s %s must be alike", hz_dtype_name(x->dtype),
                       hz_shape_str(x).s, hz_dtype_name(v->dtype), hz_shape_str(v).s);
    if (out->dim[2] == a->extent[0] && out->dim[3] == a->extent[1]) return true;
    return hz_fail(err, HZ_ESHAPE, "input %s has %" PRId64 "×%" PRId64 " windows, not %" PRId64 "×%" PRId64,
                   hz_shape_str(x).s, out->dim[2], out->dim[3], a->extent[0], a->extent[1]);
}

static bool max_pool2d_take_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_attr_pool2d_adjoint *a = n->attr;
    return hz_max_pool2d_take_map(ex, &a->g, hz_in(n, 0), hz_in(n, 1), &n->value, err);
}

static hz_var max_pool2d_take_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_pool2d_adjoint *a = n->attr;
    return i == 0 ? hz_none(n->tape) : hz_max_pool2d_grad(n->in[0], dy, &a->g);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    const hz_pool2d_geometry g = {
        .kernel = {3, 2}, .stride = {2, 1}, .dilation = {1, 1}, .pad_before = {1, 0}, .pad_after = {0, 1}};
    return hz_max_pool2d_take(x[0], x[1], &g, 2, 4);
}

static const hz_sample samples[] = {
    {"overlapping windows",
     2,
     {{.rank = 4, .dim = {1, 2, 5, 4}, .distinct = true}, {.rank = 4, .dim = {1, 2, 5, 4}}},
     call,
     false},
};

const hz_op hz_op_max_pool2d_take = {.name = "max_pool2d_take",
                                     .n_in = 2,
                                     .flags = HZ_OP_KINKS,
                                     .attr_size = sizeof(hz_attr_pool2d_adjoint),
                                     .shape = max_pool2d_take_shape,
                                     .forward = max_pool2d_take_forward,
                                     .vjp = max_pool2d_take_vjp,
                                     .samples = samples,
                                     .n_samples = HZ__COUNT(samples)};

hz_var hz_max_pool2d_take(hz_var x, hz_var v, const hz_pool2d_geometry *g, int64_t oh, int64_t ow) {
    return hz_apply2(&hz_op_max_pool2d_take, x, v, &(hz_attr_pool2d_adjoint){.g = *g, .extent = {oh, ow}});
}
