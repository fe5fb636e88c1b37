/* How commands start: a launcher is always there that has entered the cgroups, which can take tens of milliseconds. */
#include "commands.h"

#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

struct candidate waiting;
int entrance_count;
const char *launch_program, *process_limit = "0";

void discard_candidate(struct candidate *candidate) {
  for (int i = 0; i < 3; i++) close_one(&candidate->pipes[i]);
  close_one(&candidate->go);
  close_one(&candidate->order);
  candidate->pid = 0;
}

/* Our end of a new terminal, and its name. */
static int open_terminal(char *name, size_t capacity, uint16_t rows, uint16_t columns) {
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), number, unlock = 0;
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  bool ready = ioctl(master, TIOCSPTLCK, &unlock) == 0 && ioctl(master, TIOCGPTN, &number) == 0;
  if (ready) snprintf(name, capacity, "/dev/pts/%d", number);
  if (!ready || ioctl(master, TIOCSWINSZ, &size) != 0) close_one(&master);
  return master;
}

/* Starts a launcher, which enters the cgroups and waits. Of the pipes we write the first and `go`; none of ours blocks. */
bool start_candidate(bool maintenance, struct candidate *candidate) {
  int ours[4] = {-1, -1, -1, -1}, theirs[4] = {-1, -1, -1, -1}, base = 3 + entrance_count;
  char go[12], entrances[12];
  snprintf(go, sizeof go, "%d", base);
  snprintf(entrances, sizeof entrances, "%d", maintenance ? 0 : entrance_count);
  char *arguments[] = {"launch", go, entrances, maintenance ? "0" : (char *)process_limit, NULL};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  int order = memfd_create("order", MFD_CLOEXEC);
  bool ready = order >= 0;
  for (int i = 0, pair[2]; ready && i < 4; i++) {
    ready = pipe2(pair, O_CLOEXEC) == 0;
    if (!ready) break;
    ours[i] = pair[i == 0 || i == 3];
    theirs[i] = pair[i == 1 || i == 2];
    fcntl(ours[i], F_SETFL, O_NONBLOCK);
    posix_spawn_file_actions_adddup2(&actions, theirs[i], i < 3 ? i : base);
  }
  for (int fd = 3; fd < base; fd++) posix_spawn_file_actions_adddup2(&actions, fd, fd);
  posix_spawn_file_actions_adddup2(&actions, order, base + 1);
  *candidate = (struct candidate){0, {ours[0], ours[1], ours[2]}, ours[3], order};
  ready = ready && posix_spawn(&candidate->pid, launch_program, &actions, NULL, arguments, environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  for (int i = 0; i < 4; i++) close_one(&theirs[i]);
  if (ready && suspended && !maintenance) kill(candidate->pid, SIGSTOP);
  if (!ready) discard_candidate(candidate);
  return ready;
}

/* The last of one command's ways. `words`: directory, command, NAME=value ... */
struct command *start_command(const char *identifier, const struct spawn *spawn, const char *words, size_t bytes) {
  struct command *command = command_count < MAXIMUM_COMMANDS ? calloc(1, sizeof *command) : NULL;
  struct candidate candidate = {0};
  char terminal[32] = "";
  bool maintenance = spawn->flags & FLAG_MAINTENANCE, on_terminal = spawn->flags & FLAG_TERMINAL;
  int master = on_terminal ? open_terminal(terminal, sizeof terminal, spawn->rows, spawn->columns) : -1;
  int protection = PROT_READ | PROT_WRITE, kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  char *log = mmap(NULL, 2 * LOG_BYTES, protection, kind, -1, 0);
  bool ready = command != NULL && log != MAP_FAILED && (master >= 0) == on_terminal;
  /* The workload may have ended it: it has the same user. */
  if (waiting.pid != 0 && waitpid(waiting.pid, NULL, WNOHANG) != 0) discard_candidate(&waiting);
  if (ready && !maintenance && waiting.pid != 0) {
    candidate = waiting;
    waiting.pid = 0;
    if (!suspended) kill(candidate.pid, SIGCONT); /* or have stopped it */
  } else if (ready) {
    ready = start_candidate(maintenance, &candidate);
  }
  if (!ready) {
    close_one(&master);
    if (log != MAP_FAILED) munmap(log, 2 * LOG_BYTES);
    free(command);
    return NULL;
  }
  *command = (struct command){.pid = candidate.pid, .maintenance = maintenance, .log = log, .started = now_ms()};
  strcpy(command->identifier, identifier);
  if (spawn->timeout_ms > 0) command->deadline = command->started + spawn->timeout_ms;
  memcpy(command->output, candidate.pipes + 1, sizeof command->output);
  command->input = candidate.pipes[0];
  command->terminal = on_terminal ? open(terminal, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
  char with_input = spawn->flags & FLAG_STDIN ? 1 : 0;
  struct iovec order[3] = {{&with_input, 1}, {terminal, strlen(terminal) + 1}, {(char *)words, bytes}};
  bool sent = writev(candidate.order, order, 3) == (ssize_t)(2 + strlen(terminal) + bytes);
  if (!sent || write(candidate.go, "!", 1) != 1) kill(candidate.pid, SIGKILL); /* an end like any other */
  close(candidate.go);
  close(candidate.order);
  if (on_terminal || !with_input) close_one(&command->input);
  if (on_terminal) {
    close_one(&command->output[0]);
    command->output[0] = master;
    command->input = fcntl(master, F_DUPFD_CLOEXEC, 0);
  }
  commands[command_count++] = command;
  wake(main_wake);
  return command;
}
