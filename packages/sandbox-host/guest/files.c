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

bool handle_read(struct connection *connection, struct reader *reader) {
  uint64_t maximum = read_number(reader, 8);
  const char *path = read_string(reader);
  char mapped[PATH_MAX];
  if (!reader->valid) return false;
  if (!map_path(path, mapped, sizeof mapped)) return send_errno(connection->socket, "cannot read");
  int fd = open(mapped, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (fd < 0 && errno == ENXIO) return send_error(connection->socket, ERROR_NOT_REGULAR, "not a regular file");
  if (fd < 0) return send_errno(connection->socket, "cannot read");
  struct stat stat;
  bool alive = true;
  if (fstat(fd, &stat) != 0) {
    alive = send_errno(connection->socket, "cannot read");
  } else if (S_ISDIR(stat.st_mode)) {
    alive = send_error(connection->socket, ERROR_IS_DIRECTORY, "is a directory");
  } else if (!S_ISREG(stat.st_mode)) {
    alive = send_error(connection->socket, ERROR_NOT_REGULAR, "not a regular file");
  } else if ((uint64_t)stat.st_size > maximum) {
    alive = send_error(connection->socket, ERROR_TOO_LARGE, "larger than the reader allows");
  } else {
    char chunk[CHUNK_BYTES];
    uint64_t total = 0;
    ssize_t got = 0;
    while (alive && total <= maximum && (got = read(fd, chunk, sizeof chunk)) > 0) {
      total += (uint64_t)got;
      if (total <= maximum) alive = send_frame(connection->socket, REPLY_DATA, NULL, 0, chunk, (size_t)got);
    }
    if (alive && total > maximum) alive = send_error(connection->socket, ERROR_TOO_LARGE, "grew while it was read");
    else if (alive && got < 0) alive = send_errno(connection->socket, "cannot read");
    else if (alive) alive = send_reply(connection->socket, REPLY_END);
  }
  close(fd);
  return alive;
}

static bool create_parents(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    bool made = mkdir(path, 0755) == 0 || errno == EEXIST;
    *slash = '/';
    if (!made) return false;
  }
  return true;
}

/* Opens a new file beside `target`, whose name goes to `temporary`. A link is written through, as an editor would. */
static int open_beside(char *target, char *temporary, uint32_t *mode) {
  static atomic_uint serial;
  char resolved[PATH_MAX];
  struct stat stat;
  if (realpath(target, resolved) != NULL) strcpy(target, resolved);
  else if (errno != ENOENT || !create_parents(target)) return -1;
  if (lstat(target, &stat) == 0) {
    if (!S_ISREG(stat.st_mode) && !S_ISLNK(stat.st_mode)) {
      errno = S_ISDIR(stat.st_mode) ? EISDIR : EINVAL;
      return -1;
    }
    if (*mode == UINT32_MAX && S_ISREG(stat.st_mode)) *mode = stat.st_mode & 07777;
  }
  if (*mode == UINT32_MAX) *mode = 0644;
  int directory_length = (int)(strrchr(target, '/') - target);
  unsigned number = atomic_fetch_add(&serial, 1);
  int length = snprintf(temporary, PATH_MAX, "%.*s/.exoloop-%d-%u", directory_length, target, (int)getpid(), number);
  if (length >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  unlink(temporary);
  return open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* The peer sends its stream whatever happens here; it is drained to the end before an error is answered. */
bool handle_write(struct connection *connection, struct reader *reader) {
  uint32_t mode = (uint32_t)read_number(reader, 4);
  const char *path = read_string(reader);
  char target[PATH_MAX], temporary[PATH_MAX] = "";
  if (!reader->valid) return false;
  int fd = map_path(path, target, sizeof target) ? open_beside(target, temporary, &mode) : -1;
  int reason = fd < 0 ? errno : 0;
  struct frame frame;
  bool alive;
  while ((alive = receive_frame(connection, &frame)) && frame.type == STREAM_DATA) {
    if (reason == 0 && !write_fully(fd, frame.payload, frame.length)) reason = errno;
  }
  bool complete = alive && frame.type == STREAM_END;
  if (reason == 0 && fchmod(fd, mode & 07777) != 0) reason = errno;
  if (fd >= 0 && close(fd) != 0 && reason == 0) reason = errno;
  if (complete && reason == 0 && rename(temporary, target) != 0) reason = errno;
  if (fd >= 0 && (!complete || reason != 0)) unlink(temporary);
  if (!complete) return false;
  errno = reason;
  if (reason == ENOTDIR) return send_error(connection->socket, ERROR_NOT_DIRECTORY, "a parent is not a directory");
  if (reason == ENOENT) return send_error(connection->socket, ERROR_FAILED, "cannot write: the directory vanished");
  return reason == 0 ? send_reply(connection->socket, REPLY_END) : send_errno(connection->socket, "cannot write");
}

bool handle_stat(struct connection *connection, struct reader *reader) {
  const char *path = read_string(reader);
  char mapped[PATH_MAX];
  struct stat stat_result;
  if (!reader->valid) return false;
  if (!map_path(path, mapped, sizeof mapped) || stat(mapped, &stat_result) != 0) {
    return send_errno(connection->socket, "cannot stat");
  }
  char reply[21], *next = reply;
  uint8_t kind = S_ISREG(stat_result.st_mode) ? KIND_FILE : S_ISDIR(stat_result.st_mode) ? KIND_DIRECTORY : KIND_OTHER;
  next += put_number(next, kind, 1);
  next += put_number(next, (uint64_t)stat_result.st_size, 8);
  next += put_number(next, stat_result.st_mode & 07777, 4);
  put_number(next, (uint64_t)stat_result.st_mtim.tv_sec * 1000 + (uint64_t)stat_result.st_mtim.tv_nsec / 1000000, 8);
  return send_frame(connection->socket, REPLY_DATA, reply, sizeof reply, NULL, 0);
}
