/* cross_entropy.c: loss = −log softmax(logits)[label], one a row, or their mean or sum: one op. With label smoothing,
 * class weights or a label to ignore, and for given log-probabilities, it is made of other ops: the last part.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "ops/common.h"

/* ---- shape and labels ---- */

static bool check_rows(const hz_tensor *logits, const hz_tensor *labels, hz_error *err) {
    if (labels->dtype != HZ_I32 && labels->dtype != HZ_I64)
        return hz_fail(err, HZ_ESHAPE, "labels %s are %s, not i32 or i64", hz_shape_str(labels).s,
                       hz_dtype_name(labels->dtype));
    if (logits->rank != 2 || labels->rank != 1 || logits->dim[0] != labels->dim[0])
        return hz_fail(err, HZ_ESHAPE, "logits %s and labels %s are not (N, C) and (N)",
                       hz_shape_str(logits).s, hz_shape_str(labels).s);
    if (logits->dim[1] == 0)
        return hz_fail(err, HZ_ESHAPE, "logits %s have no classes", hz_shape_str(logits).s);
    return true;
}

static bool cross_entropy_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_reduce_loss *how = n->attr;
    const hz_tensor *logits = hz_in(n, 0), *labels = hz_in(n, 1);
    if (!hz_shape_float(n, out, err) || !check_rows(logits, labels, err)) return false;
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

static bool check_labels(const hz_tensor *labels, int64_t classes, const int64_t *ignore, hz_error *err) {
    for (int64_t row = 0; row < labels->dim[0]; row++) {
        int64_t label = label_of(labels, row);
        if ((label < 0 || label >= classes) && !(ignore && label == *ignore))
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
    if (!check_labels(labels, logits->dim[1], NULL, err)) return false;
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

/* ---- with options ---- */

static bool check_weights(const hz_tensor *logits, hz_var weights, hz_error *err) {
    const hz_tensor *w = hz_value(weights);
    if (!weights.tape) return true;
    if (w->dtype == logits->dtype && w->rank == 1 && w->dim[0] == logits->dim[1]) return true;
    return hz_fail(err, HZ_ESHAPE, "class weights %s %s are not one %s for each class of %s",
                   hz_dtype_name(w->dtype), hz_shape_str(w).s, hz_dtype_name(logits->dtype),
                   hz_shape_str(logits).s);
}

static bool check_options(const hz_tensor *x, const hz_tensor *labels, const hz_cross_entropy_opts *o,
                          hz_error *err) {
    if (!hz_dtype_is_float(x->dtype))
        return hz_fail(err, HZ_ESHAPE, "input %s is %s, not f32 or f64", hz_shape_str(x).s,
                       hz_dtype_name(x->dtype));
    if (!(o->label_smoothing >= 0 && o->label_smoothing <= 1))
        return hz_fail(err, HZ_EINVAL, "label_smoothing is %g, outside 0 … 1", o->label_smoothing);
    if (o->reduce != HZ_LOSS_MEAN && o->reduce != HZ_LOSS_SUM && o->reduce != HZ_LOSS_NONE)
        return hz_fail(err, HZ_EINVAL, "%d is no hz_reduce_loss", (int)o->reduce);
    return check_rows(x, labels, err) && check_weights(x, o->class_weights, err) &&
           check_labels(labels, x->dim[1], o->ignore, err);
}

static bool check_call(const char *name, hz_var x, hz_var labels, const hz_cross_entropy_opts *o) {
    hz_error err = {HZ_OK, ""};
    if (!x.tape) return false; /* nobody to tell */
    if (!hz_ok(x) || !hz_ok(labels) || (o->class_weights.tape && !hz_ok(o->class_weights)))
        hz_fail(&err, HZ_EINVAL, "an input is the inert variable");
    else if (check_options(hz_value(x), hz_value(labels), o, &err))
        return true;
    hz_tape_fail(x.tape, err.code, "%s: %s", name, err.text);
    return false;
}

/* Labels with their weights. */
typedef struct rows {
    hz_var label;  /* (N); 0 for rows to ignore */
    hz_var weight; /* (N), or no tape: all 1 */
    hz_var keep;   /* (N) u8, or no tape: all rows count */
} rows;

/* Whatever x is, finite or not, in rows to ignore: 0. */
static hz_var kept(const rows *r, hz_var x) {
    return r->keep.tape ? hz_where(r->keep, x, hz_scalar(x.tape, hz_value(x)->dtype, 0)) : x;
}

static rows weigh(hz_var log_p, hz_var labels, const hz_cross_entropy_opts *o) {
    hz_tape *t = log_p.tape;
    hz_dtype dtype = hz_value(labels)->dtype;
    rows r = {.label = labels};
    if (o->ignore) {
        r.keep = hz_ne(labels, hz_scalar(t, dtype, (double)*o->ignore));
        r.label = hz_where(r.keep, labels, hz_scalar(t, dtype, 0));
    }
    if (o->class_weights.tape)
        r.weight = hz_gather(o->class_weights, 0, r.label);
    else if (o->ignore)
        r.weight = hz_full(t, hz_value(log_p)->dtype, HZ_DIMS(hz_value(labels)->dim[0]), 1);
    return r;
}

/* −Σ_c q_c·log_p_c of each row */
static hz_var row_losses(hz_var log_p, const rows *r, const hz_cross_entropy_opts *o) {
    const double smoothing = o->label_smoothing, classes = (double)hz_value(log_p)->dim[1];
    hz_var picked = hz_squeeze(hz_gather_elements(log_p, 1, hz_unsqueeze(r->label, 1)), HZ_AXIS(1));
    hz_var loss = hz_scale(r->weight.tape ? hz_mul(picked, r->weight) : picked, smoothing - 1);
    if (smoothing > 0) {
        hz_var all = o->class_weights.tape ? hz_mul(log_p, o->class_weights) : log_p;
        loss = hz_sub(loss, hz_scale(hz_sum(all, HZ_AXIS(1), false), smoothing / classes));
    }
    return kept(r, loss);
}

static hz_var weighted_loss(hz_var log_p, hz_var labels, const hz_cross_entropy_opts *o) {
    rows r = weigh(log_p, labels, o);
    hz_var loss = row_losses(log_p, &r, o);
    if (o->reduce == HZ_LOSS_NONE) return loss;
    hz_var sum = hz_sum(loss, HZ_ALL_AXES, false);
    if (o->reduce == HZ_LOSS_SUM) return sum;
    if (!r.weight.tape) return hz_mean(loss, HZ_ALL_AXES, false);
    return hz_div(sum, hz_sum(kept(&r, r.weight), HZ_ALL_AXES, false));
}

hz_var hz_nll(hz_var log_p, hz_var labels, const hz_cross_entropy_opts *opts) {
    const hz_cross_entropy_opts none = {.reduce = HZ_LOSS_MEAN}, *o = opts ? opts : &none;
    return check_call("nll", log_p, labels, o) ? weighted_loss(log_p, labels, o) : hz_none(log_p.tape);
}

hz_var hz_cross_entropy_with(hz_var logits, hz_var labels, const hz_cross_entropy_opts *opts) {
    const hz_cross_entropy_opts none = {.reduce = HZ_LOSS_MEAN}, *o = opts ? opts : &none;
    if (!check_call("cross_entropy", logits, labels, o)) return hz_none(logits.tape);
    if (o->label_smoothing == 0 && !o->class_weights.tape && !o->ignore)
        return hz_cross_entropy(logits, labels, o->reduce);
    return weighted_loss(hz_log_softmax(logits, HZ_AXIS(1)), labels, o);
}
