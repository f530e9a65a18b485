/* conv2d_reference.c: convolution and its two adjoints in plain loops, straight from the formula in conv2d.h: the
 * oracle of the tests.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/conv2d.h"

/* One product of the sum: which weight meets which pixel for which output. */
typedef void meet(void *ctx, const int64_t *x, const int64_t *w, const int64_t *y);

/* Call fn for every pair of an output and a weight whose pixel lies inside the input. */
static void for_each_product(const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *w,
                             const hz_tensor *y, meet *fn, void *ctx) {
    const int64_t per_group = w->dim[0] / g->groups;
    for (int64_t o = 0; o < hz_numel(y); o++) {
        int64_t at_y[HZ_MAX_RANK], at_w[HZ_MAX_RANK];
        hz_unravel(y, o, at_y);
        for (int64_t q = 0; q < w->dim[1] * w->dim[2] * w->dim[3]; q++) {
            hz_unravel(w, q, at_w);
            at_w[0] = at_y[1];
            const int64_t group = at_w[0] / per_group;
            const int64_t iy = at_y[2] * g->stride[0] - g->pad_before[0] + at_w[2] * g->dilation[0];
            const int64_t ix = at_y[3] * g->stride[1] - g->pad_before[1] + at_w[3] * g->dilation[1];
            if (iy < 0 || iy >= x->dim[2] || ix < 0 || ix >= x->dim[3]) continue;
            fn(ctx, (int64_t[]){at_y[0], group * w->dim[1] + at_w[1], iy, ix}, at_w, at_y);
        }
    }
}

typedef struct operands {
    const hz_tensor *x, *w, *y;
} operands;

static void add(const hz_tensor *t, const int64_t *at, double value) {
    hz_set(t, at, hz_get(t, at) + value);
}

static void zero(const hz_tensor *t) {
    for (int64_t i = 0; i < hz_numel(t); i++) hz_set_flat(t, i, 0);
}

static void into_y(void *ctx, const int64_t *x, const int64_t *w, const int64_t *y) {
    const operands *t = ctx;
    add(t->y, y, hz_get(t->w, w) * hz_get(t->x, x));
}

static void into_x(void *ctx, const int64_t *x, const int64_t *w, const int64_t *y) {
    const operands *t = ctx;
    add(t->x, x, hz_get(t->w, w) * hz_get(t->y, y));
}

static void into_w(void *ctx, const int64_t *x, const int64_t *w, const int64_t *y) {
    const operands *t = ctx;
    add(t->w, w, hz_get(t->x, x) * hz_get(t->y, y));
}

void hz_conv2d_reference(const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *w,
                         const hz_tensor *b, const hz_tensor *y) {
    for (int64_t i = 0; i < hz_numel(y); i++) {
        int64_t at[HZ_MAX_RANK];
        hz_unravel(y, i, at);
        hz_set(y, at, b ? hz_get(b, &at[1]) : 0);
    }
    for_each_product(g, x, w, y, into_y, &(operands){x, w, y});
}

void hz_conv2d_input_grad_reference(const hz_conv2d_geometry *g, const hz_tensor *dy, const hz_tensor *w,
                                    const hz_tensor *dx) {
    zero(dx);
    for_each_product(g, dx, w, dy, into_x, &(operands){dx, w, dy});
}

void hz_conv2d_weight_grad_reference(const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *dy,
                                     const hz_tensor *dw) {
    zero(dw);
    for_each_product(g, x, dw, dy, into_w, &(operands){x, dw, dy});
}
