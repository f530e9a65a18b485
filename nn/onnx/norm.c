/* norm.c: normalisations.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "nn/onnx/internal.h"

/* ---- BatchNormalization ---- */

/* momentum·old + (1 − momentum)·new */
static hz_var running(hz_var old, hz_var now, double momentum) {
    return hz_add(hz_scale(old, momentum), hz_scale(now, 1 - momentum));
}

static void batch_norm_training(hz__call *c, double eps) {
    hz_var x = hz__arg(c, 0);
    double momentum = hz__attr_float(c, "momentum", 0.9);
    hz_axes axes = 0;
    for (int k = 0; k < hz_value(x)->rank; k++)
        if (k != 1) axes |= HZ_AXIS(k);
    hz__give(c, 0, hz_batch_norm(x, hz__arg(c, 1), hz__arg(c, 2), eps));
    if (hz__wants(c, 1)) hz__give(c, 1, running(hz__arg(c, 3), hz_mean(x, axes, false), momentum));
    if (hz__wants(c, 2)) hz__give(c, 2, running(hz__arg(c, 4), hz_var_of(x, axes, false), momentum));
}

static bool is_training(const hz__call *c) {
    return c->node->opset < 7 ? hz__attr_int(c, "is_test", 0) == 0 : hz__attr_int(c, "training_mode", 0) != 0;
}

static void batch_norm(hz__call *c) {
    double eps = hz__attr_float(c, "epsilon", 1e-5);
    if (hz__attr_int(c, "spatial", 1) == 0)
        hz__refuse(c, "with statistics for every pixel");
    else if (is_training(c))
        batch_norm_training(c, eps);
    else
        hz__give(c, 0,
                 hz_batch_norm_infer(hz__arg(c, 0), hz__arg(c, 1), hz__arg(c, 2), hz__arg(c, 3),
                                     hz__arg(c, 4), eps));
}

bool hz__is_fixed_batch_norm(const hz__call *c) {
    if (c->node->mapping->run != batch_norm || is_training(c) || hz__attr_int(c, "spatial", 1) == 0)
        return false;
    for (int k = 1; k < (int)c->node->proto->n_output; k++)
        if (hz__wants(c, k)) return false;
    return hz__wants(c, 0);
}

/* ---- InstanceNormalization, GroupNormalization ---- */

static void instance_norm(hz__call *c) {
    double eps = hz__attr_float(c, "epsilon", 1e-5);
    hz__give(c, 0, hz_instance_norm(hz__arg(c, 0), hz__arg(c, 1), hz__arg(c, 2), eps));
}

/* Opset 18 has one factor for each group, opset 21 one for each channel. */
static hz_var per_channel(hz__call *c, hz_var factor, int64_t channels, int64_t groups) {
    if (hz_numel(hz_value(factor)) == channels || c->node->opset >= 21) return factor;
    hz_var grid = hz_broadcast_to(hz_reshape(factor, HZ_DIMS(-1, 1)), HZ_DIMS(groups, channels / groups));
    return hz_reshape(grid, HZ_DIMS(channels));
}

static void group_norm(hz__call *c) {
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t groups = hz__attr_int(c, "num_groups", 0);
    if (x->rank < 2 || groups < 1 || x->dim[1] % groups) {
        hz__bad(c, "%" PRId64 " groups of %s", groups, hz_shape_str(x).s);
        return;
    }
    hz_var gamma = per_channel(c, hz__arg(c, 1), x->dim[1], groups),
           beta = per_channel(c, hz__arg(c, 2), x->dim[1], groups);
    hz__give(c, 0, hz_group_norm(hz__arg(c, 0), gamma, beta, groups, hz__attr_float(c, "epsilon", 1e-5)));
}

/* ---- LayerNormalization, RMSNormalization ---- */

/* Axes `axis` … last of input 0. */
static bool last_axes(hz__call *c, int64_t otherwise, hz_axes *axes) {
    int rank = hz__arg_value(c, 0)->rank, axis;
    *axes = 0;
    if (!hz__axis(c, hz__attr_int(c, "axis", otherwise), rank, &axis)) return false;
    for (int k = axis; k < rank; k++) *axes |= HZ_AXIS(k);
    return true;
}

static void layer_norm(hz__call *c) {
    hz_var x = hz__arg(c, 0), b = hz__arg(c, 2);
    double eps = hz__attr_float(c, "epsilon", 1e-5);
    hz_axes axes;
    if (!last_axes(c, -1, &axes)) return;
    hz_var y = hz_mul(hz_normalize(x, axes, eps), hz__arg(c, 1));
    hz__give(c, 0, b.id ? hz_add(y, b) : y);
    if (hz__wants(c, 1)) hz__give(c, 1, hz_mean(x, axes, true));
    if (hz__wants(c, 2)) hz__give(c, 2, hz_rsqrt(hz_add_scalar(hz_var_of(x, axes, true), eps)));
}

/* x / √(mean x² + eps) · scale */
static void rms_norm(hz__call *c) {
    hz_var x = hz__arg(c, 0);
    hz_axes axes;
    if (!last_axes(c, -1, &axes)) return;
    hz_var size = hz_add_scalar(hz_mean(hz_square(x), axes, true), hz__attr_float(c, "epsilon", 1e-5));
    hz__give(c, 0, hz_mul(hz_mul(x, hz_rsqrt(size)), hz__arg(c, 1)));
}

/* ---- the others ---- */

static void lrn(hz__call *c) {
    double alpha = hz__attr_float(c, "alpha", 0.0001), beta = hz__attr_float(c, "beta", 0.75);
    hz__give(c, 0,
             hz_local_response_norm(hz__arg(c, 0), hz__attr_int(c, "size", 1), alpha, beta,
                                    hz__attr_float(c, "bias", 1)));
}

/* (x − mean) / (√var + 1e−9) */
static void mean_variance(hz__call *c) {
    static const int64_t usual[] = {0, 2, 3};
    int64_t given[HZ_MAX_RANK];
    int n;
    hz_axes axes;
    hz_var x = hz__arg(c, 0);
    if (!hz__attr_ints(c, "axes", given, HZ_MAX_RANK, &n)) return;
    if (!hz__axes(c, n < 0 ? usual : given, n < 0 ? 3 : n, hz_value(x)->rank, &axes)) return;
    hz_var deviation = hz_add_scalar(hz_sqrt(hz_var_of(x, axes, true)), 1e-9);
    hz__give(c, 0, hz_div(hz_sub(x, hz_mean(x, axes, true)), deviation));
}

/* x / ‖x‖ */
static void lp_normalization(hz__call *c) {
    hz_var x = hz__arg(c, 0);
    int axis;
    if (!hz__axis(c, hz__attr_int(c, "axis", -1), hz_value(x)->rank, &axis)) return;
    bool one = hz__attr_int(c, "p", 2) == 1;
    hz_var norm =
        one ? hz_sum(hz_abs(x), HZ_AXIS(axis), true) : hz_sqrt(hz_sum(hz_square(x), HZ_AXIS(axis), true));
    hz__give(c, 0, hz_div(x, norm));
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"BatchNormalization", .since = 1, .need = 5, .run = batch_norm},
    {"InstanceNormalization", .since = 6, .need = 3, .run = instance_norm},
    {"GroupNormalization", .since = 18, .need = 3, .run = group_norm},
    {"LayerNormalization", .since = 17, .need = 2, .run = layer_norm},
    {"RMSNormalization", .since = 23, .need = 2, .run = rms_norm},
    {"LRN", .since = 1, .run = lrn},
    {"MeanVarianceNormalization", .since = 9, .run = mean_variance},
    {"LpNormalization", .since = 1, .run = lp_normalization},
};

const hz__family hz__onnx_norm = {mappings, HZ__COUNT(mappings)};
