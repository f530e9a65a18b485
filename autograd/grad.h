/* grad.h: gradients of anything with respect to anything, under rules of the caller's choice.
 *
 * hz_grad runs the reverse sweep over one recorded forward pass, as often as wanted. Results are returned as
 * variables of the same tape; nothing is accumulated anywhere. Memory of a cotangent goes back to the pool as
 * soon as its last consumer has run, unless opts.differentiable asks for a result that can be differentiated
 * again.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_AUTOGRAD_GRAD_H
#define HZ_AUTOGRAD_GRAD_H

#include "autograd/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- gradient rules ---- */

/* A vjp that replaces an op's own one during one gradient call. A node is matched if every criterion that is
 * given holds; the first rule of the list that matches wins. A rule that matches no node of the whole tape is an
 * error (a misspelt glob); matching none on the way from y to x is not, nor being left none by those before it, and shows in
 * the report.
 *
 * The vjp is called on the crop of the node that can be non-zero (see support.h). One that looks beyond the
 * elements it is given, say by dividing by the mean of dy, sets `whole`. */
struct hz_rule {
    const char *label; /* for reports: "guided"; NULL: "rule" */
    const hz_op *op;   /* only nodes of this op; NULL: any */
    const char *name;  /* only nodes with a name that matches this glob: * ? [a-z];
                                                         * '.' and '/' are the same; NULL: any */
    bool (*match)(const hz_node *n, const void *ctx); /* only nodes it says true for; NULL: any */
    hz_vjp_fn vjp;                                    /* what runs instead; n->rule is this rule */
    const void *ctx;                                  /* yours: for match and, as n->rule->ctx, for vjp */
    bool true_gradient; /* it computes the derivative; gradcheck refuses others */
    bool whole;         /* wants whole tensors, never a crop */
};

typedef struct hz_rules {
    const hz_rule *rule;
    int n;
} hz_rules;

/* A list of rules in place: HZ_RULES({ .op = &hz_op_relu, .vjp = my_relu }, { … }). */
#define HZ_RULES(...)                                  \
    (&(const hz_rules){(const hz_rule[]){__VA_ARGS__}, \
                       (int)(sizeof((const hz_rule[]){__VA_ARGS__}) / sizeof(hz_rule))})

/* ---- gradients ---- */

enum { HZ_MAX_RULES = 16 };

typedef struct hz_coverage {
    uint32_t matched; /* nodes this rule was used for */
    uint32_t of;      /* nodes on the way from y to x that have the op of one of them */
} hz_coverage;

typedef struct hz_grad_report {
    hz_coverage rule[HZ_MAX_RULES]; /* one per rule, in the order given */
    uint32_t nodes;                 /* nodes whose vjp ran */
    char text[256];                 /* "guided: 26 of 26 relu" */
} hz_grad_report;

typedef enum hz_unreachable {
    HZ_UNREACHABLE_FAIL = 0, /* a target without a path from y is an error that names it */
    HZ_UNREACHABLE_NONE,     /* its gradient is the inert variable */
    HZ_UNREACHABLE_ZERO      /* its gradient is zeros */
} hz_unreachable;

typedef struct hz_grad_opts {
    const hz_var *dy;      /* one cotangent per y, of its shape; NULL: y must have one element each, dy = 1 */
    const hz_rules *rules; /* NULL: every op's own vjp */
    bool differentiable;   /* the results can be differentiated again (slower, keeps its memory) */
    bool whole;            /* no support boxes: sweep whole tensors */
    bool check_finite;     /* name the first vjp that makes a NaN or an infinity: HZ_ENUMERIC */
    hz_unreachable unreachable; /* what to do with a target that y does not depend on */
    hz_box *support;        /* n_x boxes, filled with where each gradient can be non-zero; NULL: not wanted */
    bool support_only;      /* the results cover support[k] alone instead of all of x[k]: no time is spent on
                                 * zeros; lean sweeps only, support must be given */
    hz_grad_report *report; /* filled; NULL: not wanted */

    /* Told of each gradient as soon as it is complete, while the sweep goes on to the others: dx, whole, is that of x[k]; the
     * tensor is valid during the call, which may read it and records nothing. Not told of targets that no path leads
     * to. Not with support_only. */
    void (*ready)(int k, const hz_tensor *dx, void *ctx);
    void *ready_ctx;
} hz_grad_opts;

/* dx[k] = Σ_j ∂y[j]/∂x[k] · dy[j], k = 0 … n_x−1. x may be any variables: leaves, activations, y itself.
 * False (and inert dx) if the tape is in error afterwards. opts may be NULL. */
bool hz_grad(const hz_var *y, int n_y, const hz_var *x, int n_x, const hz_grad_opts *opts, hz_var *dx);

/* The gradient of one number with respect to one variable, under rules (NULL: none). */
hz_var hz_grad1(hz_var y, hz_var x, const hz_rules *rules);

/* ---- derived quantities ---- */

/* J[y..., x...] = ∂y/∂x, shape dims of y then dims of x; one boxed sweep per element of y. */
hz_var hz_jacobian(hz_var y, hz_var x, const hz_rules *rules);

/* (∂²y/∂x²)·v for a scalar y; v has x's shape. */
hz_var hz_hvp(hz_var y, hz_var x, hz_var v);

/* ---- where a unit looks, and why it sees nothing ---- */

/* The receptive field of the elements `unit` of y in x: box of x that they depend on, before clipping to x (it
 * may reach into the padding). False if there is no path. */
bool hz_receptive_field(hz_var y, const hz_box *unit, hz_var x, hz_box *field);

typedef struct hz_field { /* along one axis of x: position p of y sees [offset + p·stride, … + size) */
    int64_t size, stride, offset;
} hz_field;

/* The regular receptive field of y's axis_y in x's axis_x, from the fields of neighbouring units. stride 0: all
 * units see the same. False if there is no path. */
bool hz_receptive_field_axis(hz_var y, int axis_y, hz_var x, int axis_x, hz_field *field);

typedef enum hz_zero_reason {
    HZ_NOT_ZERO = 0, /* the gradient has non-zero elements */
    HZ_NO_PATH,      /* x does not influence y at all */
    HZ_DEAD_UNIT,    /* the very node of y stops it: a ReLU that is off */
    HZ_BLOCKED       /* it dies on the way: at every node listed, all that arrives is stopped */
} hz_zero_reason;

typedef struct hz_zero_report {
    hz_zero_reason reason;
    uint32_t blocked_at; /* id of the last node that a non-zero cotangent reached without one leaving it */
    uint32_t blocks;     /* how many such nodes there are */
    char text[384];      /* 'blocked at relu "fire9.relu" and 3 more' */
} hz_zero_report;

/* Why is the gradient of y at x, under rules, zero everywhere? Runs the sweep once. False on error. */
bool hz_explain_zero(hz_var y, hz_var x, const hz_rules *rules, hz_zero_report *report);

/* The first node on the tape whose value has a NaN or an infinity although its inputs have none (or, a leaf that
 * has one). The inert variable if all is finite; *text (may be NULL) gets 'log "loss": first NaN at [0,3]'. */
hz_var hz_find_nonfinite(hz_tape *t, hz_error *what);

/* The graph as Graphviz text, from malloc (free it with free); NULL when out of memory. y: only what it depends
 * on; the inert variable: everything. */
char *hz_graph_dot(hz_tape *t, hz_var y);

#ifdef __cplusplus
}
#endif
#endif
