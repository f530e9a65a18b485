/* test_resume.c: a run of training that is killed at many random instants ends where the uninterrupted one ends, bit for
 * bit: shuffling, augmentation, dropout, batch norm's statistics, optimiser, schedule and moving average included.
 *
 * Every run is a process of its own, forked before any thread is started.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "folder.h"
#include "nn/hzero.h"
#include "tensor/random.h"

enum {
    EXAMPLES = 40,
    BATCH = 8,
    EPOCHS = 30,
    STEPS = EPOCHS * EXAMPLES / BATCH,
    MOST_KILLS = 40,
    LEAST_KILLS = 20
};

/* ---- a run ---- */

typedef struct run {
    hz_train_state state;
    hz_loader *loader;
    hz_tape *t;
    hz_train_log *log;
    hz_error err;
} run;

/* (N, 1, 8, 8) → (N, 4) */
static hz_var network(hz_net *net, hz_var x) {
    x = hz_layer_conv2d(net, "conv", x, &(hz_conv2d_layer){.out = 4, .kernel = {3, 3}});
    x = hz_relu(hz_layer_batch_norm(net, "bn", x, NULL));
    x = hz_layer_dropout(net, "drop", hz_flatten(x, 1), 0.3);
    return hz_layer_linear(net, "fc", x, &(hz_linear_layer){.out = 4});
}

static hz_data examples(void) {
    static uint8_t pixel[EXAMPLES * 64];
    static int64_t label[EXAMPLES];
    for (int k = 0; k < EXAMPLES * 64; k++) pixel[k] = (uint8_t)(255 * hz_random_uniform(3, 0, (uint64_t)k));
    for (int k = 0; k < EXAMPLES; k++) label[k] = pixel[64 * k + 27] / 64;
    return (hz_data){.x = hz_tensor_of(pixel, HZ_U8, HZ_DIMS(EXAMPLES, 1, 8, 8)),
                     .y = hz_tensor_of(label, HZ_I64, HZ_DIMS(EXAMPLES))};
}

static bool begin(run *r, const hz_data *data) {
    hz_params *p = hz_params_new(&(hz_params_opts){.seed = 5}, &r->err);
    r->state = (hz_train_state){.params = p, .seed = 7};
    r->loader = hz_loader_new(data,
                              &(hz_loader_opts){.batch = BATCH,
                                                .shuffle = true,
                                                .seed = 7,
                                                .threads = 2,
                                                .preprocess = {.range = 1},
                                                .augment = {.crop = 2, .flip = 0.5, .cutout = 2}},
                              &r->err);
    r->t = hz_tape_new(&(hz_tape_opts){.threads = 1});
    r->state.optimizer[0] = hz_adamw_new(&(hz_adam_opts){.lr = 0.01}, &r->err);
    r->state.optimizer[1] = hz_ema_new(&(hz_ema_opts){.decay = 0.9}, &r->err);
    return p && r->loader && r->t && r->state.optimizer[0] && r->state.optimizer[1] &&
           hz_params_build(p, network, HZ_DIMS(2, 1, 8, 8), &r->err) &&
           hz_params_optimize(p, r->state.optimizer[0], &r->err) &&
           hz_params_optimize(p, r->state.optimizer[1], &r->err);
}

static bool step(run *r, const hz_batch *b) {
    hz_train_state *s = &r->state;
    const double lr = 0.01 * hz_lr_cosine(s->step, STEPS, 0);
    hz_tape_reset(r->t);
    hz_net net = {.tape = r->t, .params = s->params, .training = true, .seed = s->seed, .step = s->step};
    hz_var loss = hz_cross_entropy(network(&net, hz_input(r->t, &b->x)), hz_input(r->t, &b->y), HZ_LOSS_MEAN);
    if (!hz_optimizer_set_lr(s->optimizer[0], lr, &r->err) ||
        !hz_params_minimize(s->params, s->optimizer[0], loss, &r->err) ||
        !hz_ema_update(s->optimizer[1], hz_tape_exec(r->t), &r->err))
        return false;
    s->step++;
    s->position++;
    return hz_train_log_write(
        r->log, &(hz_train_point){.step = s->step, .loss = hz_item(loss), .lr = lr, .epoch = NAN}, &r->err);
}

static bool train_on(run *r, const char *checkpoint) {
    hz_batch b;
    for (; r->state.epoch < EPOCHS; r->state.epoch++, r->state.position = 0) {
        if (!hz_loader_start(r->loader, r->state.epoch, r->state.position, &r->err)) return false;
        while (hz_loader_next(r->loader, &b, &r->err))
            if (!step(r, &b) || !hz_checkpoint_save(checkpoint, &r->state, &r->err)) return false;
        if (r->err.code) return false;
    }
    return hz_checkpoint_save(checkpoint, &r->state, &r->err);
}

/* The whole process: from the checkpoint of the folder, if there is one, to the end. */
static void run_in_folder(const scratch *folder) {
    const scratch checkpoint = folder_path(folder, "checkpoint"), log = folder_path(folder, "log");
    const hz_data data = examples();
    run r = {.loader = NULL};
    bool ok = begin(&r, &data);
    if (ok && access(checkpoint.path, F_OK) == 0) ok = hz_checkpoint_load(checkpoint.path, &r.state, &r.err);
    ok = ok && (r.log = hz_train_log_open(log.path, r.state.step, NULL, NULL, &r.err)) &&
         train_on(&r, checkpoint.path);
    if (!ok) fprintf(stderr, "%s\n", r.err.text);
    _exit(ok ? 0 : 1);
}

/* ---- killing it ---- */

static pid_t start(const scratch *folder) {
    const pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) run_in_folder(folder);
    return child;
}

static void nap(double seconds) {
    const time_t whole = (time_t)seconds;
    nanosleep(&(struct timespec){.tv_sec = whole, .tv_nsec = (long)(1e9 * (seconds - (double)whole))}, NULL);
}

/* Whether the checkpoint that was left loads, in a process of its own; -1: none was made yet. */
static int loads(const scratch *folder) {
    const scratch checkpoint = folder_path(folder, "checkpoint");
    int status;
    if (access(checkpoint.path, F_OK)) return -1;
    const pid_t child = fork();
    if (child == 0) {
        const hz_data data = examples();
        run r = {.loader = NULL};
        const bool ok = begin(&r, &data) && hz_checkpoint_load(checkpoint.path, &r.state, &r.err);
        if (!ok) fprintf(stderr, "%s\n", r.err.text);
        _exit(!ok);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Run it to the end, killed on the way at instants that are drawn anew until there were enough. */
static int run_and_kill(const scratch *folder, double seconds) {
    int kills = 0, status = 0;
    for (uint64_t k = 0; k < 1000; k++) {
        const pid_t child = start(folder);
        if (kills < MOST_KILLS) {
            nap(seconds * hz_random_uniform(11, 0, k));
            kill(child, SIGKILL);
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        if (WIFEXITED(status)) break;
        cr_assert_neq(loads(folder), 0, "kill %d left a checkpoint that does not load", kills);
        kills++;
    }
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    return kills;
}

/* ---- comparing ---- */

static hz_train_point *read_log(const scratch *folder, size_t *n) {
    const scratch log = folder_path(folder, "log");
    hz_train_point *points;
    hz_error err;
    cr_assert(hz_train_log_read(log.path, NULL, &points, n, &err), "%s", err.text);
    return points;
}

static void expect_same_log(const scratch *a, const scratch *b) {
    size_t n, m;
    hz_train_point *p = read_log(a, &n), *q = read_log(b, &m);
    cr_expect(n == STEPS && m == STEPS, "%zu and %zu lines", n, m);
    for (size_t k = 0; k < n && k < m; k++)
        cr_expect(p[k].step == (int64_t)k + 1 && q[k].step == p[k].step && p[k].loss == q[k].loss &&
                      p[k].lr == q[k].lr,
                  "line %zu: step %d, loss %.17g; step %d, loss %.17g", k, (int)p[k].step, p[k].loss,
                  (int)q[k].step, q[k].loss);
    hz_free(NULL, p);
    hz_free(NULL, q);
}

/* Weights, statistics, optimiser, average, numbers: the files are the same. */
static void expect_same_checkpoint(const scratch *a, const scratch *b) {
    const scratch one = folder_path(a, "checkpoint"), two = folder_path(b, "checkpoint");
    FILE *f = fopen(one.path, "rb"), *g = fopen(two.path, "rb");
    cr_assert(f && g);
    for (long at = 0;; at++) {
        const int x = getc(f), y = getc(g);
        cr_assert_eq(x, y, "byte %ld", at);
        if (x == EOF) break;
    }
    fclose(f);
    fclose(g);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

Test(resume, a_run_killed_at_many_instants_ends_bit_for_bit_like_one_that_was_not, .timeout = 300) {
    const scratch whole = folder_new();
    int status;
    const double began = now();
    const pid_t child = start(&whole);
    cr_assert(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    const double took = now() - began;
    const scratch folder = scratch_path("killed");
    cr_assert(mkdir(folder.path, 0700) == 0);
    const int kills = run_and_kill(&folder, took / 40);
    cr_expect(kills >= LEAST_KILLS, "only %d kills before the run was over", kills);
    expect_same_log(&whole, &folder);
    expect_same_checkpoint(&whole, &folder);
    folder_remove(&folder);
    folder_remove(&whole);
}
