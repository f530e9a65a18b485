/* csv.c: tables of numbers with separated columns (RFC 4180). Start with hz_data_open_csv.
 *
 * The file is gone through twice: once to count lines and columns, once for the numbers.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/data/internal.h"

enum { MAX_COLUMNS = 65536, MAX_NUMBER = 100 };

/* ---- fields ---- */

typedef struct reader {
    const char *path, *at, *end;
    char separator;
    int64_t line, column; /* of the field read last, from 1 */
    int64_t next_line;    /* where the next one begins */
} reader;

typedef struct field {
    const char *text;
    size_t length;
    bool quoted; /* "" inside means " */
    bool last;   /* of its record */
} field;

static bool fail_at(const reader *r, hz_error *err, const char *what) {
    return hz_fail(err, HZ_EFORMAT, "%s: line %" PRId64 ", column %" PRId64 " %s", hz_label(r->path).s,
                   r->line, r->column, what);
}

/* The same, quoting the field. */
static bool fail_field(const reader *r, const field *f, hz_error *err, const char *what) {
    char text[64];
    size_t n = f->length < sizeof text - 1 ? f->length : sizeof text - 1;
    memcpy(text, f->text, n);
    text[n] = 0;
    return hz_fail(err, HZ_EFORMAT, "%s: line %" PRId64 ", column %" PRId64 ": \"%s\" %s",
                   hz_label(r->path).s, r->line, r->column, hz_label(hz_is_utf8(text) ? text : "?").s, what);
}

static bool is_blank(const reader *r, char c) {
    return c != r->separator && (c == ' ' || c == '\t' || c == '\r');
}

static bool read_quoted(reader *r, field *f, hz_error *err) {
    const char *p = r->at + 1;
    f->quoted = true;
    f->text = p;
    for (; p < r->end && !(*p == '"' && (p + 1 == r->end || p[1] != '"')); p++) {
        r->next_line += *p == '\n';
        p += *p == '"';
    }
    if (p >= r->end) return fail_at(r, err, "begins with a quote that is never closed");
    f->length = (size_t)(p - f->text);
    for (r->at = p + 1; r->at < r->end && is_blank(r, *r->at);) r->at++;
    if (r->at < r->end && *r->at != r->separator && *r->at != '\n')
        return fail_at(r, err, "goes on after its closing quote");
    return true;
}

static void read_plain(reader *r, field *f) {
    const char *begin = r->at;
    while (r->at < r->end && *r->at != r->separator && *r->at != '\n') r->at++;
    const char *end = r->at;
    while (begin < end && is_blank(r, end[-1])) end--;
    f->text = begin;
    f->length = (size_t)(end - begin);
}

/* Go to the first field of the next record; false at the end. Empty lines are none. */
static bool begin_record(reader *r) {
    for (; r->at < r->end && (*r->at == '\n' || (*r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n'));
         r->at++)
        r->next_line += *r->at == '\n';
    r->column = 0;
    return r->at < r->end;
}

static bool read_field(reader *r, field *f, hz_error *err) {
    *f = (field){0};
    r->line = r->next_line;
    r->column++;
    while (r->at < r->end && is_blank(r, *r->at)) r->at++;
    if (r->at < r->end && *r->at == '"') {
        if (!read_quoted(r, f, err)) return false;
    } else {
        read_plain(r, f);
    }
    f->last = r->at >= r->end || *r->at == '\n';
    r->next_line += r->at < r->end && *r->at == '\n';
    if (r->at < r->end) r->at++;
    return true;
}

/* ---- what a field says ---- */

static bool parse_number(const reader *r, const field *f, float *value, hz_error *err) {
    char text[MAX_NUMBER + 1], *end;
    if (f->length == 0) return fail_at(r, err, "is empty");
    bool fits = f->length <= MAX_NUMBER;
    if (fits) {
        memcpy(text, f->text, f->length);
        text[f->length] = 0;
        *value = (float)strtod(text, &end);
        if (*end == 0 && end == text + f->length && !isfinite(*value))
            return fail_field(r, f, err, "is no finite float");
    }
    bool number = fits && strspn(text, "0123456789+-.eE") == f->length && *end == 0;
    return number || fail_field(r, f, err, "is no number");
}

static bool parse_class(const reader *r, const field *f, int64_t classes, int64_t *label, hz_error *err) {
    float value;
    *label = 0;
    if (!parse_number(r, f, &value, err)) return false;
    if (!(value >= 0 && value <= 1 << 24 && value == floorf(value)))
        return fail_field(r, f, err, "is no class, which is an integer from 0 to 2^24");
    *label = (int64_t)value;
    if (classes == 0 || *label < classes) return true;
    return hz_fail(err, HZ_EFORMAT,
                   "%s: line %" PRId64 ", column %" PRId64 ": label %" PRId64 " is not below %" PRId64,
                   hz_label(r->path).s, r->line, r->column, *label, classes);
}

/* The text without the second of each pair of quotes. */
static bool add_name(const reader *r, const field *f, hz__names *names, hz_error *err) {
    char text[256];
    size_t n = 0;
    if (f->length == 0) return fail_at(r, err, "is empty");
    if (f->length >= sizeof text || memchr(f->text, 0, f->length))
        return fail_field(r, f, err, "is no name, which has at most 255 bytes");
    for (size_t k = 0; k < f->length; k++) {
        text[n++] = f->text[k];
        if (f->quoted && f->text[k] == '"') k++;
    }
    return hz__names_add(names, text, n) ||
           hz_fail(err, HZ_ENOMEM, "%s: no memory for its names", hz_label(r->path).s);
}

/* ---- the table ---- */

typedef struct table {
    hz_csv_opts opts;
    const char *bytes;
    size_t size;
    int64_t rows, columns; /* without the header; columns of the file */
    int64_t label;         /* the column of y, from 1; 0: there is none */
    hz__names names;       /* of the labels, one a row */
} table;

static reader start(const table *t, const char *path) {
    size_t mark = t->size >= 3 && memcmp(t->bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* of byte order */
    return (reader){.path = path,
                    .at = t->bytes + mark,
                    .end = t->bytes + t->size,
                    .separator = t->opts.separator,
                    .next_line = 1};
}

static bool same_text(const field *f, const char *text) {
    return text && strlen(text) == f->length && memcmp(f->text, text, f->length) == 0;
}

/* One record; *label becomes the column that the label's name is found in. */
static bool count_columns(table *t, reader *r, int64_t *columns, int64_t *label, hz_error *err) {
    field f = {0};
    for (*columns = 0; !f.last; ++*columns) {
        if (*columns == MAX_COLUMNS)
            return fail_at(r, err, "is the last of 65536 that are accepted, and more follow");
        if (!read_field(r, &f, err)) return false;
        if (same_text(&f, t->opts.label_name)) *label = r->column;
    }
    return true;
}

static bool count(table *t, const char *path, hz_error *err) {
    reader r = start(t, path);
    int64_t columns, ignored = 0, first = 0;
    if (t->opts.header && begin_record(&r) && !count_columns(t, &r, &t->columns, &t->label, err))
        return false;
    if (t->columns) first = r.line;
    for (; begin_record(&r); t->rows++) {
        if (!count_columns(t, &r, &columns, &ignored, err)) return false;
        if (t->columns == 0) t->columns = columns, first = r.line;
        if (columns != t->columns)
            return hz_fail(err, HZ_EFORMAT,
                           "%s: line %" PRId64 " has %" PRId64 " columns, line %" PRId64 " has %" PRId64,
                           hz_label(path).s, r.line, columns, first, t->columns);
    }
    return t->rows > 0 || hz_fail(err, HZ_EFORMAT, "%s: has no lines of numbers", hz_label(path).s);
}

static bool find_label(table *t, const char *path, hz_error *err) {
    const hz_csv_opts *o = &t->opts;
    if (o->label_name && t->label == 0)
        return hz_fail(err, HZ_ENOTFOUND, "%s: its first line names no column \"%s\"", hz_label(path).s,
                       hz_label(o->label_name).s);
    if (!o->label_name) t->label = o->label == 0 ? t->columns : o->label < 0 ? 0 : o->label;
    if (t->label > t->columns)
        return hz_fail(err, HZ_EFORMAT, "%s: has %" PRId64 " columns, and column %" PRId64 " was to be y",
                       hz_label(path).s, t->columns, t->label);
    return t->columns - (t->label > 0) > 0 ||
           hz_fail(err, HZ_EFORMAT, "%s: has no column besides that of y", hz_label(path).s);
}

static bool make_tensor(hz_data *data, int slot, const char *path, hz_tensor *t, hz_error *err) {
    if (!hz_shape_check("table", t->dtype, t->rank, t->dim, err))
        return hz_fail_in(err, "%s", hz_label(path).s);
    t->data = data->memory[slot] = hz_alloc(&data->alloc, hz_nbytes(t));
    return t->data ||
           hz_fail(err, HZ_ENOMEM, "%s: no memory for its %" PRId64 " lines", hz_label(path).s, t->dim[0]);
}

static bool make_tensors(table *t, const char *path, hz_data *data, hz_error *err) {
    hz_dtype y = t->opts.kind == HZ_CSV_TARGETS ? HZ_F32 : HZ_I64;
    data->x = hz_tensor_of(NULL, HZ_F32, HZ_DIMS(t->rows, t->columns - (t->label > 0)));
    if (t->label > 0) data->y = hz_tensor_of(NULL, y, HZ_DIMS(t->rows));
    return make_tensor(data, 0, path, &data->x, err) &&
           (t->label == 0 || make_tensor(data, 1, path, &data->y, err));
}

static bool read_label(table *t, const reader *r, const field *f, int64_t row, hz_data *data, hz_error *err) {
    int64_t *label = (int64_t *)data->y.data + row;
    if (t->opts.kind == HZ_CSV_TARGETS) return parse_number(r, f, (float *)data->y.data + row, err);
    if (t->opts.kind == HZ_CSV_NAMES) return add_name(r, f, &t->names, err);
    if (!parse_class(r, f, t->opts.classes, label, err)) return false;
    if (*label >= data->classes) data->classes = *label + 1;
    return true;
}

static bool read_rows(table *t, const char *path, hz_data *data, hz_error *err) {
    reader r = start(t, path);
    float *x = data->x.data;
    field f = {0};
    if (t->opts.header && begin_record(&r)) do
            if (!read_field(&r, &f, err)) return false;
        while (!f.last);
    for (int64_t row = 0; begin_record(&r); row++) do {
            if (!read_field(&r, &f, err)) return false;
            if (r.column == t->label ? !read_label(t, &r, &f, row, data, err)
                                     : !parse_number(&r, &f, x++, err))
                return false;
        } while (!f.last);
    return true;
}

/* The names of all rows become numbers, in the order of the sorted ones. */
static bool number_names(table *t, const char *path, hz_data *data, hz_error *err) {
    const char **all = hz__names_pack(&t->names, &data->alloc);
    int64_t *label = data->y.data;
    hz__names_sort(&t->names, true);
    data->memory[2] = hz__names_pack(&t->names, &data->alloc);
    data->names = data->memory[2];
    data->classes = (int64_t)t->names.n;
    bool ok = all && data->memory[2];
    for (int64_t k = 0; ok && k < t->rows; k++) label[k] = hz__names_find(data->names, data->classes, all[k]);
    hz_free(&data->alloc, all);
    if (!ok) return hz_fail(err, HZ_ENOMEM, "%s: no memory for its names", hz_label(path).s);
    return t->opts.classes == 0 || data->classes <= t->opts.classes ||
           hz_fail(err, HZ_EFORMAT, "%s: has %" PRId64 " different labels, not %" PRId64, hz_label(path).s,
                   data->classes, t->opts.classes);
}

/* Numbers are written with a point whatever the user's language: strtod goes by the thread's locale. */
static bool read_table(table *t, const char *path, hz_data *data, hz_error *err) {
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) return hz_fail(err, HZ_ENOMEM, "%s: no memory for a locale", hz_label(path).s);
    locale_t before = uselocale(plain);
    bool ok = count(t, path, err) && find_label(t, path, err) && make_tensors(t, path, data, err) &&
              read_rows(t, path, data, err) &&
              (t->opts.kind != HZ_CSV_NAMES || t->label == 0 || number_names(t, path, data, err));
    uselocale(before);
    freelocale(plain);
    if (ok && t->opts.classes > 0 && data->classes > 0) data->classes = t->opts.classes;
    return ok;
}

static bool check_opts(const hz_csv_opts *o, hz_error *err) {
    if (strchr("\"\n\r.+-0123456789eE", o->separator))
        return hz_fail(err, HZ_EINVAL, "columns cannot be separated by byte %d", o->separator);
    if (o->label_name && !o->header)
        return hz_fail(err, HZ_EINVAL, "column \"%s\" is asked for where no header names the columns",
                       hz_label(o->label_name).s);
    if (o->classes < 0 || o->kind < HZ_CSV_CLASSES || o->kind > HZ_CSV_TARGETS)
        return hz_fail(err, HZ_EINVAL, "%" PRId64 " classes, labels of kind %d", o->classes, (int)o->kind);
    return true;
}

bool hz_data_open_csv(const char *path, const hz_csv_opts *opts, const hz_allocator *alloc, hz_data *data,
                      hz_error *err) {
    void *bytes = NULL;
    table t = {.opts = opts ? *opts : (hz_csv_opts){0}};
    hz__data_begin(data, alloc);
    t.names.arena.alloc = data->alloc;
    if (t.opts.separator == 0) t.opts.separator = ',';
    bool ok = check_opts(&t.opts, err) && hz_file_read(path, HZ__MAX_DATA_FILE, alloc, &bytes, &t.size, err);
    t.bytes = bytes;
    ok = ok && read_table(&t, path, data, err);
    hz__names_free(&t.names);
    hz_free(alloc, bytes);
    return hz__data_end(data, ok);
}
