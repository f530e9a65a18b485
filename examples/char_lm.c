/* char_lm.c: train a small GPT or an LSTM to continue a text, byte by byte, and let it write.
 *
 *   sh examples/train.sh char_lm             sets everything up, trains on an English text of 1911
 *
 * The networks come first; the program starts at main, at the end. Tokens are bytes, so any file will do. The last tenth of the
 * text is kept apart to measure on.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/interrupt.h"
#include "common/options.h"
#include "nn/hzero.h"
#include "tensor/random.h"

enum { BYTES = 256, PATH = 1024, MEASURED = 1 << 16, EXIT_USAGE = 2 };

/* ---- the networks: tokens (N, L) → scores of the byte after each, (N, L, 256) ---- */

typedef struct model {
    long lstm; /* or else GPT */
    long width, layers, heads, context;
} model;

static hz_var gpt(hz_net *net, hz_var x, const model *m) {
    const hz_transformer_layer block = {
        .feedforward = 4 * m->width,
        .attention = {.heads = m->heads, .causal = true, .batch_first = true},
        .norm_first = true,
        .gelu = true,
    };
    const hz_initial normal = {.kind = HZ_INITIAL_NORMAL, .b = 0.02};
    hz_var place = hz_param_shaped(net, "position.weight", HZ_DIMS(m->context, m->width), &normal);
    hz_var here = hz_slice(place, 0, 0, hz_value(x)->dim[1], 1);
    x = hz_layer_embedding(net, "token", x, &(hz_embedding_layer){.rows = BYTES, .width = m->width});
    x = hz_add(x, here);
    for (int k = 0; k < m->layers; k++) {
        char name[32];
        snprintf(name, sizeof name, "block%d", k);
        x = hz_layer_transformer(net, name, x, &block);
    }
    x = hz_layer_layer_norm(net, "norm", x, NULL);
    return hz_layer_linear(net, "head", x, &(hz_linear_layer){.out = BYTES});
}

static hz_var lstm(hz_net *net, hz_var x, const model *m) {
    const hz_recurrent_layer cells = {.hidden = m->width, .layers = (int)m->layers, .batch_first = true};
    x = hz_layer_embedding(net, "token", x, &(hz_embedding_layer){.rows = BYTES, .width = m->width});
    x = hz_layer_lstm(net, "lstm", x, &cells);
    return hz_layer_linear(net, "head", x, &(hz_linear_layer){.out = BYTES});
}

/* ---- the command line ---- */

typedef struct settings {
    const char *data, *arch, *out, *load, *log, *curve, *checkpoint, *prompt;
    long steps, batch, context, width, layers, heads, seed, threads, every, measure, sample;
    double lr, temperature;
    bool resume, help;
} settings;

static const option options[] = {
    {"--data", "FILE", "the text, any file; default: its place in the cache (examples/fetch.sh text)",
     OPTION_TEXT, offsetof(settings, data)},
    {"--arch", "NAME", "gpt or lstm", OPTION_TEXT, offsetof(settings, arch)},
    {"--steps", "N", "steps of training in all; 0: none, only --sample", OPTION_NUMBER,
     offsetof(settings, steps)},
    {"--batch", "N", "pieces of text in a step", OPTION_COUNT, offsetof(settings, batch)},
    {"--context", "N", "bytes of a piece, as far as the network looks back", OPTION_COUNT,
     offsetof(settings, context)},
    {"--width", "N", "numbers for each byte", OPTION_COUNT, offsetof(settings, width)},
    {"--layers", "N", "blocks of the GPT, layers of the LSTM", OPTION_COUNT, offsetof(settings, layers)},
    {"--heads", "N", "of attention; they divide the width", OPTION_COUNT, offsetof(settings, heads)},
    {"--lr", "X", "the largest learning rate", OPTION_REAL, offsetof(settings, lr)},
    {"--seed", "N", "another start, order and sample", OPTION_COUNT, offsetof(settings, seed)},
    {"--threads", "N", "default: OMP_NUM_THREADS or all cores", OPTION_COUNT, offsetof(settings, threads)},
    {"--measure", "N", "measure on the text kept apart every so many steps", OPTION_COUNT,
     offsetof(settings, measure)},
    {"--sample", "N", "at the end write so many bytes", OPTION_COUNT, offsetof(settings, sample)},
    {"--temperature", "X", "of sampling: below 1 likelier bytes, above 1 odder ones", OPTION_REAL,
     offsetof(settings, temperature)},
    {"--prompt", "TEXT", "what the sample goes on from", OPTION_TEXT, offsetof(settings, prompt)},
    {"--load", "FILE", "begin with the network that --out or --checkpoint wrote", OPTION_TEXT,
     offsetof(settings, load)},
    {"--out", "FILE", "write the trained network, safetensors", OPTION_TEXT, offsetof(settings, out)},
    {"--log", "FILE", "write what is measured, a JSON object a line", OPTION_TEXT, offsetof(settings, log)},
    {"--curve", "FILE", "draw the log as an SVG picture", OPTION_TEXT, offsetof(settings, curve)},
    {"--checkpoint", "FILE", "save the state of the run at every measurement, and on Ctrl-C", OPTION_TEXT,
     offsetof(settings, checkpoint)},
    {"--every", "N", "save it every so many steps, too", OPTION_COUNT, offsetof(settings, every)},
    {"--resume", NULL, "go on from the checkpoint, if there is one", OPTION_FLAG, offsetof(settings, resume)},
    {"--help", NULL, "this text", OPTION_FLAG, offsetof(settings, help)},
};
enum { OPTIONS = sizeof options / sizeof options[0] };

static bool fail_usage(const char *words) {
    fprintf(stderr, "char_lm: %s\n", words);
    return false;
}

static bool read_options(int argc, char **argv, settings *s) {
    if (!options_read("char_lm", options, OPTIONS, argc, argv, s)) return false;
    if (s->arch && strcmp(s->arch, "gpt") != 0 && strcmp(s->arch, "lstm") != 0)
        return fail_usage("--arch is gpt or lstm");
    if (s->curve && !s->log) return fail_usage("--curve needs --log");
    if ((s->resume || s->every) && !s->checkpoint)
        return fail_usage("--resume and --every need --checkpoint");
    if (s->load && s->resume) return fail_usage("--load and --resume are one too many");
    return true;
}

static void print_help(void) {
    printf("usage: char_lm [options]\n\n"
           "Trains a small GPT or an LSTM to continue a text, byte by byte, and lets it write.\n\n");
    options_print(options, OPTIONS);
    printf("\nDefaults: --arch gpt --steps 1000 --batch 32 --context 64 --width 128 --layers 2 --heads 4 "
           "--lr 0.003\n"
           "          --seed 1 --temperature 0.8; --measure: ten times in all. Perplexity is e to the mean "
           "loss of a byte.\n");
}

/* ---- a run ---- */

typedef struct run {
    const settings *s;
    model m;
    double noted[5]; /* the model, as numbers of the checkpoint */
    hz_note notes[5];
    hz_data text, train_data, test_data;
    hz_loader *train, *test;
    hz_tape *t;
    hz_train_state state;
    hz_progress bar;
    hz_train_log *log;
    double test_loss;
    hz_error err;
} run;

/* Logits (N, L, 256) of tokens i64 (N, L). */
static hz_var forward(run *r, const hz_tensor *x, bool training) {
    hz_tape_reset(r->t);
    hz_net net = {.tape = r->t,
                  .params = r->state.params,
                  .training = training,
                  .seed = r->state.seed,
                  .step = r->state.step};
    return (r->m.lstm ? lstm : gpt)(&net, hz_input(r->t, x), &r->m);
}

static hz_var loss_of(run *r, const hz_batch *b, bool training) {
    hz_var scores = forward(r, &b->x, training), y = hz_input(r->t, &b->y);
    return hz_cross_entropy(hz_reshape(scores, HZ_DIMS(-1, BYTES)), hz_reshape(y, HZ_DIMS(-1)), HZ_LOSS_MEAN);
}

/* ---- the text ---- */

/* Pieces to train on begin at every byte, in the largest texts at every few; those to measure on lie side by side. */
static bool split(run *r) {
    const int64_t length = r->m.context, pieces = r->text.x.dim[0];
    int64_t apart = (pieces + 9) / 10, most = (MEASURED + length - 1) / length;
    if (apart > most) apart = most;
    const int64_t bytes = (pieces - apart) * length, step = 1 + bytes / (1 << 24);
    if (pieces < 2)
        return hz_fail(&r->err, HZ_EFORMAT,
                       "%s: is too short for two pieces of %lld bytes, one to train on and one "
                       "to measure on: see --context",
                       r->s->data, (long long)length);
    if (!hz_data_slice(&r->text, pieces - apart, apart, &r->test_data, &r->err)) return false;
    r->train_data = r->text;
    r->train_data.x.dim[0] = r->train_data.y.dim[0] = (bytes - length) / step + 1;
    r->train_data.x.stride[0] = r->train_data.y.stride[0] = step;
    return true;
}

static bool open_text(run *r) {
    const hz_text_opts how = {.length = r->m.context, .bytes = true};
    if (!hz_data_open_text(r->s->data, &how, NULL, &r->text, &r->err)) {
        if (r->err.code == HZ_ENOTFOUND)
            fprintf(stderr, "char_lm: for the default text: sh examples/fetch.sh text\n");
        return false;
    }
    if (!split(r)) return false;
    const int64_t n = r->train_data.x.dim[0], batch = r->s->batch < n ? r->s->batch : n;
    r->train = hz_loader_new(
        &r->train_data,
        &(hz_loader_opts){.batch = batch, .shuffle = true, .drop_last = true, .seed = r->state.seed},
        &r->err);
    r->test = r->train ? hz_loader_new(&r->test_data, &(hz_loader_opts){.batch = 32}, &r->err) : NULL;
    return r->test;
}

/* ---- the network ---- */

/* What was asked for, or else what the file holds, or else the default. */
static bool settle(run *r, const char *what, long asked, double *noted, long otherwise, const char *file,
                   long *m) {
    if (file && asked && (double)asked != *noted)
        return hz_fail(&r->err, HZ_EINVAL, "%s is %ld, but the network in %s has %g", what, asked, file,
                       *noted);
    if (file && !(*noted >= 0 && *noted <= 1e6))
        return hz_fail(&r->err, HZ_EFORMAT, "%s: %s is %g", file, what, *noted);
    *m = file ? (long)*noted : asked ? asked : otherwise;
    *noted = (double)*m;
    return true;
}

static bool choose_model(run *r) {
    static const char *const name[] = {"lstm", "width", "layers", "heads", "context"};
    const char *file = r->s->load ? r->s->load : r->s->resume ? r->s->checkpoint : NULL;
    const settings *s = r->s;
    for (int k = 0; k < 5; k++) r->notes[k] = (hz_note){.name = name[k], .number = &r->noted[k]};
    hz_train_state look = {.notes = r->notes, .n_notes = 5};
    if (file && !hz_checkpoint_load(file, &look, &r->err)) {
        if (r->s->load || r->err.code != HZ_ENOTFOUND || access(file, F_OK) == 0) return false;
        file = NULL;
        r->err = (hz_error){HZ_OK, ""};
    }
    const bool is_lstm = s->arch ? strcmp(s->arch, "lstm") == 0 : file && r->noted[0] == 1;
    if (file && (r->noted[0] == 1) != is_lstm)
        return hz_fail(&r->err, HZ_EINVAL, "--arch is %s, but %s holds another network", s->arch, file);
    r->m.lstm = is_lstm, r->noted[0] = is_lstm;
    return settle(r, "--width", s->width, &r->noted[1], 128, file, &r->m.width) &&
           settle(r, "--layers", s->layers, &r->noted[2], 2, file, &r->m.layers) &&
           settle(r, "--heads", s->heads, &r->noted[3], 4, file, &r->m.heads) &&
           settle(r, "--context", s->context, &r->noted[4], 64, file, &r->m.context);
}

static bool load_weights(run *r) {
    hz_weights *w = NULL;
    bool ok = hz_weights_open(r->s->load, NULL, &w, &r->err) &&
              hz_params_load(r->state.params, w, NULL, NULL, &r->err);
    hz_weights_close(w);
    return ok;
}

static bool make_network(run *r) {
    int64_t token = 0;
    const hz_tensor x = hz_tensor_of(&token, HZ_I64, HZ_DIMS(1, 1));
    const hz_initial small = {.kind = HZ_INITIAL_NORMAL, .b = 0.02};
    const hz_param_group plain = {.no_decay = true};
    hz_params *p = r->state.params = hz_params_new(&(hz_params_opts){.seed = r->state.seed}, &r->err);
    if (!p) return false;
    forward(r, &x, false);
    if (!hz_tape_ok(r->t, &r->err) || (!r->m.lstm && !hz_params_init(p, "token.weight", &small, &r->err)))
        return false;
    if (!hz_params_set_group(p, "*bias*", &plain, &r->err)) return false;
    hz_optimizer *opt = r->state.optimizer[0] = hz_adamw_new(&(hz_adam_opts){.lr = r->s->lr}, &r->err);
    return opt && hz_optimizer_set_clip(opt, 1, 0, &r->err) && hz_params_optimize(p, opt, &r->err);
}

/* From the checkpoint or the file, if that is wanted and there is one. */
static bool restore(run *r) {
    r->state.notes = r->notes, r->state.n_notes = 5;
    if (r->s->load) return load_weights(r);
    if (!r->s->resume || access(r->s->checkpoint, F_OK) != 0) return true;
    return hz_checkpoint_load(r->s->checkpoint, &r->state, &r->err);
}

/* ---- training ---- */

static bool begin(run *r) {
    hz_train_point last = {.step = 0};
    r->state = (hz_train_state){.seed = (uint64_t)r->s->seed};
    r->t = hz_tape_new(&(hz_tape_opts){.threads = (int)r->s->threads});
    if (!r->t) return hz_fail(&r->err, HZ_ENOMEM, "out of memory");
    const char *const paths[] = {r->s->out, r->s->curve, r->s->checkpoint};
    if (!options_can_write(paths, sizeof paths / sizeof paths[0], &r->err)) return false;
    if (!choose_model(r) || !make_network(r) || !restore(r)) return false;
    if (r->s->steps == 0) return true; /* no text is needed */
    if (!open_text(r)) return false;
    if (r->s->log && !(r->log = hz_train_log_open(r->s->log, r->state.step, NULL, &last, &r->err)))
        return false;
    hz_progress_begin(
        &r->bar, &(hz_progress_opts){
                     .out = stderr, .steps = r->s->steps, .first = r->state.step, .seconds = last.seconds});
    return true;
}

static void end(run *r) {
    hz_train_log_close(r->log);
    hz_loader_free(r->train);
    hz_loader_free(r->test);
    hz_data_close(&r->text);
    hz_tape_free(r->t);
    hz_optimizer_free(r->state.optimizer[0]);
    hz_params_free(r->state.params);
}

static bool step(run *r, const hz_batch *b) {
    const int64_t k = r->state.step;
    const double rate = hz_lr_warm_up(k, 50, 0.02) * hz_lr_cosine(k, r->s->steps, 0.05);
    hz_optimizer *opt = r->state.optimizer[0];
    hz_var loss = loss_of(r, b, true);
    if (!hz_optimizer_set_lr(opt, r->s->lr * rate, &r->err) ||
        !hz_params_minimize(r->state.params, opt, loss, &r->err))
        return false;
    const double value = hz_item(loss);
    if (!isfinite(value))
        return hz_fail(&r->err, HZ_ENUMERIC,
                       "the loss is %g at step %lld: the learning rate may be too large", value,
                       (long long)k);
    r->state.step++;
    r->state.position++;
    hz_progress_step(&r->bar, hz_numel(&b->y), value, NAN);
    return true;
}

static bool save_checkpoint(run *r) {
    return !r->s->checkpoint || hz_checkpoint_save(r->s->checkpoint, &r->state, &r->err);
}

/* The mean loss of a byte of the text kept apart. */
static bool measure(run *r) {
    hz_batch b;
    double sum = 0, n = 0;
    if (!hz_loader_start(r->test, 0, 0, &r->err)) return false;
    while (hz_loader_next(r->test, &b, &r->err)) {
        const double count = (double)hz_numel(&b.y);
        sum += count * hz_item(loss_of(r, &b, false));
        n += count;
        if (!hz_tape_ok(r->t, &r->err)) return false;
    }
    r->test_loss = sum / n;
    return !r->err.code;
}

static bool report(run *r) {
    hz_train_point point = hz_progress_point(&r->bar);
    if (!measure(r)) return false;
    point.test_loss = r->test_loss;
    point.lr = hz_optimizer_lr(r->state.optimizer[0]);
    hz_progress_keep(&r->bar, &point);
    printf("step %lld  perplexity %.3f  validation perplexity %.3f\n", (long long)r->state.step,
           exp(point.loss), exp(point.test_loss));
    fflush(stdout);
    if (r->log && !hz_train_log_write(r->log, &point, &r->err)) return false;
    return save_checkpoint(r);
}

static bool train_epoch(run *r, int64_t every) {
    hz_batch b;
    if (!hz_loader_start(r->train, r->state.epoch, r->state.position, &r->err)) return false;
    while (r->state.step < r->s->steps && !hz_interrupted()) {
        if (!hz_loader_next(r->train, &b, &r->err)) {
            r->state.epoch++, r->state.position = 0;
            return !r->err.code;
        }
        if (!step(r, &b)) return false;
        if (r->state.step % every == 0 || r->state.step == r->s->steps) {
            if (!report(r)) return false;
        } else if (r->s->every && r->state.step % r->s->every == 0 && !save_checkpoint(r))
            return false;
    }
    return true;
}

static bool train(run *r) {
    const int64_t tenth = r->s->steps / 10, every = r->s->measure ? r->s->measure : tenth ? tenth : 1;
    while (r->state.step < r->s->steps && !hz_interrupted())
        if (!train_epoch(r, every)) return false;
    hz_progress_end(&r->bar);
    if (!hz_interrupted()) return !r->s->curve || hz_curve_of_log(r->s->log, r->s->curve, "char_lm", &r->err);
    fprintf(stderr, "char_lm: stopped at step %lld%s%s\n", (long long)r->state.step,
            r->s->checkpoint ? "; go on with --resume: " : "", r->s->checkpoint ? r->s->checkpoint : "");
    return save_checkpoint(r);
}

/* ---- writing ---- */

/* A byte with probability ∝ e^(score/temperature), told by u in [0, 1). */
static int draw(const hz_tensor *scores, double temperature, double u) {
    double weight[BYTES], sum = 0, largest = -INFINITY;
    const float *x = scores->data;
    for (int k = 0; k < BYTES; k++) largest = fmax(largest, (double)x[k]);
    for (int k = 0; k < BYTES; k++) sum += weight[k] = exp(((double)x[k] - largest) / temperature);
    int byte = 0;
    for (u *= sum; byte < BYTES - 1 && u >= weight[byte]; byte++) u -= weight[byte];
    return byte;
}

/* Each byte from as many before it as the network looks back. */
static bool write_sample(run *r) {
    const int64_t context = r->m.context, begun = (int64_t)strlen(r->s->prompt), n = begun + r->s->sample;
    int64_t *token = calloc((size_t)n, sizeof *token);
    if (!token) return hz_fail(&r->err, HZ_ENOMEM, "out of memory");
    for (int64_t k = 0; k < begun; k++) token[k] = (unsigned char)r->s->prompt[k];
    fputs(r->s->prompt, stdout);
    bool ok = true;
    for (int64_t k = begun; k < n && !hz_interrupted(); k++) {
        const int64_t seen = k < context ? k : context;
        const hz_tensor x = hz_tensor_of(token + k - seen, HZ_I64, HZ_DIMS(1, seen));
        hz_var last = hz_reshape(hz_slice(forward(r, &x, false), 1, seen - 1, 1, 1), HZ_DIMS(BYTES));
        if (!(ok = hz_tape_ok(r->t, &r->err))) break;
        token[k] = draw(hz_value(last), r->s->temperature, hz_random_uniform(r->state.seed, 1, (uint64_t)k));
        putchar((int)token[k]);
    }
    putchar('\n');
    free(token);
    return ok;
}

/* The network alone, with what it takes to make it again. */
static bool save_network(run *r) {
    const hz_train_state network = {.params = r->state.params, .notes = r->notes, .n_notes = 5};
    return !r->s->out || hz_checkpoint_save(r->s->out, &network, &r->err);
}

static bool run_all(run *r) {
    if (!begin(r) || (r->s->steps > 0 && !train(r))) return false;
    if (hz_interrupted()) return true;
    return save_network(r) && (!r->s->sample || write_sample(r));
}

int main(int argc, char **argv) {
    char text[PATH];
    settings s = {.steps = 1000, .batch = 32, .lr = 3e-3, .seed = 1, .temperature = 0.8, .prompt = "\n"};
    run r = {.s = &s};
    if (!read_options(argc, argv, &s)) return EXIT_USAGE;
    if (s.help) return print_help(), 0;
    if (!s.data) s.data = options_path(NULL, "text", "devils_dictionary.txt", text, sizeof text);
    hz_interrupt_install();
    const bool ok = run_all(&r);
    if (!ok) {
        hz_progress_end(&r.bar);
        fprintf(stderr, "char_lm: %s\n", r.err.text);
    }
    end(&r);
    return !ok ? EXIT_FAILURE : hz_interrupted() ? 128 + hz_interrupted() : 0;
}
