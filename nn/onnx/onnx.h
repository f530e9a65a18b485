/* onnx.h: a trained network as an ONNX file, recorded on a tape.
 *
 *   hz_onnx *net;
 *   if (!hz_onnx_open("net.onnx", NULL, &net, &err)) …
 *   hz_var scores;
 *   hz_onnx_run(net, t, &x, &scores);
 *   hz_var unit = hz_unit(t, "/layer4/relu_1_output_0[7,3,3]");    every value has its ONNX name on the tape
 *   if (!hz_tape_ok(t, &err)) …
 *   hz_onnx_close(net);                                            after the tape: its leaves borrow the weights
 *
 * A Relu becomes hz_relu and a Clip becomes hz_clip, so that every gradient rule reaches them. Integers (shapes, axes,
 * indices) are tensors on the tape as well, without a gradient. float16 and bfloat16 are computed in f32; integers
 * narrower than 32 bits in i32, unsigned ones of 32 and 64 bits in i64, wrapped to their own range.
 *
 * Files are untrusted. An op that is not known, or a value of a type that cannot be held, is refused when the file is
 * opened, in one message; a known op used in a way that is not supported, when it is recorded. A small file can ask for
 * much memory when it runs (Expand, ConstantOfShape): recording stops with an error at HZ_ONNX_RUN_BYTES, and 256 times the
 * bytes of parameters and inputs.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_ONNX_H
#define HZ_NN_ONNX_H

#include "autograd/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hz_onnx hz_onnx;

/* What any model may take on a tape. */
#define HZ_ONNX_RUN_BYTES ((size_t)4 << 30)

/* Whether this build reads ONNX at all (it was built with libprotobuf-c and onnx.proto). */
bool hz_onnx_available(void);

/* Read the model at path, at most 2 GiB; weights in files beside it (external data) are read, too, but from its own
 * folder only. Memory: below 80 times the file's size plus 1 MB (less than 3 times for a file that is mostly weights),
 * plus the external data. alloc NULL: the C library. HZ_ENOTFOUND, HZ_EIO, HZ_ENOMEM; HZ_EFORMAT for a file that is
 * broken; HZ_EINVAL for what is not supported, all of it listed: 'net.onnx: unsupported: Foo (opset 13, node "bar")'. */
bool hz_onnx_open(const char *path, const hz_allocator *alloc, hz_onnx **out, hz_error *err);

/* The same from a file's size bytes in memory, which may go afterwards. There is no folder for external data. */
bool hz_onnx_open_memory(const void *data, size_t size, const hz_allocator *alloc, hz_onnx **out,
                         hz_error *err);

void hz_onnx_close(hz_onnx *m); /* NULL is legal */

/* For inference: fold every BatchNormalization with given statistics into the Conv before it, if that has no other user and
 * both have constant parameters. The output of the Conv is then made only when its name is asked for, by hz_find or
 * hz_unit; gradients of it are as before, but none arrive at it, nor at the parameters that were folded, from what comes
 * after. Call it once, before the first run, and not to train. Memory: as much again as the weights of these Convs.
 * hz_onnx_run_f64 goes on without. */
bool hz_onnx_fold_batch_norm(hz_onnx *m, hz_error *err);

/* True for an error, of hz_onnx_open or of a tape, that says the file is sound but more than this library can do; *what
 * (may be NULL) points behind the word "unsupported: " in its text. */
bool hz_onnx_is_unsupported(const hz_error *err, const char **what);

/* What goes in and comes out, in the order of the file. Inputs with an initializer are parameters, not inputs. */
int hz_onnx_n_inputs(const hz_onnx *m);
int hz_onnx_n_outputs(const hz_onnx *m);
const char *hz_onnx_input_name(const hz_onnx *m, int k);
const char *hz_onnx_output_name(const hz_onnx *m, int k);

/* The element type declared: "float", "int64", "bfloat16", …; "undefined" if there is none. */
const char *hz_onnx_input_type(const hz_onnx *m, int k);
const char *hz_onnx_output_type(const hz_onnx *m, int k);

/* The shape an input declares, −1 for an extent that is left open (a batch of any size). False if it declares none. */
bool hz_onnx_input_shape(const hz_onnx *m, int k, int *rank, int64_t dim[HZ_MAX_RANK]);

/* The initializer of that name ('.' and '/' are not the same here); NULL if there is none. A view that m owns. */
const hz_tensor *hz_onnx_parameter(const hz_onnx *m, const char *name);

/* Record the network: in[k] is input k, out[k] (may be NULL) becomes output k. Values get their names. False, and inert
 * outputs, if the tape is in error afterwards. m may be used by several threads, each with its own tape. */
bool hz_onnx_run(const hz_onnx *m, hz_tape *t, const hz_var *in, hz_var *out);

/* The same with every float in f64, whatever the file says, and none rounded to 16 bits: what a gradient check needs,
 * since f32 is too coarse for differences. Float inputs are f64. */
bool hz_onnx_run_f64(const hz_onnx *m, hz_tape *t, const hz_var *in, hz_var *out);

/* One tensor from a file of its own (a TensorProto, as conformance data has them). out->data comes from alloc and is
 * given back with hz_free. */
bool hz_onnx_read_tensor(const char *path, const hz_allocator *alloc, hz_tensor *out, hz_error *err);

/* ---- writing ---- */

typedef struct hz_onnx_save_opts {
    bool dynamic_batch; /* axis 0 of all inputs, and what follows from it, is of any size: the axis "N" */
    const struct hz_text_pair *metadata; /* n_metadata keys and values to go with the model */
    int n_metadata;
    const hz_allocator *alloc; /* NULL: the C library */
} hz_onnx_save_opts;

/* Write what computes out[0 … n_out) from in[0 … n_in) to the file at path, as ONNX of opset 17 that other runtimes load:
 *
 *   hz_onnx_save("net.onnx", &scores, 1, &pixels, 1, NULL, &err)
 *
 * Inputs may be any variables: what made them is left out, and so is all that no output needs. Other leaves become
 * initializers, with their values of now. Every value keeps its name: the one given last, unless a later variable has it
 * (then with a number behind it); other names of a result are Identity nodes before it. Gradients recorded with
 * hz_grad_opts.differentiable are ops like others.
 *
 * An op without an ONNX form is written by its formula; one without a meaning in ONNX (dropout_mask, an op of the
 * caller's own) is refused: HZ_EINVAL, all such nodes in one message, and nothing is written. The file appears whole or not
 * at all. Floats are f32 or f64 as on the tape; not every runtime has every op in f64.
 *
 * dynamic_batch: record at least 2 examples. HZ_ESHAPE names the first node that cannot follow. Numbers that were computed
 * from the batch's size while recording, such as the 1/N in the gradient of a mean over it, stay what they are. */
bool hz_onnx_save(const char *path, const hz_var *out, int n_out, const hz_var *in, int n_in,
                  const hz_onnx_save_opts *opts, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
