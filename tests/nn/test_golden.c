/* test_golden.c: worked examples, small enough to be done by hand, that tell the three ReLU rules apart.
 *
 * All numbers are small integers, so every dtype, kernel and number of threads must give them exactly.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "nn/hzero.h"

typedef struct golden {
    const char *rule; /* as in hz_rules_named */
    int map[16];
} golden;

/* The numbers v[0 … n) as a leaf of this dtype and shape. */
static hz_var leaf(hz_tape *t, hz_dtype dtype, int rank, const int64_t *dim, const int *v) {
    double data[64];
    hz_tensor numbers = hz_tensor_of(data, HZ_F64, rank, dim);
    for (int64_t k = 0; k < hz_numel(&numbers); k++) data[k] = v[k];
    return hz_astype(hz_copy_in(t, &numbers), dtype);
}

/* ---- a convolution and a linear layer ----
 *
 * x = 0 … 15 as 4 × 4 → two 3 × 3 filters of ones, bias −50 and −75 → ReLU: (0, 4, 31, 40), (0, 0, 6, 15) → four equal rows
 * (1, 1, 1, 1, 1, −1, −1, −1) → ReLU: 54. */

static const golden convolutional[] = {
    {"gradient", {0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0}},
    {"guided", {0, 1, 1, 1, 1, 3, 3, 2, 1, 3, 3, 2, 1, 2, 2, 1}},
    {"deconvnet", {2, 3, 3, 1, 3, 5, 5, 2, 3, 5, 5, 2, 1, 2, 2, 1}},
};

static hz_var first_hidden(hz_tape *t, hz_dtype dtype, hz_var x) {
    static const int bias[] = {-50, -75}, row[] = {1, 1, 1, 1, 1, -1, -1, -1};
    hz_var ones = hz_full(t, dtype, HZ_DIMS(2, 1, 3, 3), 1);
    hz_var h = hz_name(hz_relu(hz_conv2d(x, ones, leaf(t, dtype, HZ_DIMS(2), bias), NULL)), "first");
    hz_var rows = hz_broadcast_to(leaf(t, dtype, HZ_DIMS(1, 8), row), HZ_DIMS(4, 8));
    hz_var none = hz_full(t, dtype, HZ_DIMS(4), 0);
    hz_name(hz_relu(hz_linear(hz_flatten(h, 1), rows, none)), "second");
    return hz_unit(t, "second[0]");
}

static void check_map(hz_tape *t, hz_var y, hz_var x, const golden *g, const char *what) {
    hz_error err;
    hz_var map = hz_grad1(y, x, hz_rules_named(g->rule));
    cr_assert(hz_tape_ok(t, &err), "%s, %s: %s", what, g->rule, err.text);
    cr_assert_eq(hz_numel(hz_value(map)), hz_numel(hz_value(x)));
    for (int64_t k = 0; k < hz_numel(hz_value(x)); k++)
        cr_assert_eq(hz_get_flat(hz_value(map), k), g->map[k], "%s, %s: element %d is %g, not %d", what,
                     g->rule, (int)k, hz_get_flat(hz_value(map), k), g->map[k]);
}

static void check_convolutional(hz_dtype dtype, hz_isa isa, int threads) {
    static const int pixels[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    hz_tape *t = hz_tape_new(&(hz_tape_opts){.isa = isa, .threads = threads});
    hz_var x = leaf(t, dtype, HZ_DIMS(1, 1, 4, 4), pixels);
    hz_var y = first_hidden(t, dtype, x);
    cr_assert_eq(hz_item(y), 0 + 4 + 31 + 40 + 0 - 0 - 6 - 15, "unit is %g", hz_item(y));
    for (size_t k = 0; k < sizeof convolutional / sizeof convolutional[0]; k++)
        check_map(t, y, x, &convolutional[k], hz_dtype_name(dtype));
    hz_tape_free(t);
}

Test(golden, convolutional_network_in_f32) {
    check_convolutional(HZ_F32, HZ_ISA_AUTO, 0);
}

Test(golden, convolutional_network_in_f64) {
    check_convolutional(HZ_F64, HZ_ISA_AUTO, 0);
}

/* ---- two linear layers ----
 *
 * x = (1, 2, 3) → (0, −1, 5, 2) → ReLU, exactly at its kink in the first unit → row (1, 2, 1, −1) → ReLU: 3. The cotangent
 * that arrives at the first ReLU is (1, 2, 1, −1): gradient passes (0, 0, 1, −1), guided (0, 0, 1, 0), deconvnet
 * (1, 2, 1, 0). */

static const golden connected[] = {
    {"gradient", {-3, 0, 2}},
    {"guided", {0, 1, 1}},
    {"deconvnet", {5, 2, -2}},
};

static void check_connected(hz_dtype dtype, hz_isa isa, int threads) {
    static const int numbers[] = {1, 2, 3}, first[] = {1, 1, -1, 2, 0, -1, 0, 1, 1, 3, 1, -1},
                     second[] = {1, 2, 1, -1};
    hz_tape *t = hz_tape_new(&(hz_tape_opts){.isa = isa, .threads = threads});
    hz_var x = leaf(t, dtype, HZ_DIMS(1, 3), numbers);
    hz_var h = hz_relu(hz_linear(x, leaf(t, dtype, HZ_DIMS(4, 3), first), hz_none(t)));
    hz_var y = hz_relu(hz_linear(h, leaf(t, dtype, HZ_DIMS(1, 4), second), hz_none(t)));
    cr_assert_eq(hz_item(y), 3, "unit is %g", hz_item(y));
    for (size_t k = 0; k < sizeof connected / sizeof connected[0]; k++)
        check_map(t, y, x, &connected[k], hz_dtype_name(dtype));
    hz_tape_free(t);
}

Test(golden, connected_network_in_f32) {
    check_connected(HZ_F32, HZ_ISA_AUTO, 0);
}

Test(golden, connected_network_in_f64) {
    check_connected(HZ_F64, HZ_ISA_AUTO, 0);
}

Test(golden, plain_c_kernels_and_one_thread_agree) {
    check_convolutional(HZ_F32, HZ_ISA_C, 1);
    check_convolutional(HZ_F64, HZ_ISA_C, 1);
    check_connected(HZ_F32, HZ_ISA_C, 1);
}
