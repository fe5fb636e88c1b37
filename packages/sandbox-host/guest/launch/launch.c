/*
 * How a command begins. Entering a cgroup can take the kernel tens of milliseconds, so the supervisor always has one of
 * these that has done it: it waits, stopped with the rest of the workload, for an order, and becomes the shell.
 *
 * `launch ORDER ENTRANCES PROCESSES`: standard input gives one byte when the order is there. ORDER is its descriptor:
 * u8 1 with standard input, then strings: terminal or "", directory, command, NAME=value ... The cgroups' entrances
 * are descriptors 3 and following. A first byte of standard output tells the supervisor that the shell begins.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Noreturn void refuse(const char *message) {
  if (write(2, message, strlen(message)) < 0) _exit(125);
  _exit(126);
}

/* All of the order, and a NUL behind it. */
static char *read_order(int fd, char **end) {
  struct stat stat;
  if (fstat(fd, &stat) != 0 || stat.st_size < 1) refuse("exoloop: no order\n");
  size_t size = (size_t)stat.st_size;
  char *order = malloc(size + 1);
  if (order == NULL || pread(fd, order, size, 0) != stat.st_size) refuse("exoloop: out of memory\n");
  order[size] = '\0';
  *end = order + size;
  return order;
}

static void open_streams(const char *terminal, int with_input) {
  int fd = *terminal != '\0' ? open(terminal, O_RDWR) : with_input ? 0 : open("/dev/null", O_RDONLY);
  if (fd < 0 || (*terminal != '\0' && ioctl(fd, TIOCSCTTY, 0) != 0)) refuse("exoloop: no terminal\n");
  for (int target = 0; target < (*terminal != '\0' ? 3 : 1); target++) dup2(fd, target);
  if (fd > 2) close(fd);
}

static _Noreturn void follow(char *order, char *end) {
  char *terminal = order + 1, *directory = terminal + strlen(terminal) + 1;
  char *text = directory + strlen(directory) + 1, *variable = text + strlen(text) + 1;
  for (; variable < end; variable += strlen(variable) + 1) {
    if (*variable != '\0' && putenv(variable) != 0) refuse("exoloop: out of memory\n");
  }
  open_streams(terminal, order[0]);
  if (chdir(directory) != 0) refuse("exoloop: the working directory does not exist or may not be entered\n");
  if (write(1, "!", 1) != 1) refuse("exoloop: nobody listens\n");
  execl("/bin/bash", "bash", "--norc", "--noprofile", "-c", text, (char *)NULL);
  if (errno == ENOENT) execl("/bin/sh", "sh", "-c", text, (char *)NULL);
  refuse(errno == E2BIG ? "exoloop: the command or its environment is too long\n" : "exoloop: no shell\n");
}

int main(int count, char **arguments) {
  if (count != 4) refuse("launch: for the supervisor only\n");
  int order = atoi(arguments[1]), entrances = atoi(arguments[2]);
  rlim_t processes = strtoul(arguments[3], NULL, 10);
  struct rlimit most = {processes, processes};
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  umask(022);
  for (int fd = 3; fd < 3 + entrances; fd++) {
    if (write(fd, "0", 1) != 1) _exit(125);
    close(fd);
  }
  if (processes > 0 && setrlimit(RLIMIT_NPROC, &most) != 0) _exit(125);
  signal(SIGPIPE, SIG_DFL);
  signal(SIGXFSZ, SIG_DFL);
  char go, *end;
  ssize_t got;
  while ((got = read(0, &go, 1)) < 0 && errno == EINTR) continue;
  if (got != 1) return 0;
  char *text = read_order(order, &end);
  /* Also what the daemon was started with and knows nothing of. To gVisor a larger number is an error. */
  if (syscall(SYS_close_range, 3, INT_MAX, 0) != 0) {
    for (int fd = 3; fd < 8192; fd++) close(fd);
  }
  follow(text, end);
}
