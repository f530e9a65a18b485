/* transformer.c: the block of which transformers are made (Vaswani et al. 2017; norm_first: Xiong et al. 2020).
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

static hz_var norm(hz_net *net, const char *layer, hz_var x, const hz_transformer_layer *o) {
    return hz_layer_layer_norm(net, layer, x,
                               &(hz_layer_norm_layer){.eps = o->eps, .no_bias = o->attention.no_bias});
}

static hz_var attend(hz_net *net, hz_var x, const hz_transformer_layer *o) {
    x = hz_layer_attention(net, "self_attn", x, x, x, &o->attention);
    return hz_layer_dropout(net, "dropout1", x, o->attention.dropout);
}

static hz_var think(hz_net *net, hz_var x, const hz_transformer_layer *o) {
    const hz_tensor *v = hz_value(x);
    const bool no_bias = o->attention.no_bias;
    const int64_t width = hz_ok(x) ? v->dim[v->rank - 1] : 0;
    x = hz_layer_linear(net, "linear1", x, &(hz_linear_layer){.out = o->feedforward, .no_bias = no_bias});
    x = o->gelu ? hz_gelu(x) : hz_relu(x);
    x = hz_layer_dropout(net, "dropout", x, o->attention.dropout);
    x = hz_layer_linear(net, "linear2", x, &(hz_linear_layer){.out = width, .no_bias = no_bias});
    return hz_layer_dropout(net, "dropout2", x, o->attention.dropout);
}

hz_var hz_layer_transformer(hz_net *net, const char *layer, hz_var x, const hz_transformer_layer *l) {
    const hz_transformer_layer o = l ? *l : (hz_transformer_layer){.feedforward = 0};
    if (!hz_ok(x)) return x;
    hz_net_enter(net, layer);
    if (o.norm_first) {
        x = hz_add(x, attend(net, norm(net, "norm1", x, &o), &o));
        x = hz_add(x, think(net, norm(net, "norm2", x, &o), &o));
    } else {
        x = norm(net, "norm1", hz_add(x, attend(net, x, &o)), &o);
        x = norm(net, "norm2", hz_add(x, think(net, x, &o)), &o);
    }
    return hz_net_output(net, layer, x);
}
