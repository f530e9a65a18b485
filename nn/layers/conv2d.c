/* conv2d.c: convolution over pictures.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

hz_var hz_layer_conv2d(hz_net *net, const char *layer, hz_var x, const hz_conv2d_layer *l) {
    const hz_conv2d_layer o = l ? *l : (hz_conv2d_layer){.out = 0};
    if (!hz_ok(x)) return x;
    hz_net_enter(net, layer);
    const int64_t in = o.out ? hz__share(net, hz__channels(net, x, 4), o.opts.groups) : -1;
    const int64_t dim[] = {hz__or_any(o.out), in, hz__or_any(o.kernel[0]), hz__or_any(o.kernel[1])};
    hz_var weight, bias;
    hz__weight_bias(net, 4, dim, dim[0], o.no_bias, &weight, &bias);
    return hz_net_output(net, layer, hz_conv2d(x, weight, bias, &o.opts));
}
