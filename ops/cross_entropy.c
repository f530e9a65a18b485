/* cross_entropy.c: loss = −log softmax(logits)[label], one a row, or their mean or sum.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "ops/common.h"

/* ---- shape and labels ---- */

static bool cross_entropy_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_reduce_loss *how = n->attr;
    const hz_tensor *logits = hz_in(n, 0), *labels = hz_in(n, 1);
    if (!hz_shape_float(n, out, err)) return false;
    if (labels->dtype != HZ_I32 && labels->dtype != HZ_I64)
        return hz_fail(err, HZ_ESHAPE, "labels %s are %s, not i32 or i64", hz_shape_str(labels).s,
                       hz_dtype_name(labels->dtype));
    if (logits->rank != 2 || labels->rank != 1 || logits->dim[0] != labels->dim[0])
        return hz_fail(err, HZ_ESHAPE, "logits %s and labels %s are not (N, C) and (N)",
                       hz_shape_str(logits).s, hz_shape_str(labels).s);
    if (logits->dim[1] == 0)
        return hz_fail(err, HZ_ESHAPE, "logits %s have no classes", hz_shape_str(logits).s);
    if (*how != HZ_LOSS_MEAN && *how != HZ_LOSS_SUM && *how != HZ_LOSS_NONE)
        return hz_fail(err, HZ_EINVAL, "%d is no hz_reduce_loss", (int)*how);
    out->rank = *how == HZ_LOSS_NONE; /* dim[0] is N already */
    return true;
}

static int64_t label_of(const hz_tensor *labels, int64_t row) {
    int64_t at = row * labels->stride[0];
    return labels->dtype == HZ_I32 ? ((const int32_t *)labels->data)[at]
                                   : ((const int64_t *)labels->data)[at];
}

static bool check_labels(const hz_tensor *labels, int64_t classes, hz_error *err) {
    for (int64_t row = 0; row < labels->dim[0]; row++) {
        int64_t label = label_of(labels, row);
        if (label < 0 || label >= classes)
            return hz_fail(err, HZ_EINVAL,
                           "label %" PRId64 " of row %" PRId64 " is outside 0 … %" PRId64 " (C = %" PRId64
                           ")",
                           label, row, classes - 1, classes);
    }
    return true;
}

/* ---- forward ---- */

/* Pick the losses of the rows out of log softmax; into *out row by row, or summed up in double. */
static void write_losses(const hz_tensor *log_softmax, const hz_tensor *labels, hz_reduce_loss how,
                         const hz_tensor *out) {
    int64_t rows = labels->dim[0];
    double sum = 0;
    for (int64_t row = 0; row < rows; row++) {
        double loss = -hz_get(log_softmax, (int64_t[]){row, label_of(labels, row)});
        if (how == HZ_LOSS_NONE) hz_set(out, &row, loss);
        sum += loss;
    }
    if (how != HZ_LOSS_NONE) hz_set(out, NULL, how == HZ_LOSS_MEAN ? sum / (double)rows : sum);
}

static bool cross_entropy_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_reduce_loss *how = n->attr;
    const hz_tensor *logits = hz_in(n, 0), *labels = hz_in(n, 1);
    if (!check_labels(labels, logits->dim[1], err)) return false;
    hz_tensor scratch = *logits;
    hz_block *block = hz_pool_tensor(ex->pool, &scratch, err);
    if (!block) return false;
    bool ok = hz_softmax_map(ex, true, logits, HZ_AXIS(1), &scratch, err);
    if (ok) write_losses(&scratch, labels, *how, &n->value);
    hz_block_unref(block);
    return ok;
}

/* ---- backward ---- */

/* dlogits = (softmax(logits) − one_hot(labels)) · dy, over N for the mean */
static hz_var cross_entropy_vjp(const hz_node *n, int i, hz_var dy) {
    if (i == 1) return hz_none(n->tape);
    const hz_reduce_loss *how = n->attr;
    const hz_tensor *logits = hz_in(n, 0);
    hz_var hot = hz_one_hot(n->in[1], logits->dim[1], logits->dtype);
    hz_var slope = hz_sub(hz_softmax(n->in[0], HZ_AXIS(1)), hot);
    if (*how == HZ_LOSS_NONE) dy = hz_unsqueeze(dy, 1); /* (N, 1) */
    if (*how == HZ_LOSS_MEAN) dy = hz_scale(dy, 1.0 / (double)logits->dim[0]);
    return hz_mul(slope, dy);
}

/* Without reduction, a row of logits and its label make a loss. */
static bool cross_entropy_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    const hz_reduce_loss *how = n->attr;
    *in = hz_box_full(hz_in(n, i));
    if (*how == HZ_LOSS_NONE) in->lo[0] = out->lo[0], in->hi[0] = out->hi[0];
    return true;
}

static hz_var call_mean(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_cross_entropy(x[0], x[1], HZ_LOSS_MEAN);
}

static hz_var call_sum(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_cross_entropy(x[0], x[1], HZ_LOSS_SUM);
}

static hz_var call_none(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_cross_entropy(x[0], x[1], HZ_LOSS_NONE);
}

static const hz_sample samples[] = {
    {"mean",
     2,
     {{.rank = 2, .dim = {3, 4}}, {.rank = 1, .dim = {3}, .dtype = HZ_I64, .lo = 0, .hi = 3}},
     call_mean,
     false},
    {"sum, i32 labels",
     2,
     {{.rank = 2, .dim = {2, 5}}, {.rank = 1, .dim = {2}, .dtype = HZ_I32, .lo = 0, .hi = 4}},
     call_sum,
     false},
    {"one a row",
     2,
     {{.rank = 2, .dim = {3, 4}}, {.rank = 1, .dim = {3}, .dtype = HZ_I64, .lo = 0, .hi = 3}},
     call_none,
     false},
    {"no rows",
     2,
     {{.rank = 2, .dim = {0, 4}}, {.rank = 1, .dim = {0}, .dtype = HZ_I64, .lo = 0, .hi = 3}},
     call_none,
     false},
};

const hz_op hz_op_cross_entropy = {.name = "cross_entropy",
                                   .n_in = 2,
                                   .attr_size = sizeof(hz_reduce_loss),
                                   .shape = cross_entropy_shape,
                                   .forward = cross_entropy_forward,
                                   .vjp = cross_entropy_vjp,
                                   .reach = cross_entropy_reach,
                                   .samples = samples,
                                   .n_samples = HZ__COUNT(samples)};

hz_var hz_cross_entropy(hz_var logits, hz_var labels, hz_reduce_loss how) {
    return hz_apply2(&hz_op_cross_entropy, logits, labels, &how);
}
