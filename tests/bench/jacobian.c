/* jacobian.c: the gradients at the pixels of 64 units of SqueezeNet's fire5, channels 64 … 127 in the middle of the
 * picture, in three ways. The names are those of PyTorch's.
 *
 *   loop_bwd_only       64 sweeps over one recorded forward pass
 *   is_grads_batched    one call for the whole matrix: hz_jacobian
 *   input_repeated_x64  a batch of 64 pictures, the k-th asked for its k-th unit: one forward pass and one sweep
 *
 * SPDX-License-Identifier: MIT */
#include "bench.h"
#include "networks.h"

enum { UNITS = 64, FIRST = 64, SIDE = 224 };

typedef struct jacobian {
    network net;
    hz_var x, units, diagonal; /* (N, 3, 224, 224), (N, 64), (64, 64) */
} jacobian;

/* Channels 64 … 127 of fire5 at the middle position: (N, 64). */
static hz_var record(jacobian *j) {
    hz_var h = network_record(&j->net, j->x, "fire5");
    const int64_t *dim = hz_value(h)->dim, flat[] = {dim[0], UNITS};
    h = hz_slice(h, 1, FIRST, UNITS, 1);
    h = hz_slice(hz_slice(h, 2, dim[2] / 2, 1, 1), 3, dim[3] / 2, 1, 1);
    return hz_reshape(h, 2, flat);
}

static void prepare_one(hz_tape *t, void *data) {
    jacobian *j = data;
    j->x = bench_normal(t, HZ_DIMS(1, 3, SIDE, SIDE));
    j->units = record(j);
}

static void prepare_batch(hz_tape *t, void *data) {
    jacobian *j = data;
    j->x = bench_normal(t, HZ_DIMS(UNITS, 3, SIDE, SIDE));
    j->diagonal = hz_full(t, HZ_F32, HZ_DIMS(UNITS, UNITS), 0);
    for (int64_t k = 0; hz_ok(j->diagonal) && k < UNITS; k++)
        hz_set(hz_value(j->diagonal), (const int64_t[]){k, k}, 1);
}

static void run_loop(hz_tape *t, void *data) {
    const jacobian *j = data;
    (void)t;
    for (int64_t k = 0; k < UNITS; k++) hz_grad1(hz_pick(j->units, (const int64_t[]){0, k}), j->x, NULL);
}

static void run_matrix(hz_tape *t, void *data) {
    const jacobian *j = data;
    (void)t;
    hz_jacobian(j->units, j->x, NULL);
}

static void run_batch(hz_tape *t, void *data) {
    jacobian *j = data;
    (void)t;
    hz_grad1(hz_sum(hz_mul(record(j), j->diagonal), HZ_ALL_AXES, false), j->x, NULL);
}

void bench_jacobian(bench *b) {
    jacobian j = {.net.layers = classifier_named("squeezenet")->layers};
    workload w = {.data = &j, .budget = 3, .min_reps = 5};
    w.name = "squeezenet_fire5_64units:loop_bwd_only", w.prepare = prepare_one, w.run = run_loop;
    bench_run(b, &w);
    w.name = "squeezenet_fire5_64units:is_grads_batched", w.run = run_matrix;
    bench_run(b, &w);
    w.name = "squeezenet_fire5_64units:input_repeated_x64_fwd+bwd", w.prepare = prepare_batch,
    w.run = run_batch;
    bench_run(b, &w);
    network_free(&j.net);
}
