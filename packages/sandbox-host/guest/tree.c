/* Directories: listing, scanning, deleting. Links are never followed below the path that was asked for. */
#define _GNU_SOURCE
#include "supervisor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH_BYTES = 32 << 10, TREE_PATH_BYTES = 64 << 10, NUMBERS_BYTES = 45 };
enum { DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK };

struct scan {
  int socket;
  bool alive;
  int reason;
  uint32_t entries_left;
  size_t batch_length;
  size_t path_length;
  char batch[BATCH_BYTES + TREE_PATH_BYTES + NUMBERS_BYTES];
  char path[TREE_PATH_BYTES];
};

static void flush_batch(struct scan *scan) {
  if (scan->batch_length == 0 || !scan->alive) return;
  scan->alive = send_frame(scan->socket, REPLY_DATA, scan->batch, scan->batch_length, NULL, 0);
  scan->batch_length = 0;
}

static void add_text(struct scan *scan, uint8_t kind, const char *text, size_t length) {
  char *next = scan->batch + scan->batch_length;
  next += put_number(next, kind, 1);
  next += put_number(next, length, 4);
  memcpy(next, text, length);
  scan->batch_length += 5 + length;
}

static void add_numbers(struct scan *scan, const struct stat *stat) {
  char *next = scan->batch + scan->batch_length;
  next += put_number(next, (uint64_t)stat->st_size, 8);
  next += put_number(next, stat->st_mode & 07777, 4);
  next += put_number(next, (uint64_t)stat->st_mtim.tv_sec * 1000 + (uint64_t)stat->st_mtim.tv_nsec / 1000000, 8);
  next += put_number(next, stat->st_ino, 8);
  next += put_number(next, (uint64_t)stat->st_ctim.tv_sec * 1000000000 + (uint64_t)stat->st_ctim.tv_nsec, 8);
  scan->batch_length += 36;
}

static uint8_t kind_of(mode_t mode) {
  if (S_ISREG(mode)) return KIND_FILE;
  if (S_ISDIR(mode)) return KIND_DIRECTORY;
  return S_ISLNK(mode) ? KIND_SYMLINK : KIND_OTHER;
}

static bool is_dot(const char *name) { return strcmp(name, ".") == 0 || strcmp(name, "..") == 0; }

static struct scan *new_scan(int socket) {
  struct scan *scan = malloc(sizeof *scan);
  if (scan == NULL) return NULL;
  scan->socket = socket;
  scan->alive = true;
  scan->reason = 0;
  scan->entries_left = UINT32_MAX;
  scan->batch_length = scan->path_length = 0;
  return scan;
}

static bool finish_scan(struct scan *scan) {
  bool alive = scan->alive;
  errno = scan->reason;
  if (alive && scan->reason == EFBIG) alive = send_error(scan->socket, ERROR_TOO_LARGE, "more entries than allowed");
  else if (alive && scan->reason == ENOTDIR) alive = send_error(scan->socket, ERROR_NOT_DIRECTORY, "not a directory");
  else if (alive && scan->reason != 0) alive = send_errno(scan->socket, "cannot scan");
  else {
    flush_batch(scan);
    alive = scan->alive && send_reply(scan->socket, REPLY_END);
  }
  free(scan);
  return alive;
}

bool handle_list(struct connection *connection, struct reader *reader) {
  const char *path = read_string(reader);
  char mapped[PATH_MAX];
  if (!reader->valid) return false;
  if (!map_path(path, mapped, sizeof mapped)) return send_errno(connection->socket, "cannot list");
  int fd = open(mapped, DIRECTORY_FLAGS & ~O_NOFOLLOW);
  struct stat stat_result;
  if (fd < 0 && errno == ENOTDIR && stat(mapped, &stat_result) == 0) {
    return send_error(connection->socket, ERROR_NOT_DIRECTORY, "not a directory");
  }
  if (fd < 0) return send_errno(connection->socket, "cannot list");
  struct scan *scan = new_scan(connection->socket);
  DIR *directory = scan == NULL ? NULL : fdopendir(fd);
  if (directory == NULL) {
    free(scan);
    close(fd);
    return false;
  }
  for (struct dirent *entry; scan->alive && (entry = readdir(directory)) != NULL;) {
    struct stat stat;
    if (is_dot(entry->d_name) || fstatat(fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0) continue;
    add_text(scan, kind_of(stat.st_mode), entry->d_name, strlen(entry->d_name));
    if (scan->batch_length > BATCH_BYTES) flush_batch(scan);
  }
  closedir(directory);
  return finish_scan(scan);
}

/* Consumes `fd`. What vanishes while we look is left out; what we may not read is an error, never a gap. */
static void scan_directory(struct scan *scan, int fd, int depth) {
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  if (directory == NULL) {
    if (fd >= 0) close(fd);
    if (errno != ENOENT || depth == 0) scan->reason = errno;
    return;
  }
  size_t parent_length = scan->path_length;
  for (struct dirent *entry; scan->alive && scan->reason == 0 && (entry = readdir(directory)) != NULL;) {
    struct stat stat;
    size_t name_length = strlen(entry->d_name);
    if (is_dot(entry->d_name) || fstatat(fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (scan->entries_left == 0 || depth > MAXIMUM_TREE_DEPTH || parent_length + name_length + 1 > TREE_PATH_BYTES) {
      scan->reason = EFBIG;
      break;
    }
    scan->entries_left--;
    scan->path[parent_length] = '/';
    memcpy(scan->path + parent_length + 1, entry->d_name, name_length);
    scan->path_length = parent_length + 1 + name_length;
    add_text(scan, kind_of(stat.st_mode), scan->path, scan->path_length);
    add_numbers(scan, &stat);
    if (scan->batch_length > BATCH_BYTES) flush_batch(scan);
    if (S_ISDIR(stat.st_mode)) scan_directory(scan, openat(fd, entry->d_name, DIRECTORY_FLAGS), depth + 1);
  }
  closedir(directory);
}

bool handle_tree(struct connection *connection, struct reader *reader) {
  uint32_t maximum = (uint32_t)read_number(reader, 4);
  const char *path = read_string(reader);
  char mapped[PATH_MAX];
  struct scan *scan = reader->valid ? new_scan(connection->socket) : NULL;
  if (scan == NULL) return false;
  scan->entries_left = maximum;
  if (map_path(path, mapped, sizeof mapped)) scan_directory(scan, open(mapped, DIRECTORY_FLAGS), 0);
  else scan->reason = errno;
  return finish_scan(scan);
}

/* Consumes `fd`. Returns 0, or the errno of the first thing that could not be removed. */
static int empty_directory(int fd, int depth) {
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  if (directory == NULL) {
    int reason = errno;
    if (fd >= 0) close(fd);
    return reason;
  }
  int reason = depth > MAXIMUM_TREE_DEPTH ? ELOOP : 0;
  for (struct dirent *entry; reason == 0 && (entry = readdir(directory)) != NULL;) {
    if (is_dot(entry->d_name) || unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR) reason = errno;
    else reason = empty_directory(openat(fd, entry->d_name, DIRECTORY_FLAGS), depth + 1);
    if (reason == 0 && unlinkat(fd, entry->d_name, AT_REMOVEDIR) != 0 && errno != ENOENT) reason = errno;
  }
  closedir(directory);
  return reason;
}

bool handle_delete(struct connection *connection, struct reader *reader) {
  bool recursive = read_number(reader, 1) != 0;
  const char *path = read_string(reader);
  char mapped[PATH_MAX];
  if (!reader->valid) return false;
  if (!map_path(path, mapped, sizeof mapped)) return send_errno(connection->socket, "cannot delete");
  if (unlink(mapped) == 0) return send_reply(connection->socket, REPLY_END);
  if (errno == EISDIR && recursive) {
    int reason = empty_directory(open(mapped, DIRECTORY_FLAGS), 0);
    if (reason == 0 && rmdir(mapped) == 0) return send_reply(connection->socket, REPLY_END);
    if (reason != 0) errno = reason;
  }
  return send_errno(connection->socket, "cannot delete");
}
