/* onnx_gradcheck.c: see onnx_gradcheck.h.
 *
 * What does not depend on an input by way of floats carries no gradient to it: such an input (indices, a mask, the scales
 * of a resize) keeps its value, and the text names it. Inputs of the official cases lie where they please: at kinks (0 for
 * Relu), at the edge of what a function is defined on (1 for Acosh), so large that the step is too coarse. So a few steps
 * are tried, and points close by; a gradient that is wrong is wrong at each of them.
 *
 * SPDX-License-Identifier: MIT */
#include "onnx_gradcheck.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "autograd/gradcheck.h"
#include "tensor/random.h"

/* Gradients are checked element by element up to so many elements, along random directions beyond. */
enum { MOST = 64, EACH = 400, DIRECTIONS = 12 };

typedef struct subject {
    const hz_onnx *model;
    hz_tensor x[MOST]; /* floats in f64 */
    void *base[MOST];  /* of those that are copies */
    int n;
    int moving[MOST], n_moving; /* the inputs that are differentiated */
} subject;

static void say(char *text, size_t size, const char *format, ...) HZ_PRINTF(3, 4);
static void say(char *text, size_t size, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(text, size, format, args);
    va_end(args);
}

/* ---- the model as a function of its moving inputs ---- */

static int run(hz_tape *t, const hz_var *moving, int n, hz_var *y, void *ctx) {
    const subject *s = ctx;
    hz_var in[MOST], out[MOST];
    int n_y = hz_onnx_n_outputs(s->model);
    for (int k = 0; k < s->n; k++) in[k] = hz_input(t, &s->x[k]);
    for (int k = 0; k < n; k++) in[s->moving[k]] = moving[k];
    hz_onnx_run_f64(s->model, t, in, out);
    for (int k = 0; k < n_y && k < HZ_GRADCHECK_OUTPUTS; k++) y[k] = out[k];
    return n_y < HZ_GRADCHECK_OUTPUTS ? n_y : HZ_GRADCHECK_OUTPUTS;
}

/* Floats as a copy in f64. */
static bool widen(const hz_tensor *x, hz_tensor *out, void **base) {
    *out = *x;
    if (!hz_dtype_is_float(x->dtype)) return true;
    *out = hz_tensor_of(NULL, HZ_F64, x->rank, x->dim);
    *base = out->data = malloc(hz_nbytes(out) + 1);
    for (int64_t k = 0; out->data && k < hz_numel(x); k++) hz_set_flat(out, k, hz_get_flat(x, k));
    return out->data != NULL;
}

/* ---- which inputs move ---- */

static bool all_finite(const hz_tensor *x) {
    for (int64_t k = 0; k < hz_numel(x); k++)
        if (!isfinite(hz_get_flat(x, k))) return false;
    return true;
}

/* The inputs that a float output depends on. Returns whether there is something to check; *ok: the model ran. */
static bool find_moving(subject *s, hz_tape *t, bool *ok, char *text, size_t size) {
    hz_var y[HZ_GRADCHECK_OUTPUTS], dy[HZ_GRADCHECK_OUTPUTS], of[MOST], dx[MOST];
    int index[MOST], n_of = 0, n_y = 0;
    for (int k = 0; k < s->n; k++)
        if (hz_dtype_is_float(s->x[k].dtype))
            of[n_of] = hz_input(t, &s->x[k]), s->moving[n_of] = index[n_of] = k, n_of++;
    int n = run(t, of, n_of, y, s);
    hz_error err;
    *ok = hz_tape_ok(t, &err);
    say(text, size, "%s", *ok ? "no gradient: no float goes in or none comes out" : err.text);
    for (int k = 0; *ok && k < n; k++)
        if (hz_dtype_is_float(hz_value(y[k])->dtype)) y[n_y++] = y[k];
    if (!*ok || n_y == 0 || n_of == 0) return false;
    for (int k = 0; k < n_y; k++) {
        const hz_tensor *v = hz_value(y[k]);
        if (!all_finite(v)) return say(text, size, "no gradient: the values are not finite"), false;
        dy[k] = hz_full(t, v->dtype, v->rank, v->dim, 1);
    }
    *ok = hz_grad(y, n_y, of, n_of, &(hz_grad_opts){.dy = dy, .unreachable = HZ_UNREACHABLE_NONE}, dx);
    hz_tape_ok(t, &err);
    if (!*ok) return say(text, size, "%s", err.text), false;
    for (int k = 0; k < n_of; k++)
        if (hz_ok(dx[k])) s->moving[s->n_moving++] = index[k];
    if (s->n_moving == 0) say(text, size, "no gradient: no path of floats from an input to an output");
    return s->n_moving > 0;
}

/* ---- checking ---- */

static void list_fixed(const subject *s, char *text, size_t size) {
    size_t used = 0;
    for (int k = 0, j = 0; k < s->n && used + 32 < size; k++) {
        if (j < s->n_moving && s->moving[j] == k)
            j++;
        else
            used += (size_t)snprintf(text + used, size - used, "%s %d", used ? "," : "; none at input", k);
    }
}

/* Every element of the moving inputs moves by a random 0.5 to 1.5 times `by`. Of numbers beyond 1e6 (some official data
 * were never initialised) no digits would be left for a difference: they are replaced by 1. */
static void shift(subject *s, double by) {
    for (int k = 0; by != 0 && k < s->n_moving; k++) {
        hz_tensor *x = &s->x[s->moving[k]];
        for (int64_t e = 0; e < hz_numel(x); e++) {
            double at = hz_get_flat(x, e), step = by * (0.5 + hz_random_uniform(1, (uint64_t)k, (uint64_t)e));
            hz_set_flat(x, e, (fabs(at) > 1e6 ? 1 : at) + step);
        }
    }
}

/* How good a report is: 3, everything agrees; 2, but all gradients are zero; 1, but for kinks; 0, something disagrees. */
static int grade(const hz_gradcheck_report *r) {
    if (r->mismatched > 0 || r->compared + r->kinks == 0) return 0;
    return r->kinks > 0 ? 1 : r->nonzero == 0 ? 2 : 3;
}

/* The best report of all attempts. */
static hz_gradcheck_report attempt(subject *s, int64_t elements) {
    static const struct { double eps, by; } attempts[] = {{1e-5, 0}, {1e-8, 0}, {1e-6, 0.01}, {1e-6, -0.02}};
    hz_gradcheck_report best = {.ok = false};
    for (size_t a = 0; a < sizeof attempts / sizeof attempts[0] && grade(&best) < 3; a++) {
        hz_tensor x[MOST];
        hz_gradcheck_report r;
        const hz_gradcheck_opts opts = {.eps = attempts[a].eps,
                                        .directions = elements > EACH ? DIRECTIONS : 0};
        shift(s, attempts[a].by);
        for (int k = 0; k < s->n_moving; k++) x[k] = s->x[s->moving[k]];
        hz_gradcheck_function(run, s, x, s->n_moving, &opts, &r);
        if (a == 0 || grade(&r) > grade(&best)) best = r;
    }
    return best;
}

static bool check(subject *s, char *text, size_t size) {
    int64_t elements = 0;
    char fixed[256] = "", kinks[64] = "";
    for (int k = 0; k < s->n_moving; k++) elements += hz_numel(&s->x[s->moving[k]]);
    if (elements == 0) return say(text, size, "no gradient: no elements"), true;
    hz_gradcheck_report r = attempt(s, elements);
    if (grade(&r) == 0) return say(text, size, "gradient: %s", r.text), false;
    list_fixed(s, fixed, sizeof fixed);
    if (r.kinks) say(kinks, sizeof kinks, ", %lld at kinks", (long long)r.kinks);
    say(text, size, "gradient: %lld compared, %lld non-zero%s%s", (long long)r.compared, (long long)r.nonzero,
        kinks, fixed);
    return true;
}

bool onnx_gradcheck(const hz_onnx *m, const hz_tensor *x, int n, char *text, size_t size) {
    subject s = {.model = m, .n = n};
    hz_tape *t = hz_tape_new(&(hz_tape_opts){.threads = 1});
    bool ok = t != NULL && n <= MOST && hz_onnx_n_outputs(m) <= MOST;
    say(text, size, "out of memory");
    for (int k = 0; ok && k < n; k++) ok = widen(&x[k], &s.x[k], &s.base[k]);
    if (ok && find_moving(&s, t, &ok, text, size)) ok = check(&s, text, size);
    for (int k = 0; k < n && k < MOST; k++) free(s.base[k]);
    hz_tape_free(t);
    return ok;
}
