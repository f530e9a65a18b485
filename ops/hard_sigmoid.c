/* hard_sigmoid.c: y = min(max(a·x + b, 0), 1); derivative 0 at both kinks.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool hard_sigmoid_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_scalars *p = n->attr;
    return hz__check_number("a", p->a, err) && hz__check_number("b", p->b, err) &&
           hz_shape_float(n, out, err);
}

static bool hard_sigmoid_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    const hz_attr_scalars *p = n->attr;
    return hz__forward1(n, ex, HZ_HARD_SIGMOID, p->a, p->b);
}

/* dx = a · dy · [0 < y < 1] */
static hz_var hard_sigmoid_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_scalars *p = n->attr;
    (void)i;
    return hz_scale(hz_clip_grad(n->out, dy, 0, 1), p->a);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_hard_sigmoid(x[0], 0.5, 0.5);
}

static hz_var call_pytorch(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_hard_sigmoid(x[0], 1.0 / 6, 0.5);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}, .kink = {-1, 1}, .n_kinks = 2}}, call, false},
    {"a = 1/6",
     1,
     {{.rank = 1, .dim = {6}, .lo = -5, .hi = 5, .kink = {-3, 3}, .n_kinks = 2}},
     call_pytorch,
     false},
    {"one number", 1, {{.rank = 0, .lo = -0.9, .hi = 0.9}}, call, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_hard_sigmoid = {.name = "hard_sigmoid",
                                  .n_in = 1,
                                  .flags = HZ_OP_POINTWISE | HZ_OP_KINKS,
                                  .attr_size = sizeof(hz_attr_scalars),
                                  .shape = hard_sigmoid_shape,
                                  .forward = hard_sigmoid_forward,
                                  .vjp = hard_sigmoid_vjp,
                                  .samples = samples,
                                  .n_samples = HZ__COUNT(samples)};

hz_var hz_hard_sigmoid(hz_var x, double a, double b) {
    return hz_apply1(&hz_op_hard_sigmoid, x, &(hz_attr_scalars){.a = a, .b = b});
}
