/* resnet50.c: ResNet-50 (He et al. 2016), ImageNet, 25.6 million parameters, under the names Keras gives its layers.
 *
 * Four stages, "res2" to "res5", of 3, 4, 6 and 3 blocks "a", "b", …. A block runs 1 × 1, 3 × 3 and 1 × 1 convolutions
 * ("res2a_branch2a" to "c", each with its batch norm "bn2a_branch2a") beside a shortcut, which in block a is a
 * convolution ("res2a_branch1") and else x itself. "res2a" is the block's output after its last ReLU. ReLUs and sums
 * carry Keras's running numbers, too: "activation_1", "add_1". A stage halves the picture in its first 1 × 1 kernel.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/model.h"

#include <stdio.h>

static const hz_batch_norm_layer norm = {.eps = 1e-3};

/* The convolution "res2a_branch2a" and its batch norm "bn2a_branch2a", where is "2a_branch" and which "2a". */
static hz_var conv_bn(hz_net *net, const char *where, const char *which, hz_var x, int64_t stride,
                      int64_t pad) {
    char conv[64], bn[64];
    snprintf(conv, sizeof conv, "res%s%s", where, which);
    snprintf(bn, sizeof bn, "bn%s%s", where, which);
    x = hz_layer_conv2d(net, conv, x,
                        &(hz_conv2d_layer){.opts = {.stride = {stride, stride}, .pad = {pad, pad}}});
    return hz_layer_batch_norm(net, bn, x, &norm);
}

/* "add" for number 0, then "add_1", …; likewise "activation". */
static hz_var numbered(hz_var x, const char *name, int number) {
    return number ? hz_namef(x, "%s_%d", name, number) : hz_name(x, name);
}

/* number counts the blocks of the whole network from 0. */
static hz_var bottleneck(hz_net *net, int stage, char block, int number, hz_var x) {
    char where[32];
    snprintf(where, sizeof where, "%d%c_branch", stage, block);
    int64_t stride = block == 'a' && stage > 2 ? 2 : 1;
    hz_var y = numbered(hz_relu(conv_bn(net, where, "2a", x, stride, 0)), "activation", 3 * number + 1);
    y = numbered(hz_relu(conv_bn(net, where, "2b", y, 1, 1)), "activation", 3 * number + 2);
    y = conv_bn(net, where, "2c", y, 1, 0);
    if (block == 'a') x = conv_bn(net, where, "1", x, stride, 0);
    y = numbered(hz_add(y, x), "add", number);
    y = numbered(hz_relu(y), "activation", 3 * number + 3);
    return hz_namef(y, "res%d%c", stage, block);
}

hz_var hz_resnet50(hz_net *net, hz_var x) { /* (N, 3, 224, 224) */
    static const int blocks[] = {3, 4, 6, 3};
    static const int64_t border[] = {0, 0, 1, 1}; /* of zeros: the maximum sees them, as in training */
    const hz_pool2d_opts pool = {.kernel = {3, 3}, .stride = {2, 2}};
    x = hz_layer_conv2d(net, "conv1", x, &(hz_conv2d_layer){.opts = {.stride = {2, 2}, .pad = {3, 3}}});
    x = hz_name(hz_relu(hz_layer_batch_norm(net, "bn_conv1", x, &norm)),
                "activation"); /* (N, 64, 112, 112) */
    x = hz_name(hz_pad(x, border, border, HZ_PAD_CONSTANT, 0), "pool1_pad");
    x = hz_name(hz_max_pool2d(x, &pool), "max_pooling2d"); /* (N, 64, 56, 56) */
    for (int stage = 2, number = 0; stage <= 5; stage++)
        for (int k = 0; k < blocks[stage - 2]; k++) x = bottleneck(net, stage, (char)('a' + k), number++, x);
    x = hz_name(hz_mean(x, HZ_AXIS(2) | HZ_AXIS(3), false), "avg_pool"); /* (N, 2048) */
    return hz_name(hz_layer_linear(net, "fc1000", x, NULL), "logits");   /* (N, 1000) */
}
