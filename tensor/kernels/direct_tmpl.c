/* direct_tmpl.c: the inner loops of direct convolution, see tensor/kernels/direct.h. Some rows of y by some vectors of
 * pixels stay in registers while the taps go by; in the adjoint, the sums of some taps do while the pixels go by.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/kernels/direct.h"
#include "tensor/kernels/vector.h"

/* Vectors of a block by its number of rows: as many sums as the registers hold, beside the weights of a tap where it
 * has at most FEW_ROWS rows, else beside its pixels. As measured. */
#if defined(HZ_KERNEL_AVX512)
enum { MOST_ROWS = 12, FEW_ROWS = 2, FEW = 8, SOME = 4, MANY = 2 }; /* 1 … 2, 3 … 6, 7 … 12 rows */
#else
enum { MOST_ROWS = 6, FEW_ROWS = 3, FEW = 4, SOME = 2 }; /* 1 … 3, 4 … 6 rows */
#endif
enum { MOST_TAPS = 9 };

HZ_INLINE void block(const int rows, const int vectors, int64_t taps, const int64_t *offset, const real *x,
                     const real *w, const real *bias, real *y, int64_t ld) {
    vec sum[MOST_ROWS][FEW];
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < vectors; j++) sum[i][j] = (vec){0} + bias[i];
    }
    for (int64_t q = 0; q < taps; q++, w += rows) {
        const real *from = x + offset[q];
        vec pixels[FEW];
        if (rows <= FEW_ROWS) { /* one vector after another */
            for (int j = 0; j < vectors; j++) {
                pixels[0] = load(from + j * LANES);
                for (int i = 0; i < rows; i++) sum[i][j] += w[i] * pixels[0];
            }
        } else {
            for (int j = 0; j < vectors; j++) pixels[j] = load(from + j * LANES);
            for (int i = 0; i < rows; i++) {
                for (int j = 0; j < vectors; j++) sum[i][j] += w[i] * pixels[j];
            }
        }
    }
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < vectors; j++) store(y + i * ld + j * LANES, sum[i][j]);
    }
}

/* The outputs from p on in blocks of `vectors` vectors, while they fill one; returns where they end. */
HZ_INLINE int64_t sweep(const int rows, const int vectors, int64_t p, int64_t n, int64_t taps,
                        const int64_t *offset, const real *x, const real *w, const real *bias, real *y,
                        int64_t ld) {
    for (; p + (vectors - 1) * LANES < n; p += vectors * LANES)
        block(rows, vectors, taps, offset, x + p, w, bias, y + p, ld);
    return p;
}

/* In large blocks, and smaller and smaller ones for the rest. */
HZ_INLINE void blocks(const int rows, const int vectors, int64_t n, int64_t taps, const int64_t *offset,
                      const real *x, const real *w, const real *bias, real *y, int64_t ld) {
    int64_t p = sweep(rows, vectors, 0, n, taps, offset, x, w, bias, y, ld);
    if (vectors > 4) p = sweep(rows, 4, p, n, taps, offset, x, w, bias, y, ld);
    if (vectors > 2) p = sweep(rows, 2, p, n, taps, offset, x, w, bias, y, ld);
    if (vectors > 1) sweep(rows, 1, p, n, taps, offset, x, w, bias, y, ld);
}

/* The number of rows as a constant: the loops over them are unrolled. */
static void run(int64_t rows, int64_t n, int64_t taps, const int64_t *offset, const void *x, const void *w,
                const void *bias, void *y, int64_t ld) {
    switch (rows) {
    case 1:
        blocks(1, FEW, n, taps, offset, x, w, bias, y, ld);
        break;
    case 2:
        blocks(2, FEW, n, taps, offset, x, w, bias, y, ld);
        break;
    case 3:
        blocks(3, FEW, n, taps, offset, x, w, bias, y, ld);
        break;
    case 4:
        blocks(4, SOME, n, taps, offset, x, w, bias, y, ld);
        break;
    case 5:
        blocks(5, SOME, n, taps, offset, x, w, bias, y, ld);
        break;
    case 6:
        blocks(6, SOME, n, taps, offset, x, w, bias, y, ld);
        break;
#if defined(HZ_KERNEL_AVX512)
    case 7:
        blocks(7, MANY, n, taps, offset, x, w, bias, y, ld);
        break;
    case 8:
        blocks(8, MANY, n, taps, offset, x, w, bias, y, ld);
        break;
    case 9:
        blocks(9, MANY, n, taps, offset, x, w, bias, y, ld);
        break;
    case 10:
        blocks(10, MANY, n, taps, offset, x, w, bias, y, ld);
        break;
    case 11:
        blocks(11, MANY, n, taps, offset, x, w, bias, y, ld);
        break;
    case 12:
        blocks(12, MANY, n, taps, offset, x, w, bias, y, ld);
        break;
#endif
    default:
        break;
    }
}

/* ---- the adjoint in w ---- */

HZ_INLINE void correlate_block(const int taps, int64_t n, const int64_t *offset, const real *x,
                               const real *dy, real *sum) {
    vec lanes[MOST_TAPS] = {{0}};
    for (int64_t p = 0; p < n; p += LANES) {
        const vec d = load(dy + p);
        for (int q = 0; q < taps; q++) lanes[q] += d * load(x + offset[q] + p);
    }
    for (int q = 0; q < taps; q++) {
        for (int l = 0; l < LANES; l++) sum[q] += lanes[q][l];
    }
}

/* A 3×3 kernel at once, or its rows, or what is left. */
static void correlate(int64_t n, int64_t taps, const int64_t *offset, const void *x, const void *dy,
                      void *sum) {
    int64_t q = 0;
    for (; q + MOST_TAPS <= taps; q += MOST_TAPS)
        correlate_block(MOST_TAPS, n, offset + q, x, dy, (real *)sum + q);
    for (; q + 3 <= taps; q += 3) correlate_block(3, n, offset + q, x, dy, (real *)sum + q);
    for (; q < taps; q++) correlate_block(1, n, offset + q, x, dy, (real *)sum + q);
}

const hz__direct_kernels HZ_KERNEL(direct) = {
    .rows = MOST_ROWS,
    .lanes = LANES,
    .run = run,
    .correlate = correlate,
};
