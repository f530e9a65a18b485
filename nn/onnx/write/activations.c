/* activations.c: activation functions and their adjoints. What ONNX has no op for is written by its formula, and so is,
 * in f64, what has a parameter that ONNX would round to f32.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "nn/onnx/write/write.h"

static double a_of(const hz__writer *w) {
    return ((const hz_attr_scalars *)w->n->attr)->a;
}

static double b_of(const hz__writer *w) {
    return ((const hz_attr_scalars *)w->n->attr)->b;
}

static hz__wire *zero(hz__writer *w) {
    return hz__scalar(w, w->in[0]->type, 0);
}

static hz__wire *plain(hz__writer *w) {
    return hz__emit1(w, w->form->type, w->in[0]);
}

/* ---- clipping ---- */

static hz__wire *clipped(hz__writer *w, hz__wire *x, double lo, double hi) {
    hz__wire *const in[] = {x, isinf(lo) ? NULL : hz__scalar(w, x->type, lo),
                            isinf(hi) ? NULL : hz__scalar(w, x->type, hi)};
    return hz__emit_list(w, "Clip", in, in[2] ? 3 : in[1] ? 2 : 1);
}

static hz__wire *clip(hz__writer *w) {
    return clipped(w, w->in[0], a_of(w), b_of(w));
}

static hz__wire *relu6(hz__writer *w) {
    return clipped(w, w->in[0], 0, 6);
}

/* dy where lo < x < hi, else 0 */
static hz__wire *clip_grad(hz__writer *w) {
    hz__wire *x = w->in[0], *lo = hz__scalar(w, x->type, a_of(w)), *hi = hz__scalar(w, x->type, b_of(w));
    hz__wire *above = hz__of_type(hz__emit2(w, "Greater", x, lo), HZ__BOOL);
    hz__wire *below = hz__of_type(hz__emit2(w, "Less", x, hi), HZ__BOOL);
    return hz__choose(w, hz__emit2(w, "And", above, below), w->in[1], zero(w));
}

/* ---- straight pieces ---- */

static hz__wire *relu_grad(hz__writer *w) {
    return hz__choose(w, hz__positive(w, w->in[0]), w->in[1], zero(w));
}

static hz__wire *leaky_relu(hz__writer *w) {
    if (!hz__attr_holds(w, a_of(w)))
        return hz__emit2(w, "PRelu", w->in[0], hz__scalar(w, w->in[0]->type, a_of(w)));
    hz__wire *y = hz__emit1(w, "LeakyRelu", w->in[0]);
    hz__with_float(w, "alpha", a_of(w));
    return y;
}

static hz__wire *leaky_relu_grad(hz__writer *w) {
    return hz__choose(w, hz__positive(w, w->in[0]), w->in[1], hz__scaled(w, w->in[1], a_of(w)));
}

/* min(max(a·x + b, 0), 1) */
static hz__wire *hard_sigmoid(hz__writer *w) {
    hz__wire *x = w->in[0];
    if (w->n->value.dtype == HZ_F64)
        return clipped(w, hz__shifted(w, hz__scaled(w, x, a_of(w)), b_of(w)), 0, 1);
    hz__wire *y = hz__emit1(w, "HardSigmoid", x);
    hz__with_float(w, "alpha", a_of(w));
    hz__with_float(w, "beta", b_of(w));
    return y;
}

static hz__wire *hard_swish(hz__writer *w) {
    hz__wire *x = w->in[0];
    if (w->n->value.dtype == HZ_F32) return hz__emit1(w, "HardSwish", x);
    return hz__product(w, x, clipped(w, hz__shifted(w, hz__scaled(w, x, 1.0 / 6), 0.5), 0, 1));
}

/* ---- smooth ---- */

/* x > 0 ? x : alpha·(e^x − 1); there x ≤ 0, so that Elu's own form serves for e^x − 1 */
static hz__wire *elu(hz__writer *w) {
    bool holds = hz__attr_holds(w, a_of(w));
    hz__wire *x = w->in[0], *y = hz__emit1(w, "Elu", x);
    hz__with_float(w, "alpha", holds ? a_of(w) : 1);
    return holds ? y : hz__choose(w, hz__positive(w, x), x, hz__scaled(w, y, a_of(w)));
}

/* x > 0 ? dy : dy·alpha·e^x */
static hz__wire *elu_grad(hz__writer *w) {
    hz__wire *x = w->in[0], *dy = w->in[1];
    hz__wire *slope = hz__scaled(w, hz__emit1(w, "Exp", hz__emit2(w, "Min", x, zero(w))), a_of(w));
    return hz__choose(w, hz__positive(w, x), dy, hz__product(w, dy, slope));
}

/* log(1 + e^(beta·x))/beta */
static hz__wire *softplus(hz__writer *w) {
    double beta = a_of(w);
    if (beta == 1) return hz__emit1(w, "Softplus", w->in[0]);
    return hz__scaled(w, hz__emit1(w, "Softplus", hz__scaled(w, w->in[0], beta)), 1 / beta);
}

static hz__wire *silu(hz__writer *w) {
    return hz__product(w, w->in[0], hz__emit1(w, "Sigmoid", w->in[0]));
}

/* y·(1 − y) */
static hz__wire *hump(hz__writer *w, hz__wire *y) {
    return hz__product(w, y, hz__emit2(w, "Sub", hz__scalar(w, y->type, 1), y));
}

static hz__wire *sigmoid_grad(hz__writer *w) {
    return hz__product(w, w->in[1], hump(w, w->in[0]));
}

/* dy·(1 − y²) */
static hz__wire *tanh_grad(hz__writer *w) {
    hz__wire *y = w->in[0], *one = hz__scalar(w, y->type, 1);
    return hz__product(w, w->in[1], hz__emit2(w, "Sub", one, hz__product(w, y, y)));
}

/* dy·(s + x·s·(1 − s)), s = sigmoid(x) */
static hz__wire *silu_grad(hz__writer *w) {
    hz__wire *x = w->in[0], *s = hz__emit1(w, "Sigmoid", x);
    return hz__product(w, w->in[1], hz__emit2(w, "Add", s, hz__product(w, x, hump(w, s))));
}

/* Φ(x) = (1 + erf(x/√2))/2 */
static hz__wire *normal_cdf(hz__writer *w, hz__wire *x) {
    hz__wire *erf = hz__emit1(w, "Erf", hz__scaled(w, x, 0.70710678118654752440));
    return hz__scaled(w, hz__shifted(w, erf, 1), 0.5);
}

static hz__wire *gelu(hz__writer *w) {
    return hz__product(w, w->in[0], normal_cdf(w, w->in[0]));
}

/* dy·(Φ(x) + x·φ(x)), φ(x) = e^(−x²/2)/√(2π) */
static hz__wire *gelu_grad(hz__writer *w) {
    hz__wire *x = w->in[0];
    hz__wire *bell = hz__emit1(w, "Exp", hz__scaled(w, hz__product(w, x, x), -0.5));
    hz__wire *slope = hz__product(w, x, hz__scaled(w, bell, 0.39894228040143267794));
    return hz__product(w, w->in[1], hz__emit2(w, "Add", normal_cdf(w, x), slope));
}

/* gelu_tanh(x) = x·sigmoid(u), u = a·x + a·b·x³, with a = 2√(2/π), b = 0.044715 */
static const double gelu_a = 1.59576912160573071176, gelu_ab = 1.59576912160573071176 * 0.044715;

static hz__wire *gelu_gate(hz__writer *w, hz__wire *x, hz__wire *square) {
    hz__wire *slope = hz__shifted(w, hz__scaled(w, square, gelu_ab), gelu_a);
    return hz__emit1(w, "Sigmoid", hz__product(w, x, slope));
}

static hz__wire *gelu_tanh(hz__writer *w) {
    hz__wire *x = w->in[0];
    return hz__product(w, x, gelu_gate(w, x, hz__product(w, x, x)));
}

/* dy·(s + x·s·(1 − s)·u′), u′ = a + 3·a·b·x² */
static hz__wire *gelu_tanh_grad(hz__writer *w) {
    hz__wire *x = w->in[0], *square = hz__product(w, x, x), *s = gelu_gate(w, x, square);
    hz__wire *u1 = hz__shifted(w, hz__scaled(w, square, 3 * gelu_ab), gelu_a);
    hz__wire *bend = hz__product(w, x, hz__product(w, hump(w, s), u1));
    return hz__product(w, w->in[1], hz__emit2(w, "Add", s, bend));
}

/* ---- the table ---- */

static const hz__form forms[] = {
    {&hz_op_relu, .write = plain, .type = "Relu"},
    {&hz_op_sigmoid, .write = plain, .type = "Sigmoid"},
    {&hz_op_tanh, .write = plain, .type = "Tanh"},
    {&hz_op_clip, .write = clip},
    {&hz_op_relu6, .write = relu6},
    {&hz_op_leaky_relu, .write = leaky_relu},
    {&hz_op_hard_sigmoid, .write = hard_sigmoid},
    {&hz_op_hard_swish, .write = hard_swish},
    {&hz_op_elu, .write = elu},
    {&hz_op_softplus, .write = softplus},
    {&hz_op_silu, .write = silu},
    {&hz_op_gelu, .write = gelu},
    {&hz_op_gelu_tanh, .write = gelu_tanh},
    {&hz_op_clip_grad, .write = clip_grad},
    {&hz_op_relu_grad, .write = relu_grad},
    {&hz_op_leaky_relu_grad, .write = leaky_relu_grad},
    {&hz_op_elu_grad, .write = elu_grad},
    {&hz_op_sigmoid_grad, .write = sigmoid_grad},
    {&hz_op_tanh_grad, .write = tanh_grad},
    {&hz_op_silu_grad, .write = silu_grad},
    {&hz_op_gelu_grad, .write = gelu_grad},
    {&hz_op_gelu_tanh_grad, .write = gelu_tanh_grad},
};

const hz__forms hz__write_activations = {forms, HZ__COUNT(forms)};
