/* reduce.c: reductions, softmax and its kin, normalisation, the cross-entropy.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/onnx/write/write.h"

static int rank_of(const hz__writer *w) {
    return hz__in_value(w, 0)->rank;
}

/* ---- reductions ---- */

static hz__wire *reduction(hz__writer *w) {
    const hz_attr_reduction *a = w->n->attr;
    return hz__reduced(w, w->form->type, w->in[0], a->axes, rank_of(w), a->keep);
}

static hz__wire *argmax(hz__writer *w) {
    const hz_attr_argmax *a = w->n->attr;
    hz__wire *y = hz__of_type(hz__emit1(w, a->sign > 0 ? "ArgMax" : "ArgMin", w->in[0]), HZ__INT64);
    hz__with_int(w, "axis", hz_axis(rank_of(w), a->axis));
    hz__with_int(w, "keepdims", a->keep);
    return y;
}

static hz__wire *cumsum(hz__writer *w) {
    const hz_attr_cumsum *a = w->n->attr;
    hz__wire *axis = hz__scalar(w, HZ__INT64, hz_axis(rank_of(w), a->axis));
    hz__wire *y = hz__emit2(w, "CumSum", w->in[0], axis);
    hz__with_int(w, "exclusive", a->exclusive);
    hz__with_int(w, "reverse", a->reverse);
    return y;
}

/* ---- softmax ---- */

/* ONNX has it along one axis. Along several: e^(x − log Σ e^x). */
static hz__wire *softmax(hz__writer *w) {
    int rank = rank_of(w), at = -1, n = 0;
    hz_axes mask = hz__axes_mask(*(const hz_axes *)w->n->attr, rank);
    bool logarithm = w->n->op == &hz_op_log_softmax;
    for (int k = 0; k < rank; k++)
        if (mask & HZ_AXIS(k)) at = k, n++;
    if (n == 1) {
        hz__wire *y = hz__emit1(w, w->form->type, w->in[0]);
        hz__with_int(w, "axis", at);
        return y;
    }
    hz__wire *sum = hz__reduced(w, "ReduceLogSumExp", w->in[0], mask, rank, true);
    hz__wire *y = hz__emit2(w, "Sub", w->in[0], sum);
    return logarithm ? y : hz__emit1(w, "Exp", y);
}

/* y·(dy − Σ dy·y) */
static hz__wire *softmax_grad(hz__writer *w) {
    hz__wire *y = w->in[0], *dy = w->in[1];
    hz__wire *sum =
        hz__reduced(w, "ReduceSum", hz__product(w, y, dy), *(const hz_axes *)w->n->attr, rank_of(w), true);
    return hz__product(w, y, hz__emit2(w, "Sub", dy, sum));
}

/* dy − e^y·Σ dy */
static hz__wire *log_softmax_grad(hz__writer *w) {
    hz__wire *y = w->in[0], *dy = w->in[1];
    hz__wire *sum = hz__reduced(w, "ReduceSum", dy, *(const hz_axes *)w->n->attr, rank_of(w), true);
    return hz__emit2(w, "Sub", dy, hz__product(w, hz__emit1(w, "Exp", y), sum));
}

/* ---- normalisation ---- */

typedef struct normal {
    hz__wire *unit; /* (x − mean)·r */
    hz__wire *r;    /* 1/√(var + eps) */
} normal;

static normal normalized(hz__writer *w, const hz_attr_normalization *a) {
    int rank = rank_of(w);
    hz__wire *x = w->in[0];
    hz__wire *d = hz__emit2(w, "Sub", x, hz__reduced(w, "ReduceMean", x, a->axes, rank, true));
    hz__wire *var = hz__reduced(w, "ReduceMean", hz__product(w, d, d), a->axes, rank, true);
    hz__wire *r = hz__emit1(w, "Reciprocal", hz__emit1(w, "Sqrt", hz__shifted(w, var, a->eps)));
    return (normal){hz__product(w, d, r), r};
}

static hz__wire *normalize(hz__writer *w) {
    return normalized(w, w->n->attr).unit;
}

/* The first of the axes if they are all to the end, and gamma and beta have just these; or −1. */
static int layer_axis(const hz__writer *w, hz_axes mask) {
    const hz_tensor *x = hz__in_value(w, 0);
    int axis = 0;
    while (axis < x->rank && !(mask & HZ_AXIS(axis))) axis++;
    for (int k = axis; k < x->rank; k++)
        if (!(mask & HZ_AXIS(k))) return -1;
    for (int i = 1; i <= 2; i++) {
        const hz_tensor *p = hz__in_value(w, i);
        if (axis == x->rank || p->rank != x->rank - axis) return -1;
        for (int k = 0; k < p->rank; k++)
            if (p->dim[k] != x->dim[axis + k]) return -1;
    }
    return axis;
}

/* LayerNormalization computes in f32, whatever it is given. */
static hz__wire *normalize_affine(hz__writer *w) {
    const hz_attr_normalization *a = w->n->attr;
    int axis = layer_axis(w, hz__axes_mask(a->axes, rank_of(w)));
    if (axis >= 0 && w->n->value.dtype == HZ_F32) {
        hz__wire *y = hz__emit3(w, "LayerNormalization", w->in[0], w->in[1], w->in[2]);
        hz__with_int(w, "axis", axis);
        hz__with_float(w, "epsilon", a->eps);
        return y;
    }
    return hz__emit2(w, "Add", hz__product(w, normalized(w, a).unit, w->in[1]), w->in[2]);
}

/* r·(dy − mean(dy) − unit·mean(dy·unit)); for normalize_affine with dy·gamma */
static hz__wire *normalize_grad(hz__writer *w) {
    const hz_attr_normalization *a = w->n->attr;
    hz__wire *dy = w->n->n_in > 2 ? hz__product(w, w->in[1], w->in[2]) : w->in[1];
    normal x = normalized(w, a);
    hz__wire *mean = hz__reduced(w, "ReduceMean", dy, a->axes, rank_of(w), true);
    hz__wire *along = hz__reduced(w, "ReduceMean", hz__product(w, dy, x.unit), a->axes, rank_of(w), true);
    hz__wire *rest = hz__emit2(w, "Sub", hz__emit2(w, "Sub", dy, mean), hz__product(w, x.unit, along));
    return hz__product(w, rest, x.r);
}

static hz__wire *normalize_dot(hz__writer *w) {
    const hz_attr_normalize_dot *a = w->n->attr;
    hz__wire *product = hz__product(w, w->in[1], normalized(w, &a->normalization).unit);
    return hz__summed_to(w, product, hz__in_value(w, 0), hz__out_value(w));
}

/* x with parameter p (C) as (C, 1, …) */
static hz__wire *per_channel(hz__writer *w, int i) {
    int64_t dim[HZ_MAX_RANK] = {hz__in_value(w, i)->dim[0], 1, 1, 1, 1, 1, 1, 1};
    int rank = rank_of(w);
    return rank > 2 ? hz__reshaped(w, w->in[i], rank - 1, dim, hz__fixed) : w->in[i];
}

static hz__wire *filled(hz__writer *w, double value) {
    const hz_tensor *mean = hz__in_value(w, 1);
    hz__wire *shape = hz__ints_of(w, mean->dim, mean->rank);
    hz__wire *y = hz__of_type(hz__emit1(w, "ConstantOfShape", shape), hz__float_type(w));
    hz__with_tensor(w, "value", hz__float_type(w), value);
    return y;
}

/* x, mean, var, then gamma and beta if there are; eps is an f32 in ONNX */
static hz__wire *batch_norm(hz__writer *w) {
    const hz_attr_batch_norm *a = w->n->attr;
    int gamma = a->gamma ? 3 : 0, beta = a->beta ? (a->gamma ? 4 : 3) : 0;
    if (hz__attr_holds(w, a->eps)) {
        hz__wire *const in[] = {w->in[0], gamma ? w->in[gamma] : filled(w, 1),
                                beta ? w->in[beta] : filled(w, 0), w->in[1], w->in[2]};
        hz__wire *y = hz__emit_list(w, "BatchNormalization", in, 5);
        hz__with_float(w, "epsilon", a->eps);
        return y;
    }
    hz__wire *d = hz__emit2(w, "Sub", w->in[0], per_channel(w, 1));
    hz__wire *y = hz__emit2(w, "Div", d, hz__emit1(w, "Sqrt", hz__shifted(w, per_channel(w, 2), a->eps)));
    if (gamma) y = hz__product(w, y, per_channel(w, gamma));
    return beta ? hz__emit2(w, "Add", y, per_channel(w, beta)) : y;
}

/* ---- losses ---- */

static hz__wire *cross_entropy(hz__writer *w) {
    static const char *const how[] = {
        [HZ_LOSS_MEAN] = "mean", [HZ_LOSS_SUM] = "sum", [HZ_LOSS_NONE] = "none"};
    hz__wire *y = hz__emit2(w, "SoftmaxCrossEntropyLoss", w->in[0], w->in[1]);
    hz__with_text(w, "reduction", how[*(const hz_reduce_loss *)w->n->attr]);
    return y;
}

/* ---- the table ---- */

static const hz__form forms[] = {
    {&hz_op_sum, .write = reduction, .type = "ReduceSum"},
    {&hz_op_mean, .write = reduction, .type = "ReduceMean"},
    {&hz_op_max, .write = reduction, .type = "ReduceMax"},
    {&hz_op_min, .write = reduction, .type = "ReduceMin"},
    {&hz_op_logsumexp, .write = reduction, .type = "ReduceLogSumExp"},
    {&hz_op_softmax, .write = softmax, .type = "Softmax"},
    {&hz_op_log_softmax, .write = softmax, .type = "LogSoftmax"},
    {&hz_op_argmax, .write = argmax},
    {&hz_op_cumsum, .write = cumsum},
    {&hz_op_softmax_grad, .write = softmax_grad},
    {&hz_op_log_softmax_grad, .write = log_softmax_grad},
    {&hz_op_normalize, .write = normalize},
    {&hz_op_normalize_affine, .write = normalize_affine},
    {&hz_op_normalize_grad, .write = normalize_grad},
    {&hz_op_normalize_affine_grad, .write = normalize_grad},
    {&hz_op_normalize_dot, .write = normalize_dot},
    {&hz_op_batch_norm_infer, .write = batch_norm},
    {&hz_op_cross_entropy, .write = cross_entropy},
};

const hz__forms hz__write_reduce = {forms, HZ__COUNT(forms)};
