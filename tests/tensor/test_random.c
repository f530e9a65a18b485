/* test_random.c: the generator against its published answers; fills against single numbers; moments.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/random.h"

/* Fills need no scratch memory. */
static hz_exec with_threads(int threads) {
    return (hz_exec){.threads = threads, .isa = HZ_ISA_C};
}

/* ---- the generator ---- */

/* Known answers of the authors' distribution (Random123, kat_vectors): counter, key, output. */
static const struct {
    uint32_t counter[4], key[2], out[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

Test(philox, gives_the_published_answers) {
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        uint32_t out[4];
        hz_philox4x32(known[k].counter, known[k].key, out);
        cr_assert(memcmp(out, known[k].out, sizeof out) == 0, "vector %zu", k);
    }
}

Test(random, bits_are_the_halves_of_a_block) {
    cr_assert(hz_random_bits(0, 0, 0) == 0xe169c58d6627e8d5);
    cr_assert(hz_random_bits(0, 0, 1) == 0x9b00dbd8bc57ac4c);
    const uint64_t seed = 0x0123456789abcdef, stream = 0xfedcba9876543210, k = 0xa5a5a5a5c3c3c3c3;
    const uint32_t counter[4] = {(uint32_t)(k / 2), (uint32_t)(k / 2 >> 32), (uint32_t)stream,
                                 (uint32_t)(stream >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t out[4];
    hz_philox4x32(counter, key, out);
    cr_assert(hz_random_bits(seed, stream, k) == (out[2] | (uint64_t)out[3] << 32));
}

Test(random, differs_by_seed_stream_and_number) {
    const uint64_t x = hz_random_bits(1, 2, 3);
    cr_assert(x != hz_random_bits(2, 2, 3) && x != hz_random_bits(1, 3, 3) && x != hz_random_bits(1, 2, 4));
    cr_assert(x != hz_random_bits(1 + ((uint64_t)1 << 32), 2, 3));
    cr_assert(x != hz_random_bits(1, 2 + ((uint64_t)1 << 32), 3));
    cr_assert(x != hz_random_bits(1, 2, 3 + ((uint64_t)1 << 33)));
}

/* ---- distributions ---- */

enum { MANY = 200000 }; /* moments below lie within 5 standard errors */

Test(uniform, lies_in_the_unit_interval_and_has_its_moments) {
    double sum = 0, squares = 0;
    for (uint64_t k = 0; k < MANY; k++) {
        const double x = hz_random_uniform(1, 0, k);
        if (!(x >= 0 && x < 1)) cr_assert(false, "number %" PRIu64 " is %g", k, x);
        sum += x;
        squares += x * x;
    }
    cr_assert(fabs(sum / MANY - 0.5) < 5 * sqrt(1.0 / 12 / MANY));
    cr_assert(fabs(squares / MANY - 1.0 / 3) < 5 * sqrt(4.0 / 45 / MANY));
}

Test(normal, has_the_moments_of_the_normal_distribution) {
    double moment[5] = {0}, neighbours = 0, previous = 0;
    for (uint64_t k = 0; k < MANY; k++) {
        const double x = hz_random_normal(1, 0, k);
        for (int p = 1; p <= 4; p++) moment[p] += pow(x, p) / MANY;
        neighbours += x * previous / MANY;
        previous = x;
    }
    cr_assert(fabs(moment[1]) < 5 * sqrt(1.0 / MANY));
    cr_assert(fabs(moment[2] - 1) < 5 * sqrt(2.0 / MANY));
    cr_assert(fabs(moment[3]) < 5 * sqrt(15.0 / MANY));
    cr_assert(fabs(moment[4] - 3) < 5 * sqrt(96.0 / MANY));
    cr_assert(fabs(neighbours) < 5 * sqrt(1.0 / MANY), "neighbours are not independent");
}

Test(below, is_even_over_its_range) {
    int count[7] = {0};
    for (uint64_t k = 0; k < 70000; k++) {
        const int64_t x = hz_random_below(3, 1, k, 7);
        if (x < 0 || x >= 7) cr_assert(false, "%" PRId64, x);
        count[x]++;
    }
    for (int x = 0; x < 7; x++) cr_assert(abs(count[x] - 10000) < 5 * 100, "%d: %d", x, count[x]);
}

Test(below, reaches_over_all_of_int64) {
    bool high = false;
    for (uint64_t k = 0; k < 100; k++) {
        const int64_t x = hz_random_below(3, 1, k, INT64_MAX);
        cr_assert(x >= 0 && hz_random_below(3, 1, k, 1) == 0);
        cr_assert(x == (int64_t)(hz_random_bits(3, 1, k) / 2) ||
                  x + 1 == (int64_t)(hz_random_bits(3, 1, k) / 2));
        high = high || x > INT64_MAX / 2;
    }
    cr_assert(high);
}

Test(permutation, holds_every_number_once) {
    enum { N = 1000 };
    int64_t out[N], again[N];
    bool seen[N] = {false};
    hz_random_permutation(5, 0, N, out);
    hz_random_permutation(5, 0, N, again);
    cr_assert(memcmp(out, again, sizeof out) == 0);
    int at_home = 0;
    for (int k = 0; k < N; k++) {
        cr_assert(out[k] >= 0 && out[k] < N && !seen[out[k]]);
        seen[out[k]] = true;
        at_home += out[k] == k;
    }
    cr_assert(at_home < 10);
    hz_random_permutation(5, 0, 0, NULL);
}

Test(permutation, of_three_is_even_over_the_six_orders) {
    int count[27] = {0};
    for (uint64_t seed = 0; seed < 6000; seed++) {
        int64_t p[3];
        hz_random_permutation(seed, 0, 3, p);
        count[p[0] * 9 + p[1] * 3 + p[2]]++;
    }
    for (int code = 0; code < 27; code++)
        cr_assert(count[code] == 0 || abs(count[code] - 1000) < 5 * 29, "%d: %d", code, count[code]);
}

/* ---- fills ---- */

Test(fill, element_k_is_number_k) {
    const hz_exec ex = with_threads(2);
    enum { N = 2049 };
    static double y[N];
    static float f[N];
    const hz_tensor wide = hz_tensor_of(y, HZ_F64, HZ_DIMS(3, N / 3)),
                    narrow = hz_tensor_of(f, HZ_F32, HZ_DIMS(N));
    hz_random_fill_uniform(&ex, 8, 9, -2, 3, &wide);
    hz_random_fill_uniform(&ex, 8, 9, -2, 3, &narrow);
    for (uint64_t k = 0; k < N; k++) {
        cr_assert(y[k] == -2 + 5 * hz_random_uniform(8, 9, k));
        cr_assert(f[k] == (float)y[k]);
    }
    hz_random_fill_normal(&ex, 8, 9, 1, 0.5, &wide);
    hz_random_fill_normal(&ex, 8, 9, 1, 0.5, &narrow);
    for (uint64_t k = 0; k < N; k++) {
        cr_assert(y[k] == 1 + 0.5 * hz_random_normal(8, 9, k));
        cr_assert(f[k] == (float)y[k]);
    }
}

Test(fill, does_not_depend_on_threads) {
    enum { N = 100003 };
    static float one[N], many[N];
    hz_exec ex = with_threads(1);
    const hz_tensor a = hz_tensor_of(one, HZ_F32, HZ_DIMS(N)), b = hz_tensor_of(many, HZ_F32, HZ_DIMS(N));
    hz_random_fill_normal(&ex, 1, 2, 0, 1, &a);
    for (int threads = 2; threads < 9; threads += 3) {
        memset(many, 0, sizeof many);
        ex = with_threads(threads);
        hz_random_fill_normal(&ex, 1, 2, 0, 1, &b);
        cr_assert(memcmp(one, many, sizeof one) == 0, "%d threads", threads);
    }
}

Test(fill, follows_row_major_order_whatever_the_strides) {
    const hz_exec ex = with_threads(2);
    for (int dtype = 0; dtype < HZ_DTYPES; dtype++) {
        static double straight[60 * 70], spread[2 * 60 * 70];
        const hz_tensor a = hz_tensor_of(straight, (hz_dtype)dtype, HZ_DIMS(60, 70));
        hz_tensor b = hz_tensor_of(spread, (hz_dtype)dtype, HZ_DIMS(70, 120));
        cr_assert(hz_view_slice(&b, 1, 119, 60, -2, &b, NULL) && hz_view_transpose(&b, 0, 1, &b, NULL));
        hz_random_fill_uniform(&ex, 4, 5, 0, 100, &a);
        hz_random_fill_uniform(&ex, 4, 5, 0, 100, &b);
        for (int64_t k = 0; k < hz_numel(&a); k++)
            if (hz_get_flat(&a, k) != hz_get_flat(&b, k))
                cr_assert(false, "dtype %d, element %" PRId64, dtype, k);
    }
}

Test(fill, of_integers_includes_both_ends) {
    const hz_exec ex = with_threads(1);
    int64_t y[600];
    int32_t z[600];
    const hz_tensor wide = hz_tensor_of(y, HZ_I64, HZ_DIMS(600)),
                    narrow = hz_tensor_of(z, HZ_I32, HZ_DIMS(600));
    hz_random_fill_uniform(&ex, 1, 1, -3, 2, &wide);
    hz_random_fill_uniform(&ex, 1, 1, -3, 2, &narrow);
    int count[6] = {0};
    for (int k = 0; k < 600; k++) {
        cr_assert(y[k] >= -3 && y[k] <= 2 && z[k] == y[k]);
        count[y[k] + 3]++;
    }
    for (int x = 0; x < 6; x++) cr_assert(count[x] > 50 && count[x] < 150);
    hz_random_fill_uniform(&ex, 1, 1, 0.5, 2.5, &wide);
    for (int k = 0; k < 600; k++) cr_assert(y[k] == 1 || y[k] == 2);
    hz_random_fill_uniform(&ex, 1, 1, 7, 7, &wide);
    for (int k = 0; k < 600; k++) cr_assert(y[k] == 7);
}

Test(fill, uniform_never_rounds_up_to_the_upper_end) {
    const hz_exec ex = with_threads(1);
    enum { N = 4096 };
    static float y[N];
    const hz_tensor t = hz_tensor_of(y, HZ_F32, HZ_DIMS(N));
    hz_random_fill_uniform(&ex, 1, 1, 16777216, 16777218, &t); /* only 2^24 and 2^24 + 2 are floats */
    for (int k = 0; k < N; k++) cr_assert(y[k] == 16777216);
    hz_random_fill_uniform(&ex, 1, 1, 3, 3, &t);
    for (int k = 0; k < N; k++) cr_assert(y[k] == 3);
    hz_random_fill_uniform(&ex, 1, 1, 1, -1, &t);
    for (int k = 0; k < N; k++) cr_assert(y[k] > -1 && y[k] <= 1);
}

Test(fill, of_nothing_does_nothing) {
    const hz_exec ex = with_threads(2);
    const hz_tensor t = hz_tensor_of(NULL, HZ_F32, HZ_DIMS(0, 3));
    hz_random_fill_uniform(&ex, 1, 1, 0, 1, &t);
    hz_random_fill_normal(&ex, 1, 1, 0, 1, &t);
}
