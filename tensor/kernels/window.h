/* window.h: where the taps of a kernel that slides over a plane meet it; for convolution and pooling. Private.
 *
 * Tap t of output o meets position o·stride + t·dilation − pad of its axis.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_KERNELS_WINDOW_H
#define HZ_TENSOR_KERNELS_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/* Index 0 is the vertical axis, 1 the horizontal one. */
typedef struct hz__window {
    int64_t in[2], kernel[2], out[2]; /* extents */
    int64_t stride[2], pad[2], dilation[2];
} hz__window;

/* Half-open, lo ≤ hi. */
typedef struct hz__span {
    int64_t lo, hi;
} hz__span;

static inline int64_t hz__smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static inline int64_t hz__larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Position that a tap of output 0 meets. */
static inline int64_t hz__shift(const hz__window *w, int axis, int64_t tap) {
    return tap * w->dilation[axis] - w->pad[axis];
}

/* Smallest o ≥ 0 with o·stride ≥ x. */
static inline int64_t hz__first_at(int64_t x, int64_t stride) {
    return x <= 0 ? 0 : (x - 1) / stride + 1;
}

/* The outputs for which a tap lies inside the plane. */
static inline hz__span hz__inside(const hz__window *w, int axis, int64_t tap) {
    const int64_t shift = hz__shift(w, axis, tap), out = w->out[axis], stride = w->stride[axis];
    if (shift >= 0 && shift + (out - 1) * stride < w->in[axis])
        return (hz__span){0, out}; /* spare the divisions */
    const int64_t hi = hz__smaller(hz__first_at(w->in[axis] - shift, stride), out);
    return (hz__span){hz__smaller(hz__first_at(-shift, stride), hi), hi};
}

static inline hz__span hz__overlap(hz__span a, hz__span b) {
    const int64_t lo = hz__larger(a.lo, b.lo);
    return (hz__span){lo, hz__larger(lo, hz__smaller(a.hi, b.hi))};
}

/* What one tap (r, s) meets along one output row. */
typedef struct hz__taps {
    hz__span out;   /* the outputs for which it lies inside */
    int64_t row;    /* its row in the plane */
    int64_t column; /* its column for output out.lo; that of the next output is `stride` further */
} hz__taps;

/* False if it meets nothing. */
static inline bool hz__taps_of(const hz__window *w, int64_t oy, int64_t r, int64_t s, hz__taps *t) {
    t->row = hz__shift(w, 0, r) + oy * w->stride[0];
    if (t->row < 0 || t->row >= w->in[0]) return false;
    t->out = hz__inside(w, 1, s);
    t->column = hz__shift(w, 1, s) + t->out.lo * w->stride[1];
    return t->out.lo < t->out.hi;
}

#endif
