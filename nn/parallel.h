/* parallel.h: one network trained by several processes, each on its share of every batch.
 *
 *   hz_comm *comm;
 *   if (!hz_mpi_begin(&comm, &err)) …                              nn/mpi/mpi.h; NULL: this process is alone
 *   … the same seed, so the same network, and the same optimiser in every process; of the loader,
 *   .part = hz_comm_rank(comm), .parts = hz_comm_size(comm) …
 *   hz_parallel *par = hz_parallel_new(comm, params, opt, &err);   after hz_params_optimize
 *   if (!hz_parallel_agree(par, &err)) …
 *   while (hz_loader_next(l, &b, &err)) {
 *       … record the mean loss of b on a tape …
 *       if (!hz_parallel_minimize(par, loss, (double)b.x.dim[0] / (double)b.whole, &err)) …
 *   }
 *   hz_parallel_free(par);
 *   hz_mpi_end(comm, ok);
 *
 * Every step is that of one process with the whole batch, up to rounding, and leaves the same bits in all of them. Gradients
 * are added up while the sweep is still on its way to others: those complete are on the wire. What a batch norm sees is its
 * own share (running statistics are averaged), and what dropout leaves out is up to net.seed, which should differ.
 *
 * A process that fails takes no part in sums any more; the others would wait for it. It must end, with a status that makes
 * the launcher end the others.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_PARALLEL_H
#define HZ_NN_PARALLEL_H

#include "nn/params.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- communicators: how processes reach each other. MPI's is in nn/mpi/mpi.h; others can be written ---- */

typedef struct hz_comm hz_comm;
struct hz_comm {
    int rank, size; /* this process is number rank, 0 … size − 1 */

    /* Begin to replace data, n numbers of f32 or f64, by its sum over all processes, where it has the same bits. It
     * belongs to the communicator until finish. All processes begin the same sums in the same order. */
    bool (*start)(hz_comm *comm, hz_dtype dtype, void *data, int64_t n, hz_error *err);
    bool (*progress)(hz_comm *comm, hz_error *err); /* let the sums get on; returns at once */
    bool (*finish)(hz_comm *comm, hz_error *err);   /* wait for all of them */
};

static inline int hz_comm_rank(const hz_comm *comm) {
    return comm ? comm->rank : 0;
}
static inline int hz_comm_size(const hz_comm *comm) {
    return comm ? comm->size : 1;
}

/* Replace value[0 … n−1] by their sums over all processes: losses, counts, wishes to stop. comm may be NULL. */
bool hz_comm_sum(hz_comm *comm, double *value, int n, hz_error *err);

/* ---- training ---- */

typedef struct hz_parallel hz_parallel;

/* comm, params and opt are borrowed; comm may be NULL. opt has what hz_params_optimize gave it and nothing else. NULL with
 * HZ_EINVAL or HZ_ENOMEM. */
hz_parallel *hz_parallel_new(hz_comm *comm, hz_params *params, hz_optimizer *opt, hz_error *err);
void hz_parallel_free(hz_parallel *par); /* NULL is legal */

/* Do all processes have the same parameters, buffers and state of the optimiser, bit for bit? HZ_EINVAL names the first process
 * that differs from number 0. To be asked at the start and after loading. */
bool hz_parallel_agree(hz_parallel *par, hz_error *err);

/* One step, as hz_params_minimize takes it. loss is the mean over this process's share of the batch, a scalar; share is that
 * share, and all shares sum to 1. A process whose share is empty gives hz_none(tape) and 0. A parameter that the loss
 * of no process depends on is passed over. HZ_EINVAL, HZ_ENOMEM, or what the tape, the optimiser or comm reports. */
bool hz_parallel_minimize(hz_parallel *par, hz_var loss, double share, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
