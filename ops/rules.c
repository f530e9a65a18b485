/* rules.c: how ReLUs pass a gradient back, as rules to choose from when a gradient is asked for.
 *
 *   gradient    dx = dy where x > 0
 *   deconvnet   dx = max(dy, 0)                 (Zeiler & Fergus 2014, section 2.1)
 *   guided      dx = max(dy, 0) where x > 0     (Springenberg et al. 2014, section 3.4)
 *
 * for y = max(x, 0); ReLU6 and clip from 0 have a top, too, above which "where" no longer holds.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "ops/common.h"

hz_var hz_relu_deconvnet(const hz_node *n, int i, hz_var dy) {
    (void)n, (void)i;
    return hz_relu(dy);
}

hz_var hz_relu_guided(const hz_node *n, int i, hz_var dy) {
    return n->op->vjp ? n->op->vjp(n, i, hz_relu(dy)) : hz_none(n->tape);
}

bool hz_is_relu(const hz_node *n, const void *ctx) {
    (void)ctx;
    if (n->op == &hz_op_clip) return ((const hz_attr_scalars *)n->attr)->a == 0;
    return n->op == &hz_op_relu || n->op == &hz_op_relu6;
}

/* ---- by name ---- */

static const hz_rule deconvnet = {.label = "deconvnet", .match = hz_is_relu, .vjp = hz_relu_deconvnet};
static const hz_rule guided = {.label = "guided", .match = hz_is_relu, .vjp = hz_relu_guided};

static const hz_rules rules[] = {{NULL, 0}, {&deconvnet, 1}, {&guided, 1}};
const char *const hz_rule_names[] = {"gradient", "deconvnet", "guided", NULL};

const hz_rules *hz_rules_named(const char *name) {
    for (int k = 0; hz_rule_names[k]; k++)
        if (strcmp(name, hz_rule_names[k]) == 0) return &rules[k];
    return NULL;
}
