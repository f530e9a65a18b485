/* recompute.h: gradient checkpointing: depth beyond memory, for one more forward pass.
 *
 * What runs inside hz_recompute leaves nothing on the tape but its result. A gradient that passes there runs it again,
 * sweeps what that records, and drops it. A chain of N layers in segments of √N thus holds about 2√N activations instead
 * of N, and every layer but those outside runs twice (Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost).
 *
 *   static hz_var segment(hz_tape *t, const hz_var *in, int n, const void *ctx) {
 *       const struct weights *w = ctx;                       this segment's weights
 *       hz_var x = in[0];
 *       for (int k = 0; k < w->layers; k++) x = hz_relu(hz_linear(x, hz_input(t, &w->w[k]), hz_input(t, &w->b[k])));
 *       return x;
 *   }
 *   …
 *   for (int s = 0; s < segments; s++) x = hz_recompute(t, segment, &x, 1, &w[s], sizeof w[s]);
 *
 * Gradients are bitwise those of the same ops without it, with respect to any variable that is on the tape: inputs, what the
 * segment uses of the tape besides (found, or held in ctx), and the tensors it borrows, whose leaves stay on the tape under
 * their names. Rules, support boxes and explanations reach inside. A gradient that is to be differentiated again keeps what
 * was recomputed: it saves no memory, and the second gradient is the same to rounding.
 *
 * Other variables made inside are gone when hz_recompute returns: hz_find says so, and hz_grad cannot aim at them. The result
 * keeps the names given to it. Segments nest: halved and halved again, a chain holds about 3·log₂ N activations and runs
 * log₂ N times. A segment has one result; several can be concatenated inside and sliced outside.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_AUTOGRAD_RECOMPUTE_H
#define HZ_AUTOGRAD_RECOMPUTE_H

#include "autograd/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Records a segment on t and returns its result. It must do the same each time: depend on nothing but the inputs, *ctx and
 * what these lead to, which stays unchanged as long as gradients are asked for. Random masks are functions of a seed and are
 * the same again. */
typedef hz_var (*hz_segment_fn)(hz_tape *t, const hz_var *in, int n, const void *ctx);

/* Run the segment on n ≥ 0 inputs in the current scope. ctx_size bytes at ctx are copied, and the copy is passed when it is run
 * again; with ctx_size 0, ctx itself. Returns what the segment returned. A failure inside, also when it is run again, is
 * told like any other; HZ_EINVAL if a segment then gives another shape or other values than the first time. */
hz_var hz_recompute(hz_tape *t, hz_segment_fn segment, const hz_var *in, int n, const void *ctx,
                    size_t ctx_size);

/* True while a segment is run again. What it does besides recording ops, such as updating running statistics, it does the
 * first time only. */
bool hz_recomputing(const hz_tape *t);

/* The op behind it. A rule meets it only if it names this op; other rules meet what is inside. */
extern const hz_op hz_op_recompute;

#ifdef __cplusplus
}
#endif
#endif
