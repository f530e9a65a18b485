/* loader.h: batches of a data set, shuffled, augmented, normalised, and prepared on other threads while this one computes.
 *
 *   hz_loader *l = hz_loader_new(&train, &(hz_loader_opts){.batch = 128, .shuffle = true, .seed = 1,
 *                                .preprocess = {.range = 1, .mean = {0.49, 0.48, 0.45}, .std = {0.25, 0.24, 0.26}},
 *                                .augment = {.flip = 0.5, .crop = 4}}, &err);
 *   for (int64_t epoch = 0; epoch < 30; epoch++) {
 *       if (!hz_loader_start(l, epoch, 0, &err)) …
 *       while (hz_loader_next(l, &b, &err)) step(&b.x, &b.y);
 *       if (err.code) …
 *   }
 *   hz_loader_free(l);                                    before hz_data_close
 *
 * The order and every augmentation are a pure function of (seed, epoch, position in the epoch): the same for any number of
 * threads, and a run resumed at (epoch, batch) sees what the uninterrupted one would have seen, bit for bit. In steady state
 * nothing is allocated, except by the decoder of a folder of pictures.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_LOADER_H
#define HZ_NN_LOADER_H

#include "nn/data.h"
#include "nn/preprocess.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What happens to a picture at random, in this order. All zero: nothing. */
typedef struct hz_augment {
    int64_t
        crop; /* it moves by up to so many pixels up, down, left, right, less than its sides; what comes into sight: */
    bool
        reflect; /* false: black, a pixel of 0 before normalisation; true: its mirror image, the edge not repeated */
    double flip;    /* the probability that it is mirrored left to right */
    int64_t cutout; /* a square of so many pixels a side, its centre anywhere in the picture, becomes 0 after
                     * normalisation (DeVries & Taylor 2017, "Improved regularization of CNNs with cutout") */
} hz_augment;

typedef struct hz_loader_opts {
    int64_t batch;  /* examples in a batch; 0: 32 */
    bool shuffle;   /* a new order in every epoch; false: that of the data */
    bool drop_last; /* leave out the last batch if it is not full */
    uint64_t seed;
    hz_preprocess
        preprocess; /* of pictures: order, range, mean and std (size, if not 0, must be theirs). Gray ones have the
                                * mean and std of red; of floats (N, C, H, W) mean and std alone count */
    hz_augment augment;  /* of pictures */
    int64_t part, parts; /* of every batch this loader's share, number part of parts equal ones; 0, 0: all */
    int threads;         /* that prepare batches, up to 64; 0: 1; −1: none, hz_loader_next does it itself */
    int ahead; /* batches prepared before they are asked for, up to 1024; 0: one more than threads */
    const hz_allocator *alloc; /* NULL: the C library */
} hz_loader_opts;

typedef struct hz_loader hz_loader;

/* data is borrowed and must stay as it is until hz_loader_free. NULL with HZ_EINVAL, HZ_ESHAPE or HZ_ENOMEM. opts may be NULL. */
hz_loader *hz_loader_new(const hz_data *data, const hz_loader_opts *opts, hz_error *err);

/* Waits for what the threads are at, and ends them. NULL is legal, and so is the middle of an epoch. */
void hz_loader_free(hz_loader *l);

/* Batches in an epoch. */
int64_t hz_loader_batches(const hz_loader *l);

/* Begin an epoch, ≥ 0, at its batch number `batch`, 0 … hz_loader_batches. Whatever was running is left. HZ_EINVAL. */
bool hz_loader_start(hz_loader *l, int64_t epoch, int64_t batch, hz_error *err);

/* Views of the loader's memory, valid until the next call of hz_loader_next, hz_loader_start or hz_loader_free. n is the
 * batch's size, less in the last one and where there are parts, of which it may then be 0. */
typedef struct hz_batch {
    hz_tensor x; /* (n, …), contiguous: f32, but i64 where the data has i32 or i64 */
    hz_tensor
        y; /* (n) or (n, …), contiguous: i64, but f32 where the data has floats; rank 0: there is none */
    int64_t number;       /* in the epoch, from 0 */
    int64_t whole;        /* examples of all its parts together: n, if there is but one */
    const int64_t *index; /* which examples of the data, n of them */
} hz_batch;

/* The next batch. False at the end of the epoch, with err->code HZ_OK; false with an error, the same again if repeated, if an
 * example cannot be read, or if no epoch was begun. */
bool hz_loader_next(hz_loader *l, hz_batch *b, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
