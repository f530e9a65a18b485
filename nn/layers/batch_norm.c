/* batch_norm.c: batch normalisation with running statistics (Ioffe & Szegedy 2015).
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"
#include "tensor/elementwise.h"
#include "tensor/reduce.h"

/* running = (1 − share)·running + share·batch */
static void approach(const hz_tensor *running, const hz_tensor *batch, double share, double scale) {
    for (int64_t k = 0; k < hz_numel(running); k++) {
        const double now = hz_get(running, &k), new = hz_get(batch, &k) * scale;
        hz_set(running, &k, (1 - share) * now + share * new);
    }
}

static hz_axes all_but_channels(const hz_tensor *x) {
    return (HZ_AXIS(x->rank) - 1) & ~HZ_AXIS(1);
}

/* Let the running statistics approach those of x; the variance of n numbers becomes unbiased by n/(n − 1). */
static bool track(hz_tape *t, const hz_tensor *x, const hz_tensor *mean, const hz_tensor *var,
                  const hz_tensor *count, double share, hz_error *err) {
    const hz_exec *ex = hz_tape_exec(t);
    hz_tensor m = *mean, v = *var;
    hz_block *mb = hz_pool_tensor(ex->pool, &m, err), *vb = hz_pool_tensor(ex->pool, &v, err);
    const bool ok = mb && vb && hz_moments(ex, x, all_but_channels(x), &m, &v, err);
    if (ok) {
        const double n = (double)hz_numel(x) / (double)(x->dim[1] ? x->dim[1] : 1);
        approach(mean, &m, share, 1);
        approach(var, &v, share, n > 1 ? n / (n - 1) : 1);
        if (count) ++*(int64_t *)count->data;
    }
    hz_block_unref(mb);
    hz_block_unref(vb);
    return ok;
}

static hz_var normalise_batch(hz_net *net, hz_var x, hz_var gamma, hz_var beta, const hz_tensor *mean,
                              const hz_tensor *var, const hz_batch_norm_layer *o) {
    hz_error err = {HZ_OK, ""};
    const hz_tensor *count = hz_buffer(net, "num_batches_tracked", HZ_I64, 0, NULL, 0);
    hz_var y = hz_batch_norm(x, gamma, beta, o->eps);
    if (hz_ok(y) && hz_numel(hz_value(x)) > 0 &&
        !track(net->tape, hz_value(x), mean, var, count, o->momentum, &err))
        return hz_tape_fail(net->tape, err.code, "%s", err.text);
    return y;
}

hz_var hz_layer_batch_norm(hz_net *net, const char *layer, hz_var x, const hz_batch_norm_layer *l) {
    hz_batch_norm_layer o = l ? *l : (hz_batch_norm_layer){.eps = 0};
    if (!hz_ok(x)) return x;
    o.eps = hz__or_default(o.eps, 1e-5);
    o.momentum = hz__or_default(o.momentum, 0.1);
    const int64_t channels = hz_value(x)->rank > 1 ? hz_value(x)->dim[1] : -1;
    const hz_dtype dtype = hz_value(x)->dtype;
    hz_var gamma, beta, y;
    hz_net_enter(net, layer);
    hz__affine(net, HZ_DIMS(channels), o.no_affine, &gamma, &beta);
    const hz_tensor *mean = hz_buffer(net, "running_mean", dtype, HZ_DIMS(channels), 0);
    const hz_tensor *var = hz_buffer(net, "running_var", dtype, HZ_DIMS(channels), 1);
    if (net->params) hz_buffer(net, "num_batches_tracked", HZ_I64, 0, NULL, 0);
    if (!mean || !var)
        y = hz_none(net->tape);
    else if (net->training)
        y = normalise_batch(net, x, gamma, beta, mean, var, &o);
    else
        y = hz_batch_norm_infer(x, gamma, beta, hz_param(net, "running_mean"), hz_param(net, "running_var"),
                                o.eps);
    return hz_net_output(net, layer, y);
}
