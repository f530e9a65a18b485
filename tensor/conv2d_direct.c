/* conv2d_direct.c: convolutions with few channels, on one side or the other, straight from the formula: nothing is
 * made but a padded copy of some rows of the input, which stays in the cache.
 *
 * Both directions have one form: an output row i, column j is a sum over the taps (c, r, s) of an axis-wise shift,
 *     to[k, first + i·step, …] = Σ w · from[c, i·stride + shift(r), j·stride + shift(s)].
 * Forward, first = 0, step = 1 and shift(r) = r·dilation − pad. The input gradient falls apart by the residue `first`
 * of the row modulo its stride s: with step = s, only taps meet that for which first + pad − r·dilation is a multiple
 * of s, namely s·shift(r). So each of its s×s phases is a small convolution of dy of stride 1, and nothing is
 * scattered. A row of the copy has the columns that one tap meets side by side (see hz__padded), so the inner loop
 * (kernels/direct.h) reads vectors of pixels. Start reading at direct_piece.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "tensor/conv2d_parts.h"
#include "tensor/kernels/direct.h"

enum {
    FEW_CHANNELS = 4, /* to read, */
    FEW_FILTERS = 12, /* or to write, */
    FEW_TAPS = 50,    /* channels·R·S: where it pays, see the end */
    MOST_STRIDE = 8,  /* phases are s×s */
    MOST_REACH = 64,  /* dilation·(kernel − 1): what the copy has beyond the rows and columns needed */
    BAND_BYTES = 512 << 10, /* of the padded copy */
    ENOUGH_PIECES = 8       /* for the threads */
};

/* One phase along one axis. */
typedef struct phase {
    int64_t first, count;     /* first output, how many */
    int64_t tap, taps, shift; /* first tap, how many; shift of the first */
} phase;

typedef struct direct {
    const hz__conv2d *v;
    const hz__direct_kernels *kernels;
    int64_t channels, filters;          /* of a group: read, written */
    int64_t in[2], out[2];              /* extents of what is read and what is written */
    int64_t stride[2], step[2];         /* from output to output: in what is read, in what is written */
    int64_t tap_step[2], shift_step[2]; /* from tap to tap of a phase */
    int64_t low[2], high[2];            /* smallest and largest shift of all */
    phase phases[2][MOST_STRIDE];       /* step of them on each axis */
    int64_t band, bands;                /* rows i of a piece, pieces of an image */
    hz__padded padded;                  /* the copy of one channel */
    hz__planes from, to;
    const hz_tensor *b; /* or NULL */
    char *w;            /* of group, phase, block of filters: (taps, rows) */
    int64_t *offset;    /* of phase: (taps) */
} direct;

static const hz__window *window_of(const direct *f) {
    return &f->v->window;
}

/* ---- the two directions ---- */

static phase forward_phase(const hz__window *w, int axis) {
    return (phase){0, w->out[axis], 0, w->kernel[axis], -w->pad[axis]};
}

static int64_t common_divisor(int64_t a, int64_t b) {
    return b == 0 ? a : common_divisor(b, a % b);
}

/* The phase of the input gradient that starts at `first`. */
static phase adjoint_phase(const hz__window *w, int axis, int64_t first, int64_t tap_step) {
    const int64_t s = w->stride[axis], n = w->in[axis];
    phase p = {first, first < n ? (n - first - 1) / s + 1 : 0, 0, 0, 0};
    for (int64_t r = 0; r < hz__smaller(tap_step, w->kernel[axis]); r++) {
        const int64_t at = first + w->pad[axis] - r * w->dilation[axis];
        if (at % s == 0) {
            p.tap = r;
            p.taps = (w->kernel[axis] - 1 - r) / tap_step + 1;
            p.shift = at / s;
        }
    }
    return p;
}

static void set_axis(direct *f, int axis, bool adjoint) {
    const hz__window *w = window_of(f);
    f->in[axis] = adjoint ? w->out[axis] : w->in[axis];
    f->out[axis] = adjoint ? w->in[axis] : w->out[axis];
    const int64_t divisor = common_divisor(w->stride[axis], w->dilation[axis]);
    f->stride[axis] = adjoint ? 1 : w->stride[axis];
    f->step[axis] = adjoint ? w->stride[axis] : 1;
    f->tap_step[axis] = adjoint ? w->stride[axis] / divisor : 1;
    f->shift_step[axis] = adjoint ? -w->dilation[axis] / divisor : w->dilation[axis];
    f->low[axis] = INT64_MAX, f->high[axis] = INT64_MIN;
    for (int64_t i = 0; i < f->step[axis]; i++) {
        const phase p = adjoint ? adjoint_phase(w, axis, i, f->tap_step[axis]) : forward_phase(w, axis);
        f->phases[axis][i] = p;
        if (p.taps == 0) continue;
        const int64_t last = p.shift + (p.taps - 1) * f->shift_step[axis];
        f->low[axis] = hz__smaller(f->low[axis], hz__smaller(p.shift, last));
        f->high[axis] = hz__larger(f->high[axis], hz__larger(p.shift, last));
    }
}

/* Rows of the copy for so many output rows; or columns. */
static int64_t touched(const direct *f, int axis, int64_t count) {
    return (count - 1) * f->stride[axis] + f->high[axis] - f->low[axis] + 1;
}

static int64_t vectors(const direct *f, int64_t n) {
    return hz__div_up(n, f->kernels->lanes) * f->kernels->lanes;
}

static direct direct_of(const hz__conv2d *v, bool adjoint) {
    direct f = {.v = v, .kernels = hz__direct_table(v->dtype, v->ex->isa)};
    f.channels = adjoint ? v->k : v->c;
    f.filters = adjoint ? v->c : v->k;
    set_axis(&f, 0, adjoint);
    set_axis(&f, 1, adjoint);
    const int64_t rows = f.phases[0][0].count, columns = f.phases[1][0].count; /* no phase has more */
    f.padded.phase = hz__div_up(touched(&f, 1, columns), f.stride[1]);
    f.padded.pitch = f.padded.phase * f.stride[1];
    const int64_t wanted = BAND_BYTES / v->size / f.padded.pitch / f.channels / f.stride[0];
    const int64_t most =
        hz__div_up(rows, hz__div_up(ENOUGH_PIECES, hz__smaller(v->n * v->groups, ENOUGH_PIECES)));
    f.band = hz__equal_blocks(rows, hz__larger(hz__smaller(wanted, most), 1));
    f.bands = hz__div_up(rows, f.band);
    f.padded.rows = touched(&f, 0, f.band);
    return f;
}

/* ---- weights and offsets ---- */

static int64_t taps_of(const direct *f, const phase *y, const phase *x) {
    return f->channels * y->taps * x->taps;
}

/* Elements of the copies of all channels, with room for the vectors that read on. */
static int64_t copy_size(const direct *f) {
    return f->channels * f->padded.rows * f->padded.pitch + f->kernels->lanes;
}

/* Where each tap of a phase meets the copy. */
static void set_offsets(const direct *f, const phase *y, const phase *x, int64_t *offset) {
    for (int64_t c = 0; c < f->channels; c++) {
        for (int64_t r = 0; r < y->taps; r++) {
            const int64_t row = y->shift + r * f->shift_step[0] - f->low[0];
            for (int64_t s = 0; s < x->taps; s++) {
                const int64_t u = x->shift + s * f->shift_step[1] - f->low[1];
                *offset++ = (c * f->padded.rows + row) * f->padded.pitch +
                            u % f->stride[1] * f->padded.phase + u / f->stride[1];
            }
        }
    }
}

/* The weights of one phase and `rows` filters, from w on: (taps, rows). */
static char *pack(const direct *f, hz__planes w, bool adjoint, const phase *y, const phase *x, int64_t rows,
                  char *to) {
    const int64_t size = f->v->size, to_channel = w.stride[adjoint ? 0 : 1],
                  to_filter = w.stride[adjoint ? 1 : 0];
    for (int64_t c = 0; c < f->channels; c++) {
        for (int64_t r = 0; r < y->taps; r++) {
            for (int64_t s = 0; s < x->taps; s++) {
                const int64_t at = c * to_channel + (y->tap + r * f->tap_step[0]) * w.stride[2] +
                                   (x->tap + s * f->tap_step[1]) * w.stride[3];
                for (int64_t i = 0; i < rows; i++, to += size)
                    memcpy(to, w.data + (at + i * to_filter) * size, (size_t)size);
            }
        }
    }
    return to;
}

static void prepare(direct *f, const hz_tensor *w, bool adjoint) {
    const hz__conv2d *v = f->v;
    const hz__planes planes = hz__planes_of(w);
    char *to = f->w;
    int64_t *offset = f->offset;
    for (int64_t g = 0; g < v->groups; g++) {
        for (int64_t i = 0; i < f->step[0] * f->step[1]; i++) {
            const phase *y = &f->phases[0][i / f->step[1]], *x = &f->phases[1][i % f->step[1]];
            for (int64_t k = 0; k < f->filters; k += f->kernels->rows) {
                const hz__planes at = hz__planes_at(v, planes, g * v->k + (adjoint ? 0 : k), adjoint ? k : 0);
                to = pack(f, at, adjoint, y, x, hz__smaller(f->kernels->rows, f->filters - k), to);
            }
            if (g == 0) {
                set_offsets(f, y, x, offset);
                offset += taps_of(f, y, x);
            }
        }
    }
}

/* ---- running ---- */

/* Output rows [i0, i1) of one phase: y holds `rows` filters, ld apart, output row i at (i − i0)·pitch. */
static void write_rows(const direct *f, const char *y, int64_t ld, int64_t pitch, int64_t rows,
                       const phase *py, const phase *px, int64_t i0, int64_t i1, char *to) {
    const int64_t size = f->v->size, plane = f->out[0] * f->out[1];
    for (int64_t k = 0; k < rows; k++) {
        for (int64_t i = i0; i < i1; i++) {
            const char *row = y + (k * ld + (i - i0) * pitch) * size;
            char *out = to + (k * plane + (py->first + i * f->step[0]) * f->out[1] + px->first) * size;
            f->v->kernels->spread(px->count, row, f->step[1], out);
        }
    }
}

/* One phase of output rows [i0, i1) of a block of filters. Rows of whole vectors go to their place at once; others
 * by way of y. */
static void run_phase(const direct *f, const phase *py, const phase *px, const int64_t *offset,
                      const char *copy, const char *w, const char *bias, int64_t rows, int64_t i0, int64_t i1,
                      char *y, char *to) {
    const int64_t size = f->v->size, taps = taps_of(f, py, px), pitch = f->padded.pitch;
    const int64_t ld = vectors(f, px->count), plane = f->out[0] * f->out[1];
    const bool whole = ld == px->count && f->step[0] == 1 && f->step[1] == 1;
    if (!whole && f->stride[0] == 1 && f->stride[1] == 1) { /* the rows of the copy as one */
        const int64_t n = (i1 - i0 - 1) * pitch + px->count;
        f->kernels->run(rows, n, taps, offset, copy, w, bias, y, vectors(f, n));
        write_rows(f, y, vectors(f, n), pitch, rows, py, px, i0, i1, to);
        return;
    }
    for (int64_t i = i0; i < i1; i++) {
        const char *from = copy + (i - i0) * f->stride[0] * pitch * size;
        char *row = whole ? to + i * f->out[1] * size : y;
        f->kernels->run(rows, px->count, taps, offset, from, w, bias, row, whole ? plane : ld);
        if (!whole) write_rows(f, y, ld, 0, rows, py, px, i, i + 1, to);
    }
}

/* The rows of the input that a band meets. */
static void copy_band(const direct *f, int64_t n, int64_t g, int64_t i0, char *copy) {
    const hz__window window = {.in = {f->in[0], f->in[1]},
                               .stride = {f->stride[0], f->stride[1]},
                               .pad = {-f->low[0] - i0 * f->stride[0], -f->low[1]}};
    const int64_t plane = f->padded.rows * f->padded.pitch * f->v->size;
    for (int64_t c = 0; c < f->channels; c++) {
        const hz__planes x = hz__planes_at(f->v, f->from, n, g * f->channels + c);
        f->v->kernels->pad(&window, &f->padded, x.data, x.stride, copy + c * plane);
    }
    memset(copy + f->channels * plane, 0, (size_t)(f->kernels->lanes * f->v->size));
}

/* bias[i] of `rows` filters from k on. */
static void copy_bias(const direct *f, int64_t k, int64_t rows, char *bias) {
    const int64_t size = f->v->size;
    memset(bias, 0, (size_t)(rows * size));
    for (int64_t i = 0; f->b && i < rows; i++)
        memcpy(bias + i * size, (const char *)f->b->data + (k + i) * f->b->stride[0] * size, (size_t)size);
}

/* Piece: a band of output rows of one group of one image: all phases, all filters. */
static void direct_piece(const void *task, int64_t index, char *scratch) {
    const direct *f = task;
    const hz__conv2d *v = f->v;
    const int64_t band = index % f->bands, g = index / f->bands % v->groups, n = index / f->bands / v->groups;
    const int64_t i0 = band * f->band, group_weights = v->k * v->q * v->size;
    char *bias = scratch + copy_size(f) * v->size, *y = bias + f->kernels->rows * v->size;
    const char *w = f->w + g * group_weights;
    const int64_t *offset = f->offset;
    copy_band(f, n, g, i0, scratch);
    for (int64_t p = 0; p < f->step[0] * f->step[1]; p++) {
        const phase *py = &f->phases[0][p / f->step[1]], *px = &f->phases[1][p % f->step[1]];
        const int64_t i1 = hz__smaller(i0 + f->band, py->count), taps = taps_of(f, py, px);
        for (int64_t k = 0; k < f->filters; k += f->kernels->rows) {
            const int64_t rows = hz__smaller(f->kernels->rows, f->filters - k);
            copy_bias(f, g * f->filters + k, rows, bias);
            if (i0 < i1 && px->count > 0) {
                run_phase(f, py, px, offset, scratch, w, bias, rows, i0, i1, y,
                          hz__planes_at(v, f->to, n, g * f->filters + k).data);
            }
            w += taps * rows * v->size;
        }
        offset += taps;
    }
}

static bool run(direct *f, const hz_tensor *from, const hz_tensor *w, const hz_tensor *b, const hz_tensor *to,
                bool adjoint, hz_error *err) {
    const hz__conv2d *v = f->v;
    const int64_t weights = hz__div_up(hz_numel(w) * v->size, HZ_ALIGN) * HZ_ALIGN;
    const int64_t offsets = v->k * v->q * (int64_t)sizeof(int64_t); /* ≥ channels·R·S of them */
    hz_block *block = hz_pool_get(v->ex->pool, (size_t)(weights + offsets));
    if (!block)
        return hz_fail(err, HZ_ENOMEM, "conv2d: no %lld bytes of memory", (long long)(weights + offsets));
    f->w = block->data;
    f->offset = (int64_t *)(f->w + weights);
    f->from = hz__planes_of(from);
    f->to = hz__planes_of(to);
    f->b = b;
    prepare(f, w, adjoint);
    const int64_t y = f->kernels->rows * vectors(f, f->band * f->padded.pitch);
    const int64_t room = (copy_size(f) + f->kernels->rows + y) * v->size;
    const bool ok = hz__conv2d_run(v, f, direct_piece, v->n * v->groups * f->bands, (size_t)room, err);
    hz_block_unref(block);
    return ok;
}

bool hz__conv2d_direct(const hz__conv2d *v, const hz_tensor *x, const hz_tensor *w, const hz_tensor *b,
                       const hz_tensor *y, hz_error *err) {
    direct f = direct_of(v, false);
    return run(&f, x, w, b, y, false, err);
}

bool hz__conv2d_direct_input_grad(const hz__conv2d *v, const hz_tensor *dy, const hz_tensor *w,
                                  const hz_tensor *dx, hz_error *err) {
    direct f = direct_of(v, true);
    return run(&f, dy, w, NULL, dx, true, err);
}

/* ---- when ---- */

const hz__direct_kernels *hz__direct_table(hz_dtype dtype, hz_isa isa) {
    const bool f32 = dtype == HZ_F32;
#if defined(HZ_HAVE_AVX512)
    if (isa == HZ_ISA_AVX512) return f32 ? &hz__direct_f32_avx512 : &hz__direct_f64_avx512;
#endif
#if defined(HZ_HAVE_AVX2)
    if (isa == HZ_ISA_AVX2) return f32 ? &hz__direct_f32_avx2 : &hz__direct_f64_avx2;
#endif
    (void)isa;
    return f32 ? &hz__direct_f32_c : &hz__direct_f64_c;
}

/* Within the bounds of the arrays above, and not a mere product. */
static bool has_form(const hz__conv2d *v) {
    const hz__window *w = &v->window;
    for (int axis = 0; axis < 2; axis++) {
        if (w->stride[axis] > MOST_STRIDE || w->dilation[axis] > MOST_REACH || w->kernel[axis] > MOST_REACH ||
            w->dilation[axis] * (w->kernel[axis] - 1) > MOST_REACH) {
            return false;
        }
    }
    return w->kernel[0] * w->kernel[1] > 1;
}

bool hz__conv2d_direct_fits(const hz__conv2d *v) {
    return has_form(v) && (v->c <= FEW_CHANNELS || v->k <= FEW_FILTERS / 2);
}

/* A product of few rows, Wᵀ·dY, is quick too, so there must be more to win. */
bool hz__conv2d_direct_input_grad_fits(const hz__conv2d *v) {
    return has_form(v) &&
           ((v->c <= FEW_FILTERS && v->q >= FEW_TAPS) || (v->c <= FEW_CHANNELS && v->k <= FEW_CHANNELS));
}
