/* normalization.h: what the normalisations share. Private to ops/.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_OPS_NORMALIZATION_H
#define HZ_OPS_NORMALIZATION_H

#include "ops/reduction.h"

bool hz__normalization_shape(const hz_node *n, hz_tensor *out, hz_error *err);

/* The same where gamma and beta, the inputs from `first` on, broadcast to input 0. */
bool hz__affine_shape(const hz_node *n, int first, hz_tensor *out, hz_error *err);
bool hz__affine_reach(const hz_node *n, int i, const hz_box *out, hz_box *in);

/* The derivative in x of gu = normalize_grad(x, u), for its cotangent v. */
hz_var hz__normalize_grad_in_x(hz_var x, hz_var u, hz_var gu, hz_var v, const hz_attr_normalization *a);

/* eps is a number and not negative. */
bool hz__check_eps(double eps, hz_error *err);

/* All axes of x but axis 1: what the statistics of a channel are taken over. */
hz_axes hz__all_but_channels(const hz_tensor *x);

/* v (C) as (C, 1, …), which broadcasts against a (N, C, …) of this rank. */
hz_var hz__per_channel(hz_var v, int rank);

/* t with leading axes of extent 1 up to the given rank. */
hz_tensor hz__with_rank(const hz_tensor *t, int rank);

/* normalize(x)·gamma + beta, per channel; either may be none. op is who asks: for errors. */
hz_var hz__normalize_channels(const char *op, hz_var x, hz_axes axes, hz_var gamma, hz_var beta, double eps);

/* y·gamma + beta, per channel; either may be none. op is who asks: for errors. */
hz_var hz__scale_channels(const char *op, hz_var y, hz_var gamma, hz_var beta);

#endif
