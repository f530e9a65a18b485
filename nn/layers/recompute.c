/* recompute.c: a part of a network of which only the result is kept.
 *
 * SPDX-License-Identifier: MIT */
#include "autograd/recompute.h"

#include "nn/layers.h"

typedef struct part {
    hz_net net; /* as it was when the part began */
    hz_block_fn block;
    const void *options;
} part;

static hz_var record(hz_tape *t, const hz_var *in, int n, const void *ctx) {
    part p = *(const part *)ctx;
    (void)t, (void)n;
    return p.block(&p.net, in[0], p.options);
}

hz_var hz_net_recompute(hz_net *net, hz_block_fn block, hz_var x, const void *options) {
    if (!hz_ok(x)) return x;
    const part p = {*net, block, options};
    return hz_recompute(net->tape, record, &x, 1, &p, sizeof p);
}
