/* pool.c: poolings and their adjoints. ONNX's have no windows that hang over, no negative padding and, for averages, no
 * dilation at this opset; an average that needs them is a convolution of each channel with ones, divided by the number of
 * positions that count, and an adaptive one a product with matrices of weights.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "nn/onnx/write/write.h"

static const hz_pool2d_geometry *geometry(const hz__writer *w) {
    return w->n->attr;
}

/* ---- maxima ---- */

/* A border that ONNX's own padding cannot be, or a crop, for a Pad to make. */
typedef struct border {
    int64_t pads[4], before[4], after[4];
} border;

static border border_of(const hz_pool2d_geometry *g) {
    border b = {.pads = {0}};
    for (int k = 0; k < 2; k++) {
        bool fits = g->pad_before[k] >= 0 && g->pad_after[k] >= 0 && g->pad_before[k] < g->kernel[k] &&
                    g->pad_after[k] < g->kernel[k];
        *(fits ? &b.pads[k] : &b.before[2 + k]) = g->pad_before[k];
        *(fits ? &b.pads[2 + k] : &b.after[2 + k]) = g->pad_after[k];
    }
    return b;
}

static hz__wire *maxima(hz__writer *w, hz__wire *x, const border *b, const hz_pool2d_geometry *g) {
    hz__wire *y = hz__emit1(w, "MaxPool", x);
    hz__with_ints(w, "kernel_shape", g->kernel, 2);
    hz__with_ints(w, "strides", g->stride, 2);
    hz__with_ints(w, "dilations", g->dilation, 2);
    hz__with_ints(w, "pads", b->pads, 4);
    return y;
}

static hz__wire *bordered(hz__writer *w, hz__wire *x, const border *b, double value) {
    return hz__padded(w, x, 4, b->before, b->after, value);
}

static hz__wire *max_pool(hz__writer *w) {
    const border b = border_of(geometry(w));
    return maxima(w, bordered(w, w->in[0], &b, -HUGE_VAL), &b, geometry(w));
}

static hz__wire *flat(hz__writer *w, hz__wire *x) {
    return hz__emit2(w, "Reshape", x, hz__ints_of(w, (const int64_t[]){-1}, 1));
}

static hz__wire *shape_of(hz__writer *w, hz__wire *x) {
    return hz__of_type(hz__emit1(w, "Shape", x), HZ__INT64);
}

/* Into zeros of the shape of x with its border, as one row; then without the border. */
static hz__wire *max_pool_grad(hz__writer *w) {
    const hz_tensor *v = hz__in_value(w, 0);
    border b = border_of(geometry(w));
    if (hz_numel(v) == 0) return hz__zeros(w, shape_of(w, w->in[0]), w->in[1]->type);
    hz__wire *x = bordered(w, w->in[0], &b, -HUGE_VAL);
    maxima(w, x, &b, geometry(w));
    hz__wire *at = flat(w, hz__second_output(w, HZ__INT64));
    hz__wire *row = hz__added_along(w, at, flat(w, w->in[1]), shape_of(w, flat(w, x)), 0);
    hz__wire *dx = hz__emit2(w, "Reshape", row, shape_of(w, x));
    for (int k = 0; k < 4; k++) b.before[k] = -b.before[k], b.after[k] = -b.after[k];
    return bordered(w, dx, &b, 0);
}

static hz__wire *max_pool_take(hz__writer *w) {
    const hz_attr_pool2d_adjoint *a = w->n->attr;
    const hz_tensor *y = hz__out_value(w);
    const border b = border_of(&a->g);
    if (hz_numel(y) == 0)
        return hz__zeros(w, hz__shape_vector(w, 4, y->dim, hz__out_follows(w)), w->in[1]->type);
    maxima(w, bordered(w, w->in[0], &b, -HUGE_VAL), &b, &a->g);
    hz__wire *at = hz__second_output(w, HZ__INT64);
    return hz__emit2(w, "Gather", flat(w, bordered(w, w->in[1], &b, 0)), at);
}

/* ---- averages ---- */

/* How many positions of window p along axis k count, of an input of this extent. */
static int64_t counted(const hz_pool2d_geometry *g, int k, int64_t extent, int64_t p) {
    bool edges = g->edge_lo[k] || g->edge_hi[k];
    int64_t lo = edges ? g->edge_lo[k] : -g->pad_before[k];
    int64_t hi = edges ? g->edge_hi[k] : extent + g->pad_after[k], n = 0;
    if (!g->count_padding) lo = 0, hi = extent;
    for (int64_t r = 0; r < g->kernel[k]; r++) {
        int64_t at = p * g->stride[k] - g->pad_before[k] + r * g->dilation[k];
        n += at >= lo && at < hi;
    }
    return n;
}

/* 1/count of every window, (1, 1, OH, OW); 0 for a window of nothing */
static hz__wire *weights(hz__writer *w, const hz_pool2d_geometry *g, const int64_t *extent, int64_t oh,
                         int64_t ow) {
    double *v = hz__keep(w, (size_t)(oh * ow) + 1, sizeof *v);
    if (!v) return &w->nothing;
    for (int64_t k = 0; k < oh * ow; k++) {
        int64_t n = counted(g, 0, extent[0], k / ow) * counted(g, 1, extent[1], k % ow);
        v[k] = n ? 1 / (double)n : 0;
    }
    return hz__table(w, hz__float_type(w), 4, (const int64_t[]){1, 1, oh, ow}, v);
}

static hz__wire *ones(hz__writer *w, const hz_pool2d_geometry *g, int64_t channels) {
    const int64_t dim[] = {channels, 1, g->kernel[0], g->kernel[1]};
    hz__wire *y = hz__of_type(hz__emit1(w, "ConstantOfShape", hz__ints_of(w, dim, 4)), hz__float_type(w));
    hz__with_tensor(w, "value", hz__float_type(w), 1);
    return y;
}

static void with_windows(hz__writer *w, const hz_pool2d_geometry *g, int64_t groups) {
    hz__with_ints(w, "strides", g->stride, 2);
    hz__with_ints(w, "dilations", g->dilation, 2);
    hz__with_int(w, "group", groups);
}

/* Whether AveragePool says it. */
static bool is_plain(const hz_pool2d_geometry *g, const int64_t *extent) {
    for (int k = 0; k < 2; k++) {
        if (g->dilation[k] != 1 || g->pad_before[k] < 0 || g->pad_after[k] < 0) return false;
        if (g->pad_before[k] >= g->kernel[k] || g->pad_after[k] >= g->kernel[k]) return false;
        if (g->count_padding && (g->edge_lo[k] || g->edge_hi[k]) &&
            (g->edge_lo[k] != -g->pad_before[k] || g->edge_hi[k] != extent[k] + g->pad_after[k]))
            return false;
    }
    return true;
}

static hz__wire *avg_pool(hz__writer *w) {
    const hz_pool2d_geometry *g = geometry(w);
    const hz_tensor *x = hz__in_value(w, 0), *y = hz__out_value(w);
    const int64_t before[] = {0, 0, g->pad_before[0], g->pad_before[1]};
    const int64_t after[] = {0, 0, g->pad_after[0], g->pad_after[1]};
    if (is_plain(g, x->dim + 2)) {
        hz__wire *z = hz__emit1(w, "AveragePool", w->in[0]);
        hz__with_ints(w, "kernel_shape", g->kernel, 2);
        hz__with_ints(w, "strides", g->stride, 2);
        hz__with_ints(w, "pads", (const int64_t[]){before[2], before[3], after[2], after[3]}, 4);
        hz__with_int(w, "count_include_pad", g->count_padding);
        return z;
    }
    hz__wire *filter = ones(w, g, x->dim[1]);
    hz__wire *sum = hz__emit2(w, "Conv", hz__padded(w, w->in[0], 4, before, after, 0), filter);
    with_windows(w, g, x->dim[1]);
    return hz__product(w, sum, weights(w, g, x->dim + 2, y->dim[2], y->dim[3]));
}

static hz__wire *avg_pool_grad(hz__writer *w) {
    const hz_attr_pool2d_adjoint *a = w->n->attr;
    const hz_pool2d_geometry *g = &a->g;
    const hz_tensor *dy = hz__in_value(w, 0), *dx = hz__out_value(w);
    int64_t before[4] = {0}, after[4] = {0};
    if (hz_numel(dx) == 0)
        return hz__zeros(w, hz__shape_vector(w, 4, dx->dim, hz__out_follows(w)), w->in[0]->type);
    for (int k = 0; k < 2; k++) {
        int64_t made = (dy->dim[2 + k] - 1) * g->stride[k] + g->dilation[k] * (g->kernel[k] - 1) + 1;
        before[2 + k] = -g->pad_before[k];
        after[2 + k] = a->extent[k] + g->pad_before[k] - made;
    }
    hz__wire *parts = hz__product(w, w->in[0], weights(w, g, a->extent, dy->dim[2], dy->dim[3]));
    hz__wire *filter = ones(w, g, dx->dim[1]);
    hz__wire *y = hz__emit2(w, "ConvTranspose", parts, filter);
    with_windows(w, g, dx->dim[1]);
    return hz__padded(w, y, 4, before, after, 0);
}

/* ---- adaptive averages: y = A·x·Bᵀ ---- */

/* (windows, extent), or turned round: 1/size where position i is in window o */
static hz__wire *averaging(hz__writer *w, int64_t extent, int64_t windows, bool turned) {
    double *v = hz__keep(w, (size_t)(extent * windows) + 1, sizeof *v);
    if (!v) return &w->nothing;
    for (int64_t o = 0; o < windows; o++) {
        int64_t lo = o * extent / windows, hi = ((o + 1) * extent + windows - 1) / windows;
        for (int64_t i = lo; i < hi; i++)
            v[turned ? i * windows + o : o * extent + i] = 1 / (double)(hi - lo);
    }
    const int64_t dim[] = {turned ? extent : windows, turned ? windows : extent};
    return hz__table(w, hz__float_type(w), 2, dim, v);
}

static hz__wire *adaptive(hz__writer *w) {
    const hz_tensor *x = hz__in_value(w, 0), *y = hz__out_value(w);
    if (y->dim[2] == 1 && y->dim[3] == 1) return hz__emit1(w, "GlobalAveragePool", w->in[0]);
    hz__wire *rows = hz__emit2(w, "MatMul", averaging(w, x->dim[2], y->dim[2], false), w->in[0]);
    return hz__emit2(w, "MatMul", rows, averaging(w, x->dim[3], y->dim[3], true));
}

static hz__wire *adaptive_grad(hz__writer *w) {
    const hz_tensor *dy = hz__in_value(w, 0), *dx = hz__out_value(w);
    hz__wire *rows = hz__emit2(w, "MatMul", averaging(w, dx->dim[2], dy->dim[2], true), w->in[0]);
    return hz__emit2(w, "MatMul", rows, averaging(w, dx->dim[3], dy->dim[3], false));
}

/* ---- the table ---- */

static const hz__form forms[] = {
    {&hz_op_max_pool2d, .write = max_pool},
    {&hz_op_max_pool2d_grad, .write = max_pool_grad},
    {&hz_op_max_pool2d_take, .write = max_pool_take},
    {&hz_op_avg_pool2d, .write = avg_pool},
    {&hz_op_avg_pool2d_grad, .write = avg_pool_grad},
    {&hz_op_adaptive_avg_pool2d, .write = adaptive},
    {&hz_op_adaptive_avg_pool2d_grad, .write = adaptive_grad},
};

const hz__forms hz__write_pool = {forms, HZ__COUNT(forms)};
