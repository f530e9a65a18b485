/* max_pool2d.c: the maximum of each window; a tie goes to the first in row-major order. Also adaptive and global
 * maxima.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/pooling.h"

static bool max_pool2d_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    return hz_max_pool2d_map(ex, n->attr, hz_in(n, 0), &n->value, err);
}

static hz_var max_pool2d_vjp(const hz_node *n, int i, hz_var dy) {
    return hz_max_pool2d_grad(n->in[i], dy, n->attr);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_max_pool2d(x[0], &(hz_pool2d_opts){.kernel = {2, 2}});
}

static hz_var call_overlap(hz_tape *t, const hz_var *x) {
    (void)t;
    const hz_pool2d_opts opts = {
        .kernel = {3, 2}, .stride = {2, 1}, .pad_before = {1, 0}, .pad_after = {0, 1}};
    return hz_max_pool2d(x[0], &opts);
}

static hz_var call_ceil(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_max_pool2d(x[0], &(hz_pool2d_opts){.kernel = {3, 3}, .stride = {2, 2}, .ceil = true});
}

static hz_var call_dilation(hz_tape *t, const hz_var *x) {
    (void)t;
    const hz_pool2d_opts opts = {.kernel = {2, 2}, .stride = {1, 2}, .dilation = {2, 3}, .pad = {1, 1}};
    return hz_max_pool2d(x[0], &opts);
}

static hz_var call_adaptive(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_adaptive_max_pool2d(x[0], 2, 3);
}

static const hz_sample samples[] = {
    {"2×2", 1, {{.rank = 4, .dim = {2, 2, 4, 4}, .distinct = true}}, call, false},
    {"overlapping, uneven padding",
     1,
     {{.rank = 4, .dim = {1, 2, 5, 4}, .distinct = true}},
     call_overlap,
     false},
    {"partial windows", 1, {{.rank = 4, .dim = {1, 2, 6, 5}, .distinct = true}}, call_ceil, false},
    {"dilation", 1, {{.rank = 4, .dim = {1, 2, 5, 6}, .distinct = true}}, call_dilation, false},
    {"adaptive", 1, {{.rank = 4, .dim = {1, 2, 5, 4}, .distinct = true}}, call_adaptive, false},
    {"one window", 1, {{.rank = 4, .dim = {1, 1, 2, 2}, .distinct = true}}, call, false},
    {"no images", 1, {{.rank = 4, .dim = {0, 2, 4, 4}}}, call, false},
};

const hz_op hz_op_max_pool2d = {.name = "max_pool2d",
                                .n_in = 1,
                                .flags = HZ_OP_KINKS,
                                .attr_size = sizeof(hz_pool2d_geometry),
                                .shape = hz__pool2d_shape,
                                .forward = max_pool2d_forward,
                                .vjp = max_pool2d_vjp,
                                .reach = hz__pool2d_reach,
                                .crop = hz__pool2d_crop,
                                .samples = samples,
                                .n_samples = HZ__COUNT(samples)};

hz_var hz_max_pool2d(hz_var x, const hz_pool2d_opts *opts) {
    hz_pool2d_geometry g = hz__pool2d_geometry_of(x, opts);
    return hz_apply1(&hz_op_max_pool2d, x, &g);
}

/* ---- adaptive ---- */

/* Window p of `count` covers start … start + size − 1 of `extent` positions. */
static int64_t window_start(int64_t p, int64_t extent, int64_t count) {
    return p * extent / count;
}

static int64_t window_size(int64_t p, int64_t extent, int64_t count) {
    return hz__ceil_div((p + 1) * extent, count) - window_start(p, extent, count);
}

/* Lay the windows along an axis out one after the other, all of the size of the largest, which *size becomes:
 * smaller ones repeat their last position, which changes no maximum. */
static hz_var spread_windows(hz_var x, int axis, int64_t count, int64_t *size) {
    int64_t extent = hz_value(x)->dim[axis];
    *size = 0;
    for (int64_t p = 0; p < count; p++) {
        int64_t here = window_size(p, extent, count);
        if (here > *size) *size = here;
    }
    if (*size * count == extent) return x;
    hz_var index = hz_full(x.tape, HZ_I64, HZ_DIMS(count * *size), 0);
    for (int64_t j = 0; hz_ok(index) && j < count * *size; j++) {
        int64_t p = j / *size, r = j % *size, last = window_size(p, extent, count) - 1;
        hz_set(hz_value(index), &j, (double)(window_start(p, extent, count) + (r < last ? r : last)));
    }
    return hz_gather(x, axis, index);
}

hz_var hz_adaptive_max_pool2d(hz_var x, int64_t oh, int64_t ow) {
    if (!hz_ok(x)) return x;
    const hz_tensor *v = hz_value(x);
    hz_error why = {.code = HZ_OK};
    if (!hz__adaptive_check(v, oh, ow, &why))
        return hz_tape_fail(x.tape, why.code, "adaptive_max_pool2d: %s", why.text);
    hz_pool2d_opts opts = {.kernel = {0}};
    x = spread_windows(x, 2, oh, &opts.kernel[0]);
    return hz_max_pool2d(hz_ok(x) ? spread_windows(x, 3, ow, &opts.kernel[1]) : x, &opts);
}

hz_var hz_global_max_pool2d(hz_var x) {
    if (hz_ok(x) && hz_value(x)->rank != 4)
        return hz_tape_fail(x.tape, HZ_ESHAPE, "global_max_pool2d: input %s must be (N, C, H, W)",
                            hz_shape_str(hz_value(x)).s);
    return hz_max(x, HZ_AXIS(2) | HZ_AXIS(3), true);
}
