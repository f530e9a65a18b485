/* write.h: what the files of nn/onnx/write/ share: the graph while it is made, and what the form of an op is.
 *
 * A form says one op of ops/ops.h in ONNX's: a function and a line of its family's table,
 *
 *   static hz__wire *rsqrt(hz__writer *w) { return hz__emit1(w, "Reciprocal", hz__emit1(w, "Sqrt", w->in[0])); }
 *   {&hz_op_rsqrt, .write = rsqrt},
 *
 * Where memory runs out the functions here return a wire that stands for nothing, and w->exhausted says so.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_ONNX_WRITE_WRITE_H
#define HZ_NN_ONNX_WRITE_WRITE_H

#include "nn/onnx/internal.h"
#include "ops/attr.h"

enum {
    HZ__OPSET = 17, /* the newest that Debian 12's onnx knows */
    HZ__IR_VERSION = 8,
    HZ__BOOL = ONNX__TENSOR_PROTO__DATA_TYPE__BOOL,
    HZ__INT64 = ONNX__TENSOR_PROTO__DATA_TYPE__INT64,
    HZ__EMIT_MOST = 4 /* inputs of a node emitted by the functions below, besides hz__emit_list */
};

/* ---- the graph while it is made ---- */

/* A value of the ONNX graph. */
typedef struct hz__wire {
    const char *name;
    int type;  /* ONNX element type */
    bool made; /* by a node, not an input or a parameter */
} hz__wire;

typedef struct hz__emitted {
    const char *type; /* "Conv" */
    hz__wire **in;    /* NULL: left out */
    hz__wire *out[2];
    int n_in, n_out, n_attributes;
    Onnx__AttributeProto *attribute[8];
    struct hz__emitted *next;
} hz__emitted;

/* A parameter or a constant: a wire and its elements, of any strides. */
typedef struct hz__constant {
    hz__wire *wire;
    hz_tensor value;
    struct hz__constant *next;
} hz__constant;

/* How an extent follows the batch: extent `axis` of a value is `factor` times the batch's size. axis −1: none does. */
typedef struct hz__follows {
    int axis;
    int64_t factor;
} hz__follows;

typedef struct hz__form hz__form;

typedef struct hz__writer {
    const hz_var *input, *output;
    int n_inputs, n_outputs;
    const hz_onnx_save_opts *opts;
    hz_tape *t;
    hz_arena arena;
    bool exhausted;

    /* for each node of the tape */
    uint32_t size;
    bool *needed;         /* by the outputs, and not cut off by an input */
    int *declared;        /* 1 + the number of the declared input it is, or 0 */
    const char **label;   /* the name it is written under */
    hz__wire **value;     /* its value */
    hz__follows *follows; /* with a batch of any size */
    int64_t batch;        /* the batch's size while recording; 0: extents are fixed */

    /* names in use: an open-addressed set */
    const char **taken;
    size_t n_taken, taken_capacity;

    /* other names of nodes, the latest first */
    struct hz__alias *aliases;

    /* what has been made */
    hz__emitted *first, *last;
    hz__constant *constants, *last_constant;
    hz__wire **result; /* of each output */
    hz__wire *batch_size, nothing;

    /* the node being written */
    const hz_node *n;
    const hz__form *form;
    hz__wire **in;
} hz__writer;

/* ---- forms ---- */

struct hz__form {
    const hz_op *op;
    hz__wire *(*write)(hz__writer *w);
    const char *type; /* for functions that serve several ops */
    double a, b;
};

typedef struct hz__forms {
    const hz__form *form;
    int n;
} hz__forms;

extern const hz__forms hz__write_activations, hz__write_index, hz__write_linear, hz__write_math,
    hz__write_pool, hz__write_reduce, hz__write_shape;

/* ---- emitting (graph.c) ---- */

/* Memory that lives as long as the writer; zeroed. */
void *hz__keep(hz__writer *w, size_t count, size_t size);

/* A node with n inputs (NULL: left out), after all others; its output has the type of the first unless given. */
hz__wire *hz__emit_list(hz__writer *w, const char *op, hz__wire *const *in, int n);
hz__wire *hz__emit1(hz__writer *w, const char *op, hz__wire *x);
hz__wire *hz__emit2(hz__writer *w, const char *op, hz__wire *x, hz__wire *y);
hz__wire *hz__emit3(hz__writer *w, const char *op, hz__wire *x, hz__wire *y, hz__wire *z);
hz__wire *hz__of_type(hz__wire *x, int type); /* x, said to be of that type */

/* One more output of the node emitted last. */
hz__wire *hz__second_output(hz__writer *w, int type);

/* Attributes of the node emitted last. */
void hz__with_int(hz__writer *w, const char *name, int64_t value);
void hz__with_ints(hz__writer *w, const char *name, const int64_t *value, int n);
void hz__with_float(hz__writer *w, const char *name, double value);
void hz__with_text(hz__writer *w, const char *name, const char *value);
void hz__with_tensor(hz__writer *w, const char *name, int type, double value); /* [value] */

/* Constants. Tables are given in f64 and kept in `type`. */
hz__wire *hz__scalar(hz__writer *w, int type, double value); /* rank 0 */
hz__wire *hz__ints_of(hz__writer *w, const int64_t *value, int n);
hz__wire *hz__table(hz__writer *w, int type, int rank, const int64_t *dim, const double *value);
hz__wire *hz__parameter(hz__writer *w, const char *name, const hz_tensor *value);

/* Pieces that many forms are made of. */
hz__wire *hz__scaled(hz__writer *w, hz__wire *x, double a);  /* a·x */
hz__wire *hz__shifted(hz__writer *w, hz__wire *x, double b); /* x + b */
hz__wire *hz__product(hz__writer *w, hz__wire *x, hz__wire *y);
hz__wire *hz__cast(hz__writer *w, hz__wire *x, int type); /* x itself if it is of that type */
hz__wire *hz__plain(hz__writer *w, hz__wire *x);          /* a truth value as a number */
hz__wire *hz__choose(hz__writer *w, hz__wire *where, hz__wire *x, hz__wire *y);
hz__wire *hz__positive(hz__writer *w, hz__wire *x); /* x > 0, a truth value */
hz__wire *hz__reshaped(hz__writer *w, hz__wire *x, int rank, const int64_t *dim, hz__follows f);
hz__wire *hz__permuted(hz__writer *w, hz__wire *x, const int64_t *axis, int rank);
hz__wire *hz__reduced(hz__writer *w, const char *op, hz__wire *x, hz_axes axes, int rank, bool keep);
hz__wire *hz__zeros(hz__writer *w, hz__wire *shape, int type);
hz__wire *hz__shape_vector(hz__writer *w, int rank, const int64_t *dim, hz__follows f);
hz__wire *hz__padded(hz__writer *w, hz__wire *x, int rank, const int64_t *before, const int64_t *after,
                     double value);
hz__wire *hz__summed_to(hz__writer *w, hz__wire *x, const hz_tensor *from, const hz_tensor *to);
hz__wire *hz__sliced(hz__writer *w, hz__wire *x, const int64_t *axis, const int64_t *start,
                     const int64_t *end, int n);
hz__wire *hz__added_along(hz__writer *w, hz__wire *index, hz__wire *src, hz__wire *shape, int axis);

/* Whether ONNX's attributes, which are f32, hold v exactly enough for the node's dtype. */
bool hz__attr_holds(const hz__writer *w, double v);

/* The node being written: input i, its own value, their extents that follow the batch. */
const hz_tensor *hz__in_value(const hz__writer *w, int i);
const hz_tensor *hz__out_value(const hz__writer *w);
hz__follows hz__in_follows(const hz__writer *w, int i);
hz__follows hz__out_follows(const hz__writer *w);
int hz__float_type(const hz__writer *w); /* of its value */

/* Whether axis k of rank is among the axes; all of them as a mask without negative ones. */
hz_axes hz__axes_mask(hz_axes axes, int rank);

extern const hz__follows hz__fixed;

/* ---- steps ---- */

/* names.c: a label for every needed node; name itself, or with a number behind it, not in use before. */
bool hz__label_nodes(hz__writer *w);
const char *hz__unused_name(hz__writer *w, const char *name);

typedef struct hz__alias {
    uint32_t id;
    const char *name;
    struct hz__alias *next;
} hz__alias;

/* batch.c: what follows the batch, by the ops' own shape rules for a batch of one more. */
bool hz__follow_batch(hz__writer *w, hz_error *err);

/* pack.c: the message, in w's memory; NULL when that ran out. */
Onnx__ModelProto *hz__model_proto(hz__writer *w);

#endif
