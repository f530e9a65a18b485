/* test_parallel.c: threads that train as processes would, on a communicator of their own.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "nn/hzero.h"
#include "tensor/random.h"

enum { MOST = 3, SUMS = 64 };

/* ---- the communicator ---- */

typedef struct sum {
    hz_dtype dtype;
    void *data;
    int64_t n;
} sum;

typedef struct thread_comm {
    hz_comm comm;
    struct meeting *meeting;
    sum sum[SUMS]; /* begun since the last finish */
    int begun;
    int early;   /* gradients that came while sums were under way */
    int fail_at; /* so many sums from now on, one fails; 0: none does */
} thread_comm;

typedef struct meeting {
    pthread_barrier_t barrier;
    thread_comm *member[MOST];
    int size;
    bool mismatch; /* they did not begin the same sums */
} meeting;

static bool start_sum(hz_comm *comm, hz_dtype dtype, void *data, int64_t n, hz_error *err) {
    thread_comm *c = (thread_comm *)comm;
    if (c->fail_at && --c->fail_at == 0) return hz_fail(err, HZ_EIO, "the line is cut");
    c->sum[c->begun++] = (sum){dtype, data, n};
    return true;
}

static bool progress_sums(hz_comm *comm, hz_error *err) {
    thread_comm *c = (thread_comm *)comm;
    c->early += c->begun > 0;
    (void)err;
    return true;
}

static void add_up(meeting *m, int k) {
    const sum *first = &m->member[0]->sum[k];
    for (int r = 1; r < m->size; r++) {
        const sum *s = &m->member[r]->sum[k];
        if (m->member[r]->begun != m->member[0]->begun || s->n != first->n || s->dtype != first->dtype)
            m->mismatch = true;
    }
    for (int64_t i = 0; i < first->n && !m->mismatch; i++) {
        double total = 0;
        for (int r = 0; r < m->size; r++) {
            const sum *s = &m->member[r]->sum[k];
            total += s->dtype == HZ_F64 ? ((double *)s->data)[i] : ((float *)s->data)[i];
        }
        for (int r = 0; r < m->size; r++) {
            const sum *s = &m->member[r]->sum[k];
            if (s->dtype == HZ_F64)
                ((double *)s->data)[i] = total;
            else
                ((float *)s->data)[i] = (float)total;
        }
    }
}

static bool finish_sums(hz_comm *comm, hz_error *err) {
    thread_comm *c = (thread_comm *)comm;
    meeting *m = c->meeting;
    pthread_barrier_wait(&m->barrier);
    if (comm->rank == 0)
        for (int k = 0; k < c->begun; k++) add_up(m, k);
    pthread_barrier_wait(&m->barrier);
    c->begun = 0;
    return !m->mismatch || hz_fail(err, HZ_EIO, "the sums differ");
}

/* ---- what they train ---- */

enum { WHOLE = 7, FEATURES = 6, STEPS = 8, WIDE = 200, CLASSES = 4 };

typedef struct task {
    hz_dtype dtype;
    int whole;       /* examples of a batch, all shares together */
    bool other_seed; /* the last process begins with other values */
    bool norm, wide,
        lazy; /* batch norm; more parameters than a bucket holds; one without gradient and one frozen */
    bool cut; /* the communicator fails in the third step */
} task;

typedef struct process {
    const task *what;
    thread_comm comm;
    hz_params *params;
    hz_optimizer *opt;
    hz_tape *tape;
    hz_parallel *parallel;
    double number[WHOLE * FEATURES]; /* the batch in work */
    int64_t label[WHOLE];
    hz_error err;
    bool ok;
} process;

static hz_var network(hz_net *net, hz_var x, const task *what) {
    if (what->wide) x = hz_layer_linear(net, "wide", x, &(hz_linear_layer){.out = WIDE});
    if (what->wide) x = hz_layer_linear(net, "wider", x, &(hz_linear_layer){.out = WIDE});
    x = hz_layer_linear(net, "fc1", x, &(hz_linear_layer){.out = 5});
    if (what->norm) x = hz_layer_batch_norm(net, "norm", x, NULL);
    if (what->lazy) hz_layer_linear(net, "idle", x, &(hz_linear_layer){.out = 3});
    return hz_layer_linear(net, "fc2", hz_tanh(x), &(hz_linear_layer){.out = CLASSES});
}

static hz_tensor rows(const hz_tensor *t, int64_t from, int64_t to) {
    hz_tensor part = *t;
    part.data = (char *)t->data + from * t->stride[0] * (int64_t)hz_dtype_size(t->dtype);
    part.dim[0] = to - from;
    return part;
}

/* The loss of this process's rows of the batch of that step. */
static hz_var loss_of(process *p, int step, double *share) {
    const int64_t size = p->comm.comm.size, rank = p->comm.comm.rank, whole = p->what->whole;
    const int64_t from = whole * rank / size, to = whole * (rank + 1) / size;
    const hz_tensor all = hz_tensor_of(p->number, p->what->dtype, HZ_DIMS(whole, FEATURES));
    const hz_tensor labels = hz_tensor_of(p->label, HZ_I64, HZ_DIMS(whole));
    hz_random_fill_normal(hz_tape_exec(p->tape), 3, (uint64_t)step, 0, 1, &all);
    for (int64_t k = 0; k < whole; k++) p->label[k] = (k + step) % CLASSES;
    const hz_tensor x = rows(&all, from, to), y = rows(&labels, from, to);
    *share = (double)(to - from) / (double)whole;
    hz_tape_reset(p->tape);
    if (from == to) return hz_none(p->tape);
    hz_net net = {.tape = p->tape, .params = p->params, .training = true, .step = step};
    return hz_cross_entropy(network(&net, hz_input(p->tape, &x), p->what), hz_input(p->tape, &y),
                            HZ_LOSS_MEAN);
}

/* Every parameter is made, then the store is handed to the optimiser. */
static bool prepare(process *p, hz_comm *comm) {
    const bool other = p->what->other_seed && comm->rank == comm->size - 1;
    p->tape = hz_tape_new(&(hz_tape_opts){.threads = 1});
    p->params = hz_params_new(&(hz_params_opts){.dtype = p->what->dtype, .seed = other ? 2 : 1}, &p->err);
    p->opt = hz_sgd_new(&(hz_sgd_opts){.lr = 0.1, .momentum = 0.9, .weight_decay = 0.05}, &p->err);
    if (!p->tape || !p->params || !p->opt) return false;
    const int64_t two[] = {2, FEATURES};
    hz_net net = {.tape = p->tape, .params = p->params};
    network(&net, hz_full(p->tape, p->what->dtype, 2, two, 0), p->what);
    const hz_param_group frozen = {.frozen = true};
    if (p->what->lazy && !hz_params_set_group(p->params, "fc1.bias", &frozen, &p->err)) return false;
    if (!hz_tape_ok(p->tape, &p->err) || !hz_params_optimize(p->params, p->opt, &p->err) ||
        !hz_optimizer_set_clip(p->opt, 0.5, 0, &p->err))
        return false;
    p->parallel = hz_parallel_new(comm, p->params, p->opt, &p->err);
    return p->parallel;
}

static bool train(process *p) {
    if (!hz_parallel_agree(p->parallel, &p->err)) return false;
    for (int step = 0; step < STEPS; step++) {
        double share;
        if (step == 2 && p->what->cut) p->comm.fail_at = 1;
        hz_var loss = loss_of(p, step, &share);
        if (!hz_parallel_minimize(p->parallel, loss, share, &p->err)) return false;
    }
    return true;
}

static void *run(void *argument) {
    process *p = argument;
    p->ok = prepare(p, &p->comm.comm) && train(p);
    return NULL;
}

static void run_all(const task *what, process *p, int size) {
    static meeting m;
    pthread_t thread[MOST];
    m = (meeting){.size = size};
    pthread_barrier_init(&m.barrier, NULL, (unsigned)size);
    for (int r = 0; r < size; r++) {
        p[r] = (process){.what = what,
                         .comm = {.comm = {r, size, start_sum, progress_sums, finish_sums}, .meeting = &m}};
        m.member[r] = &p[r].comm;
    }
    for (int r = 0; r < size; r++) cr_assert(pthread_create(&thread[r], NULL, run, &p[r]) == 0);
    for (int r = 0; r < size; r++) pthread_join(thread[r], NULL);
    pthread_barrier_destroy(&m.barrier);
}

static void free_all(process *p, int size) {
    for (int r = 0; r < size; r++) {
        hz_parallel_free(p[r].parallel);
        hz_optimizer_free(p[r].opt);
        hz_tape_free(p[r].tape);
        hz_params_free(p[r].params);
    }
}

/* ---- claims ---- */

static void expect_equal(const process *a, const process *b, double tolerance) {
    cr_assert_eq(hz_params_count(a->params), hz_params_count(b->params));
    for (int k = 0; k < hz_params_count(a->params); k++) {
        const hz_parameter *x = hz_params_at(a->params, k), *y = hz_params_find(b->params, x->name);
        for (int64_t i = 0; i < hz_numel(&x->value); i++) {
            const double u = hz_get_flat(&x->value, i), v = hz_get_flat(&y->value, i);
            cr_assert(fabs(u - v) <= tolerance, "%s[%lld]: %.17g and %.17g", x->name, (long long)i, u, v);
        }
    }
}

/* Several processes end with the same bits, and where one with the whole batch does. */
static void check(const task *what, int size, double tolerance) {
    static process alone, several[MOST];
    run_all(what, &alone, 1);
    run_all(what, several, size);
    cr_assert(alone.ok, "%s", alone.err.text);
    for (int r = 0; r < size; r++) {
        cr_assert(several[r].ok, "process %d: %s", r, several[r].err.text);
        expect_equal(&several[0], &several[r], 0);
    }
    expect_equal(&alone, &several[0], tolerance);
    free_all(&alone, 1);
    free_all(several, size);
}

Test(parallel, steps_are_those_of_one_process_with_the_whole_batch) {
    for (int size = 2; size <= MOST; size++) {
        check(&(task){.dtype = HZ_F64, .whole = WHOLE}, size, 1e-14);
        check(&(task){.dtype = HZ_F32, .whole = WHOLE}, size, 1e-6);
    }
}

Test(parallel, a_share_may_be_empty) {
    check(&(task){.dtype = HZ_F64, .whole = 2}, 3, 1e-14);
}

Test(parallel, what_has_no_gradient_anywhere_is_passed_over) {
    check(&(task){.dtype = HZ_F64, .whole = WHOLE, .lazy = true}, 2, 1e-14);
    check(&(task){.dtype = HZ_F64, .whole = 2, .lazy = true}, 3, 1e-14);
}

Test(parallel, sums_begin_while_the_sweep_goes_on) {
    static process several[2];
    const task what = {.dtype = HZ_F64, .whole = WHOLE, .wide = true};
    check(&what, 2, 1e-13);
    run_all(&what, several, 2);
    /* fc2 and fc1 fill no bucket; wider.weight does, and the gradients of wide come after it. */
    for (int r = 0; r < 2; r++) cr_expect(several[r].comm.early >= 2 * STEPS, "%d", several[r].comm.early);
    free_all(several, 2);
}

/* In the first step the means of the shares average to that of the batch, if they are of equal size. */
Test(parallel, running_statistics_are_averaged) {
    static process several[2];
    const task what = {.dtype = HZ_F64, .whole = 6, .norm = true};
    run_all(&what, several, 2);
    cr_assert(several[0].ok && several[1].ok, "%s%s", several[0].err.text, several[1].err.text);
    expect_equal(&several[0], &several[1], 0);
    const hz_parameter *mean = hz_params_find(several[0].params, "norm.running_mean");
    cr_expect(fabs(hz_get_flat(&mean->value, 0)) > 1e-3);
    free_all(several, 2);
}

Test(parallel, processes_that_begin_with_other_values_are_found) {
    static process several[3];
    run_all(&(task){.dtype = HZ_F32, .whole = WHOLE, .other_seed = true}, several, 3);
    for (int r = 0; r < 3; r++) {
        cr_expect(!several[r].ok && several[r].err.code == HZ_EINVAL);
        cr_expect(strstr(several[r].err.text, "process 2 has other parameters"), "%s", several[r].err.text);
    }
    free_all(several, 3);
}

Test(parallel, what_the_communicator_reports_is_passed_on) {
    static process several[2];
    run_all(&(task){.dtype = HZ_F32, .whole = WHOLE, .cut = true, .wide = true}, several, 2);
    for (int r = 0; r < 2; r++) {
        cr_expect(!several[r].ok && several[r].err.code == HZ_EIO);
        cr_expect_str_eq(several[r].err.text, "the line is cut");
    }
    free_all(several, 2);
}

Test(parallel, wrong_arguments_are_refused) {
    static process one;
    hz_error err = {HZ_OK, ""};
    run_all(&(task){.dtype = HZ_F32, .whole = WHOLE}, &one, 1);
    hz_var loss = hz_full(one.tape, HZ_F32, 0, NULL, 1);
    cr_expect(!hz_parallel_minimize(one.parallel, loss, 1.5, &err) && strstr(err.text, "1.5"));
    cr_expect(!hz_parallel_minimize(one.parallel, loss, NAN, &err));
    hz_optimizer *empty = hz_sgd_new(NULL, &err);
    cr_expect_null(hz_parallel_new(NULL, one.params, empty, &err));
    cr_expect(strstr(err.text, "optimiser has 0"), "%s", err.text);
    hz_optimizer_free(empty);
    free_all(&one, 1);
}

Test(parallel, alone_sums_are_what_they_were) {
    double value[] = {1, 2};
    hz_error err = {HZ_OK, ""};
    cr_expect(hz_comm_sum(NULL, value, 2, &err) && value[0] == 1 && value[1] == 2);
    cr_expect(hz_comm_rank(NULL) == 0 && hz_comm_size(NULL) == 1);
}
