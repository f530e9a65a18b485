/* gradcheck.h: is a vjp the derivative of its forward? Central differences in f64 against the reverse sweep.
 *
 * For a function f and a random cotangent v, s(x) = ⟨v, f(x)⟩. Every element of ∇s (or its component along random
 * directions) is compared, sign included, with (s(x+εe) − s(x−εe)) / 2ε. Order 2 does the same for
 * (x, v) ↦ the gradients themselves. What was compared is counted: a check that compared nothing, or whose
 * gradients are zero everywhere, fails. A kink within reach of the step is detected (the one-sided differences do
 * not approach each other when the step is halved), counted, and fails, too: choose inputs away from it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_AUTOGRAD_GRADCHECK_H
#define HZ_AUTOGRAD_GRADCHECK_H

#include "autograd/grad.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How the sampler lays inputs out in memory. */
typedef enum hz_layout {
    HZ_LAYOUT_CONTIGUOUS = 0,
    HZ_LAYOUT_STRIDED,    /* every axis with gaps */
    HZ_LAYOUT_TRANSPOSED, /* axes in reverse order in memory */
    HZ_LAYOUT_REVERSED,   /* negative strides */
    HZ_LAYOUTS
} hz_layout;

typedef struct hz_gradcheck_opts {
    int order;         /* 1 or 2; 0: 1 */
    int directions;    /* 0: every element; otherwise that many random directions */
    double eps;        /* step, relative to max(1, |x|); 0: 1e-5 */
    double rtol, atol; /* |analytic − numeric| ≤ atol + rtol·max(|·|); 0: 1e-5 and 1e-7 */
    uint64_t seed;
    hz_layout layout;
    const hz_rules *rules; /* used in the gradient; each must claim true_gradient, or the check refuses it */
} hz_gradcheck_opts;

typedef struct hz_gradcheck_report {
    bool ok;
    int64_t compared;   /* pairs of numbers compared */
    int64_t nonzero;    /* of these, pairs in which either is beyond atol */
    int64_t mismatched; /* of these, pairs that disagree */
    int64_t kinks;      /* pairs not judged because of a kink within the step */
    int order;          /* order, input and element of the worst disagreement */
    int input;
    int64_t element;
    double analytic, numeric;
    char text[512]; /* "ok: 96 compared, 90 non-zero", or what is wrong and where */
} hz_gradcheck_report;

/* A function under test: reads x[0 … n_x), writes at most HZ_GRADCHECK_OUTPUTS variables into y, returns how
 * many. It is called many times on a fresh tape and must do the same each time. */
enum { HZ_GRADCHECK_OUTPUTS = 8 };
typedef int (*hz_gradcheck_fn)(hz_tape *t, const hz_var *x, int n_x, hz_var *y, void *ctx);

/* Check f at the f64 tensors x (any strides). Integer tensors among them are passed through, not checked.
 * Returns report->ok. opts may be NULL. */
bool hz_gradcheck_function(hz_gradcheck_fn f, void *ctx, const hz_tensor *x, int n_x,
                           const hz_gradcheck_opts *opts, hz_gradcheck_report *report);

/* Check one sample, or every sample an op brings (stopping at the first that fails). An op without samples fails.
 * A sample without elements must run forward and backward; it adds nothing to what was compared. */
bool hz_gradcheck_sample(const hz_sample *sample, const hz_gradcheck_opts *opts, hz_gradcheck_report *report);
bool hz_gradcheck(const hz_op *op, const hz_gradcheck_opts *opts, hz_gradcheck_report *report);

/* ---- the sampler, public so that other suites can draw the same inputs ---- */

/* Fill one input as described into malloc'ed memory, f32 standing for `dtype`, laid out as asked. *base is what
 * to free(). Values depend on seed and index alone, not on layout or dtype (up to rounding). False when out of
 * memory or when the description cannot be met. */
bool hz_sample_draw(const hz_sample_input *in, hz_dtype dtype, hz_layout layout, uint64_t seed,
                    hz_tensor *out, void **base, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
