/* influence.c: `hzero influence`, the main job: the gradient of hidden units at the pixels, under several rules, from one
 * recorded forward pass; as numbers, as .npy files, and as a picture in which gray is zero.
 *
 * Everything is computed before anything is written. Start at run_influence.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "picture.h"
#include "session.h"
#include "sheet.h"
#include "tensor/npy.h"

enum { TILE = 240, PATH = 1024 };

/* One unit under one rule. */
typedef struct influence {
    const char *rule;
    hz_tensor map;      /* (C, H, W) f32, on the tape */
    double largest;     /* largest |g| */
    double zero_share;  /* share of pixels whose every channel is exactly 0 */
    double scale;       /* what is drawn as full brightness */
    char coverage[256]; /* "guided: 26 of 26 relu", or "" */
    char why_zero[384]; /* "" unless the map is zero everywhere */
} influence;

typedef struct unit_row {
    hz_unit_info unit;
    double value;
    hz_box field; /* receptive field, clipped to the picture */
    influence *by_rule;
} unit_row;

typedef struct job {
    session s;
    const options *o;
    const char *rule[MOST_VALUES];
    bool has_relu; /* whether there is anything for the rules to apply to */
    int n_rules, n_units;
    unit_row *row;
    influence *all; /* n_units × n_rules, row by row */
} job;

/* ---- computing ---- */

static void choose_rules(job *j) {
    const words *given = &j->o->rule;
    for (int k = 0; k < given->n; k++) j->rule[j->n_rules++] = given->word[k];
    for (int r = 0; given->n == 0 && hz_rule_names[r]; r++) j->rule[j->n_rules++] = hz_rule_names[r];
}

static bool has_relu(hz_tape *t) {
    for (uint32_t id = 1; id < hz_tape_size(t); id++)
        if (hz_is_relu(hz_node_of(hz_at(t, id)), NULL)) return true;
    return false;
}

/* Where no ReLU is, the rules that are there by default have nothing to change; one that was asked for is an error. */
static const hz_rules *rules_of(const job *j, const char *name) {
    return j->has_relu || j->o->rule.n ? hz_rules_named(name) : NULL;
}

static void measure_map(influence *f) {
    const hz_tensor *g = &f->map;
    int64_t zero = 0, pixels = g->dim[1] * g->dim[2];
    f->largest = 0;
    for (int64_t y = 0; y < g->dim[1]; y++)
        for (int64_t x = 0; x < g->dim[2]; x++) {
            double most = 0;
            for (int64_t c = 0; c < g->dim[0]; c++)
                most = fmax(most, fabs(hz_get(g, (const int64_t[]){c, y, x})));
            f->largest = fmax(f->largest, most);
            zero += most == 0;
        }
    f->zero_share = pixels ? (double)zero / (double)pixels : 0;
    f->scale = picture_scale(g);
}

/* The map of a unit under a rule; a unit that does not depend on the pixels is an error. */
static bool compute(job *j, hz_var unit, influence *f) {
    hz_grad_report report;
    hz_var dx;
    const hz_rules *rules = rules_of(j, f->rule);
    hz_grad_opts opts = {.rules = rules, .report = &report, .check_finite = true};
    if (!hz_grad(&unit, 1, &j->s.x, 1, &opts, &dx)) return session_ok(&j->s);
    hz_tensor whole = *hz_value(hz_astype(dx, HZ_F32));
    if (!session_ok(&j->s)) return false;
    f->map = hz_tensor_of(whole.data, HZ_F32, HZ_DIMS(whole.dim[1], whole.dim[2], whole.dim[3]));
    if (!rules && hz_rules_named(f->rule)->n)
        snprintf(f->coverage, sizeof f->coverage, "%s: the network has no relu", f->rule);
    else
        snprintf(f->coverage, sizeof f->coverage, "%s", report.text);
    measure_map(f);
    if (!isfinite(f->largest))
        return hz_fail(&j->s.err, HZ_ENUMERIC, "under the rule %s a gradient is an infinity in f32", f->rule);
    hz_zero_report why;
    if (f->largest == 0 && hz_explain_zero(unit, j->s.x, rules, &why))
        snprintf(f->why_zero, sizeof f->why_zero, "%s", why.text);
    return session_ok(&j->s);
}

static bool find_field(job *j, unit_row *row) {
    hz_box unit, field;
    int rank = hz_value(row->unit.layer)->rank;
    for (int k = 0; k < rank; k++) unit.lo[k] = row->unit.index[k], unit.hi[k] = unit.lo[k] + 1;
    if (!hz_receptive_field(row->unit.layer, &unit, j->s.x, &field))
        return hz_fail(&j->s.err, HZ_EGRAD, "%s does not depend on the pixels", row->unit.text);
    row->field = hz_box_clip(&field, &j->s.image);
    return true;
}

static bool compute_row(job *j, const char *text, unit_row *row) {
    if (!hz_unit_parse(j->s.t, text, &row->unit)) return session_ok(&j->s);
    row->value = hz_get(hz_value(row->unit.layer), row->unit.index);
    if (!find_field(j, row)) return false;
    hz_var unit = hz_pick(row->unit.layer, row->unit.index);
    for (int r = 0; r < j->n_rules; r++) {
        row->by_rule[r].rule = j->rule[r];
        if (!compute(j, unit, &row->by_rule[r])) return false;
    }
    return true;
}

static bool compute_all(job *j) {
    j->n_units = j->o->unit.n;
    j->has_relu = has_relu(j->s.t);
    choose_rules(j);
    j->row = calloc((size_t)j->n_units, sizeof *j->row);
    j->all = calloc((size_t)(j->n_units * j->n_rules), sizeof *j->all);
    if (!j->row || !j->all) return hz_fail(&j->s.err, HZ_ENOMEM, "out of memory");
    for (int u = 0; u < j->n_units; u++) {
        j->row[u].by_rule = j->all + u * j->n_rules;
        if (!compute_row(j, j->o->unit.word[u], &j->row[u])) return false;
    }
    return true;
}

/* ---- the maps as files ---- */

/* DIR/UNIT.RULE.npy, '/' and ':' of the unit replaced, UNIT as the user wrote it. */
static bool map_path(const job *j, int u, int r, char path[PATH]) {
    char unit[256];
    snprintf(unit, sizeof unit, "%s", j->o->unit.word[u]);
    for (char *p = unit; *p; p++)
        if (*p == '/' || *p == ':') *p = '_';
    int n = snprintf(path, PATH, "%s/%s.%s.npy", j->o->save, unit, j->rule[r]);
    return n > 0 && n < PATH;
}

/* mkdir -p */
static bool make_folder(const char *path, hz_error *err) {
    char part[PATH];
    if (snprintf(part, sizeof part, "%s", path) >= PATH)
        return hz_fail(err, HZ_EINVAL, "%.80s…: too long", path);
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/') continue;
        char end = *p;
        *p = '\0';
        struct stat st;
        if (mkdir(part, 0777) && !(errno == EEXIST && !stat(part, &st) && S_ISDIR(st.st_mode)))
            return hz_fail(err, HZ_EIO, "cannot make the folder %.200s: %s", part,
                           errno == EEXIST ? "a file of that name exists" : strerror(errno));
        if (!end) return true;
        *p = end;
    }
}

static bool save_maps(job *j) {
    if (!j->o->save) return true;
    if (!make_folder(j->o->save, &j->s.err)) return false;
    for (int u = 0; u < j->n_units; u++)
        for (int r = 0; r < j->n_rules; r++) {
            char path[PATH];
            if (!map_path(j, u, r, path))
                return hz_fail(&j->s.err, HZ_EINVAL, "%.80s…: path too long", j->o->save);
            if (!hz_npy_save(path, &j->row[u].by_rule[r].map, NULL, &j->s.err)) return false;
        }
    return true;
}

/* ---- the picture ---- */

/* What is drawn of a map: the receptive field with a margin, made square, if it is small; otherwise all. */
static hz_box drawn_part(const unit_row *row, const hz_tensor *image) {
    int64_t height = image->dim[2], width = image->dim[3];
    const hz_box *f = &row->field;
    int64_t side = f->hi[2] - f->lo[2] > f->hi[3] - f->lo[3] ? f->hi[2] - f->lo[2] : f->hi[3] - f->lo[3];
    side += 2 + side / 4;
    hz_box part = {{0, 0}, {height, width}};
    if (4 * side >= 3 * height || 4 * side >= 3 * width) return part;
    for (int k = 0; k < 2; k++) {
        int64_t extent = k ? width : height, middle = (f->lo[2 + k] + f->hi[2 + k]) / 2,
                lo = middle - side / 2;
        part.lo[k] = lo < 0 ? 0 : lo + side > extent ? extent - side : lo;
        part.hi[k] = part.lo[k] + side;
    }
    return part;
}

static hz_tensor crop(const hz_tensor *picture, const hz_box *part) {
    hz_box box = *part;
    box.lo[2] = 0;
    box.hi[2] = 3;
    return hz_view_box(picture, &box);
}

static void photo_tile(const unit_row *row, const hz_tensor *photo, sheet_tile *tile) {
    const hz_box *f = &row->field;
    tile->picture = *photo;
    tile->frame[0] = (double)f->lo[3];
    tile->frame[1] = (double)f->lo[2];
    tile->frame[2] = (double)(f->hi[3] - f->lo[3]);
    tile->frame[3] = (double)(f->hi[2] - f->lo[2]);
    snprintf(tile->caption[0], SHEET_CAPTION, "%.80s = %.4g", row->unit.text, row->value);
    snprintf(tile->caption[1], SHEET_CAPTION, "sees rows %lld–%lld, columns %lld–%lld", (long long)f->lo[2],
             (long long)f->hi[2] - 1, (long long)f->lo[3], (long long)f->hi[3] - 1);
}

/* map: the whole picture of the map, whose memory the caller frees. */
static bool map_tile(const job *j, const unit_row *row, const influence *f, sheet_tile *tile,
                     hz_tensor *map) {
    if (!picture_of_map(&f->map, f->scale, session_is_bgr(&j->s), map)) return false;
    hz_box part = drawn_part(row, &j->s.image);
    tile->picture = crop(map, &part);
    double zoom = (double)j->s.image.dim[2] / (double)(part.hi[0] - part.lo[0]);
    snprintf(tile->caption[0], SHEET_CAPTION, "%.60s, %s", row->unit.text, f->rule);
    if (*f->why_zero)
        snprintf(tile->caption[1], SHEET_CAPTION, "value %.4g, zero: %.60s", row->value, f->why_zero);
    else if (zoom > 1)
        snprintf(tile->caption[1], SHEET_CAPTION, "value %.4g, scale ±%.3g, enlarged %.2g×", row->value,
                 f->scale, zoom);
    else
        snprintf(tile->caption[1], SHEET_CAPTION, "value %.4g, scale ±%.3g", row->value, f->scale);
    return true;
}

/* One line an influence for the file's text chunks. */
static size_t describe(const job *j, char *text, size_t size) {
    size_t used = 0;
    for (int u = 0; u < j->n_units; u++)
        for (int r = 0; r < j->n_rules; r++) {
            const influence *f = &j->row[u].by_rule[r];
            size_t room = used < size ? size - used : 0;
            used += (size_t)snprintf(room ? text + used : NULL, room,
                                     "unit %s, rule %s, value %.9g, scale %.9g\n", j->row[u].unit.text,
                                     f->rule, j->row[u].value, f->scale);
        }
    return used;
}

static bool write_sheet(job *j, const sheet *s) {
    size_t size = describe(j, NULL, 0) + 1;
    char *text = malloc(size), *model = readable(j->o->model), *image = readable(j->o->image);
    bool ok = text && model && image;
    if (ok) describe(j, text, size);
    const hz_text_pair pairs[] = {{"Software", "hzero " HZERO_VERSION},
                                  {"Model", model},
                                  {"Image", image},
                                  {"Zero", "gray 128"},
                                  {"Influence", text}};
    ok = ok ? sheet_write(s, j->o->out, pairs, sizeof pairs / sizeof pairs[0], &j->s.err)
            : hz_fail(&j->s.err, HZ_ENOMEM, "out of memory");
    free(text);
    free(model);
    free(image);
    return ok;
}

static bool fill_tiles(job *j, const hz_tensor *photo, sheet_tile *tile, hz_tensor *map) {
    for (int u = 0; u < j->n_units; u++) {
        sheet_tile *row = tile + u * (j->n_rules + 1);
        photo_tile(&j->row[u], photo, row);
        for (int r = 0; r < j->n_rules; r++)
            if (!map_tile(j, &j->row[u], &j->row[u].by_rule[r], row + 1 + r, map + u * j->n_rules + r))
                return hz_fail(&j->s.err, HZ_ENOMEM, "out of memory");
    }
    return true;
}

static bool draw(job *j) {
    if (!j->o->out) return true;
    size_t maps = (size_t)(j->n_units * j->n_rules), tiles = maps + (size_t)j->n_units;
    sheet_tile *tile = calloc(tiles, sizeof *tile);
    hz_tensor *map = calloc(maps, sizeof *map), photo = {.data = NULL};
    const char *header[MOST_VALUES + 1] = {"input"};
    for (int r = 0; r < j->n_rules; r++) header[r + 1] = j->rule[r];
    sheet s = {j->n_units, j->n_rules + 1, TILE, tile, header};
    bool ok = tile && map ? session_picture(&j->s, &photo) : hz_fail(&j->s.err, HZ_ENOMEM, "out of memory");
    ok = ok && fill_tiles(j, &photo, tile, map) && write_sheet(j, &s);
    for (size_t k = 0; map && k < maps; k++) free(map[k].data);
    free(photo.data);
    free(map);
    free(tile);
    return ok;
}

/* ---- the numbers ---- */

static void print_row(const unit_row *row, int n_rules) {
    const hz_box *f = &row->field;
    printf("%s = %.9g, sees rows %lld-%lld, columns %lld-%lld\n", row->unit.text, row->value,
           (long long)f->lo[2], (long long)f->hi[2] - 1, (long long)f->lo[3], (long long)f->hi[3] - 1);
    for (int r = 0; r < n_rules; r++) {
        const influence *i = &row->by_rule[r];
        printf("  %-10s largest |g| %-12.6g zero pixels %7.3f %%%s%s%s%s\n", i->rule, i->largest,
               100 * i->zero_share, *i->coverage ? "  " : "", i->coverage, *i->why_zero ? "  zero: " : "",
               i->why_zero);
    }
}

static json_t *json_of(const job *j, int u, int r) {
    const unit_row *row = &j->row[u];
    const influence *f = &row->by_rule[r];
    char path[PATH];
    json_t *one = json_pack("{s:s, s:o, s:s, s:f, s:o, s:f, s:f, s:f}", "unit", row->unit.text, "asked",
                            json_text(j->o->unit.word[u]), "rule", f->rule, "value", row->value,
                            "receptive_field", json_of_field(&row->field), "largest", f->largest,
                            "zero_share", f->zero_share, "scale", f->scale);
    if (*f->coverage) json_object_set_new(one, "coverage", json_string(f->coverage));
    if (*f->why_zero) json_object_set_new(one, "why_zero", json_string(f->why_zero));
    if (j->o->save && map_path(j, u, r, path)) json_object_set_new(one, "map", json_text(path));
    return one;
}

static void report(const job *j) {
    json_t *list = j->o->json ? json_array() : NULL;
    for (int u = 0; u < j->n_units; u++) {
        if (!list) print_row(&j->row[u], j->n_rules);
        for (int r = 0; list && r < j->n_rules; r++) json_array_append_new(list, json_of(j, u, r));
    }
    if (!list) return;
    json_t *all = json_pack("{s:o, s:o, s:o}", "model", json_text(j->o->model), "image",
                            json_text(j->o->image), "influence", list);
    if (j->o->out) json_object_set_new(all, "picture", json_text(j->o->out));
    print_json(all);
}

int run_influence(const options *o) {
    job j = {.o = o};
    bool ok = session_open(&j.s, "hzero influence", o);
    j.s.f64 = true; /* so that rounding decides no ReLU and no maximum */
    ok = ok && session_forward(&j.s, o->image) && compute_all(&j) && save_maps(&j) && draw(&j);
    if (ok) report(&j);
    free(j.row);
    free(j.all);
    return session_close(&j.s);
}
