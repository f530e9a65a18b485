/* params.c: a store of named parameters. Start with hz_params_add. Reading and writing them is state_dict.c.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/params.h"

#include <string.h>

#include "nn/internal.h"
#include "nn/layers.h"
#include "nn/params_internal.h"
#include "tensor/elementwise.h"

/* ---- life ---- */

hz_params *hz_params_new(const hz_params_opts *opts, hz_error *err) {
    const hz_params_opts o = opts ? *opts : (hz_params_opts){.seed = 0};
    if (!hz_dtype_is_float(o.dtype))
        return hz_fail(err, HZ_EINVAL, "parameters of %s, not floats, cannot be trained",
                       hz_dtype_name(o.dtype)),
               NULL;
    hz_params *p = hz_alloc0(o.alloc, sizeof *p);
    hz_pool *pool = hz_pool_new(o.alloc);
    if (!p || !pool) {
        hz_pool_free(pool);
        hz_free(o.alloc, p);
        return hz_fail(err, HZ_ENOMEM, "out of memory for parameters"), NULL;
    }
    if (o.alloc) p->alloc = *o.alloc;
    p->arena.alloc = p->alloc;
    p->dtype = o.dtype;
    p->seed = o.seed;
    p->pool = pool;
    return p;
}

static void free_scratch(hz_params *p) {
    hz_free(&p->alloc, p->by_data);
    hz_free(&p->alloc, p->leaf);
    hz_free(&p->alloc, p->dx);
    hz_free(&p->alloc, p->target);
    p->by_data = NULL, p->leaf = NULL, p->dx = NULL, p->target = NULL;
}

void hz_params_free(hz_params *p) {
    if (!p) return;
    const hz_allocator alloc = p->alloc;
    hz_pool_free(p->pool);
    hz_arena_free(&p->arena);
    hz_free(&alloc, p->entry);
    hz_free(&alloc, p->by_name);
    free_scratch(p);
    hz_free(&alloc, p);
}

/* ---- looking ---- */

int hz_params_count(const hz_params *p) {
    return p->count;
}

const hz_parameter *hz_params_at(const hz_params *p, int k) {
    return &p->entry[k]->public;
}

hz_dtype hz_params_dtype(const hz_params *p) {
    return p->dtype;
}

/* How many names come before this one. */
static int position(const hz_params *p, const char *name) {
    int lo = 0, hi = p->count;
    while (lo < hi) {
        const int middle = lo + (hi - lo) / 2;
        if (hz__compare_names(p->by_name[middle]->public.name, name) < 0)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

static hz__entry *find(const hz_params *p, const char *name) {
    const int at = position(p, name);
    if (at == p->count || hz__compare_names(p->by_name[at]->public.name, name) != 0) return NULL;
    return p->by_name[at];
}

const hz_parameter *hz_params_find(const hz_params *p, const char *name) {
    const hz__entry *e = find(p, name);
    return e ? &e->public : NULL;
}

int64_t hz_params_numel(const hz_params *p) {
    int64_t n = 0;
    for (int k = 0; k < p->count; k++)
        if (hz__is_trained(hz_params_at(p, k))) n += hz_numel(&hz_params_at(p, k)->value);
    return n;
}

/* ---- adding ---- */

/* Make room for one more of `used` elements in *array, which has `capacity`. */
static bool grow(const hz_allocator *alloc, void *array, int used, int capacity, size_t size) {
    void *old, *wider = hz_alloc0(alloc, (size_t)capacity * size);
    if (!wider) return false;
    memcpy(&old, array, sizeof old);
    if (used) memcpy(wider, old, (size_t)used * size);
    hz_free(alloc, old);
    memcpy(array, &wider, sizeof wider);
    return true;
}

static bool reserve(hz_params *p) {
    enum { MOST = 1 << 20 };
    if (p->count < p->capacity) return true;
    const int capacity = p->capacity ? 2 * p->capacity : 32;
    if (capacity > MOST || !grow(&p->alloc, &p->entry, p->count, capacity, sizeof(hz__entry *)) ||
        !grow(&p->alloc, &p->by_name, p->count, capacity, sizeof(hz__entry *)))
        return false;
    p->capacity = capacity;
    return true;
}

static bool check_new(const hz_params *p, const char *name, hz_error *err) {
    if (find(p, name))
        return hz_fail(err, HZ_EINVAL, "there is a parameter \"%s\" already", hz_label(name).s);
    if (p->sealed)
        return hz_fail(err, HZ_ENOTFOUND, "no parameter \"%s\": none was made before training began",
                       hz_label(name).s);
    if (!*name || *name == '@' || !hz_is_utf8(name))
        return hz_fail(err, HZ_EINVAL, "\"%s\" is no name for a parameter", hz_label(name).s);
    return true;
}

/* A new entry under its name, without value; NULL when out of memory. The caller appends it. */
static hz__entry *make_entry(hz_params *p, const char *name) {
    if (!reserve(p)) return NULL;
    hz__entry *e = hz_arena_alloc(&p->arena, sizeof *e);
    if (!e) return NULL;
    *e = (hz__entry){.public = {.name = hz_arena_strdup(&p->arena, name)}, .trained = -1};
    return e->public.name ? e : NULL;
}

static void append(hz_params *p, hz__entry *e) {
    const int at = position(p, e->public.name);
    memmove(p->by_name + at + 1, p->by_name + at, (size_t)(p->count - at) * sizeof *p->by_name);
    p->by_name[at] = e;
    p->entry[p->count++] = e;
}

/* FNV-1a: the stream that a parameter of this name draws from. */
static uint64_t stream_of(const char *name) {
    uint64_t h = 14695981039346656037u;
    for (; *name; name++) h = (h ^ (unsigned char)(*name == '/' ? '.' : *name)) * 1099511628211u;
    return h;
}

hz_exec hz__params_exec(const hz_params *p) {
    return (hz_exec){.pool = p->pool, .threads = 1, .isa = hz_isa_resolve(HZ_ISA_AUTO)};
}

static bool set_initial(const hz_params *p, const hz_parameter *q, const hz_initial *how, hz_error *err) {
    const hz_initial zeros = {.kind = HZ_INITIAL_CONSTANT};
    const hz_exec ex = hz__params_exec(p);
    if (hz_init(&ex, how ? how : &zeros, p->seed, stream_of(q->name), &q->value, err)) return true;
    return hz_fail_in(err, "parameter \"%s\"", hz_label(q->name).s);
}

static bool add(hz_params *p, const char *name, const hz_tensor *shape, bool buffer, const hz_initial *how,
                double value, hz_error *err) {
    if (!check_new(p, name, err) || !hz_shape_check(name, shape->dtype, shape->rank, shape->dim, err))
        return false;
    hz__entry *e = make_entry(p, name);
    if (!e) return hz_fail(err, HZ_ENOMEM, "out of memory for parameter \"%s\"", hz_label(name).s);
    e->public.value = *shape;
    e->public.buffer = buffer;
    hz_block *block = hz_pool_tensor(p->pool, &e->public.value, err);
    if (!block) return hz_fail_in(err, "parameter \"%s\"", hz_label(name).s);
    const hz_exec ex = hz__params_exec(p);
    if (buffer) hz_fill(&ex, &e->public.value, value);
    if (!buffer && !set_initial(p, &e->public, how, err)) {
        hz_block_unref(block);
        return false;
    }
    append(p, e);
    return true;
}

bool hz_params_add(hz_params *p, const char *name, const hz_tensor *shape, const hz_initial *how,
                   hz_error *err) {
    if (shape->dtype != p->dtype)
        return hz_fail(err, HZ_ESHAPE, "parameter \"%s\" of %s in a store of %s", hz_label(name).s,
                       hz_dtype_name(shape->dtype), hz_dtype_name(p->dtype));
    return add(p, name, shape, false, how, 0, err);
}

bool hz_params_add_buffer(hz_params *p, const char *name, const hz_tensor *shape, double value,
                          hz_error *err) {
    return add(p, name, shape, true, NULL, value, err);
}

bool hz_params_share(hz_params *p, const char *name, const char *original, hz_error *err) {
    const hz__entry *of = find(p, original);
    if (!of) return hz_fail(err, HZ_ENOTFOUND, "no parameter \"%s\" to share", hz_label(original).s);
    if (!check_new(p, name, err)) return false;
    hz__entry *e = make_entry(p, name);
    if (!e) return hz_fail(err, HZ_ENOMEM, "out of memory for parameter \"%s\"", hz_label(name).s);
    e->public.value = of->public.value;
    e->public.buffer = of->public.buffer;
    e->public.shares = of->public.shares ? of->public.shares : of->public.name;
    append(p, e);
    return true;
}

static hz_tape *building_tape(const hz_params *p, hz_error *err) {
    hz_tape *t = hz_tape_new(&(hz_tape_opts){.alloc = &p->alloc});
    if (!t) hz_fail(err, HZ_ENOMEM, "out of memory for a tape");
    return t;
}

/* Record forward on x and be done with its tape. */
static bool build(hz_params *p, hz_var (*forward)(hz_net *net, hz_var x), hz_var x, hz_error *err) {
    hz_net net = {.tape = x.tape, .params = p};
    forward(&net, x);
    const bool ok = hz_tape_ok(x.tape, err);
    hz_tape_free(x.tape);
    return ok;
}

bool hz_params_build(hz_params *p, hz_var (*forward)(hz_net *net, hz_var x), int rank, const int64_t *dim,
                     hz_error *err) {
    hz_tape *t = building_tape(p, err);
    return t && build(p, forward, hz_full(t, p->dtype, rank, dim, 0), err);
}

bool hz_params_build_on(hz_params *p, hz_var (*forward)(hz_net *net, hz_var x), const hz_tensor *x,
                        hz_error *err) {
    hz_tape *t = building_tape(p, err);
    return t && build(p, forward, hz_input(t, x), err);
}

/* ---- settings ---- */

static bool fits_none(const char *glob, hz_error *err) {
    return hz_fail(err, HZ_ENOTFOUND, "no parameter fits \"%s\"", hz_label(glob).s);
}

bool hz_params_init(hz_params *p, const char *glob, const hz_initial *how, hz_error *err) {
    bool any = false;
    for (int k = 0; k < p->count; k++) {
        const hz_parameter *q = hz_params_at(p, k);
        if (!hz__is_trained(q) || !hz_glob(glob, q->name)) continue;
        if (!set_initial(p, q, how, err)) return false;
        any = true;
    }
    return any || fits_none(glob, err);
}

bool hz_params_set_group(hz_params *p, const char *glob, const hz_param_group *group, hz_error *err) {
    bool any = false;
    for (int k = 0; k < p->count; k++) {
        hz_parameter *q = &p->entry[k]->public;
        if (!hz__is_trained(q) || !hz_glob(glob, q->name)) continue;
        q->group = group ? *group : (hz_param_group){.lr_scale = 0};
        any = true;
    }
    return any || fits_none(glob, err);
}

/* ---- training ---- */

static int compare_data(const void *a, const void *b) {
    const hz__entry *x = *(hz__entry *const *)a, *y = *(hz__entry *const *)b;
    const uintptr_t at = (uintptr_t)x->public.value.data, other = (uintptr_t)y->public.value.data;
    return (at > other) - (at < other);
}

/* Number the trained parameters and make room for what a step needs, so that it allocates nothing. */
static bool seal(hz_params *p) {
    if (p->sealed) return true;
    const size_t n = (size_t)p->count + 1;
    p->by_data = hz_alloc0(&p->alloc, n * sizeof *p->by_data);
    p->leaf = hz_alloc0(&p->alloc, n * sizeof *p->leaf);
    p->dx = hz_alloc0(&p->alloc, 3 * n * sizeof *p->dx);
    p->target = hz_alloc0(&p->alloc, n * sizeof *p->target);
    if (!p->by_data || !p->leaf || !p->dx || !p->target) return free_scratch(p), false;
    for (int k = 0; k < p->count; k++) {
        if (!hz__is_trained(&p->entry[k]->public)) continue;
        p->entry[k]->trained = p->n_trained;
        p->by_data[p->n_trained++] = p->entry[k];
    }
    qsort(p->by_data, (size_t)p->n_trained, sizeof *p->by_data, compare_data);
    p->sealed = true;
    return true;
}

int hz_params_trained(const hz_params *p) {
    return p->n_trained;
}

bool hz_params_optimize(hz_params *p, hz_optimizer *opt, hz_error *err) {
    if (!seal(p)) return hz_fail(err, HZ_ENOMEM, "out of memory for parameters");
    for (int k = 0; k < p->count; k++) {
        const hz_parameter *q = hz_params_at(p, k);
        if (hz__is_trained(q) && !hz_optimizer_add(opt, q->name, &q->value, &q->group, err)) return false;
    }
    return true;
}

/* The trained parameter that the leaf n shows; NULL if it shows none. */
static const hz__entry *shown_by(const hz_params *p, const hz_node *n) {
    const hz__entry key = {.public = {.value = {.data = n->value.data}}}, *at = &key;
    hz__entry *const *found =
        bsearch(&at, p->by_data, (size_t)p->n_trained, sizeof *p->by_data, compare_data);
    return found && hz_numel(&n->value) > 0 ? *found : NULL;
}

/* leaf[k] becomes the leaf of trained parameter k, or the inert variable if it is not on the tape. */
static bool find_leaves(hz_params *p, hz_tape *t, hz_error *err) {
    for (int k = 0; k < p->n_trained; k++) p->leaf[k] = hz_none(t);
    for (uint32_t id = 1; id < hz_tape_size(t); id++) {
        const hz_node *n = hz_node_of(hz_at(t, id));
        const hz__entry *e = n->op == &hz_op_leaf ? shown_by(p, n) : NULL;
        if (!e || e->public.group.frozen) continue;
        if (hz_ok(p->leaf[e->trained]))
            return hz_fail(err, HZ_EINVAL,
                           "parameter \"%s\" is on the tape twice; hz_param gives the one leaf",
                           e->public.name);
        p->leaf[e->trained] = hz_at(t, id);
    }
    return true;
}

typedef struct told {
    const hz_params *p;
    const hz_grad_opts *opts;
} told;

/* Target i of the sweep is complete: say so of the parameter. */
static void tell(int i, const hz_tensor *dx, void *ctx) {
    const told *to = ctx;
    to->opts->ready(to->p->target[i], dx, to->opts->ready_ctx);
}

bool hz_params_grad(hz_params *p, hz_var loss, const hz_grad_opts *opts, hz_var *dx, hz_error *err) {
    hz_grad_opts o = opts ? *opts : (hz_grad_opts){.dy = NULL};
    int n = 0;
    if (!hz_tape_ok(loss.tape, err)) return false;
    if (!seal(p)) return hz_fail(err, HZ_ENOMEM, "out of memory for parameters");
    if (!find_leaves(p, loss.tape, err)) return false;
    hz_var *x = p->dx + p->count + 1, *dense = x + p->count + 1;
    for (int k = 0; k < p->n_trained; k++) {
        if (!hz_ok(p->leaf[k])) continue;
        p->target[n] = k;
        x[n++] = p->leaf[k];
    }
    o.unreachable = HZ_UNREACHABLE_NONE;
    told to = {p, opts};
    if (o.ready) o.ready = tell, o.ready_ctx = &to;
    if (n > 0 && !hz_grad(&loss, 1, x, n, &o, dense)) return hz_tape_ok(loss.tape, err);
    for (int k = 0, i = 0; k < p->n_trained; k++) dx[k] = hz_ok(p->leaf[k]) ? dense[i++] : hz_none(loss.tape);
    return true;
}

bool hz_params_minimize(hz_params *p, hz_optimizer *opt, hz_var loss, hz_error *err) {
    return hz_params_grad(p, loss, NULL, p->dx, err) && hz_optimizer_step_vars(opt, p->dx, p->n_trained, err);
}
