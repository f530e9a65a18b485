/* mpi.h: the communicator of nn/parallel.h on MPI: mpirun -n 4 PROGRAM. In a library of its own, libhzero-mpi, so that nothing
 * else waits for MPI to load.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_MPI_MPI_H
#define HZ_NN_MPI_MPI_H

#include "nn/parallel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Once, early in main. *comm becomes NULL, without MPI being started, if this process was not launched together with others
 * (by mpirun, mpiexec or srun). HZ_EINVAL if it was, but hzero was built without MPI; HZ_EIO in the words of MPI; HZ_ENOMEM.
 * The thread that calls it is the only one that may use *comm. */
bool hz_mpi_begin(hz_comm **comm, hz_error *err);

/* Once, at the end, in every process; NULL is legal. ok: all went well, and all processes are to come here. Otherwise the program
 * must then exit with a status other than 0, at which the launcher ends the other processes. */
void hz_mpi_end(hz_comm *comm, bool ok);

#ifdef __cplusplus
}
#endif
#endif
