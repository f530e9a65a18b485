/* pooling.c: see pooling.h.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/pooling.h"

#include <inttypes.h>

/* conv2d.h has the rule for how many windows fit, the same for both. */
#include "tensor/conv2d.h"

static hz__axis_window window_of(const hz_pool2d_geometry *g, int k) {
    return (hz__axis_window){.kernel = g->kernel[k],
                             .stride = g->stride[k],
                             .dilation = g->dilation[k],
                             .pad_before = g->pad_before[k],
                             .pad_after = g->pad_after[k]};
}

/* ---- geometry ---- */

/* The positions that count when an average divides by the size of its window: the input and its padding. */
static void find_edges(hz_pool2d_geometry *g, int k, int64_t extent) {
    if (g->edge_lo[k] || g->edge_hi[k]) return;
    g->edge_lo[k] = -g->pad_before[k];
    g->edge_hi[k] = extent + g->pad_after[k];
}

/* Let windows that begin inside but end outside count: more padding at the end, but not more edge. */
static void round_up(hz_pool2d_geometry *g, int k, int64_t extent) {
    hz__axis_window w = window_of(g, k);
    int64_t span = w.dilation * (w.kernel - 1) + 1, room = extent + w.pad_before + w.pad_after - span;
    int64_t last = hz__ceil_div(room, w.stride);
    if (last * w.stride >= extent + w.pad_before) last--;
    if (last < 0) return; /* no window at all: the shape rule says so */
    find_edges(g, k, extent);
    g->pad_after[k] = last * w.stride + span - extent - w.pad_before;
}

hz_pool2d_geometry hz__pool2d_geometry_of(hz_var x, const hz_pool2d_opts *opts) {
    static const hz_pool2d_opts nothing;
    if (!opts) opts = &nothing;
    const hz_tensor *v = hz_value(x);
    hz_pool2d_geometry g = {.count_padding = opts->count_padding};
    for (int k = 0; k < 2; k++) {
        g.kernel[k] = opts->kernel[k];
        g.stride[k] = opts->stride[k] ? opts->stride[k] : opts->kernel[k];
        g.dilation[k] = opts->dilation[k] ? opts->dilation[k] : 1;
        g.pad_before[k] = hz__window_pad(opts->pad[k], opts->pad_before[k]);
        g.pad_after[k] = hz__window_pad(opts->pad[k], opts->pad_after[k]);
        hz__axis_window w = window_of(&g, k);
        if (opts->ceil && v->rank == 4 && hz__window_check(&w, "", NULL)) round_up(&g, k, v->dim[2 + k]);
    }
    return g;
}

/* ---- checks ---- */

static bool check_axis(const hz_pool2d_geometry *g, const hz_tensor *x, int k, hz_tensor *y, hz_error *err) {
    static const char *const axis[] = {"rows", "columns"};
    hz__axis_window w = window_of(g, k);
    if (!hz__window_check(&w, axis[k], err)) return false;
    y->dim[2 + k] =
        hz_conv2d_extent(x->dim[2 + k], w.kernel, w.stride, w.pad_before, w.pad_after, w.dilation);
    if (y->dim[2 + k] >= 0) return true;
    return hz_fail(err, HZ_ESHAPE,
                   "window %" PRId64 "×%" PRId64 " with dilation %" PRId64
                   " has more %s than input %s padded by %" PRId64 " and %" PRId64,
                   g->kernel[0], g->kernel[1], w.dilation, axis[k], hz_shape_str(x).s, w.pad_before,
                   w.pad_after);
}

bool hz__pool2d_check(const hz_pool2d_geometry *g, const hz_tensor *x, hz_tensor *y, hz_error *err) {
    if (x->rank != 4 || !hz_dtype_is_float(x->dtype))
        return hz_fail(err, HZ_ESHAPE, "input %s %s must be (N, C, H, W) of f32 or f64",
                       hz_dtype_name(x->dtype), hz_shape_str(x).s);
    *y = hz_tensor_of(NULL, x->dtype, HZ_DIMS(x->dim[0], x->dim[1], 0, 0));
    for (int k = 0; k < 2; k++)
        if (!check_axis(g, x, k, y, err)) return false;
    return hz_shape_check("result", y->dtype, y->rank, y->dim, err);
}

bool hz__pool2d_check_cotangent(const hz_pool2d_geometry *g, const hz_tensor *x, const hz_tensor *dy,
                                hz_error *err) {
    hz_tensor y;
    if (!hz__pool2d_check(g, x, &y, err)) return false;
    if (dy->dtype == y.dtype && hz_same_shape(dy, &y)) return true;
    return hz_fail(err, HZ_ESHAPE, "cotangent %s %s is not %s %s, the result of input %s",
                   hz_dtype_name(dy->dtype), hz_shape_str(dy).s, hz_dtype_name(y.dtype), hz_shape_str(&y).s,
                   hz_shape_str(x).s);
}

bool hz__pool2d_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    return hz__pool2d_check(n->attr, hz_in(n, 0), out, err);
}

bool hz__adaptive_check(const hz_tensor *x, int64_t oh, int64_t ow, hz_error *err) {
    if (x->rank != 4 || !hz_dtype_is_float(x->dtype) || x->dim[2] < 1 || x->dim[3] < 1)
        return hz_fail(err, HZ_ESHAPE, "input %s %s must be (N, C, H, W) of f32 or f64 with H, W ≥ 1",
                       hz_dtype_name(x->dtype), hz_shape_str(x).s);
    if (oh < 1 || ow < 1 || oh > INT32_MAX || ow > INT32_MAX)
        return hz_fail(err, HZ_EINVAL, "%" PRId64 "×%" PRId64 " windows are not 1 … %d an axis", oh, ow,
                       INT32_MAX);
    return true;
}

/* ---- boxes ---- */

bool hz__pool2d_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    (void)i;
    *in = *out;
    for (int k = 0; k < 2; k++) {
        hz__axis_window w = window_of(n->attr, k);
        hz__window_reach(&w, 2 + k, out, in);
    }
    return true;
}

bool hz__pool2d_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr) {
    hz_pool2d_geometry *g = attr;
    if (hz_box_is_empty(in, 4)) return false; /* all border */
    for (int k = 0; k < 2; k++) {
        hz__axis_window w = window_of(g, k);
        find_edges(g, k, hz_in(n, 0)->dim[2 + k]);
        hz__window_crop(&w, 2 + k, out, in);
        g->pad_before[k] = w.pad_before;
        g->pad_after[k] = w.pad_after;
        g->edge_lo[k] -= in->lo[2 + k];
        g->edge_hi[k] -= in->lo[2 + k];
    }
    return true;
}
