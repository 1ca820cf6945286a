/* Makes the files below a folder fail, for as long as a test wants.
 *
 * Preloaded into a server (LD_PRELOAD). DISK_ROOT is the folder, DISK_FAULTS a file that is mapped: three
 * numbers, with which writes, the making of files and folders, and syncs fail; zero where they do not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITES, MAKES, SYNCS };

static volatile int32_t *faults;
static char root[PATH_MAX];
static size_t root_length;

#define NEXT(name)                                                                                          \
    static __typeof__(&name) real;                                                                          \
    if (!real)                                                                                              \
    real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DISK_FAULTS"), *folder = getenv("DISK_ROOT");
    if (!path || !folder)
        return;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *found = mmap(NULL, 3 * sizeof *faults, PROT_READ, MAP_SHARED, fd, 0);
    if (fd < 0 || found == MAP_FAILED)
        abort();
    close(fd);
    root_length = strlen(folder);
    memcpy(root, folder, root_length + 1);
    faults = found;
}

static int below(const char *path) {
    return !strncmp(path, root, root_length) && path[root_length] == '/';
}

static int fails(int what, const char *path) {
    if (!faults || !faults[what] || !below(path))
        return 0;
    errno = faults[what];
    return 1;
}

static int file_fails(int what, int fd) {
    char name[64], path[PATH_MAX];
    if (!faults || !faults[what])
        return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return fails(what, path);
}

#define OPEN(name)                                                                                          \
    int name(const char *path, int flags, ...) {                                                            \
        static int (*real)(const char *, int, ...);                                                         \
        if (!real)                                                                                          \
            real = dlsym(RTLD_NEXT, #name);                                                                 \
        va_list rest;                                                                                       \
        va_start(rest, flags);                                                                              \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                             \
        va_end(rest);                                                                                       \
        struct stat found;                                                                                  \
        if ((flags & O_CREAT) && faults && faults[MAKES] && lstat(path, &found) && fails(MAKES, path))      \
            return -1;                                                                                      \
        return real(path, flags, mode);                                                                     \
    }
OPEN(open)
OPEN(open64)

#define FAILING(what, result, name, parameters, ...)                                                        \
    result name parameters {                                                                                \
        NEXT(name);                                                                                         \
        if (file_fails(what, fd))                                                                           \
            return -1;                                                                                      \
        return real(__VA_ARGS__);                                                                           \
    }
FAILING(WRITES, ssize_t, write, (int fd, const void *data, size_t size), fd, data, size)
FAILING(WRITES, ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), fd, data, size, at)
FAILING(WRITES, ssize_t, pwrite64, (int fd, const void *data, size_t size, off_t at), fd, data, size, at)
FAILING(WRITES, ssize_t, writev, (int fd, const struct iovec *pieces, int count), fd, pieces, count)
FAILING(WRITES, ssize_t, pwritev, (int fd, const struct iovec *all, int n, off_t at), fd, all, n, at)
FAILING(WRITES, ssize_t, pwritev64, (int fd, const struct iovec *all, int n, off_t at), fd, all, n, at)
FAILING(WRITES, int, ftruncate, (int fd, off_t size), fd, size)
FAILING(WRITES, int, ftruncate64, (int fd, off_t size), fd, size)
FAILING(SYNCS, int, fsync, (int fd), fd)
FAILING(SYNCS, int, fdatasync, (int fd), fd)

int posix_fallocate64(int fd, off_t at, off_t size) {
    NEXT(posix_fallocate64);
    return file_fails(WRITES, fd) ? errno : real(fd, at, size);
}

int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir);
    return fails(MAKES, path) ? -1 : real(path, mode);
}

int rename(const char *from, const char *to) {
    NEXT(rename);
    return fails(MAKES, to) ? -1 : real(from, to);
}
