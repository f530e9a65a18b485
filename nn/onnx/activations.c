/* activations.c: activation functions, Softmax and its kin. Relu and Clip from 0 are the ReLU family to every rule.
 *
 * SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>

#include "nn/onnx/internal.h"

/* Relu takes integers, too (opset 14). */
static void unary(hz__call *c) {
    hz__give_like_arg(c, 0, c->mapping->f1(hz__arg_float(c, 0)));
}

/* ---- with parameters ---- */

static void leaky_relu(hz__call *c) {
    hz__give(c, 0, hz_leaky_relu(hz__arg(c, 0), hz__attr_float(c, "alpha", 0.01)));
}

static void elu(hz__call *c) {
    hz__give(c, 0, hz_elu(hz__arg(c, 0), hz__attr_float(c, "alpha", 1)));
}

/* gamma·elu(x; alpha) */
static void selu(hz__call *c) {
    double alpha = hz__attr_float(c, "alpha", 1.67326319217681884765625);
    double gamma = hz__attr_float(c, "gamma", 1.05070102214813232421875);
    hz__give(c, 0, hz_scale(hz_elu(hz__arg(c, 0), alpha), gamma));
}

/* max(0, x) + min(0, alpha·(e^(x/alpha) − 1)) = alpha·elu(x/alpha; 1) for alpha > 0 */
static void celu(hz__call *c) {
    double alpha = hz__attr_float(c, "alpha", 1);
    if (!(alpha > 0)) {
        hz__refuse(c, "with alpha %g", alpha);
        return;
    }
    hz__give(c, 0, hz_scale(hz_elu(hz_scale(hz__arg(c, 0), 1 / alpha), 1), alpha));
}

static void hard_sigmoid(hz__call *c) {
    double alpha = hz__attr_float(c, "alpha", 0.2), beta = hz__attr_float(c, "beta", 0.5);
    hz__give(c, 0, hz_hard_sigmoid(hz__arg(c, 0), alpha, beta));
}

static void gelu(hz__call *c) {
    bool approximate = hz__attr_is(c, "approximate", "tanh", false);
    hz__give(c, 0, approximate ? hz_gelu_tanh(hz__arg(c, 0)) : hz_gelu(hz__arg(c, 0)));
}

static hz_var f_softplus(hz_var x) {
    return hz_softplus(x, 1);
}

/* x / (1 + |x|) */
static hz_var f_softsign(hz_var x) {
    return hz_div(x, hz_add_scalar(hz_abs(x), 1));
}

/* x·tanh(softplus(x)) */
static hz_var f_mish(hz_var x) {
    return hz_mul(x, hz_tanh(hz_softplus(x, 1)));
}

/* x·sigmoid(alpha·x) */
static void swish(hz__call *c) {
    hz_var x = hz__arg(c, 0);
    hz__give(c, 0, hz_mul(x, hz_sigmoid(hz_scale(x, hz__attr_float(c, "alpha", 1)))));
}

/* x > 0 ? x : slope·x; the slope broadcasts to x. relu(x) − slope·relu(−x) would put two ReLUs where there is none. */
static void prelu(hz__call *c) {
    hz_var x = hz__arg_float(c, 0), slope = hz__arg_float(c, 1);
    const hz_tensor *v = hz_value(x);
    bool per_channel = c->node->opset < 7 && v->rank > 2 && hz_value(slope)->rank == 1;
    if (per_channel)
        slope = hz_reshape(slope, v->rank - 1, (const int64_t[HZ_MAX_RANK]){-1, 1, 1, 1, 1, 1, 1, 1});
    hz__give_like_arg(c, 0, hz_where(hz_gt(x, hz__number(x, 0)), x, hz_mul(slope, x)));
}

/* x > alpha ? x : 0 */
static void thresholded_relu(hz__call *c) {
    hz_var x = hz__arg(c, 0), alpha = hz__number(x, hz__attr_float(c, "alpha", 1));
    hz__give(c, 0, hz_where(hz_gt(x, alpha), x, hz__number(x, 0)));
}

/* x < −lambd ? x + bias : x > lambd ? x − bias : 0 */
static void shrink(hz__call *c) {
    double lambd = hz__attr_float(c, "lambd", 0.5), bias = hz__attr_float(c, "bias", 0);
    hz_var x = hz__arg_float(c, 0), zero = hz__number(x, 0);
    hz_var high = hz_where(hz_gt(x, hz__number(x, lambd)), hz_add_scalar(x, -bias), zero);
    hz__give_like_arg(c, 0, hz_where(hz_lt(x, hz__number(x, -lambd)), hz_add_scalar(x, bias), high));
}

/* ---- Clip ---- */

/* A bound from an input (opset 11 on) or an attribute. */
static double bound(const hz__call *c, int k, const char *name, double otherwise) {
    if (!hz__has(c, k)) return hz__attr_float(c, name, otherwise);
    return hz_numel(hz__arg_value(c, k)) == 1 ? hz_get_flat(hz__arg_value(c, k), 0) : otherwise;
}

/* Exporters write "no bound" as the largest float. */
static double unbounded(double x) {
    return fabs(x) >= (double)FLT_MAX ? copysign(INFINITY, x) : x;
}

/* Where x is beyond it, the bound's own derivative. */
static hz_var bound_derivative(hz__call *c, hz_var y, int k, hz_var beyond) {
    if (!hz__varies(c, k)) return y;
    hz_var d = hz_reshape(hz__derivative_of(hz__arg(c, k)), 0, NULL);
    return hz_add(y, hz_where(beyond, d, hz__number(y, 0)));
}

/* Bounds in the wrong order: the upper one wins. */
static void clip(hz__call *c) {
    double lo = unbounded(bound(c, 1, "min", -INFINITY)), hi = unbounded(bound(c, 2, "max", INFINITY));
    hz_var x = hz__arg_float(c, 0), y = hz_clip(x, lo > hi ? hi : lo, hi);
    if (lo <= hi) y = bound_derivative(c, y, 1, hz_lt(x, hz__number(x, lo)));
    hz__give_like_arg(c, 0, bound_derivative(c, y, 2, hz_gt(x, hz__number(x, lo > hi ? -INFINITY : hi))));
}

/* ---- Softmax, LogSoftmax, Hardmax ---- */

/* Along one axis; before opset 13, along all axes from `axis` (then 1 unless given) on. */
static bool softmax_axes(hz__call *c, hz_axes *axes) {
    int rank = hz__arg_value(c, 0)->rank, axis;
    bool old = c->node->opset < 13;
    *axes = 0;
    if (rank == 0) return true;
    if (!hz__axis(c, hz__attr_int(c, "axis", old ? (rank > 1 ? 1 : 0) : -1), rank, &axis)) return false;
    for (int k = axis; k < (old ? rank : axis + 1); k++) *axes |= HZ_AXIS(k);
    return true;
}

static void softmax(hz__call *c) {
    hz_axes axes;
    if (softmax_axes(c, &axes)) hz__give(c, 0, hz_softmax(hz__arg(c, 0), axes));
}

static void log_softmax(hz__call *c) {
    hz_axes axes;
    if (softmax_axes(c, &axes)) hz__give(c, 0, hz_log_softmax(hz__arg(c, 0), axes));
}

/* 1 at the first maximum. Before opset 13 of all from the axis on: as one axis. */
static void hardmax(hz__call *c) {
    hz_var x = hz__arg(c, 0);
    const hz_tensor *v = hz_value(x);
    bool old = c->node->opset < 13;
    int axis;
    if (!hz__axis(c, hz__attr_int(c, "axis", old ? 1 : -1), v->rank, &axis)) return;
    hz_var rows = old ? hz_flatten(x, axis) : hz_transpose(x, axis, -1);
    const hz_tensor *r = hz_value(rows);
    hz_var hot = hz_one_hot(hz_argmax(rows, -1, false), r->dim[r->rank - 1], v->dtype);
    hz__give(c, 0, old ? hz_reshape(hot, v->rank, v->dim) : hz_transpose(hot, axis, -1));
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"Relu", .since = 1, .run = unary, .f1 = hz_relu},
    {"Sigmoid", .since = 1, .run = unary, .f1 = hz_sigmoid},
    {"HardSwish", .since = 14, .run = unary, .f1 = hz_hard_swish},
    {"Softplus", .since = 1, .run = unary, .f1 = f_softplus},
    {"Softsign", .since = 1, .run = unary, .f1 = f_softsign},
    {"Mish", .since = 18, .run = unary, .f1 = f_mish},
    {"Swish", .since = 24, .run = swish},
    {"LeakyRelu", .since = 1, .run = leaky_relu},
    {"Elu", .since = 1, .run = elu},
    {"Selu", .since = 1, .run = selu},
    {"Celu", .since = 12, .run = celu},
    {"HardSigmoid", .since = 1, .run = hard_sigmoid},
    {"Gelu", .since = 20, .run = gelu},
    {"PRelu", .since = 1, .need = 2, .run = prelu},
    {"ThresholdedRelu", .since = 10, .run = thresholded_relu},
    {"Shrink", .since = 9, .run = shrink},
    {"Clip", .since = 1, .run = clip},
    {"Softmax", .since = 1, .run = softmax},
    {"LogSoftmax", .since = 1, .run = log_softmax},
    {"Hardmax", .since = 1, .run = hardmax},
};

const hz__family hz__onnx_activations = {mappings, HZ__COUNT(mappings)};
