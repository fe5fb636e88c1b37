/*
 * Commands: found by their identifiers as long as the sandbox lives, running or not, so that whoever lost a connection
 * can join again at the byte where it was.
 */
#include "supervisor.h"

#include <time.h>

struct command *commands[MAXIMUM_COMMANDS];
int command_count;
bool suspended;
int64_t calm;

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct command *find_command(const char *identifier) {
  for (int i = command_count - 1; i >= 0; i--) {
    if (strcmp(commands[i]->identifier, identifier) == 0) return commands[i];
  }
  return NULL;
}

static void forget_oldest(void) {
  for (int i = 0; i < command_count; i++) {
    struct command *command = commands[i];
    bool used = command->told.state == RUNNING;
    for (int c = 0; c < MAXIMUM_CONNECTIONS; c++) used = used || connections[c].command == command;
    if (used) continue;
    memmove(commands + i, commands + i + 1, sizeof *commands * (size_t)(--command_count - i));
    return release_command(command);
  }
}

/* Its process has ended: what it wrote until then is read, and it has finished, unless it never began. */
static void finish(struct command *command, int status) {
  struct summary *told = &command->told;
  for (int stream = 0; stream < 2; stream++) {
    bool more = command->output[stream] >= 0;
    for (int i = 0; i < DRAIN_READS && more; i++) more = read_output(command, stream);
  }
  if (WIFSIGNALED(status) && !command->begun && command->attempts-- > 0 && launch_command(command)) return;
  told->state = command->timed_out ? TIMED_OUT : WIFSIGNALED(status) ? SIGNALLED : EXITED;
  told->value = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  if (!command->killed) command->deadline = 0; /* who was killed is looked for once more */
  close_one(&command->input);
  close_one(&command->terminal);
  calm = 0;
}

/* Of a process that has changed its state. The workload, which has our user id, may have stopped what is still ours. */
static void notice(pid_t pid, int status) {
  bool stopped = WIFSTOPPED(status), ours = pid == waiting.pid;
  for (int i = 0; i < MAXIMUM_CONNECTIONS; i++) {
    if (connections[i].transfer != pid) continue;
    ours = true;
    if (!stopped) close_connection(&connections[i]);
  }
  if (pid == waiting.pid && !stopped) discard_candidate(&waiting);
  for (int i = 0; i < command_count; i++) {
    struct command *command = commands[i];
    if (command->told.pid != pid || command->told.state != RUNNING) continue;
    ours = !command->begun && !read_output(command, 0);
    if (!stopped) finish(command, status);
  }
  if (stopped && ours) kill(pid, SIGCONT);
}

/* While the workload is stopped only what is ours: gVisor would hang up the group of one that has ended. */
static void reap(void) {
  int status, flags = WNOHANG | WUNTRACED;
  for (pid_t pid; !suspended && (pid = waitpid(-1, &status, flags)) > 0;) notice(pid, status);
  for (int i = 0; suspended && i < command_count; i++) {
    const struct summary *told = &commands[i]->told;
    bool ours = told->maintenance && told->state == RUNNING;
    if (ours && waitpid(told->pid, &status, flags) > 0) notice(told->pid, status);
  }
  for (int i = 0; suspended && i < MAXIMUM_CONNECTIONS; i++) {
    pid_t pid = connections[i].transfer;
    if (pid > 0 && waitpid(pid, &status, flags) > 0) notice(pid, status);
  }
}

/* Stops or continues the workload. What is ours, and what waits for an order, stays; maintenance does not. */
bool suspend_commands(bool suspend) {
  bool begins = suspend && !suspended, done = true;
  suspended = suspend;
  for (int i = 0; begins && i < command_count; i++) { /* while both ran, the workload can have made it its own */
    const struct summary *told = &commands[i]->told;
    if (told->maintenance && told->state == RUNNING) signal_tree(told->pid, SIGKILL);
  }
  if (begins || !suspend) done = signal_tree(getpid(), suspend ? SIGSTOP : SIGCONT);
  raise(SIGCHLD); /* what ended is looked for, and what was stopped although it is ours */
  return done;
}

/* Which command's stream each entry is: twice its number, and one for standard error. */
static int owners[MAXIMUM_STREAMS];

/* Keeps the deadlines, and lists what is open. `next` becomes the time of what is to be done next. */
int list_streams(struct pollfd *polled, int64_t *next) {
  int64_t now = now_ms();
  int count = 0;
  if (command_count > MAXIMUM_COMMANDS - MAXIMUM_RUNNING) forget_oldest();
  for (int i = 0; i < command_count; i++) {
    struct command *command = commands[i];
    if (command->deadline > 0 && now >= command->deadline) {
      command->timed_out = !command->killed;
      command->attempts = 0;
      command->deadline = 0;
      signal_tree(command->told.pid, SIGKILL);
    }
    if (command->deadline > 0 && command->deadline < *next) *next = command->deadline;
    for (int stream = 0; stream < 2; stream++) {
      if (command->told.state != RUNNING && count > MAXIMUM_STREAMS / 2) close_one(&command->output[stream]);
      if (command->output[stream] < 0) continue;
      owners[count] = 2 * i + stream;
      polled[count++] = (struct pollfd){command->output[stream], POLLIN, 0};
    }
  }
  if (waiting.pid == 0 && calm > now && calm < *next) *next = calm;
  return count;
}

void read_streams(const struct pollfd *polled, int count) {
  for (int i = 0; i < count; i++) {
    bool more = polled[i].revents != 0;
    for (int round = 0; more && round < READS; round++) more = read_output(commands[owners[i] / 2], owners[i] % 2);
  }
  reap();
}
