/* patches.c: `hzero patches`: the pieces of pictures that fire a unit most: its channel is looked up at every position of
 * every picture of a folder, and the receptive fields of the strongest positions are drawn.
 *
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "commands.h"
#include "session.h"
#include "sheet.h"

enum { TILE = 160, MOST_PATCHES = 400, NAME = 256 };

typedef struct patch {
    double value;
    int64_t row, column; /* position in the layer */
    hz_box field;        /* receptive field, clipped */
    char file[NAME];
    hz_tensor picture; /* the crop, memory from malloc */
} patch;

typedef struct search {
    session s;
    const options *o;
    char **file; /* names in the folder, sorted */
    int n_files;
    patch *best; /* strongest first */
    int n_best, most, most_per_file;
} search;

/* ---- the folder ---- */

static bool is_picture(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (!strcasecmp(dot, ".png") || !strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg"));
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_file(search *q, const char *name) {
    char **grown = realloc(q->file, (size_t)(q->n_files + 1) * sizeof *grown);
    if (!grown) return false;
    q->file = grown;
    size_t size = strlen(name) + 1;
    char *copy = malloc(size);
    if (!copy) return false;
    q->file[q->n_files++] = memcpy(copy, name, size);
    return true;
}

static bool list_files(search *q) {
    DIR *dir = opendir(q->o->images);
    if (!dir) return hz_fail(&q->s.err, HZ_EIO, "%s: cannot be read as a folder", q->o->images);
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(dir));)
        if (is_picture(e->d_name)) ok = add_file(q, e->d_name);
    closedir(dir);
    if (!ok) return hz_fail(&q->s.err, HZ_ENOMEM, "out of memory");
    if (!q->n_files) return hz_fail(&q->s.err, HZ_ENOTFOUND, "%s: holds no PNG or JPEG file", q->o->images);
    qsort(q->file, (size_t)q->n_files, sizeof *q->file, by_name);
    q->most_per_file = (q->most + q->n_files - 1) / q->n_files;
    return true;
}

/* ---- the strongest positions ---- */

static hz_tensor plane_of(const hz_unit_info *unit) {
    const hz_tensor *v = hz_value(unit->layer);
    hz_tensor plane = *v;
    if (v->rank == 4) {
        plane.data = (float *)v->data + unit->index[1] * v->stride[1];
        plane.rank = 2;
        for (int k = 0; k < 2; k++) plane.dim[k] = v->dim[2 + k], plane.stride[k] = v->stride[2 + k];
    } else {
        plane.data = (float *)v->data + hz_offset(v, unit->index);
        plane.rank = 2;
        for (int k = 0; k < 2; k++) plane.dim[k] = 1, plane.stride[k] = 1;
    }
    return plane;
}

/* No neighbour is stronger: one peak is one patch. */
static bool is_peak(const hz_tensor *plane, int64_t y, int64_t x) {
    double v = hz_get(plane, (const int64_t[]){y, x});
    for (int64_t yy = y - 1; yy <= y + 1; yy++)
        for (int64_t xx = x - 1; xx <= x + 1; xx++) {
            if (yy < 0 || xx < 0 || yy >= plane->dim[0] || xx >= plane->dim[1]) continue;
            if (hz_get(plane, (const int64_t[]){yy, xx}) > v) return false;
        }
    return true;
}

/* Insert into list[0 … n), strongest first, at most `most`; returns the new n. */
static int insert(patch *list, int n, int most, const patch *p) {
    int at = n;
    while (at > 0 && p->value > list[at - 1].value) at--;
    if (at == most) return n;
    if (n == most) free(list[--n].picture.data);
    memmove(list + at + 1, list + at, (size_t)(n - at) * sizeof *list);
    list[at] = *p;
    return n + 1;
}

static bool cut_out(search *q, const hz_unit_info *unit, const hz_tensor *photo, patch *p) {
    hz_box at, field;
    int rank = hz_value(unit->layer)->rank;
    for (int k = 0; k < rank; k++) at.lo[k] = unit->index[k];
    if (rank == 4) at.lo[2] = p->row, at.lo[3] = p->column;
    for (int k = 0; k < rank; k++) at.hi[k] = at.lo[k] + 1;
    if (!hz_receptive_field(unit->layer, &at, q->s.x, &field))
        return hz_fail(&q->s.err, HZ_EGRAD, "%s does not depend on the pixels", unit->text);
    p->field = hz_box_clip(&field, &q->s.image);
    hz_box part = {{p->field.lo[2], p->field.lo[3], 0}, {p->field.hi[2], p->field.hi[3], 3}};
    hz_tensor view = hz_view_box(photo, &part), copy = hz_tensor_of(NULL, HZ_U8, 3, view.dim);
    copy.data = malloc((size_t)hz_numel(&copy) + 1);
    if (!copy.data) return hz_fail(&q->s.err, HZ_ENOMEM, "out of memory");
    for (int64_t k = 0; k < hz_numel(&copy); k++) hz_set_flat(&copy, k, hz_get_flat(&view, k));
    p->picture = copy;
    return true;
}

/* The strongest peaks of one picture, cut out and merged into the list of all. */
static bool look_at(search *q, const char *file, const hz_unit_info *unit, const hz_tensor *photo) {
    patch mine[MOST_PATCHES];
    int n = 0;
    hz_tensor plane = plane_of(unit);
    for (int64_t y = 0; y < plane.dim[0]; y++)
        for (int64_t x = 0; x < plane.dim[1]; x++) {
            patch p = {.value = hz_get(&plane, (const int64_t[]){y, x}), .row = y, .column = x};
            snprintf(p.file, sizeof p.file, "%.255s", file);
            if (is_peak(&plane, y, x)) n = insert(mine, n, q->most_per_file, &p);
        }
    for (int k = 0; k < n; k++) {
        if (q->n_best == q->most && mine[k].value <= q->best[q->n_best - 1].value) break;
        if (!cut_out(q, unit, photo, &mine[k])) return false;
        q->n_best = insert(q->best, q->n_best, q->most, &mine[k]);
    }
    return true;
}

static bool search_file(search *q, const char *file) {
    char path[2 * NAME + 512];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", q->o->images, file) >= sizeof path)
        return hz_fail(&q->s.err, HZ_EINVAL, "%.80s/%.80s: path too long", q->o->images, file);
    hz_unit_info unit;
    hz_tensor photo;
    if (!session_forward(&q->s, path)) return false;
    if (!hz_unit_parse(q->s.t, q->o->unit.word[0], &unit)) return session_ok(&q->s);
    if (!session_picture(&q->s, &photo)) return false;
    bool ok = look_at(q, file, &unit, &photo);
    free(photo.data);
    return ok;
}

static bool search_all(search *q) {
    q->most = (int)(q->o->top ? q->o->top : 9);
    if (q->most > MOST_PATCHES) return hz_fail(&q->s.err, HZ_EINVAL, "--top is at most %d", MOST_PATCHES);
    q->best = calloc((size_t)q->most, sizeof *q->best);
    if (!q->best) return hz_fail(&q->s.err, HZ_ENOMEM, "out of memory");
    if (!list_files(q)) return false;
    for (int k = 0; k < q->n_files; k++)
        if (!search_file(q, q->file[k])) return false;
    return true;
}

/* ---- the answer ---- */

static bool draw(search *q) {
    int columns = 1;
    while (columns * columns < q->n_best) columns++;
    int rows = (q->n_best + columns - 1) / columns;
    sheet_tile *tile = calloc((size_t)(rows * columns), sizeof *tile);
    if (!tile) return hz_fail(&q->s.err, HZ_ENOMEM, "out of memory");
    for (int k = 0; k < q->n_best; k++) {
        tile[k].picture = q->best[k].picture;
        snprintf(tile[k].caption[0], SHEET_CAPTION, "%.5g", q->best[k].value);
        snprintf(tile[k].caption[1], SHEET_CAPTION, "%.60s at %lld,%lld", q->best[k].file,
                 (long long)q->best[k].row, (long long)q->best[k].column);
    }
    const hz_text_pair text[] = {{"Software", "hzero " HZERO_VERSION}, {"Unit", q->o->unit.word[0]}};
    bool ok = sheet_write(&(sheet){rows, columns, TILE, tile, NULL}, q->o->out, text, 2, &q->s.err);
    free(tile);
    return ok;
}

static void report(const search *q) {
    json_t *list = q->o->json ? json_array() : NULL;
    for (int k = 0; k < q->n_best; k++) {
        const patch *p = &q->best[k];
        if (list)
            json_array_append_new(list,
                                  json_pack("{s:o, s:f, s:[I,I], s:o}", "file", json_text(p->file), "value",
                                            p->value, "position", (json_int_t)p->row, (json_int_t)p->column,
                                            "receptive_field", json_of_field(&p->field)));
        else
            printf("%-12.6g %s at %lld,%lld, rows %lld-%lld, columns %lld-%lld\n", p->value, p->file,
                   (long long)p->row, (long long)p->column, (long long)p->field.lo[2],
                   (long long)p->field.hi[2] - 1, (long long)p->field.lo[3], (long long)p->field.hi[3] - 1);
    }
    if (list)
        print_json(json_pack("{s:o, s:o, s:o, s:o}", "model", json_text(q->o->model), "unit",
                             json_text(q->o->unit.word[0]), "patches", list, "picture",
                             json_text(q->o->out)));
}

int run_patches(const options *o) {
    search q = {.o = o};
    if (session_open(&q.s, "hzero patches", o) && search_all(&q) && draw(&q)) report(&q);
    for (int k = 0; k < q.n_best; k++) free(q.best[k].picture.data);
    for (int k = 0; k < q.n_files; k++) free(q.file[k]);
    free(q.best);
    free(q.file);
    return session_close(&q.s);
}
