/* conv2d_parts.h: what the files of convolution share: the numbers of one call, and how its pieces run. Private.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_CONV2D_PARTS_H
#define HZ_TENSOR_CONV2D_PARTS_H

#include "tensor/conv2d.h"
#include "tensor/kernels/conv2d.h"

/* A tensor (N, C, H, W), or a part of one. */
typedef struct hz__planes {
    char *data;
    int64_t stride[4]; /* in elements */
} hz__planes;

/* The numbers of one call. */
typedef struct hz__conv2d {
    const hz_exec *ex;
    const hz__conv2d_kernels *kernels;
    hz_dtype dtype;
    int64_t size;      /* bytes of an element */
    hz__window window; /* from x to y */
    hz__window output; /* from y to itself: gathers columns of dy */
    int64_t n, groups; /* images, groups */
    int64_t c, k;      /* channels and filters of one group */
    int64_t q, p;      /* rows and columns of the im2col matrix: c·R·S, OH·OW */
} hz__conv2d;

hz__conv2d hz__conv2d_numbers(const hz_exec *ex, const hz_conv2d_geometry *g, const hz_tensor *x,
                              const hz_tensor *w, const hz_tensor *y);

/* One piece of the work; scratch is this thread's own. */
typedef void hz__conv2d_piece(const void *task, int64_t index, char *scratch);

/* Call piece for index 0 … pieces−1, in parallel if the call's work is worth it, with scratch_size bytes of scratch
 * for each thread. HZ_ENOMEM. */
bool hz__conv2d_run(const hz__conv2d *v, const void *task, hz__conv2d_piece *piece, int64_t pieces,
                    size_t scratch_size, hz_error *err);

hz__planes hz__planes_of(const hz_tensor *t);
/* The same planes from image n, channel c on. */
hz__planes hz__planes_at(const hz__conv2d *v, hz__planes t, int64_t n, int64_t c);

static inline int64_t hz__div_up(int64_t a, int64_t b) {
    return (a - 1) / b + 1; /* a ≥ 1 */
}

/* total cut into equal blocks of about `most` elements, in multiples of 16 where that changes little. */
static inline int64_t hz__equal_blocks(int64_t total, int64_t most) {
    const int64_t block = hz__div_up(total, hz__div_up(total, hz__larger(most, 1)));
    return block >= 64 ? hz__smaller((block + 15) / 16 * 16, total) : block;
}

/* Many channels to a group: tiles of the im2col matrix times a matrix (conv2d_gemm.c). w (K, C/G, R, S) and b as in
 * conv2d.h. */
bool hz__conv2d_gemm(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *w, const hz_tensor *b,
                     const hz_tensor *y, hz_error *err);
bool hz__conv2d_gemm_input_grad(const hz__conv2d *v, const hz_tensor *dy, const hz_tensor *w,
                                const hz_tensor *dx, hz_error *err);
bool hz__conv2d_gemm_weight_grad(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *dy,
                                 const hz_tensor *dw, hz_error *err);

/* Few channels to read or to write: tap by tap (conv2d_direct.c). Only for calls that _fits says yes to. */
bool hz__conv2d_direct_fits(const hz__conv2d *v);
bool hz__conv2d_direct_input_grad_fits(const hz__conv2d *v);
bool hz__conv2d_direct(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *w, const hz_tensor *b,
                       const hz_tensor *y, hz_error *err);
bool hz__conv2d_direct_input_grad(const hz__conv2d *v, const hz_tensor *dy, const hz_tensor *w,
                                  const hz_tensor *dx, hz_error *err);

/* 3×3 and 5×5 kernels of stride 1 in f32: Winograd's algorithm (conv2d_winograd.c). Only for calls that it pays for, which
 * _fits, _input_grad_fits and _weight_grad_fits tell. */
bool hz__conv2d_winograd_fits(const hz__conv2d *v);
bool hz__conv2d_winograd_input_grad_fits(const hz__conv2d *v);
bool hz__conv2d_winograd_weight_grad_fits(const hz__conv2d *v);
bool hz__conv2d_winograd(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *w, const hz_tensor *b,
                         const hz_tensor *y, hz_error *err);
bool hz__conv2d_winograd_input_grad(const hz__conv2d *v, const hz_tensor *dy, const hz_tensor *w,
                                    const hz_tensor *dx, hz_error *err);
bool hz__conv2d_winograd_weight_grad(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *dy,
                                     const hz_tensor *dw, hz_error *err);

/* One channel to a group: the weight gradient plane by plane (conv2d_depthwise.c). Only for calls that _fits says yes
 * to. */
bool hz__conv2d_depthwise_fits(const hz__conv2d *v);
bool hz__conv2d_depthwise_weight_grad(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *dy,
                                      const hz_tensor *dw, hz_error *err);

#endif
