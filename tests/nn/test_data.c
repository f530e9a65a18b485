/* test_data.c: labelled pictures are read from CIFAR-10 and IDX files, damaged files are refused.
 *
 * SPDX-License-Identifier: MIT */
#include "records.h"

/* ---- CIFAR-10 ---- */

Test(cifar10, a_record_is_a_label_and_three_planes) {
    uint8_t *bytes = make_records(12);
    hz_data data;
    hz_error err = {0};
    cr_assert(open_records(bytes, 12 * RECORD, &data, &err), "%s", err.text);
    cr_assert_str_eq(hz_shape_str(&data.x).s, "[12,3,32,32]");
    cr_assert_eq(hz_get_flat(&data.y, 11), 1);
    cr_assert_eq(hz_get(&data.x, (const int64_t[]){5, 2, 31, 30}), (5 + 2 * 1024 + 31 * 32 + 30) % 256);
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
    cr_assert_eq(data.x.dim[1], 3);
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
    cr_assert_str_eq(hz_shape_str(&data.x).s, "[2,1,2,3]");
    cr_assert_eq(hz_get(&data.x, (const int64_t[]){1, 0, 1, 2}), 12);
    cr_assert_eq(hz_get_flat(&data.y, 0), 9);
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

/* ---- several files as one ---- */

Test(join, files_follow_one_another) {
    const scratch folder = folder_new();
    const scratch a = folder_path(&folder, "a"), b = folder_path(&folder, "b");
    uint8_t *bytes = make_records(7);
    hz_data data;
    hz_error err = {0};
    write_bytes(a.path, bytes, 3 * RECORD);
    write_bytes(b.path, bytes + 3 * RECORD, 4 * RECORD);
    cr_assert(hz_data_open_all((const char *[]){a.path, b.path}, 2, NULL, &data, &err), "%s", err.text);
    cr_assert_str_eq(hz_shape_str(&data.x).s, "[7,3,32,32]");
    cr_assert_eq(data.classes, 10);
    cr_assert_str_eq(data.names[9], "truck");
    for (int k = 0; k < 7; k++) {
        const hz_tensor row = hz_tensor_of((uint8_t *)data.x.data + k * 3072, HZ_U8, HZ_DIMS(3072));
        cr_assert(memcmp(row.data, bytes + k * RECORD + 1, 3072) == 0, "record %d", k);
        cr_assert_eq(hz_get_flat(&data.y, k), k);
    }
    hz_data_close(&data);
    folder_remove(&folder);
    free(bytes);
}

Test(join, a_file_that_is_missing_or_of_another_kind_is_named) {
    const scratch folder = folder_new();
    const scratch a = folder_path(&folder, "a"), images = folder_path(&folder, "images");
    uint8_t *bytes = make_records(1);
    hz_data data;
    hz_error err = {0};
    write_bytes(a.path, bytes, RECORD);
    folder_write(&folder, "images", two_images, sizeof two_images);
    folder_write(&folder, "labels", two_labels, sizeof two_labels);
    cr_assert(!hz_data_open_all((const char *[]){a.path, "/nowhere"}, 2, NULL, &data, &err));
    cr_assert(err.code == HZ_ENOTFOUND && strstr(err.text, "/nowhere"), "%s", err.text);
    cr_assert(!hz_data_open_all((const char *[]){a.path, images.path}, 2, NULL, &data, &err));
    cr_assert(err.code == HZ_ESHAPE && strstr(err.text, "[2,1,2,3]"), "%s", err.text);
    cr_assert(!hz_data_open_all(NULL, 0, NULL, &data, &err));
    hz_data_close(&data);
    folder_remove(&folder);
    free(bytes);
}

static bool open_twice(const hz_allocator *alloc, const char *path, hz_error *err) {
    hz_data data;
    bool ok = hz_data_open_all((const char *[]){path, path}, 2, alloc, &data, err);
    hz_data_close(&data);
    return ok;
}

Test(join, running_out_of_memory_is_an_error_and_leaks_nothing) {
    const scratch s = scratch_path("records.bin");
    uint8_t *bytes = make_records(2);
    write_bytes(s.path, bytes, 2 * RECORD);
    fail_every_allocation(open_twice, s.path);
    unlink(s.path);
    free(bytes);
}

/* ---- classes ---- */

Test(classes, the_first_label_that_is_none_is_named) {
    int64_t labels[] = {0, 3, 2, -1};
    float targets[] = {0, 1};
    hz_data data = {.y = hz_tensor_of(labels, HZ_I64, HZ_DIMS(4))};
    hz_error err = {0};
    cr_assert(!hz_data_check_classes(&data, 3, &err));
    cr_assert(err.code == HZ_EFORMAT && strstr(err.text, "label 3 of example 1"), "%s", err.text);
    cr_assert(!hz_data_check_classes(&data, 4, &err));
    cr_assert(strstr(err.text, "label -1 of example 3"), "%s", err.text);
    labels[3] = 0;
    cr_assert(hz_data_check_classes(&data, 4, &err));
    data.y = hz_tensor_of(targets, HZ_F32, HZ_DIMS(2));
    cr_assert(!hz_data_check_classes(&data, 4, &err), "floats are no classes");
}
