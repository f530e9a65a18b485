/* max_pool2d_grad.c: the adjoint of max_pool2d: each element of dy goes to the maximum of its window of x. Linear in
 * dy; its own adjoint in dy is max_pool2d_take. Where the maxima lie does not change under a small change of x.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/pooling.h"

/* n->in: x, dy */

static bool max_pool2d_grad_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    return hz__pool2d_check_cotangent(n->attr, hz_in(n, 0), hz_in(n, 1), err) && hz_shape_same(n, out, err);
}

static bool max_pool2d_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    return hz_max_pool2d_grad_map(ex, n->attr, hz_in(n, 0), hz_in(n, 1), &n->value, err);
}

static hz_var max_pool2d_grad_vjp(const hz_node *n, int i, hz_var ddx) {
    const hz_tensor *dy = hz_in(n, 1);
    if (i == 0) return hz_none(n->tape);
    return hz_max_pool2d_take(n->in[0], ddx, n->attr, dy->dim[2], dy->dim[3]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    const hz_pool2d_geometry g = {
        .kernel = {3, 2}, .stride = {2, 1}, .dilation = {1, 1}, .pad_before = {1, 0}, .pad_after = {0, 1}};
    return hz_max_pool2d_grad(x[0], x[1], &g);
}

static hz_var call_each(hz_tape *t, const hz_var *x) {
    (void)t;
    const hz_pool2d_geometry g = {.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
    return hz_max_pool2d_grad(x[0], x[1], &g);
}

static const hz_sample samples[] = {
    {"windows of one position",
     2,
     {{.rank = 4, .dim = {1, 2, 2, 3}, .distinct = true}, {.rank = 4, .dim = {1, 2, 2, 3}}},
     call_each,
     false},
    {"overlapping windows",
     2,
     {{.rank = 4, .dim = {1, 2, 5, 4}, .distinct = true}, {.rank = 4, .dim = {1, 2, 2, 4}}},
     call,
     false},
    {"no images", 2, {{.rank = 4, .dim = {0, 2, 5, 4}}, {.rank = 4, .dim = {0, 2, 2, 4}}}, call, false},
};

const hz_op hz_op_max_pool2d_grad = {.name = "max_pool2d_grad",
                                     .n_in = 2,
                                     .flags = HZ_OP_KINKS,
                                     .attr_size = sizeof(hz_pool2d_geometry),
                                     .shape = max_pool2d_grad_shape,
                                     .forward = max_pool2d_grad_forward,
                                     .vjp = max_pool2d_grad_vjp,
                                     .samples = samples,
                                     .n_samples = HZ__COUNT(samples)};

hz_var hz_max_pool2d_grad(hz_var x, hz_var dy, const hz_pool2d_geometry *g) {
    return hz_apply2(&hz_op_max_pool2d_grad, x, dy, g);
}
