/* networks.c: see networks.h. A network is a list of layers, each given what left the one before; start reading with the
 * lists at the end. Weights are normal with variance 2/fan-in (He et al. 2015), so that activations keep their size.
 *
 * SPDX-License-Identifier: MIT */
#include "networks.h"

#include <math.h>
#include <string.h>

#include "tensor/random.h"

/* ---- parameters ---- */

static bool make_param(network *n, hz_tape *t, double mean, double std, int rank, const int64_t *dim) {
    if (n->made == NETWORK_PARAMS) return hz_ok(hz_tape_fail(t, HZ_EINVAL, "too many parameters"));
    hz_tensor value = hz_tensor_of(NULL, HZ_F32, rank, dim);
    value.data = hz_alloc(NULL, hz_nbytes(&value));
    if (!value.data) return hz_ok(hz_tape_fail(t, HZ_ENOMEM, "no memory for a parameter"));
    hz_random_fill_normal(hz_tape_exec(t), 2, (uint64_t)n->made, mean, std, &value);
    n->param[n->made++] = value;
    return true;
}

/* The next parameter, as a leaf. */
static hz_var param(network *n, hz_tape *t, double mean, double std, int rank, const int64_t *dim) {
    if (n->used == n->made && !make_param(n, t, mean, std, rank, dim)) return hz_none(t);
    hz_var leaf = hz_input(t, &n->param[n->used]);
    n->leaf[n->used++] = leaf;
    return leaf;
}

void network_free(network *n) {
    for (int k = 0; k < n->made; k++) hz_free(NULL, n->param[k].data);
    n->made = n->used = 0;
}

/* ---- layers ---- */

static hz_var convolve(network *n, hz_var x, int64_t out, int64_t kernel, int64_t stride, int64_t pad,
                       bool bias) {
    const int64_t in = hz_value(x)->dim[1], shape[] = {out, in, kernel, kernel};
    const hz_conv2d_opts opts = {.stride = {stride, stride}, .pad = {pad, pad}};
    if (!hz_ok(x)) return x;
    hz_var w = param(n, x.tape, 0, sqrt(2.0 / (double)(in * kernel * kernel)), 4, shape);
    hz_var b = bias ? param(n, x.tape, 0, 0.01, 1, &out) : hz_none(x.tape);
    return hz_conv2d(x, w, b, &opts);
}

static hz_var conv(network *n, const layer *l, hz_var x) {
    return convolve(n, x, l->out, l->kernel, l->stride ? l->stride : 1, l->pad, true);
}

static hz_var linear(network *n, const layer *l, hz_var x) {
    const int64_t in = hz_value(x)->dim[1], shape[] = {l->out, in};
    if (!hz_ok(x)) return x;
    hz_var w = param(n, x.tape, 0, sqrt(2.0 / (double)in), 2, shape);
    return hz_linear(x, w, param(n, x.tape, 0, 0.01, 1, &l->out));
}

static hz_var relu(network *n, const layer *l, hz_var x) {
    (void)n, (void)l;
    return hz_relu(x);
}

static hz_var flatten(network *n, const layer *l, hz_var x) {
    (void)n, (void)l;
    return hz_flatten(x, 1);
}

static hz_var max_pool(network *n, const layer *l, hz_var x) {
    (void)n;
    return hz_max_pool2d(x, &(hz_pool2d_opts){.kernel = {l->kernel, l->kernel},
                                              .stride = {l->stride, l->stride},
                                              .pad = {l->pad, l->pad}});
}

/* Partial windows at the end count. */
static hz_var max_pool_ceil(network *n, const layer *l, hz_var x) {
    (void)n;
    return hz_max_pool2d(
        x,
        &(hz_pool2d_opts){.kernel = {l->kernel, l->kernel}, .stride = {l->stride, l->stride}, .ceil = true});
}

/* To out × out positions. */
static hz_var average(network *n, const layer *l, hz_var x) {
    (void)n;
    return hz_adaptive_avg_pool2d(x, l->out, l->out);
}

/* ---- blocks ---- */

/* SqueezeNet's fire module (Iandola et al. 2016): (N, C, H, W) → (N, 2·out, H, W). */
static hz_var fire(network *n, const layer *l, hz_var x) {
    hz_var squeezed = hz_relu(convolve(n, x, l->squeeze, 1, 1, 0, true)), expanded[2];
    expanded[0] = hz_relu(convolve(n, squeezed, l->out, 1, 1, 0, true));
    expanded[1] = hz_relu(convolve(n, squeezed, l->out, 3, 1, 1, true));
    return hz_concat(expanded, 2, 1);
}

/* Given statistics, those of a network fresh from its initialiser. */
static hz_var batch_norm(network *n, hz_var x) {
    const int64_t channels = hz_value(x)->dim[1];
    if (!hz_ok(x)) return x;
    hz_var gamma = param(n, x.tape, 1, 0, 1, &channels), beta = param(n, x.tape, 0, 0, 1, &channels);
    hz_var mean = param(n, x.tape, 0, 0, 1, &channels), var = param(n, x.tape, 1, 0, 1, &channels);
    return hz_batch_norm_infer(x, gamma, beta, mean, var, 1e-5);
}

static hz_var conv_bn(network *n, hz_var x, int64_t out, int64_t kernel, int64_t stride, int64_t pad) {
    return batch_norm(n, convolve(n, x, out, kernel, stride, pad, false));
}

static hz_var stem(network *n, const layer *l, hz_var x) {
    return hz_relu(conv_bn(n, x, l->out, l->kernel, l->stride, l->pad));
}

/* ResNet's basic block (He et al. 2016); the shortcut is a 1 × 1 convolution where the shape changes. */
static hz_var residual(network *n, const layer *l, hz_var x) {
    const int64_t stride = l->stride ? l->stride : 1;
    hz_var y = hz_relu(conv_bn(n, x, l->out, 3, stride, 1));
    y = conv_bn(n, y, l->out, 3, 1, 1);
    if (stride > 1) x = conv_bn(n, x, l->out, 1, stride, 0);
    return hz_relu(hz_add(y, x));
}

/* ---- the networks ---- */

static const layer squeezenet[] = {
    {"conv1", .op = conv, .out = 64, .kernel = 3, .stride = 2},
    {"relu1", .op = relu},
    {"pool1", .op = max_pool_ceil, .kernel = 3, .stride = 2},
    {"fire2", .op = fire, .out = 64, .squeeze = 16},
    {"fire3", .op = fire, .out = 64, .squeeze = 16},
    {"pool3", .op = max_pool_ceil, .kernel = 3, .stride = 2},
    {"fire4", .op = fire, .out = 128, .squeeze = 32},
    {"fire5", .op = fire, .out = 128, .squeeze = 32},
    {"pool5", .op = max_pool_ceil, .kernel = 3, .stride = 2},
    {"fire6", .op = fire, .out = 192, .squeeze = 48},
    {"fire7", .op = fire, .out = 192, .squeeze = 48},
    {"fire8", .op = fire, .out = 256, .squeeze = 64},
    {"fire9", .op = fire, .out = 256, .squeeze = 64},
    {"conv10", .op = conv, .out = 1000, .kernel = 1},
    {"relu10", .op = relu},
    {"pool10", .op = average, .out = 1},
    {"logits", .op = flatten},
    {.op = NULL},
};

static const layer alexnet[] = {
    {"conv1", .op = conv, .out = 64, .kernel = 11, .stride = 4, .pad = 2},
    {"relu1", .op = relu},
    {"pool1", .op = max_pool, .kernel = 3, .stride = 2},
    {"conv2", .op = conv, .out = 192, .kernel = 5, .pad = 2},
    {"relu2", .op = relu},
    {"pool2", .op = max_pool, .kernel = 3, .stride = 2},
    {"conv3", .op = conv, .out = 384, .kernel = 3, .pad = 1},
    {"relu3", .op = relu},
    {"conv4", .op = conv, .out = 256, .kernel = 3, .pad = 1},
    {"relu4", .op = relu},
    {"conv5", .op = conv, .out = 256, .kernel = 3, .pad = 1},
    {"relu5", .op = relu},
    {"pool5", .op = max_pool, .kernel = 3, .stride = 2},
    {"average", .op = average, .out = 6},
    {"features", .op = flatten},
    {"fc6", .op = linear, .out = 4096},
    {"relu6", .op = relu},
    {"fc7", .op = linear, .out = 4096},
    {"relu7", .op = relu},
    {"logits", .op = linear, .out = 1000},
    {.op = NULL},
};

static const layer resnet18[] = {
    {"conv1", .op = stem, .out = 64, .kernel = 7, .stride = 2, .pad = 3},
    {"pool1", .op = max_pool, .kernel = 3, .stride = 2, .pad = 1},
    {"layer1.0", .op = residual, .out = 64},
    {"layer1", .op = residual, .out = 64},
    {"layer2.0", .op = residual, .out = 128, .stride = 2},
    {"layer2", .op = residual, .out = 128},
    {"layer3.0", .op = residual, .out = 256, .stride = 2},
    {"layer3", .op = residual, .out = 256},
    {"layer4.0", .op = residual, .out = 512, .stride = 2},
    {"layer4", .op = residual, .out = 512},
    {"average", .op = average, .out = 1},
    {"features", .op = flatten},
    {"logits", .op = linear, .out = 1000},
    {.op = NULL},
};

static const layer vgg16[] = {
    {"conv1_1", .op = conv, .out = 64, .kernel = 3, .pad = 1},
    {"relu1_1", .op = relu},
    {"conv1_2", .op = conv, .out = 64, .kernel = 3, .pad = 1},
    {"relu1_2", .op = relu},
    {"pool1", .op = max_pool, .kernel = 2, .stride = 2},
    {"conv2_1", .op = conv, .out = 128, .kernel = 3, .pad = 1},
    {"relu2_1", .op = relu},
    {"conv2_2", .op = conv, .out = 128, .kernel = 3, .pad = 1},
    {"relu2_2", .op = relu},
    {"pool2", .op = max_pool, .kernel = 2, .stride = 2},
    {"conv3_1", .op = conv, .out = 256, .kernel = 3, .pad = 1},
    {"relu3_1", .op = relu},
    {"conv3_2", .op = conv, .out = 256, .kernel = 3, .pad = 1},
    {"relu3_2", .op = relu},
    {"conv3_3", .op = conv, .out = 256, .kernel = 3, .pad = 1},
    {"relu3_3", .op = relu},
    {"pool3", .op = max_pool, .kernel = 2, .stride = 2},
    {"conv4_1", .op = conv, .out = 512, .kernel = 3, .pad = 1},
    {"relu4_1", .op = relu},
    {"conv4_2", .op = conv, .out = 512, .kernel = 3, .pad = 1},
    {"relu4_2", .op = relu},
    {"conv4_3", .op = conv, .out = 512, .kernel = 3, .pad = 1},
    {"relu4_3", .op = relu},
    {"pool4", .op = max_pool, .kernel = 2, .stride = 2},
    {"conv5_1", .op = conv, .out = 512, .kernel = 3, .pad = 1},
    {"relu5_1", .op = relu},
    {"conv5_2", .op = conv, .out = 512, .kernel = 3, .pad = 1},
    {"relu5_2", .op = relu},
    {"conv5_3", .op = conv, .out = 512, .kernel = 3, .pad = 1},
    {"relu5_3", .op = relu},
    {"pool5", .op = max_pool, .kernel = 2, .stride = 2},
    {"average", .op = average, .out = 7},
    {"features", .op = flatten},
    {"fc6", .op = linear, .out = 4096},
    {"relu6", .op = relu},
    {"fc7", .op = linear, .out = 4096},
    {"relu7", .op = relu},
    {"logits", .op = linear, .out = 1000},
    {.op = NULL},
};

/* AlexNet and VGG-16 are asked for units before their ReLU, the others after it. */
const classifier classifiers[CLASSIFIERS] = {
    {"squeezenet", squeezenet, "fire2", "fire5", "fire9"},
    {"alexnet", alexnet, "conv1", "conv3", "conv5"},
    {"resnet18", resnet18, "layer1", "layer2", "layer4"},
    {"vgg16", vgg16, "conv1_2", "conv3_3", "conv5_3"},
};

const classifier *classifier_named(const char *name) {
    for (int k = 0; k < CLASSIFIERS; k++)
        if (strcmp(classifiers[k].name, name) == 0) return &classifiers[k];
    return NULL;
}

hz_var network_record(network *n, hz_var x, const char *until) {
    n->used = 0;
    for (const layer *l = n->layers; l->op; l++) {
        x = hz_name(l->op(n, l, x), l->name);
        if (until && strcmp(l->name, until) == 0) break;
    }
    return x;
}
