/* tape.h: the tape, the variables and nodes on it, and how an op is recorded.
 *
 * A tape is the reverse-mode graph: every op that runs is recorded as a node, from the input pixels onward, in
 * the order of running. A variable is a small value {tape, id}; it is valid until the tape is reset, rewound
 * before it, or freed. What an op returns belongs to the tape. Data given to hz_input stays the caller's and
 * must outlive the node.
 *
 * Errors are sticky. The first failure on a tape is kept with its text; the variable returned then, and by every
 * op that is given it, is the inert one (id 0). Record a whole network, then ask once: hz_tape_ok(t, &err).
 * The library never aborts, exits or prints.
 *
 * A tape belongs to one thread at a time; different tapes are independent.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_AUTOGRAD_TAPE_H
#define HZ_AUTOGRAD_TAPE_H

#include "tensor/box.h"
#include "tensor/exec.h"
#include "tensor/memory.h"
#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hz_tape hz_tape;
typedef struct hz_op hz_op;
typedef struct hz_node hz_node;
typedef struct hz_rule hz_rule;

typedef struct hz_var {
    hz_tape *tape;
    uint32_t id; /* 0: the inert variable, "nothing here" */
} hz_var;

/* One recorded op. Read-only for ops and rules; pointers stay valid while the node does. */
struct hz_node {
    const hz_op *op;     /* which op; its identity is this address */
    hz_tape *tape;       /* the tape the node is on */
    const hz_var *in;    /* the inputs, in the op's order */
    const void *attr;    /* the op's attributes (op->attr_size bytes), NULL if it has none */
    const hz_rule *rule; /* inside a rule's vjp: that rule (for its ctx); otherwise NULL */
    const char *name;    /* given by hz_name, or NULL */
    uint32_t id;         /* position on the tape; inputs have smaller ids */
    int32_t n_in;        /* how many inputs */
    hz_var out;          /* the node's own output, for vjps written in terms of it */
    hz_tensor value;     /* the output's value */
    hz_block *block;     /* private: memory behind value; NULL when the caller owns it */
};

/* ---- life of a tape ---- */

typedef struct hz_tape_opts {
    int threads;               /* threads of the kernels; 0: OMP_NUM_THREADS or all cores */
    hz_isa isa;                /* HZ_ISA_AUTO: best of the machine; lower to compare kernels */
    const hz_allocator *alloc; /* NULL: malloc; copied */
    /* Compute forward convolutions of 3 × 3 and 5 × 5, too, by Winograd's algorithm, as gradients are in any case: about twice as
     * fast, but exact to 1e-5 of a layer's range only instead of 1e-6. That is enough to switch a ReLU that stands at
     * zero by chance, and with it the gradient of whatever lies above. */
    bool winograd;
} hz_tape_opts;

/* NULL opts: defaults. NULL only when out of memory. */
hz_tape *hz_tape_new(const hz_tape_opts *opts);
void hz_tape_free(hz_tape *t); /* NULL is legal */

/* Forget every node, name and error; memory stays with the tape for the next step. Every variable of the tape
 * becomes invalid. */
void hz_tape_reset(hz_tape *t);

typedef struct hz_mark {
    uint32_t nodes, names, scope;
    hz_arena_mark arena;
} hz_mark;

/* hz_tape_rewind forgets what was recorded after hz_tape_mark, names included. An error stays. */
hz_mark hz_tape_mark(const hz_tape *t);
void hz_tape_rewind(hz_tape *t, hz_mark mark);

/* ---- errors ---- */

/* True while nothing has failed; otherwise copies the first failure into *err (may be NULL). */
bool hz_tape_ok(const hz_tape *t, hz_error *err);
void hz_tape_clear_error(hz_tape *t);

/* Record a failure (only the first is kept) and return the inert variable. For ops and rules:
 * `return hz_tape_fail(t, HZ_EINVAL, "…");`. */
hz_var hz_tape_fail(hz_tape *t, hz_code code, const char *format, ...) HZ_PRINTF(3, 4);

/* ---- leaves: variables that no op made ---- */

hz_var hz_none(hz_tape *t); /* the inert variable; from a vjp: "this input has no gradient" */

/* Borrow *value (any strides). The data must outlive the node and must not change while it is on the tape. */
hz_var hz_input(hz_tape *t, const hz_tensor *value);

/* Copy *value into memory of the tape. */
hz_var hz_copy_in(hz_tape *t, const hz_tensor *value);

/* A tensor of dim[0..rank) with every element = fill. */
hz_var hz_full(hz_tape *t, hz_dtype dtype, int rank, const int64_t *dim, double fill);
hz_var hz_scalar(hz_tape *t, hz_dtype dtype, double value); /* rank 0 */

/* The same value, cut off from what made it: no gradient passes. */
hz_var hz_detach(hz_var x);

/* ---- looking at variables ---- */

bool hz_ok(hz_var x);                /* x is not inert */
const hz_node *hz_node_of(hz_var x); /* NULL for the inert variable */
const hz_tensor *hz_value(hz_var x); /* the inert variable has an empty f32 tensor of rank 1 */
double hz_item(hz_var x);            /* the only element of x; records HZ_ESHAPE and gives NaN otherwise */
uint32_t hz_tape_size(const hz_tape *t); /* nodes are 1 … size−1; hz_at(t, id) gives them */
hz_var hz_at(hz_tape *t, uint32_t id);
const hz_exec *hz_tape_exec(hz_tape *t);       /* how this tape runs kernels */
const hz_pool *hz_tape_pool(const hz_tape *t); /* for hz_pool_get_stats */

/* ---- names ---- */

/* Give x a name (copied), inside the current scope: scope "fire2", name "squeeze1x1" → "fire2.squeeze1x1".
 * Returns x. A variable may have several names; the last given is shown, all are found. */
hz_var hz_name(hz_var x, const char *name);
hz_var hz_namef(hz_var x, const char *format, ...) HZ_PRINTF(2, 3);

/* Name what is not on the tape yet: whoever looks the name up first has make(t, data) record it. For values that a network
 * can do without, but somebody may ask for. data, size bytes, is copied. What a rewind takes away is made again. */
typedef hz_var (*hz_make_fn)(hz_tape *t, const void *data);
void hz_name_later(hz_tape *t, const char *name, hz_make_fn make, const void *data, size_t size);

/* Scopes nest; what was pushed is popped under the same name. An error of an op recorded inside names the scope;
 * hz_name(x, "") gives x the name of the scope itself. */
void hz_scope_push(hz_tape *t, const char *name);
void hz_scope_pop(hz_tape *t, const char *name);

/* The variable of that name, the latest if several; '.' and '/' are the same. Records HZ_ENOTFOUND, with the
 * nearest names, and returns the inert variable if there is none. hz_lookup records no error. */
hz_var hz_find(hz_tape *t, const char *name);
hz_var hz_lookup(hz_tape *t, const char *name);

/* All names in the order given: name number k (0 …) and its variable; NULL past the end. */
const char *hz_tape_name(hz_tape *t, uint32_t k, hz_var *x);

/* Does the whole name fit the pattern of *, ? and [sets]? '.' and '/' are the same. */
bool hz_glob(const char *pattern, const char *name);

/* 'relu "fire2.relu"' or 'relu #17': how errors speak of a node. */
typedef struct hz_node_text {
    char s[128];
} hz_node_text;
hz_node_text hz_node_str(const hz_node *n);

/* ---- ops ---- */

typedef hz_var (*hz_vjp_fn)(const hz_node *n, int i, hz_var dy);

enum {
    HZ_VARIADIC = -1,         /* hz_op.n_in: any number of inputs ≥ 1 */
    HZ_OP_POINTWISE = 1 << 0, /* out[k] depends on in[·][k] alone, inputs broadcast; same under any crop */
    HZ_OP_VIEW = 1 << 1,  /* shape() may point value.data into input 0: then nothing is computed or copied */
    HZ_OP_KINKS = 1 << 2, /* has no second derivative worth checking (piecewise linear, max, …) */
    HZ_OP_PART = 1 << 3   /* reads only a part of its input: the cotangent is zero elsewhere (slice) */
};

/* Everything the tape knows of an op. Its identity is the address of this struct; a user's op has equal rights.
 * One op lives in one file, as `const hz_op hz_op_name`. */
struct hz_op {
    const char *name; /* as in errors and dumps: "conv2d" */
    int n_in;         /* inputs, or HZ_VARIADIC */
    unsigned flags;   /* HZ_OP_… */
    size_t attr_size; /* bytes of attributes copied onto the tape; 0: none. Plain data, no pointers. */

    /* Check the inputs (n->in, n->attr; n->value is not yet there) and set *out: dtype, rank, dim. Strides are
     * filled in by the tape. A HZ_OP_VIEW op may set data and stride, too. False with *err filled otherwise; the
     * tape puts the node's name in front of the text. */
    bool (*shape)(const hz_node *n, hz_tensor *out, hz_error *err);

    /* Write n->value (allocated, contiguous). False with *err filled on failure, such as no scratch memory. */
    bool (*forward)(const hz_node *n, const hz_exec *ex, hz_error *err);

    /* The cotangent of input i, shape and dtype of that input, given dy, the cotangent of the output. Written in
     * ops, so that it can be differentiated again. hz_none(n->tape): input i has no gradient. NULL: none has. */
    hz_vjp_fn vjp;

    /* In place of a vjp: record, on n->tape, what the op stands for, from n->in to a variable of n's shape and dtype, in
     * other ops. A gradient passes through these, and so do rules, support boxes and whatever else follows it. */
    hz_var (*expand)(const hz_node *n);

    /* Geometry, for support boxes and receptive fields. Not needed by HZ_OP_POINTWISE ops; NULL: every output
     * may depend on every input.
     * reach: *in becomes the box of input i that the outputs in *out depend on. Pure arithmetic on positions: it
     * may reach outside the input (padding), and *out may reach outside the output. False: the whole input.
     * crop: the attributes of the same op restricted to outputs *out, whose inputs are cropped to in[0 … n_in)
     * (each clipped to its input). *attr holds a copy of n->attr to be changed. False: cannot be restricted.
     * NULL: the attributes stay as they are. */
    bool (*reach)(const hz_node *n, int i, const hz_box *out, hz_box *in);
    bool (*crop)(const hz_node *n, const hz_box *out, const hz_box *in, void *attr);

    /* Inputs for gradient checks and for the tests that loop over all ops. */
    const struct hz_sample *samples;
    int n_samples;
};

/* Record op on its inputs: check, allocate, run, append. attr: op->attr_size bytes, copied. Returns the output,
 * or the inert variable if an input is inert or something failed. */
hz_var hz_apply(const hz_op *op, const hz_var *in, int n_in, const void *attr);

/* The same for an op without inputs (n_in = 0): on tape t. */
hz_var hz_apply0(const hz_op *op, hz_tape *t, const void *attr);

static inline hz_var hz_apply1(const hz_op *op, hz_var a, const void *attr) {
    return hz_apply(op, &a, 1, attr);
}
static inline hz_var hz_apply2(const hz_op *op, hz_var a, hz_var b, const void *attr) {
    const hz_var in[2] = {a, b};
    return hz_apply(op, in, 2, attr);
}
static inline hz_var hz_apply3(const hz_op *op, hz_var a, hz_var b, hz_var c, const void *attr) {
    const hz_var in[3] = {a, b, c};
    return hz_apply(op, in, 3, attr);
}

/* Inside shape() and forward(): value of input i. */
static inline const hz_tensor *hz_in(const hz_node *n, int i) {
    return hz_value(n->in[i]);
}

/* The ops that autograd itself owns; one more in recompute.h. */
extern const hz_op hz_op_leaf;           /* hz_input, hz_full, …: no inputs */
extern const hz_op hz_op_detach;         /* hz_detach */
extern const hz_op hz_op_add_n;          /* the sum over paths */
hz_var hz_add_n(const hz_var *x, int n); /* elementwise sum of n ≥ 1 variables of one shape and dtype */

/* Shape rules that many ops share. */
bool hz_shape_same(const hz_node *n, hz_tensor *out, hz_error *err);  /* that of input 0, any dtype */
bool hz_shape_float(const hz_node *n, hz_tensor *out, hz_error *err); /* that of input 0, f32 or f64 */
bool hz_shape_broadcast(const hz_node *n, hz_tensor *out,
                        hz_error *err); /* all inputs broadcast, one dtype */

/* ---- samples: what an op brings to its own gradient check ---- */

enum { HZ_SAMPLE_INPUTS = 6 };

typedef struct hz_sample_input {
    int rank;
    int64_t dim[HZ_MAX_RANK];
    hz_dtype dtype; /* HZ_F32 (the zero default) stands for "the dtype under test"; HZ_I64, … : as given */
    double lo, hi;  /* values lie in [lo, hi]; both 0: [−2, 2]. Integers: lo … hi inclusive */
    double kink[3]; /* with n_kinks > 0: values keep at least `margin` away from these */
    int n_kinks;
    double margin; /* 0: 0.05 */
    bool distinct; /* all values differ by at least `margin` from each other (max, sort, pooling) */
} hz_sample_input;

typedef struct hz_sample {
    const char *label; /* "stride 2, SAME padding" */
    int n_in;
    hz_sample_input in[HZ_SAMPLE_INPUTS];
    hz_var (*call)(hz_tape *t, const hz_var *x); /* run the op through its public function */
    bool first_order_only; /* this sample has no useful second derivative (or none at all) */
} hz_sample;

#ifdef __cplusplus
}
#endif
#endif
