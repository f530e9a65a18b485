/* npy.h: one tensor in a NumPy .npy file (numpy/lib/format.py, versions 1 to 3).
 *
 *   "\x93NUMPY" major minor   8 bytes
 *   n                         2 bytes (version 1) or 4, little-endian
 *   n bytes                   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
 *   the elements
 *
 * Read: f2 (widened to f32), f4, f8, i4, i8, u1, b1 (u8, 0 or 1), either byte order, C or Fortran order.
 * Written: version 1, little-endian, C order. Files are untrusted: the header, at most 64 KiB of it, must
 * describe exactly the bytes that follow.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_NPY_H
#define HZ_TENSOR_NPY_H

#include "tensor/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Read the array at path into *out. Its memory is one block from alloc, freed with hz_free(alloc, out->data).
 * Fortran order becomes strides (1, d0, d0·d1, …). HZ_ENOTFOUND, HZ_EIO, HZ_EFORMAT, HZ_ENOMEM. */
bool hz_npy_load(const char *path, const hz_allocator *alloc, hz_tensor *out, hz_error *err);

/* Write t, of any strides, to path, all or nothing; alloc is for scratch. */
bool hz_npy_save(const char *path, const hz_tensor *t, const hz_allocator *alloc, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
