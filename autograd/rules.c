/* rules.c: which gradient rule is for which node.
 *
 * SPDX-License-Identifier: MIT */
#include "autograd/internal.h"

static char fold(char c) {
    return c == '/' ? '.' : c;
}

/* Match c against the set that starts after '[' at p; *end is set past the ']'. A set that is never closed
 * matches nothing. */
static bool in_set(const char *p, char c, const char **end) {
    bool negate = *p == '!' || *p == '^', found = false;
    if (negate) p++;
    const char *first = p;
    for (; *p && (*p != ']' || p == first); p++) {
        if (p[1] == '-' && p[2] && p[2] != ']') {
            if (fold(p[0]) <= c && c <= fold(p[2])) found = true;
            p += 2;
        } else if (fold(*p) == c) {
            found = true;
        }
    }
    *end = *p ? p + 1 : p;
    return *p && found != negate;
}

/* One pass with a single point of return: after a mismatch, let the last '*' swallow one character more. */
bool hz_glob(const char *pattern, const char *name) {
    const char *star = NULL, *resume = NULL;
    while (*name) {
        const char *next = pattern + 1;
        bool match = *pattern == '?' || (*pattern == '[' ? in_set(pattern + 1, fold(*name), &next)
                                                         : *pattern && fold(*pattern) == fold(*name));
        if (*pattern == '*') {
            star = ++pattern;
            resume = name;
        } else if (match) {
            pattern = next;
            name++;
        } else if (star) {
            pattern = star;
            name = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

/* Any of the node's names will do. */
static bool name_matches(const char *pattern, const hz_node *n) {
    if (!n->name) return false;
    if (hz_glob(pattern, n->name)) return true;
    for (uint32_t k = 0; k < n->tape->n_names; k++)
        if (n->tape->name[k].id == n->id && hz_glob(pattern, n->tape->name[k].text)) return true;
    return false;
}

/* A node that the sweep expands is met by name of its op alone: a rule is for the ops inside. */
bool hz__rule_fits(const hz_rule *rule, const hz_node *n) {
    if (n->n_in == 0) return false;
    if (rule->op ? rule->op != n->op : n->op->expand != NULL) return false;
    if (rule->name && !name_matches(rule->name, n)) return false;
    return !rule->match || rule->match(n, rule->ctx);
}

int hz__rule_for(const hz_rules *rules, const hz_node *n) {
    if (!rules) return -1;
    for (int k = 0; k < rules->n; k++)
        if (hz__rule_fits(&rules->rule[k], n)) return k;
    return -1;
}
