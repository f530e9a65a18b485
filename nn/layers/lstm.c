/* lstm.c: long short-term memory (Hochreiter & Schmidhuber 1997) with forget gates (Gers et al. 2000).
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

enum { I, F, G, O, GATES };

static void step(hz_var x, hz_var u, hz_var *h, hz_var *c) {
    hz_var a = hz_add(x, u),
           s = hz_sigmoid(a); /* of G, too: one pass over all costs less than two over parts */
    hz_var kept = hz_mul(hz__gates(s, *h, F, 1), *c);
    hz_var added = hz_mul(hz__gates(s, *h, I, 1), hz_tanh(hz__gates(a, *h, G, 1)));
    hz_var o = hz__gates(s, *h, O, 1);
    *c = hz_add(kept, added);
    *h = hz_mul(o, hz_tanh(*c));
}

hz_var hz_layer_lstm(hz_net *net, const char *layer, hz_var x, const hz_recurrent_layer *l) {
    static const hz__cell cell = {.gates = GATES, .has_c = true, .step = step};
    return hz__layer_recurrent(net, layer, x, &cell, l);
}
