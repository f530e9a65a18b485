/* conv2d.c: the entry points of convolution: take the numbers of a call together, settle the empty cases, and
 * choose between the three ways to compute it, conv2d_depthwise.c, conv2d_winograd.c and conv2d_gemm.c.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/conv2d_parts.h"
#include "tensor/elementwise.h"

#include <omp.h>

/* Less than this many multiply-adds are not worth a second thread. */
enum { PARALLEL_WORK = 1 << 18 };

/* ---- geometry ---- */

static bool add_overflows(int64_t a, int64_t b, int64_t *sum) {
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b) return true;
    *sum = a + b;
    return false;
}

int64_t hz_conv2d_extent(int64_t in, int64_t kernel, int64_t stride, int64_t pad_before, int64_t pad_after,
                         int64_t dilation) {
    if (in < 0 || kernel < 1 || stride < 1 || dilation < 1) return -1;
    if (kernel > 1 && dilation > (INT64_MAX - 1) / (kernel - 1)) return -1;
    const int64_t field = dilation * (kernel - 1) + 1;
    int64_t padded;
    if (add_overflows(in, pad_before, &padded) || add_overflows(padded, pad_after, &padded)) return -1;
    return padded < field ? -1 : (padded - field) / stride + 1;
}

static hz__window window_of(const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *w,
                            const hz_tensor *y) {
    hz__window window;
    for (int axis = 0; axis < 2; axis++) {
        window.in[axis] = x->dim[2 + axis];
        window.kernel[axis] = w->dim[2 + axis];
        window.out[axis] = y->dim[2 + axis];
        window.stride[axis] = g->stride[axis];
        window.pad[axis] = g->pad_before[axis];
        window.dilation[axis] = g->dilation[axis];
    }
    return window;
}

static hz__window identity(const int64_t *extent) {
    return (hz__window){.in = {extent[0], extent[1]},
                        .kernel = {1, 1},
                        .out = {extent[0], extent[1]},
                        .stride = {1, 1},
                        .dilation = {1, 1}};
}

hz__conv2d hz__conv2d_numbers(const hz_exec *ex, const hz_conv2d_geometry *g, const hz_tensor *x,
                              const hz_tensor *w, const hz_tensor *y) {
    return (hz__conv2d){.ex = ex,
                        .kernels = hz__conv2d_table(x->dtype, ex->isa),
                        .dtype = x->dtype,
                        .size = (int64_t)hz_dtype_size(x->dtype),
                        .window = window_of(g, x, w, y),
                        .output = identity(y->dim + 2),
                        .n = x->dim[0],
                        .groups = g->groups,
                        .c = w->dim[1],
                        .k = w->dim[0] / g->groups,
                        .q = w->dim[1] * w->dim[2] * w->dim[3],
                        .p = y->dim[2] * y->dim[3]};
}

hz__planes hz__planes_of(const hz_tensor *t) {
    return (hz__planes){t->data, {t->stride[0], t->stride[1], t->stride[2], t->stride[3]}};
}

hz__planes hz__planes_at(const hz__conv2d *v, hz__planes t, int64_t n, int64_t c) {
    t.data += (n * t.stride[0] + c * t.stride[1]) * v->size;
    return t;
}

/* ---- running ---- */

const hz__conv2d_kernels *hz__conv2d_table(hz_dtype dtype, hz_isa isa) {
    const bool f32 = dtype == HZ_F32;
#if defined(HZ_HAVE_AVX512)
    if (isa == HZ_ISA_AVX512) return f32 ? &hz__conv2d_f32_avx512 : &hz__conv2d_f64_avx512;
#endif
#if defined(HZ_HAVE_AVX2)
    if (isa == HZ_ISA_AVX2) return f32 ? &hz__conv2d_f32_avx2 : &hz__conv2d_f64_avx2;
#endif
    (void)isa;
    return f32 ? &hz__conv2d_f32_c : &hz__conv2d_f64_c;
}

static int threads_for(const hz__conv2d *v, int64_t pieces) {
    const double work = (double)v->n * (double)v->groups * (double)v->k * (double)v->q * (double)v->p;
    if (work < PARALLEL_WORK) return 1;
    return pieces < v->ex->threads ? (int)pieces : v->ex->threads;
}

bool hz__conv2d_run(const hz__conv2d *v, const void *task, hz__conv2d_piece *piece, int64_t pieces,
                    size_t scratch_size, hz_error *err) {
    if (pieces == 0) return true;
    const int threads = threads_for(v, pieces);
    if (scratch_size > (size_t)PTRDIFF_MAX / (size_t)threads - HZ_ALIGN) {
        return hz_fail(err, HZ_ENOMEM, "conv2d: scratch memory of %zu bytes a thread", scratch_size);
    }
    scratch_size = (scratch_size + HZ_ALIGN - 1) / HZ_ALIGN * HZ_ALIGN;
    hz_block *block = hz_pool_get(v->ex->pool, scratch_size * (size_t)threads);
    if (!block)
        return hz_fail(err, HZ_ENOMEM, "conv2d: no %zu bytes of scratch memory",
                       scratch_size * (size_t)threads);
    char *scratch = block->data;
    if (threads == 1) {
        for (int64_t i = 0; i < pieces; i++) piece(task, i, scratch);
    } else {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
        for (int64_t i = 0; i < pieces; i++)
            piece(task, i, scratch + (size_t)omp_get_thread_num() * scratch_size);
    }
    hz_block_unref(block);
    return true;
}

/* ---- entry points ---- */

/* y = b where there is nothing to sum. */
static bool only_bias(const hz_exec *ex, const hz_tensor *b, const hz_tensor *y, hz_error *err) {
    if (!b) {
        hz_fill(ex, y, 0);
        return true;
    }
    hz_tensor column, broadcast;
    if (!hz_view_reshape(b, 3, (int64_t[]){-1, 1, 1}, &column, err) ||
        !hz_view_broadcast(&column, 4, y->dim, &broadcast, err)) {
        return false;
    }
    hz_copy(ex, &broadcast, y);
    return true;
}

bool hz_conv2d_map(const hz_exec *ex, const hz_conv2d_geometry *g, const hz_tensor *x, const hz_tensor *w,
                   const hz_tensor *b, const hz_tensor *y, hz_error *err) {
    if (hz_numel(y) == 0) return true;
    if (hz_numel(x) == 0 || hz_numel(w) == 0) return only_bias(ex, b, y, err);
    const hz__conv2d v = hz__conv2d_numbers(ex, g, x, w, y);
    if (hz__conv2d_direct_fits(&v)) return hz__conv2d_direct(&v, x, w, b, y, err);
    if (ex->winograd && hz__conv2d_winograd_fits(&v)) return hz__conv2d_winograd(&v, x, w, b, y, err);
    return hz__conv2d_gemm(&v, x, w, b, y, err);
}

bool hz_conv2d_input_grad_map(const hz_exec *ex, const hz_conv2d_geometry *g, const hz_tensor *dy,
                              const hz_tensor *w, const hz_tensor *dx, hz_error *err) {
    if (hz_numel(dx) == 0) return true;
    if (hz_numel(dy) == 0 || hz_numel(w) == 0) {
        hz_fill(ex, dx, 0);
        return true;
    }
    const hz__conv2d v = hz__conv2d_numbers(ex, g, dx, w, dy);
    if (hz__conv2d_direct_input_grad_fits(&v)) return hz__conv2d_direct_input_grad(&v, dy, w, dx, err);
    if (hz__conv2d_winograd_input_grad_fits(&v)) return hz__conv2d_winograd_input_grad(&v, dy, w, dx, err);
    return hz__conv2d_gemm_input_grad(&v, dy, w, dx, err);
}

bool hz_conv2d_weight_grad_map(const hz_exec *ex, const hz_conv2d_geometry *g, const hz_tensor *x,
                               const hz_tensor *dy, const hz_tensor *dw, hz_error *err) {
    if (hz_numel(dw) == 0) return true;
    if (hz_numel(dy) == 0 || hz_numel(x) == 0) {
        hz_fill(ex, dw, 0);
        return true;
    }
    const hz__conv2d v = hz__conv2d_numbers(ex, g, x, dw, dy);
    if (hz__conv2d_depthwise_fits(&v)) return hz__conv2d_depthwise_weight_grad(&v, x, dy, dw, err);
    if (hz__conv2d_winograd_weight_grad_fits(&v)) return hz__conv2d_winograd_weight_grad(&v, x, dy, dw, err);
    return hz__conv2d_gemm_weight_grad(&v, x, dy, dw, err);
}
