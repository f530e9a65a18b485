/* progress.c: the line a training run shows, and its means. A line is a list of fields; hz_progress_step composes one and
 * draws it over the last (redraw) or prints it now and then, hz_progress_keep prints one that stays.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* A redraw so often is smooth and costs nothing; a rate is worth showing after a second. */
static const double redraw_every = 0.1, rate_after = 1, print_every = 10;
enum { MIN_BAR = 6, MAX_BAR = 32, DEFAULT_WIDTH = 80 };

/* ---- where we are: asked once ---- */

static double monotonic(void) {
    struct timespec now = {.tv_sec = 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool is_set(const char *variable) {
    const char *value = getenv(variable);
    return value && *value;
}

static bool is_terminal(FILE *out) {
    const char *term = getenv("TERM");
    int fd = out ? fileno(out) : -1;
    return fd >= 0 && isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

static int terminal_width(FILE *out) {
    struct winsize size = {.ws_col = 0};
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    const char *columns = getenv("COLUMNS");
    long width = columns ? strtol(columns, NULL, 10) : 0;
    return width > 0 && width < 10000 ? (int)width : DEFAULT_WIDTH;
}

/* The character set, as setlocale would find it. */
static bool speaks_utf8(void) {
    const char *locale = getenv(is_set("LC_ALL") ? "LC_ALL" : is_set("LC_CTYPE") ? "LC_CTYPE" : "LANG");
    const char *set = locale ? strchr(locale, '.') : NULL;
    return set && (strncasecmp(set, ".UTF-8", 6) == 0 || strncasecmp(set, ".utf8", 5) == 0);
}

void hz_progress_begin(hz_progress *p, const hz_progress_opts *opts) {
    *p = (hz_progress){.opts = *opts, .step = opts->first, .sums = opts->sums};
    if (!p->opts.clock) p->opts.clock = monotonic;
    if (!(p->opts.every > 0)) p->opts.every = print_every;
    p->terminal = is_terminal(opts->out);
    if (p->terminal) {
        p->width = terminal_width(opts->out);
        p->colour = !is_set("NO_COLOR");
        p->utf8 = speaks_utf8();
    }
    p->began = p->interval_began = p->drawn_at = p->opts.clock();
}

/* ---- the fields of a line ---- */

enum { MOST_FIELDS = 10, FIELD = 64, LINE = 1024 };

typedef struct fields {
    char text[MOST_FIELDS][FIELD]; /* ASCII: a byte is a column */
    int n;
} fields;

static void add(fields *f, const char *format, ...) HZ_PRINTF(2, 3);

static void add(fields *f, const char *format, ...) {
    if (f->n == MOST_FIELDS) return;
    va_list args;
    va_start(args, format);
    vsnprintf(f->text[f->n++], FIELD, format, args);
    va_end(args);
}

static void add_loss(fields *f, const char *what, double loss) {
    if (isfinite(loss))
        add(f, "%s %.4g", what, loss);
    else
        add(f, "%s %s", what, isnan(loss) ? "nan" : loss > 0 ? "inf" : "-inf");
}

static void add_share(fields *f, const char *what, double share) {
    if (isfinite(share)) add(f, "%s %.2f %%", what, 100 * share);
}

static void add_rate(fields *f, double rate) {
    if (!(rate > 0) || !isfinite(rate)) return;
    if (rate < 10)
        add(f, "%.2f/s", rate);
    else if (rate < 99999.5)
        add(f, "%.0f/s", rate);
    else
        add(f, "%.0fk/s", rate / 1000);
}

static void add_time(fields *f, double seconds, const char *what) {
    if (!(seconds >= 0) || seconds > 3.6e8) return;
    long long s = llround(seconds);
    if (s < 3600)
        add(f, "%lld:%02lld%s", s / 60, s % 60, what);
    else
        add(f, "%lld:%02lld:%02lld%s", s / 3600, s / 60 % 60, s % 60, what);
}

/* "epoch  3/20", or "epoch 2.5/20" where one is not finished. */
static void add_epoch(fields *f, const hz_progress *p, double epoch) {
    const hz_progress_opts *o = &p->opts;
    int decimals = epoch == floor(epoch) ? 0 : 2;
    if (o->steps > 0 && o->epoch > 0) {
        int64_t epochs = (o->steps + o->epoch - 1) / o->epoch;
        int width = snprintf(NULL, 0, "%lld", (long long)epochs);
        add(f, "epoch %*.*f/%lld", width, decimals, epoch, (long long)epochs);
    } else {
        add(f, "epoch %.*f", decimals, epoch);
    }
}

static void add_step(fields *f, const hz_progress *p, int64_t step) {
    if (p->opts.steps > 0)
        add(f, "step %lld/%lld", (long long)step, (long long)p->opts.steps);
    else
        add(f, "step %lld", (long long)step);
}

static double share_done(const hz_progress *p) {
    return p->opts.steps > 0 ? fmin((double)p->step / (double)p->opts.steps, 1) : NAN;
}

static double seconds_left(const hz_progress *p, double now) {
    double done = (double)(p->step - p->opts.first), left = (double)(p->opts.steps - p->step);
    return p->opts.steps > 0 && done > 0 ? (now - p->began) / done * fmax(left, 0) : NAN;
}

/* The line of a run in progress. */
static void compose(const hz_progress *p, double now, fields *f) {
    const hz_progress_opts *o = &p->opts;
    hz_train_point point = hz_progress_point(p);
    bool fresh = now - p->interval_began < rate_after && p->rate > 0;
    if (o->epoch > 0) add_epoch(f, p, (double)((p->step > 0 ? p->step - 1 : 0) / o->epoch + 1));
    if (o->epoch <= 0 || !p->terminal) add_step(f, p, p->step);
    if (o->steps > 0) add(f, "%2.0f %%", floor(100 * share_done(p)));
    add_loss(f, "loss", point.loss);
    add_share(f, "accuracy", point.accuracy);
    add_rate(f, fresh ? p->rate : point.rate);
    add_time(f, seconds_left(p, now), " left");
}

/* The line of a point. */
static void compose_point(const hz_progress *p, const hz_train_point *point, fields *f) {
    if (p->opts.epoch > 0)
        add_epoch(f, p, point->epoch);
    else
        add_step(f, p, point->step);
    add_loss(f, "loss", point->loss);
    add_share(f, "accuracy", point->accuracy);
    if (!isnan(point->test_loss)) add_loss(f, "test loss", point->test_loss);
    add_share(f, "test accuracy", point->test_accuracy);
    add_rate(f, point->rate);
    add_time(f, point->seconds, "");
}

/* ---- drawing ---- */

typedef struct line {
    char text[LINE];
    size_t used;
    int columns;
} line;

static void append(line *l, const char *text, int columns) {
    size_t size = strlen(text);
    if (size >= LINE - l->used) return;
    memcpy(l->text + l->used, text, size + 1);
    l->used += size;
    l->columns += columns;
}

static int columns_of(const fields *f) {
    int columns = 0;
    for (int k = 0; k < f->n; k++) columns += (k ? 2 : 0) + (int)strlen(f->text[k]);
    return columns;
}

static void append_bar(const hz_progress *p, int width, line *l) {
    int done = (int)floor(share_done(p) * width);
    append(l, " ", 1);
    if (p->colour) append(l, "\033[36m", 0);
    for (int k = 0; k < width; k++) {
        if (k == done && p->colour) append(l, "\033[0;2m", 0);
        bool heavy = k < done || p->colour;
        append(l, p->utf8 ? (heavy ? "━" : "─") : (k < done ? "=" : "."), 1);
    }
    if (p->colour) append(l, "\033[0m", 0);
}

/* Fields side by side, without the last ones where the terminal is too narrow, and with a bar after the first where there
 * is room. */
static void lay_out(const hz_progress *p, fields *f, bool bar, line *l) {
    int most = p->terminal ? p->width - 1 : LINE / 2;
    while (f->n > 1 && columns_of(f) > most) f->n--;
    int room = most - columns_of(f) - 2;
    bar = bar && p->opts.steps > 0 && room >= MIN_BAR;
    for (int k = 0; k < f->n; k++) {
        if (k) append(l, k == 1 && bar ? " " : "  ", k == 1 && bar ? 1 : 2);
        append(l, f->text[k], (int)strlen(f->text[k]));
        if (k == 0 && bar) append_bar(p, room < MAX_BAR ? room : MAX_BAR, l);
    }
}

/* Over what is drawn now; blanks rather than an escape code wipe the rest of it. */
static void draw(hz_progress *p, line *l, bool stays) {
    char text[2 * LINE];
    int rest = p->drawn > l->columns ? p->drawn - l->columns : 0;
    if (rest > LINE / 2) rest = LINE / 2;
    snprintf(text, sizeof text, "%s%s%*s%s", p->drawn ? "\r" : "", l->text, rest, "", stays ? "\n" : "");
    fputs(text, p->opts.out);
    fflush(p->opts.out);
    p->drawn = stays ? 0 : l->columns;
}

static void show(hz_progress *p, double now) {
    fields f = {.n = 0};
    line l = {.used = 0};
    p->drawn_at = now;
    compose(p, now, &f);
    lay_out(p, &f, p->terminal, &l);
    draw(p, &l, !p->terminal);
}

/* ---- the calls ---- */

void hz_progress_step(hz_progress *p, int64_t samples, double loss, double right) {
    p->step++;
    p->sums.samples += (double)samples;
    p->sums.loss += loss * (double)samples;
    p->sums.right += right;
    if (!p->opts.out) return;
    double now = p->opts.clock();
    if (now - p->drawn_at >= (p->terminal ? redraw_every : p->opts.every)) show(p, now);
}

hz_train_point hz_progress_point(const hz_progress *p) {
    const double now = p->opts.clock(), time = now - p->interval_began;
    const double samples = p->sums.samples - p->opts.sums.samples; /* of this run */
    return (hz_train_point){
        .step = p->step,
        .epoch = p->opts.epoch > 0 ? (double)p->step / (double)p->opts.epoch : NAN,
        .loss = p->sums.samples > 0 ? p->sums.loss / p->sums.samples : NAN,
        .accuracy = p->sums.samples > 0 ? p->sums.right / p->sums.samples : NAN,
        .test_loss = NAN,
        .test_accuracy = NAN,
        .lr = NAN,
        .seconds = p->opts.seconds + now - p->began,
        .rate = samples > 0 && time > 0 ? samples / time : NAN,
    };
}

void hz_progress_keep(hz_progress *p, const hz_train_point *point) {
    double now = p->opts.clock();
    if (p->opts.out) {
        fields f = {.n = 0};
        line l = {.used = 0};
        compose_point(p, point, &f);
        lay_out(p, &f, false, &l);
        draw(p, &l, true);
        p->drawn_at = now;
    }
    p->rate = point->rate;
    p->sums = p->opts.sums = (hz_progress_sums){0, 0, 0};
    p->interval_began = now;
}

void hz_progress_end(hz_progress *p) {
    if (!p->opts.out || !p->drawn) return;
    line nothing = {.used = 0};
    draw(p, &nothing, false);
    fputs("\r", p->opts.out);
    fflush(p->opts.out);
}
