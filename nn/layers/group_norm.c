/* group_norm.c: normalisation over groups of channels (Wu & He 2018).
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

hz_var hz_layer_group_norm(hz_net *net, const char *layer, hz_var x, const hz_group_norm_layer *l) {
    const hz_group_norm_layer o = l ? *l : (hz_group_norm_layer){.groups = 0};
    if (!hz_ok(x)) return x;
    const int64_t groups = o.groups ? o.groups : 1;
    hz_net_enter(net, layer);
    const int64_t channels = hz__channels(net, x, 0);
    hz__share(net, channels, groups);
    hz_var gamma = hz__gamma(net, HZ_DIMS(channels), o.no_affine),
           beta = hz__beta(net, HZ_DIMS(channels), o.no_affine);
    return hz_net_output(net, layer, hz_group_norm(x, gamma, beta, groups, hz__or_default(o.eps, 1e-5)));
}
