/* explain.c: answers to two questions about a recorded pass: why is this gradient zero, and where did the first NaN
 * come from?
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "autograd/internal.h"
#include "tensor/elementwise.h"

/* ---- why is it zero ---- */

static bool no_path(hz_zero_report *report, hz_var y, hz_var x) {
    report->reason = HZ_NO_PATH;
    snprintf(report->text, sizeof report->text, "no path: %s does not depend on %s",
             hz_node_str(hz_node_of(y)).s, hz_node_str(hz_node_of(x)).s);
    return true;
}

static void describe(hz_tape *t, const hz__blocks *blocks, hz_zero_report *report) {
    const hz_node *n = hz_node_of(hz_at(t, blocks->last));
    report->reason = blocks->passed == 0 ? HZ_DEAD_UNIT : HZ_BLOCKED;
    report->blocked_at = blocks->last;
    report->blocks = blocks->count;
    int used = snprintf(report->text, sizeof report->text, "%s at %s",
                        report->reason == HZ_DEAD_UNIT ? "dead unit: the gradient stops" : "blocked",
                        hz_node_str(n).s);
    if (blocks->count > 1 && used > 0 && (size_t)used < sizeof report->text)
        snprintf(report->text + used, sizeof report->text - (size_t)used, " and %u more", blocks->count - 1);
}

bool hz_explain_zero(hz_var y, hz_var x, const hz_rules *rules, hz_zero_report *report) {
    *report = (hz_zero_report){.reason = HZ_NOT_ZERO};
    if (!hz_ok(y)) return false;
    hz_tape *t = y.tape;
    hz_mark mark = hz_tape_mark(t);
    hz__blocks blocks = {.count = 0};
    hz_var dx;
    hz_grad_opts opts = {.rules = rules, .unreachable = HZ_UNREACHABLE_NONE};
    bool ok = hz__grad(&y, 1, &x, 1, &opts, NULL, &blocks, &dx);
    if (ok && !hz_ok(dx)) return no_path(report, y, x);
    bool zero = ok && hz_all_zero(&t->exec, hz_value(dx));
    if (zero && blocks.count > 0)
        describe(t, &blocks, report);
    else if (zero)
        snprintf(report->text, sizeof report->text, "the paths cancel"), report->reason = HZ_BLOCKED;
    else if (ok)
        snprintf(report->text, sizeof report->text, "the gradient is not zero");
    hz_tape_rewind(t, mark);
    return ok;
}

/* ---- the first number that is none ---- */

static bool finite(hz_tape *t, const hz_tensor *x) {
    return !hz_dtype_is_float(x->dtype) || hz_all_finite(&t->exec, x);
}

static bool inputs_finite(hz_tape *t, const hz_node *n) {
    for (int i = 0; i < n->n_in; i++)
        if (!finite(t, hz_in(n, i))) return false;
    return true;
}

static void report_first(const hz_node *n, hz_error *what) {
    int64_t k = 0, idx[HZ_MAX_RANK];
    while (isfinite(hz_get_flat(&n->value, k))) k++;
    hz_unravel(&n->value, k, idx);
    hz_fail(what, HZ_ENUMERIC, "%s: first %s at %s", hz_node_str(n).s,
            isnan(hz_get_flat(&n->value, k)) ? "NaN" : "infinity", hz_dims_str(n->value.rank, idx).s);
}

hz_var hz_find_nonfinite(hz_tape *t, hz_error *what) {
    for (uint32_t id = 1; id < t->size; id++) {
        const hz_node *n = hz__node(t, id);
        if (finite(t, &n->value) || !inputs_finite(t, n)) continue;
        report_first(n, what);
        return n->out;
    }
    return hz_none(t);
}
