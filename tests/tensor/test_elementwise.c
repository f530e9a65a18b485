/* test_elementwise.c: maps over tensors of any layout. A map over scattered elements must give the bits of the
 * same map over packed ones; packed arithmetic is held against its formula in double, and every instruction set
 * against plain C.
 *
 * SPDX-License-Identifier: MIT */
#include "layouts.h"

#include "tensor/elementwise.h"

static const hz_dtype floats[] = {HZ_F32, HZ_F64};

static hz_exec exec_of(hz_isa isa, int threads) {
    return (hz_exec){.threads = threads, .isa = isa};
}

static hz_isa best(void) {
    return hz_isa_resolve(HZ_ISA_AUTO);
}

/* A contiguous tensor like t, holding its elements. */
static sample packed(const hz_tensor *t) {
    sample s = {hz_tensor_of(NULL, t->dtype, t->rank, t->dim), NULL};
    s.memory = s.t.data = malloc(hz_nbytes(&s.t) + 1);
    for (int64_t i = 0; i < hz_numel(t); i++) hz_set_flat(&s.t, i, hz_get_flat(t, i));
    return s;
}

static bool same(double a, double b) {
    return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

static void check_same(const hz_tensor *got, const hz_tensor *want, const char *what, int f) {
    for (int64_t i = 0; i < hz_numel(want); i++) {
        const double a = hz_get_flat(got, i), b = hz_get_flat(want, i);
        cr_assert(same(a, b), "%s %d, element %lld of %s: %.17g, not %.17g", what, f, (long long)i,
                  hz_shape_str(want).s, a, b);
    }
}

/* ---- shapes and layouts ---- */

typedef struct shape {
    int rank;
    int64_t dim[HZ_MAX_RANK];
} shape;

static shape random_shape(uint64_t *state) {
    shape s = {.rank = (int)random_int(state, 1, 4)};
    for (int k = 0; k < s.rank; k++) s.dim[k] = random_int(state, 1, s.rank == 1 ? 1500 : 11);
    return s;
}

/* What an output may look like: anything without stride 0. */
static layout random_output(uint64_t *state) {
    return (layout)random_int(state, CONTIGUOUS, REVERSED);
}
static layout random_input(uint64_t *state) {
    return (layout)random_int(state, CONTIGUOUS, BROADCAST);
}

enum { TRIALS = 12 }; /* per function, dtype and instruction set */

Test(map1, over_any_layout_gives_the_bits_of_packed_memory) {
    uint64_t state = 1;
    for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++)
        for (int trial = 0; trial < HZ_UNARIES * 2 * TRIALS; trial++) {
            const hz_exec ex = exec_of(isa, 1);
            const hz_unary f = (hz_unary)(trial % HZ_UNARIES);
            const hz_dtype dtype = floats[trial / HZ_UNARIES % 2];
            const shape s = random_shape(&state);
            sample x = sample_of(dtype, s.rank, s.dim, random_input(&state), &state), dense = packed(&x.t);
            sample y = sample_of(dtype, s.rank, s.dim, random_output(&state), &state), want = packed(&x.t);
            hz_map1(&ex, f, &dense.t, 0.75, 0.5, &want.t);
            hz_map1(&ex, f, &x.t, 0.75, 0.5, &y.t);
            check_same(&y.t, &want.t, "unary", f);
            hz_map1(&ex, f, &dense.t, 0.75, 0.5, &dense.t);
            check_same(&dense.t, &want.t, "unary in place", f);
            free_sample(&x), free_sample(&dense), free_sample(&y), free_sample(&want);
        }
}

Test(map2, over_any_layout_gives_the_bits_of_packed_memory) {
    uint64_t state = 2;
    for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++)
        for (int trial = 0; trial < HZ_BINARIES * 2 * TRIALS; trial++) {
            const hz_exec ex = exec_of(isa, 1);
            const hz_binary f = (hz_binary)(trial % HZ_BINARIES);
            const hz_dtype dtype = floats[trial / HZ_BINARIES % 2];
            const shape s = random_shape(&state);
            sample x = sample_of(dtype, s.rank, s.dim, random_input(&state), &state), px = packed(&x.t);
            sample y = sample_of(dtype, s.rank, s.dim, random_input(&state), &state), py = packed(&y.t);
            sample z = sample_of(dtype, s.rank, s.dim, random_output(&state), &state), want = packed(&z.t);
            hz_map2(&ex, f, &px.t, &py.t, 0.75, 0.5, &want.t);
            hz_map2(&ex, f, &x.t, &y.t, 0.75, 0.5, &z.t);
            check_same(&z.t, &want.t, "binary", f);
            hz_map2(&ex, f, &px.t, &py.t, 0.75, 0.5, &py.t);
            check_same(&py.t, &want.t, "binary in place of the second", f);
            hz_map2(&ex, f, &px.t, &y.t, 0.75, 0.5, &px.t);
            check_same(&px.t, &want.t, "binary in place of the first", f);
            free_sample(&x), free_sample(&px), free_sample(&y);
            free_sample(&py), free_sample(&z), free_sample(&want);
        }
}

Test(mul_add, over_any_layout_is_a_product_and_a_sum) {
    uint64_t state = 5;
    for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++)
        for (int trial = 0; trial < 200; trial++) {
            const hz_exec ex = exec_of(isa, 1);
            const hz_dtype dtype = floats[trial % 2];
            const shape s = random_shape(&state);
            sample x = sample_of(dtype, s.rank, s.dim, random_input(&state), &state);
            sample a = sample_of(dtype, s.rank, s.dim, random_input(&state), &state);
            sample b = sample_of(dtype, s.rank, s.dim, random_input(&state), &state);
            sample z = sample_of(dtype, s.rank, s.dim, random_output(&state), &state), want = packed(&z.t);
            hz_map2(&ex, HZ_MUL, &x.t, &a.t, 0, 0, &want.t);
            hz_map2(&ex, HZ_ADD, &want.t, &b.t, 0, 0, &want.t);
            hz_mul_add(&ex, &x.t, &a.t, &b.t, &z.t);
            check_same(&z.t, &want.t, "mul_add", 0);
            free_sample(&x), free_sample(&a), free_sample(&b), free_sample(&z), free_sample(&want);
        }
}

/* ---- formulas, at ordinary and special values ---- */

static const double values[] = {0.0, -0.0, 1,  -1,   0.5,  -0.5,  1.5,   2.5,      -2.5,      3,  -3,
                                6,   7,    -7, 0.75, 1e30, -1e30, 1e-30, INFINITY, -INFINITY, NAN};
enum { VALUES = sizeof values / sizeof values[0] };

static double clip(double x, double a, double b) {
    return x < a ? a : x > b ? b : x;
}

static double formula1(hz_unary f, double x, double a, double b) {
    switch (f) {
    case HZ_AFFINE:
        return a * x + b;
    case HZ_ABS:
        return fabs(x);
    case HZ_SIGN:
        return x > 0 ? 1 : x < 0 ? -1 : x;
    case HZ_STEP:
        return x > 0;
    case HZ_SQUARE:
        return x * x;
    case HZ_SQRT:
        return sqrt(x);
    case HZ_RSQRT:
        return 1 / sqrt(x);
    case HZ_RECIPROCAL:
        return 1 / x;
    case HZ_FLOOR:
        return floor(x);
    case HZ_CEIL:
        return ceil(x);
    case HZ_ROUND:
        return nearbyint(x);
    case HZ_RELU:
        return x > 0 || isnan(x) ? x : 0;
    case HZ_LEAKY_RELU:
        return x > 0 ? x : a * x;
    case HZ_CLIP:
        return clip(x, a, b);
    case HZ_INSIDE:
        return x > a && x < b;
    case HZ_HARD_SIGMOID:
        return clip(a * x + b, 0, 1);
    case HZ_HARD_SWISH:
        return x <= -3 ? 0 : x * clip(x / 6 + 0.5, 0, 1);
    default:
        return 0;
    }
}

static double formula2(hz_binary f, double x, double y, double a, double b) {
    switch (f) {
    case HZ_ADD:
        return x + y;
    case HZ_SUB:
        return x - y;
    case HZ_MUL:
        return x * y;
    case HZ_DIV:
        return x / y;
    case HZ_MAX:
        return isnan(x) || isnan(y) ? NAN : x > y ? x : y;
    case HZ_MIN:
        return isnan(x) || isnan(y) ? NAN : x < y ? x : y;
    case HZ_AXPY:
        return a * x + y;
    case HZ_RELU_GRAD:
        return x > 0 ? y : 0;
    case HZ_LEAKY_RELU_GRAD:
        return x > 0 ? y : a * y;
    case HZ_CLIP_GRAD:
        return a < x && x < b ? y : 0;
    case HZ_RELU_GUIDED:
        return x > 0 && !(y <= 0) ? y : 0;
    case HZ_TANH_GRAD:
        return y * (1 - x * x);
    case HZ_SIGMOID_GRAD:
        return y * x * (1 - x);
    default:
        return 0;
    }
}

/* In f32 the formula is rounded at each step, and 1e30 squared is infinite: so only what f32 can hold counts. */
static void check_value(double got, double want, hz_dtype dtype, const char *what, int f, double x,
                        double y) {
    const double eps = dtype == HZ_F32 ? FLT_EPSILON : DBL_EPSILON;
    if (dtype == HZ_F32 && fabs(want) > FLT_MAX) want = copysign(INFINITY, want);
    if (dtype == HZ_F32 && isnan(got) && fabs(x) == 1e30f) return; /* ∞ − ∞ on the way */
    cr_assert((isnan(got) && isnan(want)) || got == want ||
                  fabs(got - want) <= 4 * eps * fabs(want) + (dtype == HZ_F32 ? FLT_MIN : 0),
              "%s %d of %g, %g in %s: %.17g, not %.17g", what, f, x, y, hz_dtype_name(dtype), got, want);
}

Test(map1, arithmetic_follows_its_formula) {
    const int64_t n = VALUES;
    double mx[VALUES], my[VALUES];
    for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++)
        for (int d = 0; d < 2; d++)
            for (hz_unary f = 0; f < HZ_EXP; f++) {
                const hz_exec ex = exec_of(isa, 1);
                const double a = f == HZ_CLIP || f == HZ_INSIDE ? -1 : 0.25, b = f == HZ_AFFINE ? 0.5 : 1.5;
                const hz_tensor x = hz_tensor_of(mx, floats[d], 1, &n),
                                y = hz_tensor_of(my, floats[d], 1, &n);
                for (int i = 0; i < VALUES; i++) hz_set_flat(&x, i, values[i]);
                hz_map1(&ex, f, &x, a, b, &y);
                for (int i = 0; i < VALUES; i++) {
                    const double at = hz_get_flat(&x, i);
                    check_value(hz_get_flat(&y, i), formula1(f, at, a, b), floats[d], "unary", f, at, 0);
                }
            }
}

Test(map2, arithmetic_follows_its_formula) {
    const int64_t n = VALUES * VALUES;
    double mx[VALUES * VALUES], my[VALUES * VALUES], mz[VALUES * VALUES];
    for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++)
        for (int d = 0; d < 2; d++)
            for (hz_binary f = 0; f <= HZ_SIGMOID_GRAD; f++) {
                if (f == HZ_POW) continue;
                const hz_exec ex = exec_of(isa, 1);
                const hz_tensor x = hz_tensor_of(mx, floats[d], 1, &n),
                                y = hz_tensor_of(my, floats[d], 1, &n);
                const hz_tensor z = hz_tensor_of(mz, floats[d], 1, &n);
                for (int i = 0; i < n; i++) {
                    hz_set_flat(&x, i, values[i / VALUES]);
                    hz_set_flat(&y, i, values[i % VALUES]);
                }
                hz_map2(&ex, f, &x, &y, -1, 1.5, &z);
                for (int i = 0; i < n; i++) {
                    const double u = hz_get_flat(&x, i), v = hz_get_flat(&y, i);
                    if (floats[d] == HZ_F32 && f >= HZ_TANH_GRAD && fabs(u) > 1e20)
                        continue; /* u² overflows */
                    if (f == HZ_SIGMOID_GRAD && (isinf(u) || isinf(v)))
                        continue; /* the order of factors shows */
                    check_value(hz_get_flat(&z, i), formula2(f, u, v, -1, 1.5), floats[d], "binary", f, u, v);
                }
            }
}

Test(arithmetic, has_the_same_bits_on_every_instruction_set) {
    uint64_t state = 3;
    const int64_t n = 1003;
    for (hz_isa isa = HZ_ISA_AVX2; isa <= best(); isa++)
        for (int d = 0; d < 2; d++) {
            const hz_exec plain = exec_of(HZ_ISA_C, 1), fast = exec_of(isa, 1);
            sample x = sample_of(floats[d], 1, &n, CONTIGUOUS, &state);
            sample y = sample_of(floats[d], 1, &n, CONTIGUOUS, &state);
            sample a = packed(&x.t), b = packed(&x.t);
            for (hz_unary f = 0; f < HZ_EXP; f++) {
                hz_map1(&plain, f, &x.t, 0.7, 0.3, &a.t);
                hz_map1(&fast, f, &x.t, 0.7, 0.3, &b.t);
                check_same(&b.t, &a.t, "unary", f);
            }
            for (hz_binary f = 0; f <= HZ_SIGMOID_GRAD; f++) {
                if (f == HZ_POW) continue;
                hz_map2(&plain, f, &x.t, &y.t, 0.7, 0.3, &a.t);
                hz_map2(&fast, f, &x.t, &y.t, 0.7, 0.3, &b.t);
                check_same(&b.t, &a.t, "binary", f);
            }
            free_sample(&x), free_sample(&y), free_sample(&a), free_sample(&b);
        }
}

Test(relu, keeps_nan_and_stops_negative_infinity) {
    float m[] = {NAN, -INFINITY, INFINITY, -0.0f, 1e-45f}, out[5];
    const hz_tensor x = hz_tensor_of(m, HZ_F32, HZ_DIMS(5)), y = hz_tensor_of(out, HZ_F32, HZ_DIMS(5));
    const hz_exec ex = exec_of(best(), 1);
    hz_map1(&ex, HZ_RELU, &x, 0, 0, &y);
    cr_assert(isnan(out[0]) && out[1] == 0 && isinf(out[2]) && out[3] == 0 && out[4] == 1e-45f);
}

/* ---- copy, fill, cast ---- */

static hz_tensor small_ints(void *memory, hz_dtype dtype, int64_t n) {
    const hz_tensor t = hz_tensor_of(memory, dtype, 1, &n);
    for (int64_t i = 0; i < n; i++) hz_set_flat(&t, i, (double)(i * 37 % 251));
    return t;
}

Test(copy, moves_every_dtype_from_any_layout_to_any) {
    uint64_t state = 4;
    for (int trial = 0; trial < 400; trial++) {
        const hz_exec ex = exec_of(best(), 1);
        const hz_dtype dtype = floats[trial % 2];
        const shape s = random_shape(&state);
        sample x = sample_of(dtype, s.rank, s.dim, random_input(&state), &state);
        sample y = sample_of(dtype, s.rank, s.dim, random_output(&state), &state);
        hz_copy(&ex, &x.t, &y.t);
        check_same(&y.t, &x.t, "copy", trial);
        free_sample(&x), free_sample(&y);
    }
    for (hz_dtype dtype = HZ_F32; dtype < HZ_DTYPES; dtype++) {
        const hz_exec ex = exec_of(best(), 1);
        double mx[600], my[600];
        hz_tensor x = small_ints(mx, dtype, 600), y = hz_tensor_of(my, dtype, HZ_DIMS(30, 20)), folded;
        cr_assert(hz_view_reshape(&x, HZ_DIMS(20, 30), &folded, NULL));
        cr_assert(hz_view_transpose(&folded, 0, 1, &folded, NULL));
        hz_copy(&ex, &folded, &y);
        check_same(&y, &folded, "transposed copy", dtype);
    }
}

Test(copy, of_a_large_transpose_is_the_transpose) {
    const hz_exec ex = exec_of(best(), 2);
    uint64_t state = 5;
    for (int d = 0; d < 2; d++) {
        sample x = sample_of(floats[d], HZ_DIMS(3, 301, 257), CONTIGUOUS, &state);
        sample y = sample_of(floats[d], HZ_DIMS(3, 257, 301), CONTIGUOUS, &state);
        hz_tensor turned;
        cr_assert(hz_view_transpose(&x.t, 1, 2, &turned, NULL));
        hz_copy(&ex, &turned, &y.t);
        check_same(&y.t, &turned, "copy", d);
        free_sample(&x), free_sample(&y);
    }
}

Test(fill, writes_the_view_and_nothing_else) {
    const hz_exec ex = exec_of(best(), 1);
    for (hz_dtype dtype = HZ_F32; dtype < HZ_DTYPES; dtype++) {
        double memory[400];
        const hz_tensor all = small_ints(memory, dtype, 400);
        hz_tensor view;
        cr_assert(hz_view_slice(&all, 0, 100, 100, 2, &view, NULL));
        hz_fill(&ex, &view, 7);
        for (int64_t i = 0; i < 400; i++) {
            const bool inside = i >= 100 && i < 300 && i % 2 == 0;
            cr_assert(hz_get_flat(&all, i) == (inside ? 7 : (double)(i * 37 % 251)), "%s, element %d",
                      hz_dtype_name(dtype), (int)i);
        }
    }
}

Test(cast, converts_every_dtype_to_every_other) {
    const hz_exec ex = exec_of(best(), 1);
    for (hz_dtype from = HZ_F32; from < HZ_DTYPES; from++)
        for (hz_dtype to = HZ_F32; to < HZ_DTYPES; to++) {
            double mx[1300], my[1300];
            hz_tensor x = small_ints(mx, from, 1300), y = small_ints(my, to, 1300), back;
            cr_assert(hz_view_slice(&x, 0, 1299, 1300, -1, &back, NULL));
            hz_cast(&ex, &back, &y);
            check_same(&y, &back, hz_dtype_name(from), to);
        }
}

Test(cast, of_floats_to_integers_saturates_and_takes_nan_to_zero) {
    const double in[] = {NAN, INFINITY, -INFINITY, 1e300, -1e300, 2.9, -2.9, 255.5, -0.5};
    const int64_t n = sizeof in / sizeof in[0];
    const hz_exec ex = exec_of(best(), 1);
    double mx[9];
    int64_t wide[9];
    int32_t narrow[9];
    uint8_t byte[9];
    const hz_tensor x = hz_tensor_of(mx, HZ_F64, 1, &n), y64 = hz_tensor_of(wide, HZ_I64, 1, &n);
    const hz_tensor y32 = hz_tensor_of(narrow, HZ_I32, 1, &n), y8 = hz_tensor_of(byte, HZ_U8, 1, &n);
    memcpy(mx, in, sizeof in);
    hz_cast(&ex, &x, &y64);
    hz_cast(&ex, &x, &y32);
    hz_cast(&ex, &x, &y8);
    const int64_t want64[] = {0, INT64_MAX, INT64_MIN, INT64_MAX, INT64_MIN, 2, -2, 255, 0};
    const int32_t want32[] = {0, INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN, 2, -2, 255, 0};
    const uint8_t want8[] = {0, 255, 0, 255, 0, 2, 0, 255, 0};
    for (int i = 0; i < n; i++)
        cr_assert(wide[i] == want64[i] && narrow[i] == want32[i] && byte[i] == want8[i], "%g", in[i]);
}

Test(cast, keeps_all_bits_of_a_large_integer) {
    const hz_exec ex = exec_of(best(), 1);
    int64_t big = INT64_MAX - 1, copy = 0;
    int32_t narrow = 0;
    const hz_tensor x = hz_tensor_of(&big, HZ_I64, 0, NULL), y = hz_tensor_of(&copy, HZ_I64, 0, NULL);
    const hz_tensor z = hz_tensor_of(&narrow, HZ_I32, 0, NULL);
    hz_cast(&ex, &x, &y);
    hz_cast(&ex, &x, &z);
    cr_assert(copy == big && narrow == -2);
}

/* ---- comparisons, selection, tests ---- */

static bool relation(hz_comparison f, double x, double y) {
    return f == HZ_EQ   ? x == y
           : f == HZ_NE ? x != y
           : f == HZ_LT ? x < y
           : f == HZ_LE ? x <= y
           : f == HZ_GT ? x > y
                        : x >= y;
}

Test(compare, agrees_with_c_for_every_dtype_and_layout) {
    const int64_t dim[] = {VALUES, VALUES};
    for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++)
        for (hz_dtype dtype = HZ_F32; dtype < HZ_DTYPES; dtype++)
            for (hz_comparison f = HZ_EQ; f <= HZ_GE; f++) {
                const hz_exec ex = exec_of(isa, 1);
                double memory[VALUES];
                uint8_t out[VALUES * VALUES];
                const hz_tensor line = hz_tensor_of(memory, dtype, HZ_DIMS(VALUES, 1));
                const hz_tensor z = hz_tensor_of(out, HZ_U8, 2, dim);
                hz_tensor rows, columns;
                for (int i = 0; i < VALUES; i++)
                    hz_set_flat(&line, i, hz_dtype_is_float(dtype) ? values[i] : i / 2);
                cr_assert(hz_view_broadcast(&line, 2, dim, &rows, NULL));
                cr_assert(hz_view_transpose(&rows, 0, 1, &columns, NULL));
                hz_compare(&ex, f, &rows, &columns, &z);
                for (int64_t i = 0; i < VALUES * VALUES; i++)
                    cr_assert(out[i] == relation(f, hz_get_flat(&rows, i), hz_get_flat(&columns, i)),
                              "%d in %s: %g, %g", f, hz_dtype_name(dtype), hz_get_flat(&rows, i),
                              hz_get_flat(&columns, i));
            }
}

Test(where, takes_each_element_from_its_side) {
    uint64_t state = 6;
    for (hz_dtype dtype = HZ_F32; dtype < HZ_DTYPES; dtype++)
        for (int reversed = 0; reversed < 2; reversed++) {
            const hz_exec ex = exec_of(best(), 1);
            enum { COUNT = 1100 };
            double mx[COUNT], mz[COUNT], my;
            uint8_t mask[COUNT];
            for (int i = 0; i < COUNT; i++) mask[i] = (uint8_t)random_int(&state, 0, 2);
            hz_tensor where = hz_tensor_of(mask, HZ_U8, HZ_DIMS(COUNT)), x = small_ints(mx, dtype, COUNT);
            const hz_tensor one = hz_tensor_of(&my, dtype, HZ_DIMS(1)), z = small_ints(mz, dtype, COUNT);
            hz_tensor y;
            hz_set_flat(&one, 0, 99);
            cr_assert(hz_view_broadcast(&one, HZ_DIMS(COUNT), &y, NULL));
            if (reversed) cr_assert(hz_view_slice(&x, 0, COUNT - 1, COUNT, -1, &x, NULL));
            hz_where_map(&ex, &where, &x, &y, &z);
            for (int64_t i = 0; i < COUNT; i++)
                cr_assert(hz_get_flat(&z, i) == (mask[i] ? hz_get_flat(&x, i) : 99));
        }
}

Test(all_zero, and_all_finite_find_one_element_anywhere) {
    for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++)
        for (int d = 0; d < 2; d++)
            for (int64_t n = 1; n < 2600; n = n * 3 / 2 + 1)
                for (int reversed = 0; reversed < 2; reversed++) {
                    const hz_exec ex = exec_of(isa, 1);
                    double *memory = calloc((size_t)n, sizeof *memory);
                    const hz_tensor t = hz_tensor_of(memory, floats[d], 1, &n);
                    hz_tensor view = t;
                    if (reversed) cr_assert(hz_view_slice(&t, 0, n - 1, n, -1, &view, NULL));
                    hz_set_flat(&t, 0, -0.0);
                    cr_assert(hz_all_zero(&ex, &view) && hz_all_finite(&ex, &view));
                    hz_set_flat(&t, n - 1, 1e-40);
                    cr_assert(!hz_all_zero(&ex, &view) && hz_all_finite(&ex, &view));
                    hz_set_flat(&t, n / 2, -INFINITY);
                    cr_assert(!hz_all_finite(&ex, &view));
                    hz_set_flat(&t, n / 2, NAN);
                    cr_assert(!hz_all_finite(&ex, &view) && !hz_all_zero(&ex, &view));
                    free(memory);
                }
}

/* ---- sums of tensors, maps of the caller ---- */

Test(sum_n, adds_in_order_from_any_layout_into_any) {
    uint64_t state = 7;
    for (hz_isa isa = HZ_ISA_C; isa <= best(); isa++)
        for (int trial = 0; trial < 200; trial++) {
            const hz_exec ex = exec_of(isa, 1);
            const shape s = random_shape(&state);
            const hz_dtype dtype = floats[trial % 2];
            const int n = (int)random_int(&state, 1, 5);
            sample x[5], z = sample_of(dtype, s.rank, s.dim, random_output(&state), &state),
                         want = packed(&z.t);
            const hz_tensor *terms[5];
            for (int i = 0; i < n; i++) {
                x[i] =
                    sample_of(dtype, s.rank, s.dim, trial % 3 ? random_output(&state) : CONTIGUOUS, &state);
                terms[i] = &x[i].t;
            }
            for (int64_t k = 0; k < hz_numel(&want.t); k++) {
                hz_set_flat(&want.t, k, hz_get_flat(terms[0], k));
                for (int i = 1; i < n; i++)
                    hz_set_flat(&want.t, k, hz_get_flat(&want.t, k) + hz_get_flat(terms[i], k));
            }
            hz_sum_n(&ex, terms, n, &z.t);
            check_same(&z.t, &want.t, "sum of", n);
            hz_sum_n(&ex, terms, n, terms[n - 1]);
            check_same(terms[n - 1], &want.t, "sum in place of", n);
            for (int i = 0; i < n; i++) free_sample(&x[i]);
            free_sample(&z), free_sample(&want);
        }
}

static double weigh(double x, double a, double b) {
    return a * x - b;
}

Test(map_scalar, calls_the_function_for_each_element) {
    uint64_t state = 8;
    for (int trial = 0; trial < 40; trial++) {
        const hz_exec ex = exec_of(best(), 2);
        const shape s = random_shape(&state);
        sample x = sample_of(floats[trial % 2], s.rank, s.dim, random_input(&state), &state);
        sample y = sample_of(floats[trial % 2], s.rank, s.dim, random_output(&state), &state),
               want = packed(&x.t);
        for (int64_t i = 0; i < hz_numel(&x.t); i++)
            hz_set_flat(&want.t, i, weigh(hz_get_flat(&x.t, i), 3, 1));
        hz_map_scalar(&ex, weigh, &x.t, 3, 1, &y.t);
        check_same(&y.t, &want.t, "weigh", trial);
        free_sample(&x), free_sample(&y), free_sample(&want);
    }
}

/* ---- sizes ---- */

Test(maps, of_no_elements_touch_nothing) {
    const hz_exec ex = exec_of(best(), 2);
    const hz_tensor x = hz_tensor_of(NULL, HZ_F32, HZ_DIMS(3, 0, 2)),
                    mask = hz_tensor_of(NULL, HZ_U8, HZ_DIMS(3, 0, 2));
    hz_copy(&ex, &x, &x);
    hz_cast(&ex, &x, &mask);
    hz_fill(&ex, &x, 1);
    hz_map1(&ex, HZ_EXP, &x, 0, 0, &x);
    hz_map2(&ex, HZ_ADD, &x, &x, 0, 0, &x);
    hz_compare(&ex, HZ_LT, &x, &x, &mask);
    hz_where_map(&ex, &mask, &x, &x, &x);
    hz_sum_n(&ex, (const hz_tensor *[]){&x, &x}, 2, &x);
    hz_map_scalar(&ex, weigh, &x, 0, 0, &x);
    cr_assert(hz_all_zero(&ex, &x) && hz_all_finite(&ex, &x));
}

/* Beyond the sizes at which threads and streaming stores come in; one row length is not a multiple of anything. */
Test(maps, of_large_tensors_do_not_depend_on_threads_or_stores) {
    uint64_t state = 9;
    const int64_t dims[][2] = {{1, 8400003}, {1500, 1501}, {70000, 3}};
    for (int k = 0; k < 3; k++) {
        sample x = sample_of(HZ_F32, 2, dims[k], CONTIGUOUS, &state);
        sample one = sample_of(HZ_F32, 2, dims[k], CONTIGUOUS, &state), two = packed(&one.t);
        for (int layouts = 0; layouts < 2; layouts++) {
            const hz_exec serial = exec_of(best(), 1), parallel = exec_of(best(), 2);
            hz_tensor in = x.t;
            if (layouts) cr_assert(hz_view_slice(&in, 1, dims[k][1] - 1, dims[k][1], -1, &in, NULL));
            hz_map1(&serial, HZ_SIGMOID, &in, 0, 0, &one.t);
            hz_map1(&parallel, HZ_SIGMOID, &in, 0, 0, &two.t);
            cr_assert(memcmp(one.memory, two.memory, hz_nbytes(&one.t)) == 0);
            hz_map2(&parallel, HZ_MUL, &in, &one.t, 0, 0, &two.t);
            hz_map2(&serial, HZ_MUL, &in, &one.t, 0, 0, &one.t);
            cr_assert(memcmp(one.memory, two.memory, hz_nbytes(&one.t)) == 0);
            hz_sum_n(&serial, (const hz_tensor *[]){&in, &one.t, &in}, 3, &one.t);
            hz_sum_n(&parallel, (const hz_tensor *[]){&in, &two.t, &in}, 3, &two.t);
            cr_assert(memcmp(one.memory, two.memory, hz_nbytes(&one.t)) == 0);
            hz_copy(&serial, &in, &one.t);
            hz_copy(&parallel, &in, &two.t);
            cr_assert(memcmp(one.memory, two.memory, hz_nbytes(&one.t)) == 0);
        }
        free_sample(&x), free_sample(&one), free_sample(&two);
    }
}
