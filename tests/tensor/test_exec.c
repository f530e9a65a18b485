/* test_exec.c: what is asked for is lowered to what machine and build have.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "tensor/exec.h"

Test(isa, auto_is_the_best_and_more_than_the_best_is_lowered) {
    const hz_isa best = hz_isa_resolve(HZ_ISA_AUTO);
    cr_assert(best >= HZ_ISA_C && best <= HZ_ISA_AVX512);
    for (hz_isa wanted = HZ_ISA_C; wanted <= HZ_ISA_AVX512; wanted++)
        cr_assert(hz_isa_resolve(wanted) == (wanted < best ? wanted : best));
}

Test(isa, plain_c_runs_everywhere) {
    cr_assert(hz_isa_resolve(HZ_ISA_C) == HZ_ISA_C);
}

Test(isa, has_a_name) {
    cr_assert_str_eq(hz_isa_name(HZ_ISA_AUTO), "auto");
    cr_assert_str_eq(hz_isa_name(HZ_ISA_C), "c");
    cr_assert_str_eq(hz_isa_name(HZ_ISA_AVX2), "avx2");
    cr_assert_str_eq(hz_isa_name(HZ_ISA_AVX512), "avx512");
    cr_assert_str_eq(hz_isa_name((hz_isa)99), "no isa");
}

Test(threads, wanted_number_is_taken_up_to_a_cap) {
    cr_assert(hz_threads_resolve(1) == 1);
    cr_assert(hz_threads_resolve(7) == 7);
    cr_assert(hz_threads_resolve(256) == 256);
    cr_assert(hz_threads_resolve(257) == 256);
}

Test(threads, default_is_at_least_one) {
    cr_assert(hz_threads_resolve(0) >= 1 && hz_threads_resolve(0) <= 256);
    cr_assert(hz_threads_resolve(-1) == hz_threads_resolve(0));
}
