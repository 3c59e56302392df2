/* What is on the disk, as a power cut would find it: preloaded into a process, it takes the place of fsync and
 * fdatasync. Each call copies what the file holds, or what the folder lists, into the folder POWER_CUT_DISK, under the
 * identity of the inode. What was never synced is not there. `disk.py` reads it.
 *
 * While the file POWER_CUT_ORDERS has a line "fail TEXT" or "hold TEXT", a sync of a path that contains TEXT fails, or
 * waits until the line goes; "hold" also makes the file POWER_CUT_ORDERS.held. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IDENTITY_BYTES = 80, COPY_BYTES = 1 << 16, ORDER_BYTES = 4096 };

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* The identity of an inode that no later one has: its number and when it was made, with its type and its rights. */
static int identify(int folder, const char *path, int flags, char identity[IDENTITY_BYTES]) {
    struct statx found;
    if (statx(folder, path, flags | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &found)) return -1;
    char type = S_ISDIR(found.stx_mode) ? 'd' : S_ISREG(found.stx_mode) ? 'f' : 'o';
    return snprintf(identity, IDENTITY_BYTES, "%c-%llx-%llx-%x", type, (unsigned long long)found.stx_ino,
                    (unsigned long long)found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
}

static int write_all(int to, const char *bytes, size_t count) {
    while (count) {
        ssize_t written = write(to, bytes, count);
        if (written < 0) return -1;
        bytes += written, count -= (size_t)written;
    }
    return 0;
}

static int copy_content(int from, int to) {
    char buffer[COPY_BYTES];
    for (;;) {
        ssize_t count = read(from, buffer, sizeof buffer);
        if (count <= 0) return (int)count;
        if (write_all(to, buffer, (size_t)count)) return -1;
    }
}

/* Lines: identity, a space, the name. */
static int copy_listing(int from, int to) {
    DIR *folder = fdopendir(from);
    if (!folder) return -1;
    int failed = 0;
    for (struct dirent *each; !failed && (each = readdir(folder));) {
        char identity[IDENTITY_BYTES], line[IDENTITY_BYTES + sizeof each->d_name + 2];
        if (!strcmp(each->d_name, ".") || !strcmp(each->d_name, "..")) continue;
        if (identify(dirfd(folder), each->d_name, 0, identity) < 0) continue; /* removed meanwhile */
        int count = snprintf(line, sizeof line, "%s %s\n", identity, each->d_name);
        failed = write_all(to, line, (size_t)count);
    }
    closedir(folder); /* and `from` with it */
    return failed;
}

/* Puts what an open file or folder has onto the disk. */
int power_cut_sync(int file) {
    const char *disk = getenv("POWER_CUT_DISK");
    char identity[IDENTITY_BYTES], path[4200], growing[4200], opened[64];
    if (!disk || identify(file, "", AT_EMPTY_PATH, identity) < 0 || identity[0] == 'o') return 0;
    snprintf(path, sizeof path, "%s/lock", disk);
    pthread_mutex_lock(&one_at_a_time);
    int lock = open(path, O_RDWR | O_CLOEXEC), failed = -1;
    if (lock >= 0 && !flock(lock, LOCK_EX)) {
        snprintf(path, sizeof path, "%s/%s", disk, identity);
        snprintf(growing, sizeof growing, "%s/growing", disk);
        snprintf(opened, sizeof opened, "/proc/self/fd/%d", file);
        unlink(growing); /* of a process that was killed, perhaps another user's */
        int from = open(opened, O_RDONLY | O_CLOEXEC | (identity[0] == 'd' ? O_DIRECTORY : 0));
        int to = open(growing, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (from >= 0 && to >= 0) failed = identity[0] == 'd' ? copy_listing(from, to) : copy_content(from, to);
        if (to >= 0) close(to);
        if (from >= 0 && identity[0] == 'f') close(from);
        if (!failed) failed = rename(growing, path);
    }
    if (lock >= 0) close(lock);
    pthread_mutex_unlock(&one_at_a_time);
    return failed;
}

/* The identity of a path, in `identity`. */
int power_cut_identity(const char *path, char identity[IDENTITY_BYTES]) { return identify(AT_FDCWD, path, 0, identity); }

/* The first order for a path: 'f', 'h' or 0. */
static char order_for(const char *path) {
    const char *orders = getenv("POWER_CUT_ORDERS");
    char text[ORDER_BYTES];
    int file = orders ? open(orders, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    ssize_t count = read(file, text, sizeof text - 1);
    close(file);
    text[count > 0 ? count : 0] = 0;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (strlen(line) > 5 && strstr(path, line + 5)) return line[0];
    return 0;
}

static int synced(int file, const char *name) {
    if (!getenv("POWER_CUT_DISK")) {
        int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
        return real(file);
    }
    char opened[64], path[4096], held[4200];
    snprintf(opened, sizeof opened, "/proc/self/fd/%d", file);
    ssize_t count = readlink(opened, path, sizeof path - 1);
    path[count > 0 ? count : 0] = 0;
    for (char order; (order = order_for(path));) {
        if (order == 'f') {
            errno = EIO;
            return -1;
        }
        snprintf(held, sizeof held, "%s.held", getenv("POWER_CUT_ORDERS"));
        int mark = open(held, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (mark >= 0) close(mark);
        usleep(10000);
    }
    if (power_cut_sync(file)) {
        errno = EIO;
        return -1;
    }
    return 0;
}

int fsync(int file) { return synced(file, "fsync"); }
int fdatasync(int file) { return synced(file, "fdatasync"); }

/* The embedded engine is loaded so that it finds its own libraries first, and would pass by the functions above. */
void *dlopen(const char *path, int mode) {
    void *(*real)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    return real(path, mode & ~RTLD_DEEPBIND);
}
