/* conv2d.c: convolution over pictures.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

hz_var hz_layer_conv2d(hz_net *net, const char *layer, hz_var x, const hz_conv2d_layer *l) {
    const hz_conv2d_layer o = l ? *l : (hz_conv2d_layer){.out = 0};
    if (!hz_ok(x)) return x;
    const hz_tensor *v = hz_value(x);
    const int64_t groups = o.opts.groups ? o.opts.groups : 1;
    const int64_t in = o.out && v->rank == 4 && v->dim[1] % groups == 0 ? v->dim[1] / groups : -1;
    const int64_t r = hz__or_any(o.kernel[0]), s = hz__or_any(o.kernel[1]);
    hz_net_enter(net, layer);
    hz_var weight = hz__weight(net, HZ_DIMS(hz__or_any(o.out), in, r, s), in * r * s);
    hz_var bias = hz__bias(net, hz__or_any(o.out), in * r * s, o.no_bias);
    return hz_net_output(net, layer, hz_conv2d(x, weight, bias, &o.opts));
}
