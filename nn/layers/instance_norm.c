/* instance_norm.c: normalisation of every channel of every picture by itself (Ulyanov et al. 2016).
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

hz_var hz_layer_instance_norm(hz_net *net, const char *layer, hz_var x, const hz_instance_norm_layer *l) {
    const hz_instance_norm_layer o = l ? *l : (hz_instance_norm_layer){.eps = 0};
    return hz__layer_running_norm(net, layer, x,
                                  &(hz__running_norm){.normalize = hz_instance_norm,
                                                      .first_axis = 2,
                                                      .eps = o.eps,
                                                      .momentum = o.momentum,
                                                      .no_affine = !o.affine,
                                                      .no_running = !o.running});
}
