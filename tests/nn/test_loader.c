/* test_loader.c: batches hold what they should, in an order and with augmentations that depend on seed, epoch and position
 * alone.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/loader.h"
#include "records.h"

enum { N = 50, C = 3, H = 7, W = 9, PIXELS = C * H * W };

/* N pictures without a black pixel, any two of which differ in every pixel, and their numbers as labels. */
static hz_data pictures(void) {
    static uint8_t bytes[N * PIXELS], labels[N];
    for (int i = 0; i < N * PIXELS; i++) bytes[i] = (uint8_t)(1 + (i / PIXELS * 5 + i % PIXELS * 37) % 251);
    for (int k = 0; k < N; k++) labels[k] = (uint8_t)k;
    return (hz_data){.x = hz_tensor_of(bytes, HZ_U8, HZ_DIMS(N, C, H, W)),
                     .y = hz_tensor_of(labels, HZ_U8, HZ_DIMS(N))};
}

static hz_loader *loader_of(const hz_data *data, hz_loader_opts opts) {
    hz_error err = {0};
    hz_loader *l = hz_loader_new(data, &opts, &err);
    cr_assert(l, "%s", err.text);
    return l;
}

static void begin(hz_loader *l, int64_t epoch, int64_t batch) {
    hz_error err = {0};
    cr_assert(hz_loader_start(l, epoch, batch, &err), "%s", err.text);
}

static bool next(hz_loader *l, hz_batch *b) {
    hz_error err = {.code = HZ_EIO};
    bool ok = hz_loader_next(l, b, &err);
    cr_assert_eq(err.code, HZ_OK, "%s", err.text);
    return ok;
}

static float element(const hz_tensor *x, int64_t n, int64_t c, int64_t i, int64_t j) {
    return (float)hz_get(x, (const int64_t[]){n, c, i, j});
}

/* ---- what is in a batch ---- */

Test(loader, batches_follow_the_data_and_the_last_one_is_shorter) {
    const hz_data data = pictures();
    hz_loader *l = loader_of(&data, (hz_loader_opts){.batch = 16});
    hz_batch b;
    cr_assert_eq(hz_loader_batches(l), 4);
    begin(l, 0, 0);
    for (int64_t seen = 0, number = 0; seen < N; seen += b.x.dim[0], number++) {
        cr_assert(next(l, &b));
        cr_assert(b.number == number && b.x.dim[0] == (number < 3 ? 16 : 2) && b.y.dim[0] == b.x.dim[0]);
        cr_assert(b.x.dtype == HZ_F32 && b.y.dtype == HZ_I64 && hz_is_contiguous(&b.x));
        for (int64_t k = 0; k < b.x.dim[0]; k++) {
            cr_assert_eq(b.index[k], seen + k);
            cr_assert_eq(hz_get_flat(&b.y, k), (double)(seen + k));
            cr_assert_eq(element(&b.x, k, 2, 6, 8), element(&data.x, seen + k, 2, 6, 8));
        }
    }
    cr_assert(!next(l, &b));
    cr_assert(!next(l, &b), "again");
    hz_loader_free(l);
}

Test(loader, drop_last_leaves_out_what_fills_no_batch) {
    const hz_data data = pictures();
    hz_loader *l = loader_of(&data, (hz_loader_opts){.batch = 16, .drop_last = true});
    hz_batch b;
    begin(l, 0, 0);
    for (int k = 0; k < 3; k++) cr_assert(next(l, &b) && b.x.dim[0] == 16);
    cr_assert(!next(l, &b));
    hz_loader_free(l);
}

Test(loader, pictures_are_normalized_as_for_prediction) {
    uint8_t *bytes = make_records(5);
    hz_data data;
    hz_error err = {0};
    cr_assert(open_records(bytes, 5 * RECORD, &data, &err), "%s", err.text);
    for (int order = HZ_RGB; order <= HZ_BGR; order++) {
        const hz_preprocess p = {.size = 32,
                                 .order = (hz_channel_order)order,
                                 .range = 1,
                                 .mean = {0.1, 0.2, 0.3},
                                 .std = {0.4, 0.5, 0.6}};
        float *want = malloc(5 * 3072 * sizeof *want);
        const hz_tensor input = hz_tensor_of(want, HZ_F32, HZ_DIMS(5, 3, 32, 32));
        cr_assert(hz_preprocess_normalize(&p, &data.x, &input, &err), "%s", err.text);
        hz_loader *l = loader_of(&data, (hz_loader_opts){.preprocess = p});
        hz_batch b;
        begin(l, 0, 0);
        cr_assert(next(l, &b));
        cr_assert(memcmp(b.x.data, want, 5 * 3072 * sizeof *want) == 0, "order %d", order);
        hz_loader_free(l);
        free(want);
    }
    hz_data_close(&data);
    free(bytes);
}

Test(loader, gray_pictures_keep_their_one_channel) {
    uint8_t bytes[] = {0, 51, 102, 255};
    const hz_data data = {.x = hz_tensor_of(bytes, HZ_U8, HZ_DIMS(1, 1, 2, 2))};
    hz_loader *l = loader_of(
        &data, (hz_loader_opts){.preprocess = {.order = HZ_BGR, .range = 1, .mean = {0.2}, .std = {0.5}}});
    hz_batch b;
    begin(l, 0, 0);
    cr_assert(next(l, &b));
    cr_assert_str_eq(hz_shape_str(&b.x).s, "[1,1,2,2]");
    cr_assert_eq(b.y.rank, 0);
    for (int k = 0; k < 4; k++)
        cr_assert_float_eq(hz_get_flat(&b.x, k), (bytes[k] / 255.0 - 0.2) / 0.5, 1e-6);
    hz_loader_free(l);
}

Test(loader, features_targets_and_tokens_keep_their_values) {
    double features[] = {1, 2, 3, 4.5, 5, 6};
    float targets[] = {0.5f, -1, 2.5f};
    int32_t tokens[] = {7, 8, 9, 10, 11};
    const hz_data table = {.x = hz_tensor_of(features, HZ_F64, HZ_DIMS(3, 2)),
                           .y = hz_tensor_of(targets, HZ_F32, HZ_DIMS(3))};
    hz_data text = {.x = hz_tensor_of(tokens, HZ_I32, HZ_DIMS(3, 2)),
                    .y = hz_tensor_of(tokens + 1, HZ_I32, HZ_DIMS(3, 2))};
    hz_batch b;
    text.x.stride[0] = text.y.stride[0] = 1; /* overlapping windows */
    hz_loader *l = loader_of(&table, (hz_loader_opts){.batch = 2});
    begin(l, 0, 1);
    cr_assert(next(l, &b) && b.x.dtype == HZ_F32 && b.y.dtype == HZ_F32);
    cr_assert(hz_get_flat(&b.x, 0) == 5 && hz_get_flat(&b.x, 1) == 6 && hz_get_flat(&b.y, 0) == 2.5);
    hz_loader_free(l);
    l = loader_of(&text, (hz_loader_opts){.batch = 3});
    begin(l, 0, 0);
    cr_assert(next(l, &b) && b.x.dtype == HZ_I64 && b.y.dtype == HZ_I64);
    for (int k = 0; k < 3; k++) {
        cr_assert_eq(hz_get(&b.x, (const int64_t[]){k, 1}), 8 + k);
        cr_assert_eq(hz_get(&b.y, (const int64_t[]){k, 1}), 9 + k);
    }
    hz_loader_free(l);
}

/* ---- order ---- */

/* The order of one epoch, N numbers. */
static void order_of(uint64_t seed, int64_t epoch, int64_t *order) {
    const hz_data data = pictures();
    hz_loader *l = loader_of(&data, (hz_loader_opts){.batch = 7, .shuffle = true, .seed = seed});
    hz_batch b;
    begin(l, epoch, 0);
    while (next(l, &b))
        for (int64_t k = 0; k < b.x.dim[0]; k++) {
            cr_assert_eq(b.index[k], hz_get_flat(&b.y, k));
            cr_assert_eq(element(&b.x, k, 1, 2, 3), element(&data.x, b.index[k], 1, 2, 3));
            *order++ = b.index[k];
        }
    hz_loader_free(l);
}

Test(order, a_shuffled_epoch_has_every_example_once) {
    int64_t order[N], times[N] = {0};
    order_of(1, 0, order);
    for (int k = 0; k < N; k++) times[order[k]]++;
    for (int k = 0; k < N; k++) cr_assert_eq(times[k], 1);
}

Test(order, seed_and_epoch_decide_it) {
    int64_t a[N], b[N];
    order_of(1, 0, a), order_of(1, 0, b);
    cr_assert(memcmp(a, b, sizeof a) == 0, "the same twice");
    order_of(1, 1, b);
    cr_assert(memcmp(a, b, sizeof a) != 0, "another epoch");
    order_of(2, 0, b);
    cr_assert(memcmp(a, b, sizeof a) != 0, "another seed");
}

/* ---- determinism ---- */

static const hz_loader_opts everything = {.batch = 7,
                                          .shuffle = true,
                                          .seed = 5,
                                          .preprocess = {.range = 1, .mean = {0.5, 0.5, 0.5}},
                                          .augment = {.crop = 2, .flip = 0.5, .cutout = 3}};

/* All batches of an epoch from one on, appended; returns how many numbers. */
static size_t collect(hz_loader *l, int64_t epoch, int64_t batch, float *x) {
    hz_batch b;
    size_t n = 0;
    begin(l, epoch, batch);
    while (next(l, &b)) {
        memcpy(x + n, b.x.data, hz_nbytes(&b.x));
        n += (size_t)hz_numel(&b.x);
    }
    return n;
}

Test(determinism, threads_and_batches_ahead_change_nothing) {
    const hz_data data = pictures();
    float *want = malloc(2 * N * PIXELS * sizeof *want), *x = malloc(2 * N * PIXELS * sizeof *x);
    for (int threads = -1; threads < 5; threads++)
        for (int ahead = 0; ahead < 12; ahead += 3) {
            hz_loader_opts opts = everything;
            opts.threads = threads, opts.ahead = ahead;
            hz_loader *l = loader_of(&data, opts);
            cr_assert_eq(collect(l, 3, 0, x), N * PIXELS);
            cr_assert_eq(collect(l, 4, 0, x + N * PIXELS), N * PIXELS);
            hz_loader_free(l);
            if (threads == -1 && ahead == 0) memcpy(want, x, 2 * N * PIXELS * sizeof *want);
            cr_assert(memcmp(want, x, 2 * N * PIXELS * sizeof *want) == 0, "%d threads, %d ahead", threads,
                      ahead);
        }
    cr_assert(memcmp(want, want + N * PIXELS, N * PIXELS * sizeof *want) != 0, "two epochs are alike");
    free(want);
    free(x);
}

Test(determinism, an_epoch_resumes_at_any_batch) {
    const hz_data data = pictures();
    float *want = malloc(N * PIXELS * sizeof *want), *x = malloc(N * PIXELS * sizeof *x);
    hz_loader *l = loader_of(&data, everything);
    collect(l, 2, 0, want);
    for (int64_t batch = hz_loader_batches(l); batch >= 0; batch--) {
        const int64_t skipped = batch * 7 < N ? batch * 7 : N;
        begin(l, 9, batch / 2); /* leave one epoch in the middle for another */
        cr_assert_eq(collect(l, 2, batch, x), (size_t)((N - skipped) * PIXELS));
        cr_assert(memcmp(want + skipped * PIXELS, x, (size_t)((N - skipped) * PIXELS) * sizeof *x) == 0);
    }
    hz_loader_free(l);
    free(want);
    free(x);
}

Test(determinism, parts_make_up_the_whole) {
    const hz_data data = pictures();
    hz_loader *whole = loader_of(&data, everything), *part[3];
    hz_batch b, p;
    for (int k = 0; k < 3; k++) {
        hz_loader_opts opts = everything;
        opts.part = k, opts.parts = 3;
        part[k] = loader_of(&data, opts);
        begin(part[k], 1, 0);
    }
    begin(whole, 1, 0);
    while (next(whole, &b)) {
        const float *x = b.x.data;
        int64_t n = 0;
        for (int k = 0; k < 3; k++) {
            cr_assert(next(part[k], &p) && p.number == b.number);
            if (p.x.dim[0] > 0) cr_assert(memcmp(x + n * PIXELS, p.x.data, hz_nbytes(&p.x)) == 0);
            n += p.x.dim[0];
        }
        cr_assert_eq(n, b.x.dim[0]);
    }
    for (int k = 0; k < 3; k++) {
        cr_assert(!next(part[k], &p));
        hz_loader_free(part[k]);
    }
    hz_loader_free(whole);
}

/* ---- augmentation: every picture of some epochs is compared with what it is claimed to be ---- */

/* Whether element (c, i, j) of row n of a batch is pixel (c, i + dy, j + dx) of its example, mirrored or not. */
typedef struct claim {
    int64_t dy, dx;
    bool flip, reflect;
} claim;

static int64_t mirror(int64_t k, int64_t n) {
    return k < 0 ? -k : k >= n ? 2 * (n - 1) - k : k;
}

static float claimed(const hz_data *data, int64_t k, int64_t c, int64_t i, int64_t j, claim m) {
    int64_t y = i + m.dy, x = (m.flip ? W - 1 - j : j) + m.dx;
    if (m.reflect) y = mirror(y, H), x = mirror(x, W);
    return y < 0 || y >= H || x < 0 || x >= W ? 0 : element(&data->x, k, c, y, x);
}

static bool holds(const hz_data *data, const hz_batch *b, int64_t n, claim m) {
    for (int64_t c = 0; c < C; c++)
        for (int64_t i = 0; i < H; i++)
            for (int64_t j = 0; j < W; j++)
                if (element(&b->x, n, c, i, j) != claimed(data, b->index[n], c, i, j, m)) return false;
    return true;
}

Test(augment, a_flip_mirrors_exactly_and_as_often_as_asked) {
    const hz_data data = pictures();
    hz_loader *l = loader_of(&data, (hz_loader_opts){.seed = 3, .augment = {.flip = 0.25}});
    hz_batch b;
    int flipped = 0;
    for (int64_t epoch = 0; epoch < 40; epoch++) {
        begin(l, epoch, 0);
        while (next(l, &b))
            for (int64_t n = 0; n < b.x.dim[0]; n++) {
                const bool plain = holds(&data, &b, n, (claim){0}),
                           mirrored = holds(&data, &b, n, (claim){.flip = true});
                cr_assert(plain != mirrored);
                flipped += mirrored;
            }
    }
    cr_assert(flipped > 500 - 80 && flipped < 500 + 80, "%d of 2000", flipped); /* 4 standard deviations */
    hz_loader_free(l);
}

/* Every picture is one shift within the limit, and every such shift occurs. */
static void check_crop(bool reflect) {
    enum { LIMIT = 2, SIDE = 2 * LIMIT + 1 };
    const hz_data data = pictures();
    hz_loader *l = loader_of(&data, (hz_loader_opts){.augment = {.crop = LIMIT, .reflect = reflect}});
    hz_batch b;
    int times[SIDE * SIDE] = {0};
    for (int64_t epoch = 0; epoch < 10; epoch++) {
        begin(l, epoch, 0);
        while (next(l, &b))
            for (int64_t n = 0; n < b.x.dim[0]; n++) {
                int found = 0;
                for (int s = 0; s < SIDE * SIDE; s++) {
                    const claim m = {.dy = s / SIDE - LIMIT, .dx = s % SIDE - LIMIT, .reflect = reflect};
                    if (holds(&data, &b, n, m)) times[s]++, found++;
                }
                cr_assert_eq(found, 1);
            }
    }
    for (int s = 0; s < SIDE * SIDE; s++) /* 20 expected */
        cr_assert(times[s] > 2 && times[s] < 42, "shift %d: %d", s, times[s]);
    hz_loader_free(l);
}

Test(augment, a_crop_shifts_exactly_and_fills_with_black) {
    check_crop(false);
}

Test(augment, a_crop_shifts_exactly_and_fills_with_the_mirror_image) {
    check_crop(true);
}

/* Whether row n of a batch is its example but for zeros in the rectangle, of which some part must be inside. */
static bool is_cut(const hz_data *data, const hz_batch *b, int64_t n, int64_t top, int64_t left,
                   int64_t side) {
    for (int64_t c = 0; c < C; c++)
        for (int64_t i = 0; i < H; i++)
            for (int64_t j = 0; j < W; j++) {
                const bool inside = i >= top && i < top + side && j >= left && j < left + side;
                const float want = inside ? 0 : element(&data->x, b->index[n], c, i, j) - 10;
                if (element(&b->x, n, c, i, j) != want) return false;
            }
    return true;
}

static void check_cutout(int64_t side) {
    const hz_data data = pictures();
    const hz_preprocess p = {.mean = {10, 10, 10}}; /* so that 0 is not black */
    hz_loader *l = loader_of(&data, (hz_loader_opts){.preprocess = p, .augment = {.cutout = side}});
    hz_batch b;
    int times[H * W] = {0};
    for (int64_t epoch = 0; epoch < 20; epoch++) {
        begin(l, epoch, 0);
        while (next(l, &b))
            for (int64_t n = 0; n < b.x.dim[0]; n++) {
                int found = 0;
                for (int s = 0; s < H * W; s++)
                    if (is_cut(&data, &b, n, s / W - side / 2, s % W - side / 2, side)) times[s]++, found++;
                cr_assert_eq(found, 1);
            }
    }
    for (int s = 0; s < H * W; s++) cr_assert_gt(times[s], 2, "centre %d: %d, 16 expected", s, times[s]);
    hz_loader_free(l);
}

Test(augment, cutout_zeroes_one_square_and_nothing_else) {
    check_cutout(3);
    check_cutout(4);
}

Test(augment, floats_are_moved_like_bytes) {
    hz_data data = pictures();
    static double d[N * PIXELS];
    static float f[N * PIXELS];
    for (int i = 0; i < N * PIXELS; i++) f[i] = (float)(d[i] = hz_get_flat(&data.x, i));
    hz_loader_opts opts = everything;
    opts.preprocess = (hz_preprocess){.mean = {1, 2, 3}, .std = {2, 4, 8}}; /* exact in floats */
    float *want = malloc(N * PIXELS * sizeof *want), *x = malloc(N * PIXELS * sizeof *x);
    hz_loader *l = loader_of(&data, opts);
    collect(l, 0, 0, want);
    hz_loader_free(l);
    for (int k = 0; k < 2; k++) {
        data.x = hz_tensor_of(k ? (void *)d : (void *)f, k ? HZ_F64 : HZ_F32, HZ_DIMS(N, C, H, W));
        l = loader_of(&data, opts);
        collect(l, 0, 0, x);
        cr_assert(memcmp(want, x, N * PIXELS * sizeof *x) == 0, "%s", hz_dtype_name(data.x.dtype));
        hz_loader_free(l);
    }
    free(want);
    free(x);
}

/* ---- examples that are read when needed ---- */

/* Like pictures(), but number 20 cannot be read. */
static bool read_some(const hz_data *data, int64_t k, const hz_tensor *example, hz_error *err) {
    const hz_data all = pictures();
    (void)data;
    if (k == 20) return hz_fail(err, HZ_EIO, "picture 20 cannot be read");
    memcpy(example->data, (const uint8_t *)all.x.data + k * PIXELS, PIXELS);
    return true;
}

static bool read_all(const hz_data *data, int64_t k, const hz_tensor *example, hz_error *err) {
    return read_some(data, k == 20 ? 21 : k, example, err);
}

Test(reading, examples_are_read_by_the_threads) {
    const hz_data all = pictures();
    hz_data data = all;
    data.x.data = NULL;
    data.read = read_all;
    for (int threads = -1; threads < 4; threads++) {
        hz_loader *l = loader_of(&data, (hz_loader_opts){.batch = 4, .threads = threads});
        hz_batch b;
        begin(l, 0, 0);
        while (next(l, &b))
            for (int64_t k = 0; k < b.x.dim[0]; k++)
                cr_assert_eq(element(&b.x, k, 0, 1, 2),
                             element(&all.x, b.index[k] == 20 ? 21 : b.index[k], 0, 1, 2));
        hz_loader_free(l);
    }
}

Test(reading, a_failure_is_an_error_of_its_batch) {
    hz_data data = pictures();
    data.x.data = NULL;
    data.read = read_some;
    for (int threads = -1; threads < 4; threads++) {
        hz_loader *l = loader_of(&data, (hz_loader_opts){.batch = 8, .threads = threads});
        hz_batch b;
        begin(l, 0, 0);
        cr_assert(next(l, &b) && next(l, &b));
        for (int twice = 0; twice < 2; twice++) {
            hz_error err = {0};
            cr_assert(!hz_loader_next(l, &b, &err));
            cr_assert(err.code == HZ_EIO && strstr(err.text, "picture 20"), "%s", err.text);
        }
        begin(l, 0, 3);
        cr_assert(next(l, &b) && b.number == 3);
        hz_loader_free(l);
    }
}

/* ---- use and misuse ---- */

Test(loader, may_go_at_any_time) {
    const hz_data data = pictures();
    hz_batch b;
    hz_loader_free(NULL);
    for (int k = 0; k < 40; k++) {
        hz_loader_opts opts = everything;
        opts.threads = k % 4;
        hz_loader *l = loader_of(&data, opts);
        if (k % 3 > 0) begin(l, 0, 0);
        for (int n = 0; k % 3 > 0 && n < k % 7; n++) cr_assert(next(l, &b));
        hz_loader_free(l);
    }
}

Test(loader, an_epoch_must_be_begun_and_exist) {
    const hz_data data = pictures();
    hz_loader *l = loader_of(&data, everything);
    hz_batch b;
    hz_error err = {0};
    cr_assert(!hz_loader_next(l, &b, &err) && err.code == HZ_EINVAL, "%s", err.text);
    cr_assert(!hz_loader_start(l, 0, 9, &err) && err.code == HZ_EINVAL, "%s", err.text);
    cr_assert(!hz_loader_start(l, 0, -1, &err) && !hz_loader_start(l, -1, 0, &err));
    begin(l, 0, 8);
    cr_assert(!next(l, &b), "at its end");
    hz_loader_free(l);
}

static void refused(const hz_data *data, hz_loader_opts opts, const char *why) {
    hz_error err = {0};
    hz_loader *l = hz_loader_new(data, &opts, &err);
    cr_assert(!l, "%s", why);
    cr_assert(err.code == HZ_EINVAL || err.code == HZ_ESHAPE, "%s: %s", why, err.text);
}

Test(loader, senseless_options_are_refused) {
    const hz_data data = pictures();
    float x[4] = {0};
    const hz_data table = {.x = hz_tensor_of(x, HZ_F32, HZ_DIMS(2, 2))};
    hz_data odd = data;
    refused(&data, (hz_loader_opts){.batch = -1}, "a negative batch");
    refused(&data, (hz_loader_opts){.batch = 51, .drop_last = true}, "no batch at all");
    refused(&data, (hz_loader_opts){.part = 2, .parts = 2}, "a part that is none");
    refused(&data, (hz_loader_opts){.threads = -2}, "threads");
    refused(&data, (hz_loader_opts){.threads = 65}, "threads");
    refused(&data, (hz_loader_opts){.ahead = 1025}, "ahead");
    refused(&data, (hz_loader_opts){.preprocess = {.size = 7}}, "another size");
    refused(&data, (hz_loader_opts){.preprocess = {.std = {-1}}}, "a negative std");
    refused(&data, (hz_loader_opts){.augment = {.crop = 7}}, "a crop out of sight");
    refused(&data, (hz_loader_opts){.augment = {.crop = -1}}, "a negative crop");
    refused(&data, (hz_loader_opts){.augment = {.flip = 1.5}}, "no probability");
    refused(&data, (hz_loader_opts){.augment = {.cutout = 15}}, "a square too large");
    refused(&table, (hz_loader_opts){.augment = {.flip = 0.5}}, "no pictures");
    odd.y.dim[0]--;
    refused(&odd, (hz_loader_opts){0}, "labels are missing");
    refused(&(hz_data){0}, (hz_loader_opts){0}, "no data");
}

Test(loader, nothing_is_allocated_once_it_runs) {
    const hz_data data = pictures();
    faulty f = {0};
    hz_loader_opts opts = everything;
    float *x = malloc(N * PIXELS * sizeof *x);
    opts.alloc = &(const hz_allocator){faulty_alloc, faulty_free, &f};
    hz_loader *l = loader_of(&data, opts);
    const int calls = f.calls;
    for (int64_t epoch = 0; epoch < 5; epoch++) collect(l, epoch, 0, x);
    cr_assert_eq(f.calls, calls);
    hz_loader_free(l);
    cr_assert_eq(f.live, 0);
    free(x);
}

static bool load(const hz_allocator *alloc, const char *path, hz_error *err) {
    const hz_data data = pictures();
    hz_loader_opts opts = everything;
    (void)path;
    opts.alloc = alloc;
    hz_loader *l = hz_loader_new(&data, &opts, err);
    hz_loader_free(l);
    return l != NULL;
}

Test(loader, running_out_of_memory_is_an_error_and_leaks_nothing) {
    fail_every_allocation(load, "");
}
