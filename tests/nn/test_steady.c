/* test_steady.c: after the first steps, a step of training asks nobody for memory: not the tape, not the store, not the
 * optimiser.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "nn/hzero.h"
#include "tensor/random.h"

/* How often the allocator was called. */
static void *counted(void *ctx, size_t size) {
    ++*(int64_t *)ctx;
    return malloc(size);
}

static void freed(void *ctx, void *p) {
    (void)ctx;
    free(p);
}

static const hz_pool2d_opts halves = {.kernel = {2, 2}, .stride = {2, 2}};

static hz_var branch(hz_net *net, hz_var x, const void *options) {
    (void)options;
    return hz_residual(
        net, "branch", x,
        HZ_STAGES({.conv2d = &(hz_conv2d_layer){.out = 8, .kernel = {3, 3}, .opts.pad = {1, 1}}},
                  {.batch_norm = &(hz_batch_norm_layer){.eps = 0}}, {.op = hz_relu}),
        NULL);
}

/* (N, 1, 12, 12) → (N, 10) */
static hz_var network(hz_net *net, hz_var x) {
    x = hz_sequential(
        net, "features", x,
        HZ_STAGES({.conv2d = &(hz_conv2d_layer){.out = 8, .kernel = {5, 5}, .opts.pad = {2, 2}}},
                  {.op = hz_relu}, {.max_pool2d = &halves}));
    x = hz_net_recompute(net, branch, x, NULL);
    return hz_sequential(net, "classifier", x,
                         HZ_STAGES({.flatten = 1}, {.dropout = 0.3},
                                   {.linear = &(hz_linear_layer){.out = 32}}, {.op = hz_tanh},
                                   {.linear = &(hz_linear_layer){.out = 10}}));
}

enum { BATCH = 6, WARM_UP = 3, STEPS = 12 };

static hz_optimizer *optimizer(int which, const hz_allocator *alloc) {
    hz_error err;
    switch (which) {
    case 0:
        return hz_sgd_new(&(hz_sgd_opts){.momentum = 0.9, .alloc = alloc}, &err);
    case 1:
        return hz_adamw_new(&(hz_adam_opts){.alloc = alloc}, &err);
    case 2:
        return hz_rmsprop_new(&(hz_rmsprop_opts){.momentum = 0.9, .centered = true, .alloc = alloc}, &err);
    default:
        return hz_lion_new(&(hz_lion_opts){.alloc = alloc}, &err);
    }
}

static void train(int which, int threads) {
    static float pixels[BATCH * 144];
    int64_t calls = 0, warm = 0, label[BATCH] = {3, 1, 4, 1, 5, 9};
    hz_error err = {HZ_OK, ""};
    const hz_allocator alloc = {counted, freed, &calls};
    hz_tape *t = hz_tape_new(&(hz_tape_opts){.alloc = &alloc, .threads = threads});
    hz_params *p = hz_params_new(&(hz_params_opts){.alloc = &alloc}, &err);
    hz_optimizer *opt = optimizer(which, &alloc);
    cr_assert(t && p && opt);
    const hz_tensor x = hz_tensor_of(pixels, HZ_F32, HZ_DIMS(BATCH, 1, 12, 12));
    const hz_tensor labels = hz_tensor_of(label, HZ_I64, HZ_DIMS(BATCH));
    hz_random_fill_normal(hz_tape_exec(t), 1, 0, 0, 1, &x);
    cr_assert(hz_params_build(p, network, HZ_DIMS(1, 1, 12, 12), &err) && hz_params_optimize(p, opt, &err) &&
                  hz_optimizer_set_clip(opt, 1, 0.5, &err),
              "%s", err.text);
    for (int step = 0; step < STEPS; step++) {
        if (step == WARM_UP) warm = calls;
        hz_tape_reset(t);
        hz_net net = {.tape = t, .params = p, .training = true, .seed = 1, .step = step};
        hz_var loss = hz_cross_entropy(network(&net, hz_input(t, &x)), hz_input(t, &labels), HZ_LOSS_MEAN);
        cr_assert(hz_params_minimize(p, opt, loss, &err), "%s", err.text);
    }
    cr_expect_gt(warm, 0);
    cr_expect_eq(calls, warm, "%s, %d threads: %d calls", hz_optimizer_name(opt), threads,
                 (int)(calls - warm));
    hz_tape_free(t);
    hz_optimizer_free(opt);
    hz_params_free(p);
}

Test(steady, a_step_allocates_nothing) {
    for (int which = 0; which < 4; which++)
        for (int threads = 1; threads <= 2; threads++) train(which, threads);
}
