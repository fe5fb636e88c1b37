/*
 * File operations. No link is followed here but by the root of a scan, which tells where it leads. Everything is opened
 * without blocking, so that a FIFO or a device cannot hold us. What the workload, who is the same user, made
 * inaccessible for itself is opened for the moment.
 */
#include "transfer.h"

#include <dirent.h>
#include <time.h>

enum { WALK_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW, READ_FLAGS = O_RDONLY | O_NONBLOCK | O_NOFOLLOW };
enum { PATH_BYTES = 64 << 10, MAXIMUM_DEPTH = 1000 };

static void set_mode(int directory, mode_t mode) {
  char self[32];
  snprintf(self, sizeof self, "/proc/self/fd/%d", directory);
  if (chmod(self, mode & 07777) != 0) return; /* not ours: what follows will tell */
}

static int open_forced(int directory, const char *name, int flags) {
  struct stat around, own;
  int fd = openat(directory, name, flags);
  if (fd >= 0 || errno != EACCES || fstat(directory, &around) != 0) return fd;
  set_mode(directory, around.st_mode | 0700);
  bool change = fstatat(directory, name, &own, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(own.st_mode);
  if (change) fchmodat(directory, name, (own.st_mode & 07777) | 0700, 0);
  fd = openat(directory, name, flags);
  int reason = errno;
  if (change) fchmodat(directory, name, own.st_mode & 07777, 0);
  set_mode(directory, around.st_mode);
  errno = reason;
  return fd;
}

/* The directory that `path` is in, made when it is to be; its last part goes to `name`. Cuts `path`. */
static int open_parent(char *path, bool create, char **name) {
  int directory = open("/", WALK_FLAGS);
  *name = path + 1;
  for (char *slash; directory >= 0 && (slash = strchr(*name, '/')) != NULL; *name = slash + 1) {
    *slash = '\0';
    int next = open_forced(directory, *name, WALK_FLAGS);
    bool made = next < 0 && errno == ENOENT && create && (mkdirat(directory, *name, 0755) == 0 || errno == EEXIST);
    if (made) next = openat(directory, *name, WALK_FLAGS);
    int reason = errno;
    close(directory);
    errno = reason;
    directory = next;
  }
  return directory;
}

struct ending {
  uint64_t size;
  uint32_t checksum; /* over the payloads of all DATA and HOLE frames */
} __attribute__((packed));

static bool send_content(struct peer *peer, int fd, const struct stat *stat) {
  bool sparse = stat->st_blocks * 512 < stat->st_size, alive = true;
  char *chunk = peer->output + HEADER_BYTES;
  uint32_t sum = 0;
  ssize_t got = 0;
  off_t total = 0;
  for (; alive; total += got) {
    off_t data = sparse ? lseek(fd, total, SEEK_DATA) : total;
    if (data < 0) data = errno == ENXIO && stat->st_size > total ? stat->st_size : total;
    uint64_t hole = (uint64_t)(data - total);
    if (hole > 0) sum = checksum(sum, &hole, sizeof hole);
    if (hole > 0) alive = send_value(peer, HOLE, &hole, sizeof hole);
    total = data;
    off_t end = sparse ? lseek(fd, total, SEEK_HOLE) : -1;
    got = pread(fd, chunk, end > total && end - total < CHUNK_BYTES ? (size_t)(end - total) : CHUNK_BYTES, total);
    if (got <= 0) break;
    sum = checksum(sum, chunk, (size_t)got);
    alive = alive && send_frame(peer, DATA, (size_t)got);
  }
  struct ending ending = {(uint64_t)total, sum};
  return alive && (got < 0 ? send_result(peer, errno) : send_value(peer, END, &ending, sizeof ending));
}

bool handle_read(struct peer *peer) {
  char *path = take_string(peer), *name;
  struct stat stat;
  if (path == NULL || *path != '/') return false;
  int directory = open_parent(path, false, &name), fd = directory < 0 ? -1 : open_forced(directory, name, READ_FLAGS);
  int reason = fd < 0 || fstat(fd, &stat) != 0 ? errno : 0;
  if (reason == 0 && !S_ISREG(stat.st_mode)) reason = S_ISDIR(stat.st_mode) ? EISDIR : ENXIO;
  bool alive = reason == 0 ? send_content(peer, fd, &stat) : send_result(peer, reason);
  if (directory >= 0) close(directory);
  if (fd >= 0) close(fd);
  return alive;
}

/* Takes DATA and HOLE frames to their END, also when there is nowhere to put them. False: the peer broke off. */
static bool receive_content(struct peer *peer, int fd, int *reason) {
  struct ending seen = {0, 0}, told;
  bool ends_in_hole = false;
  while (receive_frame(peer)) {
    size_t count = (size_t)(peer->end - peer->next);
    if (peer->type == END) {
      if (!take(peer, &told, sizeof told)) return false;
      if (*reason == 0 && memcmp(&seen, &told, sizeof seen) != 0) *reason = EBADMSG;
      if (*reason == 0 && ends_in_hole && ftruncate(fd, (off_t)seen.size) != 0) *reason = errno;
      return true;
    }
    uint64_t hole = 0;
    seen.checksum = checksum(seen.checksum, peer->next, count);
    if (peer->type != DATA && (peer->type != HOLE || !take(peer, &hole, sizeof hole))) return false;
    for (ssize_t put; peer->type == DATA && *reason == 0 && peer->next < peer->end;) {
      off_t at = (off_t)seen.size + (off_t)count - (peer->end - peer->next);
      put = pwrite(fd, peer->next, (size_t)(peer->end - peer->next), at);
      if (put <= 0) *reason = put < 0 ? errno : EIO;
      else peer->next += put;
    }
    seen.size += peer->type == DATA ? count : hole;
    ends_in_hole = peer->type == HOLE;
    if (hole > INT64_MAX / 2 || seen.size > INT64_MAX / 2) return false;
  }
  return false;
}

static int put_directory(int directory, const char *name, mode_t mode) {
  struct stat stat;
  bool other = fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(stat.st_mode);
  if (other && unlinkat(directory, name, 0) != 0) return errno;
  if (mkdirat(directory, name, 0700) != 0 && errno != EEXIST) return errno;
  return fchmodat(directory, name, mode & 07777, 0) == 0 ? 0 : errno;
}

/* Files and links are made beside their place, then moved there: what is there goes, but a directory with content. */
bool handle_place(struct peer *peer) {
  static unsigned serial;
  struct {
    uint8_t kind;
    uint32_t mode;
    int64_t modified; /* ms since the epoch; -1: now */
  } __attribute__((packed)) request;
  bool whole = take(peer, &request, sizeof request);
  char *path = take_string(peer), *target = take_string(peer), *last, name[NAME_MAX + 1], temporary[64];
  if (!whole || path == NULL || target == NULL || *path != '/') return false;
  struct stat around = {0};
  int directory = open_parent(path, true, &last), fd = -1;
  int reason = directory < 0 || fstat(directory, &around) != 0 ? errno : strlen(last) > NAME_MAX ? ENAMETOOLONG : 0;
  snprintf(name, sizeof name, "%s", last); /* content overwrites the request */
  if (serial == 0) serial = (unsigned)time(NULL); /* in a restored workspace may be a copy of who had our pid */
  snprintf(temporary, sizeof temporary, ".exoloop-%d-%u", (int)getpid(), serial++);
  if (reason == 0 && (around.st_mode & 0700) != 0700) set_mode(directory, around.st_mode | 0700);
  if (reason == 0 && request.kind == KIND_DIRECTORY) reason = put_directory(directory, name, request.mode);
  if (reason == 0 && request.kind == KIND_SYMLINK && symlinkat(target, directory, temporary) != 0) reason = errno;
  if (request.kind == KIND_FILE) {
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    if (reason == 0 && (fd = openat(directory, temporary, flags, request.mode & 07777)) < 0) reason = errno;
    whole = receive_content(peer, fd, &reason);
    struct timespec times[2] = {{0, UTIME_OMIT}, {request.modified / 1000, request.modified % 1000 * 1000000}};
    if (reason == 0 && request.modified >= 0 && futimens(fd, times) != 0) reason = errno;
    if (fd >= 0 && close(fd) != 0 && reason == 0) reason = errno;
  }
  bool move = whole && reason == 0 && request.kind != KIND_DIRECTORY;
  if (move && renameat(directory, temporary, directory, name) != 0) {
    bool emptied = errno == EISDIR && unlinkat(directory, name, AT_REMOVEDIR) == 0;
    reason = emptied && renameat(directory, temporary, directory, name) == 0 ? 0 : errno;
  }
  if (directory >= 0 && (!whole || reason != 0)) unlinkat(directory, temporary, 0);
  if (directory >= 0 && (around.st_mode & 0700) != 0700) set_mode(directory, around.st_mode);
  if (directory >= 0) close(directory);
  return whole && send_result(peer, reason);
}

bool handle_delete(struct peer *peer) {
  char *path = take_string(peer);
  return path != NULL && send_result(peer, unlink(path) == 0 ? 0 : errno);
}

struct scan {
  struct peer *peer;
  bool alive;
  int reason;
  uint32_t entries_left, depth;
  size_t filled, path_length;
  char path[PATH_BYTES];
};

struct entry {
  uint8_t kind;
  uint32_t path_bytes, link_bytes;
  uint64_t size, allocated;
  uint32_t mode;
  int64_t modified_ms;
  uint64_t inode, changed_ns;
} __attribute__((packed)); /* then path and link target */

static void add_entry(struct scan *scan, int parent, const char *name, const struct stat *stat) {
  char link[PATH_MAX], *next = scan->peer->output + HEADER_BYTES + scan->filled;
  ssize_t link_bytes = S_ISLNK(stat->st_mode) ? readlinkat(parent, name, link, sizeof link) : 0;
  struct entry entry = {KIND_OTHER, (uint32_t)scan->path_length, link_bytes < 0 ? 0 : (uint32_t)link_bytes,
                        (uint64_t)stat->st_size, (uint64_t)stat->st_blocks * 512, stat->st_mode & 07777,
                        stat->st_mtim.tv_sec * 1000 + stat->st_mtim.tv_nsec / 1000000, stat->st_ino,
                        (uint64_t)stat->st_ctim.tv_sec * 1000000000 + (uint64_t)stat->st_ctim.tv_nsec};
  if (S_ISREG(stat->st_mode)) entry.kind = KIND_FILE;
  else if (S_ISDIR(stat->st_mode)) entry.kind = KIND_DIRECTORY;
  else if (S_ISLNK(stat->st_mode)) entry.kind = KIND_SYMLINK;
  memcpy(next, &entry, sizeof entry);
  memcpy(next + sizeof entry, scan->path, scan->path_length);
  memcpy(next + sizeof entry + scan->path_length, link, entry.link_bytes);
  scan->filled += sizeof entry + scan->path_length + entry.link_bytes;
  if (scan->filled + sizeof entry + PATH_BYTES + PATH_MAX <= CHUNK_BYTES) return;
  scan->alive = scan->alive && send_frame(scan->peer, DATA, scan->filled);
  scan->filled = 0;
}

/* The unfinished copy of a transfer that the workload has killed. */
static bool is_abandoned(const char *name) {
  int maker = 0, length = 0;
  if (strncmp(name, ".exoloop-", 9) != 0 || sscanf(name + 9, "%d-%*u%n", &maker, &length) != 1) return false;
  return length > 0 && name[9 + length] == '\0' && maker > 0 && kill(maker, 0) != 0 && errno == ESRCH;
}

/* What vanishes while we look is left out; what we may not read is an error, never a gap. */
static void scan_directory(struct scan *scan, int parent, const char *name, uint32_t depth) {
  int fd = open_forced(parent, name, READ_FLAGS | O_DIRECTORY);
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  struct stat own, stat;
  if (directory == NULL && errno != ENOENT) scan->reason = errno;
  if (directory == NULL && fd >= 0) close(fd);
  if (directory == NULL || fstat(fd, &own) != 0) return;
  bool locked = (own.st_mode & 0500) != 0500;
  if (locked) fchmod(fd, (own.st_mode & 07777) | 0700);
  size_t length = scan->path_length;
  for (struct dirent *entry; scan->alive && scan->reason == 0 && (entry = readdir(directory)) != NULL;) {
    size_t name_bytes = strlen(entry->d_name);
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (is_abandoned(entry->d_name) && unlinkat(fd, entry->d_name, 0) == 0) continue;
    if (fstatat(fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0) continue;
    bool fits = scan->entries_left-- > 0 && depth <= MAXIMUM_DEPTH && length + name_bytes + 1 <= PATH_BYTES;
    if (!fits) scan->reason = EFBIG;
    if (!fits) break;
    scan->path[length] = '/';
    memcpy(scan->path + length + 1, entry->d_name, name_bytes);
    scan->path_length = length + 1 + name_bytes;
    add_entry(scan, fd, entry->d_name, &stat);
    if (S_ISDIR(stat.st_mode) && depth < scan->depth) scan_directory(scan, fd, entry->d_name, depth + 1);
  }
  if (locked) fchmod(fd, own.st_mode & 07777);
  closedir(directory);
}

/* The first entry is the root: where the path leads. The others are below it. Depth 0 is the root alone. */
bool handle_scan(struct peer *peer) {
  struct scan scan = {.peer = peer, .alive = true};
  uint32_t limits[2];
  bool whole = take(peer, limits, sizeof limits);
  char *path = take_string(peer), root[PATH_MAX];
  struct stat stat;
  if (!whole || path == NULL || *path != '/') return false;
  if (realpath(path, root) == NULL || lstat(root, &stat) != 0) return send_result(peer, errno);
  scan.entries_left = limits[0];
  scan.depth = limits[1];
  scan.path_length = strlen(strcpy(scan.path, root));
  add_entry(&scan, AT_FDCWD, root, &stat);
  scan.path_length = 0;
  if (scan.depth > 0 && S_ISDIR(stat.st_mode)) scan_directory(&scan, AT_FDCWD, root, 1);
  if (scan.alive && scan.reason == 0 && scan.filled > 0) scan.alive = send_frame(peer, DATA, scan.filled);
  return scan.alive && send_result(peer, scan.reason);
}
