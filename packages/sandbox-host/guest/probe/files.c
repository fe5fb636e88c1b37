/* Files and descriptors of the outside, and what may be written of the sandbox's own root. */
#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LARGEST_TEMPORARY_MIB = 1024 };

extern char **environ;

static void flag_by_path(void) { answer_open(given("flag"), O_RDONLY); }

/* The root of the process that started everything, and from there the flag. */
static void flag_through_init(void) {
  char path[4096];
  snprintf(path, sizeof path, "/proc/%s/root%s", given("init"), given("flag"));
  answer_open(path, O_RDONLY);
}

/* The flag beside or above an open directory. */
static bool leads_to_flag(int directory) {
  char path[4096];
  snprintf(path, sizeof path, "../../../../../../../..%s", given("flag"));
  return faccessat(directory, path, F_OK, 0) == 0 || faccessat(directory, strrchr(path, '/') + 1, F_OK, 0) == 0;
}

static void flag_above(void) {
  if (leads_to_flag(AT_FDCWD)) answer_found("the working directory leads outside");
  answer_error(errno, "");
}

/* CVE-2024-21626: a descriptor of the host that stayed open. */
static void flag_through_descriptors(void) {
  for (int descriptor = 0; descriptor < 1024; descriptor++)
    if (leads_to_flag(descriptor)) answer_found("a descriptor leads outside");
  answer_nothing();
}

static void further_descriptors(void) {
  DIR *listing = opendir("/proc/self/fd");
  if (listing == NULL) answer_error(errno, "/proc/self/fd");
  for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
    int descriptor = atoi(entry->d_name);
    if (entry->d_name[0] != '.' && descriptor > 2 && descriptor != dirfd(listing)) answer_found(entry->d_name);
  }
  answer_nothing();
}

/* The kernel tells a working directory that is outside of the root as "(unreachable)…". */
static void working_directory(void) {
  char path[4096] = "";
  if (syscall(SYS_getcwd, path, sizeof path) < 0) answer_error(errno, "getcwd");
  if (path[0] != '/') answer_found(path);
  answer_nothing();
}

#define OPENS(name, path, flags) \
  static void name(void) { answer_open(path, flags); }
OPENS(write_passwd, "/etc/passwd", O_WRONLY)
OPENS(write_system_file, "/usr/lib/os-release", O_WRONLY)
OPENS(write_supervisor, "/opt/exoloop/supervisor", O_WRONLY)
OPENS(service_token, "/var/run/secrets/kubernetes.io/serviceaccount/token", O_RDONLY)

/* CVE-2019-5736: the program that runs as init, through its process. */
static void write_init_program(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/exe", given("init"));
  answer_open(path, O_WRONLY);
}

static void writable_directory(const char *path) {
  if (access(path, W_OK) != 0) answer_error(errno, path);
  answer_found(path);
}
static void write_root(void) { writable_directory("/"); }
static void write_etc(void) { writable_directory("/etc"); }
static void write_usr(void) { writable_directory("/usr"); }

/* Calls `judge` for every mount; it may answer. */
static void for_mounts(void (*judge)(const char *point, const char *options, const char *type)) {
  char line[4096], point[1024], options[512], type[64];
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  if (mounts == NULL) answer_error(errno, "mountinfo");
  while (fgets(line, sizeof line, mounts) != NULL) {
    const char *rest = strstr(line, " - ");
    if (rest != NULL && sscanf(line, "%*s %*s %*s %*s %1023s %511s", point, options) == 2 &&
        sscanf(rest, " - %63s", type) == 1)
      judge(point, options, type);
  }
  answer_nothing();
}

static bool has_option(const char *options, const char *name) {
  size_t length = strlen(name);
  for (const char *at = options; (at = strstr(at, name)) != NULL; at += length)
    if ((at == options || at[-1] == ',') && (at[length] == '\0' || at[length] == ',')) return true;
  return false;
}

static bool is_own(const char *point) {
  static const char *const own[] = {"/workspace", "/skills", "/memory", "/tmp", "/home/agent", "/dev/shm", "/dev/pts",
                                    "/proc"};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (strcmp(point, own[i]) == 0) return true;
  return false;
}

/* Devices and terminals are single files bound one by one. */
static bool is_device_file(const char *point) {
  struct stat found;
  return strncmp(point, "/dev/", 5) == 0 && stat(point, &found) == 0 && S_ISCHR(found.st_mode);
}

static void judge_writable(const char *point, const char *options, const char *type) {
  (void)type;
  if (has_option(options, "rw") && !is_own(point) && !is_device_file(point)) answer_found(point);
}
static void judge_powers(const char *point, const char *options, const char *type) {
  (void)type;
  bool harmless = has_option(options, "nosuid") && (has_option(options, "nodev") || strcmp(point, "/dev/pts") == 0);
  if (has_option(options, "rw") && !harmless && !is_device_file(point)) answer_found(point);
}
static void judge_size(const char *point, const char *options, const char *type) {
  struct statvfs size;
  if (!has_option(options, "rw") || strcmp(type, "tmpfs") != 0 || is_device_file(point)) return;
  if (statvfs(point, &size) != 0) answer_error(errno, point);
  if (size.f_blocks == 0 || (size.f_blocks * size.f_frsize) >> 20 > LARGEST_TEMPORARY_MIB) answer_found(point);
}
static void writable_mounts(void) { for_mounts(judge_writable); }
static void powerful_mounts(void) { for_mounts(judge_powers); }
static void unbounded_memory_files(void) { for_mounts(judge_size); }

static void core_files(void) {
  struct rlimit most;
  if (getrlimit(RLIMIT_CORE, &most) != 0) answer_error(errno, "getrlimit");
  if (most.rlim_max != 0) answer_found("core files may be written");
  answer_nothing();
}

/* Names that tell of a cluster, a cloud or a person's credentials. */
static void environment(void) {
  static const char *const names[] = {"KUBERNETES_", "AWS_", "GOOGLE_", "AZURE_", "ANTHROPIC_", "OPENAI_", "SSH_",
                                      "DOCKER_",     "EXOLOOP_", "DATABASE_", "PG"};
  for (char **entry = environ; *entry != NULL; entry++)
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
      if (strncmp(*entry, names[i], strlen(names[i])) == 0) answer_found(names[i]);
  answer_nothing();
}

const struct probe file_probes[] = {
    {"flag-by-path", flag_by_path},
    {"flag-through-init", flag_through_init},
    {"flag-above", flag_above},
    {"flag-through-descriptors", flag_through_descriptors},
    {"further-descriptors", further_descriptors},
    {"working-directory", working_directory},
    {"write-passwd", write_passwd},
    {"write-system-file", write_system_file},
    {"write-supervisor", write_supervisor},
    {"write-init-program", write_init_program},
    {"service-token", service_token},
    {"write-root", write_root},
    {"write-etc", write_etc},
    {"write-usr", write_usr},
    {"writable-mounts", writable_mounts},
    {"powerful-mounts", powerful_mounts},
    {"unbounded-memory-files", unbounded_memory_files},
    {"core-files", core_files},
    {"environment", environment},
    {NULL, NULL},
};
