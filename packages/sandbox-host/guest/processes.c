/* Descendants, found by walking /proc. Needs neither a cgroup nor a privilege. */
#define _GNU_SOURCE
#include "supervisor.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAXIMUM_PROCESSES = 16384, ROUNDS = 5 };

struct process {
  pid_t pid, parent, session;
  bool marked;
};

static bool read_process(pid_t pid, struct process *process) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return false;
  text[length] = '\0';
  char *after_name = strrchr(text, ')'); /* the name may contain anything, also parentheses */
  int parent, group, session;
  char state;
  if (after_name == NULL || sscanf(after_name, ") %c %d %d %d", &state, &parent, &group, &session) != 4) return false;
  *process = (struct process){pid, parent, session, false};
  return state != 'Z' && state != 'X';
}

static int list_processes(struct process *processes) {
  DIR *directory = opendir("/proc");
  int count = 0;
  if (directory == NULL) return 0;
  for (struct dirent *entry; count < MAXIMUM_PROCESSES && (entry = readdir(directory)) != NULL;) {
    pid_t pid = (pid_t)atoi(entry->d_name);
    if (pid > 0 && pid != getpid() && read_process(pid, &processes[count])) count++;
  }
  closedir(directory);
  return count;
}

static bool spread_marks(struct process *processes, int count) {
  bool changed = false;
  for (int i = 0; i < count; i++) {
    for (int parent = 0; parent < count && !processes[i].marked; parent++) {
      if (!processes[parent].marked || processes[parent].pid != processes[i].parent) continue;
      processes[i].marked = changed = true;
    }
  }
  return changed;
}

/* The leader, its session, and everything that descends from it. */
void signal_command_tree(pid_t leader, int signal_number) {
  struct process *processes = malloc(sizeof *processes * MAXIMUM_PROCESSES);
  for (int round = 0; round < ROUNDS && processes != NULL; round++) {
    int count = list_processes(processes), alive = 0;
    for (int i = 0; i < count; i++) processes[i].marked = processes[i].pid == leader || processes[i].session == leader;
    while (spread_marks(processes, count)) continue;
    for (int i = 0; i < count; i++) alive += processes[i].marked && kill(processes[i].pid, signal_number) == 0;
    if (alive == 0) break;
    usleep(1000);
  }
  free(processes);
}

/* All that descends from the supervisor, without the sessions of `excluded`. Repeated, because a process may fork. */
void signal_workload(int signal_number, const pid_t *excluded, int excluded_count) {
  struct process *processes = malloc(sizeof *processes * MAXIMUM_PROCESSES);
  int before = -1;
  for (int round = 0; round < ROUNDS && processes != NULL; round++) {
    int count = list_processes(processes), signalled = 0;
    for (int i = 0; i < count; i++) processes[i].marked = processes[i].parent == getpid();
    while (spread_marks(processes, count)) continue;
    for (int i = 0; i < count; i++) {
      bool skip = !processes[i].marked;
      for (int e = 0; e < excluded_count; e++) skip = skip || processes[i].session == excluded[e];
      if (!skip && kill(processes[i].pid, signal_number) == 0) signalled++;
    }
    if (signalled == before || signalled == 0) break;
    before = signalled;
  }
  free(processes);
}
