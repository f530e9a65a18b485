/* test_progress.c: what a training run shows: on a terminal (a pseudo-terminal, whose screen is worked out here) one line
 * drawn over and over, elsewhere a plain line now and then; and the means it keeps.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nn/progress.h"

static double now;

static double test_clock(void) {
    return now;
}

/* ---- something to draw on ---- */

typedef struct drawing {
    FILE *out;
    int master; /* −1: a pipe */
    int from;   /* where to read what was drawn */
    char text[1 << 16];
} drawing;

static void set_environment(const char *no_color, const char *locale) {
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", locale, 1);
    if (no_color)
        setenv("NO_COLOR", no_color, 1);
    else
        unsetenv("NO_COLOR");
    now = 1000;
}

static void open_terminal(drawing *d, int columns) {
    int slave;
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    cr_assert(openpty(&d->master, &slave, NULL, NULL, &size) == 0);
    d->from = d->master;
    d->out = fdopen(slave, "w");
    cr_assert(d->out && fcntl(d->from, F_SETFL, O_NONBLOCK) == 0);
}

static void open_pipe(drawing *d) {
    int ends[2];
    cr_assert(pipe(ends) == 0);
    d->from = ends[0];
    d->out = fdopen(ends[1], "w");
    cr_assert(d->out && fcntl(d->from, F_SETFL, O_NONBLOCK) == 0);
}

/* Everything drawn since the last call. */
static const char *drawn(drawing *d) {
    size_t used = 0;
    for (ssize_t n; (n = read(d->from, d->text + used, sizeof d->text - 1 - used)) > 0;) used += (size_t)n;
    d->text[used] = '\0';
    return d->text;
}

enum { ROWS = 16, COLUMNS = 300 };

typedef struct screen {
    char row[ROWS][COLUMNS]; /* without blanks at the end; any character beyond ASCII is '#' */
    int at, widest;
} screen;

static void trim(screen *s) {
    for (int r = 0; r < ROWS; r++)
        for (size_t n = strlen(s->row[r]); n > 0 && s->row[r][n - 1] == ' ';) s->row[r][--n] = '\0';
}

/* What a terminal shows of this text; only colours may be asked for by escape codes. */
static screen show(const char *text) {
    screen s = {.at = 0};
    int column = 0;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '\033') {
            text += strcspn(text, "m");
        } else if (c == '\r') {
            column = 0;
        } else if (c == '\n') {
            s.at++;
        } else if ((c & 0xc0) != 0x80) {
            cr_assert(s.at < ROWS && column < COLUMNS - 1);
            char *row = s.row[s.at];
            for (int k = (int)strlen(row); k < column; k++) row[k] = ' ';
            row[column++] = c < 128 ? (char)c : '#';
            if (column > s.widest) s.widest = column;
        }
    }
    trim(&s);
    return s;
}

static int count(const char *text, char c) {
    int n = 0;
    for (; *text; text++) n += *text == c;
    return n;
}

/* 100 steps of 32 samples, one a second, in epochs of 50. */
static void begin(hz_progress *p, drawing *d) {
    const hz_progress_opts opts = {.out = d ? d->out : NULL, .steps = 100, .epoch = 50, .clock = test_clock};
    hz_progress_begin(p, &opts);
}

static void advance(hz_progress *p, int steps, double loss, double right) {
    for (int k = 0; k < steps; k++) {
        now += 1;
        hz_progress_step(p, 32, loss, right);
    }
}

/* ---- on a terminal ---- */

Test(terminal, shows_one_line_that_is_redrawn) {
    drawing d = {.master = -1};
    hz_progress p;
    set_environment(NULL, "C.UTF-8");
    open_terminal(&d, 100);
    begin(&p, &d);
    advance(&p, 40, 0.5, 24);
    const char *text = drawn(&d);
    cr_expect_eq(count(text, '\n'), 0, "%s", text);
    cr_expect_eq(count(text, '\r'), 39, "drawn %d times", count(text, '\r') + 1);
    screen s = show(text);
    cr_expect_str_eq(
        s.row[0],
        "epoch 1/2 ################################ 40 %  loss 0.5  accuracy 75.00 %  32/s  1:00 left");
    cr_expect(s.widest < 100);
}

Test(terminal, keeps_a_line_and_wipes_the_last) {
    drawing d = {.master = -1};
    hz_progress p;
    set_environment(NULL, "C.UTF-8");
    open_terminal(&d, 100);
    begin(&p, &d);
    advance(&p, 50, 0.25, 32);
    hz_train_point point = hz_progress_point(&p);
    point.test_accuracy = 0.9876;
    now += 10;
    hz_progress_keep(&p, &point);
    advance(&p, 1, 0.125, 32);
    screen s = show(drawn(&d));
    cr_expect_str_eq(s.row[0], "epoch 1/2  loss 0.25  accuracy 100.00 %  test accuracy 98.76 %  32/s  0:50");
    cr_expect(strstr(s.row[1], "epoch 2/2 #") == s.row[1] && strstr(s.row[1], "loss 0.125"), "%s", s.row[1]);
    advance(&p, 1, 0.125, 32);
    hz_progress_end(&p);
    s = show(drawn(&d));
    cr_expect(s.at == 0 && s.row[0][0] == '\0', "%s", s.row[0]);
}

Test(terminal, line_never_reaches_the_last_column) {
    static const int width[] = {1, 5, 12, 20, 40, 60, 79, 80, 81, 120, 250};
    for (size_t k = 0; k < sizeof width / sizeof width[0]; k++) {
        drawing d = {.master = -1};
        hz_progress p;
        set_environment(NULL, "C.UTF-8");
        open_terminal(&d, width[k]);
        begin(&p, &d);
        advance(&p, 30, 1234.5678, 3);
        screen s = show(drawn(&d));
        cr_expect(s.widest < width[k] || width[k] < 12, "%d columns on %d", s.widest, width[k]);
        cr_expect(strstr(s.row[0], "epoch 1/2") == s.row[0], "%s", s.row[0]);
        cr_expect_eq(strstr(s.row[0], "loss 1235") != NULL, width[k] >= 40, "%d: %s", width[k], s.row[0]);
        fclose(d.out);
        close(d.master);
    }
}

Test(terminal, is_not_redrawn_more_often_than_ten_times_a_second) {
    drawing d = {.master = -1};
    hz_progress p;
    set_environment(NULL, "C.UTF-8");
    open_terminal(&d, 80);
    begin(&p, &d);
    for (int k = 0; k < 90; k++) now += 0.01, hz_progress_step(&p, 1, 1, NAN);
    int times = count(drawn(&d), 'k') + count(d.text, '\r');
    cr_expect(times >= 6 && times <= 9, "%d", times);
}

Test(terminal, colours_are_off_with_no_color_and_only_then) {
    static const struct {
        const char *no_color;
        bool coloured;
    } cases[] = {{NULL, true}, {"", true}, {"1", false}, {"0", false}};
    for (int k = 0; k < 4; k++) {
        drawing d = {.master = -1};
        hz_progress p;
        set_environment(cases[k].no_color, "C.UTF-8");
        open_terminal(&d, 80);
        begin(&p, &d);
        advance(&p, 10, 1, 1);
        hz_train_point point = hz_progress_point(&p);
        hz_progress_keep(&p, &point);
        advance(&p, 1, 1, 1);
        hz_progress_end(&p);
        cr_expect_eq(strchr(drawn(&d), '\033') != NULL, cases[k].coloured, "case %d", k);
        fclose(d.out);
        close(d.master);
    }
}

Test(terminal, without_utf8_is_drawn_in_ascii) {
    drawing d = {.master = -1};
    hz_progress p;
    set_environment("1", "C");
    open_terminal(&d, 80);
    begin(&p, &d);
    advance(&p, 50, 1, 1);
    for (const char *c = drawn(&d); *c; c++) cr_assert((unsigned char)*c < 128);
    cr_expect(strstr(d.text, "=====.....") || strstr(d.text, "=."), "%s", d.text);
}

Test(terminal, that_is_dumb_is_treated_as_a_file) {
    drawing d = {.master = -1};
    hz_progress p;
    set_environment(NULL, "C.UTF-8");
    setenv("TERM", "dumb", 1);
    open_terminal(&d, 80);
    begin(&p, &d);
    advance(&p, 25, 1, 1);
    const char *text = drawn(&d);
    cr_expect(!strchr(text, '\033') && count(text, '\n') == 2, "%s", text);
}

/* ---- elsewhere ---- */

Test(pipe, gets_plain_lines_now_and_then) {
    drawing d = {.master = -1};
    hz_progress p;
    set_environment(NULL, "C.UTF-8");
    open_pipe(&d);
    begin(&p, &d);
    advance(&p, 25, 0.5, 16);
    cr_expect_str_eq(drawn(&d),
                     "epoch 1/2  step 10/100  10 %  loss 0.5  accuracy 50.00 %  32/s  1:30 left\n"
                     "epoch 1/2  step 20/100  20 %  loss 0.5  accuracy 50.00 %  32/s  1:20 left\n");
    hz_train_point point = hz_progress_point(&p);
    hz_progress_keep(&p, &point);
    cr_expect_str_eq(drawn(&d), "epoch 0.50/2  loss 0.5  accuracy 50.00 %  32/s  0:25\n");
    advance(&p, 9, 0.5, 16);
    hz_progress_end(&p);
    cr_expect_str_eq(drawn(&d), "");
}

Test(pipe, without_a_length_shows_no_time_left) {
    drawing d = {.master = -1};
    hz_progress p;
    set_environment(NULL, "C.UTF-8");
    open_pipe(&d);
    hz_progress_begin(&p, &(hz_progress_opts){.out = d.out, .every = 5, .clock = test_clock});
    advance(&p, 5, NAN, NAN);
    cr_expect_str_eq(drawn(&d), "step 5  loss nan  32/s\n");
}

Test(pipe, that_cannot_be_written_is_borne) {
    hz_progress p;
    drawing d = {.master = -1, .out = fopen("/dev/full", "w")};
    cr_assert(d.out);
    set_environment(NULL, "C.UTF-8");
    begin(&p, &d);
    advance(&p, 30, 1, 1);
    hz_progress_end(&p);
    cr_expect_eq(p.step, 30);
    fclose(d.out);
}

/* ---- means ---- */

Test(means, are_weighted_by_samples_and_begin_anew_after_keep) {
    hz_progress p;
    now = 0;
    begin(&p, NULL);
    now = 2;
    hz_progress_step(&p, 30, 1, 15);
    hz_progress_step(&p, 10, 3, 5);
    hz_train_point point = hz_progress_point(&p);
    cr_expect(point.loss == 1.5 && point.accuracy == 0.5 && point.rate == 20 && point.seconds == 2);
    cr_expect(point.step == 2 && point.epoch == 0.04);
    cr_expect(isnan(point.test_loss) && isnan(point.test_accuracy) && isnan(point.lr));
    now = 7; /* evaluation */
    hz_progress_keep(&p, &point);
    now = 8;
    hz_progress_step(&p, 10, 4, 10);
    point = hz_progress_point(&p);
    cr_expect(point.loss == 4 && point.accuracy == 1 && point.rate == 10 && point.seconds == 8);
}

Test(means, of_nothing_are_nan_and_of_a_nan_are_nan) {
    hz_progress p;
    now = 0;
    begin(&p, NULL);
    hz_train_point point = hz_progress_point(&p);
    cr_expect(isnan(point.loss) && isnan(point.accuracy) && isnan(point.rate));
    hz_progress_step(&p, 10, NAN, NAN);
    point = hz_progress_point(&p);
    cr_expect(isnan(point.loss) && isnan(point.accuracy));
}

Test(means, of_a_resumed_run_go_on_in_step_and_time) {
    hz_progress p;
    drawing d = {.master = -1};
    set_environment(NULL, "C.UTF-8");
    open_pipe(&d);
    hz_progress_begin(&p, &(hz_progress_opts){.out = d.out,
                                              .steps = 100,
                                              .epoch = 50,
                                              .first = 60,
                                              .seconds = 600,
                                              .every = 10,
                                              .clock = test_clock});
    advance(&p, 10, 1, 0);
    hz_train_point point = hz_progress_point(&p);
    cr_expect(point.step == 70 && point.epoch == 1.4 && point.seconds == 610);
    cr_expect(strstr(drawn(&d), "  0:30 left\n"), "%s", d.text);
}

/* No clock given: the machine's. */
Test(means, use_a_clock_that_runs) {
    hz_progress p;
    hz_progress_begin(&p, &(hz_progress_opts){.steps = 1});
    double before = hz_progress_point(&p).seconds;
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    cr_expect(hz_progress_point(&p).seconds >= before + 0.002);
}
