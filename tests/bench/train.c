/* train.c: whole training steps of small networks: forward pass, cross-entropy, gradient of all parameters, and the
 * optimiser. The optimisers here are plain loops over each parameter, for the benchmark alone.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "networks.h"
#include "tensor/random.h"

typedef struct training training;

struct training {
    const char *name;
    const layer *layers;
    int64_t shape[4]; /* of a batch, shape[0] pictures */
    int rank;
    void (*update)(training *tr, int k, const float *grad); /* parameter k */
    network net;
    hz_var x, labels;
    float *moment[2][NETWORK_PARAMS]; /* the optimiser's memory, one number per parameter each */
    int64_t steps;
};

/* ---- optimisers ---- */

/* v = 0.9·v + g;  p = p − lr·v (Polyak 1964, as in PyTorch) */
static void sgd_momentum(training *tr, int k, const float *restrict g) {
    const float lr = 0.001f, momentum = 0.9f;
    float *restrict p = tr->net.param[k].data, *restrict v = tr->moment[0][k];
    const int64_t n = hz_numel(&tr->net.param[k]);
    for (int64_t i = 0; i < n; i++) {
        v[i] = momentum * v[i] + g[i];
        p[i] -= lr * v[i];
    }
}

/* m, v = running means of g and g²;  p = p − lr·m̂/(√v̂ + eps) (Kingma & Ba 2015) */
static void adam(training *tr, int k, const float *restrict g) {
    const float b1 = 0.9f, b2 = 0.999f, eps = 1e-8f;
    const float lr = (float)(1e-4 / (1 - pow(b1, (double)tr->steps)));
    const float unbias = (float)(1 / sqrt(1 - pow(b2, (double)tr->steps)));
    float *restrict p = tr->net.param[k].data, *restrict m = tr->moment[0][k], *restrict v = tr->moment[1][k];
    const int64_t n = hz_numel(&tr->net.param[k]);
    for (int64_t i = 0; i < n; i++) {
        m[i] = b1 * m[i] + (1 - b1) * g[i];
        v[i] = b2 * v[i] + (1 - b2) * g[i] * g[i];
        p[i] -= lr * m[i] / (sqrtf(v[i]) * unbias + eps);
    }
}

/* Zeros for parameters that have come since the last call. */
static bool make_moments(training *tr) {
    for (int k = 0; k < tr->net.made; k++) {
        const size_t size = hz_nbytes(&tr->net.param[k]);
        for (int j = 0; j < 2; j++)
            if (!tr->moment[j][k] && !(tr->moment[j][k] = hz_alloc0(NULL, size))) return false;
    }
    return true;
}

static void free_training(training *tr) {
    for (int k = 0; k < NETWORK_PARAMS; k++) hz_free(NULL, tr->moment[0][k]), hz_free(NULL, tr->moment[1][k]);
    network_free(&tr->net);
}

/* ---- the steps ---- */

static void prepare(hz_tape *t, void *data) {
    training *tr = data;
    tr->x = bench_normal(t, tr->rank, tr->shape);
    tr->labels = hz_full(t, HZ_I64, 1, tr->shape, 0);
    if (hz_ok(tr->labels)) hz_random_fill_uniform(hz_tape_exec(t), 3, 0, 0, 9, hz_value(tr->labels));
    network_record(&tr->net, tr->x, NULL); /* makes the parameters */
    if (!make_moments(tr)) hz_tape_fail(t, HZ_ENOMEM, "no memory for the optimiser");
}

static void run_step(hz_tape *t, void *data) {
    training *tr = data;
    hz_var loss = hz_cross_entropy(network_record(&tr->net, tr->x, NULL), tr->labels, HZ_LOSS_MEAN);
    hz_var grad[NETWORK_PARAMS];
    if (!hz_grad(&loss, 1, tr->net.leaf, tr->net.used, NULL, grad)) return;
    tr->steps++;
    for (int k = 0; k < tr->net.used && hz_tape_ok(t, NULL); k++) tr->update(tr, k, hz_value(grad[k])->data);
}

static void run_forward(hz_tape *t, void *data) {
    training *tr = data;
    (void)t;
    network_record(&tr->net, tr->x, NULL);
}

static void measure(bench *b, training tr) {
    char forward[64];
    bench_run(b, &(workload){.name = tr.name,
                             .prepare = prepare,
                             .run = run_step,
                             .data = &tr,
                             .budget = 3,
                             .max_reps = 3000,
                             .single = true,
                             .steps = 1});
    snprintf(forward, sizeof forward, "%s:forward_only", tr.name);
    bench_run(b,
              &(workload){.name = forward, .prepare = prepare, .run = run_forward, .data = &tr, .steps = 1});
    free_training(&tr);
}

void bench_train(bench *b) {
    static const training trainings[] = {
        {.name = "lenet28_b64_sgdm", lenet, {64, 1, 28, 28}, 4, sgd_momentum},
        {.name = "mlp784_b128_adam", mlp, {128, 784}, 2, adam},
        {.name = "mlp784_b128_adam_fused",
         mlp,
         {128, 784},
         2,
         adam}, /* PyTorch's other Adam; ours is one loop */
        {.name = "cifar32_b64_sgdm", cifar_net, {64, 3, 32, 32}, 4, sgd_momentum},
    };
    for (size_t k = 0; k < sizeof trainings / sizeof trainings[0]; k++) {
        training tr = trainings[k];
        tr.net.layers = tr.layers;
        measure(b, tr);
    }
}
