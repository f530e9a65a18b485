/* pool2d_tmpl.c: pooling of one plane. The window's positions are taken one by one, and for each all outputs of a row
 * at once: loops without branches, which the compiler vectorises. The table is at the end.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "tensor/kernels/pool2d.h"
#include "tensor/kernels/template.h"

/* An integer as wide as real, for positions in a plane: they are selected side by side with values. */
#if defined(HZ_KERNEL_F32)
typedef int32_t position;
#else
typedef int64_t position;
#endif

/* What one position of the window meets along one output row. */
typedef struct taps {
    hz__span out;   /* the outputs for which it lies inside */
    int64_t row;    /* its row in the plane */
    int64_t column; /* its column for output out.lo; the next output is `stride` further */
} taps;

/* False if it meets nothing. */
static bool taps_of(const hz__window *w, int64_t oy, int64_t r, int64_t s, taps *t) {
    t->row = hz__shift(w, 0, r) + oy * w->stride[0];
    if (t->row < 0 || t->row >= w->in[0]) return false;
    t->out = hz__inside(w, 1, s);
    t->column = hz__shift(w, 1, s) + t->out.lo * w->stride[1];
    return t->out.lo < t->out.hi;
}

/* ---- maximum ---- */

/* m = x where x is larger or the first NaN. */
HZ_INLINE void raise(int64_t n, const real *restrict x, int64_t step, real *restrict m) {
    for (int64_t i = 0; i < n; i++) {
        const real v = x[i * step];
        m[i] = (v > m[i]) | (v != v) ? v : m[i];
    }
}

static void max(const hz__pooling *p, const void *x, const int64_t *x_s, void *y) {
    const hz__window *w = &p->window;
    const int64_t step = w->stride[1] * x_s[1];
    for (int64_t oy = 0; oy < w->out[0]; oy++) {
        real *row = (real *)y + oy * w->out[1];
        for (int64_t i = 0; i < w->out[1]; i++) row[i] = -INFINITY;
        for (int64_t r = 0; r < w->kernel[0]; r++) {
            for (int64_t s = 0; s < w->kernel[1]; s++) {
                taps t;
                if (!taps_of(w, oy, r, s, &t)) continue;
                const real *from = (const real *)x + t.row * x_s[0] + t.column * x_s[1];
                const int64_t n = t.out.hi - t.out.lo;
                if (step == 1)
                    raise(n, from, 1, row + t.out.lo);
                else if (step == 2)
                    raise(n, from, 2, row + t.out.lo);
                else
                    raise(n, from, step, row + t.out.lo);
            }
        }
    }
}

/* Outputs whose maxima are sought together. */
enum { STRIP = 256 };

/* The maxima of a strip of outputs and their positions in the (contiguous) plane; −1: nothing seen yet. */
typedef struct strip {
    real m[STRIP];
    position at[STRIP];
} strip;

HZ_INLINE void raise_at(int64_t n, const real *restrict x, int64_t step, position first, position stride,
                        real *restrict m, position *restrict at) {
    for (int64_t i = 0; i < n; i++) {
        const real v = x[i * step];
        const bool take = (at[i] < 0) | (v > m[i]) | ((v != v) & (m[i] == m[i]));
        m[i] = take ? v : m[i];
        at[i] = take ? (position)(first + (position)i * stride) : at[i];
    }
}

/* Positions of the maxima of outputs [ox, ox + n) of row oy. */
static void argmax(const hz__window *w, const real *x, const int64_t *x_s, int64_t oy, int64_t ox, int64_t n,
                   strip *out) {
    const int64_t step = w->stride[1] * x_s[1];
    const position stride = (position)hz__smaller(w->stride[1], w->in[1]);
    for (int64_t i = 0; i < n; i++) out->at[i] = -1;
    for (int64_t i = 0; i < n; i++) out->m[i] = 0;
    for (int64_t r = 0; r < w->kernel[0]; r++) {
        for (int64_t s = 0; s < w->kernel[1]; s++) {
            taps t;
            if (!taps_of(w, oy, r, s, &t)) continue;
            const hz__span in = hz__overlap(t.out, (hz__span){ox, ox + n});
            const int64_t column = t.column + (in.lo - t.out.lo) * w->stride[1], count = in.hi - in.lo;
            if (count == 0) continue;
            const real *from = x + t.row * x_s[0] + column * x_s[1];
            const position first = (position)(t.row * w->in[1] + column);
            real *m = out->m + (in.lo - ox);
            position *at = out->at + (in.lo - ox);
            if (step == 1)
                raise_at(count, from, 1, first, 1, m, at);
            else if (step == 2 && stride == 2)
                raise_at(count, from, 2, first, 2, m, at);
            else
                raise_at(count, from, step, first, stride, m, at);
        }
    }
}

static void max_grad(const hz__pooling *p, const void *x, const int64_t *x_s, const void *dy,
                     const int64_t *dy_s, void *dx) {
    const hz__window *w = &p->window;
    memset(dx, 0, (size_t)(w->in[0] * w->in[1]) * sizeof(real));
    for (int64_t oy = 0; oy < w->out[0]; oy++) {
        for (int64_t ox = 0; ox < w->out[1]; ox += STRIP) {
            strip top;
            const int64_t n = hz__smaller(STRIP, w->out[1] - ox);
            argmax(w, x, x_s, oy, ox, n, &top);
            const real *from = (const real *)dy + oy * dy_s[0] + ox * dy_s[1];
            for (int64_t i = 0; i < n; i++) {
                if (top.at[i] >= 0) ((real *)dx)[top.at[i]] += from[i * dy_s[1]];
            }
        }
    }
}

static void max_take(const hz__pooling *p, const void *x, const int64_t *x_s, const void *v,
                     const int64_t *v_s, void *y) {
    const hz__window *w = &p->window;
    for (int64_t oy = 0; oy < w->out[0]; oy++) {
        for (int64_t ox = 0; ox < w->out[1]; ox += STRIP) {
            strip top;
            const int64_t n = hz__smaller(STRIP, w->out[1] - ox);
            argmax(w, x, x_s, oy, ox, n, &top);
            real *to = (real *)y + oy * w->out[1] + ox;
            for (int64_t i = 0; i < n; i++) {
                const int64_t row = top.at[i] / w->in[1], column = top.at[i] % w->in[1];
                to[i] = top.at[i] < 0 ? 0 : ((const real *)v)[row * v_s[0] + column * v_s[1]];
            }
        }
    }
}

/* ---- average ---- */

HZ_INLINE void add_from(int64_t n, const real *restrict x, int64_t step, real *restrict y) {
    for (int64_t i = 0; i < n; i++) y[i] += x[i * step];
}

HZ_INLINE void add_into(int64_t n, const real *restrict x, real *restrict y, int64_t step) {
    for (int64_t i = 0; i < n; i++) y[i * step] += x[i];
}

/* How many positions of window o are counted, along one axis. */
static int64_t counted(const hz__pooling *p, int axis, int64_t o) {
    const hz__window *w = &p->window;
    const int64_t first = o * w->stride[axis] - w->pad[axis], dilation = w->dilation[axis];
    const int64_t lo = p->counted[axis].lo, hi = p->counted[axis].hi;
    if (first >= lo && first + (w->kernel[axis] - 1) * dilation < hi) return w->kernel[axis];
    const int64_t end = hz__smaller(hz__first_at(hi - first, dilation), w->kernel[axis]);
    return end - hz__smaller(hz__first_at(lo - first, dilation), end);
}

/* x / count, 0 where nothing is counted, for outputs [ox, ox + n) of row oy; x and y begin at output ox. */
static void divide(const hz__pooling *p, int64_t oy, int64_t ox, int64_t n, const real *x, int64_t step,
                   real *y) {
    const int64_t rows = counted(p, 0, oy);
    for (int64_t i = 0; i < n; i++) {
        const int64_t count = rows * counted(p, 1, ox + i);
        y[i] = count > 0 ? x[i * step] / (real)count : 0;
    }
}

static void avg(const hz__pooling *p, const void *x, const int64_t *x_s, void *y) {
    const hz__window *w = &p->window;
    const int64_t step = w->stride[1] * x_s[1];
    for (int64_t oy = 0; oy < w->out[0]; oy++) {
        real *row = (real *)y + oy * w->out[1];
        for (int64_t i = 0; i < w->out[1]; i++) row[i] = 0;
        for (int64_t r = 0; r < w->kernel[0]; r++) {
            for (int64_t s = 0; s < w->kernel[1]; s++) {
                taps t;
                if (!taps_of(w, oy, r, s, &t)) continue;
                const real *from = (const real *)x + t.row * x_s[0] + t.column * x_s[1];
                const int64_t n = t.out.hi - t.out.lo;
                if (step == 1)
                    add_from(n, from, 1, row + t.out.lo);
                else if (step == 2)
                    add_from(n, from, 2, row + t.out.lo);
                else
                    add_from(n, from, step, row + t.out.lo);
            }
        }
        divide(p, oy, 0, w->out[1], row, 1, row);
    }
}

/* Add the shares of outputs [ox, ox + n) of row oy to every position of their windows. */
static void spread(const hz__window *w, int64_t oy, int64_t ox, int64_t n, const real *share, real *dx) {
    for (int64_t r = 0; r < w->kernel[0]; r++) {
        for (int64_t s = 0; s < w->kernel[1]; s++) {
            taps t;
            if (!taps_of(w, oy, r, s, &t)) continue;
            const hz__span in = hz__overlap(t.out, (hz__span){ox, ox + n});
            const int64_t column = t.column + (in.lo - t.out.lo) * w->stride[1];
            const real *from = share + (in.lo - ox);
            if (in.lo == in.hi) continue;
            if (w->stride[1] == 1)
                add_into(in.hi - in.lo, from, dx + t.row * w->in[1] + column, 1);
            else
                add_into(in.hi - in.lo, from, dx + t.row * w->in[1] + column, w->stride[1]);
        }
    }
}

static void avg_grad(const hz__pooling *p, const void *dy, const int64_t *dy_s, void *dx) {
    const hz__window *w = &p->window;
    memset(dx, 0, (size_t)(w->in[0] * w->in[1]) * sizeof(real));
    for (int64_t oy = 0; oy < w->out[0]; oy++) {
        for (int64_t ox = 0; ox < w->out[1]; ox += STRIP) {
            real share[STRIP];
            const int64_t n = hz__smaller(STRIP, w->out[1] - ox);
            divide(p, oy, ox, n, (const real *)dy + oy * dy_s[0] + ox * dy_s[1], dy_s[1], share);
            spread(w, oy, ox, n, share, dx);
        }
    }
}

/* ---- adaptive average ---- */

/* Window o of out windows over in positions: ⌊o·in/out⌋ … ⌈(o+1)·in/out⌉. */
static hz__span adaptive_window(const hz__window *w, int axis, int64_t o) {
    const int64_t whole = w->in[axis] / w->out[axis], rest = w->in[axis] % w->out[axis], out = w->out[axis];
    return (hz__span){o * whole + o * rest / out, (o + 1) * whole + ((o + 1) * rest + out - 1) / out};
}

static double sum_row(int64_t n, const real *x, int64_t step) {
    enum { LANES = 64 / sizeof(real) };
    real lane[LANES] = {0};
    double sum = 0;
    int64_t i = 0;
    for (; step == 1 && i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l++) lane[l] += x[i + l];
    }
    for (; i < n; i++) sum += x[i * step];
    for (int l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

static void adaptive(const hz__pooling *p, const void *x, const int64_t *x_s, void *y) {
    const hz__window *w = &p->window;
    for (int64_t oy = 0; oy < w->out[0]; oy++) {
        const hz__span rows = adaptive_window(w, 0, oy);
        for (int64_t ox = 0; ox < w->out[1]; ox++) {
            const hz__span columns = adaptive_window(w, 1, ox);
            double sum = 0;
            for (int64_t iy = rows.lo; iy < rows.hi; iy++) {
                const real *from = (const real *)x + iy * x_s[0] + columns.lo * x_s[1];
                sum += sum_row(columns.hi - columns.lo, from, x_s[1]);
            }
            const double count = (double)(rows.hi - rows.lo) * (double)(columns.hi - columns.lo);
            ((real *)y)[oy * w->out[1] + ox] = count > 0 ? (real)(sum / count) : 0;
        }
    }
}

static void adaptive_grad(const hz__pooling *p, const void *dy, const int64_t *dy_s, void *dx) {
    const hz__window *w = &p->window;
    memset(dx, 0, (size_t)(w->in[0] * w->in[1]) * sizeof(real));
    for (int64_t oy = 0; oy < w->out[0]; oy++) {
        const hz__span rows = adaptive_window(w, 0, oy);
        for (int64_t ox = 0; ox < w->out[1]; ox++) {
            const hz__span columns = adaptive_window(w, 1, ox);
            const int64_t count = (rows.hi - rows.lo) * (columns.hi - columns.lo);
            const real share = ((const real *)dy)[oy * dy_s[0] + ox * dy_s[1]] / (real)count;
            for (int64_t iy = rows.lo; iy < rows.hi; iy++) {
                real *row = (real *)dx + iy * w->in[1];
                for (int64_t ix = columns.lo; ix < columns.hi; ix++) row[ix] += share;
            }
        }
    }
}

const hz__pool2d_kernels HZ_KERNEL(pool2d) = {
    .max = max,
    .max_grad = max_grad,
    .max_take = max_take,
    .avg = avg,
    .avg_grad = avg_grad,
    .adaptive = adaptive,
    .adaptive_grad = adaptive_grad,
};
