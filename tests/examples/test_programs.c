/* test_programs.c: the newcomer's programs print what the README says they print.
 *
 * SPDX-License-Identifier: MIT */
#include "command.h"

TestSuite(programs, .init = make_folder, .fini = remove_folder);

Test(programs, own_rule_gives_the_maps_worked_out_by_hand) {
    const outcome *o = run("own_rule", "");
    cr_expect_eq(o->status, 0);
    cr_expect_str_eq(o->out, "gradient:\n"
                             "  0  1  1  1\n  0  1  1  1\n  0  1  1  1\n  0  0  0  0\n"
                             "positive only:\n"
                             "  0  1  1  1\n  1  3  3  2\n  1  3  3  2\n  1  2  2  1\n");
}

Test(programs, own_op_passes_its_check_to_second_order) {
    const outcome *o = run("own_op", "");
    cr_expect_eq(o->status, 0);
    cr_expect_str_eq(o->out, "swish: ok: 36 compared, 36 non-zero\n");
}

Test(programs, own_model_learns_both_spirals_and_saves_its_weights) {
    const outcome *o = run("own_model", "");
    cr_expect_eq(o->status, 0, "%s", o->err);
    cr_expect(strstr(o->out, "1218 parameters, accuracy 100.0 %\n"), "%s", o->out);
    cr_expect_eq(access(in_folder("spirals.safetensors"), R_OK), 0);
}

Test(programs, pinn_solves_its_equation_to_a_thousandth) {
    const outcome *o = run("pinn", "");
    const char *at = strstr(o->out, "points: ");
    cr_assert(o->status == 0 && at, "%s", o->err);
    const double error = strtod(at + strlen("points: "), NULL);
    cr_expect(error > 0 && error < 1e-3, "%g", error);
}

Test(programs, pinn_refuses_steps_that_are_no_number) {
    cr_expect_eq(run("pinn", "0")->status, 2);
    cr_expect_eq(run("pinn", "ten")->status, 2);
}
