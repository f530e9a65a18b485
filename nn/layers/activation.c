/* activation.c: activations by name, for networks whose user chooses.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "nn/layers.h"

/* Those with a number, which is PyTorch's default. */
static hz_var elu(hz_var x) {
    return hz_elu(x, 1);
}

static hz_var hard_sigmoid(hz_var x) {
    return hz_hard_sigmoid(x, 1.0 / 6, 0.5);
}

static hz_var leaky_relu(hz_var x) {
    return hz_leaky_relu(x, 0.01);
}

static hz_var softplus(hz_var x) {
    return hz_softplus(x, 1);
}

static const struct {
    const char *name;
    hz_var (*of)(hz_var x);
} activations[] = {
    {"elu", elu},
    {"gelu", hz_gelu},
    {"gelu_tanh", hz_gelu_tanh},
    {"hard_sigmoid", hard_sigmoid},
    {"hard_swish", hz_hard_swish},
    {"hard_tanh", hz_hard_tanh},
    {"leaky_relu", leaky_relu},
    {"relu", hz_relu},
    {"relu6", hz_relu6},
    {"sigmoid", hz_sigmoid},
    {"silu", hz_silu},
    {"softplus", softplus},
    {"tanh", hz_tanh},
};
enum { ACTIVATIONS = sizeof activations / sizeof activations[0] };

const char *hz_activation_name(int k) {
    return k >= 0 && k < ACTIVATIONS ? activations[k].name : NULL;
}

hz_var hz_activation(hz_var x, const char *name) {
    char names[256] = "";
    if (!hz_ok(x)) return x;
    for (int k = 0; k < ACTIVATIONS; k++)
        if (strcmp(activations[k].name, name) == 0) return activations[k].of(x);
    for (int k = 0; k < ACTIVATIONS; k++) {
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", k ? ", " : "", activations[k].name);
    }
    return hz_tape_fail(x.tape, HZ_ENOTFOUND, "no activation \"%s\"; there are %s", hz_label(name).s, names);
}
