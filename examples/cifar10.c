/* cifar10.c: train allconv (nn/models/allconv.c) on CIFAR-10: airplanes, cars, birds, cats, … of 32 × 32 pixels.
 *
 *   sh examples/train.sh cifar10             sets everything up; its weights are the ones built into hzero
 *
 * Stochastic gradient descent with Nesterov's momentum, the rate along one cycle; pictures mirrored at random and moved by
 * up to four pixels.
 *
 * SPDX-License-Identifier: MIT */
#include "common/classifier.h"

static bool prepare(hz_params *p, hz_error *err) {
    const hz_initial kaiming = {.kind = HZ_INITIAL_KAIMING, .normal = true, .fan = HZ_FAN_OUT};
    return hz_params_init(p, "conv[1-8].weight", &kaiming, err) &&
           hz_params_set_group(p, "bn*", &(hz_param_group){.no_decay = true}, err);
}

static hz_optimizer *optimizer(double lr, hz_error *err) {
    return hz_sgd_new(&(hz_sgd_opts){.lr = lr, .momentum = 0.9, .nesterov = true, .weight_decay = 5e-4}, err);
}

static double rate(int64_t step, int64_t total) {
    return hz_lr_one_cycle(step, &(hz_one_cycle){.total = total, .rise = 0.2});
}

int main(int argc, char **argv) {
    return classifier_main(
        &(classifier){
            .name = "cifar10",
            .about = "Trains a network of convolutions alone to tell the ten classes of CIFAR-10.",
            .arch = "allconv",
            .train = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                      "data_batch_5.bin"},
            .test = "test_batch.bin",
            .augment = {.flip = 0.5, .crop = 4},
            .prepare = prepare,
            .optimizer = optimizer,
            .rate = rate,
            .epochs = 20,
            .batch = 128,
            .lr = 0.1,
        },
        argc, argv);
}
