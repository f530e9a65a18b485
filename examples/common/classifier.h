/* classifier.h: a program that trains a network to tell classes of pictures: its command line, its loop, what it shows and
 * keeps. mnist.c and cifar10.c say what is their own.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_EXAMPLES_CLASSIFIER_H
#define HZ_EXAMPLES_CLASSIFIER_H

#include "nn/hzero.h"

enum { CLASSIFIER_FILES = 8 };

typedef struct classifier {
    const char *name;  /* of the program and of its folder in the cache: "cifar10" */
    const char *about; /* one sentence for --help */
    const char *arch;  /* the network: a name of hz_archs, which says the preprocessing, too */
    const char *train[CLASSIFIER_FILES], *test; /* files in the folder; see hz_data_open */
    hz_augment augment;
    double label_smoothing;

    /* First values and groups of the parameters, which are PyTorch's before; may be NULL. */
    bool (*prepare)(hz_params *p, hz_error *err);
    hz_optimizer *(*optimizer)(double lr, hz_error *err);
    double (*rate)(int64_t step, int64_t total); /* factor on lr */

    long epochs, batch; /* defaults of the options */
    double lr;
} classifier;

/* The whole program; returns its exit status. */
int classifier_main(const classifier *c, int argc, char **argv);

#endif
