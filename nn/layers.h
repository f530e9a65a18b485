/* layers.h: what model definitions are written with: layers that find their parameters by name.
 *
 *   hz_net net = {.tape = t, .weights = w};
 *   hz_var y = hz_relu(hz_layer_conv2d(&net, "conv1", x, &(hz_conv2d_opts){.stride = {2, 2}}));
 *
 * The layer "conv1" takes its parameters from "conv1.weight" and, if there is one, "conv1.bias". Each becomes a leaf
 * named so, and the layer's output is named "conv1", so that hz_find and hz_unit reach it and errors name it. Inside
 * hz_net_enter(&net, "fire2") the same layer is "fire2.conv1", in the weights and on the tape. See nn/models/ for whole
 * networks.
 *
 * Like ops, layers return the inert variable on failure and leave the reason with the tape.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_LAYERS_H
#define HZ_NN_LAYERS_H

#include "nn/weights.h"
#include "ops/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HZ_NET_PATH = 128 };

/* A network while its forward pass is recorded. Set tape and weights, leave the rest zero. */
typedef struct hz_net {
    hz_tape *tape;             /* where ops are recorded */
    const hz_weights *weights; /* must outlive what is recorded: the leaves borrow its tensors */
    char path[HZ_NET_PATH];    /* private: the parts entered, "layer1.0" */
} hz_net;

/* Parts nest; what was entered is left under the same name. hz_name(y, "") then names y after the part. */
void hz_net_enter(hz_net *net, const char *part);
void hz_net_leave(hz_net *net, const char *part);

/* The parameter of that name as a new leaf. The spellings of other frameworks are found, too: kernel or gamma for
 * weight, beta for bias, moving_mean and moving_variance for running_mean and running_var. HZ_ENOTFOUND with the names
 * next to it if there is none. A parameter that serves twice is asked for once. */
hz_var hz_param(hz_net *net, const char *name);

/* The same, but the inert variable and no error if there is none. */
hz_var hz_param_optional(hz_net *net, const char *name);

/* ---- layers; x, result and parameters are shaped as for the op of that name ---- */

/* Parameters weight, bias or none. */
hz_var hz_layer_conv2d(hz_net *net, const char *layer, hz_var x, const hz_conv2d_opts *opts);
hz_var hz_layer_linear(hz_net *net, const char *layer, hz_var x);

/* With given statistics: running_mean, running_var, weight (γ) or none, bias (β) or none. */
hz_var hz_layer_batch_norm(hz_net *net, const char *layer, hz_var x, double eps);

#ifdef __cplusplus
}
#endif
#endif
