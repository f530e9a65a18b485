/* curve.c: learning curves as SVG. hz_curve_write goes through it top down: the page, one panel after the other, and in each
 * its axes (ticks) and its series (samples).
 *
 * Numbers are formatted here and not by printf, whose decimal point depends on the locale.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/curve.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tensor/file.h"

/* In pixels. */
enum { WIDTH = 760, LEFT = 64, RIGHT = WIDTH - 24, HEAD = 62, PANEL = 220, BETWEEN = 46, FOOT = 48 };

enum { MOST_SAMPLES = RIGHT - LEFT, MOST_TICKS = 12, MARKERS = 40, TITLE = 80 };

/* ---- numbers as text ---- */

typedef struct number {
    char s[40];
} number;

/* With so many decimals; |v| < 1e12. */
static number fixed(double v, int decimals) {
    long long unit = 1;
    for (int k = 0; k < decimals; k++) unit *= 10;
    long long whole = llround(fabs(v) * (double)unit);
    number n;
    int used = snprintf(n.s, sizeof n.s, "%s%lld", v < 0 && whole ? "-" : "", whole / unit);
    if (decimals) snprintf(n.s + used, sizeof n.s - (size_t)used, ".%0*lld", decimals, whole % unit);
    return n;
}

static int exponent_of(double v) {
    return (int)floor(log10(fabs(v)) + 1e-9);
}

/* With so many significant digits: 0.0123, 45.6, 1.2e-7. */
static number significant(double v, int digits) {
    if (v == 0) return fixed(0, 0);
    int e = exponent_of(v);
    if (e >= -4 && e < 6) return fixed(v, e < digits ? digits - 1 - e : 0);
    number n = fixed(v / pow(10, e), digits - 1);
    size_t used = strlen(n.s);
    snprintf(n.s + used, sizeof n.s - used, "e%d", e);
    return n;
}

/* ---- axes ---- */

typedef struct axis {
    double lo, hi;    /* values … */
    double from, to;  /* … and where they are on the page */
    bool logarithmic; /* lo > 0 */
    bool percent;     /* shares, labelled in percent */
    double tick[MOST_TICKS];
    int ticks;
    int decimals; /* of the labels; −1: two significant digits */
} axis;

static double place(const axis *a, double v) {
    double share = a->logarithmic ? (log10(v) - log10(a->lo)) / (log10(a->hi) - log10(a->lo))
                                  : (v - a->lo) / (a->hi - a->lo);
    return a->from + share * (a->to - a->from);
}

/* The least of 1, 2, 5 times a power of ten that cuts the range into no more than `most` parts. */
static double nice_step(double range, int most) {
    double power = pow(10, floor(log10(range / most)));
    static const double factor[] = {1, 2, 5, 10};
    int k = 0;
    while (k < 3 && factor[k] * power * most < range) k++;
    return factor[k] * power;
}

static void add_tick(axis *a, double v) {
    double slack = 1e-9 * (a->hi - a->lo);
    if (v >= a->lo - slack && v <= a->hi + slack && a->ticks < MOST_TICKS) a->tick[a->ticks++] = v;
}

static void linear_ticks(axis *a, int most) {
    double step = nice_step(a->hi - a->lo, most), first = ceil(a->lo / step - 1e-9);
    a->ticks = 0;
    for (int k = 0; k <= most; k++) add_tick(a, (first + k) * step);
    double shown = a->percent ? 100 * step : step, largest = fmax(fabs(a->lo), fabs(a->hi));
    int e = exponent_of(shown);
    a->decimals = e < -6 || largest >= 1e7 ? -1 : e < 0 ? -e : 0;
}

/* Powers of ten, `stride` exponents apart, times each of the leading digits. */
static void power_ticks(axis *a, const char *digits, int stride) {
    int first = exponent_of(a->lo), last = exponent_of(a->hi);
    a->ticks = 0;
    a->decimals = -1;
    for (int e = first - ((first % stride) + stride) % stride; e <= last; e += stride)
        for (const char *d = digits; *d; d++) add_tick(a, (*d - '0') * pow(10, e));
}

/* As few leading digits as make three ticks; on a range too short for that, the ticks of a linear axis. */
static void log_ticks(axis *a) {
    static const char *const digits[] = {"1", "13", "125"};
    double decades = log10(a->hi) - log10(a->lo);
    if (decades > 6) {
        power_ticks(a, "1", (int)ceil(decades / 6));
        return;
    }
    for (int k = 0; k < 3; k++) {
        power_ticks(a, digits[k], 1);
        if (a->ticks >= 3) return;
    }
    linear_ticks(a, 5);
}

static number label_of(const axis *a, double v) {
    if (a->percent) v *= 100;
    if (a->decimals >= 0) return fixed(v, a->decimals);
    return significant(v, a->logarithmic ? 1 : 4);
}

/* ---- what is drawn: series of points ---- */

typedef struct series {
    const char *name, *colour;
    size_t offset; /* of the value in a point */
    bool joined;   /* over what is missing */
} series;

typedef struct panel {
    const char *title;
    series series[2];
    bool logarithmic, percent;
} panel;

#define AT(member) offsetof(hz_train_point, member)

static const panel panels[] = {
    {"Loss",
     {{"training", "train", AT(loss), false}, {"test", "test", AT(test_loss), true}},
     .logarithmic = true},
    {"Accuracy, %",
     {{"training", "train", AT(accuracy), false}, {"test", "test", AT(test_accuracy), true}},
     .percent = true},
};
enum { PANELS = sizeof panels / sizeof panels[0], SERIES = 2 };

/* Numbers beyond 1e±250 count as not finite, so that the range they span, with its margins, is. */
static double value_at(const hz_train_point *point, size_t offset) {
    double v = *(const double *)((const char *)point + offset);
    return fabs(v) < 1e250 && (v == 0 || fabs(v) > 1e-250) ? v : NAN;
}

/* Points on the page: a few together where there are many. */
typedef struct sample {
    double x, y, lo, hi; /* means, and the least and largest of them; y is NAN where nothing is finite */
} sample;

typedef struct curve {
    const hz_train_point *point;
    size_t n;
    bool epochs; /* what the horizontal axis shows; otherwise steps */
} curve;

static double x_at(const curve *c, size_t k) {
    return c->epochs ? c->point[k].epoch : (double)c->point[k].step;
}

static sample average(const curve *c, size_t offset, size_t first, size_t end) {
    sample s = {.x = 0, .y = 0, .lo = INFINITY, .hi = -INFINITY};
    int finite = 0;
    for (size_t k = first; k < end; k++) {
        double y = value_at(&c->point[k], offset);
        if (isnan(y)) continue;
        finite++;
        s.x += (x_at(c, k) - s.x) / finite;
        s.y += (y - s.y) / finite;
        s.lo = fmin(s.lo, y);
        s.hi = fmax(s.hi, y);
    }
    if (!finite) s.y = NAN;
    return s;
}

static size_t sample_series(const curve *c, const series *of, sample *out) {
    size_t together = (c->n + MOST_SAMPLES - 1) / MOST_SAMPLES, n = 0;
    for (size_t k = 0; k < c->n; k += together) {
        sample s = average(c, of->offset, k, k + together < c->n ? k + together : c->n);
        if (!isnan(s.y) || !of->joined) out[n++] = s;
    }
    return n;
}

/* ---- writing ---- */

typedef struct page {
    hz_file_out *out;
    hz_error *err;
    bool ok;
} page;

static void put(page *p, const char *format, ...) HZ_PRINTF(2, 3);

static void put(page *p, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (p->ok && size > 0)
        p->ok =
            hz_file_put(p->out, text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1, p->err);
}

/* The caller's words as XML. */
static void put_text(page *p, const char *text) {
    bool utf8 = hz_is_utf8(text);
    int characters = 0;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c & 0xc0) != 0x80 && characters++ == TITLE) {
            put(p, "…");
            return;
        }
        if (c == '&' || c == '<' || c == '>')
            put(p, "%s", c == '&' ? "&amp;" : c == '<' ? "&lt;" : "&gt;");
        else
            put(p, "%c", c < ' ' || c == 127 || (c > 127 && !utf8) ? '?' : c);
    }
}

static void put_place(page *p, const char *before, double x, double y) {
    put(p, "%s%s,%s", before, fixed(x, 1).s, fixed(y, 1).s);
}

/* ---- series ---- */

/* The least and largest of the samples first … end − 1, there and back. */
static void put_band(page *p, const series *of, const axis *x, const axis *y, const sample *s, size_t n) {
    put(p, "<path class=\"%s band\" d=\"", of->colour);
    for (size_t k = 0; k < n; k++) put_place(p, k ? "L" : "M", place(x, s[k].x), place(y, s[k].hi));
    for (size_t k = n; k-- > 0;) put_place(p, "L", place(x, s[k].x), place(y, s[k].lo));
    put(p, "Z\"/>\n");
}

static void put_line(page *p, const series *of, const axis *x, const axis *y, const sample *s, size_t n) {
    put(p, "<path class=\"%s line\" d=\"", of->colour);
    for (size_t k = 0; k < n; k++) put_place(p, k ? "L" : "M", place(x, s[k].x), place(y, s[k].y));
    put(p, "\"/>\n");
}

static void put_markers(page *p, const series *of, const axis *x, const axis *y, const sample *s, size_t n) {
    for (size_t k = 0; k < n; k++)
        put(p, "<circle class=\"%s dot\" cx=\"%s\" cy=\"%s\" r=\"2.6\"/>\n", of->colour,
            fixed(place(x, s[k].x), 1).s, fixed(place(y, s[k].y), 1).s);
}

/* Piece by piece between the gaps. */
static void put_series(page *p, const curve *c, const series *of, const axis *x, const axis *y) {
    sample s[MOST_SAMPLES];
    size_t n = sample_series(c, of, s), end;
    bool bands = c->n > MOST_SAMPLES;
    for (size_t k = 0; k < n; k = end + 1) {
        for (end = k; end < n && !isnan(s[end].y);) end++;
        if (bands && end > k + 1) put_band(p, of, x, y, s + k, end - k);
        if (end > k + 1) put_line(p, of, x, y, s + k, end - k);
        if (end == k + 1 || n <= MARKERS) put_markers(p, of, x, y, s + k, end - k);
    }
}

/* ---- a panel ---- */

/* What of the two axes the finite values of a series span. */
static bool widen(const curve *c, size_t offset, axis *a) {
    bool any = false;
    for (size_t k = 0; k < c->n; k++) {
        double v = value_at(&c->point[k], offset);
        if (isnan(v)) continue;
        any = true;
        a->lo = fmin(a->lo, v);
        a->hi = fmax(a->hi, v);
    }
    return any;
}

/* Room above and below, and where all values are the same, or nearly, more of it. */
static void pad(axis *a) {
    bool spread = a->hi - a->lo > 1e-9 * fmax(fabs(a->lo), fabs(a->hi));
    bool shares = a->percent && a->lo >= 0 && a->hi <= 1;
    if (a->logarithmic) {
        double factor = spread ? pow(10, 0.05 * (log10(a->hi) - log10(a->lo))) : 1.5;
        a->lo /= factor;
        a->hi *= factor;
    } else {
        double room = spread ? 0.05 * (a->hi - a->lo) : a->lo != 0 ? 0.1 * fabs(a->lo) : 0.5;
        a->lo -= room;
        a->hi += room;
    }
    if (shares) {
        a->lo = fmax(a->lo, 0);
        a->hi = fmin(a->hi, 1);
    }
}

/* The vertical axis of a panel whose lower edge is at y = bottom. False if there is nothing to show. */
static bool fit(const curve *c, const panel *of, double bottom, axis *a) {
    *a =
        (axis){.lo = INFINITY, .hi = -INFINITY, .from = bottom, .to = bottom - PANEL, .percent = of->percent};
    bool any = false;
    for (int k = 0; k < SERIES; k++) any |= widen(c, of->series[k].offset, a);
    a->logarithmic = of->logarithmic && a->lo > 0;
    if (!any) a->lo = 0, a->hi = 1, a->logarithmic = false;
    pad(a);
    if (a->logarithmic)
        log_ticks(a);
    else
        linear_ticks(a, 5);
    return any;
}

static void put_grid(page *p, const axis *x, const axis *y) {
    for (int k = 0; k < y->ticks; k++) {
        number at = fixed(place(y, y->tick[k]), 1);
        put(p, "<path class=\"grid\" d=\"M%d,%sH%d\"/>\n", LEFT, at.s, RIGHT);
        put(p, "<text class=\"tick\" x=\"%d\" y=\"%s\" dy=\".35em\" text-anchor=\"end\">%s</text>\n",
            LEFT - 8, at.s, label_of(y, y->tick[k]).s);
    }
    for (int k = 0; k < x->ticks; k++)
        put(p, "<path class=\"grid\" d=\"M%s,%sV%s\"/>\n", fixed(place(x, x->tick[k]), 1).s,
            fixed(y->from, 1).s, fixed(y->to, 1).s);
    put(p, "<path class=\"axis\" d=\"M%d,%sV%sH%d\"/>\n", LEFT, fixed(y->to, 1).s, fixed(y->from, 1).s,
        RIGHT);
}

static double last_value(const curve *c, size_t offset) {
    double v = NAN;
    for (size_t k = c->n; k-- > 0 && isnan(v);) v = value_at(&c->point[k], offset);
    return v;
}

/* Names of the series with their last values, on the line above the panel, from the right. */
static void put_legend(page *p, const curve *c, const panel *of, const axis *y) {
    double right = RIGHT;
    for (int k = SERIES; k-- > 0;) {
        double last = last_value(c, of->series[k].offset);
        if (isnan(last)) continue;
        number value = of->percent ? fixed(100 * last, 2) : significant(last, 4);
        right -= 7.0 * (double)(strlen(of->series[k].name) + strlen(value.s) + 1);
        put(p, "<text class=\"key\" x=\"%s\" y=\"%s\">%s <tspan class=\"value\">%s</tspan></text>\n",
            fixed(right, 1).s, fixed(y->to - 10, 1).s, of->series[k].name, value.s);
        put(p, "<path class=\"%s line\" d=\"M%s,%sh18\"/>\n", of->series[k].colour, fixed(right - 24, 1).s,
            fixed(y->to - 14, 1).s);
        right -= 44;
    }
}

static void put_panel(page *p, const curve *c, const panel *of, const axis *x, double bottom) {
    axis y;
    bool any = fit(c, of, bottom, &y);
    put_grid(p, x, &y);
    put(p, "<text class=\"heading\" x=\"%d\" y=\"%s\">%s</text>\n", LEFT, fixed(y.to - 10, 1).s, of->title);
    put_legend(p, c, of, &y);
    for (int k = 0; any && k < SERIES; k++) put_series(p, c, &of->series[k], x, &y);
    if (!any)
        put(p, "<text class=\"key\" x=\"%d\" y=\"%s\" text-anchor=\"middle\">no finite value</text>\n",
            (LEFT + RIGHT) / 2, fixed(bottom - PANEL / 2.0, 1).s);
}

/* ---- the page ---- */

static bool has_values(const curve *c, const panel *of) {
    for (int k = 0; k < SERIES; k++)
        if (!isnan(last_value(c, of->series[k].offset))) return true;
    return false;
}

/* Epochs, if every point has one; otherwise steps. */
static axis fit_x(curve *c) {
    axis x = {.lo = INFINITY, .hi = -INFINITY, .from = LEFT, .to = RIGHT};
    c->epochs = true;
    for (size_t k = 0; k < c->n; k++)
        if (!(c->point[k].epoch >= 0 && c->point[k].epoch < 1e12)) c->epochs = false;
    for (size_t k = 0; k < c->n; k++) {
        x.lo = fmin(x.lo, x_at(c, k));
        x.hi = fmax(x.hi, x_at(c, k));
    }
    double least = fmax(1e-6, 1e-6 * x.hi);
    if (x.hi - x.lo < least) x.lo -= fmax(0.5, least), x.hi += fmax(0.5, least);
    linear_ticks(&x, 8);
    return x;
}

static void put_style(page *p) {
    put(p, "<style>\n"
           "text{font:12px system-ui,'DejaVu Sans',sans-serif;fill:#57606a}\n"
           ".title{font-size:17px;font-weight:600;fill:#1f2328}.heading{font-weight:600;fill:#1f2328}\n"
           ".tick{font-size:11px}.value{fill:#1f2328}.paper{fill:#fff}\n"
           ".grid,.axis{fill:none;stroke:#e4e8ec}.axis{stroke:#8c959f}\n");
    put(p, ".line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}\n"
           ".train.line{stroke:#0072b2}.test.line{stroke:#d55e00}\n"
           ".train.dot,.train.band{fill:#0072b2}.test.dot,.test.band{fill:#d55e00}\n"
           ".band{fill-opacity:.18;stroke:none}\n");
    put(p, "@media (prefers-color-scheme:dark){\n"
           "text{fill:#9198a1}.title,.heading,.value{fill:#e6edf3}.paper{fill:#161b22}\n"
           ".grid{stroke:#2b3138}.axis{stroke:#6e7681}\n"
           ".train.line{stroke:#56b4e9}.test.line{stroke:#e69f00}\n"
           ".train.dot,.train.band{fill:#56b4e9}.test.dot,.test.band{fill:#e69f00}}\n"
           "</style>\n");
}

/* "epoch 11" */
static void put_where(page *p, const curve *c, size_t k) {
    double x = x_at(c, k);
    put(p, "%s %s", c->epochs ? "epoch" : "step", (x == floor(x) ? fixed(x, 0) : significant(x, 4)).s);
}

/* "epoch 20 after 0:02:14; best test accuracy 99.12 % at epoch 11" */
static void put_summary(page *p, const curve *c) {
    size_t best = c->n;
    for (size_t k = 0; k < c->n; k++) {
        double share = value_at(&c->point[k], AT(test_accuracy));
        if (!isnan(share) && (best == c->n || share > c->point[best].test_accuracy)) best = k;
    }
    double seconds = c->point[c->n - 1].seconds;
    put(p, "<text x=\"%d\" y=\"46\">", LEFT);
    put_where(p, c, c->n - 1);
    if (seconds >= 1 && seconds < 1e9) {
        long s = lround(seconds);
        put(p, " after %ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    }
    if (best < c->n) {
        put(p, "; best test accuracy %s %% at ", fixed(100 * c->point[best].test_accuracy, 2).s);
        put_where(p, c, best);
    }
    put(p, "</text>\n");
}

static void put_x_labels(page *p, const curve *c, const axis *x, double bottom) {
    for (int k = 0; k < x->ticks; k++)
        put(p, "<text class=\"tick\" x=\"%s\" y=\"%s\" text-anchor=\"middle\">%s</text>\n",
            fixed(place(x, x->tick[k]), 1).s, fixed(bottom + 17, 1).s, label_of(x, x->tick[k]).s);
    put(p, "<text x=\"%d\" y=\"%s\" text-anchor=\"middle\">%s</text>\n", (LEFT + RIGHT) / 2,
        fixed(bottom + 36, 1).s, c->epochs ? "epoch" : "step");
}

static void put_page(page *p, curve *c, const char *title) {
    axis x = fit_x(c);
    int count = has_values(c, &panels[1]) ? PANELS : 1;
    int height = HEAD + BETWEEN / 2 + count * PANEL + (count - 1) * BETWEEN + FOOT;
    put(p,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
        "role=\"img\">\n<title>",
        WIDTH, height, WIDTH, height);
    put_text(p, title);
    put(p, "</title>\n");
    put_style(p);
    put(p, "<rect class=\"paper\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", WIDTH, height);
    put(p, "<text class=\"title\" x=\"%d\" y=\"27\">", LEFT);
    put_text(p, title);
    put(p, "</text>\n");
    put_summary(p, c);
    double bottom = HEAD + BETWEEN / 2.0 + PANEL;
    for (int k = 0; k < count; k++, bottom += PANEL + BETWEEN) put_panel(p, c, &panels[k], &x, bottom);
    put_x_labels(p, c, &x, bottom - PANEL - BETWEEN);
    put(p, "</svg>\n");
}

bool hz_curve_write(const char *path, const hz_train_point *point, size_t n, const char *title,
                    hz_error *err) {
    if (n == 0) return hz_fail(err, HZ_EINVAL, "%s: a curve of no points", hz_label(path).s);
    page p = {.out = hz_file_create(path, NULL, err), .err = err, .ok = true};
    if (!p.out) return false;
    put_page(&p, &(curve){.point = point, .n = n}, title ? title : "Learning curve");
    if (p.ok) return hz_file_commit(p.out, err);
    hz_file_discard(p.out);
    return false;
}

bool hz_curve_of_log(const char *log, const char *path, const char *title, hz_error *err) {
    hz_train_point *point;
    size_t n;
    if (!hz_train_log_read(log, NULL, &point, &n, err)) return false;
    bool ok = n > 0 ? hz_curve_write(path, point, n, title, err)
                    : hz_fail(err, HZ_EFORMAT, "%s: holds no finished line yet", hz_label(log).s);
    hz_free(NULL, point);
    return ok;
}
