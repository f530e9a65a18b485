/* mnist.c: train a LeNet (nn/models/lenet.c) on MNIST: handwritten digits, gray, of 28 × 28 pixels.
 *
 *   sh examples/train.sh mnist               sets everything up; a minute or two later:
 *   build/examples/hzero/hzero influence --model lenet:build/mnist.safetensors --image seven.png --unit 'logits[7]'
 *
 * Stochastic gradient descent with Nesterov's momentum, the rate along one cycle; digits moved by up to two pixels.
 *
 * SPDX-License-Identifier: MIT */
#include "common/classifier.h"

static bool prepare(hz_params *p, hz_error *err) {
    return hz_params_set_group(p, "*.bias", &(hz_param_group){.no_decay = true}, err);
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
            .name = "mnist",
            .about = "Trains a LeNet to tell the ten handwritten digits of MNIST.",
            .arch = "lenet",
            .train = {"train-images-idx3-ubyte"},
            .test = "t10k-images-idx3-ubyte",
            .augment = {.crop = 2},
            .prepare = prepare,
            .optimizer = optimizer,
            .rate = rate,
            .epochs = 12,
            .batch = 128,
            .lr = 0.05,
        },
        argc, argv);
}
