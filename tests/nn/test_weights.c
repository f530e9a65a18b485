/* test_weights.c: weights are found by name, TensorFlow.js kernels are turned into our order, hostile files refused.
 *
 * SPDX-License-Identifier: MIT */
#include "folder.h"
#include "nn/weights.h"
#include "tensor/safetensors.h"

/* ---- making files ---- */

enum { MOST = 64 };

/* Bytes 0 … n−1 of the numbers 0, 1, 2, … as f32. */
static void write_ramp(const scratch *folder, const char *name, int first, int count) {
    float ramp[MOST];
    for (int i = 0; i < count; i++) ramp[i] = (float)(first + i);
    folder_write(folder, name, ramp, (size_t)count * sizeof *ramp);
}

static bool open_tfjs(const scratch *folder, const char *json, const hz_allocator *alloc, hz_weights **w,
                      hz_error *err) {
    folder_write(folder, "model.json", json, strlen(json));
    return hz_weights_open(folder_path(folder, "model.json").path, alloc, w, err);
}

/* The one shard "s.bin" of 24 ramp numbers under this model.json: opens, or *err says why not. */
static bool accepts_json(const char *json, hz_error *err) {
    const scratch folder = folder_new();
    hz_weights *w;
    write_ramp(&folder, "s.bin", 0, 24);
    bool ok = open_tfjs(&folder, json, NULL, &w, err);
    cr_assert(ok == (w != NULL));
    hz_weights_close(w);
    folder_remove(&folder);
    return ok;
}

#define MANIFEST(paths, weights) "{\"weightsManifest\":[{\"paths\":[" paths "],\"weights\":[" weights "]}]}"
#define WEIGHT(name, shape) "{\"name\":\"" name "\",\"shape\":" shape ",\"dtype\":\"float32\"}"

/* ---- TensorFlow.js ---- */

Test(tfjs, convolution_kernels_become_out_in_h_w) {
    const scratch folder = folder_new();
    hz_weights *w;
    hz_error err = {0};
    write_ramp(&folder, "s.bin", 0, 24);
    cr_assert(open_tfjs(&folder, MANIFEST("\"s.bin\"", WEIGHT("c/kernel", "[1,2,3,4]")), NULL, &w, &err),
              "%s", err.text);
    const hz_tensor *k = hz_weights_find(w, "c/kernel");
    cr_assert(k && hz_is_contiguous(k));
    cr_assert_str_eq(hz_shape_str(k).s, "[4,3,1,2]");
    for (int64_t o = 0; o < 4; o++)
        for (int64_t i = 0; i < 3; i++)
            for (int64_t x = 0; x < 2; x++)
                cr_assert_eq(hz_get(k, (const int64_t[]){o, i, 0, x}), (double)(x * 12 + i * 4 + o));
    hz_weights_close(w);
    folder_remove(&folder);
}

Test(tfjs, depthwise_kernels_become_one_group_each) {
    const scratch folder = folder_new();
    hz_weights *w;
    hz_error err = {0};
    write_ramp(&folder, "s.bin", 0, 24);
    cr_assert(
        open_tfjs(&folder, MANIFEST("\"s.bin\"", WEIGHT("c/depthwise_kernel", "[2,2,3,2]")), NULL, &w, &err),
        "%s", err.text);
    const hz_tensor *k = hz_weights_find(w, "c/depthwise_kernel");
    cr_assert_str_eq(hz_shape_str(k).s, "[6,1,2,2]");
    for (int64_t c = 0; c < 3; c++)
        for (int64_t m = 0; m < 2; m++)
            for (int64_t y = 0; y < 2; y++)
                for (int64_t x = 0; x < 2; x++)
                    cr_assert_eq(hz_get(k, (const int64_t[]){c * 2 + m, 0, y, x}),
                                 (double)(y * 12 + x * 6 + c * 2 + m));
    hz_weights_close(w);
    folder_remove(&folder);
}

Test(tfjs, dense_kernels_are_transposed_and_nothing_else_is) {
    const scratch folder = folder_new();
    hz_weights *w;
    hz_error err = {0};
    write_ramp(&folder, "s.bin", 0, 24);
    cr_assert(open_tfjs(&folder,
                        MANIFEST("\"s.bin\"", WEIGHT("fc/kernel", "[2,3]") "," WEIGHT(
                                                  "fc/bias", "[3]") "," WEIGHT("table", "[3,5]")),
                        NULL, &w, &err),
              "%s", err.text);
    const hz_tensor *k = hz_weights_find(w, "fc/kernel"), *b = hz_weights_find(w, "fc/bias"),
                    *t = hz_weights_find(w, "table");
    cr_assert_str_eq(hz_shape_str(k).s, "[3,2]");
    cr_assert_eq(hz_get(k, (const int64_t[]){2, 1}), 5);
    cr_assert_eq(hz_get(k, (const int64_t[]){1, 0}), 1);
    cr_assert_eq(hz_get_flat(b, 0), 6);
    cr_assert_eq(hz_get(t, (const int64_t[]){1, 0}), 14);
    hz_weights_close(w);
    folder_remove(&folder);
}

Test(tfjs, weights_straddle_shards_and_groups_follow_each_other) {
    static const char json[] = "{\"weightsManifest\":[{\"paths\":[\"a\",\"b\"],\"weights\":[" WEIGHT(
        "one", "[2]") "," WEIGHT("two", "[4]") "]},{\"paths\":[\"c\"],\"weights\":[{\"name\":\"three\","
                                               "\"shape\":[],\"dtype\":\"int32\"}]}]}";
    const scratch folder = folder_new();
    hz_weights *w;
    hz_error err = {0};
    const int32_t seven = 7;
    write_ramp(&folder, "a", 0, 3);
    write_ramp(&folder, "b", 3, 3);
    folder_write(&folder, "c", &seven, sizeof seven);
    cr_assert(open_tfjs(&folder, json, NULL, &w, &err), "%s", err.text);
    cr_assert_eq(hz_weights_count(w), 3);
    for (int k = 0; k < 4; k++) cr_assert_eq(hz_get_flat(hz_weights_find(w, "two"), k), 2 + k);
    cr_assert_eq(hz_get_flat(hz_weights_find(w, "three"), 0), 7);
    cr_assert_str_eq(hz_weights_name(w, 1), "two");
    hz_weights_close(w);
    folder_remove(&folder);
}

Test(tfjs, a_folder_stands_for_its_model_json) {
    const scratch folder = folder_new();
    const char json[] = MANIFEST("\"s.bin\"", WEIGHT("x", "[24]"));
    hz_weights *w;
    hz_error err = {0};
    write_ramp(&folder, "s.bin", 0, 24);
    folder_write(&folder, "model.json", json, strlen(json));
    cr_assert(hz_weights_open(folder.path, NULL, &w, &err), "%s", err.text);
    cr_assert_eq(hz_get_flat(hz_weights_tensor(w, 0), 23), 23);
    hz_weights_close(w);
    folder_remove(&folder);
}

typedef struct hostile {
    const char *json;
    const char *says; /* part of the error */
} hostile;

static const hostile bad[] = {
    {"", "JSON"},
    {"{\"weightsManifest\":[", "JSON"},
    {"[]", "weightsManifest"},
    {"{}", "weightsManifest"},
    {"{\"weightsManifest\":3}", "weightsManifest"},
    {"{\"weightsManifest\":[3]}", "paths"},
    {"{\"weightsManifest\":[{\"paths\":{},\"weights\":[]}]}", "paths"},
    {"{\"weightsManifest\":[{\"paths\":[\"s.bin\"]}]}", "weights"},
    {"{\"weightsManifest\":[],\"weightsManifest\":[]}", "JSON"},
    {MANIFEST("3", WEIGHT("x", "[24]")), "plain file name"},
    {MANIFEST("\"\"", WEIGHT("x", "[24]")), "plain file name"},
    {MANIFEST("\".\"", WEIGHT("x", "[24]")), "plain file name"},
    {MANIFEST("\"..\"", WEIGHT("x", "[24]")), "plain file name"},
    {MANIFEST("\"./s.bin\"", WEIGHT("x", "[24]")), "plain file name"},
    {MANIFEST("\"../s.bin\"", WEIGHT("x", "[24]")), "plain file name"},
    {MANIFEST("\"/etc/passwd\"", WEIGHT("x", "[24]")), "plain file name"},
    {MANIFEST("\"a\\\\s.bin\"", WEIGHT("x", "[24]")), "plain file name"},
    {MANIFEST("\"s.bin\\u0000x\"", WEIGHT("x", "[24]")), ""},
    {MANIFEST("\"missing.bin\"", WEIGHT("x", "[24]")), "missing.bin"},
    {MANIFEST("\"s.bin\",\"s.bin\"", WEIGHT("x", "[48]")), "twice"},
    {MANIFEST("\"s.bin\"", "3"), "no name"},
    {MANIFEST("\"s.bin\"", "{\"shape\":[24],\"dtype\":\"float32\"}"), "no name"},
    {MANIFEST("\"s.bin\"", "{\"name\":\"x\",\"dtype\":\"float32\"}"), "shape"},
    {MANIFEST("\"s.bin\"", "{\"name\":\"x\",\"shape\":[24]}"), "dtype"},
    {MANIFEST("\"s.bin\"", "{\"name\":\"x\",\"shape\":[24],\"dtype\":\"float16\"}"), "float16"},
    {MANIFEST("\"s.bin\"", "{\"name\":\"x\",\"shape\":[96],\"dtype\":\"float32\","
                           "\"quantization\":{\"dtype\":\"uint8\",\"scale\":0.1,\"min\":0}}"),
     "quantized"},
    {MANIFEST("\"s.bin\"", WEIGHT("x", "[24.0]")), "integer"},
    {MANIFEST("\"s.bin\"", WEIGHT("x", "[-24]")), "shape"},
    {MANIFEST("\"s.bin\"", WEIGHT("x", "[4294967296,4294967296,4]")), "shape"},
    {MANIFEST("\"s.bin\"", WEIGHT("x", "[1,1,1,1,1,1,1,1,24]")), "axes"},
    {MANIFEST("\"s.bin\"", WEIGHT("x", "[25]")), "left"},
    {MANIFEST("\"s.bin\"", WEIGHT("x", "[23]")), "need 92"},
    {MANIFEST("\"s.bin\"", WEIGHT("x", "[9223372036854775807]")), "shape"},
    {MANIFEST("\"s.bin\"", WEIGHT("c/depthwise_kernel", "[0,0,3,2]") "," WEIGHT("x", "[24]")), "depthwise"},
    {MANIFEST("\"s.bin\"", WEIGHT("c/depthwise_kernel", "[0,0,4294967296,4294967296]")), "shape"},
    {MANIFEST("\"s.bin\"", WEIGHT("a/b", "[12]") "," WEIGHT("a.b", "[12]")), "two tensors"},
};

Test(tfjs, hostile_files_are_refused_with_a_reason) {
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        hz_error err = {0};
        cr_assert(!accepts_json(bad[k].json, &err), "accepted %s", bad[k].json);
        cr_assert(err.code == HZ_EFORMAT || err.code == HZ_ESHAPE || err.code == HZ_ENOTFOUND, "%s: %s",
                  bad[k].json, err.text);
        cr_assert(strstr(err.text, bad[k].says), "%s: no word of \"%s\" in: %s", bad[k].json, bad[k].says,
                  err.text);
    }
}

Test(tfjs, deep_nesting_does_not_exhaust_the_stack) {
    enum { DEPTH = 1 << 20 };
    hz_error err = {0};
    char *json = malloc(DEPTH + 1);
    memset(json, '[', DEPTH);
    json[DEPTH] = '\0';
    cr_assert(!accepts_json(json, &err));
    cr_assert_eq(err.code, HZ_EFORMAT);
    free(json);
}

static bool load_bytes(const uint8_t *bytes, size_t size, hz_error *err) {
    const scratch folder = folder_new();
    hz_weights *w;
    write_ramp(&folder, "s.bin", 0, 24);
    folder_write(&folder, "model.json", bytes, size);
    bool ok = hz_weights_open(folder.path, NULL, &w, err);
    hz_weights_close(w);
    folder_remove(&folder);
    return ok;
}

static const char good[] = MANIFEST("\"s.bin\"", WEIGHT("c/kernel", "[1,2,3,4]"));

Test(tfjs, every_truncation_is_refused) {
    check_truncations(load_bytes, (const uint8_t *)good, strlen(good));
}

Test(tfjs, damage_never_crashes) {
    cr_assert_gt(check_mutations(load_bytes, (const uint8_t *)good, strlen(good), 300), 0);
}

static bool open_and_close(const hz_allocator *alloc, const char *path, hz_error *err) {
    hz_weights *w;
    bool ok = hz_weights_open(path, alloc, &w, err);
    hz_weights_close(w);
    return ok;
}

Test(tfjs, running_out_of_memory_is_an_error_and_leaks_nothing) {
    const scratch folder = folder_new();
    write_ramp(&folder, "s.bin", 0, 24);
    folder_write(&folder, "model.json", good, strlen(good));
    fail_every_allocation(open_and_close, folder.path);
    folder_remove(&folder);
}

/* ---- by name ---- */

/* A safetensors file with "a.w" = 0 1, "b.w" = 2 3 and a word about itself. */
static scratch two_tensors(void) {
    static float x[] = {0, 1, 2, 3};
    const hz_safetensors_entry entries[] = {{"b.w", hz_tensor_of(x + 2, HZ_F32, HZ_DIMS(2))},
                                            {"a.w", hz_tensor_of(x, HZ_F32, HZ_DIMS(2))}};
    const hz_text_pair about = {"license", "CC0"};
    const scratch s = scratch_path("two.safetensors");
    hz_error err = {0};
    cr_assert(hz_safetensors_write(s.path, entries, 2, &about, 1, NULL, &err), "%s", err.text);
    return s;
}

Test(weights, dot_and_slash_are_the_same) {
    const scratch s = two_tensors();
    hz_weights *w;
    hz_error err = {0};
    cr_assert(hz_weights_open(s.path, NULL, &w, &err), "%s", err.text);
    cr_assert_eq(hz_get_flat(hz_weights_find(w, "a.w"), 1), 1);
    cr_assert_eq(hz_get_flat(hz_weights_find(w, "b/w"), 1), 3);
    cr_assert_null(hz_weights_find(w, "b"));
    cr_assert_null(hz_weights_find(w, "b.w.x"));
    cr_assert_str_eq(hz_weights_name(w, 0), "b.w", "the file's order is kept");
    cr_assert_str_eq(hz_weights_metadata(w, "license"), "CC0");
    cr_assert_null(hz_weights_metadata(w, "author"));
    hz_weights_close(w);
    unlink(s.path);
}

Test(weights, a_missing_name_is_told_with_its_neighbours) {
    const scratch s = two_tensors();
    hz_weights *w;
    hz_tensor t;
    hz_error err = {0};
    cr_assert(hz_weights_open(s.path, NULL, &w, &err), "%s", err.text);
    cr_assert(!hz_weights_get(w, "a.x", &t, &err));
    cr_assert_eq(err.code, HZ_ENOTFOUND);
    cr_assert(strstr(err.text, "\"a.x\"") && strstr(err.text, "a.w, b.w"), "%s", err.text);
    hz_weights_close(w);
    unlink(s.path);
}

Test(weights, a_missing_file_is_an_error) {
    hz_weights *w;
    hz_error err = {0};
    cr_assert(!hz_weights_open("/nowhere/x.safetensors", NULL, &w, &err));
    cr_assert_null(w);
    cr_assert_eq(err.code, HZ_ENOTFOUND);
    hz_weights_close(NULL);
}

Test(weights, running_out_of_memory_is_an_error_and_leaks_nothing) {
    const scratch s = two_tensors();
    fail_every_allocation(open_and_close, s.path);
    unlink(s.path);
}
