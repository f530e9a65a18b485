/* onnx_file.h: small ONNX models, built in a test and written to a file.
 *
 *   model_file m = model_new(13);
 *   model_input(&m, "x", 1, HZ_DIMS(1, 4));
 *   Onnx__NodeProto *n = model_node(&m, "Relu", "relu", "x", "y");
 *   model_output(&m, "y");
 *   model_write(&m, path);
 *
 * Nothing is freed before the process of the test ends.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_NN_ONNX_FILE_H
#define HZ_TESTS_NN_ONNX_FILE_H

#include <stdlib.h>
#include <string.h>

#include "../tensor/files.h"
#include "onnx.pb-c.h"

enum { MODEL_MOST = 64 };

typedef struct model_file {
    Onnx__ModelProto *model;
    Onnx__GraphProto *graph;
    Onnx__OperatorSetIdProto *opset;
    void *start; /* the one allocation that the others hang on */
} model_file;

/* Memory that the process keeps, so that a leak checker still finds it. */
static void *kept[4096];
static int n_kept;

static inline void *make(size_t size) {
    cr_assert_lt(n_kept, 4096);
    return kept[n_kept++] = calloc(1, size);
}

static inline char *text(const char *s) {
    return strcpy(make(strlen(s) + 1), s);
}

#define MAKE(type, init) make_as(make(sizeof(type)), &(type)init, sizeof(type))
static inline void *make_as(void *p, const void *init, size_t size) {
    return memcpy(p, init, size);
}

static inline model_file model_new(int opset) {
    model_file m = {.model = MAKE(Onnx__ModelProto, ONNX__MODEL_PROTO__INIT),
                    .graph = MAKE(Onnx__GraphProto, ONNX__GRAPH_PROTO__INIT),
                    .opset = MAKE(Onnx__OperatorSetIdProto, ONNX__OPERATOR_SET_ID_PROTO__INIT)};
    m.model->graph = m.graph;
    m.model->has_ir_version = 1, m.model->ir_version = 8;
    m.opset->has_version = 1, m.opset->version = opset;
    m.model->n_opset_import = 1;
    m.model->opset_import = make(sizeof(void *));
    m.model->opset_import[0] = m.opset;
    m.graph->node = make(MODEL_MOST * sizeof(void *));
    m.graph->input = make(MODEL_MOST * sizeof(void *));
    m.graph->output = make(MODEL_MOST * sizeof(void *));
    m.graph->initializer = make(MODEL_MOST * sizeof(void *));
    return m;
}

static inline Onnx__ValueInfoProto *value_info(const char *name, int type, int rank, const int64_t *dim) {
    Onnx__ValueInfoProto *v = MAKE(Onnx__ValueInfoProto, ONNX__VALUE_INFO_PROTO__INIT);
    v->name = text(name);
    v->type = MAKE(Onnx__TypeProto, ONNX__TYPE_PROTO__INIT);
    v->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    v->type->tensor_type = MAKE(Onnx__TypeProto__Tensor, ONNX__TYPE_PROTO__TENSOR__INIT);
    v->type->tensor_type->has_elem_type = 1, v->type->tensor_type->elem_type = type;
    if (rank < 0) return v;
    Onnx__TensorShapeProto *shape = MAKE(Onnx__TensorShapeProto, ONNX__TENSOR_SHAPE_PROTO__INIT);
    v->type->tensor_type->shape = shape;
    shape->dim = make(MODEL_MOST * sizeof(void *));
    shape->n_dim = (size_t)rank;
    for (int k = 0; k < rank; k++) {
        shape->dim[k] = MAKE(Onnx__TensorShapeProto__Dimension, ONNX__TENSOR_SHAPE_PROTO__DIMENSION__INIT);
        shape->dim[k]->value_case = dim[k] < 0 ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
                                               : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (dim[k] < 0)
            shape->dim[k]->dim_param = text("N");
        else
            shape->dim[k]->dim_value = dim[k];
    }
    return v;
}

static inline void model_input(model_file *m, const char *name, int type, int rank, const int64_t *dim) {
    m->graph->input[m->graph->n_input++] = value_info(name, type, rank, dim);
}

static inline void model_output(model_file *m, const char *name) {
    m->graph->output[m->graph->n_output++] = value_info(name, 1, -1, NULL);
}

/* Inputs and outputs are names with spaces between them; "-" stands for one left out. */
static inline size_t split_names(const char *names, char ***out) {
    size_t n = 0;
    *out = make(MODEL_MOST * sizeof(char *));
    char *rest = text(names);
    for (char *word = strtok(rest, " "); word; word = strtok(NULL, " "))
        (*out)[n++] = strcmp(word, "-") ? word : text("");
    return n;
}

/* A node that belongs to no graph yet. */
static inline Onnx__NodeProto *node_new(const char *type, const char *name, const char *in, const char *out) {
    Onnx__NodeProto *n = MAKE(Onnx__NodeProto, ONNX__NODE_PROTO__INIT);
    n->op_type = text(type);
    n->name = text(name);
    n->n_input = split_names(in, &n->input);
    n->n_output = split_names(out, &n->output);
    n->attribute = make(MODEL_MOST * sizeof(void *));
    return n;
}

static inline Onnx__NodeProto *model_node(model_file *m, const char *type, const char *name, const char *in,
                                          const char *out) {
    return m->graph->node[m->graph->n_node++] = node_new(type, name, in, out);
}

/* A function of domain "own" and the model's opset; its nodes are to be added. */
static inline Onnx__FunctionProto *model_function(model_file *m, const char *name, const char *in,
                                                  const char *out) {
    Onnx__FunctionProto *f = MAKE(Onnx__FunctionProto, ONNX__FUNCTION_PROTO__INIT);
    f->name = text(name), f->domain = text("own");
    f->n_input = split_names(in, &f->input);
    f->n_output = split_names(out, &f->output);
    f->node = make(MODEL_MOST * sizeof(void *));
    f->n_opset_import = m->model->n_opset_import, f->opset_import = m->model->opset_import;
    if (!m->model->functions) m->model->functions = make(MODEL_MOST * sizeof(void *));
    return m->model->functions[m->model->n_functions++] = f;
}

static inline Onnx__AttributeProto *node_attribute(Onnx__NodeProto *n, const char *name) {
    Onnx__AttributeProto *a = MAKE(Onnx__AttributeProto, ONNX__ATTRIBUTE_PROTO__INIT);
    a->name = text(name);
    return n->attribute[n->n_attribute++] = a;
}

/* A branch of an If: a graph with one output. */
static inline Onnx__GraphProto *node_branch(Onnx__NodeProto *n, const char *which, const char *out) {
    Onnx__GraphProto *g = MAKE(Onnx__GraphProto, ONNX__GRAPH_PROTO__INIT);
    g->node = make(MODEL_MOST * sizeof(void *));
    g->output = make(sizeof(void *));
    g->output[g->n_output++] = value_info(out, 1, -1, NULL);
    return node_attribute(n, which)->g = g;
}

static inline void node_ints(Onnx__NodeProto *n, const char *name, int count, const int64_t *value) {
    Onnx__AttributeProto *a = node_attribute(n, name);
    a->n_ints = (size_t)count;
    a->ints = make((size_t)count * sizeof *value);
    if (count) memcpy(a->ints, value, (size_t)count * sizeof *value);
}

/* A parameter as raw bytes. */
static inline Onnx__TensorProto *model_parameter(model_file *m, const char *name, int type, int rank,
                                                 const int64_t *dim, const void *data, size_t size) {
    Onnx__TensorProto *t = MAKE(Onnx__TensorProto, ONNX__TENSOR_PROTO__INIT);
    t->name = text(name);
    t->has_data_type = 1, t->data_type = type;
    t->n_dims = (size_t)rank;
    t->dims = make(sizeof(int64_t) * MODEL_MOST);
    if (rank) memcpy(t->dims, dim, (size_t)rank * sizeof *dim);
    t->has_raw_data = 1;
    t->raw_data.len = size;
    t->raw_data.data = make(size + 1);
    if (size) memcpy(t->raw_data.data, data, size);
    return m->graph->initializer[m->graph->n_initializer++] = t;
}

/* The file's bytes. */
static inline uint8_t *model_pack(const model_file *m, size_t *size) {
    *size = onnx__model_proto__get_packed_size(m->model);
    uint8_t *bytes = make(*size + 1);
    onnx__model_proto__pack(m->model, bytes);
    return bytes;
}

static inline void model_write(const model_file *m, const char *path) {
    size_t size;
    const uint8_t *bytes = model_pack(m, &size);
    write_bytes(path, bytes, size);
}

#endif
