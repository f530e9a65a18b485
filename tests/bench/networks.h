/* networks.h: the networks of the benchmark, with random parameters: SqueezeNet 1.1, AlexNet, ResNet-18 and VGG-16 as in
 * torchvision (evaluation mode).
 *
 *   network n = {.layers = squeezenet};
 *   hz_var h = network_record(&n, x, "fire5");           all layers up to fire5
 *   network_free(&n);
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_BENCH_NETWORKS_H
#define HZ_TESTS_BENCH_NETWORKS_H

#include "ops/ops.h"

typedef struct network network;
typedef struct layer layer;

/* One line of a network's definition. The list ends with a layer without op. */
struct layer {
    const char *name;
    hz_var (*op)(network *n, const layer *l, hz_var x);
    int64_t out, kernel, stride, pad; /* channels or features that leave; stride 0: 1 */
    int64_t squeeze;                  /* fire modules: channels in between */
};

enum { NETWORK_PARAMS = 128 };

/* Set layers, leave the rest zero. Parameters are made when a layer is recorded for the first time, and kept. */
struct network {
    const layer *layers;
    int made;                        /* parameters there are */
    hz_tensor param[NETWORK_PARAMS]; /* in the order of recording; contiguous, f32 */
    int used;                        /* parameters of the last recording */
    hz_var leaf[NETWORK_PARAMS];     /* where they stand on the tape */
};

/* Record the layers on x's tape up to the one called until (NULL: all of them); the outputs bear the layers' names. */
hz_var network_record(network *n, hz_var x, const char *until);
void network_free(network *n);

/* (1, 3, 224, 224) → (1, 1000); and three layers to ask units of. */
typedef struct classifier {
    const char *name;
    const layer *layers;
    const char *early, *middle, *late;
} classifier;

enum { CLASSIFIERS = 4 };
extern const classifier classifiers[CLASSIFIERS];
const classifier *classifier_named(const char *name);

#endif
