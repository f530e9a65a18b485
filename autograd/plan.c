/* plan.c: before a sweep: which nodes lie on a path from a target to an output, and which rule is for which of them.
 * After it: which rule was used how often.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "autograd/sweep.h"

/* ---- paths ---- */

static void *scratch(hz__sweep *s, size_t count, size_t size) {
    void *p = hz_arena_alloc(&s->t->sweeps, count * size);
    if (p) memset(p, 0, count * size);
    return p;
}

static bool allocate_plan(hz__sweep *s) {
    size_t count = (size_t)(s->hi - s->lo) + 1, targets = (size_t)s->n_x;
    bool rules = s->opts->rules && s->opts->rules->n > 0;
    if (rules && s->opts->rules->n > HZ_MAX_RULES) {
        hz_tape_fail(s->t, HZ_EINVAL, "hz_grad: %d rules, at most %d", s->opts->rules->n, HZ_MAX_RULES);
        return false;
    }
    bool ok = (s->state = scratch(s, count, sizeof *s->state)) &&
              (s->arrived = scratch(s, count, sizeof *s->arrived)) &&
              (s->result = scratch(s, targets, sizeof *s->result)) &&
              (!rules || (s->rule = scratch(s, count, sizeof *s->rule)));
    if (!ok) hz_tape_fail(s->t, HZ_ENOMEM, "hz_grad: no memory to plan a sweep over %zu nodes", count);
    return ok;
}

static void note_rule(hz__sweep *s, const hz_node *n) {
    int k = hz__rule_for(s->opts->rules, n);
    s->rule[n->id - s->lo] = (int8_t)k;
    if (k >= 0) s->shared->met[k] = true;
}

/* Mark what depends on a target, going up; a node without a vjp and without a rule cuts the path. */
static void mark_below(hz__sweep *s) {
    for (int k = 0; k < s->n_x; k++) s->state[s->x[k].id - s->lo] |= HZ__BELOW | HZ__TARGET;
    for (uint32_t id = s->lo; id <= s->hi; id++) {
        const hz_node *n = hz__node(s->t, id);
        if (s->rule) note_rule(s, n);
        if (hz__passes(s, n)) s->state[id - s->lo] |= HZ__BELOW;
    }
}

/* Mark what a y depends on, going down, along nodes that pass gradients. */
static void mark_above(hz__sweep *s) {
    for (int k = 0; k < s->n_y; k++)
        if (s->y[k].id >= s->lo) s->state[s->y[k].id - s->lo] |= HZ__ABOVE;
    for (uint32_t id = s->hi + 1; id-- > s->lo;) {
        const hz_node *n = hz__node(s->t, id);
        if (!(s->state[id - s->lo] & HZ__ABOVE) || !hz__passes(s, n)) continue;
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i].id >= s->lo) s->state[n->in[i].id - s->lo] |= HZ__ABOVE;
    }
}

/* ---- rules that match nothing ---- */

static const char *label_of(const hz_rule *rule) {
    return rule->label ? rule->label : "rule";
}

static bool matches_somewhere(hz_tape *t, const hz_rules *rules, int k) {
    for (uint32_t id = 1; id < t->size; id++)
        if (hz__rule_fits(&rules->rule[k], hz__node(t, id))) return true;
    return false;
}

static bool check_vjps(hz_tape *t, const hz_rules *rules) {
    for (int k = 0; k < rules->n; k++)
        if (!rules->rule[k].vjp) {
            hz_tape_fail(t, HZ_EINVAL, "hz_grad: rule %d (%s) has no vjp", k, label_of(&rules->rule[k]));
            return false;
        }
    return true;
}

static bool fail_unmatched(hz_tape *t, const hz_rules *rules, int k) {
    const hz_rule *rule = &rules->rule[k];
    hz_tape_fail(t, HZ_ENOTFOUND, "hz_grad: rule %d (%s, op %s, name \"%s\"%s) matches no node", k,
                 label_of(rule), rule->op ? rule->op->name : "any", rule->name ? rule->name : "*",
                 rule->match ? ", its predicate" : "");
    return false;
}

static bool expands_somewhere(hz_tape *t) {
    for (uint32_t id = 1; id < t->size; id++)
        if (hz__node(t, id)->op->expand) return true;
    return false;
}

/* Rules that match nothing on the way and nothing beside it; if there are nodes to look into, that is for later. */
static bool check_rules(hz__sweep *s) {
    const hz_rules *rules = s->opts->rules;
    if (!s->rule) return true;
    if (!check_vjps(s->t, rules)) return false;
    for (int k = 0; k < rules->n; k++) {
        s->shared->met[k] = s->shared->met[k] || matches_somewhere(s->t, rules, k);
        if (!s->shared->met[k] && !expands_somewhere(s->t)) return fail_unmatched(s->t, rules, k);
    }
    return true;
}

static bool fits(const hz_node *n, const void *rule) {
    return hz__rule_fits(rule, n);
}

bool hz__check_inside(hz__sweep *s) {
    for (int k = 0; s->rule && k < s->opts->rules->n; k++) {
        if (s->shared->met[k] || hz__search_inside(s->t, fits, &s->opts->rules->rule[k])) continue;
        return s->t->error.code ? false : fail_unmatched(s->t, s->opts->rules, k);
    }
    return true;
}

/* ---- how much there is of each op ---- */

static bool on_path(hz__sweep *s, const hz_node *n) {
    return (s->state[n->id - s->lo] & HZ__ABOVE) && hz__passes(s, n);
}

static hz__op_count *count_of(hz__sweep *s, const hz_op *op) {
    hz__shared *c = s->shared;
    for (int k = 0; k < c->n_ops; k++)
        if (c->op[k].op == op) return &c->op[k];
    if (c->n_ops == c->capacity) {
        int capacity = c->capacity ? 2 * c->capacity : 32;
        hz__op_count *larger = hz_alloc(&s->t->alloc, (size_t)capacity * sizeof *larger);
        if (!larger) return NULL;
        if (c->n_ops) memcpy(larger, c->op, (size_t)c->n_ops * sizeof *larger);
        hz_free(&s->t->alloc, c->op);
        c->op = larger;
        c->capacity = capacity;
    }
    c->op[c->n_ops] = (hz__op_count){.op = op};
    return &c->op[c->n_ops++];
}

/* A node that is expanded counts through what is inside it. */
static bool count_nodes(hz__sweep *s) {
    for (uint32_t id = s->lo; id <= s->hi; id++) {
        const hz_node *n = hz__node(s->t, id);
        int k = s->rule ? s->rule[id - s->lo] : -1;
        if (!on_path(s, n) || (!n->op->vjp && k < 0)) continue;
        hz__op_count *c = count_of(s, n->op);
        if (!c) {
            hz_tape_fail(s->t, HZ_ENOMEM, "hz_grad: no memory for a report");
            return false;
        }
        c->nodes++;
        if (k >= 0) c->matched[k]++;
    }
    return true;
}

void hz__free_shared(hz__sweep *s) {
    hz_free(&s->t->alloc, s->shared->op);
}

/* ---- the plan ---- */

static void find_range(hz__sweep *s) {
    s->lo = s->x[0].id;
    s->hi = s->y[0].id;
    for (int k = 0; k < s->n_x; k++) s->lo = s->x[k].id < s->lo ? s->x[k].id : s->lo;
    for (int k = 0; k < s->n_y; k++) s->hi = s->y[k].id > s->hi ? s->y[k].id : s->hi;
    for (int k = 0; k < s->n_x; k++) s->hi = s->x[k].id > s->hi ? s->x[k].id : s->hi;
}

bool hz__plan(hz__sweep *s) {
    if (!s->outer) find_range(s);
    if (!allocate_plan(s)) return false;
    mark_below(s);
    mark_above(s);
    if (!s->outer && !check_rules(s)) return false;
    return !s->opts->report || count_nodes(s);
}

/* ---- coverage ---- */

/* How often rule k was used, of how many nodes of the ops it replaced; their names, "relu, clip". */
static void cover(const hz__sweep *s, int k, hz_coverage *coverage, char *names, size_t size) {
    size_t used = 0;
    for (int j = 0; j < s->shared->n_ops; j++) {
        const hz__op_count *c = &s->shared->op[j];
        if (!c->matched[k]) continue;
        coverage->matched += c->matched[k];
        coverage->of += c->nodes;
        if (used < size)
            used += (size_t)snprintf(names + used, size - used, "%s%s", used ? ", " : "", c->op->name);
    }
}

void hz__report(const hz__sweep *s, hz_grad_report *report) {
    memset(report, 0, sizeof *report);
    report->nodes = s->shared->visited;
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
