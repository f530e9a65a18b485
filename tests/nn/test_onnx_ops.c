/* test_onnx_ops.c: ops that the official cases of Debian 12 do not have yet, and the light networks of the model zoo.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "nn/onnx/onnx.h"
#include "onnx_file.h"
#include "ops/ops.h"

enum { FLOAT = 1, INT64 = 7 };

/* The tape of a run model; the net is kept, as the rest of a test's memory is. */
static hz_tape *run_model(const model_file *m, hz_var *y) {
    size_t size;
    const uint8_t *bytes = model_pack(m, &size);
    hz_onnx *net;
    hz_error err = {.code = HZ_OK};
    cr_assert(hz_onnx_open_memory(bytes, size, NULL, &net, &err), "%s", err.text);
    kept[n_kept++] = net;
    hz_tape *t = hz_tape_new(NULL);
    cr_assert(hz_onnx_run(net, t, NULL, y) || !hz_tape_ok(t, &err), "no reason");
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    return t;
}

/* Output number k of the model's n is `want`. */
static void assert_gives(const model_file *m, int n, int k, int rank, const int64_t *dim,
                         const double *want) {
    hz_var y[4];
    cr_assert_leq(n, 4);
    hz_tape *t = run_model(m, y);
    hz_tensor shape = hz_tensor_of(NULL, HZ_F32, rank, dim);
    cr_assert(hz_same_shape(hz_value(y[k]), &shape), "%s", hz_shape_str(hz_value(y[k])).s);
    for (int64_t i = 0; i < hz_numel(&shape); i++) {
        double got = hz_get_flat(hz_value(y[k]), i);
        cr_assert(fabs(got - want[i]) <= 1e-6 || (isnan(got) && isnan(want[i])), "[%d] is %g, not %g", (int)i,
                  got, want[i]);
    }
    hz_tape_free(t);
}

static void set_int(Onnx__NodeProto *n, const char *name, int64_t value) {
    Onnx__AttributeProto *a = node_attribute(n, name);
    a->has_i = 1, a->i = value;
}

/* ---- Attention ---- */

/* Of queries of zeros: every key that can be seen has the same weight. v (1, heads, 3, 1) counts up from 1. */
static model_file attention_model(int64_t q_heads, int64_t heads, Onnx__NodeProto **n) {
    static const float zeros[12] = {0}, values[] = {1, 2, 3, 4, 5, 6};
    model_file m = model_new(23);
    model_parameter(&m, "q", FLOAT, HZ_DIMS(1, q_heads, 3, 1), zeros, (size_t)q_heads * 3 * sizeof(float));
    model_parameter(&m, "k", FLOAT, HZ_DIMS(1, heads, 3, 1), zeros, (size_t)heads * 3 * sizeof(float));
    model_parameter(&m, "v", FLOAT, HZ_DIMS(1, heads, 3, 1), values, (size_t)heads * 3 * sizeof(float));
    *n = model_node(&m, "Attention", "attention", "q k v", "y");
    model_output(&m, "y");
    return m;
}

Test(onnx_ops, causal_attention_does_not_see_later_keys) {
    Onnx__NodeProto *n;
    model_file m = attention_model(1, 1, &n);
    set_int(n, "is_causal", 1);
    assert_gives(&m, 1, 0, HZ_DIMS(1, 1, 3, 1), (const double[]){1, 1.5, 2});
}

Test(onnx_ops, neighbouring_query_heads_share_a_head_of_values) {
    Onnx__NodeProto *n;
    model_file m = attention_model(4, 2, &n);
    assert_gives(&m, 1, 0, HZ_DIMS(1, 4, 3, 1), (const double[]){2, 2, 2, 2, 2, 2, 5, 5, 5, 5, 5, 5});
}

Test(onnx_ops, a_mask_that_ends_early_hides_the_rest) {
    static const uint8_t mask[] = {1, 0};
    Onnx__NodeProto *n;
    model_file m = attention_model(1, 1, &n);
    model_parameter(&m, "mask", ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, HZ_DIMS(1, 2), mask, sizeof mask);
    n->n_input = split_names("q k v mask", &n->input);
    assert_gives(&m, 1, 0, HZ_DIMS(1, 1, 3, 1), (const double[]){1, 1, 1});
}

Test(onnx_ops, heads_that_do_not_divide_are_an_error) {
    Onnx__NodeProto *n;
    model_file m = attention_model(3, 2, &n);
    size_t size;
    const uint8_t *bytes = model_pack(&m, &size);
    hz_onnx *net;
    hz_error err = {.code = HZ_OK};
    cr_assert(hz_onnx_open_memory(bytes, size, NULL, &net, &err), "%s", err.text);
    hz_tape *t = hz_tape_new(NULL);
    cr_assert_not(hz_onnx_run(net, t, NULL, NULL));
    hz_tape_ok(t, &err);
    cr_assert(strstr(err.text, "Attention \"attention\": queries [1,3,3,1], keys [1,2,3,1]"), "%s", err.text);
    hz_tape_free(t);
    hz_onnx_close(net);
}

/* ---- RotaryEmbedding ---- */

/* Token (1, 2, 3, 4, 5, 6), its first four elements turned by a right angle and by none. */
static model_file rotary_model(Onnx__NodeProto **n) {
    static const float x[] = {1, 2, 3, 4, 5, 6}, cosine[] = {9, 9, 0, 1}, sine[] = {9, 9, 1, 0};
    static const int64_t position = 1;
    model_file m = model_new(23);
    model_parameter(&m, "x", FLOAT, HZ_DIMS(1, 1, 1, 6), x, sizeof x);
    model_parameter(&m, "cos", FLOAT, HZ_DIMS(2, 2), cosine, sizeof cosine);
    model_parameter(&m, "sin", FLOAT, HZ_DIMS(2, 2), sine, sizeof sine);
    model_parameter(&m, "at", INT64, HZ_DIMS(1, 1), &position, sizeof position);
    *n = model_node(&m, "RotaryEmbedding", "rotary", "x cos sin at", "y");
    set_int(*n, "rotary_embedding_dim", 4);
    model_output(&m, "y");
    return m;
}

Test(onnx_ops, rotary_embedding_turns_the_two_halves) {
    Onnx__NodeProto *n;
    model_file m = rotary_model(&n);
    assert_gives(&m, 1, 0, HZ_DIMS(1, 1, 1, 6), (const double[]){-3, 2, 1, 4, 5, 6});
}

Test(onnx_ops, rotary_embedding_turns_neighbours) {
    Onnx__NodeProto *n;
    model_file m = rotary_model(&n);
    set_int(n, "interleaved", 1);
    assert_gives(&m, 1, 0, HZ_DIMS(1, 1, 1, 6), (const double[]){-2, 1, 3, 4, 5, 6});
}

/* ---- the others ---- */

Test(onnx_ops, center_crop_pad_keeps_the_middle) {
    static const float x[] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const int64_t extents[] = {2, 3};
    model_file m = model_new(18);
    model_parameter(&m, "x", FLOAT, HZ_DIMS(4, 2), x, sizeof x);
    model_parameter(&m, "extents", INT64, HZ_DIMS(2), extents, sizeof extents);
    model_node(&m, "CenterCropPad", "crop", "x extents", "y");
    model_output(&m, "y");
    assert_gives(&m, 1, 0, HZ_DIMS(2, 3), (const double[]){3, 4, 0, 5, 6, 0});
}

Test(onnx_ops, a_vector_of_zeros_has_no_direction) {
    static const float x[] = {3, 4, 0, 0};
    model_file m = model_new(22);
    model_parameter(&m, "x", FLOAT, HZ_DIMS(2, 2), x, sizeof x);
    model_node(&m, "LpNormalization", "norm", "x", "y");
    model_output(&m, "y");
    assert_gives(&m, 1, 0, HZ_DIMS(2, 2), (const double[]){0.6, 0.8, NAN, NAN});
}

/* An image of 2 × 3 read where theta takes its points: `x` scales the columns, `shift` moves them. */
static model_file transformer_model(float x, float shift, const char *padding) {
    static const float image[] = {1, 2, 3, 4, 5, 6};
    static const int64_t size[] = {1, 1, 2, 3};
    const float theta[] = {x, 0, shift, 0, 1, 0};
    model_file m = model_new(20);
    model_parameter(&m, "image", FLOAT, HZ_DIMS(1, 1, 2, 3), image, sizeof image);
    model_parameter(&m, "theta", FLOAT, HZ_DIMS(1, 2, 3), theta, sizeof theta);
    model_parameter(&m, "size", INT64, HZ_DIMS(4), size, sizeof size);
    set_int(model_node(&m, "AffineGrid", "grid", "theta size", "grid"), "align_corners", 1);
    Onnx__NodeProto *n = model_node(&m, "GridSample", "sample", "image grid", "y");
    Onnx__AttributeProto *mode = node_attribute(n, "padding_mode");
    set_int(n, "align_corners", 1);
    mode->has_s = 1, mode->s.data = (uint8_t *)text(padding), mode->s.len = strlen(padding);
    model_output(&m, "y");
    return m;
}

Test(onnx_ops, a_spatial_transformer_moves_and_mirrors_an_image) {
    model_file same = transformer_model(1, 0, "zeros"), mirrored = transformer_model(-1, 0, "zeros"),
               half = transformer_model(1, 0.5F, "zeros"), back = transformer_model(1, 1, "reflection"),
               edge = transformer_model(1, -1e30F, "border");
    assert_gives(&same, 1, 0, HZ_DIMS(1, 1, 2, 3), (const double[]){1, 2, 3, 4, 5, 6});
    assert_gives(&mirrored, 1, 0, HZ_DIMS(1, 1, 2, 3), (const double[]){3, 2, 1, 6, 5, 4});
    assert_gives(&half, 1, 0, HZ_DIMS(1, 1, 2, 3), (const double[]){1.5, 2.5, 1.5, 4.5, 5.5, 3});
    assert_gives(&back, 1, 0, HZ_DIMS(1, 1, 2, 3), (const double[]){2, 3, 2, 5, 6, 5});
    assert_gives(&edge, 1, 0, HZ_DIMS(1, 1, 2, 3), (const double[]){1, 1, 1, 4, 4, 4});
}

Test(onnx_ops, positions_that_are_no_numbers_are_survived) {
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    for (int k = 0; k < 3; k++) {
        hz_var y;
        model_file infinite = transformer_model(INFINITY, 0, paddings[k]),
                   nan = transformer_model(NAN, 0, paddings[k]);
        hz_tape_free(run_model(&infinite, &y));
        hz_tape *t = run_model(&nan, &y);
        cr_assert(isnan(hz_get_flat(hz_value(y), 0)), "%s", paddings[k]);
        hz_tape_free(t);
    }
}

/* ---- the light networks: the zoo's graphs with weights that are one number each ---- */

static const char *const zoo[] = {"bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50",
                                  "shufflenet",   "squeezenet",  "vgg19",        "zfnet512"};

/* As the official runner makes it: 0, 1/n, 2/n, … */
static hz_var ramp(hz_tape *t, int rank, const int64_t *dim) {
    hz_var x = hz_full(t, HZ_F32, rank, dim, 0);
    int64_t n = hz_numel(hz_value(x));
    for (int64_t k = 0; k < n; k++) hz_set_flat(hz_value(x), k, (double)k / (double)n);
    return x;
}

static void assert_runs(const char *folder, const char *name) {
    char path[512];
    hz_onnx *net;
    hz_error err = {.code = HZ_OK};
    hz_tensor want;
    int rank;
    int64_t dim[HZ_MAX_RANK];
    snprintf(path, sizeof path, "%s/light_%s.onnx", folder, name);
    cr_assert(hz_onnx_open(path, NULL, &net, &err), "%s", err.text);
    snprintf(path, sizeof path, "%s/light_%s_output_0.pb", folder, name);
    cr_assert(hz_onnx_read_tensor(path, NULL, &want, &err), "%s", err.text);
    cr_assert(hz_onnx_input_shape(net, 0, &rank, dim));
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = ramp(t, rank, dim), y;
    hz_onnx_run(net, t, &x, &y);
    cr_assert(hz_tape_ok(t, &err), "%s: %s", name, err.text);
    cr_assert(hz_same_shape(hz_value(y), &want), "%s", name);
    for (int64_t k = 0; k < hz_numel(&want); k++)
        cr_assert_float_eq(hz_get_flat(hz_value(y), k), hz_get_flat(&want, k),
                           1e-7 + 1e-3 * fabs(hz_get_flat(&want, k)), "%s [%d]", name, (int)k);
    free(want.data);
    hz_tape_free(t);
    hz_onnx_close(net);
}

/* Debian's libonnx-testdata has these from version 1.14 on; HZ_ONNX_LIGHT is another folder of them. */
Test(onnx_ops, the_light_networks_of_the_zoo_run) {
    const char *given = getenv("HZ_ONNX_LIGHT"),
               *folder = given ? given : "/usr/share/libonnx-testdata/data/light";
    struct stat info;
    if (stat(folder, &info) != 0) cr_skip("%s is absent: this libonnx-testdata has none", folder);
    for (size_t k = 0; k < sizeof zoo / sizeof zoo[0]; k++) assert_runs(folder, zoo[k]);
}
