/* graph.c: emitting nodes and constants, and the pieces that many forms are made of.
 *
 * SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/onnx/write/write.h"

const hz__follows hz__fixed = {.axis = -1};

void *hz__keep(hz__writer *w, size_t count, size_t size) {
    void *p = count <= SIZE_MAX / size ? hz_arena_alloc(&w->arena, count * size) : NULL;
    if (p) memset(p, 0, count * size);
    w->exhausted |= !p;
    return p;
}

/* ---- nodes ---- */

/* A name from the node being written and the op that makes the value: "fire2.gelu.Erf". */
static const char *inner_name(hz__writer *w, const char *what) {
    char name[600];
    snprintf(name, sizeof name, "%.500s.%s", w->n ? w->label[w->n->id] : "graph", what);
    return hz__unused_name(w, name);
}

static hz__wire *new_wire(hz__writer *w, const char *what, int type, bool made) {
    hz__wire *wire = hz__keep(w, 1, sizeof *wire);
    if (!wire) return &w->nothing;
    *wire = (hz__wire){inner_name(w, what), type, made};
    return wire;
}

hz__wire *hz__emit_list(hz__writer *w, const char *op, hz__wire *const *in, int n) {
    hz__emitted *e = hz__keep(w, 1, sizeof *e);
    hz__wire **list = hz__keep(w, (size_t)n + 1, sizeof(hz__wire *));
    if (!e || !list) return &w->nothing;
    memcpy(list, in, (size_t)n * sizeof(hz__wire *));
    *e = (hz__emitted){.type = op, .in = list, .n_in = n, .n_out = 1};
    e->out[0] = new_wire(w, op, n ? in[0]->type : 0, true);
    *(w->last ? &w->last->next : &w->first) = e;
    w->last = e;
    return e->out[0];
}

hz__wire *hz__emit1(hz__writer *w, const char *op, hz__wire *x) {
    return hz__emit_list(w, op, &x, 1);
}

hz__wire *hz__emit2(hz__writer *w, const char *op, hz__wire *x, hz__wire *y) {
    return hz__emit_list(w, op, (hz__wire *const[]){x, y}, 2);
}

hz__wire *hz__emit3(hz__writer *w, const char *op, hz__wire *x, hz__wire *y, hz__wire *z) {
    return hz__emit_list(w, op, (hz__wire *const[]){x, y, z}, 3);
}

hz__wire *hz__of_type(hz__wire *x, int type) {
    x->type = type;
    return x;
}

hz__wire *hz__second_output(hz__writer *w, int type) {
    if (!w->last) return &w->nothing;
    w->last->n_out = 2;
    return w->last->out[1] = new_wire(w, "second", type, true);
}

/* ---- attributes ---- */

static Onnx__AttributeProto *with(hz__writer *w, const char *name, Onnx__AttributeProto__AttributeType type) {
    Onnx__AttributeProto *a = hz__keep(w, 1, sizeof *a);
    if (!a || !w->last || w->last->n_attributes == HZ__COUNT(w->last->attribute)) {
        w->exhausted = true;
        return NULL;
    }
    onnx__attribute_proto__init(a);
    a->name = (char *)name; /* the generated structs have no const; packing only reads */
    a->has_type = 1, a->type = type;
    return w->last->attribute[w->last->n_attributes++] = a;
}

void hz__with_int(hz__writer *w, const char *name, int64_t value) {
    Onnx__AttributeProto *a = with(w, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (a) a->has_i = 1, a->i = value;
}

void hz__with_ints(hz__writer *w, const char *name, const int64_t *value, int n) {
    Onnx__AttributeProto *a = with(w, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    int64_t *copy = hz__keep(w, (size_t)n + 1, sizeof *copy);
    if (!a || !copy) return;
    memcpy(copy, value, (size_t)n * sizeof *copy);
    a->n_ints = (size_t)n, a->ints = copy;
}

void hz__with_float(hz__writer *w, const char *name, double value) {
    Onnx__AttributeProto *a = with(w, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (a) a->has_f = 1, a->f = (float)value;
}

void hz__with_text(hz__writer *w, const char *name, const char *value) {
    Onnx__AttributeProto *a = with(w, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    if (a) a->has_s = 1, a->s = (ProtobufCBinaryData){strlen(value), (uint8_t *)value};
}

void hz__with_tensor(hz__writer *w, const char *name, int type, double value) {
    Onnx__AttributeProto *a = with(w, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
    Onnx__TensorProto *t = hz__keep(w, 1, sizeof *t);
    int64_t *one = hz__keep(w, 1, sizeof *one);
    hz_dtype dtype = hz__elem_of(type)->dtype;
    void *data = hz__keep(w, 1, sizeof(double));
    if (!a || !t || !one || !data) return;
    hz_tensor v = hz_tensor_of(data, dtype, 0, NULL);
    hz_set(&v, NULL, value);
    onnx__tensor_proto__init(t);
    *one = 1;
    t->n_dims = 1, t->dims = one;
    t->has_data_type = 1, t->data_type = type;
    t->has_raw_data = 1, t->raw_data = (ProtobufCBinaryData){hz_dtype_size(dtype), data};
    a->t = t;
}

/* ---- constants ---- */

static hz__wire *keep_constant(hz__writer *w, hz__wire *wire, const hz_tensor *value) {
    hz__constant *c = hz__keep(w, 1, sizeof *c);
    if (!c) return &w->nothing;
    *c = (hz__constant){.wire = wire, .value = *value};
    *(w->last_constant ? &w->last_constant->next : &w->constants) = c;
    w->last_constant = c;
    return wire;
}

hz__wire *hz__parameter(hz__writer *w, const char *name, const hz_tensor *value) {
    hz__wire *wire = new_wire(w, "constant", hz__type_of(value->dtype), false);
    if (wire != &w->nothing) wire->name = name;
    return keep_constant(w, wire, value);
}

hz__wire *hz__table(hz__writer *w, int type, int rank, const int64_t *dim, const double *value) {
    hz_tensor t = hz_tensor_of(NULL, hz__elem_of(type)->dtype, rank, dim);
    t.data = hz__keep(w, (size_t)hz_numel(&t) + 1, hz_dtype_size(t.dtype));
    if (!t.data) return &w->nothing;
    for (int64_t k = 0; k < hz_numel(&t); k++) hz_set_flat(&t, k, value[k]);
    return keep_constant(w, new_wire(w, "constant", type, false), &t);
}

hz__wire *hz__scalar(hz__writer *w, int type, double value) {
    return hz__table(w, type, 0, NULL, &value);
}

hz__wire *hz__ints_of(hz__writer *w, const int64_t *value, int n) {
    hz_tensor t = hz_tensor_of(NULL, HZ_I64, HZ_DIMS(n));
    t.data = hz__keep(w, (size_t)n + 1, sizeof *value);
    if (!t.data) return &w->nothing;
    memcpy(t.data, value, (size_t)n * sizeof *value);
    return keep_constant(w, new_wire(w, "constant", HZ__INT64, false), &t);
}

/* ---- the node being written ---- */

const hz_tensor *hz__in_value(const hz__writer *w, int i) {
    return hz_value(w->n->in[i]);
}

const hz_tensor *hz__out_value(const hz__writer *w) {
    return &w->n->value;
}

hz__follows hz__in_follows(const hz__writer *w, int i) {
    return w->follows[w->n->in[i].id];
}

hz__follows hz__out_follows(const hz__writer *w) {
    return w->follows[w->n->id];
}

int hz__float_type(const hz__writer *w) {
    return hz__type_of(w->n->value.dtype);
}

bool hz__attr_holds(const hz__writer *w, double v) {
    return w->n->value.dtype == HZ_F32 || (double)(float)v == v;
}

hz_axes hz__axes_mask(hz_axes axes, int rank) {
    hz_axes mask = 0;
    for (int k = 0; k < rank; k++)
        if (axes == HZ_ALL_AXES || axes & (HZ_AXIS(k) | HZ_AXIS(k - rank))) mask |= HZ_AXIS(k);
    return mask;
}

/* ---- arithmetic ---- */

hz__wire *hz__product(hz__writer *w, hz__wire *x, hz__wire *y) {
    return hz__emit2(w, "Mul", x, y);
}

hz__wire *hz__scaled(hz__writer *w, hz__wire *x, double a) {
    return hz__product(w, x, hz__scalar(w, x->type, a));
}

hz__wire *hz__shifted(hz__writer *w, hz__wire *x, double b) {
    return hz__emit2(w, "Add", x, hz__scalar(w, x->type, b));
}

hz__wire *hz__cast(hz__writer *w, hz__wire *x, int type) {
    if (x->type == type) return x;
    hz__wire *y = hz__of_type(hz__emit1(w, "Cast", x), type);
    hz__with_int(w, "to", type);
    return y;
}

hz__wire *hz__plain(hz__writer *w, hz__wire *x) {
    return x->type == HZ__BOOL ? hz__cast(w, x, hz__type_of(HZ_U8)) : x;
}

hz__wire *hz__choose(hz__writer *w, hz__wire *where, hz__wire *x, hz__wire *y) {
    return hz__of_type(hz__emit3(w, "Where", where, x, y), x->type);
}

hz__wire *hz__positive(hz__writer *w, hz__wire *x) {
    return hz__of_type(hz__emit2(w, "Greater", x, hz__scalar(w, x->type, 0)), HZ__BOOL);
}

hz__wire *hz__reduced(hz__writer *w, const char *op, hz__wire *x, hz_axes axes, int rank, bool keep) {
    int64_t axis[HZ_MAX_RANK];
    int n = 0;
    hz_axes mask = hz__axes_mask(axes, rank);
    for (int k = 0; k < rank; k++)
        if (mask & HZ_AXIS(k)) axis[n++] = k;
    if (n == 0) return x;
    bool as_input = strcmp(op, "ReduceSum") == 0; /* the others have an attribute until opset 17 */
    hz__wire *y = as_input ? hz__emit2(w, op, x, hz__ints_of(w, axis, n)) : hz__emit1(w, op, x);
    if (!as_input) hz__with_ints(w, "axes", axis, n);
    hz__with_int(w, "keepdims", keep);
    return y;
}

/* ---- shapes ---- */

/* factor·N as a vector of one element */
static hz__wire *batch_times(hz__writer *w, int64_t factor) {
    hz__wire *n = w->batch_size;
    if (!n) {
        hz__wire *x = w->value[w->input[0].id];
        n = w->batch_size = hz__of_type(hz__emit1(w, "Shape", x), HZ__INT64);
        hz__with_int(w, "start", 0);
        hz__with_int(w, "end", 1);
    }
    return factor == 1 ? n : hz__product(w, n, hz__ints_of(w, &factor, 1));
}

hz__wire *hz__shape_vector(hz__writer *w, int rank, const int64_t *dim, hz__follows f) {
    if (f.axis < 0) return hz__ints_of(w, dim, rank);
    hz__wire *part[3];
    int n = 0;
    if (f.axis > 0) part[n++] = hz__ints_of(w, dim, f.axis);
    part[n++] = batch_times(w, f.factor);
    if (f.axis < rank - 1) part[n++] = hz__ints_of(w, dim + f.axis + 1, rank - 1 - f.axis);
    if (n == 1) return part[0];
    hz__wire *shape = hz__emit_list(w, "Concat", part, n);
    hz__with_int(w, "axis", 0);
    return shape;
}

/* The extent that follows the batch is what the others leave over. */
hz__wire *hz__reshaped(hz__writer *w, hz__wire *x, int rank, const int64_t *dim, hz__follows f) {
    int64_t to[HZ_MAX_RANK + 1];
    bool empty = false;
    for (int k = 0; k < rank; k++) {
        to[k] = k == f.axis ? -1 : dim[k];
        empty |= dim[k] == 0;
    }
    hz__wire *y = hz__emit2(w, "Reshape", x, hz__ints_of(w, empty ? dim : to, rank));
    if (empty) hz__with_int(w, "allowzero", 1);
    return y;
}

hz__wire *hz__permuted(hz__writer *w, hz__wire *x, const int64_t *axis, int rank) {
    if (rank == 0) return x;
    hz__wire *y = hz__emit1(w, "Transpose", x);
    hz__with_ints(w, "perm", axis, rank);
    return y;
}

hz__wire *hz__zeros(hz__writer *w, hz__wire *shape, int type) {
    hz__wire *y = hz__of_type(hz__emit1(w, "ConstantOfShape", shape), type);
    hz__with_tensor(w, "value", type, 0);
    return y;
}

hz__wire *hz__padded(hz__writer *w, hz__wire *x, int rank, const int64_t *before, const int64_t *after,
                     double value) {
    int64_t pads[2 * HZ_MAX_RANK + 2];
    bool any = false;
    for (int k = 0; k < rank; k++) {
        pads[k] = before[k], pads[rank + k] = after[k];
        any |= before[k] || after[k];
    }
    if (!any) return x;
    return hz__emit3(w, "Pad", x, hz__ints_of(w, pads, 2 * rank), hz__scalar(w, x->type, value));
}

hz__wire *hz__added_along(hz__writer *w, hz__wire *index, hz__wire *src, hz__wire *shape, int axis) {
    hz__wire *y = hz__emit3(w, "ScatterElements", hz__zeros(w, shape, src->type), index, src);
    hz__with_int(w, "axis", axis);
    hz__with_text(w, "reduction", "add");
    return y;
}
