/* conv2d_depthwise.c: convolution with one channel to a group, plane by plane.
 *
 * There is nothing a matrix product could share between filters, so the loops run along output rows instead, over a
 * copy of the plane with its padding around it: no tap then needs to look where the border is. The adjoints use the
 * same copy: the input gradient adds into it, the weight gradient takes scalar products with it. Start reading at
 * hz__conv2d_depthwise.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "tensor/conv2d_parts.h"
#include "tensor/elementwise.h"

/* More filters to a channel than this, and the matrix product wins. */
enum { MOST_FILTERS = 4 };

typedef struct depthwise_task {
    const hz__conv2d *v;
    hz__padded padded; /* form of the padded plane */
    hz__planes from;   /* x or dy */
    const char *w;     /* (K, R·S), contiguous */
    const hz_tensor *b;
    hz__planes to;
    hz__planes dy; /* for the weight gradient */
} depthwise_task;

/* Extent of the input that the outputs of an axis touch, padding included. */
static int64_t touched(const hz__window *w, int axis) {
    return (w->out[axis] - 1) * w->stride[axis] + (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

static hz__padded padded_of(const hz__window *w) {
    const int64_t phase = (touched(w, 1) - 1) / w->stride[1] + 1;
    return (hz__padded){.rows = touched(w, 0), .pitch = phase * w->stride[1], .phase = phase};
}

/* Whether the padded plane is of a size with input and output: not with huge strides, dilations or padding. */
static bool padded_fits(const hz__window *w) {
    double area = 1;
    for (int axis = 0; axis < 2; axis++) {
        area *= (double)w->out[axis] * (double)w->stride[axis] +
                (double)w->kernel[axis] * (double)w->dilation[axis] + (double)w->stride[axis];
    }
    return area <= 4096 + 4 * ((double)w->in[0] * (double)w->in[1] + (double)w->out[0] * (double)w->out[1]);
}

bool hz__conv2d_depthwise_fits(const hz__conv2d *v) {
    return v->c == 1 && v->groups > 1 && v->k <= MOST_FILTERS && padded_fits(&v->window);
}

static int64_t padded_bytes(const depthwise_task *f) {
    return (f->padded.rows * f->padded.pitch * f->v->size + HZ_ALIGN - 1) / HZ_ALIGN * HZ_ALIGN;
}
static int64_t tap_bytes(const hz__conv2d *v) {
    return v->q * v->size;
}

/* The taps are read side by side; anything else is copied. */
static bool taps_of(const hz__conv2d *v, const hz_tensor *w, hz_tensor *taps, hz_block **copy,
                    hz_error *err) {
    *copy = NULL;
    *taps = *w;
    if (hz_is_contiguous(w)) return true;
    *copy = hz_pool_tensor(v->ex->pool, taps, err);
    if (!*copy) return false;
    hz_copy(v->ex, w, taps);
    return true;
}

/* Plane (n, k) of dy: in place if contiguous, else copied to room. */
static const char *dense_plane(const hz__conv2d *v, const hz__planes *dy, int64_t n, int64_t k, char *room) {
    const hz__planes at = hz__planes_at(v, *dy, n, k);
    const int64_t *out = v->window.out;
    if ((out[1] == 1 || dy->stride[3] == 1) && (out[0] == 1 || dy->stride[2] == out[1])) return at.data;
    const hz__padded same = {.rows = out[0], .pitch = out[1], .phase = out[1]};
    v->kernels->pad(&v->output, &same, at.data, at.stride, room);
    return room;
}

/* ---- y ---- */

static double bias_of(const hz_tensor *b, int64_t k) {
    return b ? hz_get(b, &k) : 0;
}

/* Piece: the filters of one channel of one image. */
static void forward_piece(const void *task, int64_t index, char *scratch) {
    const depthwise_task *f = task;
    const hz__conv2d *v = f->v;
    const int64_t n = index / v->groups, c = index % v->groups;
    const hz__planes x = hz__planes_at(v, f->from, n, c);
    v->kernels->pad(&v->window, &f->padded, x.data, x.stride, scratch);
    for (int64_t k = c * v->k; k < (c + 1) * v->k; k++) {
        v->kernels->forward(&v->window, &f->padded, scratch, f->w + k * tap_bytes(v), bias_of(f->b, k),
                            hz__planes_at(v, f->to, n, k).data);
    }
}

bool hz__conv2d_depthwise(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *w, const hz_tensor *b,
                          const hz_tensor *y, hz_error *err) {
    hz_tensor taps;
    hz_block *copy;
    if (!taps_of(v, w, &taps, &copy, err)) return false;
    const depthwise_task f = {.v = v,
                              .padded = padded_of(&v->window),
                              .from = hz__planes_of(x),
                              .w = taps.data,
                              .b = b,
                              .to = hz__planes_of(y)};
    const bool ok = hz__conv2d_run(v, &f, forward_piece, v->n * v->groups, (size_t)padded_bytes(&f), err);
    hz_block_unref(copy);
    return ok;
}

/* ---- dx ---- */

static void input_piece(const void *task, int64_t index, char *scratch) {
    const depthwise_task *f = task;
    const hz__conv2d *v = f->v;
    const int64_t n = index / v->groups, c = index % v->groups;
    memset(scratch, 0, (size_t)padded_bytes(f));
    for (int64_t k = c * v->k; k < (c + 1) * v->k; k++) {
        const char *dy = dense_plane(v, &f->from, n, k, scratch + padded_bytes(f));
        v->kernels->input_grad(&v->window, &f->padded, dy, f->w + k * tap_bytes(v), scratch);
    }
    v->kernels->unpad(&v->window, &f->padded, scratch, hz__planes_at(v, f->to, n, c).data);
}

bool hz__conv2d_depthwise_input_grad(const hz__conv2d *v, const hz_tensor *dy, const hz_tensor *w,
                                     const hz_tensor *dx, hz_error *err) {
    hz_tensor taps;
    hz_block *copy;
    if (!taps_of(v, w, &taps, &copy, err)) return false;
    const depthwise_task f = {.v = v,
                              .padded = padded_of(&v->window),
                              .from = hz__planes_of(dy),
                              .w = taps.data,
                              .to = hz__planes_of(dx)};
    const int64_t room = padded_bytes(&f) + v->p * v->size;
    const bool ok = hz__conv2d_run(v, &f, input_piece, v->n * v->groups, (size_t)room, err);
    hz_block_unref(copy);
    return ok;
}

/* ---- dw ---- */

/* Piece: the filters of one channel, summed over the images in order. */
static void weight_piece(const void *task, int64_t index, char *scratch) {
    const depthwise_task *f = task;
    const hz__conv2d *v = f->v;
    char *dw = f->to.data + index * v->k * tap_bytes(v);
    memset(dw, 0, (size_t)(v->k * tap_bytes(v)));
    for (int64_t n = 0; n < v->n; n++) {
        const hz__planes x = hz__planes_at(v, f->from, n, index);
        v->kernels->pad(&v->window, &f->padded, x.data, x.stride, scratch);
        for (int64_t k = 0; k < v->k; k++) {
            const char *dy = dense_plane(v, &f->dy, n, index * v->k + k, scratch + padded_bytes(f));
            v->kernels->weight_grad(&v->window, &f->padded, scratch, dy, dw + k * tap_bytes(v));
        }
    }
}

bool hz__conv2d_depthwise_weight_grad(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *dy,
                                      const hz_tensor *dw, hz_error *err) {
    const depthwise_task f = {.v = v,
                              .padded = padded_of(&v->window),
                              .from = hz__planes_of(x),
                              .to = hz__planes_of(dw),
                              .dy = hz__planes_of(dy)};
    const int64_t room = padded_bytes(&f) + v->p * v->size;
    return hz__conv2d_run(v, &f, weight_piece, v->groups, (size_t)room, err);
}
