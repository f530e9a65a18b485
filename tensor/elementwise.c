/* elementwise.c: maps over tensors of any strides, see elementwise.h. Start reading at `struct map` and `run`.
 *
 * Every function here fills in a map (which row kernel, which parameters) and runs it over a loop nest. Row
 * kernels want their elements side by side, so a row with another stride goes through a buffer on the stack,
 * block by block. A result too large for the caches also goes through the buffer and then to memory with
 * streaming stores, which save the read of a line that is about to be overwritten (relu of 16 M floats: 4.6
 * instead of 6.4 ms; functions that compute more, like exp, lose by it and do without).
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/elementwise.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/nest.h"

enum {
    BLOCK = 512,                    /* elements of a stack buffer; four operands of doubles fill half of L1 */
    STREAM_BYTES = 32 * 1024 * 1024 /* results at least this large bypass the caches */
};

/* ---- kernel tables ---- */

const hz__elementwise *hz__elementwise_table(hz_dtype dtype, hz_isa isa) {
    static const hz__elementwise *const table[][2] = {
        [HZ_ISA_AUTO] = {&hz__elementwise_f32_c, &hz__elementwise_f64_c},
        [HZ_ISA_C] = {&hz__elementwise_f32_c, &hz__elementwise_f64_c},
#if defined(HZ_HAVE_AVX2)
        [HZ_ISA_AVX2] = {&hz__elementwise_f32_avx2, &hz__elementwise_f64_avx2},
#endif
#if defined(HZ_HAVE_AVX512)
        [HZ_ISA_AVX512] = {&hz__elementwise_f32_avx512, &hz__elementwise_f64_avx512},
#endif
    };
    return table[isa][dtype == HZ_F64];
}

const hz__vmath *hz__vmath_table(hz_dtype dtype, hz_isa isa) {
    static const hz__vmath *const table[][2] = {
        [HZ_ISA_AUTO] = {&hz__vmath_f32_c, &hz__vmath_f64_c},
        [HZ_ISA_C] = {&hz__vmath_f32_c, &hz__vmath_f64_c},
#if defined(HZ_HAVE_AVX2)
        [HZ_ISA_AVX2] = {&hz__vmath_f32_avx2, &hz__vmath_f64_avx2},
#endif
#if defined(HZ_HAVE_AVX512)
        [HZ_ISA_AVX512] = {&hz__vmath_f32_avx512, &hz__vmath_f64_avx512},
#endif
    };
    return table[isa][dtype == HZ_F64];
}

static hz__unary_row *unary_kernel(const hz_exec *ex, hz_dtype dtype, hz_unary f) {
    hz__unary_row *row = hz__elementwise_table(dtype, ex->isa)->unary[f];
    return row ? row : hz__vmath_table(dtype, ex->isa)->unary[f];
}

static hz__binary_row *binary_kernel(const hz_exec *ex, hz_dtype dtype, hz_binary f) {
    hz__binary_row *row = hz__elementwise_table(dtype, ex->isa)->binary[f];
    return row ? row : hz__vmath_table(dtype, ex->isa)->binary[f];
}

/* ---- running a map ---- */

/* n elements; p[0] is the output. Output elements lie side by side, those of input k too (step[k] is 1) or it is
 * one element for the whole row (step[k] is 0). */
typedef struct map map;
typedef void row_fn(const map *m, int64_t n, char *const *p, const int64_t *step);

struct map {
    row_fn *row;                /* what to do with a row */
    int operands;               /* the output and the inputs */
    bool unit_steps;            /* the row function wants inputs of step 1 only */
    bool cheap;                 /* arithmetic, bound by memory: a large result is worth streaming */
    hz__stream *stream;         /* set by run: do so, with this */
    int64_t size[HZ__OPERANDS]; /* set by run: bytes of an element */
    union {                     /* what the row function calls */
        hz__unary_row *unary;
        hz__binary_row *binary;
        hz__compare_row *compare;
        hz__where_row *where;
        const hz__elementwise *table;
        double (*scalar)(double x, double a, double b);
        const struct conversion *convert;
        const uint8_t *accept;
    } kernel;
    double a, b;    /* parameters of the formula */
    hz_dtype dtype; /* of the inputs, where the row function asks */
};

static void buffered_row(const map *m, int64_t n, char *const *p, const int64_t *stride, hz__stream *stream) {
    _Alignas(HZ_ALIGN) char buffer[HZ__OPERANDS][BLOCK * sizeof(double)];
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t count = n - start < BLOCK ? n - start : BLOCK;
        char *q[HZ__OPERANDS];
        int64_t step[HZ__OPERANDS];
        for (int k = 0; k < m->operands; k++) {
            step[k] = k == 0 || stride[k] != 0 || m->unit_steps;
            q[k] = p[k] + start * stride[k];
            if (k > 0 && step[k] && stride[k] != m->size[k]) {
                hz__move((size_t)m->size[k], count, q[k], stride[k], buffer[k], m->size[k]);
                q[k] = buffer[k];
            }
        }
        char *const out = q[0];
        if (stream || stride[0] != m->size[0]) q[0] = buffer[0];
        m->row(m, count, q, step);
        if (stream)
            stream(count * m->size[0], buffer[0], out);
        else if (q[0] != out)
            hz__move((size_t)m->size[0], count, buffer[0], m->size[0], out, stride[0]);
    }
#if defined(__SSE2__)
    if (stream) _mm_sfence();
#endif
}

static void map_row(const void *ctx, int64_t n, char *const *p, const int64_t *stride) {
    const map *m = ctx;
    const bool dense = stride[0] == m->size[0];
    hz__stream *const stream = dense && (uintptr_t)p[0] % HZ_ALIGN == 0 ? m->stream : NULL;
    int64_t step[HZ__OPERANDS] = {1};
    bool direct = dense && !stream;
    for (int k = 1; k < m->operands; k++) {
        step[k] = stride[k] != 0;
        direct = direct && (stride[k] == m->size[k] || (stride[k] == 0 && !m->unit_steps));
    }
    if (direct)
        m->row(m, n, p, step);
    else
        buffered_row(m, n, p, stride, stream);
}

static bool streams(const map *m, const hz_tensor *const *t) {
    if (!m->cheap || hz_nbytes(t[0]) < STREAM_BYTES) return false;
    for (int k = 1; k < m->operands; k++)
        if (t[k]->data == t[0]->data) return false; /* in place: the lines have been read anyway */
    return true;
}

/* Run over operands t[0] (output), t[1], … */
static void run(const hz_exec *ex, map *m, const hz_tensor *const *t) {
    const int64_t numel = hz_numel(t[0]);
    bool dense = numel < HZ__PARALLEL;
    for (int k = 0; dense && k < m->operands; k++) dense = hz_is_contiguous(t[k]);
    if (numel == 0) return;
    if (dense) {
        char *p[HZ__OPERANDS];
        for (int k = 0; k < m->operands; k++) p[k] = t[k]->data;
        m->row(m, numel, p, (const int64_t[HZ__OPERANDS]){1, 1, 1, 1});
        return;
    }
    hz__nest nest;
    for (int k = 0; k < m->operands; k++) m->size[k] = (int64_t)hz_dtype_size(t[k]->dtype);
    m->stream = streams(m, t) ? hz__elementwise_table(HZ_F32, ex->isa)->stream : NULL;
    hz__nest_make(&nest, t, m->operands);
    hz__nest_run(ex, &nest, map_row, m);
}

/* ---- copy and fill ---- */

/* The element at value, n times. Doubling keeps it to a few memcpy. */
static void spread(int64_t size, int64_t n, const char *value, char *to) {
    enum { CHUNK = 4096 };
    const int64_t bytes = n * size;
    int64_t done = size;
    memmove(to, value, (size_t)size);
    while (done < bytes) {
        const int64_t ready = done < CHUNK ? done : CHUNK;
        const int64_t more = bytes - done < ready ? bytes - done : ready;
        memcpy(to + done, to, (size_t)more);
        done += more;
    }
}

static void copy_row(const map *m, int64_t n, char *const *p, const int64_t *step) {
    const int64_t size = (int64_t)hz_dtype_size(m->dtype);
    if (step[1] == 0)
        spread(size, n, p[1], p[0]);
    else
        memmove(p[0], p[1], (size_t)(n * size));
}

/* A transposing copy: rows of the output, columns of the input. It goes tile by tile, so that each cache line is
 * read once and written once. */
typedef struct transpose {
    size_t size;       /* of an element */
    int64_t rows;      /* extent of the axis along which the input is dense */
    int64_t to_stride; /* bytes from row to row in the output */
} transpose;

typedef void tile_fn(int64_t rows, int64_t n, const char *from, int64_t from_stride, char *to,
                     int64_t to_stride);

/* to[i][j] = from[j][i]; memcpy of a constant size is a load and a store, whatever the type. */
static void tile1(int64_t rows, int64_t n, const char *from, int64_t from_stride, char *to,
                  int64_t to_stride) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < n; j++) to[i * to_stride + j] = from[i + j * from_stride];
}
static void tile4(int64_t rows, int64_t n, const char *from, int64_t from_stride, char *to,
                  int64_t to_stride) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < n; j++) memcpy(to + i * to_stride + 4 * j, from + 4 * i + j * from_stride, 4);
}
static void tile8(int64_t rows, int64_t n, const char *from, int64_t from_stride, char *to,
                  int64_t to_stride) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < n; j++) memcpy(to + i * to_stride + 8 * j, from + 8 * i + j * from_stride, 8);
}

static void transpose_row(const void *ctx, int64_t n, char *const *p, const int64_t *stride) {
    enum { TILE = 16 };
    const transpose *t = ctx;
    const int64_t size = (int64_t)t->size;
    tile_fn *tile = size == 1 ? tile1 : size == 4 ? tile4 : tile8;
    for (int64_t i = 0; i < t->rows; i += TILE)
        for (int64_t j = 0; j < n; j += TILE)
            tile(t->rows - i < TILE ? t->rows - i : TILE, n - j < TILE ? n - j : TILE,
                 p[1] + i * size + j * stride[1], stride[1], p[0] + i * t->to_stride + j * size,
                 t->to_stride);
}

/* The axis of a copy's nest along which the input is dense, if that is not the row; −1: there is none. */
static int dense_axis(const hz__nest *nest, int64_t size) {
    const int last = nest->rank - 1;
    if (nest->stride[0][last] != size || nest->stride[1][last] == size || nest->stride[1][last] == 0)
        return -1;
    for (int axis = 0; axis < last; axis++)
        if (nest->stride[1][axis] == size && nest->dim[axis] > 1) return axis;
    return -1;
}

static void drop_axis(hz__nest *nest, int axis) {
    nest->rank--;
    for (; axis < nest->rank; axis++) {
        nest->dim[axis] = nest->dim[axis + 1];
        for (int k = 0; k < nest->operands; k++) nest->stride[k][axis] = nest->stride[k][axis + 1];
    }
}

static bool copy_transposed(const hz_exec *ex, const hz_tensor *x, const hz_tensor *y) {
    const int64_t size = (int64_t)hz_dtype_size(x->dtype);
    hz__nest nest;
    hz__nest_make(&nest, (const hz_tensor *[]){y, x}, 2);
    const int axis = nest.numel > BLOCK ? dense_axis(&nest, size) : -1;
    if (axis < 0) return false;
    const transpose t = {(size_t)size, nest.dim[axis], nest.stride[0][axis]};
    drop_axis(&nest, axis);
    nest.numel /= t.rows;
    hz__nest_run(ex, &nest, transpose_row, &t);
    return true;
}

void hz_copy(const hz_exec *ex, const hz_tensor *x, const hz_tensor *y) {
    map m = {.row = copy_row, .operands = 2, .cheap = true, .dtype = x->dtype};
    if (!hz_is_contiguous(x) && copy_transposed(ex, x, y)) return;
    run(ex, &m, (const hz_tensor *[]){y, x});
}

/* ---- conversions ---- */

/* Every dtype is read into, and written from, the wide type of its kind: double for floats, int64_t for
 * integers. So the twenty-five conversions take five readers and ten writers. */
typedef union wide {
    double real;
    int64_t integer;
} wide;
typedef void read_fn(int64_t n, const void *x, wide *w);
typedef void write_fn(int64_t n, const wide *w, void *y);

static void read_f32(int64_t n, const void *x, wide *w) {
    for (int64_t i = 0; i < n; i++) w[i].real = (double)((const float *)x)[i];
}
static void read_f64(int64_t n, const void *x, wide *w) {
    for (int64_t i = 0; i < n; i++) w[i].real = ((const double *)x)[i];
}
static void read_i32(int64_t n, const void *x, wide *w) {
    for (int64_t i = 0; i < n; i++) w[i].integer = ((const int32_t *)x)[i];
}
static void read_i64(int64_t n, const void *x, wide *w) {
    for (int64_t i = 0; i < n; i++) w[i].integer = ((const int64_t *)x)[i];
}
static void read_u8(int64_t n, const void *x, wide *w) {
    for (int64_t i = 0; i < n; i++) w[i].integer = ((const uint8_t *)x)[i];
}

/* low ≤ x ≤ high; NaN gives 0. */
static double saturate(double x, double low, double high) {
    return x >= high ? high : x <= low ? low : x == x ? x : 0;
}
static int64_t to_i64(double x) {
    const double limit = 9223372036854775808.0; /* 2^63, one more than INT64_MAX */
    return x >= limit ? INT64_MAX : (int64_t)saturate(x, -limit, limit);
}

static void real_to_f32(int64_t n, const wide *w, void *y) {
    for (int64_t i = 0; i < n; i++) ((float *)y)[i] = (float)w[i].real;
}
static void real_to_f64(int64_t n, const wide *w, void *y) {
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = w[i].real;
}
static void real_to_i32(int64_t n, const wide *w, void *y) {
    for (int64_t i = 0; i < n; i++) ((int32_t *)y)[i] = (int32_t)saturate(w[i].real, INT32_MIN, INT32_MAX);
}
static void real_to_i64(int64_t n, const wide *w, void *y) {
    for (int64_t i = 0; i < n; i++) ((int64_t *)y)[i] = to_i64(w[i].real);
}
static void real_to_u8(int64_t n, const wide *w, void *y) {
    for (int64_t i = 0; i < n; i++) ((uint8_t *)y)[i] = (uint8_t)saturate(w[i].real, 0, UINT8_MAX);
}
static void integer_to_f32(int64_t n, const wide *w, void *y) {
    for (int64_t i = 0; i < n; i++) ((float *)y)[i] = (float)w[i].integer;
}
static void integer_to_f64(int64_t n, const wide *w, void *y) {
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = (double)w[i].integer;
}
static void integer_to_i32(int64_t n, const wide *w, void *y) {
    for (int64_t i = 0; i < n; i++) ((int32_t *)y)[i] = (int32_t)w[i].integer;
}
static void integer_to_i64(int64_t n, const wide *w, void *y) {
    for (int64_t i = 0; i < n; i++) ((int64_t *)y)[i] = w[i].integer;
}
static void integer_to_u8(int64_t n, const wide *w, void *y) {
    for (int64_t i = 0; i < n; i++) ((uint8_t *)y)[i] = (uint8_t)w[i].integer;
}

static read_fn *const reader[HZ_DTYPES] = {
    [HZ_F32] = read_f32, [HZ_F64] = read_f64, [HZ_I32] = read_i32, [HZ_I64] = read_i64, [HZ_U8] = read_u8};
static write_fn *const real_writer[HZ_DTYPES] = {[HZ_F32] = real_to_f32,
                                                 [HZ_F64] = real_to_f64,
                                                 [HZ_I32] = real_to_i32,
                                                 [HZ_I64] = real_to_i64,
                                                 [HZ_U8] = real_to_u8};
static write_fn *const integer_writer[HZ_DTYPES] = {[HZ_F32] = integer_to_f32,
                                                    [HZ_F64] = integer_to_f64,
                                                    [HZ_I32] = integer_to_i32,
                                                    [HZ_I64] = integer_to_i64,
                                                    [HZ_U8] = integer_to_u8};

struct conversion {
    read_fn *read;
    write_fn *write;
    int64_t from, to; /* bytes of an element */
};

static void cast_row(const map *m, int64_t n, char *const *p, const int64_t *step) {
    const struct conversion *c = m->kernel.convert;
    wide w[BLOCK];
    (void)step;
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t count = n - start < BLOCK ? n - start : BLOCK;
        c->read(count, p[1] + start * c->from, w);
        c->write(count, w, p[0] + start * c->to);
    }
}

void hz_cast(const hz_exec *ex, const hz_tensor *x, const hz_tensor *y) {
    const struct conversion c = {
        .read = reader[x->dtype],
        .write = (hz_dtype_is_float(x->dtype) ? real_writer : integer_writer)[y->dtype],
        .from = (int64_t)hz_dtype_size(x->dtype),
        .to = (int64_t)hz_dtype_size(y->dtype),
    };
    map m = {.row = cast_row, .operands = 2, .unit_steps = true, .kernel.convert = &c};
    run(ex, &m, (const hz_tensor *[]){y, x});
}

/* A fill copies from one element that stands for the whole shape. */
void hz_fill(const hz_exec *ex, const hz_tensor *y, double value) {
    double element;
    hz_tensor x = *y;
    real_writer[y->dtype](1, &(const wide){.real = value}, &element);
    x.data = &element;
    memset(x.stride, 0, sizeof x.stride);
    map m = {.row = copy_row, .operands = 2, .dtype = y->dtype};
    run(ex, &m, (const hz_tensor *[]){y, &x});
}

static void scalar_row(const map *m, int64_t n, char *const *p, const int64_t *step) {
    const int64_t size = (int64_t)hz_dtype_size(m->dtype);
    wide w[BLOCK];
    (void)step;
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t count = n - start < BLOCK ? n - start : BLOCK;
        reader[m->dtype](count, p[1] + start * size, w);
        for (int64_t i = 0; i < count; i++) w[i].real = m->kernel.scalar(w[i].real, m->a, m->b);
        real_writer[m->dtype](count, w, p[0] + start * size);
    }
}

void hz_map_scalar(const hz_exec *ex, double (*f)(double x, double a, double b), const hz_tensor *x, double a,
                   double b, const hz_tensor *y) {
    hz_exec serial = *ex;
    serial.threads = 1; /* nobody promised that f may run on several threads */
    map m = {.row = scalar_row,
             .operands = 2,
             .unit_steps = true,
             .kernel.scalar = f,
             .a = a,
             .b = b,
             .dtype = x->dtype};
    run(&serial, &m, (const hz_tensor *[]){y, x});
}

/* ---- y = f(x), z = f(x, y) ---- */

static void unary_row(const map *m, int64_t n, char *const *p, const int64_t *step) {
    (void)step;
    m->kernel.unary(n, p[1], m->a, m->b, p[0]);
}

static void binary_row(const map *m, int64_t n, char *const *p, const int64_t *step) {
    m->kernel.binary(n, p[1], step[1], p[2], step[2], m->a, m->b, p[0]);
}

/* The powers that one multiplication or division gives exactly as well. */
static hz_unary simplest(hz_unary f, double a) {
    if (f != HZ_POW_SCALAR) return f;
    return a == 2 ? HZ_SQUARE : a == -1 ? HZ_RECIPROCAL : f;
}

void hz_map1(const hz_exec *ex, hz_unary f, const hz_tensor *x, double a, double b, const hz_tensor *y) {
    map m = {.row = unary_row,
             .operands = 2,
             .unit_steps = true,
             .cheap = hz__elementwise_table(x->dtype, ex->isa)->unary[f] != NULL,
             .kernel.unary = unary_kernel(ex, x->dtype, simplest(f, a)),
             .a = a,
             .b = b};
    run(ex, &m, (const hz_tensor *[]){y, x});
}

void hz_map2(const hz_exec *ex, hz_binary f, const hz_tensor *x, const hz_tensor *y, double a, double b,
             const hz_tensor *z) {
    map m = {.row = binary_row,
             .operands = 3,
             .cheap = hz__elementwise_table(x->dtype, ex->isa)->binary[f] != NULL,
             .kernel.binary = binary_kernel(ex, x->dtype, f),
             .a = a,
             .b = b};
    run(ex, &m, (const hz_tensor *[]){z, x, y});
}

/* Along a row, a and b are mostly one number each: an affine map. */
static void mul_add_row(const map *m, int64_t n, char *const *p, const int64_t *step) {
    const hz__elementwise *table = m->kernel.table;
    if (step[1] == 1 && step[2] == 0 && step[3] == 0) {
        wide a, b;
        reader[m->dtype](1, p[2], &a);
        reader[m->dtype](1, p[3], &b);
        table->unary[HZ_AFFINE](n, p[1], a.real, b.real, p[0]);
    } else {
        table->binary[HZ_MUL](n, p[1], step[1], p[2], step[2], 0, 0, p[0]);
        table->binary[HZ_ADD](n, p[0], 1, p[3], step[3], 0, 0, p[0]);
    }
}

void hz_mul_add(const hz_exec *ex, const hz_tensor *x, const hz_tensor *a, const hz_tensor *b,
                const hz_tensor *z) {
    map m = {.row = mul_add_row,
             .operands = 4,
             .cheap = true,
             .kernel.table = hz__elementwise_table(x->dtype, ex->isa),
             .dtype = x->dtype};
    run(ex, &m, (const hz_tensor *[]){z, x, a, b});
}

/* ---- comparisons and selection ---- */

static void compare_row(const map *m, int64_t n, char *const *p, const int64_t *step) {
    m->kernel.compare(n, p[1], step[1], p[2], step[2], (uint8_t *)p[0]);
}

/* Integers: the sign of x − y, plus 1, says whether the relation holds. */
static const uint8_t accept[][3] = {[HZ_EQ] = {0, 1, 0}, [HZ_NE] = {1, 0, 1}, [HZ_LT] = {1, 0, 0},
                                    [HZ_LE] = {1, 1, 0}, [HZ_GT] = {0, 0, 1}, [HZ_GE] = {0, 1, 1}};

static void compare_integers_row(const map *m, int64_t n, char *const *p, const int64_t *step) {
    const int64_t size = (int64_t)hz_dtype_size(m->dtype);
    wide x[BLOCK], y[BLOCK];
    (void)step;
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t count = n - start < BLOCK ? n - start : BLOCK;
        uint8_t *z = (uint8_t *)p[0] + start;
        reader[m->dtype](count, p[1] + start * size, x);
        reader[m->dtype](count, p[2] + start * size, y);
        for (int64_t i = 0; i < count; i++)
            z[i] = m->kernel.accept[(x[i].integer > y[i].integer) - (x[i].integer < y[i].integer) + 1];
    }
}

void hz_compare(const hz_exec *ex, hz_comparison f, const hz_tensor *x, const hz_tensor *y,
                const hz_tensor *z) {
    map m = {.row = compare_row, .operands = 3, .dtype = x->dtype};
    if (hz_dtype_is_float(x->dtype)) {
        m.kernel.compare = hz__elementwise_table(x->dtype, ex->isa)->compare[f];
    } else {
        m.row = compare_integers_row;
        m.unit_steps = true;
        m.kernel.accept = accept[f];
    }
    run(ex, &m, (const hz_tensor *[]){z, x, y});
}

static void where_bytes(int64_t n, const uint8_t *where, const void *px, const void *py, void *pz) {
    const uint8_t *x = px, *y = py;
    uint8_t *z = pz;
    for (int64_t i = 0; i < n; i++) z[i] = where[i] ? x[i] : y[i];
}

static void where_row(const map *m, int64_t n, char *const *p, const int64_t *step) {
    (void)step;
    m->kernel.where(n, (const uint8_t *)p[1], p[2], p[3], p[0]);
}

void hz_where_map(const hz_exec *ex, const hz_tensor *where, const hz_tensor *x, const hz_tensor *y,
                  const hz_tensor *z) {
    map m = {.row = where_row, .operands = 4, .unit_steps = true, .kernel.where = where_bytes};
    const size_t size = hz_dtype_size(x->dtype);
    if (size > 1) m.kernel.where = hz__elementwise_table(size == 4 ? HZ_F32 : HZ_F64, ex->isa)->where;
    run(ex, &m, (const hz_tensor *[]){z, where, x, y});
}

/* ---- tests ---- */

typedef struct test {
    hz__test_row *holds;
    int64_t size; /* bytes of an element */
    atomic_bool *result;
} test;

static void test_row(const void *ctx, int64_t n, char *const *p, const int64_t *stride) {
    const test *t = ctx;
    _Alignas(HZ_ALIGN) char buffer[BLOCK * sizeof(double)];
    if (!atomic_load_explicit(t->result, memory_order_relaxed)) return;
    bool holds = true;
    if (stride[0] == t->size || stride[0] == 0) {
        holds = t->holds(stride[0] == 0 ? 1 : n, p[0]);
    } else {
        for (int64_t start = 0; holds && start < n; start += BLOCK) {
            const int64_t count = n - start < BLOCK ? n - start : BLOCK;
            hz__move((size_t)t->size, count, p[0] + start * stride[0], stride[0], buffer, t->size);
            holds = t->holds(count, buffer);
        }
    }
    if (!holds) atomic_store_explicit(t->result, false, memory_order_relaxed);
}

static bool test_all(const hz_exec *ex, hz__test_row *holds, const hz_tensor *x) {
    atomic_bool result = true;
    const test t = {holds, (int64_t)hz_dtype_size(x->dtype), &result};
    hz__nest nest;
    hz__nest_make(&nest, &x, 1);
    if (nest.numel > 0) hz__nest_run(ex, &nest, test_row, &t);
    return atomic_load(&result);
}

bool hz_all_zero(const hz_exec *ex, const hz_tensor *x) {
    return test_all(ex, hz__elementwise_table(x->dtype, ex->isa)->all_zero, x);
}

bool hz_all_finite(const hz_exec *ex, const hz_tensor *x) {
    return test_all(ex, hz__elementwise_table(x->dtype, ex->isa)->all_finite, x);
}

/* ---- sum of n tensors ---- */

typedef struct sum {
    const hz_tensor *const *x;
    int n;
    const hz_tensor *z;
    hz__binary_row *add;
} sum;

/* Move elements first … first + count − 1, in row-major order, of a tensor into a buffer or back. */
static void move_flat(const hz_tensor *t, int64_t first, int64_t count, char *buffer, bool back) {
    const int64_t size = (int64_t)hz_dtype_size(t->dtype);
    const int last = t->rank - 1;
    while (count > 0) {
        int64_t index[HZ_MAX_RANK] = {0};
        hz_unravel(t, first, index);
        const int64_t left = t->rank ? t->dim[last] - index[last] : 1;
        const int64_t n = left < count ? left : count;
        const int64_t stride = t->rank ? t->stride[last] * size : size;
        char *at = (char *)t->data + hz_offset(t, index) * size;
        if (back)
            hz__move((size_t)size, n, buffer, size, at, stride);
        else
            hz__move((size_t)size, n, at, stride, buffer, size);
        first += n;
        count -= n;
        buffer += n * size;
    }
}

/* Elements first … first + count − 1 of x: where they lie, or moved into the buffer. */
static const char *elements(const hz_tensor *x, int64_t first, int64_t count, char *buffer) {
    if (hz_is_contiguous(x)) return (const char *)x->data + first * (int64_t)hz_dtype_size(x->dtype);
    move_flat(x, first, count, buffer, false);
    return buffer;
}

/* Whether the total may grow in z itself: not if z is read again after the first addition. */
static bool grows_in_place(const sum *s) {
    if (!hz_is_contiguous(s->z)) return false;
    for (int i = 2; i < s->n; i++)
        if (s->x[i]->data == s->z->data) return false;
    return true;
}

/* Otherwise it is kept in a buffer until all terms of a block are in. */
static void sum_blocks(const void *ctx, int64_t begin, int64_t end) {
    const sum *s = ctx;
    const int64_t numel = hz_numel(s->z), size = (int64_t)hz_dtype_size(s->z->dtype);
    const bool in_place = grows_in_place(s);
    _Alignas(HZ_ALIGN) char buffer[BLOCK * sizeof(double)], term[BLOCK * sizeof(double)];
    for (int64_t first = begin * BLOCK; first < end * BLOCK && first < numel; first += BLOCK) {
        const int64_t count = numel - first < BLOCK ? numel - first : BLOCK;
        char *total = in_place ? (char *)s->z->data + first * size : buffer;
        const char *so_far = elements(s->x[0], first, count, buffer);
        for (int i = 1; i < s->n; i++) {
            s->add(count, so_far, 1, elements(s->x[i], first, count, term), 1, 0, 0, total);
            so_far = total;
        }
        if (so_far != total) memmove(total, so_far, (size_t)(count * size)); /* n is 1 */
        if (!in_place) move_flat(s->z, first, count, total, true);
    }
}

void hz_sum_n(const hz_exec *ex, const hz_tensor *const *x, int n, const hz_tensor *z) {
    const sum s = {x, n, z, binary_kernel(ex, z->dtype, HZ_ADD)};
    const int64_t numel = hz_numel(z);
    hz__parallel_for(ex, numel * n, (numel + BLOCK - 1) / BLOCK, sum_blocks, &s);
}
