/* launched.h: whether this process is one of several. Private.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_MPI_LAUNCHED_H
#define HZ_NN_MPI_LAUNCHED_H

#include <stdbool.h>
#include <stdlib.h>

/* Every launcher says so in the environment: those of Open MPI, of MPICH and its kin, and Slurm's. */
static inline bool hz__launched(void) {
    return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMI_SIZE") || getenv("PMIX_RANK") || getenv("PMI_RANK");
}

#endif
