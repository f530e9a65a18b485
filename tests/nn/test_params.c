/* test_params.c: the store of parameters, layers that make theirs, a step of training, state dictionaries.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../tensor/files.h"
#include "nn/hzero.h"

/* conv1 → bn1 → ReLU → mean → fc, with a head that has the weights of the first half of fc's */
static hz_var small(hz_net *net, hz_var x) {
    x = hz_layer_conv2d(net, "conv1", x, &(hz_conv2d_layer){.out = 4, .kernel = {3, 3}, .opts.pad = {1, 1}});
    x = hz_relu(hz_layer_batch_norm(net, "bn1", x, NULL));
    x = hz_mean(x, HZ_AXIS(2) | HZ_AXIS(3), false);
    return hz_layer_linear(net, "fc", x, &(hz_linear_layer){.out = 3});
}

static hz_params *built(uint64_t seed) {
    hz_error err;
    hz_params *p = hz_params_new(&(hz_params_opts){.seed = seed}, &err);
    cr_assert(p, "%s", err.text);
    cr_assert(hz_params_build(p, small, HZ_DIMS(1, 2, 6, 6), &err), "%s", err.text);
    return p;
}

static void draw(hz_tensor *x, void *data, uint64_t seed, int rank, const int64_t *dim) {
    hz_pool *pool = hz_pool_new(NULL);
    const hz_exec ex = {.pool = pool, .threads = 1, .isa = HZ_ISA_C};
    *x = hz_tensor_of(data, HZ_F32, rank, dim);
    hz_random_fill_normal(&ex, seed, 0, 0, 1, x);
    hz_pool_free(pool);
}

static hz_var loss_on(hz_tape *t, hz_params *p, bool training, const hz_tensor *x, const hz_tensor *labels) {
    hz_net net = {.tape = t, .params = p, .training = training};
    return hz_cross_entropy(small(&net, hz_input(t, x)), hz_input(t, labels), HZ_LOSS_MEAN);
}

static double first_of(const hz_params *p, const char *name) {
    return ((const float *)hz_params_find(p, name)->value.data)[0];
}

Test(params, a_network_makes_them_in_order_with_pytorchs_names) {
    static const char *const names[] = {"conv1.weight",
                                        "conv1.bias",
                                        "bn1.weight",
                                        "bn1.bias",
                                        "bn1.running_mean",
                                        "bn1.running_var",
                                        "bn1.num_batches_tracked",
                                        "fc.weight",
                                        "fc.bias"};
    hz_params *p = built(1);
    cr_assert_eq(hz_params_count(p), 9);
    for (int k = 0; k < 9; k++) cr_assert_str_eq(hz_params_at(p, k)->name, names[k]);
    cr_assert_eq(hz_params_numel(p), 4 * 2 * 9 + 4 + 4 + 4 + 3 * 4 + 3);
    cr_assert(hz_params_find(p, "bn1/running_var")->buffer);
    cr_assert_eq(first_of(p, "bn1.running_var"), 1);
    hz_params_free(p);
}

Test(params, first_values_depend_on_seed_and_name_alone) {
    hz_params *a = built(1), *b = built(1), *c = built(2);
    cr_assert_eq(first_of(a, "fc.weight"), first_of(b, "fc.weight"));
    cr_assert_neq(first_of(a, "fc.weight"), first_of(c, "fc.weight"));
    cr_assert_neq(first_of(a, "fc.weight"), first_of(a, "conv1.weight"));
    cr_assert(fabs(first_of(a, "fc.weight")) < 0.5 && fabs(first_of(a, "conv1.weight")) < 1 / sqrt(18));
    hz_params_free(a);
    hz_params_free(b);
    hz_params_free(c);
}

static float pixels[4 * 2 * 6 * 6];
static int64_t classes[] = {0, 2, 1, 2};

static double train(hz_params *p, hz_optimizer *opt, int steps) {
    hz_error err;
    hz_tensor x, labels = hz_tensor_of(classes, HZ_I64, HZ_DIMS(4));
    draw(&x, pixels, 5, HZ_DIMS(4, 2, 6, 6));
    hz_tape *t = hz_tape_new(NULL);
    double loss = NAN;
    for (int k = 0; k < steps; k++) {
        hz_tape_reset(t);
        hz_var l = loss_on(t, p, true, &x, &labels);
        loss = hz_item(l);
        cr_assert(hz_params_minimize(p, opt, l, &err), "%s", err.text);
    }
    hz_tape_free(t);
    return loss;
}

Test(params, training_lowers_the_loss_and_allocates_nothing_after_the_first_steps) {
    hz_params *p = built(1);
    hz_error err;
    hz_optimizer *opt = hz_adam_new(&(hz_adam_opts){.lr = 0.02}, &err);
    cr_assert(hz_params_optimize(p, opt, &err), "%s", err.text);
    cr_assert_eq(hz_params_trained(p), 6);
    const double before = train(p, opt, 1), after = train(p, opt, 60);
    cr_assert(after < 0.5 * before, "%g, then %g", before, after);
    cr_assert_eq(*(int64_t *)hz_params_find(p, "bn1.num_batches_tracked")->value.data, 61);
    hz_optimizer_free(opt);
    hz_params_free(p);
}

Test(params, frozen_ones_stay_and_get_no_gradient) {
    hz_params *p = built(1);
    hz_error err;
    hz_optimizer *opt = hz_sgd_new(&(hz_sgd_opts){.lr = 0.1}, &err);
    cr_assert(hz_params_set_group(p, "conv1.*", &(hz_param_group){.frozen = true}, &err));
    cr_assert(hz_params_optimize(p, opt, &err), "%s", err.text);
    const double conv = first_of(p, "conv1.weight"), fc = first_of(p, "fc.weight");
    train(p, opt, 2);
    cr_assert_eq(first_of(p, "conv1.weight"), conv);
    cr_assert_neq(first_of(p, "fc.weight"), fc);
    cr_assert(!hz_params_set_group(p, "nothing*", NULL, &err) && strstr(err.text, "nothing*"), "%s",
              err.text);
    hz_optimizer_free(opt);
    hz_params_free(p);
}

Test(params, a_layer_that_comes_after_training_began_is_an_error) {
    hz_params *p = built(1);
    hz_error err;
    hz_optimizer *opt = hz_sgd_new(NULL, &err);
    cr_assert(hz_params_optimize(p, opt, &err));
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t, .params = p};
    hz_layer_linear(&net, "late", hz_full(t, HZ_F32, HZ_DIMS(1, 2), 0), &(hz_linear_layer){.out = 2});
    cr_assert(!hz_tape_ok(t, &err) && strstr(err.text, "late.weight"), "%s", err.text);
    hz_tape_free(t);
    hz_optimizer_free(opt);
    hz_params_free(p);
}

Test(params, another_shape_is_an_error_with_both) {
    hz_params *p = built(1);
    hz_error err;
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t, .params = p};
    hz_layer_linear(&net, "fc", hz_full(t, HZ_F32, HZ_DIMS(1, 4), 0), &(hz_linear_layer){.out = 5});
    cr_assert(!hz_tape_ok(t, &err));
    cr_assert(strstr(err.text, "fc.weight") && strstr(err.text, "[3,4]") && strstr(err.text, "[5,4]"), "%s",
              err.text);
    hz_tape_free(t);
    hz_params_free(p);
}

static hz_var tied(hz_net *net, hz_var x) {
    x = hz_linear(x, hz_param_shaped(net, "a.weight", HZ_DIMS(3, 3), &(hz_initial){.a = 0.5}),
                  hz_none(net->tape));
    return hz_linear(hz_tanh(x), hz_param(net, "a.weight"), hz_none(net->tape));
}

Test(params, one_that_serves_twice_gets_the_sum_of_both_gradients) {
    hz_error err;
    hz_params *p = hz_params_new(&(hz_params_opts){.dtype = HZ_F64}, &err);
    cr_assert(hz_params_build(p, tied, HZ_DIMS(1, 3), &err), "%s", err.text);
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t, .params = p};
    hz_var dx[1], loss = hz_sum(tied(&net, hz_full(t, HZ_F64, HZ_DIMS(1, 3), 1)), HZ_ALL_AXES, false);
    cr_assert(hz_params_grad(p, loss, NULL, dx, &err), "%s", err.text);
    /* loss = 3·0.5·Σ tanh(1.5), dloss/da[0][0] = tanh(1.5) + 1.5·(1 − tanh²(1.5))·1 */
    const double h = tanh(1.5), expected = h + 1.5 * (1 - h * h);
    cr_assert_float_eq(*(double *)hz_value(dx[0])->data, expected, 1e-12);
    hz_tape_free(t);
    hz_params_free(p);
}

Test(params, batch_norm_tracks_mean_and_unbiased_variance) {
    hz_error err;
    float x[4] = {1, 2, 3, 6}; /* two pictures of one channel, 1 × 2 */
    hz_params *p = hz_params_new(NULL, &err);
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t, .params = p, .training = true};
    const hz_tensor in = hz_tensor_of(x, HZ_F32, HZ_DIMS(2, 1, 1, 2));
    hz_layer_batch_norm(&net, "bn", hz_input(t, &in), NULL);
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    cr_assert_float_eq(first_of(p, "bn.running_mean"), 0.1 * 3, 1e-6);
    cr_assert_float_eq(first_of(p, "bn.running_var"), 0.9 + 0.1 * 14 / 3, 1e-6);
    hz_tape_free(t);
    hz_params_free(p);
}

Test(params, dropout_is_on_in_training_only_and_new_at_every_step) {
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t, .training = true, .step = 1};
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(1000), 1), a = hz_layer_dropout(&net, "drop", x, 0.25), b, c;
    b = hz_layer_dropout(&net, "drop", x, 0.25);
    net.step = 2;
    c = hz_layer_dropout(&net, "drop", x, 0.25);
    int64_t zeros = 0, other = 0;
    for (int64_t k = 0; k < 1000; k++) {
        zeros += hz_get(hz_value(a), &k) == 0;
        other += hz_get(hz_value(a), &k) != hz_get(hz_value(c), &k);
        cr_assert_eq(hz_get(hz_value(a), &k), hz_get(hz_value(b), &k));
    }
    cr_assert(zeros > 200 && zeros < 300 && other > 200, "%d zeros, %d others", (int)zeros, (int)other);
    net.training = false;
    cr_assert_eq(hz_layer_dropout(&net, "drop", x, 0.25).id, x.id);
    hz_tape_free(t);
}

/* ---- state dictionaries ---- */

Test(state_dict, what_was_saved_is_loaded_elsewhere) {
    hz_params *a = built(1), *b = built(2);
    hz_error err;
    hz_load_report report;
    hz_weights *w;
    const scratch file = scratch_path("a.safetensors");
    const char *path = file.path;
    cr_assert(hz_params_save(a, path, NULL, &err), "%s", err.text);
    cr_assert(hz_weights_open(path, NULL, &w, &err), "%s", err.text);
    cr_assert(hz_params_load(b, w, NULL, &report, &err), "%s", err.text);
    cr_assert_str_eq(report.text, "9 loaded");
    for (int k = 0; k < 9; k++) {
        const hz_parameter *x = hz_params_at(a, k), *y = hz_params_at(b, k);
        cr_assert_eq(memcmp(x->value.data, y->value.data, hz_nbytes(&x->value)), 0, "%s", x->name);
    }
    hz_weights_close(w);
    unlink(path);
    hz_params_free(a);
    hz_params_free(b);
}

static hz_var other(hz_net *net, hz_var x) {
    x = hz_layer_conv2d(net, "conv1", x, &(hz_conv2d_layer){.out = 4, .kernel = {3, 3}, .opts.pad = {1, 1}});
    x = hz_mean(x, HZ_AXIS(2) | HZ_AXIS(3), false);
    x = hz_layer_linear(net, "fc", x, &(hz_linear_layer){.out = 5});
    return hz_layer_linear(net, "new", x, &(hz_linear_layer){.out = 5, .no_bias = true});
}

Test(state_dict, a_strict_load_that_does_not_fit_says_what_and_changes_nothing) {
    hz_error err;
    hz_load_report report;
    hz_weights *w;
    hz_params *a = built(1), *b = hz_params_new(&(hz_params_opts){.seed = 3}, &err);
    const scratch file = scratch_path("a.safetensors");
    const char *path = file.path;
    cr_assert(hz_params_build(b, other, HZ_DIMS(1, 2, 6, 6), &err), "%s", err.text);
    cr_assert(hz_params_save(a, path, NULL, &err) && hz_weights_open(path, NULL, &w, &err), "%s", err.text);
    const double before = first_of(b, "conv1.weight");
    cr_assert(!hz_params_load(b, w, NULL, &report, &err));
    cr_assert_eq(err.code, HZ_ESHAPE);
    cr_assert_eq(first_of(b, "conv1.weight"), before);
    cr_assert(report.loaded == 2 && report.missing == 1 && report.unexpected == 5 && report.misshapen == 2,
              "%s", report.text);
    cr_assert(strstr(report.text, "1 missing: new.weight") && strstr(report.text, "bn1.running_mean") &&
                  strstr(report.text, "fc.weight f32 [3,4] for f32 [5,4]"),
              "%s", report.text);
    cr_assert(hz_params_load(b, w, &(hz_load_opts){.lenient = true}, NULL, &err), "%s", err.text);
    cr_assert_eq(first_of(b, "conv1.weight"), first_of(a, "conv1.weight"));
    hz_weights_close(w);
    unlink(path);
    hz_params_free(a);
    hz_params_free(b);
}

Test(state_dict, a_shared_parameter_is_saved_under_both_names_and_loaded_from_one) {
    hz_error err;
    hz_weights *w;
    const scratch one = scratch_path("one"), two = scratch_path("two");
    hz_params *p = hz_params_new(&(hz_params_opts){.seed = 3}, &err), *q = hz_params_new(NULL, &err);
    const hz_tensor shape = hz_tensor_of(NULL, HZ_F32, HZ_DIMS(2, 2));
    const hz_initial sevens = {.a = 7};
    cr_assert(hz_params_add(p, "wte.weight", &shape, &sevens, &err), "%s", err.text);
    cr_assert(hz_params_save(p, one.path, NULL, &err));
    cr_assert(hz_params_share(p, "head.weight", "wte.weight", &err), "%s", err.text);
    cr_assert(!hz_params_share(p, "head.weight", "wte.weight", &err));
    cr_assert_eq(hz_params_numel(p), 4);
    cr_assert(hz_params_add(q, "wte.weight", &shape, NULL, &err) &&
              hz_params_share(q, "head.weight", "wte.weight", &err));
    cr_assert(hz_weights_open(one.path, NULL, &w, &err));
    cr_assert(hz_params_load(q, w, NULL, NULL, &err), "%s", err.text);
    cr_assert_eq(first_of(q, "head.weight"), 7);
    hz_weights_close(w);
    cr_assert(hz_params_save(p, two.path, NULL, &err));
    cr_assert(hz_weights_open(two.path, NULL, &w, &err));
    cr_assert_eq(hz_weights_count(w), 2);
    hz_weights_close(w);
    unlink(one.path);
    unlink(two.path);
    hz_params_free(p);
    hz_params_free(q);
}
