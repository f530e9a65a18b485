/* random.c: Philox 4×32-10 and what is drawn from it.
 *
 * One call of the generator gives 128 bits, two numbers: numbers 2c and 2c + 1 of a stream come from counter
 *     (c low, c high, stream low, stream high)  under the key  (seed low, seed high).
 * A fill works on pieces of a fixed size, so that threads share nothing but the output.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/random.h"

#include <math.h>

#include "tensor/kernels/nest.h"

/* ---- the generator ---- */

typedef struct philox {
    uint32_t counter[4], key[2];
} philox;

/* One round: two 32 × 32 → 64 bit products, their halves crossed over; then the key moves on. */
static inline philox philox_round(philox p) {
    const uint64_t a = (uint64_t)0xD2511F53 * p.counter[0];
    const uint64_t b = (uint64_t)0xCD9E8D57 * p.counter[2];
    return (philox){
        .counter = {(uint32_t)(b >> 32) ^ p.counter[1] ^ p.key[0], (uint32_t)b,
                    (uint32_t)(a >> 32) ^ p.counter[3] ^ p.key[1], (uint32_t)a},
        .key = {p.key[0] + 0x9E3779B9, p.key[1] + 0xBB67AE85},
    };
}

void hz_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    philox p = {{counter[0], counter[1], counter[2], counter[3]}, {key[0], key[1]}};
    for (int round = 0; round < 10; round++) p = philox_round(p);
    for (int k = 0; k < 4; k++) out[k] = p.counter[k];
}

/* Numbers 2c and 2c + 1 of a stream. */
typedef struct bit_pair {
    uint64_t bits[2];
} bit_pair;

static bit_pair draw_pair(uint64_t seed, uint64_t stream, uint64_t c) {
    const uint32_t counter[4] = {(uint32_t)c, (uint32_t)(c >> 32), (uint32_t)stream,
                                 (uint32_t)(stream >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t word[4];
    hz_philox4x32(counter, key, word);
    return (bit_pair){{word[0] | (uint64_t)word[1] << 32, word[2] | (uint64_t)word[3] << 32}};
}

/* ---- from bits to numbers ---- */

static double to_uniform(uint64_t bits) {
    return (double)(bits >> 11) * 0x1p-53;
}

/* Box–Muller: two uniform numbers give two independent normal ones. */
static void to_normal_pair(bit_pair pair, double normal[2]) {
    const double pi = 3.14159265358979323846;
    const double radius = sqrt(-2 * log(to_uniform(pair.bits[0]) + 0x1p-53)); /* of (0, 1]: no log of 0 */
    const double angle = 2 * pi * to_uniform(pair.bits[1]);
    normal[0] = radius * cos(angle);
    normal[1] = radius * sin(angle);
}

/* The high 64 bits of a·b: a scaled from [0, 2^64) to [0, b). */
static uint64_t multiply_high(uint64_t a, uint64_t b) {
    const uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    const uint64_t middle = a1 * b0 + (a0 * b0 >> 32);
    const uint64_t carry = a0 * b1 + (uint32_t)middle;
    return a1 * b1 + (middle >> 32) + (carry >> 32);
}

uint64_t hz_random_bits(uint64_t seed, uint64_t stream, uint64_t k) {
    return draw_pair(seed, stream, k / 2).bits[k % 2];
}

double hz_random_uniform(uint64_t seed, uint64_t stream, uint64_t k) {
    return to_uniform(hz_random_bits(seed, stream, k));
}

double hz_random_normal(uint64_t seed, uint64_t stream, uint64_t k) {
    double normal[2];
    to_normal_pair(draw_pair(seed, stream, k / 2), normal);
    return normal[k % 2];
}

int64_t hz_random_below(uint64_t seed, uint64_t stream, uint64_t k, int64_t n) {
    return (int64_t)multiply_high(hz_random_bits(seed, stream, k), (uint64_t)n);
}

void hz_random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *out) {
    for (int64_t k = 0; k < n; k++) out[k] = k;
    for (int64_t k = n - 1; k > 0; k--) { /* Fisher–Yates */
        const int64_t other = hz_random_below(seed, stream, (uint64_t)k, k + 1), kept = out[k];
        out[k] = out[other];
        out[other] = kept;
    }
}

/* ---- fills ---- */

enum { PIECE = 1024 }; /* numbers drawn before they are stored; even, since they are drawn in pairs */

typedef struct fill {
    void (*make)(const struct fill *f, bit_pair pair, double out[2]);
    uint64_t seed, stream;
    double a, b; /* parameters of the distribution */
    double top;  /* uniform: the largest number that is still below b in the dtype of y */
    const hz_tensor *y;
    hz_tensor flat; /* y as one axis, if it is contiguous */
    bool contiguous;
} fill;

static void make_uniform(const fill *f, bit_pair pair, double out[2]) {
    for (int k = 0; k < 2; k++) {
        const double x = f->a + (f->b - f->a) * to_uniform(pair.bits[k]);
        out[k] = x < f->top ? x : f->top; /* rounding must not reach b */
    }
}

static void make_integer(const fill *f, bit_pair pair, double out[2]) {
    const uint64_t count = f->b < f->a ? 1 : (uint64_t)(f->b - f->a) + 1;
    for (int k = 0; k < 2; k++) out[k] = f->a + (double)multiply_high(pair.bits[k], count);
}

static void make_normal(const fill *f, bit_pair pair, double out[2]) {
    to_normal_pair(pair, out);
    for (int k = 0; k < 2; k++) out[k] = f->a + f->b * out[k];
}

/* Elements start … start + n of y, in row-major order, become x[0 … n). */
static void store(const fill *f, int64_t start, int64_t n, const double *x) {
    if (f->contiguous && f->y->dtype == HZ_F32) {
        for (int64_t k = 0; k < n; k++) ((float *)f->y->data)[start + k] = (float)x[k];
    } else if (f->contiguous) {
        for (int64_t k = 0, at = start; k < n; k++, at++) hz_set(&f->flat, &at, x[k]);
    } else {
        for (int64_t k = 0; k < n; k++) hz_set_flat(f->y, start + k, x[k]);
    }
}

static void fill_pieces(const void *ctx, int64_t begin, int64_t end) {
    const fill *f = ctx;
    const int64_t numel = hz_numel(f->y);
    double x[PIECE];
    for (int64_t piece = begin; piece < end; piece++) {
        const int64_t start = piece * PIECE, left = numel - start;
        const int64_t n = left < PIECE ? left : PIECE;
        for (int64_t k = 0; k < n; k += 2)
            f->make(f, draw_pair(f->seed, f->stream, (uint64_t)(start + k) / 2), x + k);
        store(f, start, n, x);
    }
}

static void run(const hz_exec *ex, fill *f) {
    const int64_t numel = hz_numel(f->y);
    f->contiguous = hz_is_contiguous(f->y);
    f->flat = hz_tensor_of(f->y->data, f->y->dtype, 1, &numel);
    const int64_t work = numel * 8; /* a random number costs several cheap operations */
    hz__parallel_for(ex, work, numel / PIECE + (numel % PIECE != 0), fill_pieces, f);
}

/* The largest number of y's dtype below hi; no limit where the range is turned round. */
static double largest_below(const hz_tensor *y, double lo, double hi) {
    if (!(lo < hi)) return hi < lo ? INFINITY : hi;
    return y->dtype == HZ_F32 ? (double)nextafterf((float)hi, -INFINITY) : nextafter(hi, -INFINITY);
}

/* Integers go through double, which holds those up to 2^53. */
static double to_whole(double x) {
    return floor(fmin(fmax(x, -0x1p53), 0x1p53));
}

void hz_random_fill_uniform(const hz_exec *ex, uint64_t seed, uint64_t stream, double lo, double hi,
                            const hz_tensor *y) {
    fill f = {.make = make_uniform, .seed = seed, .stream = stream, .a = lo, .b = hi, .y = y};
    f.top = largest_below(y, lo, hi);
    if (!hz_dtype_is_float(y->dtype)) {
        f.make = make_integer;
        f.a = -to_whole(-lo); /* the first and the last integer in [lo, hi] */
        f.b = to_whole(hi);
    }
    run(ex, &f);
}

void hz_random_fill_normal(const hz_exec *ex, uint64_t seed, uint64_t stream, double mean, double std,
                           const hz_tensor *y) {
    run(ex, &(fill){.make = make_normal, .seed = seed, .stream = stream, .a = mean, .b = std, .y = y});
}
