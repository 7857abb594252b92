// A disk that is full while a file of that name is there: preloaded under a server. What makes a file longer fails
// with ENOSPC; what overwrites bytes that are already there works, as on a real full disk.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_full_for(int fd, off_t end) {
    const char *switch_path = getenv("FULL_DISK");
    struct stat file;
    return switch_path != NULL && access(switch_path, F_OK) == 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode) &&
           end > file.st_size;
}

static off_t length_of(const struct iovec *parts, int count) {
    off_t length = 0;
    for (int at = 0; at < count; at++) length += (off_t)parts[at].iov_len;
    return length;
}

static int refused(void) {
    errno = ENOSPC;
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t size) {
    int saved = errno;
    // Pipes and sockets have no position; the server's own log is what a test reads.
    off_t at = fd == STDERR_FILENO ? -1 : lseek(fd, 0, SEEK_CUR);
    errno = saved;
    if (at >= 0 && is_full_for(fd, at + (off_t)size)) return refused();
    return syscall(SYS_write, fd, bytes, size);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    if (is_full_for(fd, at + (off_t)size)) return refused();
    return syscall(SYS_pwrite64, fd, bytes, size, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { return pwrite64(fd, bytes, size, at); }

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    if (is_full_for(fd, at + length_of(parts, count))) return refused();
    return syscall(SYS_pwritev, fd, parts, count, at, 0);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return pwritev64(fd, parts, count, at); }

int posix_fallocate64(int fd, off64_t at, off64_t size) {
    if (is_full_for(fd, at + size)) return ENOSPC;
    return syscall(SYS_fallocate, fd, 0, at, size) == 0 ? 0 : errno;
}

int posix_fallocate(int fd, off_t at, off_t size) { return posix_fallocate64(fd, at, size); }
