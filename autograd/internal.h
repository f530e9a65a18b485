/* internal.h: what the files of autograd/ share and nobody else sees.
 *
 * Nodes live in chunks that never move, so that a `const hz_node *` stays valid while a vjp records more nodes.
 * Node 0 is the inert variable.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_AUTOGRAD_INTERNAL_H
#define HZ_AUTOGRAD_INTERNAL_H

#include "autograd/grad.h"

enum { HZ__CHUNK_BITS = 8, HZ__CHUNK = 1 << HZ__CHUNK_BITS, HZ__SCOPE_MAX = 256 };

typedef struct hz__name {
    const char *text; /* in the tape's arena */
    uint32_t id;      /* the node it names; 0: not made yet */
    hz_make_fn make;  /* of a name for later */
    const void *data;
} hz__name;

struct hz_tape {
    hz_allocator alloc;
    hz_exec exec;
    hz_arena arena;  /* attributes, input lists, names: dies with reset or rewind */
    hz_arena sweeps; /* scratch of a running gradient call, used as a stack */
    hz_node **chunk; /* chunk[id / CHUNK][id % CHUNK] */
    uint32_t n_chunks, chunk_capacity;
    uint32_t size; /* nodes in use, the inert one included */
    hz__name *name;
    uint32_t n_names, name_capacity;
    char scope[HZ__SCOPE_MAX]; /* "fire2.expand3x3" */
    uint32_t scope_len;
    struct hz__replay *replay; /* the segment being run again, NULL while none is (recompute.c) */
    hz_error error;
};

static inline hz_node *hz__node(const hz_tape *t, uint32_t id) {
    return &t->chunk[id >> HZ__CHUNK_BITS][id & (HZ__CHUNK - 1)];
}

/* Append a node with this op, inputs and value; takes over one reference to block. NULL (error recorded) when out
 * of memory: the reference is then released. */
hz_node *hz__push(hz_tape *t, const hz_op *op, const hz_var *in, int n_in, hz_tensor value, hz_block *block);

/* A leaf that shows value; takes over one reference to block (may be NULL). */
hz_var hz__push_leaf(hz_tape *t, const hz_tensor *value, hz_block *block);

/* Give x a name as it is, whatever the scope. False (error recorded) when out of memory. */
bool hz__name_fully(hz_var x, const char *full);

/* Give x the names that n has. */
bool hz__name_like(hz_var x, const hz_node *n);

/* The leaf that showed this tensor when the segment that is run again ran first; inert if there is none. */
hz_var hz__replayed_leaf(hz_tape *t, const hz_tensor *value);

/* For rewinding: a scope's text cut back to its first len characters, and the names given to the first n. A node that
 * stays is shown by the name it had before. */
void hz__scope_cut(hz_tape *t, uint32_t len);
void hz__names_cut(hz_tape *t, uint32_t n);

/* ---- expand.c ---- */

enum { HZ__DEPTH = 100 }; /* nodes inside each other */

/* Record what n stands for (hz_op.expand); the result has n's names. The inert variable (error recorded) on failure. */
hz_var hz__expand_node(const hz_node *n);

/* The first node of the tape that has, anywhere inside, one that `is` says true for. NULL if there is none, or if what a node
 * stands for cannot be recorded (error recorded). */
typedef bool (*hz__node_fn)(const hz_node *n, const void *ctx);
const hz_node *hz__search_inside(hz_tape *t, hz__node_fn is, const void *ctx);

/* ---- rules.c ---- */

/* Whether every criterion of the rule holds for n. */
bool hz__rule_fits(const hz_rule *rule, const hz_node *n);

/* The first rule of the list that fits n, or −1. */
int hz__rule_for(const hz_rules *rules, const hz_node *n);

/* ---- support.c ---- */

/* A node restricted to the part `box` of its output: the same op on cropped inputs. */
typedef struct hz__crop {
    hz_node node;   /* stands in for the original in vjp calls */
    hz_box *in_box; /* n_in boxes: the part of each input that the outputs in box depend on, clipped */
} hz__crop;

/* Box of input i that the outputs in *out depend on, not clipped. False: the op does not know. */
bool hz__reach(const hz_node *n, int i, const hz_box *out, hz_box *in);

/* Make the restricted node; views of inputs and output are pushed onto the tape as leaves. False if the op cannot
 * be restricted (or the tape has failed): use the whole node then. */
bool hz__crop_node(const hz_node *n, const hz_box *out, hz__crop *crop);

/* ---- grad.c ---- */

/* What hz_explain_zero wants to know of a sweep. */
typedef struct hz__blocks {
    uint32_t count;  /* nodes that let nothing through */
    uint32_t last;   /* the first of them on the way down: largest id */
    uint32_t passed; /* computing (not view) nodes that let something through */
} hz__blocks;

/* hz_grad with what only autograd may ask for: cotangents that are given on a box alone, and a watch on where they
 * die. dy_box and blocks may be NULL. */
bool hz__grad(const hz_var *y, int n_y, const hz_var *x, int n_x, const hz_grad_opts *opts,
              const hz_box *dy_box, hz__blocks *blocks, hz_var *dx);

#endif
