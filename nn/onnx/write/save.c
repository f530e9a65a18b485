/* save.c: a recorded tape as an ONNX file: what is needed, what cannot be written, node by node, and the file.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "nn/onnx/write/write.h"
#include "tensor/file.h"

static const uint64_t max_file = INT32_MAX; /* protobuf's own limit */

/* ---- the tables ---- */

static const hz__forms *const families[] = {
    &hz__write_activations, &hz__write_index,  &hz__write_linear, &hz__write_math,
    &hz__write_pool,        &hz__write_reduce, &hz__write_shape,
};

static const hz__form *form_of(const hz_op *op) {
    for (int f = 0; f < HZ__COUNT(families); f++)
        for (int k = 0; k < families[f]->n; k++)
            if (families[f]->form[k].op == op) return &families[f]->form[k];
    return NULL;
}

/* ---- what is needed ---- */

static bool check_end(hz__writer *w, const char *what, int k, hz_var x, hz_error *err) {
    if (hz_ok(x) && x.tape == w->t) return true;
    return hz_fail(err, HZ_EINVAL, "%s %d is %s", what, k,
                   hz_ok(x) ? "on another tape" : "the inert variable");
}

static bool declare_inputs(hz__writer *w, hz_error *err) {
    for (int k = 0; k < w->n_inputs; k++) {
        if (!check_end(w, "input", k, w->input[k], err)) return false;
        int *declared = &w->declared[w->input[k].id];
        if (*declared) return hz_fail(err, HZ_EINVAL, "input %d is input %d as well", k, *declared - 1);
        *declared = k + 1;
    }
    return true;
}

/* From the outputs back, as far as an input. */
static bool find_needed(hz__writer *w, hz_error *err) {
    for (int k = 0; k < w->n_outputs; k++) {
        if (!check_end(w, "output", k, w->output[k], err)) return false;
        w->needed[w->output[k].id] = true;
    }
    for (uint32_t id = w->size; id-- > 1;) {
        const hz_node *n = hz_node_of(hz_at(w->t, id));
        for (int i = 0; w->needed[id] && !w->declared[id] && i < n->n_in; i++) w->needed[n->in[i].id] = true;
    }
    return true;
}

static bool is_written(const hz__writer *w, uint32_t id) {
    return w->needed[id] && !w->declared[id];
}

/* Every node that has no meaning in ONNX, in one message. */
static bool check_ops(const hz__writer *w, hz_error *err) {
    char list[HZ_ERROR_TEXT - 100] = "";
    size_t used = 0;
    int refused = 0;
    for (uint32_t id = 1; id < w->size; id++) {
        const hz_node *n = hz_node_of(hz_at(w->t, id));
        if (!is_written(w, id) || n->op == &hz_op_leaf || form_of(n->op)) continue;
        hz_node_text text = hz_node_str(n);
        if (used + strlen(text.s) + 3 < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", refused ? ", " : "", text.s);
        else if (used < sizeof list - 4)
            used += (size_t)snprintf(list + used, sizeof list - used, " …");
        refused++;
    }
    return !refused || hz_fail(err, HZ_EINVAL, "unsupported: %d node%s without a meaning in ONNX: %s",
                               refused, refused == 1 ? "" : "s", list);
}

/* ---- node by node ---- */

/* The last name comes last: a chain of Identity from the first one, in which nothing is dead. */
static hz__wire *name_value(hz__writer *w, hz__wire *y, uint32_t id) {
    if (!y->made || y->name == w->label[id]) y = hz__emit1(w, "Identity", y);
    for (hz__alias *a = w->aliases; a; a = a->next) {
        if (a->id != id) continue;
        y->name = a->name;
        y->made = false;
        y = hz__emit1(w, "Identity", y);
    }
    y->name = w->label[id];
    y->made = false; /* its name is settled */
    return y;
}

static void write_node(hz__writer *w, const hz_node *n) {
    if (n->op == &hz_op_leaf) {
        w->value[n->id] = hz__parameter(w, w->label[n->id], &n->value);
        return;
    }
    w->n = n;
    w->form = form_of(n->op);
    w->in = hz__keep(w, (size_t)n->n_in + 1, sizeof(hz__wire *));
    for (int i = 0; w->in && i < n->n_in; i++) w->in[i] = w->value[n->in[i].id];
    if (w->in) w->value[n->id] = name_value(w, w->form->write(w), n->id);
    w->n = NULL;
}

static void make_inputs(hz__writer *w) {
    for (int k = 0; k < w->n_inputs; k++) {
        hz__wire *wire = hz__keep(w, 1, sizeof *wire);
        uint32_t id = w->input[k].id;
        if (!wire) return;
        *wire = (hz__wire){w->label[id], hz__type_of(hz_value(w->input[k])->dtype), false};
        w->value[id] = wire;
    }
}

/* An output that is an input, a parameter or an output already is one under another name. */
static void make_outputs(hz__writer *w) {
    for (int k = 0; k < w->n_outputs && !w->exhausted; k++) {
        hz__wire *y = w->value[w->output[k].id];
        bool as_it_is = is_written(w, w->output[k].id) && hz_node_of(w->output[k])->op != &hz_op_leaf;
        for (int j = 0; j < k; j++) as_it_is = as_it_is && w->result[j] != y;
        w->n = hz_node_of(w->output[k]);
        w->result[k] = as_it_is ? y : hz__emit1(w, "Identity", y);
    }
}

static bool make_graph(hz__writer *w, hz_error *err) {
    if (hz__label_nodes(w)) make_inputs(w);
    for (uint32_t id = 1; id < w->size && !w->exhausted; id++)
        if (is_written(w, id)) write_node(w, hz_node_of(hz_at(w->t, id)));
    make_outputs(w);
    return !w->exhausted || hz_fail(err, HZ_ENOMEM, "out of memory");
}

/* ---- the file ---- */

/* A buffer of protobuf-c that writes to a file. */
typedef struct sink {
    ProtobufCBuffer base;
    hz_file_out *file;
    bool failed;
    hz_error *err;
} sink;

static void append(ProtobufCBuffer *base, size_t size, const uint8_t *data) {
    sink *s = (sink *)base;
    if (!s->failed) s->failed = !hz_file_put(s->file, data, size, s->err);
}

static bool write_file(const char *path, hz__writer *w, hz_error *err) {
    const ProtobufCMessage *m = (const ProtobufCMessage *)hz__model_proto(w);
    if (!m) return hz_fail(err, HZ_ENOMEM, "out of memory");
    if (protobuf_c_message_get_packed_size(m) > max_file)
        return hz_fail(err, HZ_EINVAL, "the model is larger than 2 GiB, what an ONNX file can hold");
    sink s = {.base = {.append = append}, .file = hz_file_create(path, w->opts->alloc, err), .err = err};
    if (!s.file) return false;
    protobuf_c_message_pack_to_buffer(m, &s.base);
    if (!s.failed) return hz_file_commit(s.file, err);
    hz_file_discard(s.file);
    return false;
}

static bool prepare(hz__writer *w, hz_error *err) {
    if (w->n_outputs < 1) return hz_fail(err, HZ_EINVAL, "no outputs to write");
    if (!hz_ok(w->output[0])) return hz_fail(err, HZ_EINVAL, "output 0 is the inert variable");
    w->t = w->output[0].tape;
    if (!hz_tape_ok(w->t, err)) return false;
    w->size = hz_tape_size(w->t);
    w->needed = hz__keep(w, w->size, sizeof *w->needed);
    w->declared = hz__keep(w, w->size, sizeof *w->declared);
    w->label = hz__keep(w, w->size, sizeof *w->label);
    w->value = hz__keep(w, w->size, sizeof *w->value);
    w->follows = hz__keep(w, w->size, sizeof *w->follows);
    w->result = hz__keep(w, (size_t)w->n_outputs, sizeof(hz__wire *));
    if (w->exhausted) return hz_fail(err, HZ_ENOMEM, "out of memory");
    for (uint32_t id = 0; id < w->size; id++) w->follows[id] = hz__fixed;
    return true;
}

bool hz_onnx_save(const char *path, const hz_var *out, int n_out, const hz_var *in, int n_in,
                  const hz_onnx_save_opts *opts, hz_error *err) {
    static const hz_onnx_save_opts defaults;
    hz_error why = {.code = HZ_OK};
    hz__writer w = {.output = out, .n_outputs = n_out, .input = in, .n_inputs = n_in};
    w.opts = opts ? opts : &defaults;
    if (w.opts->alloc) w.arena.alloc = *w.opts->alloc;
    w.nothing = (hz__wire){.name = ""};
    bool ok = prepare(&w, &why) && declare_inputs(&w, &why) && find_needed(&w, &why) && check_ops(&w, &why) &&
              (!w.opts->dynamic_batch || hz__follow_batch(&w, &why)) && make_graph(&w, &why);
    if (!ok) hz_fail_in(&why, "%s", hz_label(path).s);
    ok = ok && write_file(path, &w, &why);
    hz_arena_free(&w.arena);
    if (!ok && err) *err = why;
    return ok;
}
