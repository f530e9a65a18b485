/* running_norm.c: normalisations that keep running statistics for when training is over.
 *
 * SPDX-License-Identifier: MIT */
#include "autograd/recompute.h"
#include "nn/layers/internal.h"
#include "tensor/reduce.h"

/* Of x: which axes, and over how many numbers each mean is taken. */
static hz_axes axes_of(const hz_tensor *x, int first) {
    return (HZ_AXIS(x->rank) - HZ_AXIS(first)) & ~HZ_AXIS(1);
}

static int64_t numbers(const hz_tensor *x, int first) {
    int64_t n = 1;
    for (int k = first; k < x->rank; k++) n *= k == 1 ? 1 : x->dim[k];
    return n;
}

/* running = (1 − share)·running + share·scale·batch; of what is known for every picture (N, C, …) the mean. */
static void approach(const hz_tensor *running, const hz_tensor *batch, double share, double scale) {
    const int64_t channels = hz_numel(running), pictures = batch->dim[0];
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0;
        for (int64_t n = 0; n < pictures; n++) sum += hz_get_flat(batch, n * channels + c);
        const double now = hz_get_flat(running, c);
        hz_set_flat(running, c, (1 - share) * now + share * scale * sum / (double)pictures);
    }
}

/* Let the running statistics approach those of x; the variance of n numbers becomes unbiased by n/(n − 1). */
static bool track(const hz_exec *ex, const hz_tensor *x, int first, const hz_tensor *mean,
                  const hz_tensor *var, double share, hz_error *err) {
    const double n = (double)numbers(x, first);
    hz_tensor m = *x;
    for (int k = first; k < x->rank; k++) m.dim[k] = k == 1 ? x->dim[1] : 1;
    hz_tensor v = m;
    hz_block *mb = hz_pool_tensor(ex->pool, &m, err), *vb = hz_pool_tensor(ex->pool, &v, err);
    const bool ok = mb && vb && hz_moments(ex, x, axes_of(x, first), &m, &v, err);
    if (ok) {
        approach(mean, &m, share, 1);
        approach(var, &v, share, n / (n - 1));
    }
    hz_block_unref(mb);
    hz_block_unref(vb);
    return ok;
}

/* By x's own statistics. Of a single number the variance is 0 and nothing of it would be left. */
static hz_var normalize(hz_net *net, hz_var x, hz_var gamma, hz_var beta, const hz__running_norm *o) {
    const hz_tensor *v = hz_value(x);
    if (numbers(v, o->first_axis) == 1 && hz_numel(v) > 0)
        return hz_tape_fail(net->tape, HZ_ESHAPE,
                            "\"%s\": input %s has one number for each mean, at least two are needed",
                            net->path, hz_shape_str(v).s);
    return o->normalize(x, gamma, beta, o->eps);
}

/* The same in training, with the running statistics following. */
static hz_var normalize_and_track(hz_net *net, hz_var x, hz_var gamma, hz_var beta, const hz_tensor *mean,
                                  const hz_tensor *var, const hz__running_norm *o) {
    hz_error err = {HZ_OK, ""};
    if (!net->params)
        return hz_tape_fail(net->tape, HZ_EINVAL, "\"%s\": training needs a store of parameters", net->path);
    const hz_tensor *count = hz_buffer(net, "num_batches_tracked", HZ_I64, 0, NULL, 0);
    hz_var y = normalize(net, x, gamma, beta, o);
    if (!hz_ok(y) || !count || hz_numel(hz_value(x)) == 0 || hz_recomputing(net->tape)) return y;
    if (!track(hz_tape_exec(net->tape), hz_value(x), o->first_axis, mean, var, o->momentum, &err))
        return hz_tape_fail(net->tape, err.code, "%s", err.text);
    if (o->counts) hz_set_flat(count, 0, hz_get_flat(count, 0) + 1);
    return y;
}

static hz_var record(hz_net *net, hz_var x, const hz__running_norm *o) {
    const int64_t channels = hz__channels(net, x, 0);
    hz_var gamma = hz__gamma(net, HZ_DIMS(channels), o->no_affine),
           beta = hz__beta(net, HZ_DIMS(channels), o->no_affine);
    if (o->no_running) return normalize(net, x, gamma, beta, o);
    const hz_dtype dtype = net->params ? hz_params_dtype(net->params) : hz_value(x)->dtype;
    const hz_tensor *mean = hz_buffer(net, "running_mean", dtype, HZ_DIMS(channels), 0);
    const hz_tensor *var = hz_buffer(net, "running_var", dtype, HZ_DIMS(channels), 1);
    if (net->params) hz_buffer(net, "num_batches_tracked", HZ_I64, 0, NULL, 0);
    if (!mean || !var) return hz_none(net->tape);
    if (net->training) return normalize_and_track(net, x, gamma, beta, mean, var, o);
    return hz_batch_norm_infer(x, gamma, beta, hz_param(net, "running_mean"), hz_param(net, "running_var"),
                               o->eps);
}

hz_var hz__layer_running_norm(hz_net *net, const char *layer, hz_var x, const hz__running_norm *o) {
    if (!hz_ok(x)) return x;
    hz__running_norm norm = *o;
    norm.eps = hz__or_default(o->eps, 1e-5);
    norm.momentum = hz__or_default(o->momentum, 0.1);
    hz_net_enter(net, layer);
    return hz_net_output(net, layer, record(net, x, &norm));
}
