/* local_response_norm.c: y_c = x_c / (k + alpha/size · Σ x²)^beta, the sum over `size` neighbouring channels
 * (Krizhevsky et al. 2012, section 3.3; ONNX's LRN). The sum over size is an average pooling along the channels that
 * counts its padding.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "ops/common.h"

/* Σ/size of x² (N, C, A, B) over windows of channels: pooling wants them on axis 2. */
static hz_var average_squares(hz_var x, int64_t size) {
    static const int swap[] = {0, 2, 1, 3};
    const hz_pool2d_opts window = {.kernel = {size, 1},
                                   .stride = {1, 1},
                                   .pad_before = {(size - 1) / 2, 0},
                                   .pad_after = {size / 2, 0},
                                   .count_padding = true};
    return hz_permute(hz_avg_pool2d(hz_permute(hz_square(x), swap), &window), swap);
}

hz_var hz_local_response_norm(hz_var x, int64_t size, double alpha, double beta, double k) {
    if (!hz_ok(x)) return x;
    hz_tensor shape = *hz_value(x);
    if (shape.rank < 2 || size < 1)
        return hz_tape_fail(x.tape, HZ_EINVAL,
                            "local_response_norm: input %s must be (N, C, …) and size %" PRId64 " at least 1",
                            hz_shape_str(&shape).s, size);
    int64_t a = shape.rank > 2 ? shape.dim[2] : 1, b = 1;
    for (int j = 3; j < shape.rank; j++) b *= shape.dim[j];
    hz_var planes = shape.rank == 4 ? x : hz_reshape(x, HZ_DIMS(shape.dim[0], shape.dim[1], a, b));
    hz_var scale = hz_pow_scalar(hz_affine(average_squares(planes, size), alpha, k), -beta);
    hz_var y = hz_mul(planes, scale);
    return shape.rank == 4 ? y : hz_reshape(y, shape.rank, shape.dim);
}
