/* parallel.c: see parallel.h. Start reading at hz_parallel_minimize.
 *
 * Gradients are copied into buckets of some neighbouring parameters, from the last made to the first, as the sweep
 * meets them. A bucket is complete when all of its parameters are; complete ones are summed in order, for the sums of
 * all processes must begin in the same order whatever the sweep does. The last bucket, the tail, has the rest: for every
 * parameter whether its gradient was there at all, and the running statistics.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/parallel.h"

#include <string.h>

#include "nn/params_internal.h"
#include "tensor/elementwise.h"

enum { BUCKET_BYTES = 256 << 10 };

typedef struct bucket {
    hz_tensor data; /* of rank 1 */
    int params;     /* how many have a place in it, */
    int missing;    /* and how many of them the sweep has not met yet */
} bucket;

struct hz_parallel {
    hz_comm *comm;
    hz_params *params;
    hz_optimizer *opt;
    int n;            /* trained parameters */
    hz_tensor *grad;  /* their gradients, in the buckets; of the shape of the parameter */
    hz_tensor *given; /* the same for the optimiser; those it passes over have no data */
    int *bucket_of;   /* per parameter */
    bucket *bucket;   /* n_buckets of them and the tail */
    int n_buckets, started;
    double share;      /* of the step in work, */
    const hz_exec *ex; /* how it runs kernels, */
    hz_error err;      /* and what went wrong inside the sweep */
    void *memory;      /* of all buckets */
};

/* ---- sums ---- */

bool hz_comm_sum(hz_comm *comm, double *value, int n, hz_error *err) {
    return !comm || (comm->start(comm, HZ_F64, value, n, err) && comm->finish(comm, err));
}

/* ---- making it ---- */

static bool is_averaged(const hz_parameter *q) {
    return q->buffer && !q->shares && hz_dtype_is_float(q->value.dtype);
}

/* Elements of the tail: a flag for every trained parameter, and the buffers. */
static int64_t tail_size(const hz_parallel *par) {
    int64_t n = par->n;
    for (int k = 0; k < hz_params_count(par->params); k++) {
        const hz_parameter *q = hz_params_at(par->params, k);
        if (is_averaged(q)) n += hz_numel(&q->value);
    }
    return n;
}

/* Which parameters share a bucket: grad[k] has the shape of trained parameter k. */
static int64_t fill_buckets(hz_parallel *par) {
    const int64_t most = BUCKET_BYTES / (int64_t)hz_dtype_size(hz_params_dtype(par->params));
    int64_t all = 0;
    par->n_buckets = 0;
    for (int k = par->n; k-- > 0;) {
        bucket *b = &par->bucket[par->n_buckets];
        b->params++;
        b->data.dim[0] += hz_numel(&par->grad[k]);
        all += hz_numel(&par->grad[k]);
        par->bucket_of[k] = par->n_buckets;
        if (b->data.dim[0] >= most || k == 0) par->n_buckets++;
    }
    par->bucket[par->n_buckets].data.dim[0] = tail_size(par);
    return all + tail_size(par);
}

/* Buckets follow each other in memory, and gradients in their bucket. */
static void place(hz_parallel *par, hz_dtype dtype) {
    char *at = par->memory;
    for (int b = 0; b <= par->n_buckets; b++) {
        hz_tensor *t = &par->bucket[b].data;
        *t = (hz_tensor){.data = at, .dtype = dtype, .rank = 1, .dim = {t->dim[0]}, .stride = {1}};
        at += hz_nbytes(t);
    }
    at = par->memory;
    for (int k = par->n; k-- > 0;) {
        par->grad[k].data = at;
        at += hz_nbytes(&par->grad[k]);
    }
}

static bool allocate(hz_parallel *par) {
    const size_t n = (size_t)par->n + 1;
    par->grad = hz_alloc0(&par->params->alloc, n * sizeof *par->grad);
    par->given = hz_alloc0(&par->params->alloc, n * sizeof *par->given);
    par->bucket_of = hz_alloc0(&par->params->alloc, n * sizeof *par->bucket_of);
    par->bucket = hz_alloc0(&par->params->alloc, (n + 1) * sizeof *par->bucket);
    return par->grad && par->given && par->bucket_of && par->bucket;
}

static bool make_buckets(hz_parallel *par, hz_error *err) {
    const hz_dtype dtype = hz_params_dtype(par->params);
    if (!allocate(par)) return hz_fail(err, HZ_ENOMEM, "out of memory for gradients");
    int k = 0;
    for (int i = 0; i < hz_params_count(par->params); i++) {
        const hz_parameter *q = hz_params_at(par->params, i);
        if (hz__is_trained(q)) par->grad[k++] = q->value;
    }
    const size_t bytes = (size_t)fill_buckets(par) * hz_dtype_size(dtype);
    par->memory = hz_alloc0(&par->params->alloc, bytes + 1);
    if (!par->memory) return hz_fail(err, HZ_ENOMEM, "out of memory for %zu bytes of gradients", bytes);
    place(par, dtype);
    return true;
}

hz_parallel *hz_parallel_new(hz_comm *comm, hz_params *params, hz_optimizer *opt, hz_error *err) {
    const int n = hz_params_trained(params);
    if (n != hz_optimizer_count(opt)) {
        hz_fail(err, HZ_EINVAL, "%d trained parameters, but the optimiser has %d: see hz_params_optimize", n,
                hz_optimizer_count(opt));
        return NULL;
    }
    hz_parallel *par = hz_alloc0(&params->alloc, sizeof *par);
    if (!par) return hz_fail(err, HZ_ENOMEM, "out of memory for gradients"), NULL;
    *par = (hz_parallel){.comm = comm, .params = params, .opt = opt, .n = n};
    if (hz_comm_size(comm) == 1 || make_buckets(par, err)) return par;
    hz_parallel_free(par);
    return NULL;
}

void hz_parallel_free(hz_parallel *par) {
    if (!par) return;
    hz_free(&par->params->alloc, par->grad);
    hz_free(&par->params->alloc, par->given);
    hz_free(&par->params->alloc, par->bucket_of);
    hz_free(&par->params->alloc, par->bucket);
    hz_free(&par->params->alloc, par->memory);
    hz_free(&par->params->alloc, par);
}

/* ---- the sums of a step ---- */

static bool start(hz_parallel *par, bucket *b, hz_error *err) {
    const int64_t n = b->data.dim[0];
    return n == 0 || par->comm->start(par->comm, b->data.dtype, b->data.data, n, err);
}

/* Those buckets whose turn it is. */
static bool start_complete(hz_parallel *par, hz_error *err) {
    for (; par->started < par->n_buckets && par->bucket[par->started].missing == 0; par->started++)
        if (!start(par, &par->bucket[par->started], err)) return false;
    return par->comm->progress(par->comm, err);
}

static void begin_step(hz_parallel *par, hz_tape *t, double share) {
    par->share = share;
    par->ex = hz_tape_exec(t);
    par->err = (hz_error){0};
    par->started = 0;
    for (int b = 0; b < par->n_buckets; b++) par->bucket[b].missing = par->bucket[b].params;
    for (int k = 0; k < par->n; k++) hz_set_flat(&par->bucket[par->n_buckets].data, k, 0);
}

/* The sweep has the gradient of parameter k. */
static void take(int k, const hz_tensor *dx, void *ctx) {
    hz_parallel *par = ctx;
    hz_copy(par->ex, dx, &par->grad[k]);
    hz_set_flat(&par->bucket[par->n_buckets].data, k, 1);
    par->bucket[par->bucket_of[k]].missing--;
    if (!par->err.code) start_complete(par, &par->err);
}

/* The share comes in as the cotangent of the loss, and so costs nothing. */
static bool sweep(hz_parallel *par, hz_var loss, hz_error *err) {
    const hz_tensor *v = hz_value(loss);
    const hz_var dy = hz_full(loss.tape, v->dtype, v->rank, v->dim, par->share);
    const hz_grad_opts opts = {.dy = &dy, .ready = take, .ready_ctx = par};
    if (!hz_params_grad(par->params, loss, &opts, par->params->dx, err)) return false;
    if (par->err.code) return *err = par->err, false;
    return true;
}

/* Parameters that the sweep did not meet have no gradient here; perhaps another process has one. */
static void clear_rest(hz_parallel *par) {
    for (int k = 0; k < par->n; k++) {
        if (hz_get_flat(&par->bucket[par->n_buckets].data, k) != 0) continue;
        hz_fill(par->ex, &par->grad[k], 0);
        par->bucket[par->bucket_of[k]].missing--;
    }
}

/* The buffers, one after the other, are to be element i of the tail on; f(buffer, element, share). */
static void for_each_buffer(hz_parallel *par,
                            void (*f)(const hz_tensor *v, const hz_tensor *tail, int64_t i, double share)) {
    int64_t i = par->n;
    for (int k = 0; k < hz_params_count(par->params); k++) {
        const hz_parameter *q = hz_params_at(par->params, k);
        if (!is_averaged(q)) continue;
        f(&q->value, &par->bucket[par->n_buckets].data, i, par->share);
        i += hz_numel(&q->value);
    }
}

static void send_buffer(const hz_tensor *v, const hz_tensor *tail, int64_t i, double share) {
    for (int64_t k = 0; k < hz_numel(v); k++) hz_set_flat(tail, i + k, share * hz_get_flat(v, k));
}

static void receive_buffer(const hz_tensor *v, const hz_tensor *tail, int64_t i, double share) {
    for (int64_t k = 0; k < hz_numel(v); k++) hz_set_flat(v, k, hz_get_flat(tail, i + k));
    (void)share;
}

static bool finish_sums(hz_parallel *par, hz_error *err) {
    clear_rest(par);
    for_each_buffer(par, send_buffer);
    if (!start_complete(par, err) || !start(par, &par->bucket[par->n_buckets], err) ||
        !par->comm->finish(par->comm, err))
        return false;
    for_each_buffer(par, receive_buffer);
    return true;
}

static bool step(hz_parallel *par, hz_error *err) {
    for (int k = 0; k < par->n; k++) {
        par->given[k] = par->grad[k];
        if (hz_get_flat(&par->bucket[par->n_buckets].data, k) == 0) par->given[k].data = NULL;
    }
    return hz_optimizer_step(par->opt, par->ex, par->given, par->n, err);
}

bool hz_parallel_minimize(hz_parallel *par, hz_var loss, double share, hz_error *err) {
    if (!hz_tape_ok(loss.tape, err)) return false;
    if (!(share >= 0 && share <= 1)) return hz_fail(err, HZ_EINVAL, "a share of %g is none", share);
    if (!par->memory) return hz_params_minimize(par->params, par->opt, loss, err);
    begin_step(par, loss.tape, share);
    return (!hz_ok(loss) || sweep(par, loss, err)) && finish_sums(par, err) && step(par, err);
}

/* ---- agreement ---- */

/* FNV-1a of what the tensor says; 48 bits of it, which a double holds. */
static uint64_t hash(uint64_t h, const hz_tensor *t) {
    const unsigned char *byte = t->data;
    for (size_t i = 0; i < hz_nbytes(t); i++) h = (h ^ byte[i]) * 1099511628211u;
    return h;
}

static double fingerprint(const hz_parallel *par) {
    uint64_t h = 14695981039346656037u;
    for (int k = 0; k < hz_params_count(par->params); k++) h = hash(h, &hz_params_at(par->params, k)->value);
    for (int k = 0; k < hz_optimizer_state_count(par->opt); k++) {
        const char *name;
        hz_tensor state;
        hz_optimizer_state(par->opt, k, &name, &state);
        h = hash(h, &state);
    }
    return (double)(h >> 16);
}

bool hz_parallel_agree(hz_parallel *par, hz_error *err) {
    const int size = hz_comm_size(par->comm), rank = hz_comm_rank(par->comm);
    if (size == 1) return true;
    double *all = hz_alloc0(&par->params->alloc, (size_t)size * sizeof *all);
    if (!all) return hz_fail(err, HZ_ENOMEM, "out of memory for %d processes", size);
    all[rank] = fingerprint(par);
    bool ok = hz_comm_sum(par->comm, all, size, err);
    for (int k = 1; ok && k < size; k++)
        if (all[k] != all[0])
            ok = hz_fail(err, HZ_EINVAL,
                         "process %d has other parameters, or another state of the optimiser, than process 0",
                         k);
    hz_free(&par->params->alloc, all);
    return ok;
}
