/* winograd_tmpl.c: the inner loops of Winograd convolution F(4×4, 3×3), see tensor/kernels/winograd.h.
 *
 * The polynomials behind it are evaluated at 0, p, −p, q, −q and ∞, where p = √½ and q = √2:
 *
 *        ⎡ 1   0  −5/2   0   1  0 ⎤        ⎡   1     0     0  ⎤
 *        ⎢ 0 −2p   −2    p   1  0 ⎥        ⎢ −2/3 −2p/3  −1/3 ⎥        ⎡ 1   1    1   1   1  0 ⎤
 *   Bᵀ = ⎢ 0  2p   −2   −p   1  0 ⎥    G = ⎢ −2/3  2p/3  −1/3 ⎥   Aᵀ = ⎢ 0   p   −p   q  −q  0 ⎥
 *        ⎢ 0 −q/2 −1/2   q   1  0 ⎥        ⎢  1/6   q/6   1/3 ⎥        ⎢ 0  1/2  1/2  2   2  0 ⎥
 *        ⎢ 0  q/2 −1/2  −q   1  0 ⎥        ⎢  1/6  −q/6   1/3 ⎥        ⎣ 0  p/2 −p/2  2q −2q 1 ⎦
 *        ⎣ 0   1    0  −5/2  0  1 ⎦        ⎣   0     0     1  ⎦
 *
 * These points have a quarter of the rounding errors of the usual 0, ±1, ±2 and ∞.
 *
 * A vector holds one pixel of many channels, so that every loop here does the same to all its lanes, whatever the
 * size of the planes; what is read and written is transposed on the way, four channels by four pixels at a time.
 *
 * Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016; for the choice of points, Barabasz,
 * Anderson, Soodhalter and Gregg, "Error Analysis and Improving the Accuracy of Winograd Convolution", 2020.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/kernels/vector.h"
#include "tensor/kernels/winograd.h"

#if defined(HZ_KERNEL_AVX512)
enum { WIDTH = 2, MOST_ROWS = 12, MULTIPLY_COST = 1 }; /* 32 registers */
#elif defined(HZ_KERNEL_AVX2)
enum { WIDTH = 2, MOST_ROWS = 6, MULTIPLY_COST = 1 }; /* 16 registers */
#else
enum { WIDTH = 4, MOST_ROWS = 3, MULTIPLY_COST = 3 };
#endif

enum {
    PANEL = WIDTH * LANES, /* WIDTH vectors to a row of a panel */
    STRIP = 8,             /* neighbouring tiles that are transformed together, and the columns they see: */
    STRIP_FIELD = STRIP * HZ__TILE + 2
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

static const real P = (real)0.70710678118654752440, Q = (real)1.41421356237309504880;

/* Bᵀ·d */
HZ_INLINE void transform_input(const vec d[6], vec v[6]) {
    const vec even = d[4] - 2 * d[2], odd = d[3] - 2 * d[1];
    const vec far_even = d[4] - (real)0.5 * d[2], far_odd = d[3] - (real)0.5 * d[1];
    v[0] = (d[0] + d[4]) - (real)2.5 * d[2];
    v[1] = even + P * odd;
    v[2] = even - P * odd;
    v[3] = far_even + Q * far_odd;
    v[4] = far_even - Q * far_odd;
    v[5] = (d[1] + d[5]) - (real)2.5 * d[3];
}

/* G·g */
HZ_INLINE void transform_filter(const vec g[3], vec u[6]) {
    const vec even = (2 * g[0] + g[2]) * (real)(-1.0 / 3), far_even = (g[0] + 2 * g[2]) * (real)(1.0 / 6);
    const vec odd = g[1] * (P * (real)(2.0 / 3)), far_odd = g[1] * (Q * (real)(1.0 / 6));
    u[0] = g[0];
    u[1] = even - odd;
    u[2] = even + odd;
    u[3] = far_even + far_odd;
    u[4] = far_even - far_odd;
    u[5] = g[2];
}

/* Aᵀ·m */
HZ_INLINE void transform_output(const vec m[6], vec y[4]) {
    const vec sum = m[1] + m[2], difference = P * (m[1] - m[2]);
    const vec far_sum = m[3] + m[4], far_difference = Q * (m[3] - m[4]);
    y[0] = m[0] + sum + far_sum;
    y[1] = difference + far_difference;
    y[2] = (real)0.5 * sum + 2 * far_sum;
    y[3] = m[5] + (real)0.5 * difference + 2 * far_difference;
}

/* A·y */
HZ_INLINE void transform_output_adjoint(const vec y[4], vec d[6]) {
    const vec even = y[0] + (real)0.5 * y[2], odd = y[1] + (real)0.5 * y[3];
    const vec far_even = y[0] + 2 * y[2], far_odd = y[1] + 2 * y[3];
    d[0] = y[0];
    d[1] = even + P * odd;
    d[2] = even - P * odd;
    d[3] = far_even + Q * far_odd;
    d[4] = far_even - Q * far_odd;
    d[5] = y[3];
}

/* Gᵀ·e */
HZ_INLINE void transform_filter_adjoint(const vec e[6], vec g[3]) {
    const vec sum = e[1] + e[2], far_sum = e[3] + e[4];
    g[0] = e[0] - sum * (real)(2.0 / 3) + far_sum * (real)(1.0 / 6);
    g[1] = (e[2] - e[1]) * (P * (real)(2.0 / 3)) + (e[3] - e[4]) * (Q * (real)(1.0 / 6));
    g[2] = e[5] + (far_sum - sum) * (real)(1.0 / 3);
}

/* ---- V = Bᵀ·x·B ---- */

/* Along the columns of a strip's patch, in place. */
HZ_INLINE void input_columns(int64_t columns, real *patch) {
    enum { ROW = STRIP_FIELD * HZ__LINE };
    for (int64_t i = 0; i < columns * HZ__LINE; i += LANES) {
        vec d[6], v[6];
        for (int j = 0; j < 6; j++) d[j] = load(patch + j * ROW + i);
        transform_input(d, v);
        for (int j = 0; j < 6; j++) store(patch + j * ROW + i, v[j]);
    }
}

/* Along the rows, and away. */
HZ_INLINE void input_rows(const real *patch, hz__points v) {
    for (int r = 0; r < 6; r++, patch += STRIP_FIELD * HZ__LINE) {
        for (int l = 0; l < HZ__LINE; l += LANES) {
            vec d[6], out[6];
            for (int j = 0; j < 6; j++) d[j] = load(patch + j * HZ__LINE + l);
            transform_input(d, out);
            for (int j = 0; j < 6; j++) store(v.data + (r * 6 + j) * v.point + l, out[j]);
        }
    }
}

static void input(const hz__tile_grid *g, hz__readable x, int64_t lanes, int64_t t0, int64_t t1,
                  hz__points v) {
    real patch[6 * STRIP_FIELD * HZ__LINE];
    strip s;
    for (int64_t t = t0; t < t1; t += s.count) {
        s = strip_at(g, t, t1);
        const int64_t columns = s.count * HZ__TILE + 2;
        gather_patch(g->window->in, &x, lanes, s.n, s.y - g->window->pad[0], 6, s.x - g->window->pad[1],
                     columns, patch);
        input_columns(columns, patch);
        for (int64_t i = 0; i < s.count; i++, v.data += v.pitch)
            input_rows(patch + i * HZ__TILE * HZ__LINE, v);
    }
}

/* ---- U = G·w·Gᵀ ---- */

HZ_INLINE void filter_block(const real *taps, bool rotate, hz__points u) {
    for (int l = 0; l < HZ__LINE; l += LANES) {
        vec rows[6][3];
        for (int s = 0; s < 3; s++) {
            vec g[3], out[6];
            for (int r = 0; r < 3; r++) {
                const int tap = r * 3 + s;
                g[r] = load(taps + (rotate ? HZ__TAPS - 1 - tap : tap) * HZ__LINE + l);
            }
            transform_filter(g, out);
            for (int r = 0; r < 6; r++) rows[r][s] = out[r];
        }
        for (int r = 0; r < 6; r++) {
            vec out[6];
            transform_filter(rows[r], out);
            for (int s = 0; s < 6; s++) store(u.data + (r * 6 + s) * u.point + l, out[s]);
        }
    }
}

static void filter(hz__readable w, int64_t lanes, int64_t channels, bool rotate, hz__points u) {
    real taps[HZ__TAPS * HZ__LINE];
    const bool joined = w.stride[3] == 1 && w.stride[2] == 3;
    for (int64_t c = 0; c < channels; c++, u.data += u.pitch) {
        const real *from = w.data + c * w.stride[1];
        for (int r = 0; r < 3 && !joined; r++) {
            gather(from + r * w.stride[2], w.stride[0], w.stride[3], 3, lanes, taps + r * 3 * HZ__LINE);
        }
        if (joined) gather(from, w.stride[0], 1, HZ__TAPS, lanes, taps);
        filter_block(taps, rotate, u);
    }
}

/* ---- y = Aᵀ·M·A ---- */

/* One tile: pixels[(row·4 + column)·LINE + lane]. */
HZ_INLINE void output_tile(hz__points m, real *pixels) {
    for (int l = 0; l < HZ__LINE; l += LANES) {
        vec rows[4][6];
        for (int s = 0; s < 6; s++) {
            vec column[6], out[4];
            for (int r = 0; r < 6; r++) column[r] = load(m.data + (r * 6 + s) * m.point + l);
            transform_output(column, out);
            for (int r = 0; r < 4; r++) rows[r][s] = out[r];
        }
        for (int r = 0; r < 4; r++) {
            vec out[4];
            transform_output(rows[r], out);
            for (int s = 0; s < 4; s++) store(pixels + (r * 4 + s) * HZ__LINE + l, out[s]);
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

static void output(const hz__tile_grid *g, hz__points m, int64_t lanes, int64_t t0, int64_t t1,
                   const float *bias, int64_t bias_stride, float *y, int64_t image_stride) {
    real pixels[HZ__TILE * HZ__TILE * HZ__LINE], b[HZ__LINE] = {0};
    const int64_t *out = g->window->out;
    for (int64_t l = 0; bias && l < lanes; l++) b[l] = bias[l * bias_stride];
    for (int64_t t = t0; t < t1; t++, m.data += m.pitch) {
        const strip s = strip_at(g, t, t + 1);
        const int64_t rows = hz__smaller(HZ__TILE, out[0] - s.y),
                      columns = hz__smaller(HZ__TILE, out[1] - s.x);
        real *corner = y + s.n * image_stride + s.y * out[1] + s.x;
        output_tile(m, pixels);
        for (int64_t r = 0; r < rows; r++) {
            scatter_row(pixels + r * HZ__TILE * HZ__LINE, b, lanes, columns, out[0] * out[1],
                        corner + r * out[1]);
        }
    }
}

/* ---- D = A·dy·Aᵀ ---- */

HZ_INLINE void output_adjoint_tile(const real *patch, hz__points d) {
    for (int l = 0; l < HZ__LINE; l += LANES) {
        vec rows[6][4];
        for (int s = 0; s < 4; s++) {
            vec column[4], out[6];
            for (int r = 0; r < 4; r++) column[r] = load(patch + (r * STRIP_FIELD + s) * HZ__LINE + l);
            transform_output_adjoint(column, out);
            for (int r = 0; r < 6; r++) rows[r][s] = out[r];
        }
        for (int r = 0; r < 6; r++) {
            vec out[6];
            transform_output_adjoint(rows[r], out);
            for (int s = 0; s < 6; s++) store(d.data + (r * 6 + s) * d.point + l, out[s]);
        }
    }
}

static void output_adjoint(const hz__tile_grid *g, hz__readable dy, int64_t lanes, int64_t t0, int64_t t1,
                           hz__points d) {
    real patch[HZ__TILE * STRIP_FIELD * HZ__LINE];
    strip s;
    for (int64_t t = t0; t < t1; t += s.count) {
        s = strip_at(g, t, t1);
        gather_patch(g->window->out, &dy, lanes, s.n, s.y, HZ__TILE, s.x, s.count * HZ__TILE, patch);
        for (int64_t i = 0; i < s.count; i++, d.data += d.pitch)
            output_adjoint_tile(patch + i * HZ__TILE * HZ__LINE, d);
    }
}

/* ---- dw = Gᵀ·E·G ---- */

HZ_INLINE void filter_adjoint_block(hz__points e, real *taps) {
    for (int l = 0; l < HZ__LINE; l += LANES) {
        vec rows[3][6];
        for (int s = 0; s < 6; s++) {
            vec column[6], out[3];
            for (int r = 0; r < 6; r++) column[r] = load(e.data + (r * 6 + s) * e.point + l);
            transform_filter_adjoint(column, out);
            for (int r = 0; r < 3; r++) rows[r][s] = out[r];
        }
        for (int r = 0; r < 3; r++) {
            vec out[3];
            transform_filter_adjoint(rows[r], out);
            for (int s = 0; s < 3; s++) store(taps + (r * 3 + s) * HZ__LINE + l, out[s]);
        }
    }
}

static void filter_adjoint(hz__points e, int64_t lanes, int64_t channels, float *dw, int64_t dw_stride) {
    real taps[HZ__TAPS * HZ__LINE];
    for (int64_t c = 0; c < channels; c++, e.data += e.pitch, dw += HZ__TAPS) {
        filter_adjoint_block(e, taps);
        for (int64_t l = 0; l < lanes; l++) {
            for (int i = 0; i < HZ__TAPS; i++) dw[l * dw_stride + i] = taps[i * HZ__LINE + l];
        }
    }
}

/* ---- products ---- */

/* A few rows of c: they stay in registers. */
HZ_INLINE void multiply_rows(const int rows, int64_t depth, const real *a, int64_t a_rs, int64_t a_cs,
                             const real *b, bool add, real *c, int64_t c_rs) {
    vec sum[MOST_ROWS][WIDTH];
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < WIDTH; j++) sum[i][j] = add ? load(c + i * c_rs + j * LANES) : (vec){0};
    }
    for (int64_t p = 0; p < depth; p++, a += a_cs, b += PANEL) {
        vec row[WIDTH];
        for (int j = 0; j < WIDTH; j++) row[j] = load(b + j * LANES);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < WIDTH; j++) sum[i][j] += a[i * a_rs] * row[j];
        }
    }
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < WIDTH; j++) store(c + i * c_rs + j * LANES, sum[i][j]);
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

const hz__winograd_kernels HZ_KERNEL(winograd) = {
    .cost = MULTIPLY_COST,
    .panel = PANEL,
    .input = input,
    .filter = filter,
    .output = output,
    .output_adjoint = output_adjoint,
    .filter_adjoint = filter_adjoint,
    .multiply = multiply,
};
