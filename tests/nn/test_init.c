/* test_init.c: initial values: moments, bounds, orthogonality, and independence of threads and layout.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/init.h"
#include "tensor/random.h"

typedef struct numbers {
    double mean, deviation, least, most;
} numbers;

static numbers numbers_of(const hz_tensor *t) {
    numbers r = {0, 0, INFINITY, -INFINITY};
    const int64_t n = hz_numel(t);
    for (int64_t k = 0; k < n; k++) {
        const double x = hz_get_flat(t, k);
        r.mean += x / (double)n;
        r.deviation += x * x / (double)n;
        r.least = fmin(r.least, x);
        r.most = fmax(r.most, x);
    }
    r.deviation = sqrt(r.deviation - r.mean * r.mean);
    return r;
}

static hz_exec exec_of(int threads) {
    return (hz_exec){.pool = hz_pool_new(NULL), .threads = threads, .isa = hz_isa_resolve(HZ_ISA_AUTO)};
}

static hz_tensor weight(hz_dtype dtype, int rank, const int64_t *dim) {
    hz_tensor t = hz_tensor_of(NULL, dtype, rank, dim);
    t.data = calloc((size_t)hz_numel(&t) + 1, sizeof(double));
    return t;
}

static void expect_fine(bool ok, const hz_error *err) {
    cr_assert(ok, "%s", err->text);
}

static void expect_failure(bool ok, const hz_error *err, hz_code code, const char *text) {
    cr_assert_not(ok);
    cr_expect_eq(err->code, code, "code %d: %s", (int)err->code, err->text);
    cr_expect(strstr(err->text, text), "\"%s\" does not say \"%s\"", err->text, text);
}

/* Both are means over n numbers: 5 standard errors. */
static void expect_moments(const hz_tensor *t, double mean, double deviation) {
    const numbers got = numbers_of(t);
    const double error = 5 * deviation / sqrt((double)hz_numel(t));
    cr_expect(fabs(got.mean - mean) < error, "mean %g, expected %g", got.mean, mean);
    cr_expect(fabs(got.deviation - deviation) < error, "deviation %g, expected %g", got.deviation, deviation);
}

/* ---- fans and gains ---- */

Test(fans, count_the_field_of_a_kernel) {
    hz_error err = {HZ_OK, ""};
    int64_t in = 0, out = 0;
    const hz_tensor conv = hz_tensor_of(NULL, HZ_F32, HZ_DIMS(16, 3, 5, 7)),
                    flat = hz_tensor_of(NULL, HZ_F32, HZ_DIMS(4));
    expect_fine(hz_init_fans(&conv, &in, &out, &err), &err);
    cr_expect_eq(in, 3 * 35);
    cr_expect_eq(out, 16 * 35);
    expect_failure(hz_init_fans(&flat, &in, &out, &err), &err, HZ_ESHAPE, "[4] has no fans");
}

Test(gain, is_that_of_the_activation) {
    cr_expect_eq(hz_init_gain("linear", 0), 1);
    cr_expect_eq(hz_init_gain("sigmoid", 0), 1);
    cr_expect(fabs(hz_init_gain("tanh", 0) - 5.0 / 3) < 1e-15);
    cr_expect(fabs(hz_init_gain("relu", 0) - sqrt(2)) < 1e-15);
    cr_expect(fabs(hz_init_gain("leaky_relu", 0.5) - sqrt(1.6)) < 1e-15);
    cr_expect_eq(hz_init_gain("selu", 0), 0.75);
    cr_expect(isnan(hz_init_gain("rleu", 0)));
}

/* ---- kaiming and xavier ---- */

Test(kaiming, has_the_variance_of_its_fan_and_its_bound) {
    for (int c = 0; c < 8; c++) {
        const hz_init_opts o = {.seed = 7,
                                .stream = (uint64_t)c,
                                .fan = c & 1 ? HZ_FAN_OUT : HZ_FAN_IN,
                                .normal = c & 2,
                                .gain = c & 4 ? 3 : 0};
        hz_error err = {HZ_OK, ""};
        hz_exec ex = exec_of(1);
        hz_tensor w = weight(HZ_F32, HZ_DIMS(64, 20, 3, 3));
        const double std = (c & 4 ? 3 : sqrt(2)) / sqrt(c & 1 ? 64 * 9 : 20 * 9), bound = sqrt(3) * std;
        expect_fine(hz_init_kaiming(&ex, &o, &w, &err), &err);
        expect_moments(&w, 0, std);
        const numbers got = numbers_of(&w);
        if (o.normal)
            cr_expect(got.most > 3 * std);
        else
            cr_expect(got.most <= bound && got.most > 0.99 * bound && got.least >= -bound &&
                      got.least < -0.99 * bound);
        free(w.data);
        hz_pool_free(ex.pool);
    }
}

Test(xavier, has_the_variance_of_the_mean_fan) {
    for (int normal = 0; normal < 2; normal++) {
        hz_error err = {HZ_OK, ""};
        hz_exec ex = exec_of(1);
        hz_tensor w = weight(HZ_F64, HZ_DIMS(300, 100));
        expect_fine(hz_init_xavier(&ex, &(hz_init_opts){.normal = normal, .gain = 2}, &w, &err), &err);
        expect_moments(&w, 0, 2 / sqrt(200));
        if (!normal) cr_expect(numbers_of(&w).most <= 2 * sqrt(3.0 / 200));
        expect_fine(hz_init_xavier(&ex, NULL, &w, &err), &err);
        expect_moments(&w, 0, 1 / sqrt(200));
        free(w.data);
        hz_pool_free(ex.pool);
    }
}

/* ---- truncated normal ---- */

/* Mean and deviation of a normal distribution cut to [a, b], in units of its own. */
static numbers truncated_moments(double a, double b) {
    const double mass = (erfc(-b / sqrt(2)) - erfc(-a / sqrt(2))) / 2,
                 root = sqrt(2 * 3.14159265358979323846);
    const double at_a = exp(-a * a / 2) / root, at_b = exp(-b * b / 2) / root, mean = (at_a - at_b) / mass;
    return (numbers){mean, sqrt(1 + (a * at_a - b * at_b) / mass - mean * mean), 0, 0};
}

Test(truncated_normal, has_the_moments_and_bounds_of_what_is_left) {
    static const double cut[][2] = {{-2, 2}, {-0.5, 3}, {1, 1.5}, {-4, -3}, {2, 5}, {-8, 8}};
    for (int c = 0; c < 12; c++) {
        const double a = cut[c / 2][0], b = cut[c / 2][1], mean = 0.5, std = 0.1;
        hz_error err = {HZ_OK, ""};
        hz_exec ex = exec_of(1);
        hz_tensor w = weight((hz_dtype)(c % 2), HZ_DIMS(20000));
        expect_fine(hz_init_truncated_normal(&ex, &(hz_init_opts){.seed = 3}, mean, std, mean + a * std,
                                             mean + b * std, &w, &err),
                    &err);
        const numbers want = truncated_moments(a, b), got = numbers_of(&w);
        expect_moments(&w, mean + std * want.mean, std * want.deviation);
        cr_expect(got.least >= mean + a * std && got.most <= mean + b * std, "[%g, %g] holds %.17g … %.17g",
                  a, b, got.least, got.most);
        free(w.data);
        hz_pool_free(ex.pool);
    }
}

/* The distribution function takes each number back to the uniform one that it was made of. */
Test(truncated_normal, inverts_the_distribution_function_far_out_as_well) {
    hz_error err = {HZ_OK, ""};
    hz_exec ex = exec_of(1);
    hz_tensor w = weight(HZ_F64, HZ_DIMS(2000));
    const double below = erfc(1.5 / sqrt(2)) / 2, within = erfc(-2 / sqrt(2)) / 2 - below;
    expect_fine(hz_init_truncated_normal(&ex, NULL, 0, 1, -1.5, 2, &w, &err), &err);
    for (int64_t k = 0; k < 2000; k++) {
        const double u = (erfc(-hz_get_flat(&w, k) / sqrt(2)) / 2 - below) / within;
        cr_assert(fabs(u - hz_random_uniform(0, 0, (uint64_t)k)) < 1e-13, "number %d", (int)k);
    }
    expect_fine(hz_init_truncated_normal(&ex, NULL, 0, 1, 20, INFINITY, &w, &err), &err);
    for (int64_t k = 0; k < 2000; k++) { /* drawn below −20 and mirrored */
        const double u = erfc(hz_get_flat(&w, k) / sqrt(2)) / erfc(20 / sqrt(2));
        cr_assert(fabs(u - hz_random_uniform(0, 0, (uint64_t)k)) < 1e-12, "number %d", (int)k);
    }
    free(w.data);
    hz_pool_free(ex.pool);
}

/* ---- orthogonal ---- */

/* The largest difference between a multiple of the identity and the products of the shorter side's vectors. */
static double defect(const hz_tensor *w, double gain) {
    const int64_t rows = w->dim[0], columns = hz_numel(w) / rows;
    const bool as_rows = rows <= columns;
    const int64_t count = as_rows ? rows : columns, n = as_rows ? columns : rows;
    double worst = 0;
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j <= i; j++) {
            double sum = 0;
            for (int64_t k = 0; k < n; k++)
                sum += hz_get_flat(w, as_rows ? i * n + k : k * count + i) *
                       hz_get_flat(w, as_rows ? j * n + k : k * count + j);
            worst = fmax(worst, fabs(sum - (i == j) * gain * gain));
        }
    return worst;
}

Test(orthogonal, rows_or_columns_are_orthonormal) {
    static const int64_t shapes[][4] = {{150, 150, 1, 1}, {7, 50, 1, 1}, {50, 7, 1, 1},
                                        {12, 2, 3, 3},    {1, 1, 1, 1},  {30, 1, 1, 1}};
    for (int c = 0; c < 12; c++) {
        hz_error err = {HZ_OK, ""};
        hz_exec ex = exec_of(1);
        hz_tensor w = weight((hz_dtype)(c % 2), 4, shapes[c / 2]);
        expect_fine(hz_init_orthogonal(&ex, &(hz_init_opts){.seed = 9, .gain = 1.5}, &w, &err), &err);
        cr_expect(defect(&w, 1.5) < (w.dtype == HZ_F64 ? 1e-14 : 1e-6), "shape %d: %g", c / 2,
                  defect(&w, 1.5));
        cr_expect_eq(hz_pool_get_stats(ex.pool).used, 0);
        free(w.data);
        hz_pool_free(ex.pool);
    }
}

/* A reflection has determinant −1: fair matrices of 1 × 1 are 1 and −1 alike. */
Test(orthogonal, prefers_no_sign) {
    hz_exec ex = exec_of(1);
    int positive = 0;
    for (uint64_t k = 0; k < 400; k++) {
        double x = 0;
        const hz_tensor w = hz_tensor_of(&x, HZ_F64, HZ_DIMS(1, 1));
        cr_assert(hz_init_orthogonal(&ex, &(hz_init_opts){.stream = k}, &w, NULL));
        cr_assert_eq(fabs(x), 1);
        positive += x > 0;
    }
    cr_expect(positive > 150 && positive < 250, "%d of 400", positive);
    hz_pool_free(ex.pool);
}

/* ---- all of them ---- */

static bool initialise(int kind, const hz_exec *ex, const hz_init_opts *o, const hz_tensor *w,
                       hz_error *err) {
    switch (kind) {
    case 0:
        return hz_init_kaiming(ex, o, w, err);
    case 1:
        return hz_init_xavier(ex, o, w, err);
    case 2:
        return hz_init_orthogonal(ex, o, w, err);
    case 3:
        return hz_init_truncated_normal(ex, o, 0, 1, -2, 2, w, err);
    case 4:
        return hz_init_uniform(ex, o, -1, 3, w, err);
    case 5:
        return hz_init_normal(ex, o, 1, 2, w, err);
    default:
        return hz_init_constant(ex, 2.5, w, err);
    }
}
enum { KINDS = 7 };

Test(init, is_the_same_on_any_number_of_threads_and_in_any_layout) {
    for (int kind = 0; kind < KINDS; kind++) {
        hz_error err = {HZ_OK, ""};
        hz_exec one = exec_of(1), three = exec_of(3);
        hz_tensor a = weight(HZ_F32, HZ_DIMS(400, 100)), b = weight(HZ_F32, HZ_DIMS(400, 100));
        hz_tensor storage = weight(HZ_F32, HZ_DIMS(100, 400)), turned;
        if (kind == 2) a.dim[0] = b.dim[0] = 60, storage.dim[1] = 60, storage.stride[0] = 60;
        const hz_init_opts o = {.seed = 4, .stream = 2};
        cr_assert(hz_view_transpose(&storage, 0, 1, &turned, &err));
        expect_fine(initialise(kind, &one, &o, &a, &err), &err);
        expect_fine(initialise(kind, &three, &o, &b, &err), &err);
        expect_fine(initialise(kind, &three, &o, &turned, &err), &err);
        cr_expect_eq(memcmp(a.data, b.data, hz_nbytes(&a)), 0, "kind %d", kind);
        for (int64_t k = 0; k < hz_numel(&a); k++)
            cr_assert_eq(hz_get_flat(&a, k), hz_get_flat(&turned, k), "kind %d, element %d", kind, (int)k);
        free(a.data), free(b.data), free(storage.data);
        hz_pool_free(one.pool), hz_pool_free(three.pool);
    }
}

Test(init, depends_on_seed_and_stream) {
    for (int kind = 0; kind < KINDS - 1; kind++) {
        hz_exec ex = exec_of(1);
        double x[3][6];
        const hz_init_opts o[3] = {
            {.seed = 1, .stream = 1}, {.seed = 2, .stream = 1}, {.seed = 1, .stream = 2}};
        for (int c = 0; c < 3; c++) {
            const hz_tensor w = hz_tensor_of(x[c], HZ_F64, HZ_DIMS(2, 3));
            cr_assert(initialise(kind, &ex, &o[c], &w, NULL));
        }
        cr_expect(memcmp(x[0], x[1], sizeof x[0]) != 0 && memcmp(x[0], x[2], sizeof x[0]) != 0, "kind %d",
                  kind);
        hz_pool_free(ex.pool);
    }
}

Test(init, of_nothing_is_nothing) {
    hz_exec ex = exec_of(1);
    const hz_tensor none = hz_tensor_of(NULL, HZ_F32, HZ_DIMS(3, 0));
    for (int kind = 0; kind < KINDS; kind++)
        cr_expect(initialise(kind, &ex, NULL, &none, NULL), "kind %d", kind);
    hz_pool_free(ex.pool);
}

Test(constant, fills) {
    hz_exec ex = exec_of(1);
    float x[3] = {0, 0, 0};
    const hz_tensor w = hz_tensor_of(x, HZ_F32, HZ_DIMS(3));
    cr_assert(hz_init_constant(&ex, 2.5, &w, NULL));
    cr_expect(x[0] == 2.5F && x[2] == 2.5F);
    hz_pool_free(ex.pool);
}

Test(init, refuses_what_makes_no_sense) {
    hz_exec ex = exec_of(1);
    hz_error err = {HZ_OK, ""};
    int64_t whole[4];
    double x[4];
    const hz_tensor integers = hz_tensor_of(whole, HZ_I64, HZ_DIMS(2, 2)),
                    w = hz_tensor_of(x, HZ_F64, HZ_DIMS(2, 2)), flat = hz_tensor_of(x, HZ_F64, HZ_DIMS(4));
    for (int kind = 0; kind < KINDS; kind++)
        expect_failure(initialise(kind, &ex, NULL, &integers, &err), &err, HZ_ESHAPE,
                       "[2,2] of i64, not floats");
    for (int kind = 0; kind < 3; kind++)
        expect_failure(initialise(kind, &ex, NULL, &flat, &err), &err, HZ_ESHAPE, "[4] has no fans");
    for (int kind = 0; kind < 3; kind++)
        expect_failure(initialise(kind, &ex, &(hz_init_opts){.gain = -1}, &w, &err), &err, HZ_EINVAL, "gain");
    expect_failure(hz_init_kaiming(&ex, &(hz_init_opts){.fan = (hz_fan)5}, &w, &err), &err, HZ_EINVAL,
                   "5 is no hz_fan");
    expect_failure(hz_init_normal(&ex, NULL, 0, -1, &w, &err), &err, HZ_EINVAL, "standard deviation");
    expect_failure(hz_init_normal(&ex, NULL, NAN, 1, &w, &err), &err, HZ_EINVAL, "mean");
    expect_failure(hz_init_uniform(&ex, NULL, 2, 1, &w, &err), &err, HZ_EINVAL, "[2, 1)");
    expect_failure(hz_init_truncated_normal(&ex, NULL, 0, 1, 2, 2, &w, &err), &err, HZ_EINVAL,
                   "between 2 and 2");
    expect_failure(hz_init_truncated_normal(&ex, NULL, 0, 1, 50, 60, &w, &err), &err, HZ_EINVAL,
                   "is left in [50, 60]");
    expect_failure(hz_init_truncated_normal(&ex, NULL, 0, 0, -1, 1, &w, &err), &err, HZ_EINVAL, "is left");
    hz_pool_free(ex.pool);
}
