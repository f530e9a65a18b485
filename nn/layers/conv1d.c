/* conv1d.c: convolution over sequences.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

hz_var hz_layer_conv1d(hz_net *net, const char *layer, hz_var x, const hz_conv1d_layer *l) {
    const hz_conv1d_layer o = l ? *l : (hz_conv1d_layer){.out = 0};
    if (!hz_ok(x)) return x;
    hz_net_enter(net, layer);
    const int64_t in = o.out ? hz__share(net, hz__channels(net, x, 3), o.opts.groups) : -1;
    const int64_t dim[] = {hz__or_any(o.out), in, hz__or_any(o.kernel)};
    hz_var weight, bias;
    hz__weight_bias(net, 3, dim, dim[0], o.no_bias, &weight, &bias);
    return hz_net_output(net, layer, hz_conv1d(x, weight, bias, &o.opts));
}
