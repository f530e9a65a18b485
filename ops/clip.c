/* clip.c: y = min(max(x, lo), hi); derivative 1 where lo < x < hi, else 0.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "ops/common.h"

static bool clip_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_scalars *p = n->attr;
    if (!hz__check_number("lower bound", p->a, err) || !hz__check_number("upper bound", p->b, err))
        return false;
    if (p->a > p->b) return hz_fail(err, HZ_EINVAL, "lower bound %g is above upper bound %g", p->a, p->b);
    return hz_shape_float(n, out, err);
}

static bool clip_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    const hz_attr_scalars *p = n->attr;
    return hz__forward1(n, ex, HZ_CLIP, p->a, p->b);
}

/* dx = dy · [lo < x < hi] */
static hz_var clip_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_scalars *p = n->attr;
    (void)i;
    return hz_clip_grad(n->in[0], dy, p->a, p->b);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_clip(x[0], -0.5, 1);
}

static hz_var call_from_0(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_clip(x[0], 0, INFINITY);
}

static hz_var call_hard_tanh(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_hard_tanh(x[0]);
}

static const hz_sample samples[] = {
    {"matrix",
     1,
     {{.rank = 2, .dim = {3, 4}, .lo = -1, .hi = 1.5, .kink = {-0.5, 1}, .n_kinks = 2}},
     call,
     false},
    {"no upper bound",
     1,
     {{.rank = 1, .dim = {10}, .lo = -1, .hi = 2, .kink = {0}, .n_kinks = 1}},
     call_from_0,
     false},
    {"hard tanh",
     1,
     {{.rank = 1, .dim = {10}, .lo = -1.5, .hi = 1.5, .kink = {-1, 1}, .n_kinks = 2}},
     call_hard_tanh,
     false},
    {"one number", 1, {{.rank = 0, .lo = -0.4, .hi = 0.9}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_clip = {.name = "clip",
                          .n_in = 1,
                          .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                          .attr_size = sizeof(hz_attr_scalars),
                          .shape = clip_shape,
                          .forward = clip_forward,
                          .vjp = clip_vjp,
                          .samples = samples,
                          .n_samples = HZ__COUNT(samples)};

hz_var hz_clip(hz_var x, double lo, double hi) {
    return hz_apply1(&hz_op_clip, x, &(hz_attr_scalars){.a = lo, .b = hi});
}

hz_var hz_hard_tanh(hz_var x) {
    return hz_clip(x, -1, 1);
}
