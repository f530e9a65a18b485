/* loss.c: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
 *
 *   loss[n, d] = −weight[t]·log p[n, t, d],   t = target[n, d]; 0 where t is ignored
 *
 * SPDX-License-Identifier: MIT */
#include "nn/onnx/internal.h"

/* What the targets pick out of the input. */
typedef struct picked {
    hz_var loss, weight; /* (N, …) */
} picked;

static bool check(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0), *target = hz__arg_value(c, 1), *w = hz__arg_value(c, 2);
    bool fits = x->rank >= 2 && target->rank == x->rank - 1 && !hz_dtype_is_float(target->dtype) &&
                (!hz__has(c, 2) || (w->rank == 1 && w->dim[0] == x->dim[1] && w->dtype == x->dtype));
    for (int k = 0; fits && k < target->rank; k++) fits = target->dim[k] == x->dim[k ? k + 1 : 0];
    if (!fits)
        hz__bad(c, "input %s, target %s, weight %s", hz_shape_str(x).s, hz_shape_str(target).s,
                hz_shape_str(w).s);
    return fits;
}

/* Ignored targets read class 0 and weigh nothing; the gathers check that the others are classes. */
static picked pick(hz__call *c, hz_var log_p) {
    hz_var target = hz__to_i64(hz__arg(c, 1));
    const hz_tensor *shape = hz_value(target);
    hz_var kept = hz_full(c->t, HZ_U8, shape->rank, shape->dim, 1);
    const bool ignores = hz__attr(c, "ignore_index") != NULL;
    const int64_t ignored = hz__attr_int(c, "ignore_index", 0);
    picked p = {hz_none(c->t), hz_none(c->t)};
    if (!hz_ok(target) || !hz_ok(kept)) return p;
    int64_t *t = hz__i64(target);
    for (int64_t k = 0; k < hz_numel(shape); k++)
        if (ignores && t[k] == ignored) t[k] = 0, ((uint8_t *)hz_value(kept)->data)[k] = 0;
    hz_var zero = hz__number(log_p, 0);
    hz_var each = hz__has(c, 2) ? hz_gather(hz__arg(c, 2), 0, target) : hz__number(log_p, 1);
    p.weight = hz_where(kept, each, zero);
    hz_var chosen = hz_squeeze(hz_gather_elements(log_p, 1, hz_unsqueeze(target, 1)), HZ_AXIS(1));
    p.loss = hz_neg(hz_mul(p.weight, chosen));
    return p;
}

static hz_var reduced(hz__call *c, picked p) {
    if (hz__attr_is(c, "reduction", "none", false)) return p.loss;
    hz_var sum = hz_sum(p.loss, HZ_ALL_AXES, false);
    if (hz__attr_is(c, "reduction", "sum", false)) return sum;
    return hz_div(sum, hz_sum(p.weight, HZ_ALL_AXES, false));
}

static void nll_loss(hz__call *c) {
    if (check(c)) hz__give(c, 0, reduced(c, pick(c, hz__arg(c, 0))));
}

static void softmax_loss(hz__call *c) {
    if (!check(c)) return;
    hz_var log_p = hz_log_softmax(hz__arg(c, 0), HZ_AXIS(1));
    hz__give(c, 0, reduced(c, pick(c, log_p)));
    hz__give(c, 1, log_p);
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"NegativeLogLikelihoodLoss", .since = 12, .need = 2, .run = nll_loss},
    {"SoftmaxCrossEntropyLoss", .since = 12, .need = 2, .run = softmax_loss},
};

const hz__family hz__onnx_loss = {mappings, HZ__COUNT(mappings)};
