/* internal.h: what the layers share. Private to nn/layers/.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_LAYERS_INTERNAL_H
#define HZ_NN_LAYERS_INTERNAL_H

#include "nn/layers.h"

/* An extent as hz_param_shaped wants it: 0, left open by the layer's options, is any. */
static inline int64_t hz__or_any(int64_t extent) {
    return extent ? extent : -1;
}

static inline double hz__or_default(double value, double otherwise) {
    return value == 0 ? otherwise : value;
}

/* Inside a layer: the channels of x, which must be (N, C, …) of this rank (0: any from 2), and one group's share of n
 * channels (−1: any). −1 with the reason on the tape if they cannot be had. */
int64_t hz__channels(hz_net *net, hz_var x, int rank);
int64_t hz__share(hz_net *net, int64_t n, int64_t groups);

/* Parameters "weight" of this shape and "bias" (n), first values uniform in ±1/√fan_in, with fan_in the product of the
 * weight's extents after the first. A file may have no bias; without one (no_bias), or if there is none, it is the inert
 * variable. */
void hz__weight_bias(hz_net *net, int rank, const int64_t *dim, int64_t n, bool no_bias, hz_var *weight,
                     hz_var *bias);

/* A parameter that is not wanted (none), or that files may lack: then it is the inert variable. A store makes it. */
hz_var hz__optional(hz_net *net, const char *name, int rank, const int64_t *dim, bool none,
                    const hz_initial *how);

/* Parameters "weight" (ones) and "bias" (zeros) of a normalisation of this shape, inert if not wanted or if a file has
 * none. */
hz_var hz__gamma(hz_net *net, int rank, const int64_t *dim, bool none);
hz_var hz__beta(hz_net *net, int rank, const int64_t *dim, bool none);

/* A normalisation that keeps running statistics of its channels. */
typedef struct hz__running_norm {
    hz_var (*normalize)(hz_var x, hz_var gamma, hz_var beta, double eps); /* by x's own statistics */
    int first_axis;       /* which are taken over the axes from this one on but the channels' */
    double eps, momentum; /* 0: 1e-5 and 0.1 */
    bool no_affine, no_running;
    bool counts; /* the batches, in num_batches_tracked */
} hz__running_norm;
hz_var hz__layer_running_norm(hz_net *net, const char *layer, hz_var x, const hz__running_norm *o);

/* What goes on in one step of a recurrent layer: x = W_ih·x + b_ih and u = W_hh·h + b_hh, (1, N, gates·H), take the state h, and
 * c where it has one, (1, N, H), to the next. */
typedef struct hz__cell {
    int gates;
    bool has_c;
    void (*step)(hz_var x, hz_var u, hz_var *h, hz_var *c);
} hz__cell;
hz_var hz__layer_recurrent(hz_net *net, const char *layer, hz_var x, const hz__cell *cell,
                           const hz_recurrent_layer *l);

/* Gates first … first + count − 1 of as many as `all` has widths of h. */
hz_var hz__gates(hz_var all, hz_var h, int first, int count);

#endif
