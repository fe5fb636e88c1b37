/* What the kernel shows and lets itself be told through /proc, /sys and /dev. Opened, never read into or written to. */
#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPENS(name, path, flags) \
  static void name(void) { answer_open(path, flags); }

OPENS(open_core_pattern, "/proc/sys/kernel/core_pattern", O_WRONLY)
OPENS(open_randomization, "/proc/sys/kernel/randomize_va_space", O_WRONLY)
OPENS(open_overcommit, "/proc/sys/vm/overcommit_memory", O_WRONLY)
OPENS(open_forwarding, "/proc/sys/net/ipv4/ip_forward", O_WRONLY)
OPENS(open_drop_caches, "/proc/sys/vm/drop_caches", O_WRONLY)
OPENS(open_affinity, "/proc/irq/default_smp_affinity", O_WRONLY)
OPENS(open_kmsg, "/proc/kmsg", O_RDONLY)
OPENS(open_page_counts, "/proc/kpagecount", O_RDONLY)
OPENS(open_kernel_memory_map, "/proc/vmallocinfo", O_RDONLY)
OPENS(open_slabs, "/proc/slabinfo", O_RDONLY)
OPENS(open_timers, "/proc/timer_list", O_RDONLY)
OPENS(open_device_kmsg, "/dev/kmsg", O_WRONLY)
OPENS(open_fuse, "/dev/fuse", O_RDWR)
OPENS(open_tunnel, "/dev/net/tun", O_RDWR)
OPENS(open_loop_control, "/dev/loop-control", O_RDWR)
OPENS(open_console, "/dev/tty0", O_RDWR)
OPENS(list_block_devices, "/sys/block", O_RDONLY | O_DIRECTORY)
OPENS(list_interfaces, "/sys/class/net", O_RDONLY | O_DIRECTORY)
OPENS(list_modules, "/sys/module", O_RDONLY | O_DIRECTORY)
OPENS(list_firmware, "/sys/firmware", O_RDONLY | O_DIRECTORY)
OPENS(list_kernel, "/sys/kernel", O_RDONLY | O_DIRECTORY)
OPENS(list_cgroups, "/sys/fs/cgroup", O_RDONLY | O_DIRECTORY)
OPENS(open_power_state, "/sys/power/state", O_WRONLY)
OPENS(shared_memory, given("shared-memory"), O_RDONLY)

static char first_found[256];

static bool remember(const char *path) {
  snprintf(first_found, sizeof first_found, "%s", path);
  return true;
}

static bool is_writable(const char *path) { return access(path, W_OK) == 0 && remember(path); }

static void writable_below(const char *directory, int depth) {
  if (access(directory, R_OK | X_OK) != 0) answer_error(errno, directory);
  if (walk(directory, depth, is_writable)) answer_found(first_found);
  answer_nothing();
}

static void writable_sysctls(void) { writable_below("/proc/sys", 8); }
static void writable_sys(void) { writable_below("/sys", 4); }
static void writable_interrupts(void) { writable_below("/proc/irq", 3); }

static bool is_control_file(const char *path) {
  const char *name = strrchr(path, '/') + 1;
  bool control = strcmp(name, "release_agent") == 0 || strcmp(name, "cgroup.procs") == 0 || strcmp(name, "tasks") == 0;
  return control && is_writable(path);
}

/* Every mount of a control group's hierarchy, wherever it is. */
static void writable_cgroups(void) {
  char line[4096], point[1024];
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  if (mounts == NULL) answer_error(errno, "mountinfo");
  while (fgets(line, sizeof line, mounts) != NULL)
    if (strstr(line, " - cgroup") != NULL && sscanf(line, "%*s %*s %*s %*s %1023s", point) == 1 &&
        walk(point, 2, is_control_file))
      answer_found(first_found);
  answer_nothing();
}

static bool is_block_device(const char *path) {
  struct stat found;
  return lstat(path, &found) == 0 && S_ISBLK(found.st_mode) && remember(path);
}

static bool is_unusual_device(const char *path) {
  static const char *const usual[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
                                      "/dev/tty",  "/dev/ptmx", "/dev/console", "/dev/pts/ptmx"};
  struct stat found;
  if (lstat(path, &found) != 0 || !(S_ISCHR(found.st_mode) || S_ISBLK(found.st_mode))) return false;
  for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
    if (strcmp(path, usual[i]) == 0) return false;
  return remember(path);
}

static void look_in_devices(bool (*see)(const char *)) {
  if (access("/dev", R_OK | X_OK) != 0) answer_error(errno, "/dev");
  if (walk("/dev", 3, see)) answer_found(first_found);
  answer_nothing();
}
static void block_devices(void) { look_in_devices(is_block_device); }
static void unusual_devices(void) { look_in_devices(is_unusual_device); }

static void writable_device_directory(void) {
  if (access("/dev", W_OK) != 0) answer_error(errno, "/dev");
  answer_found("/dev");
}

/* Addresses of the kernel's own functions: zeros for those who may not know. */
static void kernel_addresses(void) {
  char line[512];
  FILE *symbols = fopen("/proc/kallsyms", "re");
  if (symbols == NULL) answer_error(errno, "kallsyms");
  for (int i = 0; i < 2000 && fgets(line, sizeof line, symbols) != NULL; i++)
    if (strtoull(line, NULL, 16) > 0x1000000) answer_found("/proc/kallsyms");
  answer_nothing();
}

/* Which physical page holds our own stack: zero for those who may not know. */
static void physical_addresses(void) {
  uint64_t entry = 0;
  int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) answer_error(errno, "pagemap");
  off_t at = (off_t)((uintptr_t)&entry / (uintptr_t)sysconf(_SC_PAGESIZE)) * 8;
  if (pread(pagemap, &entry, sizeof entry, at) != sizeof entry) answer_error(errno, "pagemap");
  if ((entry & ((UINT64_C(1) << 55) - 1)) != 0) answer_found("/proc/self/pagemap");
  answer_nothing();
}

const struct probe kernel_file_probes[] = {
    {"core-pattern", open_core_pattern},
    {"address-randomization", open_randomization},
    {"memory-overcommit", open_overcommit},
    {"packet-forwarding", open_forwarding},
    {"drop-caches", open_drop_caches},
    {"interrupt-affinity", open_affinity},
    {"kernel-log", open_kmsg},
    {"page-counts", open_page_counts},
    {"kernel-memory-map", open_kernel_memory_map},
    {"kernel-slabs", open_slabs},
    {"kernel-timers", open_timers},
    {"kernel-log-device", open_device_kmsg},
    {"device-fuse", open_fuse},
    {"device-tunnel", open_tunnel},
    {"device-loop-control", open_loop_control},
    {"device-console", open_console},
    {"sys-block", list_block_devices},
    {"sys-interfaces", list_interfaces},
    {"sys-modules", list_modules},
    {"sys-firmware", list_firmware},
    {"sys-kernel", list_kernel},
    {"sys-cgroups", list_cgroups},
    {"power-state", open_power_state},
    {"shared-memory", shared_memory},
    {"writable-sysctls", writable_sysctls},
    {"writable-sys", writable_sys},
    {"writable-interrupts", writable_interrupts},
    {"writable-cgroups", writable_cgroups},
    {"block-devices", block_devices},
    {"unusual-devices", unusual_devices},
    {"writable-device-directory", writable_device_directory},
    {"kernel-addresses", kernel_addresses},
    {"physical-addresses", physical_addresses},
    {NULL, NULL},
};
