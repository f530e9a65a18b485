/* internal.h: what the files of nn/onnx/ share: the model as it was checked, and what an op's mapping sees of a node.
 *
 * A mapping is a function that records one node in terms of ops.h:
 *
 *   static void neg(hz__call *c) { hz__give(c, 0, hz_neg(hz__arg(c, 0))); }
 *
 * and a line of its family's table: {"Neg", .since = 1, .run = neg}. Errors stay with the tape.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_ONNX_INTERNAL_H
#define HZ_NN_ONNX_INTERNAL_H

#include "nn/onnx/onnx.h"
#include "onnx.pb-c.h"
#include "ops/ops.h"

#define HZ__COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ---- element types ---- */

/* An ONNX element type and how its elements are kept. */
typedef struct hz__elem {
    int type;         /* TensorProto.DataType */
    const char *name; /* "float16"; NULL: no such type */
    hz_dtype dtype;   /* what it is kept as */
    size_t width;     /* bytes of an element in raw data; 0: not supported */
    int bits;         /* integers: their width; floats and booleans: 0 */
    bool is_signed;
} hz__elem;

const hz__elem *hz__elem_of(int type);          /* never NULL; width 0 for what is not supported */
int hz__type_of(hz_dtype dtype);                /* the plain type of a dtype; u8: uint8 */
int64_t hz__wrap(const hz__elem *e, int64_t v); /* v modulo 2^bits, in the type's range */

/* ---- reading ---- */

/* Memory for what is unpacked from one file: all of it dies at once, and there is a limit. */
typedef struct hz__budget {
    hz_arena arena;
    size_t left;
    bool exhausted;
} hz__budget;

/* Unpack the file at path as a message of this kind into *budget's arena. */
bool hz__unpack(const char *path, const ProtobufCMessageDescriptor *kind, hz__budget *budget,
                ProtobufCMessage **message, hz_error *err);

/* The same from bytes in memory; path is what errors say. */
bool hz__unpack_bytes(const char *path, const ProtobufCMessageDescriptor *kind, const void *data, size_t size,
                      hz__budget *budget, ProtobufCMessage **message, hz_error *err);

/* Memory for what a file is expanded to, out of the same budget; NULL when it is used up. */
void *hz__take(hz__budget *budget, size_t size);

/* A tensor that a proto or the arena owns, and its ONNX type. */
typedef struct hz__array {
    hz_tensor value;
    int type;
} hz__array;

/* Decode p, borrowing its bytes where they can be used as they are. model: the path external data is beside. */
bool hz__decode(const Onnx__TensorProto *p, const char *model, hz_arena *arena, hz__array *out,
                hz_error *err);

/* The element type that is declared for a value; 0 if none is. */
int hz__declared_type(const Onnx__ValueInfoProto *v);

/* Find file `location` in the folder of model, nowhere else, and copy bytes [offset, offset + size) into data. */
bool hz__external(const char *model, const char *location, uint64_t offset, uint64_t size, hz_arena *arena,
                  void **data, hz_error *err);

/* ---- the model ---- */

typedef struct hz__call hz__call;

/* One line of a mapping table. */
typedef struct hz__mapping {
    const char *type; /* "Conv" */
    int since, until; /* opsets it is for, both included; until 0: all later ones */
    int need;         /* inputs it cannot do without; 0: one; −1: none */
    void (*run)(hz__call *c);
    hz_var (*f1)(hz_var x);           /* for run functions that serve several ops */
    hz_var (*f2)(hz_var x, hz_var y); /* on floats */
    int64_t (*i1)(int64_t x);         /* on integers */
    int64_t (*i2)(int64_t x, int64_t y);
    int kind;
    bool lazy; /* runs although inputs are missing that a node not run would have made */
} hz__mapping;

typedef struct hz__family {
    const hz__mapping *mapping;
    int n;
} hz__family;

const hz__mapping *hz__mapping_of(const char *type, int opset);

typedef struct hz__onnx_node {
    const Onnx__NodeProto *proto;
    const hz__mapping *mapping;
    uint32_t *in, *out;                 /* slots; 0: left out */
    hz__array tensor;                   /* the attribute that is a tensor, decoded; type 0: there is none */
    int opset;                          /* a function may have another one than the model */
    uint32_t guard;                     /* guard number 1 … n_guards that must let it run; 0: none */
    const struct hz__onnx_node *folded; /* computes the same without what is `spared`; NULL: run as it is */
    bool spared;                        /* needed by a node alone that has a folded form */
} hz__onnx_node;

/* Nodes of a branch run if the guard around it lets them and the condition is as wanted. */
typedef struct hz__guard {
    uint32_t parent; /* 0: none */
    const char *condition;
    bool want;
    uint32_t slot; /* of the condition */
} hz__guard;

/* Slot s of 1 … n_slots−1 is a value of the graph. */
struct hz_onnx {
    hz_allocator alloc;
    hz__budget budget;
    Onnx__ModelProto *proto;
    int opset;
    uint32_t n_slots;
    const char **name;    /* of each slot */
    hz__array *parameter; /* slots 1 … n_parameters */
    uint32_t n_parameters;
    uint32_t *input, *output; /* slots */
    const Onnx__ValueInfoProto **input_info, **output_info;
    int n_inputs, n_outputs;
    hz__onnx_node *node;
    size_t n_nodes;
    hz__guard *guard; /* number 1 is guard[0] */
    uint32_t n_guards;
    hz__array *derived; /* parameters made of others, in slots first_derived … n_slots−1, without a name */
    uint32_t first_derived;
};

/* Fill node and guard from the graph: functions and branches as plain nodes. */
bool hz__expand(hz_onnx *m, hz_error *err);

/* ONNX's own domain; the version of it that a model or a function imports, 1 if it does not say. */
bool hz__is_standard(const char *domain);
bool hz__opset_of(Onnx__OperatorSetIdProto *const *import, size_t n, int *opset, hz_error *err);

/* ---- one node while it is recorded ---- */

typedef struct hz__value {
    hz_var var;
    int type; /* ONNX element type */
} hz__value;

struct hz__call {
    const hz_onnx *model;
    const hz__onnx_node *node;
    const hz__mapping *mapping;
    hz_tape *t;
    hz__value *value; /* all slots */
    bool wide;        /* floats of 32 and 16 bits are computed in f64 */
};

/* What elements of type e are computed in: e's own dtype, or f64 if it is a float and the call is wide. */
hz_dtype hz__dtype(const hz__call *c, const hz__elem *e);

/* A value of the file as a leaf of that dtype. */
hz_var hz__leaf(const hz__call *c, const hz__array *a);

/* Inputs. */
int hz__n_args(const hz__call *c);
bool hz__has(const hz__call *c, int k);                   /* input k is given */
hz_var hz__arg(const hz__call *c, int k);                 /* the inert variable if it is not */
const hz_tensor *hz__arg_value(const hz__call *c, int k); /* an empty tensor if it is not */
int hz__arg_type(const hz__call *c, int k);
bool hz__is_float(const hz__call *c, int k);

/* Input k or, if it is an integer, input k as f64. */
hz_var hz__arg_float(const hz__call *c, int k);

/* Input k is one finite float, and neither a parameter nor a constant: its gradient may be asked for. */
bool hz__varies(const hz__call *c, int k);

/* 0 in value, x in derivative: what is added to an op that takes x's value as a plain number. */
hz_var hz__derivative_of(hz_var x);

/* Outputs; the type is that of the first input kept as y's dtype, or plain. */
bool hz__wants(const hz__call *c, int k);
void hz__give(hz__call *c, int k, hz_var y);
void hz__give_as(hz__call *c, int k, hz_var y, int type);

/* Give y, computed in floats, in the element type of input 0. */
void hz__give_like_arg(hz__call *c, int k, hz_var y);

/* Attributes. */
const Onnx__AttributeProto *hz__attr(const hz__call *c, const char *name);
int64_t hz__attr_int(const hz__call *c, const char *name, int64_t otherwise);
double hz__attr_float(const hz__call *c, const char *name, double otherwise);
bool hz__attr_is(const hz__call *c, const char *name, const char *text, bool otherwise);

/* Integers from an attribute: *n of them, at most `most`. *n = −1 if there is none. False with the tape's error set. */
bool hz__attr_ints(hz__call *c, const char *name, int64_t *out, int most, int *n);

/* The same from input k, or from the attribute where older opsets have it (name NULL: nowhere). */
bool hz__ints(hz__call *c, int k, const char *name, int64_t *out, int most, int *n);

/* Numbers of a tensor of any strides: element i in row-major order, without rounding integers. */
int64_t hz__int_at(const hz_tensor *t, int64_t i);

/* Axes that may be negative, as a mask; n < 0 or 0: none. */
bool hz__axes(hz__call *c, const int64_t *axis, int n, int rank, hz_axes *mask);
bool hz__axis(hz__call *c, int64_t axis, int rank, int *out);

/* A BatchNormalization by given statistics, of whose outputs only the first is asked for. */
bool hz__is_fixed_batch_norm(const hz__call *c);

/* Failures: `Conv "conv1": …`; refusals begin with "unsupported: ". */
hz_var hz__bad(hz__call *c, const char *format, ...) HZ_PRINTF(2, 3);
hz_var hz__refuse(hz__call *c, const char *format, ...) HZ_PRINTF(2, 3);

/* A new i64 leaf with the elements of x, contiguous, to be read and written through hz__i64. */
hz_var hz__to_i64(hz_var x);
int64_t *hz__i64(hz_var x);
hz_var hz__new_i64(hz__call *c, int rank, const int64_t *dim);

/* An i64 leaf as ONNX type `type`, wrapped to its range. */
hz_var hz__from_i64(hz_var x, int type);

/* A constant of x's dtype. */
hz_var hz__number(hz_var x, double value);

/* ---- the tables ---- */

extern const hz__family hz__onnx_activations, hz__onnx_attention, hz__onnx_conv, hz__onnx_grid,
    hz__onnx_index, hz__onnx_linear, hz__onnx_logic, hz__onnx_loss, hz__onnx_math, hz__onnx_norm,
    hz__onnx_pool, hz__onnx_recurrent, hz__onnx_reduce, hz__onnx_resize, hz__onnx_shape;

#endif
