/* Other processes, namespaces, capabilities. */
#define _GNU_SOURCE
#include "probe.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Looks for a text in one file of every process. */
static void look_in_processes(const char *file, const char *text) {
  static char content[1 << 16];
  char path[300];
  DIR *listing = opendir("/proc");
  if (listing == NULL) answer_error(errno, "/proc");
  for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
    if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid() || atoi(entry->d_name) == getppid())
      continue;
    snprintf(path, sizeof path, "/proc/%s/%s", entry->d_name, file);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) continue;
    ssize_t length = read(descriptor, content, sizeof content);
    close(descriptor);
    if (length > 0 && memmem(content, (size_t)length, text, strlen(text)) != NULL) answer_found(path);
  }
  answer_nothing();
}
static void host_environment(void) { look_in_processes("environ", given("secret")); }

/* Given backwards, or it would be found in our own command line. */
static void host_command_lines(void) {
  char marker[64] = "";
  const char *backwards = given("marker-backwards");
  size_t length = strlen(backwards);
  for (size_t i = 0; i < length && i < sizeof marker - 1; i++) marker[i] = backwards[length - 1 - i];
  look_in_processes("cmdline", marker);
}

static pid_t canary(void) { return atoi(given("process")); }
static void signal_canary(void) { answer_call(kill(canary(), 0)); }
static void name_canary(void) { answer_call(syscall(434 /* pidfd_open */, canary(), 0)); }
/* Seizing neither stops nor changes it; our end lets it go. */
static void seize_canary(void) { answer_call(ptrace(PTRACE_SEIZE, canary(), NULL, NULL)); }
static void open_of(const char *process, const char *file, int flags) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/%s", process, file);
  answer_open(path, flags);
}
static void memory_of_canary(void) { open_of(given("process"), "mem", O_RDWR); }
static void namespace_of_canary(void) { open_of(given("process"), "ns/mnt", O_RDONLY); }
static void memory_of_init(void) { open_of(given("init"), "mem", O_RDWR); }
static void descriptors_of_init(void) { open_of(given("init"), "fd", O_RDONLY | O_DIRECTORY); }

/* `fact` tells the namespace of what launched the sandbox. */
static void own_namespace(const char *name) {
  char path[64], fact[64], link[64] = "";
  snprintf(path, sizeof path, "/proc/self/ns/%s", name);
  snprintf(fact, sizeof fact, "namespace-%s", name);
  if (readlink(path, link, sizeof link - 1) < 0) answer_error(errno, path);
  if (strcmp(link, given(fact)) == 0) answer_found(link);
  answer_nothing();
}
static void namespace_user(void) { own_namespace("user"); }
static void namespace_mount(void) { own_namespace("mnt"); }
static void namespace_pid(void) { own_namespace("pid"); }
static void namespace_network(void) { own_namespace("net"); }
static void namespace_ipc(void) { own_namespace("ipc"); }
static void namespace_hostname(void) { own_namespace("uts"); }
static void namespace_cgroup(void) { own_namespace("cgroup"); }

/* One field of our own status; `wanted` is the only one that holds. */
static void status(const char *field, const char *wanted) {
  char line[256];
  FILE *file = fopen("/proc/self/status", "re");
  if (file == NULL) answer_error(errno, "status");
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, field, strlen(field)) != 0) continue;
    char *value = line + strlen(field);
    while (isspace((unsigned char)*value)) value++;
    value[strcspn(value, "\n")] = '\0';
    if (strcmp(value, wanted) == 0) answer_nothing();
    answer_found(value);
  }
  answer_error(ENOENT, field);
}
#define NONE "0000000000000000"
static void capabilities_effective(void) { status("CapEff:", NONE); }
static void capabilities_permitted(void) { status("CapPrm:", NONE); }
static void capabilities_inheritable(void) { status("CapInh:", NONE); }
static void capabilities_bounding(void) { status("CapBnd:", NONE); }
static void capabilities_ambient(void) { status("CapAmb:", NONE); }
static void new_privileges(void) { status("NoNewPrivs:", "1"); }
static void filter(void) { status("Seccomp:", "2"); }

static void root_user(void) {
  if (getuid() == 0 || geteuid() == 0 || getgid() == 0 || getegid() == 0) answer_found("root");
  answer_nothing();
}

/* Groups of the host that stayed: "nogroup" hides which. */
static void further_groups(void) {
  gid_t groups[64];
  int count = getgroups(64, groups);
  if (count < 0) answer_error(errno, "getgroups");
  for (int i = 0; i < count; i++)
    if (groups[i] != getgid()) answer_found("a further group");
  answer_nothing();
}

const struct probe process_probes[] = {
    {"host-environment", host_environment},
    {"host-command-lines", host_command_lines},
    {"signal-host-process", signal_canary},
    {"name-host-process", name_canary},
    {"seize-host-process", seize_canary},
    {"memory-of-host-process", memory_of_canary},
    {"namespace-of-host-process", namespace_of_canary},
    {"memory-of-init", memory_of_init},
    {"descriptors-of-init", descriptors_of_init},
    {"namespace-user", namespace_user},
    {"namespace-mount", namespace_mount},
    {"namespace-pid", namespace_pid},
    {"namespace-network", namespace_network},
    {"namespace-ipc", namespace_ipc},
    {"namespace-hostname", namespace_hostname},
    {"namespace-cgroup", namespace_cgroup},
    {"capabilities-effective", capabilities_effective},
    {"capabilities-permitted", capabilities_permitted},
    {"capabilities-inheritable", capabilities_inheritable},
    {"capabilities-bounding", capabilities_bounding},
    {"capabilities-ambient", capabilities_ambient},
    {"new-privileges", new_privileges},
    {"system-call-filter", filter},
    {"root-user", root_user},
    {"further-groups", further_groups},
    {NULL, NULL},
};
