/* test_train.c: the program mnist on made-up digits: what it trains is read by hzero, Ctrl-C saves and stops it, and a run
 * that was stopped or killed goes on as if it had not been.
 *
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <time.h>

#include "digits.h"
#include "nn/train_log.h"
#include "tensor/png.h"

static void write_picture(void) {
    uint8_t gray[PIXELS], pixel[3 * PIXELS];
    hz_error err = {.code = HZ_OK};
    draw_digit(5, 7, gray);
    for (int k = 0; k < 3 * PIXELS; k++) pixel[k] = gray[k / 3];
    const hz_tensor picture = hz_tensor_of(pixel, HZ_U8, HZ_DIMS(SIDE, SIDE, 3));
    cr_assert(hz_png_write(in_folder("seven.png"), &picture, NULL, 0, NULL, &err), "%s", err.text);
}

static void set_up(void) {
    make_folder_of_digits();
    write_picture();
}

TestSuite(train, .init = set_up, .fini = remove_folder, .timeout = 300);

/* ---- what it trains ---- */

Test(train, what_mnist_saves_is_a_model_of_gray_pictures_for_every_program) {
    const char *each[][2] = {
        {"hzero/hzero", "evaluate --model lenet:w --data t10k-images-idx3-ubyte"},
        {"hzero/hzero", "predict --model lenet:w --image seven.png --top 1"},
        {"hzero/hzero",
         "influence --model lenet:w --image seven.png --unit 'logits[7]' 'conv2[argmax]' --out i.png"},
        {"hzero/hzero",
         "occlusion --model lenet:w --image seven.png --unit 'logits[7]' --window 8 --stride 4 --out o.png"},
        {"hzero/hzero", "weights --model lenet:w --layer conv1 --out w.png"},
        {"hzero/hzero", "units --model lenet:w"},
        {"hzero/hzero", "export --model lenet:w --out w.onnx"},
        {"dream", "--model lenet:w --unit 'logits[7]' --steps 5 --out d.png"},
    };
    const outcome *o = run("mnist", "--data . --epochs 8 --batch 20 --out w --log l --curve c.svg");
    cr_assert(o->status == 0 && strstr(o->out, "test accuracy 100.00 % of 100"), "%s%s", o->out, o->err);
    for (size_t k = 0; k < sizeof each / sizeof each[0]; k++) {
        o = run(each[k][0], each[k][1]);
        if (strstr(o->err, "without libprotobuf-c")) continue;
        cr_expect_eq(o->status, 0, "%s %s: %s", each[k][0], each[k][1], o->err);
        if (k == 0) cr_expect(strstr(o->out, "top-1 100.0 % of 100"), "%s", o->out);
        if (k == 1) cr_expect(strchr(o->out, '7'), "%s", o->out);
    }
}

Test(train, without_data_it_says_how_to_fetch_them) {
    const outcome *o = run("mnist", "--data nowhere");
    cr_expect(o->status == 1 && strstr(o->err, "sh examples/fetch.sh mnist"), "%s", o->err);
}

Test(train, a_cache_folder_set_to_nothing_is_not_set) {
    const outcome *o = run_line("XDG_CACHE_HOME= HOME=/nowhere '" HZ_PROGRAMS "/mnist'");
    cr_expect(o->status == 1 && strstr(o->err, "/nowhere/.cache/hzero/mnist"), "%s", o->err);
}

Test(train, what_cannot_be_written_is_told_before_the_training) {
    const char *const option[] = {"--out", "--checkpoint", "--log l --curve"};
    for (int k = 0; k < 3; k++) {
        char line[128];
        snprintf(line, sizeof line, "--data . --batch 20 --epochs 1 %s nowhere/x", option[k]);
        const outcome *o = run("mnist", line);
        cr_expect(o->status == 1 && strstr(o->err, "nowhere/x: cannot create") && !strstr(o->err, "epoch"),
                  "%s", o->err);
    }
}

Test(train, a_run_that_had_ended_is_measured_when_it_is_resumed) {
    const char *line = "--data . --batch 20 --epochs 8 --checkpoint c --resume";
    for (int k = 0; k < 2; k++) {
        const outcome *o = run("mnist", line);
        cr_expect(o->status == 0 && strstr(o->out, "test accuracy 100.00 % of 100 after 8"), "%s%s", o->out,
                  o->err);
    }
}

Test(train, a_run_is_resumed_with_its_own_batch_and_seed) {
    cr_assert_eq(run("mnist", "--data . --batch 20 --epochs 1 --checkpoint c")->status, 0);
    const outcome *o = run("mnist", "--data . --batch 10 --epochs 2 --checkpoint c --resume");
    cr_expect(o->status == 1 && strstr(o->err, "--batch 20 --seed 1, not --batch 10"), "%s", o->err);
    o = run("mnist", "--data . --batch 20 --seed 3 --epochs 2 --checkpoint c --resume");
    cr_expect(o->status == 1 && strstr(o->err, "not --batch 20 --seed 3"), "%s", o->err);
}

/* ---- stopping it ---- */

enum { EPOCHS = 3 };

/* A run in the folder that keeps its files under this name, silent. */
static pid_t start(const char *name) {
    char checkpoint[80], out[80], log[80];
    snprintf(checkpoint, sizeof checkpoint, "%s.checkpoint", name);
    snprintf(out, sizeof out, "%s.safetensors", name);
    snprintf(log, sizeof log, "%s.jsonl", name);
    const pid_t child = fork();
    if (child != 0) return child;
    const int null = open("/dev/null", O_RDWR);
    for (int k = 0; k < 3; k++) dup2(null, k);
    if (chdir(folder) == 0)
        execl(HZ_PROGRAMS "/mnist", "mnist", "--data", ".", "--epochs", "3", "--batch", "20", "--every", "1",
              "--resume", "--checkpoint", checkpoint, "--out", out, "--log", log, (char *)NULL);
    _exit(127);
}

static bool exists(const char *name) {
    return access(in_folder(name), F_OK) == 0;
}

static void nap(int milliseconds) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000L * milliseconds}, NULL);
}

/* Start it again until it ends by itself, ended every time so many milliseconds after it could save; how often. */
static int run_interrupted(const char *name, int number, int most) {
    char checkpoint[64];
    int status, count = 0;
    snprintf(checkpoint, sizeof checkpoint, "%s.checkpoint", name);
    for (uint64_t k = 0; k < 500; k++) {
        const pid_t child = start(name);
        for (int t = 0; t < 1000 && !exists(checkpoint); t++) nap(2);
        if (count < most) {
            nap((int)(60 * hz_random_uniform(2, 0, k)));
            kill(child, number);
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return count;
        if (number == SIGKILL)
            cr_assert(WIFSIGNALED(status));
        else /* the signal may come before there is a handler for it */
            cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 128 + number, "status %d", status);
        count++;
    }
    return -1;
}

static hz_train_point *read_log(const char *name, size_t *n) {
    char path[128];
    hz_train_point *points;
    hz_error err;
    snprintf(path, sizeof path, "%s/%s.jsonl", folder, name);
    cr_assert(hz_train_log_read(path, NULL, &points, n, &err), "%s", err.text);
    return points;
}

static void expect_same(const char *a, const char *b) {
    char line[256];
    size_t n, m;
    hz_train_point *p = read_log(a, &n), *q = read_log(b, &m);
    cr_assert(n == EPOCHS && m == EPOCHS, "%zu and %zu", n, m);
    for (size_t k = 0; k < n; k++)
        cr_expect(p[k].step == q[k].step && p[k].loss == q[k].loss && p[k].accuracy == q[k].accuracy &&
                      p[k].test_loss == q[k].test_loss && p[k].test_accuracy == q[k].test_accuracy &&
                      p[k].lr == q[k].lr,
                  "epoch %zu: loss %.17g and %.17g", k, p[k].loss, q[k].loss);
    snprintf(line, sizeof line, "cd '%s' && cmp '%s.safetensors' '%s.safetensors'", folder, a, b);
    cr_expect_eq(system(line), 0);
    free(p);
    free(q);
}

Test(train, ctrl_c_and_kill_change_no_bit_of_what_comes_out) {
    int status;
    cr_assert(waitpid(start("whole"), &status, 0) > 0 && status == 0);
    const int stopped = run_interrupted("stopped", SIGINT, 6),
              killed = run_interrupted("killed", SIGKILL, 12);
    cr_expect(stopped >= 2 && killed >= 3, "stopped %d times, killed %d times", stopped, killed);
    expect_same("whole", "stopped");
    expect_same("whole", "killed");
}
