/* hzero.h: all of hzero in one include.
 *
 *   tensor/    numbers in strided memory, files
 *   autograd/  the tape, gradients, rules, gradient checks
 *   ops/       every operation
 *   nn/        weights, layers, models, preprocessing, data, initialisers, optimisers, schedules,
 *              progress, logs and learning curves
 *
 * Begin reading with autograd/tape.h, autograd/grad.h and ops/ops.h.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_HZERO_H
#define HZ_NN_HZERO_H

#include "autograd/grad.h"
#include "autograd/gradcheck.h"
#include "autograd/recompute.h"
#include "autograd/tape.h"
#include "nn/checkpoint.h"
#include "nn/curve.h"
#include "nn/data.h"
#include "nn/evaluate.h"
#include "nn/init.h"
#include "nn/layers.h"
#include "nn/loader.h"
#include "nn/model.h"
#include "nn/optim.h"
#include "nn/parallel.h"
#include "nn/params.h"
#include "nn/preprocess.h"
#include "nn/progress.h"
#include "nn/schedule.h"
#include "nn/train_log.h"
#include "nn/weights.h"
#include "ops/ops.h"
#include "tensor/box.h"
#include "tensor/conv2d.h"
#include "tensor/elementwise.h"
#include "tensor/error.h"
#include "tensor/exec.h"
#include "tensor/file.h"
#include "tensor/gemm.h"
#include "tensor/image.h"
#include "tensor/index.h"
#include "tensor/memory.h"
#include "tensor/npy.h"
#include "tensor/optim.h"
#include "tensor/png.h"
#include "tensor/pool2d.h"
#include "tensor/random.h"
#include "tensor/reduce.h"
#include "tensor/safetensors.h"
#include "tensor/tensor.h"

#endif
