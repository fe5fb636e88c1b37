/*
 * What a sandbox gives up before anything of it runs; all that it starts inherits it. Enters the cgroups whose
 * descriptors it was given, limits resources, shuts the file system (Landlock, where there is no root of its own) and
 * filters system calls, then becomes the program after `--`. Ends with a message when the kernel refuses anything.
 *
 * Instead of the program `--order FD` can be the last one: what it becomes is then told later, and nothing when FD ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Landlock by number: the C library has no wrappers, and older kernel headers know fewer rights. */
enum { LANDLOCK_CREATE = 444, LANDLOCK_ADD = 445, LANDLOCK_RESTRICT = 446, LANDLOCK_VERSION_FLAG = 1, LANDLOCK_PATH = 1 };
enum {
  RIGHT_EXECUTE = 1 << 0,
  RIGHT_WRITE_FILE = 1 << 1,
  RIGHT_READ_FILE = 1 << 2,
  RIGHT_READ_DIRECTORY = 1 << 3,
  RIGHTS_ABI_1 = (1 << 13) - 1,
  RIGHT_REFER = 1 << 13,
  RIGHT_TRUNCATE = 1 << 14,
  NET_BIND_CONNECT = 3,
  SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3,
};
enum { ORDER_BYTES = 256 << 10, ORDER_WORDS = 2048 };
enum { MAXIMUM_PATHS = 32, OPEN_FILES = 8192, LOCKED_BYTES = 8 << 20 };
/* Threads of the supervisor, on top of the workload's processes: else a crowd of these would keep it from serving. */
enum { SUPERVISOR_THREADS = 160 };

struct ruleset {
  uint64_t file_rights, net_rights, scopes;
};

struct path_rule {
  uint64_t rights;
  int32_t directory;
} __attribute__((packed));

struct paths {
  char *list[MAXIMUM_PATHS];
  int count;
};

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "confine: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void limit(int resource, uint64_t most) {
  struct rlimit current;
  if (getrlimit(resource, &current) != 0) fail("getrlimit");
  if (current.rlim_max > most) current.rlim_max = most;
  current.rlim_cur = current.rlim_max;
  if (setrlimit(resource, &current) != 0) fail("setrlimit");
}

static void allow_paths(int ruleset, struct paths *paths, uint64_t rights, uint64_t file_rights) {
  for (int i = 0; i < paths->count; i++) {
    int fd = open(paths->list[i], O_PATH | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) continue;
    if (fd < 0) fail(paths->list[i]);
    struct path_rule rule = {rights, fd};
    if (syscall(LANDLOCK_ADD, ruleset, LANDLOCK_PATH, &rule, 0) != 0) {
      rule.rights = rights & file_rights; /* a single file takes no directory rights */
      if (syscall(LANDLOCK_ADD, ruleset, LANDLOCK_PATH, &rule, 0) != 0) fail(paths->list[i]);
    }
    close(fd);
  }
}

/* 0: the kernel has none. */
static long landlock_version(void) {
  long abi = syscall(LANDLOCK_CREATE, NULL, 0, LANDLOCK_VERSION_FLAG);
  return abi < 0 ? 0 : abi;
}

static void apply_landlock(struct paths *readable, struct paths *writable) {
  long abi = landlock_version();
  if (abi < 1) return; /* the host daemon reports which walls stand */
  struct ruleset ruleset = {.file_rights = RIGHTS_ABI_1};
  if (abi >= 2) ruleset.file_rights |= RIGHT_REFER;
  if (abi >= 3) ruleset.file_rights |= RIGHT_TRUNCATE;
  if (abi >= 4) ruleset.net_rights = NET_BIND_CONNECT;
  if (abi >= 6) ruleset.scopes = SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS;
  size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  int fd = (int)syscall(LANDLOCK_CREATE, &ruleset, size, 0);
  if (fd < 0) fail("landlock ruleset");
  uint64_t read_rights = RIGHT_EXECUTE | RIGHT_READ_FILE | RIGHT_READ_DIRECTORY;
  uint64_t file_rights = ruleset.file_rights & (RIGHT_EXECUTE | RIGHT_WRITE_FILE | RIGHT_READ_FILE | RIGHT_TRUNCATE);
  allow_paths(fd, readable, read_rights, file_rights);
  allow_paths(fd, writable, ruleset.file_rights, file_rights);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(LANDLOCK_RESTRICT, fd, 0) != 0) fail("landlock");
  close(fd);
}

/* The program is a file of `struct sock_filter`. */
static void apply_seccomp(int program_descriptor) {
  static struct sock_filter program[BPF_MAXINSNS];
  ssize_t length = pread(program_descriptor, program, sizeof program, 0);
  if (length <= 0 || length % (ssize_t)sizeof *program != 0) fail("seccomp program");
  struct sock_fprog filter = {(unsigned short)((size_t)length / sizeof *program), program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("no_new_privs");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0) fail("seccomp");
  close(program_descriptor);
}

static void add_path(struct paths *paths, char *path) {
  errno = EINVAL;
  if (paths->count == MAXIMUM_PATHS) fail("too many paths");
  paths->list[paths->count++] = path;
}

/* Into the cgroup while nothing of the workload exists. */
static void join_cgroup(int entrance) {
  if (write(entrance, "0", 1) != 1) fail("cannot enter a cgroup");
  close(entrance);
}

/* Strings: how many bytes follow, how many of them are arguments, those, NAME=value ... One that was cut off is none. */
static _Noreturn void follow_order(int from) {
  static char order[ORDER_BYTES + 1], *words[ORDER_WORDS + 2];
  size_t size = 0, count = 0;
  for (ssize_t got; (got = read(from, order + size, ORDER_BYTES - size)) != 0; size += (size_t)got) {
    if (got < 0) fail("order");
  }
  if (size == 0) exit(0);
  char *next = order + strlen(order) + 1, *end = order + size;
  errno = EINVAL;
  if (next >= end || end[-1] != '\0' || strtoul(order, NULL, 10) != (size_t)(end - next)) fail("order");
  size_t argument_count = strtoul(next, NULL, 10);
  while ((next += strlen(next) + 1) < end && count < ORDER_WORDS) {
    if (count == argument_count) words[count++] = NULL;
    words[count++] = next;
  }
  if (next < end || argument_count == 0 || count < argument_count) fail("order");
  close(from);
  if (open("/dev/null", O_RDONLY) != from) fail("/dev/null");
  execve(words[0], words, words + argument_count + 1);
  fail(words[0]);
}

int main(int count, char **arguments) {
  struct paths readable = {.count = 0}, writable = {.count = 0};
  int filter = -1, i = 1;
  if (count == 3 && strcmp(arguments[1], "--probe") == 0) return printf("%ld\n", landlock_version()) < 0;
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, OPEN_FILES);
  limit(RLIMIT_MEMLOCK, LOCKED_BYTES);
  for (; i + 1 < count && strcmp(arguments[i], "--") != 0; i += 2) {
    const char *name = arguments[i];
    char *value = arguments[i + 1];
    if (strcmp(name, "--join") == 0) join_cgroup(atoi(value));
    else if (strcmp(name, "--order") == 0) follow_order(atoi(value));
    else if (strcmp(name, "--seccomp") == 0) filter = atoi(value);
    else if (strcmp(name, "--seccomp-file") == 0) {
      if ((filter = open(value, O_RDONLY | O_CLOEXEC)) < 0) fail(value);
    }
    /* Counts the user id in its namespace, so it is meant for ids that nothing else has. */
    else if (strcmp(name, "--processes") == 0) limit(RLIMIT_NPROC, strtoull(value, NULL, 10) + SUPERVISOR_THREADS);
    else if (strcmp(name, "--file-bytes") == 0) limit(RLIMIT_FSIZE, strtoull(value, NULL, 10));
    else if (strcmp(name, "--readable") == 0) add_path(&readable, value);
    else if (strcmp(name, "--writable") == 0) add_path(&writable, value);
    else break;
  }
  errno = EINVAL;
  if (i + 1 >= count || strcmp(arguments[i], "--") != 0) fail(i < count ? arguments[i] : "no program");
  if (writable.count > 0) apply_landlock(&readable, &writable);
  if (filter >= 0) apply_seccomp(filter);
  execv(arguments[i + 1], arguments + i + 1);
  fail(arguments[i + 1]);
}
