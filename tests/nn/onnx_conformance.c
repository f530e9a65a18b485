/* onnx_conformance.c: run ONNX backend test cases. Each is a folder with model.onnx and test_data_set_0, 1, …, which hold
 * input_K.pb and output_K.pb.
 *
 *   onnx_conformance [--gradcheck] DIR…
 *
 * DIR is a case, or a folder of cases. A line each: "pass NAME", "fail NAME: …", "unsupported: OP …: NAME" or
 * "error: NAME: …", and at the end "P passed, F failed, U unsupported" (an error counts as failed). A case has passed if
 * every output of every data set was compared and agrees: same type and shape, |got − want| ≤ 1e-7 + 1e-3·|want|, NaN
 * with NaN. Exit status 0 if nothing failed.
 *
 * With --gradcheck a case that passed has its gradients checked, too, against finite differences in f64, and fails if one
 * disagrees: "pass NAME: gradient: 96 compared, 90 non-zero; none at input 1", or why there is none to compare.
 *
 * A data set of ours may also have gradient_K.pb, the gradient of Σ y²/2 with respect to input K, y being output 0; these
 * are compared to 1e-3 of the largest element.
 *
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "autograd/grad.h"
#include "nn/onnx/onnx.h"
#include "onnx_gradcheck.h"

enum { MOST = 64, PATH_SIZE = 4096 };

typedef enum verdict { PASS, FAIL, UNSUPPORTED, ERROR, VERDICTS } verdict;

typedef struct result {
    verdict verdict;
    char text[HZ_ERROR_TEXT];
} result;

static const double relative = 1e-3, absolute = 1e-7;

/* ---- verdicts ---- */

static result verdict_of(verdict v, const char *text) {
    result r = {.verdict = v};
    snprintf(r.text, sizeof r.text, "%s", text);
    return r;
}

static result of_error(const hz_error *err) {
    const char *what;
    if (hz_onnx_is_unsupported(err, &what)) return verdict_of(UNSUPPORTED, what);
    return verdict_of(ERROR, err->text);
}

static bool close_enough(double got, double want) {
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
    return got == want || fabs(got - want) <= absolute + relative * fabs(want);
}

static result compare(const char *name, const hz_tensor *got, const hz_tensor *want) {
    result r = {.verdict = FAIL};
    if (got->dtype != want->dtype || !hz_same_shape(got, want)) {
        snprintf(r.text, sizeof r.text, "output \"%.80s\" is %s %s, not %s %s", name,
                 hz_dtype_name(got->dtype), hz_shape_str(got).s, hz_dtype_name(want->dtype),
                 hz_shape_str(want).s);
        return r;
    }
    for (int64_t k = 0; k < hz_numel(want); k++) {
        double g = hz_get_flat(got, k), w = hz_get_flat(want, k);
        if (close_enough(g, w)) continue;
        snprintf(r.text, sizeof r.text, "output \"%.80s\"[%lld] of %s is %.9g, not %.9g", name, (long long)k,
                 hz_shape_str(want).s, g, w);
        return r;
    }
    r.verdict = PASS;
    return r;
}

/* ---- one data set ---- */

typedef struct data_set {
    hz_tensor input[MOST], output[MOST];
    int n_inputs, n_outputs;
} data_set;

/* A path too long for the system is cut, and will not be found. */
static void path_of(char path[PATH_SIZE], const char *format, ...) HZ_PRINTF(2, 3);
static void path_of(char path[PATH_SIZE], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(path, PATH_SIZE, format, args);
    va_end(args);
}

static bool exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

/* Read folder/WHAT_0.pb, _1.pb, …; there must be n of them. */
static bool read_all(const char *folder, const char *what, int n, hz_tensor *out, int *count, hz_error *err) {
    char path[PATH_SIZE];
    for (*count = 0; *count < n; ++*count) {
        path_of(path, "%s/%s_%d.pb", folder, what, *count);
        if (!hz_onnx_read_tensor(path, NULL, &out[*count], err)) return false;
    }
    path_of(path, "%s/%s_%d.pb", folder, what, n);
    return !exists(path) || hz_fail(err, HZ_EFORMAT, "%s is one %s more than the model has", path, what);
}

/* The official data has bfloat16 as uint16, which are read as i32: the upper halves of f32. */
static void widen(hz_tensor *x, const char *type) {
    if (strcmp(type, "bfloat16") || x->dtype != HZ_I32) return;
    uint32_t *bits = x->data;
    for (int64_t k = 0; k < hz_numel(x); k++) bits[k] <<= 16;
    x->dtype = HZ_F32;
}

static void widen_all(const hz_onnx *m, data_set *d) {
    for (int k = 0; k < d->n_inputs; k++) widen(&d->input[k], hz_onnx_input_type(m, k));
    for (int k = 0; k < d->n_outputs; k++) widen(&d->output[k], hz_onnx_output_type(m, k));
}

static void free_data(data_set *d) {
    for (int k = 0; k < d->n_inputs; k++) free(d->input[k].data);
    for (int k = 0; k < d->n_outputs; k++) free(d->output[k].data);
}

/* ---- gradients ---- */

static result compare_gradient(int k, const hz_tensor *got, const hz_tensor *want) {
    result r = {.verdict = PASS};
    double most = 0, worst = 0;
    if (!hz_same_shape(got, want)) return verdict_of(ERROR, "a gradient of another shape than the input");
    for (int64_t j = 0; j < hz_numel(want); j++) {
        most = fmax(most, fabs(hz_get_flat(want, j)));
        worst = fmax(worst, fabs(hz_get_flat(got, j) - hz_get_flat(want, j)));
    }
    if (worst <= absolute + relative * most) return r;
    r.verdict = FAIL;
    snprintf(r.text, sizeof r.text, "the gradient at input %d is off by %.3g of %.3g", k, worst, most);
    return r;
}

static result check_gradients(hz_tape *t, const char *folder, const hz_var *in, int n, hz_var y) {
    result r = {.verdict = PASS};
    for (int k = 0; k < n && r.verdict == PASS; k++) {
        char path[PATH_SIZE];
        hz_tensor want = {.data = NULL};
        hz_error err = {.code = HZ_OK};
        hz_var dx;
        path_of(path, "%s/gradient_%d.pb", folder, k);
        if (!exists(path)) continue;
        bool ok = hz_onnx_read_tensor(path, NULL, &want, &err) &&
                  hz_grad(&y, 1, &in[k], 1, &(hz_grad_opts){.dy = &y}, &dx);
        if (!err.code) hz_tape_ok(t, &err);
        r = ok ? compare_gradient(k, hz_value(dx), &want) : of_error(&err);
        free(want.data);
    }
    return r;
}

/* Finite differences at the inputs of a data set that passed. */
static result check_differences(const hz_onnx *m, const data_set *d) {
    result r;
    r.verdict = onnx_gradcheck(m, d->input, d->n_inputs, r.text, sizeof r.text) ? PASS : FAIL;
    return r;
}

/* ---- running ---- */

static result run_model(const hz_onnx *m, hz_tape *t, const data_set *d, const char *folder) {
    hz_var in[MOST], out[MOST];
    hz_error err;
    for (int k = 0; k < d->n_inputs; k++) in[k] = hz_input(t, &d->input[k]);
    hz_onnx_run(m, t, in, out);
    if (!hz_tape_ok(t, &err)) return of_error(&err);
    result r = {.verdict = PASS};
    for (int k = 0; k < d->n_outputs && r.verdict == PASS; k++)
        r = compare(hz_onnx_output_name(m, k), hz_value(out[k]), &d->output[k]);
    return r.verdict == PASS ? check_gradients(t, folder, in, d->n_inputs, out[0]) : r;
}

static result run_data_set(const hz_onnx *m, const char *folder, bool gradcheck) {
    data_set d = {.n_inputs = 0};
    hz_error err = {.code = HZ_OK};
    result r;
    hz_tape *t = hz_tape_new(NULL);
    if (!t)
        r = verdict_of(ERROR, "out of memory");
    else if (!read_all(folder, "input", hz_onnx_n_inputs(m), d.input, &d.n_inputs, &err) ||
             !read_all(folder, "output", hz_onnx_n_outputs(m), d.output, &d.n_outputs, &err))
        r = of_error(&err);
    else
        widen_all(m, &d), r = run_model(m, t, &d, folder);
    if (gradcheck && r.verdict == PASS) r = check_differences(m, &d);
    hz_tape_free(t);
    free_data(&d);
    return r;
}

/* ---- cases ---- */

static result run_sets(const hz_onnx *m, const char *folder, bool gradcheck) {
    result r = verdict_of(ERROR, "no test_data_set_0");
    if (hz_onnx_n_inputs(m) > MOST || hz_onnx_n_outputs(m) > MOST)
        return verdict_of(ERROR, "too many inputs or outputs");
    if (hz_onnx_n_outputs(m) == 0) return verdict_of(ERROR, "no outputs to compare");
    for (int k = 0;; k++) {
        char path[PATH_SIZE];
        path_of(path, "%s/test_data_set_%d", folder, k);
        if (!exists(path) || (k > 0 && r.verdict != PASS)) return r;
        r = run_data_set(m, path, gradcheck);
    }
}

static result run_case(const char *folder, bool gradcheck) {
    char path[PATH_SIZE];
    hz_onnx *m;
    hz_error err = {.code = HZ_OK};
    path_of(path, "%s/model.onnx", folder);
    if (!hz_onnx_open(path, NULL, &m, &err)) return of_error(&err);
    result r = run_sets(m, folder, gradcheck);
    hz_onnx_close(m);
    return r;
}

static void report(const char *folder, bool gradcheck, int *tally) {
    static const char *const words[VERDICTS] = {"pass", "fail", "unsupported:", "error:"};
    const char *slash = strrchr(folder, '/');
    result r = run_case(folder, gradcheck);
    tally[r.verdict]++;
    if (r.verdict == UNSUPPORTED)
        printf("unsupported: %s: %s\n", r.text, slash ? slash + 1 : folder);
    else
        printf("%s %s%s%s\n", words[r.verdict], slash ? slash + 1 : folder, *r.text ? ": " : "", r.text);
    fflush(stdout);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* A case, or a folder of them, in the alphabet's order. */
static void run(const char *folder, int depth, bool gradcheck, int *tally) {
    char path[PATH_SIZE];
    struct dirent **entries;
    path_of(path, "%s/model.onnx", folder);
    if (exists(path)) {
        report(folder, gradcheck, tally);
        return;
    }
    int n = depth < 4 ? scandir(folder, &entries, is_visible, alphasort) : -1;
    for (int k = 0; k < n; k++) {
        struct stat info;
        path_of(path, "%s/%s", folder, entries[k]->d_name);
        if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) run(path, depth + 1, gradcheck, tally);
        free(entries[k]);
    }
    if (n >= 0) free(entries);
}

int main(int argc, char **argv) {
    int tally[VERDICTS] = {0};
    bool gradcheck = false;
    for (int k = 1; k < argc; k++) gradcheck |= strcmp(argv[k], "--gradcheck") == 0;
    if (argc < (gradcheck ? 3 : 2)) {
        fprintf(stderr, "usage: onnx_conformance [--gradcheck] DIR…\n");
        return 2;
    }
    for (int k = 1; k < argc; k++)
        if (strcmp(argv[k], "--gradcheck")) run(argv[k], 0, gradcheck, tally);
    printf("%d passed, %d failed, %d unsupported\n", tally[PASS], tally[FAIL] + tally[ERROR],
           tally[UNSUPPORTED]);
    return tally[FAIL] + tally[ERROR] > 0 || tally[PASS] == 0;
}
