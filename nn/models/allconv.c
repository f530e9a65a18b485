/* allconv.c: a network for CIFAR-10 of convolutions alone, after All-CNN-C (Springenberg et al. 2015, table 1): the
 * network in which guided backpropagation was first shown. 0.54 million parameters.
 *
 * Where others pool, a convolution takes every second pixel; at the end come a 1 × 1 convolution to one channel per class
 * and the mean over all positions. Unlike the original the channels are fewer and widen on the way, every convolution
 * but the last is followed by batch norm, and there is no dropout.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/model.h"

#include <stdio.h>

/* "conv2" with its batch norm "bn2" and "relu2". */
static hz_var block(hz_net *net, int number, hz_var x, int64_t out, int64_t kernel, int64_t stride) {
    char conv[16], bn[16];
    snprintf(conv, sizeof conv, "conv%d", number);
    snprintf(bn, sizeof bn, "bn%d", number);
    const hz_conv2d_layer layer = {
        .out = out,
        .kernel = {kernel, kernel},
        .opts = {.stride = {stride, stride}, .pad = {kernel / 2, kernel / 2}},
        .no_bias = true,
    };
    x = hz_layer_batch_norm(net, bn, hz_layer_conv2d(net, conv, x, &layer), NULL);
    return hz_namef(hz_relu(x), "relu%d", number);
}

hz_var hz_allconv(hz_net *net, hz_var x) { /* (N, 3, 32, 32) */
    x = block(net, 1, x, 32, 3, 1);        /* (N, 32, 32, 32) */
    x = block(net, 2, x, 48, 3, 1);        /* (N, 48, 32, 32) */
    x = block(net, 3, x, 64, 3, 2);        /* (N, 64, 16, 16) */
    x = block(net, 4, x, 96, 3, 1);        /* (N, 96, 16, 16) */
    x = block(net, 5, x, 96, 3, 1);        /* (N, 96, 16, 16) */
    x = block(net, 6, x, 128, 3, 2);       /* (N, 128, 8, 8) */
    x = block(net, 7, x, 192, 3, 1);       /* (N, 192, 8, 8) */
    x = block(net, 8, x, 192, 1, 1);       /* (N, 192, 8, 8) */
    x = hz_layer_conv2d(net, "conv9", x, &(hz_conv2d_layer){.out = 10, .kernel = {1, 1}}); /* (N, 10, 8, 8) */
    return hz_name(hz_mean(x, HZ_AXIS(2) | HZ_AXIS(3), false), "logits");                  /* (N, 10) */
}
