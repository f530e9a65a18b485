/* run.c: recording a model, node by node, and what a mapping asks and answers meanwhile.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nn/onnx/internal.h"
#include "tensor/elementwise.h"
#include "tensor/file.h"

/* ---- the tables ---- */

static const hz__family *const families[] = {
    &hz__onnx_activations, &hz__onnx_attention, &hz__onnx_conv,   &hz__onnx_grid,   &hz__onnx_index,
    &hz__onnx_linear,      &hz__onnx_logic,     &hz__onnx_loss,   &hz__onnx_math,   &hz__onnx_norm,
    &hz__onnx_pool,        &hz__onnx_recurrent, &hz__onnx_reduce, &hz__onnx_resize, &hz__onnx_shape,
};

static bool covers(const hz__mapping *m, const char *type, int opset) {
    return opset >= m->since && (m->until == 0 || opset <= m->until) && strcmp(m->type, type) == 0;
}

const hz__mapping *hz__mapping_of(const char *type, int opset) {
    for (int f = 0; f < HZ__COUNT(families); f++)
        for (int k = 0; k < families[f]->n; k++)
            if (covers(&families[f]->mapping[k], type, opset)) return &families[f]->mapping[k];
    return NULL;
}

/* ---- inputs ---- */

int hz__n_args(const hz__call *c) {
    return (int)c->node->proto->n_input;
}

bool hz__has(const hz__call *c, int k) {
    return k < hz__n_args(c) && c->node->in[k] != 0;
}

hz_var hz__arg(const hz__call *c, int k) {
    return hz__has(c, k) ? c->value[c->node->in[k]].var : hz_none(c->t);
}

const hz_tensor *hz__arg_value(const hz__call *c, int k) {
    return hz_value(hz__arg(c, k));
}

int hz__arg_type(const hz__call *c, int k) {
    return hz__has(c, k) ? c->value[c->node->in[k]].type : 0;
}

bool hz__is_float(const hz__call *c, int k) {
    return hz_dtype_is_float(hz__arg_value(c, k)->dtype);
}

hz_var hz__arg_float(const hz__call *c, int k) {
    hz_var x = hz__arg(c, k);
    return !hz_ok(x) || hz__is_float(c, k) ? x : hz_astype(x, HZ_F64);
}

bool hz__varies(const hz__call *c, int k) {
    if (!hz__has(c, k) || !hz__is_float(c, k) || hz_numel(hz__arg_value(c, k)) != 1) return false;
    if (!isfinite(hz_get_flat(hz__arg_value(c, k), 0))) return false;
    uint32_t slot = c->node->in[k], first = c->model->n_parameters + 1;
    bool is_input = slot >= first && slot < first + (uint32_t)c->model->n_inputs;
    return is_input || hz_node_of(hz__arg(c, k))->op != &hz_op_leaf;
}

hz_var hz__derivative_of(hz_var x) {
    return hz_sub(x, hz_detach(x));
}

hz_dtype hz__dtype(const hz__call *c, const hz__elem *e) {
    return c->wide && e->dtype == HZ_F32 ? HZ_F64 : e->dtype;
}

hz_var hz__leaf(const hz__call *c, const hz__array *a) {
    hz_dtype dtype = hz__dtype(c, hz__elem_of(a->type));
    if (dtype == a->value.dtype) return hz_input(c->t, &a->value);
    hz_var x = hz_full(c->t, dtype, a->value.rank, a->value.dim, 0);
    if (hz_ok(x)) hz_cast(hz_tape_exec(c->t), &a->value, hz_value(x));
    return x;
}

/* ---- outputs ---- */

bool hz__wants(const hz__call *c, int k) {
    return k < (int)c->node->proto->n_output && c->node->out[k] != 0;
}

void hz__give_as(hz__call *c, int k, hz_var y, int type) {
    if (hz__wants(c, k)) c->value[c->node->out[k]] = (hz__value){y, type};
}

void hz__give(hz__call *c, int k, hz_var y) {
    hz_dtype dtype = hz_value(y)->dtype;
    int type = hz__type_of(dtype);
    for (int i = hz__n_args(c); i-- > 0;)
        if (hz__has(c, i) && hz__arg_value(c, i)->dtype == dtype) type = hz__arg_type(c, i);
    hz__give_as(c, k, y, type);
}

void hz__give_like_arg(hz__call *c, int k, hz_var y) {
    int type = hz__arg_type(c, 0);
    if (hz_ok(y) && !hz__is_float(c, 0)) y = hz_astype(y, hz__elem_of(type)->dtype);
    hz__give_as(c, k, y, type);
}

/* ---- failures ---- */

static hz_label_text type_of(const hz__call *c) {
    return hz_label(c->node->proto->op_type);
}

static hz_label_text name_of(const hz__call *c) {
    return hz_label(c->node->proto->name ? c->node->proto->name : "");
}

hz_var hz__bad(hz__call *c, const char *format, ...) {
    char text[320];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return hz_tape_fail(c->t, HZ_EINVAL, "%s \"%s\": %s", type_of(c).s, name_of(c).s, text);
}

hz_var hz__refuse(hz__call *c, const char *format, ...) {
    char text[320];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return hz_tape_fail(c->t, HZ_EINVAL, "unsupported: %s %s (opset %d, node \"%s\")", type_of(c).s, text,
                        c->node->opset, name_of(c).s);
}

/* ---- attributes ---- */

const Onnx__AttributeProto *hz__attr(const hz__call *c, const char *name) {
    for (size_t k = 0; k < c->node->proto->n_attribute; k++)
        if (strcmp(c->node->proto->attribute[k]->name, name) == 0) return c->node->proto->attribute[k];
    return NULL;
}

int64_t hz__attr_int(const hz__call *c, const char *name, int64_t otherwise) {
    const Onnx__AttributeProto *a = hz__attr(c, name);
    return a && a->has_i ? a->i : otherwise;
}

double hz__attr_float(const hz__call *c, const char *name, double otherwise) {
    const Onnx__AttributeProto *a = hz__attr(c, name);
    return a && a->has_f ? (double)a->f : otherwise;
}

bool hz__attr_is(const hz__call *c, const char *name, const char *text, bool otherwise) {
    const Onnx__AttributeProto *a = hz__attr(c, name);
    if (!a || !a->has_s) return otherwise;
    return a->s.len == strlen(text) && memcmp(a->s.data, text, a->s.len) == 0;
}

bool hz__attr_ints(hz__call *c, const char *name, int64_t *out, int most, int *n) {
    const Onnx__AttributeProto *a = hz__attr(c, name);
    *n = -1;
    if (!a) return true;
    if (a->n_ints > (size_t)most) {
        hz__bad(c, "%zu %s are more than %d", a->n_ints, name, most);
        return false;
    }
    *n = (int)a->n_ints;
    if (*n) memcpy(out, a->ints, a->n_ints * sizeof *out);
    return true;
}

int64_t hz__int_at(const hz_tensor *t, int64_t i) {
    int64_t idx[HZ_MAX_RANK] = {0};
    hz_unravel(t, i, idx);
    int64_t at = hz_offset(t, idx);
    switch (t->dtype) {
    case HZ_I64:
        return ((const int64_t *)t->data)[at];
    case HZ_I32:
        return ((const int32_t *)t->data)[at];
    case HZ_U8:
        return ((const uint8_t *)t->data)[at];
    default:
        return (int64_t)hz_get(t, idx);
    }
}

static bool ints_of_arg(hz__call *c, int k, const char *what, int64_t *out, int most, int *n) {
    const hz_tensor *v = hz__arg_value(c, k);
    int64_t count = hz_numel(v);
    if (hz_dtype_is_float(v->dtype) || v->rank > 1 || count > most) {
        hz__bad(c, "%s %s %s are no list of at most %d integers", what ? what : "input",
                hz_dtype_name(v->dtype), hz_shape_str(v).s, most);
        return false;
    }
    *n = (int)count;
    for (int i = 0; i < *n; i++) out[i] = hz__int_at(v, i);
    return true;
}

bool hz__ints(hz__call *c, int k, const char *name, int64_t *out, int most, int *n) {
    if (hz__has(c, k)) return ints_of_arg(c, k, name, out, most, n);
    *n = -1;
    return !name || hz__attr_ints(c, name, out, most, n);
}

bool hz__axis(hz__call *c, int64_t axis, int rank, int *out) {
    *out = axis >= -rank && axis < rank ? hz_axis(rank, (int)axis) : -1;
    if (*out >= 0) return true;
    hz__bad(c, "axis %" PRId64 " is outside rank %d", axis, rank);
    return false;
}

bool hz__axes(hz__call *c, const int64_t *axis, int n, int rank, hz_axes *mask) {
    *mask = 0;
    for (int k = 0, at; k < n; k++) {
        if (!hz__axis(c, axis[k], rank, &at)) return false;
        *mask |= HZ_AXIS(at);
    }
    return true;
}

/* ---- integers ---- */

hz_var hz__new_i64(hz__call *c, int rank, const int64_t *dim) {
    return hz_full(c->t, HZ_I64, rank, dim, 0);
}

hz_var hz__to_i64(hz_var x) {
    if (!hz_ok(x)) return x;
    const hz_tensor *v = hz_value(x);
    hz_var y = hz_full(x.tape, HZ_I64, v->rank, v->dim, 0);
    if (hz_ok(y)) hz_cast(hz_tape_exec(x.tape), v, hz_value(y));
    return y;
}

int64_t *hz__i64(hz_var x) {
    return hz_value(x)->data;
}

hz_var hz__from_i64(hz_var x, int type) {
    if (!hz_ok(x)) return x;
    const hz__elem *e = hz__elem_of(type);
    int64_t *v = hz__i64(x);
    for (int64_t k = 0; k < hz_numel(hz_value(x)); k++) v[k] = hz__wrap(e, v[k]);
    return e->dtype == HZ_I64 ? x : hz_astype(x, e->dtype);
}

hz_var hz__number(hz_var x, double value) {
    return hz_ok(x) ? hz_scalar(x.tape, hz_value(x)->dtype, value) : x;
}

/* ---- running ---- */

static void name_outputs(const hz__call *c) {
    for (size_t k = 0; k < c->node->proto->n_output; k++) {
        uint32_t slot = c->node->out[k];
        if (slot) hz_name(c->value[slot].var, c->model->name[slot]);
    }
}

static bool has_inert_input(const hz__call *c) {
    for (int k = 0; k < hz__n_args(c); k++)
        if (hz__has(c, k) && !hz_ok(hz__arg(c, k))) return true;
    return false;
}

/* An op that leaves an output it was asked for unmade without saying why has met more outputs than it knows. */
static void check_outputs(hz__call *c) {
    for (int k = 0; k < (int)c->node->proto->n_output; k++)
        if (hz__wants(c, k) && !hz_ok(c->value[c->node->out[k]].var) && hz_tape_ok(c->t, NULL))
            hz__refuse(c, "with output %d", k);
}

/* Whether a guard lets its nodes run. */
static bool is_on(const hz__call *c, uint32_t guard) {
    for (; guard; guard = c->model->guard[guard - 1].parent) {
        const hz__guard *g = &c->model->guard[guard - 1];
        const hz_tensor *condition = hz_value(c->value[g->slot].var);
        if (hz_numel(condition) != 1 || (hz_get_flat(condition, 0) != 0) != g->want) return false;
    }
    return true;
}

static void run_mapping(hz__call *c) {
    char scope[128];
    snprintf(scope, sizeof scope, "%.40s %.80s", type_of(c).s, name_of(c).s);
    hz_scope_push(c->t, scope);
    c->mapping->run(c);
    hz_scope_pop(c->t, scope);
    check_outputs(c);
}

static void set_node(hz__call *c, const hz__onnx_node *n) {
    c->node = n, c->mapping = n->mapping;
}

/* ---- nodes that folding has made needless: recorded when their name is asked for ---- */

enum { SPARED_INPUTS = 3 };

typedef struct spared {
    const hz_onnx *model;
    const hz__onnx_node *node;
    hz__value in[SPARED_INPUTS];
} spared;

static hz_var record_spared(hz_tape *t, const void *data) {
    const spared *s = data;
    hz__value *value = hz_alloc0(&s->model->alloc, s->model->n_slots * sizeof *value);
    if (!value) return hz_tape_fail(t, HZ_ENOMEM, "no memory to run a node");
    hz__call c = {.model = s->model, .t = t, .value = value};
    set_node(&c, s->node);
    for (int k = 0; k < hz__n_args(&c); k++) value[s->node->in[k]] = s->in[k];
    run_mapping(&c);
    hz_var y = value[s->node->out[0]].var;
    hz_free(&s->model->alloc, value);
    return y;
}

static void leave_for_later(hz__call *c) {
    spared s = {.model = c->model, .node = c->node};
    for (int k = 0; k < hz__n_args(c) && k < SPARED_INPUTS; k++) s.in[k] = c->value[c->node->in[k]];
    hz_name_later(c->t, c->model->name[c->node->out[0]], record_spared, &s, sizeof s);
}

/* ---- all nodes ---- */

static void run_node(hz__call *c) {
    if (c->node->folded && !c->wide) set_node(c, c->node->folded);
    if (!is_on(c, c->node->guard) || (!c->mapping->lazy && has_inert_input(c))) return;
    if (c->node->spared && !c->wide) {
        leave_for_later(c);
        return;
    }
    run_mapping(c);
    name_outputs(c);
}

static void give_leaves(const hz__call *c, const hz_var *in) {
    const hz_onnx *m = c->model;
    for (uint32_t s = 1; s <= m->n_parameters; s++)
        c->value[s] = (hz__value){hz_name(hz__leaf(c, &m->parameter[s]), m->name[s]), m->parameter[s].type};
    for (uint32_t s = m->first_derived; s && s < m->n_slots; s++) {
        const hz__array *a = &m->derived[s - m->first_derived];
        c->value[s] = (hz__value){hz__leaf(c, a), a->type};
    }
    for (int k = 0; k < m->n_inputs; k++) {
        int declared = hz__declared_type(m->input_info[k]);
        hz_dtype dtype = hz_value(in[k])->dtype;
        bool agrees = declared && hz__dtype(c, hz__elem_of(declared)) == dtype;
        c->value[m->input[k]] =
            (hz__value){hz_name(in[k], m->name[m->input[k]]), agrees ? declared : hz__type_of(dtype)};
    }
}

/* What the model may take beside what is on the tape already. */
static size_t run_limit(const hz_onnx *m, const hz_tape *t, const hz_var *in) {
    double bytes = (double)HZ_ONNX_RUN_BYTES + (double)hz_pool_get_stats(hz_tape_pool(t)).used;
    for (uint32_t s = 1; s <= m->n_parameters; s++)
        bytes += 256.0 * (double)hz_nbytes(&m->parameter[s].value);
    for (int k = 0; k < m->n_inputs; k++) bytes += 256.0 * (double)hz_nbytes(hz_value(in[k]));
    return bytes < (double)(SIZE_MAX / 2) ? (size_t)bytes : SIZE_MAX / 2;
}

static void run_nodes(hz__call *c) {
    const hz_onnx *m = c->model;
    for (size_t k = 0; k < m->n_nodes && hz_tape_ok(c->t, NULL); k++) {
        set_node(c, &m->node[k]);
        run_node(c);
    }
}

static bool run(const hz_onnx *m, hz_tape *t, bool wide, const hz_var *in, hz_var *out) {
    hz__value *value = hz_alloc0(&m->alloc, m->n_slots * sizeof *value);
    if (!value) hz_tape_fail(t, HZ_ENOMEM, "no memory to run a model");
    for (int k = 0; out && k < m->n_outputs; k++) out[k] = hz_none(t);
    if (!value) return false;
    hz__call c = {.model = m, .t = t, .value = value, .wide = wide};
    hz_pool *pool = hz_tape_exec(t)->pool;
    size_t limit = run_limit(m, t, in), before = hz_pool_set_limit(pool, limit);
    if (before && before < limit) hz_pool_set_limit(pool, before);
    give_leaves(&c, in);
    run_nodes(&c);
    hz_pool_set_limit(pool, before);
    for (int k = 0; out && k < m->n_outputs && hz_tape_ok(t, NULL); k++) out[k] = value[m->output[k]].var;
    hz_free(&m->alloc, value);
    return hz_tape_ok(t, NULL);
}

bool hz_onnx_run(const hz_onnx *m, hz_tape *t, const hz_var *in, hz_var *out) {
    return run(m, t, false, in, out);
}

bool hz_onnx_run_f64(const hz_onnx *m, hz_tape *t, const hz_var *in, hz_var *out) {
    return run(m, t, true, in, out);
}
