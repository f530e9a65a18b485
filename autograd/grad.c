/* grad.c: the reverse sweep.
 *
 *   dx_k = Σ over paths from x_k to y of the product of local derivatives
 *
 * Start at hz__grad. hz__plan (plan.c) finds the nodes that lie on a path from a target to a y; run() visits them from
 * the last to the first. visit() takes the sum of the cotangents that arrived at a node (cotangent.c), calls the node's
 * vjp, or the rule that replaces it, once for each input on a path, and hands the results on. A node whose op has an
 * expansion instead is expanded, and a sweep inside this one goes through that (pass_inside).
 *
 * There are two ways of running it. When the result is to be differentiated again, everything the vjps record stays
 * on the tape. Otherwise the sweep is lean: what a vjp recorded is rewound at once and only the cotangent itself is
 * kept, with the box outside which it is zero (support.c), until its consumer has run.
 *
 * SPDX-License-Identifier: MIT */
#include "autograd/sweep.h"
#include "tensor/elementwise.h"

static const hz_grad_opts default_opts;

/* ---- one node ---- */

static bool check_cotangent(hz__sweep *s, const hz_node *n, int i, hz_var dx) {
    const hz_tensor *x = hz_in(n, i), *got = hz_value(dx);
    if (dx.tape != s->t) {
        hz_tape_fail(s->t, HZ_EINVAL, "vjp of %s returned a variable of another tape for input %d",
                     hz_node_str(n).s, i);
        return false;
    }
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

/* Run the vjp for every input on a path. n may be restricted, in_box then says to which part of each input; whole
 * is the node as recorded. *passed: something other than zeros was handed on. */
static bool call_vjps(hz__sweep *s, const hz_node *n, const hz_node *whole, const hz_box *in_box,
                      hz_vjp_fn vjp, hz_var dy, bool *passed) {
    for (int i = 0; i < n->n_in; i++) {
        if (!hz__wanted(s, whole->in[i])) continue;
        if (in_box && hz_box_is_empty(&in_box[i], hz_in(whole, i)->rank)) continue;
        hz_var dx = vjp(n, i, dy);
        if (s->t->error.code) return false;
        if (!hz_ok(dx)) continue;
        if (!check_cotangent(s, n, i, dx)) return false;
        if (!hz__send(s, whole->in[i].id, dx, in_box ? &in_box[i] : NULL)) return false;
        if (s->blocks && !*passed) *passed = !hz_all_zero(&s->t->exec, hz_value(dx));
    }
    return true;
}

/* Restrict n to where dy lives if that is less than all of it, or if n reads only a part of its input, and the op can be
 * restricted; otherwise make dy whole. */
static bool restrict_node(hz__sweep *s, const hz_node *n, const hz_rule *rule, hz__cotangent *dy,
                          hz__crop *crop, bool *restricted) {
    *restricted = false;
    if (!hz__lean(s) || (hz_box_is_full(&dy->box, &n->value) && !(n->op->flags & HZ_OP_PART))) return true;
    bool may = !s->opts->whole && !(rule && rule->whole);
    *restricted = may && hz__crop_node(n, &dy->box, crop);
    return !s->t->error.code && (*restricted || hz__make_whole(s, &n->value, dy));
}

/* What a sweep inside another records is gone after it: the node is told that was expanded. */
static void note_block(hz__sweep *s, const hz_node *n, bool passed) {
    if (!s->blocks) return;
    const bool computes = !(n->op->flags & HZ_OP_VIEW);
    for (const hz__sweep *at = s; at->outer; at = at->outer) n = at->within;
    if (passed) {
        if (computes) s->blocks->passed++;
    } else if (s->blocks->count++ == 0) {
        s->blocks->last = n->id;
    }
}

/* The cotangent as a variable, for the vjps; the sweep keeps its own reference to the memory. */
static hz_var as_variable(hz__sweep *s, const hz__cotangent *dy) {
    if (!hz__lean(s)) return dy->var;
    hz_block_ref(dy->block);
    return hz__push_leaf(s->t, &dy->value, dy->block);
}

static bool run(hz__sweep *s);

/* Record what n stands for and sweep that. If it stays on the tape, rules know its names, but searches find what was
 * recorded first. */
static bool pass_inside(hz__sweep *s, const hz_node *n, const hz__cotangent *dy) {
    const uint32_t names = s->t->n_names;
    hz_var var = as_variable(s, dy);
    hz__sweep inner = {.t = s->t,
                       .opts = s->opts,
                       .blocks = s->blocks,
                       .shared = s->shared,
                       .outer = s,
                       .within = n,
                       .depth = s->depth + 1,
                       .lo = s->t->size};
    if (inner.depth == HZ__DEPTH)
        hz_tape_fail(s->t, HZ_EINVAL, "hz_grad: %s expands without end", hz_node_str(n).s);
    hz_var y = hz_ok(var) ? hz__expand_node(n) : hz_none(s->t);
    if (!hz_ok(y)) return false;
    inner.y = &y;
    inner.n_y = 1;
    inner.hi = y.id;
    if (y.id >= inner.lo && !hz__plan(&inner)) return false;
    const bool ok = !hz__wanted(&inner, y) || (hz__send(&inner, y.id, var, hz__lean(s) ? &dy->box : NULL) &&
                                               (y.id < inner.lo || run(&inner)));
    if (!ok) hz__drop_arrivals(&inner);
    if (!hz__lean(s)) s->t->n_names = names;
    return ok;
}

static bool pass_through(hz__sweep *s, const hz_node *n, hz__cotangent *dy) {
    const hz_rule *rule = hz__rule_of(s, n);
    hz_vjp_fn vjp = rule ? rule->vjp : n->op->vjp;
    hz__crop crop;
    bool restricted, passed = false, live = s->blocks && !hz_all_zero(&s->t->exec, &dy->value);
    if (!vjp) return pass_inside(s, n, dy);
    if (!restrict_node(s, n, rule, dy, &crop, &restricted)) return false;
    if (!restricted) crop.node = *n;
    crop.node.rule = rule;
    hz_var var = as_variable(s, dy);
    if (!hz_ok(var)) return false;
    bool ok = call_vjps(s, restricted || rule ? &crop.node : n, n, restricted ? crop.in_box : NULL, vjp, var,
                        &passed);
    if (ok && live) note_block(s, n, passed);
    s->shared->visited++;
    return ok;
}

static bool tell(hz__sweep *s, int k, const hz_node *n) {
    hz__cotangent *c = &s->result[k];
    if (hz__lean(s) && !hz__make_whole(s, &n->value, c)) return false;
    s->opts->ready(k, hz__lean(s) ? &c->value : hz_value(c->var), s->opts->ready_ctx);
    return true;
}

/* Keep the cotangent of a target. The same variable may be asked for several times. */
static bool keep_result(hz__sweep *s, const hz_node *n, const hz__cotangent *dy) {
    for (int k = 0; k < s->n_x && (s->state[n->id - s->lo] & HZ__TARGET); k++) {
        if (s->x[k].id != n->id) continue;
        s->result[k] = *dy;
        hz_block_ref(dy->block);
        s->dx[k] = dy->var;
        if (s->opts->ready && !tell(s, k, n)) return false;
    }
    return true;
}

static bool visit(hz__sweep *s, uint32_t id) {
    const hz_node *n = hz__node(s->t, id);
    hz_mark mark = hz_tape_mark(s->t);
    hz__cotangent dy = {.next = NULL};
    if (!hz__take_sum(s, n, &dy)) return false;
    bool ok = keep_result(s, n, &dy) && (!hz__passes(s, n) || pass_through(s, n, &dy));
    hz_block_unref(dy.block);
    if (hz__lean(s)) hz_tape_rewind(s->t, mark);
    return ok;
}

static bool run(hz__sweep *s) {
    for (uint32_t id = s->hi + 1; id-- > s->lo;)
        if (s->arrived[id - s->lo].count && !visit(s, id)) return false;
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

static bool check_dy(hz_tape *t, const hz__sweep *s, int k) {
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

static bool check_arguments(hz__sweep *s) {
    hz_tape *t = s->t;
    if (s->n_x < 1 || s->n_y < 1)
        hz_tape_fail(t, HZ_EINVAL, "hz_grad: %d outputs and %d targets; both must be given", s->n_y, s->n_x);
    if (s->opts->support_only && (!s->opts->support || s->opts->differentiable || s->opts->ready))
        hz_tape_fail(t, HZ_EINVAL,
                     "hz_grad: support_only needs support, a sweep that is not differentiable, and no ready");
    for (int k = 0; k < s->n_y && !t->error.code; k++) check_var(t, "y", k, s->y[k]);
    for (int k = 0; k < s->n_x && !t->error.code; k++) check_var(t, "target", k, s->x[k]);
    for (int k = 0; k < s->n_y && !t->error.code; k++) check_dy(t, s, k);
    return !t->error.code;
}

static bool send_dy(hz__sweep *s) {
    for (int k = 0; k < s->n_y; k++) {
        const hz_node *n = hz__node(s->t, s->y[k].id);
        if (n->id < s->lo || !(s->state[n->id - s->lo] & HZ__BELOW)) continue;
        hz_var dy =
            s->opts->dy ? s->opts->dy[k] : hz_full(s->t, n->value.dtype, n->value.rank, n->value.dim, 1.0);
        if (!hz_ok(dy) || !hz__send(s, n->id, dy, s->dy_box)) return false;
    }
    return true;
}

static bool answer_unreached(hz__sweep *s, int k) {
    static const int64_t nothing[HZ_MAX_RANK];
    const hz_node *n = hz__node(s->t, s->x[k].id);
    const int64_t *dim = s->opts->support_only ? nothing : n->value.dim;
    s->dx[k] = hz_none(s->t);
    if ((s->state[n->id - s->lo] & HZ__ABOVE) || s->opts->unreachable == HZ_UNREACHABLE_ZERO) {
        s->dx[k] = hz_full(s->t, n->value.dtype, n->value.rank, dim, 0.0);
        return hz_ok(s->dx[k]);
    }
    if (s->opts->unreachable == HZ_UNREACHABLE_NONE) return true;
    hz_tape_fail(s->t, HZ_EGRAD, "hz_grad: no path from target %d, %s, to y 0, %s", k, hz_node_str(n).s,
                 hz_node_str(hz__node(s->t, s->y[0].id)).s);
    return false;
}

static hz_box support_of(const hz__sweep *s, const hz_node *n, const hz__cotangent *c, bool arrived) {
    if (!arrived) return (hz_box){{0}, {0}};
    return hz__lean(s) ? c->box : hz_box_full(&n->value);
}

/* Turn what was kept for each target into variables of the tape. */
static bool give_results(hz__sweep *s) {
    for (int k = 0; k < s->n_x; k++) {
        const hz_node *n = hz__node(s->t, s->x[k].id);
        hz__cotangent *c = &s->result[k];
        bool arrived = c->value.data || hz_ok(c->var);
        if (s->opts->support) s->opts->support[k] = support_of(s, n, c, arrived);
        if (!arrived && !answer_unreached(s, k)) return false;
        if (!arrived || !hz__lean(s)) continue;
        if (!s->opts->support_only && !hz__make_whole(s, &n->value, c)) return false;
        hz_block *block = c->block;
        c->block = NULL;
        s->dx[k] = hz__push_leaf(s->t, &c->value, block);
    }
    return !s->t->error.code;
}

/* After a failure: everything that was on its way goes back to the pool. */
static void drop_everything(hz__sweep *s) {
    hz__drop_arrivals(s);
    for (int k = 0; s->result && k < s->n_x; k++) hz_block_unref(s->result[k].block);
    for (int k = 0; k < s->n_x; k++) s->dx[k] = hz_none(s->t);
}

/* In a lean sweep the ones that start it are rewound, too, before the results are pushed. */
static bool sweep_all(hz__sweep *s) {
    hz_mark mark = hz_tape_mark(s->t);
    bool ok = send_dy(s);
    if (hz__lean(s)) hz_tape_rewind(s->t, mark);
    return ok && run(s) && hz__check_inside(s) && give_results(s);
}

bool hz__grad(const hz_var *y, int n_y, const hz_var *x, int n_x, const hz_grad_opts *opts,
              const hz_box *dy_box, hz__blocks *blocks, hz_var *dx) {
    hz_tape *t = n_y > 0 ? y[0].tape : n_x > 0 ? x[0].tape : NULL;
    for (int k = 0; k < n_x; k++) dx[k] = (hz_var){t, 0};
    if (!t || t->error.code) return false;
    hz__shared shared = {.n_ops = 0};
    hz__sweep s = {.t = t,
                   .shared = &shared,
                   .opts = opts ? opts : &default_opts,
                   .y = y,
                   .x = x,
                   .n_y = n_y,
                   .n_x = n_x,
                   .dy_box = dy_box,
                   .blocks = blocks,
                   .dx = dx};
    hz_arena_mark mark = hz_arena_now(&t->sweeps);
    bool ok = check_arguments(&s) && hz__plan(&s) && sweep_all(&s);
    if (ok && s.opts->report) hz__report(&s, s.opts->report);
    if (!ok) drop_everything(&s);
    hz__free_shared(&s);
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
