/* pool.c: poolings over one to three spatial axes. Over three they are done one after the other: along the first axis,
 * then along the other two; a maximum, and an average over the positions inside, are the same either way.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>

#include "nn/onnx/window.h"
#include "tensor/elementwise.h"

typedef hz_var (*pool_fn)(hz_var x, const hz_pool2d_opts *opts);

static hz_pool2d_opts opts_of(const hz__window *w, int from, bool count_padding) {
    hz_pool2d_opts o = {.ceil = w->ceil, .count_padding = count_padding};
    for (int k = 0; k < 2; k++) {
        o.kernel[k] = w->kernel[from + k];
        o.stride[k] = w->stride[from + k];
        o.dilation[k] = w->dilation[from + k];
        o.pad_before[k] = w->before[from + k];
        o.pad_after[k] = w->after[from + k];
    }
    return o;
}

/* (N, C, D, H, W): along D as images of D × H·W, then over H × W. */
static hz_var pool3d(hz_var x, const hz__window *w, bool count_padding, pool_fn pool) {
    const hz_tensor *v = hz_value(x);
    const int64_t n = v->dim[0], ch = v->dim[1], h = v->dim[3], wd = v->dim[4];
    hz_pool2d_opts depth = {.ceil = w->ceil, .count_padding = count_padding};
    depth.kernel[0] = w->kernel[0], depth.stride[0] = w->stride[0], depth.dilation[0] = w->dilation[0];
    depth.pad_before[0] = w->before[0], depth.pad_after[0] = w->after[0];
    depth.kernel[1] = 1;
    const hz_pool2d_opts rest = opts_of(w, 1, count_padding);
    hz_var y = pool(hz_reshape(x, HZ_DIMS(n, ch, v->dim[2], h * wd)), &depth);
    if (!hz_ok(y)) return y;
    int64_t od = hz_value(y)->dim[2];
    y = pool(hz_reshape(y, HZ_DIMS(n, ch * od, h, wd)), &rest);
    if (!hz_ok(y)) return y;
    return hz_reshape(y, HZ_DIMS(n, ch, od, hz_value(y)->dim[2], hz_value(y)->dim[3]));
}

static hz_var pool(hz_var x, hz__window w, bool count_padding, pool_fn f) {
    int n = w.n;
    if (!hz_ok(x)) return x;
    if (n == 3) return pool3d(x, &w, count_padding, f);
    x = hz__lift(x, &w);
    const hz_pool2d_opts opts = opts_of(&w, 0, count_padding);
    return hz__lower(f(x, &opts), n);
}

/* ---- where the maxima are ---- */

/* Positions in f64, axes of a window that are missing as axes of extent 1. */
typedef struct search {
    const double *x;
    int64_t in[HZ__SPACE], out[HZ__SPACE], column_stride[HZ__SPACE];
    hz__window w;
} search;

/* The position of the first maximum of the window at `at`, as a number in row-major order, or −1. */
static int64_t first_maximum(const search *s, const double *x, const int64_t *at) {
    int64_t best = -1, r[HZ__SPACE], p[HZ__SPACE];
    for (r[0] = 0; r[0] < s->w.kernel[0]; r[0]++)
        for (r[1] = 0; r[1] < s->w.kernel[1]; r[1]++)
            for (r[2] = 0; r[2] < s->w.kernel[2]; r[2]++) {
                bool inside = true;
                for (int k = 0; k < HZ__SPACE; k++) {
                    p[k] = at[k] * s->w.stride[k] - s->w.before[k] + r[k] * s->w.dilation[k];
                    inside = inside && p[k] >= 0 && p[k] < s->in[k];
                }
                int64_t place = (p[0] * s->in[1] + p[1]) * s->in[2] + p[2];
                if (inside && (best < 0 || x[place] > x[best])) best = place;
            }
    return best;
}

/* The same number for an image in column-major order (storage_order 1). */
static int64_t column_major(const search *s, int64_t place) {
    int64_t p2 = place % s->in[2], p1 = place / s->in[2] % s->in[1], p0 = place / s->in[2] / s->in[1];
    return p0 * s->column_stride[0] + p1 * s->column_stride[1] + p2 * s->column_stride[2];
}

static search search_of(const hz_tensor *x, const hz_tensor *y, const hz__window *w) {
    search s = {.w = *w};
    int first = HZ__SPACE - w->n;
    for (int k = HZ__SPACE - 1; k >= 0; k--) {
        int from = k - first;
        s.in[k] = from >= 0 ? x->dim[2 + from] : 1;
        s.out[k] = from >= 0 ? y->dim[2 + from] : 1;
        s.w.kernel[k] = from >= 0 ? w->kernel[from] : 1;
        s.w.stride[k] = from >= 0 ? w->stride[from] : 1;
        s.w.dilation[k] = from >= 0 ? w->dilation[from] : 1;
        s.w.before[k] = from >= 0 ? w->before[from] : 0;
    }
    s.column_stride[0] = 1;
    for (int k = 1; k < HZ__SPACE; k++) s.column_stride[k] = s.column_stride[k - 1] * s.in[k - 1];
    return s;
}

static hz_var maxima(hz__call *c, hz_var x, hz_var y, const hz__window *w) {
    const hz_tensor *v = hz_value(x), *o = hz_value(y);
    hz_var copy = hz_full(c->t, HZ_F64, v->rank, v->dim, 0), index = hz__new_i64(c, o->rank, o->dim);
    if (!hz_ok(copy) || !hz_ok(index) || !hz_ok(y)) return hz_none(c->t);
    hz_cast(hz_tape_exec(c->t), v, hz_value(copy));
    search s = search_of(v, o, w);
    const double *from = hz_value(copy)->data;
    int64_t *to = hz__i64(index), size = s.in[0] * s.in[1] * s.in[2], at[HZ__SPACE];
    bool columns = hz__attr_int(c, "storage_order", 0) != 0;
    for (int64_t image = 0; image < v->dim[0] * v->dim[1]; image++)
        for (at[0] = 0; at[0] < s.out[0]; at[0]++)
            for (at[1] = 0; at[1] < s.out[1]; at[1]++)
                for (at[2] = 0; at[2] < s.out[2]; at[2]++) {
                    int64_t best = first_maximum(&s, from + image * size, at);
                    *to++ = image * size + (columns && best >= 0 ? column_major(&s, best) : best);
                }
    return index;
}

/* ---- MaxPool, AveragePool, LpPool ---- */

static void max_pool(hz__call *c) {
    hz__window w;
    hz_var x = hz__arg_float(c, 0);
    if (!hz__window_of(c, NULL, &w)) return;
    hz_var y = pool(x, w, false, hz_max_pool2d);
    hz__give_like_arg(c, 0, y);
    if (hz__wants(c, 1) && hz_ok(y)) hz__give(c, 1, maxima(c, x, y, &w));
}

static void average_pool(hz__call *c) {
    hz__window w;
    if (!hz__window_of(c, NULL, &w)) return;
    hz__give(c, 0, pool(hz__arg(c, 0), w, hz__attr_int(c, "count_include_pad", 0) != 0, hz_avg_pool2d));
}

/* Windows that hang over the end are made to fit by padding, so that an average divides by the whole kernel. */
static void fit(const hz_tensor *x, hz__window *w) {
    for (int k = 0; w->ceil && k < w->n; k++) {
        int64_t room = x->dim[2 + k] + w->before[k] + w->after[k] - hz__window_span(w, k);
        if (room > 0 && room % w->stride[k]) w->after[k] += w->stride[k] - room % w->stride[k];
    }
    w->ceil = false;
}

/* (Σ |x|^p)^(1/p): an average times the size of the window. */
static void lp_pool(hz__call *c) {
    hz__window w;
    double p = (double)hz__attr_int(c, "p", 2), size = 1;
    if (!hz__window_of(c, NULL, &w)) return;
    fit(hz__arg_value(c, 0), &w);
    for (int k = 0; k < w.n; k++) size *= (double)w.kernel[k];
    hz_var powers = hz_pow_scalar(hz_abs(hz__arg(c, 0)), p);
    hz__give(c, 0, hz_pow_scalar(hz_scale(pool(powers, w, true, hz_avg_pool2d), size), 1 / p));
}

/* ---- over the whole image ---- */

static bool spatial_axes(hz__call *c, hz_axes *axes) {
    int rank = hz__arg_value(c, 0)->rank;
    *axes = 0;
    for (int k = 2; k < rank; k++) *axes |= HZ_AXIS(k);
    if (*axes) return true;
    hz__bad(c, "input %s is not (N, C, …)", hz_shape_str(hz__arg_value(c, 0)).s);
    return false;
}

static void global_average_pool(hz__call *c) {
    hz_axes axes;
    if (spatial_axes(c, &axes)) hz__give(c, 0, hz_mean(hz__arg(c, 0), axes, true));
}

static void global_max_pool(hz__call *c) {
    hz_axes axes;
    if (spatial_axes(c, &axes)) hz__give(c, 0, hz_max(hz__arg(c, 0), axes, true));
}

static void global_lp_pool(hz__call *c) {
    hz_axes axes;
    double p = (double)hz__attr_int(c, "p", 2);
    if (!spatial_axes(c, &axes)) return;
    hz__give(c, 0, hz_pow_scalar(hz_sum(hz_pow_scalar(hz_abs(hz__arg(c, 0)), p), axes, true), 1 / p));
}

/* ---- MaxUnpool ---- */

/* What a pooling without partial windows began with, and how much more is asked for at the end of each axis. */
static bool unpooled_shape(hz__call *c, int64_t *dim, int64_t *more) {
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t asked[HZ_MAX_RANK];
    hz__window w;
    int n = x->rank;
    if (!hz__window_of(c, NULL, &w)) return false;
    dim[0] = x->dim[0], dim[1] = x->dim[1];
    for (int k = 0; k < w.n; k++)
        dim[2 + k] = (x->dim[2 + k] - 1) * w.stride[k] + w.kernel[k] - w.before[k] - w.after[k];
    if (hz__has(c, 2) && !hz__ints(c, 2, NULL, asked, x->rank, &n)) return false;
    for (int k = 0; k < x->rank; k++) more[k] = hz__has(c, 2) && k < n ? asked[k] - dim[k] : 0;
    return n == x->rank || (hz__bad(c, "an output shape of %d axes", n), false);
}

static void max_unpool(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0), *index = hz__arg_value(c, 1);
    int64_t dim[HZ_MAX_RANK], more[HZ_MAX_RANK], none[HZ_MAX_RANK] = {0}, count = 1;
    hz_error why = {.code = HZ_OK};
    if (!unpooled_shape(c, dim, more)) return;
    if (!hz_shape_check("output", x->dtype, x->rank, dim, &why) || !hz_same_shape(x, index)) {
        hz__bad(c, "input %s and indices %s: %s", hz_shape_str(x).s, hz_shape_str(index).s, why.text);
        return;
    }
    for (int k = 0; k < x->rank; k++) count *= dim[k];
    hz_var places = hz_reshape(hz__arg(c, 1), HZ_DIMS(-1)), values = hz_reshape(hz__arg(c, 0), HZ_DIMS(-1));
    hz_var y = hz_reshape(hz_scatter_elements(places, values, 0, count), x->rank, dim);
    hz__give(c, 0, hz_pad(y, none, more, HZ_PAD_CONSTANT, 0));
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"MaxPool", .since = 1, .run = max_pool},
    {"AveragePool", .since = 1, .run = average_pool},
    {"LpPool", .since = 2, .run = lp_pool},
    {"GlobalAveragePool", .since = 1, .run = global_average_pool},
    {"GlobalMaxPool", .since = 1, .run = global_max_pool},
    {"GlobalLpPool", .since = 2, .run = global_lp_pool},
    {"MaxUnpool", .since = 9, .need = 2, .run = max_unpool},
};

const hz__family hz__onnx_pool = {mappings, HZ__COUNT(mappings)};
