/* test_train_log.c: logs come back as they were written, go on where a run was resumed, and broken ones are refused.
 *
 * SPDX-License-Identifier: MIT */
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "../tensor/files.h"
#include "nn/train_log.h"

static hz_train_point point_at(int64_t step) {
    return (hz_train_point){.step = step,
                            .epoch = (double)step / 10,
                            .loss = 1.0 / (double)(step + 1),
                            .accuracy = 0.5,
                            .test_loss = NAN,
                            .test_accuracy = INFINITY,
                            .lr = 0.1,
                            .seconds = 2 * (double)step,
                            .rate = 1e4};
}

/* Lines of the steps first, first + 10, … up to last. */
static void write_steps(const char *path, int64_t resume, int64_t first, int64_t last, hz_train_point *kept) {
    hz_error err = {.code = HZ_OK};
    hz_train_log *log = hz_train_log_open(path, resume, NULL, kept, &err);
    cr_assert(log, "%s", err.text);
    for (int64_t step = first; step <= last; step += 10) {
        hz_train_point point = point_at(step);
        cr_assert(hz_train_log_write(log, &point, &err), "%s", err.text);
    }
    hz_train_log_close(log);
}

static void expect_steps(const char *path, int n, const int64_t *step) {
    hz_error err = {.code = HZ_OK};
    hz_train_point *point;
    size_t count;
    cr_assert(hz_train_log_read(path, NULL, &point, &count, &err), "%s", err.text);
    cr_assert_eq(count, (size_t)n, "%zu points, expected %d", count, n);
    for (int k = 0; k < n; k++) {
        hz_train_point want = point_at(step[k]);
        cr_expect_eq(point[k].step, step[k]);
        cr_expect_float_eq(point[k].loss, want.loss, 1e-9 * want.loss);
        cr_expect(point[k].epoch == want.epoch && point[k].lr == 0.1 && point[k].rate == 1e4);
        cr_expect(point[k].seconds == want.seconds && point[k].accuracy == 0.5);
        cr_expect(isnan(point[k].test_loss) && isnan(point[k].test_accuracy));
    }
    hz_free(NULL, point);
}

static void append_text(const char *path, const char *text) {
    FILE *f = fopen(path, "ab");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void expect_text(const char *path, const char *want) {
    size_t size;
    char *got = (char *)read_bytes(path, &size);
    cr_expect(size == strlen(want) && memcmp(got, want, size) == 0, "%.*s", (int)size, got);
    hz_free(NULL, got);
}

Test(train_log, comes_back_as_it_was_written) {
    scratch s = scratch_path("log");
    write_steps(s.path, 0, 10, 30, NULL);
    expect_steps(s.path, 3, (int64_t[]){10, 20, 30});
    unlink(s.path);
}

Test(train_log, lines_are_json_with_null_for_what_is_not_finite) {
    setlocale(LC_ALL, "de_DE.UTF-8"); /* where it is installed, numbers have a comma */
    scratch s = scratch_path("log");
    write_steps(s.path, 0, 1, 1, NULL);
    expect_text(s.path,
                "{\"step\": 1, \"epoch\": 0.1, \"loss\": 0.5, \"accuracy\": 0.5, \"test_loss\": null, "
                "\"test_accuracy\": null, \"lr\": 0.1, \"seconds\": 2.0, "
                "\"samples_per_second\": 10000.0}\n");
    unlink(s.path);
}

Test(train_log, line_is_in_the_file_before_the_log_is_closed) {
    scratch s = scratch_path("log");
    hz_error err = {.code = HZ_OK};
    hz_train_log *log = hz_train_log_open(s.path, 0, NULL, NULL, &err);
    hz_train_point point = point_at(5);
    cr_assert(log && hz_train_log_write(log, &point, &err), "%s", err.text);
    expect_steps(s.path, 1, (int64_t[]){5});
    hz_train_log_close(log);
    unlink(s.path);
}

Test(train_log, resumed_run_leaves_the_log_of_one_run) {
    scratch s = scratch_path("log");
    hz_train_point kept;
    write_steps(s.path, 0, 10, 50, &kept);
    cr_expect(kept.step == 0 && kept.seconds == 0);
    size_t size, again;
    uint8_t *uninterrupted = read_bytes(s.path, &size);
    append_text(s.path, "{\"step\": 60, \"lo"); /* killed on the way */
    write_steps(s.path, 35, 40, 50, &kept);
    cr_expect(kept.step == 30 && kept.seconds == 60);
    uint8_t *resumed = read_bytes(s.path, &again);
    cr_expect(size == again && memcmp(uninterrupted, resumed, size) == 0);
    hz_free(NULL, uninterrupted);
    hz_free(NULL, resumed);
    write_steps(s.path, 50, 60, 60, &kept); /* nothing to cut */
    expect_steps(s.path, 6, (int64_t[]){10, 20, 30, 40, 50, 60});
    write_steps(s.path, 0, 10, 10, &kept); /* a new run */
    expect_steps(s.path, 1, (int64_t[]){10});
    cr_expect_eq(kept.step, 0);
    unlink(s.path);
}

Test(train_log, unfinished_last_line_is_passed_over) {
    scratch s = scratch_path("log");
    write_steps(s.path, 0, 10, 20, NULL);
    append_text(s.path, "{\"step\": 30, \"epoch\": 3.0, \"lo");
    expect_steps(s.path, 2, (int64_t[]){10, 20});
    unlink(s.path);
}

Test(train_log, broken_line_is_named_and_the_file_left_alone) {
    static const struct {
        const char *line, *fault;
    } cases[] = {
        {"rubbish", "no JSON object"},
        {"[1]", "without a step"},
        {"", "no JSON object"},
        {"{\"loss\": 1}", "without a step"},
        {"{\"step\": 1.5}", "without a step"},
        {"{\"step\": -1}", "without a step"},
        {"{\"step\": 1, \"loss\": \"low\"}", "with a text"},
        {"{\"step\": 1, \"loss\": 1e999}", "no JSON object"},
    };
    scratch s = scratch_path("log");
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        char text[256];
        snprintf(text, sizeof text, "{\"step\": 1}\n%s\n{\"step\": 2}\n", cases[k].line);
        write_bytes(s.path, text, strlen(text));
        hz_error err = {.code = HZ_OK};
        hz_train_point *point;
        size_t n;
        cr_expect(!hz_train_log_read(s.path, NULL, &point, &n, &err) && !point && n == 0);
        cr_expect(err.code == HZ_EFORMAT && strstr(err.text, "line 2 is ") &&
                      strstr(err.text, cases[k].fault),
                  "%s: %s", cases[k].line, err.text);
        err.code = HZ_OK;
        cr_expect(!hz_train_log_open(s.path, 0, NULL, NULL, &err) && err.code == HZ_EFORMAT);
        expect_text(s.path, text);
    }
    unlink(s.path);
}

Test(train_log, unknown_and_missing_members_are_allowed) {
    scratch s = scratch_path("log");
    static const char text[] = "{\"step\": 7, \"note\": \"ü\", \"loss\": 2}\n{\"step\": 8}";
    write_bytes(s.path, text, sizeof text - 1);
    hz_error err = {.code = HZ_OK};
    hz_train_point *point;
    size_t n;
    cr_assert(hz_train_log_read(s.path, NULL, &point, &n, &err), "%s", err.text);
    cr_assert_eq(n, 2);
    cr_expect(point[0].step == 7 && point[0].loss == 2 && isnan(point[0].lr) && point[1].step == 8);
    hz_free(NULL, point);
    unlink(s.path);
}

Test(train_log, that_cannot_be_written_is_an_error) {
    hz_error err = {.code = HZ_OK};
    cr_expect(!hz_train_log_open("/nowhere/at/all", 0, NULL, NULL, &err) && err.code == HZ_ENOTFOUND, "%s",
              err.text);
    err.code = HZ_OK;
    cr_expect(!hz_train_log_open("/tmp", 0, NULL, NULL, &err) && err.code == HZ_EIO, "%s", err.text);
    err.code = HZ_OK;
    hz_train_log *log = hz_train_log_open("/dev/full", 0, NULL, NULL, &err);
    hz_train_point point = point_at(1);
    cr_assert(log, "%s", err.text);
    cr_expect(!hz_train_log_write(log, &point, &err) && err.code == HZ_EIO && strstr(err.text, "/dev/full"),
              "%s", err.text);
    hz_train_log_close(log);
}

Test(train_log, fifo_that_nobody_reads_is_no_wait) {
    scratch s = scratch_path("fifo");
    hz_error err = {.code = HZ_OK};
    cr_assert(mkfifo(s.path, 0600) == 0);
    cr_expect(!hz_train_log_open(s.path, 0, NULL, NULL, &err) && err.code == HZ_EIO, "%s", err.text);
    unlink(s.path);
}

/* The limit on a file's size stands for a disk that is full in the middle of a line. */
Test(train_log, half_a_line_is_taken_back) {
    scratch s = scratch_path("log");
    write_steps(s.path, 0, 10, 10, NULL);
    struct stat st;
    cr_assert(stat(s.path, &st) == 0);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)st.st_size + 20, RLIM_INFINITY});
    hz_error err = {.code = HZ_OK};
    hz_train_log *log = hz_train_log_open(s.path, 10, NULL, NULL, &err);
    hz_train_point point = point_at(20);
    cr_assert(log, "%s", err.text);
    cr_expect(!hz_train_log_write(log, &point, &err) && err.code == HZ_EIO, "%s", err.text);
    hz_train_log_close(log);
    size_t size;
    uint8_t *bytes = read_bytes(s.path, &size);
    cr_expect_eq(size, (size_t)st.st_size);
    hz_free(NULL, bytes);
    unlink(s.path);
}

static bool read_and_append(const hz_allocator *a, const char *path, hz_error *err) {
    hz_train_point *point;
    size_t n;
    if (!hz_train_log_read(path, a, &point, &n, err)) return false;
    hz_free(a, point);
    hz_train_log *log = hz_train_log_open(path, 20, a, NULL, err);
    hz_train_log_close(log);
    return log;
}

Test(train_log, survives_every_failure_of_memory) {
    scratch s = scratch_path("log");
    write_steps(s.path, 0, 10, 20, NULL);
    fail_every_allocation(read_and_append, s.path);
    expect_steps(s.path, 2, (int64_t[]){10, 20});
    unlink(s.path);
}
