/* test_view.c: the algebra of views against enumeration of every element.
 *
 * In the tensors drawn here the value of an element is its own position in memory, so that two views agree if and
 * only if they show the same memory. Shapes have ranks 0 … 5 and extents 0 … 4, strides are anything: gaps, 0,
 * negative, overlapping.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "tensor/tensor.h"

enum { ROUNDS = 4000, MEMORY = 1 << 17 };

static int32_t memory[MEMORY]; /* memory[k] = k, see setup */

static void setup(void) {
    for (int32_t k = 0; k < MEMORY; k++) memory[k] = k;
}

TestSuite(view, .init = setup);

static uint64_t state = 1;

/* A random integer in lo … hi. */
static int64_t draw(int64_t lo, int64_t hi) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return lo + (int64_t)((state >> 33) % (uint64_t)(hi - lo + 1));
}

static hz_tensor draw_shape(void) {
    hz_tensor t = {.data = memory + MEMORY / 2, .dtype = HZ_I32, .rank = (int32_t)draw(0, 5)};
    const int64_t least = draw(0, 9) == 0 ? 0 : 1; /* one in ten may be empty */
    for (int k = 0; k < t.rank; k++) t.dim[k] = draw(least, 4);
    hz_tensor_set_contiguous(&t);
    return t;
}

/* Contiguous, or cut out of something larger, axes shuffled or reversed, or with strides of no order at all. */
static hz_tensor draw_tensor(void) {
    hz_tensor t = draw_shape();
    const int64_t disorder = draw(0, 3);
    int64_t step = 1;
    for (int k = t.rank - 1; k >= 0; k--) {
        if (disorder == 1 && draw(0, 3) == 0) step *= 2;
        t.stride[k] = disorder == 3 ? draw(-9, 9) : step;
        if (disorder == 2 && draw(0, 3) == 0) t.stride[k] = draw(0, 1) ? 0 : -step;
        if (t.dim[k] > 1) step *= t.dim[k];
        if (t.dim[k] <= 1 && draw(0, 1)) t.stride[k] = draw(-99, 99); /* does not count */
    }
    if (disorder == 1 && t.rank > 1) hz_view_transpose(&t, (int)draw(0, t.rank - 1), 0, &t, NULL);
    return t;
}

/* Does element k of view, in row-major order, lie where at(t, index of k) says, for every k? */
typedef double (*where_fn)(const hz_tensor *t, const int64_t *idx, const void *ctx);
static bool shows(const hz_tensor *view, const hz_tensor *t, where_fn at, const void *ctx) {
    int64_t idx[HZ_MAX_RANK];
    for (int64_t k = 0; k < hz_numel(view); k++) {
        hz_unravel(view, k, idx);
        if (hz_get(view, idx) != at(t, idx, ctx)) return false;
    }
    return true;
}

/* ---- permute, transpose ---- */

static double permuted(const hz_tensor *t, const int64_t *idx, const void *perm) {
    int64_t from[HZ_MAX_RANK];
    for (int k = 0; k < t->rank; k++) from[((const int *)perm)[k]] = idx[k];
    return hz_get(t, from);
}

Test(view, permute_moves_axes) {
    for (int round = 0; round < ROUNDS; round++) {
        const hz_tensor t = draw_tensor();
        int perm[HZ_MAX_RANK];
        for (int k = 0; k < t.rank; k++) perm[k] = k;
        for (int k = t.rank - 1; k > 0; k--) {
            const int other = (int)draw(0, k), kept = perm[k];
            perm[k] = perm[other];
            perm[other] = kept;
        }
        hz_tensor view;
        cr_assert(hz_view_permute(&t, perm, &view, NULL));
        for (int k = 0; k < t.rank; k++) cr_assert(view.dim[k] == t.dim[perm[k]]);
        cr_assert(shows(&view, &t, permuted, perm));
    }
}

Test(view, permute_refuses_what_is_no_permutation) {
    hz_tensor t = hz_tensor_of(memory, HZ_I32, HZ_DIMS(2, 3, 4)), view = t;
    hz_error err = {0};
    cr_assert(!hz_view_permute(&t, (int[]){0, 1, 1}, &view, &err));
    cr_assert_str_eq(err.text, "axis 1 is named twice");
    cr_assert(!hz_view_permute(&t, (int[]){0, 1, 3}, &view, &err));
    cr_assert_str_eq(err.text, "axis 3 lies outside the rank of [2,3,4]");
    cr_assert(!hz_view_permute(&t, (int[]){0, 1, -1}, &view, &err));
    cr_assert(memcmp(&view, &t, sizeof t) == 0, "a failure leaves out alone");
}

Test(view, transpose_counts_negative_axes_from_the_end) {
    const hz_tensor t = hz_tensor_of(memory, HZ_I32, HZ_DIMS(2, 3, 4));
    hz_tensor view;
    cr_assert(hz_view_transpose(&t, -1, 0, &view, NULL));
    cr_assert(view.dim[0] == 4 && view.dim[1] == 3 && view.dim[2] == 2);
    cr_assert(hz_get(&view, (int64_t[]){3, 1, 1}) == hz_get(&t, (int64_t[]){1, 1, 3}));
    hz_error err = {0};
    cr_assert(!hz_view_transpose(&t, 0, 3, &view, &err));
    cr_assert(!hz_view_transpose(&t, -4, 0, &view, &err));
    cr_assert(err.code == HZ_EINVAL);
}

/* ---- slice ---- */

typedef struct slice {
    int axis;
    int64_t start, count, step;
} slice;

static double sliced(const hz_tensor *t, const int64_t *idx, const void *ctx) {
    const slice *s = ctx;
    int64_t from[HZ_MAX_RANK];
    memcpy(from, idx, sizeof from);
    from[s->axis] = s->start + idx[s->axis] * s->step;
    return hz_get(t, from);
}

static bool slice_is_inside(const slice *s, int64_t extent) {
    for (int64_t k = 0; k < s->count; k++) {
        const int64_t position = s->start + k * s->step;
        if (position < 0 || position >= extent) return false;
    }
    return true;
}

Test(view, slice_takes_every_step_or_fails) {
    int taken = 0, refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const hz_tensor t = draw_tensor();
        if (t.rank == 0) continue;
        slice s = {.axis = (int)draw(0, t.rank - 1), .count = draw(0, 4), .step = draw(-3, 3)};
        s.start = draw(-1, t.dim[s.axis]);
        if (s.step == 0) s.step = 1;
        hz_tensor view;
        const bool ok = hz_view_slice(&t, s.axis, s.start, s.count, s.step, &view, NULL);
        cr_assert(ok == slice_is_inside(&s, t.dim[s.axis]));
        ok ? taken++ : refused++;
        if (ok) cr_assert(view.dim[s.axis] == s.count && shows(&view, &t, sliced, &s));
    }
    cr_assert(taken > ROUNDS / 10 && refused > ROUNDS / 10);
}

Test(view, slice_survives_extreme_numbers) {
    static const int64_t extreme[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, 2, INT64_MAX - 1, INT64_MAX};
    hz_tensor t = hz_tensor_of(memory, HZ_I32, HZ_DIMS(3)), view;
    t.stride[0] = 2; /* times an extreme step it would overflow */
    for (int a = 0; a < 8; a++)
        for (int b = 0; b < 8; b++)
            for (int c = 0; c < 8; c++) {
                const int64_t start = extreme[a], count = extreme[b], step = extreme[c];
                if (!hz_view_slice(&t, 0, start, count, step, &view, NULL)) continue;
                const bool possible = count == 0 || (start >= 0 && start < 3 && count <= 2 &&
                                                     (count == 1 || (step >= -1 && step <= 2)));
                cr_assert(possible, "%" PRId64 " %" PRId64 " %" PRId64, start, count, step);
            }
    cr_assert(hz_view_slice(&t, 0, 1, 1, INT64_MIN, &view, NULL));
    cr_assert(hz_get_flat(&view, 0) == 2);
    cr_assert(!hz_view_slice(&t, 0, 2, 2, INT64_MIN, &view, NULL));
}

Test(view, slice_names_what_disagrees) {
    const hz_tensor t = hz_tensor_of(memory, HZ_I32, HZ_DIMS(3, 5));
    hz_tensor view;
    hz_error err = {0};
    cr_assert(!hz_view_slice(&t, -1, 2, 4, 1, &view, &err));
    cr_assert_str_eq(err.text, "4 elements from 2 in steps of 1 leave axis 1 of [3,5]");
    cr_assert(!hz_view_slice(&t, 2, 0, 1, 1, &view, &err));
    cr_assert_str_eq(err.text, "axis 2 lies outside the rank of [3,5]");
    cr_assert(!hz_view_slice(&t, 0, 0, 1, 0, &view, &err));
    cr_assert_str_eq(err.text, "1 elements in steps of 0 are no slice");
}

Test(view, slice_of_nothing_leaves_a_null_pointer_alone) {
    const hz_tensor t = hz_tensor_of(NULL, HZ_F32, HZ_DIMS(4, 0, 3));
    hz_tensor view;
    cr_assert(hz_view_slice(&t, 0, 2, 2, 1, &view, NULL));
    cr_assert(view.data == NULL && hz_numel(&view) == 0);
}

/* ---- broadcast ---- */

static double broadcasted(const hz_tensor *t, const int64_t *idx, const void *rank) {
    int64_t from[HZ_MAX_RANK];
    const int missing = *(const int *)rank - t->rank;
    for (int k = 0; k < t->rank; k++) from[k] = t->dim[k] == 1 ? 0 : idx[k + missing];
    return hz_get(t, from);
}

Test(view, broadcast_repeats_axes_of_extent_1) {
    for (int round = 0; round < ROUNDS; round++) {
        const hz_tensor t = draw_tensor();
        const int rank = (int)draw(t.rank, 7);
        int64_t dim[HZ_MAX_RANK];
        bool fits = true;
        for (int k = 0; k < rank; k++) {
            const int64_t extent = k < rank - t.rank ? 1 : t.dim[k - (rank - t.rank)];
            dim[k] = draw(0, 15) == 0 ? draw(0, 4) : extent == 1 ? draw(0, 3) : extent;
            fits = fits && (extent == 1 || extent == dim[k]);
        }
        hz_tensor view;
        hz_error err = {0};
        cr_assert(hz_view_broadcast(&t, rank, dim, &view, &err) == fits);
        if (!fits) cr_assert(err.code == HZ_ESHAPE);
        if (fits) cr_assert(view.rank == rank && shows(&view, &t, broadcasted, &rank));
    }
}

Test(view, broadcast_names_both_shapes_and_the_axis) {
    const hz_tensor a = hz_tensor_of(memory, HZ_I32, HZ_DIMS(2, 3)),
                    b = hz_tensor_of(memory, HZ_I32, HZ_DIMS(7, 2, 4));
    hz_tensor view;
    hz_error err = {0};
    cr_assert(!hz_view_broadcast(&a, 3, b.dim, &view, &err));
    cr_assert_str_eq(err.text, "[2,3] does not broadcast to [7,2,4]: axis 2 is 3, not 1 or 4");
    cr_assert(!hz_view_broadcast(&b, 2, a.dim, &view, &err));
    cr_assert_str_eq(err.text, "[7,2,4] has more axes than [2,3]");
    cr_assert(!hz_broadcast_shape(&a, &b, &view, &err));
    cr_assert_str_eq(err.text, "shapes [2,3] and [7,2,4] do not broadcast: axis 2 is 3 and 4");
}

Test(view, broadcast_shape_is_where_both_broadcast_to) {
    for (int round = 0; round < ROUNDS; round++) {
        const hz_tensor a = draw_shape();
        hz_tensor b = draw(0, 1) ? draw_shape() : a, shape = {.dtype = HZ_I32}, view;
        for (int k = 0; k < b.rank; k++)
            if (draw(0, 2) == 0) b.dim[k] = 1;
        const bool ok = hz_broadcast_shape(&a, &b, &shape, NULL);
        cr_assert(ok == hz_broadcast_shape(&b, &a, &shape, NULL));
        if (!ok) continue;
        cr_assert(shape.rank == (a.rank > b.rank ? a.rank : b.rank));
        cr_assert(hz_view_broadcast(&a, shape.rank, shape.dim, &view, NULL));
        cr_assert(hz_view_broadcast(&b, shape.rank, shape.dim, &view, NULL));
    }
}

Test(view, broadcast_to_more_than_memory_fails) {
    const int64_t large = (int64_t)1 << 40;
    hz_tensor column = hz_tensor_of(memory, HZ_I32, HZ_DIMS(large, 1)),
              row = hz_tensor_of(memory, HZ_I32, HZ_DIMS(large));
    hz_tensor view;
    hz_error err = {0};
    cr_assert(!hz_broadcast_shape(&column, &row, &view, &err));
    cr_assert(err.code == HZ_ESHAPE);
    cr_assert(!hz_view_broadcast(&column, 2, (int64_t[]){large, large}, &view, &err));
}

/* ---- reshape ---- */

/* Is there a view of t with these dims? Its strides could only be the steps to the second index of each axis. */
static bool view_exists(const hz_tensor *t, int rank, const int64_t *dim) {
    hz_tensor view = hz_tensor_of(t->data, t->dtype, rank, dim);
    const hz_tensor flat = view; /* contiguous: strides are steps in row-major order */
    if (hz_numel(t) == 0) return true;
    const double first = hz_get_flat(t, 0);
    for (int k = 0; k < rank; k++)
        if (dim[k] > 1) view.stride[k] = (int64_t)(hz_get_flat(t, flat.stride[k]) - first);
    for (int64_t k = 0; k < hz_numel(t); k++)
        if (hz_get_flat(&view, k) != hz_get_flat(t, k)) return false;
    return true;
}

static bool same_order(const hz_tensor *a, const hz_tensor *b) {
    for (int64_t k = 0; k < hz_numel(a); k++)
        if (hz_get_flat(a, k) != hz_get_flat(b, k)) return false;
    return true;
}

/* A random shape of n elements. */
static int draw_dims(int64_t n, int64_t *dim) {
    int rank = 0;
    const int axes = (int)draw(n == 1 ? 0 : 1, 6);
    while (rank + 1 < axes) {
        int64_t factor = n == 0 ? draw(0, 3) : draw(1, 4);
        while (n != 0 && n % factor != 0) factor--;
        dim[rank++] = factor;
        if (factor > 0) n /= factor;
        if (factor == 0) n = draw(0, 3);
    }
    if (axes > 0) dim[rank++] = n;
    return rank;
}

Test(view, reshape_gives_a_view_exactly_where_one_exists) {
    int viewed = 0, refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const hz_tensor t = draw_tensor();
        int64_t dim[HZ_MAX_RANK];
        const int rank = draw_dims(hz_numel(&t), dim);
        hz_tensor view = {.dtype = HZ_I32};
        hz_error err = {0};
        const bool ok = hz_view_reshape(&t, rank, dim, &view, &err);
        cr_assert(ok == view_exists(&t, rank, dim), "%s of strides %s as %s", hz_shape_str(&t).s,
                  hz_dims_str(t.rank, t.stride).s, hz_dims_str(rank, dim).s);
        cr_assert(ok || err.code == HZ_ESHAPE);
        cr_assert(ok == hz_can_view(&t, rank, dim));
        ok ? viewed++ : refused++;
        if (!ok) continue;
        cr_assert(view.rank == rank && memcmp(view.dim, dim, (size_t)rank * sizeof dim[0]) == 0);
        cr_assert(same_order(&t, &view));
    }
    cr_assert(viewed > ROUNDS / 10 && refused > ROUNDS / 10, "%d, %d", viewed, refused);
}

Test(view, reshape_infers_one_extent) {
    const hz_tensor t = hz_tensor_of(memory, HZ_I32, HZ_DIMS(2, 3, 4));
    hz_tensor view;
    cr_assert(hz_view_reshape(&t, 2, (int64_t[]){-1, 6}, &view, NULL));
    cr_assert(view.dim[0] == 4 && view.dim[1] == 6);
    cr_assert(hz_view_reshape(&t, 1, (int64_t[]){-1}, &view, NULL) && view.dim[0] == 24);
    const hz_tensor empty = hz_tensor_of(memory, HZ_I32, HZ_DIMS(0, 3));
    cr_assert(hz_view_reshape(&empty, 2, (int64_t[]){-1, 5}, &view, NULL) && view.dim[0] == 0);
}

Test(view, reshape_refuses_with_a_reason) {
    const hz_tensor t = hz_tensor_of(memory, HZ_I32, HZ_DIMS(2, 3));
    hz_tensor view;
    hz_error err = {0};
    cr_assert(!hz_view_reshape(&t, 2, (int64_t[]){2, 4}, &view, &err));
    cr_assert_str_eq(err.text, "[2,3] has 6 elements and [2,4] has 8");
    cr_assert(!hz_view_reshape(&t, 2, (int64_t[]){-1, -1}, &view, &err));
    cr_assert_str_eq(err.text, "shape [-1,-1] leaves two extents open");
    cr_assert(!hz_view_reshape(&t, 2, (int64_t[]){-1, 4}, &view, &err));
    cr_assert(!hz_view_reshape(&t, 2, (int64_t[]){-1, 0}, &view, &err));
    cr_assert_str_eq(err.text, "no extent in place of −1 lets [-1,0] hold the 6 elements of [2,3]");
    cr_assert(!hz_view_reshape(&t, 2, (int64_t[]){-2, -3}, &view, &err));
    cr_assert(!hz_view_reshape(&t, 9, (int64_t[9]){6, 1, 1, 1, 1, 1, 1, 1, 1}, &view, &err));
    cr_assert(!hz_view_reshape(&t, -1, NULL, &view, &err));
    cr_assert(!hz_view_reshape(&t, 3, (int64_t[]){INT64_MAX, INT64_MAX, 6}, &view, &err));
    cr_assert(!hz_view_reshape(&t, 3, (int64_t[]){INT64_MAX, 2, -1}, &view, &err));
    hz_tensor transposed;
    cr_assert(hz_view_transpose(&t, 0, 1, &transposed, NULL));
    cr_assert(!hz_view_reshape(&transposed, 1, (int64_t[]){6}, &view, &err));
    cr_assert_str_eq(err.text, "the strides [1,3] of [3,2] allow no view as [6]; copy it first");
}

/* ---- asking about shapes ---- */

/* Does element k lie k places after the first, for every k? */
static bool lies_in_order(const hz_tensor *t) {
    for (int64_t k = 0; k < hz_numel(t); k++)
        if (hz_get_flat(t, k) != hz_get_flat(t, 0) + (double)k) return false;
    return true;
}

Test(view, contiguous_means_every_element_in_order) {
    int contiguous = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const hz_tensor t = draw_tensor();
        cr_assert(hz_is_contiguous(&t) == lies_in_order(&t));
        contiguous += hz_is_contiguous(&t);
    }
    cr_assert(contiguous > ROUNDS / 10 && contiguous < ROUNDS - ROUNDS / 10);
}

Test(view, numel_of_rank_0_is_1_and_of_an_empty_axis_0) {
    const hz_tensor scalar = hz_tensor_of(memory, HZ_F64, 0, NULL);
    cr_assert(hz_numel(&scalar) == 1 && hz_nbytes(&scalar) == 8);
    const hz_tensor empty = hz_tensor_of(memory, HZ_F32, HZ_DIMS(3, 0, 2));
    cr_assert(hz_numel(&empty) == 0 && hz_nbytes(&empty) == 0);
    cr_assert_str_eq(hz_shape_str(&scalar).s, "[]");
    cr_assert_str_eq(hz_shape_str(&empty).s, "[3,0,2]");
}

Test(view, strides_of_an_empty_tensor_are_those_of_extents_of_1) {
    const hz_tensor t = hz_tensor_of(memory, HZ_F32, HZ_DIMS(3, 0, 2));
    cr_assert(t.stride[0] == 2 && t.stride[1] == 2 && t.stride[2] == 1);
}

Test(view, same_shape_ignores_dtypes_and_strides) {
    const hz_tensor a = hz_tensor_of(memory, HZ_F32, HZ_DIMS(2, 3)),
                    b = hz_tensor_of(memory, HZ_U8, HZ_DIMS(2, 3));
    const hz_tensor c = hz_tensor_of(memory, HZ_F32, HZ_DIMS(3, 2)),
                    d = hz_tensor_of(memory, HZ_F32, HZ_DIMS(2, 3, 1));
    cr_assert(hz_same_shape(&a, &b));
    cr_assert(!hz_same_shape(&a, &c));
    cr_assert(!hz_same_shape(&a, &d));
}

Test(view, axis_counts_from_the_end_when_negative) {
    cr_assert(hz_axis(3, 0) == 0 && hz_axis(3, 2) == 2 && hz_axis(3, -1) == 2 && hz_axis(3, -3) == 0);
    cr_assert(hz_axis(3, 3) == -1 && hz_axis(3, -4) == -1 && hz_axis(0, 0) == -1 && hz_axis(0, -1) == -1);
    cr_assert(hz_axis(8, INT32_MIN) == -1 && hz_axis(8, INT32_MAX) == -1);
}

Test(shape_text, holds_the_longest_shape) {
    int64_t dim[HZ_MAX_RANK];
    for (int k = 0; k < HZ_MAX_RANK; k++) dim[k] = INT64_MIN;
    const hz_shape_text text = hz_dims_str(HZ_MAX_RANK, dim);
    cr_assert(strlen(text.s) == 8 * 20 + 7 + 2);
    cr_assert_str_eq(hz_dims_str(100, dim).s + 8 * 20 + 7 + 1, ",…]");
}

/* ---- shape check ---- */

Test(shape_check, agrees_with_exponents_of_two) {
    static const int log_size[HZ_DTYPES] = {
        [HZ_F32] = 2, [HZ_F64] = 3, [HZ_I32] = 2, [HZ_I64] = 3, [HZ_U8] = 0};
    int fit = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const hz_dtype dtype = (hz_dtype)draw(0, HZ_DTYPES - 1);
        const int rank = (int)draw(0, HZ_MAX_RANK);
        int64_t dim[HZ_MAX_RANK];
        int log = log_size[dtype];
        for (int k = 0; k < rank; k++) {
            const int e = (int)draw(0, draw(0, 3) ? 15 : 62);
            dim[k] = (int64_t)1 << e;
            log += e;
        }
        cr_assert(hz_shape_check("x", dtype, rank, dim, NULL) == (log <= 62), "%s", hz_dims_str(rank, dim).s);
        fit += log <= 62;
    }
    cr_assert(fit > ROUNDS / 10 && fit < ROUNDS - ROUNDS / 10);
}

Test(shape_check, is_exact_at_the_border) {
    cr_assert(hz_shape_check("x", HZ_U8, 1, (int64_t[]){PTRDIFF_MAX}, NULL));
    cr_assert(!hz_shape_check("x", HZ_F32, 1, (int64_t[]){PTRDIFF_MAX}, NULL));
    cr_assert(hz_shape_check("x", HZ_F32, 1, (int64_t[]){PTRDIFF_MAX / 4}, NULL));
    cr_assert(!hz_shape_check("x", HZ_F32, 1, (int64_t[]){PTRDIFF_MAX / 4 + 1}, NULL));
    cr_assert(hz_shape_check("x", HZ_U8, 2, (int64_t[]){3037000499, 3037000499}, NULL));
    cr_assert(!hz_shape_check("x", HZ_U8, 2, (int64_t[]){3037000500, 3037000500}, NULL));
}

Test(shape_check, counts_an_empty_axis_as_one_because_strides_must_fit) {
    cr_assert(hz_shape_check("x", HZ_F64, 2, (int64_t[]){0, (int64_t)1 << 40}, NULL));
    cr_assert(!hz_shape_check("x", HZ_F64, 3, (int64_t[]){0, (int64_t)1 << 40, (int64_t)1 << 40}, NULL));
}

Test(shape_check, opens_with_what_and_names_the_number) {
    hz_error err = {0};
    cr_assert(!hz_shape_check("conv1.weight", HZ_F32, 2, (int64_t[]){3, -4}, &err));
    cr_assert(err.code == HZ_ESHAPE);
    cr_assert_str_eq(err.text, "conv1.weight: shape [3,-4] has a negative extent, -4 at axis 1");
    cr_assert(!hz_shape_check("w", HZ_F32, 9, NULL, &err));
    cr_assert_str_eq(err.text, "w: rank 9 is outside 0 … 8");
    cr_assert(!hz_shape_check("w", HZ_F32, -1, NULL, &err));
    cr_assert(!hz_shape_check("w", HZ_DTYPES, 0, NULL, &err));
    cr_assert_str_eq(err.text, "w: 5 is no dtype");
    cr_assert(!hz_shape_check("w", HZ_F32, 2, (int64_t[]){INT64_MAX, INT64_MAX}, &err));
    cr_assert_str_eq(
        err.text, "w: shape [9223372036854775807,9223372036854775807] of f32 is too large to be addressed");
}

/* ---- dtypes and single elements ---- */

Test(dtype, of_no_dtype_has_no_size) {
    cr_assert(hz_dtype_size(HZ_DTYPES) == 0 && hz_dtype_size((hz_dtype)-1) == 0);
    cr_assert(!hz_dtype_is_float(HZ_DTYPES) && !hz_dtype_is_float(HZ_I64) && hz_dtype_is_float(HZ_F64));
    cr_assert_str_eq(hz_dtype_name(HZ_F32), "f32");
    cr_assert_str_eq(hz_dtype_name(HZ_U8), "u8");
}

Test(element, round_trips_in_every_dtype) {
    for (int dtype = 0; dtype < HZ_DTYPES; dtype++) {
        double space[6] = {0};
        const hz_tensor t = hz_tensor_of(space, (hz_dtype)dtype, HZ_DIMS(2, 3));
        for (int64_t k = 0; k < 6; k++) hz_set_flat(&t, k, (double)(k + 1));
        for (int64_t k = 0; k < 6; k++) cr_assert(hz_get_flat(&t, k) == (double)(k + 1));
        cr_assert(hz_get(&t, (int64_t[]){1, 0}) == 4);
    }
}

static double stored(hz_dtype dtype, double value) {
    double space = 0;
    const hz_tensor t = hz_tensor_of(&space, dtype, 0, NULL);
    hz_set(&t, NULL, value);
    return hz_get(&t, NULL);
}

Test(element, saturates_in_integer_dtypes) {
    const double inf = 1e300 * 1e300, nan = inf - inf;
    cr_assert(stored(HZ_U8, 300) == 255 && stored(HZ_U8, -1) == 0 && stored(HZ_U8, 2.9) == 2);
    cr_assert(stored(HZ_I32, 1e10) == INT32_MAX && stored(HZ_I32, -inf) == INT32_MIN &&
              stored(HZ_I32, -2.9) == -2);
    cr_assert(stored(HZ_I64, inf) == 0x1p63 && stored(HZ_I64, 0x1p63) == 0x1p63 &&
              stored(HZ_I64, -inf) == -0x1p63 && stored(HZ_I64, 0x1p62) == 0x1p62);
    cr_assert(stored(HZ_U8, nan) == 0 && stored(HZ_I32, nan) == 0 && stored(HZ_I64, nan) == 0);
}
