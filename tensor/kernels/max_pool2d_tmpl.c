/* max_pool2d_tmpl.c: maximum pooling of one plane, its adjoint, and the adjoint of that.
 *
 * Small windows are folded: in a copy of a part of the padded plane that fits the L1 cache, every element becomes the
 * larger of itself and its neighbour below, kernel − 1 times, then the same to the right. These passes run over the
 * copy as one long row, however short the rows of the plane. Larger windows are scanned tap by tap, all outputs of a
 * row at once. Either way a consumer is called with rows of maxima and their positions. Start at the end.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "tensor/kernels/pool2d.h"
#include "tensor/kernels/template.h"

/* An integer as wide as real, for positions in the (contiguous) plane: they are selected side by side with values. */
#if defined(HZ_KERNEL_F32)
typedef int32_t position;
#define NOWHERE INT32_MAX
#else
typedef int64_t position;
#define NOWHERE INT64_MAX
#endif

/* A plane, the window over it, and what to do with outputs [ox, ox + n) of row oy: their maxima m and the positions
 * `at` of these, `step` apart; NOWHERE for a window without one. `at` is NULL unless positions are wanted. */
typedef struct call call;
typedef void row_fn(const call *t, int64_t oy, int64_t ox, int64_t n, const real *m, const position *at,
                    int64_t step);
struct call {
    const hz__window *w;
    const real *x;
    const int64_t *x_s;
    bool positions;
    row_fn *row;
    const real *from; /* dy or v, with strides */
    const int64_t *from_s;
    real *to; /* the result */
};

/* ---- folding ---- */

/* A part of the output, and the part of the padded plane that its windows cover. */
typedef struct part {
    int64_t oy, ox, rows, columns; /* outputs */
    int64_t height, pitch;         /* of the copy */
} part;

enum { AREA = 2048 }; /* elements of a copy */

/* Extent of the padded plane under n windows. */
static int64_t under(const hz__window *w, int axis, int64_t n) {
    return (n - 1) * w->stride[axis] + (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

/* The extents of a part; false if windows are too large for one. */
static bool choose_part(const hz__window *w, part *t) {
    if (w->kernel[0] + w->kernel[1] > 16 || under(w, 0, 1) > AREA / 4 || under(w, 1, 1) > AREA / 4)
        return false;
    t->columns = w->out[1];
    while (t->columns > 1 && under(w, 1, t->columns) > AREA / 2 / under(w, 0, 1))
        t->columns = (t->columns + 1) / 2;
    t->pitch = under(w, 1, t->columns);
    t->rows = hz__smaller((AREA / t->pitch - under(w, 0, 1)) / w->stride[0] + 1, w->out[0]);
    t->height = under(w, 0, hz__larger(t->rows, 1));
    return t->height * t->pitch <= AREA;
}

/* One row of the copy, whose first column is ix of row iy of the plane. */
static void load_row(const call *t, int64_t iy, int64_t ix, int64_t n, real *m, position *at) {
    const hz__window *w = t->w;
    const bool outside = iy < 0 || iy >= w->in[0];
    const int64_t lo = outside ? n : hz__smaller(hz__larger(-ix, 0), n);
    const int64_t hi = outside ? n : hz__larger(hz__smaller(w->in[1] - ix, n), lo);
    for (int64_t i = 0; i < lo; i++) m[i] = -INFINITY;
    for (int64_t i = hi; i < n; i++) m[i] = -INFINITY;
    if (hi > lo) {
        const real *from = t->x + iy * t->x_s[0] + (ix + lo) * t->x_s[1];
        if (t->x_s[1] == 1)
            memcpy(m + lo, from, (size_t)(hi - lo) * sizeof *m);
        else
            for (int64_t i = lo; i < hi; i++) m[i] = from[(i - lo) * t->x_s[1]];
    }
    if (!at) return;
    const position first = (position)(iy * w->in[1] + ix);
    for (int64_t i = 0; i < n; i++) at[i] = i >= lo && i < hi ? first + (position)i : NOWHERE;
}

static void load(const call *c, const part *t, real *m, position *at) {
    const hz__window *w = c->w;
    const int64_t iy = t->oy * w->stride[0] - w->pad[0], ix = t->ox * w->stride[1] - w->pad[1];
    for (int64_t v = 0; v < t->height; v++) {
        load_row(c, iy + v, ix, t->pitch, m + v * t->pitch, at ? at + v * t->pitch : NULL);
    }
}

/* m[i] = max(m[i], m[i + d]). */
static void fold_values(int64_t n, int64_t d, real *m) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real a = m[i], b = m[i + d];
        m[i] = ((b > a) | (b != b)) ? b : a;
    }
}

/* The same with positions: of equals, and of NaNs, the one that comes first in the plane. */
static void fold_positions(int64_t n, int64_t d, real *m, position *at) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real a = m[i], b = m[i + d];
        const position p = at[i], q = at[i + d];
        const bool even = (a == b) | ((a != a) & (b != b));
        const bool take = (b > a) | ((b != b) & (a == a)) | (even & (q < p));
        m[i] = take ? b : a;
        at[i] = take ? q : p;
    }
}

/* Element (v, u) of the copy becomes the maximum of the window that begins there. */
static void fold(const hz__window *w, const part *t, real *m, position *at) {
    const int64_t n = t->height * t->pitch;
    const int64_t step[] = {w->dilation[0] * t->pitch, w->dilation[1]};
    for (int axis = 0; axis < 2; axis++) {
        for (int64_t k = 1; k < w->kernel[axis]; k++) {
            if (at)
                fold_positions(n - step[axis], step[axis], m, at);
            else
                fold_values(n - step[axis], step[axis], m);
        }
    }
}

static void run_fold(const call *c, part t) {
    const hz__window *w = c->w;
    const int64_t rows = t.rows, columns = t.columns;
    real m[AREA];
    position room[AREA], *at = c->positions ? room : NULL;
    for (t.oy = 0; t.oy < w->out[0]; t.oy += rows) {
        t.rows = hz__smaller(rows, w->out[0] - t.oy);
        t.height = under(w, 0, t.rows);
        for (t.ox = 0; t.ox < w->out[1]; t.ox += columns) {
            t.columns = hz__smaller(columns, w->out[1] - t.ox);
            t.pitch = under(w, 1, t.columns);
            load(c, &t, m, at);
            fold(w, &t, m, at);
            for (int64_t i = 0; i < t.rows; i++) {
                const int64_t first = i * w->stride[0] * t.pitch;
                c->row(c, t.oy + i, t.ox, t.columns, m + first, at ? at + first : NULL, w->stride[1]);
            }
        }
    }
}

/* ---- scanning ---- */

/* Outputs whose maxima are sought together. */
enum { STRIP = 256 };

/* m = x, at = where it stands, if x is larger, the first of all or the first NaN. */
HZ_INLINE void raise(int64_t n, const real *restrict x, int64_t step, position first, position stride,
                     real *restrict m, position *restrict at) {
    for (int64_t i = 0; i < n; i++) {
        const real v = x[i * step];
        const bool better = (at[i] == NOWHERE) | (v > m[i]) | ((v != v) & (m[i] == m[i]));
        m[i] = better ? v : m[i];
        at[i] = better ? (position)(first + (position)i * stride) : at[i];
    }
}

/* Maxima and positions of outputs [ox, ox + n) of row oy. */
static void scan(const call *t, int64_t oy, int64_t ox, int64_t n, real *m, position *at) {
    const hz__window *w = t->w;
    const position stride = (position)hz__smaller(w->stride[1], w->in[1]);
    for (int64_t i = 0; i < n; i++) m[i] = -INFINITY;
    for (int64_t i = 0; i < n; i++) at[i] = NOWHERE;
    for (int64_t r = 0; r < w->kernel[0]; r++) {
        for (int64_t s = 0; s < w->kernel[1]; s++) {
            hz__taps taps;
            if (!hz__taps_of(w, oy, r, s, &taps)) continue;
            const hz__span in = hz__overlap(taps.out, (hz__span){ox, ox + n});
            if (in.lo == in.hi) continue;
            const int64_t column = taps.column + (in.lo - taps.out.lo) * w->stride[1];
            raise(in.hi - in.lo, t->x + taps.row * t->x_s[0] + column * t->x_s[1], w->stride[1] * t->x_s[1],
                  (position)(taps.row * w->in[1] + column), stride, m + (in.lo - ox), at + (in.lo - ox));
        }
    }
}

static void run_scan(const call *t) {
    const hz__window *w = t->w;
    real m[STRIP];
    position at[STRIP];
    for (int64_t oy = 0; oy < w->out[0]; oy++) {
        for (int64_t ox = 0; ox < w->out[1]; ox += STRIP) {
            const int64_t n = hz__smaller(STRIP, w->out[1] - ox);
            scan(t, oy, ox, n, m, at);
            t->row(t, oy, ox, n, m, at, 1);
        }
    }
}

static void run(const call *t) {
    part first;
    if (choose_part(t->w, &first))
        run_fold(t, first);
    else
        run_scan(t);
}

/* ---- the three functions ---- */

static void max_row(const call *t, int64_t oy, int64_t ox, int64_t n, const real *m, const position *at,
                    int64_t step) {
    real *y = t->to + oy * t->w->out[1] + ox;
    (void)at;
    if (step == 2) {
        for (int64_t i = 0; i < n; i++) y[i] = m[i * 2];
    } else {
        for (int64_t i = 0; i < n; i++) y[i] = m[i * step];
    }
}

static void max(const hz__window *w, const void *x, const int64_t *x_s, void *y) {
    run(&(call){.w = w, .x = x, .x_s = x_s, .row = max_row, .to = y});
}

static void grad_row(const call *t, int64_t oy, int64_t ox, int64_t n, const real *m, const position *at,
                     int64_t step) {
    const real *dy = t->from + oy * t->from_s[0] + ox * t->from_s[1];
    (void)m;
    for (int64_t i = 0; i < n; i++) {
        if (at[i * step] != NOWHERE) t->to[at[i * step]] += dy[i * t->from_s[1]];
    }
}

static void grad(const hz__window *w, const void *x, const int64_t *x_s, const void *dy, const int64_t *dy_s,
                 void *dx) {
    memset(dx, 0, (size_t)(w->in[0] * w->in[1]) * sizeof(real));
    run(&(call){.w = w,
                .x = x,
                .x_s = x_s,
                .positions = true,
                .row = grad_row,
                .from = dy,
                .from_s = dy_s,
                .to = dx});
}

static void take_row(const call *t, int64_t oy, int64_t ox, int64_t n, const real *m, const position *at,
                     int64_t step) {
    real *y = t->to + oy * t->w->out[1] + ox;
    (void)m;
    for (int64_t i = 0; i < n; i++) {
        const position p = at[i * step];
        y[i] = 0;
        if (p != NOWHERE) y[i] = t->from[p / t->w->in[1] * t->from_s[0] + p % t->w->in[1] * t->from_s[1]];
    }
}

static void take(const hz__window *w, const void *x, const int64_t *x_s, const void *v, const int64_t *v_s,
                 void *y) {
    run(&(call){
        .w = w, .x = x, .x_s = x_s, .positions = true, .row = take_row, .from = v, .from_s = v_s, .to = y});
}

const hz__max_pool2d HZ_KERNEL(max_pool2d) = {.max = max, .grad = grad, .take = take};
