/* recompute.c: segments whose inside is dropped and run again when a gradient needs it.
 *
 * hz_recompute runs a segment, notes what it used of the tape and which tensors it borrowed, rewinds, and puts in its place
 * the leaves of those tensors and one node that holds the result. `again` is the expansion of that node (hz_op.expand):
 * the sweep goes through what it records. A tensor borrowed again is the leaf that was kept.
 *
 * SPDX-License-Identifier: MIT */
#include "autograd/recompute.h"

#include <string.h>

#include "autograd/internal.h"

/* The attributes of the node, all in the tape's arena. */
typedef struct segment {
    hz_segment_fn run;
    const hz_var *in; /* as given; the node's own inputs are all that was used */
    int n;
    const void *ctx;
    const char *scope;
    const hz_var *leaf; /* of the borrowed tensors, in the order of borrowing */
    int n_leaves;
} segment;

/* ---- running a segment ---- */

typedef struct scope_text {
    char s[HZ__SCOPE_MAX];
    uint32_t len;
} scope_text;

static scope_text scope_now(const hz_tape *t) {
    scope_text scope = {.len = t->scope_len};
    memcpy(scope.s, t->scope, t->scope_len);
    scope.s[scope.len] = '\0';
    return scope;
}

static void scope_set(hz_tape *t, const char *text) {
    t->scope_len = (uint32_t)strlen(text);
    memcpy(t->scope, text, t->scope_len + 1);
}

/* A segment that fails, or returns nothing, has failed with a word. */
static hz_var run(hz_tape *t, const segment *g) {
    hz_var y = g->run(t, g->in, g->n, g->ctx);
    if (t->error.code) return hz_none(t);
    if (y.tape == t && hz_ok(y)) return y;
    return hz_tape_fail(t, HZ_EINVAL, "hz_recompute: the segment returned %s",
                        y.tape && y.tape != t ? "a variable of another tape" : "the inert variable");
}

/* A segment that is run again, and which of its leaves have been asked for: the first, the second, …, 0 for not yet. */
struct hz__replay {
    const segment *of;
    uint32_t *claimed, claims;
};

/* ---- what a segment used ---- */

/* Where the tape was before it ran. */
typedef struct start {
    hz_mark mark;
    scope_text scope;
    uint32_t claims; /* of an outer segment that is run again */
} start;

/* Scratch, while it is collected. */
typedef struct usage {
    hz_var *in;        /* variables recorded before, each once, that the result depends on */
    bool *needed;      /* per id from the start: the result depends on it */
    hz_var *known;     /* leaves of an outer segment that it borrowed */
    hz_tensor *leaf;   /* what it borrowed besides */
    uint32_t *leaf_id; /* as they were inside */
    hz__name *name;    /* names of what stays; ids as they were inside */
    int n_in, n_known, n_leaves, n_names;
} usage;

static bool is_borrowed(const hz_node *n) {
    return n->op == &hz_op_leaf && !n->block;
}

static void *scratch(hz_tape *t, int count, size_t size) {
    return hz_arena_alloc(&t->sweeps, (size_t)count * size);
}

static bool allocate(hz_tape *t, hz_mark from, usage *u) {
    int inputs = 0, leaves = 0, names = (int)(t->n_names - from.names);
    for (uint32_t id = from.nodes; id < t->size; id++) {
        inputs += hz__node(t, id)->n_in;
        leaves += is_borrowed(hz__node(t, id));
    }
    return (u->in = scratch(t, inputs, sizeof *u->in)) &&
           (u->needed = scratch(t, (int)(t->size - from.nodes), sizeof *u->needed)) &&
           (u->leaf = scratch(t, leaves, sizeof *u->leaf)) &&
           (u->leaf_id = scratch(t, leaves, sizeof *u->leaf_id)) &&
           (u->name = scratch(t, names, sizeof *u->name)) &&
           (u->known = scratch(t, t->replay ? t->replay->of->n_leaves : 0, sizeof *u->known));
}

static void note_input(usage *u, hz_var in) {
    for (int k = 0; k < u->n_in; k++)
        if (u->in[k].id == in.id) return;
    u->in[u->n_in++] = in;
}

/* From the result down. */
static void note_needed(const hz_tape *t, uint32_t first, uint32_t result, usage *u) {
    memset(u->needed, 0, t->size - first);
    u->needed[result - first] = true;
    for (uint32_t id = result + 1; id-- > first;) {
        const hz_node *n = hz__node(t, id);
        for (int i = 0; u->needed[id - first] && i < n->n_in; i++)
            if (n->in[i].id < first)
                note_input(u, n->in[i]);
            else
                u->needed[n->in[i].id - first] = true;
    }
}

static void note_leaves(const hz_tape *t, uint32_t first, usage *u) {
    for (uint32_t id = first; id < t->size; id++) {
        if (!is_borrowed(hz__node(t, id))) continue;
        u->leaf[u->n_leaves] = hz__node(t, id)->value;
        u->leaf_id[u->n_leaves++] = id;
    }
}

static bool note_name(hz_tape *t, hz_mark from, usage *u, const hz__name *name, uint32_t result) {
    bool stays = name->id == result || (name->id && name->id < from.nodes);
    for (int k = 0; k < u->n_leaves; k++) stays = stays || u->leaf_id[k] == name->id;
    if (!stays || name->make) return true;
    u->name[u->n_names] = (hz__name){.text = hz_arena_strdup(&t->sweeps, name->text), .id = name->id};
    return u->name[u->n_names++].text != NULL;
}

static void note_known(const hz_tape *t, const start *from, usage *u) {
    const struct hz__replay *r = t->replay;
    for (int k = 0; r && k < r->of->n_leaves; k++)
        if (r->claimed[k] > from->claims) u->known[u->n_known++] = r->of->leaf[k];
}

/* Everything recorded since `from` that outlives it. */
static bool collect(hz_tape *t, const start *from, uint32_t result, usage *u) {
    const uint32_t first = from->mark.nodes;
    if (!allocate(t, from->mark, u)) return false;
    note_known(t, from, u);
    note_needed(t, first, result, u);
    note_leaves(t, first, u);
    bool ok = true;
    for (uint32_t k = from->mark.names; ok && k < t->n_names; k++)
        ok = note_name(t, from->mark, u, &t->name[k], result);
    return ok;
}

/* ---- what stays of it ---- */

/* The attributes of the node, and its inputs: all that was used, the leaves last, which are put on the tape again. */
static segment *store(hz_tape *t, const segment *g, size_t ctx_size, const usage *u, uint32_t first,
                      hz_var **in, int *n_in) {
    hz_arena *a = &t->arena;
    const int leaves = u->n_known + u->n_leaves;
    segment *s = hz_arena_copy(a, g, sizeof *g);
    hz_var *leaf = hz_arena_alloc(a, (size_t)leaves * sizeof *leaf);
    *in = hz_arena_alloc(a, (size_t)(u->n_in + u->n_leaves) * sizeof **in);
    if (!s || !*in || !leaf) return NULL;
    memcpy(*in, u->in, (size_t)u->n_in * sizeof **in);
    memcpy(leaf, u->known, (size_t)u->n_known * sizeof *leaf);
    *n_in = u->n_in;
    for (int k = 0; k < u->n_leaves; k++) {
        leaf[u->n_known + k] = hz__push_leaf(t, &u->leaf[k], NULL);
        if (u->needed[u->leaf_id[k] - first]) (*in)[(*n_in)++] = leaf[u->n_known + k];
    }
    s->in = hz_arena_copy(a, g->in, (size_t)g->n * sizeof *g->in);
    s->ctx = ctx_size ? hz_arena_copy(a, g->ctx, ctx_size) : g->ctx;
    s->scope = hz_arena_strdup(a, t->scope);
    s->leaf = leaf;
    s->n_leaves = leaves;
    return s->in && s->scope && (s->ctx || !ctx_size) ? s : NULL;
}

/* What has taken the place of variable id, result's own included. */
static hz_var successor(const usage *u, const segment *s, uint32_t id, hz_var result) {
    for (int i = 0; i < u->n_leaves; i++)
        if (u->leaf_id[i] == id) return s->leaf[u->n_known + i];
    return result;
}

static bool keep_names(hz_tape *t, const start *from, const usage *u, const segment *s, hz_var result) {
    bool ok = true;
    for (int k = 0; ok && k < u->n_names; k++) {
        const uint32_t id = u->name[k].id;
        hz_var x = id < from->mark.nodes ? (hz_var){t, id} : successor(u, s, id, result);
        ok = hz__name_fully(x, u->name[k].text);
    }
    return ok;
}

/* Put the node in the place of what was rewound; takes over the reference to block. */
static hz_var put_node(hz_tape *t, const start *from, const segment *g, size_t ctx_size, const usage *u,
                       hz_tensor value, hz_block *block, uint32_t result_id) {
    hz_var *in;
    int n_in;
    const segment *kept = store(t, g, ctx_size, u, from->mark.nodes, &in, &n_in);
    hz_var result = kept ? successor(u, kept, result_id, hz_none(t)) : hz_none(t);
    if (!kept || hz_ok(result)) { /* no memory, or the segment returned a leaf */
        hz_block_unref(block);
    } else {
        hz_node *n = hz__push(t, &hz_op_recompute, in, n_in, value, block);
        if (!n) return hz_none(t);
        n->attr = kept;
        result = n->out;
    }
    if (!hz_ok(result)) return hz_tape_fail(t, HZ_ENOMEM, "hz_recompute: no memory to record it");
    return keep_names(t, from, u, kept, result) ? result : hz_none(t);
}

static hz_var replace(hz_tape *t, const start *from, const segment *g, size_t ctx_size, hz_var y) {
    usage u = {.n_in = 0};
    hz_tensor value = *hz_value(y);
    hz_block *block = hz_node_of(y)->block;
    const bool ok = collect(t, from, y.id, &u);
    hz_block_ref(block);
    hz_tape_rewind(t, from->mark);
    scope_set(t, from->scope.s);
    if (ok) return put_node(t, from, g, ctx_size, &u, value, block, y.id);
    hz_block_unref(block);
    return hz_tape_fail(t, HZ_ENOMEM, "hz_recompute: no memory to record it");
}

static bool check(hz_tape *t, hz_segment_fn run_it, const hz_var *in, int n) {
    if (!run_it || n < 0) hz_tape_fail(t, HZ_EINVAL, "hz_recompute: no segment, or %d inputs", n);
    for (int k = 0; k < n && !t->error.code; k++)
        if (in[k].tape != t || !hz_ok(in[k]))
            hz_tape_fail(t, HZ_EINVAL, "hz_recompute: input %d is %s", k,
                         in[k].tape && in[k].tape != t ? "on another tape"
                                                       : "the inert variable or no longer on the tape");
    return !t->error.code;
}

hz_var hz_recompute(hz_tape *t, hz_segment_fn segment_fn, const hz_var *in, int n, const void *ctx,
                    size_t ctx_size) {
    if (t->error.code || !check(t, segment_fn, in, n)) return hz_none(t);
    const segment g = {.run = segment_fn, .in = in, .n = n, .ctx = ctx};
    const hz_arena_mark scratch_mark = hz_arena_now(&t->sweeps);
    const start from = {hz_tape_mark(t), scope_now(t), t->replay ? t->replay->claims : 0};
    hz_var y = run(t, &g);
    if (hz_ok(y) && y.id >= from.mark.nodes) {
        y = replace(t, &from, &g, ctx_size, y);
    } else { /* it failed, or made nothing */
        hz_tape_rewind(t, from.mark);
        scope_set(t, from.scope.s);
    }
    hz_arena_rewind(&t->sweeps, scratch_mark);
    return y;
}

/* ---- again ---- */

bool hz_recomputing(const hz_tape *t) {
    return t->replay != NULL;
}

static bool same_view(const hz_tensor *a, const hz_tensor *b) {
    if (a->data != b->data || a->dtype != b->dtype || !hz_same_shape(a, b)) return false;
    for (int k = 0; k < a->rank; k++)
        if (a->stride[k] != b->stride[k]) return false;
    return true;
}

hz_var hz__replayed_leaf(hz_tape *t, const hz_tensor *value) {
    struct hz__replay *r = t->replay;
    for (int k = 0; r && k < r->of->n_leaves; k++) {
        if (r->claimed[k] || !same_view(hz_value(r->of->leaf[k]), value)) continue;
        r->claimed[k] = ++r->claims;
        return r->of->leaf[k];
    }
    return hz_none(t);
}

static bool same_bits(const hz_tensor *a, const hz_tensor *b) {
    if (hz_is_contiguous(a) && hz_is_contiguous(b))
        return hz_numel(a) == 0 || memcmp(a->data, b->data, hz_nbytes(a)) == 0;
    int64_t idx[HZ_MAX_RANK], size = (int64_t)hz_dtype_size(a->dtype);
    for (int64_t k = 0; k < hz_numel(a); k++) {
        hz_unravel(a, k, idx);
        if (memcmp((const char *)a->data + hz_offset(a, idx) * size,
                   (const char *)b->data + hz_offset(b, idx) * size, (size_t)size) != 0)
            return false;
    }
    return true;
}

static hz_var check_result(const hz_node *n, hz_var y) {
    const hz_tensor *first = &n->value, *now = hz_value(y);
    if (!hz_ok(y)) return y;
    if (now->dtype == first->dtype && hz_same_shape(now, first) && same_bits(now, first)) return y;
    return hz_tape_fail(
        n->tape, HZ_EINVAL, "the segment gave %s %s the first time, now %s %s%s", hz_dtype_name(first->dtype),
        hz_shape_str(first).s, hz_dtype_name(now->dtype), hz_shape_str(now).s,
        hz_same_shape(now, first) ? " with other values: does it change what it depends on?" : "");
}

static hz_var again(const hz_node *n) {
    hz_tape *t = n->tape;
    const segment *g = n->attr;
    const scope_text scope = scope_now(t);
    struct hz__replay *before = t->replay, replay = {.of = g};
    replay.claimed = scratch(t, g->n_leaves, sizeof *replay.claimed);
    if (!replay.claimed) return hz_tape_fail(t, HZ_ENOMEM, "%s: no memory to run it again", hz_node_str(n).s);
    memset(replay.claimed, 0, (size_t)g->n_leaves * sizeof *replay.claimed);
    t->replay = &replay;
    scope_set(t, g->scope);
    hz_var y = check_result(n, run(t, g));
    scope_set(t, scope.s);
    t->replay = before;
    if (t->error.code) hz_fail_in(&t->error, "%s, run again", hz_node_str(n).s);
    return y;
}

static bool recompute_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    (void)out;
    return hz_fail(err, HZ_EINVAL, "%s is recorded by hz_recompute alone", n->op->name);
}

const hz_op hz_op_recompute = {
    .name = "recompute", .n_in = HZ_VARIADIC, .shape = recompute_shape, .expand = again};
