/* units.c: `hzero units`: every named layer with its shape, its receptive field and, given a picture, its strongest unit.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "session.h"

typedef struct layer {
    const char *name;
    hz_var var;
    hz_field field[2]; /* along rows and columns of the input */
    bool seen;         /* whether it depends on the pixels at all */
} layer;

/* Position p along a spatial axis of the layer sees [offset + p·stride, … + size) of the input; a layer without spatial
 * axes sees one and the same region. */
static void measure(const session *s, layer *l) {
    int rank = hz_value(l->var)->rank;
    l->seen = true;
    for (int k = 0; k < 2; k++) {
        int axis = rank == 4 ? 2 + k : 0;
        l->seen &= rank > 0 && hz_receptive_field_axis(l->var, axis, s->x, 2 + k, &l->field[k]);
    }
}

static bool is_parameter(hz_var x) {
    return hz_node_of(x)->n_in == 0;
}

static void strongest(const session *s, const layer *l, hz_unit_info *unit) {
    char text[512];
    snprintf(text, sizeof text, "%s[argmax]", l->name);
    if (!hz_unit_parse(s->t, text, unit)) unit->text[0] = '\0';
}

/* ---- text ---- */

static void print_header(bool with_image) {
    printf("%-26s %-18s %11s %9s %11s%s\n", "layer", "shape", "field", "stride", "offset",
           with_image ? "  strongest unit" : "");
}

static void print_layer(const session *s, const layer *l, bool with_image) {
    char field[3][32] = {"-", "-", "-"};
    if (l->seen) {
        const hz_field *r = &l->field[0], *c = &l->field[1];
        snprintf(field[0], sizeof field[0], "%lldx%lld", (long long)r->size, (long long)c->size);
        snprintf(field[1], sizeof field[1], "%lldx%lld", (long long)r->stride, (long long)c->stride);
        snprintf(field[2], sizeof field[2], "%lld,%lld", (long long)r->offset, (long long)c->offset);
    }
    printf("%-26s %-18s %11s %9s %11s", l->name, hz_shape_str(hz_value(l->var)).s, field[0], field[1],
           field[2]);
    hz_unit_info unit = {.text = ""};
    if (with_image) strongest(s, l, &unit);
    if (*unit.text) printf("  %s = %g", unit.text, hz_get(hz_value(unit.layer), unit.index));
    printf("\n");
}

/* ---- JSON ---- */

static json_t *pair(int64_t a, int64_t b) {
    return json_pack("[I,I]", (json_int_t)a, (json_int_t)b);
}

static json_t *json_of_layer(const session *s, const layer *l, bool with_image) {
    const hz_tensor *v = hz_value(l->var);
    json_t *shape = json_array();
    for (int k = 0; k < v->rank; k++) json_array_append_new(shape, json_integer(v->dim[k]));
    json_t *j =
        json_pack("{s:s, s:s, s:o}", "layer", l->name, "op", hz_node_of(l->var)->op->name, "shape", shape);
    if (l->seen) {
        const hz_field *r = &l->field[0], *c = &l->field[1];
        json_object_set_new(j, "receptive_field",
                            json_pack("{s:o, s:o, s:o}", "size", pair(r->size, c->size), "stride",
                                      pair(r->stride, c->stride), "offset", pair(r->offset, c->offset)));
    }
    hz_unit_info unit = {.text = ""};
    if (with_image) strongest(s, l, &unit);
    if (*unit.text)
        json_object_set_new(
            j, "strongest",
            json_pack("{s:s, s:f}", "unit", unit.text, "value", hz_get(hz_value(unit.layer), unit.index)));
    return j;
}

static bool list_layers(session *s, const options *o) {
    json_t *list = o->json ? json_array() : NULL;
    layer l = {.name = NULL};
    if (!list) print_header(o->image);
    for (uint32_t k = 0; (l.name = hz_tape_name(s->t, k, &l.var)); k++) {
        if (is_parameter(l.var) && l.var.id != s->x.id) continue;
        measure(s, &l);
        if (list)
            json_array_append_new(list, json_of_layer(s, &l, o->image));
        else
            print_layer(s, &l, o->image);
    }
    if (list) print_json(json_pack("{s:o, s:o}", "model", json_text(o->model), "layers", list));
    return session_ok(s);
}

int run_units(const options *o) {
    session s;
    if (session_open(&s, "hzero units", o) && session_forward(&s, o->image)) list_layers(&s, o);
    return session_close(&s);
}
