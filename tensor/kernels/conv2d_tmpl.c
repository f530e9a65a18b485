/* conv2d_tmpl.c: the inner loops of convolution: tiles of the im2col matrix, and padded copies.
 *
 * What tensor/kernels/conv2d.h promises, in loops over output rows: for one weight position the pixels met along
 * an output row are `stride` apart in an input row, so every loop here runs along a row. The table is at the end.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "tensor/kernels/conv2d.h"
#include "tensor/kernels/template.h"

/* ---- im2col ---- */

/* Rows are short: a call of memcpy would cost more than the copying. Whole vectors, the last one overlapping. */
HZ_INLINE void copy_run(int64_t n, const real *restrict x, real *restrict y) {
    enum { LANES = 32 / sizeof(real) };
    if (n < LANES) {
        for (int64_t i = 0; i < n; i++) y[i] = x[i];
        return;
    }
    for (int64_t i = 0; i < n - LANES; i += LANES) memcpy(y + i, x + i, LANES * sizeof *y);
    memcpy(y + n - LANES, x + n - LANES, LANES * sizeof *y);
}

static void copy(int64_t n, const real *restrict x, int64_t step, real *restrict y) {
    if (step == 1) {
        copy_run(n, x, y);
    } else if (step == 2) {
        for (int64_t i = 0; i < n; i++) y[i] = x[i * 2];
    } else if (step == 4) {
        for (int64_t i = 0; i < n; i++) y[i] = x[i * 4];
    } else {
        for (int64_t i = 0; i < n; i++) y[i] = x[i * step];
    }
}

static void zero(int64_t n, real *y) {
    if (n > 0) memset(y, 0, (size_t)n * sizeof *y);
}

static void add_to(int64_t n, const real *restrict x, int64_t step, real *restrict y) {
    if (step == 1) {
        for (int64_t i = 0; i < n; i++) y[i] += x[i];
    } else {
        for (int64_t i = 0; i < n; i++) y[i * step] += x[i];
    }
}

/* One weight position, one plane: which outputs it reaches, and where. */
typedef struct tap {
    hz__span rows, columns; /* outputs whose pixel is inside */
    int64_t row, column;    /* pixel of output (0, 0) */
} tap;

static tap tap_of(const hz__window *w, int64_t r, int64_t s) {
    return (tap){hz__inside(w, 0, r), hz__inside(w, 1, s), hz__shift(w, 0, r), hz__shift(w, 1, s)};
}

/* "Same" convolutions: outputs and inputs have one pitch, so a tap meets one run of memory. */
static bool is_shift(const hz__window *w, int64_t row_stride, int64_t column_stride) {
    return w->stride[0] == 1 && w->stride[1] == 1 && w->in[1] == w->out[1] && row_stride == w->in[1] &&
           column_stride == 1;
}

/* Zero the columns [lo, hi) of every output row, within outputs [p0, p1). */
static void zero_columns(const hz__window *w, int64_t lo, int64_t hi, int64_t p0, int64_t p1, real *cols) {
    if (lo >= hi) return;
    for (int64_t row = p0 / w->out[1] * w->out[1]; row < p1; row += w->out[1]) {
        for (int64_t p = hz__larger(row + lo, p0); p < hz__smaller(row + hi, p1); p++) cols[p - p0] = 0;
    }
}

/* The run of outputs of a tap in a "same" convolution: whole rows. */
static hz__span run_of(const hz__window *w, const tap *t, int64_t p0, int64_t p1) {
    const hz__span rows = {t->rows.lo * w->out[1], t->rows.hi * w->out[1]};
    if (t->columns.lo == t->columns.hi) return (hz__span){p0, p0};
    /* the run must not read before the first or after the last pixel of the plane */
    const hz__span run = hz__overlap(
        (hz__span){rows.lo + t->columns.lo, rows.hi - (w->out[1] - t->columns.hi)}, (hz__span){p0, p1});
    return run.lo < run.hi ? run : (hz__span){p0, p0};
}

static void shifted_row(const hz__window *w, const tap *t, const real *x, int64_t p0, int64_t p1,
                        real *cols) {
    const hz__span run = run_of(w, t, p0, p1);
    zero(run.lo - p0, cols);
    if (run.lo < run.hi)
        copy(run.hi - run.lo, x + t->row * w->in[1] + t->column + run.lo, 1, cols + run.lo - p0);
    zero(p1 - run.hi, cols + run.hi - p0);
    zero_columns(w, 0, t->columns.lo, p0, p1, cols);
    zero_columns(w, t->columns.hi, w->out[1], p0, p1, cols);
}

/* Outputs [p0, p1) in stretches of one output row: oy, and columns [ox.lo, ox.hi). */
typedef struct stretch {
    int64_t oy;
    hz__span ox;
} stretch;

static stretch first_stretch(const hz__window *w, int64_t p0, int64_t p1) {
    const int64_t ox = p0 % w->out[1];
    return (stretch){p0 / w->out[1], {ox, hz__smaller(w->out[1], ox + p1 - p0)}};
}

static void next_stretch(const hz__window *w, stretch *s, int64_t left) {
    *s = (stretch){s->oy + 1, {0, hz__smaller(w->out[1], left)}};
}

static void general_row(const hz__window *w, const tap *t, const real *x, const int64_t *x_stride, int64_t p0,
                        int64_t p1, real *cols) {
    stretch s = first_stretch(w, p0, p1);
    for (int64_t p = p0; p < p1; next_stretch(w, &s, p1 - p)) {
        const int64_t width = s.ox.hi - s.ox.lo;
        hz__span in = hz__overlap(s.ox, t->columns);
        if (s.oy < t->rows.lo || s.oy >= t->rows.hi || in.lo == in.hi) {
            zero(width, cols);
        } else {
            const int64_t iy = t->row + s.oy * w->stride[0], ix = t->column + in.lo * w->stride[1];
            zero(in.lo - s.ox.lo, cols);
            copy(in.hi - in.lo, x + iy * x_stride[2] + ix * x_stride[3], w->stride[1] * x_stride[3],
                 cols + in.lo - s.ox.lo);
            zero(s.ox.hi - in.hi, cols + in.hi - s.ox.lo);
        }
        p += width;
        cols += width;
    }
}

/* Counts through the weight positions (c, r, s). */
typedef struct position {
    int64_t c, r, s;
} position;

static position position_of(const hz__window *w, int64_t q) {
    return (position){q / w->kernel[1] / w->kernel[0], q / w->kernel[1] % w->kernel[0], q % w->kernel[1]};
}

static void next_position(const hz__window *w, position *at) {
    if (++at->s < w->kernel[1]) return;
    at->s = 0;
    if (++at->r < w->kernel[0]) return;
    at->r = 0;
    at->c++;
}

static void im2col(const hz__window *w, const void *x, const int64_t *x_stride, const hz__tile *tile,
                   int64_t q0, int64_t q1, void *cols, int64_t ld) {
    const bool shift = is_shift(w, x_stride[2], x_stride[3]);
    const int64_t width = tile->p1 - tile->p0;
    position at = position_of(w, q0);
    for (int64_t q = q0; q < q1; q++, next_position(w, &at)) {
        const tap t = tap_of(w, at.r, at.s);
        real *row = (real *)cols + (q - q0) * ld;
        for (int64_t n = tile->n0; n < tile->n1; n++, row += width) {
            const real *plane = (const real *)x + n * x_stride[0] + at.c * x_stride[1];
            if (shift)
                shifted_row(w, &t, plane, tile->p0, tile->p1, row);
            else
                general_row(w, &t, plane, x_stride, tile->p0, tile->p1, row);
        }
    }
}

/* ---- col2im ---- */

static void add_shifted_row(const hz__window *w, const tap *t, real *cols, int64_t p0, int64_t p1, real *dx) {
    const hz__span run = run_of(w, t, p0, p1);
    zero_columns(w, 0, t->columns.lo, p0, p1, cols);
    zero_columns(w, t->columns.hi, w->out[1], p0, p1, cols);
    if (run.lo < run.hi)
        add_to(run.hi - run.lo, cols + run.lo - p0, 1, dx + t->row * w->in[1] + t->column + run.lo);
}

static void add_general_row(const hz__window *w, const tap *t, const real *cols, int64_t p0, int64_t p1,
                            real *dx) {
    stretch s = first_stretch(w, p0, p1);
    for (int64_t p = p0; p < p1; next_stretch(w, &s, p1 - p)) {
        const int64_t width = s.ox.hi - s.ox.lo;
        const hz__span in = hz__overlap(s.ox, t->columns);
        if (s.oy >= t->rows.lo && s.oy < t->rows.hi && in.lo < in.hi) {
            const int64_t iy = t->row + s.oy * w->stride[0], ix = t->column + in.lo * w->stride[1];
            add_to(in.hi - in.lo, cols + in.lo - s.ox.lo, w->stride[1], dx + iy * w->in[1] + ix);
        }
        p += width;
        cols += width;
    }
}

static void col2im(const hz__window *w, void *cols, int64_t ld, const hz__tile *tile, int64_t q0, int64_t q1,
                   void *dx, const int64_t *dx_stride) {
    const bool shift = is_shift(w, w->in[1], 1);
    const int64_t width = tile->p1 - tile->p0;
    position at = position_of(w, q0);
    for (int64_t q = q0; q < q1; q++, next_position(w, &at)) {
        const tap t = tap_of(w, at.r, at.s);
        real *row = (real *)cols + (q - q0) * ld;
        for (int64_t n = tile->n0; n < tile->n1; n++, row += width) {
            real *plane = (real *)dx + n * dx_stride[0] + at.c * dx_stride[1];
            if (shift)
                add_shifted_row(w, &t, row, tile->p0, tile->p1, plane);
            else
                add_general_row(w, &t, row, tile->p0, tile->p1, plane);
        }
    }
}

/* ---- small things ---- */

static void fill_rows(const void *b, int64_t b_stride, int64_t rows, int64_t n, void *y, int64_t ld) {
    for (int64_t k = 0; k < rows; k++) {
        const real value = b ? ((const real *)b)[k * b_stride] : 0;
        real *row = (real *)y + k * ld;
        for (int64_t i = 0; i < n; i++) row[i] = value;
    }
}

static void add(int64_t n, const void *x, void *y) {
    add_to(n, x, 1, y);
}

static void spread(int64_t n, const void *x, int64_t step, void *y) {
    if (step == 1) {
        copy_run(n, x, y);
    } else {
        for (int64_t i = 0; i < n; i++) ((real *)y)[i * step] = ((const real *)x)[i];
    }
}

/* ---- padding ---- */

/* Columns u, u + stride, … of a padded row and the input columns they show: [lo, hi) in steps of the stride. */
static hz__span phase_span(const hz__window *w, const hz__padded *f, int64_t u) {
    const int64_t st = w->stride[1], before = w->pad[1] - u;
    const int64_t hi = hz__smaller(f->phase, hz__first_at(w->in[1] + before, st));
    return (hz__span){hz__smaller(hz__first_at(before, st), hi), hi};
}

static void pad(const hz__window *w, const hz__padded *f, const void *x, const int64_t *x_stride,
                void *padded) {
    for (int64_t v = 0; v < f->rows; v++) {
        real *row = (real *)padded + v * f->pitch;
        const int64_t iy = v - w->pad[0];
        if (iy < 0 || iy >= w->in[0]) {
            zero(f->pitch, row);
            continue;
        }
        for (int64_t u = 0; u < w->stride[1]; u++, row += f->phase) {
            const hz__span in = phase_span(w, f, u);
            const int64_t ix = u + in.lo * w->stride[1] - w->pad[1];
            zero(in.lo, row);
            if (in.lo < in.hi) {
                copy(in.hi - in.lo, (const real *)x + iy * x_stride[2] + ix * x_stride[3],
                     w->stride[1] * x_stride[3], row + in.lo);
            }
            zero(f->phase - in.hi, row + in.hi);
        }
    }
}

const hz__conv2d_kernels HZ_KERNEL(conv2d) = {
    .im2col = im2col,
    .col2im = col2im,
    .fill_rows = fill_rows,
    .add = add,
    .spread = spread,
    .pad = pad,
};
