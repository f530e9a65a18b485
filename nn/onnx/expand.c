/* expand.c: one list of nodes out of a graph that has more than one level: calls of the model's own functions are replaced by
 * the nodes of the function, an If by the nodes of both branches, each under its guard, and an If that chooses.
 *
 * What is inside gets the name of the node's first output in front: value "h" of a function whose call makes "y" is "y/h", of
 * the branch of an If "y/then/h" or "y/else/h". A graph without functions and branches is passed through as it is.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "nn/onnx/internal.h"
#include "tensor/file.h"

enum { MAX_DEPTH = 32, MAX_NODES = 1 << 22 };

/* What a name means inside: another name outside. */
typedef struct meaning {
    const char *name, *as;
} meaning;

/* A body that is being expanded. Names that it does not know belong to `outer`. */
typedef struct scope {
    const struct scope *outer;
    const Onnx__NodeProto
        *call; /* the call, with the attributes that a function refers to; NULL: no function */
    const Onnx__FunctionProto *function; /* likewise */
    const char *prefix;
    meaning *meaning; /* sorted by name */
    size_t n;
    int opset, depth;
    uint32_t guard;
} scope;

typedef struct expansion {
    hz_onnx *m;
    size_t node_room, guard_room;
    Onnx__FunctionProto **function; /* sorted */
    size_t n_functions;
    hz_error *err;
} expansion;

static const char *or_empty(const char *s) {
    return s ? s : "";
}

/* ---- memory, within the file's budget ---- */

static void *take(expansion *x, size_t n, size_t size) {
    void *p = n > SIZE_MAX / 2 / size ? NULL : hz__take(&x->m->budget, n * size);
    if (p) memset(p, 0, n * size);
    if (!p)
        hz_fail(x->err, HZ_EFORMAT, "expanded, the functions take too much memory for the size of the file");
    return p;
}

/* Room for one more element of an array that doubles. */
static bool grow(expansion *x, void **array, size_t n, size_t *room, size_t size) {
    if (n < *room) return true;
    size_t more = *room ? 2 * *room : 64;
    void *p = take(x, more, size);
    if (!p) return false;
    if (n) memcpy(p, *array, n * size);
    *array = p;
    *room = more;
    return true;
}

static char *joined(expansion *x, const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    char *s = take(x, n + m + 2, 1);
    if (!s) return NULL;
    memcpy(s, a, n);
    s[n] = '/';
    memcpy(s + n + 1, b, m + 1);
    return s;
}

/* ---- names ---- */

static int by_name(const void *a, const void *b) {
    return strcmp(((const meaning *)a)->name, ((const meaning *)b)->name);
}

/* What name means in s; NULL when out of memory. An unknown name in a function is nobody's: it stays inside. */
static const char *resolve(expansion *x, const scope *s, const char *name) {
    const meaning key = {name, NULL};
    for (; *name && s; s = s->outer) {
        const meaning *found = s->n ? bsearch(&key, s->meaning, s->n, sizeof key, by_name) : NULL;
        if (found) return found->as;
        if (s->function) return joined(x, s->prefix, name);
    }
    return name;
}

static bool resolve_all(expansion *x, const scope *s, char *const *names, size_t n, char ***out) {
    *out = take(x, n + 1, sizeof **out);
    for (size_t k = 0; *out && k < n; k++) {
        const char *name = resolve(x, s, names[k]);
        if (!name) return false;
        (*out)[k] = (char *)(uintptr_t)name;
    }
    return *out != NULL;
}

/* The meanings of what the nodes of a body make, behind those that are there. */
static bool add_made(expansion *x, scope *s, Onnx__NodeProto *const *node, size_t n) {
    for (size_t k = 0; k < n; k++)
        for (size_t j = 0; j < node[k]->n_output; j++) {
            const char *name = node[k]->output[j], *as = *name ? joined(x, s->prefix, name) : name;
            if (!as) return false;
            if (*name) s->meaning[s->n++] = (meaning){name, as};
        }
    return true;
}

static size_t count_made(Onnx__NodeProto *const *node, size_t n) {
    size_t made = 0;
    for (size_t k = 0; k < n; k++) made += node[k]->n_output;
    return made;
}

/* ---- attributes ---- */

static Onnx__AttributeProto *find_attribute(Onnx__AttributeProto *const *a, size_t n, const char *name) {
    for (size_t k = 0; k < n; k++)
        if (a[k]->name && strcmp(a[k]->name, name) == 0) return a[k];
    return NULL;
}

static const scope *function_of(const scope *s) {
    while (s && !s->function) s = s->outer;
    return s;
}

/* The attributes of p with those that refer to the function's replaced by what the call says. One that the call does not give is
 * left out. */
static bool substitute(expansion *x, const scope *s, Onnx__NodeProto *p) {
    Onnx__AttributeProto **all = take(x, p->n_attribute + 1, sizeof *all);
    size_t n = 0;
    for (size_t k = 0; all && k < p->n_attribute; k++) {
        const Onnx__AttributeProto *a = p->attribute[k];
        const scope *f = a->ref_attr_name && *a->ref_attr_name ? function_of(s) : NULL;
        all[n] = p->attribute[k];
        if (f) {
            const Onnx__AttributeProto *given =
                find_attribute(f->call->attribute, f->call->n_attribute, a->ref_attr_name);
            if (!given) continue;
            if (!(all[n] = take(x, 1, sizeof **all))) return false;
            *all[n] = *given;
            all[n]->name = a->name;
        }
        n++;
    }
    p->attribute = all;
    p->n_attribute = n;
    return all != NULL;
}

/* p as it is outside: its own copy, unless nothing changes. */
static const Onnx__NodeProto *translated(expansion *x, const scope *s, const Onnx__NodeProto *p) {
    if (!s->outer && !s->function) return p;
    Onnx__NodeProto *copy = take(x, 1, sizeof *copy);
    if (!copy) return NULL;
    *copy = *p;
    return resolve_all(x, s, p->input, p->n_input, &copy->input) &&
                   resolve_all(x, s, p->output, p->n_output, &copy->output) && substitute(x, s, copy)
               ? copy
               : NULL;
}

/* ---- nodes ---- */

static bool push(expansion *x, const scope *s, const Onnx__NodeProto *p) {
    hz_onnx *m = x->m;
    if (m->n_nodes >= MAX_NODES) return hz_fail(x->err, HZ_EFORMAT, "%zu nodes are too many", m->n_nodes);
    if (!grow(x, (void **)&m->node, m->n_nodes, &x->node_room, sizeof *m->node)) return false;
    m->node[m->n_nodes++] = (hz__onnx_node){.proto = p, .opset = s->opset, .guard = s->guard};
    return true;
}

static bool expand_all(expansion *x, const scope *s, Onnx__NodeProto *const *node, size_t n);

static const char *first_output(const Onnx__NodeProto *p) {
    for (size_t k = 0; k < p->n_output; k++)
        if (*p->output[k]) return p->output[k];
    return "";
}

static bool too_deep(expansion *x, const scope *s, const Onnx__NodeProto *p) {
    if (s->depth < MAX_DEPTH) return false;
    hz_fail(x->err, HZ_EFORMAT, "%s \"%s\" is nested deeper than %d levels, or calls itself",
            hz_label(or_empty(p->op_type)).s, hz_label(or_empty(p->name)).s, MAX_DEPTH);
    return true;
}

/* ---- functions ---- */

static int by_type(const void *a, const void *b) {
    const Onnx__FunctionProto *f = *(Onnx__FunctionProto *const *)a, *g = *(Onnx__FunctionProto *const *)b;
    int order = strcmp(or_empty(f->name), or_empty(g->name));
    return order ? order : strcmp(or_empty(f->domain), or_empty(g->domain));
}

static const Onnx__FunctionProto *function_called(const expansion *x, const Onnx__NodeProto *p) {
    Onnx__FunctionProto key = {.name = p->op_type, .domain = p->domain}, *wanted = &key;
    Onnx__FunctionProto **found =
        x->n_functions ? bsearch(&wanted, x->function, x->n_functions, sizeof wanted, by_type) : NULL;
    return found ? *found : NULL;
}

/* Inputs of the function mean those of the call, outputs likewise; all else is inside. */
static bool define_function(expansion *x, scope *s, const Onnx__FunctionProto *f,
                            const Onnx__NodeProto *call) {
    s->meaning = take(x, f->n_input + count_made(f->node, f->n_node) + 1, sizeof *s->meaning);
    if (!s->meaning) return false;
    for (size_t k = 0; k < f->n_input; k++)
        s->meaning[s->n++] = (meaning){f->input[k], k < call->n_input ? call->input[k] : ""};
    if (!add_made(x, s, f->node, f->n_node)) return false;
    qsort(s->meaning, s->n, sizeof *s->meaning, by_name);
    for (size_t k = 0; k < f->n_output && k < call->n_output; k++) {
        const meaning key = {f->output[k], NULL};
        meaning *made = bsearch(&key, s->meaning, s->n, sizeof key, by_name);
        if (made && *call->output[k]) made->as = call->output[k];
    }
    return true;
}

static bool expand_call(expansion *x, const scope *outer, const Onnx__FunctionProto *f,
                        const Onnx__NodeProto *call) {
    scope s = {.call = call,
               .function = f,
               .prefix = first_output(call),
               .depth = outer->depth + 1,
               .guard = outer->guard};
    if (too_deep(x, outer, call)) return false;
    if (call->n_input > f->n_input || call->n_output > f->n_output)
        return hz_fail(x->err, HZ_EFORMAT,
                       "a call of function \"%s\" has %zu inputs and %zu outputs, not %zu and %zu",
                       hz_label(or_empty(f->name)).s, call->n_input, call->n_output, f->n_input, f->n_output);
    return hz__opset_of(f->opset_import, f->n_opset_import, &s.opset, x->err) &&
           define_function(x, &s, f, call) && expand_all(x, &s, f->node, f->n_node);
}

/* ---- If ---- */

static bool add_guard(expansion *x, uint32_t parent, const char *condition, bool want, uint32_t *index) {
    hz_onnx *m = x->m;
    if (!grow(x, (void **)&m->guard, m->n_guards, &x->guard_room, sizeof *m->guard)) return false;
    *index = ++m->n_guards;
    m->guard[*index - 1] = (hz__guard){.parent = parent, .condition = condition, .want = want};
    return true;
}

/* An initializer of a branch as a node. */
static bool push_constant(expansion *x, const scope *s, Onnx__TensorProto *value) {
    Onnx__NodeProto *p = take(x, 1, sizeof *p);
    Onnx__AttributeProto *a = take(x, 1, sizeof *a);
    Onnx__AttributeProto **list = take(x, 1, sizeof *list);
    char **output = take(x, 1, sizeof *output);
    if (!p || !a || !list || !output) return false;
    onnx__node_proto__init(p);
    onnx__attribute_proto__init(a);
    a->name = (char *)(uintptr_t) "value";
    a->t = value;
    *list = a;
    *output = (char *)(uintptr_t)resolve(x, s, or_empty(value->name));
    p->op_type = (char *)(uintptr_t) "Constant";
    p->attribute = list, p->n_attribute = 1;
    p->output = output, p->n_output = 1;
    return *output && push(x, s, p);
}

static bool define_branch(expansion *x, scope *s, const Onnx__GraphProto *g) {
    s->meaning = take(x, g->n_initializer + count_made(g->node, g->n_node) + 1, sizeof *s->meaning);
    for (size_t k = 0; s->meaning && k < g->n_initializer; k++) {
        const char *name = or_empty(g->initializer[k]->name);
        s->meaning[s->n++] = (meaning){name, joined(x, s->prefix, name)};
        if (!s->meaning[k].as) return false;
    }
    if (!s->meaning || !add_made(x, s, g->node, g->n_node)) return false;
    qsort(s->meaning, s->n, sizeof *s->meaning, by_name);
    return true;
}

/* One branch; result[k] becomes the outside name of its output k. */
static bool expand_branch(expansion *x, const scope *outer, const Onnx__NodeProto *p, const char *which,
                          char **result) {
    const Onnx__AttributeProto *a =
        find_attribute(p->attribute, p->n_attribute, strcmp(which, "then") ? "else_branch" : "then_branch");
    if (!a || !a->g || a->g->n_output != p->n_output || p->n_input != 1)
        return hz_fail(x->err, HZ_EFORMAT, "If \"%s\" without a condition, or with a branch of other outputs",
                       hz_label(or_empty(p->name)).s);
    const Onnx__GraphProto *g = a->g;
    scope s = {.outer = outer, .opset = outer->opset, .depth = outer->depth + 1};
    if (!(s.prefix = joined(x, first_output(p), which)) || !define_branch(x, &s, g) ||
        !add_guard(x, outer->guard, p->input[0], which[0] == 't', &s.guard))
        return false;
    for (size_t k = 0; k < g->n_initializer; k++)
        if (!push_constant(x, &s, g->initializer[k])) return false;
    for (size_t k = 0; k < g->n_output; k++) {
        const char *name = resolve(x, &s, or_empty(g->output[k]->name));
        if (!name) return false;
        result[k] = (char *)(uintptr_t)name;
    }
    return expand_all(x, &s, g->node, g->n_node);
}

/* p: the node in names of outside; its inputs become the condition, the results of one branch, those of the other. */
static bool expand_if(expansion *x, const scope *s, const Onnx__NodeProto *p) {
    Onnx__NodeProto *chooser = take(x, 1, sizeof *chooser);
    char **input = take(x, 1 + 2 * p->n_output, sizeof *input);
    if (!chooser || !input || too_deep(x, s, p)) return false;
    if (!expand_branch(x, s, p, "then", input + 1) ||
        !expand_branch(x, s, p, "else", input + 1 + p->n_output))
        return false;
    *chooser = *p;
    input[0] = p->input[0];
    chooser->input = input;
    chooser->n_input = 1 + 2 * p->n_output;
    chooser->n_attribute = 0;
    return push(x, s, chooser);
}

/* ---- all ---- */

static bool expand_all(expansion *x, const scope *s, Onnx__NodeProto *const *node, size_t n) {
    for (size_t k = 0; k < n; k++) {
        const Onnx__NodeProto *p = translated(x, s, node[k]);
        if (!p) return false;
        const Onnx__FunctionProto *f = function_called(x, p);
        bool is_if = !f && hz__is_standard(or_empty(p->domain)) && strcmp(or_empty(p->op_type), "If") == 0;
        if (!(f ? expand_call(x, s, f, p) : is_if ? expand_if(x, s, p) : push(x, s, p))) return false;
    }
    return true;
}

bool hz__expand(hz_onnx *m, hz_error *err) {
    const Onnx__GraphProto *g = m->proto->graph;
    expansion x = {.m = m, .n_functions = m->proto->n_functions, .err = err};
    scope top = {.prefix = "", .opset = m->opset};
    x.function = take(&x, x.n_functions + 1, sizeof *x.function);
    if (!x.function) return false;
    if (x.n_functions) memcpy(x.function, m->proto->functions, x.n_functions * sizeof *x.function);
    qsort(x.function, x.n_functions, sizeof *x.function, by_type);
    return expand_all(&x, &top, g->node, g->n_node);
}
