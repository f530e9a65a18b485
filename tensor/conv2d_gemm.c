/* conv2d_gemm.c: convolution as matrix products over tiles of the im2col matrix (kernels/conv2d.h).
 *
 *   y = W · cols        dx = col2im(Wᵀ · dY)        dW = dY · colsᵀ
 *
 * A tile is about TILE columns wide and is filled a few hundred rows at a time, so that it is still in the L2 cache
 * when BLIS reads it. Columns of several small images share a tile. Where the im2col matrix is the input itself (1×1
 * kernels) it is used in place. Each function cuts its work into pieces that write disjoint memory; their borders
 * depend on the shapes only. Start reading at hz__conv2d_gemm.
 *
 * Chellapilla, Puri and Simard, "High Performance Convolutional Neural Networks for Document Processing", 2006.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "tensor/conv2d_parts.h"
#include "tensor/elementwise.h"
#include "tensor/gemm_block.h"

enum {
    TILE = 256,           /* columns of a tile */
    WIDE_TILE = 1024,     /* columns of a tile that is used in place, or has few rows */
    TILE_AREA = 1 << 16,  /* elements of a tile: 256 KiB in f32 */
    ENOUGH_PIECES = 8,    /* do not cut further for the threads' sake */
    PARTIAL_SUM = 1 << 20 /* largest weight gradient, in bytes, that is summed in several parts */
};

/* ---- cutting ---- */

/* How the output positions are cut into tiles. */
typedef struct tiling {
    int64_t images;    /* images that share a tile, … */
    int64_t width;     /* … and how many columns each brings */
    int64_t per_image; /* tiles of one image; 1 if images share one */
    int64_t count;     /* tiles in all */
} tiling;

/* Wider where the matrix has few rows. */
static int64_t tile_width(const hz__conv2d *v) {
    return hz__larger(hz__smaller(TILE_AREA / 2 / v->q, WIDE_TILE), TILE);
}

static tiling tile_images(const hz__conv2d *v, int64_t most) {
    tiling t = {.images = 1, .width = hz__equal_blocks(v->p, most)};
    if (v->p <= TILE / 2) t.images = hz__equal_blocks(v->n, TILE / v->p);
    t.per_image = hz__div_up(v->p, t.width);
    t.count = hz__div_up(v->n, t.images) * t.per_image;
    return t;
}

static hz__tile tile_at(const hz__conv2d *v, const tiling *t, int64_t index) {
    const int64_t n0 = index / t->per_image * t->images, p0 = index % t->per_image * t->width;
    return (hz__tile){n0, hz__smaller(n0 + t->images, v->n), p0, hz__smaller(p0 + t->width, v->p)};
}

static int64_t images_of(const hz__tile *tile) {
    return tile->n1 - tile->n0;
}
static int64_t columns_of(const hz__tile *tile) {
    return images_of(tile) * (tile->p1 - tile->p0);
}

/* Elements from row to row of a tile of this many columns. Rows start on vectors, but do not lie a power of two
 * apart: they would fight for the same lines of the cache. */
static int64_t pitch_of(int64_t columns) {
    if (columns < 16) return columns;
    const int64_t pitch = (columns + 15) / 16 * 16;
    return pitch % 64 == 0 ? pitch + 16 : pitch;
}

/* ---- operands as matrices ---- */

/* Planes as the matrix (channels, positions): the stride of a position, or −1 if rows do not join up or BLIS could
 * not read it. */
static int64_t position_stride(const hz__planes *t, const int64_t *extent, int64_t channels) {
    if (channels > 1 && t->stride[1] < 0) return -1;
    if (extent[1] == 1) return hz__larger(-1, extent[0] == 1 ? 1 : t->stride[2]);
    if (t->stride[3] < 0 || (extent[0] > 1 && t->stride[2] != extent[1] * t->stride[3])) return -1;
    return t->stride[3];
}

static bool is_identity(const hz__window *w) {
    for (int axis = 0; axis < 2; axis++) {
        if (w->kernel[axis] != 1 || w->stride[axis] != 1 || w->pad[axis] != 0 ||
            w->in[axis] != w->out[axis]) {
            return false;
        }
    }
    return true;
}

/* A source of im2col tiles: planes seen through a window. */
typedef struct source {
    const hz__conv2d *v;
    const hz__window *window;
    hz__planes planes;
    int64_t in_place; /* stride of a position if the planes are the matrix themselves, else −1 */
} source;

static source source_of(const hz__conv2d *v, const hz__window *window, const hz_tensor *t) {
    source s = {v, window, hz__planes_of(t), -1};
    if (t->dim[1] == 1) s.planes.stride[1] = v->p; /* means nothing, but BLIS looks at it */
    if (is_identity(window)) s.in_place = position_stride(&s.planes, window->in, t->dim[1]);
    return s;
}

/* Rows [q0, q1) of a tile, for the group that starts at channel c: in place, or made in room. */
static hz__matrix tile_matrix(const source *s, int64_t c, const hz__tile *tile, int64_t q0, int64_t q1,
                              void *room) {
    const hz__conv2d *v = s->v;
    if (s->in_place >= 0 && images_of(tile) == 1) {
        const hz__planes at = hz__planes_at(v, s->planes, tile->n0, c + q0);
        return (hz__matrix){at.data + tile->p0 * s->in_place * v->size, at.stride[1], s->in_place};
    }
    const hz__planes at = hz__planes_at(v, s->planes, 0, c);
    const int64_t pitch = pitch_of(columns_of(tile));
    v->kernels->im2col(s->window, at.data, at.stride, tile, q0, q1, room, pitch);
    return (hz__matrix){room, pitch, 1};
}

/* The weights as a matrix (K, C/G·R·S), all groups below each other; copied if they are not one that BLIS can read. */
typedef struct weights {
    hz__matrix m;
    hz_block *copy; /* or NULL */
} weights;

static bool weights_of(const hz__conv2d *v, const hz_tensor *w, weights *out, hz_error *err) {
    int64_t joined = 1, pitch = 0; /* extent and stride of the joined axes 3, 2, 1 */
    bool readable = w->dim[0] == 1 || w->stride[0] >= 0;
    for (int axis = 3; axis >= 1; axis--) {
        if (w->dim[axis] == 1) continue;
        if (joined == 1)
            pitch = w->stride[axis];
        else if (w->stride[axis] != joined * pitch)
            readable = false;
        joined *= w->dim[axis];
    }
    *out = (weights){{w->data, w->dim[0] == 1 ? v->q : w->stride[0], joined == 1 ? 1 : pitch}, NULL};
    if (readable && pitch >= 0) return true;
    hz_tensor copy = *w;
    out->copy = hz_pool_tensor(v->ex->pool, &copy, err);
    if (!out->copy) return false;
    hz_copy(v->ex, w, &copy);
    out->m = (hz__matrix){copy.data, v->q, 1};
    return true;
}

static hz__matrix transposed(hz__matrix m) {
    return (hz__matrix){m.data, m.cs, m.rs};
}

/* ---- y = W · cols ---- */

typedef struct forward_task {
    const hz__conv2d *v;
    tiling tiles;
    source x;
    hz__matrix w;
    const hz_tensor *b;
    hz__planes y;
    int64_t step, filters; /* weight positions and filters handled at once */
} forward_task;

/* Piece: one tile, one block of filters. */
static void forward_piece(const void *task, int64_t index, char *scratch) {
    const forward_task *f = task;
    const hz__conv2d *v = f->v;
    const int64_t blocks = hz__div_up(v->k, f->filters);
    const int64_t block = index % blocks, g = index / blocks % v->groups;
    const hz__tile tile = tile_at(v, &f->tiles, index / blocks / v->groups);
    const int64_t k0 = g * v->k + block * f->filters, rows = hz__smaller(f->filters, (g + 1) * v->k - k0);
    const int64_t columns = columns_of(&tile), width = tile.p1 - tile.p0;
    const bool shared = images_of(&tile) > 1;

    char *room = scratch;
    hz__matrix y = {hz__planes_at(v, f->y, tile.n0, k0).data + tile.p0 * v->size, v->p, 1};
    if (shared) {
        y = (hz__matrix){scratch, pitch_of(columns), 1};
        room += rows * y.rs * v->size;
    }
    if (f->b) {
        const char *b = (const char *)f->b->data + k0 * f->b->stride[0] * v->size;
        v->kernels->fill_rows(b, f->b->stride[0], rows, columns, y.data, y.rs);
    }
    for (int64_t q = 0; q < v->q || q == 0; q += f->step) {
        const int64_t end = hz__smaller(q + f->step, v->q);
        const hz__matrix cols = tile_matrix(&f->x, g * v->c, &tile, q, end, room);
        hz__gemm_alike(v->dtype, rows, columns, end - q, hz__matrix_at(v->dtype, f->w, k0, q), cols,
                       f->b || q > 0 ? 1 : 0, y);
    }
    for (int64_t n = tile.n0; shared && n < tile.n1; n++) {
        for (int64_t k = 0; k < rows; k++) {
            const hz__matrix from = hz__matrix_at(v->dtype, y, k, (n - tile.n0) * width);
            memcpy(hz__planes_at(v, f->y, n, k0 + k).data, from.data, (size_t)(width * v->size));
        }
    }
}

/* Filters of a block: all of them, but no more than 512, and fewer where tiles alone do not occupy the threads. */
static int64_t filter_block(int64_t filters, int64_t pieces) {
    int64_t block = hz__equal_blocks(filters, 512);
    while (pieces * hz__div_up(filters, block) < ENOUGH_PIECES / 2 && block >= 256)
        block = hz__equal_blocks(block, block / 2);
    return block;
}

bool hz__conv2d_gemm(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *w, const hz_tensor *b,
                     const hz_tensor *y, hz_error *err) {
    forward_task f = {.v = v, .x = source_of(v, &v->window, x), .b = b, .y = hz__planes_of(y)};
    f.tiles = tile_images(v, f.x.in_place >= 0 ? WIDE_TILE : tile_width(v));
    const int64_t pitch = pitch_of(f.tiles.images * f.tiles.width);
    const bool in_place = f.x.in_place >= 0 && f.tiles.images == 1;
    f.step = in_place ? v->q : hz__equal_blocks(v->q, TILE_AREA / pitch);
    f.filters = filter_block(v->k, f.tiles.count * v->groups);
    const int64_t pieces = f.tiles.count * v->groups * hz__div_up(v->k, f.filters);
    weights ws;
    if (!weights_of(v, w, &ws, err)) return false;
    f.w = ws.m;
    const int64_t room = ((in_place ? 0 : f.step) + (f.tiles.images > 1 ? f.filters : 0)) * pitch * v->size;
    const bool ok = hz__conv2d_run(v, &f, forward_piece, pieces, (size_t)room, err);
    hz_block_unref(ws.copy);
    return ok;
}

/* ---- dx = col2im(Wᵀ · dY) ---- */

typedef struct input_task {
    const hz__conv2d *v;
    tiling tiles;
    source dy;
    hz__matrix w;
    hz__planes dx;
    int64_t channels;      /* channels of a block */
    int64_t step;          /* weight positions handled at once */
    int64_t band;          /* columns of a band of output rows */
    int64_t parity, bands; /* every second band, from this one; bands of an image */
    bool in_place;         /* the im2col matrix is dx itself */
} input_task;

static void zero_piece(const void *task, int64_t index, char *scratch) {
    const input_task *f = task;
    const hz__conv2d *v = f->v;
    const int64_t plane = v->window.in[0] * v->window.in[1] * v->size;
    memset(f->dx.data + index * plane, 0, (size_t)plane);
    (void)scratch;
}

/* Add what one tile of dy sends to the channels [c0, c1) of group g. */
static void input_tile(const input_task *f, int64_t g, int64_t c0, int64_t c1, const hz__tile *tile,
                       char *scratch) {
    const hz__conv2d *v = f->v;
    const int64_t taps = v->window.kernel[0] * v->window.kernel[1];
    const int64_t columns = columns_of(tile), pitch = pitch_of(columns);
    const hz__planes dx = hz__planes_at(v, f->dx, 0, g * v->c);
    const hz__matrix dy = tile_matrix(&f->dy, g * v->k, tile, 0, v->k, scratch + f->step * pitch * v->size);
    for (int64_t q = c0 * taps; q < c1 * taps; q += f->step) {
        const int64_t end = hz__smaller(q + f->step, c1 * taps);
        const hz__matrix wt = transposed(hz__matrix_at(v->dtype, f->w, g * v->k, q));
        hz__matrix cols = {scratch, pitch, 1};
        if (f->in_place)
            cols = (hz__matrix){hz__planes_at(v, dx, tile->n0, q).data + tile->p0 * v->size, v->p, 1};
        hz__gemm_block(v->dtype, end - q, columns, v->k, 1, wt, dy, 0, cols);
        if (!f->in_place) v->kernels->col2im(&v->window, cols.data, pitch, tile, q, end, dx.data, dx.stride);
    }
}

/* Piece: one block of channels, and of dy one band of rows or some whole images. */
static void input_piece(const void *task, int64_t index, char *scratch) {
    const input_task *f = task;
    const hz__conv2d *v = f->v;
    const int64_t blocks = hz__div_up(v->c, f->channels), bands = (f->bands + 1 - f->parity) / 2;
    const int64_t c0 = index % blocks * f->channels, c1 = hz__smaller(c0 + f->channels, v->c);
    const int64_t g = index / blocks % v->groups;
    const int64_t band = index / blocks / v->groups % bands * 2 + f->parity;
    const int64_t n0 = index / blocks / v->groups / bands * f->tiles.images;
    hz__tile tile = {n0, hz__smaller(n0 + f->tiles.images, v->n), 0, 0};
    const int64_t end = hz__smaller((band + 1) * f->band, v->p);
    for (tile.p0 = band * f->band; tile.p0 < end; tile.p0 = tile.p1) {
        tile.p1 = hz__smaller(tile.p0 + f->tiles.width, end);
        input_tile(f, g, c0, c1, &tile, scratch);
    }
}

/* Output rows of a band: so many that what two bands apart send to dx does not meet, and at least a tile. */
static int64_t band_rows(const hz__conv2d *v) {
    const hz__window *w = &v->window;
    const int64_t field = (w->kernel[0] - 1) * w->dilation[0] + 1;
    const int64_t rows = hz__larger(hz__larger(hz__div_up(field, w->stride[0]), hz__div_up(TILE, w->out[1])),
                                    hz__div_up(w->out[0], 16));
    return hz__smaller(rows, w->out[0]);
}

/* Bands first, as they share nothing but borders; then channels. */
static void cut_input_task(input_task *f) {
    const hz__conv2d *v = f->v;
    const int64_t taps = v->window.kernel[0] * v->window.kernel[1];
    f->tiles = tile_images(v, tile_width(v));
    const int64_t image_blocks = hz__div_up(v->n, f->tiles.images);
    f->band = v->p;
    if (image_blocks * v->groups < ENOUGH_PIECES && f->tiles.images == 1)
        f->band = band_rows(v) * v->window.out[1];
    f->bands = hz__div_up(v->p, f->band);
    f->in_place = is_identity(&v->window) && f->tiles.images == 1;
    f->tiles.width = hz__equal_blocks(f->band, f->in_place ? WIDE_TILE : tile_width(v));
    const int64_t pieces = image_blocks * v->groups * hz__div_up(f->bands, 2);
    const int64_t blocks = hz__smaller(hz__div_up(ENOUGH_PIECES, pieces), hz__div_up(v->c * taps, 128));
    f->channels = hz__div_up(v->c, hz__smaller(blocks, v->c));
    f->step = hz__equal_blocks(f->channels * taps, TILE_AREA / pitch_of(f->tiles.images * f->tiles.width));
}

bool hz__conv2d_gemm_input_grad(const hz__conv2d *v, const hz_tensor *dy, const hz_tensor *w,
                                const hz_tensor *dx, hz_error *err) {
    input_task f = {.v = v, .dy = source_of(v, &v->output, dy), .dx = hz__planes_of(dx)};
    cut_input_task(&f);
    weights ws;
    if (!weights_of(v, w, &ws, err)) return false;
    f.w = ws.m;
    bool ok = f.in_place || hz__conv2d_run(v, &f, zero_piece, v->n * v->groups * v->c, 1, err);
    const int64_t room = (f.step + v->k) * pitch_of(f.tiles.images * f.tiles.width) * v->size;
    for (f.parity = 0; ok && f.parity < hz__smaller(f.bands, 2); f.parity++) {
        const int64_t pieces = hz__div_up(v->n, f.tiles.images) * ((f.bands + 1 - f.parity) / 2) * v->groups *
                               hz__div_up(v->c, f.channels);
        ok = hz__conv2d_run(v, &f, input_piece, pieces, (size_t)room, err);
    }
    hz_block_unref(ws.copy);
    return ok;
}

/* ---- dW = dY · colsᵀ ---- */

typedef struct weight_task {
    const hz__conv2d *v;
    tiling tiles;
    source x, dy;
    int64_t positions, filters; /* weight positions and filters of a piece */
    int64_t chunk, chunks;      /* tiles summed by one piece; how many such sums there are */
    char *dw, *partial;         /* the first sum goes to dw, the others side by side to partial */
} weight_task;

static int64_t weight_bytes(const hz__conv2d *v) {
    return v->groups * v->k * v->q * v->size;
}

/* Piece: one block of dw, summed over one chunk of the tiles. */
static void weight_piece(const void *task, int64_t index, char *scratch) {
    const weight_task *f = task;
    const hz__conv2d *v = f->v;
    const int64_t q_blocks = hz__div_up(v->q, f->positions), k_blocks = hz__div_up(v->k, f->filters);
    const int64_t q0 = index % q_blocks * f->positions, q1 = hz__smaller(q0 + f->positions, v->q);
    const int64_t k0 = index / q_blocks % k_blocks * f->filters, rows = hz__smaller(f->filters, v->k - k0);
    const int64_t g = index / q_blocks / k_blocks % v->groups;
    const int64_t chunk = index / q_blocks / k_blocks / v->groups;
    const int64_t pitch = pitch_of(f->tiles.images * f->tiles.width);
    char *sum = chunk == 0 ? f->dw : f->partial + (chunk - 1) * weight_bytes(v);
    const hz__matrix dw = hz__matrix_at(v->dtype, (hz__matrix){sum, v->q, 1}, g * v->k + k0, q0);
    const int64_t first = chunk * f->chunk, last = hz__smaller(first + f->chunk, f->tiles.count);
    for (int64_t t = first; t < last; t++) {
        const hz__tile tile = tile_at(v, &f->tiles, t);
        const hz__matrix cols = tile_matrix(&f->x, g * v->c, &tile, q0, q1, scratch);
        const hz__matrix dy =
            tile_matrix(&f->dy, g * v->k + k0, &tile, 0, rows, scratch + f->positions * pitch * v->size);
        hz__gemm_block(v->dtype, rows, q1 - q0, columns_of(&tile), 1, dy, transposed(cols), t > first ? 1 : 0,
                       dw);
    }
}

/* Blocks of dw first; where dw is small, sums over parts of the images, added up at the end. */
static void cut_weight_task(weight_task *f) {
    const hz__conv2d *v = f->v;
    f->tiles = tile_images(v, tile_width(v));
    f->positions = hz__equal_blocks(v->q, TILE_AREA / pitch_of(f->tiles.images * f->tiles.width));
    f->filters = hz__equal_blocks(v->k, 512);
    const int64_t pieces = v->groups * hz__div_up(v->q, f->positions) * hz__div_up(v->k, f->filters);
    const int64_t most =
        pieces < ENOUGH_PIECES / 2 && weight_bytes(v) <= PARTIAL_SUM ? ENOUGH_PIECES / pieces : 1;
    f->chunk = hz__div_up(f->tiles.count, most);
    f->chunks = hz__div_up(f->tiles.count, f->chunk);
}

bool hz__conv2d_gemm_weight_grad(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *dy,
                                 const hz_tensor *dw, hz_error *err) {
    weight_task f = {
        .v = v, .x = source_of(v, &v->window, x), .dy = source_of(v, &v->output, dy), .dw = dw->data};
    cut_weight_task(&f);
    hz_block *partial = hz_pool_get(v->ex->pool, (size_t)((f.chunks - 1) * weight_bytes(v)));
    if (!partial) return hz_fail(err, HZ_ENOMEM, "conv2d_weight_grad: no memory for partial sums");
    f.partial = partial->data;
    const int64_t pieces = f.chunks * v->groups * hz__div_up(v->q, f.positions) * hz__div_up(v->k, f.filters);
    const int64_t room = (f.positions + f.filters) * pitch_of(f.tiles.images * f.tiles.width) * v->size;
    const bool ok = hz__conv2d_run(v, &f, weight_piece, pieces, (size_t)room, err);
    for (int64_t i = 1; ok && i < f.chunks; i++) {
        v->kernels->add(weight_bytes(v) / v->size, f.partial + (i - 1) * weight_bytes(v), f.dw);
    }
    hz_block_unref(partial);
    return ok;
}
