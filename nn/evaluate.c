/* evaluate.c: how many pictures a network gets right. Start with hz_evaluate.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/evaluate.h"

#include <inttypes.h>

#include "nn/loader.h"

static bool check_data(const hz_model *model, const hz_data *data, hz_error *err) {
    const hz_preprocess p = hz_preprocess_complete(&model->preprocess);
    const hz_tensor *x = &data->x;
    if (x->rank != 4 || x->dtype != HZ_U8 || (x->dim[1] != 1 && x->dim[1] != 3))
        return hz_fail(err, HZ_ESHAPE, "examples %s %s are no pictures", hz_dtype_name(x->dtype),
                       hz_shape_str(x).s);
    if (x->dim[2] != p.size || x->dim[3] != p.width)
        return hz_fail(err, HZ_ESHAPE,
                       "pictures of %" PRId64 " × %" PRId64 " are no input of %s, which is %" PRId64
                       " × %" PRId64,
                       x->dim[2], x->dim[3], model->arch->name, p.size, p.width);
    if (p.channels == 1 && x->dim[1] != 1)
        return hz_fail(err, HZ_ESHAPE, "pictures of %" PRId64 " channels are no input of %s, which is gray",
                       x->dim[1], model->arch->name);
    return hz_data_check_classes(data, model->arch->classes, err) ||
           hz_fail_in(err, "classes of %s", model->arch->name);
}

/* Gray pictures seen as red, green and blue ones, if the network wants colors. */
static hz_data as_wanted(const hz_data *data, int64_t channels) {
    hz_data color = *data;
    if (data->x.dim[1] == 1 && channels == 3) color.x.dim[1] = 3, color.x.stride[1] = 0;
    return color;
}

/* A batch through the network; count the labels it names. */
static bool judge(const hz_model *model, const hz_batch *b, hz_tape *t, hz_accuracy *accuracy,
                  hz_error *err) {
    hz_tape_reset(t);
    hz_var best = hz_argmax(hz_model_forward(model, hz_input(t, &b->x)), 1, false); /* (N) */
    if (!hz_tape_ok(t, err)) return false;
    for (int64_t k = 0; k < b->x.dim[0]; k++)
        accuracy->right += hz_get_flat(hz_value(best), k) == hz_get_flat(&b->y, k);
    accuracy->of += b->x.dim[0];
    return true;
}

static bool judge_all(const hz_model *model, hz_loader *l, hz_tape *t, hz_accuracy *accuracy, hz_error *err) {
    hz_batch b;
    hz_error end = {0};
    if (!hz_loader_start(l, 0, 0, err)) return false;
    while (hz_loader_next(l, &b, &end))
        if (!judge(model, &b, t, accuracy, err)) return false;
    if (end.code && err) *err = end;
    return end.code == HZ_OK;
}

bool hz_evaluate(const hz_model *model, const hz_data *data, int64_t batch, const hz_tape_opts *opts,
                 hz_accuracy *accuracy, hz_error *err) {
    *accuracy = (hz_accuracy){0, 0};
    if (!hz_preprocess_check(&model->preprocess, err) || !check_data(model, data, err)) return false;
    const hz_data wanted = as_wanted(data, hz_preprocess_complete(&model->preprocess).channels);
    hz_loader *l = hz_loader_new(&wanted,
                                 &(hz_loader_opts){.batch = batch ? batch : 100,
                                                   .preprocess = model->preprocess,
                                                   .alloc = &data->alloc},
                                 err);
    hz_tape *t = l ? hz_tape_new(opts) : NULL;
    bool ok =
        l && (t || hz_fail(err, HZ_ENOMEM, "no memory for a tape")) && judge_all(model, l, t, accuracy, err);
    hz_tape_free(t);
    hz_loader_free(l);
    return ok;
}
