/* optim.h: optimisers: what changes parameters, given their gradients.
 *
 *   hz_optimizer *opt = hz_adamw_new(&(hz_adam_opts){.lr = 3e-4}, &err);
 *   hz_optimizer_add(opt, "fc1.weight", &w, NULL, &err);
 *   hz_optimizer_add(opt, "fc1.bias", &b, &(hz_param_group){.no_decay = true}, &err);
 *   for each batch:
 *       … record the loss on a tape, dx = its gradients with respect to w and b …
 *       hz_optimizer_set_lr(opt, 3e-4 * hz_lr_cosine(t, total, 0), &err);
 *       hz_optimizer_step_vars(opt, dx, 2, &err);
 *   hz_optimizer_free(opt);
 *
 * Parameters are contiguous f32 or f64 tensors of the caller, who keeps them alive as long as the optimiser. What the
 * optimiser remembers of them belongs to it and is listed by hz_optimizer_state, which is all a checkpoint needs beside
 * the parameters. A step is one fused pass over memory and allocates nothing. The formulas are PyTorch's, and zero in
 * the options stands for PyTorch's default, given in the comment. A function that fails changes nothing.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_OPTIM_H
#define HZ_NN_OPTIM_H

#include "autograd/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hz_optimizer hz_optimizer;

/* ---- which optimiser; opts may be NULL; HZ_EINVAL names the option, or HZ_ENOMEM ---- */

/* weight_decay λ, where it is not decoupled, adds λ·p to the gradient; decoupled, it multiplies p by 1 − lr·λ first
 * (Loshchilov & Hutter 2019). alloc NULL: the C library. With d the gradient and t the number of the step, from 1: */

/* m = momentum·m + (1 − dampening)·d, at t = 1: m = d;  p = p − lr·m, with Nesterov p − lr·(d + momentum·m) */
typedef struct hz_sgd_opts {
    double lr;           /* 0: 1e-3 */
    double momentum;     /* 0: none, and no state for it */
    double dampening;    /* 0: none */
    double weight_decay; /* 0: none */
    bool nesterov;       /* needs momentum, and no dampening */
    bool decoupled;
    const hz_allocator *alloc;
} hz_sgd_opts;
hz_optimizer *hz_sgd_new(const hz_sgd_opts *opts, hz_error *err);

/* m = β₁·m + (1 − β₁)·d;  v = β₂·v + (1 − β₂)·d²;  p = p − lr/(1 − β₁ᵗ) · m/(√(v/(1 − β₂ᵗ)) + eps)
 * (Kingma & Ba 2015); AMSGrad puts the largest v so far under the root (Reddi et al. 2018). */
typedef struct hz_adam_opts {
    double lr;           /* 0: 1e-3 */
    double beta1, beta2; /* 0: 0.9 and 0.999 */
    double eps;          /* 0: 1e-8 */
    double weight_decay; /* 0: none; hz_adamw_new: 0.01 */
    bool amsgrad;
    const hz_allocator *alloc;
} hz_adam_opts;
hz_optimizer *hz_adam_new(const hz_adam_opts *opts, hz_error *err);
hz_optimizer *hz_adamw_new(const hz_adam_opts *opts, hz_error *err); /* with decoupled weight decay */

/* v = alpha·v + (1 − alpha)·d², centred: less the square of such an average of d;  u = d/(√v + eps);
 * p = p − lr·u, with momentum m = momentum·m + u, p = p − lr·m */
typedef struct hz_rmsprop_opts {
    double lr;           /* 0: 0.01 */
    double alpha;        /* 0: 0.99 */
    double eps;          /* 0: 1e-8 */
    double momentum;     /* 0: none, and no state for it */
    double weight_decay; /* 0: none */
    bool centered;
    const hz_allocator *alloc;
} hz_rmsprop_opts;
hz_optimizer *hz_rmsprop_new(const hz_rmsprop_opts *opts, hz_error *err);

/* s = s + d²;  p = p − lr/(1 + (t − 1)·lr_decay) · d/(√s + eps)  (Duchi et al. 2011) */
typedef struct hz_adagrad_opts {
    double lr;           /* 0: 0.01 */
    double lr_decay;     /* 0: none */
    double eps;          /* 0: 1e-10 */
    double initial;      /* of s; 0: 0 */
    double weight_decay; /* 0: none */
    const hz_allocator *alloc;
} hz_adagrad_opts;
hz_optimizer *hz_adagrad_new(const hz_adagrad_opts *opts, hz_error *err);

/* p = (1 − lr·λ)·p − lr·sign(β₁·m + (1 − β₁)·d);  m = β₂·m + (1 − β₂)·d  (Chen et al. 2023) */
typedef struct hz_lion_opts {
    double lr;           /* 0: 1e-4 */
    double beta1, beta2; /* 0: 0.9 and 0.99 */
    double weight_decay; /* 0: none; always decoupled */
    const hz_allocator *alloc;
} hz_lion_opts;
hz_optimizer *hz_lion_new(const hz_lion_opts *opts, hz_error *err);

void hz_optimizer_free(hz_optimizer *opt);              /* the parameters stay; NULL is legal */
const char *hz_optimizer_name(const hz_optimizer *opt); /* "sgd", "adam", "adamw", … */

/* ---- its parameters ---- */

/* Settings that a parameter has of its own; all zero: none. */
typedef struct hz_param_group {
    double lr_scale; /* factor on the learning rate; 0: 1 */
    bool no_decay;   /* no weight decay: biases, norms */
    bool frozen;     /* steps pass it over, its state and its count of steps stay */
} hz_param_group;

/* Parameter number 0, 1, … in the order added. group may be NULL. HZ_ESHAPE if it is not a contiguous float tensor,
 * HZ_EINVAL if its name or its memory is there already (a shared parameter is added once), HZ_ENOMEM. */
bool hz_optimizer_add(hz_optimizer *opt, const char *name, const hz_tensor *param,
                      const hz_param_group *group, hz_error *err);
int hz_optimizer_count(const hz_optimizer *opt);

/* Other settings from the next step on, for the parameter of that name, or for all: NULL. HZ_ENOTFOUND, HZ_EINVAL. */
bool hz_optimizer_set_group(hz_optimizer *opt, const char *name, const hz_param_group *group, hz_error *err);

/* ---- between steps: what schedules change (see schedule.h). Not part of the state. ---- */

double hz_optimizer_lr(const hz_optimizer *opt);
bool hz_optimizer_set_lr(hz_optimizer *opt, double lr, hz_error *err);

/* momentum, or β₁: NaN if the optimiser was made without it. Setting it is HZ_EINVAL then, or outside [0, 1). */
double hz_optimizer_momentum(const hz_optimizer *opt);
bool hz_optimizer_set_momentum(hz_optimizer *opt, double momentum, hz_error *err);

/* Clipping, on the way through the step; the gradients themselves stay. First by norm: if the norm of all gradients
 * together is above `norm`, they are scaled to it (by norm/(actual + 1e-6)). Then every element into [−value, value].
 * 0: not. */
bool hz_optimizer_set_clip(hz_optimizer *opt, double norm, double value, hz_error *err);

/* ---- a step ---- */

/* grad[k], of any strides, is the gradient for parameter k; one whose data is NULL passes the parameter over.
 * HZ_ESHAPE if a gradient does not fit, HZ_ENUMERIC if clipping finds a norm that is not finite, HZ_ENOMEM. No
 * parameter overlaps a gradient. */
bool hz_optimizer_step(hz_optimizer *opt, const hz_exec *ex, const hz_tensor *grad, int n, hz_error *err);

/* The same for what hz_grad returned, run as its tape runs; an inert variable passes its parameter over. Fails if a
 * tape is in error. Afterwards leaves of these parameters hold new values: reset the tape. */
bool hz_optimizer_step_vars(hz_optimizer *opt, const hz_var *grad, int n, hz_error *err);

/* √Σ g² over n gradients; those without data count nothing. The result does not depend on the number of threads. */
bool hz_grad_norm(const hz_exec *ex, const hz_tensor *grad, int n, double *norm, hz_error *err);

/* ---- its state, for checkpoints ---- */

/* Tensors 0 ≤ k < count: for each parameter "NAME.step", i64 of rank 0, how often it was updated, then what PyTorch
 * calls "NAME.exp_avg", "NAME.momentum_buffer", …, of the parameter's shape. To resume, make the same optimiser, add the
 * same parameters, and write the saved values into these tensors. Pointers stay valid as long as the optimiser. */
int hz_optimizer_state_count(const hz_optimizer *opt);
void hz_optimizer_state(const hz_optimizer *opt, int k, const char **name, hz_tensor *tensor);

/* ---- moving average of weights ---- */

/* a = a + (1 − decay)·(p − a), at the first update a = p. It is made and held like an optimiser (add, count, state,
 * free, with "NAME.average"), but is updated by hz_ema_update, after each step of the one that trains. */
typedef struct hz_ema_opts {
    double decay; /* 0: 0.999 */
    bool warm_up; /* decay at update t, from 1, is at most t/(9 + t): early weights are soon forgotten */
    const hz_allocator *alloc;
} hz_ema_opts;
hz_optimizer *hz_ema_new(const hz_ema_opts *opts, hz_error *err);
bool hz_ema_update(hz_optimizer *ema, const hz_exec *ex, hz_error *err);

/* Exchange parameters and averages: once to evaluate with the averages, once more to train on. HZ_EINVAL before the
 * first update. */
bool hz_ema_swap(hz_optimizer *ema, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
