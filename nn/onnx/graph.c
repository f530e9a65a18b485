/* graph.c: opening a model: every name, every reference and every op is checked before anything runs.
 *
 * A value of the graph is a slot. Slots are numbered in the order in which they come to be (parameters, inputs, outputs
 * of nodes), so "is defined before it is used" is one comparison, and a cycle cannot be. Start reading at hz_onnx_open.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/onnx/internal.h"
#include "tensor/file.h"

enum { MAX_NAME = 480 };

bool hz_onnx_available(void) {
    return true;
}

/* ---- refusals ---- */

static const char refusal[] = "unsupported: ";

bool hz_onnx_is_unsupported(const hz_error *err, const char **what) {
    const char *at = err->code ? strstr(err->text, refusal) : NULL;
    if (at && what) *what = at + sizeof refusal - 1;
    return at != NULL;
}

/* The list that is built up: "Foo (opset 13, node "a"), Bar (opset 13, node "b") and 2 more". */
typedef struct refused {
    char text[HZ_ERROR_TEXT - 96];
    size_t used;
    int kinds, left_out;
    const char *type[64], *domain[64];
} refused;

static const char *or_empty(const char *s) {
    return s ? s : "";
}

static bool is_listed(const refused *r, const char *type, const char *domain) {
    for (int k = 0; k < r->kinds; k++)
        if (strcmp(r->type[k], type) == 0 && strcmp(r->domain[k], domain) == 0) return true;
    return false;
}

/* odd: the kind of value it takes or makes, if that is what cannot be held. */
static void list(refused *r, const Onnx__NodeProto *p, const char *domain, int opset, const char *odd) {
    const char *type = or_empty(p->op_type);
    if (is_listed(r, type, domain)) return;
    if (r->kinds < HZ__COUNT(r->type)) r->type[r->kinds] = type, r->domain[r->kinds++] = domain;
    char entry[256], version[32] = "";
    if (opset) snprintf(version, sizeof version, "opset %d, ", opset);
    int n = snprintf(entry, sizeof entry, "%s%s%s%.60s%s%s (%snode \"%.60s\")", r->used ? ", " : "", domain,
                     *domain ? "." : "", hz_label(type).s, odd ? " of " : "", odd ? odd : "", version,
                     hz_label(or_empty(p->name)).s);
    if (n > 0 && (size_t)n < sizeof r->text - r->used)
        memcpy(r->text + r->used, entry, (size_t)n + 1), r->used += (size_t)n;
    else
        r->left_out++;
}

/* ---- names ---- */

typedef struct symbol {
    const char *name;
    uint32_t slot;
} symbol;

typedef struct loading {
    hz_onnx *m;
    const Onnx__GraphProto *g;
    const char *path;
    symbol *symbol; /* sorted by name when complete */
    size_t n_symbols;
    hz_error *err;
} loading;

static int by_name(const void *a, const void *b) {
    const symbol *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->slot > y->slot) - (x->slot < y->slot);
}

static const symbol *find(const loading *l, const char *name) {
    size_t lo = 0, hi = l->n_symbols;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(l->symbol[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < l->n_symbols && strcmp(l->symbol[lo].name, name) == 0 ? &l->symbol[lo] : NULL;
}

static void sort(loading *l) {
    if (l->n_symbols) qsort(l->symbol, l->n_symbols, sizeof *l->symbol, by_name);
}

static void *take(loading *l, size_t n, size_t size) {
    if (n > SIZE_MAX / 2 / size) return NULL;
    void *p = hz_arena_alloc(&l->m->budget.arena, n * size);
    if (p) memset(p, 0, n * size);
    return p;
}

static bool check_name(const loading *l, const char *what, const char *name) {
    if (!name || !*name) return hz_fail(l->err, HZ_EFORMAT, "%s without a name", what);
    if (strlen(name) > MAX_NAME)
        return hz_fail(l->err, HZ_EFORMAT, "name \"%s\" is longer than %d bytes", hz_label(name).s, MAX_NAME);
    return hz_is_utf8(name) || hz_fail(l->err, HZ_EFORMAT, "name \"%s\" is not UTF-8", hz_label(name).s);
}

static void define(loading *l, const char *name) {
    uint32_t slot = l->m->n_slots++;
    l->m->name[slot] = name;
    l->symbol[l->n_symbols++] = (symbol){name, slot};
}

static bool check_unique(const loading *l) {
    for (size_t k = 1; k < l->n_symbols; k++)
        if (strcmp(l->symbol[k - 1].name, l->symbol[k].name) == 0)
            return hz_fail(l->err, HZ_EFORMAT, "value \"%s\" is defined twice",
                           hz_label(l->symbol[k].name).s);
    return true;
}

/* ---- parameters, inputs, outputs ---- */

static bool define_parameters(loading *l) {
    for (size_t k = 0; k < l->g->n_initializer; k++) {
        if (!check_name(l, "an initializer", l->g->initializer[k]->name)) return false;
        define(l, l->g->initializer[k]->name);
    }
    sort(l);
    l->m->n_parameters = (uint32_t)l->g->n_initializer;
    return true;
}

static bool decode_parameters(loading *l) {
    hz_onnx *m = l->m;
    for (uint32_t k = 0; k < m->n_parameters; k++)
        if (!hz__decode(l->g->initializer[k], l->path, &m->budget.arena, &m->parameter[1 + k], l->err))
            return false;
    return true;
}

/* What a value is declared to be that no tensor here can hold; NULL if there is nothing against it. */
static const char *odd_kind(const Onnx__ValueInfoProto *v) {
    const Onnx__TypeProto *type = v->type;
    if (!type || type->value_case == ONNX__TYPE_PROTO__VALUE__NOT_SET) return NULL;
    if (type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !type->tensor_type)
        return "a sequence, an optional, a map or sparse";
    const hz__elem *e = hz__elem_of(type->tensor_type->elem_type);
    return e->width || type->tensor_type->elem_type == 0 ? NULL : e->name;
}

/* An input of the name of an initializer is that parameter. The symbols are those of the parameters, sorted. */
static bool define_inputs(loading *l) {
    hz_onnx *m = l->m;
    size_t parameters = l->n_symbols;
    for (size_t k = 0; k < l->g->n_input; k++) {
        const Onnx__ValueInfoProto *v = l->g->input[k];
        l->n_symbols = parameters;
        if (!check_name(l, "an input", v->name)) return false;
        bool given = find(l, v->name) != NULL;
        l->n_symbols = parameters + (size_t)m->n_inputs;
        if (given) continue;
        m->input[m->n_inputs] = m->n_slots;
        m->input_info[m->n_inputs++] = v;
        define(l, v->name);
    }
    return true;
}

static bool find_outputs(loading *l) {
    hz_onnx *m = l->m;
    for (size_t k = 0; k < l->g->n_output; k++) {
        const Onnx__ValueInfoProto *v = l->g->output[k];
        if (!check_name(l, "an output", v->name)) return false;
        const symbol *s = find(l, v->name);
        if (!s) return hz_fail(l->err, HZ_EFORMAT, "nothing makes output \"%s\"", hz_label(v->name).s);
        m->output[m->n_outputs] = s->slot;
        m->output_info[m->n_outputs++] = v;
    }
    return true;
}

/* ---- nodes ---- */

static bool define_node(loading *l, hz__onnx_node *n) {
    const Onnx__NodeProto *p = n->proto;
    n->in = take(l, p->n_input + 1, sizeof *n->in);
    n->out = take(l, p->n_output + 1, sizeof *n->out);
    if (!n->in || !n->out) return hz_fail(l->err, HZ_ENOMEM, "out of memory");
    for (size_t k = 0; k < p->n_output; k++) {
        if (!*p->output[k]) continue;
        if (!check_name(l, "an output of a node", p->output[k])) return false;
        n->out[k] = l->m->n_slots;
        define(l, p->output[k]);
    }
    return true;
}

/* first: the first slot that this node or a later one makes. */
static bool connect(loading *l, hz__onnx_node *n, uint32_t first) {
    for (size_t k = 0; k < n->proto->n_input; k++) {
        const char *name = n->proto->input[k];
        if (!*name) continue;
        const symbol *s = find(l, name);
        if (!s || s->slot >= first)
            return hz_fail(l->err, HZ_EFORMAT, "%s \"%s\" uses \"%s\", which %s",
                           hz_label(or_empty(n->proto->op_type)).s, hz_label(or_empty(n->proto->name)).s,
                           hz_label(name).s, s ? "is made later or by itself" : "nothing makes");
        n->in[k] = s->slot;
    }
    return true;
}

static bool connect_all(loading *l) {
    uint32_t next = 1 + l->m->n_parameters + (uint32_t)l->m->n_inputs;
    for (size_t k = 0; k < l->m->n_nodes; k++) {
        hz__onnx_node *n = &l->m->node[k];
        if (!connect(l, n, next)) return false;
        for (size_t j = 0; j < n->proto->n_output; j++) next += n->out[j] != 0;
    }
    return true;
}

/* That conditions are made before they are asked for follows from the If that uses them, too. */
static bool connect_guards(loading *l) {
    for (uint32_t k = 0; k < l->m->n_guards; k++) {
        hz__guard *g = &l->m->guard[k];
        const symbol *s = find(l, g->condition);
        if (!s)
            return hz_fail(l->err, HZ_EFORMAT, "an If uses \"%s\", which nothing makes",
                           hz_label(g->condition).s);
        g->slot = s->slot;
    }
    return true;
}

static bool decode_attributes(loading *l, hz__onnx_node *n) {
    for (size_t k = 0; k < n->proto->n_attribute; k++) {
        const Onnx__AttributeProto *a = n->proto->attribute[k];
        if (!a->name) return hz_fail(l->err, HZ_EFORMAT, "an attribute without a name");
        if (a->t && n->tensor.type == 0 &&
            !hz__decode(a->t, l->path, &l->m->budget.arena, &n->tensor, l->err))
            return hz_fail_in(l->err, "%s \"%s\"", hz_label(n->proto->op_type).s,
                              hz_label(or_empty(n->proto->name)).s);
    }
    return true;
}

static bool define_nodes(loading *l) {
    for (size_t k = 0; k < l->m->n_nodes; k++)
        if (!define_node(l, &l->m->node[k])) return false;
    sort(l);
    return check_unique(l) && connect_all(l) && connect_guards(l) && find_outputs(l);
}

/* ---- ops ---- */

bool hz__is_standard(const char *domain) {
    return !*domain || strcmp(domain, "ai.onnx") == 0;
}

bool hz__opset_of(Onnx__OperatorSetIdProto *const *import, size_t n, int *opset, hz_error *err) {
    *opset = 1;
    for (size_t k = 0; k < n; k++) {
        if (!hz__is_standard(or_empty(import[k]->domain))) continue;
        if (import[k]->version < 1 || import[k]->version > 1000)
            return hz_fail(err, HZ_EFORMAT, "opset %" PRId64 " does not exist", import[k]->version);
        *opset = (int)import[k]->version;
    }
    return true;
}

/* The kinds of the model's inputs and outputs, by slot; NULL when out of memory. */
static const char **find_odd(loading *l) {
    hz_onnx *m = l->m;
    const char **odd = take(l, m->n_slots, sizeof *odd);
    for (int k = 0; odd && k < m->n_inputs; k++) odd[m->input[k]] = odd_kind(m->input_info[k]);
    for (int k = 0; odd && k < m->n_outputs; k++) odd[m->output[k]] = odd_kind(m->output_info[k]);
    return odd;
}

static const char *odd_of(const hz__onnx_node *n, const char **odd) {
    const char *kind = NULL;
    for (size_t k = 0; !kind && k < n->proto->n_input; k++) kind = odd[n->in[k]];
    for (size_t k = 0; !kind && k < n->proto->n_output; k++) kind = odd[n->out[k]];
    return kind;
}

static bool find_mappings(loading *l) {
    refused r = {.used = 0};
    const char **odd = find_odd(l);
    if (!odd) return hz_fail(l->err, HZ_ENOMEM, "out of memory");
    for (size_t k = 0; k < l->m->n_nodes; k++) {
        hz__onnx_node *n = &l->m->node[k];
        const char *domain = or_empty(n->proto->domain), *kind = odd_of(n, odd);
        bool standard = hz__is_standard(domain);
        if (standard) n->mapping = hz__mapping_of(or_empty(n->proto->op_type), n->opset);
        if (!n->mapping || kind)
            list(&r, n->proto, standard ? "" : domain, standard ? n->opset : 0, n->mapping ? kind : NULL);
    }
    if (r.left_out) return hz_fail(l->err, HZ_EINVAL, "%s%s and %d more", refusal, r.text, r.left_out);
    if (r.kinds) return hz_fail(l->err, HZ_EINVAL, "%s%s", refusal, r.text);
    for (uint32_t s = 1; s < l->m->n_slots; s++)
        if (odd[s])
            return hz_fail(l->err, HZ_EINVAL, "%svalue \"%s\" of %s", refusal, hz_label(l->m->name[s]).s,
                           odd[s]);
    return true;
}

static bool check_inputs(const loading *l, const hz__onnx_node *n) {
    int need = n->mapping->need ? n->mapping->need : 1;
    for (int k = 0; k < need; k++)
        if (k >= (int)n->proto->n_input || !n->in[k])
            return hz_fail(l->err, HZ_EFORMAT, "%s \"%s\" lacks input %d", n->mapping->type,
                           hz_label(or_empty(n->proto->name)).s, k);
    return true;
}

static bool decode_all(loading *l) {
    for (size_t k = 0; k < l->m->n_nodes; k++)
        if (!check_inputs(l, &l->m->node[k]) || !decode_attributes(l, &l->m->node[k])) return false;
    return decode_parameters(l);
}

/* ---- opening ---- */

static size_t count_values(const loading *l) {
    size_t n = l->g->n_initializer + l->g->n_input;
    for (size_t k = 0; k < l->m->n_nodes; k++) n += l->m->node[k].proto->n_output;
    return n;
}

static bool make_tables(loading *l) {
    hz_onnx *m = l->m;
    size_t values = count_values(l);
    if (values > UINT32_MAX / 2) return hz_fail(l->err, HZ_EFORMAT, "%zu values are too many", values);
    m->n_slots = 1;
    m->name = take(l, values + 1, sizeof *m->name);
    m->parameter = take(l, l->g->n_initializer + 1, sizeof *m->parameter);
    m->input = take(l, l->g->n_input + 1, sizeof *m->input);
    m->input_info = take(l, l->g->n_input + 1, sizeof *m->input_info);
    m->output_info = take(l, l->g->n_output + 1, sizeof *m->output_info);
    m->output = take(l, l->g->n_output + 1, sizeof *m->output);
    l->symbol = take(l, values + 1, sizeof *l->symbol);
    return (m->name && m->parameter && m->input && m->input_info && m->output && m->output_info &&
            l->symbol) ||
           hz_fail(l->err, HZ_ENOMEM, "out of memory");
}

static bool load(loading *l) {
    l->g = l->m->proto->graph;
    if (!l->g) return hz_fail(l->err, HZ_EFORMAT, "a model without a graph");
    if (l->g->n_sparse_initializer) return hz_fail(l->err, HZ_EINVAL, "%ssparse initializers", refusal);
    return hz__opset_of(l->m->proto->opset_import, l->m->proto->n_opset_import, &l->m->opset, l->err) &&
           hz__expand(l->m, l->err) && make_tables(l) && define_parameters(l) && define_inputs(l) &&
           define_nodes(l) && find_mappings(l) && decode_all(l);
}

/* Where a model comes from: a file, or bytes (then path is what errors say). */
typedef struct source {
    const char *path;
    const void *data; /* NULL: the file */
    size_t size;
} source;

static bool unpack(const source *from, hz_onnx *m, hz_error *err) {
    ProtobufCMessage *message;
    const ProtobufCMessageDescriptor *kind = &onnx__model_proto__descriptor;
    bool ok = from->data
                  ? hz__unpack_bytes(from->path, kind, from->data, from->size, &m->budget, &message, err)
                  : hz__unpack(from->path, kind, &m->budget, &message, err);
    m->proto = (Onnx__ModelProto *)(void *)message;
    return ok;
}

static bool open_from(const source *from, const hz_allocator *alloc, hz_onnx **out, hz_error *err) {
    *out = NULL;
    hz_onnx *m = hz_alloc0(alloc, sizeof *m);
    if (!m) return hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(from->path).s);
    if (alloc) m->alloc = m->budget.arena.alloc = *alloc;
    hz_error why = {.code = HZ_OK};
    if (unpack(from, m, err)) {
        if (load(&(loading){.m = m, .path = from->data ? NULL : from->path, .err = &why})) {
            *out = m;
            return true;
        }
        hz_fail(err, why.code, "%s: %s", hz_label(from->path).s, why.text);
    }
    hz_onnx_close(m);
    return false;
}

bool hz_onnx_open(const char *path, const hz_allocator *alloc, hz_onnx **out, hz_error *err) {
    return open_from(&(source){.path = path}, alloc, out, err);
}

bool hz_onnx_open_memory(const void *data, size_t size, const hz_allocator *alloc, hz_onnx **out,
                         hz_error *err) {
    return open_from(&(source){"memory", data ? data : "", size}, alloc, out, err);
}

void hz_onnx_close(hz_onnx *m) {
    if (!m) return;
    hz_arena_free(&m->budget.arena);
    hz_allocator alloc = m->alloc;
    hz_free(&alloc, m);
}

/* ---- asking ---- */

int hz_onnx_n_inputs(const hz_onnx *m) {
    return m->n_inputs;
}

int hz_onnx_n_outputs(const hz_onnx *m) {
    return m->n_outputs;
}

const char *hz_onnx_input_name(const hz_onnx *m, int k) {
    return m->name[m->input[k]];
}

const char *hz_onnx_output_name(const hz_onnx *m, int k) {
    return m->name[m->output[k]];
}

const hz_tensor *hz_onnx_parameter(const hz_onnx *m, const char *name) {
    for (uint32_t s = 1; s <= m->n_parameters; s++)
        if (strcmp(m->name[s], name) == 0) return &m->parameter[s].value;
    return NULL;
}

int hz__declared_type(const Onnx__ValueInfoProto *v) {
    bool tensor = v->type && v->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    return tensor ? v->type->tensor_type->elem_type : 0;
}

const char *hz_onnx_input_type(const hz_onnx *m, int k) {
    return hz__elem_of(hz__declared_type(m->input_info[k]))->name;
}

const char *hz_onnx_output_type(const hz_onnx *m, int k) {
    return hz__elem_of(hz__declared_type(m->output_info[k]))->name;
}

bool hz_onnx_input_shape(const hz_onnx *m, int k, int *rank, int64_t dim[HZ_MAX_RANK]) {
    const Onnx__TypeProto *type = m->input_info[k]->type;
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) return false;
    const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
    if (!shape || shape->n_dim > HZ_MAX_RANK) return false;
    *rank = (int)shape->n_dim;
    for (int a = 0; a < *rank; a++) {
        const Onnx__TensorShapeProto__Dimension *d = shape->dim[a];
        bool fixed =
            d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && d->dim_value >= 0;
        dim[a] = fixed ? d->dim_value : -1;
    }
    return true;
}
