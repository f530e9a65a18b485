/* model.c: the table of architectures, and opening one with its weights, or a graph from an ONNX file.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/model.h"

#include <stdio.h>
#include <string.h>

#include "nn/internal.h"
#include "tensor/file.h"

/* models/allconv_weights.S */
extern const char hz__allconv_weights[], hz__allconv_weights_end[];

static const char *const cifar10[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                      "dog",      "frog",       "horse", "ship", "truck"};
static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

const hz_arch hz_archs[] = {
    {.name = "squeezenet1_0",
     .about = "SqueezeNet v1.0, ImageNet",
     .classes = 1000,
     .preprocess = {.size = 227, .resize = 256, .mean = {123, 117, 104}},
     .forward = hz_squeezenet1_0},
    {.name = "resnet20",
     .about = "ResNet-20, CIFAR-10",
     .classes = 10,
     .labels = cifar10,
     .preprocess = {.size = 32, .range = 1, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}},
     .forward = hz_resnet20},
    {.name = "resnet50",
     .about = "ResNet-50, ImageNet, weights from Keras",
     .classes = 1000,
     .preprocess = {.size = 224, .resize = 256, .order = HZ_BGR, .mean = {123.68, 116.779, 103.939}},
     .forward = hz_resnet50},
    {.name = "allconv",
     .about = "All-CNN-C with fewer channels, CIFAR-10",
     .classes = 10,
     .labels = cifar10,
     .preprocess = {.size = 32, .range = 1, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}},
     .forward = hz_allconv,
     .bytes = hz__allconv_weights,
     .bytes_end = hz__allconv_weights_end},
    {.name = "lenet",
     .about = "LeNet-5, MNIST",
     .classes = 10,
     .labels = digits,
     .preprocess = {.size = 28, .channels = 1, .range = 1, .mean = {0.1307}, .std = {0.3081}},
     .forward = hz_lenet},
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

/* ---- ONNX ---- */

static const hz_arch onnx_arch = {
    .name = "onnx", .about = "a graph from a file", .classes = INT64_MAX, .preprocess = {.size = 224}};

static bool is_color_count(int64_t channels) {
    return channels == 1 || channels == 3;
}

/* One input of pictures, (N, 3, H, W) or (N, H, W, 3), or of gray ones with 1 in place of 3; extents left open are the
 * caller's, and as many as the other if that one is not. */
static bool check_input(hz_model *m, const char *path, hz_error *err) {
    const hz_onnx *net = m->onnx;
    int64_t dim[HZ_MAX_RANK];
    int rank = 4;
    if (hz_onnx_n_inputs(net) != 1 || hz_onnx_n_outputs(net) < 1)
        return hz_fail(err, HZ_EINVAL, "%s: %d inputs and %d outputs; only models of one picture can be used",
                       hz_label(path).s, hz_onnx_n_inputs(net), hz_onnx_n_outputs(net));
    if (!hz_onnx_input_shape(net, 0, &rank, dim)) return true;
    m->channels_last = rank == 4 && is_color_count(dim[3]) && !is_color_count(dim[1]);
    const int channels = m->channels_last ? 3 : 1, rows = m->channels_last ? 1 : 2;
    if (rank != 4 || (!is_color_count(dim[channels]) && dim[channels] >= 0))
        return hz_fail(err, HZ_ESHAPE, "%s: input \"%s\" %s is not (N, 3, H, W), nor (N, 1, H, W)",
                       hz_label(path).s, hz_label(hz_onnx_input_name(net, 0)).s, hz_dims_str(rank, dim).s);
    if (dim[channels] > 0) m->preprocess.channels = dim[channels];
    const int64_t height = dim[rows] > 0 ? dim[rows] : dim[rows + 1];
    if (height > 0) m->preprocess.size = height;
    if (dim[rows + 1] > 0) m->preprocess.width = dim[rows + 1];
    return true;
}

static bool open_onnx(const char *path, const hz_allocator *alloc, hz_model *model, hz_error *err) {
    hz_model m = {.arch = &onnx_arch, .preprocess = onnx_arch.preprocess};
    if (!hz_onnx_open(path, alloc, &m.onnx, err)) return false;
    if (!check_input(&m, path, err) || !hz_onnx_fold_batch_norm(m.onnx, err)) {
        hz_onnx_close(m.onnx);
        return false;
    }
    m.preprocess = hz_preprocess_complete(&m.preprocess);
    *model = m;
    return true;
}

static hz_var onnx_forward(const hz_model *model, hz_var x) {
    enum { FEW = 16 };
    static const int channels_last[] = {0, 2, 3, 1};
    const hz_onnx *net = model->onnx;
    const bool f64 = hz_value(x)->dtype == HZ_F64;
    hz_var out[FEW];
    if (model->channels_last) x = hz_permute(x, channels_last);
    if (hz_onnx_n_outputs(net) > FEW)
        return hz_tape_fail(x.tape, HZ_EINVAL, "a model of %d outputs, more than %d", hz_onnx_n_outputs(net),
                            FEW);
    if (!(f64 ? hz_onnx_run_f64 : hz_onnx_run)(net, x.tape, &x, out)) return hz_none(x.tape);
    const hz_node *last = hz_node_of(out[0]);
    return last->op == &hz_op_softmax ? last->in[0] : out[0];
}

/* ---- opening, running, closing ---- */

static bool open_builtin(const hz_arch *arch, const hz_allocator *alloc, hz_weights **weights,
                         hz_error *err) {
    const size_t size = (size_t)(arch->bytes_end - arch->bytes);
    return hz_weights_open_bytes(arch->name, arch->bytes, size, alloc, weights, err);
}

bool hz_model_open(const char *spec, const hz_allocator *alloc, hz_model *model, hz_error *err) {
    *model = (hz_model){.arch = NULL};
    if (!spec) spec = "allconv";
    if (hz__ends_with(spec, ".onnx")) return open_onnx(spec, alloc, model, err);
    const size_t n = strcspn(spec, ":");
    const hz_arch *arch = find_arch(spec, n);
    if (!arch || (!spec[n] && !arch->bytes)) return fail_listing(spec, err);
    if (spec[n] && !spec[n + 1])
        return hz_fail(err, HZ_EINVAL, "model \"%s\" names no file of weights", spec);
    if (!(spec[n] ? hz_weights_open(spec + n + 1, alloc, &model->weights, err)
                  : open_builtin(arch, alloc, &model->weights, err)))
        return false;
    model->arch = arch;
    model->preprocess = hz_preprocess_complete(&arch->preprocess);
    return true;
}

void hz_model_close(hz_model *model) {
    hz_weights_close(model->weights);
    hz_onnx_close(model->onnx);
    *model = (hz_model){.arch = NULL};
}

const hz_tensor *hz_model_weight(const hz_model *model, const char *name) {
    return model->onnx ? hz_onnx_parameter(model->onnx, name) : hz_weights_find(model->weights, name);
}

hz_var hz_model_forward(const hz_model *model, hz_var x) {
    if (!hz_ok(x)) return x;
    if (model->onnx) return onnx_forward(model, x);
    hz_net net = {.tape = x.tape, .weights = model->weights, .f64 = hz_value(x)->dtype == HZ_F64};
    return model->arch->forward(&net, x);
}
