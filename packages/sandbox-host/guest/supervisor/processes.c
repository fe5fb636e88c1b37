/* Everything below a process, found by walking /proc. Needs neither a cgroup nor a privilege. */
#include "supervisor.h"

#include <dirent.h>

enum { MAXIMUM_PROCESSES = 16384, ROUNDS = 200, PATIENT_ROUNDS = 1200, PAUSE_US = 5000, WAITS = 40 };

static struct process {
  pid_t pid, parent, session;
  char state; /* of its first thread: one that has ended is signalled all the same */
} processes[MAXIMUM_PROCESSES];

/* False: it vanished while we looked. */
static bool read_process(pid_t pid, struct process *process) {
  char path[300], text[512] = "";
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || read(fd, text, sizeof text - 1) < 0) text[0] = '\0';
  if (fd >= 0) close(fd);
  char *after = strrchr(text, ')'); /* the name may contain anything, also parentheses */
  process->pid = pid;
  return after && sscanf(after, ") %c %d %*d %d", &process->state, &process->parent, &process->session) == 3;
}

static int compare_pids(const void *left, const void *right) {
  return ((const struct process *)left)->pid - ((const struct process *)right)->pid;
}

/* Whether it is `leader`, in its session, or comes from there. /proc is in the order of pids. */
static bool descends(const struct process *process, int count, pid_t leader) {
  for (int step = 0; process != NULL && step < count; step++) {
    if (process->pid == leader || process->session == leader || process->parent == leader) return true;
    struct process parent = {.pid = process->parent};
    process = bsearch(&parent, processes, (size_t)count, sizeof parent, compare_pids);
  }
  return false;
}

/*
 * What must hold, until two looks in a row find nothing that has not obeyed and nothing that has ended in between, as a
 * process may fork and go faster than we look; many looks when one waits in the kernel (D), which a write does not for
 * long, but who has called vfork may. False: that never was.
 */
bool signal_tree(pid_t leader, int number) {
  bool own = leader == getpid(), all = own && leader == 1; /* all: of a PID namespace, which is ours, in one step */
  int rounds = number == SIGTERM ? 1 : number == SIGCONT ? 2 : own ? PATIENT_ROUNDS : ROUNDS, enough = 1, count;
  int64_t ended, before = -1;
  for (int round = 0, same = 0; round < rounds; round++) {
    if (round > ROUNDS || enough > 1) usleep(PAUSE_US);
    if (all && ((kill(-1, number) != 0 && errno == ESRCH) || number == SIGCONT)) return true;
    DIR *directory = opendir("/proc");
    bool calm = directory != NULL;
    ended = count = 0;
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
      pid_t pid = atoi(entry->d_name);
      if (pid <= 0 || pid == getpid()) continue;
      if (count == MAXIMUM_PROCESSES || !read_process(pid, &processes[count])) calm = false;
      else if (strchr("ZX", processes[count++].state) != NULL) ended += pid; /* it may have left a child */
    }
    if (directory != NULL) closedir(directory);
    enough = 1;
    for (int i = 0; i < count; i++) {
      if (!descends(&processes[i], count, leader) || (!all && kill(processes[i].pid, number) != 0)) continue;
      if (processes[i].state == 'D') enough = WAITS;
      calm = calm && strchr(number == SIGKILL ? "ZX" : "ZXTtD", processes[i].state) != NULL;
    }
    same = calm && ended == before ? same + 1 : 0;
    if (same >= enough) return true;
    before = calm ? ended : -1;
  }
  return number == SIGCONT;
}
