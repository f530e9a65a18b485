/* test_onnx_write.c: what is written as ONNX, read again, is the same network: every sample of every op, and its gradients.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>

#include "folder.h"
#include "nn/layers.h"
#include "nn/model.h"
#include "sample_graph.h"

/* ---- there and back ---- */

/* An output may be exact in another way: by the formula of an op that ONNX lacks. */
static void expect_same(const char *what, int k, const hz_tensor *got, const hz_tensor *want) {
    const double tolerance = want->dtype == HZ_F64 ? 1e-11 : 2e-5;
    double scale = 1;
    cr_assert(got->dtype == want->dtype && hz_same_shape(got, want), "%s, output %d: %s %s, not %s %s", what,
              k, hz_dtype_name(got->dtype), hz_shape_str(got).s, hz_dtype_name(want->dtype),
              hz_shape_str(want).s);
    for (int64_t i = 0; i < hz_numel(want); i++) scale = fmax(scale, fabs(hz_get_flat(want, i)));
    for (int64_t i = 0; i < hz_numel(want); i++) {
        const double a = hz_get_flat(got, i), b = hz_get_flat(want, i);
        cr_expect(fabs(a - b) <= tolerance * scale || (isnan(a) && isnan(b)),
                  "%s, output %d, element %lld: %.9g, not %.9g", what, k, (long long)i, a, b);
    }
}

static void reread(const char *path, const char *what, const hz_var *in, const hz_var *want, int n_want) {
    hz_onnx *net;
    hz_error err = {HZ_OK, ""};
    hz_tape *t = hz_tape_new(NULL);
    hz_var again[HZ_SAMPLE_INPUTS], out[1 + HZ_SAMPLE_INPUTS];
    cr_assert(hz_onnx_open(path, NULL, &net, &err), "%s: %s", what, err.text);
    cr_assert_eq(hz_onnx_n_outputs(net), n_want);
    for (int k = 0; k < hz_onnx_n_inputs(net); k++) again[k] = hz_input(t, hz_value(in[k]));
    cr_assert(hz_onnx_run(net, t, again, out) && hz_tape_ok(t, &err), "%s: %s", what,
              (hz_tape_ok(t, &err), err.text));
    for (int k = 0; k < n_want; k++) expect_same(what, k, hz_value(out[k]), hz_value(want[k]));
    hz_tape_free(t);
    hz_onnx_close(net);
}

static struct criterion_test_params every_op(void) {
    int *index = cr_malloc((size_t)hz_ops_count * sizeof *index);
    for (int k = 0; k < hz_ops_count; k++) index[k] = k;
    return cr_make_param_array(int, index, (size_t)hz_ops_count, NULL);
}

ParameterizedTestParameters(onnx_write, every_sample_comes_back) {
    return every_op();
}
ParameterizedTest(int *k, onnx_write, every_sample_comes_back) {
    const hz_op *op = hz_ops[*k];
    for (int s = 0; s < 2 * op->n_samples; s++) {
        char what[160];
        sample_graph g;
        hz_error err = {HZ_OK, ""};
        scratch file = scratch_path("sample.onnx");
        snprintf(what, sizeof what, "%s, \"%s\"", op->name, op->samples[s / 2].label);
        cr_assert(sample_graph_record(&g, &op->samples[s / 2], s % 2 ? HZ_F64 : HZ_F32, &err), "%s: %s", what,
                  err.text);
        const bool ok = hz_onnx_save(file.path, g.out, g.n_out, g.in, g.n_in, NULL, &err);
        if (op == &hz_op_dropout_mask) {
            cr_expect(!ok && strstr(err.text, "dropout_mask"), "%s", err.text);
        } else {
            cr_assert(ok, "%s: %s", what, err.text);
            reread(file.path, what, g.in, g.out, g.n_out);
            unlink(file.path);
        }
        sample_graph_free(&g);
    }
}

/* ---- a whole network ---- */

enum { SIDE = 32 };

static hz_tensor random_pictures(int64_t n) {
    hz_tensor x = hz_tensor_of(NULL, HZ_F32, HZ_DIMS(n, 3, SIDE, SIDE));
    x.data = malloc(hz_nbytes(&x));
    cr_assert(x.data);
    for (int64_t k = 0; k < hz_numel(&x); k++) hz_set_flat(&x, k, sin(0.37 * (double)k * (double)(k % 89)));
    return x;
}

static void expect_equal_bits(const char *what, hz_var got, hz_var want) {
    cr_assert(hz_ok(got) && hz_ok(want), "%s", what);
    cr_assert(hz_same_shape(hz_value(got), hz_value(want)), "%s: %s", what, hz_shape_str(hz_value(got)).s);
    for (int64_t k = 0; k < hz_numel(hz_value(want)); k++)
        cr_assert_eq(hz_get_flat(hz_value(got), k), hz_get_flat(hz_value(want), k), "%s, element %d", what,
                     (int)k);
}

static hz_var pixel_gradient(hz_tape *t, hz_var x, const char *unit) {
    hz_var y = hz_unit(t, unit), dx = {0};
    hz_error err = {HZ_OK, ""};
    cr_assert(hz_grad(&y, 1, &x, 1, NULL, &dx) && hz_tape_ok(t, &err), "%s", (hz_tape_ok(t, &err), err.text));
    return dx;
}

/* Written from two pictures, run on three. */
Test(onnx_write, a_network_keeps_names_outputs_and_pixel_gradients_for_any_batch) {
    hz_model m;
    hz_onnx *net;
    hz_error err = {HZ_OK, ""};
    hz_tape *t = hz_tape_new(NULL), *u = hz_tape_new(NULL);
    hz_tensor two = random_pictures(2), three = random_pictures(3);
    scratch file = scratch_path("allconv.onnx");
    cr_assert(hz_model_open("allconv", NULL, &m, &err), "%s", err.text);
    hz_var x = hz_name(hz_input(t, &two), "pixels"), y = hz_model_forward(&m, x), again;
    cr_assert(hz_onnx_save(file.path, &y, 1, &x, 1, &(hz_onnx_save_opts){.dynamic_batch = true}, &err), "%s",
              err.text);
    cr_assert(hz_onnx_open(file.path, NULL, &net, &err), "%s", err.text);
    cr_expect_str_eq(hz_onnx_input_name(net, 0), "pixels");
    cr_expect_str_eq(hz_onnx_output_name(net, 0), "logits");

    hz_tape_reset(t);
    x = hz_input(t, &three);
    y = hz_model_forward(&m, x);
    hz_var z = hz_input(u, &three);
    cr_assert(hz_onnx_run(net, u, &z, &again) && hz_tape_ok(u, &err), "%s", (hz_tape_ok(u, &err), err.text));
    expect_equal_bits("logits", again, y);
    int compared = 0;
    for (uint32_t k = 0; hz_tape_name(t, k, NULL); k++) {
        hz_var value;
        const char *name = hz_tape_name(t, k, &value);
        if (hz_find(t, name).id != value.id) continue; /* a later one has the name */
        expect_equal_bits(name, hz_find(u, name), value);
        compared++;
    }
    cr_assert_gt(compared, 10);
    expect_equal_bits("pixel gradient", pixel_gradient(u, z, "logits[2,3]"),
                      pixel_gradient(t, x, "logits[2,3]"));
    hz_tape_free(u);
    hz_tape_free(t);
    hz_onnx_close(net);
    hz_model_close(&m);
    free(two.data);
    free(three.data);
    unlink(file.path);
}

/* The gradient is put into a batch of any size, row by row. */
Test(onnx_write, the_adjoint_of_many_rows_of_a_batch) {
    enum { ROWS = 90, BATCH = 100 };
    static float data[BATCH * 3];
    for (int k = 0; k < BATCH * 3; k++) data[k] = (float)(k % 17) / 8;
    const hz_tensor x = hz_tensor_of(data, HZ_F32, HZ_DIMS(BATCH, 3));
    hz_error err = {HZ_OK, ""};
    scratch file = scratch_path("rows.onnx");
    hz_tape *t = hz_tape_new(NULL);
    hz_var in = hz_input(t, &x), rows = hz_slice(in, 0, 5, ROWS, 1), dx;
    hz_var loss = hz_sum(hz_mul(rows, rows), HZ_ALL_AXES, false);
    cr_assert(hz_grad(&loss, 1, &in, 1, &(hz_grad_opts){.differentiable = true}, &dx));
    const hz_onnx_save_opts opts = {.dynamic_batch = true};
    cr_assert(hz_onnx_save(file.path, &dx, 1, &in, 1, &opts, &err), "%s", err.text);
    reread(file.path, "rows", &in, &dx, 1);
    unlink(file.path);
    hz_tape_free(t);
}
