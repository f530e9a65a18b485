/* gemm.c: C = alpha·A·B + beta·C on BLIS; the only file that includes blis.h.
 *
 * BLIS aborts on arguments it dislikes and is silently wrong for negative strides, so everything is checked and
 * such operands are copied before it is called. Each call runs on one thread; the parallelism is ours: C is cut
 * into a grid of pieces whose borders depend on the shape alone, so that the result does not depend on the number
 * of threads, and k is never cut. Start reading at hz_gemm_batched.
 *
 * Van Zee and van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality", TOMS 2015.
 *
 * SPDX-License-Identifier: MIT */
#include <blis.h>

#include "tensor/elementwise.h"
#include "tensor/gemm.h"
#include "tensor/gemm_block.h"
#include "tensor/matvec.h"

/* Multiply-adds of a piece that is worth cutting: to let two or four threads in (half of it still costs a thread
 * ten times its wake-up), and to let more of them in (smaller pieces reuse less of what they pack: 512³ in pieces of
 * 144² reaches 103 GFLOP/s, of 288² 109). */
enum { FEW_PIECES = 4, MAX_PIECES = 16, CUT_WORK = 1 << 21, FINE_CUT_WORK = 1 << 25 };

/* p products of one shape. The strides ps lead from one product to the next. */
typedef struct products {
    hz_isa isa;
    hz_dtype dtype;
    int64_t p, m, n, k;
    double alpha, beta;
    hz__matrix a, b, c;
    int64_t a_ps, b_ps, c_ps;
    int64_t mb, nb; /* extents of a piece of c */
} products;

/* ---- one product ---- */

/* C = beta·C, for products of which nothing else is left. */
static void scale(hz_dtype dtype, int64_t m, int64_t n, double beta, hz__matrix c) {
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            hz__matrix at = hz__matrix_at(dtype, c, i, j);
            if (dtype == HZ_F32) {
                float *x = at.data;
                *x = beta == 0 ? 0 : (float)beta * *x;
            } else {
                double *x = at.data;
                *x = beta == 0 ? 0 : beta * *x;
            }
        }
    }
}

/* Packing B pays when there are enough rows of A to use the copy, and rows of B lie across memory, far apart (every row then
 * is on another page), or are some and begin within a vector (1000×169×512: 92 GFLOP/s instead of 80), or do not stay in L2. */
static bool is_worth_packing(hz_dtype dtype, int64_t m, int64_t n, int64_t k, hz__matrix b) {
    enum { FEW_ROWS = 48, MORE_ROWS = 96, MANY_ROWS = 256 };
    enum { VECTOR = 32, FAR = 2048, SOME = 64 * 1024, LARGE = 512 * 1024 }; /* bytes */
    const int64_t size = (int64_t)hz_dtype_size(dtype), apart = b.rs * size, all = n * k * size;
    if (b.cs != 1 || apart >= FAR) return m >= FEW_ROWS;
    return (m >= MORE_ROWS && apart % VECTOR != 0 && all >= SOME) || (m >= MANY_ROWS && all >= LARGE);
}

static void call_blis(hz_dtype dtype, int64_t m, int64_t n, int64_t k, double alpha, hz__matrix a,
                      hz__matrix b, double beta, hz__matrix c, rntm_t *rntm) {
    bli_rntm_set_num_threads(1, rntm);
    if (dtype == HZ_F32) {
        float al = (float)alpha, be = (float)beta;
        bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, k, &al, a.data, a.rs, a.cs, b.data, b.rs,
                     b.cs, &be, c.data, c.rs, c.cs, NULL, rntm);
    } else {
        bli_dgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, k, &alpha, a.data, a.rs, a.cs, b.data, b.rs,
                     b.cs, &beta, c.data, c.rs, c.cs, NULL, rntm);
    }
}

void hz__gemm_block(hz_dtype dtype, int64_t m, int64_t n, int64_t k, double alpha, hz__matrix a, hz__matrix b,
                    double beta, hz__matrix c) {
    if (m == 0 || n == 0) return;
    if (k == 0) {
        scale(dtype, m, n, beta, c);
        return;
    }
    rntm_t rntm = BLIS_RNTM_INITIALIZER;
    bli_rntm_set_pack_b(is_worth_packing(dtype, m, n, k, b), &rntm);
    call_blis(dtype, m, n, k, alpha, a, b, beta, c, &rntm);
}

void hz__gemm_alike(hz_dtype dtype, int64_t m, int64_t n, int64_t k, hz__matrix a, hz__matrix b, double beta,
                    hz__matrix c) {
    if (dtype == HZ_F32 || m == 0 || n == 0 || k == 0) {
        hz__gemm_block(dtype, m, n, k, 1, a, b, beta, c);
        return;
    }
    /* Not by the path for small products: it cuts k by m and n, and has kernels for what is left over at a border. */
    rntm_t rntm = BLIS_RNTM_INITIALIZER;
    bli_rntm_disable_l3_sup(&rntm);
    call_blis(dtype, m, n, k, 1, a, b, beta, c, &rntm);
}

/* ---- many pieces ---- */

static int64_t pieces_along(int64_t extent, int64_t piece) {
    return (extent + piece - 1) / piece;
}

/* Half of extent, rounded up to whole register tiles (6 × 16 and its transpose) where it is much larger. */
static int64_t half_of(int64_t extent) {
    int64_t half = (extent + 1) / 2;
    return half > 96 ? (half + 47) / 48 * 48 : half;
}

/* Halve the longer side until there are enough pieces or they get too small. */
static void choose_pieces(products *g) {
    g->mb = g->m;
    g->nb = g->n;
    double work = (double)g->m * (double)g->n * (double)g->k;
    for (int64_t count = g->p; count < MAX_PIECES; count *= 2, work /= 2) {
        if (work < (count < FEW_PIECES ? CUT_WORK : FINE_CUT_WORK)) return;
        int64_t *side = g->mb >= g->nb ? &g->mb : &g->nb;
        *side = half_of(*side);
    }
}

static void run_piece(const products *g, int64_t index) {
    int64_t columns = pieces_along(g->n, g->nb), rows = pieces_along(g->m, g->mb);
    int64_t j = index % columns * g->nb, i = index / columns % rows * g->mb, p = index / columns / rows;
    int64_t m = g->m - i < g->mb ? g->m - i : g->mb, n = g->n - j < g->nb ? g->n - j : g->nb;
    int64_t size = (int64_t)hz_dtype_size(g->dtype);
    hz__matrix a = hz__matrix_at(g->dtype, g->a, i, 0), b = hz__matrix_at(g->dtype, g->b, 0, j);
    hz__matrix c = hz__matrix_at(g->dtype, g->c, i, j);
    a.data = (char *)a.data + p * g->a_ps * size;
    b.data = (char *)b.data + p * g->b_ps * size;
    c.data = (char *)c.data + p * g->c_ps * size;
    if (!hz__matvec(g->isa, g->dtype, m, n, g->k, g->alpha, a, b, g->beta, c))
        hz__gemm_block(g->dtype, m, n, g->k, g->alpha, a, b, g->beta, c);
}

static void run(const products *g, int threads) {
    int64_t pieces = g->p * pieces_along(g->m, g->mb) * pieces_along(g->n, g->nb);
    double work = (double)g->p * (double)g->m * (double)g->n * (double)g->k;
    if (pieces < threads) threads = (int)pieces;
    if (threads == 1 || work < CUT_WORK) {
        for (int64_t i = 0; i < pieces; i++) run_piece(g, i);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int64_t i = 0; i < pieces; i++) run_piece(g, i);
}

/* ---- from tensors ---- */

static bool check(const hz_tensor *a, const hz_tensor *b, const hz_tensor *c, int rank, hz_error *err) {
    bool rank_fits = a->rank == rank && b->rank == rank && c->rank == rank;
    if (!rank_fits || !hz_dtype_is_float(c->dtype) || a->dtype != c->dtype || b->dtype != c->dtype) {
        return hz_fail(err, HZ_ESHAPE, "gemm: a is %s%s, b %s%s, c %s%s; wanted rank %d of one float dtype",
                       hz_dtype_name(a->dtype), hz_shape_str(a).s, hz_dtype_name(b->dtype), hz_shape_str(b).s,
                       hz_dtype_name(c->dtype), hz_shape_str(c).s, rank);
    }
    int row = rank - 2, col = rank - 1;
    bool batch = rank == 2 || (a->dim[0] == c->dim[0] && b->dim[0] == c->dim[0]);
    if (!batch || a->dim[row] != c->dim[row] || b->dim[col] != c->dim[col] || a->dim[col] != b->dim[row]) {
        return hz_fail(err, HZ_ESHAPE, "gemm: %s times %s does not give %s", hz_shape_str(a).s,
                       hz_shape_str(b).s, hz_shape_str(c).s);
    }
    for (int axis = row; axis <= col; axis++) {
        if (c->dim[axis] > 1 && c->stride[axis] <= 0) {
            return hz_fail(err, HZ_EINVAL, "gemm: the result's stride %lld is not positive",
                           (long long)c->stride[axis]);
        }
    }
    return true;
}

/* An operand BLIS can read: *t itself, or a copy in *block if a stride of its matrices is negative. */
static bool readable(const hz_exec *ex, hz_tensor *t, hz_block **block, hz_error *err) {
    *block = NULL;
    int row = t->rank - 2, col = t->rank - 1;
    bool negative = (t->dim[row] > 1 && t->stride[row] < 0) || (t->dim[col] > 1 && t->stride[col] < 0);
    if (!negative || hz_numel(t) == 0) return true;
    hz_tensor copy = *t;
    if (t->rank == 3 && t->stride[0] == 0) copy.dim[0] = 1;
    hz_tensor source = copy;
    *block = hz_pool_tensor(ex->pool, &copy, err);
    if (!*block) return false;
    hz_copy(ex, &source, &copy);
    if (t->rank == 3 && t->stride[0] == 0) copy.stride[0] = 0;
    copy.dim[0] = t->dim[0];
    *t = copy;
    return true;
}

/* The stride of an axis with fewer than two elements means nothing: BLIS wants a sensible one. */
static hz__matrix matrix_of(const hz_tensor *t) {
    int row = t->rank - 2, col = t->rank - 1;
    int64_t cs = t->dim[col] > 1 ? t->stride[col] : 1;
    int64_t rs = t->dim[row] > 1 ? t->stride[row] : t->dim[col] > 0 ? t->dim[col] : 1;
    return (hz__matrix){t->data, rs, cs};
}

static int64_t batch_stride(const hz_tensor *t) {
    return t->rank == 3 ? t->stride[0] : 0;
}

static bool multiply(const hz_exec *ex, double alpha, const hz_tensor *a, const hz_tensor *b, double beta,
                     const hz_tensor *c, int rank, hz_error *err) {
    if (!check(a, b, c, rank, err)) return false;
    if (hz_numel(c) == 0) return true;
    hz_tensor left = *a, right = *b;
    hz_block *left_block = NULL, *right_block = NULL;
    bool ok = readable(ex, &left, &left_block, err) && readable(ex, &right, &right_block, err);
    if (ok) {
        products g = {.isa = ex->isa,
                      .dtype = c->dtype,
                      .p = rank == 3 ? c->dim[0] : 1,
                      .m = c->dim[rank - 2],
                      .n = c->dim[rank - 1],
                      .k = a->dim[rank - 1],
                      .alpha = alpha,
                      .beta = beta,
                      .a = matrix_of(&left),
                      .b = matrix_of(&right),
                      .c = matrix_of(c),
                      .a_ps = batch_stride(&left),
                      .b_ps = batch_stride(&right),
                      .c_ps = batch_stride(c)};
        choose_pieces(&g);
        run(&g, ex->threads);
    }
    hz_block_unref(left_block);
    hz_block_unref(right_block);
    return ok;
}

bool hz_gemm(const hz_exec *ex, double alpha, const hz_tensor *a, const hz_tensor *b, double beta,
             const hz_tensor *c, hz_error *err) {
    return multiply(ex, alpha, a, b, beta, c, 2, err);
}

bool hz_gemm_batched(const hz_exec *ex, double alpha, const hz_tensor *a, const hz_tensor *b, double beta,
                     const hz_tensor *c, hz_error *err) {
    return multiply(ex, alpha, a, b, beta, c, 3, err);
}

/* ---- the oracle ---- */

void hz_gemm_reference(double alpha, const hz_tensor *a, const hz_tensor *b, double beta,
                       const hz_tensor *c) {
    for (int64_t i = 0; i < c->dim[0]; i++) {
        for (int64_t j = 0; j < c->dim[1]; j++) {
            double sum = 0;
            for (int64_t p = 0; p < a->dim[1]; p++) {
                sum += hz_get(a, (int64_t[]){i, p}) * hz_get(b, (int64_t[]){p, j});
            }
            double old = beta == 0 ? 0 : beta * hz_get(c, (int64_t[]){i, j});
            hz_set(c, (int64_t[]){i, j}, alpha * sum + old);
        }
    }
}
