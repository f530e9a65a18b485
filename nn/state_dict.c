/* state_dict.c: parameters out of a file and into one. Start with hz_params_load.
 *
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nn/internal.h"
#include "nn/params_internal.h"
#include "tensor/elementwise.h"
#include "tensor/safetensors.h"

/* ---- the report ---- */

typedef struct lines {
    char text[320]; /* names, as many as fit */
    size_t used;
} lines;

static void list(lines *l, const char *format, ...) HZ_PRINTF(2, 3);
static void list(lines *l, const char *format, ...) {
    char item[200];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(item, sizeof item, format, args);
    va_end(args);
    const size_t room = sizeof l->text - l->used, wanted = (size_t)n + 2;
    if (n < 0 || l->used + 4 >= sizeof l->text) return;
    if (wanted + 4 > room)
        l->used = sizeof l->text, snprintf(l->text + sizeof l->text - room, room, ", …");
    else
        l->used += (size_t)snprintf(l->text + l->used, room, "%s%s", l->used ? ", " : "", item);
}

typedef struct findings {
    hz_load_report r;
    lines missing, unexpected, misshapen;
} findings;

static void describe(findings *f) {
    const struct {
        int n;
        const char *what;
        const lines *names;
    } part[] = {{f->r.missing, "missing", &f->missing},
                {f->r.unexpected, "unexpected", &f->unexpected},
                {f->r.misshapen, "of another shape", &f->misshapen}};
    size_t used = (size_t)snprintf(f->r.text, sizeof f->r.text, "%d loaded", f->r.loaded);
    for (size_t k = 0; k < sizeof part / sizeof part[0] && used < sizeof f->r.text; k++)
        if (part[k].n)
            used += (size_t)snprintf(f->r.text + used, sizeof f->r.text - used, "; %d %s: %s", part[k].n,
                                     part[k].what, part[k].names->text);
}

/* ---- loading ---- */

enum { LONGEST = 512 };

/* The file's tensor for the parameter called name: prefix + name. */
static const hz_tensor *source(const hz_weights *w, const char *prefix, const char *name) {
    char full[LONGEST];
    const int n = snprintf(full, sizeof full, "%s%s", prefix, name);
    return n >= 0 && n < LONGEST ? hz_weights_find(w, full) : NULL;
}

/* Another name of the same memory has its values in the file. */
static bool loaded_under_another_name(const hz_params *p, const hz_weights *w, const char *prefix,
                                      const hz_parameter *q) {
    for (int k = 0; k < p->count; k++) {
        const hz_parameter *other = hz_params_at(p, k);
        if (other != q && other->value.data == q->value.data && source(w, prefix, other->name)) return true;
    }
    return false;
}

static bool convertible(const hz_tensor *from, const hz_tensor *to) {
    return hz_dtype_is_float(from->dtype) == hz_dtype_is_float(to->dtype);
}

static void look_at_parameter(const hz_params *p, const hz_weights *w, const char *prefix,
                              const hz_parameter *q, findings *f) {
    const hz_tensor *from = source(w, prefix, q->name);
    if (!from && loaded_under_another_name(p, w, prefix, q)) return;
    if (!from) {
        f->r.missing++;
        list(&f->missing, "%s", q->name);
    } else if (!hz_same_shape(from, &q->value) || !convertible(from, &q->value)) {
        f->r.misshapen++;
        list(&f->misshapen, "%s %s %s for %s %s", q->name, hz_dtype_name(from->dtype), hz_shape_str(from).s,
             hz_dtype_name(q->value.dtype), hz_shape_str(&q->value).s);
    } else {
        f->r.loaded++;
    }
}

static void look_at_file(const hz_params *p, const hz_weights *w, const char *prefix, findings *f) {
    const size_t skip = strlen(prefix);
    for (size_t i = 0; i < hz_weights_count(w); i++) {
        const char *name = hz_weights_name(w, i);
        if (*name == '@' || strncmp(name, prefix, skip) != 0 || hz_params_find(p, name + skip)) continue;
        f->r.unexpected++;
        list(&f->unexpected, "%s", name);
    }
}

static void copy_in(const hz_params *p, const hz_weights *w, const char *prefix) {
    const hz_exec ex = hz__params_exec(p);
    for (int k = 0; k < p->count; k++) {
        const hz_parameter *q = hz_params_at(p, k);
        const hz_tensor *from = source(w, prefix, q->name);
        if (from && hz_same_shape(from, &q->value) && convertible(from, &q->value))
            hz_cast(&ex, from, &q->value);
    }
}

bool hz_params_load(hz_params *p, const hz_weights *w, const hz_load_opts *opts, hz_load_report *report,
                    hz_error *err) {
    const hz_load_opts o = opts ? *opts : (hz_load_opts){.lenient = false};
    const char *prefix = o.prefix ? o.prefix : "";
    findings f = {.r = {.loaded = 0}};
    for (int k = 0; k < p->count; k++) look_at_parameter(p, w, prefix, hz_params_at(p, k), &f);
    look_at_file(p, w, prefix, &f);
    describe(&f);
    if (report) *report = f.r;
    if (!o.lenient && f.r.missing + f.r.unexpected + f.r.misshapen > 0)
        return hz_fail(err, f.r.misshapen ? HZ_ESHAPE : HZ_ENOTFOUND, "the parameters do not fit: %.400s",
                       f.r.text);
    copy_in(p, w, prefix);
    return true;
}

/* ---- saving ---- */

bool hz_params_save(const hz_params *p, const char *path, const hz_save_opts *opts, hz_error *err) {
    const hz_save_opts o = opts ? *opts : (hz_save_opts){.as_f16 = false};
    const hz_safetensors_options how = {.alloc = &p->alloc, .as_f16 = o.as_f16};
    hz_safetensors_entry *entry = hz_alloc0(&p->alloc, ((size_t)p->count + 1) * sizeof *entry);
    if (!entry) return hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(path).s);
    for (int k = 0; k < p->count; k++)
        entry[k] = (hz_safetensors_entry){hz_params_at(p, k)->name, hz_params_at(p, k)->value};
    const bool ok = hz_safetensors_write(path, entry, (size_t)p->count, o.metadata, o.n_metadata, &how, err);
    hz_free(&p->alloc, entry);
    return ok;
}
