/* file.c: whole files in and out. Start with hz_file_open for reading, hz_file_create for writing.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tensor/half.h"

/* ---- text ---- */

int hz_utf8_length(const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80) return 1;
    int length = s[0] >= 0xc2 && s[0] < 0xe0   ? 2
                 : (s[0] & 0xf0) == 0xe0       ? 3
                 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                               : 0;
    for (int i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] > 0x9f, beyond = s[0] == 0xf4 && s[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

bool hz_is_utf8(const char *s) {
    while (*s) {
        int length = hz_utf8_length(s);
        if (length == 0) return false;
        s += length;
    }
    return true;
}

hz_label_text hz_label(const char *name) {
    static const char cut[] = "…";
    hz_label_text label;
    size_t used = 0, length = strlen(name), room = HZ_LABEL_TEXT - 1;
    if (length > room) {
        used = sizeof cut - 1;
        memcpy(label.s, cut, used);
        name += length - (room - used);
        while (((unsigned char)*name & 0xc0) == 0x80) name++; /* not in the middle of a character */
    }
    for (; *name; name++) label.s[used++] = (unsigned char)*name < ' ' || *name == 127 ? '?' : *name;
    label.s[used] = 0;
    return label;
}

bool hz_fail_errno(hz_error *err, const char *path, const char *doing) {
    hz_code code = errno == ENOENT ? HZ_ENOTFOUND : errno == ENOMEM ? HZ_ENOMEM : HZ_EIO;
    char reason[128];
    if (strerror_r(errno, reason, sizeof reason) != 0) snprintf(reason, sizeof reason, "error %d", errno);
    return hz_fail(err, code, "%s: cannot %s: %s", hz_label(path).s, doing, reason);
}

static bool fail_irregular(hz_error *err, const char *path, mode_t mode) {
    const char *kind = S_ISDIR(mode) ? "a directory" : S_ISFIFO(mode) ? "a FIFO" : "a device or socket";
    return hz_fail(err, HZ_EIO, "%s: is %s, not a regular file", hz_label(path).s, kind);
}

/* ---- reading ---- */

bool hz_file_open(const char *path, hz_file_in *in, hz_error *err) {
    struct stat st;
    *in = (hz_file_in){.path = path, .fd = -1};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO must not keep us waiting */
    if (fd < 0) return hz_fail_errno(err, path, "open");
    in->fd = fd;
    if (fstat(fd, &st) != 0) {
        hz_fail_errno(err, path, "examine");
    } else if (!S_ISREG(st.st_mode)) {
        fail_irregular(err, path, st.st_mode);
    } else {
        in->size = (uint64_t)st.st_size;
        return true;
    }
    hz_file_close(in);
    return false;
}

void hz_file_open_bytes(const char *path, const void *bytes, size_t size, hz_file_in *in) {
    *in = (hz_file_in){.path = path, .size = size, .fd = -1, .bytes = bytes, .left = size};
}

/* hz_file_get from memory. */
static bool get_bytes(hz_file_in *in, void *data, size_t size, hz_error *err) {
    if (size > in->left)
        return hz_fail(err, HZ_EIO, "%s: ends %zu bytes early", hz_label(in->path).s, size - in->left);
    if (size) memcpy(data, in->bytes, size);
    in->bytes += size;
    in->left -= size;
    return true;
}

bool hz_file_get(hz_file_in *in, void *data, size_t size, hz_error *err) {
    if (in->bytes) return get_bytes(in, data, size, err);
    for (unsigned char *at = data; size > 0;) {
        ssize_t got = read(in->fd, at, size < 1 << 30 ? size : 1 << 30);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return hz_fail_errno(err, in->path, "read");
        if (got == 0) return hz_fail(err, HZ_EIO, "%s: ends %zu bytes early", hz_label(in->path).s, size);
        at += got;
        size -= (size_t)got;
    }
    return true;
}

void hz_file_close(hz_file_in *in) {
    if (in->fd >= 0) close(in->fd);
    in->fd = -1;
}

static bool read_open(hz_file_in *in, uint64_t max, const hz_allocator *alloc, void **data, size_t *size,
                      hz_error *err) {
    if (in->size > max || in->size > PTRDIFF_MAX)
        return hz_fail(err, HZ_EFORMAT, "%s: has %ju bytes, more than the %ju accepted", hz_label(in->path).s,
                       (uintmax_t)in->size, (uintmax_t)max);
    *size = (size_t)in->size;
    *data = hz_alloc(alloc, *size);
    if (!*data)
        return hz_fail(err, HZ_ENOMEM, "%s: no memory for its %zu bytes", hz_label(in->path).s, *size);
    if (hz_file_get(in, *data, *size, err)) return true;
    hz_free(alloc, *data);
    *data = NULL;
    return false;
}

bool hz_file_read(const char *path, uint64_t max, const hz_allocator *alloc, void **data, size_t *size,
                  hz_error *err) {
    hz_file_in in;
    *data = NULL;
    *size = 0;
    if (!hz_file_open(path, &in, err)) return false;
    bool ok = read_open(&in, max, alloc, data, size, err);
    hz_file_close(&in);
    return ok;
}

/* ---- writing ---- */

enum { BUFFER = 1 << 16, TEMP_SUFFIX = 24, TEMP_TRIES = 1000 };

struct hz_file_out {
    hz_allocator alloc;
    char *path; /* the final name; lies behind this struct, the temporary name behind it */
    char *temp;
    size_t temp_size;
    int fd;
    size_t used; /* bytes waiting in buffer */
    unsigned char buffer[BUFFER];
};

/* Whether fd is locked for us alone and still the file called temp: between opening and locking another process may
 * have moved or removed it. Where a file system knows no locks, it counts as ours if we made it. */
static bool is_ours(int fd, const char *temp, bool made) {
    struct stat held, named;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && (errno == EWOULDBLOCK || !made)) return false;
    return fstat(fd, &held) == 0 && lstat(temp, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

/* Remove a temporary file that nobody writes to any more: its writer was killed. */
static void remove_abandoned(const char *temp) {
    struct stat st;
    const int fd = open(temp, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && is_ours(fd, temp, false)) unlink(temp);
    close(fd);
}

/* The temporary file stands beside the target (a rename must not cross file systems). Opened with O_EXCL, so that
 * it gets the permissions of the user's umask, which mkstemp would not give. Its writer holds a lock on it, which the
 * system drops with the process: the names of killed writers are free again. */
static bool open_temp(hz_file_out *out, hz_error *err) {
    for (int k = 0; k < TEMP_TRIES; k++) {
        snprintf(out->temp, out->temp_size, "%s.%d.tmp", out->path, k);
        remove_abandoned(out->temp);
        out->fd = open(out->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (out->fd < 0 && errno != EEXIST) break;
        if (out->fd >= 0 && is_ours(out->fd, out->temp, true)) return true;
        if (out->fd >= 0) close(out->fd);
        errno = EEXIST;
    }
    return hz_fail_errno(err, out->path, "create");
}

hz_file_out *hz_file_create(const char *path, const hz_allocator *alloc, hz_error *err) {
    struct stat st;
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) {
        fail_irregular(err, path, st.st_mode);
        return NULL;
    }
    size_t length = strlen(path) + 1;
    hz_file_out *out = hz_alloc(alloc, sizeof *out + 2 * length + TEMP_SUFFIX);
    if (!out) {
        hz_fail(err, HZ_ENOMEM, "%s: no memory to write it", hz_label(path).s);
        return NULL;
    }
    out->alloc = alloc ? *alloc : (hz_allocator){0};
    out->path = memcpy(out + 1, path, length);
    out->temp = out->path + length;
    out->temp_size = length + TEMP_SUFFIX;
    out->used = 0;
    if (open_temp(out, err)) return out;
    hz_allocator a = out->alloc;
    hz_free(&a, out);
    return NULL;
}

static bool put_through(hz_file_out *out, const void *data, size_t size, hz_error *err) {
    for (const unsigned char *at = data; size > 0;) {
        ssize_t done = write(out->fd, at, size < 1 << 30 ? size : 1 << 30);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return hz_fail_errno(err, out->path, "write");
        at += done;
        size -= (size_t)done;
    }
    return true;
}

static bool flush(hz_file_out *out, hz_error *err) {
    size_t used = out->used;
    out->used = 0;
    return put_through(out, out->buffer, used, err);
}

bool hz_file_put(hz_file_out *out, const void *data, size_t size, hz_error *err) {
    if (size == 0) return true;
    if (size > BUFFER - out->used && !flush(out, err)) return false;
    if (size > BUFFER) return put_through(out, data, size, err);
    memcpy(out->buffer + out->used, data, size);
    out->used += size;
    return true;
}

/* What hz_file_commit and hz_file_discard share; the struct goes, the temporary file only if unwanted. */
static void release(hz_file_out *out, bool remove_temp) {
    hz_allocator a = out->alloc;
    if (remove_temp) unlink(out->temp); /* while it is locked, and surely ours */
    if (out->fd >= 0) close(out->fd);
    hz_free(&a, out);
}

/* Let the new name survive a loss of power, too. Some file systems sync no directories. */
static bool sync_directory(hz_file_out *out, hz_error *err) {
    char *slash = strrchr(out->temp, '/');
    if (slash) slash[slash == out->temp] = 0; /* the temporary name is not needed any more */
    const int fd = open(slash ? out->temp : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return true; /* a directory may be written and not read */
    const bool ok = fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS;
    if (!ok) hz_fail_errno(err, out->path, "write the directory of");
    close(fd);
    return ok;
}

/* Whether the file got its name is in *named. It stays locked until it has it. */
static bool commit(hz_file_out *out, bool *named, hz_error *err) {
    *named = false;
    if (!flush(out, err)) return false;
    if (fsync(out->fd) != 0) return hz_fail_errno(err, out->path, "write");
    if (rename(out->temp, out->path) != 0) return hz_fail_errno(err, out->path, "create");
    *named = true;
    const int fd = out->fd;
    out->fd = -1;
    if (close(fd) != 0) return hz_fail_errno(err, out->path, "write");
    return sync_directory(out, err);
}

bool hz_file_commit(hz_file_out *out, hz_error *err) {
    bool named;
    const bool ok = commit(out, &named, err);
    release(out, !named);
    return ok;
}

void hz_file_discard(hz_file_out *out) {
    if (out) release(out, true);
}

/* ---- tensors as bytes ---- */

static bool host_is_big(void) {
    const uint16_t one = 1;
    return *(const unsigned char *)&one == 0;
}

void hz_file_byte_order(void *data, size_t count, size_t width, bool big) {
    if (big == host_is_big() || width == 1) return;
    unsigned char *p = data;
    for (size_t k = 0; k < count; k++, p += width)
        for (size_t i = 0; i < width / 2; i++) {
            unsigned char byte = p[i];
            p[i] = p[width - 1 - i];
            p[width - 1 - i] = byte;
        }
}

/* The row of t that starts at index idx of the other axes: n elements, gathered and encoded into bytes. */
static void encode(const hz_tensor *t, const char *from, int64_t n, bool as_f16, unsigned char *bytes) {
    size_t size = hz_dtype_size(t->dtype), width = as_f16 ? 2 : size;
    ptrdiff_t step = t->rank ? (ptrdiff_t)(t->stride[t->rank - 1] * (int64_t)size) : 0;
    for (int64_t i = 0; i < n; i++, from += step, bytes += width) {
        if (!as_f16) {
            memcpy(bytes, from, size);
        } else {
            uint16_t half =
                hz__f16_of_f64(t->dtype == HZ_F32 ? (double)*(const float *)from : *(const double *)from);
            memcpy(bytes, &half, sizeof half);
        }
    }
}

/* One row along the last axis, in pieces that fit the buffer. */
static bool put_row(hz_file_out *out, const hz_tensor *t, const char *row, bool as_f16, hz_error *err) {
    size_t size = hz_dtype_size(t->dtype), width = as_f16 ? 2 : size;
    int64_t n = t->rank ? t->dim[t->rank - 1] : 1, stride = t->rank ? t->stride[t->rank - 1] : 0;
    for (int64_t i = 0; i < n;) {
        if (BUFFER - out->used < width && !flush(out, err)) return false;
        int64_t room = (int64_t)((BUFFER - out->used) / width), count = n - i < room ? n - i : room;
        unsigned char *bytes = out->buffer + out->used;
        encode(t, row + i * stride * (int64_t)size, count, as_f16, bytes);
        hz_file_byte_order(bytes, (size_t)count, width, false);
        out->used += (size_t)count * width;
        i += count;
    }
    return true;
}

bool hz_file_put_tensor(hz_file_out *out, const hz_tensor *t, bool as_f16, hz_error *err) {
    bool half = as_f16 && hz_dtype_is_float(t->dtype);
    if (hz_numel(t) == 0) return true;
    if (!half && hz_is_contiguous(t) && !host_is_big()) return hz_file_put(out, t->data, hz_nbytes(t), err);
    hz_tensor rows = *t; /* the axes before the last: one index for each row */
    rows.rank = t->rank ? t->rank - 1 : 0;
    int64_t idx[HZ_MAX_RANK], count = hz_numel(&rows), size = (int64_t)hz_dtype_size(t->dtype);
    for (int64_t k = 0; k < count; k++) {
        hz_unravel(&rows, k, idx);
        if (!put_row(out, t, (const char *)t->data + hz_offset(&rows, idx) * size, half, err)) return false;
    }
    return true;
}
