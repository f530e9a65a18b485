/* test_layers.c: what every layer makes of its options, its gradients, and its errors. Values are compared with PyTorch's
 * in layers_oracle.py.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../tensor/files.h"
#include "nn/hzero.h"

/* ---- the layers ---- */

static hz_var linear(hz_net *net, hz_var x) {
    return hz_layer_linear(net, "l", x, &(hz_linear_layer){.out = 4});
}

static hz_var embedding(hz_net *net, hz_var x) {
    const int64_t last = -1;
    return hz_layer_embedding(net, "l", x, &(hz_embedding_layer){.rows = 5, .width = 3, .padding = &last});
}

static hz_var conv1d(hz_net *net, hz_var x) {
    const hz_conv2d_opts opts = {.stride = {2}, .pad = {1}, .groups = 2};
    return hz_layer_conv1d(net, "l", x, &(hz_conv1d_layer){.out = 6, .kernel = 3, .opts = opts});
}

static hz_var conv2d(hz_net *net, hz_var x) {
    const hz_conv2d_opts opts = {.stride = {2, 1}, .pad = {1, 0}};
    return hz_layer_conv2d(net, "l", x, &(hz_conv2d_layer){.out = 3, .kernel = {3, 2}, .opts = opts});
}

static hz_var conv_transpose1d(hz_net *net, hz_var x) {
    const hz_conv_transpose1d_layer l = {
        .out = 4, .kernel = 3, .opts = {.stride = {2}, .groups = 2}, .output_pad = 1};
    return hz_layer_conv_transpose1d(net, "l", x, &l);
}

static hz_var conv_transpose2d(hz_net *net, hz_var x) {
    const hz_conv_transpose2d_layer l = {
        .out = 3, .kernel = {3, 2}, .opts = {.stride = {2, 1}, .pad = {1, 0}}, .output_pad = {1, 0}};
    return hz_layer_conv_transpose2d(net, "l", x, &l);
}

static hz_var batch_norm(hz_net *net, hz_var x) {
    return hz_layer_batch_norm(net, "l", x, NULL);
}

static hz_var instance_norm(hz_net *net, hz_var x) {
    return hz_layer_instance_norm(net, "l", x, NULL);
}

static hz_var instance_norm_full(hz_net *net, hz_var x) {
    return hz_layer_instance_norm(net, "l", x, &(hz_instance_norm_layer){.affine = true, .running = true});
}

static hz_var layer_norm(hz_net *net, hz_var x) {
    return hz_layer_layer_norm(net, "l", x, NULL);
}

static hz_var layer_norm_2(hz_net *net, hz_var x) {
    return hz_layer_layer_norm(net, "l", x, &(hz_layer_norm_layer){.axes = 2, .no_bias = true});
}

static hz_var group_norm(hz_net *net, hz_var x) {
    return hz_layer_group_norm(net, "l", x, &(hz_group_norm_layer){.groups = 2});
}

static hz_var prelu(hz_net *net, hz_var x) {
    return hz_layer_prelu(net, "l", x, &(hz_prelu_layer){.slopes = 4});
}

static hz_var dropout(hz_net *net, hz_var x) {
    return hz_layer_dropout(net, "l", x, 0.5);
}

static const hz_linear_layer three = {.out = 3};

static hz_var residual(hz_net *net, hz_var x) {
    return hz_residual(net, "l", x, HZ_STAGES({.linear = &three}, {.op = hz_tanh}, {.linear = &three}),
                       HZ_STAGES({.linear = &three}));
}

typedef struct layer_case {
    const char *name;
    hz_var (*record)(hz_net *net, hz_var x);
    int rank;
    int64_t dim[4];         /* of x */
    const char *y, *params; /* shapes */
    bool indices;
} layer_case;

static const layer_case layers[] = {
    {"linear", linear, 2, {2, 3}, "[2,4]", "weight [4,3] bias [4]", false},
    {"linear of a vector", linear, 1, {3}, "[4]", "weight [4,3] bias [4]", false},
    {"linear of four axes", linear, 4, {2, 1, 2, 3}, "[2,1,2,4]", "weight [4,3] bias [4]", false},
    {"embedding", embedding, 2, {2, 3}, "[2,3,3]", "weight [5,3]", true},
    {"conv1d", conv1d, 3, {2, 4, 5}, "[2,6,3]", "weight [6,2,3] bias [6]", false},
    {"conv2d", conv2d, 4, {2, 2, 4, 3}, "[2,3,2,2]", "weight [3,2,3,2] bias [3]", false},
    {"conv_transpose1d", conv_transpose1d, 3, {2, 6, 3}, "[2,4,8]", "weight [6,2,3] bias [4]", false},
    {"conv_transpose2d", conv_transpose2d, 4, {2, 2, 3, 2}, "[2,3,6,3]", "weight [2,3,3,2] bias [3]", false},
    {"batch_norm",
     batch_norm,
     4,
     {2, 3, 2, 2},
     "[2,3,2,2]",
     "weight [3] bias [3] running_mean [3] running_var [3] num_batches_tracked []",
     false},
    {"batch_norm of rows",
     batch_norm,
     2,
     {4, 3},
     "[4,3]",
     "weight [3] bias [3] running_mean [3] running_var [3] num_batches_tracked []",
     false},
    {"instance_norm", instance_norm, 3, {2, 3, 4}, "[2,3,4]", "", false},
    {"instance_norm with all",
     instance_norm_full,
     4,
     {2, 3, 2, 2},
     "[2,3,2,2]",
     "weight [3] bias [3] running_mean [3] running_var [3] num_batches_tracked []",
     false},
    {"layer_norm", layer_norm, 2, {3, 4}, "[3,4]", "weight [4] bias [4]", false},
    {"layer_norm of two axes", layer_norm_2, 3, {2, 2, 3}, "[2,2,3]", "weight [2,3]", false},
    {"group_norm", group_norm, 3, {2, 4, 3}, "[2,4,3]", "weight [4] bias [4]", false},
    {"prelu", prelu, 3, {2, 4, 3}, "[2,4,3]", "weight [4]", false},
    {"dropout", dropout, 2, {3, 4}, "[3,4]", "", false},
    {"residual",
     residual,
     2,
     {2, 3},
     "[2,3]",
     "0.weight [3,3] 0.bias [3] 2.weight [3,3] 2.bias [3] downsample.0.weight [3,3] downsample.0.bias [3]",
     false},
};
enum { LAYERS = sizeof layers / sizeof layers[0] };

/* ---- a layer on its own ---- */

enum { MOST = 256 };

typedef struct bench {
    hz_params *p;
    hz_tape *t;
    hz_net net;
    hz_tensor x;
    double values[MOST];
    int64_t indices[MOST];
} bench;

/* x of this shape, values about 1 but not at 0, indices 0 … 4. */
static void set_up(bench *b, const layer_case *c, const int64_t *dim) {
    hz_error err;
    for (int k = 0; k < MOST; k++)
        b->indices[k] = k % 5, b->values[k] = sin(1 + 5.3 * k) + (k % 2 ? 0.1 : -0.1);
    b->x = c->indices ? hz_tensor_of(b->indices, HZ_I64, c->rank, dim)
                      : hz_tensor_of(b->values, HZ_F64, c->rank, dim);
    cr_assert(hz_numel(&b->x) <= MOST);
    b->p = hz_params_new(&(hz_params_opts){.dtype = HZ_F64, .seed = 7}, &err);
    b->t = hz_tape_new(NULL);
    b->net = (hz_net){.tape = b->t, .params = b->p};
    cr_assert(b->p && b->t);
}

static void tear_down(bench *b) {
    hz_tape_free(b->t);
    hz_params_free(b->p);
}

/* Σ y·v with v fixed but of every size and sign. */
static hz_var loss_of(hz_var y) {
    hz_var v = hz_full(y.tape, HZ_F64, hz_value(y)->rank, hz_value(y)->dim, 0);
    for (int64_t k = 0; hz_ok(v) && k < hz_numel(hz_value(v)); k++)
        hz_set_flat(hz_value(v), k, cos(2 + 3.1 * (double)k));
    return hz_sum(hz_mul(y, v), HZ_ALL_AXES, false);
}

static hz_var record_again(bench *b, const layer_case *c, hz_var *x) {
    hz_error err;
    hz_tape_reset(b->t);
    *x = hz_input(b->t, &b->x);
    hz_var y = c->record(&b->net, *x);
    cr_assert(hz_tape_ok(b->t, &err), "%s: %s", c->name, err.text);
    return y;
}

static void describe_params(const hz_params *p, char *text, size_t size) {
    *text = '\0';
    for (int k = 0; k < hz_params_count(p); k++) {
        const hz_parameter *q = hz_params_at(p, k);
        const size_t used = strlen(text);
        cr_assert(strncmp(q->name, "l.", 2) == 0, "%s", q->name);
        snprintf(text + used, size - used, "%s%s %s", k ? " " : "", q->name + 2, hz_shape_str(&q->value).s);
    }
}

Test(layers, have_pytorchs_parameters_and_shapes_and_are_named) {
    for (int k = 0; k < LAYERS; k++) {
        bench b;
        hz_var x;
        char text[512];
        set_up(&b, &layers[k], layers[k].dim);
        hz_var y = record_again(&b, &layers[k], &x);
        cr_assert_str_eq(hz_shape_str(hz_value(y)).s, layers[k].y, "%s", layers[k].name);
        describe_params(b.p, text, sizeof text);
        cr_assert_str_eq(text, layers[k].params, "%s: %s", layers[k].name, text);
        if (layers[k].record != dropout) cr_assert_eq(hz_lookup(b.t, "l").id, y.id, "%s", layers[k].name);
        tear_down(&b);
    }
}

/* ---- gradients: central differences in every element of x and of every parameter ---- */

static double loss_at(bench *b, const layer_case *c) {
    hz_var x;
    return hz_item(loss_of(record_again(b, c, &x)));
}

static double slope(bench *b, const layer_case *c, const hz_tensor *at, int64_t k) {
    const double step = 1e-6, here = hz_get_flat(at, k);
    hz_set_flat(at, k, here + step);
    const double above = loss_at(b, c);
    hz_set_flat(at, k, here - step);
    const double below = loss_at(b, c);
    hz_set_flat(at, k, here);
    return (above - below) / (2 * step);
}

/* How many of them are not 0. The gradient is copied: the tape is about to be reset. */
static int check_slopes(bench *b, const layer_case *c, const char *what, const hz_tensor *at, hz_var dx) {
    static double g[MOST];
    int nonzero = 0;
    const int64_t n = hz_numel(at);
    cr_assert(hz_ok(dx) && hz_same_shape(hz_value(dx), at), "%s: %s", c->name, what);
    for (int64_t k = 0; k < n; k++) g[k] = hz_get_flat(hz_value(dx), k);
    for (int64_t k = 0; k < n; k++) {
        const double s = slope(b, c, at, k);
        cr_assert(fabs(g[k] - s) <= 1e-7 + 1e-6 * fabs(s), "%s: %s[%d] is %g, not %g", c->name, what, (int)k,
                  g[k], s);
        nonzero += g[k] != 0;
    }
    return nonzero;
}

static void check_gradients(const layer_case *c, bool training) {
    bench b;
    hz_var x, dx[16];
    hz_error err;
    set_up(&b, c, c->dim);
    record_again(&b, c, &x); /* makes the parameters */
    b.net.training = training;
    for (int k = 0, trained = 0; k < hz_params_count(b.p); k++) {
        const hz_parameter *q = hz_params_at(b.p, k);
        if (q->buffer) continue;
        cr_assert(hz_params_grad(b.p, loss_of(record_again(&b, c, &x)), NULL, dx, &err), "%s", err.text);
        cr_assert(check_slopes(&b, c, q->name, &q->value, dx[trained++]) > 0, "%s %s", c->name, q->name);
    }
    hz_var loss = loss_of(record_again(&b, c, &x));
    if (!c->indices) cr_assert(check_slopes(&b, c, "x", &b.x, hz_grad1(loss, x, NULL)) > 0, "%s", c->name);
    tear_down(&b);
}

Test(layers, have_the_right_gradients_in_and_out_of_training) {
    for (int k = 0; k < LAYERS; k++) {
        if (layers[k].record == embedding) continue; /* its last row has none; see below */
        check_gradients(&layers[k], false);
        check_gradients(&layers[k], true);
    }
}

Test(layers, a_row_for_padding_begins_with_zeros_and_gets_no_gradient) {
    const layer_case *c = &layers[3];
    const int64_t from_the_end[] = {0, -1, 4, -5, 3, -2};
    bench b;
    hz_var x, dw[1];
    hz_error err;
    cr_assert(c->record == embedding);
    set_up(&b, c, c->dim);
    memcpy(b.indices, from_the_end, sizeof from_the_end);
    record_again(&b, c, &x);
    const hz_tensor *weight = &hz_params_find(b.p, "l.weight")->value;
    for (int64_t k = 0; k < 15; k++) cr_assert_eq(hz_get_flat(weight, k) == 0, k >= 12);
    hz_set_flat(weight, 13, 6); /* a loaded row may have values */
    hz_var y = record_again(&b, c, &x);
    cr_assert_eq(hz_get_flat(hz_value(y), 1 * 3 + 1), 6);
    cr_assert(hz_params_grad(b.p, hz_sum(y, HZ_ALL_AXES, false), NULL, dw, &err), "%s", err.text);
    const double times[] = {2, 0, 0, 2, 0}; /* 0 and −5; 3 and −2; padding, −1 and 4, does not count */
    for (int64_t k = 0; k < 15; k++) cr_assert_eq(hz_get_flat(hz_value(dw[0]), k), times[k / 3]);
    tear_down(&b);
}

/* ---- extremes ---- */

static void check_no_pictures(const layer_case *c, bool training) {
    bench b;
    hz_var x, dx[16];
    hz_error err;
    int64_t dim[4];
    set_up(&b, c, c->dim);
    record_again(&b, c, &x);
    memcpy(dim, c->dim, sizeof dim);
    dim[0] = 0;
    b.x = hz_tensor_of(b.x.data, b.x.dtype, c->rank, dim);
    b.net.training = training;
    hz_var y = record_again(&b, c, &x), loss = loss_of(y);
    cr_assert_eq(hz_value(y)->dim[0], 0, "%s", c->name);
    cr_assert_eq(hz_item(loss), 0, "%s", c->name);
    cr_assert(hz_params_grad(b.p, loss, NULL, dx, &err), "%s: %s", c->name, err.text);
    for (int k = 0; k < hz_params_trained(b.p); k++)
        for (int64_t e = 0; e < hz_numel(hz_value(dx[k])); e++)
            cr_assert_eq(hz_get_flat(hz_value(dx[k]), e), 0, "%s", c->name);
    if (!c->indices) cr_assert(hz_same_shape(hz_value(hz_grad1(loss, x, NULL)), &b.x), "%s", c->name);
    const hz_parameter *var = hz_params_find(b.p, "l.running_var");
    if (var) cr_assert_eq(hz_get_flat(&var->value, 0), 1, "%s", c->name);
    cr_assert(hz_tape_ok(b.t, &err), "%s: %s", c->name, err.text);
    tear_down(&b);
}

Test(layers, take_a_batch_of_nothing) {
    for (int k = 0; k < LAYERS; k++) {
        if (layers[k].rank == 1) continue; /* its only axis is the features' */
        check_no_pictures(&layers[k], false);
        check_no_pictures(&layers[k], true);
    }
}

/* Of extent 1 in every axis, with one channel, feature, row or group. */
static hz_var smallest_linear(hz_net *net, hz_var x) {
    return hz_layer_linear(net, "l", x, &(hz_linear_layer){.out = 1});
}
static hz_var smallest_conv1d(hz_net *net, hz_var x) {
    return hz_layer_conv1d(net, "l", x, &(hz_conv1d_layer){.out = 1, .kernel = 1});
}
static hz_var smallest_conv2d(hz_net *net, hz_var x) {
    return hz_layer_conv2d(net, "l", x, &(hz_conv2d_layer){.out = 1, .kernel = {1, 1}});
}
static hz_var smallest_conv_transpose1d(hz_net *net, hz_var x) {
    return hz_layer_conv_transpose1d(net, "l", x, &(hz_conv_transpose1d_layer){.out = 1, .kernel = 1});
}
static hz_var smallest_conv_transpose2d(hz_net *net, hz_var x) {
    return hz_layer_conv_transpose2d(net, "l", x, &(hz_conv_transpose2d_layer){.out = 1, .kernel = {1, 1}});
}
static hz_var smallest_group_norm(hz_net *net, hz_var x) {
    return hz_layer_group_norm(net, "l", x, NULL);
}
static hz_var smallest_prelu(hz_net *net, hz_var x) {
    return hz_layer_prelu(net, "l", x, NULL);
}

Test(layers, take_extents_of_one) {
    static const layer_case smallest[] = {
        {"linear", smallest_linear, 1, {1}, "[1]", NULL, false},
        {"conv1d", smallest_conv1d, 3, {1, 1, 1}, "[1,1,1]", NULL, false},
        {"conv2d", smallest_conv2d, 4, {1, 1, 1, 1}, "[1,1,1,1]", NULL, false},
        {"conv_transpose1d", smallest_conv_transpose1d, 3, {1, 1, 1}, "[1,1,1]", NULL, false},
        {"conv_transpose2d", smallest_conv_transpose2d, 4, {1, 1, 1, 1}, "[1,1,1,1]", NULL, false},
        {"layer_norm", layer_norm, 2, {1, 1}, "[1,1]", NULL, false},
        {"group_norm", smallest_group_norm, 3, {1, 1, 1}, "[1,1,1]", NULL, false},
        {"batch_norm", batch_norm, 2, {1, 1}, "[1,1]", NULL, false},
        {"prelu", smallest_prelu, 2, {1, 1}, "[1,1]", NULL, false},
        {"embedding", embedding, 1, {1}, "[1,3]", NULL, true},
    };
    for (size_t k = 0; k < sizeof smallest / sizeof smallest[0]; k++) {
        bench b;
        hz_var x, dx[2];
        hz_error err;
        set_up(&b, &smallest[k], smallest[k].dim);
        hz_var y = record_again(&b, &smallest[k], &x);
        cr_assert_str_eq(hz_shape_str(hz_value(y)).s, smallest[k].y, "%s", smallest[k].name);
        cr_assert(isfinite(hz_get_flat(hz_value(y), 0)), "%s", smallest[k].name);
        cr_assert(hz_params_grad(b.p, loss_of(y), NULL, dx, &err), "%s: %s", smallest[k].name, err.text);
        tear_down(&b);
    }
}

/* ---- training and evaluation ---- */

Test(layers, running_statistics_are_used_out_of_training_and_batches_counted_in_it) {
    const layer_case *c = &layers[8];
    bench b;
    hz_var x;
    cr_assert(c->record == batch_norm);
    set_up(&b, c, c->dim);
    b.net.training = true;
    record_again(&b, c, &x);
    record_again(&b, c, &x);
    const hz_tensor *mean = &hz_params_find(b.p, "l.running_mean")->value;
    const hz_tensor *var = &hz_params_find(b.p, "l.running_var")->value;
    const hz_tensor *count = &hz_params_find(b.p, "l.num_batches_tracked")->value;
    cr_assert_eq(hz_get_flat(count, 0), 2);
    b.net.training = false;
    hz_var y = record_again(&b, c, &x);
    cr_assert_eq(hz_get_flat(count, 0), 2);
    const double expected =
        (b.values[4] - hz_get_flat(mean, 1)) / sqrt(hz_get_flat(var, 1) + 1e-5); /* of channel 1 */
    cr_assert_float_eq(hz_get_flat(hz_value(y), 4), expected, 1e-12);
    tear_down(&b);
}

static hz_var untracked(hz_net *net, hz_var x) {
    return hz_layer_batch_norm(net, "l", x, &(hz_batch_norm_layer){.no_running = true, .no_affine = true});
}

Test(layers, without_running_statistics_batch_norm_goes_by_the_batch_always) {
    const layer_case c = {"untracked", untracked, 2, {4, 3}, NULL, NULL, false};
    bench b;
    hz_var x;
    set_up(&b, &c, c.dim);
    hz_var y = record_again(&b, &c, &x);
    double sum = 0;
    for (int64_t k = 0; k < 4; k++) sum += hz_get_flat(hz_value(y), 3 * k);
    cr_assert_float_eq(sum, 0, 1e-12);
    cr_assert_eq(hz_params_count(b.p), 0);
    tear_down(&b);
}

Test(layers, instance_norm_averages_its_statistics_over_pictures_and_counts_nothing) {
    const double x[4] = {1, 3, 2,
                         8}; /* two pictures of one channel: means 2 and 5, unbiased variances 2 and 18 */
    const hz_instance_norm_layer l = {.running = true, .momentum = 0.5};
    hz_error err;
    hz_params *p = hz_params_new(&(hz_params_opts){.dtype = HZ_F64}, &err);
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t, .params = p, .training = true};
    const hz_tensor in = hz_tensor_of((void *)x, HZ_F64, HZ_DIMS(2, 1, 2));
    hz_layer_instance_norm(&net, "l", hz_input(t, &in), &l);
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    cr_assert_float_eq(hz_get_flat(&hz_params_find(p, "l.running_mean")->value, 0), 0.5 * 3.5, 1e-12);
    cr_assert_float_eq(hz_get_flat(&hz_params_find(p, "l.running_var")->value, 0), 0.5 + 0.5 * 10, 1e-12);
    cr_assert_eq(hz_get_flat(&hz_params_find(p, "l.num_batches_tracked")->value, 0), 0);
    hz_tape_free(t);
    hz_params_free(p);
}

/* ---- parameters of a file ---- */

static float numbers[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static hz_weights *weights_of(const hz_safetensors_entry *entry, size_t n) {
    const scratch s = scratch_path("test_layers.safetensors");
    hz_weights *w;
    hz_error err;
    cr_assert(hz_safetensors_write(s.path, entry, n, NULL, 0, NULL, &err), "%s", err.text);
    cr_assert(hz_weights_open(s.path, NULL, &w, &err), "%s", err.text);
    unlink(s.path);
    return w;
}

Test(layers, sizes_left_open_are_those_of_the_file_and_a_bias_may_be_absent) {
    const hz_safetensors_entry entry[] = {{"a.weight", hz_tensor_of(numbers, HZ_F32, HZ_DIMS(2, 1, 3))},
                                          {"b.weight", hz_tensor_of(numbers, HZ_F32, HZ_DIMS(2, 1, 2))},
                                          {"c.weight", hz_tensor_of(numbers, HZ_F32, HZ_DIMS(3))},
                                          {"d.weight", hz_tensor_of(numbers, HZ_F32, HZ_DIMS(1))},
                                          {"e.weight", hz_tensor_of(numbers, HZ_F32, HZ_DIMS(3, 2))}};
    hz_weights *w = weights_of(entry, 5);
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t, .weights = w};
    hz_error err;
    hz_var y =
        hz_layer_conv1d(&net, "a", hz_full(t, HZ_F32, HZ_DIMS(1, 1, 4), 1), NULL); /* (1, 2, 2): 6, 15 */
    cr_assert_eq(hz_get_flat(hz_value(y), 2), 4 + 5 + 6);
    y = hz_layer_conv_transpose1d(&net, "b", y, NULL); /* (1, 1, 3) */
    cr_assert_eq(hz_get_flat(hz_value(y), 0), 6 * 1 + 15 * 3);
    y = hz_layer_prelu(&net, "d", hz_layer_layer_norm(&net, "c", y, NULL), NULL);
    cr_assert_str_eq(hz_shape_str(hz_value(y)).s, "[1,1,3]");
    y = hz_layer_embedding(&net, "e", hz_full(t, HZ_I32, HZ_DIMS(1), 2), NULL);
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    cr_assert_eq(hz_get_flat(hz_value(y), 1), 6);
    hz_tape_free(t);
    hz_weights_close(w);
}

Test(layers, a_file_is_not_trained) {
    const hz_safetensors_entry entry[] = {{"l.running_mean", hz_tensor_of(numbers, HZ_F32, HZ_DIMS(2))},
                                          {"l.running_var", hz_tensor_of(numbers, HZ_F32, HZ_DIMS(2))}};
    hz_weights *w = weights_of(entry, 2);
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t, .weights = w, .training = true};
    hz_error err;
    hz_layer_batch_norm(&net, "l", hz_full(t, HZ_F32, HZ_DIMS(3, 2), 9), NULL);
    cr_assert(!hz_tape_ok(t, &err) && strstr(err.text, "\"l\": training needs a store"), "%s", err.text);
    cr_assert_eq(hz_get_flat(hz_weights_find(w, "l.running_mean"), 0), 1);
    hz_tape_free(t);
    hz_weights_close(w);
}

static hz_var words(hz_net *net, hz_var x) {
    return hz_layer_linear(net, "head", embedding(net, x), &(hz_linear_layer){.out = 2});
}

Test(layers, a_network_of_indices_is_built_on_some) {
    hz_error err;
    int64_t index[2] = {0, 4};
    const hz_tensor x = hz_tensor_of(index, HZ_I64, HZ_DIMS(2));
    hz_params *p = hz_params_new(NULL, &err);
    cr_assert(!hz_params_build(p, words, HZ_DIMS(2), &err));
    cr_assert(hz_params_build_on(p, words, &x, &err), "%s", err.text);
    cr_assert_eq(hz_params_count(p), 3);
    hz_params_free(p);
}

/* ---- errors: sticky, inert, and about the layer ---- */

static hz_var sevenths(hz_net *net, hz_var x) {
    return hz_layer_group_norm(net, "l", x, &(hz_group_norm_layer){.groups = 7});
}
static hz_var five_axes(hz_net *net, hz_var x) {
    return hz_layer_layer_norm(net, "l", x, &(hz_layer_norm_layer){.axes = 5});
}
static hz_var no_kernel(hz_net *net, hz_var x) {
    return hz_layer_conv2d(net, "l", x, &(hz_conv2d_layer){.out = 3});
}
static hz_var huge_kernel(hz_net *net, hz_var x) {
    return hz_layer_conv2d(net, "l", x,
                           &(hz_conv2d_layer){.out = INT64_MAX, .kernel = {INT64_MAX, INT64_MAX}});
}
static hz_var negative_out(hz_net *net, hz_var x) {
    return hz_layer_linear(net, "l", x, &(hz_linear_layer){.out = -2});
}
static hz_var negative_groups(hz_net *net, hz_var x) {
    return hz_layer_conv1d(net, "l", x, &(hz_conv1d_layer){.out = 4, .kernel = 1, .opts.groups = -2});
}
static hz_var transposed_groups(hz_net *net, hz_var x) {
    return hz_layer_conv_transpose1d(net, "l", x,
                                     &(hz_conv_transpose1d_layer){.out = 3, .kernel = 2, .opts.groups = 2});
}
static hz_var negative_eps(hz_net *net, hz_var x) {
    return hz_layer_batch_norm(net, "l", x, &(hz_batch_norm_layer){.eps = -1});
}
static hz_var far_padding(hz_net *net, hz_var x) {
    return hz_layer_embedding(net, "l", x,
                              &(hz_embedding_layer){.rows = 5, .width = 3, .padding = &(const int64_t){5}});
}
static hz_var two_actions(hz_net *net, hz_var x) {
    return hz_sequential(net, "l", x, HZ_STAGES({0}, {.linear = &three, .op = hz_relu}));
}
static hz_var uneven_residual(hz_net *net, hz_var x) {
    return hz_residual(net, "l", x, HZ_STAGES({.linear = &three}), NULL);
}
static hz_var nine_axes(hz_net *net, hz_var x) {
    (void)x;
    return hz_param_shaped(net, "l.weight", HZ_DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1), NULL);
}
static hz_var no_activation(hz_net *net, hz_var x) {
    (void)net;
    return hz_activation(x, "rely");
}

Test(layers, say_what_is_wrong_and_where) {
    static const struct {
        layer_case c;
        hz_code code;
        const char *words[2];
    } cases[] = {
        {{"", conv1d, 2, {2, 4}, NULL, NULL, false}, HZ_ESHAPE, {"\"l\"", "[2,4] must be (N, C, L)"}},
        {{"", conv1d, 3, {2, 3, 5}, NULL, NULL, false},
         HZ_EINVAL,
         {"\"l\"", "3 channels do not make 2 groups"}},
        {{"", conv2d, 3, {2, 2, 4}, NULL, NULL, false}, HZ_ESHAPE, {"\"l\"", "[2,2,4] must be (N, C, H, W)"}},
        {{"", conv2d, 4, {2, 2, 1, 1}, NULL, NULL, false}, HZ_ESHAPE, {"\"l\"", "columns"}},
        {{"", conv_transpose1d, 4, {2, 6, 3, 1}, NULL, NULL, false}, HZ_ESHAPE, {"\"l\"", "(N, C, L)"}},
        {{"", conv_transpose2d, 3, {2, 6, 3}, NULL, NULL, false}, HZ_ESHAPE, {"\"l\"", "(N, C, H, W)"}},
        {{"", transposed_groups, 3, {2, 4, 3}, NULL, NULL, false},
         HZ_EINVAL,
         {"\"l\"", "3 channels do not make 2"}},
        {{"", negative_groups, 3, {2, 4, 3}, NULL, NULL, false}, HZ_EINVAL, {"\"l\"", "-2 groups"}},
        {{"", no_kernel, 4, {2, 2, 4, 4}, NULL, NULL, false},
         HZ_ENOTFOUND,
         {"\"l.weight\"", "[3,2,-1,-1] open"}},
        {{"", huge_kernel, 4, {1, 1, 4, 4}, NULL, NULL, false},
         HZ_ESHAPE,
         {"l.weight", "9223372036854775807"}},
        {{"", negative_out, 2, {2, 3}, NULL, NULL, false}, HZ_ENOTFOUND, {"l.weight", "-2"}},
        {{"", nine_axes, 1, {1}, NULL, NULL, false}, HZ_ESHAPE, {"\"l.weight\"", "9 axes"}},
        {{"", linear, 0, {0}, NULL, NULL, false}, HZ_ENOTFOUND, {"l.weight", "[4,-1]"}},
        {{"", embedding, 1, {2}, NULL, NULL, false}, HZ_ESHAPE, {"\"l\"", "f64"}},
        {{"", far_padding, 1, {2}, NULL, NULL, true},
         HZ_EINVAL,
         {"\"l\"", "padding 5 is no row of table [5,3]"}},
        {{"", batch_norm, 1, {3}, NULL, NULL, false}, HZ_ESHAPE, {"\"l\"", "[3] must be (N, C, …)"}},
        {{"", negative_eps, 2, {3, 2}, NULL, NULL, false}, HZ_EINVAL, {"\"l\"", "eps"}},
        {{"", untracked, 2, {1, 3}, NULL, NULL, false},
         HZ_ESHAPE,
         {"\"l\"", "[1,3] has one number for each mean"}},
        {{"", instance_norm, 3, {5, 3, 1}, NULL, NULL, false},
         HZ_ESHAPE,
         {"\"l\"", "one number for each mean"}},
        {{"", sevenths, 3, {2, 6, 2}, NULL, NULL, false},
         HZ_EINVAL,
         {"\"l\"", "6 channels do not make 7 groups"}},
        {{"", five_axes, 3, {2, 6, 2}, NULL, NULL, false},
         HZ_EINVAL,
         {"\"l\"", "[2,6,2] has no 5 last axes"}},
        {{"", prelu, 2, {2, 3}, NULL, NULL, false}, HZ_ESHAPE, {"\"l\"", "[2,3] has not the 4 channels"}},
        {{"", two_actions, 2, {2, 3}, NULL, NULL, false},
         HZ_EINVAL,
         {"stage \"1\" of \"l\"", "2 things to do"}},
        {{"", uneven_residual, 2, {2, 1}, NULL, NULL, false},
         HZ_ESHAPE,
         {"\"l\"", "branch makes [2,3], the way past it [2,1]"}},
        {{"", no_activation, 2, {2, 1}, NULL, NULL, false},
         HZ_ENOTFOUND,
         {"\"rely\"", "hard_tanh, leaky_relu, relu"}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        bench b;
        hz_error err = {HZ_OK, ""};
        set_up(&b, &cases[k].c, cases[k].c.dim);
        hz_var y = cases[k].c.record(&b.net, hz_input(b.t, &b.x));
        cr_expect(!hz_ok(y) && !hz_tape_ok(b.t, &err), "case %d made %s", (int)k,
                  hz_shape_str(hz_value(y)).s);
        cr_expect_eq(err.code, cases[k].code, "case %d: code %d: %s", (int)k, (int)err.code, err.text);
        cr_expect(strstr(err.text, cases[k].words[0]) && strstr(err.text, cases[k].words[1]), "case %d: %s",
                  (int)k, err.text);
        cr_expect_str_eq(b.net.path, "", "case %d leaves \"%s\"", (int)k, b.net.path);
        cr_expect(!hz_ok(linear(&b.net, y)), "case %d", (int)k);
        tear_down(&b);
    }
}

/* ---- tables ---- */

Test(sequential, takes_numbers_as_names_below_its_own_and_none_at_the_top) {
    hz_error err;
    hz_params *p = hz_params_new(NULL, &err);
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t, .params = p};
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(2, 3), 1);
    hz_var y = hz_sequential(&net, "", x,
                             HZ_STAGES({.linear = &three}, {.op = hz_relu}, {.name = "part", .part = linear},
                                       {.sequential = HZ_STAGES({0}, {.linear = &three})}, {.dropout = 0.5}));
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    cr_assert(hz_params_find(p, "0.weight") && hz_params_find(p, "part.l.weight") &&
              hz_params_find(p, "3.1.bias") && hz_params_count(p) == 6);
    cr_assert(hz_ok(hz_lookup(t, "1")) && hz_lookup(t, "3").id == y.id);
    hz_tape_free(t);
    hz_params_free(p);
}

Test(activation, every_name_works_and_ends_with_null) {
    hz_tape *t = hz_tape_new(NULL);
    hz_error err;
    int n = 0;
    for (; hz_activation_name(n); n++)
        hz_activation(hz_full(t, HZ_F32, HZ_DIMS(2), 1), hz_activation_name(n));
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    cr_assert(n > 10 && !hz_activation_name(-1));
    hz_tape_free(t);
}
