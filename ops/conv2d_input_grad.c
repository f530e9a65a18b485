/* conv2d_input_grad.c: the adjoint of conv2d in its input, dx = Σ over all windows that touch a position. As a layer
 * it is the transposed convolution.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/convolution.h"

#include <inttypes.h>

/* n->in: dy, w */

static bool input_grad_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *dy = hz_in(n, 0), *w = hz_in(n, 1);
    const hz_attr_conv2d_adjoint *a = n->attr;
    if (dy->rank != 4 || w->rank != 4)
        return hz_fail(err, HZ_ESHAPE,
                       "cotangent %s must be (N, K, OH, OW) and weight %s (K, C/groups, R, S)",
                       hz_shape_str(dy).s, hz_shape_str(w).s);
    if (a->g.groups < 1 || w->dim[1] > INT64_MAX / a->g.groups)
        return hz_fail(err, HZ_EINVAL, "%" PRId64 " groups of %" PRId64 " channels", a->g.groups, w->dim[1]);
    *out = hz_tensor_of(NULL, dy->dtype,
                        HZ_DIMS(dy->dim[0], w->dim[1] * a->g.groups, a->extent[0], a->extent[1]));
    return hz_shape_check("result", out->dtype, out->rank, out->dim, err) &&
           hz__conv2d_check_cotangent(&a->g, out, w, dy, err);
}

static bool input_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_attr_conv2d_adjoint *a = n->attr;
    return hz_conv2d_input_grad_map(ex, &a->g, hz_in(n, 0), hz_in(n, 1), &n->value, err);
}

static hz_var input_grad_vjp(const hz_node *n, int i, hz_var ddx) {
    const hz_attr_conv2d_adjoint *a = n->attr;
    const hz_tensor *w = hz_in(n, 1);
    if (i == 0) return hz__conv2d(ddx, n->in[1], &a->g);
    return hz_conv2d_weight_grad(ddx, n->in[0], &a->g, w->dim[2], w->dim[3]);
}

/* ---- boxes ---- */

static hz__group_range groups_of(const hz_node *n, const hz_box *out) {
    return hz__groups_holding(out->lo[1], out->hi[1], hz_in(n, 1)->dim[1]);
}

/* Filters of the box's groups; of these the channels in the box, if it is in one group. Of dy these filters' channels,
 * at the windows that touch the box. */
static bool input_grad_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    const hz_attr_conv2d_adjoint *a = n->attr;
    const hz_tensor *w = hz_in(n, 1);
    if (hz_numel(&n->value) == 0) return false;
    hz__group_range range = groups_of(n, out);
    int64_t filters = w->dim[0] / a->g.groups, channels = w->dim[1];
    *in = hz_box_full(hz_in(n, i));
    in->lo[!i] = range.first * filters, in->hi[!i] = range.end * filters;
    if (i == 1 && range.end - range.first == 1) {
        in->lo[1] = out->lo[1] - range.first * channels;
        in->hi[1] = out->hi[1] - range.first * channels;
    }
    if (i == 1) return true;
    in->lo[0] = out->lo[0], in->hi[0] = out->hi[0];
    for (int k = 0; k < 2; k++) {
        hz__axis_window window = hz__conv2d_window(&a->g, w, k);
        hz__window_touching(&window, 2 + k, out, in);
    }
    return true;
}

static bool input_grad_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr) {
    hz_attr_conv2d_adjoint *a = attr;
    if (hz_box_is_empty(&in[0], 4)) return false; /* no window touches the box */
    if (a->g.groups > 1 && !hz__groups_crop(groups_of(n, out), &a->g.groups)) return false;
    for (int k = 0; k < 2; k++) {
        hz__axis_window window = hz__conv2d_window(&a->g, hz_in(n, 1), k);
        hz__window_crop_touching(&window, 2 + k, out, &in[0]);
        a->g.pad_before[k] = window.pad_before;
        a->g.pad_after[k] = window.pad_after;
        a->extent[k] = out->hi[2 + k] - out->lo[2 + k];
    }
    return true;
}

/* ---- samples ---- */

static hz_var call(hz_tape *t, const hz_var *x) {
    const hz_conv2d_opts opts = {.stride = {2, 1}, .pad_before = {1, 0}, .pad_after = {0, 1}};
    return hz_conv_transpose2d(x[0], x[1], hz_none(t), &opts, (const int64_t[]){1, 0});
}

static hz_var call_plain(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_conv_transpose2d(x[0], x[1], x[2], NULL, NULL);
}

static hz_var call_groups(hz_tape *t, const hz_var *x) {
    const hz_conv2d_opts opts = {.groups = 2, .dilation = {1, 2}, .stride = {2, 3}};
    return hz_conv_transpose2d(x[0], x[1], hz_none(t), &opts, NULL);
}

static hz_var call_depthwise(hz_tape *t, const hz_var *x) {
    const hz_conv2d_opts opts = {.groups = 3, .stride = {2, 2}, .pad = {1, 1}};
    return hz_conv_transpose2d(x[0], x[1], hz_none(t), &opts, NULL);
}

static const hz_sample samples[] = {
    {"strides, uneven padding, more rows",
     2,
     {{.rank = 4, .dim = {2, 2, 3, 3}}, {.rank = 4, .dim = {2, 3, 3, 2}}},
     call,
     false},
    {"bias",
     3,
     {{.rank = 4, .dim = {1, 2, 3, 2}}, {.rank = 4, .dim = {2, 3, 2, 2}}, {.rank = 1, .dim = {3}}},
     call_plain,
     false},
    {"groups, windows apart",
     2,
     {{.rank = 4, .dim = {1, 4, 2, 3}}, {.rank = 4, .dim = {4, 2, 1, 2}}},
     call_groups,
     false},
    {"depthwise",
     2,
     {{.rank = 4, .dim = {1, 3, 3, 3}}, {.rank = 4, .dim = {3, 1, 3, 3}}},
     call_depthwise,
     false},
    {"no images", 2, {{.rank = 4, .dim = {0, 2, 3, 3}}, {.rank = 4, .dim = {2, 3, 3, 2}}}, call, false},
};

const hz_op hz_op_conv2d_input_grad = {.name = "conv2d_input_grad",
                                       .n_in = 2,
                                       .attr_size = sizeof(hz_attr_conv2d_adjoint),
                                       .shape = input_grad_shape,
                                       .forward = input_grad_forward,
                                       .vjp = input_grad_vjp,
                                       .reach = input_grad_reach,
                                       .crop = input_grad_crop,
                                       .samples = samples,
                                       .n_samples = HZ__COUNT(samples)};

/* ---- functions ---- */

hz_var hz_conv2d_input_grad(hz_var dy, hz_var w, const hz_conv2d_geometry *g, int64_t h, int64_t wd) {
    return hz_apply2(&hz_op_conv2d_input_grad, dy, w, &(hz_attr_conv2d_adjoint){.g = *g, .extent = {h, wd}});
}

/* Extent of a transposed convolution along axis k: (H−1)·stride − pads + dilation·(R−1) + 1 + more. */
static int64_t transposed_extent(const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *w, int k,
                                 int64_t more) {
    int64_t field = g->dilation[k] * (w->dim[2 + k] - 1) + 1;
    return (x->dim[2 + k] - 1) * g->stride[k] - g->pad_before[k] - g->pad_after[k] + field + more;
}

/* Everything that transposed_extent multiplies is small enough. */
static bool check_transposed(const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *w,
                             const int64_t *more, hz_error *err) {
    if (x->rank != 4 || w->rank != 4 || x->dim[1] != w->dim[0])
        return hz_fail(err, HZ_ESHAPE, "input %s and weight %s are not (N, K, H, W) and (K, C/groups, R, S)",
                       hz_shape_str(x).s, hz_shape_str(w).s);
    for (int k = 0; k < 2; k++) {
        hz__axis_window window = hz__conv2d_window(g, w, k);
        if (!hz__window_check(&window, k ? "columns" : "rows", err)) return false;
        if (more[k] < 0 || more[k] > INT32_MAX || x->dim[2 + k] > INT32_MAX)
            return hz_fail(err, HZ_EINVAL, "input %s with %" PRId64 " more %s is out of range",
                           hz_shape_str(x).s, more[k], k ? "columns" : "rows");
    }
    return true;
}

hz_var hz_conv_transpose2d(hz_var x, hz_var w, hz_var b, const hz_conv2d_opts *opts,
                           const int64_t output_pad[2]) {
    static const int64_t none[2];
    if (!hz_ok(x) || !hz_ok(w)) return hz_none(x.tape);
    hz_conv2d_geometry g = hz__conv2d_geometry_of(opts);
    const int64_t *more = output_pad ? output_pad : none;
    hz_error why = {.code = HZ_OK};
    if (!check_transposed(&g, hz_value(x), hz_value(w), more, &why))
        return hz_tape_fail(x.tape, why.code, "conv_transpose2d: %s", why.text);
    int64_t extent[2];
    for (int k = 0; k < 2; k++) {
        extent[k] = transposed_extent(&g, hz_value(x), hz_value(w), k, more[k]);
        g.pad_after[k] -= more[k]; /* the rows that are more belong to no window */
    }
    hz_var y = hz_conv2d_input_grad(x, w, &g, extent[0], extent[1]);
    if (!b.id || !hz_ok(y)) return y;
    return hz_add(y, hz_reshape(b, HZ_DIMS(-1, 1, 1)));
}
