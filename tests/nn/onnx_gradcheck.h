/* onnx_gradcheck.h: the gradients of an imported model at given inputs against central differences in f64.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_NN_ONNX_GRADCHECK_H
#define HZ_TESTS_NN_ONNX_GRADCHECK_H

#include "nn/onnx/onnx.h"

/* Check m at inputs x[0 … n). False if a gradient disagrees or the model does not run in f64. text says what was
 * compared, and which paths carry no gradient: "96 compared, 90 non-zero; none at input 1". */
bool onnx_gradcheck(const hz_onnx *m, const hz_tensor *x, int n, char *text, size_t size);

#endif
