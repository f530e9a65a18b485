/* matvec.c: see matvec.h. Either kind of product becomes y = alpha·A·x + beta·y with A (rows, n), a block of y at a
 * time, which stays in L1.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/matvec.h"

#include <string.h>

#include "tensor/kernels/matvec.h"

enum { BLOCK = 2048 }; /* numbers of y */

typedef struct matvec {
    const hz__matvec_kernels *kernels;
    hz_dtype dtype;
    int64_t rows, n;    /* of a; y has `rows` numbers, x has n */
    hz__matrix a, x, y; /* x and y are columns: rs is their stride */
    double alpha, beta;
} matvec;

static const hz__matvec_kernels *kernels(hz_isa isa, hz_dtype dtype) {
    const bool f32 = dtype == HZ_F32;
#if defined(HZ_HAVE_AVX512)
    if (isa == HZ_ISA_AVX512) return f32 ? &hz__matvec_f32_avx512 : &hz__matvec_f64_avx512;
#endif
#if defined(HZ_HAVE_AVX2)
    if (isa == HZ_ISA_AVX2) return f32 ? &hz__matvec_f32_avx2 : &hz__matvec_f64_avx2;
#endif
    (void)isa;
    return f32 ? &hz__matvec_f32_c : &hz__matvec_f64_c;
}

/* y[i] = alpha·sum[i] + beta·y[i]; y is not read if beta is 0. */
static void put(const matvec *p, int64_t first, int64_t count, const void *sum) {
    for (int64_t i = 0; i < count; i++) {
        void *at = hz__matrix_at(p->dtype, p->y, first + i, 0).data;
        if (p->dtype == HZ_F32) {
            float *y = at;
            *y = (float)p->alpha * ((const float *)sum)[i] + (p->beta == 0 ? 0 : (float)p->beta * *y);
        } else {
            double *y = at;
            *y = p->alpha * ((const double *)sum)[i] + (p->beta == 0 ? 0 : p->beta * *y);
        }
    }
}

/* Rows side by side: each is multiplied with x. */
static void multiply_rows(const matvec *p) {
    double sum[HZ__MATVEC_ROWS];
    for (int64_t i = 0; i < p->rows; i += HZ__MATVEC_ROWS) {
        const int64_t count = p->rows - i < HZ__MATVEC_ROWS ? p->rows - i : HZ__MATVEC_ROWS;
        p->kernels->dots(count, p->n, hz__matrix_at(p->dtype, p->a, i, 0).data, p->a.rs, p->x.data, sum);
        put(p, i, count, sum);
    }
}

/* Columns side by side: they are summed, each times a number of x. */
static void sum_columns(const matvec *p) {
    double sum[BLOCK];
    for (int64_t i = 0; i < p->rows; i += BLOCK) {
        const int64_t count = p->rows - i < BLOCK ? p->rows - i : BLOCK;
        memset(sum, 0, (size_t)count * hz_dtype_size(p->dtype));
        for (int64_t j = 0; j < p->n; j += HZ__MATVEC_ROWS) {
            const int64_t columns = p->n - j < HZ__MATVEC_ROWS ? p->n - j : HZ__MATVEC_ROWS;
            p->kernels->add_rows(columns, count, hz__matrix_at(p->dtype, p->a, i, j).data, p->a.cs,
                                 hz__matrix_at(p->dtype, p->x, j, 0).data, p->x.rs, sum);
        }
        put(p, i, count, sum);
    }
}

static hz__matrix transpose(hz__matrix m) {
    return (hz__matrix){m.data, m.cs, m.rs};
}

bool hz__matvec(hz_isa isa, hz_dtype dtype, int64_t m, int64_t n, int64_t k, double alpha, hz__matrix a,
                hz__matrix b, double beta, hz__matrix c) {
    matvec p = {kernels(isa, dtype), dtype, m, k, a, b, c, alpha, beta};
    if (m != 1 && n != 1) return false;
    if (n != 1) p.rows = n, p.a = transpose(b), p.x = transpose(a), p.y = transpose(c);
    if (k == 0 || alpha == 0) return false;
    if (p.a.rs == 1)
        sum_columns(&p);
    else if (p.a.cs == 1 && (p.x.rs == 1 || k == 1))
        multiply_rows(&p);
    else
        return false;
    return true;
}
