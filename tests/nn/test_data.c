/* test_data.c: labelled pictures are read from CIFAR-10 and IDX files, damaged files are refused.
 *
 * SPDX-License-Identifier: MIT */
#include "folder.h"
#include "nn/data.h"

enum { RECORD = 3073 };

/* n records: the label of record k is k % 10, its byte j (k + j) mod 256. */
static uint8_t *make_records(int n) {
    uint8_t *bytes = malloc((size_t)n * RECORD);
    for (int k = 0; k < n; k++) {
        bytes[k * RECORD] = (uint8_t)(k % 10);
        for (int j = 0; j < RECORD - 1; j++) bytes[k * RECORD + 1 + j] = (uint8_t)(k + j);
    }
    return bytes;
}

static bool open_records(const uint8_t *bytes, size_t size, hz_data *data, hz_error *err) {
    const scratch s = scratch_path("records.bin");
    write_bytes(s.path, bytes, size);
    bool ok = hz_data_open(s.path, NULL, data, err);
    unlink(s.path);
    return ok;
}

/* ---- CIFAR-10 ---- */

Test(cifar10, a_record_is_a_label_and_three_planes) {
    uint8_t *bytes = make_records(12);
    hz_data data;
    hz_error err = {0};
    cr_assert(open_records(bytes, 12 * RECORD, &data, &err), "%s", err.text);
    cr_assert_str_eq(hz_shape_str(&data.pixels).s, "[12,3,32,32]");
    cr_assert_eq(hz_get_flat(&data.labels, 11), 1);
    cr_assert_eq(hz_get(&data.pixels, (const int64_t[]){5, 2, 31, 30}), (5 + 2 * 1024 + 31 * 32 + 30) % 256);
    hz_data_close(&data);
    free(bytes);
}

Test(cifar10, a_file_of_another_length_is_refused) {
    uint8_t *bytes = make_records(2);
    const size_t sizes[] = {0, 1, RECORD - 1, RECORD + 1, 2 * RECORD - 1};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        hz_data data;
        hz_error err = {0};
        cr_assert(!open_records(bytes, sizes[k], &data, &err), "%zu bytes", sizes[k]);
        cr_assert_eq(err.code, HZ_EFORMAT, "%s", err.text);
        hz_data_close(&data);
    }
    free(bytes);
}

Test(cifar10, a_label_above_9_is_refused) {
    uint8_t *bytes = make_records(2);
    hz_data data;
    hz_error err = {0};
    bytes[RECORD] = 10;
    cr_assert(!open_records(bytes, 2 * RECORD, &data, &err));
    cr_assert(err.code == HZ_EFORMAT && strstr(err.text, "label 10 of record 1"), "%s", err.text);
    free(bytes);
}

Test(cifar10, a_record_that_begins_like_idx_is_still_one) {
    uint8_t *bytes = make_records(1);
    hz_data data;
    hz_error err = {0};
    bytes[0] = 0, bytes[1] = 0, bytes[2] = 8;
    cr_assert(open_records(bytes, RECORD, &data, &err), "%s", err.text);
    cr_assert_eq(data.pixels.dim[1], 3);
    hz_data_close(&data);
    free(bytes);
}

/* ---- IDX ---- */

static const uint8_t two_images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2,  0,  0,
                                     0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const uint8_t two_labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 9, 4};

/* The pair in a folder whose name has "images" in it, too. */
static bool open_pair(const uint8_t *images, size_t n, const uint8_t *labels, size_t m, hz_data *data,
                      hz_error *err) {
    const scratch folder = scratch_path("images");
    cr_assert(mkdir(folder.path, 0700) == 0);
    folder_write(&folder, "t10k-images-idx3-ubyte", images, n);
    if (labels) folder_write(&folder, "t10k-labels-idx1-ubyte", labels, m);
    bool ok = hz_data_open(folder_path(&folder, "t10k-images-idx3-ubyte").path, NULL, data, err);
    folder_remove(&folder);
    return ok;
}

Test(idx, a_pair_is_found_from_its_images) {
    hz_data data;
    hz_error err = {0};
    cr_assert(open_pair(two_images, sizeof two_images, two_labels, sizeof two_labels, &data, &err), "%s",
              err.text);
    cr_assert_str_eq(hz_shape_str(&data.pixels).s, "[2,1,2,3]");
    cr_assert_eq(hz_get(&data.pixels, (const int64_t[]){1, 0, 1, 2}), 12);
    cr_assert_eq(hz_get_flat(&data.labels, 0), 9);
    hz_data_close(&data);
}

static bool load_images(const uint8_t *bytes, size_t size, hz_error *err) {
    hz_data data;
    bool ok = open_pair(bytes, size, two_labels, sizeof two_labels, &data, err);
    hz_data_close(&data);
    return ok;
}

static bool load_labels(const uint8_t *bytes, size_t size, hz_error *err) {
    hz_data data;
    bool ok = open_pair(two_images, sizeof two_images, bytes, size, &data, err);
    hz_data_close(&data);
    return ok;
}

Test(idx, every_truncation_is_refused) {
    check_truncations(load_images, two_images, sizeof two_images);
    check_truncations(load_labels, two_labels, sizeof two_labels);
}

Test(idx, damage_never_crashes) {
    cr_assert_gt(check_mutations(load_images, two_images, sizeof two_images, 300), 0);
}

Test(idx, extents_that_overflow_or_disagree_with_the_rest_are_refused) {
    static const uint8_t huge[] = {0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    static const uint8_t longer[] = {0, 0, 8, 1, 0, 0, 0, 2, 9, 4, 1};
    static const uint8_t three[] = {0, 0, 8, 1, 0, 0, 0, 3, 9, 4, 1};
    hz_error err = {0};
    hz_data data;
    cr_assert(!load_images(huge, sizeof huge, &err));
    cr_assert_eq(err.code, HZ_ESHAPE, "%s", err.text);
    cr_assert(!load_labels(longer, sizeof longer, &err), "a byte too many");
    cr_assert(!load_labels(three, sizeof three, &err));
    cr_assert(strstr(err.text, "3 labels"), "%s", err.text);
    cr_assert(!open_pair(two_images, sizeof two_images, NULL, 0, &data, &err), "no labels");
}

static bool open_and_close(const hz_allocator *alloc, const char *path, hz_error *err) {
    hz_data data;
    bool ok = hz_data_open(path, alloc, &data, err);
    hz_data_close(&data);
    return ok;
}

Test(idx, running_out_of_memory_is_an_error_and_leaks_nothing) {
    const scratch folder = folder_new();
    folder_write(&folder, "images", two_images, sizeof two_images);
    folder_write(&folder, "labels", two_labels, sizeof two_labels);
    fail_every_allocation(open_and_close, folder_path(&folder, "images").path);
    folder_remove(&folder);
}

/* ---- batches ---- */

Test(batch, pictures_arrive_normalized_in_order) {
    uint8_t *bytes = make_records(5);
    float *x = malloc(sizeof *x * 2 * 3 * 1024);
    const hz_tensor input = hz_tensor_of(x, HZ_F32, HZ_DIMS(2, 3, 32, 32));
    const hz_preprocess p = {.size = 32, .mean = {10, 20, 30}};
    hz_data data;
    hz_error err = {0};
    cr_assert(open_records(bytes, 5 * RECORD, &data, &err), "%s", err.text);
    cr_assert(hz_data_batch(&data, &p, 3, &input, &err), "%s", err.text);
    for (int64_t k = 0; k < 2; k++)
        for (int64_t c = 0; c < 3; c++)
            cr_assert_eq(hz_get(&input, (const int64_t[]){k, c, 0, 7}),
                         (double)((3 + k + c * 1024 + 7) % 256 - 10 * (c + 1)));
    cr_assert(!hz_data_batch(&data, &p, 4, &input, &err), "beyond the end");
    hz_data_close(&data);
    free(x);
    free(bytes);
}

/* ---- accuracy, with a network that sees one pixel ---- */

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

Test(evaluate, refuses_pictures_and_labels_that_do_not_fit) {
    const hz_arch arch = {.name = "corner", .classes = 9, .preprocess = {.size = 32}, .forward = red_corner};
    hz_model model = {.arch = &arch, .preprocess = arch.preprocess};
    uint8_t *bytes = make_records(10);
    hz_data data;
    hz_accuracy a;
    hz_error err = {0};
    cr_assert(open_records(bytes, 10 * RECORD, &data, &err), "%s", err.text);
    cr_assert(!hz_evaluate(&model, &data, 0, NULL, &a, &err));
    cr_assert(strstr(err.text, "label 9 of picture 9"), "%s", err.text);
    model.preprocess.size = 28;
    cr_assert(!hz_evaluate(&model, &data, 0, NULL, &a, &err));
    cr_assert_eq(err.code, HZ_ESHAPE, "%s", err.text);
    cr_assert(!hz_evaluate(&model, &data, -1, NULL, &a, &err));
    hz_data_close(&data);
    free(bytes);
}
