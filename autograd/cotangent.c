/* cotangent.c: what comes back to a node along each path, and the sum over paths.
 *
 * In a lean sweep a cotangent is a value with the box outside which it is zero, and keeps its memory alive until its
 * consumer has run. Where many paths meet, as at a weight that every step of a recurrence uses, they are added up by
 * and by, so that their number does not show in the memory used.
 *
 * SPDX-License-Identifier: MIT */
#include "autograd/sweep.h"
#include "tensor/elementwise.h"

enum { FOLD = 16 }; /* this many cotangents waiting at one node are added up at once */

static hz__cotangent *new_cotangent(hz__sweep *s) {
    hz__cotangent *c = s->spare;
    if (c)
        s->spare = c->next;
    else if (!(c = hz_arena_alloc(&s->t->sweeps, sizeof *c)))
        hz_tape_fail(s->t, HZ_ENOMEM, "hz_grad: no memory for a cotangent");
    return c;
}

static void release(hz__sweep *s, hz__cotangent *c) {
    hz_block_unref(c->block);
    c->next = s->spare;
    s->spare = c;
}

/* ---- the sum over paths ---- */

static bool same_boxes(const hz__cotangent *list, int rank) {
    for (const hz__cotangent *c = list->next; c; c = c->next)
        if (!hz_box_equal(&c->box, &list->box, rank)) return false;
    return true;
}

/* Make c a new, contiguous tensor covering box of x. */
static bool allocate(hz__sweep *s, const hz_tensor *x, const hz_box *box, hz__cotangent *c) {
    hz_tensor shape = {.dtype = x->dtype, .rank = x->rank};
    for (int k = 0; k < x->rank; k++) shape.dim[k] = box->hi[k] - box->lo[k];
    c->block = hz_pool_tensor(s->t->exec.pool, &shape, &s->t->error);
    c->value = shape;
    c->box = *box;
    c->next = NULL;
    return c->block != NULL;
}

/* The part of sum (covering sum->box) where c lives. */
static hz_tensor part_of(const hz__cotangent *sum, const hz__cotangent *c) {
    hz_box box = c->box;
    for (int k = 0; k < sum->value.rank; k++) box.lo[k] -= sum->box.lo[k], box.hi[k] -= sum->box.lo[k];
    return hz_view_box(&sum->value, &box);
}

/* Cotangents on different boxes: zeros on the box around all, and each added where it lives. */
static void add_apart(hz__sweep *s, const hz__cotangent *list, hz__cotangent *sum) {
    hz_fill(&s->t->exec, &sum->value, 0);
    for (const hz__cotangent *c = list; c; c = c->next) {
        hz_tensor part = part_of(sum, c);
        hz_map2(&s->t->exec, HZ_ADD, &part, &c->value, 0, 0, &part);
    }
}

static bool add_together(hz__sweep *s, const hz__cotangent *list, int n, hz__cotangent *sum) {
    const hz_tensor **x = hz_arena_alloc(&s->t->sweeps, (size_t)n * sizeof *x);
    if (!x) return false;
    int i = 0;
    for (const hz__cotangent *c = list; c; c = c->next) x[i++] = &c->value;
    hz_sum_n(&s->t->exec, x, n, &sum->value);
    return true;
}

static bool sum_values(hz__sweep *s, const hz_node *n, const hz__cotangent *list, int count,
                       hz__cotangent *sum) {
    int rank = n->value.rank;
    hz_box box = list->box;
    for (const hz__cotangent *c = list->next; c; c = c->next) box = hz_box_union(&box, &c->box, rank);
    if (!allocate(s, &n->value, &box, sum)) return false;
    if (same_boxes(list, rank)) return add_together(s, list, count, sum);
    add_apart(s, list, sum);
    return true;
}

static bool sum_recorded(hz__sweep *s, const hz__cotangent *list, int count, hz__cotangent *sum) {
    hz_var *x = hz_arena_alloc(&s->t->sweeps, (size_t)count * sizeof *x);
    if (!x) return false;
    int i = 0;
    for (const hz__cotangent *c = list; c; c = c->next) x[i++] = c->var;
    *sum = (hz__cotangent){.var = hz_add_n(x, count), .box = list->box};
    return hz_ok(sum->var);
}

/* The list in the order of arrival. */
static hz__cotangent *in_order(hz__cotangent *latest) {
    hz__cotangent *first = NULL;
    while (latest) {
        hz__cotangent *next = latest->next;
        latest->next = first;
        first = latest;
        latest = next;
    }
    return first;
}

bool hz__take_sum(hz__sweep *s, const hz_node *n, hz__cotangent *sum) {
    hz__arrivals *arrived = &s->arrived[n->id - s->lo];
    int count = (int)arrived->count;
    hz__cotangent *list = in_order(arrived->latest);
    *arrived = (hz__arrivals){.latest = NULL};
    bool ok = true;
    if (count == 1) {
        *sum = *list;
        hz_block_ref(sum->block);
    } else {
        ok = hz__lean(s) ? sum_values(s, n, list, count, sum) : sum_recorded(s, list, count, sum);
    }
    if (!ok) {
        hz_block_unref(sum->block);
        hz_tape_fail(s->t, HZ_ENOMEM, "hz_grad: no memory to add %d paths at %s", count, hz_node_str(n).s);
    }
    while (list) {
        hz__cotangent *next = list->next;
        release(s, list);
        list = next;
    }
    return ok;
}

/* ---- handing on ---- */

static void arrive(hz__sweep *s, uint32_t id, hz__cotangent *c) {
    hz__arrivals *arrived = &s->arrived[id - s->lo];
    c->next = arrived->latest;
    arrived->latest = c;
    arrived->count++;
}

static bool fold(hz__sweep *s, const hz_node *n) {
    hz__cotangent *sum = new_cotangent(s);
    if (!sum) return false;
    *sum = (hz__cotangent){.next = NULL};
    if (!hz__take_sum(s, n, sum)) return false;
    arrive(s, n->id, sum);
    return true;
}

bool hz__send(hz__sweep *s, uint32_t id, hz_var var, const hz_box *box) {
    s = hz__owner(s, id);
    hz__cotangent *c = new_cotangent(s);
    if (!c) return false;
    const hz_node *from = hz__node(s->t, var.id), *to = hz__node(s->t, id);
    c->var = var;
    c->value = from->value;
    c->block = hz__lean(s) ? from->block : NULL;
    hz_block_ref(c->block);
    c->box = box ? *box : hz_box_full(&to->value);
    arrive(s, id, c);
    return !hz__lean(s) || s->arrived[id - s->lo].count < FOLD || fold(s, to);
}

/* ---- making whole, dropping ---- */

bool hz__make_whole(hz__sweep *s, const hz_tensor *x, hz__cotangent *c) {
    if (hz_box_is_full(&c->box, x)) return true;
    hz_box all = hz_box_full(x);
    hz__cotangent whole = {.next = NULL};
    if (!allocate(s, x, &all, &whole)) return false;
    hz_fill(&s->t->exec, &whole.value, 0);
    hz_tensor part = hz_view_box(&whole.value, &c->box);
    hz_copy(&s->t->exec, &c->value, &part);
    hz_block_unref(c->block);
    *c = whole;
    return true;
}

void hz__drop_arrivals(hz__sweep *s) {
    for (uint32_t id = s->lo; s->arrived && id <= s->hi; id++)
        for (hz__cotangent *c = s->arrived[id - s->lo].latest; c; c = c->next) hz_block_unref(c->block);
}
