/*
 * Commands: found by their identifiers as long as the sandbox lives, running or not, so that whoever lost a connection
 * can join again at the byte where it was. Each has a log of its latest output, as the OUTPUT frames that are sent.
 */
#include "commands.h"

#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
struct command *commands[MAXIMUM_COMMANDS];
int command_count;
bool suspended;
int main_wake; /* eventfd */

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void close_one(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static struct command *find_command(const char *identifier) {
  for (int i = command_count - 1; i >= 0; i--) {
    if (strcmp(commands[i]->identifier, identifier) == 0) return commands[i];
  }
  return NULL;
}

struct exit {
  uint8_t kind; /* 0: it runs, 1 exited, 2 signalled, 3 timed out */
  int32_t value;
} __attribute__((packed));

static struct exit describe_exit(const struct command *command) {
  bool signalled = WIFSIGNALED(command->status);
  struct exit exit = {signalled ? 2 : 1, signalled ? WTERMSIG(command->status) : WEXITSTATUS(command->status)};
  if (command->timed_out) exit.kind = 3;
  return command->finished ? exit : (struct exit){0, 0};
}

/* With the lock held; returns without it. Sends what was written from `wanted` on, until the command has finished. */
static bool follow_command(struct connection *connection, struct command *command, uint64_t wanted) {
  struct pollfd polled[2] = {{connection->wake, POLLIN, 0}, {connection->socket, POLLIN | POLLRDHUP, 0}};
  uint64_t position = 0, offset = 0, ignored; /* of the frame that is sent next: in the log, in the output */
  bool alive, told = false, finished = false;
  connection->followed = command;
  pthread_mutex_unlock(&lock);
  alive = send_frame(connection, STARTED, 0);
  pthread_mutex_lock(&lock);
  while (alive && !finished) {
    size_t count = 0;
    bool jumped = position < command->base + command->head;
    if (jumped || position == 0) {
      position = command->base + command->head;
      offset = command->head_offset;
      told = false;
    }
    uint64_t first = offset;
    while (position + count < command->base + command->tail) {
      size_t size = frame_size(command, position + count - command->base);
      if (count + size > sizeof connection->output) break;
      offset += size - 6;
      if (count == 0 && offset <= wanted) position += size;
      if (count == 0 && offset <= wanted) first = offset;
      else count += size;
    }
    if (count > 0) memcpy(connection->output, command->log + (position - command->base), count);
    finished = count == 0 && command->finished;
    position += count;
    bool tell = !told && (count > 0 || finished);
    pthread_mutex_unlock(&lock);
    told = told || tell;
    struct {
      uint32_t length;
      uint8_t type;
      uint64_t offset;
    } __attribute__((packed)) start = {9, OFFSET, first};
    if (tell) alive = send_bytes(connection, (char *)&start, sizeof start);
    if (count > 0) alive = alive && send_bytes(connection, connection->output, count);
    if (count == 0 && !finished) {
      poll(polled, 2, -1);
      if (polled[0].revents != 0 && read(connection->wake, &ignored, sizeof ignored) < 0) alive = errno == EAGAIN;
      if (polled[1].revents != 0) alive = false; /* closed, or spoke out of turn */
    }
    pthread_mutex_lock(&lock);
  }
  struct exit exit = describe_exit(command);
  connection->followed = NULL;
  pthread_mutex_unlock(&lock);
  return alive && send_value(connection, EXIT, &exit, sizeof exit);
}

/* A known identifier is joined: a repeated request never runs a command twice. */
bool handle_spawn(struct connection *connection) {
  struct spawn spawn;
  bool whole = take(connection, &spawn, sizeof spawn) && connection->end[-1] == '\0';
  const char *identifier = take_string(connection), *words = connection->next;
  whole = whole && identifier != NULL && take_string(connection) != NULL && take_string(connection) != NULL;
  if (!whole || *identifier == '\0' || strlen(identifier) >= IDENTIFIER_BYTES) return false;
  pthread_mutex_lock(&lock);
  struct command *command = find_command(identifier);
  int running = 0, reason = ENOENT;
  for (int i = 0; i < command_count; i++) running += !commands[i]->finished;
  if (command == NULL && !(spawn.flags & FLAG_JOIN_ONLY)) {
    reason = EAGAIN;
    size_t bytes = (size_t)(connection->end - words);
    if (running < MAXIMUM_RUNNING) command = start_command(identifier, &spawn, words, bytes);
  }
  if (command != NULL) return follow_command(connection, command, spawn.offset);
  pthread_mutex_unlock(&lock);
  return send_result(connection, reason);
}

/* A command that does not read holds back who writes, and nobody else. */
bool handle_stdin(struct connection *connection) {
  const char *identifier = take_string(connection);
  if (identifier == NULL) return false;
  pthread_mutex_lock(&lock);
  struct command *command = find_command(identifier);
  int input = command == NULL || command->input < 0 ? -1 : fcntl(command->input, F_DUPFD_CLOEXEC, 0);
  pthread_mutex_unlock(&lock);
  bool alive, wanted = input >= 0;
  while ((alive = receive_frame(connection)) && connection->type == DATA) {
    size_t count = (size_t)(connection->end - connection->next);
    wanted = wanted && write_patiently(input, connection->next, count, connection->socket);
  }
  close_one(&input);
  return alive && connection->type == END && send_result(connection, wanted ? 0 : ENOENT);
}

static void kill_command(struct command *command) {
  signal_tree(command->pid, SIGTERM); /* what it moved to sessions of its own is not found later */
  command->deadline = now_ms() + KILL_GRACE_MS;
  command->killed = true;
  wake(main_wake);
}

bool handle_control(struct connection *connection) {
  struct {
    uint8_t action;
    uint16_t first, second; /* a signal; rows and columns */
  } __attribute__((packed)) control;
  bool whole = take(connection, &control, sizeof control);
  const char *identifier = take_string(connection);
  if (!whole || identifier == NULL) return false;
  struct winsize size = {.ws_row = control.first, .ws_col = control.second};
  int failed = -1;
  pthread_mutex_lock(&lock);
  struct command *command = find_command(identifier);
  errno = command == NULL || command->finished ? ENOENT : ENOTTY;
  if (command != NULL && !command->finished) {
    bool terminal = command->terminal >= 0;
    if (control.action == CONTROL_KILL) failed = 0, kill_command(command);
    else if (control.action == CONTROL_SIGNAL) failed = kill(-command->pid, control.first);
    else if (control.action == CONTROL_RESIZE) failed = terminal ? ioctl(command->input, TIOCSWINSZ, &size) : -1;
    else if (terminal) failed = write(command->input, "\4", 1) == 1 ? 0 : -1;
    else failed = 0, close_one(&command->input);
  }
  int reason = failed ? errno : 0;
  pthread_mutex_unlock(&lock);
  return send_result(connection, reason);
}

/* Who is who, then each command that finds room, the latest first. */
bool handle_commands(struct connection *connection) {
  char *next = connection->output + HEADER_BYTES, *end = connection->output + sizeof connection->output;
  pthread_mutex_lock(&lock);
  struct {
    uint8_t suspended;
    int32_t supervisor, candidate;
  } __attribute__((packed)) first = {suspended, getpid(), waiting.pid};
  next = (char *)memcpy(next, &first, sizeof first) + sizeof first;
  for (int i = command_count - 1; i >= 0; i--) {
    struct command *command = commands[i];
    struct {
      uint8_t maintenance;
      struct exit exit;
      int32_t pid;
      uint64_t age_ms, output_bytes;
    } __attribute__((packed)) told = {command->maintenance, describe_exit(command), command->pid,
                                      (uint64_t)(now_ms() - command->started), command->tail_offset};
    if ((size_t)(end - next) < sizeof told + IDENTIFIER_BYTES) break;
    next = stpcpy((char *)memcpy(next, &told, sizeof told) + sizeof told, command->identifier) + 1;
  }
  pthread_mutex_unlock(&lock);
  return send_frame(connection, DATA, (size_t)(next - connection->output - HEADER_BYTES)) && send_result(connection, 0);
}

bool handle_suspend(struct connection *connection) {
  pthread_mutex_lock(&lock);
  bool begins = connection->type == SUSPEND && !suspended, done = true;
  suspended = connection->type == SUSPEND;
  for (int i = 0; begins && i < command_count; i++) { /* while both ran, the workload can have made it its own */
    if (commands[i]->maintenance && !commands[i]->finished) signal_tree(commands[i]->pid, SIGKILL);
  }
  if (begins || !suspended) done = signal_tree(getpid(), suspended ? SIGSTOP : SIGCONT);
  wake(main_wake);
  pthread_mutex_unlock(&lock);
  return send_result(connection, done ? 0 : EBUSY);
}

bool handle_shutdown(struct connection *connection) {
  (void)connection;
  pthread_mutex_lock(&lock);
  signal_tree(getpid(), SIGKILL);
  exit(0);
}

static void forget_oldest(void) {
  for (int i = 0; i < command_count; i++) {
    struct command *command = commands[i];
    bool followed = false;
    for (int c = 0; c < MAXIMUM_CONNECTIONS; c++) followed = followed || connections[c].followed == command;
    if (!command->finished || followed) continue;
    close_one(&command->output[0]);
    close_one(&command->output[1]);
    log_total -= command->tail - command->head;
    munmap(command->log, 2 * LOG_BYTES);
    free(command);
    memmove(commands + i, commands + i + 1, sizeof *commands * (size_t)(--command_count - i));
    return;
  }
}

/* Of a command whose process has ended: what it wrote until then is read, and it has finished. */
static void finish(struct command *command, int status) {
  for (int stream = 0; stream < 2; stream++)
    for (int i = 0; i < DRAIN_READS && command->output[stream] >= 0 && read_output(command, stream); i++) continue;
  command->status = status;
  command->finished = true;
  if (!command->killed) command->deadline = 0; /* who was killed is looked for once more */
  close_one(&command->input);
  close_one(&command->terminal);
  wake_followers(command);
}

/* One round of the main thread. */
void serve_commands(int listener) {
  static struct pollfd polled[2 + MAXIMUM_STREAMS];
  static int owner[2 + MAXIMUM_STREAMS];
  int count = 2, status;
  int64_t now = now_ms(), next = now + INT_MAX, calm = 0; /* until `calm` a command that has just begun goes first */
  pthread_mutex_lock(&lock);
  if (command_count > MAXIMUM_COMMANDS - MAXIMUM_RUNNING) forget_oldest();
  for (int i = 0; i < command_count; i++) {
    struct command *command = commands[i];
    if (command->deadline > 0 && now >= command->deadline) {
      command->timed_out = !command->killed;
      command->deadline = 0;
      signal_tree(command->pid, SIGKILL);
    }
    if (command->deadline > 0 && command->deadline < next) next = command->deadline;
    if (!command->finished && command->started + CALM_MS > calm) calm = command->started + CALM_MS;
    for (int stream = 0; stream < 2; stream++) {
      if (command->finished && count > MAXIMUM_STREAMS / 2) close_one(&command->output[stream]);
      if (command->output[stream] < 0) continue;
      owner[count] = 2 * i + stream;
      polled[count++] = (struct pollfd){command->output[stream], POLLIN, 0};
    }
  }
  if (waiting.pid == 0 && calm > now && calm < next) next = calm;
  pthread_mutex_unlock(&lock);
  polled[0] = (struct pollfd){listener, POLLIN, 0};
  polled[1] = (struct pollfd){main_wake, POLLIN, 0};
  poll(polled, (nfds_t)count, next == now + INT_MAX ? -1 : (int)(next - now));
  if (polled[0].revents != 0) accept_connection(listener);
  uint64_t ignored;
  if (polled[1].revents != 0 && read(main_wake, &ignored, sizeof ignored) < 0) return;
  for (int i = 2; i < count; i++) {
    pthread_mutex_lock(&lock);
    struct command *command = commands[owner[i] / 2];
    if (polled[i].revents != 0 && command->output[owner[i] % 2] >= 0) read_output(command, owner[i] % 2);
    pthread_mutex_unlock(&lock);
  }
  pthread_mutex_lock(&lock);
  for (int i = 0; suspended && i < command_count; i++) {
    bool ours = commands[i]->maintenance && !commands[i]->finished;
    if (ours && waitpid(commands[i]->pid, &status, WNOHANG) > 0) finish(commands[i], status);
  }
  for (pid_t pid; !suspended && (pid = waitpid(-1, &status, WNOHANG)) > 0;) { /* gVisor would hang up its group */
    if (pid == waiting.pid) discard_candidate(&waiting);
    for (int i = 0; i < command_count; i++) {
      if (commands[i]->pid == pid && !commands[i]->finished) finish(commands[i], status), calm = 0;
    }
  }
  /* Entering its cgroups takes time, from whoever runs. */
  if (waiting.pid == 0 && now_ms() >= calm) start_candidate(false, &waiting);
  pthread_mutex_unlock(&lock);
}
