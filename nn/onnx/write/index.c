/* index.c: gathering, scattering, and codes.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/onnx/write/write.h"

static hz__wire *gather(hz__writer *w) {
    hz__wire *y = hz__emit2(w, w->form->type, w->in[0], w->in[1]);
    hz__with_int(w, "axis", hz_axis(hz__in_value(w, 0)->rank, *(const int *)w->n->attr));
    return y;
}

static hz__wire *result_shape(hz__writer *w) {
    const hz_tensor *y = hz__out_value(w);
    return hz__shape_vector(w, y->rank, y->dim, hz__out_follows(w));
}

/* The index's axes in src become one, and the index is repeated along the others. */
static hz__wire *scatter_add(hz__writer *w) {
    const hz_attr_placement *a = w->n->attr;
    const hz_tensor *index = hz__in_value(w, 0), *src = hz__in_value(w, 1), *y = hz__out_value(w);
    int axis = hz_axis(y->rank, a->axis);
    int64_t dim[HZ_MAX_RANK], line[HZ_MAX_RANK];
    hz__follows f = hz__in_follows(w, 1);
    if (f.axis > axis) f.axis -= index->rank - 1;
    for (int k = 0; k < y->rank; k++) {
        dim[k] = k == axis ? hz_numel(index) : y->dim[k];
        line[k] = k == axis ? dim[k] : 1;
    }
    if (hz_numel(src) == 0) return hz__zeros(w, result_shape(w), w->in[1]->type);
    hz__wire *from = hz__reshaped(w, w->in[1], y->rank, dim, f);
    hz__wire *at = hz__cast(w, hz__reshaped(w, w->in[0], y->rank, line, hz__fixed), HZ__INT64);
    at = hz__emit2(w, "Expand", at, hz__of_type(hz__emit1(w, "Shape", from), HZ__INT64));
    return hz__added_along(w, at, from, result_shape(w), axis);
}

static hz__wire *scatter_elements(hz__writer *w) {
    const hz_attr_placement *a = w->n->attr;
    int axis = hz_axis(hz__out_value(w)->rank, a->axis);
    return hz__added_along(w, w->in[0], w->in[1], result_shape(w), axis);
}

/* In f32, where every runtime has it, then converted. */
static hz__wire *one_hot(hz__writer *w) {
    const hz_attr_one_hot *a = w->n->attr;
    hz__wire *index = hz__cast(w, w->in[0], HZ__INT64), *depth = hz__scalar(w, HZ__INT64, (double)a->depth);
    hz__wire *values = hz__table(w, hz__type_of(HZ_F32), HZ_DIMS(2), (const double[]){0, 1});
    hz__wire *y = hz__of_type(hz__emit3(w, "OneHot", index, depth, values), hz__type_of(HZ_F32));
    return hz__cast(w, y, hz__type_of(a->dtype));
}

static const hz__form forms[] = {
    {&hz_op_gather, .write = gather, .type = "Gather"},
    {&hz_op_gather_elements, .write = gather, .type = "GatherElements"},
    {&hz_op_scatter_add, .write = scatter_add},
    {&hz_op_scatter_elements, .write = scatter_elements},
    {&hz_op_one_hot, .write = one_hot},
};

const hz__forms hz__write_index = {forms, HZ__COUNT(forms)};
