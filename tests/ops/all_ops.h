/* all_ops.h: what the suites that loop over the op table share: running a sample.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_OPS_ALL_OPS_H
#define HZ_TESTS_OPS_ALL_OPS_H

#include <stdlib.h>

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "autograd/gradcheck.h"
#include "ops/ops.h"

/* The seed that gradient checks are given, too: both look at the same numbers. */
enum { SAMPLE_SEED = 3 };

/* One sample, drawn and run on a tape of its own. */
typedef struct sample_run {
    hz_tape *t;
    const hz_sample *sample;
    hz_tensor data[HZ_SAMPLE_INPUTS];
    void *base[HZ_SAMPLE_INPUTS];
    hz_var x[HZ_SAMPLE_INPUTS];
    hz_var y;
} sample_run;

static inline void run_sample(sample_run *r, const hz_sample *sample, hz_dtype dtype, hz_layout layout,
                              const hz_tape_opts *opts) {
    *r = (sample_run){.t = hz_tape_new(opts), .sample = sample};
    hz_error err = {.code = HZ_OK};
    for (int k = 0; k < sample->n_in; k++) {
        cr_assert(hz_sample_draw(&sample->in[k], dtype, layout, SAMPLE_SEED * 31 + (uint64_t)k, &r->data[k],
                                 &r->base[k], &err),
                  "%s: %s", sample->label, err.text);
        r->x[k] = hz_input(r->t, &r->data[k]);
    }
    r->y = sample->call(r->t, r->x);
    cr_assert(hz_tape_ok(r->t, &err), "%s: %s", sample->label, err.text);
}

static inline void free_run(sample_run *r) {
    hz_tape_free(r->t);
    for (int k = 0; k < r->sample->n_in; k++) free(r->base[k]);
}

/* The ops of the table, one test a piece: the parameter is the index. */
static inline struct criterion_test_params every_op(void) {
    int *index = cr_malloc((size_t)hz_ops_count * sizeof *index);
    for (int k = 0; k < hz_ops_count; k++) index[k] = k;
    return cr_make_param_array(int, index, (size_t)hz_ops_count, NULL);
}

#endif
