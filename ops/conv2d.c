/* conv2d.c: 2-d convolution (cross-correlation),
 *
 *   y[n,k,oy,ox] = b[k] + Σ_{c,r,s} w[k,c,r,s] · x[n, g·C/G + c, oy·stride − pad + r·dilation, …]
 *
 * It is linear in x and in w, and so are its two adjoints, conv2d_input_grad and conv2d_weight_grad: the three are
 * closed under differentiation. Also conv1d.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/convolution.h"

#include <inttypes.h>

static bool conv2d_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *x = hz_in(n, 0), *w = hz_in(n, 1), *b = n->n_in > 2 ? hz_in(n, 2) : NULL;
    if (!hz__conv2d_check(n->attr, x, w, out, err)) return false;
    if (!b || (b->dtype == x->dtype && b->rank == 1 && b->dim[0] == w->dim[0])) return true;
    return hz_fail(
        err, HZ_ESHAPE, "bias %s %s is not %s [%" PRId64 "], one number for each filter of weight %s",
        hz_dtype_name(b->dtype), hz_shape_str(b).s, hz_dtype_name(x->dtype), w->dim[0], hz_shape_str(w).s);
}

static bool conv2d_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_tensor *b = n->n_in > 2 ? hz_in(n, 2) : NULL;
    return hz_conv2d_map(ex, n->attr, hz_in(n, 0), hz_in(n, 1), b, &n->value, err);
}

static hz_var conv2d_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_conv2d_geometry *g = n->attr;
    const hz_tensor *x = hz_in(n, 0), *w = hz_in(n, 1);
    if (i == 0) return hz_conv2d_input_grad(dy, n->in[1], g, x->dim[2], x->dim[3]);
    if (i == 1) return hz_conv2d_weight_grad(n->in[0], dy, g, w->dim[2], w->dim[3]);
    return hz_sum(dy, HZ_AXIS(0) | HZ_AXIS(2) | HZ_AXIS(3), false); /* db[k] = Σ dy[n,k,oy,ox] */
}

/* ---- boxes ---- */

static hz__group_range groups_of(const hz_node *n, const hz_box *out) {
    const hz_conv2d_geometry *g = n->attr;
    return hz__groups_holding(out->lo[1], out->hi[1], hz_in(n, 1)->dim[0] / g->groups);
}

/* Filters and biases of the channels in the box; of x, their groups' channels and the windows' rows and columns. */
static bool conv2d_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    const hz_tensor *w = hz_in(n, 1);
    if (hz_numel(&n->value) == 0) return false;
    if (i > 0) {
        *in = hz_box_full(hz_in(n, i));
        in->lo[0] = out->lo[1], in->hi[0] = out->hi[1];
        return true;
    }
    hz__group_range range = groups_of(n, out);
    in->lo[0] = out->lo[0], in->hi[0] = out->hi[0];
    in->lo[1] = range.first * w->dim[1], in->hi[1] = range.end * w->dim[1];
    for (int k = 0; k < 2; k++) {
        hz__axis_window window = hz__conv2d_window(n->attr, w, k);
        hz__window_reach(&window, 2 + k, out, in);
    }
    return true;
}

static bool conv2d_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr) {
    hz_conv2d_geometry *g = attr;
    if (hz_box_is_empty(&in[0], 4)) return false; /* all border */
    if (g->groups > 1 && !hz__groups_crop(groups_of(n, out), &g->groups)) return false;
    for (int k = 0; k < 2; k++) {
        hz__axis_window window = hz__conv2d_window(g, hz_in(n, 1), k);
        hz__window_crop(&window, 2 + k, out, &in[0]);
        g->pad_before[k] = window.pad_before;
        g->pad_after[k] = window.pad_after;
    }
    return true;
}

/* ---- samples ---- */

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_conv2d(x[0], x[1], x[2], NULL);
}

static hz_var call_same(hz_tape *t, const hz_var *x) {
    return hz_conv2d(x[0], x[1], hz_none(t), &(hz_conv2d_opts){.pad = {1, 1}});
}

static hz_var call_stride(hz_tape *t, const hz_var *x) {
    (void)t;
    const hz_conv2d_opts opts = {.stride = {2, 3}, .pad_before = {1, 0}, .pad_after = {2, 1}};
    return hz_conv2d(x[0], x[1], x[2], &opts);
}

static hz_var call_dilation(hz_tape *t, const hz_var *x) {
    const hz_conv2d_opts opts = {.dilation = {2, 1}, .pad = {2, 1}, .stride = {1, 2}};
    return hz_conv2d(x[0], x[1], hz_none(t), &opts);
}

static hz_var call_groups(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_conv2d(x[0], x[1], x[2], &(hz_conv2d_opts){.groups = 2, .pad = {0, 1}});
}

static hz_var call_depthwise(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_conv2d(x[0], x[1], x[2], &(hz_conv2d_opts){.groups = 3, .pad = {1, 1}, .stride = {2, 2}});
}

static hz_var call_crop(hz_tape *t, const hz_var *x) {
    const hz_conv2d_opts opts = {.pad_before = {-1, 2}, .pad_after = {1, -1}};
    return hz_conv2d(x[0], x[1], hz_none(t), &opts);
}

static hz_var call_1d(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_conv1d(x[0], x[1], x[2], &(hz_conv2d_opts){.stride = {2}, .pad = {1}});
}

static const hz_sample samples[] = {
    {"3×3, bias",
     3,
     {{.rank = 4, .dim = {2, 2, 4, 5}}, {.rank = 4, .dim = {3, 2, 3, 3}}, {.rank = 1, .dim = {3}}},
     call,
     false},
    {"padded", 2, {{.rank = 4, .dim = {1, 2, 4, 3}}, {.rank = 4, .dim = {2, 2, 3, 3}}}, call_same, false},
    {"strides, uneven padding",
     3,
     {{.rank = 4, .dim = {1, 2, 6, 6}}, {.rank = 4, .dim = {2, 2, 3, 2}}, {.rank = 1, .dim = {2}}},
     call_stride,
     false},
    {"dilation",
     2,
     {{.rank = 4, .dim = {1, 2, 5, 5}}, {.rank = 4, .dim = {2, 2, 3, 2}}},
     call_dilation,
     false},
    {"groups",
     3,
     {{.rank = 4, .dim = {1, 4, 3, 3}}, {.rank = 4, .dim = {6, 2, 2, 3}}, {.rank = 1, .dim = {6}}},
     call_groups,
     false},
    {"depthwise",
     3,
     {{.rank = 4, .dim = {1, 3, 5, 5}}, {.rank = 4, .dim = {3, 1, 3, 3}}, {.rank = 1, .dim = {3}}},
     call_depthwise,
     false},
    {"two filters a channel",
     3,
     {{.rank = 4, .dim = {1, 3, 4, 4}}, {.rank = 4, .dim = {6, 1, 3, 3}}, {.rank = 1, .dim = {6}}},
     call_depthwise,
     false},
    {"1×1",
     3,
     {{.rank = 4, .dim = {2, 3, 2, 3}}, {.rank = 4, .dim = {4, 3, 1, 1}}, {.rank = 1, .dim = {4}}},
     call,
     false},
    {"negative padding",
     2,
     {{.rank = 4, .dim = {1, 1, 5, 5}}, {.rank = 4, .dim = {2, 1, 2, 3}}},
     call_crop,
     false},
    {"as large as the image",
     3,
     {{.rank = 4, .dim = {2, 2, 3, 3}}, {.rank = 4, .dim = {3, 2, 3, 3}}, {.rank = 1, .dim = {3}}},
     call,
     false},
    {"1-d",
     3,
     {{.rank = 3, .dim = {2, 2, 6}}, {.rank = 3, .dim = {3, 2, 3}}, {.rank = 1, .dim = {3}}},
     call_1d,
     false},
    {"no images",
     3,
     {{.rank = 4, .dim = {0, 2, 4, 4}}, {.rank = 4, .dim = {3, 2, 3, 3}}, {.rank = 1, .dim = {3}}},
     call,
     false},
};

const hz_op hz_op_conv2d = {.name = "conv2d",
                            .n_in = HZ_VARIADIC,
                            .attr_size = sizeof(hz_conv2d_geometry),
                            .shape = conv2d_shape,
                            .forward = conv2d_forward,
                            .vjp = conv2d_vjp,
                            .reach = conv2d_reach,
                            .crop = conv2d_crop,
                            .samples = samples,
                            .n_samples = HZ__COUNT(samples)};

/* ---- functions ---- */

hz_var hz__conv2d(hz_var x, hz_var w, const hz_conv2d_geometry *g) {
    return hz_apply2(&hz_op_conv2d, x, w, g);
}

hz_var hz_conv2d(hz_var x, hz_var w, hz_var b, const hz_conv2d_opts *opts) {
    const hz_var in[] = {x, w, b};
    hz_conv2d_geometry g = hz__conv2d_geometry_of(opts);
    return hz_apply(&hz_op_conv2d, in, b.id ? 3 : 2, &g);
}
