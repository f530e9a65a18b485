/* attention.c: Attention and RotaryEmbedding, as compositions of other ops.
 *
 *   y = softmax(softcap(scale·q·kᵀ + mask))·v        q (N, H, L, D), k (N, H′, T, D), v (N, H′, T, E) → (N, H, L, E)
 *
 * T counts the past keys, too. H is a multiple of H′: each head of k and v serves H/H′ neighbouring heads of q.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>

#include "nn/onnx/internal.h"

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, LENGTHS };

/* ---- heads ---- */

static const int swap_heads[] = {0, 2, 1, 3};

/* (N, L, heads·D) → (N, L, heads, D) */
static hz_var split_heads(hz__call *c, hz_var x, int64_t heads) {
    const hz_tensor *v = hz_value(x);
    if (heads < 1 || v->rank != 3 || v->dim[2] % heads)
        return hz__bad(c, "%s does not have %" PRId64 " heads", hz_shape_str(v).s, heads);
    return hz_reshape(x, HZ_DIMS(v->dim[0], v->dim[1], heads, v->dim[2] / heads));
}

/* Input k as (N, heads, L, D). */
static hz_var heads_of(hz__call *c, int k, const char *heads) {
    hz_var x = hz__arg(c, k);
    if (hz_value(x)->rank == 4) return x;
    x = split_heads(c, x, hz__attr_int(c, heads, 0));
    return hz_ok(x) ? hz_permute(x, swap_heads) : x;
}

/* Every head n times, its copies side by side: (N, H′, T, D) → (N, H′·n, T, D). */
static hz_var repeat_heads(hz_var x, int64_t n) {
    if (!hz_ok(x) || n == 1) return x;
    const int64_t *d = hz_value(x)->dim;
    hz_var copies = hz_broadcast_to(hz_unsqueeze(x, 2), HZ_DIMS(d[0], d[1], n, d[2], d[3]));
    return hz_reshape(copies, HZ_DIMS(d[0], d[1] * n, d[2], d[3]));
}

static hz_var behind(hz_var past, hz_var x) {
    const hz_var both[] = {past, x};
    return past.id ? hz_concat(both, 2, 2) : x;
}

/* ---- masks ---- */

/* What is added to the scores: −∞ where a boolean mask is false, and behind its end. */
static hz_var bias_of(hz__call *c, hz_var scores) {
    hz_var mask = hz__arg(c, MASK);
    const hz_tensor *v = hz_value(mask), *s = hz_value(scores);
    int64_t before[HZ_MAX_RANK] = {0}, after[HZ_MAX_RANK] = {0};
    if (v->rank < 1 || v->rank > 4) return hz__bad(c, "mask %s", hz_shape_str(v).s);
    if (hz__arg_type(c, MASK) == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL)
        mask = hz_where(mask, hz__number(scores, 0), hz__number(scores, -INFINITY));
    else if (v->dtype != s->dtype)
        mask = hz_astype(mask, s->dtype);
    int64_t missing = s->dim[3] - v->dim[v->rank - 1];
    if (missing <= 0 || v->dim[v->rank - 1] == 1) return mask;
    after[v->rank - 1] = missing;
    return hz_pad(mask, before, after, HZ_PAD_CONSTANT, -INFINITY);
}

/* How many of the keys query i of image n sees: not later ones, not padding. */
static int64_t visible(hz__call *c, bool causal, int64_t past, int64_t n, int64_t i, int64_t keys) {
    int64_t length = hz__has(c, LENGTHS) ? hz__int_at(hz__arg_value(c, LENGTHS), n) : keys;
    int64_t most = length < 0 ? 0 : length < keys ? length : keys;
    return causal && past + i + 1 < most ? past + i + 1 : most;
}

/* −∞ for the keys that a query must not see, (N, 1, L, T). */
static hz_var hidden_keys(hz__call *c, hz_var scores, bool causal) {
    const hz_tensor *s = hz_value(scores);
    const int64_t images = hz__has(c, LENGTHS) ? s->dim[0] : 1, queries = s->dim[2], keys = s->dim[3];
    const int64_t past = hz__has(c, PAST_KEY) ? hz__arg_value(c, PAST_KEY)->dim[2] : 0;
    if (hz__has(c, LENGTHS) && hz_numel(hz__arg_value(c, LENGTHS)) != images)
        return hz__bad(c, "lengths %s of %" PRId64 " sequences", hz_shape_str(hz__arg_value(c, LENGTHS)).s,
                       images);
    hz_var bias = hz_full(c->t, s->dtype, HZ_DIMS(images, 1, queries, keys), 0);
    for (int64_t k = 0; hz_ok(bias) && k < images * queries; k++) {
        int64_t from = visible(c, causal, past, k / queries, k % queries, keys);
        for (int64_t j = from; j < keys; j++) hz_set_flat(hz_value(bias), k * keys + j, -INFINITY);
    }
    return bias;
}

static hz_var masked(hz__call *c, hz_var scores) {
    bool causal = hz__attr_int(c, "is_causal", 0) != 0;
    if (hz_ok(scores) && (causal || hz__has(c, LENGTHS)))
        scores = hz_add(scores, hidden_keys(c, scores, causal));
    return hz_ok(scores) && hz__has(c, MASK) ? hz_add(scores, bias_of(c, scores)) : scores;
}

/* ---- Attention ---- */

/* In the precision that is asked for, if it is a greater one. */
static hz_var softmax_of(hz__call *c, hz_var scores) {
    hz_dtype dtype = hz_value(scores)->dtype;
    bool wide = hz__attr_int(c, "softmax_precision", 0) == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
    if (!wide || dtype == HZ_F64) return hz_softmax(scores, HZ_AXIS(3));
    return hz_astype(hz_softmax(hz_astype(scores, HZ_F64), HZ_AXIS(3)), dtype);
}

static hz_var softcap(hz_var x, double cap) {
    return cap > 0 ? hz_scale(hz_tanh(hz_scale(x, 1 / cap)), cap) : x;
}

/* Weights of the keys for each query, (N, H, L, T); what they are computed from is output 3, by its mode. */
static hz_var weights_of(hz__call *c, hz_var q, hz_var k) {
    double scale = hz__attr_float(c, "scale", 1 / sqrt((double)hz_value(q)->dim[3]));
    hz_var stage[4];
    stage[0] = hz_matmul(hz_scale(q, scale), hz_transpose(k, 2, 3));
    stage[1] = masked(c, stage[0]);
    stage[2] = softcap(stage[1], hz__attr_float(c, "softcap", 0));
    stage[3] = softmax_of(c, stage[2]);
    int64_t mode = hz__attr_int(c, "qk_matmul_output_mode", 0);
    if (mode >= 0 && mode < 4) hz__give_as(c, 3, stage[mode], hz__arg_type(c, Q));
    return stage[3];
}

/* Queries, keys and values that fit each other in number of axes and heads. */
static bool check_heads(hz__call *c, hz_var q, hz_var k, hz_var v) {
    const hz_tensor *a = hz_value(q), *b = hz_value(k), *d = hz_value(v);
    if (!hz_ok(q) || !hz_ok(k) || !hz_ok(v)) return false;
    bool fits = a->rank == 4 && b->rank == 4 && d->rank == 4;
    fits = fits && b->dim[1] > 0 && a->dim[1] % b->dim[1] == 0 && d->dim[1] == b->dim[1];
    for (int past = PAST_KEY; fits && past <= PAST_VALUE; past++)
        fits = !hz__has(c, past) || hz__arg_value(c, past)->rank == 4;
    if (!fits)
        hz__bad(c, "queries %s, keys %s, values %s", hz_shape_str(a).s, hz_shape_str(b).s, hz_shape_str(d).s);
    return fits;
}

static void attention(hz__call *c) {
    bool flat = hz__arg_value(c, Q)->rank == 3;
    hz_var q = heads_of(c, Q, "q_num_heads"), k = heads_of(c, K, "kv_num_heads");
    hz_var v = heads_of(c, V, "kv_num_heads");
    if (!check_heads(c, q, k, v)) return;
    int64_t copies = hz_value(q)->dim[1] / hz_value(k)->dim[1];
    k = behind(hz__arg(c, PAST_KEY), k), v = behind(hz__arg(c, PAST_VALUE), v);
    hz__give_as(c, 1, k, hz__arg_type(c, K));
    hz__give_as(c, 2, v, hz__arg_type(c, V));
    hz_var y = hz_matmul(weights_of(c, q, repeat_heads(k, copies)), repeat_heads(v, copies));
    if (flat && hz_ok(y)) y = hz_flatten(hz_permute(y, swap_heads), 2);
    hz__give_as(c, 0, y, hz__arg_type(c, Q));
}

/* ---- RotaryEmbedding ---- */

enum { X, COS, SIN, POSITIONS };

/* cos or sin for every token, (N, L, 1, D/2). */
static hz_var angles(hz__call *c, int k, int64_t half) {
    hz_var table = hz__arg(c, k);
    if (hz__has(c, POSITIONS)) table = hz_gather(table, 0, hz__arg(c, POSITIONS));
    const hz_tensor *v = hz_value(table);
    if (!hz_ok(table)) return table;
    if (v->rank != 3 || v->dim[2] != half)
        return hz__bad(c, "angles %s for %" PRId64 " pairs of each token", hz_shape_str(v).s, half);
    return hz_unsqueeze(table, 2);
}

/* Turn the first `size` elements of x (N, L, H, D), pairs of neighbours or of the two halves, by their angles. */
static hz_var rotated(hz__call *c, hz_var x, int64_t size) {
    const int64_t half = size / 2;
    bool neighbours = hz__attr_int(c, "interleaved", 0) != 0;
    hz_var a = hz_slice(x, 3, 0, half, neighbours ? 2 : 1);
    hz_var b = hz_slice(x, 3, neighbours ? 1 : half, half, neighbours ? 2 : 1);
    hz_var cosine = angles(c, COS, half), sine = angles(c, SIN, half);
    const hz_var pair[] = {hz_sub(hz_mul(a, cosine), hz_mul(b, sine)),
                           hz_add(hz_mul(a, sine), hz_mul(b, cosine))};
    if (!neighbours) return hz_concat(pair, 2, 3);
    hz_var y = hz_stack(pair, 2, 4);
    return hz_ok(y) ? hz_flatten(y, 3) : y;
}

static void rotary_embedding(hz__call *c) {
    bool flat = hz__arg_value(c, X)->rank == 3;
    if (!flat && hz__arg_value(c, X)->rank != 4) {
        hz__bad(c, "tokens %s", hz_shape_str(hz__arg_value(c, X)).s);
        return;
    }
    hz_var x = flat ? split_heads(c, hz__arg(c, X), hz__attr_int(c, "num_heads", 0))
                    : hz_permute(hz__arg(c, X), swap_heads);
    if (!hz_ok(x)) return;
    int64_t whole = hz_value(x)->dim[3], size = hz__attr_int(c, "rotary_embedding_dim", 0);
    if (size == 0) size = whole;
    if (size < 2 || size > whole || size % 2) {
        hz__bad(c, "%" PRId64 " of %" PRId64 " elements to turn in pairs", size, whole);
        return;
    }
    const hz_var parts[] = {rotated(c, x, size), hz_slice(x, 3, size, whole - size, 1)};
    hz_var y = size < whole ? hz_concat(parts, 2, 3) : parts[0];
    if (!hz_ok(y)) return;
    hz__give(c, 0, flat ? hz_flatten(y, 2) : hz_permute(y, swap_heads));
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"Attention", .since = 23, .need = 3, .run = attention},
    {"RotaryEmbedding", .since = 23, .need = 3, .run = rotary_embedding},
};

const hz__family hz__onnx_attention = {mappings, HZ__COUNT(mappings)};
