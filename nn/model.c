/* model.c: the table of architectures, and opening one with its weights.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/model.h"

#include <stdio.h>
#include <string.h>

#include "tensor/file.h"

const hz_arch hz_archs[] = {
    {.name = "squeezenet1_0",
     .about = "SqueezeNet v1.0, ImageNet",
     .classes = 1000,
     .preprocess = {.size = 227, .resize = 256, .mean = {123, 117, 104}},
     .forward = hz_squeezenet1_0},
    {.name = "resnet20",
     .about = "ResNet-20, CIFAR-10",
     .classes = 10,
     .preprocess = {.size = 32, .range = 1, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}},
     .forward = hz_resnet20},
    {.name = "resnet50",
     .about = "ResNet-50, ImageNet, weights from Keras",
     .classes = 1000,
     .preprocess = {.size = 224, .resize = 256, .order = HZ_BGR, .mean = {123.68, 116.779, 103.939}},
     .forward = hz_resnet50},
    {.name = NULL},
};

/* The architecture called name[0 … n). */
static const hz_arch *find_arch(const char *name, size_t n) {
    for (const hz_arch *a = hz_archs; a->name; a++)
        if (strlen(a->name) == n && strncmp(a->name, name, n) == 0) return a;
    return NULL;
}

const hz_arch *hz_arch_named(const char *name) {
    return find_arch(name, strlen(name));
}

static bool fail_listing(const char *spec, hz_error *err) {
    char known[256] = "";
    size_t used = 0;
    for (const hz_arch *a = hz_archs; a->name && used < sizeof known; a++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", a->name);
    return hz_fail(err, HZ_ENOTFOUND, "model \"%s\" is not ARCH:WEIGHTS with a known ARCH: %s",
                   hz_label(spec).s, known);
}

bool hz_model_open(const char *spec, const hz_allocator *alloc, hz_model *model, hz_error *err) {
    *model = (hz_model){.arch = NULL};
    const char *colon = strchr(spec, ':');
    const hz_arch *arch = colon ? find_arch(spec, (size_t)(colon - spec)) : NULL;
    if (!arch) return fail_listing(spec, err);
    if (!colon[1]) return hz_fail(err, HZ_EINVAL, "model \"%s\" names no file of weights", spec);
    if (!hz_weights_open(colon + 1, alloc, &model->weights, err)) return false;
    model->arch = arch;
    model->preprocess = hz_preprocess_complete(&arch->preprocess);
    return true;
}

void hz_model_close(hz_model *model) {
    hz_weights_close(model->weights);
    *model = (hz_model){.arch = NULL};
}

hz_var hz_model_forward(const hz_model *model, hz_var x) {
    if (!hz_ok(x)) return x;
    hz_net net = {.tape = x.tape, .weights = model->weights};
    return model->arch->forward(&net, x);
}
