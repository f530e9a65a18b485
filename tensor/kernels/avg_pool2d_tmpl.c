/* avg_pool2d_tmpl.c: average pooling of one plane, and its adjoint. The window's positions are taken one by one, and for
 * each all outputs of a row at once. The table is at the end.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "tensor/kernels/pool2d.h"
#include "tensor/kernels/template.h"

/* Outputs whose shares are made together. */
enum { STRIP = 256 };

HZ_INLINE void add_from(int64_t n, const real *restrict x, int64_t step, real *restrict y) {
    for (int64_t i = 0; i < n; i++) y[i] += x[i * step];
}

HZ_INLINE void add_into(int64_t n, const real *restrict x, real *restrict y, int64_t step) {
    for (int64_t i = 0; i < n; i++) y[i * step] += x[i];
}

/* How many positions of window o are counted, along one axis. */
static int64_t counted(const hz__averaging *p, int axis, int64_t o) {
    const hz__window *w = &p->window;
    const int64_t first = o * w->stride[axis] - w->pad[axis], dilation = w->dilation[axis];
    const int64_t lo = p->counted[axis].lo, hi = p->counted[axis].hi;
    if (first >= lo && first + (w->kernel[axis] - 1) * dilation < hi) return w->kernel[axis];
    const int64_t end = hz__smaller(hz__first_at(hi - first, dilation), w->kernel[axis]);
    return end - hz__smaller(hz__first_at(lo - first, dilation), end);
}

/* x / count, 0 where nothing is counted, for outputs [ox, ox + n) of row oy; x and y begin at output ox. */
static void divide(const hz__averaging *p, int64_t oy, int64_t ox, int64_t n, const real *x, int64_t step,
                   real *y) {
    const int64_t rows = counted(p, 0, oy);
    for (int64_t i = 0; i < n; i++) {
        const int64_t count = rows * counted(p, 1, ox + i);
        y[i] = count > 0 ? x[i * step] / (real)count : 0;
    }
}

/* ---- windows of one size ---- */

static void avg(const hz__averaging *p, const void *x, const int64_t *x_s, void *y) {
    const hz__window *w = &p->window;
    const int64_t step = w->stride[1] * x_s[1];
    for (int64_t oy = 0; oy < w->out[0]; oy++) {
        real *row = (real *)y + oy * w->out[1];
        for (int64_t i = 0; i < w->out[1]; i++) row[i] = 0;
        for (int64_t r = 0; r < w->kernel[0]; r++) {
            for (int64_t s = 0; s < w->kernel[1]; s++) {
                hz__taps t;
                if (!hz__taps_of(w, oy, r, s, &t)) continue;
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
            hz__taps t;
            if (!hz__taps_of(w, oy, r, s, &t)) continue;
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

static void avg_grad(const hz__averaging *p, const void *dy, const int64_t *dy_s, void *dx) {
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

static void adaptive(const hz__averaging *p, const void *x, const int64_t *x_s, void *y) {
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

static void adaptive_grad(const hz__averaging *p, const void *dy, const int64_t *dy_s, void *dx) {
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

const hz__avg_pool2d HZ_KERNEL(avg_pool2d) = {
    .avg = avg,
    .grad = avg_grad,
    .adaptive = adaptive,
    .adaptive_grad = adaptive_grad,
};
