/* How commands start: a launcher is always there that has entered the cgroups, which can take tens of milliseconds. */
#include "supervisor.h"

enum { ORDER = 3 };

struct candidate waiting;
int entrance_count;
const char *launch_program, *process_limit;

void close_one(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

void discard_candidate(struct candidate *candidate) {
  for (int i = 0; i <= ORDER; i++) close_one(&candidate->ends[i]);
  candidate->pid = 0;
}

/* Not by vfork: the workload, which has our user id, could stop the child before it is the program, and us with it. */
pid_t start_program(const char *program, char **arguments, const int *given, int count) {
  pid_t child = fork();
  if (child != 0) return child;
  for (int fd = 0; fd < count; fd++) given[fd] == fd ? fcntl(fd, F_SETFD, 0) : dup2(given[fd], fd);
  execve(program, arguments, environ);
  return raise(SIGKILL); /* an end like any other */
}

/* Starts a launcher, which enters the cgroups and waits. None of our ends blocks. */
bool start_candidate(bool maintenance, struct candidate *candidate) {
  int base = 3 + entrance_count, given[base + 1];
  char order[12], entrances[12];
  snprintf(order, sizeof order, "%d", base);
  snprintf(entrances, sizeof entrances, "%d", maintenance ? 0 : entrance_count);
  char *arguments[] = {"launch", order, entrances, maintenance ? "0" : (char *)process_limit, NULL};
  for (int fd = 0; fd < base; fd++) given[fd] = fd < ORDER ? -1 : fd;
  given[base] = memfd_create("order", MFD_CLOEXEC);
  *candidate = (struct candidate){0, {-1, -1, -1, given[base]}};
  bool ready = given[base] >= 0;
  for (int i = 0, pair[2]; ready && i < ORDER && (ready = pipe2(pair, O_CLOEXEC) == 0); i++) {
    candidate->ends[i] = pair[i == 0];
    given[i] = pair[i != 0];
    fcntl(candidate->ends[i], F_SETFL, O_NONBLOCK);
  }
  ready = ready && (candidate->pid = start_program(launch_program, arguments, given, base + 1)) > 0;
  for (int i = 0; i < ORDER; i++) close_one(&given[i]);
  if (ready && suspended && !maintenance) kill(candidate->pid, SIGSTOP);
  if (!ready) discard_candidate(candidate);
  return ready;
}

/* Gives its order to a launcher. The workload, which has our user id, may have killed or stopped the one that waits. */
bool launch_command(struct command *command) {
  bool maintenance = command->told.maintenance;
  struct candidate candidate;
  if (waiting.pid != 0 && waitpid(waiting.pid, NULL, WNOHANG) != 0) discard_candidate(&waiting);
  bool prepared = !maintenance && waiting.pid != 0;
  if (!prepared && !start_candidate(maintenance, &candidate)) return false;
  if (prepared) candidate = waiting;
  if (prepared) waiting.pid = 0;
  if (!suspended) kill(candidate.pid, SIGCONT);
  command->told.pid = candidate.pid;
  bool sent = write(candidate.ends[ORDER], command->order, command->order_bytes) == (ssize_t)command->order_bytes;
  if (!sent || write(candidate.ends[0], "!", 1) != 1) kill(candidate.pid, SIGKILL); /* an end like any other */
  close_one(&candidate.ends[ORDER]);
  if (command->terminal >= 0 || command->order[0] == 0) close_one(&candidate.ends[0]);
  if (command->terminal >= 0) close_one(&candidate.ends[1]);
  for (int i = command->terminal >= 0 ? 2 : 0; i < ORDER; i++) {
    int *end = i == 0 ? &command->input : &command->output[i - 1];
    close_one(end);
    *end = candidate.ends[i];
  }
  return true;
}

/* A new terminal: our end is input and output, and another one of the other end is kept. */
static bool open_terminal(struct command *command, const struct spawn *spawn, char *name, size_t capacity) {
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), number, unlock = 0;
  struct winsize size = {.ws_row = spawn->rows, .ws_col = spawn->columns};
  command->output[0] = master;
  command->input = fcntl(master, F_DUPFD_CLOEXEC, 0);
  if (ioctl(master, TIOCSPTLCK, &unlock) != 0 || ioctl(master, TIOCGPTN, &number) != 0) return false;
  snprintf(name, capacity, "/dev/pts/%d", number);
  command->terminal = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return command->terminal >= 0 && ioctl(master, TIOCSWINSZ, &size) == 0;
}

/* The last of one command's ways. `words`: directory, command, NAME=value ... NULL: it cannot be started now. */
struct command *start_command(const char *identifier, const struct spawn *spawn, const char *words, size_t bytes) {
  char terminal[32] = "";
  int running = 0, protection = PROT_READ | PROT_WRITE, kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  for (int i = 0; i < command_count; i++) running += commands[i]->told.state == RUNNING;
  bool room = running < MAXIMUM_RUNNING && command_count < MAXIMUM_COMMANDS;
  struct command *command = room ? malloc(sizeof *command) : NULL;
  if (command == NULL) return NULL;
  *command = (struct command){.output = {-1, -1}, .input = -1, .terminal = -1, .attempts = LAUNCH_ATTEMPTS};
  strcpy(command->identifier, identifier);
  command->told.maintenance = spawn->flags & FLAG_MAINTENANCE;
  command->told.started = now_ms();
  if (spawn->timeout_ms > 0) command->deadline = command->told.started + spawn->timeout_ms;
  command->log = mmap(NULL, 2 * LOG_BYTES, protection, kind, -1, 0);
  madvise(command->log, 2 * LOG_BYTES, MADV_DONTFORK);
  bool ready = !(spawn->flags & FLAG_TERMINAL) || open_terminal(command, spawn, terminal, sizeof terminal);
  command->order_bytes = 2 + strlen(terminal) + bytes;
  command->order = malloc(command->order_bytes);
  if (command->order != NULL) {
    command->order[0] = (spawn->flags & FLAG_STDIN) != 0;
    memcpy(stpcpy(command->order + 1, terminal) + 1, words, bytes);
  }
  if (!ready || command->log == MAP_FAILED || command->order == NULL || !launch_command(command)) {
    release_command(command);
    return NULL;
  }
  commands[command_count++] = command;
  calm = command->told.started + CALM_MS;
  return command;
}

void release_command(struct command *command) {
  int *ends[] = {&command->output[0], &command->output[1], &command->input, &command->terminal};
  for (int i = 0; i < 4; i++) close_one(ends[i]);
  drop_log(command);
  free(command->order);
  free(command);
}
