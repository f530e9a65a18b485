/* names.c: what the values of the written graph are called. A node keeps the name it was given last, and its other names
 * as aliases; of a name that two nodes bear, the later one is found by hz_find, so it keeps it. A nameless node is called
 * after its op and its number.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "nn/onnx/write/write.h"
#include "tensor/file.h"

/* ---- the set of names in use; '.' and '/' are the same, as for hz_find ---- */

static char fold(char c) {
    return c == '/' ? '.' : c;
}

static size_t hash(const char *s) {
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *s; s++) h = (h ^ (unsigned char)fold(*s)) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32);
}

static bool same(const char *a, const char *b) {
    while (*a && fold(*a) == fold(*b)) a++, b++;
    return *a == *b;
}

static const char **place_of(const char **taken, size_t capacity, const char *name) {
    size_t k = hash(name) & (capacity - 1);
    while (taken[k] && !same(taken[k], name)) k = (k + 1) & (capacity - 1);
    return &taken[k];
}

static bool is_taken(const hz__writer *w, const char *name) {
    return w->n_taken && *place_of(w->taken, w->taken_capacity, name);
}

static bool grow(hz__writer *w) {
    if (2 * w->n_taken < w->taken_capacity) return true;
    size_t capacity = w->taken_capacity ? 2 * w->taken_capacity : 256;
    const char **taken = hz__keep(w, capacity, sizeof *taken);
    for (size_t k = 0; taken && k < w->taken_capacity; k++)
        if (w->taken[k]) *place_of(taken, capacity, w->taken[k]) = w->taken[k];
    if (taken) w->taken = taken, w->taken_capacity = capacity;
    return taken != NULL;
}

static const char *take(hz__writer *w, const char *name) {
    const char *copy = hz_arena_strdup(&w->arena, name);
    if (!copy || !grow(w)) {
        w->exhausted = true;
        return "";
    }
    *place_of(w->taken, w->taken_capacity, copy) = copy;
    w->n_taken++;
    return copy;
}

const char *hz__unused_name(hz__writer *w, const char *name) {
    char numbered[640];
    if (!is_taken(w, name)) return take(w, name);
    for (int k = 2;; k++) {
        snprintf(numbered, sizeof numbered, "%.600s_%d", name, k);
        if (!is_taken(w, numbered)) return take(w, numbered);
    }
}

/* ---- labels ---- */

/* A file holds UTF-8 alone. */
static void clean(char *name) {
    for (; !hz_is_utf8(name) && *name; name++)
        if ((unsigned char)*name >= 128) *name = '?';
}

/* The latest name first: it is the one to be found, and the one the node shows. */
static void give(hz__writer *w, uint32_t id, const char *text) {
    char name[640];
    snprintf(name, sizeof name, "%.600s", text);
    clean(name);
    if (!w->label[id]) {
        w->label[id] = hz__unused_name(w, name);
        return;
    }
    if (is_taken(w, name)) return;
    hz__alias *a = hz__keep(w, 1, sizeof *a);
    if (a) *a = (hz__alias){.id = id, .name = take(w, name), .next = w->aliases}, w->aliases = a;
}

static void give_names(hz__writer *w) {
    hz_var x;
    uint32_t count = 0;
    while (hz_tape_name(w->t, count, NULL)) count++;
    while (count-- > 0) {
        const char *text = hz_tape_name(w->t, count, &x);
        if (*text && x.id < w->size && (w->needed[x.id] || w->declared[x.id])) give(w, x.id, text);
    }
}

bool hz__label_nodes(hz__writer *w) {
    char name[128];
    give_names(w);
    for (uint32_t id = 1; id < w->size; id++) {
        if ((!w->needed[id] && !w->declared[id]) || w->label[id]) continue;
        const hz_node *n = hz_node_of(hz_at(w->t, id));
        if (w->declared[id])
            snprintf(name, sizeof name, w->n_inputs == 1 ? "input" : "input_%d", w->declared[id]);
        else
            snprintf(name, sizeof name, "%.80s_%u", n->op == &hz_op_leaf ? "constant" : n->op->name, id);
        w->label[id] = hz__unused_name(w, name);
    }
    return !w->exhausted;
}
