/* ops.h: every operation of hzero: the manifest and the manual.
 *
 * One op is one file: the line `extern const hz_op hz_op_NAME;` stands for ops/NAME.c and for one entry of the table
 * hz_ops[], which the build makes from this header. To add an op, write that file and that line.
 *
 * Conventions. Every function records its op on the tape of its arguments and returns the result, which belongs to
 * the tape; on failure it returns the inert variable and the tape keeps the error (see autograd/tape.h). Floats are
 * f32 or f64 and are never mixed. "Elementwise" ops with several inputs broadcast them as NumPy does. Shapes in
 * comments: N batch, C channels, H × W rows and columns. Every op is differentiable in every float input, to any
 * order, unless it says otherwise; at a kink the derivative stated here is the one used.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_OPS_OPS_H
#define HZ_OPS_OPS_H

#include "autograd/grad.h"
#include "tensor/conv2d.h"
#include "tensor/pool2d.h"
#include "tensor/reduce.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All ops below, for code that loops over them. */
extern const hz_op *const hz_ops[];
extern const int hz_ops_count;

/* ==== elementwise arithmetic ==== */

extern const hz_op hz_op_add;
hz_var hz_add(hz_var x, hz_var y); /* x + y */

extern const hz_op hz_op_sub;
hz_var hz_sub(hz_var x, hz_var y); /* x − y */

extern const hz_op hz_op_mul;
hz_var hz_mul(hz_var x, hz_var y); /* x · y, element by element */

extern const hz_op hz_op_div;
hz_var hz_div(hz_var x, hz_var y); /* x / y */

extern const hz_op hz_op_pow;
hz_var hz_pow(hz_var x, hz_var y); /* x^y; differentiable in y where x > 0 */

extern const hz_op hz_op_maximum;
hz_var hz_maximum(hz_var x, hz_var y); /* the larger; a tie's gradient goes to x */

extern const hz_op hz_op_minimum;
hz_var hz_minimum(hz_var x, hz_var y); /* the smaller; a tie's gradient goes to x */

extern const hz_op hz_op_affine;
hz_var hz_affine(hz_var x, double a, double b); /* a·x + b */
hz_var hz_scale(hz_var x, double a);            /* a·x */
hz_var hz_add_scalar(hz_var x, double b);       /* x + b */
hz_var hz_neg(hz_var x);                        /* −x */

extern const hz_op hz_op_pow_scalar;
hz_var hz_pow_scalar(hz_var x, double a); /* x^a */

/* ==== elementwise functions ==== */

extern const hz_op hz_op_abs;
hz_var hz_abs(hz_var x); /* |x|; derivative 0 at 0 */

extern const hz_op hz_op_sign;
hz_var hz_sign(hz_var x); /* −1, 0 or 1; derivative 0 */

extern const hz_op hz_op_step;
hz_var hz_step(hz_var x); /* 1 where x > 0, else 0; derivative 0 */

extern const hz_op hz_op_floor;
hz_var hz_floor(hz_var x); /* derivative 0 */

extern const hz_op hz_op_ceil;
hz_var hz_ceil(hz_var x); /* derivative 0 */

extern const hz_op hz_op_round;
hz_var hz_round(hz_var x); /* to the nearest, ties to even; derivative 0 */

extern const hz_op hz_op_square;
hz_var hz_square(hz_var x); /* x² */

extern const hz_op hz_op_sqrt;
hz_var hz_sqrt(hz_var x); /* √x */

extern const hz_op hz_op_rsqrt;
hz_var hz_rsqrt(hz_var x); /* 1/√x */

extern const hz_op hz_op_reciprocal;
hz_var hz_reciprocal(hz_var x); /* 1/x */

extern const hz_op hz_op_exp;
hz_var hz_exp(hz_var x);

extern const hz_op hz_op_expm1;
hz_var hz_expm1(hz_var x); /* e^x − 1, accurate near 0 */

extern const hz_op hz_op_log;
hz_var hz_log(hz_var x);

extern const hz_op hz_op_log1p;
hz_var hz_log1p(hz_var x); /* log(1 + x), accurate near 0 */

extern const hz_op hz_op_sin;
hz_var hz_sin(hz_var x);

extern const hz_op hz_op_cos;
hz_var hz_cos(hz_var x);

extern const hz_op hz_op_tanh;
hz_var hz_tanh(hz_var x);

extern const hz_op hz_op_erf;
hz_var hz_erf(hz_var x);

/* ==== activations ==== */

extern const hz_op hz_op_relu;
hz_var hz_relu(hz_var x); /* max(x, 0); derivative 0 at 0 */

extern const hz_op hz_op_relu6;
hz_var hz_relu6(hz_var x); /* min(max(x, 0), 6); derivative 0 at 0 and at 6 */

extern const hz_op hz_op_clip;
hz_var hz_clip(hz_var x, double lo,
               double hi); /* min(max(x, lo), hi), lo ≤ hi; derivative 1 where lo < x < hi, else 0 */

extern const hz_op hz_op_leaky_relu;
hz_var hz_leaky_relu(hz_var x, double slope); /* x > 0 ? x : slope·x */

extern const hz_op hz_op_elu;
hz_var hz_elu(hz_var x, double alpha); /* x > 0 ? x : alpha·(e^x − 1) */

extern const hz_op hz_op_sigmoid;
hz_var hz_sigmoid(hz_var x); /* 1/(1 + e^−x) */

extern const hz_op hz_op_softplus;
hz_var hz_softplus(hz_var x, double beta); /* log(1 + e^(beta·x))/beta, beta ≠ 0 */

extern const hz_op hz_op_silu;
hz_var hz_silu(hz_var x); /* x·sigmoid(x) */

extern const hz_op hz_op_gelu;
hz_var hz_gelu(hz_var x); /* x·Φ(x), exact (Hendrycks & Gimpel 2016) */

extern const hz_op hz_op_gelu_tanh;
hz_var hz_gelu_tanh(hz_var x); /* its tanh approximation */

extern const hz_op hz_op_hard_sigmoid;
hz_var hz_hard_sigmoid(hz_var x, double a, double b); /* min(max(a·x + b, 0), 1); PyTorch: a = 1/6, b = 1/2 */

extern const hz_op hz_op_hard_swish;
hz_var hz_hard_swish(hz_var x); /* x·min(max(x/6 + 1/2, 0), 1) */

hz_var hz_hard_tanh(hz_var x); /* hz_clip(x, −1, 1) */

/* Adjoints of activations as ops of their own, one pass over memory each: f′ applied to dy. x is the input of the
 * activation, y its output. */
extern const hz_op hz_op_relu_grad;
hz_var hz_relu_grad(hz_var x, hz_var dy); /* dy where x > 0, else 0 */

extern const hz_op hz_op_clip_grad;
hz_var hz_clip_grad(hz_var x, hz_var dy, double lo, double hi); /* dy where lo < x < hi, else 0 */

extern const hz_op hz_op_leaky_relu_grad;
hz_var hz_leaky_relu_grad(hz_var x, hz_var dy, double slope); /* x > 0 ? dy : slope·dy */

extern const hz_op hz_op_elu_grad;
hz_var hz_elu_grad(hz_var x, hz_var dy, double alpha); /* x > 0 ? dy : dy·alpha·e^x */

extern const hz_op hz_op_tanh_grad;
hz_var hz_tanh_grad(hz_var y, hz_var dy); /* dy·(1 − y²) */

extern const hz_op hz_op_sigmoid_grad;
hz_var hz_sigmoid_grad(hz_var y, hz_var dy); /* dy·y·(1 − y) */

extern const hz_op hz_op_silu_grad;
hz_var hz_silu_grad(hz_var x, hz_var dy);

extern const hz_op hz_op_gelu_grad;
hz_var hz_gelu_grad(hz_var x, hz_var dy);

extern const hz_op hz_op_gelu_tanh_grad;
hz_var hz_gelu_tanh_grad(hz_var x, hz_var dy);

/* ==== comparison and choice ==== */

/* u8 tensors of 0 and 1; no gradient. x and y of one dtype, any, broadcast. */
extern const hz_op hz_op_compare;
hz_var hz_eq(hz_var x, hz_var y);
hz_var hz_ne(hz_var x, hz_var y);
hz_var hz_lt(hz_var x, hz_var y);
hz_var hz_le(hz_var x, hz_var y);
hz_var hz_gt(hz_var x, hz_var y);
hz_var hz_ge(hz_var x, hz_var y);

extern const hz_op hz_op_where;
hz_var hz_where(hz_var where, hz_var x, hz_var y); /* where (u8) is not 0 ? x : y; the three broadcast */

extern const hz_op hz_op_astype;
hz_var hz_astype(hz_var x, hz_dtype dtype); /* C conversion; differentiable between floats */

/* ==== reductions ==== */

/* Axes are a set of bits: HZ_AXIS(1), HZ_AXIS(0) | HZ_AXIS(-1); negative ones count from the end; HZ_ALL_AXES is the
 * empty set, 0. With keep, reduced axes stay with extent 1; without, they are dropped. Over no elements a sum is 0, a
 * mean NaN, max and logsumexp −∞, min +∞. */
#define HZ_AXIS(k) ((hz_axes)1u << ((unsigned)(k)&31u))
enum { HZ_ALL_AXES = 0 };

extern const hz_op hz_op_sum;
hz_var hz_sum(hz_var x, hz_axes axes, bool keep);

extern const hz_op hz_op_mean;
hz_var hz_mean(hz_var x, hz_axes axes, bool keep);

extern const hz_op hz_op_max;
hz_var hz_max(hz_var x, hz_axes axes, bool keep); /* gradient shared evenly between equal maxima */

extern const hz_op hz_op_min;
hz_var hz_min(hz_var x, hz_axes axes, bool keep); /* likewise */

extern const hz_op hz_op_logsumexp;
hz_var hz_logsumexp(hz_var x, hz_axes axes, bool keep); /* log Σ e^x */

hz_var hz_var_of(hz_var x, hz_axes axes, bool keep); /* biased variance */

extern const hz_op hz_op_argmax;
hz_var hz_argmax(hz_var x, int axis, bool keep); /* i64; first maximum, a NaN wins; no gradient */
hz_var hz_argmin(hz_var x, int axis, bool keep);

extern const hz_op hz_op_cumsum;
hz_var hz_cumsum(hz_var x, int axis, bool exclusive, bool reverse);

extern const hz_op hz_op_softmax;
hz_var hz_softmax(hz_var x, hz_axes axes); /* e^x / Σ e^x, jointly over axes */

extern const hz_op hz_op_log_softmax;
hz_var hz_log_softmax(hz_var x, hz_axes axes); /* its logarithm, without underflow */

extern const hz_op hz_op_softmax_grad;
hz_var hz_softmax_grad(hz_var y, hz_var dy, hz_axes axes); /* y·(dy − Σ dy·y), y = softmax(x) */

extern const hz_op hz_op_log_softmax_grad;
hz_var hz_log_softmax_grad(hz_var y, hz_var dy, hz_axes axes); /* dy − e^y·Σ dy, y = log_softmax(x) */

/* ==== linear maps ==== */

/* A·B with A (…, m, k), B (…, k, n) → (…, m, n); leading axes broadcast; rank-1 operands as in NumPy. */
extern const hz_op hz_op_matmul;
hz_var hz_matmul(hz_var a, hz_var b);

/* y = x·Wᵀ + b: x (…, in), w (out, in), b (out) or hz_none → (…, out). */
extern const hz_op hz_op_linear;
hz_var hz_linear(hz_var x, hz_var w, hz_var b);

/* ==== convolution ==== */

/* All zero means: stride 1, no padding, dilation 1, one group. Index 0 is vertical. pad is symmetric and is added to
 * pad_before and pad_after. */
typedef struct hz_conv2d_opts {
    int64_t stride[2], pad[2], pad_before[2], pad_after[2], dilation[2], groups;
} hz_conv2d_opts;

/* x (N, C, H, W), w (K, C/groups, R, S), b (K) or hz_none → (N, K, OH, OW); see tensor/conv2d.h. opts may be NULL. */
extern const hz_op hz_op_conv2d;
hz_var hz_conv2d(hz_var x, hz_var w, hz_var b, const hz_conv2d_opts *opts);

/* The adjoints of conv2d in x (extent h × w of x given) and in w (extent r × s given). */
extern const hz_op hz_op_conv2d_input_grad;
hz_var hz_conv2d_input_grad(hz_var dy, hz_var w, const hz_conv2d_geometry *g, int64_t h, int64_t wd);
extern const hz_op hz_op_conv2d_weight_grad;
hz_var hz_conv2d_weight_grad(hz_var x, hz_var dy, const hz_conv2d_geometry *g, int64_t r, int64_t s);

/* Transposed convolution: x (N, K, H, W), w (K, C/groups, R, S), b (C) or hz_none → (N, C, OH, OW),
 * OH = (H−1)·stride − pad_before − pad_after + dilation·(R−1) + 1 + output_pad. opts and output_pad may be NULL. */
hz_var hz_conv_transpose2d(hz_var x, hz_var w, hz_var b, const hz_conv2d_opts *opts,
                           const int64_t output_pad[2]);

/* 1-d: x (N, C, L), w (K, C/groups, R), transposed x (N, K, L); index 0 of the options is used. */
hz_var hz_conv1d(hz_var x, hz_var w, hz_var b, const hz_conv2d_opts *opts);
hz_var hz_conv_transpose1d(hz_var x, hz_var w, hz_var b, const hz_conv2d_opts *opts, int64_t output_pad);

/* ==== pooling ==== */

/* stride 0: the kernel's size; dilation 0: 1; ceil: partial windows at the end count (they must begin inside the
 * input or the padding before it). */
typedef struct hz_pool2d_opts {
    int64_t kernel[2], stride[2], pad[2], pad_before[2], pad_after[2], dilation[2];
    bool ceil;
    bool count_padding; /* average: divide by the kernel size, padding included */
} hz_pool2d_opts;

extern const hz_op hz_op_max_pool2d;
hz_var hz_max_pool2d(hz_var x, const hz_pool2d_opts *opts); /* a tie goes to the first in row-major order */

/* dy at the maxima of the windows of x, and the adjoint of that in dy: v, of x's shape, at these maxima. */
extern const hz_op hz_op_max_pool2d_grad;
hz_var hz_max_pool2d_grad(hz_var x, hz_var dy, const hz_pool2d_geometry *g);
extern const hz_op hz_op_max_pool2d_take;
hz_var hz_max_pool2d_take(hz_var x, hz_var v, const hz_pool2d_geometry *g, int64_t oh, int64_t ow);

extern const hz_op hz_op_avg_pool2d;
hz_var hz_avg_pool2d(hz_var x, const hz_pool2d_opts *opts); /* divides by the positions inside the input */

/* The adjoints of averages, for an x of extent h × w. */
extern const hz_op hz_op_avg_pool2d_grad;
hz_var hz_avg_pool2d_grad(hz_var dy, const hz_pool2d_geometry *g, int64_t h, int64_t w);

extern const hz_op hz_op_adaptive_avg_pool2d;
hz_var hz_adaptive_avg_pool2d(hz_var x, int64_t oh,
                              int64_t ow); /* window oy: rows ⌊oy·H/OH⌋ … ⌈(oy+1)·H/OH⌉−1 */

extern const hz_op hz_op_adaptive_avg_pool2d_grad;
hz_var hz_adaptive_avg_pool2d_grad(hz_var dy, int64_t h, int64_t w);

hz_var hz_adaptive_max_pool2d(hz_var x, int64_t oh, int64_t ow);
hz_var hz_global_avg_pool2d(hz_var x); /* (N, C, H, W) → (N, C, 1, 1) */
hz_var hz_global_max_pool2d(hz_var x); /* gradient shared evenly between equal maxima */

/* 1-d: x (N, C, L); index 0 of the options is used. */
hz_var hz_max_pool1d(hz_var x, const hz_pool2d_opts *opts);
hz_var hz_avg_pool1d(hz_var x, const hz_pool2d_opts *opts);
hz_var hz_adaptive_avg_pool1d(hz_var x, int64_t ol);
hz_var hz_adaptive_max_pool1d(hz_var x, int64_t ol);

/* ==== normalisation ==== */

extern const hz_op hz_op_normalize;
hz_var hz_normalize(hz_var x, hz_axes axes,
                    double eps); /* (x − mean)/√(var + eps) over axes, biased variance */

extern const hz_op hz_op_normalize_grad;
hz_var hz_normalize_grad(hz_var x, hz_var dy, hz_axes axes, double eps);

/* normalize(x)·gamma + beta in one pass; gamma and beta broadcast to x's shape. */
extern const hz_op hz_op_normalize_affine;
hz_var hz_normalize_affine(hz_var x, hz_var gamma, hz_var beta, hz_axes axes, double eps);

extern const hz_op hz_op_normalize_affine_grad; /* normalize_grad(x, dy·gamma) in one pass */
hz_var hz_normalize_affine_grad(hz_var x, hz_var dy, hz_var gamma, hz_axes axes, double eps);

/* Σ dy·normalize(x), summed to a shape that broadcasts to x's: the gradient of gamma. */
extern const hz_op hz_op_normalize_dot;
hz_var hz_normalize_dot(hz_var x, hz_var dy, hz_axes axes, double eps, int rank, const int64_t *dim);

/* Statistics of the batch: over N and all axes after C. x (N, C, …), gamma, beta (C) or hz_none. */
hz_var hz_batch_norm(hz_var x, hz_var gamma, hz_var beta, double eps);

/* Given statistics: gamma·(x − mean)/√(var + eps) + beta; all (C); gamma, beta or hz_none. */
extern const hz_op hz_op_batch_norm_infer;
hz_var hz_batch_norm_infer(hz_var x, hz_var gamma, hz_var beta, hz_var mean, hz_var var, double eps);

/* Over the last n axes; gamma, beta of their shape or hz_none. */
hz_var hz_layer_norm(hz_var x, hz_var gamma, hz_var beta, int n, double eps);

/* Over C/groups channels and all axes after C, for each of the groups; gamma, beta (C) or hz_none. */
hz_var hz_group_norm(hz_var x, hz_var gamma, hz_var beta, int64_t groups, double eps);
hz_var hz_instance_norm(hz_var x, hz_var gamma, hz_var beta, double eps); /* groups = C */

/* y_c = x_c / (k + alpha/size · Σ x²)^beta, over channels c − ⌊(size−1)/2⌋ … c + ⌈(size−1)/2⌉ inside (Krizhevsky et
 * al. 2012; ONNX's LRN). x (N, C, …). */
hz_var hz_local_response_norm(hz_var x, int64_t size, double alpha, double beta, double k);

/* ==== shape ==== */

extern const hz_op hz_op_reshape;
hz_var hz_reshape(hz_var x, int rank,
                  const int64_t *dim);     /* one extent may be −1; a view where strides allow */
hz_var hz_flatten(hz_var x, int axis);     /* merge axes axis … last into one */
hz_var hz_squeeze(hz_var x, hz_axes axes); /* drop axes of extent 1; HZ_ALL_AXES: all such */
hz_var hz_unsqueeze(hz_var x, int axis);   /* a new axis of extent 1 before axis */

extern const hz_op hz_op_permute;
hz_var hz_permute(hz_var x, const int *perm); /* output axis k is input axis perm[k]; a view */
hz_var hz_transpose(hz_var x, int a, int b);  /* swap two axes */

extern const hz_op hz_op_slice;
hz_var hz_slice(hz_var x, int axis, int64_t start, int64_t count, int64_t step); /* a view; step ≠ 0 */
hz_var hz_flip(hz_var x, int axis);
hz_var hz_pick(hz_var x, const int64_t *index); /* one element, rank 0: the unit to differentiate */

extern const hz_op hz_op_slice_grad;
hz_var hz_slice_grad(hz_var dy, int axis, int64_t start, int64_t step,
                     int64_t extent); /* dy put into zeros */

extern const hz_op hz_op_concat;
hz_var hz_concat(const hz_var *x, int n, int axis);
hz_var hz_stack(const hz_var *x, int n, int axis); /* along a new axis */

typedef enum hz_pad_mode { HZ_PAD_CONSTANT, HZ_PAD_REFLECT, HZ_PAD_EDGE, HZ_PAD_WRAP } hz_pad_mode;

/* One count before and one after for each axis. HZ_PAD_CONSTANT fills with value and takes negative counts, too,
 * which cut; the others take their border from x: mirrored without its edge, its edge, or its other end. */
extern const hz_op hz_op_pad;
hz_var hz_pad(hz_var x, const int64_t *before, const int64_t *after, hz_pad_mode mode, double value);

extern const hz_op hz_op_pad_grad;
hz_var hz_pad_grad(hz_var dy, const int64_t *before, const int64_t *after,
                   hz_pad_mode mode); /* its adjoint */

extern const hz_op hz_op_broadcast_to;
hz_var hz_broadcast_to(hz_var x, int rank, const int64_t *dim); /* a view */

extern const hz_op hz_op_sum_to;
hz_var hz_sum_to(hz_var x, int rank,
                 const int64_t *dim); /* its adjoint: sum what broadcasting would repeat */

hz_var hz_tile(hz_var x, const int64_t *repeats); /* one count per axis */

/* ==== indexing; indices are i32 or i64, negative ones count from the end ==== */

extern const hz_op hz_op_gather;
hz_var hz_gather(hz_var x, int axis, hz_var index); /* numpy.take: index's axes replace the axis */
hz_var hz_embedding(hz_var table, hz_var index);    /* rows of table (V, D): index (…) → (…, D) */

extern const hz_op hz_op_scatter_add;
hz_var hz_scatter_add(hz_var index, hz_var src, int axis,
                      int64_t extent); /* adjoint of gather: add into zeros */

extern const hz_op hz_op_gather_elements;
hz_var hz_gather_elements(hz_var x, int axis, hz_var index); /* torch.gather: same rank */

extern const hz_op hz_op_scatter_elements;
hz_var hz_scatter_elements(hz_var index, hz_var src, int axis, int64_t extent); /* its adjoint */

extern const hz_op hz_op_one_hot;
hz_var hz_one_hot(hz_var index, int64_t depth, hz_dtype dtype); /* new last axis; no gradient */

/* ==== random ==== */

/* x's shape and dtype: 0 with probability p, else 1/(1−p); a pure function of seed and position. No gradient. */
extern const hz_op hz_op_dropout_mask;
hz_var hz_dropout_mask(hz_var x, double p, uint64_t seed);
hz_var hz_dropout(hz_var x, double p, uint64_t seed); /* x · mask */

/* ==== losses ==== */

typedef enum hz_reduce_loss { HZ_LOSS_MEAN = 0, HZ_LOSS_SUM, HZ_LOSS_NONE } hz_reduce_loss;

/* −log softmax(logits)[label]: logits (N, C), labels (N) i32/i64. */
extern const hz_op hz_op_cross_entropy;
hz_var hz_cross_entropy(hz_var logits, hz_var labels, hz_reduce_loss how);

/* The same with more to it. A row's loss is −Σ_c q_c·log softmax(logits)_c with
 *     q_c = w_c·((1 − label_smoothing)·[c = label] + label_smoothing/C),
 * w_c the class weights or 1; HZ_LOSS_MEAN divides the sum by Σ w_label over the rows that count (PyTorch's rule), so
 * it is NaN where none does. */
typedef struct hz_cross_entropy_opts {
    hz_reduce_loss reduce;
    double label_smoothing; /* 0 … 1 */
    hz_var class_weights;   /* (C), of the dtype of the logits; zero: all 1 */
    const int64_t *ignore; /* rows with this label have loss 0, it may lie outside 0 … C−1; NULL: all count */
} hz_cross_entropy_opts;
hz_var hz_cross_entropy_with(hz_var logits, hz_var labels, const hz_cross_entropy_opts *opts);

/* The same for logarithms of probabilities, log_p = hz_log_softmax(logits, HZ_AXIS(1)). opts may be NULL. */
hz_var hz_nll(hz_var log_p, hz_var labels, const hz_cross_entropy_opts *opts);

/* x and target of one shape: these do not broadcast. target is differentiable, too. HZ_LOSS_MEAN is over all elements. */
hz_var hz_mse(hz_var x, hz_var target, hz_reduce_loss how); /* (x − target)² */
hz_var hz_bce(hz_var p, hz_var target, hz_reduce_loss how); /* −t·log p − (1−t)·log(1−p), logs ≥ −100 */
hz_var hz_bce_with_logits(hz_var x, hz_var target,
                          hz_reduce_loss how);                /* the same for p = sigmoid(x), stable */
hz_var hz_l1(hz_var x, hz_var target, hz_reduce_loss how);    /* |x − target|; derivative 0 at 0 */
hz_var hz_kl(hz_var log_q, hz_var p, hz_reduce_loss how);     /* p·(log p − log_q), 0 where p = 0 */
hz_var hz_hinge(hz_var x, hz_var target, hz_reduce_loss how); /* max(1 − target·x, 0), targets −1 and 1 */

/* With d = x − target: d²/2 where |d| < delta, beyond that a straight line: delta·(|d| − delta/2); delta > 0 (Huber
 * 1964). Smooth L1 is that over beta: d²/(2·beta), |d| − beta/2 (Girshick 2015); beta ≥ 0, with 0 it is hz_l1. */
hz_var hz_huber(hz_var x, hz_var target, double delta, hz_reduce_loss how);
hz_var hz_smooth_l1(hz_var x, hz_var target, double beta, hz_reduce_loss how);

/* ==== units: naming one number of a recorded pass ==== */

/* "layer[c,y,x]", "layer[k]", "layer[c,argmax]", "layer[argmax]": the layer's name as on the tape, the index without
 * or with the batch axis (0). argmax is the strongest unit: of channel c, or of all; a layer (N, K) has no positions in
 * a channel, so that only the batch index may stand before its argmax. A value of rank 0 is "name" alone, or "name[]".
 * Returns a rank-0 variable. */
hz_var hz_unit(hz_tape *t, const char *unit);

/* What hz_unit found: the layer and the full index (of the layer's rank). False with the tape's error set. */
typedef struct hz_unit_info {
    hz_var layer;
    int64_t index[HZ_MAX_RANK];
    char text[256]; /* with argmax resolved: "fire9[489,5,3]" */
} hz_unit_info;
bool hz_unit_parse(hz_tape *t, const char *unit, hz_unit_info *info);

/* ==== gradient rules for the ReLU family: ReLU, ReLU6, clip from 0 ==== */

/* Deconvnet: dx = max(dy, 0) (Zeiler & Fergus 2014, section 2.1). */
hz_var hz_relu_deconvnet(const hz_node *n, int i, hz_var dy);

/* Guided backpropagation: dx = max(dy, 0) where the derivative is 1 (Springenberg et al. 2014, section 3.4). */
hz_var hz_relu_guided(const hz_node *n, int i, hz_var dy);

/* True for relu, relu6 and clip with lo = 0. */
bool hz_is_relu(const hz_node *n, const void *ctx);

/* Rules by name: "gradient" (no rules), "deconvnet", "guided". NULL for an unknown name. hz_rule_names[] ends with
 * NULL. */
const hz_rules *hz_rules_named(const char *name);
extern const char *const hz_rule_names[];

/* ==== for imported graphs ==== */

extern const hz_op hz_op_atan;
hz_var hz_atan(hz_var x); /* arctan x */

#ifdef __cplusplus
}
#endif
#endif
