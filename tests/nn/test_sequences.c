/* test_sequences.c: recurrent layers, attention and the transformer block: what layers_oracle.py, which compares them with
 * PyTorch's, does not see.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "nn/hzero.h"
#include "tensor/random.h"

enum { MOST = 512 };

typedef hz_var (*recurrent_fn)(hz_net *net, const char *layer, hz_var x, const hz_recurrent_layer *l);
static const recurrent_fn kinds[] = {hz_layer_rnn, hz_layer_lstm, hz_layer_gru};

typedef struct bench {
    hz_tape *t;
    hz_params *p;
    hz_net net;
    double numbers[MOST];
} bench;

static void begin(bench *b) {
    hz_error err;
    b->t = hz_tape_new(NULL);
    b->p = hz_params_new(&(hz_params_opts){.dtype = HZ_F64, .seed = 3}, &err);
    cr_assert(b->t && b->p);
    b->net = (hz_net){.tape = b->t, .params = b->p};
    for (int k = 0; k < MOST; k++) b->numbers[k] = hz_random_uniform(5, 0, (uint64_t)k) - 0.5;
}

static void end(bench *b) {
    hz_tape_free(b->t);
    hz_params_free(b->p);
}

/* Numbers from `first` on. */
static hz_var some(bench *b, int first, int rank, const int64_t *dim) {
    const hz_tensor x = hz_tensor_of(b->numbers + first, HZ_F64, rank, dim);
    return hz_copy_in(b->t, &x);
}

static double at(hz_var x, int64_t k) {
    cr_assert(hz_ok(x) && k < hz_numel(hz_value(x)));
    hz_var flat = hz_reshape(x, HZ_DIMS(-1));
    return hz_get(hz_value(flat), &k);
}

static void same(hz_var x, hz_var y) {
    cr_assert(hz_same_shape(hz_value(x), hz_value(y)), "%s, %s", hz_shape_str(hz_value(x)).s,
              hz_shape_str(hz_value(y)).s);
    for (int64_t k = 0; k < hz_numel(hz_value(x)); k++)
        cr_assert_float_eq(at(x, k), at(y, k), 1e-14, "%lld: %g, %g", (long long)k, at(x, k), at(y, k));
}

static void fails(bench *b, hz_code code, const char *first, const char *second) {
    hz_error err;
    cr_assert(!hz_tape_ok(b->t, &err));
    cr_assert(err.code == code && strstr(err.text, first) && strstr(err.text, second), "%d: %s", err.code,
              err.text);
    hz_tape_reset(b->t);
    b->net.path[0] = '\0';
}

static void has_shape(hz_var x, int rank, const int64_t *dim) {
    const hz_tensor want = hz_tensor_of(NULL, HZ_F64, rank, dim);
    cr_assert(hz_same_shape(hz_value(x), &want), "%s", hz_shape_str(hz_value(x)).s);
}

/* ---- recurrent layers ---- */

Test(recurrent, a_sequence_in_two_parts_with_the_state_between_them_is_the_whole_sequence) {
    for (int kind = 0; kind < 3; kind++) {
        bench b;
        begin(&b);
        hz_var h = hz_none(b.t), c = hz_none(b.t);
        hz_recurrent_layer l = {.hidden = 4, .layers = 2},
                           carried = {.hidden = 4, .layers = 2, .h = &h, .c = &c};
        hz_var x = some(&b, 0, HZ_DIMS(5, 2, 3));
        hz_var whole = kinds[kind](&b.net, "r", x, &l);
        hz_var part[2];
        part[0] = kinds[kind](&b.net, "r", hz_slice(x, 0, 0, 2, 1), &carried);
        part[1] = kinds[kind](&b.net, "r", hz_slice(x, 0, 2, 3, 1), &carried);
        same(hz_concat(part, 2, 0), whole);
        has_shape(h, HZ_DIMS(2, 2, 4));
        same(hz_slice(h, 0, 1, 1, 1), hz_slice(whole, 0, 4, 1, 1));
        cr_assert_eq(hz_ok(c), kind == 1);
        end(&b);
    }
}

Test(recurrent, parameters_are_named_and_ordered_as_in_pytorch) {
    static const char *const names[] = {
        "lstm.weight_ih_l0",       "lstm.weight_hh_l0",         "lstm.bias_ih_l0",
        "lstm.bias_hh_l0",         "lstm.weight_ih_l0_reverse", "lstm.weight_hh_l0_reverse",
        "lstm.bias_ih_l0_reverse", "lstm.bias_hh_l0_reverse",   "lstm.weight_ih_l1"};
    bench b;
    begin(&b);
    hz_layer_lstm(&b.net, "lstm", some(&b, 0, HZ_DIMS(2, 1, 3)),
                  &(hz_recurrent_layer){.hidden = 5, .layers = 2, .bidirectional = true});
    cr_assert_eq(hz_params_count(b.p), 16);
    for (int k = 0; k < 9; k++) cr_assert_str_eq(hz_params_at(b.p, k)->name, names[k]);
    const hz_tensor *w = &hz_params_find(b.p, "lstm.weight_ih_l1_reverse")->value;
    cr_assert(w->dim[0] == 20 && w->dim[1] == 10);
    end(&b);
}

Test(recurrent, no_sequences_are_none_and_one_alone_needs_no_axis) {
    for (int kind = 0; kind < 3; kind++) {
        bench b;
        begin(&b);
        hz_var h = hz_none(b.t);
        hz_recurrent_layer l = {.hidden = 4, .h = &h, .batch_first = true};
        has_shape(kinds[kind](&b.net, "r", some(&b, 0, HZ_DIMS(0, 2, 3)), &l), HZ_DIMS(0, 2, 4));
        has_shape(h, HZ_DIMS(1, 0, 4));
        h = hz_none(b.t);
        has_shape(kinds[kind](&b.net, "r", some(&b, 0, HZ_DIMS(2, 3)), &l), HZ_DIMS(2, 4));
        has_shape(h, HZ_DIMS(1, 4));
        end(&b);
    }
}

Test(recurrent, a_width_left_open_is_that_of_the_weights) {
    bench b;
    begin(&b);
    hz_var x = some(&b, 0, HZ_DIMS(2, 1, 3));
    hz_layer_gru(&b.net, "g", x, NULL);
    fails(&b, HZ_ENOTFOUND, "g.weight_hh_l0", "open");
    x = some(&b, 0, HZ_DIMS(2, 1, 3));
    hz_var y = hz_layer_gru(&b.net, "g", x, &(hz_recurrent_layer){.hidden = 4});
    same(hz_layer_gru(&b.net, "g", x, NULL), y);
    end(&b);
}

Test(recurrent, what_does_not_fit_is_an_error_that_names_it) {
    bench b;
    begin(&b);
    hz_recurrent_layer l = {.hidden = 4};
    hz_layer_lstm(&b.net, "r", some(&b, 0, HZ_DIMS(0, 1, 3)), &l);
    fails(&b, HZ_ESHAPE, "\"r\"", "[0,1,3]");
    hz_layer_lstm(&b.net, "r", some(&b, 0, HZ_DIMS(3)), &l);
    fails(&b, HZ_ESHAPE, "\"r\"", "(L, N, in)");
    hz_layer_lstm(&b.net, "r", some(&b, 0, HZ_DIMS(2, 1, 3)), &l);
    hz_layer_lstm(&b.net, "r", some(&b, 0, HZ_DIMS(2, 1, 5)), &l);
    fails(&b, HZ_ESHAPE, "r.weight_ih_l0", "[16,5]");
    hz_var c = some(&b, 0, HZ_DIMS(1, 2, 4));
    hz_layer_lstm(&b.net, "r", some(&b, 0, HZ_DIMS(2, 1, 3)), &(hz_recurrent_layer){.hidden = 4, .c = &c});
    fails(&b, HZ_ESHAPE, "state c is [1,2,4]", "[1,1,4]");
    end(&b);
}

Test(recurrent, dropout_between_layers_is_a_function_of_seed_and_step) {
    bench b;
    begin(&b);
    const hz_recurrent_layer l = {.hidden = 8, .layers = 2, .dropout = 0.5};
    hz_var x = some(&b, 0, HZ_DIMS(3, 2, 3)), plain = hz_layer_gru(&b.net, "r", x, &l), y[3];
    b.net.training = true;
    for (int k = 0; k < 3; k++) {
        b.net.step = k / 2;
        y[k] = hz_layer_gru(&b.net, "r", x, &l);
    }
    same(y[0], y[1]);
    cr_assert(fabs(at(y[0], 0) - at(y[2], 0)) > 1e-6 && fabs(at(y[0], 0) - at(plain, 0)) > 1e-6);
    end(&b);
}

/* ---- attention ---- */

Test(attention, causal_outputs_do_not_depend_on_what_comes_later) {
    bench b;
    begin(&b);
    const hz_attention_layer l = {.heads = 2, .causal = true, .batch_first = true};
    hz_var x = some(&b, 0, HZ_DIMS(2, 5, 4)), y = hz_layer_attention(&b.net, "a", x, x, x, &l);
    hz_var past = hz_slice(x, 1, 0, 3, 1);
    same(hz_slice(y, 1, 0, 3, 1), hz_layer_attention(&b.net, "a", past, past, past, &l));
    hz_var weights = hz_find(b.t, "a.weights");
    has_shape(weights, HZ_DIMS(2, 2, 3, 3));
    cr_assert_eq(at(weights, 1), 0);
    same(hz_sum(weights, HZ_AXIS(3), false), hz_full(b.t, HZ_F64, HZ_DIMS(2, 2, 3), 1));
    hz_var later = hz_slice(hz_grad1(hz_pick(y, (const int64_t[]){1, 2, 0}), x, NULL), 1, 3, 2, 1);
    cr_assert_eq(at(hz_sum(hz_abs(later), HZ_ALL_AXES, false), 0), 0);
    end(&b);
}

Test(attention, padding_hides_keys) {
    bench b;
    begin(&b);
    uint8_t hidden[] = {0, 0, 0, 1, 1};
    const hz_tensor mask = hz_tensor_of(hidden, HZ_U8, HZ_DIMS(1, 5));
    hz_var q = some(&b, 0, HZ_DIMS(1, 2, 4)), k = some(&b, 8, HZ_DIMS(1, 5, 4)),
           kept = hz_slice(k, 1, 0, 3, 1);
    hz_attention_layer l = {.heads = 2, .batch_first = true}, padded = l;
    padded.padding = hz_input(b.t, &mask);
    same(hz_layer_attention(&b.net, "a", q, k, k, &padded),
         hz_layer_attention(&b.net, "a", q, kept, kept, &l));
    end(&b);
}

Test(attention, a_query_that_may_look_at_nothing_gets_nan) {
    bench b;
    begin(&b);
    uint8_t hidden[] = {1, 1};
    const hz_tensor mask = hz_tensor_of(hidden, HZ_U8, HZ_DIMS(1, 2));
    hz_var x = some(&b, 0, HZ_DIMS(1, 2, 4));
    hz_attention_layer l = {.batch_first = true, .padding = hz_input(b.t, &mask)};
    cr_assert(isnan(at(hz_layer_attention(&b.net, "a", x, x, x, &l), 0)));
    end(&b);
}

Test(attention, what_does_not_fit_is_an_error_that_names_it) {
    bench b;
    begin(&b);
    hz_var x = some(&b, 0, HZ_DIMS(5, 2, 4));
    hz_layer_attention(&b.net, "a", x, x, x, &(hz_attention_layer){.heads = 3});
    fails(&b, HZ_EINVAL, "width of 4", "3 heads");
    x = some(&b, 0, HZ_DIMS(5, 2, 4));
    hz_layer_attention(&b.net, "a", x, x, some(&b, 0, HZ_DIMS(3, 2, 4)), NULL);
    fails(&b, HZ_ESHAPE, "keys [2,5,4]", "values [2,3,4]");
    x = some(&b, 0, HZ_DIMS(5, 2, 4));
    hz_layer_attention(&b.net, "a", x, x, x, &(hz_attention_layer){.mask = some(&b, 0, HZ_DIMS(5, 4))});
    fails(&b, HZ_ESHAPE, "mask [5,4]", "must be [5,5]");
    x = some(&b, 0, HZ_DIMS(5, 2, 4));
    hz_layer_attention(&b.net, "a", x, x, x, &(hz_attention_layer){.padding = some(&b, 0, HZ_DIMS(5, 2, 1))});
    fails(&b, HZ_ESHAPE, "padding [5,2,1]", "must be [2,5]");
    end(&b);
}

Test(attention, weights_are_dropped_in_training) {
    bench b;
    begin(&b);
    hz_var x = some(&b, 0, HZ_DIMS(8, 1, 4));
    const hz_attention_layer l = {.dropout = 0.5};
    hz_var plain = hz_layer_attention(&b.net, "a", x, x, x, &l);
    b.net.training = true;
    hz_var y = hz_layer_attention(&b.net, "a", x, x, x, &l);
    same(hz_layer_attention(&b.net, "a", x, x, x, &l), y);
    cr_assert(fabs(at(y, 0) - at(plain, 0)) > 1e-6);
    int zeros = 0;
    for (int k = 0; k < 64; k++) zeros += at(hz_find(b.t, "a.dropout"), k) == 0;
    cr_assert(zeros > 10 && zeros < 54, "%d", zeros);
    end(&b);
}

/* ---- gradients, to second order ---- */

typedef struct subject {
    hz_params *p;
    int kind;
} subject;

/* Inputs: x (4, 2, 4), a state (2, 2, 4), another. */
static int record(hz_tape *t, const hz_var *x, int n, hz_var *y, void *ctx) {
    const subject *s = ctx;
    hz_net net = {.tape = t, .params = s->p};
    hz_var h = n > 1 ? x[1] : hz_none(t), c = n > 2 ? x[2] : hz_none(t);
    const hz_recurrent_layer l = {.hidden = 4, .bidirectional = true, .h = &h, .c = &c};
    const hz_attention_layer a = {.heads = 2, .causal = true};
    if (s->kind < 3) {
        y[0] = kinds[s->kind](&net, (const char *[]){"rnn", "lstm", "gru"}[s->kind], x[0], &l), y[1] = h,
        y[2] = c;
        return n;
    }
    if (s->kind == 3) return y[0] = hz_layer_attention(&net, "a", x[0], x[1], x[2], &a), 1;
    y[0] = hz_layer_transformer(
        &net, "t", x[0],
        &(hz_transformer_layer){.feedforward = 6, .attention = a, .norm_first = true, .gelu = true});
    return 1;
}

Test(sequences, gradients_agree_with_differences_to_second_order) {
    bench b;
    begin(&b);
    for (int kind = 0; kind < 5; kind++) {
        hz_tensor x[] = {hz_tensor_of(b.numbers, HZ_F64, HZ_DIMS(4, 2, 4)),
                         hz_tensor_of(b.numbers + 32, HZ_F64, HZ_DIMS(2, 2, 4)),
                         hz_tensor_of(b.numbers + 48, HZ_F64, HZ_DIMS(2, 2, 4))};
        subject s = {b.p, kind};
        hz_gradcheck_report report;
        const int inputs = kind == 4 ? 1 : kind == 1 || kind == 3 ? 3 : 2;
        hz_gradcheck_function(record, &s, x, inputs, &(hz_gradcheck_opts){.order = 2, .directions = 8},
                              &report);
        cr_assert(report.ok, "%d: %s", kind, report.text);
    }
    end(&b);
}
