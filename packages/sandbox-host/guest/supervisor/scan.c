/* What there is at a path and below it. Links are never followed below the path that was asked for. */
#define _GNU_SOURCE
#include "supervisor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 64 << 10, NUMBERS_BYTES = 53, FULL_BYTES = CHUNK_BYTES - PATH_BYTES - PATH_MAX - NUMBERS_BYTES };

struct scan {
  struct connection *connection;
  bool alive;
  int reason;
  uint32_t entries_left, depth;
  size_t batch_length, path_length;
  char path[PATH_BYTES]; /* below the root */
};

static void flush_batch(struct scan *scan) {
  if (scan->batch_length == 0 || !scan->alive) return;
  struct connection *connection = scan->connection;
  scan->alive = send_frame(connection, FRAME_DATA, NULL, 0, connection->chunk, scan->batch_length);
  scan->batch_length = 0;
}

/* u8 kind, u32 bytes of the path, u32 of the link target, u64 size, allocated, u32 mode, u64 mtime in ms, inode, ctime
   in ns, path, link target. */
static void add_entry(struct scan *scan, int parent, const char *name, const struct stat *stat) {
  char link[PATH_MAX], *next = scan->connection->chunk + scan->batch_length;
  ssize_t link_length = S_ISLNK(stat->st_mode) ? readlinkat(parent, name, link, sizeof link) : 0;
  if (link_length < 0) link_length = 0;
  int kind = S_ISREG(stat->st_mode) ? KIND_FILE : S_ISDIR(stat->st_mode) ? KIND_DIRECTORY : KIND_OTHER;
  next = put_number(next, S_ISLNK(stat->st_mode) ? KIND_SYMLINK : (uint64_t)kind, 1);
  next = put_number(next, scan->path_length, 4);
  next = put_number(next, (uint64_t)link_length, 4);
  next = put_number(next, (uint64_t)stat->st_size, 8);
  next = put_number(next, (uint64_t)stat->st_blocks * 512, 8);
  next = put_number(next, stat->st_mode & 07777, 4);
  next = put_number(next, (uint64_t)stat->st_mtim.tv_sec * 1000 + (uint64_t)stat->st_mtim.tv_nsec / 1000000, 8);
  next = put_number(next, stat->st_ino, 8);
  next = put_number(next, (uint64_t)stat->st_ctim.tv_sec * 1000000000 + (uint64_t)stat->st_ctim.tv_nsec, 8);
  memcpy(next, scan->path, scan->path_length);
  memcpy(next + scan->path_length, link, (size_t)link_length);
  scan->batch_length += NUMBERS_BYTES + scan->path_length + (size_t)link_length;
  if (scan->batch_length > FULL_BYTES) flush_batch(scan);
}

/* What vanishes while we look is left out; what we may not read is an error, never a gap. */
static void scan_directory(struct scan *scan, int parent, const char *name, uint32_t depth) {
  mode_t restore;
  int fd = open_forced(parent, name, O_RDONLY | O_DIRECTORY | O_NONBLOCK, &restore);
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  if (directory == NULL && errno != ENOENT) scan->reason = errno;
  if (directory == NULL && fd >= 0) close(fd);
  if (directory == NULL) return;
  size_t parent_length = scan->path_length;
  for (struct dirent *entry; scan->alive && scan->reason == 0 && (entry = readdir(directory)) != NULL;) {
    struct stat stat;
    size_t name_length = strlen(entry->d_name);
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (fstatat(fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0) continue;
    bool fits = depth <= MAXIMUM_DEPTH && parent_length + name_length + 1 <= PATH_BYTES;
    if (scan->entries_left-- == 0 || !fits) {
      scan->reason = EFBIG;
      break;
    }
    scan->path[parent_length] = '/';
    memcpy(scan->path + parent_length + 1, entry->d_name, name_length);
    scan->path_length = parent_length + 1 + name_length;
    add_entry(scan, fd, entry->d_name, &stat);
    if (S_ISDIR(stat.st_mode) && depth < scan->depth) scan_directory(scan, fd, entry->d_name, depth + 1);
  }
  if (restore != 0) fchmod(fd, restore & 07777);
  closedir(directory);
}

/* The first entry is the root itself, under an empty path. */
bool handle_scan(struct connection *connection, struct reader *request) {
  struct scan scan = {.connection = connection, .alive = true};
  scan.entries_left = (uint32_t)read_number(request, 4);
  scan.depth = (uint32_t)read_number(request, 4);
  bool follow = read_number(request, 1) != 0;
  char *path = read_string(request);
  struct stat stat;
  if (!request->valid || *path != '/') return false;
  if (fstatat(AT_FDCWD, path, &stat, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
    return send_errno(connection, errno == ENOTDIR ? ENOENT : errno);
  }
  add_entry(&scan, AT_FDCWD, path, &stat);
  char resolved[PATH_MAX];
  if (follow && realpath(path, resolved) != NULL) path = resolved;
  if (S_ISDIR(stat.st_mode) && scan.depth > 0) scan_directory(&scan, AT_FDCWD, path, 1);
  flush_batch(&scan);
  return scan.alive && send_errno(connection, scan.reason);
}
