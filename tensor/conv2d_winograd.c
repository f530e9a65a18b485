/* conv2d_winograd.c: 3×3 and 5×5 convolutions by Winograd's algorithm F(4×4, 3×3) and F(4×4, 5×5) (kernels/winograd.h): a
 * quarter of the multiplications, and less than a sixth.
 *
 * The output is cut into tiles of 4×4. A block of tiles is transformed (V, at most INPUT_BYTES), and a block of
 * filters (U, at most FILTER_BYTES); their products are made in pieces of some tiles and some filters, which write
 * M to this thread's scratch (it stays in the L2 cache) and transform it into y at once. No transformed tensor is
 * ever whole. Where all tiles are few, U, which is then the largest, passes through the L2 cache piece by piece, too. The input gradient is the same convolution of dy with the filters rotated and channels and filters
 * exchanged; the weight gradient sums V[ξ]ᵀ·D[ξ] over the blocks of tiles, in order. Every piece writes memory of
 * its own, and their borders depend on the shapes only. Start reading at run_forward.
 *
 * Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "tensor/conv2d_parts.h"
#include "tensor/kernels/winograd.h"

enum {
    FILTER_BYTES = 10 << 20, /* U, or E, of a block of filters, … */
    FEW_FILTERS = 64,        /* … which has this many filters in any case */
    INPUT_BYTES = 1 << 20, /* V of a block of tiles; more if it is used for several blocks of filters, … */
    MORE_INPUT_BYTES = 4 << 20,
    FEW_TILES = 48,            /* … and this many tiles in any case */
    PRODUCT_BYTES = 432 << 10, /* M of a piece of the products, */
    FILTER_GROUP = 64,         /* with so many filters */
    TRANSFORM_GROUP = 32,      /* tiles of one piece of a transform */
    PASSING_TILES = 64,        /* up to so many tiles … */
    PASSING_BYTES = 1 << 20,   /* … U (or E), if it is larger than this, passes through the cache … */
    PASSING_CHANNELS = 32,     /* … by so many channels at a time */
    ENOUGH_PIECES = 8          /* for the threads */
};

/* ---- the numbers of a call ---- */

typedef struct winograd {
    const hz__conv2d *v;
    const hz__winograd_kernels *kernels;
    hz__window window;
    hz__tile_grid grid;
    int64_t taps, points;             /* along an axis of the kernel; F² */
    int64_t c, k, tiles;              /* channels, filters, tiles of all images */
    int64_t tile_block, filter_block; /* transformed at once; filters in whole panels */
    int64_t tile_group, filter_group; /* of a piece of the products */
    bool passing;                     /* U or E passes through: it belongs to a piece, not to a block */
    int64_t t0, t1, k0, k1;           /* the blocks in work */
    hz__readable x, w, dy;            /* (N, C, H, W), (K, C, taps, taps), (N, K, OH, OW) */
    bool rotate;                      /* the filters */
    const hz_tensor *b;               /* or NULL */
    float *y;
    hz__points input, filters, d; /* V, U or E, D: of the blocks in work */
} winograd;

/* (rows, columns) at every point. The points lie an odd number of cache lines apart: as powers of two they would fight for
 * the same ones. */
static hz__points points_of(int64_t rows, int64_t pitch) {
    const int64_t lines = hz__div_up(rows * pitch, HZ__LINE);
    return (hz__points){.point = (lines | 1) * HZ__LINE, .pitch = pitch};
}

static size_t points_bytes(const winograd *f, const hz__points *p) {
    return (size_t)(f->points * p->point) * sizeof(float);
}

static hz__points points_at(hz__points p, int64_t row, int64_t column) {
    p.data += row * p.pitch + column;
    return p;
}

/* Whole lines, not a large power of two of them. */
static int64_t channel_pitch(int64_t channels) {
    const int64_t lines = hz__div_up(channels, HZ__LINE);
    return (lines % 16 == 0 ? lines + 1 : lines) * HZ__LINE;
}

static int64_t panels(const winograd *f, int64_t filters) {
    return hz__div_up(filters, f->kernels->panel);
}

/* Filters from number k of the block on: panel after panel, each with `rows` rows. */
static hz__points panel_at(const winograd *f, hz__points p, int64_t rows, int64_t k) {
    const int64_t panel = f->kernels->panel;
    p.data += k / panel * rows * panel + k % panel;
    return p;
}

static hz__readable readable(const hz_tensor *t) {
    return (hz__readable){t->data, {t->stride[0], t->stride[1], t->stride[2], t->stride[3]}};
}

static winograd winograd_of(const hz__conv2d *v, hz__window window, int64_t c, int64_t k) {
    const int64_t taps = window.kernel[0];
    winograd f = {.v = v, .kernels = hz__winograd_table(v->ex->isa, taps), .window = window, .c = c, .k = k};
    f.taps = taps;
    f.points = f.kernels->field * f.kernels->field;
    f.grid.rows = hz__div_up(window.out[0], HZ__TILE);
    f.grid.columns = hz__div_up(window.out[1], HZ__TILE);
    f.tiles = v->n * f.grid.rows * f.grid.columns;
    const int64_t pitch = channel_pitch(c), point = f.points * (int64_t)sizeof(float);
    f.passing = f.tiles <= PASSING_TILES && k > PASSING_BYTES / (point * c);
    const int64_t few = hz__larger(FILTER_BYTES / (point * c) / FEW_FILTERS, 1) * FEW_FILTERS;
    const int64_t padded = panels(&f, k) * f.kernels->panel;
    f.filter_block = f.passing ? padded : hz__smaller(few, padded);
    f.filter_group = f.passing && k < ENOUGH_PIECES * FILTER_GROUP ? FILTER_GROUP / 2 : FILTER_GROUP;
    const int64_t bytes = f.filter_block < k ? MORE_INPUT_BYTES : INPUT_BYTES;
    f.tile_block =
        f.passing ? f.tiles : hz__equal_blocks(f.tiles, hz__larger(bytes / (point * pitch), FEW_TILES));
    f.tile_group =
        f.passing ? f.tiles : hz__equal_blocks(f.tile_block, PRODUCT_BYTES / (point * FILTER_GROUP));
    f.input = points_of(f.tile_block, pitch);
    f.filters = points_of(f.passing ? 1 : f.filter_block, f.passing ? 1 : c);
    return f;
}

/* Go through all blocks of filters, and for each through all blocks of tiles. */
typedef bool winograd_block(winograd *f, hz_error *err);

static bool for_each_block(winograd *f, winograd_block *begin, winograd_block *block, winograd_block *end,
                           hz_error *err) {
    for (f->k0 = 0; f->k0 < f->k; f->k0 = f->k1) {
        f->k1 = hz__smaller(f->k0 + f->filter_block, f->k);
        if (begin && !begin(f, err)) return false;
        for (f->t0 = 0; f->t0 < f->tiles; f->t0 = f->t1) {
            f->t1 = hz__smaller(f->t0 + f->tile_block, f->tiles);
            if (!block(f, err)) return false;
        }
        if (end && !end(f, err)) return false;
    }
    return true;
}

/* ---- transforms ---- */

/* Filters of the block in work, those beyond the last one that fill its panel included. */
static int64_t padded_filters(const winograd *f) {
    return panels(f, f->k1 - f->k0) * f->kernels->panel;
}

static int64_t transform_pieces(const winograd *f, int64_t channels) {
    return hz__div_up(channels, HZ__LINE) * hz__div_up(f->t1 - f->t0, TRANSFORM_GROUP);
}

/* Which line of channels and which tiles of the block a piece transforms. */
typedef struct transform {
    int64_t line, lanes, t0, t1;
} transform;

static transform transform_at(const winograd *f, int64_t index, int64_t channels) {
    const int64_t groups = hz__div_up(f->t1 - f->t0, TRANSFORM_GROUP);
    const int64_t line = index / groups * HZ__LINE, t0 = f->t0 + index % groups * TRANSFORM_GROUP;
    return (transform){line, hz__larger(hz__smaller(HZ__LINE, channels - line), 0), t0,
                       hz__smaller(t0 + TRANSFORM_GROUP, f->t1)};
}

/* Piece: V of a line of channels and a group of tiles. */
static void input_piece(const void *task, int64_t index, char *scratch) {
    const winograd *f = task;
    const transform part = transform_at(f, index, f->c);
    hz__readable x = f->x;
    x.data += part.line * x.stride[1];
    f->kernels->input(&f->grid, x, part.lanes, part.t0, part.t1,
                      points_at(f->input, part.t0 - f->t0, part.line));
    (void)scratch;
}

/* V of the block of tiles; if there is but one, it stays for the next block of filters. */
static bool transform_input(winograd *f, hz_error *err) {
    if (f->k0 > 0 && f->tile_block == f->tiles) return true;
    return hz__conv2d_run(f->v, f, input_piece, transform_pieces(f, f->c), 1, err);
}

/* U of the line of filters from number k of the block on, channels [c0, c1). */
static void transform_line(const winograd *f, int64_t k, int64_t c0, int64_t c1, hz__points u) {
    const int64_t lanes = hz__larger(hz__smaller(HZ__LINE, f->k1 - f->k0 - k), 0);
    hz__readable w = f->w;
    u.pitch = f->kernels->panel;
    if (lanes > 0) w.data += (f->k0 + k) * w.stride[0] + c0 * w.stride[1];
    f->kernels->filter(w, lanes, c1 - c0, f->rotate, u);
}

/* Piece: U of a line of filters. */
static void filter_piece(const void *task, int64_t index, char *scratch) {
    const winograd *f = task;
    const int64_t line = index * HZ__LINE;
    transform_line(f, line, 0, f->c, panel_at(f, f->filters, f->c, line));
    (void)scratch;
}

static bool transform_filters(winograd *f, hz_error *err) {
    return f->passing || hz__conv2d_run(f->v, f, filter_piece, padded_filters(f) / HZ__LINE, 1, err);
}

/* ---- y = Aᵀ·(V·U)·A ---- */

/* c (m, panel) = a·b, or +=, as hz__winograd_kernels.multiply says, in stretches. */
static void multiply(const winograd *f, int64_t m, int64_t depth, const float *a, int64_t a_rs, int64_t a_cs,
                     const float *b, bool add, float *c, int64_t c_rs) {
    for (int64_t p = 0; p < depth; p += f->kernels->depth, add = true) {
        f->kernels->multiply(m, hz__smaller(f->kernels->depth, depth - p), a + p * a_cs, a_rs, a_cs,
                             b + p * f->kernels->panel, add, c, c_rs);
    }
}

/* M = V·U, or +=, for some tiles, some filters, and `depth` channels. */
static void multiply_points(const winograd *f, int64_t tiles, int64_t filters, int64_t depth, hz__points v,
                            hz__points u, bool add, hz__points m) {
    for (int64_t i = 0; i < f->points; i++) {
        for (int64_t k = 0; k < filters; k += f->kernels->panel) {
            multiply(f, tiles, depth, v.data + i * v.point, v.pitch, 1,
                     panel_at(f, u, depth, k).data + i * u.point, add, m.data + i * m.point + k, m.pitch);
        }
    }
}

/* The same for all channels, U of filters [k, k + filters) passing through room. */
static void multiply_passing(const winograd *f, int64_t k, int64_t tiles, int64_t filters, hz__points v,
                             hz__points m, float *room) {
    hz__points u = points_of(f->filter_group, PASSING_CHANNELS);
    u.data = room;
    for (int64_t c0 = 0; c0 < f->c; c0 += PASSING_CHANNELS) {
        const int64_t c1 = hz__smaller(c0 + PASSING_CHANNELS, f->c), depth = c1 - c0;
        for (int64_t line = 0; line < panels(f, filters) * f->kernels->panel; line += HZ__LINE)
            transform_line(f, k + line, c0, c1, panel_at(f, u, depth, line));
        multiply_points(f, tiles, filters, depth, points_at(v, 0, c0), u, c0 > 0, m);
    }
}

/* y from M: some tiles and filters, from tile t and filter k of the blocks on. */
static void transform_output(const winograd *f, int64_t t, int64_t tiles, int64_t k, int64_t filters,
                             hz__points m) {
    const int64_t plane = f->window.out[0] * f->window.out[1], step = f->b ? f->b->stride[0] : 0;
    for (int64_t line = 0; line < filters; line += HZ__LINE) {
        const int64_t first = f->k0 + k + line;
        const float *b = f->b ? (const float *)f->b->data + first * step : NULL;
        f->kernels->output(&f->grid, points_at(m, 0, line), hz__smaller(HZ__LINE, filters - line), f->t0 + t,
                           f->t0 + t + tiles, b, step, f->y + first * plane, f->k * plane);
    }
}

/* Piece: M and y of a group of tiles and a group of filters. */
static void product_piece(const void *task, int64_t index, char *scratch) {
    const winograd *f = task;
    const int64_t groups = hz__div_up(f->t1 - f->t0, f->tile_group);
    const int64_t k = index / groups * f->filter_group, t = index % groups * f->tile_group;
    const int64_t filters = hz__smaller(f->filter_group, f->k1 - f->k0 - k);
    const int64_t tiles = hz__smaller(f->tile_group, f->t1 - f->t0 - t);
    const hz__points v = points_at(f->input, t, 0);
    hz__points m = points_of(f->tile_group, f->filter_group);
    m.data = (float *)scratch;
    if (f->passing)
        multiply_passing(f, k, tiles, filters, v, m, m.data + f->points * m.point);
    else
        multiply_points(f, tiles, filters, f->c, v, panel_at(f, f->filters, f->c, k), false, m);
    transform_output(f, t, tiles, k, filters, m);
}

static bool multiply_forward(winograd *f, hz_error *err) {
    if (!transform_input(f, err)) return false;
    const hz__points m = points_of(f->tile_group, f->filter_group);
    const hz__points u = points_of(f->filter_group, PASSING_CHANNELS);
    const size_t room = points_bytes(f, &m) + (f->passing ? points_bytes(f, &u) : 0);
    const int64_t pieces =
        hz__div_up(f->t1 - f->t0, f->tile_group) * hz__div_up(f->k1 - f->k0, f->filter_group);
    return hz__conv2d_run(f->v, f, product_piece, pieces, room, err);
}

/* Memory for the blocks in work. */
static hz_block *room_for(winograd *f, hz_error *err) {
    const size_t input = points_bytes(f, &f->input), filters = points_bytes(f, &f->filters),
                 d = points_bytes(f, &f->d);
    hz_block *block = hz_pool_get(f->v->ex->pool, input + filters + d);
    if (!block) {
        hz_fail(err, HZ_ENOMEM, "conv2d: no %zu bytes of scratch memory", input + filters + d);
        return NULL;
    }
    f->input.data = block->data;
    f->filters.data = f->input.data + input / sizeof(float);
    f->d.data = f->filters.data + filters / sizeof(float);
    return block;
}

static bool run_forward(winograd *f, hz_error *err) {
    f->grid.window = &f->window;
    hz_block *block = room_for(f, err);
    const bool ok = block && for_each_block(f, transform_filters, multiply_forward, NULL, err);
    hz_block_unref(block);
    return ok;
}

bool hz__conv2d_winograd(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *w, const hz_tensor *b,
                         const hz_tensor *y, hz_error *err) {
    winograd f = winograd_of(v, v->window, v->c, v->k);
    f.x = readable(x);
    f.w = readable(w);
    f.b = b;
    f.y = y->data;
    return run_forward(&f, err);
}

/* dx[i] = Σ w[r]·dy[i + pad − r] = Σ w[R − r]·dy[i − (R − pad) + r], r = 0 … R: a convolution of dy. */
static hz__window adjoint_window(const hz__window *w) {
    hz__window a = *w;
    for (int axis = 0; axis < 2; axis++) {
        a.in[axis] = w->out[axis];
        a.out[axis] = w->in[axis];
        a.pad[axis] = w->kernel[axis] - 1 - w->pad[axis];
    }
    return a;
}

/* ---- zeros of dx ---- */

/* The tiles of dx mix what belongs to neighbouring pixels, which cancels but for rounding errors. A pixel to which
 * only zeros of dy arrive shall be exactly zero, as it is outside a receptive field. */
typedef struct untouched {
    const hz__conv2d *v;
    const hz_tensor *dy;
    float *dx;
} untouched;

/* live[p] = 1 where any filter of image n has dy ≠ 0; stops as soon as that is everywhere. */
static void mark_live(const hz_tensor *dy, int64_t n, unsigned char *live) {
    const int64_t *s = dy->stride, height = dy->dim[2], width = dy->dim[3];
    bool all = false;
    memset(live, 0, (size_t)(height * width));
    for (int64_t k = 0; k < dy->dim[1] && !all; k++) {
        unsigned char every = 1;
        for (int64_t y = 0; y < height; y++) {
            const float *row = (const float *)dy->data + n * s[0] + k * s[1] + y * s[2];
            for (int64_t x = 0; x < width; x++) every &= live[y * width + x] |= row[x * s[3]] != 0;
        }
        all = every;
    }
}

/* Does anything live arrive at pixel (y, x) of dx? From dy[y + pad − R … y + pad, …], R = kernel − 1. */
static bool is_reached(const hz__window *w, const unsigned char *live, int64_t y, int64_t x) {
    const int64_t y1 = y + w->pad[0], x1 = x + w->pad[1];
    for (int64_t j = hz__larger(y1 - w->kernel[0] + 1, 0); j <= hz__smaller(y1, w->out[0] - 1); j++) {
        for (int64_t i = hz__larger(x1 - w->kernel[1] + 1, 0); i <= hz__smaller(x1, w->out[1] - 1); i++) {
            if (live[j * w->out[1] + i]) return true;
        }
    }
    return false;
}

/* Piece: one image. */
static void untouched_piece(const void *task, int64_t n, char *scratch) {
    const untouched *f = task;
    const hz__conv2d *v = f->v;
    const int64_t height = v->window.in[0], width = v->window.in[1], plane = height * width;
    unsigned char *live = (unsigned char *)scratch;
    float *dx = f->dx + n * v->c * plane;
    mark_live(f->dy, n, live);
    for (int64_t p = 0; p < plane; p++) {
        if (is_reached(&v->window, live, p / width, p % width)) continue;
        for (int64_t c = 0; c < v->c; c++) dx[c * plane + p] = 0;
    }
}

bool hz__conv2d_winograd_input_grad(const hz__conv2d *v, const hz_tensor *dy, const hz_tensor *w,
                                    const hz_tensor *dx, hz_error *err) {
    winograd f = winograd_of(v, adjoint_window(&v->window), v->k, v->c);
    f.x = readable(dy);
    f.w = readable(w);
    f.w.stride[0] = w->stride[1];
    f.w.stride[1] = w->stride[0];
    f.rotate = true;
    f.y = dx->data;
    const untouched zeros = {v, dy, f.y};
    return run_forward(&f, err) && hz__conv2d_run(v, &zeros, untouched_piece, v->n, (size_t)v->p, err);
}

/* ---- dw = Gᵀ·(Σ Vᵀ·D)·G ---- */

/* Piece: D of a line of filters and a group of tiles. */
static void gradient_piece(const void *task, int64_t index, char *scratch) {
    const winograd *f = task;
    const transform part = transform_at(f, index, f->k1 - f->k0);
    hz__readable dy = f->dy;
    hz__points d = panel_at(f, f->d, f->tile_block, part.line);
    d.pitch = f->kernels->panel;
    if (part.lanes > 0) dy.data += (f->k0 + part.line) * dy.stride[1];
    f->kernels->output_adjoint(&f->grid, dy, part.lanes, part.t0, part.t1, points_at(d, part.t0 - f->t0, 0));
    (void)scratch;
}

/* Piece: E of one point and one panel of filters, the tiles of this block added to those of the ones before. */
static void weight_piece(const void *task, int64_t index, char *scratch) {
    const winograd *f = task;
    const int64_t panel = f->kernels->panel, k = index / f->points * panel, i = index % f->points;
    multiply(f, f->c, f->t1 - f->t0, f->input.data + i * f->input.point, 1, f->input.pitch,
             panel_at(f, f->d, f->tile_block, k).data + i * f->d.point, f->t0 > 0,
             panel_at(f, f->filters, f->c, k).data + i * f->filters.point, panel);
    (void)scratch;
}

/* Piece: E and dw of a group of filters and a few channels, all tiles at once. */
static void passing_weight_piece(const void *task, int64_t index, char *scratch) {
    const winograd *f = task;
    const int64_t groups = hz__div_up(f->c, PASSING_CHANNELS), panel = f->kernels->panel;
    const int64_t k0 = index / groups * f->filter_group, k1 = hz__smaller(k0 + f->filter_group, f->k);
    const int64_t c = index % groups * PASSING_CHANNELS, channels = hz__smaller(PASSING_CHANNELS, f->c - c);
    hz__points e = points_of(PASSING_CHANNELS, f->filter_group);
    e.data = (float *)scratch;
    for (int64_t i = 0; i < f->points; i++) {
        for (int64_t k = k0; k < k1; k += panel) {
            multiply(f, channels, f->tiles, f->input.data + i * f->input.point + c, 1, f->input.pitch,
                     panel_at(f, f->d, f->tile_block, k).data + i * f->d.point, false,
                     panel_at(f, e, channels, k - k0).data + i * e.point, panel);
        }
    }
    for (int64_t k = k0; k < k1; k += HZ__LINE) {
        hz__points line = panel_at(f, e, channels, k - k0);
        line.pitch = panel;
        f->kernels->filter_adjoint(line, hz__smaller(HZ__LINE, k1 - k), channels,
                                   f->y + k * f->v->q + c * f->taps * f->taps, f->v->q);
    }
}

static bool pass_weights(const winograd *f, hz_error *err) {
    const hz__points e = points_of(PASSING_CHANNELS, f->filter_group);
    const int64_t pieces = hz__div_up(f->k, f->filter_group) * hz__div_up(f->c, PASSING_CHANNELS);
    return hz__conv2d_run(f->v, f, passing_weight_piece, pieces, points_bytes(f, &e), err);
}

static bool multiply_weights(winograd *f, hz_error *err) {
    const int64_t filters = padded_filters(f);
    return transform_input(f, err) &&
           hz__conv2d_run(f->v, f, gradient_piece, transform_pieces(f, filters), 1, err) &&
           (f->passing ? pass_weights(f, err)
                       : hz__conv2d_run(f->v, f, weight_piece, panels(f, filters) * f->points, 1, err));
}

/* Piece: dw of a line of filters. */
static void filter_adjoint_piece(const void *task, int64_t index, char *scratch) {
    const winograd *f = task;
    const int64_t line = index * HZ__LINE;
    hz__points e = panel_at(f, f->filters, f->c, line);
    e.pitch = f->kernels->panel;
    f->kernels->filter_adjoint(e, hz__smaller(HZ__LINE, f->k1 - f->k0 - line), f->c,
                               f->y + (f->k0 + line) * f->v->q, f->v->q);
    (void)scratch;
}

static bool transform_weights(winograd *f, hz_error *err) {
    return f->passing ||
           hz__conv2d_run(f->v, f, filter_adjoint_piece, hz__div_up(f->k1 - f->k0, HZ__LINE), 1, err);
}

bool hz__conv2d_winograd_weight_grad(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *dy,
                                     const hz_tensor *dw, hz_error *err) {
    winograd f = winograd_of(v, v->window, v->c, v->k);
    f.grid.window = &f.window;
    f.x = readable(x);
    f.dy = readable(dy);
    f.y = dw->data;
    f.d = points_of(f.tile_block, f.filter_block);
    hz_block *block = room_for(&f, err);
    const bool ok = block && for_each_block(&f, NULL, multiply_weights, transform_weights, err);
    hz_block_unref(block);
    return ok;
}

/* ---- when ---- */

const hz__winograd_kernels *hz__winograd_table(hz_isa isa, int64_t kernel) {
    const int form = kernel == 5;
#if defined(HZ_HAVE_AVX512)
    if (isa == HZ_ISA_AVX512) return &hz__winograd_f32_avx512[form];
#endif
#if defined(HZ_HAVE_AVX2)
    if (isa == HZ_ISA_AVX2) return &hz__winograd_f32_avx2[form];
#endif
    (void)isa;
    return &hz__winograd_f32_c[form];
}

static bool has_form(const hz__conv2d *v) {
    const hz__window *w = &v->window;
    for (int axis = 0; axis < 2; axis++) {
        if (w->kernel[axis] != w->kernel[0] || w->stride[axis] != 1 || w->dilation[axis] != 1) return false;
    }
    return v->dtype == HZ_F32 && v->groups == 1 && (w->kernel[0] == 3 || w->kernel[0] == 5);
}

/* Estimated cost in multiply-adds of the products, with channels and filters in whole lines, and of the transforms: an
 * element of V or M costs as much as 2·F multiply-adds, one of U as FILTER_COST, twice that where U does not stay
 * in the cache, and again for the weight gradient, which adds to E and reads it. As measured on AVX2 and AVX-512. */
static bool pays(const hz__conv2d *v, const int64_t *out, int64_t c, int64_t k, bool weight_grad) {
    enum { FILTER_COST = 5 };
    const hz__winograd_kernels *kernels = hz__winograd_table(v->ex->isa, v->window.kernel[0]);
    const double points = (double)(kernels->field * kernels->field), tile_cost = 2 * (double)kernels->field;
    const double tiles =
        (double)v->n * (double)hz__div_up(out[0], HZ__TILE) * (double)hz__div_up(out[1], HZ__TILE);
    const double whole_c = (double)hz__div_up(c, HZ__LINE) * HZ__LINE;
    const double whole_k = (double)hz__div_up(k, HZ__LINE) * HZ__LINE, filters = (double)c * whole_k;
    const double large = points * sizeof(float) * filters > FILTER_BYTES ? 2 : 1;
    const double cost = tiles * filters + tiles * (whole_c + whole_k) * tile_cost +
                        filters * FILTER_COST * large * (weight_grad ? 2 : 1);
    return points * cost * kernels->cost < (double)v->n * (double)v->p * (double)v->q * (double)v->k;
}

bool hz__conv2d_winograd_fits(const hz__conv2d *v) {
    return has_form(v) && pays(v, v->window.out, v->c, v->k, false);
}
bool hz__conv2d_winograd_input_grad_fits(const hz__conv2d *v) {
    return has_form(v) && pays(v, v->window.in, v->k, v->c, false);
}
bool hz__conv2d_winograd_weight_grad_fits(const hz__conv2d *v) {
    return has_form(v) && pays(v, v->window.out, v->c, v->k, true);
}
