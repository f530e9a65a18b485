/* embedding.c: a row of numbers for every index.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "nn/layers/internal.h"
#include "tensor/elementwise.h"

/* Row number k of a new table becomes zeros. */
static void clear_row(hz_net *net, hz_var weight, int64_t k) {
    hz_tensor row;
    if (hz_ok(weight) && hz_view_slice(hz_value(weight), 0, k, 1, 1, &row, NULL))
        hz_fill(hz_tape_exec(net->tape), &row, 0);
}

/* y, from which no gradient flows where index is k. */
static hz_var hold(hz_var y, hz_var index, int64_t k) {
    if (!hz_ok(y)) return y;
    hz_var is_k = hz_eq(index, hz_full(y.tape, hz_value(index)->dtype, 0, NULL, (double)k));
    return hz_where(hz_unsqueeze(is_k, hz_value(index)->rank), hz_detach(y), y);
}

/* The row of padding counted from 0; −1 with the reason on the tape if the table has none such. */
static int64_t padding_row(hz_net *net, hz_var weight, int64_t padding) {
    const int64_t rows = hz_value(weight)->dim[0];
    if (padding >= -rows && padding < rows) return padding < 0 ? padding + rows : padding;
    hz_tape_fail(net->tape, HZ_EINVAL, "\"%s\": padding %" PRId64 " is no row of table %s", net->path,
                 padding, hz_shape_str(hz_value(weight)).s);
    return -1;
}

static hz_var record(hz_net *net, hz_var x, const hz_embedding_layer *o) {
    const hz_initial normal = {.kind = HZ_INITIAL_NORMAL, .b = 1};
    const bool made = !hz_ok(hz_param_optional(net, "weight"));
    hz_var weight =
        hz_param_shaped(net, "weight", HZ_DIMS(hz__or_any(o->rows), hz__or_any(o->width)), &normal);
    hz_var y = hz_embedding(weight, x);
    if (!o->padding || !hz_ok(weight)) return y;
    const int64_t k = padding_row(net, weight, *o->padding);
    if (k < 0) return hz_none(net->tape);
    if (made) clear_row(net, weight, k);
    return hold(hold(y, x, k), x, k - hz_value(weight)->dim[0]);
}

hz_var hz_layer_embedding(hz_net *net, const char *layer, hz_var x, const hz_embedding_layer *l) {
    const hz_embedding_layer o = l ? *l : (hz_embedding_layer){.rows = 0};
    if (!hz_ok(x)) return x;
    hz_net_enter(net, layer);
    return hz_net_output(net, layer, record(net, x, &o));
}
