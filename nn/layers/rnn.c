/* rnn.c: the simplest recurrent layer (Elman 1990).
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

static void step_tanh(hz_var x, hz_var u, hz_var *h, hz_var *c) {
    (void)c;
    *h = hz_tanh(hz_add(x, u));
}

static void step_relu(hz_var x, hz_var u, hz_var *h, hz_var *c) {
    (void)c;
    *h = hz_relu(hz_add(x, u));
}

hz_var hz_layer_rnn(hz_net *net, const char *layer, hz_var x, const hz_recurrent_layer *l) {
    static const hz__cell with_tanh = {.gates = 1, .step = step_tanh},
                          with_relu = {.gates = 1, .step = step_relu};
    return hz__layer_recurrent(net, layer, x, l && l->relu ? &with_relu : &with_tanh, l);
}
