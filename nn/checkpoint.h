/* checkpoint.h: a training run in one file, so that it goes on as if it had not been interrupted: bit for bit.
 *
 *   double best = 0;
 *   hz_train_state state = {.params = p, .optimizer = {opt, ema}, .seed = 1,
 *                           .notes = (hz_note[]){{.name = "best", .number = &best}}, .n_notes = 1};
 *   if (resume && !hz_checkpoint_load("run.safetensors", &state, &err)) …
 *   for (; state.epoch < epochs; state.epoch++, state.position = 0)
 *       for each batch, from number state.position on:
 *           … one step: net.seed = state.seed, net.step = state.step, rate and batch functions of them alone …
 *           state.step++, state.position++;
 *           if (time has come) hz_checkpoint_save("run.safetensors", &state, &err);
 *
 * The file is safetensors. It holds the weights under their own names, so that it opens as a model too ("ARCH:run.safetensors"),
 * and beside them, under names that begin with '@', tensors "@optimizer.0.fc.weight.exp_avg", "@step", "@note.best", … and
 * text. All is kept exactly. A digest over all of it tells damage.
 *
 * Saving replaces the old checkpoint at once or not at all (tensor/file.h): whenever the process is killed or the disk
 * fills up, the file is a whole checkpoint, the old or the new one. Loading checks everything before it changes anything.
 * Files are untrusted.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_CHECKPOINT_H
#define HZ_NN_CHECKPOINT_H

#include "nn/optim.h"
#include "nn/params.h"
#include "nn/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Something of the caller's own to keep: a number, or else a text (UTF-8) in an array of `room` bytes. */
typedef struct hz_note {
    const char *name; /* UTF-8, each once */
    double *number;   /* NULL: a text */
    char *text;
    size_t room;
} hz_note;

enum { HZ_TRAIN_OPTIMIZERS = 4 };

/* What a checkpoint keeps. What is zero or NULL is not there. */
typedef struct hz_train_state {
    hz_params *params;
    hz_optimizer
        *optimizer[HZ_TRAIN_OPTIMIZERS]; /* one or several, moving averages too, up to the first NULL */
    hz_plateau *plateau;                 /* its state alone, not its settings */
    uint64_t seed; /* of shuffling, augmentation, dropout, which are functions of it and the numbers below */
    int64_t step;  /* steps of training so far */
    int64_t epoch; /* in which it is, from 0 */
    int64_t position; /* how far in the epoch: batches or examples, as the caller counts them */
    const hz_note *notes;
    size_t n_notes;
    const hz_allocator *alloc; /* for scratch; NULL: the C library */
} hz_train_state;

/* Write it. Of an optimiser: its state, and its learning rate and momentum as they are now. HZ_EIO, HZ_ENOMEM; HZ_EINVAL if a
 * note has no name of its own. */
bool hz_checkpoint_save(const char *path, const hz_train_state *state, hz_error *err);

/* Read it into a state of the same make: the parameters, as many optimisers of the same kinds over the same parameters,
 * in the same order, a plateau if it was saved with one. Every tensor must be there, of the same shape and dtype; notes that
 * the caller does not ask for are passed over. Errors name the file, the thing, and both sides: HZ_EFORMAT if the file is no
 * checkpoint or is damaged, HZ_ENOTFOUND, HZ_ESHAPE or HZ_EINVAL if it does not fit; then nothing has changed.
 *
 * With params NULL only the numbers and notes are read: to look at a run before its network is made. */
bool hz_checkpoint_load(const char *path, hz_train_state *state, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
