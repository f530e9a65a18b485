/* test_vmath.c: the transcendental maps against the C library in long double, on every instruction set, over
 * random arguments of all magnitudes and at the special ones.
 *
 * An error is measured in units of ε·|f|: each function has a bound for f32 and one for f64. Where the argument
 * of an inner exponential is rounded (x² in gelu, say), the bound grows with that argument: `exponent`.
 *
 * SPDX-License-Identifier: MIT */
#include "layouts.h"

#include "tensor/elementwise.h"

typedef long double wide;

static const double HUGE_ARGUMENT = 1e30;
static const wide SQRT_HALF = 0.707106781186547524400844362104849039L;
static const wide GELU_SLOPE = 1.59576912160573071175978423973752747L; /* 2√(2/π) */
static const wide GELU_CUBIC = 0.044715L;

/* ---- what is right ---- */

static wide ref_exp(wide x, wide a) {
    (void)a;
    return expl(x);
}
static wide ref_expm1(wide x, wide a) {
    (void)a;
    return expm1l(x);
}
static wide ref_log(wide x, wide a) {
    (void)a;
    return logl(x);
}
static wide ref_log1p(wide x, wide a) {
    (void)a;
    return log1pl(x);
}
static wide ref_pow(wide x, wide a) {
    return powl(x, a);
}
static wide ref_sin(wide x, wide a) {
    (void)a;
    return sinl(x);
}
static wide ref_cos(wide x, wide a) {
    (void)a;
    return cosl(x);
}
static wide ref_tanh(wide x, wide a) {
    (void)a;
    return tanhl(x);
}
static wide ref_erf(wide x, wide a) {
    (void)a;
    return erfl(x);
}
static wide ref_sigmoid(wide x, wide a) {
    (void)a;
    return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
}
static wide ref_softplus(wide x, wide a) {
    return (fmaxl(a * x, 0) + (isnan(x) ? x : log1pl(expl(-fabsl(a * x))))) / a;
}
static wide ref_silu(wide x, wide a) {
    return isinf(x) ? fmaxl(x, 0) : x * ref_sigmoid(x, a);
}
static wide normal_cdf(wide x) {
    return erfcl(-x * SQRT_HALF) / 2;
}
static wide ref_gelu(wide x, wide a) {
    (void)a;
    return isinf(x) ? fmaxl(x, 0) : x * normal_cdf(x);
}
static wide gelu_tanh_argument(wide x) {
    return GELU_SLOPE * (x + GELU_CUBIC * x * x * x);
}
static wide ref_gelu_tanh(wide x, wide a) {
    return isinf(x) ? fmaxl(x, 0) : x * ref_sigmoid(gelu_tanh_argument(x), a);
}
static wide ref_elu(wide x, wide a) {
    return x > 0 ? x : a * expm1l(x);
}
static wide ref_silu_grad(wide x, wide a) {
    const wide s = ref_sigmoid(x, a);
    return isinf(x) ? s : s * (1 + x * ref_sigmoid(-x, a));
}
static wide ref_gelu_grad(wide x, wide a) {
    (void)a;
    return normal_cdf(x) + (isinf(x) ? 0 : x * expl(-x * x / 2) * 0.398942280401432677939946059934381868L);
}
static wide ref_gelu_tanh_grad(wide x, wide a) {
    const wide u = gelu_tanh_argument(x), s = ref_sigmoid(u, a);
    if (fabsl(x) > 1e3L) return x > 0 ? 1 : 0;
    return s + x * s * ref_sigmoid(-u, a) * GELU_SLOPE * (1 + 3 * GELU_CUBIC * x * x);
}
static wide ref_elu_grad(wide x, wide a) {
    return x > 0 ? 1 : a * expl(x);
}
static wide ref_softplus_grad(wide x, wide a) {
    return ref_sigmoid(a * x, a);
}

/* ---- the exponents whose rounding counts ---- */

static double none(double x) {
    (void)x;
    return 0;
}
static double linear(double x) {
    return 1.5 * fabs(x);
}
static double square(double x) {
    return x * x;
}
static double cubic(double x) {
    return fabs((double)gelu_tanh_argument(x));
}

/* ---- the functions ---- */

typedef struct subject {
    const char *name;
    int f; /* hz_unary, or hz_binary for a derivative: then the cotangent is 1 */
    bool grad;
    wide (*reference)(wide x, wide a);
    double (*exponent)(double x);
    double f32, f64; /* bounds in ε·max(|f|, floor)·(1 + exponent) */
    double floor;    /* 0 for functions without a sum that cancels */
} subject;

static const subject subjects[] = {
    {"exp", HZ_EXP, false, ref_exp, none, 1, 1, 0},
    {"expm1", HZ_EXPM1, false, ref_expm1, none, 1, 1, 0},
    {"log", HZ_LOG, false, ref_log, none, 4, 1, 0},
    {"log1p", HZ_LOG1P, false, ref_log1p, none, 1, 1, 0},
    {"pow", HZ_POW_SCALAR, false, ref_pow, none, 1, 1, 0},
    {"sin", HZ_SIN, false, ref_sin, none, 1, 1, 0},
    {"cos", HZ_COS, false, ref_cos, none, 1, 1, 0},
    {"tanh", HZ_TANH, false, ref_tanh, none, 4, 2, 0},
    {"erf", HZ_ERF, false, ref_erf, none, 1, 1, 0},
    {"sigmoid", HZ_SIGMOID, false, ref_sigmoid, none, 3, 3, 0},
    {"softplus", HZ_SOFTPLUS, false, ref_softplus, linear, 4, 4, 0},
    {"silu", HZ_SILU, false, ref_silu, none, 3, 3, 0},
    {"gelu", HZ_GELU, false, ref_gelu, square, 4, 4, 0},
    {"gelu_tanh", HZ_GELU_TANH, false, ref_gelu_tanh, cubic, 4, 4, 0},
    {"elu", HZ_ELU, false, ref_elu, none, 2, 2, 0},
    {"silu_grad", HZ_SILU_GRAD, true, ref_silu_grad, none, 4, 4, 1},
    {"gelu_grad", HZ_GELU_GRAD, true, ref_gelu_grad, none, 4, 4, 1},
    {"gelu_tanh_grad", HZ_GELU_TANH_GRAD, true, ref_gelu_tanh_grad, none, 16, 16, 1},
    {"elu_grad", HZ_ELU_GRAD, true, ref_elu_grad, none, 2, 2, 0},
    {"softplus_grad", HZ_SOFTPLUS_GRAD, true, ref_softplus_grad, linear, 3, 3, 0},
};
enum { SUBJECTS = sizeof subjects / sizeof subjects[0] };
static const double PARAMETER = 1.5; /* a of pow, softplus, elu: exact in both dtypes */

static void apply(const hz_exec *ex, const subject *s, const hz_tensor *x, const hz_tensor *y) {
    if (!s->grad) {
        hz_map1(ex, (hz_unary)s->f, x, PARAMETER, 0, y);
        return;
    }
    double one64 = 1;
    float one32 = 1;
    hz_tensor dy = *x;
    dy.data = x->dtype == HZ_F32 ? (void *)&one32 : (void *)&one64;
    memset(dy.stride, 0, sizeof dy.stride);
    hz_map2(ex, (hz_binary)s->f, x, &dy, PARAMETER, 0, y);
}

static void check(const subject *s, hz_dtype dtype, hz_isa isa, double x, double got) {
    const bool f32 = dtype == HZ_F32;
    const double eps = f32 ? FLT_EPSILON : DBL_EPSILON, tiny = f32 ? FLT_MIN : DBL_MIN;
    const double most = f32 ? FLT_MAX : DBL_MAX;
    const wide want = s->reference(x, PARAMETER);
    const double bound = (f32 ? s->f32 : s->f64) * (1 + (isfinite(x) ? s->exponent(x) : 0)) * eps;
    const double size = fmax((double)fabsl(want), s->floor);
    if (isnan(want)) {
        cr_assert(isnan(got), "%s(%.17g) in %s, %s: %.17g, not NaN", s->name, x, hz_dtype_name(dtype),
                  hz_isa_name(isa), got);
    } else if (fabsl(want) >= most * (1 - 4 * eps)) { /* may round to infinity */
        cr_assert(fabs(got) >= most * (1 - 8 * eps) && (got > 0) == (want > 0),
                  "%s(%.17g) in %s, %s: %.17g, not %.17Lg", s->name, x, hz_dtype_name(dtype),
                  hz_isa_name(isa), got, want);
    } else {
        cr_assert(fabsl(got - want) <= bound * size + tiny, "%s(%.17g) in %s, %s: %.17g, not %.17Lg: %.3Lg ε",
                  s->name, x, hz_dtype_name(dtype), hz_isa_name(isa), got, want,
                  fabsl(got - want) / (size * eps));
    }
}

static void check_all(const hz_exec *ex, const subject *s, const hz_tensor *x, const hz_tensor *y) {
    apply(ex, s, x, y);
    for (int64_t i = 0; i < hz_numel(x); i++)
        check(s, x->dtype, ex->isa, hz_get_flat(x, i), hz_get_flat(y, i));
}

/* ---- tests ---- */

enum { N = 3001 };
static double x_memory[N], y_memory[N], z_memory[N];

/* Half of them in ±12, the others of any magnitude from 10^−30 to 10^4. */
static double draw(uint64_t *state) {
    const double u = (double)random_int(state, -1000000, 1000000) / 1e6;
    if (random_int(state, 0, 1)) return 12 * u;
    return copysign(pow(10, (double)random_int(state, -30000, 4000) / 1000), u);
}

Test(vmath, is_within_its_bound_of_the_exact_value) {
    uint64_t state = 1;
    const int64_t n = N;
    for (hz_isa isa = HZ_ISA_C; isa <= hz_isa_resolve(HZ_ISA_AUTO); isa++)
        for (int k = 0; k < SUBJECTS; k++)
            for (hz_dtype dtype = HZ_F32; dtype <= HZ_F64; dtype++) {
                const hz_exec ex = {.threads = 1, .isa = isa};
                const hz_tensor x = hz_tensor_of(x_memory, dtype, 1, &n),
                                y = hz_tensor_of(y_memory, dtype, 1, &n);
                for (int64_t i = 0; i < n; i++) hz_set_flat(&x, i, draw(&state));
                check_all(&ex, &subjects[k], &x, &y);
            }
}

/* Every 9973rd f32 there is, of either sign, with the infinities and NaN among them. */
Test(vmath, exp_and_tanh_hold_their_bounds_over_all_of_f32) {
    enum { STEP = 9973 };
    const subject *const inlined[] = {&subjects[0], &subjects[7]};
    for (hz_isa isa = HZ_ISA_AVX2; isa <= hz_isa_resolve(HZ_ISA_AUTO); isa++)
        for (uint64_t bits = 0; bits <= UINT32_MAX;) {
            float *x = (float *)x_memory;
            int64_t n = 0;
            for (; n < N && bits <= UINT32_MAX; n++, bits += STEP)
                memcpy(&x[n], &(uint32_t){(uint32_t)bits}, 4);
            const hz_exec ex = {.threads = 1, .isa = isa};
            const hz_tensor in = hz_tensor_of(x_memory, HZ_F32, 1, &n),
                            out = hz_tensor_of(y_memory, HZ_F32, 1, &n);
            for (size_t k = 0; k < sizeof inlined / sizeof *inlined; k++)
                check_all(&ex, inlined[k], &in, &out);
        }
}

Test(vmath, keeps_its_head_at_special_arguments) {
    const double special[] = {0.0,    -0.0,   INFINITY, -INFINITY, NAN,   HUGE_ARGUMENT, -HUGE_ARGUMENT,
                              1e-40,  -1e-40, 88.0,     -88.0,     89.0,  -89.0,         104.,
                              -104.0, 710.0,  -710.,    -746.0,    1e-20, 1.0,           -1.0,
                              2.0,    -2.0,   0.5,      -0.5,      5e-324};
    const int64_t n = sizeof special / sizeof special[0];
    for (hz_isa isa = HZ_ISA_C; isa <= hz_isa_resolve(HZ_ISA_AUTO); isa++)
        for (int k = 0; k < SUBJECTS; k++)
            for (hz_dtype dtype = HZ_F32; dtype <= HZ_F64; dtype++) {
                const hz_exec ex = {.threads = 1, .isa = isa};
                const hz_tensor x = hz_tensor_of(x_memory, dtype, 1, &n),
                                y = hz_tensor_of(y_memory, dtype, 1, &n);
                for (int64_t i = 0; i < n; i++) hz_set_flat(&x, i, special[i]);
                check_all(&ex, &subjects[k], &x, &y);
            }
}

Test(vmath, does_not_depend_on_where_a_value_lies) {
    uint64_t state = 2;
    for (hz_isa isa = HZ_ISA_C; isa <= hz_isa_resolve(HZ_ISA_AUTO); isa++)
        for (int k = 0; k < SUBJECTS; k++)
            for (hz_dtype dtype = HZ_F32; dtype <= HZ_F64; dtype++) {
                const hz_exec ex = {.threads = 1, .isa = isa};
                const int64_t n = random_int(&state, 1, 70), one = 1;
                const hz_tensor x = hz_tensor_of(x_memory, dtype, 1, &n),
                                y = hz_tensor_of(y_memory, dtype, 1, &n);
                for (int64_t i = 0; i < n; i++) hz_set_flat(&x, i, draw(&state));
                apply(&ex, &subjects[k], &x, &y);
                for (int64_t i = 0; i < n; i++) {
                    hz_tensor alone, z = hz_tensor_of(z_memory, dtype, 1, &one);
                    cr_assert(hz_view_slice(&x, 0, i, 1, 1, &alone, NULL));
                    apply(&ex, &subjects[k], &alone, &z);
                    const double a = hz_get_flat(&y, i), b = hz_get_flat(&z, 0);
                    cr_assert(a == b || (isnan(a) && isnan(b)),
                              "%s, element %lld of %lld: %.17g alone, %.17g in a row", subjects[k].name,
                              (long long)i, (long long)n, b, a);
                }
            }
}

Test(vmath, power_takes_each_element_to_its_own_exponent) {
    const double base[] = {2, 2, -2, -2, 0, 0, 3, 0.5, -1, 1, INFINITY, 10, 7, NAN};
    const double exponent[] = {3, -1, 3, 0.5, 0, 2, 0.5, -2, INFINITY, NAN, -1, 30, 1, 0};
    const int64_t n = sizeof base / sizeof base[0];
    for (hz_isa isa = HZ_ISA_C; isa <= hz_isa_resolve(HZ_ISA_AUTO); isa++)
        for (hz_dtype dtype = HZ_F32; dtype <= HZ_F64; dtype++) {
            const hz_exec ex = {.threads = 1, .isa = isa};
            const double eps = dtype == HZ_F32 ? FLT_EPSILON : DBL_EPSILON;
            const hz_tensor x = hz_tensor_of(x_memory, dtype, 1, &n),
                            y = hz_tensor_of(y_memory, dtype, 1, &n);
            const hz_tensor z = hz_tensor_of(z_memory, dtype, 1, &n);
            for (int64_t i = 0; i < n; i++) {
                hz_set_flat(&x, i, base[i]);
                hz_set_flat(&y, i, exponent[i]);
            }
            hz_map2(&ex, HZ_POW, &x, &y, 0, 0, &z);
            for (int64_t i = 0; i < n; i++) {
                const double got = hz_get_flat(&z, i), want = pow(base[i], exponent[i]);
                cr_assert((isnan(got) && isnan(want)) || got == want ||
                              fabs(got - want) <= 2 * eps * fabs(want),
                          "%g^%g in %s, %s: %.17g, not %.17g", base[i], exponent[i], hz_dtype_name(dtype),
                          hz_isa_name(isa), got, want);
            }
        }
}

Test(vmath, squares_and_reciprocals_are_exact_powers) {
    const int64_t n = 3;
    float memory[] = {3, -1.5f, 1e-3f}, result[3];
    const hz_tensor x = hz_tensor_of(memory, HZ_F32, 1, &n), y = hz_tensor_of(result, HZ_F32, 1, &n);
    const hz_exec ex = {.threads = 1, .isa = hz_isa_resolve(HZ_ISA_AUTO)};
    hz_map1(&ex, HZ_POW_SCALAR, &x, 2, 0, &y);
    for (int i = 0; i < 3; i++) cr_assert(result[i] == memory[i] * memory[i]);
    hz_map1(&ex, HZ_POW_SCALAR, &x, -1, 0, &y);
    for (int i = 0; i < 3; i++) cr_assert(result[i] == 1 / memory[i]);
}
