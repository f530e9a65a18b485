/* train.c: whole training steps of small networks, as a user writes them: layers, a store of parameters, cross-entropy, an
 * optimiser.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "nn/layers.h"
#include "tensor/random.h"

/* ---- the networks ---- */

static const hz_pool2d_opts halves = {.kernel = {2, 2}, .stride = {2, 2}};

/* A convolution that keeps the extents: kernel k × k, padding (k − 1)/2. */
#define CONV(channels, k)                                                  \
    .conv2d = &(const hz_conv2d_layer) {                                   \
        .out = channels, .kernel = {k, k}, .opts.pad = {(k) / 2, (k) / 2 } \
    }
#define LINEAR(features)                 \
    .linear = &(const hz_linear_layer) { \
        .out = features                  \
    }

/* (N, 1, 28, 28) → (N, 10) */
static hz_var lenet(hz_net *net, hz_var x) {
    return hz_sequential(net, "", x,
                         HZ_STAGES({CONV(16, 5)}, {.op = hz_relu}, {.max_pool2d = &halves}, {CONV(32, 5)},
                                   {.op = hz_relu}, {.max_pool2d = &halves}, {.flatten = 1}, {LINEAR(128)},
                                   {.op = hz_relu}, {LINEAR(10)}));
}

/* (N, 784) → (N, 10) */
static hz_var mlp(hz_net *net, hz_var x) {
    return hz_sequential(
        net, "", x, HZ_STAGES({LINEAR(256)}, {.op = hz_relu}, {LINEAR(128)}, {.op = hz_relu}, {LINEAR(10)}));
}

/* (N, 3, 32, 32) → (N, 10) */
static hz_var cifar(hz_net *net, hz_var x) {
    return hz_sequential(net, "", x,
                         HZ_STAGES({CONV(32, 3)}, {.op = hz_relu}, {.max_pool2d = &halves}, {CONV(64, 3)},
                                   {.op = hz_relu}, {.max_pool2d = &halves}, {CONV(128, 3)}, {.op = hz_relu},
                                   {.max_pool2d = &halves}, {.flatten = 1}, {LINEAR(10)}));
}

/* ---- the optimisers ---- */

static hz_optimizer *sgd(hz_error *err) {
    return hz_sgd_new(&(hz_sgd_opts){.lr = 0.001, .momentum = 0.9}, err);
}

static hz_optimizer *adam(hz_error *err) {
    return hz_adam_new(&(hz_adam_opts){.lr = 1e-4}, err);
}

/* ---- the steps ---- */

typedef struct training {
    const char *name;
    hz_var (*network)(hz_net *net, hz_var x);
    int rank;
    int64_t shape[4]; /* of a batch, shape[0] pictures */
    hz_optimizer *(*optimizer)(hz_error *err);
    hz_params *params;
    hz_optimizer *opt;
    hz_var x, labels;
} training;

static void prepare(hz_tape *t, void *data) {
    training *tr = data;
    hz_error err = {HZ_OK, ""};
    tr->x = bench_normal(t, tr->rank, tr->shape);
    tr->labels = hz_full(t, HZ_I64, 1, tr->shape, 0);
    if (hz_ok(tr->labels)) hz_random_fill_uniform(hz_tape_exec(t), 3, 0, 0, 9, hz_value(tr->labels));
    if (!tr->params) {
        tr->params = hz_params_new(&(hz_params_opts){.seed = 2}, &err);
        tr->opt = tr->optimizer(&err);
    }
    if (!tr->params || !tr->opt || !hz_params_build(tr->params, tr->network, tr->rank, tr->shape, &err) ||
        (!hz_optimizer_count(tr->opt) && !hz_params_optimize(tr->params, tr->opt, &err)))
        hz_tape_fail(t, err.code, "%s", err.text);
}

static void run_step(hz_tape *t, void *data) {
    training *tr = data;
    hz_error err = {HZ_OK, ""};
    hz_net net = {.tape = t, .params = tr->params, .training = true};
    hz_var loss = hz_cross_entropy(tr->network(&net, tr->x), tr->labels, HZ_LOSS_MEAN);
    if (!hz_params_minimize(tr->params, tr->opt, loss, &err)) hz_tape_fail(t, err.code, "%s", err.text);
}

static void run_forward(hz_tape *t, void *data) {
    training *tr = data;
    hz_net net = {.tape = t, .params = tr->params};
    tr->network(&net, tr->x);
}

static void measure(bench *b, training tr) {
    char forward[64];
    snprintf(forward, sizeof forward, "%s:forward_only", tr.name);
    bench_run(b, &(workload){.name = tr.name,
                             .prepare = prepare,
                             .run = run_step,
                             .data = &tr,
                             .budget = 3,
                             .max_reps = 3000,
                             .single = true,
                             .steps = 1});
    bench_run(b,
              &(workload){.name = forward, .prepare = prepare, .run = run_forward, .data = &tr, .steps = 1});
    hz_optimizer_free(tr.opt);
    hz_params_free(tr.params);
}

void bench_train(bench *b) {
    static const training trainings[] = {
        {"lenet28_b64_sgdm", lenet, 4, {64, 1, 28, 28}, sgd, .opt = NULL},
        {"mlp784_b128_adam", mlp, 2, {128, 784}, adam, .opt = NULL},
        {"mlp784_b128_adam_fused", mlp, 2, {128, 784}, adam, .opt = NULL}, /* PyTorch's other Adam */
        {"cifar32_b64_sgdm", cifar, 4, {64, 3, 32, 32}, sgd, .opt = NULL},
    };
    for (size_t k = 0; k < sizeof trainings / sizeof trainings[0]; k++) measure(b, trainings[k]);
}
