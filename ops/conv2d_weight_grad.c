/* conv2d_weight_grad.c: the adjoint of conv2d in its weight,
 *
 *   dw[k,c,r,s] = Σ_{n,oy,ox} dy[n,k,oy,ox] · x[n, g·C/G + c, oy·stride − pad + r·dilation, …]
 *
 * SPDX-License-Identifier: MIT */
#include "ops/convolution.h"

#include <inttypes.h>

/* n->in: x, dy */

static bool weight_grad_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *x = hz_in(n, 0), *dy = hz_in(n, 1);
    const hz_attr_conv2d_adjoint *a = n->attr;
    if (x->rank != 4 || dy->rank != 4)
        return hz_fail(err, HZ_ESHAPE, "input %s must be (N, C, H, W) and cotangent %s (N, K, OH, OW)",
                       hz_shape_str(x).s, hz_shape_str(dy).s);
    if (a->g.groups < 1)
        return hz_fail(err, HZ_EINVAL, "groups must be at least 1, not %" PRId64, a->g.groups);
    *out = hz_tensor_of(NULL, x->dtype,
                        HZ_DIMS(dy->dim[1], x->dim[1] / a->g.groups, a->extent[0], a->extent[1]));
    return hz_shape_check("result", out->dtype, out->rank, out->dim, err) &&
           hz__conv2d_check_cotangent(&a->g, x, out, dy, err);
}

static bool weight_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_attr_conv2d_adjoint *a = n->attr;
    return hz_conv2d_weight_grad_map(ex, &a->g, hz_in(n, 0), hz_in(n, 1), &n->value, err);
}

static hz_var weight_grad_vjp(const hz_node *n, int i, hz_var ddw) {
    const hz_attr_conv2d_adjoint *a = n->attr;
    const hz_tensor *x = hz_in(n, 0);
    if (i == 0) return hz_conv2d_input_grad(n->in[1], ddw, &a->g, x->dim[2], x->dim[3]);
    return hz__conv2d(n->in[0], ddw, &a->g);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    const hz_conv2d_geometry g = {
        .stride = {2, 1}, .dilation = {1, 2}, .pad_before = {1, 0}, .pad_after = {0, 2}, .groups = 1};
    return hz_conv2d_weight_grad(x[0], x[1], &g, 3, 2);
}

static hz_var call_groups(hz_tape *t, const hz_var *x) {
    (void)t;
    const hz_conv2d_geometry g = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 2};
    return hz_conv2d_weight_grad(x[0], x[1], &g, 2, 3);
}

static const hz_sample samples[] = {
    {"stride, dilation, uneven padding",
     2,
     {{.rank = 4, .dim = {2, 2, 6, 4}}, {.rank = 4, .dim = {2, 2, 3, 4}}},
     call,
     false},
    {"groups", 2, {{.rank = 4, .dim = {1, 4, 3, 4}}, {.rank = 4, .dim = {1, 2, 2, 2}}}, call_groups, false},
    {"no images", 2, {{.rank = 4, .dim = {0, 2, 6, 4}}, {.rank = 4, .dim = {0, 2, 3, 4}}}, call, false},
};

const hz_op hz_op_conv2d_weight_grad = {.name = "conv2d_weight_grad",
                                        .n_in = 2,
                                        .attr_size = sizeof(hz_attr_conv2d_adjoint),
                                        .shape = weight_grad_shape,
                                        .forward = weight_grad_forward,
                                        .vjp = weight_grad_vjp,
                                        .samples = samples,
                                        .n_samples = HZ__COUNT(samples)};

hz_var hz_conv2d_weight_grad(hz_var x, hz_var dy, const hz_conv2d_geometry *g, int64_t r, int64_t s) {
    return hz_apply2(&hz_op_conv2d_weight_grad, x, dy, &(hz_attr_conv2d_adjoint){.g = *g, .extent = {r, s}});
}
