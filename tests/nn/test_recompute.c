/* test_recompute.c: a network trained with parts that are run again is, bit for bit, the one trained with all kept.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "nn/hzero.h"
#include "tensor/random.h"

enum { BLOCKS = 6, STEPS = 5, CHANNELS = 4, BATCH = 3, SIDE = 6 };

typedef struct stage {
    char name[16];
    double drop;
} stage;

static stage stages[BLOCKS];
static bool run_again;

/* x + dropout(relu(bn(conv(x)))), the convolution twice, with one weight */
static hz_var residual(hz_net *net, hz_var x, const void *options) {
    const stage *s = options;
    hz_net_enter(net, s->name);
    hz_var y = x;
    for (int k = 0; k < 2; k++) {
        const hz_conv2d_layer conv = {.out = CHANNELS, .kernel = {3, 3}, .opts.pad = {1, 1}};
        y = hz_layer_conv2d(net, "conv", y, &conv);
    }
    y = hz_layer_dropout(net, "drop", hz_relu(hz_layer_batch_norm(net, "bn", y, NULL)), s->drop);
    hz_net_leave(net, s->name);
    return hz_add(x, y);
}

static hz_var two_stages(hz_net *net, hz_var x, const void *options) {
    const stage *s = options;
    for (int k = 0; k < 2; k++)
        x = run_again ? hz_net_recompute(net, residual, x, &s[k]) : residual(net, x, &s[k]);
    return x;
}

static hz_var deep(hz_net *net, hz_var x) {
    for (int k = 0; k < BLOCKS; k += 2)
        x = run_again ? hz_net_recompute(net, two_stages, x, &stages[k]) : two_stages(net, x, &stages[k]);
    return hz_layer_linear(net, "fc", hz_mean(x, HZ_AXIS(2) | HZ_AXIS(3), false),
                           &(hz_linear_layer){.out = 3});
}

static hz_params *trained(bool again, size_t *peak) {
    static float pixels[BATCH * CHANNELS * SIDE * SIDE];
    static int64_t label[BATCH] = {2, 0, 1};
    hz_error err = {HZ_OK, ""};
    run_again = again;
    hz_params *p = hz_params_new(&(hz_params_opts){.seed = 3}, &err);
    hz_optimizer *opt = hz_adam_new(NULL, &err);
    hz_tape *t = hz_tape_new(NULL);
    const hz_tensor x = hz_tensor_of(pixels, HZ_F32, HZ_DIMS(BATCH, CHANNELS, SIDE, SIDE));
    const hz_tensor labels = hz_tensor_of(label, HZ_I64, HZ_DIMS(BATCH));
    hz_random_fill_normal(hz_tape_exec(t), 1, 0, 0, 1, &x);
    cr_assert(hz_params_build(p, deep, HZ_DIMS(1, CHANNELS, SIDE, SIDE), &err) &&
                  hz_params_optimize(p, opt, &err),
              "%s", err.text);
    for (int step = 0; step < STEPS; step++) {
        hz_tape_reset(t);
        hz_net net = {.tape = t, .params = p, .training = true, .seed = 5, .step = step};
        hz_var loss = hz_cross_entropy(deep(&net, hz_input(t, &x)), hz_input(t, &labels), HZ_LOSS_MEAN);
        cr_assert(hz_params_minimize(p, opt, loss, &err), "%s", err.text);
    }
    *peak = hz_pool_get_stats(hz_tape_pool(t)).peak;
    hz_tape_free(t);
    hz_optimizer_free(opt);
    return p;
}

Test(recompute, training_is_the_same_bit_for_bit_in_less_memory) {
    for (int k = 0; k < BLOCKS; k++) {
        stages[k].drop = 0.1 * k;
        snprintf(stages[k].name, sizeof stages[k].name, "block%d", k);
    }
    size_t peak[2];
    hz_params *kept = trained(false, &peak[0]), *dropped = trained(true, &peak[1]);
    cr_assert_eq(hz_params_count(kept), hz_params_count(dropped));
    for (int k = 0; k < hz_params_count(kept); k++) {
        const hz_parameter *a = hz_params_at(kept, k), *b = hz_params_at(dropped, k);
        cr_expect_str_eq(a->name, b->name);
        cr_expect(memcmp(a->value.data, b->value.data, hz_nbytes(&a->value)) == 0, "%s", a->name);
    }
    const hz_parameter *batches = hz_params_find(dropped, "block3.bn.num_batches_tracked");
    cr_assert(batches);
    cr_expect_eq(hz_get_flat(&batches->value, 0), STEPS);
    cr_expect_lt(10 * peak[1], 6 * peak[0], "%zu, %zu", peak[1], peak[0]);
    hz_params_free(kept);
    hz_params_free(dropped);
}
