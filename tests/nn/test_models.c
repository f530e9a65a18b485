/* test_models.c: the real networks give their published scores, and their layers are found by name.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>

#include "../tensor/files.h"
#include "data.h"
#include "nn/hzero.h"

/* The spec "arch:FILE" of a data file, or a skipped test. */
static const char *spec_of(const char *arch, const char *file) {
    static char spec[4200];
    const char *path = hz_test_data(file);
    if (!path) cr_skip("no %s: set HZ_DATA", file);
    snprintf(spec, sizeof spec, "%s:%s", arch, path);
    return spec;
}

static hz_model open_model(const char *spec) {
    hz_model m;
    hz_error err = {0};
    cr_assert(hz_model_open(spec, NULL, &m, &err), "%s", err.text);
    return m;
}

static hz_tensor load_input(const hz_model *m, const char *file) {
    hz_tensor input;
    hz_error err = {0};
    if (!hz_test_data(file)) cr_skip("no %s: set HZ_DATA", file);
    cr_assert(hz_preprocess_file(&m->preprocess, hz_test_data(file), NULL, &input, &err), "%s", err.text);
    return input;
}

static void check_named(hz_tape *t, const char *name, const char *shape) {
    hz_var v = hz_lookup(t, name);
    cr_assert(hz_ok(v), "nothing is named %s", name);
    cr_assert_str_eq(hz_shape_str(hz_value(v)).s, shape, "%s is %s, not %s", name,
                     hz_shape_str(hz_value(v)).s, shape);
}

/* ---- opening ---- */

Test(model, an_unknown_architecture_is_told_the_known_ones) {
    static const char *const specs[] = {
        "vgg16:x.safetensors", "resnet5:x", "resnet500:x", ":x", "", "resnet50"};
    for (size_t k = 0; k < sizeof specs / sizeof specs[0]; k++) {
        hz_model m;
        hz_error err = {0};
        cr_assert(!hz_model_open(specs[k], NULL, &m, &err), "%s", specs[k]);
        cr_assert_eq(err.code, HZ_ENOTFOUND);
        cr_assert(strstr(err.text, "squeezenet1_0, resnet20, resnet50"), "%s", err.text);
        hz_model_close(&m);
    }
}

Test(model, missing_weights_are_told_by_path) {
    hz_model m;
    hz_error err = {0};
    cr_assert(!hz_model_open("resnet20:/nowhere/x.safetensors", NULL, &m, &err));
    cr_assert(strstr(err.text, "/nowhere/x.safetensors"), "%s", err.text);
    hz_model_close(&m);
}

/* ---- layers, with weights made by hand ---- */

static hz_weights *make_weights(const hz_safetensors_entry *entries, size_t n) {
    const scratch s = scratch_path("layers.safetensors");
    hz_weights *w;
    hz_error err = {0};
    cr_assert(hz_safetensors_write(s.path, entries, n, NULL, 0, NULL, &err), "%s", err.text);
    cr_assert(hz_weights_open(s.path, NULL, &w, &err), "%s", err.text);
    unlink(s.path);
    return w;
}

static float numbers[64] = {1, 2, 3, 4, 5, 6, 7, 8};

Test(layers, parameters_and_output_are_named_after_the_layer) {
    const hz_safetensors_entry entries[] = {{"part.fc.weight", hz_tensor_of(numbers, HZ_F32, HZ_DIMS(2, 3))},
                                            {"part.fc.bias", hz_tensor_of(numbers, HZ_F32, HZ_DIMS(2))}};
    hz_weights *w = make_weights(entries, 2);
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t, .weights = w};
    hz_error err;
    hz_net_enter(&net, "part");
    hz_var y = hz_layer_linear(&net, "fc", hz_full(t, HZ_F32, HZ_DIMS(1, 3), 1), NULL);
    hz_net_leave(&net, "part");
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    cr_assert_eq(hz_get_flat(hz_value(y), 1), 4 + 5 + 6 + 2);
    cr_assert_eq(hz_lookup(t, "part.fc").id, y.id);
    check_named(t, "part/fc/weight", "[2,3]");
    check_named(t, "part.fc.bias", "[2]");
    hz_tape_free(t);
    hz_weights_close(w);
}

Test(layers, the_spellings_of_keras_are_found) {
    const hz_safetensors_entry entries[] = {
        {"c/kernel", hz_tensor_of(numbers, HZ_F32, HZ_DIMS(1, 1, 1, 1))},
        {"b/gamma", hz_tensor_of(numbers + 1, HZ_F32, HZ_DIMS(1))},
        {"b/beta", hz_tensor_of(numbers + 2, HZ_F32, HZ_DIMS(1))},
        {"b/moving_mean", hz_tensor_of(numbers + 3, HZ_F32, HZ_DIMS(1))},
        {"b/moving_variance", hz_tensor_of(numbers + 4, HZ_F32, HZ_DIMS(1))}};
    hz_weights *w = make_weights(entries, 5);
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t, .weights = w};
    hz_error err;
    hz_var y = hz_layer_conv2d(&net, "c", hz_full(t, HZ_F32, HZ_DIMS(1, 1, 1, 1), 10), NULL);
    y = hz_layer_batch_norm(&net, "b", y, NULL);
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    cr_assert_float_eq(hz_item(y), 2 * (10 - 4) / sqrt(5) + 3, 1e-5); /* γ(x − mean)/√var + β */
    hz_tape_free(t);
    hz_weights_close(w);
}

Test(layers, a_missing_parameter_fails_with_its_full_name_and_its_neighbours) {
    const hz_safetensors_entry entries[] = {{"part.conv1.weight", hz_tensor_of(numbers, HZ_F32, HZ_DIMS(1))}};
    hz_weights *w = make_weights(entries, 1);
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t, .weights = w};
    hz_error err;
    hz_net_enter(&net, "part");
    hz_var y = hz_layer_conv2d(&net, "conv2", hz_full(t, HZ_F32, HZ_DIMS(1, 1, 1, 1), 10), NULL);
    cr_assert(!hz_ok(y) && !hz_tape_ok(t, &err));
    cr_assert_eq(err.code, HZ_ENOTFOUND);
    cr_assert(strstr(err.text, "\"part.conv2.weight\"") && strstr(err.text, "part.conv1.weight"), "%s",
              err.text);
    hz_tape_free(t);
    hz_weights_close(w);
}

Test(layers, an_error_of_an_op_names_the_layer) {
    const hz_safetensors_entry entries[] = {
        {"part.conv1.weight", hz_tensor_of(numbers, HZ_F32, HZ_DIMS(2, 2, 1, 1))}};
    hz_weights *w = make_weights(entries, 1);
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t, .weights = w};
    hz_error err;
    hz_net_enter(&net, "part");
    hz_layer_conv2d(&net, "conv1", hz_full(t, HZ_F32, HZ_DIMS(1, 3, 1, 1), 10), NULL);
    cr_assert(!hz_tape_ok(t, &err));
    cr_assert(strstr(err.text, "conv2d \"part.conv1\""), "%s", err.text);
    hz_tape_free(t);
    hz_weights_close(w);
}

Test(layers, parts_are_left_as_they_were_entered) {
    hz_tape *t = hz_tape_new(NULL);
    hz_net net = {.tape = t};
    hz_net_enter(&net, "layer1.0");
    hz_net_enter(&net, "a");
    hz_net_leave(&net, "a");
    cr_assert_str_eq(net.path, "layer1.0");
    hz_net_leave(&net, "layer1.0");
    cr_assert_str_eq(net.path, "");
    cr_assert(hz_tape_ok(t, NULL));
    hz_net_leave(&net, "a");
    cr_assert(!hz_tape_ok(t, NULL));
    hz_tape_free(t);
}

/* ---- SqueezeNet ---- */

Test(squeezenet, knows_the_cat) {
    static const struct {
        int class;
        double probability;
    } best[] = {{285, .565}, {282, .193}, {281, .181}, {287, .039}, {293, .013}};
    hz_model m = open_model(spec_of("squeezenet1_0", "squeezenet1_0_dc.safetensors"));
    hz_tensor image = load_input(&m, "chelsea_227.png");
    hz_tape *t = hz_tape_new(NULL);
    hz_error err;
    hz_var scores = hz_model_forward(&m, hz_input(t, &image)), p = hz_softmax(scores, HZ_AXIS(1));
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    cr_assert_float_eq(hz_item(hz_unit(t, "logits[285]")), 17.5213346, 2e-5);
    for (size_t k = 0; k < sizeof best / sizeof best[0]; k++)
        cr_assert_float_eq(hz_get_flat(hz_value(p), best[k].class), best[k].probability, 5.1e-4,
                           "class %d: %g", best[k].class, hz_get_flat(hz_value(p), best[k].class));
    check_named(t, "fire9", "[1,512,13,13]");
    check_named(t, "fire2.squeeze1x1", "[1,16,55,55]");
    check_named(t, "fire2.relu_expand3x3", "[1,64,55,55]");
    check_named(t, "fire2.squeeze1x1.weight", "[16,96,1,1]");
    check_named(t, "relu_conv1", "[1,96,111,111]");
    check_named(t, "conv10", "[1,1000,15,15]");
    hz_tape_free(t);
    hz_free(NULL, image.data);
    hz_model_close(&m);
}

Test(squeezenet, pooling_counts_partial_windows) {
    hz_model m = open_model(spec_of("squeezenet1_0", "squeezenet1_0_dc.safetensors"));
    hz_tape *t = hz_tape_new(NULL);
    hz_error err;
    hz_model_forward(&m, hz_full(t, HZ_F32, HZ_DIMS(1, 3, 56, 56), 1));
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    check_named(t, "pool1", "[1,96,12,12]");
    check_named(t, "pool4",
                "[1,256,6,6]"); /* 12 rows: windows at 0, 2, …, 10, the last reaching over the end */
    hz_tape_free(t);
    hz_model_close(&m);
}

/* ---- ResNet-20 ---- */

Test(resnet20, gets_915_of_1000_right) {
    hz_model m = open_model(spec_of("resnet20", "resnet20_cifar10.safetensors"));
    hz_data data;
    hz_accuracy a;
    hz_error err = {0};
    if (!hz_test_data("cifar10_test_first1000.bin")) cr_skip("no cifar10_test_first1000.bin: set HZ_DATA");
    cr_assert(hz_data_open(hz_test_data("cifar10_test_first1000.bin"), NULL, &data, &err), "%s", err.text);
    cr_assert(hz_evaluate(&m, &data, 0, NULL, &a, &err), "%s", err.text);
    cr_assert(a.right == 915 && a.of == 1000, "%d of %d", (int)a.right, (int)a.of);
    hz_data_close(&data);
    hz_model_close(&m);
}

Test(resnet20, blocks_stages_and_scores_are_named) {
    hz_model m = open_model(spec_of("resnet20", "resnet20_cifar10.safetensors"));
    hz_tape *t = hz_tape_new(NULL);
    hz_error err;
    hz_model_forward(&m, hz_full(t, HZ_F32, HZ_DIMS(1, 3, 32, 32), 0.5));
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    check_named(t, "bn1", "[1,16,32,32]");
    check_named(t, "layer1.0.conv1", "[1,16,32,32]");
    check_named(t, "layer1.0.relu1", "[1,16,32,32]");
    check_named(t, "layer2", "[1,32,16,16]");
    check_named(t, "layer3.0", "[1,64,8,8]");
    cr_assert_eq(hz_lookup(t, "layer2.2").id, hz_lookup(t, "layer2").id);
    cr_assert_eq(hz_lookup(t, "linear").id, hz_lookup(t, "logits").id);
    cr_assert_eq(hz_node_of(hz_lookup(t, "layer3.0"))->op, &hz_op_relu);
    hz_tape_free(t);
    hz_model_close(&m);
}

/* ---- ResNet-50, where examples/fetch.sh or HZ_DATA has it ---- */

static const char *resnet50_folder(void) {
    static char path[4096];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (hz_test_data("resnet50/ResNet50/model.json")) return hz_test_data("resnet50/ResNet50");
    snprintf(path, sizeof path, "%s%s/hzero/resnet50/ResNet50",
             cache  ? cache
             : home ? home
                    : "",
             cache ? "" : "/.cache");
    return access(path, R_OK) == 0 ? path : NULL;
}

static const char *resnet50_spec(void) {
    static char spec[4200];
    if (!resnet50_folder()) cr_skip("no ResNet-50: sh examples/fetch.sh");
    snprintf(spec, sizeof spec, "resnet50:%s", resnet50_folder());
    return spec;
}

Test(resnet50, knows_the_cat) {
    hz_error err;
    hz_model m = open_model(resnet50_spec());
    hz_tensor image = load_input(&m, "chelsea.png");
    hz_tape *t = hz_tape_new(NULL);
    hz_var p = hz_softmax(hz_model_forward(&m, hz_input(t, &image)), HZ_AXIS(1));
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    cr_assert_float_eq(hz_get_flat(hz_value(p), 285), .7329, 1e-3, "%g", hz_get_flat(hz_value(p), 285));
    check_named(t, "res2a_branch2a", "[1,64,56,56]");
    check_named(t, "bn2a_branch1", "[1,256,56,56]");
    check_named(t, "res3a", "[1,512,28,28]");
    check_named(t, "activation_48", "[1,2048,7,7]");
    cr_assert_eq(hz_lookup(t, "res5c").id, hz_lookup(t, "activation_48").id);
    cr_assert_eq(hz_lookup(t, "fc1000").id, hz_lookup(t, "logits").id);
    hz_tape_free(t);
    hz_free(NULL, image.data);
    hz_model_close(&m);
}

/* ---- maps of all three: single units, early to late, under every rule ---- */

enum { UNITS = 5 };

static const char *const squeezenet_units[UNITS] = {
    "conv1[40,0,110]", "fire2[argmax]", "fire5.expand3x3[3,26,13]", "fire9[489,5,3]", "logits[argmax]"};
static const char *const resnet20_units[UNITS] = {"conv1[7,0,31]", "layer1.0[argmax]", "layer2.0.bn1[5,15,0]",
                                                  "layer3.1[argmax]", "logits[argmax]"};
static const char *const resnet50_units[UNITS] = {
    "conv1[40,0,111]", "res2c[argmax]", "res3a_branch2b[9,27,14]", "res4f[argmax]", "logits[argmax]"};

static hz_var record(const hz_model *m, hz_tape *t, const hz_tensor *image) {
    hz_error err;
    hz_var x = hz_input(t, image);
    hz_model_forward(m, x);
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    return x;
}

/* The map of a unit under rule number r; whole: without support boxes. */
static hz_var map_of(hz_tape *t, hz_var x, const char *unit, int r, bool whole) {
    hz_error err;
    hz_var y = hz_unit(t, unit), dx;
    hz_grad_opts opts = {.rules = hz_rules_named(hz_rule_names[r]), .whole = whole};
    hz_grad(&y, 1, &x, 1, &opts, &dx);
    cr_assert(hz_tape_ok(t, &err), "%s: %s", unit, err.text);
    return dx;
}

/* |a − b| of at most this part of the largest |b|; not all of b may be zero under the true gradient of a maximum. */
static void expect_same_map(hz_var a, hz_var b, double tolerance, const char *unit, int r) {
    const float *p = hz_value(a)->data, *q = hz_value(b)->data;
    double scale = 0, off = 0;
    for (int64_t e = 0; e < hz_numel(hz_value(b)); e++) {
        scale = fmax(scale, fabs((double)q[e]));
        off = fmax(off, fabs((double)p[e] - (double)q[e]));
    }
    cr_expect(off <= tolerance * scale, "%s, %s: off by %g of %g", unit, hz_rule_names[r], off, scale);
    cr_expect(scale > 0 || r > 0 || !strstr(unit, "argmax"), "%s: nothing to compare", unit);
}

static void expect_boxes_change_nothing(const char *spec, const char *picture, const char *const *units) {
    hz_model m = open_model(spec);
    hz_tensor image = load_input(&m, picture);
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = record(&m, t, &image);
    for (int u = 0; u < UNITS; u++)
        for (int r = 0; hz_rule_names[r]; r++) {
            hz_mark mark = hz_tape_mark(t);
            expect_same_map(map_of(t, x, units[u], r, false), map_of(t, x, units[u], r, true), 1e-5, units[u],
                            r);
            hz_tape_rewind(t, mark);
        }
    hz_tape_free(t);
    hz_free(NULL, image.data);
    hz_model_close(&m);
}

static void expect_threads_change_nothing(const char *spec, const char *picture, const char *const *units) {
    hz_model m = open_model(spec);
    hz_tensor image = load_input(&m, picture);
    hz_tape *one = hz_tape_new(&(hz_tape_opts){.threads = 1}),
            *two = hz_tape_new(&(hz_tape_opts){.threads = 2});
    hz_var x = record(&m, one, &image), y = record(&m, two, &image);
    for (int u = 0; u < UNITS; u++)
        for (int r = 0; hz_rule_names[r]; r++)
            expect_same_map(map_of(one, x, units[u], r, false), map_of(two, y, units[u], r, false), 0,
                            units[u], r);
    hz_tape_free(one);
    hz_tape_free(two);
    hz_free(NULL, image.data);
    hz_model_close(&m);
}

Test(squeezenet, support_boxes_change_no_map) {
    expect_boxes_change_nothing(spec_of("squeezenet1_0", "squeezenet1_0_dc.safetensors"), "chelsea_227.png",
                                squeezenet_units);
}

Test(squeezenet, threads_change_no_bit_of_a_map) {
    expect_threads_change_nothing(spec_of("squeezenet1_0", "squeezenet1_0_dc.safetensors"), "chelsea_227.png",
                                  squeezenet_units);
}

Test(resnet20, support_boxes_change_no_map) {
    expect_boxes_change_nothing(spec_of("resnet20", "resnet20_cifar10.safetensors"), "chelsea.png",
                                resnet20_units);
}

Test(resnet20, threads_change_no_bit_of_a_map) {
    expect_threads_change_nothing(spec_of("resnet20", "resnet20_cifar10.safetensors"), "chelsea.png",
                                  resnet20_units);
}

Test(resnet50, support_boxes_change_no_map) {
    expect_boxes_change_nothing(resnet50_spec(), "chelsea.png", resnet50_units);
}

Test(resnet50, threads_change_no_bit_of_a_map) {
    expect_threads_change_nothing(resnet50_spec(), "chelsea.png", resnet50_units);
}
