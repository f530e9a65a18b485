/* init.h: initial values of parameters.
 *
 *   hz_init_opts how = {.seed = 1, .stream = k, .fan = HZ_FAN_OUT};     for parameter number k
 *   hz_init_kaiming(ex, &how, &conv_weight, &err);
 *
 * Values are a pure function of (seed, stream) and the shape (tensor/random.h): the same on any number of threads, so
 * give every parameter a stream of its own. w is a float tensor of any strides, filled in row-major order. A weight is
 * (out, in, …), as those of linear and conv2d are: with r the product of the extents after the second, its fan-in is
 * in·r and its fan-out out·r. opts may be NULL: all zero. Defaults are PyTorch's; the numbers drawn are not.
 *
 * Errors: HZ_ESHAPE if w is not of floats, or has no fans; HZ_EINVAL names the option; HZ_ENOMEM.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_INIT_H
#define HZ_NN_INIT_H

#include "tensor/exec.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which fan divides the variance (Kaiming). */
typedef enum hz_fan { HZ_FAN_IN = 0, HZ_FAN_OUT } hz_fan;

typedef struct hz_init_opts {
    uint64_t seed, stream;
    hz_fan fan;  /* Kaiming only */
    double gain; /* factor on the standard deviation (orthogonal: on w), see hz_init_gain; 0: the default */
    bool normal; /* normally distributed instead of uniformly */
} hz_init_opts;

/* Variance gain²/fan: with gain √2, activations behind ReLUs keep their size (HZ_FAN_IN), or gradients do (HZ_FAN_OUT)
 * (He et al. 2015). gain 0: √2. Uniform in ±gain·√(3/fan). */
bool hz_init_kaiming(const hz_exec *ex, const hz_init_opts *opts, const hz_tensor *w, hz_error *err);

/* Variance gain²·2/(fan_in + fan_out): a bit of both (Glorot & Bengio 2010). gain 0: 1. */
bool hz_init_xavier(const hz_exec *ex, const hz_init_opts *opts, const hz_tensor *w, hz_error *err);

/* w as a matrix (out, in·r) with orthonormal rows or columns, whichever are fewer, times gain (0: 1), uniformly
 * distributed among all such (Saxe et al. 2014): the Q of a normally distributed matrix, by Gram–Schmidt in doubles,
 * each vector orthogonalised twice. */
bool hz_init_orthogonal(const hz_exec *ex, const hz_init_opts *opts, const hz_tensor *w, hz_error *err);

/* Normally distributed with mean and std (> 0) before what lies outside [lo, hi] was cut off, lo < hi; bounds may be
 * infinite. HZ_EINVAL, too, where they leave nothing that a double can tell from nothing. */
bool hz_init_truncated_normal(const hz_exec *ex, const hz_init_opts *opts, double mean, double std, double lo,
                              double hi, const hz_tensor *w, hz_error *err);

/* Without fans: biases, embeddings, … */
bool hz_init_uniform(const hz_exec *ex, const hz_init_opts *opts, double lo, double hi, const hz_tensor *w,
                     hz_error *err); /* in [lo, hi), lo ≤ hi */
bool hz_init_normal(const hz_exec *ex, const hz_init_opts *opts, double mean, double std, const hz_tensor *w,
                    hz_error *err); /* std ≥ 0 */
bool hz_init_constant(const hz_exec *ex, double value, const hz_tensor *w, hz_error *err);

/* ---- any of these, as a value ---- */

typedef enum hz_initial_kind {
    HZ_INITIAL_CONSTANT = 0,     /* a */
    HZ_INITIAL_UNIFORM,          /* in [a, b) */
    HZ_INITIAL_NORMAL,           /* mean a, standard deviation b */
    HZ_INITIAL_TRUNCATED_NORMAL, /* the same, cut off outside [lo, hi] */
    HZ_INITIAL_KAIMING,
    HZ_INITIAL_XAVIER,
    HZ_INITIAL_ORTHOGONAL
} hz_initial_kind;

/* How a parameter begins; all zero: with zeros. The seed and the stream are whose it is. */
typedef struct hz_initial {
    hz_initial_kind kind;
    double a, b, lo, hi; /* as the kind says */
    double gain;         /* of Kaiming, Xavier, orthogonal: see hz_init_opts */
    hz_fan fan;
    bool normal;
} hz_initial;

bool hz_init(const hz_exec *ex, const hz_initial *how, uint64_t seed, uint64_t stream, const hz_tensor *w,
             hz_error *err);

/* Fans of a weight of rank ≥ 2; HZ_ESHAPE otherwise. */
bool hz_init_fans(const hz_tensor *w, int64_t *fan_in, int64_t *fan_out, hz_error *err);

/* The gain for a layer that is followed by the activation: 1 for "linear" and "sigmoid", 5/3 for "tanh", √2 for "relu",
 * √(2/(1 + slope²)) for "leaky_relu", 3/4 for "selu". NaN for another name. */
double hz_init_gain(const char *activation, double slope);

#ifdef __cplusplus
}
#endif
#endif
