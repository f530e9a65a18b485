/* params.h: the parameters of a network that is trained: named tensors in one place, the state dictionary.
 *
 *   hz_params *p = hz_params_new(&(hz_params_opts){.seed = 1}, &err);
 *   hz_params_build(p, lenet, HZ_DIMS(1, 1, 28, 28), &err);             run the definition once: it makes its parameters
 *   hz_params_set_group(p, "*.bias", &(hz_param_group){.no_decay = true}, &err);
 *   hz_params_optimize(p, opt, &err);                                   what is not frozen, to the optimiser
 *   for each batch:
 *       hz_tape_reset(t);
 *       hz_net net = {.tape = t, .params = p, .training = true, .step = step};
 *       hz_var loss = hz_cross_entropy(lenet(&net, hz_input(t, &x)), hz_input(t, &y), HZ_LOSS_MEAN);
 *       if (!hz_params_minimize(p, opt, loss, &err)) …
 *   hz_params_save(p, "lenet.safetensors", NULL, &err);
 *
 * A network is a function that records itself (layers.h); there are no module objects. Its layers ask the store for
 * their parameters by path, "fire2.squeeze1x1.weight", and the store makes those that it lacks, with the shape and the
 * initial values the layer states. Paths and layouts are PyTorch's, so that state dictionaries go to and fro.
 *
 * A store is filled and trained by one thread; any number may record with one that nobody changes. In a search, '.' and
 * '/' are the same. Globs are those of gradient rules: * ? [a-z].
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_PARAMS_H
#define HZ_NN_PARAMS_H

#include "autograd/grad.h"
#include "nn/init.h"
#include "nn/optim.h"
#include "nn/weights.h"
#include "tensor/file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hz_params hz_params;
typedef struct hz_net hz_net;

typedef struct hz_params_opts {
    hz_dtype dtype; /* of trained parameters: f32 or f64 */
    uint64_t seed;  /* of initial values; each parameter draws a stream of its own, told by its name */
    const hz_allocator *alloc; /* NULL: the C library; copied */
} hz_params_opts;

hz_params *hz_params_new(const hz_params_opts *opts, hz_error *err); /* NULL with HZ_EINVAL or HZ_ENOMEM */
void hz_params_free(hz_params *p); /* after tapes and optimisers that use its tensors; NULL is legal */

/* ---- what is in it ---- */

typedef struct hz_parameter {
    const char *name;
    hz_tensor value; /* contiguous, in memory of the store, where it stays; not empty of axes: any rank */
    bool buffer;     /* not trained, but saved: running statistics, counters */
    hz_param_group group; /* its settings, see optim.h */
    const char *shares;   /* the name of the parameter whose memory this one is; NULL: its own */
} hz_parameter;

int hz_params_count(const hz_params *p); /* shared names and buffers included, in the order they were made */
const hz_parameter *hz_params_at(const hz_params *p, int k);
const hz_parameter *hz_params_find(const hz_params *p, const char *name); /* NULL if there is none */
int64_t hz_params_numel(const hz_params *p); /* trained elements: no buffers, none counted twice */
hz_dtype hz_params_dtype(const hz_params *p);

/* ---- making them; layers do this ---- */

/* Add a parameter of that shape (dtype, rank and dims are read) and give it its first values: how, NULL: zeros.
 * HZ_EINVAL if the name is taken or the store is sealed (hz_params_optimize), HZ_ESHAPE, HZ_ENOMEM. */
bool hz_params_add(hz_params *p, const char *name, const hz_tensor *shape, const hz_initial *how,
                   hz_error *err);
bool hz_params_add_buffer(hz_params *p, const char *name, const hz_tensor *shape, double value,
                          hz_error *err);

/* Let `name`, which is not there yet, be another name of a parameter: "head.weight" for "embedding.weight". Saved under
 * both; when loading, one of them is enough. HZ_ENOTFOUND, HZ_EINVAL, HZ_ENOMEM. */
bool hz_params_share(hz_params *p, const char *name, const char *original, hz_error *err);

/* Record forward once, without training, on zeros of this shape (the store's dtype), so that every parameter is made. */
bool hz_params_build(hz_params *p, hz_var (*forward)(hz_net *net, hz_var x), int rank, const int64_t *dim,
                     hz_error *err);

/* The same on an input of one's own: for a network that takes indices. */
bool hz_params_build_on(hz_params *p, hz_var (*forward)(hz_net *net, hz_var x), const hz_tensor *x,
                        hz_error *err);

/* Other first values for every trained parameter that the glob fits. HZ_ENOTFOUND if it fits none. */
bool hz_params_init(hz_params *p, const char *glob, const hz_initial *how, hz_error *err);

/* Other settings for every trained parameter that the glob fits; before hz_params_optimize or, for an optimiser that has
 * them already, followed by hz_optimizer_set_group. With .frozen they get no gradient at all. HZ_ENOTFOUND if it fits
 * none. */
bool hz_params_set_group(hz_params *p, const char *glob, const hz_param_group *group, hz_error *err);

/* ---- training ---- */

/* Give every trained parameter with its settings to opt, shared ones once, and seal the store: from now on a layer whose
 * parameter is missing is an error, for nobody would train it. */
bool hz_params_optimize(hz_params *p, hz_optimizer *opt, hz_error *err);

/* How many those are: numbers 0 … count − 1 of the optimiser. */
int hz_params_trained(const hz_params *p);

/* dx[k], k < hz_params_trained: the gradient of the loss in parameter k; inert for one that is frozen or that the loss
 * does not depend on. opts may be NULL; its rules count, `unreachable` does not, and `ready` is
 * told the number of the parameter. False if the tape is in error. */
bool hz_params_grad(hz_params *p, hz_var loss, const hz_grad_opts *opts, hz_var *dx, hz_error *err);

/* One step of training: that gradient, handed to opt. Then the tape wants resetting. */
bool hz_params_minimize(hz_params *p, hz_optimizer *opt, hz_var loss, hz_error *err);

/* ---- state dictionaries ---- */

typedef struct hz_load_opts {
    bool lenient; /* take what fits and report the rest; otherwise anything that does not fit is an error */
    const char *prefix; /* look for "prefix" + name; names without it are no one's business; NULL: "" */
} hz_load_opts;

typedef struct hz_load_report {
    int loaded;      /* parameters and buffers that took their values */
    int missing;     /* those the file has not */
    int unexpected;  /* tensors of the file that the store has not */
    int misshapen;   /* those of another shape */
    char text[1024]; /* "12 loaded, 1 missing: fc.bias; 1 of another shape: fc.weight [10,84] for [100,84]" */
} hz_load_report;

/* Copy values by name; floats become the store's dtype. Names that begin with '@', which no parameter's does, are what
 * a checkpoint keeps beside the weights (checkpoint.h), and count for nothing here. A strict load that fails (HZ_ESHAPE or HZ_ENOTFOUND, the
 * report's words) has changed nothing. opts and report may be NULL. */
bool hz_params_load(hz_params *p, const hz_weights *w, const hz_load_opts *opts, hz_load_report *report,
                    hz_error *err);

typedef struct hz_save_opts {
    bool as_f16;                  /* floats in half precision */
    const hz_text_pair *metadata; /* what the file says of itself */
    size_t n_metadata;
} hz_save_opts;

/* Write all of it as safetensors, all or nothing (tensor/file.h). opts may be NULL. */
bool hz_params_save(const hz_params *p, const char *path, const hz_save_opts *opts, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
