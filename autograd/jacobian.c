/* jacobian.c: Jacobians, one boxed sweep per output element, and Hessian-vector products.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "autograd/internal.h"
#include "tensor/elementwise.h"

static bool check_pair(const char *what, hz_var y, hz_var x) {
    if (!y.tape || y.tape->error.code) return false;
    if (hz_ok(y) && hz_ok(x) && y.tape == x.tape) return true;
    hz_tape_fail(y.tape, HZ_EINVAL, "%s: y or x is the inert variable, or they are on different tapes", what);
    return false;
}

/* Row e of the Jacobian: the gradient of element e of y, written into *row (of x's shape, zeros). */
static bool write_row(hz_var y, hz_var x, const hz_rules *rules, int64_t e, const hz_tensor *row) {
    static const int64_t one[HZ_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    const hz_tensor *value = hz_value(y);
    hz_tape *t = y.tape;
    hz_mark mark = hz_tape_mark(t);
    hz_box unit, support;
    hz_unravel(value, e, unit.lo);
    for (int k = 0; k < value->rank; k++) unit.hi[k] = unit.lo[k] + 1;
    hz_var dx, dy = hz_full(t, value->dtype, value->rank, one, 1.0);
    hz_grad_opts opts = {.dy = &dy, .rules = rules, .support = &support, .support_only = true};
    bool ok = hz__grad(&y, 1, &x, 1, &opts, &unit, NULL, &dx);
    if (ok && hz_numel(hz_value(dx)) > 0) {
        hz_tensor part = hz_view_box(row, &support);
        hz_copy(&t->exec, hz_value(dx), &part);
    }
    hz_tape_rewind(t, mark);
    return ok;
}

hz_var hz_jacobian(hz_var y, hz_var x, const hz_rules *rules) {
    if (!check_pair("hz_jacobian", y, x)) return hz_none(y.tape);
    const hz_tensor *from = hz_value(y), *to = hz_value(x);
    int64_t dim[2 * HZ_MAX_RANK];
    int rank = from->rank + to->rank;
    if (rank > HZ_MAX_RANK)
        return hz_tape_fail(y.tape, HZ_ESHAPE, "hz_jacobian: y %s and x %s have %d axes together, at most %d",
                            hz_shape_str(from).s, hz_shape_str(to).s, rank, HZ_MAX_RANK);
    if (from->rank) memcpy(dim, from->dim, (size_t)from->rank * sizeof *dim);
    if (to->rank) memcpy(dim + from->rank, to->dim, (size_t)to->rank * sizeof *dim);
    hz_var jacobian = hz_full(y.tape, to->dtype, rank, dim, 0.0);
    if (!hz_ok(jacobian)) return jacobian;
    hz_tensor row = hz_tensor_of(hz_value(jacobian)->data, to->dtype, to->rank, to->dim);
    size_t bytes = hz_nbytes(&row);
    for (int64_t e = 0, n = hz_numel(from); e < n; e++) {
        if (!write_row(y, x, rules, e, &row)) return hz_none(y.tape);
        row.data = (char *)row.data + bytes;
    }
    return jacobian;
}

hz_var hz_hvp(hz_var y, hz_var x, hz_var v) {
    if (!check_pair("hz_hvp", y, x)) return hz_none(y.tape);
    hz_var dx, hv;
    hz_grad_opts first = {.differentiable = true};
    if (!hz_grad(&y, 1, &x, 1, &first, &dx)) return hz_none(y.tape);
    hz_grad_opts again = {.dy = &v, .unreachable = HZ_UNREACHABLE_ZERO};
    return hz_grad(&dx, 1, &x, 1, &again, &hv) ? hv : hz_none(y.tape);
}
