/* adaptive_avg_pool2d.c: averages over OH × OW windows that share the input as evenly as they can: window oy covers
 * rows ⌊oy·H/OH⌋ … ⌈(oy+1)·H/OH⌉−1. Also the global average.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/pooling.h"

static bool adaptive_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *x = hz_in(n, 0);
    const hz_attr_extents *to = n->attr;
    if (!hz__adaptive_check(x, to->of[0], to->of[1], err)) return false;
    *out = hz_tensor_of(NULL, x->dtype, HZ_DIMS(x->dim[0], x->dim[1], to->of[0], to->of[1]));
    return hz_shape_check("result", out->dtype, out->rank, out->dim, err);
}

static bool adaptive_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    return hz_adaptive_avg_pool2d_map(ex, hz_in(n, 0), &n->value, err);
}

static hz_var adaptive_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_tensor *x = hz_in(n, i);
    return hz_adaptive_avg_pool2d_grad(dy, x->dim[2], x->dim[3]);
}

static bool adaptive_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    const hz_tensor *x = hz_in(n, i);
    *in = *out;
    for (int k = 2; k < 4; k++) {
        in->lo[k] = hz__floor_div(out->lo[k] * x->dim[k], n->value.dim[k]);
        in->hi[k] = hz__ceil_div(out->hi[k] * x->dim[k], n->value.dim[k]);
    }
    return true;
}

/* Along each axis all windows, or some of equal ones that do not overlap: of other windows, a few are not an even
 * share of the positions they cover. */
static bool adaptive_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr) {
    (void)in;
    hz_attr_extents *to = attr;
    for (int k = 2; k < 4; k++) {
        bool all = out->lo[k] == 0 && out->hi[k] == n->value.dim[k];
        if (!all && hz_in(n, 0)->dim[k] % n->value.dim[k] != 0) return false;
        to->of[k - 2] = out->hi[k] - out->lo[k];
    }
    return true;
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_adaptive_avg_pool2d(x[0], 2, 3);
}

static const hz_sample samples[] = {
    {"uneven windows", 1, {{.rank = 4, .dim = {2, 2, 3, 4}}}, call, false},
    {"even windows", 1, {{.rank = 4, .dim = {1, 2, 4, 6}}}, call, false},
    {"more windows than positions", 1, {{.rank = 4, .dim = {1, 2, 1, 2}}}, call, false},
    {"no images", 1, {{.rank = 4, .dim = {0, 2, 3, 4}}}, call, false},
};

const hz_op hz_op_adaptive_avg_pool2d = {.name = "adaptive_avg_pool2d",
                                         .n_in = 1,
                                         .attr_size = sizeof(hz_attr_extents),
                                         .shape = adaptive_shape,
                                         .forward = adaptive_forward,
                                         .vjp = adaptive_vjp,
                                         .reach = adaptive_reach,
                                         .crop = adaptive_crop,
                                         .samples = samples,
                                         .n_samples = HZ__COUNT(samples)};

hz_var hz_adaptive_avg_pool2d(hz_var x, int64_t oh, int64_t ow) {
    return hz_apply1(&hz_op_adaptive_avg_pool2d, x, &(hz_attr_extents){{oh, ow}});
}

hz_var hz_global_avg_pool2d(hz_var x) {
    if (hz_ok(x) && hz_value(x)->rank != 4)
        return hz_tape_fail(x.tape, HZ_ESHAPE, "global_avg_pool2d: input %s must be (N, C, H, W)",
                            hz_shape_str(hz_value(x)).s);
    return hz_mean(x, HZ_AXIS(2) | HZ_AXIS(3), true);
}
