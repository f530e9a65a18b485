/* maps.c: influence maps for oracle.py and onnx_networks.py: a forward pass, then the gradient of each unit under each rule.
 *
 *   maps [--f64] SPEC IMAGE DIR [UNIT…]    writes DIR/0.input.npy, DIR/0.output.npy and, for unit number k, DIR/k.RULE.npy; a
 *                                          rule that finds no ReLU in the network is left out
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "nn/hzero.h"

/* DIR/number.what.npy */
static bool save(const char *dir, int number, const char *what, const hz_tensor *t, hz_error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%d.%s.npy", dir, number, what);
    return hz_npy_save(path, t, NULL, err);
}

/* Whether there is a node on the tape that the rules are for. */
static bool concerns(hz_tape *t, const hz_rules *rules) {
    bool any = rules->n == 0;
    for (uint32_t id = 1; !any && id < hz_tape_size(t); id++) {
        const hz_node *n = hz_node_of(hz_at(t, id));
        for (int k = 0; k < rules->n; k++) any |= rules->rule[k].match(n, rules->rule[k].ctx);
    }
    return any;
}

static bool save_maps(hz_tape *t, hz_var x, const char *dir, int number, const char *unit, hz_error *err) {
    for (int k = 0; hz_rule_names[k]; k++) {
        const hz_rules *rules = hz_rules_named(hz_rule_names[k]);
        if (!concerns(t, rules)) continue;
        hz_mark mark = hz_tape_mark(t);
        hz_var map = hz_grad1(hz_unit(t, unit), x, rules);
        if (!hz_tape_ok(t, err) || !save(dir, number, hz_rule_names[k], hz_value(map), err)) return false;
        hz_tape_rewind(t, mark);
    }
    return true;
}

static bool run(const hz_model *m, hz_tape *t, hz_var x, const char *dir, char **units, int n,
                hz_error *err) {
    const hz_tensor *image = hz_value(x);
    hz_var y = hz_model_forward(m, x);
    bool ok =
        hz_tape_ok(t, err) && save(dir, 0, "input", image, err) && save(dir, 0, "output", hz_value(y), err);
    for (int k = 0; ok && k < n; k++) ok = save_maps(t, x, dir, k, units[k], err);
    return ok;
}

int main(int argc, char **argv) {
    hz_error err = {HZ_OK, ""};
    hz_model m;
    hz_tensor image = {.data = NULL};
    const bool f64 = argc > 1 && !strcmp(argv[1], "--f64");
    argc -= f64;
    argv += f64;
    if (argc < 4) return fprintf(stderr, "usage: maps [--f64] SPEC IMAGE DIR [UNIT…]\n"), 2;
    hz_tape *t = hz_tape_new(NULL);
    bool ok =
        hz_model_open(argv[1], NULL, &m, &err) &&
        hz_preprocess_file(&m.preprocess, argv[2], NULL, &image, &err) &&
        run(&m, t, hz_astype(hz_input(t, &image), f64 ? HZ_F64 : HZ_F32), argv[3], argv + 4, argc - 4, &err);
    if (!ok) fprintf(stderr, "maps: %s\n", err.text);
    hz_tape_free(t);
    hz_free(NULL, image.data);
    hz_model_close(&m);
    return ok ? 0 : 1;
}
