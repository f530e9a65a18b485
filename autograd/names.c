/* names.c: names of variables, scopes, and finding a variable by name.
 *
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "autograd/internal.h"

/* ---- scopes ---- */

void hz__scope_cut(hz_tape *t, uint32_t len) {
    if (t->scope_len > len) t->scope_len = len;
    t->scope[t->scope_len] = '\0';
}

void hz_scope_push(hz_tape *t, const char *name) {
    size_t room = HZ__SCOPE_MAX - t->scope_len;
    int n = snprintf(t->scope + t->scope_len, room, "%s%s", t->scope_len ? "." : "", name);
    if (n < 0 || (size_t)n >= room) {
        hz__scope_cut(t, t->scope_len);
        hz_tape_fail(t, HZ_EINVAL, "scope \"%s\" with \"%.40s\" is longer than %d characters", t->scope, name,
                     HZ__SCOPE_MAX - 1);
        return;
    }
    t->scope_len += (uint32_t)n;
}

/* The last component of a scope may itself hold dots ("layer1.0"), so a pop must know how much was pushed: the
 * name given. */
void hz_scope_pop(hz_tape *t, const char *name) {
    size_t len = strlen(name);
    if (len > t->scope_len || strcmp(t->scope + t->scope_len - len, name) != 0) {
        hz_tape_fail(t, HZ_EINVAL, "scope \"%s\" does not end in \"%.40s\"", t->scope, name);
        return;
    }
    uint32_t rest = t->scope_len - (uint32_t)len;
    hz__scope_cut(t, rest ? rest - 1 : 0);
}

/* ---- giving names ---- */

static bool grow_names(hz_tape *t) {
    if (t->n_names < t->name_capacity) return true;
    uint32_t capacity = t->name_capacity ? 2 * t->name_capacity : 64;
    hz__name *name = hz_alloc(&t->alloc, capacity * sizeof *name);
    if (!name) return false;
    if (t->n_names) memcpy(name, t->name, t->n_names * sizeof *name);
    hz_free(&t->alloc, t->name);
    t->name = name;
    t->name_capacity = capacity;
    return true;
}

/* A new entry for this name, whatever the scope; NULL, with the error recorded, when out of memory. */
static hz__name *add_fully(hz_tape *t, const char *full) {
    char *text = grow_names(t) ? hz_arena_strdup(&t->arena, full) : NULL;
    if (!text) {
        hz_tape_fail(t, HZ_ENOMEM, "hz_name: no memory for \"%.40s\"", full);
        return NULL;
    }
    t->name[t->n_names] = (hz__name){.text = text};
    return &t->name[t->n_names++];
}

/* The same in the current scope; NULL, with the error recorded, if that cannot be. */
static hz__name *add_name(hz_tape *t, const char *name) {
    char full[2 * HZ__SCOPE_MAX];
    int n = snprintf(full, sizeof full, "%s%s%s", t->scope, t->scope_len && *name ? "." : "", name);
    if (n > 0 && (size_t)n < sizeof full) return add_fully(t, full);
    if (n == 0)
        hz_tape_fail(t, HZ_EINVAL, "hz_name: an empty name outside any scope");
    else
        hz_tape_fail(t, HZ_EINVAL, "hz_name: \"%.40s…\" is longer than %d characters", name,
                     2 * HZ__SCOPE_MAX - 1);
    return NULL;
}

static bool give(hz_var x, hz__name *n) {
    if (!n) return false;
    n->id = x.id;
    hz__node(x.tape, x.id)->name = n->text;
    return true;
}

hz_var hz_name(hz_var x, const char *name) {
    return !hz_ok(x) || give(x, add_name(x.tape, name)) ? x : hz_none(x.tape);
}

bool hz__name_fully(hz_var x, const char *full) {
    return give(x, add_fully(x.tape, full));
}

bool hz__name_like(hz_var x, const hz_node *n) {
    hz_tape *t = n->tape;
    bool ok = true;
    for (uint32_t k = 0, end = n->name ? t->n_names : 0; ok && k < end; k++)
        if (t->name[k].id == n->id && !t->name[k].make) ok = hz__name_fully(x, t->name[k].text);
    return ok;
}

void hz__names_cut(hz_tape *t, uint32_t n) {
    while (t->n_names > n) {
        const hz__name last = t->name[--t->n_names];
        if (!last.id || last.id >= t->size || hz__node(t, last.id)->name != last.text) continue;
        uint32_t k = t->n_names;
        while (k > 0 && (t->name[k - 1].id != last.id || t->name[k - 1].make)) k--;
        hz__node(t, last.id)->name = k > 0 ? t->name[k - 1].text : NULL;
    }
}

void hz_name_later(hz_tape *t, const char *name, hz_make_fn make, const void *data, size_t size) {
    if (t->error.code) return;
    void *copy = hz_arena_copy(&t->arena, data, size);
    hz__name *n = copy ? add_name(t, name) : NULL;
    if (n) n->make = make, n->data = copy;
    if (!copy) hz_tape_fail(t, HZ_ENOMEM, "hz_name: no memory for \"%.40s\"", name);
}

hz_var hz_namef(hz_var x, const char *format, ...) {
    char name[HZ__SCOPE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return hz_name(x, name);
}

/* ---- finding ---- */

static char fold(char c) {
    return c == '/' ? '.' : c;
}

static bool same_name(const char *a, const char *b) {
    while (*a && fold(*a) == fold(*b)) a++, b++;
    return *a == *b;
}

/* The variable of name number k. One for later is made now, unless it was and its node is still there. */
static hz_var named(hz_tape *t, uint32_t k) {
    const hz__name n = t->name[k];
    if (!n.make || (n.id && n.id < t->size && hz__node(t, n.id)->name == n.text)) return (hz_var){t, n.id};
    hz_var x = n.make(t, n.data);
    t->name[k].id = x.id;
    if (hz_ok(x)) hz__node(t, x.id)->name = n.text;
    return x;
}

hz_var hz_lookup(hz_tape *t, const char *name) {
    for (uint32_t k = t->n_names; k-- > 0;)
        if (same_name(t->name[k].text, name)) return named(t, k);
    return hz_none(t);
}

const char *hz_tape_name(hz_tape *t, uint32_t k, hz_var *x) {
    if (k >= t->n_names) return NULL;
    if (x) *x = named(t, k);
    return t->name[k].text;
}

static int clipped_length(const char *s, int most) {
    int n = 0;
    while (n < most && s[n]) n++;
    return n;
}

/* Levenshtein distance of the first characters of two names, enough to suggest a spelling. */
static int distance(const char *a, const char *b) {
    enum { MAX = 48 };
    int row[MAX + 1], la = clipped_length(a, MAX), lb = clipped_length(b, MAX);
    for (int j = 0; j <= lb; j++) row[j] = j;
    for (int i = 1; i <= la; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= lb; j++) {
            int change = diagonal + (fold(a[i - 1]) != fold(b[j - 1]));
            diagonal = row[j];
            int shift = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < shift ? change : shift;
        }
    }
    return row[lb];
}

/* Up to three names of the tape closest to the one asked for, as ' (nearest: "a", "b")'. */
static void suggest(hz_tape *t, const char *name, char *out, size_t size) {
    enum { MOST = 3 };
    const char *best[MOST] = {NULL};
    int score[MOST];
    for (uint32_t k = 0; k < t->n_names; k++) {
        const char *candidate = t->name[k].text;
        int s = distance(name, candidate), at = MOST;
        while (at > 0 && (!best[at - 1] || s < score[at - 1])) at--;
        if (at == MOST || (at > 0 && same_name(best[at - 1], candidate))) continue;
        for (int j = MOST - 1; j > at; j--) best[j] = best[j - 1], score[j] = score[j - 1];
        best[at] = candidate;
        score[at] = s;
    }
    size_t used = 0;
    for (int j = 0; j < MOST && best[j] && used < size; j++)
        used += (size_t)snprintf(out + used, size - used, "%s\"%.60s\"", j ? ", " : "; nearest: ", best[j]);
}

static bool has_name(const hz_node *n, const void *name) {
    return hz_lookup(n->tape, name).id == n->id;
}

hz_var hz_find(hz_tape *t, const char *name) {
    if (t->error.code) return hz_none(t);
    hz_var x = hz_lookup(t, name);
    if (hz_ok(x)) return x;
    const hz_node *around = hz__search_inside(t, has_name, name);
    if (around)
        return hz_tape_fail(t, HZ_ENOTFOUND, "\"%.80s\" is inside %s, which keeps nothing but its result",
                            name, hz_node_str(around).s);
    char near[256] = "";
    suggest(t, name, near, sizeof near);
    return hz_tape_fail(t, HZ_ENOTFOUND, "no variable is named \"%.80s\"%s", name, near);
}

hz_node_text hz_node_str(const hz_node *n) {
    hz_node_text text;
    if (!n)
        snprintf(text.s, sizeof text.s, "the inert variable");
    else if (n->name)
        snprintf(text.s, sizeof text.s, "%s \"%.80s\"", n->op->name, n->name);
    else
        snprintf(text.s, sizeof text.s, "%s #%u", n->op->name, n->id);
    return text;
}
