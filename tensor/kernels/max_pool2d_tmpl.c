/* max_pool2d_tmpl.c: maximum pooling of one plane, its adjoint, and the adjoint of that.
 *
 * The commonest window, 2×2 in steps of two, shares no element with its neighbours and needs no positions: see pairs. Other
 * small windows are folded: the rows under a row of outputs become one, the maximum of each column; in it every element
 * becomes the larger of itself and its neighbour to the right, kernel − 1 times; in steps of two and without positions,
 * only every second element does. Larger windows are scanned tap by tap, all outputs of a row at once. Either way a
 * consumer is called with rows of maxima and their positions. Start at the end.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "tensor/kernels/pool2d.h"
#include "tensor/kernels/template.h"

/* Vectors are passed to functions that are inlined: how they would be is no matter. */
#pragma GCC diagnostic ignored "-Wpsabi"

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

/* ---- four at a time ---- */

typedef real four __attribute__((vector_size(4 * sizeof(real))));
typedef position mask __attribute__((vector_size(4 * sizeof(real))));

/* Where b is larger than a, which comes before it; the first NaN is. */
HZ_INLINE mask beats(four b, four a) {
    return (b > a) | ((b != b) & (a == a));
}

HZ_INLINE four choose(mask m, four yes, four no) {
    return (four)(((mask)yes & m) | ((mask)no & ~m));
}

/* Eight elements, the even ones and the odd ones; and back. */
HZ_INLINE void load_pairs(const real *p, four *even, four *odd) {
    four low, high;
    memcpy(&low, p, sizeof low);
    memcpy(&high, p + 4, sizeof high);
    *even = __builtin_shufflevector(low, high, 0, 2, 4, 6);
    *odd = __builtin_shufflevector(low, high, 1, 3, 5, 7);
}
HZ_INLINE void store_pairs(four even, four odd, real *p) {
    const four low = __builtin_shufflevector(even, odd, 0, 4, 1, 5);
    const four high = __builtin_shufflevector(even, odd, 2, 6, 3, 7);
    memcpy(p, &low, sizeof low);
    memcpy(p + 4, &high, sizeof high);
}

/* ---- folding ---- */

enum {
    AREA = 1024, /* columns that are folded together */
    BLOCK = 8    /* columns that are folded at a time */
};

/* Columns of the padded plane under n outputs. */
static int64_t under(const hz__window *w, int64_t n) {
    return (n - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1;
}

static bool is_small(const hz__window *w) {
    return w->kernel[0] + w->kernel[1] <= 16 && under(w, 1) <= AREA / 4;
}

/* m[i] = max(m[i], b[i]); b may be m, some elements further on. */
HZ_INLINE void fold_values(int64_t n, const real *b, real *m) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) m[i] = ((b[i] > m[i]) | (b[i] != b[i])) ? b[i] : m[i];
}

/* The same with positions, where those of b, from `first` on, come later in the plane. */
HZ_INLINE void fold_positions(int64_t n, const real *b, position first, real *m, position *at) {
#pragma omp simd
    for (position i = 0; i < (position)n; i++) {
        const bool take = (b[i] > m[i]) | ((b[i] != b[i]) & (m[i] == m[i]));
        m[i] = take ? b[i] : m[i];
        at[i] = take ? first + i : at[i];
    }
}

HZ_INLINE void fold_some(int64_t n, const real *b, position first, real *m, position *at) {
    if (at)
        fold_positions(n, b, first, m, at);
    else
        fold_values(n, b, m);
}

/* A row of the window. The last block once more rather than a few elements one by one: that changes nothing. */
static void fold_row(int64_t n, const real *b, position first, real *m, position *at) {
    const int64_t whole = n / BLOCK * BLOCK, last = n - BLOCK;
    fold_some(whole, b, first, m, at);
    if (whole == n) return;
    if (last >= 0)
        fold_some(BLOCK, b + last, first + (position)last, m + last, at ? at + last : NULL);
    else
        fold_some(n, b, first, m, at);
}

/* m[i] and at[i] against those d further on: of equals, and of NaNs, the one that comes first in the plane. */
static void fold_neighbours(int64_t n, int64_t d, real *m, position *at) {
    if (!at) {
        fold_values(n, m + d, m);
        return;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real a = m[i], b = m[i + d];
        const bool even = (a == b) | ((a != a) & (b != b));
        const bool take = (b > a) | ((b != b) & (a == a)) | (even & (at[i + d] < at[i]));
        m[i] = take ? b : a;
        at[i] = take ? at[i + d] : at[i];
    }
}

/* Columns [lo, hi) of row iy of the plane, side by side; in room unless they already are. */
static const real *plane_row(const call *c, int64_t iy, int64_t lo, int64_t hi, real *room) {
    const real *from = c->x + iy * c->x_s[0] + lo * c->x_s[1];
    if (c->x_s[1] == 1) return from;
    for (int64_t i = 0; i < hi - lo; i++) room[i] = from[i * c->x_s[1]];
    return room;
}

/* So many columns that are padding. */
static void fill_padding(int64_t n, real *m, position *at) {
    for (int64_t i = 0; i < n; i++) m[i] = -INFINITY;
    for (int64_t i = 0; at && i < n; i++) at[i] = NOWHERE;
}

/* The first row of the window. */
static void copy_row(int64_t n, const real *row, position first, real *m, position *at) {
    memcpy(m, row, (size_t)n * sizeof *m);
    for (position i = 0; at && i < (position)n; i++) at[i] = first + i;
}

/* m and at: the maximum of each of columns [lo, hi) in the rows of the window that are in the plane. */
static void fold_rows(const call *c, int64_t oy, int64_t lo, int64_t hi, real *m, position *at) {
    const hz__window *w = c->w;
    const int64_t n = hi - lo;
    bool begun = false;
    real room[AREA];
    for (int64_t r = 0; r < w->kernel[0] && n > 0; r++) {
        const int64_t iy = oy * w->stride[0] - w->pad[0] + r * w->dilation[0];
        if (iy < 0 || iy >= w->in[0]) continue;
        const real *row = plane_row(c, iy, lo, hi, room);
        (begun ? fold_row : copy_row)(n, row, (position)(iy * w->in[1] + lo), m, at);
        begun = true;
    }
    if (!begun) fill_padding(n, m, at);
}

/* m and at: the maxima of the columns under outputs ox … ox + n − 1 of row oy. What lies behind these is padding, too, so
 * that blocks need not end with them. */
static void fold_under(const call *c, int64_t oy, int64_t ox, int64_t n, real *m, position *at) {
    const hz__window *w = c->w;
    const int64_t columns = under(w, n), ix = ox * w->stride[1] - w->pad[1];
    const int64_t lo = hz__smaller(hz__larger(-ix, 0), columns);
    const int64_t hi = hz__larger(hz__smaller(w->in[1] - ix, columns), lo);
    fill_padding(lo, m, at);
    fold_rows(c, oy, ix + lo, ix + hi, m + lo, at ? at + lo : NULL);
    fill_padding(columns + BLOCK + w->dilation[1] - hi, m + hi, at ? at + hi : NULL);
}

/* Element u becomes the maximum of the window that begins in its column. */
static void fold_along(const hz__window *w, int64_t n, real *m, position *at) {
    const int64_t columns = (under(w, n) + BLOCK - 1) / BLOCK * BLOCK;
    for (int64_t k = 1; k < w->kernel[1]; k++) fold_neighbours(columns, w->dilation[1], m, at);
}

/* Windows `width` wide in steps of two: m[i] becomes the maximum of m[2i … 2i + width). What is written has been read. */
static void fold_twos(int64_t width, int64_t n, real *m) {
    for (int64_t i = 0; i < n; i += 4) {
        four most, even, odd;
        load_pairs(m + 2 * i, &most, &odd);
        if (width > 1) most = choose(beats(odd, most), odd, most);
        for (int64_t k = 2; k < width; k += 2) {
            load_pairs(m + 2 * i + k, &even, &odd);
            most = choose(beats(even, most), even, most);
            if (k + 1 < width) most = choose(beats(odd, most), odd, most);
        }
        memcpy(m + i, &most, sizeof most);
    }
}

static void run_fold(const call *c) {
    const hz__window *w = c->w;
    const int64_t most = (AREA - under(w, 1)) / w->stride[1] + 1;
    const bool in_twos = w->stride[1] == 2 && w->dilation[1] == 1 && !c->positions;
    real m[AREA + AREA / 2];
    position room[AREA + AREA / 2], *at = c->positions ? room : NULL;
    for (int64_t oy = 0; oy < w->out[0]; oy++) {
        for (int64_t ox = 0; ox < w->out[1]; ox += most) {
            const int64_t n = hz__smaller(most, w->out[1] - ox);
            fold_under(c, oy, ox, n, m, at);
            if (in_twos) {
                fold_twos(w->kernel[1], n, m);
                c->row(c, oy, ox, n, m, NULL, 1);
            } else {
                fold_along(w, n, m, at);
                c->row(c, oy, ox, n, m, at, w->stride[1]);
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
    if (is_small(t->w))
        run_fold(t);
    else
        run_scan(t);
}

/* ---- pairs ---- */

/* Windows a b over c d, next to each other and without padding. */
static bool is_paired(const hz__window *w, const int64_t *x_s) {
    bool paired = x_s[1] == 1 && w->out[1] >= 4;
    for (int k = 0; k < 2; k++)
        paired = paired && w->kernel[k] == 2 && w->stride[k] == 2 && w->dilation[k] == 1 && w->pad[k] == 0 &&
                 2 * w->out[k] <= w->in[k];
    return paired;
}

/* Four outputs, under the rows p and q. */
HZ_INLINE void max_four(const real *p, const real *q, real *y) {
    four a, b, c, d;
    load_pairs(p, &a, &b);
    load_pairs(q, &c, &d);
    const four above = choose(beats(b, a), b, a), below = choose(beats(d, c), d, c);
    const four most = choose(beats(below, above), below, above);
    memcpy(y, &most, sizeof most);
}

/* The same, dy to where they are; rows of dx from p and q on. */
HZ_INLINE void grad_four(const real *p, const real *q, const real *from, real *above, real *below) {
    four a, b, c, d, dy;
    memcpy(&dy, from, sizeof dy);
    load_pairs(p, &a, &b);
    load_pairs(q, &c, &d);
    const mask right = beats(b, a), right_below = beats(d, c), m = (mask)dy;
    const mask down = beats(choose(right_below, d, c), choose(right, b, a));
    store_pairs((four)(m & ~down & ~right), (four)(m & ~down & right), above);
    store_pairs((four)(m & down & ~right_below), (four)(m & down & right_below), below);
}

/* The last four outputs of a row once more rather than some one by one. */
static void run_pairs(const call *c) {
    const int64_t n = c->w->out[1], width = c->w->in[1];
    for (int64_t oy = 0; oy < c->w->out[0]; oy++) {
        const real *p = c->x + 2 * oy * c->x_s[0], *q = p + c->x_s[0];
        real *to = c->to + (c->from ? 2 * oy * width : oy * n);
        for (int64_t k = 0; k < n; k += 4) {
            const int64_t i = hz__smaller(k, n - 4);
            if (c->from)
                grad_four(p + 2 * i, q + 2 * i, c->from + oy * c->from_s[0] + i, to + 2 * i,
                          to + width + 2 * i);
            else
                max_four(p + 2 * i, q + 2 * i, to + i);
        }
    }
}

/* ---- the three functions ---- */

static void max_row(const call *t, int64_t oy, int64_t ox, int64_t n, const real *m, const position *at,
                    int64_t step) {
    real *y = t->to + oy * t->w->out[1] + ox;
    (void)at;
    if (step == 1)
        memcpy(y, m, (size_t)n * sizeof *y);
    else
        for (int64_t i = 0; i < n; i++) y[i] = m[i * step];
}

static void max(const hz__window *w, const void *x, const int64_t *x_s, void *y) {
    const call c = {.w = w, .x = x, .x_s = x_s, .row = max_row, .to = y};
    (is_paired(w, x_s) ? run_pairs : run)(&c);
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
    const call c = {
        .w = w, .x = x, .x_s = x_s, .positions = true, .row = grad_row, .from = dy, .from_s = dy_s, .to = dx};
    const bool paired = is_paired(w, x_s) && dy_s[1] == 1;
    if (!paired || 2 * w->out[0] < w->in[0] || 2 * w->out[1] < w->in[1])
        memset(dx, 0, (size_t)(w->in[0] * w->in[1]) * sizeof(real));
    (paired ? run_pairs : run)(&c);
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
