/* What became of commands: all processes, found by walking /proc. Needs neither a cgroup nor a privilege. */
#define _GNU_SOURCE
#include "commands.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 5, TOLD_PROCESSES = 1000, NAME_BYTES = 64 };

struct process {
  pid_t pid, parent, session;
  char name[NAME_BYTES];
};

static bool read_process(pid_t pid, struct process *process) {
  char path[64], text[512], state;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (length <= 0) return false;
  text[length] = '\0';
  char *name = strchr(text, '('), *after = strrchr(text, ')'); /* it may contain anything, also parentheses */
  if (name == NULL || after == NULL) return false;
  *process = (struct process){.pid = pid};
  snprintf(process->name, sizeof process->name, "%.*s", (int)(after - name - 1), name + 1);
  int fields = sscanf(after, ") %c %d %*d %d", &state, &process->parent, &process->session);
  return fields == 3 && state != 'Z' && state != 'X';
}

/* Ordered by pid. Free what is returned. */
static struct process *list_processes(int *count) {
  struct process *processes = malloc(sizeof *processes * MAXIMUM_PROCESSES);
  DIR *directory = opendir("/proc");
  *count = 0;
  for (struct dirent *entry; processes != NULL && directory != NULL && (entry = readdir(directory)) != NULL;) {
    pid_t pid = (pid_t)atoi(entry->d_name);
    if (pid > 0 && *count < MAXIMUM_PROCESSES && read_process(pid, &processes[*count])) ++*count;
  }
  if (directory != NULL) closedir(directory);
  return processes;
}

static int compare_pids(const void *left, const void *right) {
  return ((const struct process *)left)->pid - ((const struct process *)right)->pid;
}

/* Whether it is `ancestor`, in its session, or comes from there. */
static bool descends(struct process *processes, int count, const struct process *process, pid_t ancestor) {
  for (int step = 0; process != NULL && step < count; step++) {
    if (process->pid == ancestor || process->session == ancestor) return true;
    struct process parent = {.pid = process->parent};
    process = bsearch(&parent, processes, (size_t)count, sizeof parent, compare_pids);
  }
  return false;
}

/* All of a command, found again until nothing is left, because a process may fork. */
void signal_command_tree(pid_t leader, int signal_number) {
  for (int round = 0, alive = 1, count; round < ROUNDS && alive > 0; round++) {
    struct process *processes = list_processes(&count);
    alive = 0;
    for (int i = 0; i < count; i++) {
      alive += descends(processes, count, &processes[i], leader) && kill(processes[i].pid, signal_number) == 0;
    }
    free(processes);
  }
}

/* All that descends from us but our own commands. */
void signal_workload(int signal_number) {
  for (int round = 0, before = -1, alive = 0, count; round < ROUNDS && alive != before; round++) {
    struct process *processes = list_processes(&count);
    before = alive;
    alive = 0;
    for (int i = 0; i < count; i++) {
      bool skip = processes[i].pid == getpid() || !descends(processes, count, &processes[i], getpid());
      for (int c = 0; c < command_count && !skip; c++) {
        bool ours = commands[c]->maintenance && !commands[c]->exited;
        skip = ours && descends(processes, count, &processes[i], commands[c]->pid);
      }
      alive += !skip && kill(processes[i].pid, signal_number) == 0;
    }
    free(processes);
  }
}

static struct command *find_origin(struct process *processes, int count, const struct process *process) {
  for (int step = 0; process != NULL && step < count; step++) {
    for (int i = command_count - 1; i >= 0; i--) {
      if (commands[i]->pid == process->session) return commands[i];
    }
    struct process parent = {.pid = process->parent};
    process = bsearch(&parent, processes, (size_t)count, sizeof parent, compare_pids);
  }
  return NULL;
}

bool handle_processes(struct connection *connection) {
  int count, told = 0;
  char *reply = malloc(TOLD_PROCESSES * (4 + NAME_BYTES + MAXIMUM_IDENTIFIER_BYTES + 2)), *next = reply;
  pthread_mutex_lock(&lock);
  struct process *processes = list_processes(&count);
  for (int i = 0; reply != NULL && i < count && told < TOLD_PROCESSES; i++) {
    struct process *process = &processes[i];
    bool ours = process->pid == getpid() || process->pid == waiting_candidate();
    if (ours || !descends(processes, count, process, getpid())) continue;
    struct command *origin = find_origin(processes, count, process);
    if (origin != NULL && origin->maintenance) continue;
    next = put_number(next, (uint64_t)process->pid, 4);
    next = stpcpy(stpcpy(next, process->name) + 1, origin == NULL ? "" : origin->identifier) + 1;
    told++;
  }
  pthread_mutex_unlock(&lock);
  bool alive = reply != NULL && send_data(connection, reply, (size_t)(next - reply));
  free(processes);
  free(reply);
  return alive;
}
