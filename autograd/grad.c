/* grad.c: the reverse sweep.
 *
 *   dx_k = Σ over paths from x_k to y of the product of local derivatives
 *
 * Start at hz__grad. plan() finds the nodes that lie on a path from a target to a y; sweep() visits them from the
 * last to the first. visit() sums the cotangents that arrived at a node (the sum over paths), calls the node's vjp,
 * or the rule that replaces it, once for each input on a path, and hands the results on.
 *
 * There are two ways of running it. When the result is to be differentiated again, everything the vjps record stays
 * on the tape. Otherwise the sweep is lean: what a vjp recorded is rewound at once and only the cotangent itself is
 * kept, with the box outside which it is zero (support.c), until its consumer has run.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "autograd/internal.h"
#include "tensor/elementwise.h"

/* What one consumer of a node's output sends back to it: a recorded variable in a differentiable sweep; in a lean
 * one a value, on the part `box` of the output, outside which it is zero. */
typedef struct cotangent {
    struct cotangent *next;
    hz_var var;
    hz_tensor value;
    hz_block *block; /* one reference; NULL if the memory belongs to the forward pass or the caller */
    hz_box box;
} cotangent;

typedef struct sweep {
    hz_tape *t;
    const hz_grad_opts *opts;
    const hz_var *y, *x;
    int n_y, n_x;
    const hz_box *dy_box; /* where the given cotangents live, or NULL: everywhere */
    hz__blocks *blocks;   /* NULL: nobody asks why */
    hz_var *dx;           /* results of a differentiable sweep */
    cotangent *result;    /* results of a lean one, one per target */
    bool *reached;        /* per target */
    uint32_t lo, hi;      /* ids from the first target to the last y */
    uint8_t *state;       /* per id: BELOW, ABOVE */
    int8_t *rule;         /* per id: index of its rule or −1; NULL without rules */
    cotangent **arrived;  /* per id: list of what has come back to it */
    cotangent *spare;     /* free list */
    uint32_t visited;
} sweep;

enum { BELOW = 1, ABOVE = 2 }; /* depends on a target; a y depends on it */

static const hz_grad_opts default_opts;

/* ---- cotangents ---- */

static bool lean(const sweep *s) {
    return !s->opts->differentiable;
}

static cotangent *new_cotangent(sweep *s) {
    cotangent *c = s->spare;
    if (c)
        s->spare = c->next;
    else if (!(c = hz_arena_alloc(&s->t->sweeps, sizeof *c)))
        hz_tape_fail(s->t, HZ_ENOMEM, "hz_grad: no memory for a cotangent");
    return c;
}

static void release(sweep *s, cotangent *c) {
    hz_block_unref(c->block);
    c->next = s->spare;
    s->spare = c;
}

/* Hand var, which lives on *box of node id's output (NULL: all of it), to that node. */
static bool send(sweep *s, uint32_t id, hz_var var, const hz_box *box) {
    cotangent *c = new_cotangent(s);
    if (!c) return false;
    const hz_node *from = hz__node(s->t, var.id), *to = hz__node(s->t, id);
    c->var = var;
    c->value = from->value;
    c->block = lean(s) ? from->block : NULL;
    hz_block_ref(c->block);
    c->box = box ? *box : hz_box_full(&to->value);
    cotangent **end = &s->arrived[id - s->lo];
    while (*end) end = &(*end)->next;
    c->next = NULL;
    *end = c;
    return true;
}

/* ---- the sum over paths ---- */

static bool same_boxes(const cotangent *list, int rank) {
    for (const cotangent *c = list->next; c; c = c->next)
        if (!hz_box_equal(&c->box, &list->box, rank)) return false;
    return true;
}

/* Make c a new, contiguous tensor covering box of x. */
static bool allocate(sweep *s, const hz_tensor *x, const hz_box *box, cotangent *c) {
    hz_tensor shape = {.dtype = x->dtype, .rank = x->rank};
    for (int k = 0; k < x->rank; k++) shape.dim[k] = box->hi[k] - box->lo[k];
    c->block = hz_pool_tensor(s->t->exec.pool, &shape, &s->t->error);
    c->value = shape;
    c->box = *box;
    c->next = NULL;
    return c->block != NULL;
}

/* The part of sum (covering sum->box) where c lives. */
static hz_tensor part_of(const cotangent *sum, const cotangent *c) {
    hz_box box = c->box;
    for (int k = 0; k < sum->value.rank; k++) box.lo[k] -= sum->box.lo[k], box.hi[k] -= sum->box.lo[k];
    return hz_view_box(&sum->value, &box);
}

/* Cotangents on different boxes: zeros on the box around all, and each added where it lives. */
static void add_apart(sweep *s, const cotangent *list, cotangent *sum) {
    hz_fill(&s->t->exec, &sum->value, 0);
    for (const cotangent *c = list; c; c = c->next) {
        hz_tensor part = part_of(sum, c);
        hz_map2(&s->t->exec, HZ_ADD, &part, &c->value, 0, 0, &part);
    }
}

static bool add_together(sweep *s, const cotangent *list, int n, cotangent *sum) {
    const hz_tensor **x = hz_arena_alloc(&s->t->sweeps, (size_t)n * sizeof *x);
    if (!x) return false;
    int i = 0;
    for (const cotangent *c = list; c; c = c->next) x[i++] = &c->value;
    hz_sum_n(&s->t->exec, x, n, &sum->value);
    return true;
}

static bool sum_values(sweep *s, const hz_node *n, const cotangent *list, int count, cotangent *sum) {
    int rank = n->value.rank;
    hz_box box = list->box;
    for (const cotangent *c = list->next; c; c = c->next) box = hz_box_union(&box, &c->box, rank);
    if (!allocate(s, &n->value, &box, sum)) return false;
    if (same_boxes(list, rank)) return add_together(s, list, count, sum);
    add_apart(s, list, sum);
    return true;
}

static bool sum_recorded(sweep *s, const cotangent *list, int count, cotangent *sum) {
    hz_var *x = hz_arena_alloc(&s->t->sweeps, (size_t)count * sizeof *x);
    if (!x) return false;
    int i = 0;
    for (const cotangent *c = list; c; c = c->next) x[i++] = c->var;
    *sum = (cotangent){.var = hz_add_n(x, count), .box = list->box};
    return hz_ok(sum->var);
}

/* Take what arrived at node n as one cotangent. */
static bool take_sum(sweep *s, const hz_node *n, cotangent *sum) {
    cotangent *list = s->arrived[n->id - s->lo];
    s->arrived[n->id - s->lo] = NULL;
    int count = 0;
    for (const cotangent *c = list; c; c = c->next) count++;
    bool ok = true;
    if (count == 1) {
        *sum = *list;
        hz_block_ref(sum->block);
    } else {
        ok = lean(s) ? sum_values(s, n, list, count, sum) : sum_recorded(s, list, count, sum);
    }
    if (!ok) {
        hz_block_unref(sum->block);
        hz_tape_fail(s->t, HZ_ENOMEM, "hz_grad: no memory to add %d paths at %s", count, hz_node_str(n).s);
    }
    while (list) {
        cotangent *next = list->next;
        release(s, list);
        list = next;
    }
    return ok;
}

/* Replace c by the whole tensor of x's shape, zeros where c is not. */
static bool make_whole(sweep *s, const hz_tensor *x, cotangent *c) {
    if (hz_box_is_full(&c->box, x)) return true;
    hz_box all = hz_box_full(x);
    cotangent whole = {.next = NULL};
    if (!allocate(s, x, &all, &whole)) return false;
    hz_fill(&s->t->exec, &whole.value, 0);
    hz_tensor part = hz_view_box(&whole.value, &c->box);
    hz_copy(&s->t->exec, &c->value, &part);
    hz_block_unref(c->block);
    *c = whole;
    return true;
}

/* ---- one node ---- */

static bool check_cotangent(sweep *s, const hz_node *n, int i, hz_var dx) {
    const hz_tensor *x = hz_in(n, i), *got = hz_value(dx);
    if (got->dtype != x->dtype || !hz_same_shape(got, x)) {
        hz_tape_fail(s->t, HZ_ESHAPE, "vjp of %s returned %s %s for input %d, which is %s %s",
                     hz_node_str(n).s, hz_dtype_name(got->dtype), hz_shape_str(got).s, i,
                     hz_dtype_name(x->dtype), hz_shape_str(x).s);
        return false;
    }
    if (s->opts->check_finite && !hz_all_finite(&s->t->exec, got)) {
        hz_tape_fail(s->t, HZ_ENUMERIC, "vjp of %s made a NaN or an infinity for input %d", hz_node_str(n).s,
                     i);
        return false;
    }
    return true;
}

static bool wanted(const sweep *s, hz_var in) {
    return in.id >= s->lo && (s->state[in.id - s->lo] & BELOW);
}

static const hz_rule *rule_of(const sweep *s, const hz_node *n) {
    int k = s->rule ? s->rule[n->id - s->lo] : -1;
    return k < 0 ? NULL : &s->opts->rules->rule[k];
}

/* Whether gradients pass from n's output to an input that leads to a target. */
static bool passes(const sweep *s, const hz_node *n) {
    if (!n->op->vjp && !rule_of(s, n)) return false;
    for (int i = 0; i < n->n_in; i++)
        if (wanted(s, n->in[i])) return true;
    return false;
}

/* Run the vjp for every input on a path. n may be restricted, in_box then says to which part of each input; whole
 * is the node as recorded. *passed: something other than zeros was handed on. */
static bool call_vjps(sweep *s, const hz_node *n, const hz_node *whole, const hz_box *in_box, hz_vjp_fn vjp,
                      hz_var dy, bool *passed) {
    for (int i = 0; i < n->n_in; i++) {
        if (!wanted(s, whole->in[i])) continue;
        if (in_box && hz_box_is_empty(&in_box[i], hz_in(whole, i)->rank)) continue;
        hz_var dx = vjp(n, i, dy);
        if (s->t->error.code) return false;
        if (!hz_ok(dx)) continue;
        if (!check_cotangent(s, n, i, dx)) return false;
        if (!send(s, whole->in[i].id, dx, in_box ? &in_box[i] : NULL)) return false;
        if (s->blocks && !*passed) *passed = !hz_all_zero(&s->t->exec, hz_value(dx));
    }
    return true;
}

/* Restrict n to where dy lives if that is less than all of it, or if n reads only a part of its input, and the op can be
 * restricted; otherwise make dy whole. */
static bool restrict_node(sweep *s, const hz_node *n, const hz_rule *rule, cotangent *dy, hz__crop *crop,
                          bool *restricted) {
    *restricted = false;
    if (!lean(s) || (hz_box_is_full(&dy->box, &n->value) && !(n->op->flags & HZ_OP_PART))) return true;
    bool may = !s->opts->whole && !(rule && rule->whole);
    *restricted = may && hz__crop_node(n, &dy->box, crop);
    return !s->t->error.code && (*restricted || make_whole(s, &n->value, dy));
}

static void note_block(sweep *s, const hz_node *n, bool passed) {
    if (!s->blocks) return;
    if (passed) {
        if (!(n->op->flags & HZ_OP_VIEW)) s->blocks->passed++;
    } else if (s->blocks->count++ == 0) {
        s->blocks->last = n->id;
    }
}

static bool pass_through(sweep *s, const hz_node *n, cotangent *dy) {
    const hz_rule *rule = rule_of(s, n);
    hz_vjp_fn vjp = rule ? rule->vjp : n->op->vjp;
    hz__crop crop;
    bool restricted, passed = false, live = s->blocks && !hz_all_zero(&s->t->exec, &dy->value);
    if (!restrict_node(s, n, rule, dy, &crop, &restricted)) return false;
    if (!restricted) crop.node = *n;
    crop.node.rule = rule;
    hz_var var = dy->var;
    if (lean(s)) {
        hz_block_ref(dy->block);
        var = hz__push_leaf(s->t, &dy->value, dy->block);
        if (!hz_ok(var)) return false;
    }
    bool ok = call_vjps(s, restricted || rule ? &crop.node : n, n, restricted ? crop.in_box : NULL, vjp, var,
                        &passed);
    if (ok && live) note_block(s, n, passed);
    s->visited++;
    return ok;
}

/* Keep the cotangent of a target. The same variable may be asked for several times. */
static void keep_result(sweep *s, const hz_node *n, const cotangent *dy) {
    for (int k = 0; k < s->n_x; k++) {
        if (s->x[k].id != n->id) continue;
        s->result[k] = *dy;
        hz_block_ref(dy->block);
        s->dx[k] = dy->var;
    }
}

static bool visit(sweep *s, uint32_t id) {
    const hz_node *n = hz__node(s->t, id);
    hz_mark mark = hz_tape_mark(s->t);
    cotangent dy = {.next = NULL};
    if (!take_sum(s, n, &dy)) return false;
    keep_result(s, n, &dy);
    bool ok = !passes(s, n) || pass_through(s, n, &dy);
    hz_block_unref(dy.block);
    if (lean(s)) hz_tape_rewind(s->t, mark);
    return ok;
}

static bool run(sweep *s) {
    for (uint32_t id = s->hi + 1; id-- > s->lo;)
        if (s->arrived[id - s->lo] && !visit(s, id)) return false;
    return true;
}

/* ---- planning ---- */

static void *scratch(sweep *s, size_t count, size_t size) {
    void *p = hz_arena_alloc(&s->t->sweeps, count * size);
    if (p) memset(p, 0, count * size);
    return p;
}

static bool allocate_plan(sweep *s) {
    size_t count = (size_t)(s->hi - s->lo) + 1, targets = (size_t)s->n_x;
    bool rules = s->opts->rules && s->opts->rules->n > 0;
    if (rules && s->opts->rules->n > HZ_MAX_RULES) {
        hz_tape_fail(s->t, HZ_EINVAL, "hz_grad: %d rules, at most %d", s->opts->rules->n, HZ_MAX_RULES);
        return false;
    }
    bool ok = (s->state = scratch(s, count, sizeof *s->state)) &&
              (s->arrived = scratch(s, count, sizeof *s->arrived)) &&
              (s->result = scratch(s, targets, sizeof *s->result)) &&
              (s->reached = scratch(s, targets, sizeof *s->reached)) &&
              (!rules || (s->rule = scratch(s, count, sizeof *s->rule)));
    if (!ok) hz_tape_fail(s->t, HZ_ENOMEM, "hz_grad: no memory to plan a sweep over %zu nodes", count);
    return ok;
}

/* Mark what depends on a target, going up; a node without a vjp and without a rule cuts the path. */
static void mark_below(sweep *s) {
    for (int k = 0; k < s->n_x; k++) s->state[s->x[k].id - s->lo] |= BELOW;
    for (uint32_t id = s->lo; id <= s->hi; id++) {
        const hz_node *n = hz__node(s->t, id);
        if (s->rule) s->rule[id - s->lo] = (int8_t)hz__rule_for(s->opts->rules, n);
        if (passes(s, n)) s->state[id - s->lo] |= BELOW;
    }
}

/* Mark what a y depends on, going down, along nodes that pass gradients. */
static void mark_above(sweep *s) {
    for (int k = 0; k < s->n_y; k++)
        if (s->y[k].id >= s->lo) s->state[s->y[k].id - s->lo] |= ABOVE;
    for (uint32_t id = s->hi + 1; id-- > s->lo;) {
        const hz_node *n = hz__node(s->t, id);
        if (!(s->state[id - s->lo] & ABOVE) || !passes(s, n)) continue;
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i].id >= s->lo) s->state[n->in[i].id - s->lo] |= ABOVE;
    }
}

static bool plan(sweep *s) {
    s->lo = s->x[0].id;
    s->hi = s->y[0].id;
    for (int k = 0; k < s->n_x; k++) s->lo = s->x[k].id < s->lo ? s->x[k].id : s->lo;
    for (int k = 0; k < s->n_y; k++) s->hi = s->y[k].id > s->hi ? s->y[k].id : s->hi;
    for (int k = 0; k < s->n_x; k++) s->hi = s->x[k].id > s->hi ? s->x[k].id : s->hi;
    if (!allocate_plan(s)) return false;
    mark_below(s);
    mark_above(s);
    for (int k = 0; k < s->n_x; k++) s->reached[k] = s->state[s->x[k].id - s->lo] & ABOVE;
    return true;
}

/* ---- rules: coverage, and rules that match nothing ---- */

static bool on_path(const sweep *s, const hz_node *n) {
    return (s->state[n->id - s->lo] & ABOVE) && passes(s, n);
}

/* Names of the ops that rule k replaced, "relu, clip"; counts all nodes of these ops on the way. */
static void cover(const sweep *s, int k, hz_coverage *coverage, char *names, size_t size) {
    const hz_op *op[4];
    int n_ops = 0;
    size_t used = 0;
    for (uint32_t id = s->lo; id <= s->hi; id++) {
        const hz_node *n = hz__node(s->t, id);
        if (!on_path(s, n) || s->rule[id - s->lo] != k) continue;
        coverage->matched++;
        int j = 0;
        while (j < n_ops && op[j] != n->op) j++;
        if (j < n_ops || n_ops == 4) continue;
        op[n_ops++] = n->op;
        if (used < size)
            used += (size_t)snprintf(names + used, size - used, "%s%s", used ? ", " : "", n->op->name);
    }
    for (uint32_t id = s->lo; id <= s->hi; id++)
        for (int j = 0; j < n_ops; j++)
            if (on_path(s, hz__node(s->t, id)) && hz__node(s->t, id)->op == op[j]) coverage->of++;
}

static const char *label_of(const hz_rule *rule) {
    return rule->label ? rule->label : "rule";
}

static void write_report(const sweep *s, hz_grad_report *report) {
    memset(report, 0, sizeof *report);
    report->nodes = s->visited;
    size_t used = 0;
    for (int k = 0; s->rule && k < s->opts->rules->n; k++) {
        const hz_rule *rule = &s->opts->rules->rule[k];
        hz_coverage *c = &report->rule[k];
        char names[64] = "";
        cover(s, k, c, names, sizeof names);
        if (used >= sizeof report->text) continue;
        char *at = report->text + used;
        size_t room = sizeof report->text - used;
        used +=
            (size_t)(c->matched ? snprintf(at, room, "%s%s: %u of %u %s", k ? "; " : "", label_of(rule),
                                           c->matched, c->of, names)
                                : snprintf(at, room, "%s%s: none on the way", k ? "; " : "", label_of(rule)));
    }
}

static bool matches_somewhere(hz_tape *t, const hz_rules *rules, int k) {
    for (uint32_t id = 1; id < t->size; id++)
        if (hz__rule_for(rules, hz__node(t, id)) == k) return true;
    return false;
}

static bool check_rules(sweep *s) {
    const hz_rules *rules = s->opts->rules;
    for (int k = 0; rules && k < rules->n; k++) {
        const hz_rule *rule = &rules->rule[k];
        if (!rule->vjp) {
            hz_tape_fail(s->t, HZ_EINVAL, "hz_grad: rule %d (%s) has no vjp", k, label_of(rule));
            return false;
        }
        bool used = false;
        for (uint32_t id = s->lo; id <= s->hi && !used; id++) used = s->rule[id - s->lo] == k;
        if (used || matches_somewhere(s->t, rules, k)) continue;
        hz_tape_fail(s->t, HZ_ENOTFOUND, "hz_grad: rule %d (%s, op %s, name \"%s\") matches no node", k,
                     label_of(rule), rule->op ? rule->op->name : "any", rule->name ? rule->name : "*");
        return false;
    }
    return true;
}

/* ---- entry ---- */

static bool check_var(hz_tape *t, const char *what, int k, hz_var v) {
    if (v.tape != t)
        hz_tape_fail(t, HZ_EINVAL, "hz_grad: %s %d is on another tape than y 0", what, k);
    else if (!hz_ok(v))
        hz_tape_fail(t, HZ_EINVAL, "hz_grad: %s %d is the inert variable or no longer on the tape", what, k);
    else if (!hz_dtype_is_float(hz_value(v)->dtype))
        hz_tape_fail(t, HZ_EGRAD, "hz_grad: %s %d, %s, is %s and carries no gradient", what, k,
                     hz_node_str(hz_node_of(v)).s, hz_dtype_name(hz_value(v)->dtype));
    return !t->error.code;
}

static bool check_dy(hz_tape *t, const sweep *s, int k) {
    const hz_tensor *y = hz_value(s->y[k]);
    if (!s->opts->dy) {
        if (hz_numel(y) == 1) return true;
        hz_tape_fail(t, HZ_ESHAPE, "hz_grad: y %d, %s, has shape %s; give a cotangent or pick one unit of it",
                     k, hz_node_str(hz_node_of(s->y[k])).s, hz_shape_str(y).s);
        return false;
    }
    if (!check_var(t, "cotangent", k, s->opts->dy[k])) return false;
    const hz_tensor *dy = hz_value(s->opts->dy[k]);
    hz_tensor part = s->dy_box ? hz_view_box(y, s->dy_box) : *y;
    if (dy->dtype == y->dtype && hz_same_shape(dy, &part)) return true;
    hz_tape_fail(t, HZ_ESHAPE, "hz_grad: cotangent %d is %s %s, y is %s %s", k, hz_dtype_name(dy->dtype),
                 hz_shape_str(dy).s, hz_dtype_name(y->dtype), hz_shape_str(y).s);
    return false;
}

static bool check_arguments(sweep *s) {
    hz_tape *t = s->t;
    if (s->n_x < 1) hz_tape_fail(t, HZ_EINVAL, "hz_grad: no targets");
    for (int k = 0; k < s->n_y && !t->error.code; k++) check_var(t, "y", k, s->y[k]);
    for (int k = 0; k < s->n_x && !t->error.code; k++) check_var(t, "target", k, s->x[k]);
    for (int k = 0; k < s->n_y && !t->error.code; k++) check_dy(t, s, k);
    return !t->error.code;
}

static bool send_dy(sweep *s) {
    for (int k = 0; k < s->n_y; k++) {
        const hz_node *n = hz__node(s->t, s->y[k].id);
        if (n->id < s->lo || !(s->state[n->id - s->lo] & BELOW)) continue;
        hz_var dy =
            s->opts->dy ? s->opts->dy[k] : hz_full(s->t, n->value.dtype, n->value.rank, n->value.dim, 1.0);
        if (!hz_ok(dy) || !send(s, n->id, dy, s->dy_box)) return false;
    }
    return true;
}

static bool answer_unreached(sweep *s, int k) {
    const hz_node *n = hz__node(s->t, s->x[k].id);
    s->dx[k] = hz_none(s->t);
    if (s->reached[k] || s->opts->unreachable == HZ_UNREACHABLE_ZERO) {
        s->dx[k] = hz_full(s->t, n->value.dtype, n->value.rank, n->value.dim, 0.0);
        return hz_ok(s->dx[k]);
    }
    if (s->opts->unreachable == HZ_UNREACHABLE_NONE) return true;
    hz_tape_fail(s->t, HZ_EGRAD, "hz_grad: no path from target %d, %s, to y 0, %s", k, hz_node_str(n).s,
                 hz_node_str(hz__node(s->t, s->y[0].id)).s);
    return false;
}

/* Turn what was kept for each target into variables of the tape. */
static bool give_results(sweep *s) {
    for (int k = 0; k < s->n_x; k++) {
        const hz_node *n = hz__node(s->t, s->x[k].id);
        cotangent *c = &s->result[k];
        bool arrived = c->value.data || hz_ok(c->var);
        if (s->opts->support)
            s->opts->support[k] = arrived ? (lean(s) ? c->box : hz_box_full(&n->value)) : (hz_box){{0}, {0}};
        if (!arrived) {
            if (!answer_unreached(s, k)) return false;
        } else if (lean(s)) {
            if (!make_whole(s, &n->value, c)) return false;
            hz_block *block = c->block;
            c->block = NULL;
            s->dx[k] = hz__push_leaf(s->t, &c->value, block);
        }
    }
    return !s->t->error.code;
}

/* After a failure: everything that was on its way goes back to the pool. */
static void drop_everything(sweep *s) {
    for (uint32_t id = s->lo; s->arrived && id <= s->hi; id++)
        for (cotangent *c = s->arrived[id - s->lo]; c; c = c->next) hz_block_unref(c->block);
    for (int k = 0; s->result && k < s->n_x; k++) hz_block_unref(s->result[k].block);
    for (int k = 0; k < s->n_x; k++) s->dx[k] = hz_none(s->t);
}

/* In a lean sweep the ones that start it are rewound, too, before the results are pushed. */
static bool sweep_all(sweep *s) {
    hz_mark mark = hz_tape_mark(s->t);
    bool ok = send_dy(s);
    if (lean(s)) hz_tape_rewind(s->t, mark);
    return ok && run(s) && give_results(s);
}

bool hz__grad(const hz_var *y, int n_y, const hz_var *x, int n_x, const hz_grad_opts *opts,
              const hz_box *dy_box, hz__blocks *blocks, hz_var *dx) {
    hz_tape *t = n_y > 0 ? y[0].tape : NULL;
    for (int k = 0; k < n_x; k++) dx[k] = (hz_var){t, 0};
    if (!t || t->error.code) return false;
    sweep s = {.t = t,
               .opts = opts ? opts : &default_opts,
               .y = y,
               .x = x,
               .n_y = n_y,
               .n_x = n_x,
               .dy_box = dy_box,
               .blocks = blocks,
               .dx = dx};
    hz_arena_mark mark = hz_arena_now(&t->sweeps);
    bool ok = check_arguments(&s) && plan(&s) && check_rules(&s) && sweep_all(&s);
    if (ok && s.opts->report) write_report(&s, s.opts->report);
    if (!ok) drop_everything(&s);
    hz_arena_rewind(&t->sweeps, mark);
    return ok;
}

bool hz_grad(const hz_var *y, int n_y, const hz_var *x, int n_x, const hz_grad_opts *opts, hz_var *dx) {
    return hz__grad(y, n_y, x, n_x, opts, NULL, NULL, dx);
}

hz_var hz_grad1(hz_var y, hz_var x, const hz_rules *rules) {
    hz_var dx = hz_none(y.tape);
    hz_grad(&y, 1, &x, 1, &(hz_grad_opts){.rules = rules}, &dx);
    return dx;
}
