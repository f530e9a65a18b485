/* lenet.c: LeNet-5 for handwritten digits (LeCun et al. 1998, section II B), 0.06 million parameters.
 *
 * As it is written today: ReLU where there was a scaled tanh, the largest of four pixels where there was a weighted mean,
 * every map of the second convolution sees all of the first, and the scores come from a layer like any other.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/model.h"

static hz_var halve(hz_var x) {
    return hz_max_pool2d(x, &(hz_pool2d_opts){.kernel = {2, 2}, .stride = {2, 2}});
}

hz_var hz_lenet(hz_net *net, hz_var x) { /* (N, 1, 28, 28) */
    x = hz_layer_conv2d(net, "conv1", x, &(hz_conv2d_layer){.out = 6, .kernel = {5, 5}, .opts.pad = {2, 2}});
    x = hz_name(halve(hz_name(hz_relu(x), "relu1")), "pool1"); /* (N, 6, 14, 14) */
    x = hz_layer_conv2d(net, "conv2", x, &(hz_conv2d_layer){.out = 16, .kernel = {5, 5}});
    x = hz_name(halve(hz_name(hz_relu(x), "relu2")), "pool2"); /* (N, 16, 5, 5) */
    x = hz_layer_linear(net, "fc1", hz_flatten(x, 1), &(hz_linear_layer){.out = 120});
    x = hz_layer_linear(net, "fc2", hz_name(hz_relu(x), "relu3"), &(hz_linear_layer){.out = 84});
    x = hz_layer_linear(net, "fc3", hz_name(hz_relu(x), "relu4"), &(hz_linear_layer){.out = 10});
    return hz_name(x, "logits"); /* (N, 10) */
}
