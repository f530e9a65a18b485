/* avg_pool2d_grad.c: the adjoint of avg_pool2d: each element of dy, divided, goes to all positions of its window.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/pooling.h"

static bool avg_pool2d_grad_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *dy = hz_in(n, 0);
    const hz_attr_pool2d_adjoint *a = n->attr;
    if (dy->rank != 4)
        return hz_fail(err, HZ_ESHAPE, "cotangent %s must be (N, C, OH, OW)", hz_shape_str(dy).s);
    *out = hz_tensor_of(NULL, dy->dtype, HZ_DIMS(dy->dim[0], dy->dim[1], a->extent[0], a->extent[1]));
    return hz_shape_check("result", out->dtype, out->rank, out->dim, err) &&
           hz__pool2d_check_cotangent(&a->g, out, dy, err);
}

static bool avg_pool2d_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_attr_pool2d_adjoint *a = n->attr;
    return hz_avg_pool2d_grad_map(ex, &a->g, hz_in(n, 0), &n->value, err);
}

static hz_var avg_pool2d_grad_vjp(const hz_node *n, int i, hz_var ddx) {
    (void)i;
    const hz_attr_pool2d_adjoint *a = n->attr;
    return hz_apply1(&hz_op_avg_pool2d, ddx, &a->g);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    const hz_pool2d_geometry g = {
        .kernel = {3, 2}, .stride = {2, 1}, .dilation = {1, 1}, .pad_before = {1, 0}, .pad_after = {0, 1}};
    return hz_avg_pool2d_grad(x[0], &g, 5, 4);
}

static hz_var call_count(hz_tape *t, const hz_var *x) {
    (void)t;
    const hz_pool2d_geometry g = {.kernel = {2, 2},
                                  .stride = {1, 2},
                                  .dilation = {2, 1},
                                  .pad_before = {1, 1},
                                  .pad_after = {1, 1},
                                  .count_padding = true};
    return hz_avg_pool2d_grad(x[0], &g, 3, 4);
}

static const hz_sample samples[] = {
    {"overlapping windows", 1, {{.rank = 4, .dim = {1, 2, 2, 4}}}, call, false},
    {"padding counts", 1, {{.rank = 4, .dim = {2, 1, 3, 3}}}, call_count, false},
    {"no images", 1, {{.rank = 4, .dim = {0, 2, 2, 4}}}, call, false},
};

const hz_op hz_op_avg_pool2d_grad = {.name = "avg_pool2d_grad",
                                     .n_in = 1,
                                     .attr_size = sizeof(hz_attr_pool2d_adjoint),
                                     .shape = avg_pool2d_grad_shape,
                                     .forward = avg_pool2d_grad_forward,
                                     .vjp = avg_pool2d_grad_vjp,
                                     .samples = samples,
                                     .n_samples = HZ__COUNT(samples)};

hz_var hz_avg_pool2d_grad(hz_var dy, const hz_pool2d_geometry *g, int64_t h, int64_t w) {
    return hz_apply1(&hz_op_avg_pool2d_grad, dy, &(hz_attr_pool2d_adjoint){.g = *g, .extent = {h, w}});
}
