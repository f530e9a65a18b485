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

/* Mark what depends on a target, going up; a node without a vjp and without a rule cuts the path. */
static void mark_below(hz__sweep *s) {
    for (int k = 0; k < s->n_x; k++) s->state[s->x[k].id - s->lo] |= HZ__BELOW | HZ__TARGET;
    for (uint32_t id = s->lo; id <= s->hi; id++) {
        const hz_node *n = hz__node(s->t, id);
        if (s->rule) s->rule[id - s->lo] = (int8_t)hz__rule_for(s->opts->rules, n);
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
        if (hz__rule_for(rules, hz__node(t, id)) == k) return true;
    return false;
}

static bool check_rules(hz__sweep *s) {
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

/* ---- the plan ---- */

bool hz__plan(hz__sweep *s) {
    s->lo = s->x[0].id;
    s->hi = s->y[0].id;
    for (int k = 0; k < s->n_x; k++) s->lo = s->x[k].id < s->lo ? s->x[k].id : s->lo;
    for (int k = 0; k < s->n_y; k++) s->hi = s->y[k].id > s->hi ? s->y[k].id : s->hi;
    for (int k = 0; k < s->n_x; k++) s->hi = s->x[k].id > s->hi ? s->x[k].id : s->hi;
    if (!allocate_plan(s)) return false;
    mark_below(s);
    mark_above(s);
    return check_rules(s);
}

/* ---- coverage ---- */

static bool on_path(const hz__sweep *s, const hz_node *n) {
    return (s->state[n->id - s->lo] & HZ__ABOVE) && hz__passes(s, n);
}

/* Names of the ops that rule k replaced, "relu, clip"; counts all nodes of these ops on the way. */
static void cover(const hz__sweep *s, int k, hz_coverage *coverage, char *names, size_t size) {
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

void hz__report(const hz__sweep *s, hz_grad_report *report) {
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
