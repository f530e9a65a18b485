/* linear.c: y = x·Wᵀ + b.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

hz_var hz_layer_linear(hz_net *net, const char *layer, hz_var x, const hz_linear_layer *l) {
    const hz_linear_layer o = l ? *l : (hz_linear_layer){.out = 0};
    if (!hz_ok(x)) return x;
    const hz_tensor *v = hz_value(x);
    const int64_t dim[] = {hz__or_any(o.out), o.out && v->rank > 0 ? v->dim[v->rank - 1] : -1};
    hz_var weight, bias;
    hz_net_enter(net, layer);
    hz__weight_bias(net, 2, dim, dim[0], o.no_bias, &weight, &bias);
    return hz_net_output(net, layer, hz_linear(x, weight, bias));
}
