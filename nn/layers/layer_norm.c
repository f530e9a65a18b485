/* layer_norm.c: normalisation of each position by itself (Ba, Kiros & Hinton 2016).
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

hz_var hz_layer_layer_norm(hz_net *net, const char *layer, hz_var x, const hz_layer_norm_layer *l) {
    const hz_layer_norm_layer o = l ? *l : (hz_layer_norm_layer){.axes = 0};
    if (!hz_ok(x)) return x;
    const hz_tensor *v = hz_value(x);
    const int n = o.axes ? o.axes : 1;
    hz_net_enter(net, layer);
    if (n < 1 || n > v->rank)
        return hz_net_output(net, layer,
                             hz_tape_fail(net->tape, HZ_EINVAL, "\"%s\": input %s has no %d last axes",
                                          net->path, hz_shape_str(v).s, n));
    const int64_t *last = v->dim + v->rank - n;
    hz_var gamma = hz__gamma(net, n, last, o.no_affine),
           beta = hz__beta(net, n, last, o.no_affine || o.no_bias);
    return hz_net_output(net, layer, hz_layer_norm(x, gamma, beta, n, hz__or_default(o.eps, 1e-5)));
}
