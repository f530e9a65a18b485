/* batch_norm_infer.c: batch normalisation with given statistics, an affine map per channel:
 *
 *   y = (x − mean)·gamma·r + beta,   r = 1/√(var + eps)
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "ops/normalization.h"

/* n->in: x, mean, var, then gamma and beta if there are */
enum { X, MEAN, VAR, GAMMA };

static int beta_at(const hz_node *n) {
    return ((const hz_attr_batch_norm *)n->attr)->gamma ? GAMMA + 1 : GAMMA;
}

static const char *role(const hz_node *n, int i) {
    static const char *const name[] = {"input", "mean", "variance", "gamma", "beta"};
    return name[i == beta_at(n) ? 4 : i];
}

static bool batch_norm_infer_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *x = hz_in(n, X);
    const hz_attr_batch_norm *a = n->attr;
    if (!hz_shape_float(n, out, err) || !hz__check_eps(a->eps, err)) return false;
    if (x->rank < 2) return hz_fail(err, HZ_ESHAPE, "input %s must be (N, C, …)", hz_shape_str(x).s);
    for (int i = 1; i < n->n_in; i++) {
        const hz_tensor *p = hz_in(n, i);
        if (p->dtype != x->dtype || p->rank != 1 || p->dim[0] != x->dim[1])
            return hz_fail(err, HZ_ESHAPE,
                           "%s %s %s does not have one number for each channel of input %s %s", role(n, i),
                           hz_dtype_name(p->dtype), hz_shape_str(p).s, hz_dtype_name(x->dtype),
                           hz_shape_str(x).s);
    }
    return true;
}

/* ---- forward: y = x·scale + shift ---- */

static void fold_statistics(const hz_node *n, const hz_tensor *scale, const hz_tensor *shift) {
    const hz_attr_batch_norm *a = n->attr;
    for (int64_t c = 0; c < scale->dim[0]; c++) {
        double s = 1 / sqrt(hz_get_flat(hz_in(n, VAR), c) + a->eps);
        if (a->gamma) s *= hz_get_flat(hz_in(n, GAMMA), c);
        double beta = a->beta ? hz_get_flat(hz_in(n, beta_at(n)), c) : 0;
        hz_set_flat(scale, c, s);
        hz_set_flat(shift, c, beta - hz_get_flat(hz_in(n, MEAN), c) * s);
    }
}

/* row (C) of the scratch, repeated to the shape of y */
static hz_tensor repeated(const hz_tensor *scratch, int row, const hz_tensor *y) {
    hz_tensor view = *y;
    for (int k = 0; k < y->rank; k++) view.stride[k] = k == 1 ? 1 : 0;
    view.data = (char *)scratch->data + (size_t)(row * scratch->stride[0]) * hz_dtype_size(y->dtype);
    return view;
}

static bool batch_norm_infer_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_tensor *y = &n->value;
    hz_tensor scratch = hz_tensor_of(NULL, y->dtype, HZ_DIMS(2, y->dim[1]));
    hz_block *block = hz_pool_tensor(ex->pool, &scratch, err);
    if (!block) return false;
    hz_tensor scale, shift, all_scale = repeated(&scratch, 0, y), all_shift = repeated(&scratch, 1, y);
    scale = hz_tensor_of(all_scale.data, y->dtype, HZ_DIMS(y->dim[1]));
    shift = hz_tensor_of(all_shift.data, y->dtype, HZ_DIMS(y->dim[1]));
    fold_statistics(n, &scale, &shift);
    hz_mul_add(ex, hz_in(n, X), &all_scale, &all_shift, y);
    hz_block_unref(block);
    return true;
}

/* ---- gradient ---- */

/* Σ over everything but the channels */
static hz_var sum_channels(hz_var x) {
    return hz_sum(x, hz__all_but_channels(hz_value(x)), false);
}

/* dx = dy·gamma·r, dmean = −Σ dy·gamma·r, dvar = −½·Σ dy·(x − mean)·gamma·r³, dgamma = Σ dy·(x − mean)·r,
 * dbeta = Σ dy */
static hz_var batch_norm_infer_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_batch_norm *a = n->attr;
    int rank = n->value.rank;
    if (a->beta && i == beta_at(n)) return sum_channels(dy);
    hz_var r = hz_rsqrt(hz_add_scalar(n->in[VAR], a->eps));
    hz_var scale = a->gamma ? hz_mul(n->in[GAMMA], r) : r;
    if (i == X) return hz_mul(dy, hz__per_channel(scale, rank));
    if (i == MEAN) return hz_neg(hz_mul(sum_channels(dy), scale));
    hz_var centred = hz_sub(n->in[X], hz__per_channel(n->in[MEAN], rank));
    hz_var sum = sum_channels(hz_mul(dy, centred));
    if (i == VAR) return hz_scale(hz_mul(sum, hz_mul(scale, hz_square(r))), -0.5);
    return hz_mul(sum, r);
}

static bool batch_norm_infer_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    (void)n;
    *in = *out;
    if (i != X) in->lo[0] = out->lo[1], in->hi[0] = out->hi[1];
    return true;
}

/* ---- samples ---- */

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_batch_norm_infer(x[0], x[1], x[2], x[3], x[4], 1e-2);
}

static hz_var call_plain(hz_tape *t, const hz_var *x) {
    return hz_batch_norm_infer(x[0], hz_none(t), hz_none(t), x[1], x[2], 1e-2);
}

static hz_var call_beta(hz_tape *t, const hz_var *x) {
    return hz_batch_norm_infer(x[0], hz_none(t), x[1], x[2], x[3], 1e-2);
}

static const hz_sample samples[] = {
    {"images",
     5,
     {{.rank = 4, .dim = {2, 3, 2, 2}},
      {.rank = 1, .dim = {3}},
      {.rank = 1, .dim = {3}},
      {.rank = 1, .dim = {3}},
      {.rank = 1, .dim = {3}, .lo = 0.5, .hi = 2}},
     call,
     false},
    {"statistics alone, vectors",
     3,
     {{.rank = 2, .dim = {3, 4}}, {.rank = 1, .dim = {4}}, {.rank = 1, .dim = {4}, .lo = 0.5, .hi = 2}},
     call_plain,
     false},
    {"no gamma",
     4,
     {{.rank = 3, .dim = {2, 2, 3}},
      {.rank = 1, .dim = {2}},
      {.rank = 1, .dim = {2}},
      {.rank = 1, .dim = {2}, .lo = 0.5, .hi = 2}},
     call_beta,
     false},
    {"no images",
     3,
     {{.rank = 2, .dim = {0, 4}}, {.rank = 1, .dim = {4}}, {.rank = 1, .dim = {4}, .lo = 0.5, .hi = 2}},
     call_plain,
     false},
};

const hz_op hz_op_batch_norm_infer = {.name = "batch_norm_infer",
                                      .n_in = HZ_VARIADIC,
                                      .attr_size = sizeof(hz_attr_batch_norm),
                                      .shape = batch_norm_infer_shape,
                                      .forward = batch_norm_infer_forward,
                                      .vjp = batch_norm_infer_vjp,
                                      .reach = batch_norm_infer_reach,
                                      .samples = samples,
                                      .n_samples = HZ__COUNT(samples)};

hz_var hz_batch_norm_infer(hz_var x, hz_var gamma, hz_var beta, hz_var mean, hz_var var, double eps) {
    hz_var in[5] = {x, mean, var};
    int n = 3;
    if (gamma.id) in[n++] = gamma;
    if (beta.id) in[n++] = beta;
    return hz_apply(&hz_op_batch_norm_infer, in, n,
                    &(hz_attr_batch_norm){.eps = eps, .gamma = gamma.id != 0, .beta = beta.id != 0});
}
