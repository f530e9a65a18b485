/* batch_norm.c: normalisation by the statistics of the batch (Ioffe & Szegedy 2015).
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

hz_var hz_layer_batch_norm(hz_net *net, const char *layer, hz_var x, const hz_batch_norm_layer *l) {
    const hz_batch_norm_layer o = l ? *l : (hz_batch_norm_layer){.eps = 0};
    return hz__layer_running_norm(net, layer, x,
                                  &(hz__running_norm){.normalize = hz_batch_norm,
                                                      .eps = o.eps,
                                                      .momentum = o.momentum,
                                                      .no_affine = o.no_affine,
                                                      .no_running = o.no_running,
                                                      .counts = true});
}
