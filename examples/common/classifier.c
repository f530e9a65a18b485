/* classifier.c: see classifier.h. Start reading at classifier_main, at the end.
 *
 * SPDX-License-Identifier: MIT */
#include "classifier.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "interrupt.h"
#include "nn/mpi/mpi.h"
#include "options.h"

/* ---- the command line ---- */

enum { PATH = 1024, EXIT_USAGE = 2 };

typedef struct settings {
    const char *data, *out, *log, *curve, *checkpoint;
    long epochs, batch, seed, threads, every;
    double lr;
    bool resume, half, help;
} settings;

static const option options[] = {
    {"--data", "DIR", "the folder of the data; default: its place in the cache (examples/fetch.sh)",
     OPTION_TEXT, offsetof(settings, data)},
    {"--epochs", "N", "passes over the data", OPTION_COUNT, offsetof(settings, epochs)},
    {"--batch", "N", "pictures in a step", OPTION_COUNT, offsetof(settings, batch)},
    {"--lr", "X", "the largest learning rate", OPTION_REAL, offsetof(settings, lr)},
    {"--seed", "N", "another start, order and augmentation", OPTION_COUNT, offsetof(settings, seed)},
    {"--threads", "N", "default: OMP_NUM_THREADS or all cores", OPTION_COUNT, offsetof(settings, threads)},
    {"--out", "FILE", "write the trained weights, safetensors", OPTION_TEXT, offsetof(settings, out)},
    {"--half", NULL, "in half precision", OPTION_FLAG, offsetof(settings, half)},
    {"--log", "FILE", "write what is measured, a JSON object a line", OPTION_TEXT, offsetof(settings, log)},
    {"--curve", "FILE", "draw the log as an SVG picture", OPTION_TEXT, offsetof(settings, curve)},
    {"--checkpoint", "FILE", "save the state of the run after every epoch, and on Ctrl-C", OPTION_TEXT,
     offsetof(settings, checkpoint)},
    {"--every", "N", "save it every so many steps, too", OPTION_COUNT, offsetof(settings, every)},
    {"--resume", NULL, "go on from the checkpoint, if there is one", OPTION_FLAG, offsetof(settings, resume)},
    {"--help", NULL, "this text", OPTION_FLAG, offsetof(settings, help)},
};
enum { OPTIONS = sizeof options / sizeof options[0] };

static void print_help(const classifier *c) {
    printf("usage: %s [options]\n\n%s\n\n", c->name, c->about);
    options_print(options, OPTIONS);
    printf("\nUnder mpirun each process takes its share of every batch (built with MPI only).\n");
    printf("\nThe first Ctrl-C finishes the step, saves the checkpoint and exits with status 130 (SIGTERM: "
           "143); a second\n"
           "one ends the program at once. Otherwise the status is 0, or 1 if something failed, or 2 for "
           "wrong usage.\n");
    printf("\nDefaults: --epochs %ld --batch %ld --lr %g --seed 1\n", c->epochs, c->batch, c->lr);
}

static bool read_options(const classifier *c, int argc, char **argv, settings *s) {
    if (!options_read(c->name, options, OPTIONS, argc, argv, s)) return false;
    if (s->curve && !s->log) return fprintf(stderr, "%s: --curve needs --log\n", c->name), false;
    if ((s->resume || s->every) && !s->checkpoint)
        return fprintf(stderr, "%s: --resume and --every need --checkpoint\n", c->name), false;
    return true;
}

/* ---- a run ---- */

typedef struct run {
    const classifier *c;
    const settings *s;
    const hz_arch *arch;
    hz_comm *comm; /* with the other processes, or NULL */
    hz_data train_data, test_data;
    hz_loader *train, *test;
    hz_tape *t;
    hz_train_state state;
    hz_parallel *parallel;
    bool stop; /* some process was interrupted */
    hz_progress bar;
    double batch;    /* --batch, or that of the run which is resumed */
    hz_note note[4]; /* it, and what bar sums up, for the checkpoint */
    hz_train_log *log;
    hz_error err;
} run;

/* The one process that shows, logs and saves. */
static bool leads(const run *r) {
    return hz_comm_rank(r->comm) == 0;
}

static int64_t total_steps(const run *r) {
    return r->s->epochs * hz_loader_batches(r->train);
}

/* DIR/name, DIR being --data or the folder in the cache. */
static const char *in_folder(const run *r, const char *name, char *path) {
    return options_path(r->s->data, r->c->name, name, path, PATH);
}

static bool open_data(run *r) {
    char path[CLASSIFIER_FILES][PATH], test[PATH];
    const char *paths[CLASSIFIER_FILES];
    size_t n = 0;
    for (; n < CLASSIFIER_FILES && r->c->train[n]; n++) paths[n] = in_folder(r, r->c->train[n], path[n]);
    if (hz_data_open_all(paths, n, NULL, &r->train_data, &r->err) &&
        hz_data_open(in_folder(r, r->c->test, test), NULL, &r->test_data, &r->err))
        return hz_data_check_classes(&r->train_data, r->arch->classes, &r->err) &&
               hz_data_check_classes(&r->test_data, r->arch->classes, &r->err);
    if (r->err.code == HZ_ENOTFOUND)
        fprintf(stderr, "%s: there is no data yet; fetch it with: sh examples/fetch.sh %s\n", r->c->name,
                r->c->name);
    return false;
}

static bool make_loaders(run *r) {
    const int64_t part = hz_comm_rank(r->comm), parts = hz_comm_size(r->comm);
    const hz_loader_opts train = {.batch = r->s->batch,
                                  .part = part,
                                  .parts = parts,
                                  .shuffle = true,
                                  .drop_last = true,
                                  .seed = (uint64_t)r->s->seed,
                                  .preprocess = r->arch->preprocess,
                                  .augment = r->c->augment};
    const hz_loader_opts test = {
        .batch = 100 * parts, .part = part, .parts = parts, .preprocess = r->arch->preprocess};
    r->train = hz_loader_new(&r->train_data, &train, &r->err);
    r->test = r->train ? hz_loader_new(&r->test_data, &test, &r->err) : NULL;
    return r->test;
}

static bool make_network(run *r) {
    const int64_t *dim = r->train_data.x.dim;
    r->state = (hz_train_state){.seed = (uint64_t)r->s->seed};
    hz_params *p = hz_params_new(&(hz_params_opts){.seed = r->state.seed}, &r->err);
    r->state.params = p;
    if (!p || !hz_params_build(p, r->arch->forward, HZ_DIMS(1, dim[1], dim[2], dim[3]), &r->err))
        return false;
    if (r->c->prepare && !r->c->prepare(p, &r->err)) return false;
    r->state.optimizer[0] = r->c->optimizer(r->s->lr, &r->err);
    if (!r->state.optimizer[0] || !hz_params_optimize(p, r->state.optimizer[0], &r->err)) return false;
    r->parallel = hz_parallel_new(r->comm, p, r->state.optimizer[0], &r->err);
    return r->parallel;
}

/* From the checkpoint, if that is wanted and there is one. */
static bool resume(run *r) {
    if (!r->s->resume || (access(r->s->checkpoint, F_OK) && errno == ENOENT)) return true;
    if (!hz_checkpoint_load(r->s->checkpoint, &r->state, &r->err)) return false;
    if (r->batch == (double)r->s->batch && r->state.seed == (uint64_t)r->s->seed) return true;
    return hz_fail(&r->err, HZ_EINVAL,
                   "%.200s is of a run with --batch %g --seed %llu, not --batch %ld --seed %ld",
                   r->s->checkpoint, r->batch, (unsigned long long)r->state.seed, r->s->batch, r->s->seed);
}

/* The means of an epoch in whose middle the run was interrupted go on, too. */
static void keep_sums(run *r, hz_progress_sums *sums) {
    r->note[0] = (hz_note){.name = "loss", .number = &sums->loss};
    r->note[1] = (hz_note){.name = "right", .number = &sums->right};
    r->note[2] = (hz_note){.name = "samples", .number = &sums->samples};
    r->note[3] = (hz_note){.name = "batch", .number = &r->batch};
    r->state.notes = r->note;
    r->state.n_notes = 4;
}

/* The log goes on after what a checkpoint holds. */
static bool open_log(run *r, hz_train_point *last) {
    const int64_t logged =
        r->state.step - (r->state.position > 0); /* the end of this epoch is still to come */
    if (!r->s->log || !leads(r)) return true;
    r->log = hz_train_log_open(r->s->log, logged, NULL, last, &r->err);
    return r->log;
}

static bool can_write(run *r) {
    const char *const paths[] = {r->s->out, r->s->curve, r->s->checkpoint};
    return !leads(r) || options_can_write(paths, sizeof paths / sizeof paths[0], &r->err);
}

static bool begin(run *r) {
    hz_progress_sums sums = {.loss = 0};
    hz_train_point last = {.step = 0};
    r->arch = hz_arch_named(r->c->arch);
    r->batch = (double)r->s->batch;
    r->t = hz_tape_new(&(hz_tape_opts){.threads = (int)r->s->threads, .winograd = true});
    if (!r->t) return hz_fail(&r->err, HZ_ENOMEM, "out of memory");
    if (!can_write(r) || !open_data(r) || !make_loaders(r) || !make_network(r)) return false;
    keep_sums(r, &sums);
    if (!resume(r) || !hz_parallel_agree(r->parallel, &r->err)) return false;
    keep_sums(r, &r->bar.sums);
    if (!open_log(r, &last)) return false;
    hz_progress_begin(&r->bar, &(hz_progress_opts){.out = leads(r) ? stderr : NULL,
                                                   .steps = total_steps(r),
                                                   .epoch = hz_loader_batches(r->train),
                                                   .first = r->state.step,
                                                   .sums = sums,
                                                   .seconds = last.seconds});
    return true;
}

static void end(run *r) {
    hz_train_log_close(r->log);
    hz_loader_free(r->train);
    hz_loader_free(r->test);
    hz_data_close(&r->train_data);
    hz_data_close(&r->test_data);
    hz_tape_free(r->t);
    hz_parallel_free(r->parallel);
    hz_optimizer_free(r->state.optimizer[0]);
    hz_params_free(r->state.params);
}

/* ---- steps, epochs ---- */

/* Record the network on a batch. */
static hz_var forward(run *r, const hz_batch *b, bool training) {
    hz_tape_reset(r->t);
    hz_net net = {.tape = r->t,
                  .params = r->state.params,
                  .training = training,
                  .seed = r->state.seed + ((uint64_t)hz_comm_rank(r->comm) << 32),
                  .step = r->state.step};
    return r->arch->forward(&net, hz_input(r->t, &b->x));
}

/* How many of the batch the strongest score names. */
static int64_t count_right(hz_var scores, const hz_tensor *y) {
    hz_var best = hz_argmax(scores, 1, false);
    int64_t right = 0;
    for (int64_t k = 0; hz_ok(best) && k < y->dim[0]; k++)
        right += hz_get(hz_value(best), &k) == hz_get(y, &k);
    return right;
}

/* Record the loss of a batch, and what it comes to: the sum of its losses, and how many are right. An empty share of a batch
 * has none. */
static hz_var loss_of(run *r, const hz_batch *b, double sums[2]) {
    hz_tape_reset(r->t);
    if (b->x.dim[0] == 0) return hz_none(r->t);
    hz_var scores = forward(r, b, true);
    hz_var loss = hz_cross_entropy_with(scores, hz_input(r->t, &b->y),
                                        &(hz_cross_entropy_opts){.label_smoothing = r->c->label_smoothing});
    sums[0] = hz_ok(loss) ? hz_item(loss) * (double)b->x.dim[0] : 0;
    sums[1] = (double)count_right(scores, &b->y);
    return loss;
}

/* After a step: what all processes saw. */
static bool share_news(run *r, const hz_batch *b, double sums[3]) {
    if (!hz_comm_sum(r->comm, sums, 3, &r->err)) return false;
    const double loss = sums[0] / (double)b->whole;
    r->stop = sums[2] > 0;
    if (!isfinite(loss))
        return hz_fail(&r->err, HZ_ENUMERIC,
                       "the loss is %g at step %lld: the learning rate may be too large", loss,
                       (long long)r->state.step);
    r->state.step++;
    r->state.position++;
    hz_progress_step(&r->bar, b->whole, loss, sums[1]);
    return true;
}

static bool step(run *r, const hz_batch *b) {
    double sums[3] = {0, 0, hz_interrupted() != 0};
    const double lr = r->s->lr * r->c->rate(r->state.step, total_steps(r));
    return hz_optimizer_set_lr(r->state.optimizer[0], lr, &r->err) &&
           hz_parallel_minimize(r->parallel, loss_of(r, b, sums), (double)b->x.dim[0] / (double)b->whole,
                                &r->err) &&
           share_news(r, b, sums);
}

static bool save_checkpoint(run *r) {
    return !r->s->checkpoint || !leads(r) || hz_checkpoint_save(r->s->checkpoint, &r->state, &r->err);
}

/* The rest of the epoch; stops early when interrupted. */
static bool train(run *r) {
    hz_batch b;
    if (!hz_loader_start(r->train, r->state.epoch, r->state.position, &r->err)) return false;
    while (!r->stop && hz_loader_next(r->train, &b, &r->err)) {
        if (!step(r, &b)) return false;
        if (r->s->every && r->state.step % r->s->every == 0 && !save_checkpoint(r)) return false;
    }
    return !r->err.code;
}

static bool evaluate(run *r, hz_train_point *point) {
    hz_batch b;
    double sums[3] = {0}; /* loss, right, seen */
    if (!hz_loader_start(r->test, 0, 0, &r->err)) return false;
    while (hz_loader_next(r->test, &b, &r->err)) {
        if (b.x.dim[0] == 0) continue;
        hz_var scores = forward(r, &b, false);
        sums[0] += hz_item(hz_cross_entropy(scores, hz_input(r->t, &b.y), HZ_LOSS_SUM));
        sums[1] += (double)count_right(scores, &b.y);
        sums[2] += (double)b.x.dim[0];
        if (!hz_tape_ok(r->t, &r->err)) return false;
    }
    if (r->err.code || !hz_comm_sum(r->comm, sums, 3, &r->err)) return false;
    point->test_loss = sums[0] / sums[2];
    point->test_accuracy = sums[1] / sums[2];
    return true;
}

/* What an epoch came to: a line, a line of the log, a checkpoint. */
static bool finish_epoch(run *r, hz_train_point *point) {
    *point = hz_progress_point(&r->bar);
    point->lr = hz_optimizer_lr(r->state.optimizer[0]);
    if (!evaluate(r, point)) return false;
    hz_progress_keep(&r->bar, point);
    if (r->log && !hz_train_log_write(r->log, point, &r->err)) return false;
    r->state.epoch++;
    r->state.position = 0;
    return save_checkpoint(r);
}

static bool finish_run(run *r, const hz_train_point *last) {
    if (!leads(r)) return true;
    if (r->s->out &&
        !hz_params_save(r->state.params, r->s->out, &(hz_save_opts){.as_f16 = r->s->half}, &r->err))
        return false;
    if (r->s->curve && !hz_curve_of_log(r->s->log, r->s->curve, r->c->name, &r->err)) return false;
    printf("test accuracy %.2f %% of %lld after %lld epochs, %.0f s of training\n", 100 * last->test_accuracy,
           (long long)r->test_data.y.dim[0], (long long)r->state.epoch, last->seconds);
    return true;
}

static bool run_all(run *r) {
    if (!begin(r)) return false;
    hz_train_point last = hz_progress_point(&r->bar);
    if (r->state.epoch >= r->s->epochs && !evaluate(r, &last)) return false; /* the resumed run had ended */
    while (r->state.epoch < r->s->epochs && !r->stop) {
        if (!train(r)) return false;
        if (!r->stop && !finish_epoch(r, &last)) return false;
    }
    hz_progress_end(&r->bar);
    if (!r->stop) return finish_run(r, &last);
    if (leads(r))
        fprintf(stderr, "%s: stopped at step %lld%s%s\n", r->c->name, (long long)r->state.step,
                r->s->checkpoint ? "; go on with --resume: " : "", r->s->checkpoint ? r->s->checkpoint : "");
    return save_checkpoint(r);
}

static void complain(const run *r) {
    const char *name = r->c->name;
    if (r->comm)
        fprintf(stderr, "%s: process %d: %s\n", name, r->comm->rank, r->err.text);
    else
        fprintf(stderr, "%s: %s\n", name, r->err.text);
}

int classifier_main(const classifier *c, int argc, char **argv) {
    settings s = {.epochs = c->epochs, .batch = c->batch, .lr = c->lr, .seed = 1};
    run r = {.c = c, .s = &s};
    if (!read_options(c, argc, argv, &s)) return EXIT_USAGE;
    if (s.help) return print_help(c), 0;
    hz_interrupt_install();
    const bool ok = hz_mpi_begin(&r.comm, &r.err) && run_all(&r);
    if (!ok) {
        hz_progress_end(&r.bar);
        complain(&r);
    }
    end(&r);
    hz_mpi_end(r.comm, ok);
    const int signal = hz_interrupted() ? hz_interrupted() : SIGINT; /* perhaps of another process */
    return !ok ? EXIT_FAILURE : r.stop ? 128 + signal : 0;
}
