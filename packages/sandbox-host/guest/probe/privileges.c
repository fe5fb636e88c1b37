/* Privileges of a process over users, other processes, devices and terminals. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A probe that is one call. */
#define CALL(name, ...) \
  static void name(void) { answer_call(syscall(__VA_ARGS__)); }

/* Privileges of a process. */
CALL(call_setuid, SYS_setuid, 0)
CALL(call_setgid, SYS_setgid, 0)
CALL(call_setgroups, SYS_setgroups, 0, NULL)
CALL(real_time_scheduling, SYS_sched_setscheduler, 0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1})
CALL(call_prlimit_supervisor, SYS_prlimit64, 1, RLIMIT_NOFILE, NULL, &(struct rlimit){0})
static void raise_priority(void) { answer_call(setpriority(PRIO_PROCESS, 0, -20)); }
static void drop_bounding(void) { answer_call(prctl(PR_CAPBSET_DROP, 0, 0, 0, 0)); }
static void change_owner(void) { answer_call(fchown((int)syscall(SYS_memfd_create, "probe", 1), 0, 0)); }
static void lock_memory(void) {
  size_t bytes = 64 << 20;
  void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  answer_call(mlock2(pages, bytes, MLOCK_ONFAULT));
}

/* Another's memory. No vector: nothing is read or written. */
CALL(call_ptrace, SYS_ptrace, PTRACE_TRACEME, 0, NULL, NULL)
CALL(call_vmsplice, SYS_vmsplice, -1, NULL, 0, 0)
CALL(call_process_vm_readv, SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0)
CALL(call_process_vm_writev, SYS_process_vm_writev, getpid(), NULL, 0, NULL, 0, 0)
CALL(call_process_madvise, 440, -1, NULL, 0, 0, 0)
CALL(call_kcmp, SYS_kcmp, getpid(), getpid(), 2 /* KCMP_FILES */, 0, 0)
CALL(call_pidfd_getfd, 438, -1, 0, 0)

/* A device without a driver, in the probe's own temporary directory; removed at once where it could be made. */
static void make_device(mode_t kind, unsigned device) {
  char path[] = "/tmp/exoloop-probe-XXXXXX";
  if (mkdtemp(path) == NULL) answer_error(errno, "mkdtemp");
  char node[sizeof path + 8] = "";
  strcat(strcat(node, path), "/node");
  long made = mknod(node, kind | 0600, device);
  int error = errno;
  unlink(node);
  rmdir(path);
  errno = error;
  answer_call(made);
}
static void make_block_device(void) { make_device(S_IFBLK, 0xfff00); }
static void make_character_device(void) { make_device(S_IFCHR, 0xfff00); }

/* A terminal of our own. */
static void ask_terminal(unsigned long request, void *argument) {
  int controller = posix_openpt(O_RDWR | O_NOCTTY);
  if (controller < 0 || grantpt(controller) != 0 || unlockpt(controller) != 0) answer_error(EBADF, "no terminal");
  int terminal = open(ptsname(controller), O_RDWR | O_NOCTTY);
  if (terminal < 0) answer_error(EBADF, "no terminal");
  answer_call(ioctl(terminal, request, argument));
}
static void terminal_input(void) { ask_terminal(TIOCSTI, "x"); }
static void terminal_selection(void) { ask_terminal(TIOCLINUX, "\1"); }

const struct probe privilege_probes[] = {
    {"call-setuid", call_setuid},
    {"call-setgid", call_setgid},
    {"call-setgroups", call_setgroups},
    {"real-time-scheduling", real_time_scheduling},
    {"supervisor-limits", call_prlimit_supervisor},
    {"raise-priority", raise_priority},
    {"drop-bounding", drop_bounding},
    {"change-owner", change_owner},
    {"lock-memory", lock_memory},
    {"call-ptrace", call_ptrace},
    {"call-vmsplice", call_vmsplice},
    {"call-process-vm-readv", call_process_vm_readv},
    {"call-process-vm-writev", call_process_vm_writev},
    {"call-process-madvise", call_process_madvise},
    {"call-kcmp", call_kcmp},
    {"call-pidfd-getfd", call_pidfd_getfd},
    {"make-block-device", make_block_device},
    {"make-character-device", make_character_device},
    {"terminal-input", terminal_input},
    {"terminal-selection", terminal_selection},
    {NULL, NULL},
};
