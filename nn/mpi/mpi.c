/* mpi.c: see mpi.h. A sum is an MPI_Iallreduce, in pieces that MPI can count.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/mpi/mpi.h"

#include <mpi.h>

#include "nn/mpi/launched.h"

enum { PIECE = 1 << 30 };

typedef struct mpi_comm {
    hz_comm comm; /* the first: what the caller sees */
    MPI_Comm world;
    MPI_Request *request; /* of the sums that are under way */
    int n, capacity;
} mpi_comm;

/* What MPI says of a status that is not MPI_SUCCESS. */
static bool explain(int status, hz_error *err) {
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (MPI_Error_string(status, text, &length)) length = 0;
    return hz_fail(err, HZ_EIO, "MPI: %.*s", length, text);
}

static bool check(int status, hz_error *err) {
    return status == MPI_SUCCESS || explain(status, err);
}

static bool reserve(mpi_comm *c, hz_error *err) {
    if (c->n < c->capacity) return true;
    const int capacity = 2 * c->capacity + 16;
    MPI_Request *more = realloc(c->request, (size_t)capacity * sizeof *more);
    if (!more) return hz_fail(err, HZ_ENOMEM, "out of memory for %d sums under way", capacity);
    c->request = more;
    c->capacity = capacity;
    return true;
}

static bool start(hz_comm *comm, hz_dtype dtype, void *data, int64_t n, hz_error *err) {
    mpi_comm *c = (mpi_comm *)comm;
    const MPI_Datatype type = dtype == HZ_F64 ? MPI_DOUBLE : MPI_FLOAT;
    char *at = data;
    for (int64_t piece; n > 0; n -= piece, at += piece * (int64_t)hz_dtype_size(dtype)) {
        piece = n < PIECE ? n : PIECE;
        if (!reserve(c, err)) return false;
        if (!check(MPI_Iallreduce(MPI_IN_PLACE, at, (int)piece, type, MPI_SUM, c->world, &c->request[c->n]),
                   err))
            return false;
        c->n++;
    }
    return true;
}

static bool progress(hz_comm *comm, hz_error *err) {
    mpi_comm *c = (mpi_comm *)comm;
    int all;
    return check(MPI_Testall(c->n, c->request, &all, MPI_STATUSES_IGNORE), err);
}

static bool finish(hz_comm *comm, hz_error *err) {
    mpi_comm *c = (mpi_comm *)comm;
    const int n = c->n;
    c->n = 0;
    return check(MPI_Waitall(n, c->request, MPI_STATUSES_IGNORE), err);
}

/* Errors are ours to report. */
static bool join(mpi_comm *c, hz_error *err) {
    int provided;
    if (!check(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided), err)) return false;
    c->world = MPI_COMM_WORLD;
    return check(MPI_Comm_set_errhandler(c->world, MPI_ERRORS_RETURN), err) &&
           check(MPI_Comm_rank(c->world, &c->comm.rank), err) &&
           check(MPI_Comm_size(c->world, &c->comm.size), err);
}

bool hz_mpi_begin(hz_comm **comm, hz_error *err) {
    *comm = NULL;
    if (!hz__launched()) return true;
    mpi_comm *c = malloc(sizeof *c);
    if (!c) return hz_fail(err, HZ_ENOMEM, "out of memory for MPI");
    *c = (mpi_comm){.comm = {.start = start, .progress = progress, .finish = finish}};
    if (!join(c, err)) return free(c), false;
    *comm = &c->comm;
    return true;
}

/* Without MPI_Finalize, which would wait for the others, the launcher knows that something is wrong. */
void hz_mpi_end(hz_comm *comm, bool ok) {
    mpi_comm *c = (mpi_comm *)comm;
    if (!c) return;
    if (ok) MPI_Finalize();
    free(c->request);
    free(c);
}
