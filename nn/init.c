/* init.c: initial values of parameters, see init.h.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/init.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "tensor/elementwise.h"
#include "tensor/random.h"

static hz_init_opts given(const hz_init_opts *opts) {
    return opts ? *opts : (hz_init_opts){0};
}

static bool check_float(const hz_tensor *w, hz_error *err) {
    return hz_dtype_is_float(w->dtype) ||
           hz_fail(err, HZ_ESHAPE, "a parameter %s of %s, not floats, cannot be initialised",
                   hz_shape_str(w).s, hz_dtype_name(w->dtype));
}

static bool check_number(const char *what, double value, bool negative_too, hz_error *err) {
    return (isfinite(value) && (negative_too || value >= 0)) ||
           hz_fail(err, HZ_EINVAL, "the %s of an initialiser is %g", what, value);
}

/* ---- without fans ---- */

bool hz_init_constant(const hz_exec *ex, double value, const hz_tensor *w, hz_error *err) {
    if (!check_float(w, err)) return false;
    hz_fill(ex, w, value);
    return true;
}

bool hz_init_uniform(const hz_exec *ex, const hz_init_opts *opts, double lo, double hi, const hz_tensor *w,
                     hz_error *err) {
    const hz_init_opts o = given(opts);
    if (!check_float(w, err) || !check_number("lower bound", lo, true, err) ||
        !check_number("upper bound", hi, true, err))
        return false;
    if (lo > hi) return hz_fail(err, HZ_EINVAL, "an initialiser cannot draw from [%g, %g)", lo, hi);
    hz_random_fill_uniform(ex, o.seed, o.stream, lo, hi, w);
    return true;
}

bool hz_init_normal(const hz_exec *ex, const hz_init_opts *opts, double mean, double std, const hz_tensor *w,
                    hz_error *err) {
    const hz_init_opts o = given(opts);
    if (!check_float(w, err) || !check_number("mean", mean, true, err) ||
        !check_number("standard deviation", std, false, err))
        return false;
    hz_random_fill_normal(ex, o.seed, o.stream, mean, std, w);
    return true;
}

/* ---- with fans ---- */

bool hz_init_fans(const hz_tensor *w, int64_t *fan_in, int64_t *fan_out, hz_error *err) {
    if (w->rank < 2)
        return hz_fail(err, HZ_ESHAPE, "%s has no fans: a weight is (out, in, …)", hz_shape_str(w).s);
    int64_t field = 1;
    for (int k = 2; k < w->rank; k++) field *= w->dim[k];
    *fan_in = w->dim[1] * field;
    *fan_out = w->dim[0] * field;
    return true;
}

double hz_init_gain(const char *activation, double slope) {
    static const struct {
        const char *name;
        double gain;
    } gains[] = {{"linear", 1}, {"sigmoid", 1}, {"tanh", 5.0 / 3}, {"selu", 0.75}};
    for (size_t k = 0; k < sizeof gains / sizeof gains[0]; k++)
        if (strcmp(activation, gains[k].name) == 0) return gains[k].gain;
    if (strcmp(activation, "relu") == 0) return sqrt(2);
    return strcmp(activation, "leaky_relu") == 0 ? sqrt(2 / (1 + slope * slope)) : NAN;
}

/* Mean 0 and standard deviation gain/√fan. */
static bool fill_scaled(const hz_exec *ex, const hz_init_opts *o, double gain, double fan, const hz_tensor *w,
                        hz_error *err) {
    if (!check_number("gain", gain, false, err)) return false;
    if (hz_numel(w) == 0) return true; /* and its fan may be 0 */
    const double std = gain / sqrt(fan), bound = sqrt(3) * std;
    return o->normal ? hz_init_normal(ex, o, 0, std, w, err) : hz_init_uniform(ex, o, -bound, bound, w, err);
}

bool hz_init_kaiming(const hz_exec *ex, const hz_init_opts *opts, const hz_tensor *w, hz_error *err) {
    const hz_init_opts o = given(opts);
    int64_t in = 0, out = 0;
    if (!check_float(w, err) || !hz_init_fans(w, &in, &out, err)) return false;
    if (o.fan != HZ_FAN_IN && o.fan != HZ_FAN_OUT)
        return hz_fail(err, HZ_EINVAL, "%d is no hz_fan", (int)o.fan);
    return fill_scaled(ex, &o, o.gain == 0 ? sqrt(2) : o.gain, (double)(o.fan == HZ_FAN_IN ? in : out), w,
                       err);
}

bool hz_init_xavier(const hz_exec *ex, const hz_init_opts *opts, const hz_tensor *w, hz_error *err) {
    const hz_init_opts o = given(opts);
    int64_t in = 0, out = 0;
    if (!check_float(w, err) || !hz_init_fans(w, &in, &out, err)) return false;
    return fill_scaled(ex, &o, o.gain == 0 ? 1 : o.gain, ((double)in + (double)out) / 2, w, err);
}

/* ---- truncated normal: the inverse of the distribution function at uniform numbers ---- */

/* Φ(x), accurate for x ≤ 0 however small it gets. */
static double normal_below(double x) {
    return 0.5 * erfc(-x * 0.70710678118654752440);
}

/* Φ⁻¹(p) for 0 < p ≤ 1/2: to 4.5e-4 by Abramowitz & Stegun 26.2.23, then Halley's method, which cubes the error. */
static double lower_quantile(double p) {
    const double root_2pi = 2.50662827463100050242, t = sqrt(-2 * log(p));
    double x =
        (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t;
    for (int k = 0; k < 2; k++) {
        const double step = (normal_below(x) - p) * root_2pi * exp(x * x / 2);
        x -= step / (1 + x * step / 2);
    }
    return x;
}

static double quantile(double p) {
    return p <= 0.5 ? lower_quantile(p) : -lower_quantile(1 - p);
}

/* What draws a truncated normal number: the interval in units of std about the mean, mirrored (sign = −1) where it
 * lies above the mean, because Φ is accurate below. */
typedef struct truncation {
    double mean, std, sign;
    double p_lo, p_hi;
    double lo, hi; /* the result's */
} truncation;

static truncation truncate_normal(double mean, double std, double lo, double hi) {
    double a = (lo - mean) / std, b = (hi - mean) / std;
    const bool mirrored = a > 0;
    if (mirrored) {
        const double kept = a;
        a = -b;
        b = -kept;
    }
    return (truncation){mean, std, mirrored ? -1 : 1, normal_below(a), normal_below(b), lo, hi};
}

static double draw_truncated(const truncation *t, double uniform) {
    const double p = t->p_lo + (t->p_hi - t->p_lo) * uniform;
    const double z = p > 0 && p < 1 ? quantile(p) : p > 0 ? INFINITY : -INFINITY;
    return fmin(fmax(t->mean + t->std * t->sign * z, t->lo), t->hi);
}

/* x rounded into the dtype of w without leaving [lo, hi]. */
static double settle(const hz_tensor *w, double x, double lo, double hi) {
    if (w->dtype == HZ_F64) return x;
    const float y = (float)x;
    return y < lo ? nextafterf(y, INFINITY) : y > hi ? nextafterf(y, -INFINITY) : y;
}

bool hz_init_truncated_normal(const hz_exec *ex, const hz_init_opts *opts, double mean, double std, double lo,
                              double hi, const hz_tensor *w, hz_error *err) {
    const hz_init_opts o = given(opts);
    (void)ex;
    if (!check_float(w, err) || !check_number("mean", mean, true, err) ||
        !check_number("standard deviation", std, false, err))
        return false;
    if (!(lo < hi)) return hz_fail(err, HZ_EINVAL, "nothing is left between %g and %g", lo, hi);
    const truncation t = truncate_normal(mean, std, lo, hi);
    if (!(std > 0 && t.p_lo < t.p_hi))
        return hz_fail(err, HZ_EINVAL,
                       "nothing of a normal distribution of mean %g and deviation %g is left in [%g, %g]",
                       mean, std, lo, hi);
    for (int64_t k = 0; k < hz_numel(w); k++) {
        const double x = draw_truncated(&t, hz_random_uniform(o.seed, o.stream, (uint64_t)k));
        hz_set_flat(w, k, settle(w, x, lo, hi));
    }
    return true;
}

/* ---- orthogonal ---- */

static double dot(int64_t n, const double *x, const double *y) {
    double sum[8] = {0}; /* independent sums, so that the loop can be vectorised */
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) sum[k] += x[i + k] * y[i + k];
    for (; i < n; i++) sum[0] += x[i] * y[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* x = x − (x·q)·q for each of the vectors q before it */
static void remove_projections(int64_t n, int64_t count, const double *q, double *x) {
    for (int64_t k = 0; k < count; k++) {
        const double along = dot(n, q + k * n, x);
        for (int64_t i = 0; i < n; i++) x[i] -= along * q[k * n + i];
    }
}

static bool normalise(int64_t n, double *x) {
    const double length = sqrt(dot(n, x, x));
    for (int64_t i = 0; i < n; i++) x[i] /= length;
    return length > 0;
}

/* Modified Gram–Schmidt on count vectors of n ≥ count numbers. The first pass over a vector leaves rounding errors
 * relative to what it took away; the second, on a vector of length 1, leaves almost none (Giraud et al. 2005). */
static bool orthonormalise(int64_t n, int64_t count, double *q) {
    for (int64_t k = 0; k < count; k++) {
        double *x = q + k * n;
        remove_projections(n, k, q, x);
        if (!normalise(n, x)) return false;
        remove_projections(n, k, q, x);
        if (!normalise(n, x)) return false;
    }
    return true;
}

/* Write count vectors of n, times gain, into w as its rows or as its columns. */
static void store_vectors(const hz_tensor *w, bool as_rows, int64_t count, int64_t n, double gain,
                          const double *q) {
    for (int64_t k = 0; k < count; k++)
        for (int64_t i = 0; i < n; i++)
            hz_set_flat(w, as_rows ? k * n + i : i * count + k, gain * q[k * n + i]);
}

bool hz_init_orthogonal(const hz_exec *ex, const hz_init_opts *opts, const hz_tensor *w, hz_error *err) {
    const hz_init_opts o = given(opts);
    const double gain = o.gain == 0 ? 1 : o.gain;
    int64_t columns = 0, ignored = 0;
    if (!check_float(w, err) || !hz_init_fans(w, &columns, &ignored, err) ||
        !check_number("gain", gain, false, err))
        return false;
    if (hz_numel(w) == 0) return true;
    const int64_t rows = w->dim[0];
    const bool as_rows = rows <= columns;
    const int64_t count = as_rows ? rows : columns, n = as_rows ? columns : rows;
    hz_tensor q = hz_tensor_of(NULL, HZ_F64, HZ_DIMS(count, n));
    hz_block *block = hz_pool_tensor(ex->pool, &q, err);
    if (!block) return false;
    hz_random_fill_normal(ex, o.seed, o.stream, 0, 1, &q);
    const bool ok = orthonormalise(n, count, q.data);
    if (ok) store_vectors(w, as_rows, count, n, gain, q.data);
    hz_block_unref(block);
    return ok || hz_fail(err, HZ_ENUMERIC, "%s: the vectors drawn are dependent", hz_shape_str(w).s);
}

/* ---- any of these ---- */

bool hz_init(const hz_exec *ex, const hz_initial *how, uint64_t seed, uint64_t stream, const hz_tensor *w,
             hz_error *err) {
    const hz_init_opts o = {
        .seed = seed, .stream = stream, .fan = how->fan, .gain = how->gain, .normal = how->normal};
    switch (how->kind) {
    case HZ_INITIAL_CONSTANT:
        return hz_init_constant(ex, how->a, w, err);
    case HZ_INITIAL_UNIFORM:
        return hz_init_uniform(ex, &o, how->a, how->b, w, err);
    case HZ_INITIAL_NORMAL:
        return hz_init_normal(ex, &o, how->a, how->b, w, err);
    case HZ_INITIAL_TRUNCATED_NORMAL:
        return hz_init_truncated_normal(ex, &o, how->a, how->b, how->lo, how->hi, w, err);
    case HZ_INITIAL_KAIMING:
        return hz_init_kaiming(ex, &o, w, err);
    case HZ_INITIAL_XAVIER:
        return hz_init_xavier(ex, &o, w, err);
    case HZ_INITIAL_ORTHOGONAL:
        return hz_init_orthogonal(ex, &o, w, err);
    }
    return hz_fail(err, HZ_EINVAL, "there is no initialiser number %d", (int)how->kind);
}
