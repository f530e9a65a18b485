/* clip_grad.c: dx = dy where lo < x < hi, else 0: the adjoint of clip and relu6.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool clip_grad_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_scalars *p = n->attr;
    return hz__check_number("lower bound", p->a, err) && hz__check_number("upper bound", p->b, err) &&
           hz__shape_broadcast_float(n, out, err);
}

static bool clip_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    const hz_attr_scalars *p = n->attr;
    return hz__forward2(n, ex, HZ_CLIP_GRAD, p->a, p->b);
}

/* in dy the same again; in x it is piecewise constant */
static hz_var clip_grad_vjp(const hz_node *n, int i, hz_var g) {
    const hz_attr_scalars *p = n->attr;
    if (i == 0) return hz_none(n->tape);
    return hz__sum_like(hz_clip_grad(n->in[0], g, p->a, p->b), n->in[1]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_clip_grad(x[0], x[1], -0.5, 1);
}

static const hz_sample samples[] = {
    {"matrices",
     2,
     {{.rank = 2, .dim = {3, 4}, .lo = -1, .hi = 1.5, .kink = {-0.5, 1}, .n_kinks = 2},
      {.rank = 2, .dim = {3, 4}}},
     call,
     false},
    {"broadcast",
     2,
     {{.rank = 2, .dim = {12, 1}, .lo = -1, .hi = 1.5, .kink = {-0.5, 1}, .n_kinks = 2},
      {.rank = 3, .dim = {2, 1, 2}}},
     call,
     false},
    {"numbers", 2, {{.rank = 0, .lo = -0.4, .hi = 0.9}, {.rank = 0}}, call, false},
    {"empty", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_clip_grad = {.name = "clip_grad",
                               .n_in = 2,
                               .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                               .attr_size = sizeof(hz_attr_scalars),
                               .shape = clip_grad_shape,
                               .forward = clip_grad_forward,
                               .vjp = clip_grad_vjp,
                               .samples = samples,
                               .n_samples = HZ__COUNT(samples)};

hz_var hz_clip_grad(hz_var x, hz_var dy, double lo, double hi) {
    return hz_apply2(&hz_op_clip_grad, x, dy, &(hz_attr_scalars){.a = lo, .b = hi});
}
