/* resnet20.c: ResNet-20 for CIFAR-10 (He et al. 2016, section 4.2), 0.27 million parameters.
 *
 * Three stages of three blocks. Where a stage halves the picture and doubles the channels, the shortcut takes every second
 * pixel and fills the new channels with zeros (the paper's option A), so that it has no parameters. A block's name
 * stands for its output after the ReLU, a stage's for that of its last block.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/model.h"

static hz_var conv_bn(hz_net *net, const char *conv, const char *bn, hz_var x, int64_t stride) {
    const hz_conv2d_layer opts = {.opts = {.stride = {stride, stride}, .pad = {1, 1}}};
    return hz_layer_batch_norm(net, bn, hz_layer_conv2d(net, conv, x, &opts), NULL);
}

/* (N, C, H, W) → (N, 2C, H/2, W/2): every second pixel, C/2 channels of zeros before and after. */
static hz_var option_a(hz_var x) {
    const hz_tensor *v = hz_value(x);
    if (!hz_ok(x) || v->rank != 4) return x;
    const int64_t zeros[] = {0, v->dim[1] / 2, 0, 0};
    x = hz_slice(hz_slice(x, 2, 0, (v->dim[2] + 1) / 2, 2), 3, 0, (v->dim[3] + 1) / 2, 2);
    return hz_name(hz_pad(x, zeros, zeros, HZ_PAD_CONSTANT, 0), "shortcut");
}

static hz_var block(hz_net *net, const char *name, hz_var x, int64_t stride) {
    hz_net_enter(net, name);
    hz_var y = hz_name(hz_relu(conv_bn(net, "conv1", "bn1", x, stride)), "relu1");
    y = conv_bn(net, "conv2", "bn2", y, 1);
    y = hz_name(hz_add(y, stride == 1 ? x : option_a(x)), "add");
    y = hz_name(hz_name(hz_relu(y), "relu2"), "");
    hz_net_leave(net, name);
    return y;
}

static hz_var stage(hz_net *net, const char *name, hz_var x, int64_t stride) {
    hz_net_enter(net, name);
    x = block(net, "2", block(net, "1", block(net, "0", x, stride), 1), 1);
    hz_name(x, "");
    hz_net_leave(net, name);
    return x;
}

hz_var hz_resnet20(hz_net *net, hz_var x) {                              /* (N, 3, 32, 32) */
    x = hz_name(hz_relu(conv_bn(net, "conv1", "bn1", x, 1)), "relu1");   /* (N, 16, 32, 32) */
    x = stage(net, "layer1", x, 1);                                      /* (N, 16, 32, 32) */
    x = stage(net, "layer2", x, 2);                                      /* (N, 32, 16, 16) */
    x = stage(net, "layer3", x, 2);                                      /* (N, 64, 8, 8) */
    x = hz_name(hz_mean(x, HZ_AXIS(2) | HZ_AXIS(3), false), "avg_pool"); /* (N, 64) */
    return hz_name(hz_layer_linear(net, "linear", x, NULL), "logits");   /* (N, 10) */
}
