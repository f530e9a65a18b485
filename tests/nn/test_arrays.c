/* test_arrays.c: examples and labels from .npy and safetensors files; a part of a data set.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "folder.h"
#include "nn/loader.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"

static float x_values[] = {1, 2, 3, 4, 5, 6};
static int64_t y_values[] = {2, 0, 1};

static hz_tensor x_tensor(void) {
    return hz_tensor_of(x_values, HZ_F32, HZ_DIMS(3, 2));
}

static hz_tensor y_tensor(void) {
    return hz_tensor_of(y_values, HZ_I64, HZ_DIMS(3));
}

/* Both as .npy files, read back. */
static bool open_pair(hz_tensor x, hz_tensor y, hz_data *data, hz_error *err) {
    const scratch folder = folder_new(), a = folder_path(&folder, "x.npy"), b = folder_path(&folder, "y.npy");
    cr_assert(hz_npy_save(a.path, &x, NULL, err) && hz_npy_save(b.path, &y, NULL, err), "%s", err->text);
    bool ok = hz_data_open_npy(a.path, b.path, NULL, data, err);
    folder_remove(&folder);
    return ok;
}

static bool open_safetensors(hz_tensor x, hz_tensor y, const char *name, hz_data *data, hz_error *err) {
    const scratch s = scratch_path("set.safetensors");
    const hz_safetensors_entry entries[] = {{"x", x}, {"y", y}};
    cr_assert(hz_safetensors_write(s.path, entries, 2, NULL, 0, NULL, err), "%s", err->text);
    bool ok = hz_data_open_safetensors(s.path, "x", name, NULL, data, err);
    unlink(s.path);
    return ok;
}

static void check_data(hz_data data) {
    cr_assert_str_eq(hz_shape_str(&data.x).s, "[3,2]");
    cr_assert_eq(data.classes, 3);
    for (int k = 0; k < 6; k++) cr_assert_eq(hz_get_flat(&data.x, k), k + 1);
    for (int k = 0; k < 3; k++) cr_assert_eq(hz_get_flat(&data.y, k), (double)y_values[k]);
    hz_data_close(&data);
}

Test(arrays, both_formats_give_x_and_y) {
    hz_data data;
    hz_error err = {0};
    cr_assert(open_pair(x_tensor(), y_tensor(), &data, &err), "%s", err.text);
    check_data(data);
    cr_assert(open_safetensors(x_tensor(), y_tensor(), "y", &data, &err), "%s", err.text);
    check_data(data);
}

Test(arrays, y_may_be_missing) {
    hz_data data;
    hz_error err = {0};
    cr_assert(open_safetensors(x_tensor(), y_tensor(), NULL, &data, &err), "%s", err.text);
    cr_assert(data.y.rank == 0 && data.classes == 0);
    hz_data_close(&data);
}

/* Refused in both formats with these words. */
static void check_refused(hz_tensor x, hz_tensor y, const char *words) {
    hz_data data;
    hz_error err = {0};
    cr_assert(!open_pair(x, y, &data, &err));
    cr_assert(strstr(err.text, words) && strstr(err.text, ".npy"), "%s", err.text);
    err = (hz_error){0};
    cr_assert(!open_safetensors(x, y, "y", &data, &err));
    cr_assert(strstr(err.text, words) && strstr(err.text, ".safetensors"), "%s", err.text);
    hz_data_close(&data);
}

Test(arrays, arrays_that_do_not_belong_together_are_refused) {
    check_refused(x_tensor(), hz_tensor_of(y_values, HZ_I64, HZ_DIMS(2)), "an array [2] is no y");
    check_refused(x_tensor(), hz_tensor_of(y_values, HZ_I64, 0, NULL), "an array [] is no y");
    check_refused(hz_tensor_of(x_values, HZ_F32, HZ_DIMS(0, 2)), hz_tensor_of(y_values, HZ_I64, HZ_DIMS(0)),
                  "holds no examples");
    check_refused(hz_tensor_of(x_values, HZ_F32, 0, NULL), y_tensor(), "holds no examples");
}

Test(arrays, odd_numbers_and_negative_labels_are_named) {
    float odd[] = {1, 2, 3, NAN, 5, 6};
    int64_t negative[] = {0, -4, 1};
    check_refused(hz_tensor_of(odd, HZ_F32, HZ_DIMS(3, 2)), y_tensor(), "element [1,1] is nan");
    check_refused(x_tensor(), hz_tensor_of(negative, HZ_I64, HZ_DIMS(3)), "label -4 is negative");
    odd[3] = -INFINITY;
    check_refused(x_tensor(), hz_tensor_of(odd + 2, HZ_F32, HZ_DIMS(3)), "element [1] is -inf");
}

Test(arrays, a_missing_tensor_or_file_is_named) {
    hz_data data;
    hz_error err = {0};
    cr_assert(!open_safetensors(x_tensor(), y_tensor(), "labels", &data, &err));
    cr_assert(err.code == HZ_ENOTFOUND && strstr(err.text, "labels"), "%s", err.text);
    cr_assert(!hz_data_open_npy("/nowhere.npy", NULL, NULL, &data, &err) && err.code == HZ_ENOTFOUND);
}

static bool open_and_close(const hz_allocator *alloc, const char *path, hz_error *err) {
    hz_data data;
    bool ok = hz_data_open_safetensors(path, "x", "y", alloc, &data, err);
    hz_data_close(&data);
    return ok;
}

Test(arrays, running_out_of_memory_is_an_error_and_leaks_nothing) {
    const scratch s = scratch_path("set.safetensors");
    const hz_safetensors_entry entries[] = {{"x", x_tensor()}, {"y", y_tensor()}};
    cr_assert(hz_safetensors_write(s.path, entries, 2, NULL, 0, NULL, NULL));
    fail_every_allocation(open_and_close, s.path);
    unlink(s.path);
}

Test(slice, is_a_part_of_the_data) {
    const hz_data data = {.x = x_tensor(), .y = y_tensor(), .classes = 3};
    hz_data part, last;
    hz_error err = {0};
    cr_assert(hz_data_slice(&data, 1, 2, &part, &err), "%s", err.text);
    cr_assert(hz_get_flat(&part.x, 0) == 3 && hz_get_flat(&part.y, 1) == 1 && part.x.dim[0] == 2);
    cr_assert(hz_data_slice(&part, 1, 1, &last, &err), "%s", err.text);
    cr_assert(hz_get_flat(&last.x, 1) == 6 && last.first == 2);
    hz_data_close(&part);
    cr_assert(!hz_data_slice(&data, 2, 2, &part, &err) && err.code == HZ_EINVAL);
    cr_assert(!hz_data_slice(&data, 0, 0, &part, &err) && !hz_data_slice(&data, -1, 1, &part, &err));
}
