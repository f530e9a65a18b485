/* dropout_mask.c: 0 with probability p, else 1/(1 − p), so that the expectation of x · mask is x (Srivastava et al. 2014,
 * "inverted" form). A pure function of seed and position: number k of stream 0 decides element k in row-major order.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"
#include "tensor/random.h"

static bool dropout_mask_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_dropout *a = n->attr;
    if (!(a->p >= 0 && a->p < 1)) return hz_fail(err, HZ_EINVAL, "probability %g is outside [0, 1)", a->p);
    return hz_shape_float(n, out, err);
}

static double mask_of_uniform(double u, double p, double kept) {
    return u < p ? 0 : kept;
}

static bool dropout_mask_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    const hz_attr_dropout *a = n->attr;
    hz_random_fill_uniform(ex, a->seed, 0, 0, 1, &n->value);
    hz_map_scalar(ex, mask_of_uniform, &n->value, a->p, 1 / (1 - a->p), &n->value);
    return true;
}

/* Element for element, but a crop would count the positions anew. */
static bool dropout_mask_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    (void)n, (void)i;
    *in = *out;
    return true;
}

static bool dropout_mask_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr) {
    (void)in, (void)attr;
    return hz_box_is_full(out, &n->value);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_dropout(x[0], 0.4, 7);
}

static hz_var call_keep_all(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_dropout(x[0], 0, 7);
}

static const hz_sample samples[] = {
    {"p = 0.4", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"p = 0", 1, {{.rank = 0}}, call_keep_all, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_dropout_mask = {.name = "dropout_mask",
                                  .n_in = 1,
                                  .attr_size = sizeof(hz_attr_dropout),
                                  .shape = dropout_mask_shape,
                                  .forward = dropout_mask_forward,
                                  .reach = dropout_mask_reach,
                                  .crop = dropout_mask_crop,
                                  .samples = samples,
                                  .n_samples = HZ__COUNT(samples)};

hz_var hz_dropout_mask(hz_var x, double p, uint64_t seed) {
    return hz_apply1(&hz_op_dropout_mask, x, &(hz_attr_dropout){.p = p, .seed = seed});
}

hz_var hz_dropout(hz_var x, double p, uint64_t seed) {
    return hz_mul(x, hz_dropout_mask(x, p, seed));
}
