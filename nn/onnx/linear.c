/* linear.c: MatMul, Gemm and Einsum.
 *
 * SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <string.h>

#include "nn/onnx/internal.h"

/* Integers in f64, exact up to 2^53. */
static void matmul(hz__call *c) {
    hz__give_like_arg(c, 0, hz_matmul(hz__arg_float(c, 0), hz__arg_float(c, 1)));
}

/* ---- Gemm ---- */

/* alpha·A′·B′ + beta·C. The usual fully connected layer is hz_linear. */
static void gemm(hz__call *c) {
    hz_var a = hz__arg_float(c, 0), b = hz__arg_float(c, 1), add = hz__arg_float(c, 2);
    double alpha = hz__attr_float(c, "alpha", 1), beta = hz__attr_float(c, "beta", 1);
    bool ta = hz__attr_int(c, "transA", 0) != 0, tb = hz__attr_int(c, "transB", 0) != 0;
    const hz_tensor *w = hz_value(b), *bias = hz_value(add);
    if (hz_value(a)->rank != 2 || w->rank != 2) {
        hz__bad(c, "%s and %s are no matrices", hz_shape_str(hz_value(a)).s, hz_shape_str(w).s);
        return;
    }
    if (ta) a = hz_transpose(a, 0, 1);
    if (tb && alpha == 1 && beta == 1 && (!add.id || (bias->rank == 1 && bias->dim[0] == w->dim[0]))) {
        hz__give_like_arg(c, 0, hz_linear(a, b, add));
        return;
    }
    hz_var y = hz_matmul(a, tb ? hz_transpose(b, 0, 1) : b);
    if (alpha != 1) y = hz_scale(y, alpha);
    if (add.id && beta != 0) y = hz_add(y, beta != 1 ? hz_scale(add, beta) : add);
    hz__give_like_arg(c, 0, y);
}

/* ---- Einsum ---- */

/* A variable whose axes have labels: letters, or 1 … 8 for the axes behind an ellipsis, the last one 8. */
typedef struct labelled {
    hz_var x;
    int rank;
    char label[HZ_MAX_RANK];
} labelled;

static int position(const labelled *l, char label) {
    for (int k = 0; k < l->rank; k++)
        if (l->label[k] == label) return k;
    return -1;
}

static bool push(labelled *l, char label) {
    if (l->rank == HZ_MAX_RANK) return false;
    l->label[l->rank++] = label;
    return true;
}

/* One term of the equation, ended by ',', '-' or the end; rank: how many axes there are, −1: as many as labels. */
static const char *read_term(const char *s, int rank, int dots, labelled *l) {
    int letters = 0;
    for (const char *p = s; *p && *p != ',' && *p != '-'; p++) letters += isalpha((unsigned char)*p) != 0;
    if (rank >= 0) dots = rank - letters;
    for (; *s && *s != ',' && *s != '-'; s++) {
        if (*s == ' ') continue;
        if (strncmp(s, "...", 3) == 0 && dots >= 0 && dots <= HZ_MAX_RANK) {
            for (int k = 0; k < dots; k++)
                if (!push(l, (char)(HZ_MAX_RANK - dots + 1 + k))) return NULL;
            s += 2;
        } else if (!isalpha((unsigned char)*s) || !push(l, *s))
            return NULL;
    }
    return rank < 0 || l->rank == rank ? s : NULL;
}

/* Permute axes so that they come in this order. */
static void arrange(labelled *l, const char *order) {
    int perm[HZ_MAX_RANK] = {0};
    for (int k = 0; k < l->rank; k++) perm[k] = position(l, order[k]);
    l->x = hz_permute(l->x, perm);
    memcpy(l->label, order, (size_t)l->rank);
}

/* ii → i: of axes that share a label the diagonal is left. */
static void take_diagonal(labelled *l, int a, int b) {
    char order[HZ_MAX_RANK], shared = l->label[a];
    int perm[HZ_MAX_RANK], n = 0;
    for (int k = 0; k < l->rank; k++)
        if (k != a && k != b) order[n] = l->label[k], perm[n++] = k;
    perm[n] = a, perm[n + 1] = b;
    l->x = hz_permute(l->x, perm);
    hz_tensor shape = *hz_value(l->x);
    int64_t extent = shape.dim[n];
    if (!hz_ok(l->x)) return;
    shape.dim[n] = extent * extent;
    hz_var flat = hz_reshape(l->x, n + 1, shape.dim);
    l->x = hz_slice(flat, n, 0, extent, extent + 1);
    order[n] = shared;
    l->rank = n + 1;
    memcpy(l->label, order, (size_t)l->rank);
}

static bool take_diagonals(labelled *l) {
    for (int a = 0; a < l->rank; a++)
        for (int b = a + 1; b < l->rank; b++)
            if (l->label[a] == l->label[b]) {
                if (hz_value(l->x)->dim[a] != hz_value(l->x)->dim[b]) return false;
                take_diagonal(l, a, b);
                a = -1;
                break;
            }
    return true;
}

/* Sum over the axes that nobody else asks for. */
static void sum_unneeded(labelled *l, const char *needed) {
    hz_axes axes = 0;
    int n = 0;
    for (int k = 0; k < l->rank; k++)
        if (!memchr(needed, l->label[k], strlen(needed)))
            axes |= HZ_AXIS(k);
        else
            l->label[n++] = l->label[k];
    if (axes) l->x = hz_sum(l->x, axes, false);
    l->rank = n;
}

static int64_t extent_of(const labelled *l, char label) {
    int at = position(l, label);
    return at < 0 ? 1 : hz_value(l->x)->dim[at];
}

/* Labels of x that are (or are not) in y and are (or are not) needed, appended to out. */
static int select(const labelled *x, const labelled *y, bool in_y, const char *needed, int want, char *out) {
    int n = 0;
    for (int k = 0; k < x->rank; k++) {
        bool kept = strchr(needed, x->label[k]) != NULL;
        if ((position(y, x->label[k]) >= 0) == in_y && (want < 0 || kept == (want != 0)))
            out[n++] = x->label[k];
    }
    return n;
}

static int64_t product(const labelled *l, const char *labels, int n) {
    int64_t p = 1;
    for (int k = 0; k < n; k++) p *= extent_of(l, labels[k]);
    return p;
}

/* Axes of extent 1 on one side only (broadcasting of an ellipsis) make a matrix product impossible. */
static bool broadcasts(const labelled *x, const labelled *y) {
    for (int k = 0; k < x->rank; k++)
        if (position(y, x->label[k]) >= 0 && extent_of(x, x->label[k]) != extent_of(y, x->label[k]))
            return true;
    return false;
}

/* x · y with axes (shared and kept, of x alone, of y alone), what is shared and not needed summed over: one batched
 * matrix product. */
static bool contract(labelled *x, labelled *y, const char *needed) {
    char order[HZ_MAX_RANK * 2], out[HZ_MAX_RANK * 3], sum[HZ_MAX_RANK];
    int batch = select(x, y, true, needed, 1, out), left = select(x, y, false, needed, -1, out + batch);
    int right = select(y, x, false, needed, -1, out + batch + left),
        inner = select(x, y, true, needed, 0, sum);
    int rank = batch + left + right;
    if (rank > HZ_MAX_RANK || broadcasts(x, y)) return false;
    int64_t b = product(x, out, batch), m = product(x, out + batch, left), k = product(x, sum, inner);
    int64_t n = product(y, out + batch + left, right), dim[HZ_MAX_RANK];
    for (int a = 0; a < rank; a++) dim[a] = extent_of(a < batch + left ? x : y, out[a]);
    memcpy(order, out, (size_t)(batch + left));
    memcpy(order + batch + left, sum, (size_t)inner);
    arrange(x, order);
    memcpy(order + batch, sum, (size_t)inner);
    memcpy(order + batch + inner, out + batch + left, (size_t)right);
    arrange(y, order);
    hz_var z = hz_matmul(hz_reshape(x->x, HZ_DIMS(b, m, k)), hz_reshape(y->x, HZ_DIMS(b, k, n)));
    x->x = hz_reshape(z, rank, dim);
    x->rank = rank;
    memcpy(x->label, out, (size_t)rank);
    return true;
}

/* Without "->": the labels that occur once, in the alphabet's order, behind those of the ellipsis. */
static bool implied(const char *equation, int dots, labelled *out) {
    for (int k = 0; k < dots; k++)
        if (!push(out, (char)(HZ_MAX_RANK - dots + 1 + k))) return false;
    for (int label = 'A'; label <= 'z'; label++) {
        int count = 0;
        for (const char *p = equation; *p; p++) count += *p == label;
        if (count == 1 && isalpha(label) && !push(out, (char)label)) return false;
    }
    return true;
}

/* What terms k … n−1 of the equation and its result have for labels: what the terms before must keep. */
static void needed_from(const labelled *term, int k, int n, const labelled *out, char *needed) {
    size_t used = 0;
    memcpy(needed, out->label, (size_t)out->rank);
    used = (size_t)out->rank;
    for (; k < n; k++) {
        memcpy(needed + used, term[k].label, (size_t)term[k].rank);
        used += (size_t)term[k].rank;
    }
    needed[used] = '\0';
}

enum { MAX_TERMS = 8 };

static bool parse(hz__call *c, const char *equation, labelled *term, labelled *out) {
    int n = hz__n_args(c), dots = 0;
    const char *s = equation;
    for (int k = 0; k < n; k++) {
        term[k] = (labelled){.x = hz__arg_float(c, k)};
        s = read_term(s, hz_value(term[k].x)->rank, 0, &term[k]);
        if (!s || (k + 1 < n && *s++ != ',') || !take_diagonals(&term[k])) return false;
        int own = 0;
        for (int a = 0; a < term[k].rank; a++) own += term[k].label[a] <= HZ_MAX_RANK;
        if (own > dots) dots = own;
    }
    *out = (labelled){.rank = 0};
    if (!*s) return implied(equation, dots, out);
    s = strncmp(s, "->", 2) == 0 ? read_term(s + 2, -1, dots, out) : NULL;
    return s && !*s;
}

static bool evaluate(labelled *term, int n, const labelled *out, labelled *y) {
    char needed[HZ_MAX_RANK * (MAX_TERMS + 1) + 1];
    for (int k = 0; k < n; k++) {
        labelled rest[MAX_TERMS + 1];
        int m = 0;
        for (int j = 0; j < n; j++)
            if (j > k || (j == 0 && k > 0)) rest[m++] = j == 0 ? *y : term[j];
        needed_from(rest, 0, m, out, needed);
        sum_unneeded(&term[k], needed);
        needed_from(term, k + 1, n, out, needed);
        if (k == 0)
            *y = term[0];
        else if (!contract(y, &term[k], needed))
            return false;
        sum_unneeded(y, needed);
    }
    if (y->rank != out->rank) return false;
    for (int k = 0; k < out->rank; k++)
        if (position(y, out->label[k]) < 0) return false;
    arrange(y, out->label);
    return true;
}

static void einsum(hz__call *c) {
    const Onnx__AttributeProto *a = hz__attr(c, "equation");
    char equation[256];
    labelled term[MAX_TERMS], out, y;
    if (!a || a->s.len >= sizeof equation || hz__n_args(c) > MAX_TERMS) {
        hz__refuse(c, "of this length");
        return;
    }
    if (a->s.len) memcpy(equation, a->s.data, a->s.len);
    equation[a->s.len] = '\0';
    if (!parse(c, equation, term, &out))
        hz__bad(c, "equation \"%.80s\" does not fit its operands", equation);
    else if (!evaluate(term, hz__n_args(c), &out, &y))
        hz__refuse(c, "of equation \"%.80s\"", equation);
    else
        hz__give_like_arg(c, 0, y.x);
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"MatMul", .since = 1, .need = 2, .run = matmul},
    {"Gemm", .since = 1, .need = 2, .run = gemm},
    {"Einsum", .since = 12, .run = einsum},
};

const hz__family hz__onnx_linear = {mappings, HZ__COUNT(mappings)};
