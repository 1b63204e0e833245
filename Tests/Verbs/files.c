// SPDX-License-Identifier: Apache-2.0
// What applications may find below a path, asked in all the ways they ask: prints a line for each
// disagreement. $1: a folder. Ends with the number of things seen.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int seen, wrong;

static void expect(int holds, const char *path, const char *what) {
    if (!holds) printf("%s: %s (%s)\n", path, what, strerror(errno));
    wrong += !holds;
}

static void attribute(const char *path) {
    char by_open[4096], by_stream[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    expect(fd >= 0, path, "open");
    ssize_t length = read(fd, by_open, sizeof by_open);
    expect(length >= 0, path, "read");
    close(fd);
    FILE *stream = fopen(path, "re");
    expect(stream != NULL, path, "fopen");
    if (stream == NULL) return;
    expect((ssize_t)fread(by_stream, 1, sizeof by_stream, stream) == length, path, "fread");
    expect(memcmp(by_open, by_stream, length) == 0, path, "contents");
    fclose(stream);
    expect(open(path, O_WRONLY) < 0 && errno == EACCES, path, "open for writing");
    expect(open(path, O_RDONLY | O_DIRECTORY) < 0 && errno == ENOTDIR, path, "open as a directory");
    expect(access(path, R_OK) == 0 && access(path, W_OK) < 0, path, "access");
}

static void visit(const char *path) {
    struct stat status, by_at;
    struct statx by_statx;
    char target[PATH_MAX], missing[PATH_MAX];
    seen++;
    errno = 0;
    expect(lstat(path, &status) == 0, path, "lstat");
    expect(fstatat(AT_FDCWD, path, &by_at, AT_SYMLINK_NOFOLLOW) == 0, path, "fstatat");
    expect(statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &by_statx) == 0, path, "statx");
    expect(status.st_mode == by_at.st_mode && status.st_mode == by_statx.stx_mode, path, "modes");
    expect(status.st_ino == by_at.st_ino && status.st_ino == by_statx.stx_ino, path, "inodes");
    if (S_ISLNK(status.st_mode)) {
        expect(readlink(path, target, sizeof target) == status.st_size, path, "readlink");
        return;
    }
    expect(readlink(path, target, sizeof target) < 0 && errno == EINVAL, path, "readlink of no link");
    expect(realpath(path, target) != NULL && strcmp(target, path) == 0, path, "realpath");
    snprintf(missing, sizeof missing, "%s/no such name", path);
    int number = S_ISDIR(status.st_mode) ? ENOENT : ENOTDIR;
    expect(stat(missing, &by_at) < 0 && errno == number, missing, "exists");
    expect(open(missing, O_RDONLY) < 0 && errno == number, missing, "opens");
    if (S_ISREG(status.st_mode)) attribute(path);
    if (S_ISCHR(status.st_mode)) expect(access(path, R_OK | W_OK) == 0, path, "access");
    if (!S_ISDIR(status.st_mode)) return;
    DIR *directory = opendir(path);
    expect(directory != NULL, path, "opendir");
    if (directory == NULL) return;
    int names = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL; names++) {
        char below[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        struct stat child;
        expect(lstat(below, &child) == 0 && IFTODT(child.st_mode) == entry->d_type, below, "d_type");
        visit(below);
    }
    rewinddir(directory);
    while (readdir(directory) != NULL) names--;
    expect(names == 0, path, "rewinddir");
    expect(closedir(directory) == 0, path, "closedir");
}

int main(int argc, char **argv) {
    struct stat status;
    if (argc == 2 && lstat(argv[1], &status) == 0) visit(argv[1]);
    printf("%d\n", seen);
    return wrong != 0;
}
