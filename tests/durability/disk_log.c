/* Logs what a process and its children do to the files below a folder, in the order in which it happens.
 *
 * Preloaded into a server (LD_PRELOAD). DISK_ROOT is the folder, DISK_LOG a file that is mapped by all
 * processes: eight bytes that say where it ends, then records (struct record and three strings). A change
 * is logged when it has happened, a sync when it begins and again when it has ended, a reply before it is
 * sent: so what a sync is said to cover was there before, and what a client knows comes after.
 *
 * What is changed through a shared mapping is not seen; nothing of the server's data is written so.
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, MAKE_FOLDER, WRITE, TRUNCATE, RENAME, UNLINK, SYNC_BEGINS, SYNC_ENDS, REPLY };

struct record {
    uint32_t length, kind; /* the kind is written last: zero is a record that was never finished */
    uint64_t inode, offset;
    uint32_t path, other, data; /* lengths of the strings that follow */
    uint32_t thread;
};

static char *mapped;
static uint64_t room;
static char root[PATH_MAX];
static size_t root_length;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define NEXT(name)                                                                                          \
    static __typeof__(&name) real;                                                                          \
    if (!real)                                                                                              \
    real = REAL(name)

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DISK_LOG"), *folder = getenv("DISK_ROOT");
    if (!path || !folder)
        return;
    int fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
    struct stat found;
    if (fd < 0 || fstat(fd, &found) < 0)
        abort();
    room = found.st_size;
    mapped = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        abort();
    REAL(close)(fd);
    root_length = strlen(folder);
    memcpy(root, folder, root_length + 1);
}

static int below(const char *path) {
    return mapped && path && !strncmp(path, root, root_length) && path[root_length] == '/';
}

static void note(uint32_t kind, uint64_t inode, uint64_t offset, const char *path, const char *other,
                 const void *data, size_t size) {
    int kept = errno;
    struct record head = {.inode = inode, .offset = offset, .data = size, .thread = gettid()};
    head.path = path ? strlen(path) : 0;
    head.other = other ? strlen(other) : 0;
    uint64_t whole = (sizeof head + head.path + head.other + size + 7) / 8 * 8;
    head.length = whole;
    uint64_t at = __atomic_fetch_add((uint64_t *)mapped, whole, __ATOMIC_SEQ_CST) + sizeof(uint64_t);
    if (at + whole > room)
        abort();
    char *to = mapped + at;
    memcpy(to, &head, sizeof head);
    to += sizeof head;
    memcpy(to, path ? path : "", head.path);
    memcpy(to + head.path, other ? other : "", head.other);
    memcpy(to + head.path + head.other, data ? data : "", size);
    __atomic_store_n(&((struct record *)(mapped + at))->kind, kind, __ATOMIC_SEQ_CST);
    errno = kept;
}

/* Whether a descriptor is of a file or a folder below the root; its name and number. */
static int ours(int fd, char *path, uint64_t *inode) {
    struct stat found;
    if (!mapped)
        return 0;
    int kept = errno, is = 0;
    char name[64];
    if (!fstat(fd, &found) && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode))) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(name, path, PATH_MAX - 1);
        if (length > 0) {
            path[length] = 0;
            *inode = found.st_ino;
            is = below(path) || !strcmp(path, root);
        }
    }
    errno = kept;
    return is;
}

static void changed(int fd, uint32_t kind, uint64_t offset, const void *data, size_t size) {
    char path[PATH_MAX];
    uint64_t inode;
    if (ours(fd, path, &inode))
        note(kind, inode, offset, path, NULL, data, size);
}

static void replying(int fd, const struct iovec *pieces, int count) {
    struct stat found;
    int kept = errno;
    if (mapped && count > 0 && pieces[0].iov_len > 9 && !memcmp(pieces[0].iov_base, "HTTP/1.1 ", 9) &&
        !fstat(fd, &found) && S_ISSOCK(found.st_mode)) {
        size_t size = pieces[0].iov_len;
        note(REPLY, 0, 0, NULL, NULL, pieces[0].iov_base, size < 8192 ? size : 8192);
    }
    errno = kept;
}

/* --- files ------------------------------------------------------------------------------------------- */

static int opened(const char *path, int flags, mode_t mode) {
    static int (*real)(const char *, int, ...);
    if (!real)
        real = dlsym(RTLD_NEXT, "open64");
    struct stat found;
    int kept = errno, made = (flags & O_CREAT) && below(path) && lstat(path, &found) < 0;
    errno = kept;
    int fd = real(path, flags, mode);
    if (fd >= 0 && made && !fstat(fd, &found))
        note(CREATE, found.st_ino, 0, path, NULL, NULL, 0);
    if (fd >= 0 && (flags & O_TRUNC) && below(path))
        changed(fd, TRUNCATE, 0, NULL, 0);
    return fd;
}

#define OPEN(name)                                                                                          \
    int name(const char *path, int flags, ...) {                                                            \
        va_list rest;                                                                                       \
        va_start(rest, flags);                                                                              \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                             \
        va_end(rest);                                                                                       \
        return opened(path, flags, mode);                                                                   \
    }
OPEN(open)
OPEN(open64)

/* Where the next write goes; -1 for what has no places. */
static off_t position(int fd) {
    int kept = errno, flags = mapped ? fcntl(fd, F_GETFL) : -1;
    off_t at = flags < 0 ? -1 : lseek(fd, 0, flags & O_APPEND ? SEEK_END : SEEK_CUR);
    errno = kept;
    return at;
}

ssize_t write(int fd, const void *data, size_t size) {
    NEXT(write);
    replying(fd, &(struct iovec){(void *)data, size}, 1);
    off_t at = position(fd);
    ssize_t done = real(fd, data, size);
    if (done > 0 && at >= 0)
        changed(fd, WRITE, at, data, done);
    return done;
}

#define PWRITE(name)                                                                                        \
    ssize_t name(int fd, const void *data, size_t size, off_t offset) {                                     \
        NEXT(name);                                                                                         \
        ssize_t done = real(fd, data, size, offset);                                                        \
        if (done > 0)                                                                                       \
            changed(fd, WRITE, offset, data, done);                                                         \
        return done;                                                                                        \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define TRUNCATE_BY(name)                                                                                   \
    int name(int fd, off_t size) {                                                                          \
        NEXT(name);                                                                                         \
        int failed = real(fd, size);                                                                        \
        if (!failed)                                                                                        \
            changed(fd, TRUNCATE, size, NULL, 0);                                                           \
        return failed;                                                                                      \
    }
TRUNCATE_BY(ftruncate)
TRUNCATE_BY(ftruncate64)

#define SYNC(name)                                                                                          \
    int name(int fd) {                                                                                      \
        NEXT(name);                                                                                         \
        changed(fd, SYNC_BEGINS, 0, NULL, 0);                                                               \
        int failed = real(fd);                                                                              \
        if (!failed)                                                                                        \
            changed(fd, SYNC_ENDS, 0, NULL, 0);                                                             \
        return failed;                                                                                      \
    }
SYNC(fsync)
SYNC(fdatasync)

static void changed_by_pieces(int fd, off_t offset, const struct iovec *pieces, ssize_t done) {
    for (; done > 0; pieces++) {
        size_t size = pieces->iov_len < (size_t)done ? pieces->iov_len : (size_t)done;
        changed(fd, WRITE, offset, pieces->iov_base, size);
        offset += size;
        done -= size;
    }
}

#define PWRITEV(name)                                                                                       \
    ssize_t name(int fd, const struct iovec *pieces, int count, off_t offset) {                             \
        NEXT(name);                                                                                         \
        ssize_t done = real(fd, pieces, count, offset);                                                     \
        changed_by_pieces(fd, offset, pieces, done);                                                        \
        return done;                                                                                        \
    }
PWRITEV(pwritev)
PWRITEV(pwritev64)

ssize_t pwritev64v2(int fd, const struct iovec *pieces, int count, off_t offset, int flags) {
    NEXT(pwritev64v2);
    ssize_t done = real(fd, pieces, count, offset, flags);
    changed_by_pieces(fd, offset, pieces, done);
    return done;
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    NEXT(writev);
    replying(fd, pieces, count);
    off_t at = position(fd);
    ssize_t done = real(fd, pieces, count);
    if (at >= 0)
        changed_by_pieces(fd, at, pieces, done);
    return done;
}

static void allocated(int fd, off_t end) {
    struct stat found;
    if (mapped && !fstat(fd, &found) && found.st_size == end)
        changed(fd, TRUNCATE, end, NULL, 0); /* it has become longer, by zeros */
}

#define ALLOCATE(name)                                                                                      \
    int name(int fd, off_t offset, off_t size) {                                                            \
        NEXT(name);                                                                                         \
        int failed = real(fd, offset, size);                                                                \
        if (!failed)                                                                                        \
            allocated(fd, offset + size);                                                                   \
        return failed;                                                                                      \
    }
ALLOCATE(posix_fallocate)
ALLOCATE(posix_fallocate64)

/* Ways to change a file that the server does not take: what is not logged must not happen. */
#define NEVER(result, name, ...)                                                                            \
    result name(int fd, __VA_ARGS__) {                                                                      \
        fprintf(stderr, #name " is not logged\n");                                                          \
        abort();                                                                                            \
    }
NEVER(int, fallocate, int mode, off_t offset, off_t size)
NEVER(int, fallocate64, int mode, off_t offset, off_t size)
NEVER(ssize_t, copy_file_range, off_t *from, int to, off_t *at, size_t size, unsigned flags)

/* --- names ------------------------------------------------------------------------------------------- */

int rename(const char *from, const char *to) {
    NEXT(rename);
    int failed = real(from, to);
    if (!failed && below(from))
        note(RENAME, 0, 0, from, to, NULL, 0);
    return failed;
}

int unlink(const char *path) {
    NEXT(unlink);
    int failed = real(path);
    if (!failed && below(path))
        note(UNLINK, 0, 0, path, NULL, NULL, 0);
    return failed;
}

int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir);
    int failed = real(path, mode);
    if (!failed && below(path))
        note(MAKE_FOLDER, 0, 0, path, NULL, NULL, 0);
    return failed;
}

/* --- replies ----------------------------------------------------------------------------------------- */

ssize_t send(int fd, const void *data, size_t size, int flags) {
    NEXT(send);
    replying(fd, &(struct iovec){(void *)data, size}, 1);
    return real(fd, data, size, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    NEXT(sendmsg);
    replying(fd, message->msg_iov, message->msg_iovlen);
    return real(fd, message, flags);
}
