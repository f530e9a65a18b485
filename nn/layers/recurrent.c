/* recurrent.c: what recurrent layers have in common: layers one upon the other, directions, the state. A cell (rnn.c, lstm.c,
 * gru.c) is one step. Start reading at hz__layer_recurrent.
 *
 * The maps of the inputs of all steps are one matrix product; only that of the state is done step by step.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "nn/layers/internal.h"

typedef struct pass {
    hz_net *net;
    const hz__cell *cell;
    const hz_recurrent_layer *o;
    int layers, directions;
    int64_t steps, batch, hidden;
    hz_var *y;      /* the outputs of one direction, one after each step */
    hz_var *h, *c;  /* where each layer and direction begins, then where it ended */
    bool unbatched; /* there is one sequence, and no axis for it */
} pass;

hz_var hz__gates(hz_var all, hz_var h, int first, int count) {
    const hz_tensor *v = hz_value(h);
    const int64_t width = v->dim[v->rank - 1];
    return hz_slice(all, -1, first * width, count * width, 1);
}

/* ---- parameters of one direction of one layer ---- */

typedef struct weights {
    hz_var w_ih, w_hh, b_ih, b_hh;
} weights;

typedef struct parameter_name {
    char s[48];
} parameter_name;

static parameter_name spell(const char *what, int layer, bool reverse) {
    parameter_name name;
    snprintf(name.s, sizeof name.s, "%s_l%d%s", what, layer, reverse ? "_reverse" : "");
    return name;
}

static weights parameters_of(const pass *p, int layer, bool reverse, int64_t in) {
    const int64_t rows = p->cell->gates * p->hidden;
    const double bound = p->hidden > 0 ? 1 / sqrt((double)p->hidden) : 0;
    const hz_initial how = {.kind = HZ_INITIAL_UNIFORM, .a = -bound, .b = bound};
    weights w;
    w.w_ih = hz_param_shaped(p->net, spell("weight_ih", layer, reverse).s, HZ_DIMS(rows, in), &how);
    w.w_hh = hz_param_shaped(p->net, spell("weight_hh", layer, reverse).s, HZ_DIMS(rows, p->hidden), &how);
    w.b_ih = hz__optional(p->net, spell("bias_ih", layer, reverse).s, HZ_DIMS(rows), p->o->no_bias, &how);
    w.b_hh = hz__optional(p->net, spell("bias_hh", layer, reverse).s, HZ_DIMS(rows), p->o->no_bias, &how);
    return w;
}

/* ---- the steps ---- */

/* x (L, N, in) → (L, N, H) */
static hz_var run_direction(const pass *p, int layer, bool reverse, hz_var x) {
    const hz_tensor *v = hz_value(x);
    const weights w = parameters_of(p, layer, reverse, v->dim[2]);
    hz_var *h = &p->h[layer * p->directions + reverse], *c = &p->c[layer * p->directions + reverse];
    hz_var inputs = hz_linear(x, w.w_ih, w.b_ih);
    for (int64_t k = 0; k < p->steps && hz_ok(inputs); k++) {
        const int64_t t = reverse ? p->steps - 1 - k : k;
        p->cell->step(hz_slice(inputs, 0, t, 1, 1), hz_linear(*h, w.w_hh, w.b_hh), h, c);
        if (!hz_ok(*h)) return *h;
        p->y[t] = *h;
    }
    return hz_ok(inputs) ? hz_concat(p->y, (int)p->steps, 0) : inputs;
}

static hz_var run_layer(const pass *p, int layer, hz_var x) {
    hz_var side[2];
    for (int d = 0; d < p->directions; d++) side[d] = run_direction(p, layer, d == 1, x);
    return p->directions == 1 ? side[0] : hz_concat(side, 2, -1);
}

static hz_var run_layers(const pass *p, hz_var x) {
    for (int layer = 0; layer < p->layers && hz_ok(x); layer++) {
        if (layer > 0) x = hz_layer_dropout(p->net, spell("dropout", layer - 1, false).s, x, p->o->dropout);
        x = run_layer(p, layer, x);
    }
    return x;
}

/* ---- the state ---- */

/* given, (layers · directions, N, H), as one (1, N, H) for each; zeros where it is inert or NULL. */
static bool begin_state(const pass *p, hz_tensor like, const char *what, const hz_var *given, hz_var *each) {
    const int n = p->layers * p->directions;
    const int64_t dim[] = {n, p->batch, p->hidden};
    hz_var all = given ? *given : hz_none(p->net->tape);
    if (hz_ok(all) && p->unbatched && hz_value(all)->rank == 2) all = hz_unsqueeze(all, 1);
    const hz_tensor want = hz_tensor_of(NULL, like.dtype, 3, dim);
    if (hz_ok(all) && !hz_same_shape(hz_value(all), &want)) {
        hz_tape_fail(p->net->tape, HZ_ESHAPE, "\"%s\": state %s is %s, but must be %s", p->net->path, what,
                     hz_shape_str(hz_value(all)).s, hz_shape_str(&want).s);
        return false;
    }
    hz_var zeros = hz_ok(all) ? all : hz_full(p->net->tape, like.dtype, HZ_DIMS(1, p->batch, p->hidden), 0);
    for (int k = 0; k < n; k++) each[k] = hz_ok(all) ? hz_slice(all, 0, k, 1, 1) : zeros;
    return hz_tape_ok(p->net->tape, NULL);
}

static void end_state(const pass *p, const hz_var *each, hz_var *wanted) {
    if (!wanted) return;
    *wanted = hz_none(p->net->tape);
    if (!hz_tape_ok(p->net->tape, NULL)) return;
    *wanted = hz_concat(each, p->layers * p->directions, 0);
    if (p->unbatched) *wanted = hz_squeeze(*wanted, HZ_AXIS(1));
}

/* ---- the layer ---- */

/* (L, N, in) from what was given; the inert variable with the reason on the tape if that has another shape. */
static hz_var arrange(pass *p, hz_var x) {
    const hz_tensor *v = hz_value(x);
    p->unbatched = v->rank == 2;
    if (p->unbatched) x = hz_unsqueeze(x, 1);
    if (!p->unbatched && p->o->batch_first && v->rank == 3) x = hz_transpose(x, 0, 1);
    v = hz_value(x);
    if (v->rank != 3 || v->dim[0] < 1 || v->dim[0] > INT32_MAX)
        return hz_tape_fail(p->net->tape, HZ_ESHAPE, "\"%s\": input %s must be %s with at least one step",
                            p->net->path, hz_shape_str(v).s, p->o->batch_first ? "(N, L, in)" : "(L, N, in)");
    p->steps = v->dim[0];
    p->batch = v->dim[1];
    return x;
}

/* H, from the options or from the weights. */
static int64_t hidden_of(const pass *p) {
    if (p->o->hidden) return p->o->hidden;
    hz_var w = hz_param_shaped(p->net, "weight_hh_l0", HZ_DIMS(-1, -1), NULL);
    return hz_ok(w) ? hz_value(w)->dim[1] : -1;
}

static hz_var record(pass *p, hz_var x) {
    x = arrange(p, x);
    if (!hz_ok(x) || (p->hidden = hidden_of(p)) < 0) return hz_none(p->net->tape);
    const int n = p->layers * p->directions;
    hz_tape *t = p->net->tape;
    hz_block *scratch =
        hz_pool_get(hz_tape_exec(t)->pool, ((size_t)p->steps + 2 * (size_t)n) * sizeof(hz_var));
    if (!scratch) return hz_tape_fail(t, HZ_ENOMEM, "\"%s\": out of memory", p->net->path);
    p->y = scratch->data;
    p->h = p->y + p->steps;
    p->c = p->h + n;
    hz_var y = hz_none(t);
    if (begin_state(p, *hz_value(x), "h", p->o->h, p->h) &&
        begin_state(p, *hz_value(x), "c", p->cell->has_c ? p->o->c : NULL, p->c))
        y = run_layers(p, x);
    end_state(p, p->h, p->o->h);
    if (p->cell->has_c) end_state(p, p->c, p->o->c);
    hz_block_unref(scratch);
    return p->unbatched ? hz_squeeze(y, HZ_AXIS(1)) : p->o->batch_first ? hz_transpose(y, 0, 1) : y;
}

hz_var hz__layer_recurrent(hz_net *net, const char *layer, hz_var x, const hz__cell *cell,
                           const hz_recurrent_layer *l) {
    const hz_recurrent_layer o = l ? *l : (hz_recurrent_layer){.hidden = 0};
    pass p = {.net = net,
              .cell = cell,
              .o = &o,
              .layers = o.layers > 0 ? o.layers : 1,
              .directions = o.bidirectional ? 2 : 1};
    if (!hz_ok(x)) return x;
    hz_net_enter(net, layer);
    return hz_net_output(net, layer, record(&p, x));
}
