/* absent.c: mpi.h in a build without MPI: a process is alone, or refuses to work as one of several that know nothing of each
 * other.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/mpi/launched.h"
#include "nn/mpi/mpi.h"

bool hz_mpi_begin(hz_comm **comm, hz_error *err) {
    *comm = NULL;
    if (!hz__launched()) return true;
    return hz_fail(
        err, HZ_EINVAL,
        "launched as one of several processes, but this build knows no MPI: install libopenmpi-dev "
        "and configure it again");
}

void hz_mpi_end(hz_comm *comm, bool ok) {
    (void)comm, (void)ok;
}
