/* avg_pool2d.c: the average of each window, over its positions inside the input or (count_padding) inside the padded
 * input. Linear: its adjoint is avg_pool2d_grad, and the other way round.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/pooling.h"

static bool avg_pool2d_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    return hz_avg_pool2d_map(ex, n->attr, hz_in(n, 0), &n->value, err);
}

static hz_var avg_pool2d_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_tensor *x = hz_in(n, i);
    return hz_avg_pool2d_grad(dy, n->attr, x->dim[2], x->dim[3]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_avg_pool2d(x[0], &(hz_pool2d_opts){.kernel = {2, 2}});
}

static hz_var call_overlap(hz_tape *t, const hz_var *x) {
    (void)t;
    const hz_pool2d_opts opts = {
        .kernel = {3, 2}, .stride = {2, 1}, .pad_before = {1, 0}, .pad_after = {1, 1}};
    return hz_avg_pool2d(x[0], &opts);
}

static hz_var call_count(hz_tape *t, const hz_var *x) {
    (void)t;
    const hz_pool2d_opts opts = {
        .kernel = {3, 3}, .stride = {2, 2}, .pad = {1, 1}, .ceil = true, .count_padding = true};
    return hz_avg_pool2d(x[0], &opts);
}

static hz_var call_dilation(hz_tape *t, const hz_var *x) {
    (void)t;
    const hz_pool2d_opts opts = {.kernel = {2, 2}, .stride = {1, 2}, .dilation = {2, 3}, .pad = {1, 1}};
    return hz_avg_pool2d(x[0], &opts);
}

static const hz_sample samples[] = {
    {"2×2", 1, {{.rank = 4, .dim = {2, 2, 4, 4}}}, call, false},
    {"overlapping, uneven padding", 1, {{.rank = 4, .dim = {1, 2, 5, 4}}}, call_overlap, false},
    {"padding counts, partial windows", 1, {{.rank = 4, .dim = {1, 2, 5, 6}}}, call_count, false},
    {"dilation", 1, {{.rank = 4, .dim = {1, 2, 5, 6}}}, call_dilation, false},
    {"no images", 1, {{.rank = 4, .dim = {0, 2, 4, 4}}}, call, false},
};

const hz_op hz_op_avg_pool2d = {.name = "avg_pool2d",
                                .n_in = 1,
                                .attr_size = sizeof(hz_pool2d_geometry),
                                .shape = hz__pool2d_shape,
                                .forward = avg_pool2d_forward,
                                .vjp = avg_pool2d_vjp,
                                .reach = hz__pool2d_reach,
                                .crop = hz__pool2d_crop,
                                .samples = samples,
                                .n_samples = HZ__COUNT(samples)};

hz_var hz_avg_pool2d(hz_var x, const hz_pool2d_opts *opts) {
    hz_pool2d_geometry g = hz__pool2d_geometry_of(x, opts);
    return hz_apply1(&hz_op_avg_pool2d, x, &g);
}
