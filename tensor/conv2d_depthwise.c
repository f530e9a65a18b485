/* conv2d_depthwise.c: the weight gradient of convolutions with one channel to a group, plane by plane.
 *
 *   dw[k, r, s] = Σ_{n, oy, ox} dy[n, k, oy, ox] · x[n, c, oy·stride − pad + r·dilation, …]
 *
 * There is nothing a matrix product could share between filters. x is copied with its padding around it, dy into rows
 * of the same pitch, so that each tap is one scalar product of two long vectors, or of one to an output row if the
 * stride is not 1. The other two directions are conv2d_direct.c. Start reading at weight_piece.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "tensor/conv2d_parts.h"
#include "tensor/kernels/direct.h"

/* More filters to a channel than this, and the matrix product wins. */
enum { MOST_FILTERS = 4 };

typedef struct depthwise {
    const hz__conv2d *v;
    const hz__direct_kernels *kernels;
    hz__padded x_form, dy_form; /* the copies */
    hz__planes x, dy;
    char *dw;
    int64_t *offset; /* where each tap of output 0 meets the copy of x */
} depthwise;

/* Extent of the input that the outputs of an axis touch, padding included. */
static int64_t touched(const hz__window *w, int axis) {
    return (w->out[axis] - 1) * w->stride[axis] + (w->kernel[axis] - 1) * w->dilation[axis] + 1;
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

static bool is_dense(const hz__window *w) {
    return w->stride[0] == 1 && w->stride[1] == 1;
}

static depthwise depthwise_of(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *dy,
                              const hz_tensor *dw) {
    depthwise f = {.v = v, .kernels = hz__direct_table(v->dtype, v->ex->isa), .dw = dw->data};
    const hz__window *w = &v->window;
    const int64_t phase = hz__div_up(touched(w, 1), w->stride[1]), lanes = f.kernels->lanes;
    f.x_form = (hz__padded){.rows = touched(w, 0), .pitch = phase * w->stride[1], .phase = phase};
    f.dy_form = (hz__padded){.rows = w->out[0]};
    f.dy_form.pitch = f.dy_form.phase = is_dense(w) ? phase : hz__div_up(w->out[1], lanes) * lanes;
    f.x = hz__planes_of(x);
    f.dy = hz__planes_of(dy);
    return f;
}

static void set_offsets(const depthwise *f) {
    const hz__window *w = &f->v->window;
    for (int64_t q = 0; q < f->v->q; q++) {
        const int64_t u = q % w->kernel[1] * w->dilation[1];
        f->offset[q] = q / w->kernel[1] * w->dilation[0] * f->x_form.pitch +
                       u % w->stride[1] * f->x_form.phase + u / w->stride[1];
    }
}

/* Elements of a copy, and of the vector that reads on behind it. */
static int64_t copy_size(const depthwise *f, const hz__padded *form) {
    return form->rows * form->pitch + f->kernels->lanes;
}

static void copy_plane(const depthwise *f, const hz__window *w, const hz__padded *form, hz__planes plane,
                       char *to) {
    const int64_t size = f->v->size;
    f->v->kernels->pad(w, form, plane.data, plane.stride, to);
    memset(to + form->rows * form->pitch * size, 0, (size_t)(f->kernels->lanes * size));
}

static void correlate(const depthwise *f, const char *x, const char *dy, char *dw) {
    const hz__window *w = &f->v->window;
    const int64_t size = f->v->size;
    if (is_dense(w)) {
        const int64_t n = (w->out[0] - 1) * f->x_form.pitch + w->out[1];
        f->kernels->correlate(n, f->v->q, f->offset, x, dy, dw);
        return;
    }
    for (int64_t oy = 0; oy < w->out[0]; oy++) {
        f->kernels->correlate(w->out[1], f->v->q, f->offset, x + oy * w->stride[0] * f->x_form.pitch * size,
                              dy + oy * f->dy_form.pitch * size, dw);
    }
}

/* Piece: the filters of one channel, summed over the images in order. */
static void weight_piece(const void *task, int64_t index, char *scratch) {
    const depthwise *f = task;
    const hz__conv2d *v = f->v;
    const int64_t filter = v->q * v->size;
    char *dw = f->dw + index * v->k * filter, *dy = scratch + copy_size(f, &f->x_form) * v->size;
    memset(dw, 0, (size_t)(v->k * filter));
    for (int64_t n = 0; n < v->n; n++) {
        copy_plane(f, &v->window, &f->x_form, hz__planes_at(v, f->x, n, index), scratch);
        for (int64_t k = 0; k < v->k; k++) {
            copy_plane(f, &v->output, &f->dy_form, hz__planes_at(v, f->dy, n, index * v->k + k), dy);
            correlate(f, scratch, dy, dw + k * filter);
        }
    }
}

bool hz__conv2d_depthwise_weight_grad(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *dy,
                                      const hz_tensor *dw, hz_error *err) {
    depthwise f = depthwise_of(v, x, dy, dw);
    hz_block *block = hz_pool_get(v->ex->pool, (size_t)v->q * sizeof *f.offset);
    if (!block)
        return hz_fail(err, HZ_ENOMEM, "conv2d_weight_grad: no memory for %lld offsets", (long long)v->q);
    f.offset = block->data;
    set_offsets(&f);
    const int64_t room = (copy_size(&f, &f.x_form) + copy_size(&f, &f.dy_form)) * v->size;
    const bool ok = hz__conv2d_run(v, &f, weight_piece, v->groups, (size_t)room, err);
    hz_block_unref(block);
    return ok;
}
