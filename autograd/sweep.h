/* sweep.h: one gradient call in flight, as the files that carry it out share it.
 *
 *   plan.c       which nodes lie between the targets and the outputs; which rule is for which; coverage
 *   cotangent.c  what comes back to a node, and the sum over paths
 *   grad.c       visiting the nodes from the last to the first
 *
 * A node may be expanded into others (hz_op.expand). These are swept by a sweep of their own, from `lo` to the result, with
 * `outer` the sweep they belong to: what leads out of them goes there.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_AUTOGRAD_SWEEP_H
#define HZ_AUTOGRAD_SWEEP_H

#include "autograd/internal.h"

/* What one consumer of a node's output sends back to it: a recorded variable in a differentiable sweep; in a lean
 * one a value, on the part `box` of the output, outside which it is zero. */
typedef struct hz__cotangent {
    struct hz__cotangent *next;
    hz_var var;
    hz_tensor value;
    hz_block *block; /* one reference; NULL if the memory belongs to the forward pass or the caller */
    hz_box box;
} hz__cotangent;

/* What has come back to one node so far, the latest first. */
typedef struct hz__arrivals {
    hz__cotangent *latest;
    uint32_t count;
} hz__arrivals;

/* Nodes on the way by op, for the report. */
typedef struct hz__op_count {
    const hz_op *op;
    uint32_t nodes, matched[HZ_MAX_RULES]; /* all of them, and by rule used */
} hz__op_count;

/* What a sweep and those inside it share. */
typedef struct hz__shared {
    bool met[HZ_MAX_RULES]; /* rules that fit a node, on the way or not */
    hz__op_count *op;       /* counted only if a report is wanted */
    int n_ops, capacity;
    uint32_t visited;
} hz__shared;

enum {
    HZ__BELOW = 1,
    HZ__ABOVE = 2,
    HZ__TARGET = 4
}; /* depends on a target; a y depends on it; is a target */

typedef struct hz__sweep {
    hz_tape *t;
    const hz_grad_opts *opts;
    const hz_var *y, *x;
    int n_y, n_x;
    const hz_box *dy_box;  /* where the given cotangents live, or NULL: everywhere */
    hz__blocks *blocks;    /* NULL: nobody asks why */
    hz_var *dx;            /* results of a differentiable sweep */
    hz__cotangent *result; /* results of a lean one, one per target */
    uint32_t lo, hi;       /* ids from the first target to the last y */
    uint8_t *state;        /* per id: HZ__BELOW, … */
    int8_t *rule;          /* per id: index of its rule or −1; NULL without rules */
    hz__arrivals *arrived; /* per id */
    hz__cotangent *spare;  /* free list */
    hz__shared *shared;
    struct hz__sweep *outer; /* NULL: this is the whole sweep */
    const hz_node *within;   /* the node of outer that is expanded here */
    int depth;
} hz__sweep;

/* A sweep whose result is not to be differentiated again: nothing it records stays. */
static inline bool hz__lean(const hz__sweep *s) {
    return !s->opts->differentiable;
}

/* The sweep that variable id belongs to, NULL if it lies before all of them. */
static inline hz__sweep *hz__owner(hz__sweep *s, uint32_t id) {
    while (s && id < s->lo) s = s->outer;
    return s;
}

static inline bool hz__wanted(hz__sweep *s, hz_var in) {
    s = hz__owner(s, in.id);
    return s && (s->state[in.id - s->lo] & HZ__BELOW);
}

static inline const hz_rule *hz__rule_of(const hz__sweep *s, const hz_node *n) {
    int k = s->rule ? s->rule[n->id - s->lo] : -1;
    return k < 0 ? NULL : &s->opts->rules->rule[k];
}

/* Whether gradients pass from n's output to an input that leads to a target. */
static inline bool hz__passes(hz__sweep *s, const hz_node *n) {
    if (!n->op->vjp && !n->op->expand && !hz__rule_of(s, n)) return false;
    for (int i = 0; i < n->n_in; i++)
        if (hz__wanted(s, n->in[i])) return true;
    return false;
}

/* ---- plan.c ---- */

/* Fill lo and hi (unless this is a sweep inside another), state and rule. False (error recorded) when out of memory, or for
 * a rule that matches no node. */
bool hz__plan(hz__sweep *s);

/* After the sweep: where rules may be for nodes inside others, whether they are. */
bool hz__check_inside(hz__sweep *s);

/* Which rule was used how often. */
void hz__report(const hz__sweep *s, hz_grad_report *report);

void hz__free_shared(hz__sweep *s);

/* ---- cotangent.c ---- */

/* Hand var, which lives on *box of node id's output (NULL: all of it), to that node, here or in an outer sweep. False
 * (error recorded) when out of memory. */
bool hz__send(hz__sweep *s, uint32_t id, hz_var var, const hz_box *box);

/* Take what arrived at node n as one cotangent, whose block reference is the caller's from here on. */
bool hz__take_sum(hz__sweep *s, const hz_node *n, hz__cotangent *sum);

/* Replace c by the whole tensor of x's shape, zeros where c is not. */
bool hz__make_whole(hz__sweep *s, const hz_tensor *x, hz__cotangent *c);

/* After a failure: everything that was on its way goes back to the pool. */
void hz__drop_arrivals(hz__sweep *s);

#endif
