/* checkpoint.c: a training run as one list of named tensors and texts, the same for saving and for loading: see
 * make_list. Start with hz_checkpoint_save and hz_checkpoint_load.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tensor/safetensors.h"

static const char KIND[] = "@checkpoint", VERSION[] = "1", DIGEST[] = "@digest";
enum { DIGEST_TEXT = 17, SCALARS = 10 + 2 * HZ_TRAIN_OPTIMIZERS };

/* The numbers of a run, each a tensor of rank 0. */
typedef struct numbers {
    int64_t seed, step, epoch, position;
    int64_t begun, bad, rest; /* of the plateau */
    double best, scale;
    double lr[HZ_TRAIN_OPTIMIZERS], momentum[HZ_TRAIN_OPTIMIZERS];
} numbers;

/* All that a checkpoint of this state holds beside the weights. */
typedef struct list {
    const char *path;
    hz_arena arena; /* names, and the two arrays */
    numbers number;
    hz_safetensors_entry *entry; /* views of `number` first, then of notes and optimisers */
    size_t n, n_numbers;
    hz_text_pair *text; /* what the file must say, word for word */
    size_t n_text;
} list;

/* ---- making the list ---- */

/* A name in the list's arena; NULL when out of memory. */
static const char *name_of(list *l, const char *format, ...) HZ_PRINTF(2, 3);
static const char *name_of(list *l, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    char *name = n < 0 ? NULL : hz_arena_alloc(&l->arena, (size_t)n + 1);
    if (name) vsnprintf(name, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return name;
}

static bool add(list *l, const char *name, const hz_tensor *tensor) {
    if (!name) return false;
    l->entry[l->n++] = (hz_safetensors_entry){name, *tensor};
    return true;
}

static bool add_scalar(list *l, const char *name, void *value, hz_dtype dtype) {
    const hz_tensor t = hz_tensor_of(value, dtype, 0, NULL);
    return add(l, name, &t);
}

static bool add_text(list *l, const char *key, const char *value) {
    if (!key) return false;
    l->text[l->n_text++] = (hz_text_pair){key, value};
    return true;
}

static int count_optimizers(const hz_train_state *s) {
    int n = 0;
    while (n < HZ_TRAIN_OPTIMIZERS && s->optimizer[n]) n++;
    return n;
}

static bool add_numbers(list *l, const hz_train_state *s) {
    numbers *v = &l->number;
    v->step = s->step, v->epoch = s->epoch, v->position = s->position;
    memcpy(&v->seed, &s->seed, sizeof v->seed);
    bool ok = add_scalar(l, "@seed", &v->seed, HZ_I64) && add_scalar(l, "@step", &v->step, HZ_I64) &&
              add_scalar(l, "@epoch", &v->epoch, HZ_I64) && add_scalar(l, "@position", &v->position, HZ_I64);
    if (!ok || !s->plateau) return ok;
    v->begun = s->plateau->begun, v->bad = s->plateau->bad, v->rest = s->plateau->rest;
    v->best = s->plateau->best, v->scale = s->plateau->scale;
    return add_scalar(l, "@plateau.begun", &v->begun, HZ_I64) &&
           add_scalar(l, "@plateau.bad", &v->bad, HZ_I64) &&
           add_scalar(l, "@plateau.rest", &v->rest, HZ_I64) &&
           add_scalar(l, "@plateau.best", &v->best, HZ_F64) &&
           add_scalar(l, "@plateau.scale", &v->scale, HZ_F64);
}

static bool add_settings(list *l, const hz_train_state *s) {
    for (int k = 0; k < count_optimizers(s); k++) {
        numbers *v = &l->number;
        v->lr[k] = hz_optimizer_lr(s->optimizer[k]), v->momentum[k] = hz_optimizer_momentum(s->optimizer[k]);
        if (!add_text(l, name_of(l, "@optimizer.%d", k), hz_optimizer_name(s->optimizer[k])) ||
            !add_scalar(l, name_of(l, "@optimizer.%d.lr", k), &v->lr[k], HZ_F64))
            return false;
        if (!isnan(v->momentum[k]) &&
            !add_scalar(l, name_of(l, "@optimizer.%d.momentum", k), &v->momentum[k], HZ_F64))
            return false;
    }
    return true;
}

static bool add_states(list *l, const hz_train_state *s) {
    for (int k = 0; k < count_optimizers(s); k++)
        for (int i = 0; i < hz_optimizer_state_count(s->optimizer[k]); i++) {
            const char *name;
            hz_tensor t;
            hz_optimizer_state(s->optimizer[k], i, &name, &t);
            if (!add(l, name_of(l, "@optimizer.%d.%s", k, name), &t)) return false;
        }
    return true;
}

static bool add_notes(list *l, const hz_train_state *s) {
    for (size_t k = 0; k < s->n_notes; k++) {
        const hz_note *note = &s->notes[k];
        const char *name = name_of(l, "@note.%s", note->name);
        if (note->number ? !add_scalar(l, name, note->number, HZ_F64) : !add_text(l, name, note->text))
            return false;
    }
    return true;
}

/* Everything but the weights. Of the texts the notes come last. */
static bool make_list(list *l, const char *path, const hz_train_state *s, hz_error *err) {
    size_t most = SCALARS + s->n_notes;
    *l = (list){.path = path};
    if (s->alloc) l->arena.alloc = *s->alloc;
    for (int k = 0; k < count_optimizers(s); k++) most += (size_t)hz_optimizer_state_count(s->optimizer[k]);
    if (s->params) most += (size_t)hz_params_count(s->params);
    l->entry = hz_arena_alloc(&l->arena, most * sizeof *l->entry);
    l->text = hz_arena_alloc(&l->arena, (2 + HZ_TRAIN_OPTIMIZERS + s->n_notes) * sizeof *l->text);
    bool ok = l->entry && l->text && add_numbers(l, s) && add_settings(l, s);
    l->n_numbers = l->n;
    ok = ok && add_text(l, KIND, VERSION) && add_states(l, s) && add_notes(l, s);
    return ok || hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(path).s);
}

/* ---- the digest: any element, name or text that differs makes another; their order does not ---- */

static const uint64_t FNV_START = 14695981039346656037u, FNV_PRIME = 1099511628211u;

static uint64_t hash_text(uint64_t h, const char *s) {
    for (; *s; s++) h = (h ^ (unsigned char)*s) * FNV_PRIME;
    return h * FNV_PRIME;
}

/* FNV-1a, element by element: multiplying by an odd number loses nothing, so no single change is missed. */
static uint64_t hash_elements(uint64_t h, const hz_tensor *t) {
    const size_t width = hz_dtype_size(t->dtype);
    const char *at = t->data;
    for (int64_t n = hz_numel(t); n > 0; n--, at += width) {
        uint64_t element = 0;
        uint32_t half = 0;
        if (width == 8) memcpy(&element, at, 8);
        if (width == 4) memcpy(&half, at, 4);
        h = (h ^ (width == 1 ? (unsigned char)*at : element + half)) * FNV_PRIME;
    }
    return h;
}

/* The high bits of a product by FNV_PRIME never reach the low ones: mix them before sums are taken. */
static uint64_t mix(uint64_t h) {
    h = (h ^ h >> 32) * 0x9fb21c651e98df25u;
    return h ^ h >> 28;
}

static uint64_t digest_tensor(const char *name, const hz_tensor *t) {
    uint64_t h = hash_text(hash_text(FNV_START, name), hz_dtype_name(t->dtype));
    h = hash_text(h, hz_shape_str(t).s);
    return mix(hash_elements(h, t));
}

static uint64_t digest_text(const hz_text_pair *pair) {
    return strcmp(pair->key, DIGEST) == 0 ? 0 : mix(hash_text(hash_text(FNV_START, pair->key), pair->value));
}

/* ---- saving ---- */

static bool check_notes(const char *path, const hz_train_state *s, hz_error *err) {
    for (size_t k = 0; k < s->n_notes; k++) {
        const hz_note *note = &s->notes[k];
        if (!note->number && (!note->text || !memchr(note->text, 0, note->room) || !hz_is_utf8(note->text)))
            return hz_fail(err, HZ_EINVAL, "%s: note \"%s\" is neither a number nor a text", hz_label(path).s,
                           hz_label(note->name).s);
        for (size_t i = 0; i < k; i++)
            if (strcmp(s->notes[i].name, note->name) == 0)
                return hz_fail(err, HZ_EINVAL, "%s: two notes are named \"%s\"", hz_label(path).s,
                               hz_label(note->name).s);
    }
    return true;
}

static bool write_list(list *l, const hz_train_state *s, hz_error *err) {
    uint64_t sum = 0;
    char digest[DIGEST_TEXT];
    for (int k = 0; s->params && k < hz_params_count(s->params); k++)
        add(l, hz_params_at(s->params, k)->name, &hz_params_at(s->params, k)->value);
    for (size_t k = 0; k < l->n; k++) sum += digest_tensor(l->entry[k].name, &l->entry[k].tensor);
    for (size_t k = 0; k < l->n_text; k++) sum += digest_text(&l->text[k]);
    snprintf(digest, sizeof digest, "%016" PRIx64, sum);
    add_text(l, DIGEST, digest);
    const hz_safetensors_options how = {.alloc = s->alloc};
    return hz_safetensors_write(l->path, l->entry, l->n, l->text, l->n_text, &how, err);
}

bool hz_checkpoint_save(const char *path, const hz_train_state *state, hz_error *err) {
    list l;
    if (!check_notes(path, state, err)) return false;
    const bool ok = make_list(&l, path, state, err) && write_list(&l, state, err);
    hz_arena_free(&l.arena);
    return ok;
}

/* ---- loading: is the file what it says ---- */

static bool check_whole(const list *l, const hz_weights *w, hz_error *err) {
    const char *version = hz_weights_metadata(w, KIND), *digest = hz_weights_metadata(w, DIGEST);
    if (!version || !digest)
        return hz_fail(err, HZ_EFORMAT, "%s: is no checkpoint: it does not say \"%s\"", hz_label(l->path).s,
                       version ? DIGEST : KIND);
    if (strcmp(version, VERSION) != 0)
        return hz_fail(err, HZ_EFORMAT, "%s: is a checkpoint of version %.20s; known is %s",
                       hz_label(l->path).s, hz_label(version).s, VERSION);
    uint64_t sum = 0;
    char actual[DIGEST_TEXT];
    size_t n_text;
    const hz_text_pair *text = hz_weights_metadata_pairs(w, &n_text);
    for (size_t i = 0; i < hz_weights_count(w); i++)
        sum += digest_tensor(hz_weights_name(w, i), hz_weights_tensor(w, i));
    for (size_t i = 0; i < n_text; i++) sum += digest_text(&text[i]);
    snprintf(actual, sizeof actual, "%016" PRIx64, sum);
    return strcmp(actual, digest) == 0 ||
           hz_fail(err, HZ_EFORMAT, "%s: is damaged: the digest of its contents is %s, not %.20s",
                   hz_label(l->path).s, actual, hz_label(digest).s);
}

/* ---- loading: does it fit this state ---- */

static bool check_optimizers(const list *l, const hz_weights *w, const hz_train_state *s, hz_error *err) {
    const int n = count_optimizers(s);
    for (int k = 0; k < HZ_TRAIN_OPTIMIZERS; k++) {
        char key[32];
        snprintf(key, sizeof key, "@optimizer.%d", k);
        const char *theirs = hz_weights_metadata(w, key),
                   *ours = k < n ? hz_optimizer_name(s->optimizer[k]) : NULL;
        if ((theirs || ours) && (!theirs || !ours || strcmp(theirs, ours) != 0))
            return hz_fail(err, HZ_EINVAL, "%s: optimiser %d is %s in the file and %s here",
                           hz_label(l->path).s, k, theirs ? hz_label(theirs).s : "none",
                           ours ? ours : "none");
    }
    return true;
}

static bool check_tensor(const list *l, const hz_weights *w, const char *name, const hz_tensor *to,
                         hz_error *err) {
    hz_tensor from;
    if (!hz_weights_get(w, name, &from, err)) return false;
    return (from.dtype == to->dtype && hz_same_shape(&from, to)) ||
           hz_fail(err, HZ_ESHAPE, "%s: \"%s\" is %s %s in the file and %s %s here", hz_label(l->path).s,
                   hz_label(name).s, hz_dtype_name(from.dtype), hz_shape_str(&from).s,
                   hz_dtype_name(to->dtype), hz_shape_str(to).s);
}

static bool is_listed(const list *l, const char *name) {
    for (size_t k = 0; k < l->n; k++)
        if (strcmp(l->entry[k].name, name) == 0) return true;
    return strncmp(name, "@note.", 6) == 0;
}

/* Nothing of the training is in the file that has no place here. */
static bool check_places(const list *l, const hz_weights *w, hz_error *err) {
    for (size_t i = 0; i < hz_weights_count(w); i++) {
        const char *name = hz_weights_name(w, i);
        if (*name == '@' && !is_listed(l, name))
            return hz_fail(err, HZ_ENOTFOUND, "%s: there is no place here for its \"%s\"",
                           hz_label(l->path).s, hz_label(name).s);
    }
    return true;
}

static bool check_texts(const list *l, const hz_weights *w, const hz_train_state *s, hz_error *err) {
    for (size_t k = 0; k < s->n_notes; k++) {
        const hz_note *note = &s->notes[k];
        if (note->number) continue;
        char key[256];
        const int n = snprintf(key, sizeof key, "@note.%s", note->name);
        const char *text = n < (int)sizeof key ? hz_weights_metadata(w, key) : NULL;
        if (!text)
            return hz_fail(err, HZ_ENOTFOUND, "%s: has no note \"%s\"", hz_label(l->path).s,
                           hz_label(note->name).s);
        if (strlen(text) >= note->room)
            return hz_fail(err, HZ_ESHAPE,
                           "%s: note \"%s\" has %zu bytes, more than the %zu there is room for",
                           hz_label(l->path).s, hz_label(note->name).s, strlen(text) + 1, note->room);
    }
    return true;
}

/* Weights are converted between dtypes when loaded elsewhere, but a run goes on with the same. */
static bool check_dtypes(const list *l, const hz_weights *w, const hz_params *p, hz_error *err) {
    for (int k = 0; k < hz_params_count(p); k++) {
        const hz_parameter *q = hz_params_at(p, k);
        const hz_tensor *from = hz_weights_find(w, q->name);
        if (from && hz_same_shape(from, &q->value) && !check_tensor(l, w, q->name, &q->value, err))
            return false;
    }
    return true;
}

/* Numbers are within what may be gone on with; they are in l->number by now. */
static bool check_numbers(const list *l, const hz_train_state *s, hz_error *err) {
    const numbers *v = &l->number;
    const int64_t least = v->step < v->epoch ? v->step : v->epoch;
    bool ok = least >= 0 && v->position >= 0 && v->bad >= 0 && v->rest >= 0 && (v->begun & ~1) == 0;
    for (int k = 0; k < count_optimizers(s); k++)
        ok = ok && v->lr[k] >= 0 && v->lr[k] < INFINITY &&
             (isnan(hz_optimizer_momentum(s->optimizer[k])) || (v->momentum[k] >= 0 && v->momentum[k] < 1));
    return ok || hz_fail(err, HZ_EFORMAT, "%s: a count is negative, or a rate or momentum impossible",
                         hz_label(l->path).s);
}

/* A step before the first would divide by zero. */
static bool check_counts(const list *l, const hz_weights *w, hz_error *err) {
    for (size_t k = l->n_numbers; k < l->n; k++) {
        const hz_tensor *from = hz_weights_find(w, l->entry[k].name);
        if (from->dtype == HZ_I64 && *(const int64_t *)from->data < 0)
            return hz_fail(err, HZ_EFORMAT, "%s: \"%s\" is %" PRId64, hz_label(l->path).s,
                           hz_label(l->entry[k].name).s, *(const int64_t *)from->data);
    }
    return true;
}

/* ---- loading: taking it over ---- */

static void take(const list *l, const hz_weights *w, size_t from, size_t to) {
    for (size_t k = from; k < to; k++)
        memcpy(l->entry[k].tensor.data, hz_weights_find(w, l->entry[k].name)->data,
               hz_nbytes(&l->entry[k].tensor));
}

static void take_texts(const hz_weights *w, const hz_train_state *s) {
    for (size_t k = 0; k < s->n_notes; k++) {
        char key[256];
        if (s->notes[k].number) continue;
        snprintf(key, sizeof key, "@note.%s", s->notes[k].name);
        strcpy(s->notes[k].text, hz_weights_metadata(w, key));
    }
}

static void take_numbers(const numbers *v, hz_train_state *s) {
    s->step = v->step, s->epoch = v->epoch, s->position = v->position;
    memcpy(&s->seed, &v->seed, sizeof s->seed);
    if (s->plateau) {
        s->plateau->begun = v->begun, s->plateau->bad = v->bad, s->plateau->rest = v->rest;
        s->plateau->best = v->best, s->plateau->scale = v->scale;
    }
    for (int k = 0; k < count_optimizers(s); k++) {
        hz_optimizer_set_lr(s->optimizer[k], v->lr[k], NULL);
        if (!isnan(v->momentum[k])) hz_optimizer_set_momentum(s->optimizer[k], v->momentum[k], NULL);
    }
}

/* Everything is looked at before anything is changed. The list's own numbers may be: they are scratch. */
static bool load_list(list *l, const hz_weights *w, hz_train_state *s, hz_error *err) {
    if (!check_whole(l, w, err) || (s->params && !check_optimizers(l, w, s, err))) return false;
    for (size_t k = 0; k < l->n; k++)
        if (!check_tensor(l, w, l->entry[k].name, &l->entry[k].tensor, err)) return false;
    take(l, w, 0, l->n_numbers);
    if (!check_numbers(l, s, err) || !check_counts(l, w, err) || !check_texts(l, w, s, err)) return false;
    if (s->params) {
        if (!check_places(l, w, err) || !check_dtypes(l, w, s->params, err)) return false;
        if (!hz_params_load(s->params, w, NULL, NULL, err)) return hz_fail_in(err, "%s", hz_label(l->path).s);
    }
    take(l, w, l->n_numbers, l->n);
    take_texts(w, s);
    take_numbers(&l->number, s);
    return true;
}

bool hz_checkpoint_load(const char *path, hz_train_state *state, hz_error *err) {
    list l;
    hz_weights *w = NULL;
    const hz_train_state what = *state;
    if (!state->params && (count_optimizers(&what) || what.plateau))
        return hz_fail(err, HZ_EINVAL, "%s: an optimiser or plateau wants loading without its parameters",
                       hz_label(path).s);
    const bool ok = make_list(&l, path, state, err) && hz_weights_open(path, state->alloc, &w, err) &&
                    load_list(&l, w, state, err);
    hz_weights_close(w);
    hz_arena_free(&l.arena);
    return ok;
}
