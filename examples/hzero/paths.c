/* paths.c: `hzero paths`: the chain rule by hand on a network small enough to draw.
 *
 *   x (3) → a1 = W1·x + b1 (4) → h1 = relu(a1) → a2 = W2·h1 + b2 (2) → h2 = relu(a2)
 *
 * A path from x2 to a unit of h2 picks one element of every layer in between. The local derivatives along it are
 * entries of the Jacobians between neighbouring layers, each taken from the tape; the sum over all paths of their
 * products must be what one call of hz_grad1 gives.
 *
 * SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "commands.h"
#include "hzero.h"

enum { LAYERS = 5, WIDEST = 4, INPUT = 1 /* x2, counting from 1 */ };

static const char *const layer_name[LAYERS] = {"x", "a1", "h1", "a2", "h2"};

static float x_data[3] = {1, 2, -1};
static float w1_data[12] = {1, 0.5f, -1, -1, 1, 0.5f, 0.5f, -1, 1, 2, -0.25f, 1};
static float b1_data[4] = {0, 0, 0, 0};
static float w2_data[8] = {1, -2, 3, 2, -1, 1, 1, 1};
static float b2_data[2] = {0, 0.5f};

typedef struct network {
    hz_tape *t;
    hz_var layer[LAYERS];
    double local[LAYERS][WIDEST][WIDEST]; /* local[l][i][j] = ∂ layer l, element i / ∂ layer l−1, element j */
    bool edge[LAYERS][WIDEST][WIDEST]; /* whether i sees j at all */
} network;

/* ---- the network ---- */

static hz_var input(hz_tape *t, float *data, int rank, const int64_t *dim) {
    hz_tensor v = hz_tensor_of(data, HZ_F32, rank, dim);
    return hz_input(t, &v);
}

static void record(network *net) {
    hz_tape *t = net->t;
    hz_var *l = net->layer;
    l[0] = input(t, x_data, HZ_DIMS(3));
    l[1] = hz_linear(l[0], input(t, w1_data, HZ_DIMS(4, 3)), input(t, b1_data, HZ_DIMS(4)));
    l[2] = hz_relu(l[1]);
    l[3] = hz_linear(l[2], input(t, w2_data, HZ_DIMS(2, 4)), input(t, b2_data, HZ_DIMS(2)));
    l[4] = hz_relu(l[3]);
    for (int k = 0; k < LAYERS; k++) hz_name(l[k], layer_name[k]);
}

/* The Jacobian between layer l−1 and layer l, and which of its entries stand for a connection. */
static void measure(network *net, int l) {
    hz_var jacobian = hz_jacobian(net->layer[l], net->layer[l - 1], NULL);
    const hz_tensor *j = hz_value(jacobian);
    for (int64_t e = 0; hz_ok(jacobian) && e < hz_numel(j); e++) {
        int64_t at[HZ_MAX_RANK];
        hz_unravel(j, e, at);
        hz_box unit = {{at[0]}, {at[0] + 1}}, field;
        net->local[l][at[0]][at[1]] = hz_get(j, at);
        net->edge[l][at[0]][at[1]] = hz_receptive_field(net->layer[l], &unit, net->layer[l - 1], &field) &&
                                     field.lo[0] <= at[1] && at[1] < field.hi[0];
    }
}

/* ---- the paths ---- */

typedef struct walk {
    const network *net;
    int top;        /* the layer the unit is in */
    int at[LAYERS]; /* element of each layer on the path so far */
    int paths;
    double sum;
    json_t *json; /* array of paths, or NULL: print text */
} walk;

static const char *const subscript[] = {"₁", "₂", "₃", "₄"};

static void print_path(const walk *w, double product) {
    for (int l = 0; l <= w->top; l++) printf("%s%s%s", l ? " → " : "", layer_name[l], subscript[w->at[l]]);
    printf("  ");
    for (int l = 1; l <= w->top; l++)
        printf(" %s %6g", l > 1 ? "·" : " ", w->net->local[l][w->at[l]][w->at[l - 1]]);
    printf("  =  %g\n", product + 0.0);
}

static void add_to_json(const walk *w, double product) {
    json_t *nodes = json_array(), *local = json_array();
    for (int l = 0; l <= w->top; l++) {
        json_array_append_new(nodes, json_sprintf("%s[%d]", layer_name[l], w->at[l]));
        if (l) json_array_append_new(local, json_real(w->net->local[l][w->at[l]][w->at[l - 1]]));
    }
    json_array_append_new(
        w->json, json_pack("{s:o, s:o, s:f}", "path", nodes, "local_derivatives", local, "product", product));
}

/* Extend the path, which has come down from the unit to layer l, to every element below that it is connected to. */
static void follow(walk *w, int l, double product) {
    if (l == 0) {
        if (w->at[0] != INPUT) return;
        w->paths++;
        w->sum += product;
        if (w->json)
            add_to_json(w, product);
        else
            print_path(w, product);
        return;
    }
    for (int j = 0; j < WIDEST; j++) {
        if (!w->net->edge[l][w->at[l]][j]) continue;
        w->at[l - 1] = j;
        follow(w, l - 1, product * w->net->local[l][w->at[l]][j]);
    }
}

static double gradient(const network *net, const hz_unit_info *unit) {
    hz_var dx = hz_grad1(hz_pick(unit->layer, unit->index), net->layer[0], NULL);
    return hz_ok(dx) ? hz_get_flat(hz_value(dx), INPUT) : NAN;
}

static void report_text(const walk *w, const hz_unit_info *unit, double value, double g) {
    printf("sum over %d path%s = %g\n", w->paths, w->paths == 1 ? "" : "s", w->sum);
    printf("gradient of %s (= %g) with respect to x₂, by one call of hz_grad1 = %g\n", unit->text, value, g);
}

static void report_json(const walk *w, const hz_unit_info *unit, double value, double g) {
    json_t *all = json_pack("{s:s, s:s, s:f, s:O, s:f, s:f}", "unit", unit->text, "input", "x[1]", "value",
                            value, "paths", w->json, "sum", w->sum, "gradient", g);
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    printf("\n");
    json_decref(all);
}

static bool find_unit(const network *net, const char *text, hz_unit_info *unit, int *layer) {
    if (!hz_unit_parse(net->t, text, unit)) return false;
    for (*layer = 1; *layer < LAYERS; ++*layer)
        if (net->layer[*layer].id == unit->layer.id) return true;
    hz_tape_fail(net->t, HZ_EINVAL, "unit \"%s\": give a unit of a1, h1, a2 or h2", text);
    return false;
}

static bool print_paths(network *net, const char *text, bool as_json) {
    record(net);
    for (int l = 1; l < LAYERS; l++) measure(net, l);
    walk w = {.net = net, .json = as_json ? json_array() : NULL};
    hz_unit_info unit;
    bool ok = find_unit(net, text, &unit, &w.top);
    if (ok) {
        w.at[w.top] = (int)unit.index[0];
        follow(&w, w.top, 1);
        double value = hz_get(hz_value(unit.layer), unit.index), g = gradient(net, &unit);
        (as_json ? report_json : report_text)(&w, &unit, value, g);
        if (!(fabs(g - w.sum) <= 1e-5 * fmax(1, fabs(g))))
            ok = hz_ok(
                hz_tape_fail(net->t, HZ_ENUMERIC, "the sum over paths %g is not the gradient %g", w.sum, g));
    }
    json_decref(w.json);
    return ok;
}

int run_paths(const options *o) {
    network net = {.t = hz_tape_new(NULL)};
    hz_error err = {.code = HZ_OK};
    bool ok = net.t && print_paths(&net, o->unit.n ? o->unit.word[0] : "h2[0]", o->json);
    if (net.t)
        hz_tape_ok(net.t, &err);
    else
        hz_fail(&err, HZ_ENOMEM, "out of memory");
    if (err.code) fprintf(stderr, "hzero paths: %s\n", err.text);
    hz_tape_free(net.t);
    return ok && !err.code ? 0 : EXIT_FAILED;
}
