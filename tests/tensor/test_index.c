/* test_index.c: gather and scatter against their definitions, element by element, over random shapes, dtypes and
 * strides; each scatter is also held to be the adjoint of its gather.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/index.h"

enum { ROUNDS = 1500, SPACE = 20000 };

static hz_exec with_threads(int threads) {
    return (hz_exec){.threads = threads, .isa = hz_isa_resolve(HZ_ISA_AUTO)};
}

static uint64_t state = 1;

static int64_t draw(int64_t lo, int64_t hi) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return lo + (int64_t)((state >> 33) % (uint64_t)(hi - lo + 1));
}

static int draw_dims(int least, int most, int64_t *dim) {
    const int rank = (int)draw(least, most);
    for (int k = 0; k < rank; k++) dim[k] = draw(draw(0, 19) ? 1 : 0, 4);
    return rank;
}

/* A tensor in memory of its own, contiguous or with gaps, backwards, or its axes in another order. */
static hz_tensor draw_tensor(void *memory, hz_dtype dtype, int rank, const int64_t *dim) {
    hz_tensor t = hz_tensor_of(memory, dtype, rank, dim);
    const int layout = (int)draw(0, 3);
    if (layout == 0 || hz_numel(&t) == 0) return t;
    int64_t step = layout, start = 0;
    for (int k = 0; k < rank; k++) {
        const int axis = layout == 2 ? k : rank - 1 - k; /* 2: column-major */
        t.stride[axis] = layout == 3 ? -step : step;
        if (layout == 3) start += (dim[axis] - 1) * step;
        step *= dim[axis];
    }
    t.data = (char *)memory + start * (int64_t)hz_dtype_size(dtype);
    return t;
}

static void fill_small_integers(const hz_tensor *t) {
    for (int64_t k = 0; k < hz_numel(t); k++) hz_set_flat(t, k, (double)draw(0, 100));
}

static void fill_indices(const hz_tensor *idx, int64_t extent) {
    for (int64_t k = 0; k < hz_numel(idx); k++) hz_set_flat(idx, k, (double)draw(-extent, extent - 1));
}

/* One random problem: x and an index tensor for one of its axes, y of the shape a gather gives. */
typedef struct problem {
    void *memory[4];
    bool elements;
    int axis;
    hz_tensor x, idx, y;
} problem;

static void draw_problem(problem *p, hz_dtype dtype, bool elements) {
    int64_t dim[HZ_MAX_RANK], idx_dim[HZ_MAX_RANK];
    for (int k = 0; k < 4; k++) p->memory[k] = calloc(SPACE, 8);
    p->elements = elements;
    const int rank = draw_dims(1, 4, dim);
    p->axis = (int)draw(0, rank - 1);
    dim[p->axis] += dim[p->axis] == 0;
    int idx_rank = elements ? rank : draw_dims(0, 3, idx_dim);
    for (int k = 0; elements && k < rank; k++)
        idx_dim[k] = k == p->axis ? draw(0, 5) : draw(dim[k] > 0, dim[k]);
    p->x = draw_tensor(p->memory[0], dtype, rank, dim);
    p->idx = draw_tensor(p->memory[1], draw(0, 1) ? HZ_I64 : HZ_I32, idx_rank, idx_dim);
    fill_small_integers(&p->x);
    fill_indices(&p->idx, dim[p->axis]);
    hz_tensor shape;
    const bool ok = elements ? hz_gather_elements_shape(&p->x, p->axis, &p->idx, &shape, NULL)
                             : hz_gather_shape(&p->x, p->axis, &p->idx, &shape, NULL);
    cr_assert(ok);
    p->y = draw_tensor(p->memory[2], dtype, shape.rank, shape.dim);
    fill_small_integers(&p->y);
}

static void free_problem(problem *p) {
    for (int k = 0; k < 4; k++) free(p->memory[k]);
}

/* Where in x the element at `at` of y comes from. */
static void source(const problem *p, const int64_t *at, int64_t *from) {
    const int shifted =
        p->elements ? 0 : p->idx.rank - 1; /* axes of y behind those of idx are that far back in x */
    for (int k = 0; k < p->x.rank; k++) from[k] = at[k <= p->axis ? k : k + shifted];
    const int64_t i = (int64_t)hz_get(&p->idx, p->elements ? at : at + p->axis);
    from[p->axis] = i < 0 ? i + p->x.dim[p->axis] : i;
}

static bool gather(const hz_exec *ex, const problem *p) {
    return p->elements ? hz_gather_elements_map(ex, &p->x, p->axis, &p->idx, &p->y, NULL)
                       : hz_gather_map(ex, &p->x, p->axis, &p->idx, &p->y, NULL);
}

static bool scatter(const hz_exec *ex, const problem *p, const hz_tensor *src, const hz_tensor *y) {
    return p->elements ? hz_scatter_elements_add_map(ex, &p->idx, p->axis, src, y, NULL)
                       : hz_scatter_add_map(ex, &p->idx, p->axis, src, y, NULL);
}

static bool gathered_right(const problem *p) {
    for (int64_t k = 0; k < hz_numel(&p->y); k++) {
        int64_t at[HZ_MAX_RANK], from[HZ_MAX_RANK];
        hz_unravel(&p->y, k, at);
        source(p, at, from);
        if (hz_get(&p->y, at) != hz_get(&p->x, from)) return false;
    }
    return true;
}

static void check_gathers(bool elements) {
    const hz_exec ex = with_threads(1);
    int64_t compared = 0;
    for (int round = 0; round < ROUNDS; round++) {
        problem p;
        draw_problem(&p, (hz_dtype)draw(0, HZ_DTYPES - 1), elements);
        cr_assert(gather(&ex, &p));
        cr_assert(gathered_right(&p), "%s of %s along %d", hz_shape_str(&p.idx).s, hz_shape_str(&p.x).s,
                  p.axis);
        compared += hz_numel(&p.y);
        free_problem(&p);
    }
    cr_assert(compared > ROUNDS);
}

Test(gather, takes_what_the_index_names) {
    check_gathers(false);
}

Test(gather_elements, takes_what_the_index_names) {
    check_gathers(true);
}

/* Values are small integers, so that sums are exact in any order. */
static void check_scatters(bool elements) {
    const hz_exec ex = with_threads(2);
    int64_t added = 0;
    for (int round = 0; round < ROUNDS; round++) {
        problem p;
        draw_problem(&p, draw(0, 1) ? HZ_F64 : HZ_F32, elements);
        hz_tensor expected = hz_tensor_of(p.memory[3], p.x.dtype, p.x.rank, p.x.dim);
        for (int64_t k = 0; k < hz_numel(&p.y); k++) {
            int64_t at[HZ_MAX_RANK], to[HZ_MAX_RANK];
            hz_unravel(&p.y, k, at);
            source(&p, at, to);
            hz_set(&expected, to, hz_get(&expected, to) + hz_get(&p.y, at));
            added++;
        }
        cr_assert(scatter(&ex, &p, &p.y, &p.x));
        for (int64_t k = 0; k < hz_numel(&p.x); k++)
            cr_assert(hz_get_flat(&p.x, k) == hz_get_flat(&expected, k));
        free_problem(&p);
    }
    cr_assert(added > ROUNDS);
}

Test(scatter_add, adds_where_the_index_names) {
    check_scatters(false);
}

Test(scatter_elements_add, adds_where_the_index_names) {
    check_scatters(true);
}

/* ---- large enough for threads and for dense rows ---- */

typedef struct large {
    int rank, axis;
    int64_t dim[3];
    int64_t count; /* indices */
    bool elements;
    int64_t rows; /* not 0, for a vector x: the indices have the shape (rows, count/rows) */
} large;

/* An embedding, channels in the middle, a plain vector, and element-wise lookups, of 50,000 elements and more. */
static const large cases[] = {
    {2, 0, {50, 65}, 1000, false, 0}, {3, 1, {30, 20, 33}, 77, false, 0}, {1, 0, {1000}, 70001, false, 0},
    {1, 0, {10}, 80000, false, 4},    {2, 1, {300, 40}, 200, true, 0},    {2, 0, {40, 3}, 30000, true, 0},
};

static void setup_large(const large *c, problem *p, float *x, int64_t *idx, float *y) {
    *p = (problem){.elements = c->elements, .axis = c->axis};
    p->x = hz_tensor_of(x, HZ_F32, c->rank, c->dim);
    int64_t dim[3];
    memcpy(dim, c->dim, sizeof dim);
    dim[c->axis] = c->count;
    p->idx = c->elements ? hz_tensor_of(idx, HZ_I64, c->rank, dim) : hz_tensor_of(idx, HZ_I64, 1, &c->count);
    p->y = hz_tensor_of(y, HZ_F32, c->rank, dim);
    if (c->rows > 0) {
        p->idx = hz_tensor_of(idx, HZ_I64, HZ_DIMS(c->rows, c->count / c->rows));
        p->y = hz_tensor_of(y, HZ_F32, 2, p->idx.dim);
    }
    fill_indices(&p->idx, c->dim[c->axis]);
    for (int64_t k = 0; k < hz_numel(&p->x); k++) x[k] = 1 / (float)draw(1, 1000);
    for (int64_t k = 0; k < hz_numel(&p->y); k++) y[k] = 1 / (float)draw(1, 1000);
}

Test(large, gather_takes_what_the_index_names_on_any_number_of_threads) {
    static float x[60000], y[100000];
    static int64_t idx[100000];
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        problem p;
        setup_large(&cases[c], &p, x, idx, y);
        for (int threads = 1; threads < 8; threads += 3) {
            const hz_exec ex = with_threads(threads);
            memset(y, 0, sizeof y);
            cr_assert(gather(&ex, &p) && gathered_right(&p), "case %zu, %d threads", c, threads);
        }
    }
}

Test(large, scatter_has_the_same_bits_on_any_number_of_threads) {
    static float x[60000], y[100000], one[60000];
    static int64_t idx[100000];
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        problem p;
        setup_large(&cases[c], &p, x, idx, y);
        const hz_exec alone = with_threads(1);
        hz_tensor first = p.x;
        first.data = one;
        cr_assert(scatter(&alone, &p, &p.y, &first));
        for (int threads = 2; threads < 9; threads += 3) {
            const hz_exec ex = with_threads(threads);
            cr_assert(scatter(&ex, &p, &p.y, &p.x));
            cr_assert(memcmp(x, one, hz_nbytes(&p.x)) == 0, "case %zu, %d threads", c, threads);
        }
    }
}

Test(large, scatter_is_the_adjoint_of_gather) {
    static float x[60000], y[100000], dx[60000], dy[100000];
    static int64_t idx[100000];
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        problem p;
        setup_large(&cases[c], &p, x, idx, y);
        const hz_exec ex = with_threads(2);
        memcpy(dy, y, sizeof y);
        hz_tensor cotangent = p.y, gradient = p.x;
        cotangent.data = dy;
        gradient.data = dx;
        cr_assert(gather(&ex, &p) && scatter(&ex, &p, &cotangent, &gradient));
        double forward = 0, backward = 0; /* ⟨gather(x), dy⟩ = ⟨x, scatter(dy)⟩ */
        for (int64_t k = 0; k < hz_numel(&p.y); k++) forward += (double)y[k] * dy[k];
        for (int64_t k = 0; k < hz_numel(&p.x); k++) backward += (double)x[k] * dx[k];
        cr_assert(forward > 0 && forward - backward < 1e-5 * forward && backward - forward < 1e-5 * forward,
                  "case %zu: %g, %g", c, forward, backward);
    }
}

/* ---- what is refused ---- */

Test(indices, outside_the_axis_are_named) {
    int64_t data[6] = {0, 4, -5, 2, 5, -6};
    hz_tensor idx = hz_tensor_of(data, HZ_I64, HZ_DIMS(2, 3));
    hz_error err = {0};
    cr_assert(!hz_check_indices(&idx, 5, &err));
    cr_assert(err.code == HZ_EINVAL);
    cr_assert_str_eq(err.text, "index 5 at [1,1] lies outside an axis of extent 5");
    cr_assert(hz_view_transpose(&idx, 0, 1, &idx, NULL));
    cr_assert(!hz_check_indices(&idx, 5, &err));
    cr_assert_str_eq(err.text, "index 5 at [1,1] lies outside an axis of extent 5");
    data[4] = 3;
    cr_assert(!hz_check_indices(&idx, 5, &err));
    cr_assert_str_eq(err.text, "index -6 at [2,1] lies outside an axis of extent 5");
    cr_assert(hz_check_indices(&idx, 6, &err));
}

Test(indices, of_extreme_value_are_outside) {
    static int64_t extreme[2] = {INT64_MIN, INT64_MAX};
    for (int k = 0; k < 2; k++) {
        const hz_tensor idx = hz_tensor_of(&extreme[k], HZ_I64, 0, NULL);
        cr_assert(!hz_check_indices(&idx, 5, NULL));
        cr_assert(!hz_check_indices(&idx, 0, NULL));
    }
}

Test(indices, must_be_integers) {
    float data = 0;
    const hz_tensor idx = hz_tensor_of(&data, HZ_F32, 0, NULL);
    hz_error err = {0};
    cr_assert(!hz_check_indices(&idx, 5, &err));
    cr_assert(err.code == HZ_ESHAPE);
    cr_assert_str_eq(err.text, "indices must be i32 or i64, not f32");
}

Test(indices, that_are_wrong_leave_the_output_alone) {
    const hz_exec ex = with_threads(1);
    float x[3] = {1, 2, 3}, y[2] = {7, 7}, z[3] = {7, 7, 7};
    int32_t bad[2] = {0, 3};
    const hz_tensor tx = hz_tensor_of(x, HZ_F32, HZ_DIMS(3)), ty = hz_tensor_of(y, HZ_F32, HZ_DIMS(2));
    const hz_tensor tz = hz_tensor_of(z, HZ_F32, HZ_DIMS(3)), idx = hz_tensor_of(bad, HZ_I32, HZ_DIMS(2));
    cr_assert(!hz_gather_map(&ex, &tx, 0, &idx, &ty, NULL) && y[0] == 7);
    cr_assert(!hz_gather_elements_map(&ex, &tx, 0, &idx, &ty, NULL) && y[0] == 7);
    cr_assert(!hz_scatter_add_map(&ex, &idx, 0, &ty, &tz, NULL) && z[0] == 7);
    cr_assert(!hz_scatter_elements_add_map(&ex, &idx, 0, &ty, &tz, NULL) && z[0] == 7);
}

Test(shape, of_a_gather_replaces_the_axis) {
    const hz_tensor x = hz_tensor_of(NULL, HZ_F64, HZ_DIMS(2, 3, 4)),
                    idx = hz_tensor_of(NULL, HZ_I64, HZ_DIMS(5, 6));
    hz_tensor y;
    cr_assert(hz_gather_shape(&x, 1, &idx, &y, NULL));
    cr_assert(y.dtype == HZ_F64);
    cr_assert_str_eq(hz_shape_str(&y).s, "[2,5,6,4]");
    const hz_tensor scalar = hz_tensor_of(NULL, HZ_I64, 0, NULL);
    cr_assert(hz_gather_shape(&x, 2, &scalar, &y, NULL));
    cr_assert_str_eq(hz_shape_str(&y).s, "[2,3]");
}

Test(shape, that_cannot_be_is_refused) {
    const hz_tensor x = hz_tensor_of(NULL, HZ_F32, HZ_DIMS(2, 3)),
                    idx = hz_tensor_of(NULL, HZ_I64, HZ_DIMS(4, 5));
    hz_tensor y;
    hz_error err = {0};
    cr_assert(!hz_gather_shape(&x, 2, &idx, &y, &err));
    cr_assert_str_eq(err.text, "axis 2 lies outside the rank of [2,3]");
    cr_assert(!hz_gather_elements_shape(&x, -1, &idx, &y, &err));
    cr_assert(!hz_gather_elements_shape(&x, 0, &idx, &y, &err));
    cr_assert_str_eq(err.text, "indices [4,5] reach beyond [2,3] along axis 1 (5 vs 3)");
    const hz_tensor flat = hz_tensor_of(NULL, HZ_I64, HZ_DIMS(4));
    cr_assert(!hz_gather_elements_shape(&x, 0, &flat, &y, &err));
    cr_assert_str_eq(err.text, "indices [4] and [2,3] disagree on rank (1 vs 2)");
    const hz_tensor deep = hz_tensor_of(NULL, HZ_I64, HZ_DIMS(1, 1, 1, 1, 1, 1, 1, 1));
    cr_assert(!hz_gather_shape(&x, 0, &deep, &y, &err));
    cr_assert_str_eq(err.text, "indices [1,1,1,1,1,1,1,1] into [2,3] give rank 9, more than 8");
}

/* ---- one-hot ---- */

Test(one_hot, is_on_at_the_index_alone) {
    const hz_exec ex = with_threads(1);
    for (int dtype = 0; dtype < HZ_DTYPES; dtype++) {
        int32_t data[6] = {0, 3, -1, 2, -4, 1};
        double space[24];
        const hz_tensor idx = hz_tensor_of(data, HZ_I32, HZ_DIMS(2, 3));
        const hz_tensor y = hz_tensor_of(space, (hz_dtype)dtype, HZ_DIMS(2, 3, 4));
        cr_assert(hz_one_hot_map(&ex, &idx, 4, 5, 2, &y, NULL));
        for (int64_t k = 0; k < 24; k++)
            cr_assert(hz_get_flat(&y, k) == ((data[k / 4] + 4) % 4 == k % 4 ? 5 : 2), "dtype %d, %d", dtype,
                      (int)k);
    }
}

Test(one_hot, of_an_index_beyond_depth_fails) {
    const hz_exec ex = with_threads(1);
    int64_t data[2] = {1, 4};
    float space[8] = {0};
    const hz_tensor idx = hz_tensor_of(data, HZ_I64, HZ_DIMS(2)),
                    y = hz_tensor_of(space, HZ_F32, HZ_DIMS(2, 4));
    hz_error err = {0};
    cr_assert(!hz_one_hot_map(&ex, &idx, 4, 1, 0, &y, &err));
    cr_assert_str_eq(err.text, "index 4 at [1] lies outside an axis of extent 4");
}
