/* squeezenet.c: SqueezeNet v1.0 (Iandola et al. 2016), ImageNet, 1,248,424 parameters.
 *
 * conv1 → pool1 → fire2 … fire4 → pool4 → fire5 … fire8 → pool8 → fire9 → conv10 → mean over all positions.
 * A fire module squeezes the channels with 1 × 1 kernels and expands them again with 1 × 1 and 3 × 3 ones; its name
 * stands for the two expansions side by side.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/model.h"

static hz_var conv_relu(hz_net *net, const char *name, hz_var x, const hz_conv2d_layer *opts) {
    return hz_namef(hz_relu(hz_layer_conv2d(net, name, x, opts)), "relu_%s", name);
}

static hz_var max_pool(hz_var x, const char *name) {
    const hz_pool2d_opts opts = {.kernel = {3, 3}, .stride = {2, 2}, .ceil = true};
    return hz_name(hz_max_pool2d(x, &opts), name);
}

static hz_var fire(hz_net *net, const char *name, hz_var x) {
    hz_net_enter(net, name);
    hz_var squeezed = conv_relu(net, "squeeze1x1", x, NULL), expanded[2];
    expanded[0] = conv_relu(net, "expand1x1", squeezed, NULL);
    expanded[1] = conv_relu(net, "expand3x3", squeezed, &(hz_conv2d_layer){.opts.pad = {1, 1}});
    hz_var y = hz_name(hz_concat(expanded, 2, 1), "");
    hz_net_leave(net, name);
    return y;
}

hz_var hz_squeezenet1_0(hz_net *net, hz_var x) {                               /* (N, 3, 227, 227) */
    x = conv_relu(net, "conv1", x, &(hz_conv2d_layer){.opts.stride = {2, 2}}); /* (N, 96, 111, 111) */
    x = max_pool(x, "pool1");                                                  /* (N, 96, 55, 55) */
    x = fire(net, "fire4", fire(net, "fire3", fire(net, "fire2", x)));         /* (N, 256, 55, 55) */
    x = max_pool(x, "pool4");                                                  /* (N, 256, 27, 27) */
    x = fire(net, "fire6", fire(net, "fire5", x));                             /* (N, 384, 27, 27) */
    x = fire(net, "fire8", fire(net, "fire7", x));                             /* (N, 512, 27, 27) */
    x = max_pool(x, "pool8");                                                  /* (N, 512, 13, 13) */
    x = fire(net, "fire9", x);                                                 /* (N, 512, 13, 13) */
    x = conv_relu(net, "conv10", x, &(hz_conv2d_layer){.opts.pad = {1, 1}});   /* (N, 1000, 15, 15) */
    return hz_name(hz_mean(x, HZ_AXIS(2) | HZ_AXIS(3), false), "logits");      /* (N, 1000) */
}
