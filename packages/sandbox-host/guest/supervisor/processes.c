/* Everything below a process, found by walking /proc. Needs neither a cgroup nor a privilege. */
#include "supervisor.h"

#include <dirent.h>

enum { MAXIMUM_PROCESSES = 16384, ROUNDS = 200 };

static struct process {
  pid_t pid, parent, group, session;
  bool stopped, ended; /* ended: only its first thread may have, so that it is signalled all the same */
} processes[MAXIMUM_PROCESSES];

/* `ended`: how many have; each may have left a child. */
static bool read_process(const char *name, struct process *process, int *ended) {
  char path[300], text[512] = "", state = 'Z';
  snprintf(path, sizeof path, "/proc/%s/stat", name);
  int fd = atoi(name) > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0 || read(fd, text, sizeof text - 1) < 0) text[0] = '\0';
  if (fd >= 0) close(fd);
  char *after = strrchr(text, ')'); /* the name may contain anything, also parentheses */
  process->pid = atoi(name);
  const char *numbers = after == NULL ? "" : after;
  bool whole = sscanf(numbers, ") %c %d %d %d", &state, &process->parent, &process->group, &process->session) == 4;
  process->stopped = state == 'T' || state == 't';
  process->ended = state == 'Z' || state == 'X';
  if (process->pid > 0 && (process->ended || !whole)) *ended += whole ? 1 : MAXIMUM_PROCESSES;
  return whole && process->pid != getpid();
}

static int compare_pids(const void *left, const void *right) {
  return ((const struct process *)left)->pid - ((const struct process *)right)->pid;
}

/* Whether it is `leader`, in its group or session, or comes from there. /proc is in the order of pids. */
static bool descends(const struct process *process, int count, pid_t leader) {
  for (int step = 0; process != NULL && step < count; step++) {
    if (process->pid == leader || process->group == leader || process->session == leader) return true;
    if (process->parent == leader) return true;
    struct process parent = {.pid = process->parent};
    process = bsearch(&parent, processes, (size_t)count, sizeof parent, compare_pids);
  }
  return false;
}

/*
 * SIGTERM once; what must hold until none is found that has not obeyed, because a process may fork and go faster than
 * we look. What is in our own session serves our peers or is maintenance: it is not stopped with the workload.
 */
void signal_tree(pid_t leader, int number) {
  bool left = true;
  int rounds = number == SIGTERM ? 1 : number == SIGCONT ? 2 : ROUNDS;
  for (int round = 0, before = 0, ended = 0; left && round < rounds; round++) {
    int count = 0;
    before = ended;
    ended = 0;
    DIR *directory = opendir("/proc");
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
      if (count < MAXIMUM_PROCESSES && read_process(entry->d_name, &processes[count], &ended)) count++;
    }
    if (directory != NULL) closedir(directory);
    left = ended != before || ended >= MAXIMUM_PROCESSES;
    for (int i = 0; i < count; i++) {
      struct process *process = &processes[i];
      bool spared = (number == SIGSTOP || number == SIGCONT) && process->session == getsid(0);
      bool obeyed = process->ended || (number != SIGKILL && process->stopped == (number == SIGSTOP));
      if (spared || !descends(process, count, leader)) continue;
      if (kill(process->pid, number) == 0) left = left || !obeyed;
    }
  }
}
