/* test_preprocess.c: pictures become inputs by the documented steps, and arrays of the wrong shape are refused.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "../tensor/files.h"
#include "data.h"
#include "nn/model.h"
#include "tensor/image.h"
#include "tensor/npy.h"
#include "tensor/png.h"

/* A picture of size h × w, every byte different from its neighbours. */
static hz_tensor make_picture(int64_t h, int64_t w, uint8_t *bytes) {
    for (int64_t k = 0; k < h * w * 3; k++) bytes[k] = (uint8_t)(k * 37 + k / 5);
    return hz_tensor_of(bytes, HZ_U8, HZ_DIMS(h, w, 3));
}

/* ---- resize and crop ---- */

Test(preprocess, a_picture_of_the_right_size_is_used_pixel_for_pixel) {
    uint8_t bytes[5 * 5 * 3];
    const hz_tensor picture = make_picture(5, 5, bytes);
    hz_tensor fitted;
    hz_error err = {0};
    cr_assert(hz_preprocess_fit(&(hz_preprocess){.size = 5, .resize = 9}, &picture, NULL, &fitted, &err),
              "%s", err.text);
    cr_assert_eq(memcmp(fitted.data, bytes, sizeof bytes), 0);
    hz_free(NULL, fitted.data);
}

Test(preprocess, resizing_to_the_same_size_changes_nothing_but_crops_the_middle) {
    uint8_t bytes[6 * 9 * 3];
    const hz_tensor picture = make_picture(6, 9, bytes);
    hz_tensor fitted;
    hz_error err = {0};
    cr_assert(hz_preprocess_fit(&(hz_preprocess){.size = 4, .resize = 6}, &picture, NULL, &fitted, &err),
              "%s", err.text);
    for (int64_t y = 0; y < 4; y++)
        for (int64_t x = 0; x < 4; x++)
            for (int64_t c = 0; c < 3; c++)
                cr_assert_eq(hz_get(&fitted, (const int64_t[]){y, x, c}),
                             hz_get(&picture, (const int64_t[]){y + 1, x + 2, c}));
    hz_free(NULL, fitted.data);
}

Test(preprocess, a_flat_color_stays_flat_at_any_size) {
    for (int64_t h = 1; h < 40; h += 6)
        for (int64_t w = 1; w < 40; w += 7) {
            uint8_t bytes[40 * 40 * 3];
            hz_tensor fitted, picture = hz_tensor_of(bytes, HZ_U8, HZ_DIMS(h, w, 3));
            hz_error err = {0};
            memset(bytes, 201, sizeof bytes);
            cr_assert(hz_preprocess_fit(&(hz_preprocess){.size = 11}, &picture, NULL, &fitted, &err), "%s",
                      err.text);
            for (int64_t k = 0; k < hz_numel(&fitted); k++) cr_assert_eq(hz_get_flat(&fitted, k), 201);
            hz_free(NULL, fitted.data);
        }
}

/* Numbers from Pillow 9.4: Image.resize((5, 2), Image.BICUBIC). */
Test(preprocess, shrinking_is_that_of_pillow) {
    static const uint8_t in[] = {0, 255, 10, 200, 90, 30, 250, 5, 128, 64};
    static const uint8_t expected[] = {111, 125, 98, 119, 80}; /* in resized to 5 */
    uint8_t bytes[4 * 10 * 3];
    hz_tensor fitted, picture = hz_tensor_of(bytes, HZ_U8, HZ_DIMS(4, 10, 3));
    hz_error err = {0};
    for (int k = 0; k < 4 * 10 * 3; k++) bytes[k] = in[k / 3 % 10];
    cr_assert(hz_preprocess_fit(&(hz_preprocess){.size = 2}, &picture, NULL, &fitted, &err), "%s", err.text);
    for (int64_t y = 0; y < 2; y++)
        for (int64_t x = 0; x < 2; x++)
            cr_assert_eq(hz_get(&fitted, (const int64_t[]){y, x, 0}), expected[1 + x], "[%d,%d] = %g", (int)y,
                         (int)x, hz_get(&fitted, (const int64_t[]){y, x, 0}));
    hz_free(NULL, fitted.data);
}

/* The rows of shrinking_is_that_of_pillow: their ten columns become five, of which one or three are in the middle. */
Test(preprocess, an_input_need_not_be_square) {
    static const uint8_t in[] = {0, 255, 10, 200, 90, 30, 250, 5, 128, 64};
    static const uint8_t expected[] = {111, 125, 98, 119, 80};
    uint8_t bytes[4 * 10 * 3];
    const hz_tensor picture = hz_tensor_of(bytes, HZ_U8, HZ_DIMS(4, 10, 3));
    hz_error err = {0};
    for (int k = 0; k < 4 * 10 * 3; k++) bytes[k] = in[k / 3 % 10];
    for (int64_t width = 1; width <= 5; width += 2) {
        hz_tensor fitted;
        const hz_preprocess p = {.size = 2, .width = width};
        cr_assert(hz_preprocess_fit(&p, &picture, NULL, &fitted, &err), "%s", err.text);
        cr_assert(fitted.dim[0] == 2 && fitted.dim[1] == width);
        for (int64_t x = 0; x < width; x++)
            cr_assert_eq(hz_get(&fitted, (const int64_t[]){1, x, 0}), expected[(5 - width) / 2 + x]);
        hz_free(NULL, fitted.data);
    }
    hz_tensor wide;
    cr_assert(hz_preprocess_fit(&(hz_preprocess){.size = 1, .width = 10}, &picture, NULL, &wide, &err));
    for (int64_t x = 0; x < 10; x++) cr_assert_eq(hz_get(&wide, (const int64_t[]){0, x, 0}), in[x]);
    hz_free(NULL, wide.data);
    cr_assert_not(hz_preprocess_check(&(hz_preprocess){.size = 1, .width = -1}, &err));
    cr_assert(strstr(err.text, "width -1"), "%s", err.text);
}

Test(preprocess, the_cat_becomes_the_published_input_of_squeezenet) {
    hz_tensor photo, published, fitted;
    hz_error err = {0};
    if (!hz_test_data("chelsea.png") || !hz_test_data("chelsea_227.png"))
        cr_skip("no chelsea.png and chelsea_227.png: set HZ_DATA");
    cr_assert(hz_image_load(hz_test_data("chelsea.png"), 3, NULL, &photo, &err), "%s", err.text);
    cr_assert(hz_image_load(hz_test_data("chelsea_227.png"), 3, NULL, &published, &err), "%s", err.text);
    const hz_preprocess *p = &hz_arch_named("squeezenet1_0")->preprocess;
    cr_assert(hz_preprocess_fit(p, &photo, NULL, &fitted, &err), "%s", err.text);
    cr_assert(hz_same_shape(&fitted, &published));
    cr_assert_eq(memcmp(fitted.data, published.data, hz_nbytes(&fitted)), 0);
    hz_free(NULL, photo.data);
    hz_free(NULL, published.data);
    hz_free(NULL, fitted.data);
}

Test(preprocess, a_long_thin_picture_costs_no_more_than_its_crop) {
    uint8_t *bytes = calloc(16384, 3);
    hz_tensor fitted, picture = hz_tensor_of(bytes, HZ_U8, HZ_DIMS(1, 16384, 3));
    hz_error err = {0};
    cr_assert(
        hz_preprocess_fit(&(hz_preprocess){.size = 224, .resize = 16384}, &picture, NULL, &fitted, &err),
        "%s", err.text);
    hz_free(NULL, fitted.data);
    free(bytes);
}

static bool read_and_free(const hz_allocator *alloc, const char *path, hz_error *err) {
    hz_tensor input;
    if (!hz_preprocess_file(&(hz_preprocess){.size = 4, .resize = 5}, path, alloc, &input, err)) return false;
    hz_free(alloc, input.data);
    return true;
}

Test(preprocess, running_out_of_memory_is_an_error_and_leaks_nothing) {
    const scratch s = scratch_path("small.png");
    uint8_t bytes[7 * 9 * 3];
    const hz_tensor picture = make_picture(7, 9, bytes);
    hz_error err = {0};
    cr_assert(hz_png_write(s.path, &picture, NULL, 0, NULL, &err), "%s", err.text);
    fail_every_allocation(read_and_free, s.path);
    unlink(s.path);
}

/* ---- numbers ---- */

Test(preprocess, mean_and_std_count_red_green_blue_whatever_the_order) {
    uint8_t pixel[] = {10, 20, 30};
    float rgb[3], bgr[3];
    hz_preprocess p = {.size = 1, .mean = {1, 2, 3}, .std = {1, 2, 0}};
    const hz_tensor pixels = hz_tensor_of(pixel, HZ_U8, HZ_DIMS(1, 3, 1, 1)),
                    a = hz_tensor_of(rgb, HZ_F32, HZ_DIMS(1, 3, 1, 1)),
                    b = hz_tensor_of(bgr, HZ_F32, HZ_DIMS(1, 3, 1, 1));
    hz_error err = {0};
    cr_assert(hz_preprocess_normalize(&p, &pixels, &a, &err), "%s", err.text);
    p.order = HZ_BGR;
    cr_assert(hz_preprocess_normalize(&p, &pixels, &b, &err), "%s", err.text);
    cr_assert(rgb[0] == 9 && rgb[1] == 9 && rgb[2] == 27, "%g %g %g", (double)rgb[0], (double)rgb[1],
              (double)rgb[2]);
    cr_assert(bgr[0] == 27 && bgr[1] == 9 && bgr[2] == 9, "%g %g %g", (double)bgr[0], (double)bgr[1],
              (double)bgr[2]);
}

Test(preprocess, a_zero_stands_for_its_default_and_what_is_given_stays) {
    hz_preprocess full = hz_preprocess_complete(&(hz_preprocess){.size = 9, .std = {0, 3, 0}});
    cr_assert(full.size == 9 && full.resize == 9 && full.range == 255);
    cr_assert(full.std[0] == 1 && full.std[1] == 3 && full.std[2] == 1);
    full = hz_preprocess_complete(&(hz_preprocess){.size = 9, .resize = 12, .range = 1, .order = HZ_BGR});
    cr_assert(full.resize == 12 && full.range == 1 && full.order == HZ_BGR);
}

Test(preprocess, range_1_makes_white_1) {
    uint8_t pixel[] = {255, 0, 51};
    float x[3];
    const hz_preprocess p = {.size = 1, .range = 1};
    const hz_tensor pixels = hz_tensor_of(pixel, HZ_U8, HZ_DIMS(1, 3, 1, 1)),
                    input = hz_tensor_of(x, HZ_F32, HZ_DIMS(1, 3, 1, 1));
    cr_assert(hz_preprocess_normalize(&p, &pixels, &input, NULL));
    cr_assert(fabsf(x[0] - 1) < 1e-6f && x[1] == 0 && fabsf(x[2] - 0.2f) < 1e-6f);
}

Test(preprocess, gray_fills_three_channels_and_other_shapes_are_refused) {
    uint8_t pixel[] = {7, 8};
    float x[6];
    hz_error err = {0};
    const hz_preprocess p = {.size = 1};
    const hz_tensor gray = hz_tensor_of(pixel, HZ_U8, HZ_DIMS(2, 1, 1, 1)),
                    two = hz_tensor_of(pixel, HZ_U8, HZ_DIMS(1, 2, 1, 1)),
                    input = hz_tensor_of(x, HZ_F32, HZ_DIMS(2, 3, 1, 1));
    cr_assert(hz_preprocess_normalize(&p, &gray, &input, &err), "%s", err.text);
    cr_assert(x[0] == 7 && x[2] == 7 && x[3] == 8 && x[5] == 8);
    cr_assert(!hz_preprocess_normalize(&p, &two, &input, &err));
    cr_assert_eq(err.code, HZ_ESHAPE);
}

Test(preprocess, a_network_of_one_channel_gets_the_brightness) {
    uint8_t bytes[2 * 2 * 3] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9};
    const double want[] = {76, 150, 29, 9}; /* Image.convert("L") */
    const scratch s = scratch_path("gray.png");
    const hz_tensor picture = hz_tensor_of(bytes, HZ_U8, HZ_DIMS(2, 2, 3));
    const hz_preprocess p = {.size = 2, .channels = 1, .order = HZ_BGR, .mean = {5, 1000, 1000}, .std = {2}};
    hz_tensor x;
    hz_error err = {0};
    cr_assert(hz_png_write(s.path, &picture, NULL, 0, NULL, &err), "%s", err.text);
    cr_assert(hz_preprocess_file(&p, s.path, NULL, &x, &err), "%s", err.text);
    unlink(s.path);
    cr_assert(x.rank == 4 && x.dim[0] == 1 && x.dim[1] == 1 && x.dim[2] == 2 && x.dim[3] == 2);
    for (int k = 0; k < 4; k++) cr_expect_eq(hz_get_flat(&x, k), (want[k] - 5) / 2, "pixel %d", k);
    hz_free(NULL, x.data);
}

Test(preprocess, a_network_of_one_channel_takes_no_input_of_three) {
    uint8_t pixel[3] = {7, 8, 9};
    float x[3];
    hz_error err = {0};
    const hz_preprocess p = {.size = 1, .channels = 1};
    const hz_tensor gray = hz_tensor_of(pixel, HZ_U8, HZ_DIMS(3, 1, 1, 1)),
                    colour = hz_tensor_of(pixel, HZ_U8, HZ_DIMS(1, 3, 1, 1)),
                    input = hz_tensor_of(x, HZ_F32, HZ_DIMS(3, 1, 1, 1));
    cr_assert(hz_preprocess_normalize(&p, &gray, &input, &err), "%s", err.text);
    cr_assert(x[0] == 7 && x[1] == 8 && x[2] == 9);
    cr_assert(!hz_preprocess_normalize(&p, &colour, &input, &err));
    cr_assert_eq(err.code, HZ_ESHAPE);
}

Test(preprocess, senseless_numbers_are_refused) {
    const hz_preprocess bad[] = {{.size = 0},
                                 {.size = -1},
                                 {.size = 16385},
                                 {.size = 8, .resize = 7},
                                 {.size = 8, .resize = 16385},
                                 {.size = 8, .channels = 2},
                                 {.size = 8, .channels = -1},
                                 {.size = 8, .range = -1},
                                 {.size = 8, .range = NAN},
                                 {.size = 8, .mean = {0, INFINITY, 0}},
                                 {.size = 8, .std = {1, 1, -1}},
                                 {.size = 8, .std = {NAN, 1, 1}}};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        hz_error err = {0};
        cr_assert(!hz_preprocess_check(&bad[k], &err), "number %zu", k);
        cr_assert_eq(err.code, HZ_EINVAL);
    }
    cr_assert(hz_preprocess_check(&(hz_preprocess){.size = 8}, NULL));
}

/* ---- .npy ---- */

static bool input_of(hz_dtype dtype, int rank, const int64_t *dim, hz_error *err) {
    double data[64] = {0};
    const hz_tensor array = hz_tensor_of(data, dtype, rank, dim);
    const scratch s = scratch_path("input.npy");
    hz_tensor input;
    cr_assert(hz_npy_save(s.path, &array, NULL, err), "%s", err->text);
    bool ok = hz_preprocess_file(&(hz_preprocess){.size = 2}, s.path, NULL, &input, err);
    unlink(s.path);
    if (ok) {
        cr_assert_str_eq(hz_shape_str(&input).s, "[1,3,2,2]");
        hz_free(NULL, input.data);
    }
    return ok;
}

Test(preprocess, an_npy_file_is_the_input_itself) {
    float x[12];
    for (int k = 0; k < 12; k++) x[k] = (float)k - 5.5f;
    const hz_tensor array = hz_tensor_of(x, HZ_F32, HZ_DIMS(3, 2, 2));
    const scratch s = scratch_path("itself.npy");
    const hz_preprocess p = {.size = 2, .order = HZ_BGR, .mean = {1, 2, 3}};
    hz_tensor input;
    hz_error err = {0};
    cr_assert(hz_npy_save(s.path, &array, NULL, &err), "%s", err.text);
    cr_assert(hz_preprocess_file(&p, s.path, NULL, &input, &err), "%s", err.text);
    for (int k = 0; k < 12; k++) cr_assert_eq(hz_get_flat(&input, k), (double)x[k]);
    hz_free(NULL, input.data);
    unlink(s.path);
}

Test(preprocess, an_npy_file_of_another_shape_or_type_is_refused) {
    hz_error err = {0};
    cr_assert(input_of(HZ_F32, HZ_DIMS(3, 2, 2), &err), "%s", err.text);
    cr_assert(input_of(HZ_F32, HZ_DIMS(1, 3, 2, 2), &err), "%s", err.text);
    cr_assert(!input_of(HZ_F64, HZ_DIMS(3, 2, 2), &err));
    cr_assert_eq(err.code, HZ_ESHAPE);
    cr_assert(!input_of(HZ_F32, HZ_DIMS(2, 2, 3), &err));
    cr_assert(!input_of(HZ_F32, HZ_DIMS(2, 3, 2, 2), &err));
    cr_assert(!input_of(HZ_F32, HZ_DIMS(3, 1, 2), &err), "an axis of 1 is not stretched");
    cr_assert(!input_of(HZ_F32, HZ_DIMS(12), &err));
    cr_assert(!input_of(HZ_F32, HZ_DIMS(1, 1, 3, 2, 2), &err));
}
