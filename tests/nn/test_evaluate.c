/* test_evaluate.c: accuracy, with a network that sees one pixel.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/evaluate.h"
#include "records.h"

static hz_var red_corner(hz_net *net, hz_var x) { /* the score of class k is −|first pixel − k| */
    static const float classes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    const hz_tensor row = hz_tensor_of((void *)(uintptr_t)classes, HZ_F32, HZ_DIMS(1, 10));
    hz_var corner = hz_slice(hz_reshape(x, HZ_DIMS(-1, 3072)), 1, 0, 1, 1); /* (N, 1) */
    return hz_neg(hz_abs(hz_sub(corner, hz_input(net->tape, &row))));
}

Test(evaluate, counts_the_labels_named_first_whatever_the_batch) {
    const hz_arch arch = {.name = "corner", .classes = 10, .preprocess = {.size = 32}, .forward = red_corner};
    const hz_model model = {.arch = &arch, .preprocess = arch.preprocess};
    uint8_t *bytes = make_records(25);
    hz_data data;
    hz_error err = {0};
    for (int k = 0; k < 25; k++)
        bytes[k * RECORD + 1] = (uint8_t)(k % 10 + (k % 5 == 0)); /* five are wrong */
    cr_assert(open_records(bytes, 25 * RECORD, &data, &err), "%s", err.text);
    for (int64_t batch = 1; batch < 30; batch += 4) {
        hz_accuracy a;
        cr_assert(hz_evaluate(&model, &data, batch, NULL, &a, &err), "%s", err.text);
        cr_assert(a.right == 20 && a.of == 25, "%d of %d", (int)a.right, (int)a.of);
    }
    hz_data_close(&data);
    free(bytes);
}

static hz_var gray_corner(hz_net *net, hz_var x) {
    static const float classes[] = {0, 1, 2};
    const hz_tensor row = hz_tensor_of((void *)(uintptr_t)classes, HZ_F32, HZ_DIMS(1, 3));
    hz_var corner = hz_slice(hz_reshape(x, HZ_DIMS(-1, 4)), 1, 0, 1, 1); /* (N, 1): one channel of 2 × 2 */
    return hz_neg(hz_abs(hz_sub(corner, hz_input(net->tape, &row))));
}

Test(evaluate, a_network_of_one_channel_sees_gray_pictures_as_they_are_and_no_others) {
    const hz_arch arch = {
        .name = "gray", .classes = 3, .preprocess = {.size = 2, .channels = 1}, .forward = gray_corner};
    const hz_model model = {.arch = &arch, .preprocess = arch.preprocess};
    uint8_t pixels[3 * 12] = {0, 9, 9, 9, 1, 9, 9, 9, 2};
    int64_t labels[] = {0, 1, 1};
    hz_data data = {.x = hz_tensor_of(pixels, HZ_U8, HZ_DIMS(3, 1, 2, 2)),
                    .y = hz_tensor_of(labels, HZ_I64, HZ_DIMS(3))};
    hz_accuracy a;
    hz_error err = {0};
    cr_assert(hz_evaluate(&model, &data, 2, NULL, &a, &err), "%s", err.text);
    cr_expect(a.right == 2 && a.of == 3, "%d of %d", (int)a.right, (int)a.of);
    data.x = hz_tensor_of(pixels, HZ_U8, HZ_DIMS(3, 3, 2, 2));
    cr_assert(!hz_evaluate(&model, &data, 2, NULL, &a, &err));
    cr_expect_eq(err.code, HZ_ESHAPE, "%s", err.text);
}

Test(evaluate, refuses_pictures_and_labels_that_do_not_fit) {
    const hz_arch arch = {.name = "corner", .classes = 9, .preprocess = {.size = 32}, .forward = red_corner};
    hz_model model = {.arch = &arch, .preprocess = arch.preprocess};
    uint8_t *bytes = make_records(10);
    hz_data data;
    hz_accuracy a;
    hz_error err = {0};
    cr_assert(open_records(bytes, 10 * RECORD, &data, &err), "%s", err.text);
    cr_assert(!hz_evaluate(&model, &data, 0, NULL, &a, &err));
    cr_assert(strstr(err.text, "label 9 of example 9"), "%s", err.text);
    model.preprocess.size = 28;
    cr_assert(!hz_evaluate(&model, &data, 0, NULL, &a, &err));
    cr_assert_eq(err.code, HZ_ESHAPE, "%s", err.text);
    cr_assert(!hz_evaluate(&model, &data, -1, NULL, &a, &err));
    hz_data_close(&data);
    free(bytes);
}
