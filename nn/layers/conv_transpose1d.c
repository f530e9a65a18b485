/* conv_transpose1d.c: the adjoint of a convolution as a layer, which lengthens sequences.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

hz_var hz_layer_conv_transpose1d(hz_net *net, const char *layer, hz_var x,
                                 const hz_conv_transpose1d_layer *l) {
    const hz_conv_transpose1d_layer o = l ? *l : (hz_conv_transpose1d_layer){.out = 0};
    if (!hz_ok(x)) return x;
    hz_net_enter(net, layer);
    const int64_t out = hz__or_any(o.out);
    const int64_t dim[] = {o.out ? hz__channels(net, x, 3) : -1, hz__share(net, out, o.opts.groups),
                           hz__or_any(o.kernel)};
    hz_var weight, bias;
    hz__weight_bias(net, 3, dim, out, o.no_bias, &weight, &bias);
    return hz_net_output(net, layer, hz_conv_transpose1d(x, weight, bias, &o.opts, o.output_pad));
}
