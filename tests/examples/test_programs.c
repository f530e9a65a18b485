/* test_programs.c: the newcomer's programs print what the README says they print.
 *
 * SPDX-License-Identifier: MIT */
#include "command.h"

Test(programs, own_rule_gives_the_maps_worked_out_by_hand) {
    const outcome *o = run_in("/tmp", "own_rule", "");
    cr_expect_eq(o->status, 0);
    cr_expect_str_eq(o->out, "gradient:\n"
                             "  0  1  1  1\n  0  1  1  1\n  0  1  1  1\n  0  0  0  0\n"
                             "positive only:\n"
                             "  0  1  1  1\n  1  3  3  2\n  1  3  3  2\n  1  2  2  1\n");
}

Test(programs, own_op_passes_its_check_to_second_order) {
    const outcome *o = run_in("/tmp", "own_op", "");
    cr_expect_eq(o->status, 0);
    cr_expect_str_eq(o->out, "swish: ok: 36 compared, 36 non-zero\n");
}
