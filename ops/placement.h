/* placement.h: attributes of the ops that add into zeros at indexed places. Private to ops/.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_OPS_PLACEMENT_H
#define HZ_OPS_PLACEMENT_H

#include "ops/common.h"
#include "tensor/index.h"

typedef struct hz__placement {
    int axis;       /* of the output */
    int64_t extent; /* that it has there */
} hz__placement;

#endif
