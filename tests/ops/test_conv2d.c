/* test_conv2d.c: convolution and its adjoints as ops: values against loops, the adjoint identities, transposed
 * convolution, boxes through groups, and what errors say.
 *
 * SPDX-License-Identifier: MIT */
#include "varied.h"

static hz_tape *t;

static void open_tape(void) {
    t = hz_tape_new(NULL);
}
static void close_tape(void) {
    hz_tape_free(t);
}

TestSuite(conv2d, .init = open_tape, .fini = close_tape);

static int64_t or_one(int64_t value) {
    return value ? value : 1;
}

/* The sum of the header's formula for one output, without bias. */
static double correlate(const hz_tensor *x, const hz_tensor *w, const hz_conv2d_opts *o, const int64_t *at) {
    int64_t groups = or_one(o->groups), group = at[1] / (w->dim[0] / groups);
    double sum = 0;
    for (int64_t c = 0; c < w->dim[1]; c++)
        for (int64_t r = 0; r < w->dim[2]; r++)
            for (int64_t s = 0; s < w->dim[3]; s++) {
                int64_t row =
                    at[2] * or_one(o->stride[0]) - o->pad[0] - o->pad_before[0] + r * or_one(o->dilation[0]);
                int64_t column =
                    at[3] * or_one(o->stride[1]) - o->pad[1] - o->pad_before[1] + s * or_one(o->dilation[1]);
                sum += at4(w, at[1], c, r, s) * at4(x, at[0], group * w->dim[1] + c, row, column);
            }
    return sum;
}

static void expect_convolution(hz_var y, hz_var x, hz_var w, hz_var b, const hz_conv2d_opts *o, double tol) {
    expect_ok(t);
    for (int64_t k = 0; k < hz_numel(hz_value(y)); k++) {
        int64_t at[4];
        hz_unravel(hz_value(y), k, at);
        double want = correlate(hz_value(x), hz_value(w), o, at) + hz_get_flat(hz_value(b), at[1]);
        cr_expect(alike(hz_get(hz_value(y), at), want, tol), "%s: %.9g, expected %.9g", hz_dims_str(4, at).s,
                  hz_get(hz_value(y), at), want);
    }
}

static const struct geometry {
    int64_t x[4], w[4];
    hz_conv2d_opts opts;
    const char *shape;
} geometries[] = {
    {{2, 3, 5, 6}, {4, 3, 3, 3}, {.groups = 0}, "[2,4,3,4]"},
    {{1, 3, 7, 7}, {2, 3, 3, 3}, {.stride = {2, 2}, .pad = {1, 1}}, "[1,2,4,4]"},
    {{1, 2, 6, 7}, {2, 2, 2, 3}, {.stride = {2, 1}, .pad_before = {0, 2}, .pad_after = {1, 0}}, "[1,2,3,7]"},
    {{1, 2, 8, 7}, {3, 2, 3, 2}, {.dilation = {2, 3}, .pad = {1, 0}}, "[1,3,6,4]"},
    {{2, 4, 5, 5}, {6, 2, 3, 3}, {.groups = 2, .pad = {1, 1}}, "[2,6,5,5]"},
    {{1, 4, 6, 6}, {8, 1, 3, 3}, {.groups = 4, .stride = {2, 2}}, "[1,8,2,2]"},
    {{1, 2, 1, 1}, {2, 2, 3, 3}, {.pad = {1, 1}}, "[1,2,1,1]"},
    {{1, 1, 5, 5}, {1, 1, 2, 2}, {.pad_before = {-1, 0}, .pad_after = {0, -2}}, "[1,1,3,2]"},
};
enum { GEOMETRIES = sizeof geometries / sizeof geometries[0] };

Test(conv2d, matches_the_formula) {
    for (int k = 0; k < GEOMETRIES; k++)
        for (int dtype = HZ_F32; dtype <= HZ_F64; dtype++) {
            const struct geometry *g = &geometries[k];
            hz_var x = varied(t, (hz_dtype)dtype, 4, g->x, 1), w = varied(t, (hz_dtype)dtype, 4, g->w, 2),
                   b = varied(t, (hz_dtype)dtype, 1, g->w, 3), y = hz_conv2d(x, w, b, &g->opts);
            expect_ok(t);
            cr_expect_str_eq(hz_shape_str(hz_value(y)).s, g->shape);
            expect_convolution(y, x, w, b, &g->opts, dtype == HZ_F32 ? 1e-5 : 1e-13);
        }
}

Test(conv2d, golden_case_by_hand) {
    double image[16], ones[18];
    for (int k = 0; k < 16; k++) image[k] = k;
    for (int k = 0; k < 18; k++) ones[k] = 1;
    hz_var y =
        hz_conv2d(given(t, HZ_F32, HZ_DIMS(1, 1, 4, 4), image), given(t, HZ_F32, HZ_DIMS(2, 1, 3, 3), ones),
                  given(t, HZ_F32, HZ_DIMS(2), (double[]){-50, -75}), NULL);
    expect_values(y, HZ_DIMS(1, 2, 2, 2), (double[]){-5, 4, 31, 40, -30, -21, 6, 15}, 0);
}

/* ⟨conv(x; w), v⟩ = ⟨x, input_grad(v; w)⟩ = ⟨w, weight_grad(x; v)⟩ */
Test(conv2d, the_two_adjoints_are_adjoint) {
    for (int k = 0; k < GEOMETRIES; k++) {
        const struct geometry *g = &geometries[k];
        hz_var x = varied(t, HZ_F64, 4, g->x, 1), w = varied(t, HZ_F64, 4, g->w, 2);
        hz_var y = hz_conv2d(x, w, hz_none(t), &g->opts), v = varied(t, HZ_F64, 4, hz_value(y)->dim, 3),
               dx[2];
        hz_grad(&y, 1, (const hz_var[]){x, w}, 2, &(hz_grad_opts){.dy = &v}, dx);
        expect_ok(t);
        cr_expect(alike(dot(x, dx[0]), dot(y, v), 1e-12), "in x, geometry %d", k);
        cr_expect(alike(dot(w, dx[1]), dot(y, v), 1e-12), "in w, geometry %d", k);
    }
}

Test(conv2d, boxes_agree_for_every_unit) {
    for (int k = 0; k < GEOMETRIES; k++) {
        const struct geometry *g = &geometries[k];
        hz_var x = varied(t, HZ_F64, 4, g->x, 1), w = varied(t, HZ_F64, 4, g->w, 2),
               b = varied(t, HZ_F64, 1, g->w, 3);
        hz_var y = hz_conv2d(x, w, b, &g->opts);
        for (int64_t e = 0; e < hz_numel(hz_value(y)); e++) {
            int64_t at[4];
            hz_unravel(hz_value(y), e, at);
            expect_boxes_agree(y, at, (const hz_var[]){x, w, b}, 3);
        }
    }
}

Test(conv2d, a_unit_of_a_group_leaves_other_groups_alone) {
    hz_var x = varied(t, HZ_F64, HZ_DIMS(1, 6, 5, 5), 1), w = varied(t, HZ_F64, HZ_DIMS(4, 3, 3, 3), 2);
    hz_var y = hz_conv2d(x, w, hz_none(t), &(hz_conv2d_opts){.groups = 2}), dx;
    hz_var one = hz_pick(y, (const int64_t[]){0, 3, 1, 0});
    hz_box support, want = {{0, 3, 1, 0}, {1, 6, 4, 3}};
    cr_assert(hz_grad(&one, 1, &x, 1, &(hz_grad_opts){.support = &support}, &dx));
    cr_expect(hz_box_equal(&support, &want, 4));
}

/* Output p of AlexNet's first layers sees 11 + 4·(3 − 1) positions, from 8·p on. */
Test(conv2d, receptive_fields_compose) {
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(1, 1, 59, 59), 0), w = hz_full(t, HZ_F32, HZ_DIMS(1, 1, 11, 11), 0);
    hz_var y = hz_conv2d(x, w, hz_none(t), &(hz_conv2d_opts){.stride = {4, 4}, .pad = {2, 0}});
    y = hz_max_pool2d(y, &(hz_pool2d_opts){.kernel = {3, 3}, .stride = {2, 2}});
    hz_field field;
    cr_assert(hz_receptive_field_axis(y, 2, x, 2, &field));
    cr_expect(field.size == 19 && field.stride == 8 && field.offset == -2, "%d, %d, %d", (int)field.size,
              (int)field.stride, (int)field.offset);
    cr_assert(hz_receptive_field_axis(y, 3, x, 3, &field));
    cr_expect(field.size == 19 && field.stride == 8 && field.offset == 0);
}

/* ---- transposed ---- */

Test(conv2d, transposed_convolution_spreads_each_input) {
    hz_var x = given(t, HZ_F64, HZ_DIMS(1, 1, 1, 2), (double[]){1, 10});
    hz_var w = given(t, HZ_F64, HZ_DIMS(1, 1, 1, 3), (double[]){1, 2, 3}),
           b = given(t, HZ_F64, HZ_DIMS(1), (double[]){0.5});
    hz_var y = hz_conv_transpose2d(x, w, b, &(hz_conv2d_opts){.stride = {1, 2}}, NULL);
    expect_values(y, HZ_DIMS(1, 1, 1, 5), (double[]){1.5, 2.5, 13.5, 20.5, 30.5}, 0);
}

Test(conv2d, transposed_convolution_has_the_extent_of_its_formula) {
    for (int64_t stride = 1; stride <= 3; stride++)
        for (int64_t more = 0; more <= 3; more++) {
            const hz_conv2d_opts opts = {
                .stride = {stride, 1}, .pad_before = {1, 0}, .pad_after = {0, 1}, .dilation = {2, 1}};
            hz_var x = varied(t, HZ_F64, HZ_DIMS(2, 3, 4, 3), 1),
                   w = varied(t, HZ_F64, HZ_DIMS(3, 2, 3, 2), 2);
            hz_var y = hz_conv_transpose2d(x, w, hz_none(t), &opts, (const int64_t[]){more, 0});
            expect_ok(t);
            cr_expect_eq(hz_value(y)->dim[2], 3 * stride - 1 + 5 + more);
            cr_expect_eq(hz_value(y)->dim[3], 2 - 1 + 2);
            /* ⟨y, v⟩ = ⟨x, conv(v)⟩, over the windows that x has */
            hz_var v = varied(t, HZ_F64, 4, hz_value(y)->dim, 3);
            hz_var back = hz_slice(hz_conv2d(v, w, hz_none(t), &opts), 2, 0, 4, 1);
            expect_ok(t);
            cr_expect(alike(dot(x, back), dot(y, v), 1e-12), "stride %d, %d more", (int)stride, (int)more);
        }
}

Test(conv2d, transposed_convolution_boxes_agree_for_every_unit) {
    const hz_conv2d_opts each[] = {{.stride = {2, 3}, .pad = {1, 0}},
                                   {.groups = 2, .stride = {3, 1}, .dilation = {1, 2}}};
    for (int k = 0; k < 2; k++) {
        hz_var x = varied(t, HZ_F64, HZ_DIMS(1, 4, 3, 3), 1), w = varied(t, HZ_F64, HZ_DIMS(4, 2, 3, 2), 2);
        hz_var y = hz_conv_transpose2d(x, w, hz_none(t), &each[k], NULL);
        expect_ok(t);
        for (int64_t e = 0; e < hz_numel(hz_value(y)); e++) {
            int64_t at[4];
            hz_unravel(hz_value(y), e, at);
            expect_boxes_agree(y, at, (const hz_var[]){x, w}, 2);
        }
    }
}

Test(conv2d, in_one_dimension_is_one_row) {
    hz_var x = varied(t, HZ_F64, HZ_DIMS(2, 4, 9), 1), w = varied(t, HZ_F64, HZ_DIMS(6, 2, 3), 2),
           b = varied(t, HZ_F64, HZ_DIMS(6), 3);
    const hz_conv2d_opts line = {.stride = {2}, .pad = {1}, .dilation = {2}, .groups = 2};
    const hz_conv2d_opts flat = {.stride = {1, 2}, .pad = {0, 1}, .dilation = {1, 2}, .groups = 2};
    hz_var want = hz_conv2d(hz_unsqueeze(x, 2), hz_unsqueeze(w, 2), b, &flat);
    expect_same(hz_conv1d(x, w, b, &line), hz_squeeze(want, HZ_AXIS(2)), 1e-13);
    x = varied(t, HZ_F64, HZ_DIMS(2, 6, 5), 4), b = varied(t, HZ_F64, HZ_DIMS(4), 5);
    want = hz_conv_transpose2d(hz_unsqueeze(x, 2), hz_unsqueeze(w, 2), b, &flat, (const int64_t[]){0, 1});
    expect_same(hz_conv_transpose1d(x, w, b, &line, 1), hz_squeeze(want, HZ_AXIS(2)), 1e-13);
    expect_ok(t);
}

/* ---- errors ---- */

static hz_var of(int64_t n, int64_t c, int64_t h, int64_t w) {
    return hz_full(t, HZ_F32, HZ_DIMS(n, c, h, w), 0);
}

Test(conv2d, names_layer_shapes_and_the_channels_that_disagree) {
    hz_scope_push(t, "fire2");
    hz_scope_push(t, "squeeze1x1");
    hz_conv2d(of(1, 96, 55, 55), of(16, 64, 1, 1), hz_none(t), NULL);
    expect_error(t, HZ_ESHAPE,
                 "conv2d \"fire2.squeeze1x1\": input [1,96,55,55] and weight [16,64,1,1] disagree on "
                 "channels (96 vs 64)");
    hz_conv2d(of(1, 96, 9, 9), of(16, 96, 1, 1), hz_none(t), &(hz_conv2d_opts){.groups = 2});
    expect_error(t, HZ_ESHAPE, "disagree on channels (96 vs 96 in each of 2 groups)");
    hz_conv2d(of(1, 4, 9, 9), of(5, 2, 1, 1), hz_none(t), &(hz_conv2d_opts){.groups = 2});
    expect_error(t, HZ_ESHAPE, "weight [5,2,1,1] has 5 filters, which 2 groups do not divide");
}

Test(conv2d, says_what_else_is_wrong) {
    hz_var x = of(1, 2, 4, 4), w = of(3, 2, 5, 3);
    hz_conv2d(x, w, hz_none(t), NULL);
    expect_error(
        t, HZ_ESHAPE,
        "conv2d: weight [3,2,5,3] with dilation 1 has more rows than input [1,2,4,4] padded by 0 and 0");
    hz_conv2d(x, w, hz_none(t), &(hz_conv2d_opts){.pad = {1, 0}, .stride = {1, -1}});
    expect_error(t, HZ_EINVAL, "conv2d: stride of the columns is -1, not 1 … 2147483647");
    hz_conv2d(x, w, hz_none(t), &(hz_conv2d_opts){.pad = {INT64_MAX, 0}, .pad_before = {INT64_MAX, 0}});
    expect_error(t, HZ_EINVAL, "padding before of the rows is 9223372036854775807");
    hz_conv2d(x, w, hz_none(t), &(hz_conv2d_opts){.groups = -1});
    expect_error(t, HZ_EINVAL, "groups must be at least 1, not -1");
    hz_conv2d(x, of(3, 2, 1, 1), hz_full(t, HZ_F32, HZ_DIMS(2), 0), NULL);
    expect_error(t, HZ_ESHAPE, "bias f32 [2] is not f32 [3], one number for each filter of weight [3,2,1,1]");
    hz_conv2d(x, hz_full(t, HZ_F64, HZ_DIMS(3, 2, 1, 1), 0), hz_none(t), NULL);
    expect_error(t, HZ_ESHAPE, "input [1,2,4,4] is f32 and weight [3,2,1,1] is f64");
    hz_conv2d(hz_reshape(x, HZ_DIMS(2, 4, 4)), w, hz_none(t), NULL);
    expect_error(t, HZ_ESHAPE, "input [2,4,4] must be (N, C, H, W)");
    hz_conv1d(x, w, hz_none(t), NULL);
    expect_error(t, HZ_ESHAPE, "conv1d: input [1,2,4,4] must be (N, C, L)");
    hz_conv_transpose1d(hz_reshape(x, HZ_DIMS(1, 2, 16)), w, hz_none(t), NULL, 0);
    expect_error(t, HZ_ESHAPE, "conv_transpose1d: input [1,2,16] must be (N, C, L) and weight [3,2,5,3] of");
}

Test(conv2d, adjoints_check_the_cotangent) {
    const hz_conv2d_geometry g = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
    hz_var x = of(1, 2, 4, 4), w = of(3, 2, 3, 3), dy = of(1, 3, 2, 3);
    hz_conv2d_input_grad(dy, w, &g, 4, 4);
    expect_error(t, HZ_ESHAPE, "conv2d_input_grad: cotangent f32 [1,3,2,3] is not f32 [1,3,2,2]");
    hz_conv2d_weight_grad(x, dy, &g, 3, 3);
    expect_error(t, HZ_ESHAPE, "conv2d_weight_grad: cotangent f32 [1,3,2,3] is not f32 [1,3,2,2]");
    hz_conv2d_input_grad(dy, w, &g, -1, 4);
    expect_error(t, HZ_ESHAPE, "negative extent");
    hz_conv_transpose2d(x, w, hz_none(t), NULL, NULL);
    expect_error(t, HZ_ESHAPE, "conv_transpose2d: input [1,2,4,4] and weight [3,2,3,3]");
    hz_conv_transpose2d(dy, w, hz_none(t), NULL, (const int64_t[]){-1, 0});
    expect_error(t, HZ_EINVAL, "conv_transpose2d: input [1,3,2,3] with -1 more rows");
}
