/* layers.h: what networks are written with: layers that know their parameters by name.
 *
 *   hz_var lenet(hz_net *net, hz_var x) {                                                    (N, 1, 28, 28)
 *       x = hz_relu(hz_layer_conv2d(net, "conv1", x, &(hz_conv2d_layer){.out = 6, .kernel = {5, 5}, .opts.pad = {2, 2}}));
 *       …
 *       return hz_name(hz_layer_linear(net, "fc3", x, &(hz_linear_layer){.out = 10}), "logits");        (N, 10)
 *   }
 *
 * A network is such a function. Given a tape it records itself: with parameters from a file of weights, or from a store
 * (params.h), which makes those that it lacks; the one definition serves training, evaluation and looking inside.
 *
 * The layer "conv1" takes its parameters from "conv1.weight" and "conv1.bias". Each becomes a leaf named so, and the
 * layer's output is named "conv1", so that hz_find and hz_unit reach it and errors name it. Inside hz_net_enter(&net,
 * "fire2") the same layer is "fire2.conv1", in the weights and on the tape. See nn/models/ for whole networks, and
 * nn/layers/ for how a layer is written: a screen of code.
 *
 * Sizes that a layer's options leave 0 are those of the weights, which must then be there already. Names, layouts and
 * first values are PyTorch's. Like ops, layers return the inert variable on failure and leave the reason with the tape.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_LAYERS_H
#define HZ_NN_LAYERS_H

#include "nn/params.h"
#include "nn/weights.h"
#include "ops/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HZ_NET_PATH = 128 };

/* A network while its forward pass is recorded. Set tape and either weights or params, leave the rest zero. */
struct hz_net {
    hz_tape *tape;             /* where ops are recorded */
    const hz_weights *weights; /* parameters of a file, for inference */
    bool f64;                  /* give layers those of the file in f64, for an input of f64 */
    hz_params
        *params;   /* or those of a store. Either must outlive what is recorded: the leaves borrow tensors */
    bool training; /* normalise by the batch and keep its statistics, drop out; needs params */
    uint64_t seed; /* of dropout, which is a function of seed, step and the layer's name */
    int64_t step;  /* number of the training step */
    char path[HZ_NET_PATH]; /* private: the parts entered, "layer1.0" */
};

/* Parts nest; what was entered is left under the same name. hz_name(y, "") then names y after the part. */
void hz_net_enter(hz_net *net, const char *part);
void hz_net_leave(hz_net *net, const char *part);

/* For depth beyond memory: block(net, x, options), of which the tape keeps only the result; its inside is run again when a
 * gradient passes there (autograd/recompute.h). Layers, dropout and running statistics do what they do without it.
 *
 *   for (int k = 0; k < 48; k++) x = hz_net_recompute(net, transformer_block, x, &blocks[k]);
 *
 * options must stay as long as what is recorded. */
typedef hz_var (*hz_block_fn)(hz_net *net, hz_var x, const void *options);
hz_var hz_net_recompute(hz_net *net, hz_block_fn block, hz_var x, const void *options);

/* ---- parameters, for layers of one's own ---- */

/* The parameter of that name as a leaf; the same leaf however often it is asked for while the tape is recorded.
 * The spellings of other frameworks are found, too: kernel or gamma for weight, beta for bias, moving_mean and
 * moving_variance for running_mean and running_var. HZ_ENOTFOUND with the names next to it if there is none. */
hz_var hz_param(hz_net *net, const char *name);

/* The same, but the inert variable and no error if there is none. */
hz_var hz_param_optional(hz_net *net, const char *name);

/* The same for a parameter whose shape is known: a store that lacks it makes it, with those first values (NULL: zeros).
 * HZ_ESHAPE, with both shapes, if there is one of another shape; an extent of −1 fits any. */
hz_var hz_param_shaped(hz_net *net, const char *name, int rank, const int64_t *dim, const hz_initial *how);

/* A tensor that is kept but not trained, as it is in the store or in the file; a store that lacks it makes it, filled with
 * value. NULL, with the reason on the tape, if it cannot be had. What is recorded must not change afterwards, so read it
 * as a leaf or update it, not both. */
const hz_tensor *hz_buffer(hz_net *net, const char *name, hz_dtype dtype, int rank, const int64_t *dim,
                           double value);

/* Name a layer's output after it, and leave it: how a layer ends that began with hz_net_enter. Returns y. */
hz_var hz_net_output(hz_net *net, const char *layer, hz_var y);

/* A number that is a function of net's seed and step and of the path and name: for random masks. */
uint64_t hz_net_seed(const hz_net *net, const char *name);

/* ==== layers ====
 *
 * x, result and parameters are shaped as for the op of the layer's name (ops.h); options may be NULL: all zero. What has no
 * parameters needs no layer: use the ops for activations, poolings, padding, reshaping. */

/* ---- linear maps ---- */

/* Parameters weight (out, in) and bias (out). First values: uniform in ±1/√in. */
typedef struct hz_linear_layer {
    int64_t out;
    bool no_bias; /* a file that has none needs none either; so everywhere */
} hz_linear_layer;
hz_var hz_layer_linear(hz_net *net, const char *layer, hz_var x, const hz_linear_layer *l);

/* Rows of the parameter weight (rows, width): x (…) of i32 or i64 → (…, width). First values: normal, mean 0, deviation
 * 1. A row for padding begins with zeros and gets no gradient. */
typedef struct hz_embedding_layer {
    int64_t rows, width;
    const int64_t *padding; /* its number, from the end if negative; NULL: there is none */
} hz_embedding_layer;
hz_var hz_layer_embedding(hz_net *net, const char *layer, hz_var x, const hz_embedding_layer *l);

/* ---- convolutions. First values: uniform in ±1/√fan_in, of weight and bias. ---- */

/* Parameters weight (out, C/groups, R) and bias (out). x (N, C, L) → (N, out, OL). */
typedef struct hz_conv1d_layer {
    int64_t out, kernel;
    hz_conv2d_opts opts; /* index 0 of stride, pad, dilation; groups */
    bool no_bias;
} hz_conv1d_layer;
hz_var hz_layer_conv1d(hz_net *net, const char *layer, hz_var x, const hz_conv1d_layer *l);

/* Parameters weight (out, C/groups, R, S) and bias (out). x (N, C, H, W) → (N, out, OH, OW). */
typedef struct hz_conv2d_layer {
    int64_t out, kernel[2]; /* channels; height and width */
    hz_conv2d_opts opts;    /* stride, pad, dilation, groups */
    bool no_bias;
} hz_conv2d_layer;
hz_var hz_layer_conv2d(hz_net *net, const char *layer, hz_var x, const hz_conv2d_layer *l);

/* Parameters weight (C, out/groups, R, S) and bias (out). x (N, C, H, W) → (N, out, OH, OW); of the fan-in PyTorch's
 * word is taken: out/groups·R·S. */
typedef struct hz_conv_transpose2d_layer {
    int64_t out, kernel[2];
    hz_conv2d_opts opts;
    int64_t output_pad[2]; /* rows and columns more */
    bool no_bias;
} hz_conv_transpose2d_layer;
hz_var hz_layer_conv_transpose2d(hz_net *net, const char *layer, hz_var x,
                                 const hz_conv_transpose2d_layer *l);

/* The same for sequences: weight (C, out/groups, R), x (N, C, L) → (N, out, OL). */
typedef struct hz_conv_transpose1d_layer {
    int64_t out, kernel;
    hz_conv2d_opts opts; /* index 0 of stride, pad, dilation; groups */
    int64_t output_pad;
    bool no_bias;
} hz_conv_transpose1d_layer;
hz_var hz_layer_conv_transpose1d(hz_net *net, const char *layer, hz_var x,
                                 const hz_conv_transpose1d_layer *l);

/* ---- normalisations. Parameters weight (γ, ones) and bias (β, zeros), which files may lack. ---- */

/* By the statistics of the batch, for each channel: x (N, C, …). γ, β (C). Buffers running_mean (zeros), running_var
 * (ones), and num_batches_tracked (i64; files may lack it). In training the running statistics approach those of the batch,
 * the variance unbiased, by the share `momentum`; otherwise x is normalised by them. */
typedef struct hz_batch_norm_layer {
    double eps;      /* 0: 1e-5; so everywhere */
    double momentum; /* 0: 0.1 */
    bool no_affine;  /* neither γ nor β */
    bool no_running; /* no buffers: always by the batch */
} hz_batch_norm_layer;
hz_var hz_layer_batch_norm(hz_net *net, const char *layer, hz_var x, const hz_batch_norm_layer *l);

/* The same for each channel of each picture. As in PyTorch there are neither γ and β nor buffers unless asked for; with
 * the buffers it is as in batch norm, only that num_batches_tracked stays 0. */
typedef struct hz_instance_norm_layer {
    double eps, momentum;
    bool affine, running;
} hz_instance_norm_layer;
hz_var hz_layer_instance_norm(hz_net *net, const char *layer, hz_var x, const hz_instance_norm_layer *l);

/* HZ_ESHAPE from these two where the statistics would be of one number, of which nothing but β is left. */

/* Each position by itself, over the last axes. γ, β of their extents. (hz_layer_norm is the op.) */
typedef struct hz_layer_norm_layer {
    int axes; /* how many; 0: 1 */
    double eps;
    bool no_affine, no_bias; /* neither γ nor β; no β */
} hz_layer_norm_layer;
hz_var hz_layer_layer_norm(hz_net *net, const char *layer, hz_var x, const hz_layer_norm_layer *l);

/* Over groups of channels of each picture. γ, β (C). */
typedef struct hz_group_norm_layer {
    int64_t groups; /* 0: 1 */
    double eps;
    bool no_affine;
} hz_group_norm_layer;
hz_var hz_layer_group_norm(hz_net *net, const char *layer, hz_var x, const hz_group_norm_layer *l);

/* ---- activations that learn; those that do not are ops ---- */

/* x > 0 ? x : slope·x. Parameter weight: one slope for all, or one for each channel of x (N, C, …). First value: 1/4. */
typedef struct hz_prelu_layer {
    int64_t slopes; /* 0: those of the weights, or else 1 */
} hz_prelu_layer;
hz_var hz_layer_prelu(hz_net *net, const char *layer, hz_var x, const hz_prelu_layer *l);

/* The activation of that name, with PyTorch's numbers where it has some: "relu", "leaky_relu" (0.01), "elu" (1), …
 * HZ_ENOTFOUND with all their names. hz_activation_name: number k, 0 …; NULL past the end. */
hz_var hz_activation(hz_var x, const char *name);
const char *hz_activation_name(int k);

/* ---- sequences ---- */

/* Recurrent layers over x (L, N, in), L ≥ 1 steps of N sequences → (L, N, H), the state after every step; with batch_first
 * (N, L, …); of one sequence alone (L, …), as are its states. Parameters, for each layer k and, where it runs backwards,
 * "_reverse": weight_ih_lk (G·H, in), weight_hh_lk (G·H, H), bias_ih_lk and bias_hh_lk (G·H), of G gates in PyTorch's order.
 * First values: uniform in ±1/√H. The steps are recorded one by one, so that any of them can be differentiated. */
typedef struct hz_recurrent_layer {
    int64_t hidden;     /* H */
    int layers;         /* one upon the other; 0: 1 */
    bool bidirectional; /* results side by side, forwards first: (L, N, 2H) */
    bool batch_first, no_bias;
    bool relu;      /* of hz_layer_rnn: instead of tanh */
    double dropout; /* between layers, in training: as hz_layer_dropout */
    /* The state (layers · directions, N, H), forwards first; of LSTMs h and c. What these point to is where it begins (the
     * inert variable: zeros) and, on return, where it ended. NULL: it begins with zeros, its end is not wanted. */
    hz_var *h, *c;
} hz_recurrent_layer;

/* h′ = tanh(W_ih·x + b_ih + W_hh·h + b_hh) */
hz_var hz_layer_rnn(hz_net *net, const char *layer, hz_var x, const hz_recurrent_layer *l);

/* Gates i, f, g, o: c′ = σ(f)·c + σ(i)·tanh(g), h′ = σ(o)·tanh(c′) (Hochreiter & Schmidhuber 1997; Gers et al. 2000) */
hz_var hz_layer_lstm(hz_net *net, const char *layer, hz_var x, const hz_recurrent_layer *l);

/* Gates r, z, n: n = tanh(W·x + b_ih + σ(r)·(W·h + b_hh)), h′ = (1 − σ(z))·n + σ(z)·h (Cho et al. 2014) */
hz_var hz_layer_gru(hz_net *net, const char *layer, hz_var x, const hz_recurrent_layer *l);

/* softmax(q·kᵀ/√(E/heads) + mask)·v for each head (Vaswani et al. 2017): query (L, N, E), key (S, N, …), value (S, N, …) →
 * (L, N, E); with batch_first (N, L, …); of one sequence alone (L, …). The weights, (N, heads, L, S), are on the tape as
 * "LAYER.weights". Parameters in_proj_weight (3E, E), or, where keys or values have another width than queries,
 * q_proj_weight (E, E), k_proj_weight, v_proj_weight; in_proj_bias (3E), out_proj.weight (E, E), out_proj.bias (E). First
 * values: Xavier's, of out_proj uniform in ±1/√E; biases zeros.
 *
 * A mask of u8 is 1 where a key must not be looked at; one of floats is added to the scores. A query that may look at no key
 * gets NaN. */
typedef struct hz_attention_layer {
    int64_t heads; /* divides E; 0: 1 */
    bool batch_first, no_bias;
    bool causal;    /* query i looks at keys 0 … i only */
    hz_var mask;    /* (L, S) or (N·heads, L, S); zero: none */
    hz_var padding; /* (N, S), the same for all queries; zero: none */
    double dropout; /* of the weights, in training */
} hz_attention_layer;
hz_var hz_layer_attention(hz_net *net, const char *layer, hz_var query, hz_var key, hz_var value,
                          const hz_attention_layer *l);

/* Attention of x to itself, then two linear maps for each position, both around a residual connection: x → x of the same
 * shape. Layers self_attn, linear1 (to `feedforward` and an activation), linear2, norm1, norm2: PyTorch's
 * TransformerEncoderLayer; causal and norm_first, it is the block of GPT-2. */
typedef struct hz_transformer_layer {
    int64_t feedforward;
    hz_attention_layer attention; /* dropout: of the results, too; no_bias: of none of the layers */
    bool norm_first;              /* x + f(norm(x)); otherwise norm(x + f(x)) */
    bool gelu;                    /* instead of ReLU */
    double eps;                   /* of the norms */
} hz_transformer_layer;
hz_var hz_layer_transformer(hz_net *net, const char *layer, hz_var x, const hz_transformer_layer *l);

/* ---- noise ---- */

/* In training, zero with probability p, the rest times 1/(1 − p); otherwise x itself. No parameters. */
hz_var hz_layer_dropout(hz_net *net, const char *layer, hz_var x, double p);

/* ==== networks as tables ====
 *
 *   static const hz_pool2d_opts halves = {.kernel = {2, 2}};
 *
 *   hz_var lenet(hz_net *net, hz_var x) {
 *       return hz_sequential(net, "", x, HZ_STAGES(
 *           {.conv2d = &(hz_conv2d_layer){.out = 6, .kernel = {5, 5}, .opts.pad = {2, 2}}},
 *           {.op = hz_relu},
 *           {.max_pool2d = &halves},
 *           …
 *           {.flatten = 1},
 *           {.name = "logits", .linear = &(hz_linear_layer){.out = 10}}));
 *   }
 *
 * A stage without a name has its number, so that paths are those of PyTorch's nn.Sequential: "0.weight", "3.weight". */

typedef struct hz_stage hz_stage;
typedef struct hz_stages {
    const hz_stage *stage;
    int n;
} hz_stages;

/* Stages in place. */
#define HZ_STAGES(...)                                   \
    (&(const hz_stages){(const hz_stage[]){__VA_ARGS__}, \
                        (int)(sizeof((const hz_stage[]){__VA_ARGS__}) / sizeof(hz_stage))})

/* One thing to do: HZ_EINVAL if more than one of these is set; with none, x goes on as it is. */
struct hz_stage {
    const char *name;                      /* NULL: its number, from 0 */
    hz_var (*op)(hz_var x);                /* hz_relu, hz_global_avg_pool2d, … or a function of one's own */
    hz_var (*part)(hz_net *net, hz_var x); /* the same with parameters, which lie under the stage's name */
    const hz_linear_layer *linear;
    const hz_embedding_layer *embedding;
    const hz_conv1d_layer *conv1d;
    const hz_conv2d_layer *conv2d;
    const hz_conv_transpose1d_layer *conv_transpose1d;
    const hz_conv_transpose2d_layer *conv_transpose2d;
    const hz_batch_norm_layer *batch_norm;
    const hz_instance_norm_layer *instance_norm;
    const hz_layer_norm_layer *layer_norm;
    const hz_group_norm_layer *group_norm;
    const hz_prelu_layer *prelu;
    const hz_pool2d_opts *max_pool2d, *avg_pool2d;
    int flatten;                 /* the axes from this one on into one */
    double dropout;              /* its probability */
    const hz_stages *sequential; /* "NAME.0", … */
    const hz_stages *residual;   /* the branch of hz_residual, */
    const hz_stages *shortcut;   /* and the way past it */
};

/* Stage after stage, under name; "": in the part that is entered already. */
hz_var hz_sequential(hz_net *net, const char *name, hz_var x, const hz_stages *stages);

/* branch(x) + x (He et al. 2016), or + shortcut(x) if it is not NULL; both of one shape, HZ_ESHAPE. Parameters of the
 * branch are "NAME.0…", those of the shortcut "NAME.downsample.0…", as torchvision says. */
hz_var hz_residual(hz_net *net, const char *name, hz_var x, const hz_stages *branch,
                   const hz_stages *shortcut);

#ifdef __cplusplus
}
#endif
#endif
