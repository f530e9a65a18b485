/* convolution.c: see convolution.h.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/convolution.h"

#include <inttypes.h>

/* ---- geometry ---- */

static int64_t or_one(int64_t value) {
    return value ? value : 1;
}

hz_conv2d_geometry hz__conv2d_geometry_of(const hz_conv2d_opts *opts) {
    static const hz_conv2d_opts defaults;
    if (!opts) opts = &defaults;
    hz_conv2d_geometry g = {.groups = or_one(opts->groups)};
    for (int k = 0; k < 2; k++) {
        g.stride[k] = or_one(opts->stride[k]);
        g.dilation[k] = or_one(opts->dilation[k]);
        g.pad_before[k] = hz__window_pad(opts->pad[k], opts->pad_before[k]);
        g.pad_after[k] = hz__window_pad(opts->pad[k], opts->pad_after[k]);
    }
    return g;
}

hz__axis_window hz__conv2d_window(const hz_conv2d_geometry *g, const hz_tensor *w, int k) {
    return (hz__axis_window){.kernel = w->dim[2 + k],
                             .stride = g->stride[k],
                             .dilation = g->dilation[k],
                             .pad_before = g->pad_before[k],
                             .pad_after = g->pad_after[k]};
}

/* ---- checks ---- */

static bool check_types(const hz_tensor *x, const hz_tensor *w, hz_error *err) {
    if (x->rank != 4 || w->rank != 4)
        return hz_fail(err, HZ_ESHAPE, "input %s must be (N, C, H, W) and weight %s (K, C/groups, R, S)",
                       hz_shape_str(x).s, hz_shape_str(w).s);
    if (x->dtype != w->dtype || !hz_dtype_is_float(x->dtype))
        return hz_fail(err, HZ_ESHAPE, "input %s is %s and weight %s is %s, not one of f32 and f64",
                       hz_shape_str(x).s, hz_dtype_name(x->dtype), hz_shape_str(w).s,
                       hz_dtype_name(w->dtype));
    return true;
}

static bool check_channels(int64_t groups, const hz_tensor *x, const hz_tensor *w, hz_error *err) {
    int64_t c = x->dim[1], k = w->dim[0], in_group = w->dim[1];
    if (groups < 1) return hz_fail(err, HZ_EINVAL, "groups must be at least 1, not %" PRId64, groups);
    if (groups == 1 && c != in_group)
        return hz_fail(err, HZ_ESHAPE,
                       "input %s and weight %s disagree on channels (%" PRId64 " vs %" PRId64 ")",
                       hz_shape_str(x).s, hz_shape_str(w).s, c, in_group);
    if (c % groups != 0 || c / groups != in_group)
        return hz_fail(err, HZ_ESHAPE,
                       "input %s and weight %s disagree on channels (%" PRId64 " vs %" PRId64
                       " in each of %" PRId64 " groups)",
                       hz_shape_str(x).s, hz_shape_str(w).s, c, in_group, groups);
    if (k % groups != 0)
        return hz_fail(err, HZ_ESHAPE,
                       "weight %s has %" PRId64 " filters, which %" PRId64 " groups do not divide",
                       hz_shape_str(w).s, k, groups);
    return true;
}

static bool check_axis(const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *w, int k,
                       hz_tensor *y, hz_error *err) {
    static const char *const axis[] = {"rows", "columns"};
    hz__axis_window window = hz__conv2d_window(g, w, k);
    if (!hz__window_check(&window, axis[k], err)) return false;
    y->dim[2 + k] = hz_conv2d_extent(x->dim[2 + k], window.kernel, window.stride, window.pad_before,
                                     window.pad_after, window.dilation);
    if (y->dim[2 + k] >= 0) return true;
    return hz_fail(
        err, HZ_ESHAPE,
        "weight %s with dilation %" PRId64 " has more %s than input %s padded by %" PRId64 " and %" PRId64,
        hz_shape_str(w).s, window.dilation, axis[k], hz_shape_str(x).s, window.pad_before, window.pad_after);
}

bool hz__conv2d_check(const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *w, hz_tensor *y,
                      hz_error *err) {
    if (!check_types(x, w, err) || !check_channels(g->groups, x, w, err)) return false;
    *y = hz_tensor_of(NULL, x->dtype, HZ_DIMS(x->dim[0], w->dim[0], 0, 0));
    for (int k = 0; k < 2; k++)
        if (!check_axis(g, x, w, k, y, err)) return false;
    return hz_shape_check("result", y->dtype, y->rank, y->dim, err);
}

bool hz__conv2d_check_cotangent(const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *w,
                                const hz_tensor *dy, hz_error *err) {
    hz_tensor y;
    if (!hz__conv2d_check(g, x, w, &y, err)) return false;
    if (dy->dtype == y.dtype && hz_same_shape(dy, &y)) return true;
    return hz_fail(err, HZ_ESHAPE, "cotangent %s %s is not %s %s, the result of input %s and weight %s",
                   hz_dtype_name(dy->dtype), hz_shape_str(dy).s, hz_dtype_name(y.dtype), hz_shape_str(&y).s,
                   hz_shape_str(x).s, hz_shape_str(w).s);
}

/* ---- groups in boxes ---- */

hz__group_range hz__groups_holding(int64_t lo, int64_t hi, int64_t size) {
    hz__group_range range = {.first = hz__floor_div(lo, size), .end = hz__ceil_div(hi, size)};
    range.whole = lo == range.first * size && hi == range.end * size;
    return range;
}

bool hz__groups_crop(hz__group_range range, int64_t *groups) {
    *groups = range.end - range.first;
    return range.whole || *groups == 1;
}
