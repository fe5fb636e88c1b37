/* System calls that no sandbox needs. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOWHERE "/exoloop-nowhere"
#define ALL_BITS 0xffffffffUL
/* A probe that is one call. */
#define CALL(name, ...) \
  static void name(void) { answer_call(syscall(__VA_ARGS__)); }

/* Mounts: the arguments are wrong, which is only looked at after the permission. */
CALL(call_mount, SYS_mount, NULL, "/", NULL, MS_BIND, NULL)
CALL(call_umount2, SYS_umount2, "/proc/self/fd", 0)
CALL(call_pivot_root, SYS_pivot_root, NOWHERE, NOWHERE)
CALL(call_fsopen, 430, "tmpfs", ALL_BITS)
CALL(call_fsconfig, 431, -1, 0, NULL, NULL, 0)
CALL(call_fsmount, 432, -1, 0, 0)
CALL(call_fspick, 433, AT_FDCWD, NOWHERE, 0)
CALL(call_move_mount, 429, -1, "", -1, "", ALL_BITS)
CALL(call_open_tree, 428, AT_FDCWD, NOWHERE, 1 /* OPEN_TREE_CLONE */)
CALL(call_mount_setattr, 442, AT_FDCWD, NOWHERE, 0, (unsigned long[4]){MS_RDONLY}, 32)
CALL(call_chroot, SYS_chroot, "/")

/* Namespaces: each probe is a process of its own, so what it unshares ends with it. */
CALL(unshare_user, SYS_unshare, CLONE_NEWUSER)
CALL(unshare_mount, SYS_unshare, CLONE_NEWNS)
CALL(unshare_network, SYS_unshare, CLONE_NEWNET)
CALL(unshare_pid, SYS_unshare, CLONE_NEWPID)
CALL(unshare_cgroup, SYS_unshare, CLONE_NEWCGROUP)
CALL(unshare_everything, SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWNET | CLONE_NEWIPC)
CALL(call_setns, SYS_setns, -1, 0)
CALL(call_clone3, 435, NULL, 0)

static void clone_into(unsigned long flag) {
  long child = syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  if (child > 0) waitpid((pid_t)child, NULL, 0);
  answer_call(child);
}
static void clone_user(void) { clone_into(CLONE_NEWUSER); }
static void clone_mount(void) { clone_into(CLONE_NEWNS); }

/* The kernel itself. */
CALL(call_init_module, SYS_init_module, NULL, 0, "")
CALL(call_finit_module, SYS_finit_module, -1, "", ALL_BITS)
CALL(call_delete_module, SYS_delete_module, "exoloop_no_such_module", O_NONBLOCK)
CALL(call_kexec_load, SYS_kexec_load, 0, 0, NULL, ALL_BITS)
CALL(call_kexec_file_load, SYS_kexec_file_load, -1, -1, 0, "", ALL_BITS)
CALL(call_reboot, SYS_reboot, 0, 0, 0, NULL) /* without its two magic numbers it never does anything */
CALL(call_swapon, SYS_swapon, NOWHERE, ALL_BITS)
CALL(call_swapoff, SYS_swapoff, NOWHERE)
CALL(call_acct, SYS_acct, NOWHERE)
CALL(call_quotactl, SYS_quotactl, ALL_BITS, NULL, 0, NULL)
CALL(call_syslog, SYS_syslog, 99, NULL, 0)
CALL(call_bpf, SYS_bpf, 99, (unsigned long[4]){0}, 32)
CALL(call_perf_event_open, SYS_perf_event_open, NULL, 0, -1, -1, 0)
CALL(call_userfaultfd, SYS_userfaultfd, O_CLOEXEC)
CALL(call_io_uring_setup, 425, 0, NULL)
CALL(call_io_uring_enter, 426, -1, 0, 0, 0, NULL, 0)
CALL(call_io_uring_register, 427, -1, ALL_BITS, NULL, 0)
CALL(call_keyctl, SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0)
CALL(call_add_key, SYS_add_key, NULL, NULL, NULL, 0, 0)
CALL(call_request_key, SYS_request_key, NULL, NULL, NULL, 0)
CALL(call_fanotify_init, SYS_fanotify_init, 0, O_RDONLY)
CALL(call_mbind, SYS_mbind, NULL, 0, 99, NULL, 0, ALL_BITS)
CALL(call_set_mempolicy, SYS_set_mempolicy, 99, NULL, 0)
CALL(call_move_pages, SYS_move_pages, 0, 0, NULL, NULL, NULL, ALL_BITS)
CALL(call_personality, SYS_personality, ALL_BITS) /* asks for the present one */

/* Time and names of the machine: values that are refused as such. */
static const struct timespec impossible_time = {0, 2000000000};
CALL(call_clock_settime, SYS_clock_settime, CLOCK_REALTIME, &impossible_time)
CALL(call_settimeofday, SYS_settimeofday, &(struct timeval){0, 2000000}, NULL)
CALL(call_adjtimex, SYS_adjtimex, NULL)
CALL(call_clock_adjtime, SYS_clock_adjtime, CLOCK_REALTIME, NULL)
CALL(call_sethostname, SYS_sethostname, "", -1)
CALL(call_setdomainname, SYS_setdomainname, "", -1)

/* Files by number: around every mount. */
static void call_name_to_handle_at(void) {
  struct {
    unsigned bytes;
    int type;
    char content[128];
  } handle = {.bytes = 128};
  int mount = 0;
  answer_call(syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &handle, &mount, 0));
}
static void call_open_by_handle_at(void) {
  struct {
    unsigned bytes;
    int type;
    char content[8];
  } root_of_ext4 = {8, 1, {2}};
  int directory = open("/", O_RDONLY | O_DIRECTORY);
  answer_call(syscall(SYS_open_by_handle_at, directory, &root_of_ext4, O_RDONLY));
}

const struct probe system_call_probes[] = {
    {"call-mount", call_mount},
    {"call-umount2", call_umount2},
    {"call-pivot-root", call_pivot_root},
    {"call-fsopen", call_fsopen},
    {"call-fsconfig", call_fsconfig},
    {"call-fsmount", call_fsmount},
    {"call-fspick", call_fspick},
    {"call-move-mount", call_move_mount},
    {"call-open-tree", call_open_tree},
    {"call-mount-setattr", call_mount_setattr},
    {"call-chroot", call_chroot},
    {"unshare-user", unshare_user},
    {"unshare-mount", unshare_mount},
    {"unshare-network", unshare_network},
    {"unshare-pid", unshare_pid},
    {"unshare-cgroup", unshare_cgroup},
    {"unshare-everything", unshare_everything},
    {"call-setns", call_setns},
    {"call-clone3", call_clone3},
    {"clone-user", clone_user},
    {"clone-mount", clone_mount},
    {"call-init-module", call_init_module},
    {"call-finit-module", call_finit_module},
    {"call-delete-module", call_delete_module},
    {"call-kexec-load", call_kexec_load},
    {"call-kexec-file-load", call_kexec_file_load},
    {"call-reboot", call_reboot},
    {"call-swapon", call_swapon},
    {"call-swapoff", call_swapoff},
    {"call-acct", call_acct},
    {"call-quotactl", call_quotactl},
    {"call-syslog", call_syslog},
    {"call-bpf", call_bpf},
    {"call-perf-event-open", call_perf_event_open},
    {"call-userfaultfd", call_userfaultfd},
    {"call-io-uring-setup", call_io_uring_setup},
    {"call-io-uring-enter", call_io_uring_enter},
    {"call-io-uring-register", call_io_uring_register},
    {"call-keyctl", call_keyctl},
    {"call-add-key", call_add_key},
    {"call-request-key", call_request_key},
    {"call-fanotify-init", call_fanotify_init},
    {"call-mbind", call_mbind},
    {"call-set-mempolicy", call_set_mempolicy},
    {"call-move-pages", call_move_pages},
    {"call-personality", call_personality},
    {"call-clock-settime", call_clock_settime},
    {"call-settimeofday", call_settimeofday},
    {"call-adjtimex", call_adjtimex},
    {"call-clock-adjtime", call_clock_adjtime},
    {"call-sethostname", call_sethostname},
    {"call-setdomainname", call_setdomainname},
    {"call-name-to-handle-at", call_name_to_handle_at},
    {"call-open-by-handle-at", call_open_by_handle_at},
    {NULL, NULL},
};
