/* winograd.h: the inner loops of Winograd convolution F(4×4, 3×3) and F(4×4, 5×5) in f32, one table for each and for every
 * instruction set. Private.
 *
 * A tile is 4×4 outputs and the F×F inputs they see, F = 6 or 8: its field. With the matrices Bᵀ (F×F), G (F×3, F×5)
 * and Aᵀ (4×F) of winograd_tmpl.c, and for every one of the F² points ξ of a transformed tile,
 *     V = Bᵀ·x·B,   U = G·w·Gᵀ,   M[ξ] (tiles, filters) = V[ξ] (tiles, channels) · U[ξ] (channels, filters),
 *     y = Aᵀ·M·A;
 * and the adjoint in w:   D = A·dy·Aᵀ,   E[ξ] (channels, filters) = V[ξ]ᵀ · D[ξ],   dw = Gᵀ·E·G.
 * The left factor of a product is a plain matrix, the right one is cut into panels of a few vectors of filters.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_KERNELS_WINOGRAD_H
#define HZ_TENSOR_KERNELS_WINOGRAD_H

#include "tensor/exec.h"
#include "tensor/kernels/window.h"

enum {
    HZ__TILE = 4, /* outputs of a tile along an axis */
    HZ__LINE = 16 /* channels, or filters, that are transformed at once: a line of the cache */
};

/* Tiles are numbered image by image, row by row. */
typedef struct hz__tile_grid {
    const hz__window *window; /* stride and dilation 1 */
    int64_t rows, columns;    /* tiles of one image */
} hz__tile_grid;

/* Planes to read: channel 0 of image 0, and the strides of the four axes. */
typedef struct hz__readable {
    const float *data;
    int64_t stride[4];
} hz__readable;

/* F² matrices of equal shape: element (i, j) of matrix ξ is data[ξ·point + i·pitch + j]. */
typedef struct hz__points {
    float *data;
    int64_t point, pitch;
} hz__points;

typedef struct hz__winograd_kernels {
    int64_t field; /* F: 6 for kernels 3×3, 8 for 5×5 */
    double cost;   /* of a multiply-add here, beside one of BLIS */
    int64_t panel; /* filters of a panel: one or two HZ__LINE */
    int64_t
        depth; /* so many products, at the most, are summed at a stretch, and the sums then: the transforms of 5×5
                    * magnify rounding errors */

    /* V: tiles [t0, t1), row 0 of v being tile t0; `lanes` channels from x on, up to HZ__LINE, into columns 0 … of v.
     * The columns up to HZ__LINE are written, too. */
    void (*input)(const hz__tile_grid *g, hz__readable x, int64_t lanes, int64_t t0, int64_t t1,
                  hz__points v);

    /* U: `lanes` filters (axis 0 of w), up to HZ__LINE, of all channels (axis 1); row c of u is channel c. With
     * rotate, the taps in reverse order. */
    void (*filter)(hz__readable w, int64_t lanes, int64_t channels, bool rotate, hz__points u);

    /* y from m: tiles [t0, t1), row 0 of m being tile t0; `lanes` filters from plane y of image 0 on. Images are
     * image_stride apart; bias may be NULL. */
    void (*output)(const hz__tile_grid *g, hz__points m, int64_t lanes, int64_t t0, int64_t t1,
                   const float *bias, int64_t bias_stride, float *y, int64_t image_stride);

    /* D, as `input` does V. */
    void (*output_adjoint)(const hz__tile_grid *g, hz__readable dy, int64_t lanes, int64_t t0, int64_t t1,
                           hz__points d);
    /* dw from E: `lanes` filters of all channels; dw is contiguous, filters dw_stride apart. */
    void (*filter_adjoint)(hz__points e, int64_t lanes, int64_t channels, float *dw, int64_t dw_stride);

    /* c (m, panel) = a (m, depth) · b (depth, panel), or += if add. Element (i, j) of a is a[i·a_rs + j·a_cs]; the
     * rows of b follow each other, those of c are c_rs apart. */
    void (*multiply)(int64_t m, int64_t depth, const float *a, int64_t a_rs, int64_t a_cs, const float *b,
                     bool add, float *c, int64_t c_rs);
} hz__winograd_kernels;

/* 3×3, 5×5 */
extern const hz__winograd_kernels hz__winograd_f32_c[2], hz__winograd_f32_avx2[2], hz__winograd_f32_avx512[2];

/* isa resolved; kernel 3 or 5. */
const hz__winograd_kernels *hz__winograd_table(hz_isa isa, int64_t kernel);

#endif
