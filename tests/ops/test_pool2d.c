/* test_pool2d.c: poolings as ops, against loops over windows.
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

TestSuite(pool2d, .init = open_tape, .fini = close_tape);

/* ---- windows ---- */

static const struct geometry {
    int64_t x[4];
    hz_pool2d_opts opts;
    const char *shape;
} geometries[] = {
    {{2, 3, 6, 6}, {.kernel = {2, 2}}, "[2,3,3,3]"},
    {{1, 2, 7, 6}, {.kernel = {3, 2}, .stride = {2, 1}, .pad = {1, 1}}, "[1,2,4,7]"},
    {{1, 2, 6, 6}, {.kernel = {3, 3}, .stride = {2, 2}}, "[1,2,2,2]"},
    {{1, 2, 6, 6}, {.kernel = {3, 3}, .stride = {2, 2}, .ceil = true}, "[1,2,3,3]"},
    {{1, 2, 6, 6},
     {.kernel = {3, 3}, .stride = {2, 2}, .ceil = true, .pad = {1, 1}, .count_padding = true},
     "[1,2,4,4]"},
    {{1, 1, 5, 5},
     {.kernel = {2, 2}, .stride = {3, 4}, .ceil = true},
     "[1,1,2,2]"}, /* a third would begin outside */
    {{1, 1, 4, 4}, {.kernel = {1, 1}, .stride = {3, 3}, .ceil = true, .pad_after = {1, 1}}, "[1,1,2,2]"},
    {{1, 1, 2, 2}, {.kernel = {3, 3}, .stride = {2, 2}, .ceil = true}, "[1,1,1,1]"},
    {{1, 2, 6, 7},
     {.kernel = {2, 3}, .stride = {1, 2}, .dilation = {3, 2}, .pad_before = {1, 0}},
     "[1,2,4,2]"},
    {{1, 2, 5, 5}, {.kernel = {3, 3}, .stride = {1, 1}, .pad = {1, 1}, .count_padding = true}, "[1,2,5,5]"},
};
enum { GEOMETRIES = sizeof geometries / sizeof geometries[0] };

typedef struct window {
    double max, sum;
    int inside, padded; /* positions inside the input; inside the input and its padding */
} window;

static int64_t or_else(int64_t value, int64_t otherwise) {
    return value ? value : otherwise;
}

static window window_at(const hz_tensor *x, const hz_pool2d_opts *o, const int64_t *at) {
    window w = {.max = -INFINITY};
    for (int64_t r = 0; r < o->kernel[0]; r++)
        for (int64_t s = 0; s < o->kernel[1]; s++) {
            int64_t pos[2] = {r, s};
            bool inside = true, padded = true;
            for (int k = 0; k < 2; k++) {
                int64_t stride = or_else(o->stride[k], o->kernel[k]);
                pos[k] =
                    at[2 + k] * stride - o->pad[k] - o->pad_before[k] + pos[k] * or_else(o->dilation[k], 1);
                inside = inside && pos[k] >= 0 && pos[k] < x->dim[2 + k];
                padded = padded && pos[k] < x->dim[2 + k] + o->pad[k] + o->pad_after[k];
            }
            w.padded += padded;
            w.inside += inside;
            double value = at4(x, at[0], at[1], pos[0], pos[1]);
            w.sum += value;
            if (inside) w.max = fmax(w.max, value);
        }
    return w;
}

Test(pool2d, maxima_and_averages_match_loops) {
    for (int k = 0; k < GEOMETRIES; k++)
        for (int dtype = HZ_F32; dtype <= HZ_F64; dtype++) {
            const hz_pool2d_opts *o = &geometries[k].opts;
            hz_var x = varied(t, (hz_dtype)dtype, 4, geometries[k].x, 1);
            hz_var max = hz_max_pool2d(x, o), avg = hz_avg_pool2d(x, o);
            expect_ok(t);
            cr_assert_str_eq(hz_shape_str(hz_value(max)).s, geometries[k].shape, "geometry %d: %s", k,
                             hz_shape_str(hz_value(max)).s);
            cr_assert(hz_same_shape(hz_value(max), hz_value(avg)));
            for (int64_t e = 0; e < hz_numel(hz_value(max)); e++) {
                int64_t at[4];
                hz_unravel(hz_value(max), e, at);
                window w = window_at(hz_value(x), o, at);
                double mean = w.inside ? w.sum / (o->count_padding ? w.padded : w.inside) : 0;
                cr_expect_eq(hz_get(hz_value(max), at), w.max, "maximum, geometry %d", k);
                cr_expect(alike(hz_get(hz_value(avg), at), mean, dtype == HZ_F32 ? 1e-6 : 1e-14),
                          "average, geometry %d, %s: %.9g, expected %.9g", k, hz_dims_str(4, at).s,
                          hz_get(hz_value(avg), at), mean);
            }
        }
}

Test(pool2d, boxes_agree_for_every_unit) {
    for (int k = 0; k < GEOMETRIES; k++) {
        hz_var x = varied(t, HZ_F64, 4, geometries[k].x, 1);
        hz_var max = hz_max_pool2d(x, &geometries[k].opts), avg = hz_avg_pool2d(x, &geometries[k].opts);
        for (int64_t e = 0; e < hz_numel(hz_value(max)); e++) {
            int64_t at[4];
            hz_unravel(hz_value(max), e, at);
            expect_boxes_agree(max, at, &x, 1);
            expect_boxes_agree(avg, at, &x, 1);
        }
    }
}

Test(pool2d, the_first_of_equal_maxima_gets_the_gradient) {
    hz_var x = given(t, HZ_F64, HZ_DIMS(1, 1, 2, 4), (double[]){1, 3, 5, 5, 3, 3, 5, 0});
    hz_var y = hz_max_pool2d(x, &(hz_pool2d_opts){.kernel = {2, 2}});
    expect_values(y, HZ_DIMS(1, 1, 1, 2), (double[]){3, 5}, 0);
    expect_values(gradient(y, x), HZ_DIMS(1, 1, 2, 4), (double[]){0, 1, 1, 0, 0, 0, 0, 0}, 0);
}

Test(pool2d, gradients_of_shared_maxima_add_up) {
    hz_var x = given(t, HZ_F64, HZ_DIMS(1, 1, 1, 4), (double[]){1, 9, 2, 3});
    hz_var y = hz_max_pool2d(x, &(hz_pool2d_opts){.kernel = {1, 2}, .stride = {1, 1}}), dy, dx;
    dy = given(t, HZ_F64, HZ_DIMS(1, 1, 1, 3), (double[]){1, 10, 100});
    hz_grad(&y, 1, &x, 1, &(hz_grad_opts){.dy = &dy}, &dx);
    expect_values(dx, HZ_DIMS(1, 1, 1, 4), (double[]){0, 11, 0, 100}, 0);
}

Test(pool2d, a_window_in_the_padding_is_minus_infinity_or_zero) {
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(1, 1, 2, 2), 5);
    const hz_pool2d_opts opts = {.kernel = {1, 1}, .stride = {2, 2}, .pad_before = {2, 0}};
    expect_values(hz_max_pool2d(x, &opts), HZ_DIMS(1, 1, 2, 1), (double[]){-INFINITY, 5}, 0);
    expect_values(hz_avg_pool2d(x, &opts), HZ_DIMS(1, 1, 2, 1), (double[]){0, 5}, 0);
    expect_values(gradient(hz_max_pool2d(x, &opts), x), HZ_DIMS(1, 1, 2, 2), (double[]){1, 0, 0, 0}, 0);
}

/* ---- adaptive and global ---- */

Test(pool2d, adaptive_windows_share_the_input) {
    static const int64_t extent[][4] = {{7, 5, 3, 2}, {4, 6, 2, 3}, {2, 3, 5, 3}, {1, 1, 2, 1}, {5, 7, 5, 7}};
    for (size_t k = 0; k < sizeof extent / sizeof extent[0]; k++) {
        int64_t h = extent[k][0], w = extent[k][1], oh = extent[k][2], ow = extent[k][3];
        hz_var x = varied(t, HZ_F64, HZ_DIMS(2, 2, h, w), 1);
        hz_var avg = hz_adaptive_avg_pool2d(x, oh, ow), max = hz_adaptive_max_pool2d(x, oh, ow);
        expect_ok(t);
        for (int64_t e = 0; e < hz_numel(hz_value(avg)); e++) {
            int64_t at[4], count = 0;
            hz_unravel(hz_value(avg), e, at);
            double sum = 0, most = -INFINITY;
            for (int64_t r = at[2] * h / oh; r < ((at[2] + 1) * h + oh - 1) / oh; r++)
                for (int64_t s = at[3] * w / ow; s < ((at[3] + 1) * w + ow - 1) / ow; s++, count++) {
                    double value = at4(hz_value(x), at[0], at[1], r, s);
                    sum += value, most = fmax(most, value);
                }
            cr_expect(alike(hz_get(hz_value(avg), at), sum / (double)count, 1e-14), "case %d", (int)k);
            cr_expect_eq(hz_get(hz_value(max), at), most, "case %d", (int)k);
            expect_boxes_agree(avg, at, &x, 1);
            expect_boxes_agree(max, at, &x, 1);
        }
    }
}

Test(pool2d, global_pooling_keeps_axes_of_one) {
    hz_var x = given(t, HZ_F64, HZ_DIMS(1, 2, 1, 3), (double[]){1, 2, 6, 5, 4, 5});
    expect_values(hz_global_avg_pool2d(x), HZ_DIMS(1, 2, 1, 1), (double[]){3, 14.0 / 3}, 1e-15);
    hz_var max = hz_global_max_pool2d(x);
    expect_values(max, HZ_DIMS(1, 2, 1, 1), (double[]){6, 5}, 0);
    expect_values(gradient(max, x), HZ_DIMS(1, 2, 1, 3), (double[]){0, 0, 1, 0.5, 0, 0.5}, 0);
}

/* ---- sequences ---- */

static void expect_row(hz_var got, hz_var want) {
    expect_same(got, hz_squeeze(want, HZ_AXIS(2)), 0);
}

Test(pool2d, in_one_dimension_is_one_row) {
    hz_var x = varied(t, HZ_F64, HZ_DIMS(2, 3, 9), 1), row = hz_unsqueeze(x, 2);
    const hz_pool2d_opts line = {.kernel = {3}, .stride = {2}, .pad = {1}, .dilation = {2}, .ceil = true};
    hz_pool2d_opts flat = {.kernel = {1, 3}, .stride = {1, 2}, .pad = {0, 1}, .ceil = true};
    const hz_pool2d_opts near = {.kernel = {3}, .stride = {2}, .pad_before = {1}, .count_padding = true};
    const hz_pool2d_opts flat_near = {
        .kernel = {1, 3}, .stride = {1, 2}, .pad_before = {0, 1}, .count_padding = true};
    flat.dilation[1] = 2;
    expect_row(hz_max_pool1d(x, &line), hz_max_pool2d(row, &flat));
    expect_row(hz_avg_pool1d(x, &near), hz_avg_pool2d(row, &flat_near));
    expect_row(hz_adaptive_avg_pool1d(x, 4), hz_adaptive_avg_pool2d(row, 1, 4));
    expect_row(hz_adaptive_max_pool1d(x, 4), hz_adaptive_max_pool2d(row, 1, 4));
    expect_ok(t);
}

/* ---- errors ---- */

Test(pool2d, says_what_is_wrong) {
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(1, 2, 4, 4), 0), flat = hz_full(t, HZ_F32, HZ_DIMS(4, 4), 0);
    hz_scope_push(t, "pool1");
    hz_max_pool2d(x, &(hz_pool2d_opts){.kernel = {3, 5}});
    expect_error(t, HZ_ESHAPE,
                 "max_pool2d \"pool1\": window 3×5 with dilation 1 has more columns than input [1,2,4,4] "
                 "padded by 0 and 0");
    hz_avg_pool2d(x, &(hz_pool2d_opts){.kernel = {0, 2}});
    expect_error(t, HZ_EINVAL, "avg_pool2d \"pool1\": kernel of the rows is 0, not 1 … 2147483647");
    hz_max_pool2d(x, NULL);
    expect_error(t, HZ_EINVAL, "kernel of the rows is 0");
    hz_max_pool2d(flat, &(hz_pool2d_opts){.kernel = {2, 2}, .ceil = true});
    expect_error(t, HZ_ESHAPE, "input f32 [4,4] must be (N, C, H, W)");
    hz_adaptive_avg_pool2d(x, 0, 1);
    expect_error(t, HZ_EINVAL, "0×1 windows");
    hz_adaptive_max_pool2d(flat, 1, 1);
    expect_error(t, HZ_ESHAPE, "adaptive_max_pool2d: input f32 [4,4] must be (N, C, H, W)");
    hz_global_avg_pool2d(flat);
    expect_error(t, HZ_ESHAPE, "global_avg_pool2d: input [4,4] must be (N, C, H, W)");
    hz_global_max_pool2d(flat);
    expect_error(t, HZ_ESHAPE, "global_max_pool2d: input [4,4] must be (N, C, H, W)");
    hz_max_pool1d(x, &(hz_pool2d_opts){.kernel = {2}});
    expect_error(t, HZ_ESHAPE, "max_pool1d: input [1,2,4,4] must be (N, C, L)");
}

Test(pool2d, adjoints_check_the_cotangent) {
    const hz_pool2d_geometry g = {.kernel = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}};
    hz_var x = hz_full(t, HZ_F32, HZ_DIMS(1, 2, 4, 4), 0), dy = hz_full(t, HZ_F32, HZ_DIMS(1, 2, 3, 2), 0);
    hz_max_pool2d_grad(x, dy, &g);
    expect_error(
        t, HZ_ESHAPE,
        "max_pool2d_grad: cotangent f32 [1,2,3,2] is not f32 [1,2,2,2], the result of input [1,2,4,4]");
    hz_avg_pool2d_grad(dy, &g, 4, 4);
    expect_error(t, HZ_ESHAPE, "avg_pool2d_grad: cotangent f32 [1,2,3,2] is not f32 [1,2,2,2]");
    hz_max_pool2d_take(x, dy, &g, 2, 2);
    expect_error(t, HZ_ESHAPE, "max_pool2d_take: input f32 [1,2,4,4] and values f32 [1,2,3,2] must be alike");
    hz_max_pool2d_take(x, x, &g, 3, 2);
    expect_error(t, HZ_ESHAPE, "has 2×2 windows, not 3×2");
}
