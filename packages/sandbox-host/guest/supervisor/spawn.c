/*
 * How commands start. Entering a cgroup can take the kernel tens of milliseconds, so one process is always there that
 * has done it: the candidate. It waits, stopped with the rest of the workload, for an order on a shared sheet.
 */
#define _GNU_SOURCE
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int entrance_count;
uint64_t workload_processes;
static struct candidate waiting;

static _Noreturn void refuse(const char *message) {
  if (write(2, message, strlen(message)) < 0) _exit(125);
  _exit(126);
}

/*
 * The sheet: u8 flags, then strings: terminal, directory, command, NAME=value ... and an empty one. The C library keeps
 * its memory usable after a fork, and nobody but us changes the environment.
 */
static _Noreturn void follow_order(char *sheet) {
  char *terminal = sheet + 1, *directory = terminal + strlen(terminal) + 1;
  char *text = directory + strlen(directory) + 1, *variable = text + strlen(text) + 1;
  for (; *variable != '\0'; variable += strlen(variable) + 1) {
    if (putenv(variable) != 0) refuse("exoloop: out of memory\n");
  }
  bool has_input = sheet[0] & SPAWN_STDIN;
  int fd = *terminal != '\0' ? open(terminal, O_RDWR) : has_input ? 0 : open("/dev/null", O_RDONLY);
  if (fd < 0 || (*terminal != '\0' && ioctl(fd, TIOCSCTTY, 0) != 0)) refuse("exoloop: no terminal\n");
  for (int target = 0; target < (*terminal != '\0' ? 3 : 1); target++) dup2(fd, target);
  if (fd > 2) close(fd);
  if (chdir(directory) != 0) refuse("exoloop: the working directory does not exist or may not be entered\n");
  char *arguments[] = {"bash", "--norc", "--noprofile", "-c", text, NULL}, *plain[] = {"sh", "-c", text, NULL};
  execv("/bin/bash", arguments);
  if (errno == ENOENT) execv("/bin/sh", plain);
  refuse(errno == E2BIG ? "exoloop: the command or its environment is too long\n" : "exoloop: no shell\n");
}

static _Noreturn void become_candidate(bool maintenance, const int *ends, char *sheet) {
  int order = 3 + entrance_count;
  setsid();
  for (int fd = 0; fd < 3; fd++) dup2(ends[fd], fd);
  dup2(ends[3], order);
  /* What else the supervisor has open must not be held open here: peers wait for its end. */
  bool closed = syscall(SYS_close_range, order + 1, ~0U, 0) == 0;
  for (int fd = order + 1; !closed && fd < 8192; fd++) close(fd);
  for (int fd = 3; fd < order; fd++) {
    if (!maintenance && write(fd, "0", 1) != 1) _exit(125);
    close(fd);
  }
  struct rlimit most = {workload_processes, workload_processes};
  if (!maintenance && workload_processes > 0) setrlimit(RLIMIT_NPROC, &most);
  fcntl(order, F_SETFD, FD_CLOEXEC);
  signal(SIGPIPE, SIG_DFL);
  signal(SIGXFSZ, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (suspended && !maintenance) raise(SIGSTOP);
  char go;
  ssize_t got;
  while ((got = read(order, &go, 1)) < 0 && errno == EINTR) continue;
  if (got != 1) _exit(0);
  follow_order(sheet);
}

static void close_all(const int *descriptors, int count) {
  for (int i = 0; i < count; i++) {
    if (descriptors[i] >= 0) close(descriptors[i]);
  }
}

/* Of the pipes we write the first and the last, which carries the order. None of our ends blocks. */
static bool start_candidate(bool maintenance, struct candidate *candidate) {
  int ours[4] = {-1, -1, -1, -1}, theirs[4] = {-1, -1, -1, -1};
  char *sheet = mmap(NULL, SHEET_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  bool ready = sheet != MAP_FAILED;
  for (int i = 0, pair[2]; ready && i < 4; i++) {
    ready = pipe2(pair, O_CLOEXEC) == 0;
    if (!ready) break;
    bool we_write = i == 0 || i == 3;
    ours[i] = pair[we_write];
    theirs[i] = pair[!we_write];
    fcntl(ours[i], F_SETFL, O_NONBLOCK | (we_write ? O_WRONLY : O_RDONLY));
  }
  pid_t pid = ready ? fork() : -1;
  if (pid == 0) become_candidate(maintenance, theirs, sheet);
  close_all(theirs, 4);
  *candidate = (struct candidate){pid, {ours[0], ours[1], ours[2]}, ours[3], sheet};
  if (pid > 0) return true;
  close_all(ours, 4);
  if (sheet != MAP_FAILED) munmap(sheet, SHEET_BYTES);
  candidate->pid = 0;
  return false;
}

bool take_candidate(bool maintenance, struct candidate *taken) {
  if (maintenance || waiting.pid == 0) return start_candidate(maintenance, taken);
  if (!suspended) kill(waiting.pid, SIGCONT); /* the workload may have stopped it: it has the same user */
  *taken = waiting;
  waiting.pid = 0;
  return true;
}

void forget_candidate(pid_t pid) {
  if (pid != waiting.pid) return;
  close_all(waiting.pipes, 3);
  close(waiting.order);
  munmap(waiting.sheet, SHEET_BYTES);
  waiting.pid = 0;
}

pid_t waiting_candidate(void) { return waiting.pid; }

void prepare_candidate(void) {
  pthread_mutex_lock(&lock);
  if (waiting.pid == 0) start_candidate(false, &waiting);
  pthread_mutex_unlock(&lock);
}

/* `words`: directory, command, NAME=value ... A request is shorter than the sheet, whose end stays empty. */
bool send_order(struct candidate *candidate, uint8_t flags, const char *terminal, struct reader *words) {
  size_t name_bytes = strlen(terminal) + 1;
  candidate->sheet[0] = (char)flags;
  memcpy(candidate->sheet + 1, terminal, name_bytes);
  memcpy(candidate->sheet + 1 + name_bytes, words->next, (size_t)(words->end - words->next));
  bool sent = write(candidate->order, "!", 1) == 1;
  close(candidate->order);
  munmap(candidate->sheet, SHEET_BYTES);
  return sent;
}
