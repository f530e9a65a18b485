/* winograd_tmpl.c: the inner loops of Winograd convolution F(4×4, 3×3) and F(4×4, 5×5), see tensor/kernels/winograd.h.
 *
 * The polynomials behind it are evaluated at 0, at pairs of points ±a, and at ∞. With the pairs a₁, a₂, … (two of them for
 * 3×3, three for 5×5) and Πᵢ(t) = Π_{j≠i} (t − aⱼ²), Π(t) = Π (t − aⱼ²), the rows of the matrices are
 *
 *        at 0         at ±aᵢ                       at ∞
 *   Bᵀ   Π(x²)        x·(x ± aᵢ)·Πᵢ(x²)            x·Π(x²)         as coefficients of 1, x, x², …
 *   G    1/Π(0)       (±aᵢ)ᵏ/(2aᵢ²·Πᵢ(aᵢ²))        0 … 0 1         k = 0 … 2 or 4
 *   A    1 0 0 0      (±aᵢ)ᵏ                       0 0 0 1         k = 0 … 3
 *
 * so that the two rows of a pair share their even and their odd part. For 3×3 the pairs are √½ and √2:
 *
 *        ⎡ 1   0  −5/2   0   1  0 ⎤        ⎡   1     0     0  ⎤
 *        ⎢ 0 −2p   −2    p   1  0 ⎥        ⎢ −2/3 −2p/3  −1/3 ⎥        ⎡ 1   1    1   1   1  0 ⎤
 *   Bᵀ = ⎢ 0  2p   −2   −p   1  0 ⎥    G = ⎢ −2/3  2p/3  −1/3 ⎥   Aᵀ = ⎢ 0   p   −p   q  −q  0 ⎥
 *        ⎢ 0 −q/2 −1/2   q   1  0 ⎥        ⎢  1/6   q/6   1/3 ⎥        ⎢ 0  1/2  1/2  2   2  0 ⎥
 *        ⎢ 0  q/2 −1/2  −q   1  0 ⎥        ⎢  1/6  −q/6   1/3 ⎥        ⎣ 0  p/2 −p/2  2q −2q 1 ⎦
 *        ⎣ 0   1    0  −5/2  0  1 ⎦        ⎣   0     0     1  ⎦
 *
 * These points have a quarter of the rounding errors of the usual 0, ±1, ±2 and ∞. For 5×5 they are 3/5, 1 and 5/3:
 * single products come out with two thirds of the errors of ½, 1 and 2, long sums with the same.
 *
 * A vector holds one pixel of many channels, so that every loop here does the same to all its lanes, whatever the
 * size of the planes; what is read and written is transposed on the way, four channels by four pixels at a time. What
 * depends on the size of the kernel takes its `form`, a constant once it is inlined.
 *
 * Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016; for the choice of points, Barabasz,
 * Anderson, Soodhalter and Gregg, "Error Analysis and Improving the Accuracy of Winograd Convolution", 2020.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/kernels/vector.h"
#include "tensor/kernels/winograd.h"

#if defined(HZ_KERNEL_AVX512)
#define MULTIPLY_COST 1
enum { WIDTH = 2, MOST_ROWS = 12 }; /* 32 registers */
#elif defined(HZ_KERNEL_AVX2)
#define MULTIPLY_COST 1
enum { WIDTH = 2, MOST_ROWS = 6 }; /* 16 registers */
#else
#define MULTIPLY_COST 1.5 /* against BLIS on a processor without AVX */
enum { WIDTH = 4, MOST_ROWS = 3 };
#endif

enum {
    PANEL = WIDTH * LANES, /* WIDTH vectors to a row of a panel */
    MOST_TAPS = 5,
    MOST_FIELD = HZ__TILE + MOST_TAPS - 1,
    STRIP = 8, /* neighbouring tiles that are transformed together, and the columns they see at the most: */
    STRIP_FIELD = STRIP * HZ__TILE + MOST_TAPS - 1
};

typedef real quad __attribute__((vector_size(16)));

HZ_INLINE quad load_quad(const real *p) {
    quad v;
    memcpy(&v, p, sizeof v);
    return v;
}
HZ_INLINE void store_quad(real *p, quad v) {
    memcpy(p, &v, sizeof v);
}

/* ---- pixels to lanes, and back ---- */

HZ_INLINE void transpose(quad q[4]) {
    const quad a = __builtin_shufflevector(q[0], q[1], 0, 4, 1, 5);
    const quad b = __builtin_shufflevector(q[0], q[1], 2, 6, 3, 7);
    const quad c = __builtin_shufflevector(q[2], q[3], 0, 4, 1, 5);
    const quad d = __builtin_shufflevector(q[2], q[3], 2, 6, 3, 7);
    q[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    q[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    q[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    q[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

/* to[i·LINE + l] = from[l·lane_stride + i·step] for i < n and l < lanes. */
static void gather_some(const real *from, int64_t lane_stride, int64_t step, int64_t n, int64_t lanes,
                        real *to) {
    for (int64_t l = 0; l < lanes; l++) {
        for (int64_t i = 0; i < n; i++) to[i * HZ__LINE + l] = from[l * lane_stride + i * step];
    }
}

/* The same; lanes that are not there are 0. */
static void gather(const real *from, int64_t lane_stride, int64_t step, int64_t n, int64_t lanes, real *to) {
    if (lanes < HZ__LINE) memset(to, 0, (size_t)(n * HZ__LINE) * sizeof *to);
    int64_t l = 0;
    for (; step == 1 && n >= 4 && l + 4 <= lanes; l += 4) {
        for (int64_t i = 0; i < n; i += 4) {
            const int64_t at = hz__smaller(i, n - 4); /* the last four may overlap the four before */
            quad q[4];
            for (int j = 0; j < 4; j++) q[j] = load_quad(from + (l + j) * lane_stride + at);
            transpose(q);
            for (int j = 0; j < 4; j++) store_quad(to + (at + j) * HZ__LINE + l, q[j]);
        }
    }
    gather_some(from + l * lane_stride, lane_stride, step, n, lanes - l, to + l);
}

/* ---- tiles ---- */

/* Neighbouring tiles of one row of tiles, and their first output. */
typedef struct strip {
    int64_t n, y, x, count;
} strip;

static strip strip_at(const hz__tile_grid *g, int64_t t, int64_t end) {
    const int64_t row = t / g->columns, column = t % g->columns;
    const int64_t count = hz__smaller(hz__smaller(STRIP, g->columns - column), end - t);
    return (strip){row / g->rows, row % g->rows * HZ__TILE, column * HZ__TILE, count};
}

/* Rows y … y+rows−1 and columns x … x+columns−1 of a plane of the given extents, 0 outside it. */
static void gather_patch(const int64_t *extent, const hz__readable *p, int64_t lanes, int64_t n, int64_t y,
                         int64_t rows, int64_t x, int64_t columns, real *to) {
    const int64_t lo = hz__smaller(hz__larger(-x, 0), columns);
    const int64_t hi = hz__larger(hz__smaller(extent[1] - x, columns), lo);
    for (int64_t r = 0; r < rows; r++, to += STRIP_FIELD * HZ__LINE) {
        const bool inside = y + r >= 0 && y + r < extent[0] && lo < hi;
        const int64_t first = inside ? lo : columns, last = inside ? hi : columns;
        memset(to, 0, (size_t)(first * HZ__LINE) * sizeof *to);
        memset(to + last * HZ__LINE, 0, (size_t)((columns - last) * HZ__LINE) * sizeof *to);
        if (!inside) continue;
        const real *from = p->data + n * p->stride[0] + (y + r) * p->stride[2] + (x + lo) * p->stride[3];
        gather(from, p->stride[1], p->stride[3], hi - lo, lanes, to + lo * HZ__LINE);
    }
}

/* ---- the transforms in one dimension ---- */

/* The numbers of the matrices, see above. Of Π and Πᵢ the last coefficient is 1. */
typedef struct form {
    int taps, field, pairs;
    real a[3][4];         /* aᵢᵏ */
    real all[4];          /* Π */
    real but[3][3];       /* Πᵢ */
    real zero;            /* 1/Π(0) */
    real g[3][MOST_TAPS]; /* aᵢᵏ/(2aᵢ²·Πᵢ(aᵢ²)) */
} form;

#define P 0.70710678118654752440 /* √½ */
#define Q 1.41421356237309504880 /* √2 */
#define R 0.6
#define R2 0.36
#define R3 0.216
#define S (5.0 / 3)
#define S2 (25.0 / 9)
#define S3 (125.0 / 27)
#define POWERS(a, d)                                                                                \
    {                                                                                               \
        (real)(1 / (d)), (real)((a) / (d)), (real)((a) * (a) / (d)), (real)((a) * (a) * (a) / (d)), \
            (real)((a) * (a) * (a) * (a) / (d))                                                     \
    }
static const form forms[2] = {
    {.taps = 3,
     .field = 6,
     .pairs = 2,
     .a = {{1, (real)P, (real)0.5, (real)(P / 2)}, {1, (real)Q, 2, (real)(2 * Q)}},
     .all = {1, (real)-2.5, 1},
     .but = {{-2, 1}, {(real)-0.5, 1}},
     .zero = 1,
     .g = {{(real)(-2.0 / 3), (real)(-2 * P / 3), (real)(-1.0 / 3)},
           {(real)(1.0 / 6), (real)(Q / 6), (real)(1.0 / 3)}}},
    {.taps = 5,
     .field = 8,
     .pairs = 3,
     .a = {{1, (real)R, (real)R2, (real)R3}, {1, 1, 1, 1}, {1, (real)S, (real)S2, (real)S3}},
     .all = {-1, (real)(R2 + 1 + S2), (real)(-R2 - 1 - S2), 1},
     .but = {{(real)S2, (real)(-1 - S2), 1}, {1, (real)(-R2 - S2), 1}, {(real)R2, (real)(-R2 - 1), 1}},
     .zero = -1,
     .g = {POWERS(R, 2 * R2 * (R2 - 1) * (R2 - S2)), POWERS(1, 2 * (1 - R2) * (1 - S2)),
           POWERS(S, 2 * S2 * (S2 - R2) * (S2 - 1))}},
};
#undef P
#undef Q
#undef R
#undef R2
#undef R3
#undef S
#undef S2
#undef S3
#undef POWERS

/* Every second of d[0], d[2], …, n of them, times c[0], c[1], …, the last of which is 1. */
HZ_INLINE vec combine(const real *c, const vec *d, int n) {
    vec sum = d[2 * (n - 1)];
    for (int k = n - 2; k >= 0; k--) sum += c[k] * d[2 * k];
    return sum;
}

/* Bᵀ·d */
HZ_INLINE void transform_input(const form *f, const vec *d, vec *v) {
    v[0] = combine(f->all, d, f->pairs + 1);
    for (int i = 0; i < f->pairs; i++) {
        const vec even = combine(f->but[i], d + 2, f->pairs), odd = combine(f->but[i], d + 1, f->pairs);
        v[1 + 2 * i] = even + f->a[i][1] * odd;
        v[2 + 2 * i] = even - f->a[i][1] * odd;
    }
    v[f->field - 1] = combine(f->all, d + 1, f->pairs + 1);
}

/* G·g */
HZ_INLINE void transform_filter(const form *f, const vec *g, vec *u) {
    u[0] = f->zero * g[0];
    for (int i = 0; i < f->pairs; i++) {
        vec even = f->g[i][0] * g[0], odd = f->g[i][1] * g[1];
        for (int k = 2; k < f->taps; k += 2) even += f->g[i][k] * g[k];
        for (int k = 3; k < f->taps; k += 2) odd += f->g[i][k] * g[k];
        u[1 + 2 * i] = even + odd;
        u[2 + 2 * i] = even - odd;
    }
    u[f->field - 1] = g[f->taps - 1];
}

/* Aᵀ·m */
HZ_INLINE void transform_output(const form *f, const vec *m, vec y[HZ__TILE]) {
    y[0] = m[0], y[1] = (vec){0}, y[2] = (vec){0}, y[3] = m[f->field - 1];
    for (int i = 0; i < f->pairs; i++) {
        const vec sum = m[1 + 2 * i] + m[2 + 2 * i], difference = m[1 + 2 * i] - m[2 + 2 * i];
        y[0] += sum;
        y[1] += f->a[i][1] * difference;
        y[2] += f->a[i][2] * sum;
        y[3] += f->a[i][3] * difference;
    }
}

/* A·y */
HZ_INLINE void transform_output_adjoint(const form *f, const vec y[HZ__TILE], vec *d) {
    d[0] = y[0];
    for (int i = 0; i < f->pairs; i++) {
        const vec even = y[0] + f->a[i][2] * y[2], odd = f->a[i][1] * y[1] + f->a[i][3] * y[3];
        d[1 + 2 * i] = even + odd;
        d[2 + 2 * i] = even - odd;
    }
    d[f->field - 1] = y[3];
}

/* Gᵀ·e */
HZ_INLINE void transform_filter_adjoint(const form *f, const vec *e, vec *g) {
    for (int k = 0; k < f->taps; k++) g[k] = (vec){0};
    g[0] = f->zero * e[0];
    g[f->taps - 1] = e[f->field - 1];
    for (int i = 0; i < f->pairs; i++) {
        const vec sum = e[1 + 2 * i] + e[2 + 2 * i], difference = e[1 + 2 * i] - e[2 + 2 * i];
        for (int k = 0; k < f->taps; k += 2) g[k] += f->g[i][k] * sum;
        for (int k = 1; k < f->taps; k += 2) g[k] += f->g[i][k] * difference;
    }
}

/* ---- V = Bᵀ·x·B ---- */

/* Along the columns of a strip's patch, in place. */
HZ_INLINE void input_columns(const form *f, int64_t columns, real *patch) {
    enum { ROW = STRIP_FIELD * HZ__LINE };
    for (int64_t i = 0; i < columns * HZ__LINE; i += LANES) {
        vec d[MOST_FIELD], v[MOST_FIELD];
        for (int j = 0; j < f->field; j++) d[j] = load(patch + j * ROW + i);
        transform_input(f, d, v);
        for (int j = 0; j < f->field; j++) store(patch + j * ROW + i, v[j]);
    }
}

/* Along the rows, and away. */
HZ_INLINE void input_rows(const form *f, const real *patch, hz__points v) {
    for (int r = 0; r < f->field; r++, patch += STRIP_FIELD * HZ__LINE) {
        for (int l = 0; l < HZ__LINE; l += LANES) {
            vec d[MOST_FIELD], out[MOST_FIELD];
            for (int j = 0; j < f->field; j++) d[j] = load(patch + j * HZ__LINE + l);
            transform_input(f, d, out);
            for (int j = 0; j < f->field; j++) store(v.data + (r * f->field + j) * v.point + l, out[j]);
        }
    }
}

HZ_INLINE void input(const form *f, const hz__tile_grid *g, hz__readable x, int64_t lanes, int64_t t0,
                     int64_t t1, hz__points v) {
    real patch[MOST_FIELD * STRIP_FIELD * HZ__LINE];
    strip s;
    for (int64_t t = t0; t < t1; t += s.count) {
        s = strip_at(g, t, t1);
        const int64_t columns = s.count * HZ__TILE + f->taps - 1;
        gather_patch(g->window->in, &x, lanes, s.n, s.y - g->window->pad[0], f->field,
                     s.x - g->window->pad[1], columns, patch);
        input_columns(f, columns, patch);
        for (int64_t i = 0; i < s.count; i++, v.data += v.pitch)
            input_rows(f, patch + i * HZ__TILE * HZ__LINE, v);
    }
}

/* ---- U = G·w·Gᵀ ---- */

HZ_INLINE void filter_block(const form *f, const real *taps, bool rotate, hz__points u) {
    for (int l = 0; l < HZ__LINE; l += LANES) {
        vec rows[MOST_FIELD][MOST_TAPS];
        for (int s = 0; s < f->taps; s++) {
            vec g[MOST_TAPS], out[MOST_FIELD];
            for (int r = 0; r < f->taps; r++) {
                const int tap = r * f->taps + s, last = f->taps * f->taps - 1;
                g[r] = load(taps + (rotate ? last - tap : tap) * HZ__LINE + l);
            }
            transform_filter(f, g, out);
            for (int r = 0; r < f->field; r++) rows[r][s] = out[r];
        }
        for (int r = 0; r < f->field; r++) {
            vec out[MOST_FIELD];
            transform_filter(f, rows[r], out);
            for (int s = 0; s < f->field; s++) store(u.data + (r * f->field + s) * u.point + l, out[s]);
        }
    }
}

HZ_INLINE void filter(const form *f, hz__readable w, int64_t lanes, int64_t channels, bool rotate,
                      hz__points u) {
    real taps[MOST_TAPS * MOST_TAPS * HZ__LINE];
    const bool joined = w.stride[3] == 1 && w.stride[2] == f->taps;
    for (int64_t c = 0; c < channels; c++, u.data += u.pitch) {
        const real *from = w.data + c * w.stride[1];
        for (int r = 0; r < f->taps && !joined; r++) {
            gather(from + r * w.stride[2], w.stride[0], w.stride[3], f->taps, lanes,
                   taps + r * f->taps * HZ__LINE);
        }
        if (joined) gather(from, w.stride[0], 1, f->taps * f->taps, lanes, taps);
        filter_block(f, taps, rotate, u);
    }
}

/* ---- y = Aᵀ·M·A ---- */

/* One tile: pixels[(row·4 + column)·LINE + lane]. */
HZ_INLINE void output_tile(const form *f, hz__points m, real *pixels) {
    for (int l = 0; l < HZ__LINE; l += LANES) {
        vec rows[HZ__TILE][MOST_FIELD];
        for (int s = 0; s < f->field; s++) {
            vec column[MOST_FIELD], out[HZ__TILE];
            for (int r = 0; r < f->field; r++) column[r] = load(m.data + (r * f->field + s) * m.point + l);
            transform_output(f, column, out);
            for (int r = 0; r < HZ__TILE; r++) rows[r][s] = out[r];
        }
        for (int r = 0; r < HZ__TILE; r++) {
            vec out[HZ__TILE];
            transform_output(f, rows[r], out);
            for (int s = 0; s < HZ__TILE; s++) store(pixels + (r * HZ__TILE + s) * HZ__LINE + l, out[s]);
        }
    }
}

/* Four pixels of a row, all lanes: y[l·plane + j] = pixels[j·LINE + l] + bias[l], j < columns. */
HZ_INLINE void scatter_row(const real *pixels, const real *bias, int64_t lanes, int64_t columns,
                           int64_t plane, real *y) {
    int64_t l = 0;
    for (; columns == 4 && l + 4 <= lanes; l += 4) {
        quad q[4];
        const quad b = load_quad(bias + l);
        for (int j = 0; j < 4; j++) q[j] = load_quad(pixels + j * HZ__LINE + l) + b;
        transpose(q);
        for (int j = 0; j < 4; j++) store_quad(y + (l + j) * plane, q[j]);
    }
    for (; l < lanes; l++) {
        for (int64_t j = 0; j < columns; j++) y[l * plane + j] = pixels[j * HZ__LINE + l] + bias[l];
    }
}

HZ_INLINE void output(const form *f, const hz__tile_grid *g, hz__points m, int64_t lanes, int64_t t0,
                      int64_t t1, const float *bias, int64_t bias_stride, float *y, int64_t image_stride) {
    real pixels[HZ__TILE * HZ__TILE * HZ__LINE], b[HZ__LINE] = {0};
    const int64_t *out = g->window->out;
    for (int64_t l = 0; bias && l < lanes; l++) b[l] = bias[l * bias_stride];
    for (int64_t t = t0; t < t1; t++, m.data += m.pitch) {
        const strip s = strip_at(g, t, t + 1);
        const int64_t rows = hz__smaller(HZ__TILE, out[0] - s.y),
                      columns = hz__smaller(HZ__TILE, out[1] - s.x);
        real *corner = y + s.n * image_stride + s.y * out[1] + s.x;
        output_tile(f, m, pixels);
        for (int64_t r = 0; r < rows; r++) {
            scatter_row(pixels + r * HZ__TILE * HZ__LINE, b, lanes, columns, out[0] * out[1],
                        corner + r * out[1]);
        }
    }
}

/* ---- D = A·dy·Aᵀ ---- */

HZ_INLINE void output_adjoint_tile(const form *f, const real *patch, hz__points d) {
    for (int l = 0; l < HZ__LINE; l += LANES) {
        vec rows[MOST_FIELD][HZ__TILE];
        for (int s = 0; s < HZ__TILE; s++) {
            vec column[HZ__TILE], out[MOST_FIELD];
            for (int r = 0; r < HZ__TILE; r++) column[r] = load(patch + (r * STRIP_FIELD + s) * HZ__LINE + l);
            transform_output_adjoint(f, column, out);
            for (int r = 0; r < f->field; r++) rows[r][s] = out[r];
        }
        for (int r = 0; r < f->field; r++) {
            vec out[MOST_FIELD];
            transform_output_adjoint(f, rows[r], out);
            for (int s = 0; s < f->field; s++) store(d.data + (r * f->field + s) * d.point + l, out[s]);
        }
    }
}

HZ_INLINE void output_adjoint(const form *f, const hz__tile_grid *g, hz__readable dy, int64_t lanes,
                              int64_t t0, int64_t t1, hz__points d) {
    real patch[HZ__TILE * STRIP_FIELD * HZ__LINE];
    strip s;
    for (int64_t t = t0; t < t1; t += s.count) {
        s = strip_at(g, t, t1);
        gather_patch(g->window->out, &dy, lanes, s.n, s.y, HZ__TILE, s.x, s.count * HZ__TILE, patch);
        for (int64_t i = 0; i < s.count; i++, d.data += d.pitch)
            output_adjoint_tile(f, patch + i * HZ__TILE * HZ__LINE, d);
    }
}

/* ---- dw = Gᵀ·E·G ---- */

HZ_INLINE void filter_adjoint_block(const form *f, hz__points e, real *taps) {
    for (int l = 0; l < HZ__LINE; l += LANES) {
        vec rows[MOST_TAPS][MOST_FIELD];
        for (int s = 0; s < f->field; s++) {
            vec column[MOST_FIELD], out[MOST_TAPS];
            for (int r = 0; r < f->field; r++) column[r] = load(e.data + (r * f->field + s) * e.point + l);
            transform_filter_adjoint(f, column, out);
            for (int r = 0; r < f->taps; r++) rows[r][s] = out[r];
        }
        for (int r = 0; r < f->taps; r++) {
            vec out[MOST_TAPS];
            transform_filter_adjoint(f, rows[r], out);
            for (int s = 0; s < f->taps; s++) store(taps + (r * f->taps + s) * HZ__LINE + l, out[s]);
        }
    }
}

HZ_INLINE void filter_adjoint(const form *f, hz__points e, int64_t lanes, int64_t channels, float *dw,
                              int64_t dw_stride) {
    real taps[MOST_TAPS * MOST_TAPS * HZ__LINE];
    const int all = f->taps * f->taps;
    for (int64_t c = 0; c < channels; c++, e.data += e.pitch, dw += all) {
        filter_adjoint_block(f, e, taps);
        for (int64_t l = 0; l < lanes; l++) {
            for (int i = 0; i < all; i++) dw[l * dw_stride + i] = taps[i * HZ__LINE + l];
        }
    }
}

/* ---- products ---- */

/* A few rows of c: they stay in registers. */
HZ_INLINE void multiply_rows(const int rows, int64_t depth, const real *a, int64_t a_rs, int64_t a_cs,
                             const real *b, bool add, real *c, int64_t c_rs) {
    vec sum[MOST_ROWS][WIDTH];
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < WIDTH; j++) sum[i][j] = (vec){0};
    }
    for (int64_t p = 0; p < depth; p++, a += a_cs, b += PANEL) {
        vec row[WIDTH];
        for (int j = 0; j < WIDTH; j++) row[j] = load(b + j * LANES);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < WIDTH; j++) sum[i][j] += a[i * a_rs] * row[j];
        }
    }
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < WIDTH; j++) {
            real *to = c + i * c_rs + j * LANES;
            store(to, add ? load(to) + sum[i][j] : sum[i][j]);
        }
    }
}

/* The number of rows as a constant: the loops over them are unrolled. */
static void multiply_block(int64_t rows, int64_t depth, const real *a, int64_t a_rs, int64_t a_cs,
                           const real *b, bool add, real *c, int64_t c_rs) {
    switch (rows) {
    case 1:
        multiply_rows(1, depth, a, a_rs, a_cs, b, add, c, c_rs);
        break;
    case 2:
        multiply_rows(2, depth, a, a_rs, a_cs, b, add, c, c_rs);
        break;
    case 3:
        multiply_rows(3, depth, a, a_rs, a_cs, b, add, c, c_rs);
        break;
#if !defined(HZ_KERNEL_C)
    case 4:
        multiply_rows(4, depth, a, a_rs, a_cs, b, add, c, c_rs);
        break;
    case 5:
        multiply_rows(5, depth, a, a_rs, a_cs, b, add, c, c_rs);
        break;
    case 6:
        multiply_rows(6, depth, a, a_rs, a_cs, b, add, c, c_rs);
        break;
#endif
#if defined(HZ_KERNEL_AVX512)
    case 7:
        multiply_rows(7, depth, a, a_rs, a_cs, b, add, c, c_rs);
        break;
    case 8:
        multiply_rows(8, depth, a, a_rs, a_cs, b, add, c, c_rs);
        break;
    case 9:
        multiply_rows(9, depth, a, a_rs, a_cs, b, add, c, c_rs);
        break;
    case 10:
        multiply_rows(10, depth, a, a_rs, a_cs, b, add, c, c_rs);
        break;
    case 11:
        multiply_rows(11, depth, a, a_rs, a_cs, b, add, c, c_rs);
        break;
    case 12:
        multiply_rows(12, depth, a, a_rs, a_cs, b, add, c, c_rs);
        break;
#endif
    default:
        break;
    }
}

/* In blocks of nearly equal numbers of rows. */
static void multiply(int64_t m, int64_t depth, const float *a, int64_t a_rs, int64_t a_cs, const float *b,
                     bool add, float *c, int64_t c_rs) {
    for (int64_t blocks = (m + MOST_ROWS - 1) / MOST_ROWS; blocks > 0; blocks--) {
        const int64_t rows = (m + blocks - 1) / blocks;
        multiply_block(rows, depth, a, a_rs, a_cs, b, add, c, c_rs);
        a += rows * a_rs;
        c += rows * c_rs;
        m -= rows;
    }
}

/* ---- the forms: 3×3 and 5×5 ---- */

static void input3(const hz__tile_grid *g, hz__readable x, int64_t lanes, int64_t t0, int64_t t1,
                   hz__points v) {
    input(&forms[0], g, x, lanes, t0, t1, v);
}
static void filter3(hz__readable w, int64_t lanes, int64_t channels, bool rotate, hz__points u) {
    filter(&forms[0], w, lanes, channels, rotate, u);
}
static void output3(const hz__tile_grid *g, hz__points m, int64_t lanes, int64_t t0, int64_t t1,
                    const float *bias, int64_t bias_stride, float *y, int64_t image_stride) {
    output(&forms[0], g, m, lanes, t0, t1, bias, bias_stride, y, image_stride);
}
static void output_adjoint3(const hz__tile_grid *g, hz__readable dy, int64_t lanes, int64_t t0, int64_t t1,
                            hz__points d) {
    output_adjoint(&forms[0], g, dy, lanes, t0, t1, d);
}
static void filter_adjoint3(hz__points e, int64_t lanes, int64_t channels, float *dw, int64_t dw_stride) {
    filter_adjoint(&forms[0], e, lanes, channels, dw, dw_stride);
}

static void input5(const hz__tile_grid *g, hz__readable x, int64_t lanes, int64_t t0, int64_t t1,
                   hz__points v) {
    input(&forms[1], g, x, lanes, t0, t1, v);
}
static void filter5(hz__readable w, int64_t lanes, int64_t channels, bool rotate, hz__points u) {
    filter(&forms[1], w, lanes, channels, rotate, u);
}
static void output5(const hz__tile_grid *g, hz__points m, int64_t lanes, int64_t t0, int64_t t1,
                    const float *bias, int64_t bias_stride, float *y, int64_t image_stride) {
    output(&forms[1], g, m, lanes, t0, t1, bias, bias_stride, y, image_stride);
}
static void output_adjoint5(const hz__tile_grid *g, hz__readable dy, int64_t lanes, int64_t t0, int64_t t1,
                            hz__points d) {
    output_adjoint(&forms[1], g, dy, lanes, t0, t1, d);
}
static void filter_adjoint5(hz__points e, int64_t lanes, int64_t channels, float *dw, int64_t dw_stride) {
    filter_adjoint(&forms[1], e, lanes, channels, dw, dw_stride);
}

const hz__winograd_kernels HZ_KERNEL(winograd)[2] = {
    {
        .field = 6,
        .cost = MULTIPLY_COST,
        .panel = PANEL,
        .depth = 1 << 30,
        .input = input3,
        .filter = filter3,
        .output = output3,
        .output_adjoint = output_adjoint3,
        .filter_adjoint = filter_adjoint3,
        .multiply = multiply,
    },
    {
        .field = 8,
        .cost = MULTIPLY_COST,
        .panel = PANEL,
        .depth = 64,
        .input = input5,
        .filter = filter5,
        .output = output5,
        .output_adjoint = output_adjoint5,
        .filter_adjoint = filter_adjoint5,
        .multiply = multiply,
    },
};
