/* train_log.c: the log of a training run, written line by line and read back. `members` says what a line holds.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/train_log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tensor/file.h"

enum { MAX_SIZE = 1 << 30, MAX_LINE = 4096, DIGITS = 10 };

/* In the order in which they are written, after "step". */
static const struct {
    const char *name;
    size_t offset;
} members[] = {
    {"epoch", offsetof(hz_train_point, epoch)},
    {"loss", offsetof(hz_train_point, loss)},
    {"accuracy", offsetof(hz_train_point, accuracy)},
    {"test_loss", offsetof(hz_train_point, test_loss)},
    {"test_accuracy", offsetof(hz_train_point, test_accuracy)},
    {"lr", offsetof(hz_train_point, lr)},
    {"seconds", offsetof(hz_train_point, seconds)},
    {"samples_per_second", offsetof(hz_train_point, rate)},
};
enum { MEMBERS = sizeof members / sizeof members[0] };

/* ---- reading ---- */

typedef struct lines {
    const char *path;
    const char *text;
    size_t size, at; /* at: where the next line begins */
    int64_t line;    /* the number of the one read last, from 1 */
} lines;

static bool read_member(const json_t *value, double *number) {
    *number = json_is_number(value) ? json_number_value(value) : NAN;
    return !value || json_is_null(value) || json_is_number(value);
}

/* One line's text as a point; why not, otherwise. */
static const char *parse(const char *text, size_t size, hz_train_point *point) {
    json_error_t at;
    json_t *line = json_loadb(text, size, JSON_REJECT_DUPLICATES, &at);
    const char *fault = line ? NULL : "no JSON object";
    const json_t *step = json_object_get(line, "step");
    point->step = json_integer_value(step);
    if (line && (!json_is_integer(step) || point->step < 0)) fault = "without a step that is a whole number";
    for (int k = 0; line && !fault && k < MEMBERS; k++)
        if (!read_member(json_object_get(line, members[k].name),
                         (double *)((char *)point + members[k].offset)))
            fault = "with a text where a number should be";
    json_decref(line);
    return fault;
}

/* The next point. False at the end, or with *err filled where a line is broken; an unfinished last line is the end. */
static bool next(lines *l, hz_train_point *point, hz_error *err) {
    if (l->at == l->size) return false;
    const char *text = l->text + l->at, *end = memchr(text, '\n', l->size - l->at);
    size_t size = end ? (size_t)(end - text) : l->size - l->at;
    const char *fault = parse(text, size, point);
    if (fault && !end) return false;
    l->line++;
    if (fault)
        return hz_fail(err, HZ_EFORMAT, "%s: line %lld is %s: not a training log", hz_label(l->path).s,
                       (long long)l->line, fault);
    l->at += size + (end != NULL);
    return true;
}

bool hz_train_log_read(const char *path, const hz_allocator *alloc, hz_train_point **points, size_t *n,
                       hz_error *err) {
    hz_error fault = {.code = HZ_OK};
    void *text;
    lines l = {.path = path};
    *points = NULL;
    *n = 0;
    if (!hz_file_read(path, MAX_SIZE, alloc, &text, &l.size, err)) return false;
    l.text = text;
    size_t most = 1;
    for (size_t k = 0; k < l.size; k++) most += l.text[k] == '\n';
    *points = hz_alloc(alloc, most * sizeof **points);
    if (!*points) hz_fail(&fault, HZ_ENOMEM, "%s: no memory for %zu lines", hz_label(path).s, most);
    while (!fault.code && next(&l, &(*points)[*n], &fault)) ++*n;
    hz_free(alloc, text);
    if (!fault.code) return true;
    hz_free(alloc, *points);
    *points = NULL;
    *n = 0;
    return hz_fail(err, fault.code, "%s", fault.text);
}

/* ---- opening ---- */

struct hz_train_log {
    hz_allocator alloc;
    int fd;
    char path[]; /* for messages */
};

/* How many bytes of the log at path are of steps up to `step`. 0 if there is no such file. */
static bool measure(const char *path, int64_t step, const hz_allocator *alloc, hz_train_point *last,
                    size_t *keep, hz_error *err) {
    hz_error fault = {.code = HZ_OK};
    struct stat st;
    void *text;
    lines l = {.path = path};
    *keep = 0;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return true;
    if (!hz_file_read(path, MAX_SIZE, alloc, &text, &l.size, err)) return false;
    l.text = text;
    hz_train_point point;
    for (bool going = step > 0; next(&l, &point, &fault);) {
        going = going && point.step <= step && l.text[l.at - 1] == '\n';
        if (!going) continue;
        *last = point;
        *keep = l.at;
    }
    hz_free(alloc, text);
    return !fault.code || hz_fail(err, fault.code, "%s", fault.text);
}

/* O_NONBLOCK: a FIFO that nobody reads is an error, not a wait. */
static bool open_end(hz_train_log *log, size_t keep, hz_error *err) {
    log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    struct stat st;
    if (log->fd < 0 || fstat(log->fd, &st) != 0) return hz_fail_errno(err, log->path, "open");
    if (S_ISREG(st.st_mode) && (size_t)st.st_size != keep && ftruncate(log->fd, (off_t)keep) != 0)
        return hz_fail_errno(err, log->path, "shorten");
    int flags = fcntl(log->fd, F_GETFL);
    if (flags < 0 || fcntl(log->fd, F_SETFL, flags & ~O_NONBLOCK) != 0)
        return hz_fail_errno(err, log->path, "open");
    return true;
}

hz_train_log *hz_train_log_open(const char *path, int64_t step, const hz_allocator *alloc,
                                hz_train_point *last, hz_error *err) {
    hz_train_point none, *kept = last ? last : &none;
    *kept = (hz_train_point){.step = 0};
    size_t keep, length = strlen(path) + 1;
    if (!measure(path, step, alloc, kept, &keep, err)) return NULL;
    hz_train_log *log = hz_alloc(alloc, sizeof *log + length);
    if (!log) {
        hz_fail(err, HZ_ENOMEM, "%s: no memory to write it", hz_label(path).s);
        return NULL;
    }
    *log = (hz_train_log){.alloc = alloc ? *alloc : (hz_allocator){.alloc = NULL}, .fd = -1};
    memcpy(log->path, path, length);
    if (open_end(log, keep, err)) return log;
    hz_train_log_close(log);
    return NULL;
}

void hz_train_log_close(hz_train_log *log) {
    if (!log) return;
    if (log->fd >= 0) close(log->fd);
    hz_allocator alloc = log->alloc;
    hz_free(&alloc, log);
}

/* ---- writing ---- */

static json_t *json_of(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

/* The line of a point, without its end; bytes written, or 0 without memory. */
static size_t format(const hz_train_point *point, char *text, size_t size) {
    json_t *line = json_object();
    int failed = json_object_set_new(line, "step", json_integer(point->step));
    for (int k = 0; k < MEMBERS; k++)
        failed |= json_object_set_new(line, members[k].name,
                                      json_of(*(const double *)((const char *)point + members[k].offset)));
    size_t used = failed ? 0 : json_dumpb(line, text, size, JSON_REAL_PRECISION(DIGITS));
    json_decref(line);
    return used <= size ? used : 0;
}

/* All of it, or as much as could be written. */
static size_t put(int fd, const char *text, size_t size) {
    size_t done = 0;
    while (done < size) {
        ssize_t wrote = write(fd, text + done, size - done);
        if (wrote < 0 && errno != EINTR) break;
        if (wrote > 0) done += (size_t)wrote;
    }
    return done;
}

bool hz_train_log_write(hz_train_log *log, const hz_train_point *point, hz_error *err) {
    char text[MAX_LINE];
    size_t size = format(point, text, sizeof text - 1);
    if (!size) return hz_fail(err, HZ_ENOMEM, "%s: no memory to write it", hz_label(log->path).s);
    text[size++] = '\n';
    struct stat before;
    bool regular = fstat(log->fd, &before) == 0 && S_ISREG(before.st_mode);
    if (put(log->fd, text, size) == size) return true;
    hz_fail_errno(err, log->path, "write");
    /* What got there before a disk was full; should this fail, too, the reader passes an unfinished line over. */
    int undone = regular ? ftruncate(log->fd, before.st_size) : 0;
    (void)undone;
    return false;
}
