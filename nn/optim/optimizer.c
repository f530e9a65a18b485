/* optimizer.c: an optimiser, its parameters, their settings and states. Which optimiser it is says its
 * hz__method (internal.h); the step itself is step.c. Start reading at hz_optimizer_add.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/optim/optimizer.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- options ---- */

bool hz__option_in(const char *optimizer, const char *option, double value, double lo, double hi,
                   hz_error *err) {
    if (value >= lo && value < hi) return true; /* a NaN is not */
    return isinf(hi)
               ? hz_fail(err, HZ_EINVAL, "%s: %s is %g, not a number ≥ %g", optimizer, option, value, lo)
               : hz_fail(err, HZ_EINVAL, "%s: %s is %g, outside [%g, %g)", optimizer, option, value, lo, hi);
}

static bool check_common(const hz__method *m, hz_error *err) {
    return hz__option_in(m->name, "lr", m->lr, 0, INFINITY, err) &&
           hz__option_in(m->name, "momentum", m->momentum, 0, 1, err) &&
           hz__option_in(m->name, "weight_decay", m->weight_decay, 0, INFINITY, err);
}

/* ---- life ---- */

hz_optimizer *hz__optimizer_new(const hz__method *m, const hz_allocator *alloc, hz_error *err) {
    if (!check_common(m, err)) return NULL;
    hz_optimizer *opt = hz_alloc0(alloc, sizeof *opt);
    hz_pool *pool = hz_pool_new(alloc);
    if (!opt || !pool) {
        hz_fail(err, HZ_ENOMEM, "%s: out of memory", m->name);
        hz_pool_free(pool);
        hz_free(alloc, opt);
        return NULL;
    }
    opt->method = *m;
    opt->pool = pool;
    opt->clip_value = INFINITY;
    opt->clip_norm = INFINITY;
    if (alloc) opt->alloc = *alloc;
    opt->arena.alloc = opt->alloc;
    while (opt->states < HZ_UPDATE_STATES && m->state[opt->states]) opt->states++;
    return opt;
}

void hz_optimizer_free(hz_optimizer *opt) {
    if (!opt) return;
    const hz_allocator alloc = opt->alloc;
    hz_pool_free(opt->pool);
    hz_arena_free(&opt->arena);
    hz_free(&alloc, opt->param);
    hz_free(&alloc, opt->item);
    hz_free(&alloc, opt);
}

const char *hz_optimizer_name(const hz_optimizer *opt) {
    return opt->method.name;
}

/* ---- parameters ---- */

static bool check_group(const hz_optimizer *opt, const hz_param_group *group, hz_error *err) {
    return !group || hz__option_in(opt->method.name, "lr_scale", group->lr_scale, 0, INFINITY, err);
}

static bool check_param(const hz_optimizer *opt, const char *name, const hz_tensor *param, hz_error *err) {
    if (!hz_dtype_is_float(param->dtype) || !hz_is_contiguous(param))
        return hz_fail(err, HZ_ESHAPE, "%s: parameter \"%s\", %s %s, is not a contiguous tensor of floats",
                       opt->method.name, name, hz_dtype_name(param->dtype), hz_shape_str(param).s);
    for (int k = 0; k < opt->count; k++) {
        const hz__param *other = opt->param[k];
        if (strcmp(other->name, name) == 0)
            return hz_fail(err, HZ_EINVAL, "%s: there is a parameter \"%s\" already", opt->method.name, name);
        if (other->value.data == param->data && hz_numel(param) > 0)
            return hz_fail(err, HZ_EINVAL, "%s: parameters \"%s\" and \"%s\" share their memory",
                           opt->method.name, other->name, name);
    }
    return true;
}

/* An array of count elements that holds what the old one, of used bytes, does. */
static void *grown(const hz_optimizer *opt, const void *old, size_t used, size_t count, size_t size) {
    void *p = count > SIZE_MAX / size ? NULL : hz_alloc0(&opt->alloc, count * size);
    if (p && used) memcpy(p, old, used);
    return p;
}

static bool reserve(hz_optimizer *opt) {
    if (opt->count < opt->capacity) return true;
    if (opt->capacity > INT_MAX / 2) return false;
    const int capacity = opt->capacity ? 2 * opt->capacity : 16;
    const size_t n = (size_t)opt->count;
    hz__param **param = grown(opt, opt->param, n * sizeof *param, (size_t)capacity, sizeof *param);
    hz_update_item *item = grown(opt, NULL, 0, (size_t)capacity, sizeof *item);
    if (!param || !item) {
        hz_free(&opt->alloc, param);
        hz_free(&opt->alloc, item);
        return false;
    }
    hz_free(&opt->alloc, opt->param);
    hz_free(&opt->alloc, opt->item);
    opt->param = param;
    opt->item = item;
    opt->capacity = capacity;
    return true;
}

/* "name.state" */
static const char *state_name(hz_optimizer *opt, const char *name, const char *state) {
    const size_t n = strlen(name) + strlen(state) + 2;
    char *full = hz_arena_alloc(&opt->arena, n);
    if (full) snprintf(full, n, "%s.%s", name, state);
    return full;
}

static void set_all(const hz_tensor *t, double value) {
    if (t->dtype == HZ_F32)
        for (int64_t i = 0; i < hz_numel(t); i++) ((float *)t->data)[i] = (float)value;
    else
        for (int64_t i = 0; i < hz_numel(t); i++) ((double *)t->data)[i] = value;
}

/* State k of a parameter, in a block of the pool that goes when the pool goes. */
static bool make_state(hz_optimizer *opt, hz__param *p, int k, hz_error *err) {
    p->state_name[k] = state_name(opt, p->name, opt->method.state[k]);
    p->state[k] = p->value;
    p->block[k] = hz_pool_tensor(opt->pool, &p->state[k], err);
    if (!p->state_name[k] || !p->block[k]) return false;
    set_all(&p->state[k], k == 0 ? opt->method.initial : 0);
    return true;
}

static bool make_param(hz_optimizer *opt, hz__param *p, const char *name, const hz_tensor *value,
                       hz_error *err) {
    *p = (hz__param){.name = hz_arena_strdup(&opt->arena, name), .value = *value};
    p->step_name = state_name(opt, name, "step");
    bool made = p->name && p->step_name;
    for (int k = 0; made && k < opt->states; k++) made = make_state(opt, p, k, err);
    if (made) return true;
    for (int k = 0; k < opt->states; k++) hz_block_unref(p->block[k]);
    return false;
}

bool hz_optimizer_add(hz_optimizer *opt, const char *name, const hz_tensor *param,
                      const hz_param_group *group, hz_error *err) {
    if (!check_param(opt, name, param, err) || !check_group(opt, group, err)) return false;
    const hz_arena_mark mark = hz_arena_now(&opt->arena);
    hz__param *p = reserve(opt) ? hz_arena_alloc(&opt->arena, sizeof *p) : NULL;
    if (!p || !make_param(opt, p, name, param, err)) {
        hz_arena_rewind(&opt->arena, mark);
        return hz_fail(err, HZ_ENOMEM, "%s: out of memory for the state of \"%s\" %s", opt->method.name, name,
                       hz_shape_str(param).s);
    }
    if (group) p->group = *group;
    opt->param[opt->count++] = p;
    return true;
}

int hz_optimizer_count(const hz_optimizer *opt) {
    return opt->count;
}

bool hz_optimizer_set_group(hz_optimizer *opt, const char *name, const hz_param_group *group, hz_error *err) {
    bool found = !name;
    if (!check_group(opt, group, err)) return false;
    for (int k = 0; k < opt->count; k++) {
        hz__param *p = opt->param[k];
        if (name && strcmp(name, p->name) != 0) continue;
        p->group = group ? *group : (hz_param_group){0};
        found = true;
    }
    return found || hz_fail(err, HZ_ENOTFOUND, "%s: no parameter is named \"%s\"", opt->method.name, name);
}

/* ---- settings ---- */

double hz_optimizer_lr(const hz_optimizer *opt) {
    return opt->method.lr;
}

bool hz_optimizer_set_lr(hz_optimizer *opt, double lr, hz_error *err) {
    if (!hz__option_in(opt->method.name, "lr", lr, 0, INFINITY, err)) return false;
    opt->method.lr = lr;
    return true;
}

double hz_optimizer_momentum(const hz_optimizer *opt) {
    return opt->method.has_momentum ? opt->method.momentum : NAN;
}

bool hz_optimizer_set_momentum(hz_optimizer *opt, double momentum, hz_error *err) {
    if (!opt->method.has_momentum)
        return hz_fail(err, HZ_EINVAL, "%s: it was made without momentum", opt->method.name);
    if (!hz__option_in(opt->method.name, "momentum", momentum, 0, 1, err)) return false;
    opt->method.momentum = momentum;
    return true;
}

bool hz_optimizer_set_clip(hz_optimizer *opt, double norm, double value, hz_error *err) {
    if (!hz__option_in(opt->method.name, "the norm to clip to", norm, 0, INFINITY, err) ||
        !hz__option_in(opt->method.name, "the value to clip to", value, 0, INFINITY, err))
        return false;
    opt->clip_norm = hz__or(norm, INFINITY);
    opt->clip_value = hz__or(value, INFINITY);
    return true;
}

/* ---- state ---- */

int hz_optimizer_state_count(const hz_optimizer *opt) {
    return opt->count * (1 + opt->states);
}

void hz_optimizer_state(const hz_optimizer *opt, int k, const char **name, hz_tensor *tensor) {
    hz__param *p = opt->param[k / (1 + opt->states)];
    const int state = k % (1 + opt->states) - 1;
    *name = state < 0 ? p->step_name : p->state_name[state];
    *tensor = state < 0 ? hz_tensor_of(&p->step, HZ_I64, 0, NULL) : p->state[state];
}
