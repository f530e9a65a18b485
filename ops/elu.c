/* elu.c: y = x where x > 0, else alpha · (e^x − 1) (Clevert, Unterthiner, Hochreiter 2016).
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool elu_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_scalars *p = n->attr;
    return hz__check_number("alpha", p->a, err) && hz_shape_float(n, out, err);
}

static bool elu_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    const hz_attr_scalars *p = n->attr;
    return hz__forward1(n, ex, HZ_ELU, p->a, 0);
}

/* dx = dy where x > 0, else dy · alpha · e^x */
static hz_var elu_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_scalars *p = n->attr;
    (void)i;
    return hz_elu_grad(n->in[0], dy, p->a);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_elu(x[0], 1);
}

static hz_var call_selu(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_elu(x[0], 1.6732632423543772);
}

static const hz_sample samples[] = {
    {"matrix", 1, {{.rank = 2, .dim = {3, 4}, .kink = {0}, .n_kinks = 1}}, call, false},
    {"one number", 1, {{.rank = 0, .kink = {0}, .n_kinks = 1}}, call, false},
    {"alpha of SELU", 1, {{.rank = 1, .dim = {5}, .kink = {0}, .n_kinks = 1}}, call_selu, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_elu = {.name = "elu",
                         .n_in = 1,
                         .flags = HZ_OP_POINTWISE,
                         .attr_size = sizeof(hz_attr_scalars),
                         .shape = elu_shape,
                         .forward = elu_forward,
                         .vjp = elu_vjp,
                         .samples = samples,
                         .n_samples = HZ__COUNT(samples)};

hz_var hz_elu(hz_var x, double alpha) {
    return hz_apply1(&hz_op_elu, x, &(hz_attr_scalars){.a = alpha});
}
