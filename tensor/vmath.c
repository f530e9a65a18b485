/* vmath.c: row kernels of the transcendental functions, through SLEEF's vector functions or, in the plain C
 * build, the C library. Compiled once per dtype and instruction set like the *_tmpl.c files; the only file that
 * includes sleef.h.
 *
 * The first part defines a handful of operations on `vec` (LANES numbers in a register; four floats in plain C, which the
 * compiler has for every processor, and one double) for each build; everything after it is written once, and + − · / work
 * on vectors as on numbers. Composite
 * functions (sigmoid, gelu, their derivatives, …) are fused into one pass. A row that does not fill its last
 * vector is padded and takes the same path, so a value never depends on where in memory it lies.
 *
 * Accuracy: SLEEF's u10 functions (1 ulp), except, in f32, its u35 log (3.5 ulp at most, twice as fast) and our own
 * inlined exp (1 ulp), tanh and e^x − 1 for x ≤ 0 (2 to 3 ulp). The composites add a few roundings; tests/tensor/test_vmath.c states and checks a bound for each.
 *
 * SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include <string.h>

#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/template.h"

#if !defined(HZ_KERNEL_C)
#include <immintrin.h>
#include <sleef.h>
#elif defined(HZ_KERNEL_F32)
#include "tensor/kernels/vector.h" /* vec, LANES, load, store */
#endif

/* Formulas of one family have one signature, whether they use all of it or not. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

#if defined(HZ_KERNEL_F32)
#define REAL_MAX FLT_MAX
#define FAST u35
#define TRIG_RANGE 125
#else
#define REAL_MAX DBL_MAX
#define FAST u10
#define TRIG_RANGE 15
#endif

/* ---- vec: load, store, set, larger and smaller (the second where either is NaN), where_positive (x > 0 ? a : b), all_within
 * (|x| < limit in every lane); f32 only: fused (a·b + c, the product not rounded where the processor can), rest_of_square
 * (a² − square, exactly, where square is a·a rounded), with_sign (of x; the magnitude is positive), times_power_of_2 (x·2^n, n
 * a whole number, rounded once), times_small_power_of_2 (the same for −200 < n < 20 and 0.1 < x < 2^7, sooner) ---- */

#if defined(HZ_KERNEL_C) && defined(HZ_KERNEL_F32)

typedef int32_t ints __attribute__((vector_size(sizeof(vec))));
static inline vec set(double c) {
    return (vec){(real)c, (real)c, (real)c, (real)c};
}
static inline vec choose(ints where, vec yes, vec no) {
    return (vec)((where & (ints)yes) | (~where & (ints)no));
}
static inline vec larger(vec a, vec b) {
    return choose(a > b, a, b);
}
static inline vec smaller(vec a, vec b) {
    return choose(a < b, a, b);
}
static inline vec where_positive(vec x, vec a, vec b) {
    return choose(x > set(0), a, b);
}
static inline bool all_within(vec x, double limit) {
    bool all = true;
    for (int i = 0; i < LANES; i++) all &= fabs(x[i]) < (real)limit;
    return all;
}
static inline vec fused(vec a, vec b, vec c) {
    return a * b + c;
}
static inline vec rest_of_square(vec a, vec square) { /* Dekker: of a = high + low each half has 12 bits */
    const vec far = set(4097) * a, high = far - (far - a), low = a - high;
    return ((high * high - square) + set(2) * high * low) + low * low;
}
static inline vec with_sign(vec magnitude, vec x) {
    return (vec)((ints)magnitude | ((ints)x & (ints)set(-0.0)));
}
static inline vec power_of_2(ints n) { /* of what NaN became, some number */
    typedef uint32_t bits __attribute__((vector_size(sizeof n)));
    return (vec)(((bits)n + 127) << 23);
}
static inline vec times_power_of_2(vec x, vec n) { /* in two steps: 2^n itself may not be a normal number */
    const ints all = __builtin_convertvector(n, ints), half = all >> 1;
    return x * power_of_2(half) * power_of_2(all - half);
}
static inline vec times_small_power_of_2(vec x, vec n) {
    enum { UP = 100 }; /* 2^(n + UP) is a normal number, and so is x times it */
    return x * power_of_2(__builtin_convertvector(n, ints) + UP) * set(0x1p-100);
}

/* VM(sin, u10) is sin_lanes: the C library's, lane by lane. */
#define VM(function, accuracy) function##_lanes
static inline vec each_lane(real (*f)(real x), vec x) {
    for (int i = 0; i < LANES; i++) x[i] = f(x[i]);
    return x;
}
static inline vec expm1_lanes(vec x) {
    return each_lane(expm1f, x);
}
static inline vec log_lanes(vec x) {
    return each_lane(logf, x);
}
static inline vec log1p_lanes(vec x) {
    return each_lane(log1pf, x);
}
static inline vec sin_lanes(vec x) {
    return each_lane(sinf, x);
}
static inline vec cos_lanes(vec x) {
    return each_lane(cosf, x);
}
static inline vec erf_lanes(vec x) {
    return each_lane(erff, x);
}
static inline vec pow_lanes(vec x, vec y) {
    for (int i = 0; i < LANES; i++) x[i] = powf(x[i], y[i]);
    return x;
}

#elif defined(HZ_KERNEL_C)

typedef real vec;
enum { LANES = 1 };
#define VM(function, accuracy) function
static inline vec load(const real *p) {
    return *p;
}
static inline void store(real *p, vec x) {
    *p = x;
}
static inline vec set(double c) {
    return (real)c;
}
static inline vec larger(vec a, vec b) {
    return a > b ? a : b;
}
static inline vec smaller(vec a, vec b) {
    return a < b ? a : b;
}
static inline vec where_positive(vec x, vec a, vec b) {
    return x > 0 ? a : b;
}
static inline bool all_within(vec x, double limit) {
    return fabs(x) < (real)limit;
}

#elif defined(HZ_KERNEL_AVX2) && defined(HZ_KERNEL_F32)

typedef __m256 vec;
enum { LANES = 8 };
#define VM_SUFFIX f8
static inline vec load(const real *p) {
    return _mm256_loadu_ps(p);
}
static inline void store(real *p, vec x) {
    _mm256_storeu_ps(p, x);
}
static inline vec set(double c) {
    return _mm256_set1_ps((real)c);
}
static inline vec larger(vec a, vec b) {
    return _mm256_max_ps(a, b);
}
static inline vec smaller(vec a, vec b) {
    return _mm256_min_ps(a, b);
}
static inline vec where_positive(vec x, vec a, vec b) {
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ));
}
static inline bool all_within(vec x, double limit) {
    const vec magnitude = larger(-x, x);
    return _mm256_movemask_ps(_mm256_cmp_ps(magnitude, set(limit), _CMP_LT_OQ)) == 0xff;
}
static inline vec fused(vec a, vec b, vec c) {
    return _mm256_fmadd_ps(a, b, c);
}
static inline vec with_sign(vec magnitude, vec x) {
    return _mm256_or_ps(magnitude, _mm256_and_ps(x, _mm256_set1_ps(-0.0F)));
}
static inline vec power_of_2(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
static inline vec times_power_of_2(vec x, vec n) { /* in two steps: 2^n itself may not be a normal number */
    const __m256i all = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(all, 1);
    return x * power_of_2(half) * power_of_2(_mm256_sub_epi32(all, half));
}
static inline vec times_small_power_of_2(vec x, vec n) {
    enum { UP = 100 }; /* 2^(n + UP) is a normal number, and so is x times it */
    return x * power_of_2(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(UP))) * set(0x1p-100);
}

#elif defined(HZ_KERNEL_AVX2) && defined(HZ_KERNEL_F64)

typedef __m256d vec;
enum { LANES = 4 };
#define VM_SUFFIX d4
static inline vec load(const real *p) {
    return _mm256_loadu_pd(p);
}
static inline void store(real *p, vec x) {
    _mm256_storeu_pd(p, x);
}
static inline vec set(double c) {
    return _mm256_set1_pd(c);
}
static inline vec larger(vec a, vec b) {
    return _mm256_max_pd(a, b);
}
static inline vec smaller(vec a, vec b) {
    return _mm256_min_pd(a, b);
}
static inline vec where_positive(vec x, vec a, vec b) {
    return _mm256_blendv_pd(b, a, _mm256_cmp_pd(x, _mm256_setzero_pd(), _CMP_GT_OQ));
}
static inline bool all_within(vec x, double limit) {
    const vec magnitude = larger(-x, x);
    return _mm256_movemask_pd(_mm256_cmp_pd(magnitude, set(limit), _CMP_LT_OQ)) == 0xf;
}

#elif defined(HZ_KERNEL_AVX512) && defined(HZ_KERNEL_F32)

typedef __m512 vec;
enum { LANES = 16 };
#define VM_SUFFIX f16
static inline vec load(const real *p) {
    return _mm512_loadu_ps(p);
}
static inline void store(real *p, vec x) {
    _mm512_storeu_ps(p, x);
}
static inline vec set(double c) {
    return _mm512_set1_ps((real)c);
}
static inline vec larger(vec a, vec b) {
    return _mm512_max_ps(a, b);
}
static inline vec smaller(vec a, vec b) {
    return _mm512_min_ps(a, b);
}
static inline vec where_positive(vec x, vec a, vec b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), b, a);
}
static inline bool all_within(vec x, double limit) {
    return _mm512_cmp_ps_mask(larger(-x, x), set(limit), _CMP_LT_OQ) == 0xffff;
}
static inline vec fused(vec a, vec b, vec c) {
    return _mm512_fmadd_ps(a, b, c);
}
static inline vec with_sign(vec magnitude, vec x) {
    return _mm512_or_ps(magnitude, _mm512_and_ps(x, _mm512_set1_ps(-0.0F)));
}
static inline vec times_power_of_2(vec x, vec n) {
    return _mm512_scalef_ps(x, n);
}
static inline vec times_small_power_of_2(vec x, vec n) {
    return times_power_of_2(x, n);
}

#elif defined(HZ_KERNEL_AVX512) && defined(HZ_KERNEL_F64)

typedef __m512d vec;
enum { LANES = 8 };
#define VM_SUFFIX d8
static inline vec load(const real *p) {
    return _mm512_loadu_pd(p);
}
static inline void store(real *p, vec x) {
    _mm512_storeu_pd(p, x);
}
static inline vec set(double c) {
    return _mm512_set1_pd(c);
}
static inline vec larger(vec a, vec b) {
    return _mm512_max_pd(a, b);
}
static inline vec smaller(vec a, vec b) {
    return _mm512_min_pd(a, b);
}
static inline vec where_positive(vec x, vec a, vec b) {
    return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(x, _mm512_setzero_pd(), _CMP_GT_OQ), b, a);
}
static inline bool all_within(vec x, double limit) {
    return _mm512_cmp_pd_mask(larger(-x, x), set(limit), _CMP_LT_OQ) == 0xff;
}

#endif

#if !defined(HZ_KERNEL_C)
#if defined(HZ_KERNEL_F32)
static inline vec rest_of_square(vec a, vec square) {
    return fused(a, a, -square);
}
#endif

/* VM(exp, u10) is Sleef_expf16_u10 or its like. */
#define VM_JOIN_(function, suffix, accuracy) Sleef_##function##suffix##_##accuracy
#define VM_JOIN(function, suffix, accuracy) VM_JOIN_(function, suffix, accuracy)
#define VM(function, accuracy) VM_JOIN(function, VM_SUFFIX, accuracy)
#endif

static inline vec absolute(vec x) {
    return larger(-x, x);
}
static inline vec at_most(double limit, vec x) { /* NaN stays */
    return smaller(set(limit), x);
}
static inline vec at_least(double limit, vec x) { /* NaN stays */
    return larger(set(limit), x);
}

/* ---- the exponential ---- */

#if defined(HZ_KERNEL_F32)

/* Inlined, e^x takes half the time of a call. e^x = 2^n·e^r with n = round(x/ln 2), |r| ≤ ln(2)/2, and
 * e^r − 1 = r + r²·P(r), P the interpolation of degree 4 at Chebyshev nodes, 1e−8 off. Within 1 ulp. */
static const double EXP_TAIL[] = {0.5, 0.1666657685, 0.04166655444, 0.008363202972, 0.001392621347};
static const double LN2_HIGH = 0.693359375,
                    LN2_LOW = -2.12194440054690583e-4; /* of 10 bits: n·LN2_HIGH is exact */

typedef struct exponent {
    vec n, m1; /* e^x = 2^n·(1 + m1) */
} exponent;

static inline exponent split_exponent(vec x) { /* |x| < 2^20 */
    const vec magic = set(12582912);           /* 1.5·2^23: the sum has no fraction bits left */
    const vec n = fused(x, set(1.44269504088896340736), magic) - magic;
    const vec r = fused(n, set(-LN2_LOW), fused(n, set(-LN2_HIGH), x));
    vec p = set(EXP_TAIL[4]);
    for (int k = 3; k >= 0; k--) p = fused(p, r, set(EXP_TAIL[k]));
    return (exponent){n, fused(p, r * r, r)};
}

/* Beyond the bounds it is 0 or ∞. */
static inline vec exp_of(vec x) {
    const exponent e = split_exponent(at_most(89, at_least(-104, x)));
    return times_power_of_2(set(1) + e.m1, e.n);
}

/* The same for x ≤ 0, and NaN, sooner. */
static inline vec exp_of_negative(vec x) {
    const exponent e = split_exponent(at_least(-104, x));
    return times_small_power_of_2(set(1) + e.m1, e.n);
}

/* e^x − 1 for x ≤ 0: 2^n·m1 + (2^n − 1), the difference exact where it counts. Within 2 ulp. */
static inline vec expm1_of_negative(vec x) {
    const exponent e = split_exponent(at_least(-104, x));
    const vec scale = times_small_power_of_2(set(1), e.n);
    return fused(scale, e.m1, scale - set(1));
}

/* With E = e^(−2|x|) − 1, |tanh x| = −E/(2 + E). */
static inline vec tanh_of(vec x) {
    const vec e = expm1_of_negative(set(-2) * absolute(x));
    return with_sign(-e / (set(2) + e), x);
}

#else

static inline vec exp_of(vec x) {
    return VM(exp, u10)(x);
}
static inline vec exp_of_negative(vec x) {
    return exp_of(x);
}
static inline vec expm1_of_negative(vec x) {
    return VM(expm1, u10)(x);
}
static inline vec tanh_of(vec x) {
    return VM(tanh, u10)(x);
}

#endif

/* ---- formulas ---- */

static inline vec exponential(vec x, vec a, vec b) {
    return exp_of(x);
}
static inline vec exponential_m1(vec x, vec a, vec b) {
    return VM(expm1, u10)(x);
}
static inline vec logarithm(vec x, vec a, vec b) {
    return VM(log, FAST)(x);
}
static inline vec logarithm_1p(vec x, vec a, vec b) {
    return VM(log1p, u10)(x);
}
static inline vec power_scalar(vec x, vec a, vec b) {
    return VM(pow, u10)(x, a);
}

/* Beyond TRIG_RANGE in any lane, or with a NaN, SLEEF's sine and cosine reduce all lanes in another way, which
 * may change last bits. There we take lane by lane, so that a value does not depend on its neighbours. */
static vec by_lanes(vec x, vec (*f)(vec x)) {
    real lanes[LANES], first[LANES];
    store(lanes, x);
    for (int i = 0; i < LANES; i++) {
        store(first, f(set((double)lanes[i])));
        lanes[i] = first[0];
    }
    return load(lanes);
}
static inline vec sine_of(vec x) {
    return VM(sin, u10)(x);
}
static inline vec cosine_of(vec x) {
    return VM(cos, u10)(x);
}
static inline vec sine(vec x, vec a, vec b) {
    return all_within(x, TRIG_RANGE) ? sine_of(x) : by_lanes(x, sine_of);
}
static inline vec cosine(vec x, vec a, vec b) {
    return all_within(x, TRIG_RANGE) ? cosine_of(x) : by_lanes(x, cosine_of);
}
static inline vec hyperbolic_tangent(vec x, vec a, vec b) {
    return tanh_of(x);
}
static inline vec error_function(vec x, vec a, vec b) {
    return VM(erf, u10)(x);
}

/* With e = exp(−|x|) ≤ 1 nothing overflows: sigmoid(x) is 1/(1 + e) for x > 0 and e/(1 + e) otherwise. */
static inline vec sigmoid(vec x, vec a, vec b) {
    const vec e = exp_of_negative(-absolute(x));
    return where_positive(x, set(1), e) / (set(1) + e);
}

/* log(1 + e^t) = max(t, 0) + log1p(e^−|t|), t = a·x */
static inline vec softplus(vec x, vec a, vec b) {
    const vec t = a * x;
    return (at_least(0, t) + VM(log1p, u10)(exp_of_negative(-absolute(t)))) / a;
}

/* x is cut off at −REAL_MAX because −∞·0 would be NaN; the limit is 0. */
static inline vec silu(vec x, vec a, vec b) {
    return at_least(-REAL_MAX, x) * sigmoid(x, a, b);
}

/* The normal distribution: gaussian(x) is e^(−x²/2), normal_cdf(x, gaussian(x)) is Φ(x), with its relative accuracy
 * kept for negative x, where (1 + erf(x/√2))/2 would cancel. */
#if defined(HZ_KERNEL_F32)

/* For a = |x|, Φ(−a) = e^(−a²/2)·R(a), and R is smooth: t·P(t) with t = 1/(1 + 0.27a) and P of degree 8, the
 * interpolation at Chebyshev nodes for a ≤ 14.5, has a relative error of 3e−8. A quarter of the time of erfc. */
static const double NORMAL_TAIL[] = {0.1077227585,   0.1075070932, 0.1020635491,  0.07107758251, 0.1100542173,
                                     -0.07234456244, 0.1724360973, -0.1277225574, 0.02920583343};

/* The square is taken to twice the precision: in the exponent its rounding would count x²/2-fold. */
static inline vec gaussian(vec x) {
    const vec a = at_most(20, absolute(x)), square = a * a, rest = rest_of_square(a, square);
    const vec e = exp_of_negative(set(-0.5) * square);
    return fused(set(-0.5) * rest, e, e);
}
static inline vec normal_cdf(vec x, vec gauss) {
    const vec t = set(1) / fused(set(0.27), at_most(20, absolute(x)), set(1));
    vec p = set(NORMAL_TAIL[8]);
    for (int k = 7; k >= 0; k--) p = fused(p, t, set(NORMAL_TAIL[k]));
    const vec tail = gauss * t * p;
    return where_positive(x, set(1) - tail, tail);
}

#else

static inline vec gaussian(vec x) {
    const vec a = at_most(1e3, absolute(x));
    return exp_of_negative(set(-0.5) * a * a);
}
static inline vec normal_cdf(vec x, vec gauss) {
    return set(0.5) * VM(erfc, u15)(x * set(-0.70710678118654752440));
}

#endif

static inline vec gelu(vec x, vec a, vec b) {
    return at_least(-REAL_MAX, x) * normal_cdf(x, gaussian(x));
}

/* (1 + tanh(u))/2 = sigmoid(2u), so gelu_tanh(x) = x·sigmoid(2u) with u = √(2/π)(x + 0.044715 x³). */
static const double GELU_SLOPE = 1.5957691216057307117; /* 2√(2/π) */
static const double GELU_CUBIC = 0.044715;

static inline vec gelu_tanh(vec x, vec a, vec b) {
    const vec u2 = set(GELU_SLOPE) * x * (set(1) + set(GELU_CUBIC) * x * x);
    return at_least(-REAL_MAX, x) * sigmoid(u2, a, b);
}
static inline vec elu(vec x, vec a, vec b) {
    return where_positive(x, x, a * expm1_of_negative(at_most(0, x)));
}

/* In the derivatives x is the input and y the cotangent. */

static inline vec power(vec x, vec y, vec a, vec b) {
    return VM(pow, u10)(x, y);
}

/* silu′ = s·(1 + x·(1 − s)), s = sigmoid(x) and 1 − s = sigmoid(−x) */
static inline vec silu_grad(vec x, vec y, vec a, vec b) {
    const vec e = exp_of_negative(-absolute(x));
    const vec s = where_positive(x, set(1), e) / (set(1) + e);
    const vec rest = where_positive(x, e, set(1)) / (set(1) + e);
    const vec bounded = at_most(REAL_MAX, at_least(-REAL_MAX, x));
    return y * (s * (set(1) + bounded * rest));
}

/* gelu′ = Φ(x) + x·φ(x), φ(x) = e^(−x²/2)/√(2π) */
static inline vec gelu_grad(vec x, vec y, vec a, vec b) {
    const vec bounded = at_most(1e3, at_least(-1e3, x)); /* φ is 0 there, and ∞·0 would be NaN */
    const vec gauss = gaussian(x);
    return y * (normal_cdf(x, gauss) + set(0.39894228040143267794) * bounded * gauss);
}

/* gelu_tanh′ = s + x·s·(1 − s)·(2u)′, s = sigmoid(2u) */
static inline vec gelu_tanh_grad(vec x, vec y, vec a, vec b) {
    const vec bounded = at_most(1e3, at_least(-1e3, x)); /* s is 0 or 1 there */
    const vec square = bounded * bounded;
    const vec u2 = set(GELU_SLOPE) * bounded * (set(1) + set(GELU_CUBIC) * square);
    const vec slope = set(GELU_SLOPE) * (set(1) + set(3 * GELU_CUBIC) * square);
    const vec e = exp_of_negative(-absolute(u2));
    const vec s = where_positive(u2, set(1), e) / (set(1) + e);
    const vec rest = where_positive(u2, e, set(1)) / (set(1) + e);
    return y * (s * (set(1) + bounded * slope * rest));
}
static inline vec elu_grad(vec x, vec y, vec a, vec b) {
    return where_positive(x, y, y * a * exp_of_negative(at_most(0, x)));
}
static inline vec softplus_grad(vec x, vec y, vec a, vec b) {
    return y * sigmoid(a * x, a, b);
}

/* ---- rows ---- */

typedef vec formula1(vec x, vec a, vec b);
typedef vec formula2(vec x, vec y, vec a, vec b);

/* n < LANES numbers, the rest zero; stride 0: the first one everywhere. */
static inline vec load_tail(const real *p, int64_t n, int64_t stride) {
    real padded[LANES] = {0};
    if (stride == 0) return set(*p);
    memcpy(padded, p, (size_t)n * sizeof *p);
    return load(padded);
}
static inline void store_tail(real *p, int64_t n, vec x) {
    real padded[LANES];
    store(padded, x);
    memcpy(p, padded, (size_t)n * sizeof *p);
}

HZ_INLINE void map1(int64_t n, const void *px, double pa, double pb, void *py, formula1 *f) {
    const real *x = px;
    real *y = py;
    const vec a = set(pa), b = set(pb);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) store(y + i, f(load(x + i), a, b));
    if (i < n) store_tail(y + i, n - i, f(load_tail(x + i, n - i, 1), a, b));
}

HZ_INLINE void map2(int64_t n, const void *px, int64_t sx, const void *py, int64_t sy, double pa, double pb,
                    void *pz, formula2 *f) {
    const real *x = px, *y = py;
    real *z = pz;
    const vec a = set(pa), b = set(pb);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const vec vx = sx ? load(x + i) : set(*x), vy = sy ? load(y + i) : set(*y);
        store(z + i, f(vx, vy, a, b));
    }
    if (i < n) {
        const vec vx = load_tail(x + i * sx, n - i, sx), vy = load_tail(y + i * sy, n - i, sy);
        store_tail(z + i, n - i, f(vx, vy, a, b));
    }
}

static void row_exp(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, exponential);
}
static void row_expm1(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, exponential_m1);
}
static void row_log(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, logarithm);
}
static void row_log1p(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, logarithm_1p);
}
static void row_pow_scalar(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, power_scalar);
}
static void row_sin(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, sine);
}
static void row_cos(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, cosine);
}
static void row_tanh(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, hyperbolic_tangent);
}
static void row_erf(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, error_function);
}
static void row_sigmoid(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, sigmoid);
}
static void row_softplus(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, softplus);
}
static void row_silu(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, silu);
}
static void row_gelu(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, gelu);
}
static void row_gelu_tanh(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, gelu_tanh);
}
static void row_elu(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, elu);
}

static void row_pow(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                    void *z) {
    map2(n, x, sx, y, sy, a, b, z, power);
}
static void row_silu_grad(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                          void *z) {
    map2(n, x, sx, y, sy, a, b, z, silu_grad);
}
static void row_gelu_grad(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                          void *z) {
    map2(n, x, sx, y, sy, a, b, z, gelu_grad);
}
static void row_gelu_tanh_grad(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a,
                               double b, void *z) {
    map2(n, x, sx, y, sy, a, b, z, gelu_tanh_grad);
}
static void row_elu_grad(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                         void *z) {
    map2(n, x, sx, y, sy, a, b, z, elu_grad);
}
static void row_softplus_grad(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a,
                              double b, void *z) {
    map2(n, x, sx, y, sy, a, b, z, softplus_grad);
}

/* ---- softmax ---- */

static double lane_sum(vec x, int64_t n) {
    real lanes[LANES];
    double sum = 0;
    store(lanes, x);
    for (int64_t i = 0; i < n; i++) sum += (double)lanes[i];
    return sum;
}

/* Each lane adds up at most RUN terms before it goes into the double: rounding stays at an ulp or two. */
static double exp_sum(int64_t n, const void *px, double shift, void *py) {
    enum { RUN = 32 * LANES };
    const real *x = px;
    real *y = py;
    const vec offset = set(shift);
    double sum = 0;
    int64_t i = 0;
    while (i + LANES <= n) {
        const int64_t end = n - i < RUN ? n : i + RUN;
        vec run = set(0);
        for (; i + LANES <= end; i += LANES) {
            const vec e = exp_of(load(x + i) - offset);
            if (y) store(y + i, e);
            run = run + e;
        }
        sum += lane_sum(run, LANES);
    }
    if (i < n) {
        const vec e = exp_of(load_tail(x + i, n - i, 1) - offset);
        if (y) store_tail(y + i, n - i, e);
        sum += lane_sum(e, n - i);
    }
    return sum;
}

static inline vec minus_scaled_exp(vec y, vec dy, vec sum, vec b) {
    return dy - exp_of(y) * sum;
}
static void log_softmax_grad(int64_t n, const void *y, const void *dy, double sum, void *dx) {
    map2(n, y, 1, dy, 1, sum, 0, dx, minus_scaled_exp);
}

const hz__vmath HZ_KERNEL(vmath) = {
    .unary =
        {
            [HZ_EXP] = row_exp,
            [HZ_EXPM1] = row_expm1,
            [HZ_LOG] = row_log,
            [HZ_LOG1P] = row_log1p,
            [HZ_POW_SCALAR] = row_pow_scalar,
            [HZ_SIN] = row_sin,
            [HZ_COS] = row_cos,
            [HZ_TANH] = row_tanh,
            [HZ_ERF] = row_erf,
            [HZ_SIGMOID] = row_sigmoid,
            [HZ_SOFTPLUS] = row_softplus,
            [HZ_SILU] = row_silu,
            [HZ_GELU] = row_gelu,
            [HZ_GELU_TANH] = row_gelu_tanh,
            [HZ_ELU] = row_elu,
        },
    .binary =
        {
            [HZ_POW] = row_pow,
            [HZ_GELU_GRAD] = row_gelu_grad,
            [HZ_GELU_TANH_GRAD] = row_gelu_tanh_grad,
            [HZ_SILU_GRAD] = row_silu_grad,
            [HZ_ELU_GRAD] = row_elu_grad,
            [HZ_SOFTPLUS_GRAD] = row_softplus_grad,
        },
    .exp_sum = exp_sum,
    .log_softmax_grad = log_softmax_grad,
};
