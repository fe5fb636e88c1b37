/*
 * The control: a place without walls, where every probe must reach what it asks for. It has the host's processes,
 * network and kernel files and all capabilities, around a root made of memory that nobody else sees and that ends with
 * us; what would be the host's own files are stand-ins.
 */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { LEAKED_DESCRIPTOR = 9, LAST_CAPABILITY = 63 };

static const char *weak_root;

static void need(bool done, const char *what) {
  if (done) return;
  fprintf(stderr, "the weak control needs root: %s: %s\n", what, strerror(errno));
  exit(2);
}

static const char *inside(const char *path) {
  static char full[4096];
  snprintf(full, sizeof full, "%s%s", weak_root, path);
  return full;
}

/* With its parents. */
static void make_directory(const char *path) {
  char full[4096];
  snprintf(full, sizeof full, "%s", inside(path));
  for (char *at = full + strlen(weak_root) + 1; (at = strchr(at, '/')) != NULL; at++) {
    *at = '\0';
    mkdir(full, 0755);
    *at = '/';
  }
  need(mkdir(full, 0755) == 0 || errno == EEXIST, full);
}

static void make_file(const char *directory, const char *path) {
  make_directory(directory);
  int file = open(inside(path), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  need(file >= 0, path);
  close(file);
}

static void show(const char *path) {
  make_directory(path);
  need(mount(path, inside(path), NULL, MS_BIND | MS_REC, NULL) == 0, path);
}

/* It is never answered: a name that can be connected to is enough. */
static void make_socket(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *full = inside(path);
  need(strlen(full) < sizeof address.sun_path, "a short path");
  strcpy(address.sun_path, full);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  need(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 8) == 0, path);
}

static void keep_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  need(syscall(SYS_capget, &header, data) == 0, "capget");
  for (int i = 0; i < 2; i++) data[i].inheritable = data[i].permitted;
  need(syscall(SYS_capset, &header, data) == 0, "capset");
  for (int one = 0; one <= LAST_CAPABILITY; one++) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, one, 0, 0);
}

void enter_weak_root(const char *root) {
  static char mount_namespace[96] = "namespace-mnt=";
  const char *outside = given("outside"); /* the directory with the flag and the named socket */
  weak_root = root;
  need(geteuid() == 0, "this user");
  need(unshare(CLONE_NEWNS) == 0, "unshare");
  need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
  need(mount("weak", root, "tmpfs", 0, "size=2g") == 0, root);
  int leaked = open(outside, O_RDONLY | O_DIRECTORY);
  need(leaked >= 0 && dup2(leaked, LEAKED_DESCRIPTOR) >= 0, outside);
  close(leaked);
  show("/proc");
  show("/sys");
  show("/dev");
  show(outside);
  make_directory("/tmp");
  make_file("/etc", "/etc/passwd");
  make_file("/usr/lib", "/usr/lib/os-release");
  make_file("/opt/exoloop", "/opt/exoloop/supervisor");
  make_file("/var/run/secrets/kubernetes.io/serviceaccount", "/var/run/secrets/kubernetes.io/serviceaccount/token");
  make_directory("/run");
  make_socket("/run/docker.sock");
  setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1", 1);
  need(setgroups(1, (gid_t[]){4}) == 0, "setgroups");
  keep_capabilities();
  struct rlimit core = {RLIM_INFINITY, RLIM_INFINITY};
  getrlimit(RLIMIT_CORE, &core);
  need(core.rlim_max != 0, "core files allowed");
  size_t used = strlen(mount_namespace);
  need(readlink("/proc/self/ns/mnt", mount_namespace + used, sizeof mount_namespace - used - 1) > 0, "namespace");
  replace_fact(mount_namespace);
  /* The working directory stays outside: it becomes a place that no name leads to. */
  make_directory("/outside");
  need(chdir(outside) == 0, outside);
  need(syscall(SYS_pivot_root, root, inside("/outside")) == 0, "pivot_root");
  need(umount2("/outside", MNT_DETACH) == 0, "the old root");
}
