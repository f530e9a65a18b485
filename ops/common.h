/* common.h: what several op files share. Private to ops/.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_OPS_COMMON_H
#define HZ_OPS_COMMON_H

#include "ops/attr.h"
#include "tensor/elementwise.h"

#define HZ__COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* dy summed to x's shape: the adjoint of broadcasting x. dy itself where the shapes agree. */
hz_var hz__sum_like(hz_var dy, hz_var x);

/* x repeated to the shape of like. x itself where the shapes agree. */
hz_var hz__broadcast_like(hz_var x, hz_var like);

/* Zeros of x's shape and dtype. */
hz_var hz__zeros_like(hz_var x);

/* Axes as given by a caller (negative ones allowed, empty: all) as a mask of axes 0 … rank−1. */
bool hz__axes_resolve(int rank, hz_axes axes, hz_axes *mask, hz_error *err);

/* A parameter that is not NaN; otherwise an error that names it. */
bool hz__check_number(const char *what, double value, hz_error *err);

/* Inputs that broadcast, all f32 or all f64. */
bool hz__shape_broadcast_float(const hz_node *n, hz_tensor *out, hz_error *err);

/* Input i as a view of the output's shape. */
hz_tensor hz__stretched(const hz_node *n, int i);

/* forward() of an op that is one kernel: y = f(x; a, b) or z = f(x, y; a, b), inputs broadcast to the output. */
bool hz__forward1(const hz_node *n, const hz_exec *ex, hz_unary f, double a, double b);
bool hz__forward2(const hz_node *n, const hz_exec *ex, hz_binary f, double a, double b);

/* vjp() of a piecewise constant function: the derivative is 0, so nothing is handed on. */
hz_var hz__vjp_zero(const hz_node *n, int i, hz_var dy);

#endif
