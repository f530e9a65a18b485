/* train.c: what train_oracle.py compares with PyTorch. Tensors come from and go to .npy files.
 *
 *   train optimiser OPTIONS PARAM GRADS OUT    one step for each row of GRADS; OUT holds the parameter after each
 *   train network OPTIONS WEIGHTS STEPS OUT    train the network below on the file's batches, from the file's state.…;
 *                                              prints the losses, and one out of training; OUT: the state afterwards
 *   train loss OPTIONS X TARGET OUT            prints the loss; OUT is its gradient in X
 *   train schedule OPTIONS STEPS               prints a factor for each step
 *
 * OPTIONS is a name and its numbers: "adam lr=0.1 beta1=0.8".
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/hzero.h"
#include "options.h"

static hz_optimizer *make_optimizer(const char *o, hz_error *err) {
    const double lr = option(o, "lr"), decay = option(o, "weight_decay"), eps = option(o, "eps");
    const double momentum = option(o, "momentum");
    const hz_adam_opts adam = {.lr = lr,
                               .beta1 = option(o, "beta1"),
                               .beta2 = option(o, "beta2"),
                               .eps = eps,
                               .weight_decay = decay,
                               .amsgrad = option(o, "amsgrad") != 0};
    if (is(o, "sgd"))
        return hz_sgd_new(&(hz_sgd_opts){.lr = lr,
                                         .momentum = momentum,
                                         .dampening = option(o, "dampening"),
                                         .nesterov = option(o, "nesterov") != 0,
                                         .weight_decay = decay},
                          err);
    if (is(o, "adam")) return hz_adam_new(&adam, err);
    if (is(o, "adamw")) return hz_adamw_new(&adam, err);
    if (is(o, "rmsprop"))
        return hz_rmsprop_new(&(hz_rmsprop_opts){.lr = lr,
                                                 .alpha = option(o, "alpha"),
                                                 .eps = eps,
                                                 .momentum = momentum,
                                                 .centered = option(o, "centered") != 0,
                                                 .weight_decay = decay},
                              err);
    if (is(o, "adagrad"))
        return hz_adagrad_new(&(hz_adagrad_opts){.lr = lr,
                                                 .lr_decay = option(o, "lr_decay"),
                                                 .initial = option(o, "initial"),
                                                 .eps = eps,
                                                 .weight_decay = decay},
                              err);
    hz_fail(err, HZ_EINVAL, "no optimiser \"%s\"", o);
    return NULL;
}

static bool set_clip(hz_optimizer *opt, const char *o, hz_error *err) {
    return hz_optimizer_set_clip(opt, option(o, "clip_norm"), option(o, "clip_value"), err);
}

/* ---- an optimiser on given gradients ---- */

static bool take_steps(hz_optimizer *opt, const hz_exec *ex, const hz_tensor *param, const hz_tensor *grads,
                       hz_error *err) {
    if (!hz_optimizer_add(opt, "p", param, NULL, err)) return false;
    for (int64_t t = 0; t < grads->dim[0]; t++) {
        hz_tensor row = *param;
        float *g = (float *)grads->data + t * grads->dim[1];
        row.data = g;
        if (!hz_optimizer_step(opt, ex, &row, 1, err)) return false;
        memcpy(g, param->data, hz_nbytes(param)); /* the gradient is not needed any more */
    }
    return true;
}

static bool run_optimizer(hz_tape *t, char **arg, hz_error *err) {
    hz_tensor param = {.data = NULL}, grads = {.data = NULL};
    hz_optimizer *opt = make_optimizer(arg[0], err);
    bool ok = opt && set_clip(opt, arg[0], err) && hz_npy_load(arg[1], NULL, &param, err) &&
              hz_npy_load(arg[2], NULL, &grads, err) &&
              take_steps(opt, hz_tape_exec(t), &param, &grads, err) && hz_npy_save(arg[3], &grads, NULL, err);
    hz_optimizer_free(opt);
    hz_free(NULL, param.data);
    hz_free(NULL, grads.data);
    return ok;
}

/* ---- a network: two convolutions with batch norm, pooling, a linear layer; with kinks or without ---- */

static hz_var block(hz_net *net, const char *conv, const char *bn, hz_var x, int64_t out) {
    const hz_conv2d_layer opts = {.out = out, .kernel = {3, 3}, .opts.pad = {1, 1}, .no_bias = true};
    return hz_layer_batch_norm(net, bn, hz_layer_conv2d(net, conv, x, &opts), NULL);
}

static hz_var head(hz_net *net, hz_var x) {
    x = hz_mean(x, HZ_AXIS(2) | HZ_AXIS(3), false);
    return hz_layer_linear(net, "fc", x, &(hz_linear_layer){.out = 5});
}

static const hz_pool2d_opts halves = {.kernel = {2, 2}};

static hz_var smooth_network(hz_net *net, hz_var x) {
    x = hz_avg_pool2d(hz_gelu(block(net, "conv1", "bn1", x, 8)), &halves);
    return head(net, hz_gelu(block(net, "conv2", "bn2", x, 12)));
}

static hz_var network(hz_net *net, hz_var x) {
    x = hz_max_pool2d(hz_relu(block(net, "conv1", "bn1", x, 8)), &halves);
    return head(net, hz_relu(block(net, "conv2", "bn2", x, 12)));
}

/* Batch number t, out of `batches` that take turns: "x" (batches, N, C, H, W), "labels" (batches, N). */
static bool batch_of(const hz_weights *w, const char *name, int64_t t, hz_tensor *out, hz_error *err) {
    hz_tensor all;
    return hz_weights_get(w, name, &all, err) && hz_view_slice(&all, 0, t % all.dim[0], 1, 1, &all, err) &&
           hz_view_reshape(&all, all.rank - 1, all.dim + 1, out, err);
}

/* Print the loss on a batch, and go a step if opt is not NULL. */
static bool train_step(hz_net *net, const char *o, hz_optimizer *opt, const hz_weights *w, hz_error *err) {
    hz_tensor x, labels;
    if (!batch_of(w, "x", net->step, &x, err) || !batch_of(w, "labels", net->step, &labels, err))
        return false;
    hz_tape_reset(net->tape);
    hz_var in = hz_input(net->tape, &x);
    hz_var logits = option(o, "smooth") != 0 ? smooth_network(net, in) : network(net, in);
    hz_var loss = hz_cross_entropy(logits, hz_input(net->tape, &labels), HZ_LOSS_MEAN);
    if (opt && !hz_params_minimize(net->params, opt, loss, err)) return false;
    printf("%.17g\n", hz_item(loss));
    return hz_tape_ok(net->tape, err);
}

static bool train(hz_net *net, char **arg, const hz_weights *w, hz_optimizer *opt, hz_error *err) {
    hz_tensor x;
    if (!batch_of(w, "x", 0, &x, err) || !hz_params_build(net->params, network, x.rank, x.dim, err) ||
        !hz_params_load(net->params, w, &(hz_load_opts){.prefix = "state."}, NULL, err) ||
        !hz_params_optimize(net->params, opt, err))
        return false;
    for (net->training = true; net->step < atoi(arg[2]); net->step++)
        if (!train_step(net, arg[0], opt, w, err)) return false;
    net->training = false;
    return train_step(net, arg[0], NULL, w, err) && hz_params_save(net->params, arg[3], NULL, err);
}

static bool run_network(hz_tape *t, char **arg, hz_error *err) {
    hz_weights *w = NULL;
    hz_tensor x = {.data = NULL};
    hz_optimizer *opt = make_optimizer(arg[0], err);
    bool ok = opt && set_clip(opt, arg[0], err) && hz_weights_open(arg[1], NULL, &w, err) &&
              hz_weights_get(w, "x", &x, err);
    hz_params *p = ok ? hz_params_new(&(hz_params_opts){.dtype = x.dtype}, err) : NULL;
    hz_net net = {.tape = t, .params = p};
    ok = p && train(&net, arg, w, opt, err);
    hz_optimizer_free(opt);
    hz_params_free(p);
    hz_weights_close(w);
    return ok;
}

/* ---- losses ---- */

static hz_var labelled_loss(const char *o, hz_var x, hz_var target) {
    static const double some[] = {0.5, 2, 1, 0.25, 3};
    const int64_t ignore = (int64_t)option(o, "ignore");
    hz_cross_entropy_opts opts = {.reduce = (hz_reduce_loss)option(o, "reduce"),
                                  .label_smoothing = option(o, "label_smoothing"),
                                  .ignore = ignore ? &ignore : NULL};
    if (option(o, "weights") != 0) {
        opts.class_weights = hz_full(x.tape, hz_value(x)->dtype, HZ_DIMS(5), 0);
        for (int64_t k = 0; k < 5; k++) hz_set(hz_value(opts.class_weights), &k, some[k]);
    }
    return is(o, "nll") ? hz_nll(x, target, &opts) : hz_cross_entropy_with(x, target, &opts);
}

static hz_var loss_of(const char *o, hz_var x, hz_var target) {
    static const struct {
        const char *name;
        hz_var (*of)(hz_var x, hz_var target, hz_reduce_loss how);
    } losses[] = {{"mse", hz_mse}, {"bce", hz_bce}, {"bce_with_logits", hz_bce_with_logits},
                  {"l1", hz_l1},   {"kl", hz_kl},   {"hinge", hz_hinge}};
    const hz_reduce_loss how = (hz_reduce_loss)option(o, "reduce");
    for (size_t k = 0; k < sizeof losses / sizeof losses[0]; k++)
        if (is(o, losses[k].name)) return losses[k].of(x, target, how);
    if (is(o, "huber")) return hz_huber(x, target, option(o, "delta"), how);
    if (is(o, "smooth_l1")) return hz_smooth_l1(x, target, option(o, "beta"), how);
    return labelled_loss(o, x, target);
}

static bool run_loss(hz_tape *t, char **arg, hz_error *err) {
    hz_tensor x = {.data = NULL}, target = {.data = NULL};
    bool ok = hz_npy_load(arg[1], NULL, &x, err) && hz_npy_load(arg[2], NULL, &target, err);
    if (ok) {
        hz_var in = hz_input(t, &x), y = loss_of(arg[0], in, hz_input(t, &target)),
               dx = hz_grad1(y, in, NULL);
        ok = hz_tape_ok(t, err) && hz_npy_save(arg[3], hz_value(dx), NULL, err);
        if (ok) printf("%.17g\n", hz_item(y));
    }
    hz_free(NULL, x.data);
    hz_free(NULL, target.data);
    return ok;
}

/* ---- schedules ---- */

static double factor_at(const char *o, int64_t t, int64_t total, hz_plateau *plateau) {
    static const int64_t milestones[] = {3, 11, 12};
    const hz_one_cycle cycle = {.total = total, .linear = option(o, "linear") != 0};
    if (is(o, "step")) return hz_lr_step(t, (int64_t)option(o, "every"), option(o, "gamma"));
    if (is(o, "multistep")) return hz_lr_multistep(t, milestones, 3, option(o, "gamma"));
    if (is(o, "cosine")) return hz_lr_cosine(t, total, option(o, "last"));
    if (is(o, "warm_up")) return hz_lr_warm_up(t, (int64_t)option(o, "steps"), option(o, "first"));
    if (is(o, "one_cycle")) return hz_lr_one_cycle(t, &cycle);
    if (is(o, "one_cycle_momentum")) return hz_momentum_one_cycle(t, &cycle);
    if (is(o, "plateau")) return hz_lr_plateau(plateau, fmax(1.0 / (1 + (double)t), 0.2));
    return NAN;
}

static bool run_schedule(hz_tape *t, char **arg, hz_error *err) {
    const int64_t total = atoi(arg[1]);
    hz_plateau plateau = {.factor = 0.5, .patience = 2, .cooldown = 3, .lowest = 0.1};
    (void)t, (void)err;
    for (int64_t k = 0; k < total; k++) printf("%.17g\n", factor_at(arg[0], k, total, &plateau));
    return true;
}

static const struct {
    const char *name;
    int args;
    bool (*run)(hz_tape *t, char **arg, hz_error *err);
} commands[] = {{"optimiser", 4, run_optimizer},
                {"network", 4, run_network},
                {"loss", 4, run_loss},
                {"schedule", 2, run_schedule}};

int main(int argc, char **argv) {
    hz_error err = {HZ_OK, ""};
    for (size_t k = 0; argc > 1 && k < sizeof commands / sizeof commands[0]; k++) {
        if (strcmp(argv[1], commands[k].name) != 0 || argc != 2 + commands[k].args) continue;
        hz_tape *t = hz_tape_new(NULL);
        const bool ok = commands[k].run(t, argv + 2, &err);
        hz_tape_free(t);
        if (!ok) fprintf(stderr, "train: %s\n", err.text);
        return ok ? 0 : 1;
    }
    return fprintf(stderr, "usage: train optimiser|network|loss|schedule OPTIONS …\n"), 2;
}
