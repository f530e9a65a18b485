/* exec.c: what this machine and this build can run.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/exec.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

enum { MAX_THREADS = 256 };

/* The build says which kernels it has (HZ_HAVE_…), the CPU which it can run. */
static hz_isa best_isa(void) {
#if defined(HZ_HAVE_AVX512)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return HZ_ISA_AVX512;
#endif
#if defined(HZ_HAVE_AVX2)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return HZ_ISA_AVX2;
#endif
    return HZ_ISA_C;
}

hz_isa hz_isa_resolve(hz_isa wanted) {
    const hz_isa best = best_isa();
    return wanted == HZ_ISA_AUTO || wanted > best ? best : wanted;
}

const char *hz_isa_name(hz_isa isa) {
    static const char *const name[] = {
        [HZ_ISA_AUTO] = "auto", [HZ_ISA_C] = "c", [HZ_ISA_AVX2] = "avx2", [HZ_ISA_AVX512] = "avx512"};
    return (unsigned)isa < sizeof name / sizeof name[0] ? name[isa] : "no isa";
}

int hz_threads_resolve(int wanted) {
#if defined(_OPENMP)
    if (wanted <= 0) wanted = omp_get_max_threads(); /* OMP_NUM_THREADS, or the cores we may run on */
#endif
    if (wanted < 1) return 1;
    return wanted > MAX_THREADS ? MAX_THREADS : wanted;
}
