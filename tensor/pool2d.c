/* pool2d.c: 2-d pooling: the planes of a tensor, one by one and in parallel, through kernels/max_pool2d_tmpl.c and
 * kernels/avg_pool2d_tmpl.c.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/pool2d.h"
#include "tensor/kernels/nest.h"
#include "tensor/kernels/pool2d.h"

static const hz__max_pool2d *max_table(hz_dtype dtype, hz_isa isa) {
    const bool f32 = dtype == HZ_F32;
#if defined(HZ_HAVE_AVX512)
    if (isa == HZ_ISA_AVX512) return f32 ? &hz__max_pool2d_f32_avx512 : &hz__max_pool2d_f64_avx512;
#endif
#if defined(HZ_HAVE_AVX2)
    if (isa >= HZ_ISA_AVX2) return f32 ? &hz__max_pool2d_f32_avx2 : &hz__max_pool2d_f64_avx2;
#endif
    (void)isa;
    return f32 ? &hz__max_pool2d_f32_c : &hz__max_pool2d_f64_c;
}

static const hz__avg_pool2d *avg_table(hz_dtype dtype, hz_isa isa) {
    const bool f32 = dtype == HZ_F32;
#if defined(HZ_HAVE_AVX512)
    if (isa == HZ_ISA_AVX512) return f32 ? &hz__avg_pool2d_f32_avx512 : &hz__avg_pool2d_f64_avx512;
#endif
#if defined(HZ_HAVE_AVX2)
    if (isa >= HZ_ISA_AVX2) return f32 ? &hz__avg_pool2d_f32_avx2 : &hz__avg_pool2d_f64_avx2;
#endif
    (void)isa;
    return f32 ? &hz__avg_pool2d_f32_c : &hz__avg_pool2d_f64_c;
}

/* ---- planes ---- */

/* One call: which of the kernels, on which tensors. */
typedef struct task task;
typedef void plane_fn(const task *t, const void *a, const void *b, void *out);
struct task {
    hz__averaging pooling; /* of a maximum only the window counts */
    const hz__max_pool2d *max;
    const hz__avg_pool2d *avg;
    plane_fn *run;
    const hz_tensor *a, *b, *out; /* inputs (b may be NULL) and result */
};

static void *plane_of(const hz_tensor *t, int64_t n, int64_t c) {
    if (!t || !t->data) return NULL;
    return (char *)t->data + (n * t->stride[0] + c * t->stride[1]) * (int64_t)hz_dtype_size(t->dtype);
}

static void run_planes(const void *ctx, int64_t begin, int64_t end) {
    const task *t = ctx;
    const int64_t channels = t->out->dim[1];
    for (int64_t i = begin; i < end; i++) {
        const int64_t n = i / channels, c = i % channels;
        t->run(t, plane_of(t->a, n, c), plane_of(t->b, n, c), plane_of(t->out, n, c));
    }
}

/* x (N, C, H, W) and y (N, C, OH, OW) are the tensors that stand at the two ends of the window. */
static bool run(const hz_exec *ex, const hz_pool2d_geometry *g, const hz_tensor *x, const hz_tensor *y,
                task *t) {
    if (hz_numel(t->out) == 0) return true;
    t->max = max_table(x->dtype, ex->isa);
    t->avg = avg_table(x->dtype, ex->isa);
    for (int axis = 0; axis < 2; axis++) {
        hz__window *w = &t->pooling.window;
        w->in[axis] = x->dim[2 + axis];
        w->out[axis] = y->dim[2 + axis];
        if (!g) continue;
        w->kernel[axis] = g->kernel[axis];
        w->stride[axis] = g->stride[axis];
        w->pad[axis] = g->pad_before[axis];
        w->dilation[axis] = g->dilation[axis];
        const bool padded = g->count_padding,
                   edge = padded && (g->edge_lo[axis] != 0 || g->edge_hi[axis] != 0);
        const int64_t lo = padded ? -g->pad_before[axis] : 0;
        const int64_t hi = x->dim[2 + axis] + (padded ? g->pad_after[axis] : 0);
        t->pooling.counted[axis] = edge ? (hz__span){g->edge_lo[axis], g->edge_hi[axis]} : (hz__span){lo, hi};
    }
    hz__parallel_for(ex, hz_numel(x) + hz_numel(y), t->out->dim[0] * t->out->dim[1], run_planes, t);
    return true;
}

/* ---- maximum ---- */

static void max_plane(const task *t, const void *x, const void *none, void *y) {
    (void)none;
    t->max->max(&t->pooling.window, x, t->a->stride + 2, y);
}

bool hz_max_pool2d_map(const hz_exec *ex, const hz_pool2d_geometry *g, const hz_tensor *x, const hz_tensor *y,
                       hz_error *err) {
    (void)err;
    return run(ex, g, x, y, &(task){.run = max_plane, .a = x, .out = y});
}

/* Positions in a plane of floats are 32-bit integers (kernels/max_pool2d_tmpl.c). */
static bool positions_fit(const hz_tensor *x, hz_error *err) {
    const int64_t h = x->dim[2], w = x->dim[3];
    if (x->dtype != HZ_F32 || h == 0 || w <= INT32_MAX / h) return true;
    return hz_fail(err, HZ_EINVAL, "max_pool2d: a plane of %lld×%lld has more than %d positions",
                   (long long)h, (long long)w, INT32_MAX);
}

static void max_grad_plane(const task *t, const void *x, const void *dy, void *dx) {
    t->max->grad(&t->pooling.window, x, t->a->stride + 2, dy, t->b->stride + 2, dx);
}

bool hz_max_pool2d_grad_map(const hz_exec *ex, const hz_pool2d_geometry *g, const hz_tensor *x,
                            const hz_tensor *dy, const hz_tensor *dx, hz_error *err) {
    return positions_fit(x, err) &&
           run(ex, g, x, dy, &(task){.run = max_grad_plane, .a = x, .b = dy, .out = dx});
}

static void max_take_plane(const task *t, const void *x, const void *v, void *y) {
    t->max->take(&t->pooling.window, x, t->a->stride + 2, v, t->b->stride + 2, y);
}

bool hz_max_pool2d_take_map(const hz_exec *ex, const hz_pool2d_geometry *g, const hz_tensor *x,
                            const hz_tensor *v, const hz_tensor *y, hz_error *err) {
    return positions_fit(x, err) &&
           run(ex, g, x, y, &(task){.run = max_take_plane, .a = x, .b = v, .out = y});
}

/* ---- average ---- */

static void avg_plane(const task *t, const void *x, const void *none, void *y) {
    (void)none;
    t->avg->avg(&t->pooling, x, t->a->stride + 2, y);
}

bool hz_avg_pool2d_map(const hz_exec *ex, const hz_pool2d_geometry *g, const hz_tensor *x, const hz_tensor *y,
                       hz_error *err) {
    (void)err;
    return run(ex, g, x, y, &(task){.run = avg_plane, .a = x, .out = y});
}

static void avg_grad_plane(const task *t, const void *dy, const void *none, void *dx) {
    (void)none;
    t->avg->grad(&t->pooling, dy, t->a->stride + 2, dx);
}

bool hz_avg_pool2d_grad_map(const hz_exec *ex, const hz_pool2d_geometry *g, const hz_tensor *dy,
                            const hz_tensor *dx, hz_error *err) {
    (void)err;
    return run(ex, g, dx, dy, &(task){.run = avg_grad_plane, .a = dy, .out = dx});
}

/* ---- adaptive average ---- */

static void adaptive_plane(const task *t, const void *x, const void *none, void *y) {
    (void)none;
    t->avg->adaptive(&t->pooling, x, t->a->stride + 2, y);
}

bool hz_adaptive_avg_pool2d_map(const hz_exec *ex, const hz_tensor *x, const hz_tensor *y, hz_error *err) {
    (void)err;
    return run(ex, NULL, x, y, &(task){.run = adaptive_plane, .a = x, .out = y});
}

static void adaptive_grad_plane(const task *t, const void *dy, const void *none, void *dx) {
    (void)none;
    t->avg->adaptive_grad(&t->pooling, dy, t->a->stride + 2, dx);
}

bool hz_adaptive_avg_pool2d_grad_map(const hz_exec *ex, const hz_tensor *dy, const hz_tensor *dx,
                                     hz_error *err) {
    (void)err;
    return run(ex, NULL, dx, dy, &(task){.run = adaptive_grad_plane, .a = dy, .out = dx});
}
