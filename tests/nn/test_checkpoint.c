/* test_checkpoint.c: a run goes on from a checkpoint as if it had not stopped, and what does not fit is refused whole.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

#include "../tensor/files.h"
#include "nn/hzero.h"

/* ---- a run: conv → batch norm → dropout → linear, Adam, a moving average, a plateau ---- */

static hz_var network(hz_net *net, hz_var x) {
    x = hz_layer_conv2d(net, "conv", x, &(hz_conv2d_layer){.out = 4, .kernel = {3, 3}});
    x = hz_relu(hz_layer_batch_norm(net, "bn", x, NULL));
    x = hz_layer_dropout(net, "drop", hz_flatten(x, 1), 0.25);
    return hz_layer_linear(net, "fc", x, &(hz_linear_layer){.out = 3});
}

typedef struct run {
    hz_params *params;
    hz_optimizer *adam, *ema;
    hz_plateau plateau;
    double best;
    char host[16];
    hz_note notes[2];
    hz_train_state state;
} run;

static void start(run *r, uint64_t seed) {
    hz_error err;
    *r = (run){.plateau = {.patience = 1, .factor = 0.5}, .host = "größe"};
    r->params = hz_params_new(&(hz_params_opts){.seed = seed}, &err);
    cr_assert(hz_params_build(r->params, network, HZ_DIMS(1, 1, 5, 5), &err), "%s", err.text);
    r->adam = hz_adam_new(&(hz_adam_opts){.lr = 0.01}, &err);
    r->ema = hz_ema_new(NULL, &err);
    cr_assert(hz_params_optimize(r->params, r->adam, &err) && hz_params_optimize(r->params, r->ema, &err));
    r->notes[0] = (hz_note){.name = "best", .number = &r->best};
    r->notes[1] = (hz_note){.name = "host", .text = r->host, .room = sizeof r->host};
    r->state = (hz_train_state){.params = r->params,
                                .optimizer = {r->adam, r->ema},
                                .plateau = &r->plateau,
                                .seed = seed,
                                .notes = r->notes,
                                .n_notes = 2};
}

static void end(run *r) {
    hz_optimizer_free(r->adam);
    hz_optimizer_free(r->ema);
    hz_params_free(r->params);
}

/* Steps up to number `until`; losses go to loss[step]. */
static void train(run *r, int64_t until, double *loss) {
    enum { N = 6 };
    float pixels[N * 25];
    int64_t classes[N];
    hz_error err;
    const hz_tensor x = hz_tensor_of(pixels, HZ_F32, HZ_DIMS(N, 1, 5, 5));
    const hz_tensor labels = hz_tensor_of(classes, HZ_I64, HZ_DIMS(N));
    hz_tape *t = hz_tape_new(NULL);
    for (; r->state.step < until; r->state.step++) {
        hz_tape_reset(t);
        const uint64_t step = (uint64_t)r->state.step;
        hz_random_fill_normal(hz_tape_exec(t), r->state.seed, step, 0, 1, &x);
        for (int k = 0; k < N; k++) classes[k] = pixels[25 * k] > 0 ? 2 : k % 2;
        hz_net net = {
            .tape = t, .params = r->params, .training = true, .seed = r->state.seed, .step = (int64_t)step};
        hz_var l = hz_cross_entropy(network(&net, hz_input(t, &x)), hz_input(t, &labels), HZ_LOSS_MEAN);
        loss[step] = hz_item(l);
        cr_assert(hz_params_minimize(r->params, r->adam, l, &err), "%s", err.text);
        cr_assert(hz_ema_update(r->ema, hz_tape_exec(t), &err), "%s", err.text);
        cr_assert(hz_optimizer_set_lr(r->adam, 0.01 * hz_lr_plateau(&r->plateau, loss[step]), &err));
        cr_assert(hz_optimizer_set_momentum(r->adam, 0.9 - 0.001 * (double)step, &err));
        if (loss[step] > r->best) r->best = loss[step];
    }
    hz_tape_free(t);
}

static bool same_tensor(const hz_tensor *a, const hz_tensor *b) {
    return hz_nbytes(a) == hz_nbytes(b) && memcmp(a->data, b->data, hz_nbytes(a)) == 0;
}

static bool same_optimizer(const hz_optimizer *a, const hz_optimizer *b) {
    bool same = hz_optimizer_lr(a) == hz_optimizer_lr(b);
    for (int k = 0; k < hz_optimizer_state_count(a); k++) {
        const char *name;
        hz_tensor x, y;
        hz_optimizer_state(a, k, &name, &x);
        hz_optimizer_state(b, k, &name, &y);
        same = same && same_tensor(&x, &y);
    }
    return same;
}

static bool same_weights(const run *a, const run *b) {
    bool same = true;
    for (int k = 0; k < hz_params_count(a->params); k++)
        same = same && same_tensor(&hz_params_at(a->params, k)->value, &hz_params_at(b->params, k)->value);
    return same;
}

static bool same_run(const run *a, const run *b) {
    return same_weights(a, b) && same_optimizer(a->adam, b->adam) && same_optimizer(a->ema, b->ema) &&
           a->state.step == b->state.step && a->state.epoch == b->state.epoch &&
           a->state.position == b->state.position && a->state.seed == b->state.seed && a->best == b->best &&
           strcmp(a->host, b->host) == 0 && a->plateau.scale == b->plateau.scale &&
           a->plateau.best == b->plateau.best && a->plateau.bad == b->plateau.bad &&
           a->plateau.rest == b->plateau.rest && a->plateau.begun == b->plateau.begun &&
           hz_optimizer_momentum(a->adam) == hz_optimizer_momentum(b->adam);
}

/* ---- resuming ---- */

Test(checkpoint, a_run_goes_on_bit_for_bit) {
    enum { STEPS = 40 };
    const scratch s = scratch_path("run.safetensors");
    run whole, first, second;
    double expected[STEPS], loss[STEPS];
    hz_error err = {0};
    start(&whole, 1);
    train(&whole, STEPS, expected);
    start(&first, 1);
    train(&first, 17, loss);
    first.state.epoch = 2, first.state.position = 3;
    strcpy(first.host, "é");
    cr_assert(hz_checkpoint_save(s.path, &first.state, &err), "%s", err.text);
    start(&second, 99); /* everything of another seed, until it is loaded */
    cr_assert(!same_weights(&first, &second));
    cr_assert(hz_checkpoint_load(s.path, &second.state, &err), "%s", err.text);
    cr_assert(same_run(&first, &second));
    train(&second, STEPS, loss);
    for (int k = 0; k < STEPS; k++) cr_assert_eq(loss[k], expected[k], "step %d", k);
    cr_assert(same_weights(&whole, &second) && same_optimizer(whole.ema, second.ema));
    end(&whole), end(&first), end(&second);
    unlink(s.path);
}

Test(checkpoint, numbers_survive_exactly) {
    static const double values[] = {0, -0.0, 0x1.fffffffffffffp-3, 5e-324, INFINITY, -INFINITY, NAN};
    const scratch s = scratch_path("numbers");
    hz_error err = {0};
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
        double out = values[k], in = 1;
        const hz_note from = {.name = "x", .number = &out}, to = {.name = "x", .number = &in};
        hz_train_state a = {.seed = UINT64_MAX - 1, .step = INT64_MAX, .notes = &from, .n_notes = 1};
        hz_train_state b = {.notes = &to, .n_notes = 1};
        cr_assert(hz_checkpoint_save(s.path, &a, &err) && hz_checkpoint_load(s.path, &b, &err), "%s",
                  err.text);
        cr_assert(memcmp(&in, &out, sizeof in) == 0 && b.seed == UINT64_MAX - 1 && b.step == INT64_MAX);
    }
    unlink(s.path);
}

Test(checkpoint, it_opens_as_a_file_of_weights) {
    const scratch s = scratch_path("model.safetensors");
    run a, b;
    double loss[4];
    hz_error err = {0};
    hz_weights *w;
    start(&a, 1), start(&b, 2);
    train(&a, 4, loss);
    cr_assert(hz_checkpoint_save(s.path, &a.state, &err), "%s", err.text);
    cr_assert(hz_weights_open(s.path, NULL, &w, &err), "%s", err.text);
    cr_assert(hz_params_load(b.params, w, NULL, NULL, &err), "%s", err.text);
    cr_assert(same_weights(&a, &b));
    hz_weights_close(w);
    end(&a), end(&b);
    unlink(s.path);
}

Test(checkpoint, a_run_can_be_looked_at_without_its_network) {
    const scratch s = scratch_path("peek");
    run a;
    char host[16] = "";
    hz_error err = {0};
    const hz_note note = {.name = "host", .text = host, .room = sizeof host};
    hz_train_state peek = {.notes = &note, .n_notes = 1};
    start(&a, 5);
    a.state.epoch = 7;
    cr_assert(hz_checkpoint_save(s.path, &a.state, &err), "%s", err.text);
    cr_assert(hz_checkpoint_load(s.path, &peek, &err), "%s", err.text);
    cr_assert(peek.epoch == 7 && peek.seed == 5 && strcmp(host, "größe") == 0);
    end(&a);
    unlink(s.path);
}

/* ---- what does not fit ---- */

/* Loading fails with that code and those words, and nothing has changed. */
static void check_refused(const char *path, run *r, hz_code code, const char *words) {
    run other;
    hz_error err = {0};
    start(&other, 3);
    const hz_train_state before = r->state;
    for (int k = 0; k < hz_params_count(other.params); k++) {
        const hz_parameter *mine = hz_params_find(r->params, hz_params_at(other.params, k)->name);
        if (mine && hz_same_shape(&mine->value, &hz_params_at(other.params, k)->value) &&
            mine->value.dtype == hz_params_at(other.params, k)->value.dtype)
            memcpy(hz_params_at(other.params, k)->value.data, mine->value.data, hz_nbytes(&mine->value));
    }
    cr_assert(!hz_checkpoint_load(path, &r->state, &err), "it was loaded");
    cr_assert(err.code == code && strstr(err.text, words) && strstr(err.text, path), "code %d: %s",
              (int)err.code, err.text);
    cr_assert(memcmp(&before, &r->state, sizeof before) == 0);
    for (int k = 0; k < hz_params_count(other.params); k++) {
        const hz_parameter *mine = hz_params_find(r->params, hz_params_at(other.params, k)->name);
        if (mine && hz_same_shape(&mine->value, &hz_params_at(other.params, k)->value) &&
            mine->value.dtype == hz_params_at(other.params, k)->value.dtype)
            cr_assert(same_tensor(&mine->value, &hz_params_at(other.params, k)->value), "%s", mine->name);
    }
    end(&other);
}

typedef struct saved {
    scratch file;
    run r;
} saved;

static saved save_some(void) {
    saved a = {.file = scratch_path("some.safetensors")};
    double loss[3];
    hz_error err = {0};
    start(&a.r, 1);
    train(&a.r, 3, loss);
    cr_assert(hz_checkpoint_save(a.file.path, &a.r.state, &err), "%s", err.text);
    a.r.state.notes = NULL, a.r.state.n_notes = 0; /* they point into this function's copy, */
    a.r.state.plateau = NULL;                      /* and so does this */
    return a;
}

static void forget(saved *a) {
    end(&a->r);
    unlink(a->file.path);
}

Test(checkpoint, another_kind_of_optimiser_is_refused) {
    saved a = save_some();
    run b;
    hz_error err;
    start(&b, 2);
    hz_optimizer *sgd = hz_sgd_new(&(hz_sgd_opts){.momentum = 0.9}, &err);
    hz_params_optimize(b.params, sgd, &err);
    b.state.optimizer[0] = sgd;
    check_refused(a.file.path, &b, HZ_EINVAL, "optimiser 0 is adam in the file and sgd here");
    b.state.optimizer[0] = b.adam, b.state.optimizer[1] = NULL;
    check_refused(a.file.path, &b, HZ_EINVAL, "optimiser 1 is ema in the file and none here");
    b.state.optimizer[1] = b.ema, b.state.optimizer[2] = sgd;
    check_refused(a.file.path, &b, HZ_EINVAL, "optimiser 2 is none in the file and sgd here");
    hz_optimizer_free(sgd);
    end(&b);
    forget(&a);
}

Test(checkpoint, an_optimiser_with_other_settings_is_refused_by_its_state) {
    saved a = save_some();
    run b;
    hz_error err;
    start(&b, 2);
    hz_optimizer *ams = hz_adam_new(&(hz_adam_opts){.amsgrad = true}, &err);
    hz_params_optimize(b.params, ams, &err);
    b.state.optimizer[0] = ams;
    check_refused(a.file.path, &b, HZ_ENOTFOUND, "max_exp_avg_sq");
    b.state.optimizer[0] = b.adam;
    cr_assert(hz_checkpoint_save(a.file.path, &b.state, &err));
    hz_optimizer *few = hz_adam_new(NULL, &err);
    hz_optimizer_add(few, "fc.bias", &hz_params_find(b.params, "fc.bias")->value, NULL, &err);
    b.state.optimizer[0] = few;
    check_refused(a.file.path, &b, HZ_ENOTFOUND, "no place here for its \"@optimizer.0.");
    hz_optimizer_free(few);
    hz_optimizer_free(ams);
    end(&b);
    forget(&a);
}

static hz_var wider(hz_net *net, hz_var x) {
    x = hz_layer_conv2d(net, "conv", x, &(hz_conv2d_layer){.out = 5, .kernel = {3, 3}});
    x = hz_relu(hz_layer_batch_norm(net, "bn", x, NULL));
    return hz_layer_linear(net, "fc", hz_flatten(x, 1), &(hz_linear_layer){.out = 3});
}

Test(checkpoint, another_network_is_refused_with_both_shapes) {
    saved a = save_some();
    run b;
    hz_error err;
    start(&b, 2);
    hz_params *p = hz_params_new(NULL, &err);
    cr_assert(hz_params_build(p, wider, HZ_DIMS(1, 1, 5, 5), &err), "%s", err.text);
    hz_params *const old = b.params;
    b.params = b.state.params = p;
    b.state.optimizer[0] = NULL;
    check_refused(a.file.path, &b, HZ_EINVAL, "optimiser 0 is adam in the file and none here");
    hz_optimizer *adam = hz_adam_new(NULL, &err), *ema = hz_ema_new(NULL, &err);
    cr_assert(hz_params_optimize(p, adam, &err) && hz_params_optimize(p, ema, &err));
    b.state.optimizer[0] = adam, b.state.optimizer[1] = ema;
    check_refused(a.file.path, &b, HZ_ESHAPE, "conv.weight");
    hz_optimizer_free(adam);
    hz_optimizer_free(ema);
    hz_params_free(p);
    b.params = old;
    end(&b);
    forget(&a);
}

Test(checkpoint, another_dtype_is_refused) {
    saved a = save_some();
    run b;
    hz_error err;
    start(&b, 2);
    hz_params *p = hz_params_new(&(hz_params_opts){.dtype = HZ_F64}, &err), *const old = b.params;
    cr_assert(hz_params_build(p, network, HZ_DIMS(1, 1, 5, 5), &err), "%s", err.text);
    b.params = b.state.params = p;
    b.state.optimizer[0] = b.state.optimizer[1] = NULL, b.state.plateau = NULL;
    b.state.notes = NULL, b.state.n_notes = 0;
    hz_train_state weights_alone = {.params = a.r.params};
    cr_assert(hz_checkpoint_save(a.file.path, &weights_alone, &err), "%s", err.text);
    check_refused(a.file.path, &b, HZ_ESHAPE, "f32 [4,1,3,3] in the file and f64 [4,1,3,3] here");
    hz_params_free(p);
    b.params = old;
    end(&b);
    forget(&a);
}

Test(checkpoint, a_missing_plateau_or_note_is_refused) {
    saved a = save_some();
    run b;
    char text[3] = "";
    double x = 0;
    hz_error err;
    start(&b, 2);
    hz_note extra[] = {{.name = "other", .number = &x}};
    b.state.notes = extra, b.state.n_notes = 1;
    check_refused(a.file.path, &b, HZ_ENOTFOUND, "@note.other");
    extra[0] = (hz_note){.name = "host", .text = text, .room = sizeof text};
    check_refused(a.file.path, &b, HZ_ESHAPE, "note \"host\" has 8 bytes, more than the 3");
    b.state.notes = NULL, b.state.n_notes = 0;
    b.state.plateau = NULL;
    check_refused(a.file.path, &b, HZ_ENOTFOUND, "no place here for its \"@plateau.");
    cr_assert(hz_checkpoint_save(a.file.path, &b.state, &err));
    b.state.plateau = &b.plateau;
    check_refused(a.file.path, &b, HZ_ENOTFOUND, "@plateau.");
    end(&b);
    forget(&a);
}

Test(checkpoint, weights_alone_are_no_checkpoint) {
    saved a = save_some();
    hz_error err;
    cr_assert(hz_params_save(a.r.params, a.file.path, NULL, &err));
    check_refused(a.file.path, &a.r, HZ_EFORMAT, "is no checkpoint");
    write_bytes(a.file.path, "hello, world", 12);
    check_refused(a.file.path, &a.r, HZ_EFORMAT, "");
    forget(&a);
}

Test(checkpoint, notes_must_have_names_of_their_own_and_text_must_end) {
    char text[2] = {'a', 'b'};
    double x = 0;
    hz_error err;
    const scratch s = scratch_path("notes");
    const hz_note two[] = {{.name = "x", .number = &x}, {.name = "x", .number = &x}},
                  open = {.name = "t", .text = text, .room = 2};
    cr_assert(!hz_checkpoint_save(s.path, &(hz_train_state){.notes = two, .n_notes = 2}, &err));
    cr_assert(err.code == HZ_EINVAL && strstr(err.text, "two notes are named \"x\""), "%s", err.text);
    cr_assert(!hz_checkpoint_save(s.path, &(hz_train_state){.notes = &open, .n_notes = 1}, &err));
    cr_assert(err.code == HZ_EINVAL && access(s.path, F_OK) != 0);
}

/* ---- damage, lack of memory, a full disk ---- */

static bool load_bytes(const uint8_t *bytes, size_t size, hz_error *err) {
    static run r;
    const scratch s = scratch_path("damaged");
    write_bytes(s.path, bytes, size);
    if (!r.params) start(&r, 8);
    return hz_checkpoint_load(s.path, &r.state, err);
}

Test(checkpoint, every_truncation_and_every_change_of_a_byte_is_found) {
    enum { TRIALS = 400 };
    size_t size;
    saved a = save_some();
    uint8_t *good = read_bytes(a.file.path, &size);
    for (size_t k = 0; k < TRIALS; k++) {
        const size_t at = k * 7919 % size;
        cr_assert(!accepts(load_bytes, good, at), "accepted the first %zu of %zu bytes", at, size);
        const uint8_t flip = (uint8_t)(1 << k % 8);
        good[at] ^= flip;
        cr_assert(!accepts(load_bytes, good, size), "byte %zu of %zu may be changed by %d", at, size, flip);
        good[at] ^= flip;
    }
    cr_assert(accepts(load_bytes, good, size));
    unlink(scratch_path("damaged").path);
    free(good);
    forget(&a);
}

static bool save_action(const hz_allocator *a, const char *path, hz_error *err) {
    static run r;
    if (!r.params) start(&r, 8);
    r.state.alloc = a;
    return hz_checkpoint_save(path, &r.state, err) && hz_checkpoint_load(path, &r.state, err);
}

Test(checkpoint, lack_of_memory_is_reported) {
    const scratch s = scratch_path("memory");
    fail_every_allocation(save_action, s.path);
    unlink(s.path);
}

Test(checkpoint, a_save_that_fails_keeps_the_old_one) {
    saved a = save_some();
    run b;
    hz_error err = {0};
    start(&b, 4);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, RLIM_INFINITY}) == 0);
    cr_assert(!hz_checkpoint_save(a.file.path, &b.state, &err));
    cr_assert(err.code == HZ_EIO, "%s", err.text);
    cr_assert(setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}) == 0);
    cr_assert(hz_checkpoint_load(a.file.path, &b.state, &err), "%s", err.text);
    cr_assert(b.state.seed == 1 && same_weights(&a.r, &b));
    end(&b);
    forget(&a);
}
