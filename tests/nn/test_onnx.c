/* test_onnx.c: models from ONNX files: names, rules, gradients, refusals, and files that lie.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "folder.h"
#include "nn/model.h"
#include "onnx_file.h"
#include "ops/ops.h"

enum { FLOAT = 1, INT64 = 7, STRING = 8 };

/* ---- opening ---- */

static hz_onnx *open_model(const model_file *m) {
    hz_onnx *net;
    hz_error err = {.code = HZ_OK};
    scratch s = scratch_path("model.onnx");
    model_write(m, s.path);
    cr_assert(hz_onnx_open(s.path, NULL, &net, &err), "%s", err.text);
    unlink(s.path);
    return net;
}

/* The error that opening gives. */
static hz_error refusal_of(const model_file *m) {
    hz_onnx *net;
    hz_error err = {.code = HZ_OK};
    scratch s = scratch_path("model.onnx");
    model_write(m, s.path);
    cr_assert_not(hz_onnx_open(s.path, NULL, &net, &err), "the model was taken");
    cr_assert_null(net);
    cr_assert_neq(err.code, HZ_OK);
    unlink(s.path);
    return err;
}

static void assert_says(const hz_error *err, const char *part) {
    cr_assert(strstr(err->text, part), "\"%s\" does not say \"%s\"", err->text, part);
}

/* y = Relu(x·W + b), z = Clip(y, 0, 2), classes = Softmax(z); x (N, 3) */
static model_file small_model(void) {
    static const float w[] = {1, -2, 0.5F, 1, 3, -1}, b[] = {0.25F, -0.5F};
    static const float lo = 0, hi = 2;
    model_file m = model_new(13);
    model_input(&m, "x", FLOAT, HZ_DIMS(-1, 3));
    model_parameter(&m, "W", FLOAT, HZ_DIMS(3, 2), w, sizeof w);
    model_parameter(&m, "b", FLOAT, HZ_DIMS(2), b, sizeof b);
    model_parameter(&m, "lo", FLOAT, 0, NULL, &lo, sizeof lo);
    model_parameter(&m, "hi", FLOAT, 0, NULL, &hi, sizeof hi);
    model_node(&m, "MatMul", "mm", "x W", "/block/mm");
    model_node(&m, "Add", "bias", "/block/mm b", "/block/sum");
    model_node(&m, "Relu", "relu", "/block/sum", "/block/relu");
    model_node(&m, "Clip", "clip", "/block/relu lo hi", "/block/clip");
    model_node(&m, "Softmax", "softmax", "/block/clip", "classes");
    model_output(&m, "classes");
    return m;
}

/* The small model on a tape; the tape keeps what it needs but the parameters, which net owns. */
typedef struct recorded {
    hz_onnx *net;
    hz_tape *t;
    hz_var x, y;
} recorded;

static float pixels[] = {1, 2, 0.5F, -1, 1, 2};

static recorded record(const model_file *m) {
    recorded r = {.net = open_model(m), .t = hz_tape_new(NULL)};
    hz_error err;
    const hz_tensor x = hz_tensor_of(pixels, HZ_F32, HZ_DIMS(2, 3));
    r.x = hz_input(r.t, &x);
    cr_assert(hz_onnx_run(r.net, r.t, &r.x, &r.y) || !hz_tape_ok(r.t, &err), "no reason");
    cr_assert(hz_tape_ok(r.t, &err), "%s", err.text);
    return r;
}

static void forget(recorded *r) {
    hz_tape_free(r->t);
    hz_onnx_close(r->net);
}

/* ---- what a model is ---- */

Test(onnx, says_what_goes_in_and_comes_out) {
    model_file m = small_model();
    hz_onnx *net = open_model(&m);
    int rank;
    int64_t dim[HZ_MAX_RANK];
    cr_assert_eq(hz_onnx_n_inputs(net), 1);
    cr_assert_eq(hz_onnx_n_outputs(net), 1);
    cr_assert_str_eq(hz_onnx_input_name(net, 0), "x");
    cr_assert_str_eq(hz_onnx_output_name(net, 0), "classes");
    cr_assert_str_eq(hz_onnx_input_type(net, 0), "float");
    cr_assert(hz_onnx_input_shape(net, 0, &rank, dim));
    cr_assert_eq(rank, 2);
    cr_assert_eq(dim[0], -1);
    cr_assert_eq(dim[1], 3);
    hz_onnx_close(net);
}

Test(onnx, computes_what_the_graph_says) {
    model_file m = small_model();
    recorded r = record(&m);
    /* x·W + b = [3.75, −1], [5.75, 0.5]; after Relu and Clip [2, 0], [2, 0.5] */
    cr_assert_float_eq(hz_get_flat(hz_value(r.y), 0), exp(2) / (exp(2) + 1), 1e-6);
    cr_assert_float_eq(hz_get_flat(hz_value(r.y), 2), exp(2) / (exp(2) + exp(0.5)), 1e-6);
    forget(&r);
}

Test(onnx, names_every_value_as_the_file_does) {
    static const char *const names[] = {"x",          "W",           "b",           "/block/mm",
                                        "/block/sum", "/block/relu", "/block/clip", "classes"};
    model_file m = small_model();
    recorded r = record(&m);
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        cr_assert(hz_ok(hz_lookup(r.t, names[k])), "%s", names[k]);
    hz_var unit = hz_unit(r.t, "/block/sum[1]");
    cr_assert_float_eq(hz_item(hz_unit(r.t, "/block/sum[0]")), 1 * 1 + 2 * 0.5 + 0.5 * 3 + 0.25, 1e-6);
    cr_assert(hz_ok(unit));
    forget(&r);
}

Test(onnx, relu_and_clip_from_zero_are_the_relu_family) {
    model_file m = small_model();
    recorded r = record(&m);
    cr_assert(hz_is_relu(hz_node_of(hz_lookup(r.t, "/block/relu")), NULL));
    cr_assert(hz_is_relu(hz_node_of(hz_lookup(r.t, "/block/clip")), NULL));
    hz_var unit = hz_unit(r.t, "/block/clip[0]");
    hz_grad_report report;
    hz_var dx, deconvnet;
    cr_assert(hz_grad(&unit, 1, &r.x, 1,
                      &(hz_grad_opts){.rules = hz_rules_named("deconvnet"), .report = &report}, &deconvnet));
    cr_assert_eq(report.rule[0].matched, 2);
    cr_assert_float_eq(hz_get_flat(hz_value(deconvnet), 0), 1, 1e-6); /* W[0][0], past a clip that is shut */
    dx = hz_grad1(unit, r.x, NULL);
    cr_assert_eq(hz_get_flat(hz_value(dx), 0), 0);
    forget(&r);
}

Test(onnx, shape_chains_of_integers_run) {
    static const int64_t first = 0, minus = -1;
    model_file m = model_new(13);
    model_input(&m, "x", FLOAT, HZ_DIMS(2, 3));
    model_parameter(&m, "first", INT64, HZ_DIMS(1), &first, sizeof first);
    model_parameter(&m, "minus", INT64, HZ_DIMS(1), &minus, sizeof minus);
    model_node(&m, "Shape", "", "x", "shape");
    model_node(&m, "Gather", "", "shape first", "batch");
    node_attribute(model_node(&m, "Concat", "", "batch minus", "to"), "axis")->has_i = 1;
    model_node(&m, "Mul", "", "to first", "unused");
    model_node(&m, "Reshape", "", "x to", "y");
    model_output(&m, "y");
    recorded r = record(&m);
    cr_assert_eq(hz_value(r.y)->dim[0], 2);
    cr_assert_eq(hz_value(r.y)->dim[1], 3);
    cr_assert_eq(hz_value(hz_lookup(r.t, "unused"))->dtype, HZ_I64);
    cr_assert(hz_ok(hz_grad1(hz_unit(r.t, "y[0,1]"), r.x, NULL)));
    forget(&r);
}

/* Pictures of 8 × 8: a convolution by 1 × 1, Relu, the mean, and Softmax. */
static model_file picture_model(int64_t channels) {
    static const float w[] = {1, 0, 0, 0, 1, -1};
    model_file m = model_new(13);
    model_input(&m, "image", FLOAT, HZ_DIMS(-1, channels, 8, 8));
    model_parameter(&m, "conv.weight", FLOAT, HZ_DIMS(2, 3, 1, 1), w, sizeof w);
    model_node(&m, "Conv", "conv", "image conv.weight", "conv");
    model_node(&m, "Relu", "relu", "conv", "relu");
    model_node(&m, "GlobalAveragePool", "pool", "relu", "pool");
    model_node(&m, "Flatten", "flatten", "pool", "scores");
    model_node(&m, "Softmax", "softmax", "scores", "classes");
    model_output(&m, "classes");
    return m;
}

Test(onnx, opens_as_a_model_whose_scores_are_before_softmax) {
    scratch s = scratch_path("picture.onnx");
    model_file m = picture_model(3);
    hz_model model;
    hz_error err;
    float image[3 * 8 * 8];
    model_write(&m, s.path);
    cr_assert(hz_model_open(s.path, NULL, &model, &err), "%s", err.text);
    cr_assert_eq(model.preprocess.size, 8);
    cr_assert_eq(hz_numel(hz_model_weight(&model, "conv.weight")), 6);
    cr_assert_null(hz_model_weight(&model, "conv.bias"));
    for (int k = 0; k < 3 * 8 * 8; k++) image[k] = k < 64 ? 3 : k < 128 ? 2 : 1;
    hz_tape *t = hz_tape_new(NULL);
    const hz_tensor x = hz_tensor_of(image, HZ_F32, HZ_DIMS(1, 3, 8, 8));
    hz_var scores = hz_model_forward(&model, hz_name(hz_input(t, &x), "pixels"));
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    cr_assert_float_eq(hz_get_flat(hz_value(scores), 0), 3, 1e-6);
    cr_assert_float_eq(hz_get_flat(hz_value(scores), 1), 1, 1e-6);
    cr_assert(hz_ok(hz_unit(t, "relu[1,3,4]")));
    hz_tape_free(t);
    hz_model_close(&model);
    m = picture_model(4);
    model_write(&m, s.path);
    cr_assert_not(hz_model_open(s.path, NULL, &model, &err));
    assert_says(&err, "is not (N, 3, H, W)");
    unlink(s.path);
}

/* As TensorFlow's exporters have it: the picture comes with its channels last and is transposed first. */
Test(onnx, a_model_of_pictures_with_channels_last_takes_channels_first) {
    scratch s = scratch_path("nhwc.onnx");
    model_file m = model_new(13);
    hz_model model;
    hz_error err;
    float image[3 * 4 * 4];
    model_input(&m, "image", FLOAT, HZ_DIMS(-1, 4, 4, 3));
    node_ints(model_node(&m, "Transpose", "nchw", "image", "nchw"), "perm", 4, (const int64_t[]){0, 3, 1, 2});
    model_node(&m, "Relu", "relu", "nchw", "relu");
    model_output(&m, "relu");
    model_write(&m, s.path);
    cr_assert(hz_model_open(s.path, NULL, &model, &err), "%s", err.text);
    cr_assert_eq(model.preprocess.size, 4);
    for (int k = 0; k < 3 * 4 * 4; k++) image[k] = (float)k + 1;
    hz_tape *t = hz_tape_new(NULL);
    const hz_tensor value = hz_tensor_of(image, HZ_F32, HZ_DIMS(1, 3, 4, 4));
    hz_var x = hz_input(t, &value), y = hz_model_forward(&model, x),
           dx = hz_grad1(hz_unit(t, "relu[2,1,3]"), x, NULL);
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    for (int k = 0; k < 3 * 4 * 4; k++) {
        cr_assert_eq(hz_get_flat(hz_value(y), k), k + 1);
        cr_assert_eq(hz_get_flat(hz_value(dx), k), k == 2 * 16 + 1 * 4 + 3);
    }
    hz_tape_free(t);
    hz_model_close(&model);
    unlink(s.path);
}

/* ---- batch norm folded ---- */

/* Two convolutions, each with its batch norm and Relu; the first has a bias, the second's output goes to two users if
 * `shared`. */
static model_file norm_model(bool shared) {
    static const float w1[] = {1, 0.5F, -1, 0.25F, 2, -0.5F}, w2[] = {1, -1, 0.5F, 2},
                       bias[] = {0.5F, -0.25F};
    static const float gamma[] = {1.5F, -0.5F}, beta[] = {0.1F, 0.2F}, mean[] = {0.3F, -0.4F},
                       var[] = {0.5F, 2};
    model_file m = model_new(13);
    model_input(&m, "image", FLOAT, HZ_DIMS(-1, 3, 8, 8));
    model_parameter(&m, "w1", FLOAT, HZ_DIMS(2, 3, 1, 1), w1, sizeof w1);
    model_parameter(&m, "w2", FLOAT, HZ_DIMS(2, 2, 1, 1), w2, sizeof w2);
    model_parameter(&m, "bias", FLOAT, HZ_DIMS(2), bias, sizeof bias);
    model_parameter(&m, "gamma", FLOAT, HZ_DIMS(2), gamma, sizeof gamma);
    model_parameter(&m, "beta", FLOAT, HZ_DIMS(2), beta, sizeof beta);
    model_parameter(&m, "mean", FLOAT, HZ_DIMS(2), mean, sizeof mean);
    model_parameter(&m, "var", FLOAT, HZ_DIMS(2), var, sizeof var);
    model_node(&m, "Conv", "conv1", "image w1 bias", "conv1");
    model_node(&m, "BatchNormalization", "norm1", "conv1 gamma beta mean var", "norm1");
    model_node(&m, "Relu", "relu1", "norm1", "relu1");
    model_node(&m, "Conv", "conv2", "relu1 w2", "conv2");
    model_node(&m, "BatchNormalization", "norm2", "conv2 gamma beta mean var", "norm2");
    model_node(&m, "Add", "add", shared ? "norm2 conv2" : "norm2 relu1", "add");
    model_node(&m, "Relu", "relu2", "add", "relu2");
    model_output(&m, "relu2");
    return m;
}

/* The norm model on a tape, folded or not. */
static recorded record_norms(bool shared, bool folded) {
    static float image[3 * 8 * 8];
    model_file m = norm_model(shared);
    recorded r = {.net = open_model(&m), .t = hz_tape_new(NULL)};
    hz_error err = {.code = HZ_OK};
    for (int k = 0; k < 3 * 8 * 8; k++) image[k] = (float)(k * 37 % 19) / 9 - 1;
    const hz_tensor x = hz_tensor_of(image, HZ_F32, HZ_DIMS(1, 3, 8, 8));
    cr_assert(!folded || hz_onnx_fold_batch_norm(r.net, &err), "%s", err.text);
    cr_assert(!folded || hz_onnx_fold_batch_norm(r.net, &err), "a second time: %s", err.text);
    r.x = hz_input(r.t, &x);
    hz_onnx_run(r.net, r.t, &r.x, &r.y);
    cr_assert(hz_tape_ok(r.t, &err), "%s", err.text);
    return r;
}

static int count_norms(const recorded *r) {
    int n = 0;
    for (uint32_t id = 1; id < hz_tape_size(r->t); id++)
        n += hz_node_of(hz_at(r->t, id))->op == &hz_op_batch_norm_infer;
    return n;
}

static void assert_close(hz_var a, hz_var b, const char *what) {
    cr_assert(hz_ok(a) && hz_ok(b), "%s", what);
    cr_assert(hz_same_shape(hz_value(a), hz_value(b)), "%s", what);
    for (int64_t k = 0; k < hz_numel(hz_value(a)); k++)
        cr_assert_float_eq(hz_get_flat(hz_value(a), k), hz_get_flat(hz_value(b), k), 2e-6, "%s [%d]", what,
                           (int)k);
}

Test(onnx, folding_changes_no_value_and_no_gradient) {
    static const char *const names[] = {"conv1", "norm1", "relu1", "conv2", "norm2", "relu2"};
    recorded plain = record_norms(false, false), folded = record_norms(false, true);
    cr_assert_eq(count_norms(&plain), 2);
    cr_assert_eq(count_norms(&folded), 0);
    assert_close(folded.y, plain.y, "output");
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        char unit[32];
        assert_close(hz_find(folded.t, names[k]), hz_find(plain.t, names[k]), names[k]);
        snprintf(unit, sizeof unit, "%s[1,argmax]", names[k]);
        for (int r = 0; hz_rule_names[r]; r++) {
            const hz_rules *rules = k < 2 ? NULL : hz_rules_named(hz_rule_names[r]);
            assert_close(hz_grad1(hz_unit(folded.t, unit), folded.x, rules),
                         hz_grad1(hz_unit(plain.t, unit), plain.x, rules), unit);
        }
    }
    forget(&plain);
    forget(&folded);
}

Test(onnx, a_convolution_that_others_use_is_not_folded) {
    recorded plain = record_norms(true, false), folded = record_norms(true, true);
    cr_assert_eq(count_norms(&folded), 1);
    assert_close(folded.y, plain.y, "output");
    forget(&plain);
    forget(&folded);
}

Test(onnx, in_f64_nothing_is_folded) {
    recorded r = record_norms(false, true);
    hz_tape_reset(r.t);
    double image[3 * 8 * 8] = {1, 2, 3};
    const hz_tensor x = hz_tensor_of(image, HZ_F64, HZ_DIMS(1, 3, 8, 8));
    hz_var in = hz_input(r.t, &x);
    cr_assert(hz_onnx_run_f64(r.net, r.t, &in, NULL));
    cr_assert_eq(count_norms(&r), 2);
    forget(&r);
}

/* The example of the ONNX specification, one axis of it. */
Test(onnx, resize_without_aliasing_widens_its_filter) {
    static const float values[] = {1, 2, 3, 4}, scale = 0.6F;
    model_file m = model_new(18);
    model_parameter(&m, "v", FLOAT, HZ_DIMS(4), values, sizeof values);
    model_parameter(&m, "scale", FLOAT, HZ_DIMS(1), &scale, sizeof scale);
    Onnx__NodeProto *n = model_node(&m, "Resize", "resize", "v - scale", "y");
    Onnx__AttributeProto *mode = node_attribute(n, "mode"), *antialias = node_attribute(n, "antialias");
    mode->has_s = 1, mode->s.data = (uint8_t *)text("linear"), mode->s.len = 6;
    antialias->has_i = 1, antialias->i = 1;
    model_output(&m, "y");
    hz_onnx *net = open_model(&m);
    hz_tape *t = hz_tape_new(NULL);
    hz_error err;
    hz_var y;
    cr_assert(hz_onnx_run(net, t, NULL, &y) || !hz_tape_ok(t, &err), "no reason");
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
    cr_assert_eq(hz_numel(hz_value(y)), 2);
    cr_assert_float_eq(hz_get_flat(hz_value(y), 0), 1.375, 1e-6);
    cr_assert_float_eq(hz_get_flat(hz_value(y), 1), 3, 1e-6);
    hz_tape_free(t);
    hz_onnx_close(net);
}

/* ---- functions and branches ---- */

/* own.Twice(a) = Scaled(a, alpha), own.Scaled(a; alpha) = LeakyRelu(a; alpha) − 1 */
static model_file model_with_functions(void) {
    model_file m = model_new(13);
    static const float one = 1;
    model_input(&m, "x", FLOAT, HZ_DIMS(2, 3));
    model_parameter(&m, "one", FLOAT, 0, NULL, &one, sizeof one);
    Onnx__FunctionProto *outer = model_function(&m, "Twice", "a", "b"),
                        *inner = model_function(&m, "Scaled", "a unit", "c");
    outer->n_input = split_names("a unit", &outer->input);
    Onnx__NodeProto *call = outer->node[outer->n_node++] = node_new("Scaled", "", "a unit", "b");
    call->domain = text("own");
    node_attribute(call, "slope")->ref_attr_name = text("alpha");
    Onnx__NodeProto *leaky = inner->node[inner->n_node++] = node_new("LeakyRelu", "", "a", "h");
    node_attribute(leaky, "alpha")->ref_attr_name = text("slope");
    inner->node[inner->n_node++] = node_new("Sub", "", "h unit", "c");
    Onnx__NodeProto *n = model_node(&m, "Twice", "call", "x one", "y");
    n->domain = text("own");
    Onnx__AttributeProto *alpha = node_attribute(n, "alpha");
    alpha->has_f = 1, alpha->f = 0.5F;
    model_output(&m, "y");
    return m;
}

Test(onnx, a_function_of_the_model_is_its_nodes) {
    model_file m = model_with_functions();
    recorded r = record(&m);
    cr_assert_float_eq(hz_get_flat(hz_value(r.y), 0), 0, 1e-6);
    cr_assert_float_eq(hz_get_flat(hz_value(r.y), 3), -1.5, 1e-6);
    cr_assert_float_eq(hz_item(hz_unit(r.t, "y/h[0,1]")), 2, 1e-6);
    forget(&r);
}

Test(onnx, a_function_that_calls_itself_is_refused) {
    model_file m = model_with_functions();
    m.model->functions[1]->node[0]->op_type = text("Twice");
    m.model->functions[1]->node[0]->domain = text("own");
    hz_error err = refusal_of(&m);
    assert_says(&err, "calls itself");
}

/* Each of 30 functions calls the next one twice: a file of 3 KB that would be 2^30 nodes. */
Test(onnx, functions_do_not_grow_beyond_the_budget) {
    model_file m = model_new(13);
    model_input(&m, "x", FLOAT, HZ_DIMS(2, 3));
    for (int k = 0; k < 30; k++) {
        char name[8], next[8];
        snprintf(name, sizeof name, "f%d", k), snprintf(next, sizeof next, "f%d", k + 1);
        Onnx__FunctionProto *f = model_function(&m, name, "a", "b");
        f->node[f->n_node++] = node_new(k < 29 ? next : "Relu", "", "a", "h");
        f->node[f->n_node++] = node_new(k < 29 ? next : "Relu", "", "h", "b");
        for (int j = 0; j < 2; j++) f->node[j]->domain = text(k < 29 ? "own" : "");
    }
    model_node(&m, "f0", "", "x", "y")->domain = text("own");
    model_output(&m, "y");
    hz_error err = refusal_of(&m);
    assert_says(&err, "too much memory");
}

/* y = Σ x > limit ? Relu(x) : −x */
static double first_of_if(float limit) {
    model_file m = model_new(13);
    model_input(&m, "x", FLOAT, HZ_DIMS(2, 3));
    model_parameter(&m, "limit", FLOAT, 0, NULL, &limit, sizeof limit);
    Onnx__AttributeProto *keep = node_attribute(model_node(&m, "ReduceSum", "", "x", "sum"), "keepdims");
    keep->has_i = 1, keep->i = 0;
    model_node(&m, "Greater", "", "sum limit", "big");
    Onnx__NodeProto *n = model_node(&m, "If", "choose", "big", "y");
    Onnx__GraphProto *yes = node_branch(n, "then_branch", "h"), *no = node_branch(n, "else_branch", "h");
    yes->node[yes->n_node++] = node_new("Relu", "", "x", "h");
    no->node[no->n_node++] = node_new("Neg", "", "x", "h");
    model_output(&m, "y");
    recorded r = record(&m);
    double first = hz_get_flat(hz_value(r.y), 3);
    cr_assert(hz_ok(hz_lookup(r.t, limit > 0 ? "y/else/h" : "y/then/h")));
    cr_assert_not(hz_ok(hz_lookup(r.t, limit > 0 ? "y/then/h" : "y/else/h")), "the other branch ran, too");
    forget(&r);
    return first;
}

Test(onnx, an_if_runs_the_branch_that_its_condition_chooses) {
    cr_assert_eq(first_of_if(-100), 0);
    cr_assert_eq(first_of_if(100), 1);
}

/* ---- refusals ---- */

Test(onnx, lists_every_op_it_does_not_have_at_once) {
    model_file m = small_model();
    model_node(&m, "Frobnicate", "frob", "x", "f1");
    model_node(&m, "Frobnicate", "frob2", "x", "f2");
    model_node(&m, "Relu", "custom", "x", "f3")->domain = text("com.example");
    model_node(&m, "Loop", "", "x", "f4");
    hz_error err = refusal_of(&m);
    const char *what;
    cr_assert(hz_onnx_is_unsupported(&err, &what));
    cr_assert_str_eq(what, "Frobnicate (opset 13, node \"frob\"), com.example.Relu (node \"custom\"), "
                           "Loop (opset 13, node \"\")");
}

Test(onnx, refuses_values_it_cannot_hold) {
    model_file m = model_new(13);
    model_input(&m, "words", STRING, HZ_DIMS(2));
    model_node(&m, "Identity", "", "words", "y");
    model_output(&m, "y");
    hz_error err = refusal_of(&m);
    cr_assert(hz_onnx_is_unsupported(&err, NULL));
    assert_says(&err, "Identity of string (opset 13, node \"\")");
}

Test(onnx, a_graph_with_holes_is_an_error_that_names_them) {
    model_file dangling = small_model(), cycle = small_model(), twice = small_model(), orphan = small_model(),
               self = small_model(), lacking = small_model();
    model_node(&dangling, "Neg", "n", "nowhere", "z");
    hz_error err = refusal_of(&dangling);
    assert_says(&err, "Neg \"n\" uses \"nowhere\", which nothing makes");
    model_node(&cycle, "Neg", "a", "q", "p");
    model_node(&cycle, "Neg", "b", "p", "q");
    err = refusal_of(&cycle);
    assert_says(&err, "is made later");
    model_node(&self, "Neg", "a", "p", "p");
    err = refusal_of(&self);
    assert_says(&err, "by itself");
    model_node(&twice, "Neg", "n", "x", "classes");
    err = refusal_of(&twice);
    assert_says(&err, "\"classes\" is defined twice");
    model_output(&orphan, "nothing");
    err = refusal_of(&orphan);
    assert_says(&err, "nothing makes output \"nothing\"");
    model_node(&lacking, "Add", "n", "x", "z");
    err = refusal_of(&lacking);
    assert_says(&err, "Add \"n\" lacks input 1");
}

Test(onnx, a_tensor_that_lies_about_its_size_is_an_error) {
    static const float one = 1;
    const int64_t dims[][2] = {{2, 1}, {-1, -1}, {INT64_MAX, 2}, {INT64_MAX / 8, 1}};
    for (int k = 0; k < 4; k++) {
        model_file m = small_model();
        model_parameter(&m, "liar", FLOAT, 2, dims[k], &one, sizeof one);
        hz_error err = refusal_of(&m);
        assert_says(&err, "liar");
        cr_assert_neq(err.code, HZ_ENOMEM);
    }
}

/* ---- external data ---- */

static void external(Onnx__TensorProto *p, const char *key, const char *value) {
    if (!p->external_data) p->external_data = make(MODEL_MOST * sizeof(void *));
    Onnx__StringStringEntryProto *e =
        MAKE(Onnx__StringStringEntryProto, ONNX__STRING_STRING_ENTRY_PROTO__INIT);
    e->key = text(key), e->value = text(value);
    p->external_data[p->n_external_data++] = e;
    p->has_data_location = 1;
    p->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    p->has_raw_data = 0;
}

/* Open a model with a parameter "far" of two floats at `location`, from byte `offset` on. */
static bool open_external(const scratch *folder, const char *location, const char *offset, hz_error *err) {
    model_file m = small_model();
    Onnx__TensorProto *p = model_parameter(&m, "far", FLOAT, HZ_DIMS(2), "", 0);
    external(p, "location", location);
    external(p, "offset", offset);
    external(p, "length", "8");
    scratch path = folder_path(folder, "model.onnx");
    model_write(&m, path.path);
    hz_onnx *net;
    *err = (hz_error){.code = HZ_OK};
    bool ok = hz_onnx_open(path.path, NULL, &net, err);
    hz_onnx_close(net);
    return ok;
}

Test(onnx, external_data_stays_in_the_models_folder) {
    static const float data[] = {1, 2, 3};
    scratch folder = folder_new(), outside = scratch_path("outside.bin"),
            link = folder_path(&folder, "link.bin");
    hz_error err;
    folder_write(&folder, "data.bin", data, sizeof data);
    write_bytes(outside.path, data, sizeof data);
    cr_assert(symlink(outside.path, link.path) == 0);
    cr_assert(open_external(&folder, "data.bin", "4", &err), "%s", err.text);
    cr_assert(open_external(&folder, "./data.bin", "0", &err), "%s", err.text);
    char up[600];
    snprintf(up, sizeof up, "../%s", strrchr(outside.path, '/') + 1);
    const char *const escapes[] = {up, outside.path, "link.bin", "", "..", ".", "missing.bin"};
    for (size_t k = 0; k < sizeof escapes / sizeof escapes[0]; k++)
        cr_assert_not(open_external(&folder, escapes[k], "0", &err), "%s was read", escapes[k]);
    const char *const offsets[] = {"8", "-4", "18446744073709551612", "99999999999999999999999", "x", ""};
    for (size_t k = 0; k < sizeof offsets / sizeof offsets[0]; k++)
        cr_assert_not(open_external(&folder, "data.bin", offsets[k], &err), "offset %s was taken",
                      offsets[k]);
    unlink(outside.path);
    folder_remove(&folder);
}

/* ---- damaged files ---- */

/* Opening and, if that succeeds, running must end, whatever the outcome. */
static void try_bytes(const scratch *s, const uint8_t *bytes, size_t size) {
    hz_onnx *net;
    hz_error err = {.code = HZ_OK};
    write_bytes(s->path, bytes, size);
    if (!hz_onnx_open(s->path, NULL, &net, &err)) {
        cr_assert_neq(err.code, HZ_OK);
        return;
    }
    hz_tape *t = hz_tape_new(&(hz_tape_opts){.threads = 1});
    const hz_tensor x = hz_tensor_of(pixels, HZ_F32, HZ_DIMS(2, 3));
    hz_var in[8], out[8];
    int n = hz_onnx_n_inputs(net);
    for (int k = 0; k < n && k < 8; k++) in[k] = hz_input(t, &x);
    if (n <= 8 && hz_onnx_n_outputs(net) <= 8) hz_onnx_run(net, t, in, out);
    hz_tape_free(t);
    hz_onnx_close(net);
}

Test(onnx, a_truncated_file_never_crashes) {
    size_t size;
    scratch s = scratch_path("cut.onnx");
    model_file m = small_model();
    const uint8_t *bytes = model_pack(&m, &size);
    for (size_t n = 0; n < size; n++) try_bytes(&s, bytes, n);
    unlink(s.path);
}

Test(onnx, a_changed_byte_never_crashes) {
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    size_t size;
    scratch s = scratch_path("changed.onnx");
    model_file m = small_model();
    uint8_t *bytes = model_pack(&m, &size);
    for (size_t at = 0; at < size; at++) {
        uint8_t was = bytes[at];
        for (size_t k = 0; k < sizeof values; k++) {
            bytes[at] = values[k];
            try_bytes(&s, bytes, size);
        }
        bytes[at] = was;
    }
    unlink(s.path);
}

/* Graphs in attributes of nodes in graphs …: length prefixes around nothing. */
Test(onnx, deep_nesting_is_refused) {
    enum { LEVELS = 4000 };
    uint8_t *bytes = make(LEVELS * 8);
    size_t at = LEVELS * 8, end = at;
    static const uint8_t tag[] = {0x3a, 0x0a, 0x2a, 0x32}; /* graph, node, attribute, g */
    for (int level = LEVELS - 1; level >= 0; level--) {
        size_t n = end - at;
        uint8_t which = level == 0 ? tag[0] : tag[1 + (level - 1) % 3];
        bytes[--at] = (uint8_t)(n >> 14 & 127); /* the length as a varint of three bytes, the tag before it */
        bytes[--at] = (uint8_t)(n >> 7 & 127) | 128;
        bytes[--at] = (uint8_t)(n & 127) | 128;
        bytes[--at] = which;
    }
    scratch s = scratch_path("deep.onnx");
    write_bytes(s.path, bytes + at, end - at);
    hz_onnx *net;
    hz_error err = {.code = HZ_OK};
    cr_assert_not(hz_onnx_open(s.path, NULL, &net, &err));
    cr_assert_eq(err.code, HZ_EFORMAT);
    unlink(s.path);
}

/* Two bytes of file for an empty node each: unpacked, some 150 times as much. */
Test(onnx, memory_is_bounded_by_the_size_of_the_file) {
    enum { NODES = 1 << 20 };
    uint8_t *bytes = make(8 + 2 * NODES);
    size_t n = 2 * NODES, at = 0;
    bytes[at++] = 0x3a;
    for (; n > 127; n >>= 7) bytes[at++] = (uint8_t)(n & 127) | 128;
    bytes[at++] = (uint8_t)n;
    for (int k = 0; k < NODES; k++) bytes[at++] = 0x0a, bytes[at++] = 0;
    scratch s = scratch_path("many.onnx");
    write_bytes(s.path, bytes, at);
    hz_onnx *net;
    hz_error err = {.code = HZ_OK};
    cr_assert_not(hz_onnx_open(s.path, NULL, &net, &err));
    assert_says(&err, "times its size");
    unlink(s.path);
}

/* 300 bytes that ask for 16 GiB. */
Test(onnx, a_small_file_cannot_ask_for_much_memory) {
    static const int64_t huge[] = {1 << 16, 1 << 16};
    model_file m = model_new(13);
    model_parameter(&m, "shape", INT64, HZ_DIMS(2), huge, sizeof huge);
    model_node(&m, "ConstantOfShape", "zeros", "shape", "y");
    model_output(&m, "y");
    hz_onnx *net = open_model(&m);
    hz_tape *t = hz_tape_new(NULL);
    hz_error err = {.code = HZ_OK};
    hz_var y;
    cr_assert_not(hz_onnx_run(net, t, NULL, &y));
    cr_assert_not(hz_tape_ok(t, &err));
    cr_assert_eq(err.code, HZ_ENOMEM);
    assert_says(&err, "limit");
    hz_tape_free(t);
    hz_onnx_close(net);
}

Test(onnx, every_failing_allocation_is_survived) {
    scratch s = scratch_path("alloc.onnx");
    model_file m = norm_model(false);
    model_write(&m, s.path);
    for (int k = 1;; k++) {
        faulty f = {.fail_at = k};
        const hz_allocator alloc = {faulty_alloc, faulty_free, &f};
        hz_onnx *net;
        hz_error err = {.code = HZ_OK};
        bool ok = hz_onnx_open(s.path, &alloc, &net, &err) && hz_onnx_fold_batch_norm(net, &err);
        hz_onnx_close(net);
        cr_assert_eq(f.live, 0, "call %d leaks", k);
        if (ok) break;
        cr_assert_neq(err.code, HZ_OK);
        cr_assert_lt(k, 1000);
    }
    unlink(s.path);
}

/* ---- the official cases ---- */

Test(onnx, passes_the_official_cases) {
    static const char data[] = "/usr/share/libonnx-testdata/data";
    struct stat info;
    char line[4096], last[4096] = "";
    int passed = 0, failed = -1, refused = 0;
    if (stat(data, &info) != 0) cr_skip("%s is absent: install libonnx-testdata", data);
    snprintf(line, sizeof line, "'%s' --gradcheck %s", CONFORMANCE, data);
    FILE *f = popen(line, "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof line, f)) {
        cr_assert(strncmp(line, "fail", 4) && strncmp(line, "error", 5), "%s", line);
        memcpy(last, line, sizeof last);
    }
    int status = pclose(f);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "ended with %d", status);
    cr_assert_eq(sscanf(last, "%d passed, %d failed, %d unsupported", &passed, &failed, &refused), 3, "%s",
                 last);
    cr_assert_eq(failed, 0);
    cr_assert_geq(passed, 950);
}
