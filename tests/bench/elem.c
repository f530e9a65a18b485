/* elem.c: work that memory and vector units bound: functions of 2^16 numbers (in cache) and 2^24 (in memory), then rows
 * of 1024: softmax, normalisation, broadcasting, sums.
 *
 *   fwd       the op: a new tensor each time
 *   fwd_out   the kernel into a tensor that is there
 *   fwd+bwd   the op and its gradient
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "bench.h"
#include "tensor/elementwise.h"

/* ---- functions of one vector ---- */

typedef struct function {
    const char *name;
    hz_var (*op)(hz_var x);
    bool out; /* fwd_out is measured, too: kernel(x; a, b) */
    hz_unary kernel;
    double a, b;
} function;

static hz_var mul_scalar(hz_var x) {
    return hz_scale(x, 1.5);
}

static const function functions[] = {
    {"relu", hz_relu, true, HZ_RELU, 0, 0},      {"exp", hz_exp, true, HZ_EXP, 0, 0},
    {"tanh", hz_tanh, true, HZ_TANH, 0, 0},      {"sigmoid", hz_sigmoid, true, HZ_SIGMOID, 0, 0},
    {"gelu_erf", hz_gelu, false, HZ_GELU, 0, 0}, {"gelu_tanh", hz_gelu_tanh, false, HZ_GELU_TANH, 0, 0},
    {"log", hz_log, true, HZ_LOG, 0, 0},         {"mul_scalar", mul_scalar, true, HZ_AFFINE, 1.5, 0},
};

typedef struct vector {
    const function *f;
    int64_t size;
    hz_var x, y, dy; /* x > 0 */
} vector;

static void prepare_vector(hz_tape *t, void *data) {
    vector *v = data;
    v->x = bench_normal(t, 1, &v->size);
    if (hz_ok(v->x)) {
        hz_map1(hz_tape_exec(t), HZ_ABS, hz_value(v->x), 0, 0, hz_value(v->x));
        hz_map1(hz_tape_exec(t), HZ_AFFINE, hz_value(v->x), 1, 0.01, hz_value(v->x));
    }
    v->y = hz_full(t, HZ_F32, 1, &v->size, 0);
    v->dy = hz_full(t, HZ_F32, 1, &v->size, 1);
}

static void run_function(hz_tape *t, void *data) {
    const vector *v = data;
    (void)t;
    v->f->op(v->x);
}

static void run_kernel(hz_tape *t, void *data) {
    const vector *v = data;
    hz_map1(hz_tape_exec(t), v->f->kernel, hz_value(v->x), v->f->a, v->f->b, hz_value(v->y));
}

static void run_function_gradient(hz_tape *t, void *data) {
    const vector *v = data;
    hz_var y = v->f->op(v->x), dx;
    (void)t;
    hz_grad(&y, 1, &v->x, 1, &(hz_grad_opts){.dy = &v->dy}, &dx);
}

static void run_add(hz_tape *t, void *data) {
    const vector *v = data;
    (void)t;
    hz_add(v->x, v->dy);
}

static void run_add_kernel(hz_tape *t, void *data) {
    const vector *v = data;
    hz_map2(hz_tape_exec(t), HZ_ADD, hz_value(v->x), hz_value(v->dy), 0, 0, hz_value(v->y));
}

static void run_sum(hz_tape *t, void *data) {
    const vector *v = data;
    (void)t;
    hz_sum(v->x, HZ_ALL_AXES, false);
}

static void run_sum_gradient(hz_tape *t, void *data) {
    const vector *v = data;
    (void)t;
    hz_grad1(hz_sum(v->x, HZ_ALL_AXES, false), v->x, NULL);
}

/* w with its name made of three parts, half the budget, and passes·elements numbers read or written (0: not told). */
static void measure(bench *b, const char *op, const char *size, const char *what, int64_t elements,
                    int passes, workload w) {
    char name[96];
    snprintf(name, sizeof name, "%s_%s:%s", op, size, what);
    w.name = name;
    w.budget = 0.5;
    w.elements = (double)elements;
    w.bytes = 4.0 * passes * (double)elements;
    bench_run(b, &w);
}

static void measure_vector(bench *b, vector v, const char *size) {
    workload w = {.prepare = prepare_vector, .data = &v};
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
        v.f = &functions[k];
        w.run = run_function;
        measure(b, v.f->name, size, "fwd", v.size, 2, w);
        w.run = run_kernel;
        if (v.f->out) measure(b, v.f->name, size, "fwd_out", v.size, 2, w);
        w.run = run_function_gradient;
        measure(b, v.f->name, size, "fwd+bwd", v.size, 0, w);
    }
    w.run = run_add;
    measure(b, "add", size, "fwd", v.size, 3, w);
    w.run = run_add_kernel;
    measure(b, "add", size, "fwd_out", v.size, 3, w);
    w.run = run_sum;
    measure(b, "sum", size, "fwd", v.size, 1, w);
    w.run = run_sum_gradient;
    measure(b, "sum", size, "fwd+bwd", v.size, 0, w);
}

/* ---- rows of a matrix ---- */

enum { COLUMNS = 1024 };

typedef struct matrix matrix;

typedef struct row_op {
    const char *name;
    hz_var (*op)(const matrix *m);
    size_t parameter[2]; /* where in matrix the further variables to differentiate are */
    int parameters;
} row_op;

struct matrix {
    const row_op *f;
    int64_t rows;
    hz_var x, dy, gamma, beta, row, column; /* (rows, 1024) twice, (1024) thrice, (rows, 1) */
    int axis;
};

static hz_var softmax(const matrix *m) {
    return hz_softmax(m->x, HZ_AXIS(1));
}

static hz_var log_softmax(const matrix *m) {
    return hz_log_softmax(m->x, HZ_AXIS(1));
}

static hz_var layer_norm(const matrix *m) {
    return hz_layer_norm(m->x, m->gamma, m->beta, 1, 1e-5);
}

static hz_var add_row(const matrix *m) {
    return hz_add(m->x, m->row);
}

static hz_var add_column(const matrix *m) {
    return hz_add(m->x, m->column);
}

static const row_op row_ops[] = {
    {"softmax", softmax, {0}, 0},
    {"log_softmax", log_softmax, {0}, 0},
    {"layernorm", layer_norm, {offsetof(matrix, gamma), offsetof(matrix, beta)}, 2},
    {"add_row_broadcast", add_row, {offsetof(matrix, row)}, 1},
    {"add_col_broadcast", add_column, {offsetof(matrix, column)}, 1},
};

static void prepare_matrix(hz_tape *t, void *data) {
    matrix *m = data;
    m->x = bench_normal(t, HZ_DIMS(m->rows, COLUMNS));
    m->dy = bench_normal(t, HZ_DIMS(m->rows, COLUMNS));
    m->gamma = bench_normal(t, HZ_DIMS(COLUMNS));
    m->beta = bench_normal(t, HZ_DIMS(COLUMNS));
    m->row = bench_normal(t, HZ_DIMS(COLUMNS));
    m->column = bench_normal(t, HZ_DIMS(m->rows, 1));
}

static void run_row_op(hz_tape *t, void *data) {
    const matrix *m = data;
    (void)t;
    m->f->op(m);
}

static void run_row_op_gradient(hz_tape *t, void *data) {
    const matrix *m = data;
    hz_var y = m->f->op(m), x[3] = {m->x}, dx[3];
    (void)t;
    for (int k = 0; k < m->f->parameters; k++)
        x[k + 1] = *(const hz_var *)(const void *)((const char *)m + m->f->parameter[k]);
    hz_grad(&y, 1, x, 1 + m->f->parameters, &(hz_grad_opts){.dy = &m->dy}, dx);
}

static void run_sum_axis(hz_tape *t, void *data) {
    const matrix *m = data;
    (void)t;
    hz_sum(m->x, HZ_AXIS(m->axis), false);
}

static void measure_matrix(bench *b, matrix m, const char *size) {
    const int64_t elements = m.rows * COLUMNS;
    workload w = {.prepare = prepare_matrix, .data = &m};
    for (size_t k = 0; k < sizeof row_ops / sizeof row_ops[0]; k++) {
        m.f = &row_ops[k];
        w.run = run_row_op;
        measure(b, m.f->name, size, "fwd", elements, 2, w);
        w.run = run_row_op_gradient;
        measure(b, m.f->name, size, "fwd+bwd", elements, 0, w);
    }
    w.run = run_sum_axis;
    m.axis = 1;
    measure(b, "sum_dim1", size, "fwd", elements, 1, w);
    m.axis = 0;
    measure(b, "sum_dim0", size, "fwd", elements, 1, w);
}

void bench_elem(bench *b) {
    measure_vector(b, (vector){.size = (int64_t)1 << 16}, "64K");
    measure_vector(b, (vector){.size = (int64_t)1 << 24}, "16M");
    measure_matrix(b, (matrix){.rows = 1024}, "1024x1024");
    measure_matrix(b, (matrix){.rows = 16384}, "16384x1024");
}
