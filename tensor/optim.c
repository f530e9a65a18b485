/* optim.c: shares the elements of all parameters among threads, see optim.h. Start reading at hz_update_run.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/optim.h"

#include "tensor/kernels/nest.h"
#include "tensor/kernels/optim.h"

enum { BLOCK = 1024 }; /* shares begin at multiples of this, counted over all items */

static const hz__optim *kernels(hz_dtype dtype, hz_isa isa) {
    static const hz__optim *const table[][2] = {
        [HZ_ISA_AUTO] = {&hz__optim_f32_c, &hz__optim_f64_c},
        [HZ_ISA_C] = {&hz__optim_f32_c, &hz__optim_f64_c},
#if defined(HZ_HAVE_AVX2)
        [HZ_ISA_AVX2] = {&hz__optim_f32_avx2, &hz__optim_f64_avx2},
#endif
#if defined(HZ_HAVE_AVX512)
        [HZ_ISA_AVX512] = {&hz__optim_f32_avx512, &hz__optim_f64_avx512},
#endif
    };
    return table[isa][dtype == HZ_F64];
}

typedef struct work {
    hz_isa isa;
    hz_update rule;
    const hz_update_item *item;
    int count;
} work;

/* Elements begin … end − 1 of one item. */
static void update_part(const work *w, const hz_update_item *item, int64_t begin, int64_t end) {
    const int64_t at = begin * (int64_t)hz_dtype_size(item->dtype);
    void *state[HZ_UPDATE_STATES] = {0};
    for (int k = 0; k < HZ_UPDATE_STATES; k++)
        if (item->state[k]) state[k] = (char *)item->state[k] + at;
    kernels(item->dtype, w->isa)
        ->row[w->rule](end - begin, &item->args, (char *)item->param + at,
                       item->grad ? (const char *)item->grad + at : NULL, state);
}

/* Blocks begin … end − 1 of the items laid end to end. */
static void update_blocks(const void *ctx, int64_t begin, int64_t end) {
    const work *w = ctx;
    int64_t first = 0; /* number of the item's first element */
    for (int k = 0; k < w->count && first < end * BLOCK; k++) {
        const hz_update_item *item = &w->item[k];
        const int64_t from = begin * BLOCK - first, to = end * BLOCK - first;
        const int64_t lo = from > 0 ? from : 0, hi = to < item->n ? to : item->n;
        if (lo < hi) update_part(w, item, lo, hi);
        first += item->n;
    }
}

void hz_update_run(const hz_exec *ex, hz_update rule, const hz_update_item *item, int count) {
    const work w = {ex->isa, rule, item, count};
    int64_t total = 0;
    for (int k = 0; k < count; k++) total += item[k].n;
    hz__parallel_for(ex, total, (total + BLOCK - 1) / BLOCK, update_blocks, &w);
}
