/* test_npy.c: arrays as NumPy writes them are read, what is written comes back, damage is survived.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "files.h"
#include "layouts.h"
#include "tensor/npy.h"

/* ---- files made by hand ---- */

typedef struct bytes {
    size_t size;
    uint8_t data[1024];
} bytes;

/* Version `major` with this dictionary and n bytes of data. */
static bytes file_of(int major, const char *dictionary, const void *data, size_t n) {
    bytes b = {.data = "\x93NUMPY"};
    const size_t length = strlen(dictionary);
    b.data[6] = (uint8_t)major;
    b.data[8] = (uint8_t)length;
    b.data[9] = (uint8_t)(length >> 8);
    b.size = major == 1 ? 10 : 12;
    memcpy(b.data + b.size, dictionary, length);
    b.size += length;
    memcpy(b.data + b.size, data, n);
    b.size += n;
    return b;
}

static bool load_bytes(const uint8_t *data, size_t size, hz_tensor *t, hz_error *err) {
    const scratch s = scratch_path("bytes.npy");
    write_bytes(s.path, data, size);
    const bool ok = hz_npy_load(s.path, NULL, t, err);
    unlink(s.path);
    return ok;
}

static hz_tensor load_good(int major, const char *dictionary, const void *data, size_t n) {
    const bytes b = file_of(major, dictionary, data, n);
    hz_tensor t;
    hz_error err = {0};
    cr_assert(load_bytes(b.data, b.size, &t, &err), "%s: %s", dictionary, err.text);
    return t;
}

static bool load(const uint8_t *data, size_t size, hz_error *err) {
    hz_tensor t;
    if (!load_bytes(data, size, &t, err)) return false;
    read_elements(&t);
    hz_free(NULL, t.data);
    return true;
}

/* ---- reading ---- */

Test(npy, every_dtype_and_byte_order_is_read) {
    static const struct {
        const char *descr;
        size_t width;
        hz_dtype dtype;
        uint8_t two[8];
    } cases[] = {
        {"<f4", 4, HZ_F32, {0, 0, 0, 0x40}},
        {">f4", 4, HZ_F32, {0x40}},
        {"<f8", 8, HZ_F64, {0, 0, 0, 0, 0, 0, 0, 0x40}},
        {">f8", 8, HZ_F64, {0x40}},
        {"<i4", 4, HZ_I32, {2}},
        {">i4", 4, HZ_I32, {0, 0, 0, 2}},
        {"<i8", 8, HZ_I64, {2}},
        {">i8", 8, HZ_I64, {0, 0, 0, 0, 0, 0, 0, 2}},
        {"|u1", 1, HZ_U8, {2}},
        {"|b1", 1, HZ_U8, {2}},
        {"<f2", 2, HZ_F32, {0, 0x40}},
        {">f2", 2, HZ_F32, {0x40}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int major = 1; major <= 3; major++) {
            char dictionary[128];
            snprintf(dictionary, sizeof dictionary,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (1,), }\n", cases[i].descr);
            hz_tensor t = load_good(major, dictionary, cases[i].two, cases[i].width);
            cr_assert(t.dtype == cases[i].dtype && t.rank == 1 && t.dim[0] == 1);
            cr_assert(hz_get_flat(&t, 0) == (cases[i].descr[1] == 'b' ? 1 : 2), "%s", cases[i].descr);
            hz_free(NULL, t.data);
        }
}

Test(npy, fortran_order_becomes_strides) {
    const uint8_t data[6] = {0, 1, 2, 3, 4, 5};
    hz_tensor t = load_good(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", data, 6);
    cr_assert(t.rank == 2 && t.stride[0] == 1 && t.stride[1] == 2);
    for (int64_t k = 0; k < 6; k++) cr_assert(hz_get_flat(&t, k) == (double)(k / 3 + 2 * (k % 3)));
    hz_free(NULL, t.data);
}

Test(npy, many_halves_widen_in_place) {
    uint8_t data[400];
    for (int i = 0; i < 200; i++) {
        const uint16_t half = (uint16_t)(0x3c00 + i); /* 1 + i/1024 */
        data[2 * i] = (uint8_t)half;
        data[2 * i + 1] = (uint8_t)(half >> 8);
    }
    hz_tensor t = load_good(1, "{'descr': '<f2', 'fortran_order': False, 'shape': (200,), }", data, 400);
    for (int64_t i = 0; i < 200; i++) cr_assert(hz_get_flat(&t, i) == 1 + (double)i / 1024);
    hz_free(NULL, t.data);
}

Test(npy, keys_come_in_any_order_and_spacing) {
    const uint8_t data[4] = {1, 2, 3, 4};
    hz_tensor t = load_good(1, "{ \"shape\" : ( 4 , 1 ),'fortran_order':False,'descr':'|u1'}", data, 4);
    cr_assert(t.rank == 2 && t.dim[0] == 4 && t.dim[1] == 1);
    hz_free(NULL, t.data);
    t = load_good(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (), }", data, 1);
    cr_assert(t.rank == 0 && hz_get_flat(&t, 0) == 1);
    hz_free(NULL, t.data);
    t = load_good(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 3), }", data, 0);
    cr_assert(hz_numel(&t) == 0 && t.dim[1] == 3 && t.data);
    hz_free(NULL, t.data);
}

/* ---- hostile files ---- */

#define HEADER(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }"

Test(npy, broken_rules_are_refused_in_words) {
    static const struct {
        const char *dictionary;
        size_t n;
        const char *words;
    } cases[] = {
        {HEADER("'<f4'", "False", "(2, 3)"), 23, "23 bytes follow the header, shape [2,3] of f4 needs 24"},
        {HEADER("'<f4'", "False", "(2, 3)"), 25, "25 bytes follow"},
        {HEADER("'<c8'", "False", "(1,)"), 8, "dtype '<c8' is not one of"},
        {HEADER("'f4'", "False", "(1,)"), 4, "dtype 'f4'"},
        {HEADER("''", "False", "(1,)"), 4, "dtype ''"},
        {HEADER("'=f4'", "False", "(1,)"), 4, "dtype '=f4'"},
        {HEADER("'|O'", "False", "(1,)"), 8, "dtype '|O'"},
        {HEADER("'<f4", "False", "(1,)"), 4, "dtype"},
        {HEADER("[('x', '<f4')]", "False", "(1,)"), 4, "structured dtypes are not supported"},
        {HEADER("'0123456789012345678901234567890123456789'", "False", "(1,)"), 4, "shorter string"},
        {HEADER("'|u1'", "0", "(1,)"), 1, "expected True or False"},
        {HEADER("'|u1'", "False", "1"), 1, "expected '('"},
        {HEADER("'|u1'", "False", "(-1,)"), 1, "integer ≥ 0"},
        {HEADER("'|u1'", "False", "(1.0,)"), 1, "expected ',' or ')'"},
        {HEADER("'|u1'", "False", "(1 1)"), 1, "expected ',' or ')'"},
        {HEADER("'|u1'", "False", "(,)"), 1, "integer ≥ 0"},
        {HEADER("'|u1'", "False", "(1,1,1,1,1,1,1,1,1)"), 1, "more than 8 axes"},
        {HEADER("'|u1'", "False", "(9223372036854775808,)"), 1, "below 2^63"},
        {HEADER("'<f8'", "False", "(9223372036854775807,)"), 8, "too large"},
        {HEADER("'<f8'", "False", "(4294967296, 4294967296)"), 0, "too large"},
        {HEADER("'<f8'", "False", "(4294967296, 4294967296, 0)"), 1, ""},
        {"{'descr': '|u1', 'fortran_order': False, }", 1, "lacks descr, fortran_order or shape"},
        {"{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (1,)}", 1, "'descr' twice"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (1,), 'x': 1}", 1, "key 'x' is unknown"},
        {"{'descr': '|u1' 'fortran_order': False, 'shape': (1,)}", 1, "expected ',' or '}'"},
        {"{'descr' '|u1', 'fortran_order': False, 'shape': (1,)}", 1, "expected ':'"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (1,)} x", 1, "nothing more"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (1,)", 1, "expected"},
        {"", 4, "expected '{'"},
    };
    const uint8_t data[64] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bytes b = file_of(1, cases[i].dictionary, data, cases[i].n);
        hz_error err = {0};
        hz_tensor t;
        cr_assert(!load_bytes(b.data, b.size, &t, &err), "accepted %s", cases[i].dictionary);
        cr_assert(err.code == HZ_EFORMAT && strstr(err.text, cases[i].words), "%s gives: %s",
                  cases[i].dictionary, err.text);
        cr_assert(strstr(err.text, "bytes.npy: ") && !t.data, "%s", err.text);
    }
}

Test(npy, wrong_magic_version_or_length_is_refused) {
    const bytes good = file_of(2, HEADER("'|u1'", "False", "(1,)"), "x", 1);
    static const struct {
        int at;
        uint8_t value;
        const char *words;
    } cases[] = {{0, 'x', "wrong magic"},    {6, 0, "version 0.0"},   {6, 4, "version 4.0"},
                 {11, 255, "header length"}, {9, 1, "header length"}, {8, 255, "header length"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = good;
        hz_tensor t;
        hz_error err = {0};
        b.data[cases[i].at] = cases[i].value;
        cr_assert(!load_bytes(b.data, b.size, &t, &err) && strstr(err.text, cases[i].words), "%s", err.text);
    }
}

Test(npy, damage_gives_an_error_or_a_valid_array) {
    const bytes b = file_of(1, HEADER("'>f2'", "True", "(2, 3)"), "0123456789ab", 12);
    check_truncations(load, b.data, b.size);
    const int refused = check_mutations(load, b.data, b.size, 2000);
    cr_assert(refused > 500 && refused < 2000, "%d of 2000 refused", refused);
}

Test(npy, only_regular_files_are_opened) {
    hz_tensor t;
    hz_error err = {0};
    cr_assert(!hz_npy_load("/tmp", NULL, &t, &err) && err.code == HZ_EIO, "%s", err.text);
    cr_assert(!hz_npy_load("/nowhere", NULL, &t, &err) && err.code == HZ_ENOTFOUND, "%s", err.text);
}

/* ---- writing ---- */

Test(npy, arrays_of_every_layout_come_back) {
    uint64_t state = 5;
    const scratch s = scratch_path("trip.npy");
    for (int trial = 0; trial < 100; trial++) {
        int64_t dim[6];
        const int rank = (int)random_int(&state, 1, 6);
        for (int k = 0; k < rank; k++) dim[k] = random_int(&state, trial % 10 == 0 ? 0 : 1, 5);
        sample x = sample_of(trial & 1 ? HZ_F32 : HZ_F64, rank, dim, (layout)(trial % LAYOUTS), &state);
        hz_tensor back;
        hz_error err = {0};
        cr_assert(hz_npy_save(s.path, &x.t, NULL, &err), "%s", err.text);
        cr_assert(hz_npy_load(s.path, NULL, &back, &err), "%s", err.text);
        cr_assert(back.dtype == x.t.dtype && hz_same_shape(&back, &x.t) && hz_is_contiguous(&back));
        for (int64_t k = 0; k < hz_numel(&x.t); k++) cr_assert(hz_get_flat(&back, k) == hz_get_flat(&x.t, k));
        hz_free(NULL, back.data);
        free_sample(&x);
    }
    unlink(s.path);
}

/* Byte for byte what numpy.save writes. */
Test(npy, the_bytes_are_those_of_numpy) {
    const scratch s = scratch_path("bytes.npy");
    float x[2] = {1, -2};
    const hz_tensor t = hz_tensor_of(x, HZ_F32, 1, (int64_t[]){2});
    uint8_t want[136] = "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
    size_t used = 10 + strlen((const char *)want + 10), size;
    memset(want + used, ' ', 127 - used);
    want[127] = '\n';
    memcpy(want + 128, "\0\0\x80\x3f\0\0\0\xc0", 8);
    cr_assert(hz_npy_save(s.path, &t, NULL, NULL));
    uint8_t *got = read_bytes(s.path, &size);
    cr_assert(size == 136 && memcmp(got, want, 136) == 0);
    free(got);
    unlink(s.path);
}

Test(npy, scalars_and_bytes_and_integers_are_written) {
    const scratch s = scratch_path("kinds.npy");
    int64_t wide = INT64_MIN;
    int32_t narrow = -7;
    uint8_t byte = 200;
    const hz_tensor kinds[] = {hz_tensor_of(&wide, HZ_I64, 0, NULL), hz_tensor_of(&narrow, HZ_I32, 0, NULL),
                               hz_tensor_of(&byte, HZ_U8, 0, NULL)};
    for (int i = 0; i < 3; i++) {
        hz_tensor t;
        cr_assert(hz_npy_save(s.path, &kinds[i], NULL, NULL) && hz_npy_load(s.path, NULL, &t, NULL));
        cr_assert(t.rank == 0 && t.dtype == kinds[i].dtype);
        cr_assert(memcmp(t.data, kinds[i].data, hz_dtype_size(t.dtype)) == 0);
        hz_free(NULL, t.data);
    }
    unlink(s.path);
}

Test(npy, the_largest_header_fits) {
    const scratch s = scratch_path("zero.npy");
    int64_t dim[HZ_MAX_RANK] = {0};
    for (int i = 1; i < HZ_MAX_RANK; i++) dim[i] = 1;
    dim[7] = INT64_MAX / 16;
    const hz_tensor t = hz_tensor_of(NULL, HZ_F64, HZ_MAX_RANK, dim);
    hz_tensor back;
    hz_error err = {0};
    cr_assert(hz_npy_save(s.path, &t, NULL, &err), "%s", err.text);
    cr_assert(hz_npy_load(s.path, NULL, &back, &err), "%s", err.text);
    cr_assert(back.rank == HZ_MAX_RANK && back.dim[7] == INT64_MAX / 16);
    hz_free(NULL, back.data);
    unlink(s.path);
}

/* ---- memory ---- */

static bool load_action(const hz_allocator *a, const char *path, hz_error *err) {
    hz_tensor t;
    if (!hz_npy_load(path, a, &t, err)) return false;
    hz_free(a, t.data);
    return true;
}

static bool save_action(const hz_allocator *a, const char *path, hz_error *err) {
    float x = 1;
    const hz_tensor t = hz_tensor_of(&x, HZ_F32, 0, NULL);
    return hz_npy_save(path, &t, a, err);
}

Test(npy, lack_of_memory_is_an_error_without_a_leak) {
    const scratch s = scratch_path("memory.npy");
    fail_every_allocation(save_action, s.path);
    fail_every_allocation(load_action, s.path);
    unlink(s.path);
}
