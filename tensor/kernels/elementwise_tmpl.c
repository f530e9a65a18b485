/* elementwise_tmpl.c: row kernels that need no more than arithmetic, comparisons, square root and rounding.
 *
 * A formula is a function of (x, a, b) or (x, y, a, b); its row kernel hands it to map1 or map2, where it is
 * inlined into a loop the compiler vectorises. Formulas are selections, not branches, and are compiled without
 * contraction: every instruction set gives the same bits. The table is at the end.
 *
 * SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include <string.h>
#include <tgmath.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/template.h"

/* Formulas of one family have one signature, whether they use all of it or not. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

typedef real formula1(real x, real a, real b);
typedef real formula2(real x, real y, real a, real b);
typedef bool relation(real x, real y);

HZ_INLINE void map1(int64_t n, const void *px, double pa, double pb, void *py, formula1 *f) {
    const real *x = px;
    real *y = py;
    const real a = (real)pa, b = (real)pb;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = f(x[i], a, b);
}

HZ_INLINE void map2(int64_t n, const void *px, int64_t sx, const void *py, int64_t sy, double pa, double pb,
                    void *pz, formula2 *f) {
    const real *x = px, *y = py;
    real *z = pz;
    const real a = (real)pa, b = (real)pb;
    if (sx == 1 && sy == 1) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) z[i] = f(x[i], y[i], a, b);
    } else if (sx == 1) {
        const real y0 = *y;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) z[i] = f(x[i], y0, a, b);
    } else if (sy == 1) {
        const real x0 = *x;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) z[i] = f(x0, y[i], a, b);
    } else {
        const real z0 = f(*x, *y, a, b);
#pragma omp simd
        for (int64_t i = 0; i < n; i++) z[i] = z0;
    }
}

HZ_INLINE void relate(int64_t n, const void *px, int64_t sx, const void *py, int64_t sy, uint8_t *z,
                      relation *holds) {
    const real *x = px, *y = py;
    if (sx == 1 && sy == 1) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) z[i] = holds(x[i], y[i]);
    } else if (sx == 1) {
        const real y0 = *y;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) z[i] = holds(x[i], y0);
    } else if (sy == 1) {
        const real x0 = *x;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) z[i] = holds(x0, y[i]);
    } else {
        const bool z0 = holds(*x, *y);
        for (int64_t i = 0; i < n; i++) z[i] = z0;
    }
}

/* ---- y = f(x) ---- */

static inline real affine(real x, real a, real b) {
    return a * x + b;
}
static inline real magnitude(real x, real a, real b) {
    return fabs(x);
}
static inline real sign(real x, real a, real b) {
    return x > 0 ? (real)1 : x < 0 ? (real)-1 : x; /* x: a zero or NaN */
}
static inline real step(real x, real a, real b) {
    return x > 0 ? (real)1 : (real)0;
}
static inline real square(real x, real a, real b) {
    return x * x;
}
static inline real root(real x, real a, real b) {
    return sqrt(x);
}
static inline real inverse_root(real x, real a, real b) {
    return (real)1 / sqrt(x);
}
static inline real reciprocal(real x, real a, real b) {
    return (real)1 / x;
}
static inline real round_down(real x, real a, real b) {
    return floor(x);
}
static inline real round_up(real x, real a, real b) {
    return ceil(x);
}
static inline real round_even(real x, real a, real b) {
    return rint(x);
}
static inline real relu(real x, real a, real b) {
    return x <= 0 ? (real)0 : x; /* NaN is not ≤ 0 and stays */
}
static inline real leaky_relu(real x, real a, real b) {
    return x > 0 ? x : a * x;
}
static inline real clip(real x, real a, real b) {
    const real low = x < a ? a : x;
    return low > b ? b : low;
}
static inline real inside(real x, real a, real b) {
    return ((x > a) & (x < b)) ? (real)1 : (real)0;
}
static inline real hard_sigmoid(real x, real a, real b) {
    return clip(a * x + b, 0, 1);
}
static inline real hard_swish(real x, real a, real b) {
    return x <= -3 ? (real)0 : x * clip(x / 6 + (real)0.5, 0, 1); /* −∞·0 would be NaN */
}

static void row_affine(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, affine);
}
static void row_abs(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, magnitude);
}
static void row_sign(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, sign);
}
static void row_step(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, step);
}
static void row_square(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, square);
}
static void row_sqrt(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, root);
}
static void row_rsqrt(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, inverse_root);
}
static void row_reciprocal(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, reciprocal);
}
static void row_floor(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, round_down);
}
static void row_ceil(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, round_up);
}
static void row_round(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, round_even);
}
static void row_relu(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, relu);
}
static void row_leaky_relu(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, leaky_relu);
}
static void row_clip(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, clip);
}
static void row_inside(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, inside);
}
static void row_hard_sigmoid(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, hard_sigmoid);
}
static void row_hard_swish(int64_t n, const void *x, double a, double b, void *y) {
    map1(n, x, a, b, y, hard_swish);
}

/* ---- z = f(x, y) ---- */

static inline real sum(real x, real y, real a, real b) {
    return x + y;
}
static inline real difference(real x, real y, real a, real b) {
    return x - y;
}
static inline real product(real x, real y, real a, real b) {
    return x * y;
}
static inline real quotient(real x, real y, real a, real b) {
    return x / y;
}
static inline real larger(real x, real y, real a, real b) {
    const real numbers = x > y ? x : y; /* y, if only y is NaN */
    return x == x ? numbers : x;
}
static inline real smaller(real x, real y, real a, real b) {
    const real numbers = x < y ? x : y;
    return x == x ? numbers : x;
}
static inline real axpy(real x, real y, real a, real b) {
    return a * x + y;
}
static inline real relu_grad(real x, real y, real a, real b) {
    return x > 0 ? y : (real)0;
}
static inline real leaky_relu_grad(real x, real y, real a, real b) {
    return x > 0 ? y : a * y;
}
static inline real clip_grad(real x, real y, real a, real b) {
    return ((x > a) & (x < b)) ? y : (real)0;
}
static inline real relu_guided(real x, real y, real a, real b) {
    return x > 0 ? relu(y, 0, 0) : (real)0;
}
static inline real tanh_grad(real x, real y, real a, real b) {
    return y * (1 - x * x);
}
static inline real sigmoid_grad(real x, real y, real a, real b) {
    return y * (x * (1 - x));
}

static void row_add(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                    void *z) {
    map2(n, x, sx, y, sy, a, b, z, sum);
}
static void row_sub(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                    void *z) {
    map2(n, x, sx, y, sy, a, b, z, difference);
}
static void row_mul(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                    void *z) {
    map2(n, x, sx, y, sy, a, b, z, product);
}
static void row_div(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                    void *z) {
    map2(n, x, sx, y, sy, a, b, z, quotient);
}
static void row_max(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                    void *z) {
    map2(n, x, sx, y, sy, a, b, z, larger);
}
static void row_min(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                    void *z) {
    map2(n, x, sx, y, sy, a, b, z, smaller);
}
static void row_axpy(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                     void *z) {
    map2(n, x, sx, y, sy, a, b, z, axpy);
}
static void row_relu_grad(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                          void *z) {
    map2(n, x, sx, y, sy, a, b, z, relu_grad);
}
static void row_leaky_relu_grad(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a,
                                double b, void *z) {
    map2(n, x, sx, y, sy, a, b, z, leaky_relu_grad);
}
static void row_clip_grad(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                          void *z) {
    map2(n, x, sx, y, sy, a, b, z, clip_grad);
}
static void row_relu_guided(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a,
                            double b, void *z) {
    map2(n, x, sx, y, sy, a, b, z, relu_guided);
}
static void row_tanh_grad(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a, double b,
                          void *z) {
    map2(n, x, sx, y, sy, a, b, z, tanh_grad);
}
static void row_sigmoid_grad(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, double a,
                             double b, void *z) {
    map2(n, x, sx, y, sy, a, b, z, sigmoid_grad);
}

/* ---- comparisons and tests ---- */

static inline bool equal(real x, real y) {
    return x == y;
}
static inline bool unequal(real x, real y) {
    return x != y;
}
static inline bool less(real x, real y) {
    return x < y;
}
static inline bool less_equal(real x, real y) {
    return x <= y;
}

static void row_eq(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, uint8_t *z) {
    relate(n, x, sx, y, sy, z, equal);
}
static void row_ne(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, uint8_t *z) {
    relate(n, x, sx, y, sy, z, unequal);
}
static void row_lt(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, uint8_t *z) {
    relate(n, x, sx, y, sy, z, less);
}
static void row_le(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, uint8_t *z) {
    relate(n, x, sx, y, sy, z, less_equal);
}
static void row_gt(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, uint8_t *z) {
    relate(n, y, sy, x, sx, z, less);
}
static void row_ge(int64_t n, const void *x, int64_t sx, const void *y, int64_t sy, uint8_t *z) {
    relate(n, y, sy, x, sx, z, less_equal);
}

/* Elements seen as bits: integers of the same size come here, too. */
#if defined(HZ_KERNEL_F32)
typedef uint32_t __attribute__((may_alias)) bits;
#else
typedef uint64_t __attribute__((may_alias)) bits;
#endif

static void row_where(int64_t n, const uint8_t *where, const void *px, const void *py, void *pz) {
    const bits *x = px, *y = py;
    bits *z = pz;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const bits mask = where[i] ? (bits)-1 : 0;
        z[i] = (x[i] & mask) | (y[i] & ~mask);
    }
}

static inline bool is_zero(real x, real y) {
    return x == 0;
}
static inline bool is_finite(real x, real y) {
    return x - x == 0; /* ∞ − ∞ is NaN */
}

/* Blocks without a branch inside, so that they vectorise; out at the first block that has a counterexample. */
HZ_INLINE bool all(int64_t n, const real *x, relation *holds) {
    enum { BLOCK = 1024 };
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t end = n - start < BLOCK ? n : start + BLOCK;
        int64_t bad = 0;
#pragma omp simd reduction(+ : bad)
        for (int64_t i = start; i < end; i++) bad += !holds(x[i], 0);
        if (bad) return false;
    }
    return true;
}
static bool all_zero(int64_t n, const void *x) {
    return all(n, x, is_zero);
}
static bool all_finite(int64_t n, const void *x) {
    return all(n, x, is_finite);
}

/* ---- streaming ---- */

/* Half a cache line, or all of it, per store: a line that is written in more pieces keeps a buffer of the core longer. */
#if defined(HZ_KERNEL_AVX512)
typedef __m512i chunk;
#define STREAM_CHUNK _mm512_stream_si512
#elif defined(HZ_KERNEL_AVX2)
typedef __m256i chunk;
#define STREAM_CHUNK _mm256_stream_si256
#elif defined(__SSE2__)
typedef __m128i chunk;
#define STREAM_CHUNK _mm_stream_si128
#endif

static void stream(int64_t bytes, const void *from, void *to) {
    int64_t i = 0;
#if defined(STREAM_CHUNK)
    for (; i + (int64_t)sizeof(chunk) <= bytes; i += (int64_t)sizeof(chunk)) {
        chunk c;
        memcpy(&c, (const char *)from + i, sizeof c);
        STREAM_CHUNK((chunk *)(void *)((char *)to + i), c);
    }
#endif
    memcpy((char *)to + i, (const char *)from + i, (size_t)(bytes - i));
}

const hz__elementwise HZ_KERNEL(elementwise) = {
    .unary =
        {
            [HZ_AFFINE] = row_affine,
            [HZ_ABS] = row_abs,
            [HZ_SIGN] = row_sign,
            [HZ_STEP] = row_step,
            [HZ_SQUARE] = row_square,
            [HZ_SQRT] = row_sqrt,
            [HZ_RSQRT] = row_rsqrt,
            [HZ_RECIPROCAL] = row_reciprocal,
            [HZ_FLOOR] = row_floor,
            [HZ_CEIL] = row_ceil,
            [HZ_ROUND] = row_round,
            [HZ_RELU] = row_relu,
            [HZ_LEAKY_RELU] = row_leaky_relu,
            [HZ_CLIP] = row_clip,
            [HZ_INSIDE] = row_inside,
            [HZ_HARD_SIGMOID] = row_hard_sigmoid,
            [HZ_HARD_SWISH] = row_hard_swish,
        },
    .binary =
        {
            [HZ_ADD] = row_add,
            [HZ_SUB] = row_sub,
            [HZ_MUL] = row_mul,
            [HZ_DIV] = row_div,
            [HZ_MAX] = row_max,
            [HZ_MIN] = row_min,
            [HZ_AXPY] = row_axpy,
            [HZ_RELU_GRAD] = row_relu_grad,
            [HZ_LEAKY_RELU_GRAD] = row_leaky_relu_grad,
            [HZ_CLIP_GRAD] = row_clip_grad,
            [HZ_RELU_GUIDED] = row_relu_guided,
            [HZ_TANH_GRAD] = row_tanh_grad,
            [HZ_SIGMOID_GRAD] = row_sigmoid_grad,
        },
    .compare =
        {
            [HZ_EQ] = row_eq,
            [HZ_NE] = row_ne,
            [HZ_LT] = row_lt,
            [HZ_LE] = row_le,
            [HZ_GT] = row_gt,
            [HZ_GE] = row_ge,
        },
    .where = row_where,
    .all_zero = all_zero,
    .all_finite = all_finite,
    .stream = stream,
};
