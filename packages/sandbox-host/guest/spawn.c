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
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SHEET_BYTES = 2 * MAXIMUM_FRAME_BYTES };

static struct candidate waiting; /* pid 0: there is none */
static bool suspended;
static int work_descriptors[MAXIMUM_FDS], work_descriptor_count;

void set_work_descriptors(const int *descriptors, int count) {
  memcpy(work_descriptors, descriptors, sizeof(int) * (size_t)count);
  work_descriptor_count = count;
}

void set_suspended(bool value) { suspended = value; }
bool is_suspended(void) { return suspended; }

static _Noreturn void refuse(const char *message) {
  if (write(2, message, strlen(message)) < 0) _exit(125);
  _exit(126);
}

/* The sheet: u8 with input, then strings: directory, command, NAME=value …, and an empty one. */
static _Noreturn void follow_order(char *sheet) {
  char *directory = sheet + 1, *text = directory + strlen(directory) + 1, *variable = text + strlen(text) + 1;
  size_t count = 1;
  for (char *at = variable; *at != '\0'; at += strlen(at) + 1) count++;
  char **variables = mmap(NULL, count * sizeof *variables, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (variables == MAP_FAILED) refuse("exoloop: out of memory\n");
  size_t filled = 0;
  for (; *variable != '\0'; variable += strlen(variable) + 1) variables[filled++] = variable;
  variables[filled] = NULL;
  if (!sheet[0]) {
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing > 0) dup2(nothing, 0);
    if (nothing > 2) close(nothing);
  }
  if (chdir(directory) != 0) refuse("exoloop: the working directory does not exist or may not be entered\n");
  char *arguments[] = {"bash", "--norc", "--noprofile", "-c", text, NULL};
  execve("/bin/bash", arguments, variables);
  char *plain[] = {"sh", "-c", text, NULL};
  if (errno == ENOENT) execve("/bin/sh", plain, variables);
  refuse(errno == E2BIG ? "exoloop: the command or its environment is too long\n" : "exoloop: no shell\n");
}

/*
 * Everything but the standard streams, the entrances and `order`, which is moved behind them. What else the supervisor
 * has open must not be held open here: peers wait for its end.
 */
static int close_inherited(int order) {
  int last = 2;
  for (int i = 0; i < work_descriptor_count; i++) last = work_descriptors[i] > last ? work_descriptors[i] : last;
  for (int fd = 3; fd <= last; fd++) {
    bool entrance = false;
    for (int i = 0; i < work_descriptor_count; i++) entrance = entrance || work_descriptors[i] == fd;
    if (!entrance && fd != order) close(fd);
  }
  dup2(order, last + 1);
  if (syscall(SYS_close_range, last + 2, ~0U, 0) != 0) {
    for (int fd = last + 2; fd < 8192; fd++) close(fd);
  }
  fcntl(last + 1, F_SETFD, FD_CLOEXEC);
  return last + 1;
}

/* In the forked child of a process with threads: async-signal-safe calls only, so no malloc. */
static _Noreturn void become_candidate(bool maintenance, const int *ends, int order, char *sheet) {
  setsid();
  for (int fd = 0; fd < 3; fd++) dup2(ends[fd], fd);
  order = close_inherited(order);
  for (int i = 0; i < work_descriptor_count; i++) {
    if (!maintenance && write(work_descriptors[i], "0", 1) != 1) _exit(125);
    close(work_descriptors[i]);
  }
  if (!maintenance) apply_process_limit();
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

static void close_all(int *descriptors, int count) {
  for (int i = 0; i < count; i++) {
    if (descriptors[i] >= 0) close(descriptors[i]);
    descriptors[i] = -1;
  }
}

/* pipes[0] is written by us, the others are read without blocking. The last pair carries the order. */
static bool open_pipes(int *ours, int *theirs) {
  for (int i = 0; i < 4; i++) {
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0) return false;
    bool we_write = i == 0 || i == 3;
    ours[i] = pair[we_write];
    theirs[i] = pair[!we_write];
    if (!we_write) fcntl(ours[i], F_SETFL, O_NONBLOCK);
  }
  return true;
}

static bool start_candidate(bool maintenance, struct candidate *candidate) {
  int ours[4] = {-1, -1, -1, -1}, theirs[4] = {-1, -1, -1, -1};
  char *sheet = mmap(NULL, SHEET_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (sheet == MAP_FAILED) return false;
  pid_t pid = open_pipes(ours, theirs) ? fork() : -1;
  if (pid == 0) become_candidate(maintenance, theirs, theirs[3], sheet);
  close_all(theirs, 4);
  if (pid < 0) {
    close_all(ours, 4);
    munmap(sheet, SHEET_BYTES);
    return false;
  }
  *candidate = (struct candidate){pid, {ours[0], ours[1], ours[2]}, ours[3], sheet};
  return true;
}

bool take_candidate(bool maintenance, struct candidate *taken) {
  if (maintenance || waiting.pid == 0) return start_candidate(maintenance, taken);
  if (!suspended) kill(waiting.pid, SIGCONT); /* the workload may have stopped it: it has the same user */
  *taken = waiting;
  waiting.pid = 0;
  return true;
}

void discard_candidate(struct candidate *candidate) {
  close_all(candidate->pipes, 3);
  close(candidate->order);
  munmap(candidate->sheet, SHEET_BYTES);
}

void forget_candidate(pid_t pid) {
  if (pid != waiting.pid) return;
  discard_candidate(&waiting);
  waiting.pid = 0;
}

void prepare_candidate(void) {
  pthread_mutex_lock(&command_lock);
  if (waiting.pid == 0 && !start_candidate(false, &waiting)) waiting.pid = 0;
  pthread_mutex_unlock(&command_lock);
}

static char *put_text(char *target, const char *end, const char *text) {
  size_t size = strlen(text) + 1;
  if (target == NULL || (size_t)(end - target) < size) return NULL;
  memcpy(target, text, size);
  return target + size;
}

static bool is_overridden(const char *variable, struct reader overrides) {
  size_t size = strcspn(variable, "=") + 1;
  while (overrides.next < overrides.end) {
    if (strncmp(read_string(&overrides), variable, size) == 0) return true;
  }
  return false;
}

/* Our own environment, with `overrides` instead of what they name. Lets the candidate go and gives up its order pipe. */
bool send_order(struct candidate *candidate, bool with_input, const char *directory, const char *text,
                struct reader *overrides) {
  extern char **environ;
  const char *end = candidate->sheet + SHEET_BYTES - 1; /* the last byte stays zero: the empty string */
  candidate->sheet[0] = with_input;
  char *next = put_text(put_text(candidate->sheet + 1, end, directory), end, text);
  for (char **variable = environ; *variable != NULL; variable++) {
    if (!is_overridden(*variable, *overrides)) next = put_text(next, end, *variable);
  }
  while (overrides->next < overrides->end) {
    const char *variable = read_string(overrides);
    if (*variable != '\0') next = put_text(next, end, variable);
  }
  bool sent = next != NULL && write(candidate->order, "!", 1) == 1;
  close(candidate->order);
  munmap(candidate->sheet, SHEET_BYTES);
  if (!with_input) close(candidate->pipes[0]);
  if (!with_input) candidate->pipes[0] = -1;
  return sent;
}
