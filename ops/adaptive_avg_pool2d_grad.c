/* adaptive_avg_pool2d_grad.c: the adjoint of adaptive_avg_pool2d.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/pooling.h"

static bool adaptive_grad_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *dy = hz_in(n, 0);
    const hz_attr_extents *to = n->attr;
    if (!hz__adaptive_check(dy, to->of[0], to->of[1], err)) return false;
    *out = hz_tensor_of(NULL, dy->dtype, HZ_DIMS(dy->dim[0], dy->dim[1], to->of[0], to->of[1]));
    return hz_shape_check("result", out->dtype, out->rank, out->dim, err);
}

static bool adaptive_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    return hz_adaptive_avg_pool2d_grad_map(ex, hz_in(n, 0), &n->value, err);
}

static hz_var adaptive_grad_vjp(const hz_node *n, int i, hz_var ddx) {
    const hz_tensor *dy = hz_in(n, i);
    return hz_adaptive_avg_pool2d(ddx, dy->dim[2], dy->dim[3]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_adaptive_avg_pool2d_grad(x[0], 3, 4);
}

static const hz_sample samples[] = {
    {"uneven windows", 1, {{.rank = 4, .dim = {2, 2, 2, 3}}}, call, false},
    {"no images", 1, {{.rank = 4, .dim = {0, 2, 2, 3}}}, call, false},
};

const hz_op hz_op_adaptive_avg_pool2d_grad = {.name = "adaptive_avg_pool2d_grad",
                                              .n_in = 1,
                                              .attr_size = sizeof(hz_attr_extents),
                                              .shape = adaptive_grad_shape,
                                              .forward = adaptive_grad_forward,
                                              .vjp = adaptive_grad_vjp,
                                              .samples = samples,
                                              .n_samples = HZ__COUNT(samples)};

hz_var hz_adaptive_avg_pool2d_grad(hz_var dy, int64_t h, int64_t w) {
    return hz_apply1(&hz_op_adaptive_avg_pool2d_grad, dy, &(hz_attr_extents){{h, w}});
}
