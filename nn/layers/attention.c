/* attention.c: every query looks at all keys, and gets a mean of their values (Vaswani et al. 2017, "Attention is all you
 * need"). Start reading at record. Inside, tensors are (N, heads, L, D), D = E/heads.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>

#include "nn/layers/internal.h"
#include "tensor/elementwise.h"

enum { Q, K, V, INPUTS };

typedef struct pass {
    hz_net *net;
    const hz_attention_layer *o;
    hz_var x[INPUTS];                           /* (N, L, E), (N, S, …), (N, S, …) */
    int64_t batch, queries, keys, width, heads; /* N, L, S, E */
} pass;

/* ---- the inputs ---- */

static hz_var batch_first(const pass *p, hz_var x) {
    if (hz_value(x)->rank == 2) return hz_unsqueeze(x, 0);
    return p->o->batch_first || hz_value(x)->rank != 3 ? x : hz_transpose(x, 0, 1);
}

static bool check(pass *p) {
    const hz_tensor *q = hz_value(p->x[Q]), *k = hz_value(p->x[K]), *v = hz_value(p->x[V]);
    const bool fit = q->rank == 3 && k->rank == 3 && v->rank == 3 && k->dim[0] == q->dim[0] &&
                     v->dim[0] == q->dim[0] && v->dim[1] == k->dim[1];
    if (!fit) {
        hz_tape_fail(
            p->net->tape, HZ_ESHAPE,
            "\"%s\": queries %s, keys %s and values %s, batch first, must be (N, L, E), (N, S, …) and "
            "(N, S, …)",
            p->net->path, hz_shape_str(q).s, hz_shape_str(k).s, hz_shape_str(v).s);
        return false;
    }
    p->batch = q->dim[0], p->queries = q->dim[1], p->width = q->dim[2], p->keys = k->dim[1];
    p->heads = p->o->heads ? p->o->heads : 1;
    if (p->heads > 0 && p->width % p->heads == 0) return true;
    hz_tape_fail(p->net->tape, HZ_EINVAL, "\"%s\": a width of %" PRId64 " does not make %" PRId64 " heads",
                 p->net->path, p->width, p->heads);
    return false;
}

/* ---- projections ---- */

/* (N, L, E) → (N, heads, L, D) */
static hz_var split_heads(const pass *p, hz_var x) {
    if (!hz_ok(x)) return x;
    const int64_t *d = hz_value(x)->dim;
    x = hz_reshape(x, HZ_DIMS(d[0], d[1], p->heads, p->width / p->heads));
    return hz_permute(x, (const int[]){0, 2, 1, 3});
}

/* Rows of the maps first … first + count − 1, of E rows each. */
static hz_var maps(const pass *p, hz_var all, int first, int count) {
    return hz_ok(all) ? hz_slice(all, 0, first * p->width, count * p->width, 1) : all;
}

/* One product for neighbours that are the same: for all three where a sequence looks at itself. */
static void project_together(const pass *p, hz_var bias, hz_var *heads) {
    const hz_initial xavier = {.kind = HZ_INITIAL_XAVIER};
    hz_var w = hz_param_shaped(p->net, "in_proj_weight", HZ_DIMS(INPUTS * p->width, p->width), &xavier);
    for (int k = 0, n = 1; k < INPUTS; k += n) {
        for (n = 1; k + n < INPUTS && p->x[k + n].id == p->x[k].id;) n++;
        hz_var y = hz_linear(p->x[k], maps(p, w, k, n), maps(p, bias, k, n));
        for (int j = 0; j < n; j++)
            heads[k + j] = split_heads(p, n == 1 ? y : hz_slice(y, -1, j * p->width, p->width, 1));
    }
}

static void project_apart(const pass *p, hz_var bias, hz_var *heads) {
    static const char *const name[] = {"q_proj_weight", "k_proj_weight", "v_proj_weight"};
    const hz_initial xavier = {.kind = HZ_INITIAL_XAVIER};
    for (int k = 0; k < INPUTS; k++) {
        hz_var w = hz_param_shaped(p->net, name[k], HZ_DIMS(p->width, hz_value(p->x[k])->dim[2]), &xavier);
        heads[k] = split_heads(p, hz_linear(p->x[k], w, maps(p, bias, k, 1)));
    }
}

static void project(const pass *p, hz_var *heads) {
    hz_var bias = hz__optional(p->net, "in_proj_bias", HZ_DIMS(INPUTS * p->width), p->o->no_bias, NULL);
    const bool one_width = hz_value(p->x[K])->dim[2] == p->width && hz_value(p->x[V])->dim[2] == p->width;
    (one_width ? project_together : project_apart)(p, bias, heads);
}

/* (N, heads, L, D) → (N, L, E), through the last map */
static hz_var merge_heads(const pass *p, hz_var y) {
    const double bound = p->width > 0 ? 1 / sqrt((double)p->width) : 0;
    const hz_initial how = {.kind = HZ_INITIAL_UNIFORM, .a = -bound, .b = bound};
    y = hz_reshape(hz_permute(y, (const int[]){0, 2, 1, 3}), HZ_DIMS(p->batch, p->queries, p->width));
    hz_var w = hz_param_shaped(p->net, "out_proj.weight", HZ_DIMS(p->width, p->width), &how);
    return hz_linear(y, w, hz__optional(p->net, "out_proj.bias", HZ_DIMS(p->width), p->o->no_bias, NULL));
}

/* ---- masks ---- */

/* mask, which must be (d₀, d₁, …), as a term of the scores, with the axes that broadcast to theirs. */
static hz_var add_mask(const pass *p, hz_var scores, const char *what, hz_var mask, int rank,
                       const int64_t *dim, const int64_t axes[4]) {
    const hz_dtype dtype = hz_value(scores)->dtype;
    const hz_tensor want = hz_tensor_of(NULL, dtype, rank, dim);
    if (!hz_same_shape(hz_value(mask), &want))
        return hz_tape_fail(scores.tape, HZ_ESHAPE, "\"%s\": %s %s must be %s", p->net->path, what,
                            hz_shape_str(hz_value(mask)).s, hz_shape_str(&want).s);
    if (hz_value(mask)->dtype == HZ_U8)
        mask = hz_where(mask, hz_scalar(scores.tape, dtype, -INFINITY), hz_scalar(scores.tape, dtype, 0));
    return hz_add(scores, hz_reshape(mask, 4, axes));
}

/* (L, S): −∞ for keys that come after the query */
static hz_var later_keys(const pass *p, hz_dtype dtype) {
    hz_var mask = hz_full(p->net->tape, dtype, HZ_DIMS(p->queries, p->keys), 0);
    for (int64_t i = 0; hz_ok(mask) && i < p->queries && i + 1 < p->keys; i++) {
        hz_tensor row, later;
        if (hz_view_slice(hz_value(mask), 0, i, 1, 1, &row, NULL) &&
            hz_view_slice(&row, 1, i + 1, p->keys - i - 1, 1, &later, NULL))
            hz_fill(hz_tape_exec(p->net->tape), &later, -INFINITY);
    }
    return mask;
}

static hz_var masked(const pass *p, hz_var scores) {
    const int64_t n = p->batch, h = p->heads, q = p->queries, k = p->keys;
    hz_var mask = p->o->mask, padding = p->o->padding;
    if (!hz_ok(scores)) return scores;
    if (p->o->causal) scores = hz_add(scores, later_keys(p, hz_value(scores)->dtype));
    if (hz_ok(mask) && hz_value(mask)->rank == 3)
        scores = add_mask(p, scores, "mask", mask, HZ_DIMS(n * h, q, k), (const int64_t[]){n, h, q, k});
    else if (hz_ok(mask))
        scores = add_mask(p, scores, "mask", mask, HZ_DIMS(q, k), (const int64_t[]){1, 1, q, k});
    if (hz_ok(padding) && hz_ok(scores))
        scores = add_mask(p, scores, "padding", padding, HZ_DIMS(n, k), (const int64_t[]){n, 1, 1, k});
    return scores;
}

/* ---- the layer ---- */

static hz_var record(pass *p) {
    hz_var h[INPUTS];
    if (!check(p)) return hz_none(p->net->tape);
    project(p, h);
    const double scale = 1 / sqrt((double)p->width / (double)p->heads);
    hz_var scores = hz_matmul(hz_scale(h[Q], scale), hz_transpose(h[K], 2, 3)); /* (N, heads, L, S) */
    hz_var weights = hz_name(hz_softmax(masked(p, scores), HZ_AXIS(3)), "weights");
    weights = hz_layer_dropout(p->net, "dropout", weights, p->o->dropout);
    return merge_heads(p, hz_matmul(weights, h[V]));
}

hz_var hz_layer_attention(hz_net *net, const char *layer, hz_var query, hz_var key, hz_var value,
                          const hz_attention_layer *l) {
    const hz_attention_layer o = l ? *l : (hz_attention_layer){.heads = 0};
    if (!hz_ok(query) || !hz_ok(key) || !hz_ok(value)) return hz_none(net->tape);
    pass p = {.net = net, .o = &o};
    const bool unbatched = hz_value(query)->rank == 2;
    hz_net_enter(net, layer);
    const hz_var given[] = {query, key, value};
    for (int k = 0; k < INPUTS; k++) /* the same one stays the same one */
        p.x[k] = k > 0 && given[k].id == given[k - 1].id ? p.x[k - 1] : batch_first(&p, given[k]);
    hz_var y = record(&p);
    if (hz_ok(y)) y = unbatched ? hz_squeeze(y, HZ_AXIS(0)) : o.batch_first ? y : hz_transpose(y, 0, 1);
    return hz_net_output(net, layer, y);
}
