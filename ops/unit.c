/* unit.c: naming one number of a recorded pass: "fire9[489,5,3]", "fire6[218,argmax]", "logits[285]".
 *
 * Start at hz_unit_parse: the text is cut into a layer's name and a list of indices, the list is then filled up to an
 * index of the layer's rank.
 *
 * SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/common.h"

/* What stands between the brackets. */
typedef struct list {
    int64_t index[HZ_MAX_RANK];
    int n;
    bool argmax; /* after these */
} list;

/* ---- reading ---- */

static const char *skip_spaces(const char *s) {
    while (isspace((unsigned char)*s)) s++;
    return s;
}

/* Read one index at *s and step over it; false if there is none, or no room for it. */
static bool read_index(const char **s, list *l) {
    char *end;
    errno = 0;
    long long value = strtoll(*s, &end, 10);
    if (end == *s || errno || l->n == HZ_MAX_RANK) return false;
    l->index[l->n++] = value;
    *s = end;
    return true;
}

/* Read an index or "argmax", and the spaces around it. */
static bool read_item(const char **s, list *l) {
    *s = skip_spaces(*s);
    l->argmax = strncmp(*s, "argmax", 6) == 0;
    if (l->argmax)
        *s += 6;
    else if (!read_index(s, l))
        return false;
    *s = skip_spaces(*s);
    return true;
}

/* Items between commas up to the bracket that ends the text; "argmax" can only be the last. */
static bool read_list(const char *s, list *l) {
    *l = (list){.n = 0};
    s = skip_spaces(s);
    bool more = *s != ']';
    while (more) {
        if (!read_item(&s, l)) return false;
        more = *s == ',' && !l->argmax;
        if (more) s++;
    }
    return *s == ']' && *skip_spaces(s + 1) == '\0';
}

/* The layer's name, without spaces around it: what stands before the last bracket that opens. */
static bool read_name(const char *unit, char *name, size_t size) {
    const char *end = strrchr(unit, '[');
    unit = skip_spaces(unit);
    while (end && end > unit && isspace((unsigned char)end[-1])) end--;
    if (!end || end <= unit || (size_t)(end - unit) >= size) return false;
    memcpy(name, unit, (size_t)(end - unit));
    name[end - unit] = '\0';
    return true;
}

/* ---- from the list to an index ---- */

static bool fail(hz_tape *t, const char *unit, const hz_tensor *layer, const char *why) {
    hz_tape_fail(t, HZ_EINVAL, "unit \"%.120s\": %s; the layer has shape %s", unit, why,
                 hz_shape_str(layer).s);
    return false;
}

/* Put the batch index, 0, in front where it was left out. Before argmax there are no indices, or all up to the channel
 * where the layer has positions under it, or that of the batch. */
static bool add_batch(hz_tape *t, const char *unit, const hz_tensor *layer, list *l) {
    int want = layer->rank;
    if (l->argmax) want = l->n == 0 ? 0 : layer->rank > 2 ? 2 : layer->rank - 1;
    if (l->n == want - 1 && layer->rank > 1) {
        memmove(l->index + 1, l->index, (size_t)l->n * sizeof *l->index);
        l->index[0] = 0;
        l->n++;
    }
    if (l->n == want) return true;
    return fail(
        t, unit, layer,
        l->argmax ? "argmax takes no index before it, that of a channel with positions, or that of the batch"
                  : "wrong number of indices");
}

static bool check_range(hz_tape *t, const char *unit, const hz_tensor *layer, const list *l) {
    for (int k = 0; k < l->n; k++) {
        char why[96];
        snprintf(why, sizeof why, "index %" PRId64 " is outside axis %d (0 … %" PRId64 ")", l->index[k], k,
                 layer->dim[k] - 1);
        if (l->index[k] < 0 || l->index[k] >= layer->dim[k]) return fail(t, unit, layer, why);
    }
    return true;
}

/* Complete the first l->n indices with those of the largest element under them. */
static bool find_strongest(hz_tape *t, const char *unit, const hz_tensor *layer, list *l) {
    hz_box box = hz_box_full(layer);
    for (int k = 0; k < l->n; k++) box.lo[k] = l->index[k], box.hi[k] = box.lo[k] + 1;
    hz_tensor under = hz_view_box(layer, &box);
    int64_t best = 0, count = hz_numel(&under);
    if (count == 0) return fail(t, unit, layer, "nothing to take the maximum of");
    double most = hz_get_flat(&under, 0);
    for (int64_t k = 1; k < count; k++) {
        double value = hz_get_flat(&under, k);
        if (value > most || most != most) most = value, best = k;
    }
    hz_unravel(&under, best, l->index);
    for (int k = 0; k < layer->rank; k++) l->index[k] += box.lo[k];
    return true;
}

/* "fire9[489,5,3]": the batch index is left out where it is 0. */
static void write_text(const char *name, const hz_tensor *layer, const int64_t *index, char *text,
                       size_t size) {
    int first = layer->rank > 1 && index[0] == 0;
    size_t used = (size_t)snprintf(text, size, "%s[", name);
    for (int k = first; k < layer->rank && used < size; k++)
        used += (size_t)snprintf(text + used, size - used, "%s%" PRId64, k > first ? "," : "", index[k]);
    if (used < size) snprintf(text + used, size - used, "]");
}

/* A name alone, of a value of rank 0. */
static bool read_scalar(hz_tape *t, const char *unit, hz_unit_info *info) {
    const hz_var x = hz_lookup(t, unit);
    if (!hz_ok(x) || hz_value(x)->rank > 0) return false;
    *info = (hz_unit_info){.layer = x};
    snprintf(info->text, sizeof info->text, "%s", unit);
    return true;
}

/* ---- entry ---- */

bool hz_unit_parse(hz_tape *t, const char *unit, hz_unit_info *info) {
    char name[sizeof info->text / 2];
    list l;
    if (!hz_tape_ok(t, NULL)) return false;
    if (read_scalar(t, unit, info)) return true;
    if (!read_name(unit, name, sizeof name) || !read_list(strrchr(unit, '[') + 1, &l)) {
        hz_tape_fail(t, HZ_EINVAL,
                     "unit \"%.120s\" is not of the form layer[c,y,x], layer[k], layer[c,argmax] or "
                     "layer[argmax], nor the name of a single number",
                     unit);
        return false;
    }
    hz_var layer = hz_find(t, name);
    if (!hz_ok(layer)) return false;
    const hz_tensor *value = hz_value(layer);
    if (!add_batch(t, unit, value, &l) || !check_range(t, unit, value, &l)) return false;
    if (l.argmax && !find_strongest(t, unit, value, &l)) return false;
    *info = (hz_unit_info){.layer = layer};
    memcpy(info->index, l.index, (size_t)value->rank * sizeof *l.index);
    write_text(name, value, l.index, info->text, sizeof info->text);
    return true;
}

hz_var hz_unit(hz_tape *t, const char *unit) {
    hz_unit_info info;
    return hz_unit_parse(t, unit, &info) ? hz_pick(info.layer, info.index) : hz_none(t);
}
