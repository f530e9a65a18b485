/* dropout.c: noise for training (Srivastava et al. 2014).
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers.h"

hz_var hz_layer_dropout(hz_net *net, const char *layer, hz_var x, double p) {
    if (!net->training || p == 0 || !hz_ok(x)) return x;
    return hz_name(hz_dropout(x, p, hz_net_seed(net, layer)), layer);
}
