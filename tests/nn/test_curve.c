/* test_curve.c: learning curves are well-formed pictures whose lines lie within their panels, whatever was measured.
 *
 * SPDX-License-Identifier: MIT */
#include <locale.h>
#include <math.h>

#include "../tensor/files.h"
#include "nn/curve.h"

enum { MOST = 10000, LEFT = 64, RIGHT = 736, TOP = 85, BOTTOM = 571 };

static hz_train_point points[MOST];

static void fill(size_t n) {
    for (size_t k = 0; k < n; k++) {
        double t = (double)(k + 1) / (double)n;
        points[k] = (hz_train_point){.step = (int64_t)k + 1,
                                     .epoch = 10 * t,
                                     .loss = 2 * exp(-4 * t) + 0.1 * sin(40 * t) * exp(-4 * t),
                                     .accuracy = 1 - 0.9 * exp(-4 * t),
                                     .test_loss = k % 5 ? NAN : 2.2 * exp(-4 * t),
                                     .test_accuracy = k % 5 ? NAN : 1 - 0.95 * exp(-4 * t),
                                     .lr = 0.1,
                                     .seconds = 3 * (double)(k + 1),
                                     .rate = 100};
    }
}

/* The picture's text, to be freed. */
static char *draw(size_t n, const char *title) {
    scratch s = scratch_path("svg");
    hz_error err = {.code = HZ_OK};
    cr_assert(hz_curve_write(s.path, points, n, title, &err), "%s", err.text);
    size_t size;
    char *bytes = (char *)read_bytes(s.path, &size), *text = calloc(size + 1, 1);
    memcpy(text, bytes, size);
    hz_free(NULL, bytes);
    unlink(s.path);
    return text;
}

static int count(const char *text, const char *what) {
    int n = 0;
    for (; (text = strstr(text, what)); text += strlen(what)) n++;
    return n;
}

/* Tags close in the order in which they open, and no number is one of printf's words for what is none. */
static void expect_well_formed(const char *svg) {
    const char *open[16];
    size_t length[16];
    int depth = 0;
    for (const char *c = svg; (c = strchr(c, '<')); c++) {
        size_t n = strcspn(c, ">");
        if (c[1] == '/') {
            cr_assert(depth > 0 && strncmp(open[depth - 1], c + 2, length[depth - 1]) == 0, "%.40s", c);
            depth--;
        } else if (c[n - 1] != '/') {
            cr_assert(depth < 16);
            open[depth] = c + 1;
            length[depth++] = strcspn(c + 1, " >");
        }
    }
    cr_expect_eq(depth, 0);
    cr_expect(strstr(svg, "<svg ") == svg && strstr(svg, "</svg>\n"));
    cr_expect(!strstr(svg, "nan") && !strstr(svg, "inf\"") && !strstr(svg, "inf,"));
}

/* Every position of the lines, bands and dots is on the page's panels; returns how many there are. */
static int expect_inside(const char *svg) {
    int n = 0;
    for (const char *c = svg; (c = strstr(c, "class=\"t")); c++) {
        const char *d = strstr(c, "d=\"M"), *end = c + strcspn(c, ">");
        if (!d || d > end || strchr(d, 'h') < end) continue; /* a key of the legend, a text or a dot */
        for (d += 3; *d == 'M' || *d == 'L'; n++) {
            char *after;
            double x = strtod(d + 1, &after);
            cr_assert_eq(*after, ',');
            double y = strtod(after + 1, &after);
            cr_assert(x >= LEFT && x <= RIGHT && y >= TOP && y <= BOTTOM, "(%g, %g)", x, y);
            d = after;
        }
    }
    return n;
}

Test(curve, of_any_number_of_points_is_well_formed) {
    static const size_t n[] = {1, 2, 3, 39, 41, 671, 672, 673, 1345, MOST};
    for (size_t k = 0; k < sizeof n / sizeof n[0]; k++) {
        fill(n[k]);
        char *svg = draw(n[k], "A run");
        expect_well_formed(svg);
        int positions = expect_inside(svg);
        cr_expect(n[k] == 1 ? positions == 0 : positions >= 2, "%zu points: %d positions", n[k], positions);
        cr_expect_lt(strlen(svg), 120000);
        free(svg);
    }
}

Test(curve, of_one_point_is_a_dot_in_each_panel) {
    fill(1);
    char *svg = draw(1, NULL);
    cr_expect_eq(count(svg, "<circle class=\"train dot\""), 2);
    cr_expect_eq(count(svg, "<circle class=\"test dot\""), 2);
    free(svg);
}

Test(curve, of_constant_values_lies_in_the_middle) {
    fill(10);
    for (int k = 0; k < 10; k++) {
        points[k].loss = 0.25;
        points[k].accuracy = points[k].test_accuracy = points[k].test_loss = NAN;
    }
    char *svg = draw(10, NULL);
    expect_well_formed(svg);
    cr_expect_eq(expect_inside(svg), 10);
    cr_expect(strstr(svg, "d=\"M64.0,195.0L"), "%s", svg); /* half-way between 85 and 305 */
    cr_expect(!strstr(svg, "Accuracy"));
    free(svg);
}

Test(curve, breaks_off_where_training_was_not_finite_and_joins_tests) {
    fill(30);
    for (int k = 10; k < 20; k++) points[k].loss = k % 2 ? NAN : INFINITY;
    char *svg = draw(30, NULL);
    expect_well_formed(svg);
    cr_expect_eq(count(svg, "<path class=\"train line\" d=\"M"),
                 2 + 1 + 2); /* two pieces, accuracy, two keys */
    cr_expect_eq(count(svg, "<path class=\"test line\" d=\"M"), 1 + 1 + 2);
    free(svg);
}

Test(curve, of_nothing_finite_says_so) {
    fill(5);
    for (int k = 0; k < 5; k++)
        points[k].loss = points[k].test_loss = points[k].accuracy = points[k].test_accuracy = NAN;
    char *svg = draw(5, NULL);
    expect_well_formed(svg);
    cr_expect(strstr(svg, "no finite value") && expect_inside(svg) == 0);
    free(svg);
}

Test(curve, has_a_logarithmic_axis_where_the_loss_is_positive) {
    fill(3);
    for (int k = 0; k < 3; k++) points[k].loss = pow(10, -k), points[k].test_loss = NAN;
    char *svg = draw(3, NULL);
    cr_expect(strstr(svg, ">1</text>") && strstr(svg, ">0.1</text>") && strstr(svg, ">0.01</text>"));
    cr_expect(strstr(svg, "L400.0,195.0L") || strstr(svg, ",195.0L736.0,"), "%s", svg); /* 0.1 is half-way */
    free(svg);
    points[2].loss = -1;
    svg = draw(3, NULL);
    expect_well_formed(svg);
    cr_expect(expect_inside(svg) > 0 && strstr(svg, ">-1.0</text>"));
    free(svg);
}

Test(curve, of_extreme_values_stays_on_the_page) {
    static const double extreme[][3] = {
        {1e-320, 1, 2},        {1e249, -1e249, 0}, {1e-249, 1e249, 1},       {1e308, 1, 2},
        {1, 1 + 1e-15, 1},     {0, 0, 0},          {1e-240, 1e-240, 1e-240}, {-1e-240, 0, 0},
        {1e15, 1e15 + 1, 1e15}};
    for (size_t c = 0; c < sizeof extreme / sizeof extreme[0]; c++) {
        fill(3);
        for (int k = 0; k < 3; k++)
            points[k].loss = points[k].accuracy = points[k].test_accuracy = extreme[c][k];
        char *svg = draw(3, NULL);
        expect_well_formed(svg);
        expect_inside(svg);
        free(svg);
    }
    fill(3);
    points[2].step = INT64_MAX;
    points[0].epoch = NAN;
    points[2].seconds = INFINITY;
    char *svg = draw(3, NULL);
    expect_well_formed(svg);
    expect_inside(svg);
    cr_expect(strstr(svg, ">step</text>"));
    free(svg);
}

Test(curve, title_is_escaped_and_cut) {
    fill(2);
    char *svg = draw(2, "a<b & \"c\"> \x01 ü");
    expect_well_formed(svg);
    cr_expect(strstr(svg, "<title>a&lt;b &amp; \"c\"&gt; ? ü</title>"), "%.300s", svg);
    free(svg);
    svg = draw(2, "bad \xff utf");
    cr_expect(strstr(svg, "<title>bad ? utf</title>"), "%.300s", svg);
    free(svg);
    char longest[400];
    memset(longest, 'x', sizeof longest - 1);
    longest[399] = '\0';
    svg = draw(2, longest);
    cr_expect(strstr(svg, "xxx…</title>") && !strstr(svg, longest));
    free(svg);
}

/* With a decimal comma, where such a locale is installed. */
Test(curve, does_not_depend_on_the_locale) {
    fill(50);
    char *before = draw(50, NULL);
    setlocale(LC_ALL, "de_DE.UTF-8");
    char *after = draw(50, NULL);
    cr_expect_str_eq(before, after);
    free(before);
    free(after);
}

Test(curve, that_cannot_be_made_leaves_no_file) {
    hz_error err = {.code = HZ_OK};
    scratch log = scratch_path("log"), s = scratch_path("svg");
    cr_expect(!hz_curve_write(s.path, points, 0, NULL, &err) && err.code == HZ_EINVAL);
    err.code = HZ_OK;
    cr_expect(!hz_curve_of_log(log.path, s.path, NULL, &err) && err.code == HZ_ENOTFOUND, "%s", err.text);
    write_bytes(log.path, "", 0);
    err.code = HZ_OK;
    cr_expect(!hz_curve_of_log(log.path, s.path, NULL, &err) && err.code == HZ_EFORMAT, "%s", err.text);
    write_bytes(log.path, "{\"step\": 1, \"loss\": 1}\n???\n{\"step\": 2}\n", 39);
    err.code = HZ_OK;
    cr_expect(!hz_curve_of_log(log.path, s.path, NULL, &err) && strstr(err.text, "line 2"), "%s", err.text);
    cr_expect(access(s.path, F_OK) != 0);
    fill(2);
    err.code = HZ_OK;
    cr_expect(!hz_curve_write("/dev/full", points, 2, NULL, &err) && err.code == HZ_EIO, "%s", err.text);
    err.code = HZ_OK;
    cr_expect(!hz_curve_write("/nowhere/at.svg", points, 2, NULL, &err) && err.code != HZ_OK, "%s", err.text);
    unlink(log.path);
}
