/* pack.c: the finished graph as a ModelProto. The generated structs know no const; packing only reads.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/onnx/write/write.h"
#include "tensor/elementwise.h"
#include "tensor/file.h"

/* ---- tensors ---- */

/* The bytes of v, little-endian and in row-major order: its own where they are that. */
static uint8_t *raw_bytes(hz__writer *w, const hz_tensor *v) {
    const uint16_t one = 1;
    if (hz_numel(v) == 0 || (*(const unsigned char *)&one == 1 && hz_is_contiguous(v))) return v->data;
    hz_tensor copy = hz_tensor_of(NULL, v->dtype, v->rank, v->dim);
    copy.data = hz__keep(w, hz_nbytes(v), 1);
    if (!copy.data) return NULL;
    hz_copy(hz_tape_exec(w->t), v, &copy);
    hz_file_byte_order(copy.data, (size_t)hz_numel(v), hz_dtype_size(v->dtype), false);
    return copy.data;
}

static Onnx__TensorProto *tensor_proto(hz__writer *w, const hz__constant *c) {
    Onnx__TensorProto *t = hz__keep(w, 1, sizeof *t);
    int64_t *dims = hz__keep(w, (size_t)c->value.rank + 1, sizeof *dims);
    if (!t || !dims) return NULL;
    onnx__tensor_proto__init(t);
    memcpy(dims, c->value.dim, (size_t)c->value.rank * sizeof *dims);
    t->name = (char *)c->wire->name;
    t->n_dims = (size_t)c->value.rank, t->dims = dims;
    t->has_data_type = 1, t->data_type = c->wire->type;
    t->has_raw_data = 1, t->raw_data = (ProtobufCBinaryData){hz_nbytes(&c->value), raw_bytes(w, &c->value)};
    return t;
}

/* ---- inputs and outputs ---- */

static Onnx__TensorShapeProto__Dimension *dimension(hz__writer *w, int64_t extent, bool follows, bool whole) {
    Onnx__TensorShapeProto__Dimension *d = hz__keep(w, 1, sizeof *d);
    if (!d) return NULL;
    onnx__tensor_shape_proto__dimension__init(d);
    if (follows && whole) {
        d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        d->dim_param = (char *)"N";
    } else if (!follows) {
        d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        d->dim_value = extent;
    }
    return d;
}

static Onnx__ValueInfoProto *value_info(hz__writer *w, const hz__wire *wire, hz_var x) {
    Onnx__ValueInfoProto *v = hz__keep(w, 1, sizeof *v);
    Onnx__TypeProto *type = hz__keep(w, 1, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = hz__keep(w, 1, sizeof *tensor);
    Onnx__TensorShapeProto *shape = hz__keep(w, 1, sizeof *shape);
    const hz_tensor *value = hz_value(x);
    const hz__follows f = w->follows[x.id];
    Onnx__TensorShapeProto__Dimension **dim = hz__keep(w, (size_t)value->rank + 1, sizeof(void *));
    if (!v || !type || !tensor || !shape || !dim) return NULL;
    onnx__value_info_proto__init(v);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    for (int k = 0; k < value->rank; k++) dim[k] = dimension(w, value->dim[k], k == f.axis, f.factor == 1);
    shape->n_dim = (size_t)value->rank, shape->dim = dim;
    tensor->has_elem_type = 1, tensor->elem_type = wire->type;
    tensor->shape = shape;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    v->name = (char *)wire->name;
    v->type = type;
    return v;
}

/* ---- nodes ---- */

static char **names_of(hz__writer *w, hz__wire *const *wire, int n) {
    char **name = hz__keep(w, (size_t)n + 1, sizeof *name);
    for (int k = 0; name && k < n; k++) name[k] = (char *)(wire[k] ? wire[k]->name : "");
    return name;
}

static Onnx__NodeProto *node_proto(hz__writer *w, hz__emitted *e) {
    Onnx__NodeProto *n = hz__keep(w, 1, sizeof *n);
    if (!n) return NULL;
    onnx__node_proto__init(n);
    n->name = (char *)e->out[e->n_out - 1]->name;
    n->op_type = (char *)e->type;
    n->n_input = (size_t)e->n_in, n->input = names_of(w, e->in, e->n_in);
    n->n_output = (size_t)e->n_out, n->output = names_of(w, e->out, e->n_out);
    n->n_attribute = (size_t)e->n_attributes, n->attribute = e->attribute;
    return n;
}

/* ---- graph and model ---- */

static void put_nodes(hz__writer *w, Onnx__GraphProto *g) {
    for (hz__emitted *e = w->first; e; e = e->next) g->n_node++;
    g->node = hz__keep(w, g->n_node + 1, sizeof *g->node);
    size_t k = 0;
    for (hz__emitted *e = w->first; e && g->node; e = e->next) g->node[k++] = node_proto(w, e);
}

static void put_constants(hz__writer *w, Onnx__GraphProto *g) {
    for (const hz__constant *c = w->constants; c; c = c->next) g->n_initializer++;
    g->initializer = hz__keep(w, g->n_initializer + 1, sizeof *g->initializer);
    size_t k = 0;
    for (const hz__constant *c = w->constants; c && g->initializer; c = c->next)
        g->initializer[k++] = tensor_proto(w, c);
}

static void put_ends(hz__writer *w, Onnx__GraphProto *g) {
    g->input = hz__keep(w, (size_t)w->n_inputs + 1, sizeof *g->input);
    g->output = hz__keep(w, (size_t)w->n_outputs + 1, sizeof *g->output);
    if (!g->input || !g->output) return;
    g->n_input = (size_t)w->n_inputs, g->n_output = (size_t)w->n_outputs;
    for (int k = 0; k < w->n_inputs; k++) g->input[k] = value_info(w, w->value[w->input[k].id], w->input[k]);
    for (int k = 0; k < w->n_outputs; k++) g->output[k] = value_info(w, w->result[k], w->output[k]);
}

static void put_metadata(hz__writer *w, Onnx__ModelProto *m) {
    size_t n = (size_t)w->opts->n_metadata;
    m->metadata_props = hz__keep(w, n + 1, sizeof *m->metadata_props);
    for (size_t k = 0; k < n && m->metadata_props; k++) {
        Onnx__StringStringEntryProto *entry = hz__keep(w, 1, sizeof *entry);
        if (!entry) return;
        onnx__string_string_entry_proto__init(entry);
        entry->key = (char *)w->opts->metadata[k].key;
        entry->value = (char *)w->opts->metadata[k].value;
        m->metadata_props[m->n_metadata_props++] = entry;
    }
}

Onnx__ModelProto *hz__model_proto(hz__writer *w) {
    Onnx__ModelProto *m = hz__keep(w, 1, sizeof *m);
    Onnx__GraphProto *g = hz__keep(w, 1, sizeof *g);
    Onnx__OperatorSetIdProto *opset = hz__keep(w, 1, sizeof *opset), **list = hz__keep(w, 1, sizeof *list);
    if (!m || !g || !opset || !list) return NULL;
    onnx__model_proto__init(m);
    onnx__graph_proto__init(g);
    onnx__operator_set_id_proto__init(opset);
    opset->has_version = 1, opset->version = HZ__OPSET;
    opset->domain = (char *)"";
    list[0] = opset;
    m->has_ir_version = 1, m->ir_version = HZ__IR_VERSION;
    m->n_opset_import = 1, m->opset_import = list;
    m->producer_name = (char *)"hzero";
    m->graph = g;
    g->name = (char *)"hzero";
    put_nodes(w, g);
    put_constants(w, g);
    put_ends(w, g);
    put_metadata(w, m);
    return w->exhausted ? NULL : m;
}
