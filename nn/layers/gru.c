/* gru.c: the gated recurrent unit (Cho et al. 2014), its reset gate applied after the product, as in cuDNN and PyTorch.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

enum { R, Z, N, GATES };

static void step(hz_var x, hz_var u, hz_var *h, hz_var *c) {
    (void)c;
    hz_var rz = hz_sigmoid(hz_add(hz__gates(x, *h, R, 2), hz__gates(u, *h, R, 2)));
    hz_var r = hz__gates(rz, *h, R, 1), z = hz__gates(rz, *h, Z, 1);
    hz_var n = hz_tanh(hz_add(hz__gates(x, *h, N, 1), hz_mul(r, hz__gates(u, *h, N, 1))));
    *h = hz_add(n, hz_mul(z, hz_sub(*h, n))); /* (1 − z)·n + z·h */
}

hz_var hz_layer_gru(hz_net *net, const char *layer, hz_var x, const hz_recurrent_layer *l) {
    static const hz__cell cell = {.gates = GATES, .step = step};
    return hz__layer_recurrent(net, layer, x, &cell, l);
}
