/* linear.c: matrix products, convolution and its adjoints.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/onnx/write/write.h"

/* ---- products ---- */

static hz__wire *matmul(hz__writer *w) {
    return hz__emit2(w, "MatMul", w->in[0], w->in[1]);
}

/* x·Wᵀ + b: Gemm for a matrix of rows */
static hz__wire *linear(hz__writer *w) {
    bool biased = w->n->n_in > 2;
    if (hz__in_value(w, 0)->rank == 2) {
        hz__wire *y = hz__emit_list(w, "Gemm", w->in, w->n->n_in);
        hz__with_int(w, "transB", 1);
        return y;
    }
    hz__wire *y = hz__emit2(w, "MatMul", w->in[0], hz__permuted(w, w->in[1], (const int64_t[]){1, 0}, 2));
    return biased ? hz__emit2(w, "Add", y, w->in[2]) : y;
}

/* ---- convolution ---- */

/* Padding that ONNX lets a convolution have, and the rest, which a Pad has to do before it. */
typedef struct margins {
    int64_t pads[4];
    int64_t before[4], after[4];
} margins;

static margins margins_of(const hz_conv2d_geometry *g) {
    margins m = {.pads = {0}};
    for (int k = 0; k < 2; k++) {
        *(g->pad_before[k] < 0 ? &m.before[2 + k] : &m.pads[k]) = g->pad_before[k];
        *(g->pad_after[k] < 0 ? &m.after[2 + k] : &m.pads[2 + k]) = g->pad_after[k];
    }
    return m;
}

static hz__wire *convolved(hz__writer *w, hz__wire *const *in, int n, const hz_conv2d_geometry *g) {
    margins m = margins_of(g);
    hz__wire *const inputs[] = {hz__padded(w, in[0], 4, m.before, m.after, 0), in[1], n > 2 ? in[2] : NULL};
    hz__wire *y = hz__emit_list(w, "Conv", inputs, n);
    hz__with_ints(w, "pads", m.pads, 4);
    hz__with_ints(w, "strides", g->stride, 2);
    hz__with_ints(w, "dilations", g->dilation, 2);
    hz__with_int(w, "group", g->groups);
    return y;
}

static hz__wire *conv2d(hz__writer *w) {
    return convolved(w, w->in, w->n->n_in, w->n->attr);
}

/* The adjoint in x is ConvTranspose, then what negative padding had cut off. Rows and columns that no window reached are
 * its output padding. */
static hz__wire *input_grad(hz__writer *w) {
    const hz_attr_conv2d_adjoint *a = w->n->attr;
    const hz_tensor *dy = hz__in_value(w, 0), *weight = hz__in_value(w, 1);
    margins m = margins_of(&a->g);
    int64_t more[2];
    for (int k = 0; k < 2; k++) {
        int64_t span = a->g.dilation[k] * (weight->dim[2 + k] - 1) + 1;
        int64_t made = (dy->dim[2 + k] - 1) * a->g.stride[k] + span - m.pads[k] - m.pads[2 + k];
        more[k] = a->extent[k] + m.before[2 + k] + m.after[2 + k] - made;
        m.before[2 + k] = -m.before[2 + k];
        m.after[2 + k] = -m.after[2 + k];
        if (more[k] >= a->g.stride[k] && more[k] >= a->g.dilation[k]) /* more than ONNX allows: zeros */
            m.after[2 + k] += more[k], more[k] = 0;
    }
    hz__wire *dx = hz__emit2(w, "ConvTranspose", w->in[0], w->in[1]);
    hz__with_ints(w, "pads", m.pads, 4);
    hz__with_ints(w, "strides", a->g.stride, 2);
    hz__with_ints(w, "dilations", a->g.dilation, 2);
    hz__with_ints(w, "output_padding", more, 2);
    hz__with_int(w, "group", a->g.groups);
    return hz__padded(w, dx, 4, m.before, m.after, 0);
}

/* The adjoint in w is a convolution in which the images are the channels, stride and dilation have changed places, and
 * what hangs over at the end is cut:
 *   x (N, G·C, H, W) → (C, G·N, H, W), dy (N, K, OH, OW) → (K, N, OH, OW), result (C, K, R, S) → (K, C, R, S) */
static hz__wire *weight_grad(hz__writer *w) {
    const hz_attr_conv2d_adjoint *a = w->n->attr;
    const hz_tensor *x = hz__in_value(w, 0), *y = hz__out_value(w);
    hz_conv2d_geometry g = a->g;
    const int64_t groups = g.groups, channels = x->dim[1] / groups, n = x->dim[0];
    for (int k = 0; k < 2; k++) g.stride[k] = a->g.dilation[k], g.dilation[k] = a->g.stride[k];
    if (hz_numel(x) == 0 || hz_numel(y) == 0) return hz__zeros(w, hz__ints_of(w, y->dim, 4), w->in[0]->type);
    hz__follows f = hz__in_follows(w, 0), split = f, merged = f;
    if (f.axis == 0) merged = (hz__follows){1, f.factor * groups};
    hz__wire *images =
        hz__reshaped(w, w->in[0], 5, (const int64_t[]){n, groups, channels, x->dim[2], x->dim[3]}, split);
    images = hz__permuted(w, images, (const int64_t[]){2, 1, 0, 3, 4}, 5);
    images =
        hz__reshaped(w, images, 4, (const int64_t[]){channels, groups * n, x->dim[2], x->dim[3]}, merged);
    hz__wire *filters = hz__permuted(w, w->in[1], (const int64_t[]){1, 0, 2, 3}, 4);
    hz__wire *dw = convolved(w, (hz__wire *const[]){images, filters}, 2, &g);
    dw = hz__sliced(w, dw, (const int64_t[]){2, 3}, (const int64_t[]){0, 0}, a->extent, 2);
    return hz__permuted(w, dw, (const int64_t[]){1, 0, 2, 3}, 4);
}

/* ---- the table ---- */

static const hz__form forms[] = {
    {&hz_op_matmul, .write = matmul},
    {&hz_op_linear, .write = linear},
    {&hz_op_conv2d, .write = conv2d},
    {&hz_op_conv2d_input_grad, .write = input_grad},
    {&hz_op_conv2d_weight_grad, .write = weight_grad},
};

const hz__forms hz__write_linear = {forms, HZ__COUNT(forms)};
