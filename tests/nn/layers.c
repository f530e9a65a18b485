/* layers.c: what layers_oracle.py compares with PyTorch: one layer, forward and backward. To add a layer, write a function
 * and its line in the table.
 *
 *   layers OPTIONS IN OUT STATE
 *
 * OPTIONS is a layer and its numbers, "conv2d out=6 kernel=3,2"; train=1: in training. The safetensors file IN has the
 * inputs "x0", "x1", …, cotangents "dy0", … of the outputs and, as "state.layer.weight", a state dictionary, which must fit
 * strictly; without one the layer has its first values, of seed=…. OUT gets the outputs "y0", …, and of Σ y·dy the
 * gradients "dx0", … in float inputs and "d.layer.weight", …. STATE gets the state dictionary as it is afterwards.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "nn/hzero.h"
#include "options.h"

enum { INPUTS = 5, OUTPUTS = 4, RESULTS = 128 };

/* ---- the layers ---- */

static void pair(const char *o, const char *key, int64_t value[2]) {
    const char *text = option_text(o, key), *comma = text ? strpbrk(text, ", ") : NULL;
    value[0] = option_int(o, key);
    value[1] = comma && *comma == ',' ? strtoll(comma + 1, NULL, 10) : 0;
}

static hz_conv2d_opts conv_opts(const char *o) {
    hz_conv2d_opts opts = {.groups = option_int(o, "groups")};
    pair(o, "stride", opts.stride);
    pair(o, "pad", opts.pad);
    pair(o, "dilation", opts.dilation);
    return opts;
}

static void conv1d(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    const hz_conv1d_layer l = {.out = option_int(o, "out"),
                               .kernel = option_int(o, "kernel"),
                               .opts = conv_opts(o),
                               .no_bias = option(o, "no_bias") != 0};
    y[0] = hz_layer_conv1d(net, "layer", x[0], &l);
}

static void conv2d(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    hz_conv2d_layer l = {
        .out = option_int(o, "out"), .opts = conv_opts(o), .no_bias = option(o, "no_bias") != 0};
    pair(o, "kernel", l.kernel);
    y[0] = hz_layer_conv2d(net, "layer", x[0], &l);
}

static void conv_transpose2d(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    hz_conv_transpose2d_layer l = {
        .out = option_int(o, "out"), .opts = conv_opts(o), .no_bias = option(o, "no_bias") != 0};
    pair(o, "kernel", l.kernel);
    pair(o, "output_pad", l.output_pad);
    y[0] = hz_layer_conv_transpose2d(net, "layer", x[0], &l);
}

static void conv_transpose1d(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    const hz_conv_transpose1d_layer l = {.out = option_int(o, "out"),
                                         .kernel = option_int(o, "kernel"),
                                         .opts = conv_opts(o),
                                         .output_pad = option_int(o, "output_pad"),
                                         .no_bias = option(o, "no_bias") != 0};
    y[0] = hz_layer_conv_transpose1d(net, "layer", x[0], &l);
}

static void linear(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    const hz_linear_layer l = {.out = option_int(o, "out"), .no_bias = option(o, "no_bias") != 0};
    y[0] = hz_layer_linear(net, "layer", x[0], &l);
}

static void embedding(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    const int64_t padding = option_int(o, "padding");
    const hz_embedding_layer l = {.rows = option_int(o, "rows"),
                                  .width = option_int(o, "width"),
                                  .padding = option_text(o, "padding") ? &padding : NULL};
    y[0] = hz_layer_embedding(net, "layer", x[0], &l);
}

static void batch_norm(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    const hz_batch_norm_layer l = {.eps = option(o, "eps"),
                                   .momentum = option(o, "momentum"),
                                   .no_affine = option(o, "no_affine") != 0,
                                   .no_running = option(o, "no_running") != 0};
    y[0] = hz_layer_batch_norm(net, "layer", x[0], &l);
}

static void instance_norm(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    const hz_instance_norm_layer l = {.eps = option(o, "eps"),
                                      .momentum = option(o, "momentum"),
                                      .affine = option(o, "affine") != 0,
                                      .running = option(o, "running") != 0};
    y[0] = hz_layer_instance_norm(net, "layer", x[0], &l);
}

static void layer_norm(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    const hz_layer_norm_layer l = {.axes = (int)option(o, "axes"),
                                   .eps = option(o, "eps"),
                                   .no_affine = option(o, "no_affine") != 0,
                                   .no_bias = option(o, "no_bias") != 0};
    y[0] = hz_layer_layer_norm(net, "layer", x[0], &l);
}

static void group_norm(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    const hz_group_norm_layer l = {
        .groups = option_int(o, "groups"), .eps = option(o, "eps"), .no_affine = option(o, "no_affine") != 0};
    y[0] = hz_layer_group_norm(net, "layer", x[0], &l);
}

static void prelu(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    y[0] = hz_layer_prelu(net, "layer", x[0], &(hz_prelu_layer){.slopes = option_int(o, "slopes")});
}

static void activation(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    const char *name = option_text(o, "of");
    char word[32];
    (void)net;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(name ? name : "", " "), name ? name : "");
    y[0] = hz_activation(x[0], word);
}

static hz_pool2d_opts pool_opts(const char *o) {
    hz_pool2d_opts opts = {.ceil = option(o, "ceil") != 0, .count_padding = option(o, "count_padding") != 0};
    pair(o, "kernel", opts.kernel);
    pair(o, "stride", opts.stride);
    pair(o, "pad", opts.pad);
    pair(o, "dilation", opts.dilation);
    return opts;
}

/* Poolings have no parameters and are no layers but ops: "pool max=1 axes=2", adaptive with out=3,4. */
static void pool(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    const hz_pool2d_opts opts = pool_opts(o);
    const bool max = option(o, "max") != 0, line = option(o, "axes") == 1;
    int64_t out[2];
    (void)net;
    pair(o, "out", out);
    if (out[0] && line)
        y[0] = max ? hz_adaptive_max_pool1d(x[0], out[0]) : hz_adaptive_avg_pool1d(x[0], out[0]);
    else if (out[0])
        y[0] =
            max ? hz_adaptive_max_pool2d(x[0], out[0], out[1]) : hz_adaptive_avg_pool2d(x[0], out[0], out[1]);
    else if (line)
        y[0] = max ? hz_max_pool1d(x[0], &opts) : hz_avg_pool1d(x[0], &opts);
    else
        y[0] = max ? hz_max_pool2d(x[0], &opts) : hz_avg_pool2d(x[0], &opts);
}

/* Several layers, as a table. x (N, 3, L), L even */
static void network(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    static const hz_conv1d_layer same = {.out = 8, .kernel = 3, .opts.pad = {1}},
                                 first = {.out = 8, .kernel = 3, .opts.pad = {1}, .no_bias = true},
                                 half = {.out = 8, .kernel = 2, .opts.stride = {2}, .no_bias = true};
    static const hz_conv_transpose1d_layer twice = {.out = 6, .kernel = 2, .opts.stride = {2}};
    static const hz_batch_norm_layer batch_norm_plain = {.no_running = false};
    static const hz_group_norm_layer quarters = {.groups = 4};
    static const hz_linear_layer last = {.out = 12};
    static const hz_layer_norm_layer layer_norm_plain = {.axes = 1};
    (void)o;
    y[0] = hz_sequential(
        net, "layer", x[0],
        HZ_STAGES({.conv1d = &first}, {.batch_norm = &batch_norm_plain}, {.op = hz_gelu},
                  {.residual = HZ_STAGES({.conv1d = &same}, {.op = hz_tanh}, {.conv1d = &half}),
                   .shortcut = HZ_STAGES({.conv1d = &half}, {.group_norm = &quarters})},
                  {.name = "up", .conv_transpose1d = &twice}, {.op = hz_silu}, {.flatten = 1},
                  {.sequential = HZ_STAGES({.linear = &last}, {.layer_norm = &layer_norm_plain})}));
}

static void dropout(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    y[0] = hz_layer_dropout(net, "layer", x[0], option(o, "p"));
}

static void recurrent(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    const bool lstm = is(o, "lstm"), given = option(o, "given") != 0;
    hz_var h = given ? x[1] : hz_none(net->tape), c = given ? x[2] : hz_none(net->tape);
    const hz_recurrent_layer l = {.hidden = option_int(o, "hidden"),
                                  .layers = (int)option(o, "layers"),
                                  .bidirectional = option(o, "bidirectional") != 0,
                                  .batch_first = option(o, "batch_first") != 0,
                                  .no_bias = option(o, "no_bias") != 0,
                                  .relu = option(o, "relu") != 0,
                                  .h = &h,
                                  .c = &c};
    y[0] = (lstm ? hz_layer_lstm : is(o, "gru") ? hz_layer_gru : hz_layer_rnn)(net, "layer", x[0], &l);
    y[1] = h;
    if (lstm) y[2] = c;
}

/* Inputs from number k on are the mask and the padding, where they are told to be given. */
static hz_attention_layer attention_opts(const hz_var *x, const char *o, int k) {
    const bool mask = option(o, "mask") != 0, padding = option(o, "padding") != 0;
    hz_attention_layer l = {.heads = option_int(o, "heads"),
                            .batch_first = option(o, "batch_first") != 0,
                            .no_bias = option(o, "no_bias") != 0,
                            .causal = option(o, "causal") != 0};
    if (mask) l.mask = x[k];
    if (padding) l.padding = x[k + mask];
    return l;
}

/* Of self, key or value: the one input, two, or three. */
static void attention(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    const int n = (int)option(o, "inputs");
    const hz_attention_layer l = attention_opts(x, o, n);
    y[0] = hz_layer_attention(net, "layer", x[0], x[n > 1], x[n - 1], &l);
    y[1] = hz_lookup(net->tape, "layer.weights");
}

static void transformer(hz_net *net, const hz_var *x, const char *o, hz_var *y) {
    const hz_transformer_layer l = {.feedforward = option_int(o, "feedforward"),
                                    .attention = attention_opts(x, o, 1),
                                    .norm_first = option(o, "norm_first") != 0,
                                    .gelu = option(o, "gelu") != 0,
                                    .eps = option(o, "eps")};
    y[0] = hz_layer_transformer(net, "layer", x[0], &l);
}

static const struct {
    const char *name;
    void (*record)(hz_net *net, const hz_var *x, const char *o, hz_var *y);
} layers[] = {
    {"conv1d", conv1d},
    {"conv2d", conv2d},
    {"conv_transpose2d", conv_transpose2d},
    {"conv_transpose1d", conv_transpose1d},
    {"linear", linear},
    {"embedding", embedding},
    {"batch_norm", batch_norm},
    {"instance_norm", instance_norm},
    {"layer_norm", layer_norm},
    {"group_norm", group_norm},
    {"prelu", prelu},
    {"dropout", dropout},
    {"activation", activation},
    {"pool", pool},
    {"network", network},
    {"rnn", recurrent},
    {"lstm", recurrent},
    {"gru", recurrent},
    {"attention", attention},
    {"transformer", transformer},
};

/* ---- one pass ---- */

typedef struct pass {
    hz_var x[INPUTS], y[OUTPUTS]; /* inert from the first that there is not */
    hz_var loss;                  /* Σ y·dy */
    hz_tape *t;
} pass;

/* "x0" → x0 of the file as a leaf, or the inert variable. */
static hz_var numbered(hz_tape *t, const hz_weights *in, const char *what, int k) {
    char name[16];
    snprintf(name, sizeof name, "%s%d", what, k);
    const hz_tensor *found = hz_weights_find(in, name);
    return found ? hz_input(t, found) : hz_none(t);
}

static bool record(const char *o, hz_net *net, const hz_weights *in, pass *p, hz_error *err) {
    *p = (pass){.t = net->tape};
    for (int k = 0; k < INPUTS; k++) p->x[k] = numbered(p->t, in, "x", k);
    for (int k = 0; k < OUTPUTS; k++) p->y[k] = hz_none(p->t);
    for (size_t k = 0; k < sizeof layers / sizeof layers[0]; k++)
        if (is(o, layers[k].name)) layers[k].record(net, p->x, o, p->y);
    if (!hz_ok(p->y[0]) && hz_tape_ok(p->t, NULL)) return hz_fail(err, HZ_ENOTFOUND, "no layer \"%s\"", o);
    for (int k = 0; k < OUTPUTS && hz_ok(p->y[k]); k++) {
        hz_var term = hz_sum(hz_mul(p->y[k], numbered(p->t, in, "dy", k)), HZ_ALL_AXES, false);
        p->loss = k ? hz_add(p->loss, term) : term;
    }
    return hz_tape_ok(p->t, err);
}

/* ---- results ---- */

typedef struct results {
    hz_safetensors_entry entry[RESULTS];
    char name[RESULTS][64];
    size_t n;
} results;

static void keep(results *r, const char *prefix, const char *name, hz_var value) {
    if (!hz_ok(value) || r->n == RESULTS) return;
    snprintf(r->name[r->n], sizeof r->name[0], "%s%s", prefix, name);
    r->entry[r->n] = (hz_safetensors_entry){r->name[r->n], *hz_value(value)};
    r->n++;
}

static bool is_float(hz_var x) {
    return hz_ok(x) && hz_dtype_is_float(hz_value(x)->dtype);
}

/* Outputs, and gradients in the inputs. */
static bool keep_inputs(results *r, const pass *p, hz_error *err) {
    static const char *const digit[] = {"0", "1", "2", "3", "4"};
    for (int k = 0; k < OUTPUTS; k++) keep(r, "y", digit[k], p->y[k]);
    for (int k = 0; k < INPUTS; k++)
        if (is_float(p->x[k])) keep(r, "dx", digit[k], hz_grad1(p->loss, p->x[k], NULL));
    return hz_tape_ok(p->t, err);
}

static bool keep_parameters(results *r, hz_params *store, const pass *p, hz_error *err) {
    hz_var dx[RESULTS];
    if (!hz_params_grad(store, p->loss, NULL, dx, err)) return false;
    for (int k = 0, trained = 0; k < hz_params_count(store); k++) {
        const hz_parameter *q = hz_params_at(store, k);
        if (!q->buffer && !q->shares) keep(r, "d.", q->name, dx[trained++]);
    }
    return true;
}

/* ---- */

static bool load(hz_params *store, const hz_weights *in, hz_error *err) {
    bool any = false;
    for (size_t k = 0; k < hz_weights_count(in); k++)
        any = any || strncmp(hz_weights_name(in, k), "state.", 6) == 0;
    return !any || hz_params_load(store, in, &(hz_load_opts){.prefix = "state."}, NULL, err);
}

static bool run(hz_tape *t, hz_params *store, const char *o, const hz_weights *in, const char *out,
                hz_error *err) {
    static results r;
    pass p;
    hz_net net = {.tape = t, .params = store};
    if (!record(o, &net, in, &p, err) || !load(store, in, err)) return false; /* recorded once, it is made */
    hz_tape_reset(t);
    net = (hz_net){.tape = t, .params = store, .training = option(o, "train") != 0, .step = 1};
    return record(o, &net, in, &p, err) && keep_inputs(&r, &p, err) && keep_parameters(&r, store, &p, err) &&
           hz_safetensors_write(out, r.entry, r.n, NULL, 0, NULL, err);
}

int main(int argc, char **argv) {
    if (argc != 5) return fprintf(stderr, "usage: layers OPTIONS IN OUT STATE\n"), 2;
    hz_error err = {HZ_OK, ""};
    hz_weights *in = NULL;
    hz_tensor dy = {.data = NULL};
    bool ok = hz_weights_open(argv[2], NULL, &in, &err) && hz_weights_get(in, "dy0", &dy, &err);
    hz_tape *t = hz_tape_new(NULL);
    hz_params *store = hz_params_new(
        &(hz_params_opts){.dtype = dy.dtype, .seed = (uint64_t)option_int(argv[1], "seed")}, &err);
    ok = ok && run(t, store, argv[1], in, argv[3], &err) && hz_params_save(store, argv[4], NULL, &err);
    hz_tape_free(t);
    hz_params_free(store);
    hz_weights_close(in);
    if (!ok) fprintf(stderr, "layers: %s: %s\n", argv[1], err.text);
    return ok ? 0 : 1;
}
