/* fold.c: batch norm by given statistics folded into the convolution before it,
 *
 *   gamma·(w∗x + b − mean)·r + beta = (s·w)∗x + (s·(b − mean) + beta),   r = 1/√(var + eps), s = gamma·r
 *
 * so that inference makes one pass instead of two. The nodes of the graph stay: beside the BatchNormalization lies its
 * folded form, a convolution with parameters of its own, and the Conv is marked as spared.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "nn/onnx/internal.h"

enum { X, WEIGHT, BIAS };
enum { GAMMA = 1, BETA, MEAN, VARIANCE };

typedef struct folding {
    hz_onnx *m;
    hz__onnx_node **maker; /* of each slot; NULL: a parameter or an input */
    uint32_t *uses;        /* of each slot */
    const char **name;     /* the model's, with room for the new slots */
    hz_error *err;
} folding;

static void *take(folding *f, size_t n, size_t size) {
    void *p = n > SIZE_MAX / 2 / size ? NULL : hz_arena_alloc(&f->m->budget.arena, n * size);
    if (p) memset(p, 0, n * size);
    if (!p) hz_fail(f->err, HZ_ENOMEM, "no memory to fold batch norm");
    return p;
}

/* ---- what can be folded ---- */

static void count_uses(folding *f) {
    hz_onnx *m = f->m;
    for (size_t k = 0; k < m->n_nodes; k++) {
        hz__onnx_node *n = &m->node[k];
        for (size_t i = 0; i < n->proto->n_input; i++) f->uses[n->in[i]]++;
        for (size_t i = 0; i < n->proto->n_output; i++) f->maker[n->out[i]] = n;
    }
    for (int k = 0; k < m->n_outputs; k++) f->uses[m->output[k]]++;
    for (uint32_t k = 0; k < m->n_guards; k++) f->uses[m->guard[k].slot]++;
}

/* Parameter k of the node; NULL if that is left out or not a parameter. */
static const hz__array *parameter(const hz_onnx *m, const hz__onnx_node *n, int k) {
    uint32_t slot = k < (int)n->proto->n_input ? n->in[k] : 0;
    return slot && slot <= m->n_parameters ? &m->parameter[slot] : NULL;
}

static bool is_vector_like(const hz__array *a, const hz_tensor *w) {
    return a && a->value.dtype == w->dtype && a->value.rank == 1 && a->value.dim[0] == w->dim[0];
}

/* The convolution that a batch norm can be folded into; NULL if there is none. */
static hz__onnx_node *foldable(const folding *f, const hz__onnx_node *norm) {
    hz_onnx *m = f->m;
    if (norm->folded || !hz__is_fixed_batch_norm(&(hz__call){.model = m, .node = norm})) return NULL;
    hz__onnx_node *conv = f->maker[norm->in[X]];
    if (!conv || strcmp(conv->mapping->type, "Conv") != 0 || f->uses[norm->in[X]] != 1) return NULL;
    const hz__array *w = parameter(m, conv, WEIGHT), *b = parameter(m, conv, BIAS);
    bool has_bias = conv->proto->n_input > BIAS && conv->in[BIAS];
    if (conv->guard != norm->guard || !w || !hz_dtype_is_float(w->value.dtype) || w->value.rank < 3 ||
        (has_bias && !is_vector_like(b, &w->value)))
        return NULL;
    for (int k = GAMMA; k <= VARIANCE; k++)
        if (!is_vector_like(parameter(m, norm, k), &w->value)) return NULL;
    return conv;
}

/* ---- the numbers ---- */

/* s, one for each filter. False if one is not finite: such a batch norm is left as it is. */
static bool find_scale(const hz_onnx *m, const hz__onnx_node *norm, double *s) {
    const hz_tensor *gamma = &parameter(m, norm, GAMMA)->value, *var = &parameter(m, norm, VARIANCE)->value;
    double eps = hz__attr_float(&(hz__call){.model = m, .node = norm}, "epsilon", 1e-5);
    for (int64_t k = 0; k < gamma->dim[0]; k++) {
        s[k] = hz_get_flat(gamma, k) / sqrt(hz_get_flat(var, k) + eps);
        if (!isfinite(s[k])) return false;
    }
    return true;
}

static void scale_filters(const hz_tensor *w, const double *s, const hz_tensor *out) {
    int64_t filters = w->dim[0], each = filters ? hz_numel(w) / filters : 0;
    for (int64_t k = 0; k < filters * each; k++) {
        if (w->dtype == HZ_F32)
            ((float *)out->data)[k] = (float)((double)((const float *)w->data)[k] * s[k / each]);
        else
            ((double *)out->data)[k] = ((const double *)w->data)[k] * s[k / each];
    }
}

static void shift_bias(const hz_onnx *m, const hz__onnx_node *conv, const hz__onnx_node *norm,
                       const double *s, const hz_tensor *out) {
    const hz__array *b = parameter(m, conv, BIAS);
    const hz_tensor *mean = &parameter(m, norm, MEAN)->value, *beta = &parameter(m, norm, BETA)->value;
    for (int64_t k = 0; k < out->dim[0]; k++) {
        double bias = b ? hz_get_flat(&b->value, k) : 0;
        hz_set_flat(out, k, s[k] * (bias - hz_get_flat(mean, k)) + hz_get_flat(beta, k));
    }
}

/* ---- the folded node ---- */

/* A new slot for an array like this, not filled yet; NULL when out of memory. */
static hz__array *derive(folding *f, int rank, const int64_t *dim, const hz__array *like, uint32_t *slot) {
    hz_onnx *m = f->m;
    hz__array *a = &m->derived[m->n_slots - m->first_derived];
    *a = (hz__array){hz_tensor_of(NULL, like->value.dtype, rank, dim), like->type};
    a->value.data = take(f, hz_nbytes(&a->value) + 1, 1);
    if (!a->value.data) return NULL;
    *slot = m->n_slots++;
    return a;
}

/* A copy of the convolution that takes other parameters and makes what the batch norm makes. */
static hz__onnx_node *rewired(folding *f, const hz__onnx_node *conv, const hz__onnx_node *norm) {
    hz__onnx_node *n = take(f, 1, sizeof *n);
    Onnx__NodeProto *proto = take(f, 1, sizeof *proto);
    uint32_t *in = take(f, BIAS + 1, sizeof *in);
    if (!n || !proto || !in) return NULL;
    *n = *conv, *proto = *conv->proto;
    proto->n_input = BIAS + 1;
    proto->n_output = 1;
    in[X] = conv->in[X];
    n->proto = proto, n->in = in, n->out = norm->out;
    return n;
}

static bool fold(folding *f, hz__onnx_node *conv, hz__onnx_node *norm) {
    hz_onnx *m = f->m;
    const hz__array *w = parameter(m, conv, WEIGHT);
    double *s = take(f, (size_t)w->value.dim[0] + 1, sizeof *s);
    if (!s) return false;
    if (!find_scale(m, norm, s)) return true;
    hz__onnx_node *n = rewired(f, conv, norm);
    hz__array *weight = n ? derive(f, w->value.rank, w->value.dim, w, &n->in[WEIGHT]) : NULL;
    hz__array *bias = weight ? derive(f, 1, w->value.dim, w, &n->in[BIAS]) : NULL;
    if (!bias) return false;
    scale_filters(&w->value, s, &weight->value);
    shift_bias(m, conv, norm, s, &bias->value);
    norm->folded = n;
    conv->spared = true;
    return true;
}

bool hz_onnx_fold_batch_norm(hz_onnx *m, hz_error *err) {
    folding f = {.m = m, .err = err};
    if (m->first_derived) return true; /* it was called before */
    f.maker = take(&f, m->n_slots, sizeof *f.maker);
    f.uses = take(&f, m->n_slots, sizeof *f.uses);
    f.name = take(&f, m->n_slots + 2 * m->n_nodes, sizeof *f.name);
    m->derived = take(&f, 2 * m->n_nodes + 1, sizeof *m->derived);
    if (!f.maker || !f.uses || !f.name || !m->derived) return false;
    memcpy(f.name, m->name, m->n_slots * sizeof *f.name);
    m->name = f.name;
    m->first_derived = m->n_slots;
    count_uses(&f);
    for (size_t k = 0; k < m->n_nodes; k++) {
        hz__onnx_node *conv = foldable(&f, &m->node[k]);
        if (conv && !fold(&f, conv, &m->node[k])) return false;
    }
    return true;
}
