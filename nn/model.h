/* model.h: trained networks by name, "squeezenet1_0:weights.safetensors", or from a file, "net.onnx".
 *
 *   hz_model m;
 *   if (!hz_model_open("squeezenet1_0:squeezenet.safetensors", NULL, &m, &err)) …
 *   if (!hz_preprocess_file(&m.preprocess, "cat.png", NULL, &image, &err)) …
 *   hz_var x = hz_name(hz_input(t, &image), "pixels"), scores = hz_model_forward(&m, x);
 *   if (!hz_tape_ok(t, &err)) …
 *   hz_model_close(&m);                                   after the tape: its leaves borrow the weights
 *
 * The definitions are in nn/models/, each written as an example of writing one.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_MODEL_H
#define HZ_NN_MODEL_H

#include "nn/layers.h"
#include "nn/onnx/onnx.h"
#include "nn/preprocess.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Record a network on net->tape: x (N, 3, H, W), gray (N, 1, H, W) → scores before softmax (N, classes), named "logits". */
typedef hz_var (*hz_forward_fn)(hz_net *net, hz_var x);

typedef struct hz_arch {
    const char *name;          /* "resnet50", as in a model's spec */
    const char *about;         /* one line */
    int64_t classes;           /* scores per picture; INT64_MAX: unknown */
    const char *const *labels; /* what they are called; NULL: see the data set */
    hz_preprocess preprocess;  /* the input it was trained on */
    hz_forward_fn forward;
    const char *bytes, *bytes_end; /* safetensors that come with the library; NULL: none */
} hz_arch;

/* All architectures; the list ends with a name of NULL. */
extern const hz_arch hz_archs[];
const hz_arch *hz_arch_named(const char *name); /* NULL if there is none */

hz_var hz_squeezenet1_0(hz_net *net, hz_var x);
hz_var hz_resnet20(hz_net *net, hz_var x);
hz_var hz_resnet50(hz_net *net, hz_var x);
hz_var hz_allconv(hz_net *net, hz_var x);
hz_var hz_lenet(hz_net *net, hz_var x);

/* ---- an architecture with its weights ---- */

typedef struct hz_model {
    const hz_arch *arch;      /* never NULL once open; for ONNX one named "onnx" without a forward */
    hz_preprocess preprocess; /* a copy of arch->preprocess, complete, for the caller to change */
    hz_weights *weights;      /* NULL for ONNX */
    hz_onnx *onnx;            /* NULL unless ONNX; its batch norm folded */
    bool channels_last;       /* ONNX that takes (N, H, W, C) */
} hz_model;

/* spec is "ARCH:PATH", PATH as for hz_weights_open, or the path of an .onnx file. "ARCH" alone takes the weights that come
 * with the library, and NULL stands for "allconv", which has them. An unknown ARCH is HZ_ENOTFOUND and
 * lists the known ones. That the weights are those of the network shows when it is recorded. An ONNX model must have one
 * input (N, 3, H, W), or (N, H, W, 3) as TensorFlow's have, or with 1 in place of 3 for gray pictures, fixed or open; of its preprocessing only size and channels are known: range 255, RGB and no mean are for the caller to correct. */
bool hz_model_open(const char *spec, const hz_allocator *alloc, hz_model *model, hz_error *err);
void hz_model_close(hz_model *model); /* one that failed to open is legal */

/* The parameter of that name; NULL if there is none. */
const hz_tensor *hz_model_weight(const hz_model *model, const char *name);

/* Scores for x (N, 3, H, W), whatever layout the model takes, on x's tape; the network's layers are named there. Of an ONNX
 * model the first output, or what goes into it if that is a softmax.
 *
 * For x in f64 the whole network is computed in f64, from the same weights. Its price is twice the time and memory; what it
 * buys is that no ReLU and no maximum is decided by rounding, each of which can change a gradient by tens of percent. */
hz_var hz_model_forward(const hz_model *model, hz_var x);

#ifdef __cplusplus
}
#endif
#endif
