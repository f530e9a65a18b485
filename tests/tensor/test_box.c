/* test_box.c: boxes against enumeration of the positions in a small grid around the tensor.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdint.h>

#include "tensor/box.h"

enum { ROUNDS = 2000, RANK = 3, REACH = 7 }; /* positions −REACH … REACH are looked at */

static uint64_t state = 1;

static int64_t draw(int64_t lo, int64_t hi) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return lo + (int64_t)((state >> 33) % (uint64_t)(hi - lo + 1));
}

static hz_box draw_box(void) {
    hz_box box = {{0}, {0}};
    for (int k = 0; k < RANK; k++) {
        box.lo[k] = draw(-REACH, REACH - 1);
        box.hi[k] = draw(0, 4) ? draw(box.lo[k] + 1, REACH) : draw(-REACH, REACH); /* now and then empty */
    }
    return box;
}

static hz_tensor draw_tensor(void *data) {
    int64_t dim[RANK];
    for (int k = 0; k < RANK; k++) dim[k] = draw(draw(0, 9) ? 1 : 0, 5);
    return hz_tensor_of(data, HZ_I32, RANK, dim);
}

static bool holds(const hz_box *box, const int64_t *p) {
    for (int k = 0; k < RANK; k++)
        if (p[k] < box->lo[k] || p[k] >= box->hi[k]) return false;
    return true;
}

/* Positions of the grid, of which those that both boxes hold are counted. */
static int64_t count_in(const hz_box *a, const hz_box *b) {
    int64_t n = 0, p[RANK];
    for (p[0] = -REACH; p[0] <= REACH; p[0]++)
        for (p[1] = -REACH; p[1] <= REACH; p[1]++)
            for (p[2] = -REACH; p[2] <= REACH; p[2]++) n += holds(a, p) && holds(b, p);
    return n;
}

Test(box, numel_counts_positions) {
    for (int round = 0; round < ROUNDS; round++) {
        const hz_box box = draw_box();
        const int64_t n = count_in(&box, &box);
        cr_assert(hz_box_numel(&box, RANK) == n);
        cr_assert(hz_box_is_empty(&box, RANK) == (n == 0));
    }
}

Test(box, numel_of_rank_0_is_one_number) {
    const hz_box box = {{0}, {0}};
    cr_assert(hz_box_numel(&box, 0) == 1);
    cr_assert(!hz_box_is_empty(&box, 0));
}

Test(box, numel_beyond_any_tensor_saturates) {
    hz_box box = {{INT64_MIN, 0, 0}, {INT64_MAX, 1, 1}};
    cr_assert(hz_box_numel(&box, 3) == INT64_MAX);
    box = (hz_box){{0, 0}, {(int64_t)1 << 40, (int64_t)1 << 40}};
    cr_assert(hz_box_numel(&box, 2) == INT64_MAX);
}

Test(box, clip_keeps_what_lies_inside) {
    for (int round = 0; round < ROUNDS; round++) {
        const hz_tensor t = draw_tensor(NULL);
        const hz_box box = draw_box(), whole = hz_box_full(&t), clipped = hz_box_clip(&box, &t);
        const int64_t n = count_in(&box, &whole);
        cr_assert(hz_box_numel(&clipped, RANK) == n);
        cr_assert(count_in(&clipped, &box) == n && count_in(&clipped, &whole) == n);
        for (int k = 0; k < RANK; k++)
            cr_assert(0 <= clipped.lo[k] && clipped.lo[k] <= clipped.hi[k] && clipped.hi[k] <= t.dim[k],
                      "a clipped box can be viewed, even an empty one");
    }
}

Test(box, full_covers_its_tensor) {
    for (int round = 0; round < ROUNDS; round++) {
        const hz_tensor t = draw_tensor(NULL);
        hz_box box = hz_box_full(&t);
        cr_assert(hz_box_numel(&box, RANK) == hz_numel(&t));
        cr_assert(hz_box_is_full(&box, &t));
        const int axis = (int)draw(0, RANK - 1);
        if (draw(0, 1))
            box.lo[axis]++;
        else
            box.hi[axis]--;
        cr_assert(!hz_box_is_full(&box, &t));
        for (int k = 0; k < RANK; k++) box.lo[k] -= 2, box.hi[k] += 2;
        cr_assert(hz_box_is_full(&box, &t));
    }
}

Test(box, union_is_the_smallest_box_around_both) {
    for (int round = 0; round < ROUNDS; round++) {
        const hz_box a = draw_box(), b = draw_box(), both = hz_box_union(&a, &b, RANK);
        cr_assert(count_in(&a, &both) == hz_box_numel(&a, RANK));
        cr_assert(count_in(&b, &both) == hz_box_numel(&b, RANK));
        if (hz_box_is_empty(&a, RANK))
            cr_assert(hz_box_equal(&both, &b, RANK));
        else if (hz_box_is_empty(&b, RANK))
            cr_assert(hz_box_equal(&both, &a, RANK));
        if (hz_box_is_empty(&a, RANK) || hz_box_is_empty(&b, RANK)) continue;
        for (int k = 0; k < RANK; k++) { /* every side is touched by one of them */
            cr_assert(both.lo[k] == a.lo[k] || both.lo[k] == b.lo[k]);
            cr_assert(both.hi[k] == a.hi[k] || both.hi[k] == b.hi[k]);
        }
    }
}

Test(box, equal_looks_at_every_bound_within_the_rank) {
    const hz_box a = {{1, 2, 3, 4}, {5, 6, 7, 8}};
    for (int k = 0; k < 3; k++) {
        hz_box b = a;
        cr_assert(hz_box_equal(&a, &b, 3));
        b.lo[k]--;
        cr_assert(!hz_box_equal(&a, &b, 3));
        b = a;
        b.hi[k]++;
        cr_assert(!hz_box_equal(&a, &b, 3));
    }
    hz_box b = a;
    b.hi[3]++;
    cr_assert(hz_box_equal(&a, &b, 3));
}

Test(box, view_shows_the_part_inside) {
    int32_t data[125];
    for (int k = 0; k < 125; k++) data[k] = k;
    for (int round = 0; round < ROUNDS; round++) {
        const hz_tensor t = draw_tensor(data);
        const hz_box wanted = draw_box(), box = hz_box_clip(&wanted, &t);
        const hz_tensor view = hz_view_box(&t, &box);
        cr_assert(hz_numel(&view) == hz_box_numel(&box, RANK));
        for (int64_t e = 0; e < hz_numel(&view); e++) {
            int64_t idx[RANK], from[RANK];
            hz_unravel(&view, e, idx);
            for (int k = 0; k < RANK; k++) from[k] = box.lo[k] + idx[k];
            cr_assert(hz_get(&view, idx) == hz_get(&t, from));
        }
    }
}

Test(box, view_of_nothing_leaves_a_null_pointer_alone) {
    const hz_tensor t = hz_tensor_of(NULL, HZ_F64, HZ_DIMS(0, 4));
    const hz_box box = {{0, 1}, {0, 3}};
    const hz_tensor view = hz_view_box(&t, &box);
    cr_assert(view.data == NULL && view.dim[0] == 0 && view.dim[1] == 2);
}
