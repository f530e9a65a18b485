/* tape.c: the life of a tape: making it, appending nodes, marking, rewinding, resetting, its sticky error.
 * Ops are recorded in apply.c, leaves in leaf.c, names in names.c.
 *
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "autograd/internal.h"

/* ---- making and freeing ---- */

static bool add_chunk(hz_tape *t) {
    if (t->n_chunks == t->chunk_capacity) {
        uint32_t capacity = t->chunk_capacity ? 2 * t->chunk_capacity : 16;
        hz_node **chunk = hz_alloc(&t->alloc, capacity * sizeof *chunk);
        if (!chunk) return false;
        if (t->n_chunks) memcpy(chunk, t->chunk, t->n_chunks * sizeof *chunk);
        hz_free(&t->alloc, t->chunk);
        t->chunk = chunk;
        t->chunk_capacity = capacity;
    }
    hz_node *nodes = hz_alloc(&t->alloc, HZ__CHUNK * sizeof *nodes);
    if (!nodes) return false;
    t->chunk[t->n_chunks++] = nodes;
    return true;
}

static void init_inert(hz_tape *t) {
    hz_node *n = hz__node(t, 0);
    memset(n, 0, sizeof *n);
    n->op = &hz_op_leaf;
    n->tape = t;
    n->out = hz_none(t);
    n->value.rank = 1;
    n->value.stride[0] = 1;
    t->size = 1;
}

hz_tape *hz_tape_new(const hz_tape_opts *opts) {
    static const hz_tape_opts defaults;
    if (!opts) opts = &defaults;
    hz_tape *t = hz_alloc0(opts->alloc, sizeof *t);
    if (!t) return NULL;
    if (opts->alloc) t->alloc = *opts->alloc;
    t->arena.alloc = t->sweeps.alloc = t->alloc;
    t->exec = (hz_exec){.pool = hz_pool_new(&t->alloc),
                        .threads = hz_threads_resolve(opts->threads),
                        .isa = hz_isa_resolve(opts->isa),
                        .winograd = opts->winograd};
    if (!t->exec.pool || !add_chunk(t)) {
        hz_tape_free(t);
        return NULL;
    }
    init_inert(t);
    return t;
}

void hz_tape_free(hz_tape *t) {
    if (!t) return;
    hz_pool_free(t->exec.pool);
    hz_arena_free(&t->arena);
    hz_arena_free(&t->sweeps);
    for (uint32_t k = 0; k < t->n_chunks; k++) hz_free(&t->alloc, t->chunk[k]);
    hz_free(&t->alloc, t->chunk);
    hz_free(&t->alloc, t->name);
    hz_allocator alloc = t->alloc;
    hz_free(&alloc, t);
}

/* ---- nodes ---- */

hz_node *hz__push(hz_tape *t, const hz_op *op, const hz_var *in, int n_in, hz_tensor value, hz_block *block) {
    uint32_t id = t->size;
    if (id == UINT32_MAX || (id >> HZ__CHUNK_BITS == t->n_chunks && !add_chunk(t))) {
        hz_block_unref(block);
        hz_tape_fail(t, HZ_ENOMEM, "%s: no memory for node %u of the tape", op->name, id);
        return NULL;
    }
    t->size = id + 1;
    hz_node *n = hz__node(t, id);
    n->op = op;
    n->tape = t;
    n->in = in;
    n->attr = NULL;
    n->rule = NULL;
    n->name = NULL;
    n->id = id;
    n->n_in = n_in;
    n->out = (hz_var){t, id};
    n->value = value;
    n->block = block;
    return n;
}

hz_mark hz_tape_mark(const hz_tape *t) {
    return (hz_mark){t->size, t->n_names, t->scope_len, hz_arena_now(&t->arena)};
}

void hz_tape_rewind(hz_tape *t, hz_mark mark) {
    while (t->size > mark.nodes) hz_block_unref(hz__node(t, --t->size)->block);
    hz__names_cut(t, mark.names);
    hz__scope_cut(t, mark.scope);
    hz_arena_rewind(&t->arena, mark.arena);
}

void hz_tape_reset(hz_tape *t) {
    hz_tape_rewind(t, (hz_mark){.nodes = 1});
    hz_tape_clear_error(t);
}

/* ---- errors ---- */

bool hz_tape_ok(const hz_tape *t, hz_error *err) {
    if (err && t->error.code != HZ_OK) *err = t->error;
    return t->error.code == HZ_OK;
}

void hz_tape_clear_error(hz_tape *t) {
    t->error = (hz_error){.code = HZ_OK};
}

hz_var hz_tape_fail(hz_tape *t, hz_code code, const char *format, ...) {
    if (t->error.code == HZ_OK) {
        char text[HZ_ERROR_TEXT];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        hz_fail(&t->error, code, "%s", text);
    }
    return hz_none(t);
}

/* ---- looking ---- */

hz_var hz_none(hz_tape *t) {
    return (hz_var){t, 0};
}

bool hz_ok(hz_var x) {
    return x.tape && x.id != 0 && x.id < x.tape->size;
}

const hz_node *hz_node_of(hz_var x) {
    return hz_ok(x) ? hz__node(x.tape, x.id) : NULL;
}

const hz_tensor *hz_value(hz_var x) {
    static const hz_tensor nothing = {.rank = 1, .stride = {1}};
    return hz_ok(x) ? &hz__node(x.tape, x.id)->value : &nothing;
}

uint32_t hz_tape_size(const hz_tape *t) {
    return t->size;
}

hz_var hz_at(hz_tape *t, uint32_t id) {
    return (hz_var){t, id < t->size ? id : 0};
}

const hz_exec *hz_tape_exec(hz_tape *t) {
    return &t->exec;
}

const hz_pool *hz_tape_pool(const hz_tape *t) {
    return t->exec.pool;
}
