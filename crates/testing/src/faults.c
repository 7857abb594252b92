// A disk that fails when a test sets it to: preloaded under a program, it stands between SQLite and the system for files that
// end in .db or .db-wal. What it does is read from a shared file of 32-bit numbers, so that a test can change it
// while the program runs. The numbers are named in faults.rs, in the same order.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    WRITE_ERRNO,
    WRITE_TORN,
    SYNC_ERRNO,
    SYNC_MILLIS,
    SYNC_STALLED,
    READ_ONLY,
    WRITES_FAILED,
    SYNCS_FAILED,
    SYNCS_HELD,
    SYNCS_DONE,
    TEMPORARY_ERRNO,
    NUMBERS
};

static int32_t nothing[NUMBERS];
static int32_t *numbers = nothing;

static int32_t get(int number) { return __atomic_load_n(&numbers[number], __ATOMIC_SEQ_CST); }
static void count(int number) { __atomic_add_fetch(&numbers[number], 1, __ATOMIC_SEQ_CST); }

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("FAULTS_CONTROL");
    if (path == NULL) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *shared = mmap(NULL, sizeof nothing, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared != MAP_FAILED) numbers = shared;
    close(fd);
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), wanted = strlen(end);
    return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

static int path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static int is_ours(int fd) {
    char path[4096];
    return path_of(fd, path, sizeof path) && (ends_with(path, ".db") || ends_with(path, ".db-wal"));
}

// A temporary file has no name.
static int is_temporary(int fd) {
    char path[4096];
    return path_of(fd, path, sizeof path) && ends_with(path, " (deleted)");
}

// How much of a write may pass: all of it, a first half (a disk that fills up in the midst), or -1 for nothing.
static ssize_t passes(int fd, size_t size) {
    static __thread int torn_before;
    int error = get(WRITE_ERRNO);
    if (error == 0 || !is_ours(fd)) return (ssize_t)size;
    if (get(WRITE_TORN) && !torn_before && size > 64) {
        torn_before = 1;
        return (ssize_t)(size / 2);
    }
    torn_before = 0;
    count(WRITES_FAILED);
    errno = error;
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t size) {
    if (get(TEMPORARY_ERRNO) != 0 && is_temporary(fd)) {
        count(WRITES_FAILED);
        errno = get(TEMPORARY_ERRNO);
        return -1;
    }
    ssize_t passing = passes(fd, size);
    return passing < 0 ? -1 : syscall(SYS_write, fd, bytes, (size_t)passing);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    ssize_t passing = passes(fd, size);
    return passing < 0 ? -1 : syscall(SYS_pwrite64, fd, bytes, (size_t)passing, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { return pwrite64(fd, bytes, size, at); }

int ftruncate64(int fd, off64_t length) {
    if (passes(fd, 0) < 0) return -1;
    return (int)syscall(SYS_ftruncate, fd, length);
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static void rest(int32_t millis) {
    struct timespec span = {millis / 1000, (long)(millis % 1000) * 1000000};
    while (nanosleep(&span, &span) != 0 && errno == EINTR) {}
}

static int sync_with(long call, int fd) {
    int ours = is_ours(fd);
    if (ours && get(SYNC_STALLED)) {
        count(SYNCS_HELD);
        while (get(SYNC_STALLED)) rest(2);
    }
    if (ours && get(SYNC_MILLIS) > 0) rest(get(SYNC_MILLIS));
    if (ours && get(SYNC_ERRNO) != 0) {
        count(SYNCS_FAILED);
        errno = get(SYNC_ERRNO);
        return -1;
    }
    if (ours) count(SYNCS_DONE);
    return (int)syscall(call, fd);
}

int fsync(int fd) { return sync_with(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_with(SYS_fdatasync, fd); }

static int open_with(const char *path, int flags, int mode) {
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (get(READ_ONLY) && writes && (ends_with(path, ".db") || ends_with(path, ".db-wal"))) {
        errno = EACCES;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static int mode_of(int flags, va_list rest) {
    int takes_mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    return takes_mode ? va_arg(rest, int) : 0;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = mode_of(flags, rest);
    va_end(rest);
    return open_with(path, flags | O_LARGEFILE, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = mode_of(flags, rest);
    va_end(rest);
    return open_with(path, flags, mode);
}
