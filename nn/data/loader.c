/* loader.c: batches prepared by worker threads. Start with hz_loader_next and prepare.
 *
 * Batch number k lives in slot k mod slots. Workers take numbers from a counter, so that each is prepared by one of them and
 * by none twice, and wait while the slot of the next number is in use; hz_loader_next waits for its slot to be ready.
 * What is in a batch depends on its number alone.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/loader.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "nn/data/augment.h"
#include "nn/data/internal.h"
#include "nn/internal.h"
#include "tensor/elementwise.h"
#include "tensor/random.h"

enum { DEFAULT_BATCH = 32, MAX_THREADS = 64, MAX_AHEAD = 1024 };

/* The upper half of this loader's random streams, "data"; the lower is 2·epoch for the order, + 1 for augmentation. */
static const uint64_t stream_tag = UINT64_C(0x64617461) << 32;

/* Memory for one batch. */
typedef struct slot {
    hz_tensor x, y;  /* for a full batch */
    int64_t ready;   /* the number of the batch that is here, or −1 */
    bool ok;         /* or it failed with … */
    hz_error reason; /* … this */
} slot;

/* What a thread that prepares batches has for itself. */
typedef struct worker {
    hz_loader *loader;
    hz_exec ex;
    void *scratch; /* for an example that has to be read first */
    pthread_t thread;
    bool running;
} worker;

struct hz_loader {
    hz_data data;
    hz_loader_opts opts; /* complete */
    hz_allocator alloc;
    bool pictures;    /* x is (N, C, H, W), bytes or floats */
    hz__scale *scale; /* C of them, if it is */
    int64_t batches, *order;
    int64_t epoch;    /* −1: none begun */
    int64_t upcoming; /* the number hz_loader_next hands out next */

    worker *workers; /* max(threads, 1) of them; of none that runs, number 0 is the caller's */
    slot *slots;
    int64_t n_slots;

    /* Under the mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t work, done; /* there may be something to prepare; something was prepared */
    int64_t next;              /* the number to prepare next */
    int64_t held; /* the lowest whose slot is in use: handed out, waited for, or the first of all */
    int busy;     /* workers preparing a batch */
    bool stopped; /* workers shall take no number, */
    bool quit;    /* or end */
};

/* ---- preparing ---- */

/* Example k as it is, the channels in the order the network wants. */
static bool get_example(const hz_loader *l, worker *w, int64_t k, hz_tensor *example, hz_error *err) {
    if (l->data.read) {
        *example = hz_tensor_of(w->scratch, HZ_U8, l->data.x.rank - 1, l->data.x.dim + 1);
        if (!l->data.read(&l->data, l->data.first + k, example, err)) return false;
    } else {
        *example = hz__data_row(&l->data.x, k);
    }
    if (l->pictures && hz__channel_color(&l->opts.preprocess, example->dim[0], 0) != 0) {
        int64_t last = (example->dim[0] - 1) * example->stride[0];
        example->data = (char *)example->data + last * (int64_t)hz_dtype_size(example->dtype);
        example->stride[0] = -example->stride[0];
    }
    return true;
}

/* The example at that position of the epoch as row `row` of the slot. */
static bool prepare_example(const hz_loader *l, worker *w, int64_t position, const slot *s, int64_t row,
                            hz_error *err) {
    hz_tensor example, x = hz__data_row(&s->x, row);
    int64_t k = l->order[position];
    if (!get_example(l, w, k, &example, err)) return false;
    if (l->pictures) {
        hz__pose pose =
            hz__pose_draw(&l->opts.augment, l->opts.seed, stream_tag | (uint64_t)(2 * l->epoch + 1),
                          (uint64_t)position, example.dim[1], example.dim[2]);
        hz__pose_apply(&pose, l->opts.augment.reflect, &example, l->scale, x.data);
    } else {
        hz_cast(&w->ex, &example, &x);
    }
    if (l->data.y.rank == 0) return true;
    hz_tensor target = hz__data_row(&l->data.y, k), y = hz__data_row(&s->y, row);
    hz_cast(&w->ex, &target, &y);
    return true;
}

/* The positions of the epoch that make up this loader's part of a batch; returns how many make up the whole. */
static int64_t span(const hz_loader *l, int64_t number, int64_t *first, int64_t *count) {
    int64_t start = number * l->opts.batch, all = l->data.x.dim[0] - start;
    int64_t n = all < l->opts.batch ? all : l->opts.batch;
    int64_t from = n * l->opts.part / l->opts.parts, to = n * (l->opts.part + 1) / l->opts.parts;
    *first = start + from;
    *count = to - from;
    return n;
}

static void prepare(const hz_loader *l, worker *w, int64_t number, slot *s) {
    int64_t first, count;
    span(l, number, &first, &count);
    s->ok = true;
    s->reason = (hz_error){0};
    for (int64_t k = 0; s->ok && k < count; k++) s->ok = prepare_example(l, w, first + k, s, k, &s->reason);
}

static slot *slot_of(const hz_loader *l, int64_t number) {
    return &l->slots[number % l->n_slots];
}

/* ---- threads ---- */

/* Under the mutex: the next number is there to be prepared, and its slot is free. */
static bool has_work(const hz_loader *l) {
    return !l->stopped && l->next < l->batches && l->next < l->held + l->n_slots;
}

static void *work(void *argument) {
    worker *w = argument;
    hz_loader *l = w->loader;
    pthread_mutex_lock(&l->mutex);
    for (;;) {
        while (!l->quit && !has_work(l)) pthread_cond_wait(&l->work, &l->mutex);
        if (l->quit) break;
        int64_t number = l->next++;
        l->busy++;
        pthread_mutex_unlock(&l->mutex);
        prepare(l, w, number, slot_of(l, number));
        pthread_mutex_lock(&l->mutex);
        slot_of(l, number)->ready = number;
        l->busy--;
        pthread_cond_broadcast(&l->done);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* Signals stay with the threads of the caller. */
static bool start_threads(hz_loader *l, hz_error *err) {
    sigset_t all, before;
    int status = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int k = 0; status == 0 && k < l->opts.threads; k++) {
        status = pthread_create(&l->workers[k].thread, NULL, work, &l->workers[k]);
        l->workers[k].running = status == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status == 0 ||
           hz_fail(err, HZ_ENOMEM, "a thread of the loader could not be started: error %d", status);
}

static void end_threads(hz_loader *l) {
    pthread_mutex_lock(&l->mutex);
    l->quit = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->mutex);
    for (int k = 0; k < l->opts.threads; k++)
        if (l->workers[k].running) pthread_join(l->workers[k].thread, NULL);
}

/* ---- an epoch ---- */

int64_t hz_loader_batches(const hz_loader *l) {
    return l->batches;
}

/* No worker is at anything from here on. */
static void stop(hz_loader *l) {
    pthread_mutex_lock(&l->mutex);
    l->stopped = true;
    while (l->busy > 0) pthread_cond_wait(&l->done, &l->mutex);
    pthread_mutex_unlock(&l->mutex);
}

static void arrange(hz_loader *l, int64_t epoch) {
    int64_t n = l->data.x.dim[0];
    if (l->opts.shuffle)
        hz_random_permutation(l->opts.seed, stream_tag | (uint64_t)(2 * epoch), n, l->order);
    else
        for (int64_t k = 0; k < n; k++) l->order[k] = k;
    l->epoch = epoch;
}

bool hz_loader_start(hz_loader *l, int64_t epoch, int64_t batch, hz_error *err) {
    if (epoch < 0 || epoch > INT32_MAX)
        return hz_fail(err, HZ_EINVAL, "epoch %" PRId64 " is not between 0 and %d", epoch, INT32_MAX);
    if (batch < 0 || batch > l->batches)
        return hz_fail(err, HZ_EINVAL, "batch %" PRId64 " is not between 0 and %" PRId64, batch, l->batches);
    stop(l);
    arrange(l, epoch);
    pthread_mutex_lock(&l->mutex);
    for (int64_t k = 0; k < l->n_slots; k++) l->slots[k].ready = -1;
    l->next = l->held = l->upcoming = batch;
    l->stopped = false;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->mutex);
    return true;
}

/* Release the batch before and wait for this one. */
static slot *take(hz_loader *l, int64_t number) {
    slot *s = slot_of(l, number);
    if (l->opts.threads == 0) {
        if (s->ready != number) prepare(l, &l->workers[0], number, s);
        s->ready = number;
        return s;
    }
    pthread_mutex_lock(&l->mutex);
    l->held = number;
    pthread_cond_broadcast(&l->work);
    while (s->ready != number) pthread_cond_wait(&l->done, &l->mutex);
    pthread_mutex_unlock(&l->mutex);
    return s;
}

/* The first n rows. */
static hz_tensor rows(const hz_tensor *t, int64_t n) {
    hz_tensor part = *t;
    if (t->rank > 0) part.dim[0] = n;
    return part;
}

bool hz_loader_next(hz_loader *l, hz_batch *b, hz_error *err) {
    *b = (hz_batch){0};
    if (err) *err = (hz_error){0};
    if (l->epoch < 0) return hz_fail(err, HZ_EINVAL, "no epoch was begun: call hz_loader_start first");
    if (l->upcoming >= l->batches) return false;
    int64_t first, count;
    const slot *s = take(l, l->upcoming);
    if (!s->ok && err) *err = s->reason;
    if (!s->ok) return false;
    const int64_t whole = span(l, l->upcoming, &first, &count);
    *b = (hz_batch){rows(&s->x, count), rows(&s->y, count), l->upcoming, whole, l->order + first};
    l->upcoming++;
    return true;
}

/* ---- making one ---- */

static bool check_data(const hz_data *data, hz_error *err) {
    const hz_tensor *x = &data->x, *y = &data->y;
    if (x->rank < 1 || x->dim[0] < 1 || (!x->data && !data->read))
        return hz_fail(err, HZ_EINVAL, "the data has no examples");
    if (data->read && (x->rank != 4 || x->dtype != HZ_U8))
        return hz_fail(err, HZ_ESHAPE, "examples to be read are pictures u8 (N, C, H, W), not %s %s",
                       hz_dtype_name(x->dtype), hz_shape_str(x).s);
    if (y->rank > 0 && y->dim[0] != x->dim[0])
        return hz_fail(err, HZ_ESHAPE, "the data has %" PRId64 " examples x and %" PRId64 " y", x->dim[0],
                       y->dim[0]);
    return true;
}

static bool check_counts(const hz_loader_opts *o, int64_t examples, hz_error *err) {
    if (o->batch < 1) return hz_fail(err, HZ_EINVAL, "a batch of %" PRId64 " examples", o->batch);
    if (o->parts < 1 || o->part < 0 || o->part >= o->parts)
        return hz_fail(err, HZ_EINVAL, "part %" PRId64 " of %" PRId64, o->part, o->parts);
    if (o->drop_last && examples < o->batch)
        return hz_fail(err, HZ_EINVAL, "%" PRId64 " examples fill no batch of %" PRId64, examples, o->batch);
    if (o->threads > MAX_THREADS || o->threads < -1 || o->ahead > MAX_AHEAD || o->ahead < 0)
        return hz_fail(err, HZ_EINVAL, "%d threads and %d batches ahead are not within −1 … %d and 0 … %d",
                       o->threads, o->ahead, MAX_THREADS, MAX_AHEAD);
    return true;
}

static bool check_pictures(const hz_loader_opts *o, const hz_tensor *x, hz_error *err) {
    const hz_augment *a = &o->augment;
    hz_preprocess p = hz_preprocess_complete(&o->preprocess);
    int64_t h = x->dim[2], w = x->dim[3], size = p.size, width = p.width;
    p.size = p.width = p.resize = 1; /* of which nothing is asked */
    if (!hz_preprocess_check(&p, err)) return false;
    if (size != 0 && (h != size || w != width))
        return hz_fail(err, HZ_ESHAPE,
                       "pictures of %" PRId64 " × %" PRId64 " where %" PRId64 " × %" PRId64 " are expected",
                       h, w, size, width);
    if (x->dim[1] < 1 || x->dim[1] > 3 || h < 1 || w < 1)
        return hz_fail(err, HZ_ESHAPE, "pictures have 1 to 3 channels and some pixels, not %s",
                       hz_shape_str(x).s);
    if (a->crop < 0 || a->crop >= h || a->crop >= w)
        return hz_fail(err, HZ_EINVAL,
                       "pictures of %" PRId64 " × %" PRId64 " cannot be moved by up to %" PRId64 " pixels", h,
                       w, a->crop);
    if (!(a->flip >= 0 && a->flip <= 1)) return hz_fail(err, HZ_EINVAL, "flip %g is no probability", a->flip);
    if (a->cutout < 0 || a->cutout > 2 * h || a->cutout > 2 * w)
        return hz_fail(err, HZ_EINVAL,
                       "a square of %" PRId64 " pixels cannot be cut out of %" PRId64 " × %" PRId64,
                       a->cutout, h, w);
    return true;
}

static bool is_zero(const hz_augment *a) {
    return a->crop == 0 && a->flip == 0 && a->cutout == 0;
}

/* Zeros replaced by what they stand for, then checked. */
static bool settle(hz_loader *l, const hz_loader_opts *opts, hz_error *err) {
    hz_loader_opts *o = &l->opts;
    const hz_tensor *x = &l->data.x;
    if (opts) *o = *opts;
    if (o->batch == 0) o->batch = DEFAULT_BATCH;
    if (o->batch > x->dim[0] && !o->drop_last) o->batch = x->dim[0]; /* no memory for what cannot come */
    if (o->parts == 0) o->parts = 1;
    if (!check_counts(o, x->dim[0], err)) return false;
    l->batches = o->drop_last ? x->dim[0] / o->batch : (x->dim[0] - 1) / o->batch + 1;
    l->pictures = x->rank == 4 && (x->dtype == HZ_U8 || hz_dtype_is_float(x->dtype));
    o->threads = o->threads == 0 ? 1 : o->threads < 0 ? 0 : o->threads;
    if (o->ahead == 0) o->ahead = o->threads + 1;
    if (o->ahead > l->batches) o->ahead = (int)l->batches;
    if (o->threads == 0) o->ahead = 0;
    if (!l->pictures && !is_zero(&o->augment))
        return hz_fail(err, HZ_EINVAL, "examples %s %s are no pictures to be augmented",
                       hz_dtype_name(x->dtype), hz_shape_str(x).s);
    return !l->pictures || check_pictures(o, x, err);
}

/* Memory for so many rows of like, in the dtype batches have. */
static bool make_rows(hz_loader *l, const hz_tensor *like, int64_t n, hz_dtype dtype, hz_tensor *t,
                      hz_error *err) {
    *t = *like;
    t->data = NULL;
    if (like->rank == 0) return true;
    t->dtype = dtype;
    t->dim[0] = n;
    if (!hz_shape_check("batch", dtype, t->rank, t->dim, err)) return false;
    hz_tensor_set_contiguous(t);
    t->data = hz_alloc(&l->alloc, hz_nbytes(t));
    return t->data || hz_fail(err, HZ_ENOMEM, "no memory for a batch %s", hz_shape_str(t).s);
}

static bool make_slots(hz_loader *l, hz_error *err) {
    const hz_tensor *x = &l->data.x, *y = &l->data.y;
    hz_dtype x_dtype = x->dtype == HZ_I32 || x->dtype == HZ_I64 ? HZ_I64 : HZ_F32;
    hz_dtype y_dtype = hz_dtype_is_float(y->dtype) ? HZ_F32 : HZ_I64;
    int64_t n = (l->opts.batch - 1) / l->opts.parts + 1;
    l->n_slots = l->opts.ahead + 1;
    l->slots = hz_alloc0(&l->alloc, (size_t)l->n_slots * sizeof *l->slots);
    if (!l->slots) return hz_fail(err, HZ_ENOMEM, "no memory for a loader");
    for (int64_t k = 0; k < l->n_slots; k++)
        if (!make_rows(l, x, n, x_dtype, &l->slots[k].x, err) ||
            !make_rows(l, y, n, y_dtype, &l->slots[k].y, err))
            return false;
    return true;
}

static bool make_scales(hz_loader *l, hz_error *err) {
    const hz_preprocess *p = &l->opts.preprocess;
    if (!l->pictures) return true;
    l->scale = hz_alloc(&l->alloc, (size_t)l->data.x.dim[1] * sizeof *l->scale);
    if (!l->scale) return hz_fail(err, HZ_ENOMEM, "no memory for a loader");
    for (int c = 0; c < l->data.x.dim[1]; c++) {
        int color = hz__channel_color(p, l->data.x.dim[1], c);
        double std = p->std[color] == 0 ? 1 : p->std[color];
        hz__pixel_table(p, color, l->scale[c].table);
        l->scale[c].a = (float)(1 / std);
        l->scale[c].b = (float)(-p->mean[color] / std);
    }
    return true;
}

static bool make_workers(hz_loader *l, hz_error *err) {
    int n = l->opts.threads > 0 ? l->opts.threads : 1;
    size_t example = l->data.read ? (size_t)(hz_numel(&l->data.x) / l->data.x.dim[0]) : 0;
    l->workers = hz_alloc0(&l->alloc, (size_t)n * sizeof *l->workers);
    for (int k = 0; l->workers && k < n; k++) {
        worker *w = &l->workers[k];
        w->loader = l;
        w->ex = (hz_exec){.pool = hz_pool_new(NULL), .threads = 1, .isa = hz_isa_resolve(HZ_ISA_AUTO)};
        w->scratch = hz_alloc(&l->alloc, example);
        if (!w->ex.pool || !w->scratch) return hz_fail(err, HZ_ENOMEM, "no memory for a thread's scratch");
    }
    return l->workers || hz_fail(err, HZ_ENOMEM, "no memory for threads");
}

static bool make_order(hz_loader *l, hz_error *err) {
    int64_t n = l->data.x.dim[0];
    if (!hz_shape_check("order of the examples", HZ_I64, 1, &n, err)) return false;
    l->order = hz_alloc(&l->alloc, (size_t)n * sizeof *l->order);
    return l->order || hz_fail(err, HZ_ENOMEM, "no memory for the order of %" PRId64 " examples", n);
}

hz_loader *hz_loader_new(const hz_data *data, const hz_loader_opts *opts, hz_error *err) {
    const hz_allocator *alloc = opts ? opts->alloc : NULL;
    if (!check_data(data, err)) return NULL;
    hz_loader *l = hz_alloc0(alloc, sizeof *l);
    if (!l) {
        hz_fail(err, HZ_ENOMEM, "no memory for a loader");
        return NULL;
    }
    if (alloc) l->alloc = *alloc;
    l->data = *data;
    l->epoch = -1;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->done, NULL);
    l->stopped = true;
    if (settle(l, opts, err) && make_order(l, err) && make_slots(l, err) && make_scales(l, err) &&
        make_workers(l, err) && start_threads(l, err))
        return l;
    hz_loader_free(l);
    return NULL;
}

void hz_loader_free(hz_loader *l) {
    if (!l) return;
    hz_allocator alloc = l->alloc;
    if (l->workers) end_threads(l);
    for (int k = 0; l->workers && k < (l->opts.threads > 0 ? l->opts.threads : 1); k++) {
        hz_pool_free(l->workers[k].ex.pool);
        hz_free(&alloc, l->workers[k].scratch);
    }
    for (int64_t k = 0; l->slots && k < l->n_slots; k++) {
        hz_free(&alloc, l->slots[k].x.data);
        hz_free(&alloc, l->slots[k].y.data);
    }
    pthread_mutex_destroy(&l->mutex);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->done);
    hz_free(&alloc, l->workers);
    hz_free(&alloc, l->slots);
    hz_free(&alloc, l->scale);
    hz_free(&alloc, l->order);
    hz_free(&alloc, l);
}
