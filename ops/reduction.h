/* reduction.h: what ops along axes share: reductions, whose outputs drop the axes or keep them with extent 1, and
 * softmax and its kin, which need all of the axes to compute any element. Private to ops/.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_OPS_REDUCTION_H
#define HZ_OPS_REDUCTION_H

#include "ops/common.h"

/* ---- reductions: attributes {axes, keep}, one float input ---- */

hz_var hz__reduce(const hz_op *op, hz_var x, hz_axes axes, bool keep);
bool hz__reduction_shape(const hz_node *n, hz_tensor *out, hz_error *err);
bool hz__reduction_forward(const hz_node *n, const hz_exec *ex, hz_reduction kind, hz_error *err);
bool hz__reduction_reach(const hz_node *n, int i, const hz_box *out, hz_box *in);

/* v, of the output's shape, with the reduced axes back as extents of 1: broadcasts against the input. */
hz_var hz__reduction_keep(const hz_node *n, hz_var v);

/* vjp of max and min: dx = dy / count where x is the extreme, count of them sharing it. */
hz_var hz__extreme_vjp(const hz_node *n, int i, hz_var dy);

/* How many elements of the input make one of the output. */
int64_t hz__reduction_count(const hz_node *n);

/* ---- the pieces, for ops with attributes of their own ---- */

/* The shape of x with the axes in mask reduced: extents of 1, or dropped. Sets rank and dim of *out. */
void hz__reduced_shape(const hz_tensor *x, hz_axes mask, bool keep, hz_tensor *out);

/* *in: all of the axes in mask, the box of the output on the others. */
void hz__reduced_reach(const hz_tensor *x, hz_axes mask, bool keep, const hz_box *out, hz_box *in);

/* ---- softmax and its kin: attributes hz_axes; inputs and output of one float dtype and shape ---- */

bool hz__along_shape(const hz_node *n, hz_tensor *out, hz_error *err);
hz_axes hz__along_mask(const hz_node *n); /* the axes, resolved */
bool hz__along_reach(const hz_node *n, int i, const hz_box *out, hz_box *in);

/* Can be restricted only to boxes that cover the axes. */
bool hz__along_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr);

/* Whether the box has all of the axes in mask. */
bool hz__covers(const hz_box *box, const hz_tensor *x, hz_axes mask);

#endif
