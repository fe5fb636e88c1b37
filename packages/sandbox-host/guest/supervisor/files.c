/* File operations. Everything is opened without blocking, so that a FIFO or a device cannot hold a thread. */
#define _GNU_SOURCE
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_FLAGS = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY };

/* Opens what its owner, who we are too, may have made inaccessible. `restore`: the mode to give back; 0: none. */
int open_forced(int parent, const char *name, int flags, mode_t *restore) {
  struct stat stat;
  int fd = openat(parent, name, flags | O_NOFOLLOW | O_CLOEXEC);
  *restore = 0;
  if (fd >= 0 || errno != EACCES || fstatat(parent, name, &stat, AT_SYMLINK_NOFOLLOW) != 0) return fd;
  if (S_ISLNK(stat.st_mode) || fchmodat(parent, name, (stat.st_mode & 07777) | 0700, 0) != 0) return -1;
  fd = openat(parent, name, flags | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) *restore = stat.st_mode;
  else fchmodat(parent, name, stat.st_mode & 07777, 0);
  return fd;
}

/* For a directory that is only a path (O_PATH). 0: nothing to give back. */
static mode_t grant_access(int directory) {
  struct stat stat;
  char self[32];
  if (fstat(directory, &stat) != 0 || stat.st_uid != geteuid() || (stat.st_mode & 0700) == 0700) return 0;
  snprintf(self, sizeof self, "/proc/self/fd/%d", directory);
  return chmod(self, (stat.st_mode & 07777) | 0700) == 0 ? stat.st_mode : 0;
}

static void close_directory(int directory, mode_t restore) {
  int reason = errno;
  char self[32];
  snprintf(self, sizeof self, "/proc/self/fd/%d", directory);
  if (restore != 0) chmod(self, restore & 07777);
  if (directory >= 0) close(directory);
  errno = reason;
}

/* The directory that `path` is in; its last part goes to `name`. With `exact` no link is followed. Cuts `path`. */
static int open_parent(char *path, bool exact, bool create, char **name, mode_t *restore) {
  int flags = O_PATH | O_DIRECTORY | O_CLOEXEC | (exact ? O_NOFOLLOW : 0);
  int directory = open("/", flags);
  char *part = path + 1;
  *restore = 0;
  for (char *slash; directory >= 0 && (slash = strchr(part, '/')) != NULL; part = slash + 1) {
    *slash = '\0';
    if (*part == '\0') continue;
    int next = openat(directory, part, flags);
    bool missing = next < 0 && errno == ENOENT && create;
    if (missing && (mkdirat(directory, part, 0755) == 0 || errno == EEXIST)) next = openat(directory, part, flags);
    close_directory(directory, *restore);
    directory = next;
    *restore = exact && directory >= 0 ? grant_access(directory) : 0;
  }
  *name = part;
  return directory;
}

static bool send_content(struct connection *connection, int fd, const struct stat *stat, uint64_t maximum) {
  bool sparse = stat->st_blocks * 512 < stat->st_size, alive = true;
  char numbers[12];
  uint32_t sum = 0;
  ssize_t got = 0;
  off_t total = 0;
  for (; alive && (uint64_t)total <= maximum; total += got) {
    off_t data = sparse ? lseek(fd, total, SEEK_DATA) : total;
    if (data < 0) data = errno == ENXIO && stat->st_size > total ? stat->st_size : total;
    if (data > total) {
      put_number(numbers, (uint64_t)(data - total), 8);
      sum = checksum(sum, numbers, 8);
      alive = send_frame(connection, FRAME_HOLE, numbers, 8, NULL, 0);
    }
    total = data;
    off_t end = sparse ? lseek(fd, total, SEEK_HOLE) : -1;
    size_t wanted = end > total && end - total < CHUNK_BYTES ? (size_t)(end - total) : CHUNK_BYTES;
    if ((got = pread(fd, connection->chunk, wanted, total)) <= 0) break;
    sum = checksum(sum, connection->chunk, (size_t)got);
    alive = alive && send_frame(connection, FRAME_DATA, NULL, 0, connection->chunk, (size_t)got);
  }
  if (alive && got < 0) return send_errno(connection, errno);
  if (alive && (uint64_t)total > maximum) return send_errno(connection, EFBIG);
  put_number(put_number(numbers, (uint64_t)total, 8), sum, 4);
  return alive && send_frame(connection, FRAME_END, numbers, sizeof numbers, NULL, 0);
}

bool handle_read(struct connection *connection, struct reader *request) {
  bool exact = read_number(request, 1) != 0;
  uint64_t maximum = read_number(request, 8);
  char *path = read_string(request), *name;
  if (!request->valid || *path != '/') return false;
  struct stat stat;
  mode_t restore = 0, restore_parent = 0;
  int parent = exact ? open_parent(path, true, false, &name, &restore_parent) : -1;
  int fd = !exact ? open(path, READ_FLAGS) : parent < 0 ? -1 : open_forced(parent, name, READ_FLAGS, &restore);
  close_directory(parent, restore_parent);
  int reason = fd < 0 || fstat(fd, &stat) != 0 ? errno : 0;
  if (restore != 0) fchmod(fd, restore & 07777);
  if (reason == ELOOP) reason = EMEDIUMTYPE; /* a link */
  if (reason == ENOTDIR && !exact) reason = ENOENT;
  if (reason == 0 && !S_ISREG(stat.st_mode)) reason = S_ISDIR(stat.st_mode) ? EISDIR : EMEDIUMTYPE;
  if (reason == 0 && (uint64_t)stat.st_size > maximum) reason = EFBIG;
  bool alive = reason == 0 ? send_content(connection, fd, &stat, maximum) : send_errno(connection, reason);
  if (fd >= 0) close(fd);
  return alive;
}

/* Takes DATA and HOLE frames to their END, also when there is nowhere to put them. False: the peer broke off. */
static bool receive_content(struct connection *connection, int fd, int *reason) {
  uint64_t size = 0;
  uint32_t sum = 0;
  while (receive_frame(connection)) {
    struct reader *payload = &connection->payload;
    size_t count = (size_t)(payload->end - payload->next);
    if (connection->type == FRAME_END) {
      bool whole = read_number(payload, 8) == size && (uint32_t)read_number(payload, 4) == sum && payload->valid;
      if (*reason == 0 && !whole) *reason = EBADMSG;
      if (*reason == 0 && ftruncate(fd, (off_t)size) != 0) *reason = errno;
      return true;
    }
    sum = checksum(sum, payload->next, count);
    if (connection->type == FRAME_HOLE) size += read_number(payload, 8);
    else if (connection->type != FRAME_DATA) return false;
    if (size > INT64_MAX - MAXIMUM_FRAME_BYTES) return false;
    for (ssize_t put; connection->type == FRAME_DATA && count > 0; payload->next += put, count -= (size_t)put) {
      put = *reason == 0 ? pwrite(fd, payload->next, count, (off_t)size) : (ssize_t)count;
      if (put <= 0) *reason = put < 0 ? errno : EIO;
      if (put <= 0) put = 0;
      size += (uint64_t)put;
    }
  }
  return false;
}

/* What a write finds must be a regular file, whose mode it keeps. */
static int judge_target(int directory, const char *name, uint32_t *mode) {
  struct stat stat;
  bool found = fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) == 0;
  if (found && S_ISDIR(stat.st_mode)) return EISDIR;
  if (found && !S_ISREG(stat.st_mode) && !S_ISLNK(stat.st_mode)) return EMEDIUMTYPE;
  if (*mode == UINT32_MAX) *mode = found && S_ISREG(stat.st_mode) ? stat.st_mode & 07777 : 0644;
  return 0;
}

static int make_directory(int directory, const char *name, uint32_t mode) {
  struct stat stat;
  if (fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(stat.st_mode)) unlinkat(directory, name, 0);
  if (mkdirat(directory, name, 0700) != 0 && errno != EEXIST) return errno;
  return fchmodat(directory, name, mode & 07777, 0) == 0 ? 0 : errno;
}

/* Puts the new file or link in its place. What stands there goes, but for a directory that holds something. */
static int move_into_place(int directory, const char *temporary, const char *name, bool exact) {
  if (renameat(directory, temporary, directory, name) == 0) return 0;
  bool emptied = exact && errno == EISDIR && unlinkat(directory, name, AT_REMOVEDIR) == 0;
  if (emptied && renameat(directory, temporary, directory, name) == 0) return 0;
  int reason = errno;
  unlinkat(directory, temporary, 0);
  return reason;
}

bool handle_place(struct connection *connection, struct reader *request) {
  static atomic_uint serial;
  uint8_t kind = (uint8_t)read_number(request, 1), exact = (uint8_t)read_number(request, 1);
  uint32_t mode = (uint32_t)read_number(request, 4);
  int64_t modified = (int64_t)read_number(request, 8);
  char *path = read_string(request), *target = read_string(request), *last, resolved[PATH_MAX];
  char name[NAME_MAX + 1], temporary[64];
  if (!request->valid || *path != '/') return false;
  if (!exact && realpath(path, resolved) != NULL) path = resolved; /* a link is written through, as an editor would */
  mode_t restore;
  int directory = open_parent(path, exact, true, &last, &restore), fd = -1;
  int reason = directory < 0 ? errno : strlen(last) > NAME_MAX ? ENAMETOOLONG : 0;
  snprintf(name, sizeof name, "%s", last); /* content will overwrite the request */
  snprintf(temporary, sizeof temporary, ".exoloop-%d-%u", (int)getpid(), atomic_fetch_add(&serial, 1));
  if (reason == 0 && kind == KIND_DIRECTORY) reason = make_directory(directory, name, mode);
  if (reason == 0 && kind == KIND_SYMLINK && symlinkat(target, directory, temporary) != 0) reason = errno;
  if (kind == KIND_FILE) {
    if (reason == 0 && !exact) reason = judge_target(directory, name, &mode);
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    if (reason == 0 && (fd = openat(directory, temporary, flags, 0600)) < 0) reason = errno;
    struct timespec times[2] = {{0, UTIME_OMIT}, {modified / 1000, modified % 1000 * 1000000}};
    bool whole = receive_content(connection, fd, &reason);
    if (reason == 0 && fchmod(fd, mode & 07777) != 0) reason = errno;
    if (reason == 0 && modified >= 0 && futimens(fd, times) != 0) reason = errno;
    if (fd >= 0 && close(fd) != 0 && reason == 0) reason = errno;
    if (fd >= 0 && (!whole || reason != 0)) unlinkat(directory, temporary, 0);
    if (!whole) close_directory(directory, restore);
    if (!whole) return false;
  }
  if (reason == 0 && kind != KIND_DIRECTORY) reason = move_into_place(directory, temporary, name, exact);
  close_directory(directory, restore);
  if (reason == ENOENT) return send_error(connection, ERROR_FAILED, "the directory vanished");
  return send_errno(connection, reason);
}
