/* recurrent.c: RNN, GRU and LSTM, unrolled over time: one set of nodes per step, so that every gate of every step is on
 * the tape.
 *
 * Notation as in the ONNX specification: X (time, batch, input), W and R the weights of input and state, gates in the
 * order of the file: (z, r, h) for GRU, (i, o, f, c) for LSTM.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "nn/onnx/internal.h"

/* ---- activation functions, by name ---- */

typedef struct activation {
    const char *name;
    hz_var (*f)(hz_var x, double alpha, double beta);
    double alpha, beta; /* unless the node says otherwise */
} activation;

static hz_var a_relu(hz_var x, double a, double b) {
    (void)a, (void)b;
    return hz_relu(x);
}

static hz_var a_tanh(hz_var x, double a, double b) {
    (void)a, (void)b;
    return hz_tanh(x);
}

static hz_var a_sigmoid(hz_var x, double a, double b) {
    (void)a, (void)b;
    return hz_sigmoid(x);
}

static hz_var a_affine(hz_var x, double a, double b) {
    return hz_affine(x, a, b);
}

static hz_var a_leaky_relu(hz_var x, double a, double b) {
    (void)b;
    return hz_leaky_relu(x, a);
}

static hz_var a_scaled_tanh(hz_var x, double a, double b) {
    return hz_scale(hz_tanh(hz_scale(x, b)), a);
}

static hz_var a_hard_sigmoid(hz_var x, double a, double b) {
    return hz_hard_sigmoid(x, a, b);
}

static hz_var a_elu(hz_var x, double a, double b) {
    (void)b;
    return hz_elu(x, a);
}

static hz_var a_softsign(hz_var x, double a, double b) {
    (void)a, (void)b;
    return hz_div(x, hz_add_scalar(hz_abs(x), 1));
}

static hz_var a_softplus(hz_var x, double a, double b) {
    (void)a, (void)b;
    return hz_softplus(x, 1);
}

static const activation activations[] = {
    {"Relu", a_relu, 0, 0},
    {"Tanh", a_tanh, 0, 0},
    {"Sigmoid", a_sigmoid, 0, 0},
    {"Affine", a_affine, 1, 0},
    {"LeakyRelu", a_leaky_relu, 0.01, 0},
    {"ScaledTanh", a_scaled_tanh, 1, 1},
    {"HardSigmoid", a_hard_sigmoid, 0.2, 0.5},
    {"Elu", a_elu, 1, 0},
    {"Softsign", a_softsign, 0, 0},
    {"Softplus", a_softplus, 0, 0},
};

enum { MOST_FUNCTIONS = 3 };

static const activation *activation_named(const char *name, size_t n) {
    for (int k = 0; k < HZ__COUNT(activations); k++)
        if (strlen(activations[k].name) == n && strncasecmp(activations[k].name, name, n) == 0)
            return &activations[k];
    return NULL;
}

/* ---- one direction of a layer ---- */

typedef struct cell cell;
typedef void (*step_fn)(hz__call *c, const cell *l, hz_var x, hz_var *h, hz_var *state);

struct cell {
    hz_var wt, rt;   /* (input, gates·H), (H, gates·H) */
    hz_var wb, rb;   /* (gates·H) each, or none */
    hz_var peephole; /* (3·H): i, o, f; or none */
    int64_t batch, hidden;
    int gates;
    double clip; /* 0: none */
    activation f[MOST_FUNCTIONS];
    bool linear_before_reset, input_forget;
};

/* Function k on what comes into it, clipped first. */
static hz_var apply(const cell *l, int k, hz_var x) {
    if (l->clip > 0) x = hz_clip(x, -l->clip, l->clip);
    return l->f[k].f(x, l->f[k].alpha, l->f[k].beta);
}

static hz_var plus(hz_var x, hz_var b) {
    return b.id ? hz_add(x, b) : x;
}

/* Gate k of (batch, gates·H), or of a vector of gates. */
static hz_var gate(const cell *l, hz_var all, int k) {
    return hz_slice(all, -1, k * l->hidden, l->hidden, 1);
}

/* h′ = f(x·Wᵀ + h·Rᵀ + b) */
static void rnn_step(hz__call *c, const cell *l, hz_var x, hz_var *h, hz_var *state) {
    (void)c, (void)state;
    *h = apply(l, 0, hz_add(plus(x, l->wb), plus(hz_matmul(*h, l->rt), l->rb)));
}

/* z = f(…), r = f(…), h~ = g(x·Whᵀ + (r∘h)·Rhᵀ + b) or g(x·Whᵀ + r∘(h·Rhᵀ + Rbh) + Wbh), h′ = (1−z)∘h~ + z∘h */
static void gru_step(hz__call *c, const cell *l, hz_var x, hz_var *h, hz_var *state) {
    (void)c, (void)state;
    hz_var input = plus(x, l->wb), recurrent = plus(hz_matmul(*h, l->rt), l->rb);
    hz_var z = apply(l, 0, hz_add(gate(l, input, 0), gate(l, recurrent, 0)));
    hz_var r = apply(l, 0, hz_add(gate(l, input, 1), gate(l, recurrent, 1)));
    hz_var candidate;
    if (l->linear_before_reset)
        candidate = hz_mul(r, gate(l, recurrent, 2));
    else {
        candidate = hz_matmul(hz_mul(r, *h), gate(l, l->rt, 2));
        if (l->rb.id) candidate = hz_add(candidate, gate(l, l->rb, 2));
    }
    candidate = apply(l, 1, hz_add(gate(l, input, 2), candidate));
    *h = hz_add(hz_mul(hz_affine(z, -1, 1), candidate), hz_mul(z, *h));
}

static hz_var peep(const cell *l, hz_var x, int k, hz_var state) {
    return l->peephole.id ? hz_add(x, hz_mul(gate(l, l->peephole, k), state)) : x;
}

/* i, f, c~, c′ = f∘c + i∘c~, o, h′ = o∘h(c′) */
static void lstm_step(hz__call *c, const cell *l, hz_var x, hz_var *h, hz_var *state) {
    (void)c;
    hz_var all = hz_add(plus(x, l->wb), plus(hz_matmul(*h, l->rt), l->rb));
    hz_var i = apply(l, 0, peep(l, gate(l, all, 0), 0, *state));
    hz_var f = l->input_forget ? hz_affine(i, -1, 1) : apply(l, 0, peep(l, gate(l, all, 2), 2, *state));
    hz_var next = hz_add(hz_mul(f, *state), hz_mul(i, apply(l, 1, gate(l, all, 3))));
    hz_var o = apply(l, 0, peep(l, gate(l, all, 1), 1, next));
    *h = hz_mul(o, l->f[2].f(next, l->f[2].alpha, l->f[2].beta));
    *state = next;
}

typedef struct kind {
    step_fn step;
    int gates, functions;
    const char *usual[MOST_FUNCTIONS];
} kind;

enum { RNN, GRU, LSTM };

static const kind kinds[] = {
    [RNN] = {rnn_step, 1, 1, {"Tanh"}},
    [GRU] = {gru_step, 3, 2, {"Sigmoid", "Tanh"}},
    [LSTM] = {lstm_step, 4, 3, {"Sigmoid", "Tanh", "Tanh"}},
};

/* ---- the layer ---- */

typedef struct layer {
    const kind *kind;
    int64_t time, batch, input, hidden, directions;
    bool batch_first;
    hz_var x;       /* (time, batch, input) */
    hz_var lengths; /* i64 (batch), or none */
} layer;

static bool read_layer(hz__call *c, layer *l) {
    const hz_tensor *r = hz__arg_value(c, 2), *w = hz__arg_value(c, 1);
    *l = (layer){.kind = &kinds[c->mapping->kind],
                 .batch_first = hz__attr_int(c, "layout", 0) != 0,
                 .directions = hz__attr_is(c, "direction", "bidirectional", false) ? 2 : 1,
                 .x = hz__arg(c, 0),
                 .lengths = hz_none(c->t)};
    bool fits = hz_value(l->x)->rank == 3 && w->rank == 3 && r->rank == 3 && w->dim[0] == l->directions &&
                r->dim[0] == l->directions && r->dim[1] == l->kind->gates * r->dim[2] &&
                w->dim[1] == r->dim[1];
    if (fits && l->batch_first) l->x = hz_transpose(l->x, 0, 1);
    const hz_tensor *x = hz_value(l->x);
    if (!fits || x->dim[2] != w->dim[2]) {
        hz__bad(c, "input %s, weights %s and %s", hz_shape_str(x).s, hz_shape_str(w).s, hz_shape_str(r).s);
        return false;
    }
    l->time = x->dim[0], l->batch = x->dim[1], l->input = x->dim[2], l->hidden = r->dim[2];
    if (!hz__has(c, 4)) return true;
    l->lengths = hz__to_i64(hz__arg(c, 4));
    return hz_ok(l->lengths) &&
           (hz_numel(hz_value(l->lengths)) == l->batch || (hz__bad(c, "sequence lengths"), false));
}

/* Functions d·n … of the lists that the attributes hold, for direction d. */
static bool read_functions(hz__call *c, const kind *k, int d, cell *l) {
    const Onnx__AttributeProto *names = hz__attr(c, "activations"), *alpha = hz__attr(c, "activation_alpha"),
                               *beta = hz__attr(c, "activation_beta");
    for (int f = 0; f < k->functions; f++) {
        size_t at = (size_t)(d * k->functions + f);
        const activation *a;
        if (!names || names->n_strings == 0)
            a = activation_named(k->usual[f], strlen(k->usual[f]));
        else
            a = at < names->n_strings
                    ? activation_named((const char *)names->strings[at].data, names->strings[at].len)
                    : NULL;
        if (!a) {
            hz__refuse(c, "with this activation function");
            return false;
        }
        l->f[f] = *a;
        if (alpha && at < alpha->n_floats) l->f[f].alpha = (double)alpha->floats[at];
        if (beta && at < beta->n_floats) l->f[f].beta = (double)beta->floats[at];
    }
    return true;
}

/* Entry d of the first axis, dropped. */
static hz_var direction(hz_var all, int d) {
    hz_var x = hz_slice(all, 0, d, 1, 1);
    return hz_ok(x) ? hz_squeeze(x, HZ_AXIS(0)) : x;
}

static bool read_cell(hz__call *c, const layer *l, int d, cell *out) {
    *out = (cell){.batch = l->batch,
                  .hidden = l->hidden,
                  .gates = l->kind->gates,
                  .clip = hz__attr_float(c, "clip", 0),
                  .linear_before_reset = hz__attr_int(c, "linear_before_reset", 0) != 0,
                  .input_forget = hz__attr_int(c, "input_forget", 0) != 0};
    int64_t width = out->gates * out->hidden;
    out->wt = hz_transpose(direction(hz__arg(c, 1), d), 0, 1);
    out->rt = hz_transpose(direction(hz__arg(c, 2), d), 0, 1);
    out->wb = out->rb = out->peephole = hz_none(c->t);
    if (hz__has(c, 3)) {
        hz_var b = direction(hz__arg(c, 3), d);
        out->wb = hz_slice(b, 0, 0, width, 1);
        out->rb = hz_slice(b, 0, width, width, 1);
    }
    if (l->kind == &kinds[LSTM] && hz__has(c, 7)) out->peephole = direction(hz__arg(c, 7), d);
    return read_functions(c, l->kind, d, out);
}

/* The initial state of direction d from input k, or zeros: (batch, H). */
static hz_var initial(hz__call *c, const layer *l, int k, int d) {
    if (!hz__has(c, k)) return hz_full(c->t, hz_value(l->x)->dtype, HZ_DIMS(l->batch, l->hidden), 0);
    hz_var all = hz__arg(c, k);
    return direction(l->batch_first ? hz_transpose(all, 0, 1) : all, d);
}

/* Which sequences are still running at step t: u8 (batch, 1). */
static hz_var running(hz__call *c, const layer *l, int64_t t) {
    hz_var on = hz_full(c->t, HZ_U8, HZ_DIMS(l->batch, 1), 0);
    for (int64_t b = 0; hz_ok(on) && b < l->batch; b++)
        ((uint8_t *)hz_value(on)->data)[b] = t < hz__i64(l->lengths)[b];
    return on;
}

/* The outputs of one direction: y[t] (batch, H), and the last state and cell. */
static bool run_direction(hz__call *c, const layer *l, int d, bool reverse, hz_var *y, hz_var *h,
                          hz_var *state) {
    cell unit;
    if (!read_cell(c, l, d, &unit)) return false;
    *h = initial(c, l, 5, d);
    *state = l->kind == &kinds[LSTM] ? initial(c, l, 6, d) : *h;
    hz_var gates = hz_matmul(l->x, unit.wt); /* all steps at once: (time, batch, gates·H) */
    for (int64_t k = 0; k < l->time && hz_tape_ok(c->t, NULL); k++) {
        int64_t t = reverse ? l->time - 1 - k : k;
        hz_var now = *h, memory = *state;
        l->kind->step(c, &unit, direction(gates, (int)t), &now, &memory);
        y[t] = now;
        if (l->lengths.id) {
            hz_var on = running(c, l, t);
            y[t] = hz_where(on, now, hz__number(now, 0));
            now = hz_where(on, now, *h);
            memory = hz_where(on, memory, *state);
        }
        *h = now, *state = memory;
    }
    return hz_tape_ok(c->t, NULL);
}

/* Y (time, directions, batch, H), Y_h and Y_c (directions, batch, H); with layout 1 the batch comes first. */
static void give_outputs(hz__call *c, const layer *l, const hz_var *y, const hz_var *h, const hz_var *state) {
    int n = (int)l->directions;
    hz_var each[2];
    for (int d = 0; d < n; d++) each[d] = hz_stack(y + d * l->time, (int)l->time, 0);
    hz_var all = hz_stack(each, n, 1), last = hz_stack(h, n, 0), memory = hz_stack(state, n, 0);
    if (l->batch_first) {
        all = hz_permute(all, (const int[]){2, 0, 1, 3});
        last = hz_transpose(last, 0, 1);
        memory = hz_transpose(memory, 0, 1);
    }
    hz__give(c, 0, all);
    hz__give(c, 1, last);
    if (l->kind == &kinds[LSTM]) hz__give(c, 2, memory);
}

static void recurrent(hz__call *c) {
    layer l;
    hz_var h[2], state[2];
    bool reverse = hz__attr_is(c, "direction", "reverse", false), ok = true;
    if (!read_layer(c, &l)) return;
    if (l.time < 1 || l.time > INT16_MAX) {
        hz__refuse(c, "over %" PRId64 " steps", l.time);
        return;
    }
    hz_var *y = hz_alloc(&c->model->alloc, (size_t)(2 * l.time) * sizeof *y);
    if (!y) hz_tape_fail(c->t, HZ_ENOMEM, "out of memory");
    for (int d = 0; y && ok && d < l.directions; d++)
        ok = run_direction(c, &l, d, reverse || d == 1, y + d * l.time, &h[d], &state[d]);
    if (y && ok) give_outputs(c, &l, y, h, state);
    hz_free(&c->model->alloc, y);
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"RNN", .since = 7, .need = 3, .run = recurrent, .kind = RNN},
    {"GRU", .since = 7, .need = 3, .run = recurrent, .kind = GRU},
    {"LSTM", .since = 7, .need = 3, .run = recurrent, .kind = LSTM},
};

const hz__family hz__onnx_recurrent = {mappings, HZ__COUNT(mappings)};
