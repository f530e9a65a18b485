/* optim_tmpl.c: row kernels of the update rules; the formulas stand in tensor/optim.h.
 *
 * Each kernel is one loop that reads and writes every array once. What rules share (the gradient they work with, the
 * step they take) are functions of single elements, inlined. Square roots and divisions are exact and nothing is
 * contracted: every instruction set gives the same bits. The table is at the end.
 *
 * SPDX-License-Identifier: MIT */
#include <tgmath.h>

#include "tensor/kernels/optim.h"
#include "tensor/kernels/template.h"

/* hz_update_args in the type of the elements. */
typedef struct numbers {
    real scale, limit, l2, shrink, rate, beta1, gain1, beta2, gain2, now, past, correction, eps;
} numbers;

HZ_INLINE numbers rounded(const hz_update_args *a) {
    return (numbers){
        .scale = (real)a->scale,
        .limit = (real)a->limit,
        .l2 = (real)a->l2,
        .shrink = (real)a->shrink,
        .rate = (real)a->rate,
        .beta1 = (real)a->beta1,
        .gain1 = (real)a->gain1,
        .beta2 = (real)a->beta2,
        .gain2 = (real)a->gain2,
        .now = (real)a->now,
        .past = (real)a->past,
        .correction = (real)a->correction,
        .eps = (real)a->eps,
    };
}

/* ---- single elements ---- */

/* d = min(max(scale·g, −limit), limit) + l2·p; a NaN stays */
HZ_INLINE real gradient(numbers k, real g, real p) {
    const real scaled = k.scale * g;
    const real low = scaled < -k.limit ? -k.limit : scaled;
    return (low > k.limit ? k.limit : low) + k.l2 * p;
}

HZ_INLINE real descend(numbers k, real p, real direction) {
    return k.shrink * p - k.rate * direction;
}

HZ_INLINE real larger(real x, real y) {
    return x > y ? x : y;
}

HZ_INLINE real sign(real x) {
    return x > 0 ? (real)1 : x < 0 ? (real)-1 : x; /* x: a zero or NaN */
}

/* ---- SGD ---- */

static void row_sgd(int64_t n, const hz_update_args *args, void *param, const void *grad, void *const *s) {
    const numbers k = rounded(args);
    real *restrict p = param;
    const real *restrict g = grad;
    (void)s;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) p[i] = descend(k, p[i], gradient(k, g[i], p[i]));
}

static void row_momentum(int64_t n, const hz_update_args *args, void *param, const void *grad,
                         void *const *s) {
    const numbers k = rounded(args);
    real *restrict p = param, *restrict momentum = s[0];
    const real *restrict g = grad;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real d = gradient(k, g[i], p[i]);
        const real m = k.beta1 * momentum[i] + k.gain1 * d;
        p[i] = descend(k, p[i], k.now * d + k.past * m);
        momentum[i] = m;
    }
}

/* ---- Adam ---- */

static void row_adam(int64_t n, const hz_update_args *args, void *param, const void *grad, void *const *s) {
    const numbers k = rounded(args);
    real *restrict p = param, *restrict first = s[0], *restrict second = s[1];
    const real *restrict g = grad;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real d = gradient(k, g[i], p[i]);
        const real m = k.beta1 * first[i] + k.gain1 * d, v = k.beta2 * second[i] + k.gain2 * (d * d);
        p[i] = descend(k, p[i], m / (k.correction * sqrt(v) + k.eps));
        first[i] = m;
        second[i] = v;
    }
}

static void row_amsgrad(int64_t n, const hz_update_args *args, void *param, const void *grad,
                        void *const *s) {
    const numbers k = rounded(args);
    real *restrict p = param, *restrict first = s[0], *restrict second = s[1], *restrict most = s[2];
    const real *restrict g = grad;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real d = gradient(k, g[i], p[i]);
        const real m = k.beta1 * first[i] + k.gain1 * d, v = k.beta2 * second[i] + k.gain2 * (d * d);
        const real top = larger(most[i], v);
        p[i] = descend(k, p[i], m / (k.correction * sqrt(top) + k.eps));
        first[i] = m;
        second[i] = v;
        most[i] = top;
    }
}

/* ---- RMSprop and Adagrad ---- */

static void row_rmsprop(int64_t n, const hz_update_args *args, void *param, const void *grad,
                        void *const *s) {
    const numbers k = rounded(args);
    real *restrict p = param, *restrict square = s[0];
    const real *restrict g = grad;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real d = gradient(k, g[i], p[i]), v = k.beta2 * square[i] + k.gain2 * (d * d);
        p[i] = descend(k, p[i], d / (sqrt(v) + k.eps));
        square[i] = v;
    }
}

static void row_rmsprop_momentum(int64_t n, const hz_update_args *args, void *param, const void *grad,
                                 void *const *s) {
    const numbers k = rounded(args);
    real *restrict p = param, *restrict square = s[0], *restrict momentum = s[1];
    const real *restrict g = grad;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real d = gradient(k, g[i], p[i]), v = k.beta2 * square[i] + k.gain2 * (d * d);
        const real m = k.beta1 * momentum[i] + d / (sqrt(v) + k.eps);
        p[i] = descend(k, p[i], m);
        square[i] = v;
        momentum[i] = m;
    }
}

static void row_rmsprop_centered(int64_t n, const hz_update_args *args, void *param, const void *grad,
                                 void *const *s) {
    const numbers k = rounded(args);
    real *restrict p = param, *restrict square = s[0], *restrict mean = s[1];
    const real *restrict g = grad;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real d = gradient(k, g[i], p[i]), v = k.beta2 * square[i] + k.gain2 * (d * d);
        const real e = k.beta2 * mean[i] + k.gain2 * d;
        p[i] = descend(k, p[i], d / (sqrt(larger(v - e * e, 0)) + k.eps));
        square[i] = v;
        mean[i] = e;
    }
}

static void row_rmsprop_centered_momentum(int64_t n, const hz_update_args *args, void *param,
                                          const void *grad, void *const *s) {
    const numbers k = rounded(args);
    real *restrict p = param, *restrict square = s[0], *restrict mean = s[1], *restrict momentum = s[2];
    const real *restrict g = grad;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real d = gradient(k, g[i], p[i]), v = k.beta2 * square[i] + k.gain2 * (d * d);
        const real e = k.beta2 * mean[i] + k.gain2 * d;
        const real m = k.beta1 * momentum[i] + d / (sqrt(larger(v - e * e, 0)) + k.eps);
        p[i] = descend(k, p[i], m);
        square[i] = v;
        mean[i] = e;
        momentum[i] = m;
    }
}

static void row_adagrad(int64_t n, const hz_update_args *args, void *param, const void *grad,
                        void *const *s) {
    const numbers k = rounded(args);
    real *restrict p = param, *restrict sum = s[0];
    const real *restrict g = grad;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real d = gradient(k, g[i], p[i]), total = sum[i] + d * d;
        p[i] = descend(k, p[i], d / (sqrt(total) + k.eps));
        sum[i] = total;
    }
}

/* ---- Lion, averages ---- */

static void row_lion(int64_t n, const hz_update_args *args, void *param, const void *grad, void *const *s) {
    const numbers k = rounded(args);
    real *restrict p = param, *restrict momentum = s[0];
    const real *restrict g = grad;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const real d = gradient(k, g[i], p[i]), m = momentum[i];
        p[i] = descend(k, p[i], sign(k.now * d + k.past * m));
        momentum[i] = k.beta2 * m + k.gain2 * d;
    }
}

static void row_average(int64_t n, const hz_update_args *args, void *param, const void *grad,
                        void *const *s) {
    const numbers k = rounded(args);
    const real *restrict p = param;
    real *restrict average = s[0];
    (void)grad;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) average[i] += k.gain1 * (p[i] - average[i]);
}

/* ---- the table ---- */

const hz__optim HZ_KERNEL(optim) = {
    .row =
        {
            [HZ_UPDATE_SGD] = row_sgd,
            [HZ_UPDATE_MOMENTUM] = row_momentum,
            [HZ_UPDATE_ADAM] = row_adam,
            [HZ_UPDATE_AMSGRAD] = row_amsgrad,
            [HZ_UPDATE_RMSPROP] = row_rmsprop,
            [HZ_UPDATE_RMSPROP_MOMENTUM] = row_rmsprop_momentum,
            [HZ_UPDATE_RMSPROP_CENTERED] = row_rmsprop_centered,
            [HZ_UPDATE_RMSPROP_CENTERED_MOMENTUM] = row_rmsprop_centered_momentum,
            [HZ_UPDATE_ADAGRAD] = row_adagrad,
            [HZ_UPDATE_LION] = row_lion,
            [HZ_UPDATE_AVERAGE] = row_average,
        },
};
