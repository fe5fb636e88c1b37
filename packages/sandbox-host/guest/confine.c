/* What the supervisor gives up before it serves anyone. All that it starts inherits it. */
#define _GNU_SOURCE
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
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

struct ruleset {
  uint64_t file_rights, net_rights, scopes;
};

struct path_rule {
  uint64_t rights;
  int32_t directory;
} __attribute__((packed));

_Noreturn void fail(const char *what) {
  fprintf(stderr, "supervisor: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void limit(int resource, uint64_t most) {
  struct rlimit current;
  if (getrlimit(resource, &current) != 0) fail("getrlimit");
  if (current.rlim_max > most) current.rlim_max = most;
  current.rlim_cur = current.rlim_max;
  if (setrlimit(resource, &current) != 0) fail("setrlimit");
}

static uint64_t workload_processes; /* 0: no limit of ours */

/*
 * 0: no limit of ours. The process limit counts the user id in its namespace, so it is meant for ids that nothing else
 * has. Ours is higher than the workload's, or a crowd of its processes would keep us from serving anybody.
 */
void apply_resource_limits(uint64_t processes, uint64_t file_bytes) {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, 8192);
  limit(RLIMIT_MEMLOCK, 8 << 20);
  workload_processes = processes;
  if (processes > 0) limit(RLIMIT_NPROC, processes + MAXIMUM_CONNECTIONS + MAXIMUM_RUNNING_COMMANDS);
  if (file_bytes > 0) limit(RLIMIT_FSIZE, file_bytes);
}

void apply_process_limit(void) {
  struct rlimit most = {workload_processes, workload_processes};
  if (workload_processes > 0) setrlimit(RLIMIT_NPROC, &most);
}

static void allow_paths(int ruleset, char **paths, int count, uint64_t rights, uint64_t file_rights) {
  for (int i = 0; i < count; i++) {
    int fd = open(paths[i], O_PATH | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) continue;
    if (fd < 0) fail(paths[i]);
    struct path_rule rule = {rights, fd};
    if (syscall(LANDLOCK_ADD, ruleset, LANDLOCK_PATH, &rule, 0) != 0) {
      rule.rights = rights & file_rights; /* a single file takes no directory rights */
      if (syscall(LANDLOCK_ADD, ruleset, LANDLOCK_PATH, &rule, 0) != 0) fail(paths[i]);
    }
    close(fd);
  }
}

long landlock_version(void) {
  long abi = syscall(LANDLOCK_CREATE, NULL, 0, LANDLOCK_VERSION_FLAG);
  return abi < 0 ? 0 : abi;
}

void apply_landlock(char **readable, int readable_count, char **writable, int writable_count) {
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
  allow_paths(fd, readable, readable_count, read_rights, file_rights);
  allow_paths(fd, writable, writable_count, ruleset.file_rights, file_rights);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(LANDLOCK_RESTRICT, fd, 0) != 0) fail("landlock");
  close(fd);
}

/* The program is a file of `struct sock_filter`. */
void apply_seccomp(int program_descriptor) {
  static struct sock_filter program[BPF_MAXINSNS];
  ssize_t length = pread(program_descriptor, program, sizeof program, 0);
  if (length <= 0 || length % (ssize_t)sizeof *program != 0) fail("seccomp program");
  struct sock_fprog filter = {(unsigned short)((size_t)length / sizeof *program), program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("no_new_privs");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0) fail("seccomp");
  close(program_descriptor);
}

bool start_thread(void *(*body)(void *), void *argument) {
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 512 << 10);
  int failure = pthread_create(&thread, &attributes, body, argument);
  pthread_attr_destroy(&attributes);
  return failure == 0;
}
