/* linear.c: y = x·Wᵀ + b.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

hz_var hz_layer_linear(hz_net *net, const char *layer, hz_var x, const hz_linear_layer *l) {
    const hz_linear_layer o = l ? *l : (hz_linear_layer){.out = 0};
    if (!hz_ok(x)) return x;
    const hz_tensor *v = hz_value(x);
    const int64_t in = o.out && v->rank > 0 ? v->dim[v->rank - 1] : -1;
    hz_net_enter(net, layer);
    hz_var weight = hz__weight(net, HZ_DIMS(hz__or_any(o.out), in), in);
    hz_var bias = hz__bias(net, hz__or_any(o.out), in, o.no_bias);
    return hz_net_output(net, layer, hz_linear(x, weight, bias));
}
