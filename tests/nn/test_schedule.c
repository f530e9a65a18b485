/* test_schedule.c: learning rates over time, at their corners and against their formulas.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>

#include "nn/schedule.h"

static void expect_near(double got, double want, const char *what, int64_t t) {
    cr_expect(fabs(got - want) < 1e-12, "%s at %d: %.17g, expected %.17g", what, (int)t, got, want);
}

Test(step, falls_every_so_many_steps) {
    static const double want[] = {1, 1, 1, 0.5, 0.5, 0.5, 0.25};
    for (int t = 0; t < 7; t++) expect_near(hz_lr_step(t, 3, 0.5), want[t], "step", t);
    expect_near(hz_lr_step(-5, 3, 0.5), 1, "step", -5);
    expect_near(hz_lr_step(5, 0, 0.5), 1, "step without a length", 5);
}

Test(multistep, falls_at_each_milestone_in_any_order) {
    static const int64_t at[] = {5, 2};
    static const double want[] = {1, 1, 0.1, 0.1, 0.1, 0.01, 0.01};
    for (int t = 0; t < 7; t++) expect_near(hz_lr_multistep(t, at, 2, 0.1), want[t], "multistep", t);
    expect_near(hz_lr_multistep(9, NULL, 0, 0.1), 1, "no milestones", 9);
    expect_near(hz_lr_multistep(-3, (int64_t[]){0, 1}, 2, 0.1), 0.1, "multistep", -3);
}

Test(cosine, falls_along_half_a_cosine_and_stays_down) {
    expect_near(hz_lr_cosine(0, 8, 0.2), 1, "cosine", 0);
    expect_near(hz_lr_cosine(2, 8, 0.2), 0.2 + 0.8 * (1 + sqrt(0.5)) / 2, "cosine", 2);
    expect_near(hz_lr_cosine(4, 8, 0.2), 0.6, "cosine", 4);
    expect_near(hz_lr_cosine(8, 8, 0.2), 0.2, "cosine", 8);
    expect_near(hz_lr_cosine(11, 8, 0.2), 0.2, "cosine", 11);
    expect_near(hz_lr_cosine(-1, 8, 0.2), 1, "cosine", -1);
    expect_near(hz_lr_cosine(1, 0, 0.2), 0.2, "cosine of no steps", 1);
}

Test(warm_up, rises_in_a_straight_line_to_1) {
    static const double want[] = {0.2, 0.4, 0.6, 0.8, 1, 1};
    for (int t = 0; t < 6; t++) expect_near(hz_lr_warm_up(t, 4, 0.2), want[t], "warm-up", t);
    expect_near(hz_lr_warm_up(0, 0, 0.2), 1, "warm-up of no steps", 0);
    expect_near(hz_lr_warm_up(-1, 4, 0.2), 0.2, "warm-up", -1);
}

Test(one_cycle, begins_peaks_and_ends_where_it_says) {
    for (int linear = 0; linear < 2; linear++) {
        const hz_one_cycle c = {.total = 100, .linear = linear};
        expect_near(hz_lr_one_cycle(0, &c), 1.0 / 25, "one cycle", 0);
        expect_near(hz_lr_one_cycle(29, &c), 1, "one cycle", 29);
        expect_near(hz_lr_one_cycle(99, &c), 1.0 / 25 / 1e4, "one cycle", 99);
        expect_near(hz_lr_one_cycle(500, &c), 1.0 / 25 / 1e4, "one cycle", 500);
        expect_near(hz_momentum_one_cycle(0, &c), 0.95, "momentum", 0);
        expect_near(hz_momentum_one_cycle(29, &c), 0.85, "momentum", 29);
        expect_near(hz_momentum_one_cycle(99, &c), 0.95, "momentum", 99);
        for (int t = 1; t < 100; t++) {
            const double more = hz_lr_one_cycle(t, &c) - hz_lr_one_cycle(t - 1, &c);
            cr_expect(t <= 29 ? more > 0 : more < 0, "step %d", t);
        }
    }
    const hz_one_cycle odd = {.total = 41, .rise = 0.5, .first_div = 4, .last_div = 10, .linear = true};
    expect_near(hz_lr_one_cycle(10, &odd), 0.25 + 0.75 * 10 / 19.5, "one cycle", 10);
    expect_near(hz_lr_one_cycle(30, &odd), 1 + (0.025 - 1) * 10.5 / 20.5, "one cycle", 30);
}

Test(one_cycle, of_hardly_any_steps_is_finite) {
    for (int64_t total = 0; total < 4; total++)
        for (int64_t t = -1; t < 5; t++) {
            const double lr = hz_lr_one_cycle(t, &(hz_one_cycle){.total = total});
            cr_expect(lr > 0 && lr <= 1, "step %d of %d: %g", (int)t, (int)total, lr);
        }
}

Test(plateau, lowers_the_rate_after_patience_and_rests) {
    static const double loss[] = {5, 4, 4, 4, 4, 4, 4, 4, 4, 4, 3, 3};
    static const double want[] = {1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25};
    hz_plateau p = {.factor = 0.5, .patience = 2, .cooldown = 2};
    for (int t = 0; t < 12; t++) expect_near(hz_lr_plateau(&p, loss[t]), want[t], "plateau", t);
    cr_expect_eq(p.best, 3);
}

Test(plateau, counts_tiny_gains_as_none_and_nan_as_no_gain) {
    hz_plateau p = {.patience = -1};
    expect_near(hz_lr_plateau(&p, NAN), 0.1, "plateau", 0);
    expect_near(hz_lr_plateau(&p, 1), 0.1, "plateau", 1);
    expect_near(hz_lr_plateau(&p, 0.99995), 0.01, "plateau", 2);
    expect_near(hz_lr_plateau(&p, 0.9998), 0.01, "plateau", 3);
    expect_near(hz_lr_plateau(&p, NAN), 0.001, "plateau", 4);
}

Test(plateau, of_a_rising_result_stops_at_the_lowest_factor) {
    hz_plateau p = {.patience = -1, .rising = true, .lowest = 0.05};
    expect_near(hz_lr_plateau(&p, 0.5), 1, "plateau", 0);
    expect_near(hz_lr_plateau(&p, 0.6), 1, "plateau", 1);
    expect_near(hz_lr_plateau(&p, 0.6), 0.1, "plateau", 2);
    expect_near(hz_lr_plateau(&p, 0.4), 0.05, "plateau", 3);
    expect_near(hz_lr_plateau(&p, 0.4), 0.05, "plateau", 4);
}

Test(plateau, goes_on_from_a_copy_of_its_state) {
    hz_plateau p = {.factor = 0.5, .patience = 1}, q;
    hz_lr_plateau(&p, 1), hz_lr_plateau(&p, 1);
    q = p;
    for (int t = 0; t < 6; t++) cr_expect_eq(hz_lr_plateau(&p, 2), hz_lr_plateau(&q, 2));
    cr_expect_eq(p.scale, 0.125);
}
