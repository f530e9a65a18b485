/* test_safetensors.c: what is written comes back, every rule of the format is enforced, damage is survived.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>

#include "data.h"
#include "files.h"
#include "layouts.h"
#include "tensor/safetensors.h"

/* ---- files made by hand ---- */

typedef struct bytes {
    size_t size;
    uint8_t data[4096];
} bytes;

/* A file of this header and n bytes of data 0, 1, 2, … */
static bytes file_of(const char *header, size_t n) {
    bytes b;
    const uint64_t length = strlen(header);
    for (int i = 0; i < 8; i++) b.data[i] = (uint8_t)(length >> 8 * i);
    memcpy(b.data + 8, header, length);
    for (size_t i = 0; i < n; i++) b.data[8 + length + i] = (uint8_t)i;
    b.size = 8 + length + n;
    return b;
}

static hz_safetensors *open_bytes(const uint8_t *data, size_t size, hz_error *err) {
    const scratch s = scratch_path("bytes.safetensors");
    hz_safetensors *st;
    write_bytes(s.path, data, size);
    const bool ok = hz_safetensors_open(s.path, NULL, &st, err);
    cr_assert(ok == (st != NULL));
    unlink(s.path);
    return st;
}

static hz_safetensors *open_header(const char *header, size_t n, hz_error *err) {
    const bytes b = file_of(header, n);
    return open_bytes(b.data, b.size, err);
}

/* Opens, looks at every element and name, closes. */
static bool load(const uint8_t *data, size_t size, hz_error *err) {
    hz_safetensors *st = open_bytes(data, size, err);
    for (size_t i = 0; st && i < hz_safetensors_count(st); i++) {
        const hz_tensor *t = hz_safetensors_tensor(st, i);
        cr_assert(hz_safetensors_find(st, hz_safetensors_name(st, i)) == t);
        read_elements(t);
    }
    hz_safetensors_close(st);
    return st != NULL;
}

/* ---- reading ---- */

Test(safetensors, each_dtype_becomes_one_of_ours) {
    static const struct {
        const char *name;
        size_t width;
        hz_dtype dtype;
        uint8_t two[8]; /* the number 2, or true */
    } cases[] = {
        {"F32", 4, HZ_F32, {0, 0, 0, 0x40}},
        {"F64", 8, HZ_F64, {0, 0, 0, 0, 0, 0, 0, 0x40}},
        {"I32", 4, HZ_I32, {2}},
        {"I64", 8, HZ_I64, {2}},
        {"U8", 1, HZ_U8, {2}},
        {"BOOL", 1, HZ_U8, {2}},
        {"F16", 2, HZ_F32, {0, 0x40}},
        {"BF16", 2, HZ_F32, {0, 0x40}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[128];
        snprintf(header, sizeof header, "{\"x\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,%zu]}}",
                 cases[i].name, cases[i].width);
        bytes b = file_of(header, cases[i].width);
        memcpy(b.data + b.size - cases[i].width, cases[i].two, cases[i].width);
        hz_error err = {0};
        hz_safetensors *st = open_bytes(b.data, b.size, &err);
        cr_assert(st, "%s", err.text);
        const hz_tensor *t = hz_safetensors_tensor(st, 0);
        cr_assert(t->dtype == cases[i].dtype && t->rank == 1 && t->dim[0] == 1 && t->stride[0] == 1);
        cr_assert(hz_get_flat(t, 0) == (strcmp(cases[i].name, "BOOL") == 0 ? 1 : 2), "%s", cases[i].name);
        hz_safetensors_close(st);
    }
}

Test(safetensors, misaligned_tensors_are_copied_to_aligned_memory) {
    hz_error err = {0};
    hz_safetensors *st = open_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
                                     "\"b\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[3,19]},"
                                     "\"c\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[19,23]}}",
                                     23, &err);
    cr_assert(st, "%s", err.text);
    hz_tensor b, c;
    cr_assert(hz_safetensors_get(st, "b", &b, NULL) && hz_safetensors_get(st, "c", &c, NULL));
    cr_assert((uintptr_t)b.data % 8 == 0 && (uintptr_t)c.data % 4 == 0 && c.rank == 0);
    const uint8_t want[8] = {11, 12, 13, 14, 15, 16, 17, 18};
    cr_assert(memcmp((const double *)b.data + 1, want, 8) == 0);
    cr_assert(!hz_safetensors_get(st, "d", &c, &err));
    cr_assert(err.code == HZ_ENOTFOUND && strstr(err.text, "\"d\""), "%s", err.text);
    cr_assert(hz_safetensors_find(st, "") == NULL);
    hz_safetensors_close(st);
}

Test(safetensors, tensors_are_numbered_in_the_order_of_their_data) {
    hz_error err = {0};
    hz_safetensors *st = open_header("{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]},"
                                     "\"e\":{\"dtype\":\"F32\",\"shape\":[4,0],\"data_offsets\":[3,3]},"
                                     "\"__metadata__\":{\"k\":\"v\",\"w\":\"\\u00e9\"},"
                                     "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}   ",
                                     5, &err);
    size_t n;
    cr_assert(st, "%s", err.text);
    cr_assert(hz_safetensors_count(st) == 3);
    cr_assert(strcmp(hz_safetensors_name(st, 0), "a") == 0 && strcmp(hz_safetensors_name(st, 2), "b") == 0);
    cr_assert(hz_get_flat(hz_safetensors_find(st, "b"), 1) == 4);
    const hz_text_pair *pairs = hz_safetensors_metadata(st, &n);
    cr_assert(n == 2 && strcmp(pairs[0].key, "k") == 0 && strcmp(pairs[1].value, "é") == 0);
    cr_assert(strcmp(hz_safetensors_metadata_value(st, "k"), "v") == 0);
    cr_assert(hz_safetensors_metadata_value(st, "q") == NULL);
    hz_safetensors_close(st);
}

Test(safetensors, an_empty_object_is_a_file_of_no_tensors) {
    hz_safetensors *st = open_header("{}", 0, NULL);
    cr_assert(st && hz_safetensors_count(st) == 0);
    hz_safetensors_close(st);
    hz_safetensors_close(NULL);
}

/* ---- hostile files ---- */

#define ENTRY(dtype, shape, offsets) \
    "{\"w\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

Test(safetensors, broken_rules_are_refused_in_words) {
    static const struct {
        const char *header;
        size_t n;          /* bytes of data */
        const char *words; /* in the error */
    } cases[] = {
        {ENTRY("\"F32\"", "[96,3,7,7]", "[0,100]"), 100,
         "tensor \"w\": data_offsets [0,100] hold 100 bytes, shape [96,3,7,7] of F32 needs 56448"},
        {ENTRY("\"F32\"", "[1]", "[0,4]"), 3, "end after the file's 3 bytes"},
        {ENTRY("\"F32\"", "[1]", "[0,4]"), 5, "has 5 bytes of data, its tensors 4"},
        {ENTRY("\"F32\"", "[1]", "[4,8]"), 8, "leave a hole after byte 0"},
        {ENTRY("\"F32\"", "[1]", "[4,0]"), 4, "end before they begin"},
        {ENTRY("\"F32\"", "[1]", "[-4,0]"), 4, "no pair of integers"},
        {ENTRY("\"F32\"", "[1]", "[0,4,8]"), 4, "no pair of integers"},
        {ENTRY("\"F32\"", "[1]", "[0]"), 4, "no pair of integers"},
        {ENTRY("\"F32\"", "[1]", "[0,4.0]"), 4, "no pair of integers"},
        {ENTRY("\"F32\"", "[1]", "\"0,4\""), 4, "no pair of integers"},
        {ENTRY("\"F32\"", "[1]", "[0,99999999999999999999]"), 4, "JSON"},
        {ENTRY("\"F32\"", "[1]", "[9223372036854775804,9223372036854775807]"), 4, "hold 3 bytes"},
        {ENTRY("\"F32\"", "[-1]", "[0,4]"), 4, "shape[0] is no integer"},
        {ENTRY("\"F32\"", "[1.5]", "[0,4]"), 4, "shape[0] is no integer"},
        {ENTRY("\"F32\"", "[1,true]", "[0,4]"), 4, "shape[1] is no integer"},
        {ENTRY("\"F32\"", "{}", "[0,4]"), 4, "shape is missing or no array"},
        {ENTRY("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "9 axes"},
        {ENTRY("\"F32\"", "[4611686018427387904,4]", "[0,0]"), 0, "shape"},
        {ENTRY("\"F32\"", "[9223372036854775807,0]", "[0,4]"), 4, "w"},
        {ENTRY("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "shape"},
        {ENTRY("\"F8_E4M3\"", "[1]", "[0,1]"), 1, "dtype F8_E4M3 is not one of"},
        {ENTRY("\"f32\"", "[1]", "[0,4]"), 4, "dtype f32 is not one of"},
        {ENTRY("4", "[1]", "[0,4]"), 4, "dtype is missing or no string"},
        {"{\"w\":{}}", 0, "dtype is missing"},
        {"{\"w\":{\"dtype\":\"F32\"}}", 0, "shape is missing"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 0, "data_offsets is missing"},
        {"{\"w\":null}", 0, "tensor \"w\": is no JSON object"},
        {"{\"w\":[]}", 0, "is no JSON object"},
        {"[]", 0, "header is no JSON object"},
        {"  {}", 0, "header is no JSON object"},
        {"{}}", 0, "JSON"},
        {"{\"w\":", 0, "JSON"},
        {"{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "JSON"},
        {"{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, "JSON"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, "tensor \"b\": data_offsets [1,3] overlap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}",
         5, "tensor \"b\": data_offsets [3,5] leave a hole after byte 2"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "value of \"k\" is no string"},
        {"{\"__metadata__\":\"k\"}", 0, "__metadata__ is no JSON object"},
        {"{\"\\u0000\":null}", 0, "JSON"},
        {"{\"\xff\":null}", 0, "JSON"},
        {"{\"w\":{\"shape\":[[[[1]]]]}}", 0, "nests deeper than 3 levels"},
        {"{\"w\\n\\u001b[2J\":0}", 0, "tensor \"w??[2J\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hz_error err = {0};
        cr_assert(!open_header(cases[i].header, cases[i].n, &err), "accepted %s", cases[i].header);
        cr_assert(err.code == HZ_EFORMAT && strstr(err.text, cases[i].words), "%s gives: %s", cases[i].header,
                  err.text);
        cr_assert(strstr(err.text, "bytes.safetensors"), "%s", err.text);
    }
}

Test(safetensors, a_header_length_beyond_the_file_costs_nothing) {
    static const uint64_t lengths[] = {
        0, 1, 3, 100, 100000001, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        bytes b = file_of("{}", 0);
        for (int k = 0; k < 8; k++) b.data[k] = (uint8_t)(lengths[i] >> 8 * k);
        hz_error err = {0};
        cr_assert(!open_bytes(b.data, b.size, &err) && strstr(err.text, "header length"), "%s", err.text);
    }
}

/* A million opening brackets would overflow the stack of a recursive parser. */
Test(safetensors, deep_nesting_is_refused_before_it_is_parsed) {
    enum { N = 1000000 };
    uint8_t *data = malloc(8 + N);
    hz_error err = {0};
    memset(data, '[', 8 + N);
    for (int k = 0; k < 8; k++) data[k] = (uint8_t)((uint64_t)N >> 8 * k);
    cr_assert(!open_bytes(data, 8 + N, &err) && strstr(err.text, "nests deeper"), "%s", err.text);
    free(data);
}

Test(safetensors, a_header_of_millions_of_values_is_refused_before_it_is_parsed) {
    enum { N = 5000000 };
    uint8_t *data = malloc(8 + N);
    hz_error err = {0};
    for (int k = 0; k < 8; k++) data[k] = (uint8_t)((uint64_t)N >> 8 * k);
    for (int k = 8; k < 8 + N; k++) data[k] = k == 8 ? '[' : k == 7 + N ? ']' : k & 1 ? '0' : ',';
    cr_assert(!open_bytes(data, 8 + N, &err) && strstr(err.text, "more than 2097152 values"), "%s", err.text);
    free(data);
}

Test(safetensors, damage_gives_an_error_or_a_valid_file) {
    const bytes b = file_of(
        "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]},"
        "\"c\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[11,19]}}",
        19);
    check_truncations(load, b.data, b.size);
    const int refused = check_mutations(load, b.data, b.size, 2000);
    cr_assert(refused > 500 && refused < 2000, "%d of 2000 refused", refused);
}

Test(safetensors, only_regular_files_are_opened) {
    hz_safetensors *st;
    hz_error err = {0};
    cr_assert(!hz_safetensors_open("/tmp", NULL, &st, &err) && err.code == HZ_EIO, "%s", err.text);
    cr_assert(!hz_safetensors_open("/dev/zero", NULL, &st, &err) && err.code == HZ_EIO);
    cr_assert(!hz_safetensors_open("/nowhere", NULL, &st, &err) && err.code == HZ_ENOTFOUND);
}

/* ---- writing ---- */

Test(safetensors, tensors_of_every_dtype_and_layout_come_back) {
    uint64_t state = 11;
    const scratch s = scratch_path("trip.safetensors");
    for (int trial = 0; trial < 40; trial++) {
        enum { N = 7 };
        sample samples[N];
        char names[N][16];
        hz_safetensors_entry entries[N];
        for (int i = 0; i < N; i++) {
            int64_t dim[4];
            const int rank = (int)random_int(&state, 1, 4);
            for (int k = 0; k < rank; k++) dim[k] = random_int(&state, 1, 5);
            samples[i] = sample_of(i & 1 ? HZ_F32 : HZ_F64, rank, dim,
                                   (layout)random_int(&state, 0, LAYOUTS - 1), &state);
            snprintf(names[i], sizeof names[i], "é%d\"\n", i);
            entries[i] = (hz_safetensors_entry){names[i], samples[i].t};
        }
        uint8_t odd[3] = {7, 8, 9};
        int64_t wide[1] = {INT64_MIN};
        int32_t narrow[1] = {-5};
        entries[0].tensor = hz_tensor_of(odd, HZ_U8, 1, (int64_t[]){3});
        entries[1].tensor = hz_tensor_of(wide, HZ_I64, 0, NULL);
        entries[2].tensor = hz_tensor_of(narrow, HZ_I32, 1, (int64_t[]){1});
        entries[3].tensor = hz_tensor_of(NULL, HZ_F32, 2, (int64_t[]){0, 3});
        hz_error err = {0};
        cr_assert(
            hz_safetensors_write(s.path, entries, N, (hz_text_pair[]){{"model", "größe"}}, 1, NULL, &err),
            "%s", err.text);
        hz_safetensors *st;
        cr_assert(hz_safetensors_open(s.path, NULL, &st, &err), "%s", err.text);
        cr_assert(hz_safetensors_count(st) == N);
        cr_assert(strcmp(hz_safetensors_metadata_value(st, "model"), "größe") == 0);
        for (int i = 0; i < N; i++) {
            const hz_tensor *want = &entries[i].tensor, *got = hz_safetensors_find(st, names[i]);
            cr_assert(got && got->dtype == want->dtype && hz_same_shape(got, want) && hz_is_contiguous(got));
            for (int64_t k = 0; k < hz_numel(want); k++)
                cr_assert(hz_get_flat(got, k) == hz_get_flat(want, k));
        }
        hz_safetensors_close(st);
        for (int i = 0; i < N; i++) free_sample(&samples[i]);
    }
    unlink(s.path);
}

Test(safetensors, the_bytes_are_the_format_s) {
    const scratch s = scratch_path("bytes.safetensors");
    float x[2] = {1, -2};
    uint8_t u[1] = {9};
    const hz_safetensors_entry entries[] = {{"u", hz_tensor_of(u, HZ_U8, 1, (int64_t[]){1})},
                                            {"x", hz_tensor_of(x, HZ_F32, 2, (int64_t[]){1, 2})}};
    const char header[] = "{\"x\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                          "\"u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[8,9]}}";
    cr_assert(hz_safetensors_write(s.path, entries, 2, NULL, 0, NULL, NULL));
    size_t size, padded = (sizeof header - 1 + 7) / 8 * 8;
    uint8_t *b = read_bytes(s.path, &size);
    cr_assert(size == 8 + padded + 9 && b[0] == padded && memcmp(b + 8, header, sizeof header - 1) == 0);
    for (size_t i = 8 + sizeof header - 1; i < 8 + padded; i++) cr_assert(b[i] == ' ');
    const uint8_t data[9] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 9};
    cr_assert(memcmp(b + 8 + padded, data, 9) == 0);
    free(b);
    unlink(s.path);
}

Test(safetensors, floats_can_be_written_in_16_bits) {
    const scratch s = scratch_path("half.safetensors");
    float x[4] = {1.0f + 0x1p-11f, 1e6f, -0x1p-24f, 3};
    double y[1] = {0.1};
    int32_t i[1] = {70000};
    const hz_safetensors_entry entries[] = {{"x", hz_tensor_of(x, HZ_F32, 1, (int64_t[]){4})},
                                            {"y", hz_tensor_of(y, HZ_F64, 1, (int64_t[]){1})},
                                            {"i", hz_tensor_of(i, HZ_I32, 1, (int64_t[]){1})}};
    hz_error err = {0};
    hz_safetensors *st;
    cr_assert(
        hz_safetensors_write(s.path, entries, 3, NULL, 0, &(hz_safetensors_options){.as_f16 = true}, &err),
        "%s", err.text);
    cr_assert(hz_safetensors_open(s.path, NULL, &st, &err), "%s", err.text);
    const float *h = hz_safetensors_find(st, "x")->data;
    cr_assert(h[0] == 1 && isinf(h[1]) && h[2] == -0x1p-24f && h[3] == 3);
    cr_assert(hz_get_flat(hz_safetensors_find(st, "y"), 0) == 0.0999755859375);
    cr_assert(hz_get_flat(hz_safetensors_find(st, "i"), 0) == 70000);
    hz_safetensors_close(st);
    unlink(s.path);
}

Test(safetensors, impossible_requests_write_nothing) {
    const scratch s = scratch_path("bad.safetensors");
    float x = 1;
    const hz_tensor t = hz_tensor_of(&x, HZ_F32, 0, NULL);
    hz_tensor none = t;
    none.dtype = HZ_DTYPES;
    const hz_safetensors_entry twice[] = {{"a", t}, {"a", t}}, raw[] = {{"\xff", t}},
                               reserved[] = {{"__metadata__", t}}, typeless[] = {{"a", none}};
    const hz_text_pair bad_value[] = {{"k", "\xc3"}}, one[] = {{"k", "v"}};
    hz_error err = {0};
    cr_assert(!hz_safetensors_write(s.path, twice, 2, NULL, 0, NULL, &err) && strstr(err.text, "twice"), "%s",
              err.text);
    cr_assert(!hz_safetensors_write(s.path, raw, 1, NULL, 0, NULL, &err) && strstr(err.text, "UTF-8"), "%s",
              err.text);
    cr_assert(!hz_safetensors_write(s.path, typeless, 1, NULL, 0, NULL, &err) && err.code == HZ_EINVAL, "%s",
              err.text);
    cr_assert(!hz_safetensors_write(s.path, twice, 1, bad_value, 1, NULL, &err) && strstr(err.text, "UTF-8"),
              "%s", err.text);
    cr_assert(!hz_safetensors_write(s.path, reserved, 1, one, 1, NULL, &err) && err.code == HZ_EINVAL, "%s",
              err.text);
    cr_assert(!hz_safetensors_write(s.path, reserved, 1, NULL, 0, NULL, &err) && err.code == HZ_EINVAL, "%s",
              err.text);
    cr_assert(access(s.path, F_OK) != 0);
}

/* ---- memory ---- */

static bool open_action(const hz_allocator *a, const char *path, hz_error *err) {
    hz_safetensors *st;
    if (!hz_safetensors_open(path, a, &st, err)) return false;
    hz_safetensors_close(st);
    return true;
}

static bool write_action(const hz_allocator *a, const char *path, hz_error *err) {
    float x = 1;
    const hz_safetensors_entry entry = {"x", hz_tensor_of(&x, HZ_F32, 0, NULL)};
    return hz_safetensors_write(path, &entry, 1, NULL, 0, &(hz_safetensors_options){.alloc = a}, err);
}

Test(safetensors, lack_of_memory_is_an_error_without_a_leak) {
    const scratch s = scratch_path("memory.safetensors");
    const bytes b = file_of(
        "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4);
    write_bytes(s.path, b.data, b.size);
    fail_every_allocation(open_action, s.path);
    fail_every_allocation(write_action, s.path);
    unlink(s.path);
}

/* ---- real files ---- */

Test(safetensors, squeezenet_has_its_52_tensors) {
    const char *path = hz_test_data("squeezenet1_0_dc.safetensors");
    if (!path) cr_skip("no squeezenet1_0_dc.safetensors: set HZ_DATA");
    hz_safetensors *st;
    hz_error err = {0};
    cr_assert(hz_safetensors_open(path, NULL, &st, &err), "%s", err.text);
    int64_t parameters = 0;
    for (size_t i = 0; i < hz_safetensors_count(st); i++)
        parameters += hz_numel(hz_safetensors_tensor(st, i));
    cr_assert(hz_safetensors_count(st) == 52 && parameters == 1248424, "%" PRId64, parameters);
    cr_assert(strstr(hz_safetensors_metadata_value(st, "license"), "BSD-2"));
    hz_safetensors_close(st);
}
