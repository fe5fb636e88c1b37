/* Who has connected: asks, follows a command to its end, feeds one, or is served by a program of its own. */
#include "supervisor.h"

struct connection connections[MAXIMUM_CONNECTIONS];
const char *transfer_program;

void close_connection(struct connection *connection) {
  if (connection->peer.socket > 0) close(connection->peer.socket);
  madvise(connection, sizeof *connection, MADV_DONTNEED); /* all zero again */
}

/* A known identifier is joined: a repeated request never runs a command twice. */
static bool handle_spawn(struct connection *connection, struct peer *peer) {
  struct spawn spawn;
  bool whole = take(peer, &spawn, sizeof spawn) && peer->end[-1] == '\0';
  const char *identifier = take_string(peer), *words = peer->next;
  whole = whole && identifier != NULL && take_string(peer) != NULL && take_string(peer) != NULL;
  if (!whole || *identifier == '\0' || strlen(identifier) >= IDENTIFIER_BYTES) return false;
  struct command *command = find_command(identifier);
  bool start = command == NULL && !(spawn.flags & FLAG_JOIN_ONLY);
  if (start) command = start_command(identifier, &spawn, words, (size_t)(peer->end - words));
  connection->command = command;
  connection->feeds = false;
  connection->position = 0;
  connection->wanted = spawn.offset;
  if (command != NULL) put(peer, STARTED, NULL, 0);
  else put_result(peer, start ? EAGAIN : ENOENT);
  return true;
}

/* What is in the log and was not yet sent, until the command has ended. */
static void follow(struct connection *connection, struct peer *peer) {
  struct command *command = connection->command;
  struct output output;
  size_t count = 0;
  if (connection->position < command->base + command->head) connection->position = command->base + command->head;
  const char *next = command->log + (connection->position - command->base), *end = command->log + command->tail;
  while (next + count < end) {
    memcpy(&output, next + count, sizeof output);
    size_t size = 4 + output.length;
    if (count + size > sizeof peer->output) break;
    if (count > 0 || output.offset + size - sizeof output > connection->wanted) count += size;
    else next += size;
  }
  memcpy(peer->output, next, count);
  peer->sent = 0;
  peer->unsent = count;
  connection->position = command->base + (uint64_t)(next + count - command->log);
  if (count > 0 || command->told.state == RUNNING) return;
  put(peer, EXIT, &command->told, sizeof command->told);
  connection->command = NULL;
}

/* Bytes of standard input; none: its end. A command that does not read holds back who writes. */
static void feed(struct connection *connection, struct peer *peer) {
  struct command *command = connection->command;
  size_t count = (size_t)(peer->end - peer->next);
  bool open = command->input >= 0, on_terminal = command->terminal >= 0;
  if (open && !command->begun) return; /* it may have to be launched again */
  const char *bytes = count > 0 ? peer->next : "\4"; /* which is the end for who reads a terminal */
  ssize_t written = count > 0 || on_terminal ? write(command->input, bytes, count > 0 ? count : 1) : 0;
  if (open && written < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (written > 0 && (size_t)written < count) {
    peer->next += written;
    return;
  }
  if (count == 0 && !on_terminal) close_one(&command->input);
  put_result(peer, open && written >= 0 ? 0 : ENOENT);
  connection->command = NULL;
}

static bool handle_stdin(struct connection *connection, struct peer *peer) {
  const char *identifier = take_string(peer);
  if (identifier == NULL) return false;
  connection->command = find_command(identifier);
  connection->feeds = true;
  if (connection->command == NULL) put_result(peer, ENOENT);
  return true;
}

static bool handle_control(struct peer *peer) {
  struct {
    uint8_t action;
    uint16_t first, second; /* a signal; rows and columns */
  } __attribute__((packed)) control;
  bool whole = take(peer, &control, sizeof control);
  const char *identifier = take_string(peer);
  if (!whole || identifier == NULL || control.action < CONTROL_KILL || control.action > CONTROL_RESIZE) return false;
  struct command *command = find_command(identifier);
  struct winsize size = {.ws_row = control.first, .ws_col = control.second};
  bool failed = command == NULL || command->told.state != RUNNING;
  errno = failed ? ENOENT : ENOTTY;
  if (!failed && control.action == CONTROL_RESIZE) {
    failed = command->terminal < 0 || ioctl(command->input, TIOCSWINSZ, &size) != 0;
  } else if (!failed) {
    command->attempts = 0;
    command->killed = command->killed || control.action == CONTROL_KILL;
    if (control.action == CONTROL_KILL) command->deadline = now_ms() + KILL_GRACE_MS;
    if (control.action == CONTROL_KILL) signal_tree(command->told.pid, SIGTERM); /* own sessions are not found later */
    else failed = kill(-command->told.pid, control.first) != 0 && kill(command->told.pid, control.first) != 0;
  }
  put_result(peer, failed ? errno : 0);
  return true;
}

/* Who is who and how late it is, then each command that finds room, the latest first. */
static bool tell_commands(struct peer *peer) {
  struct {
    uint8_t suspended;
    int32_t supervisor, candidate;
    int64_t now;
  } __attribute__((packed)) first = {suspended, getpid(), waiting.pid, now_ms()};
  char *begin = peer->output + HEADER_BYTES, *end = peer->output + sizeof peer->output;
  char *next = mempcpy(begin, &first, sizeof first);
  for (int i = command_count - 1; i >= 0 && (size_t)(end - next) > sizeof(struct summary) + IDENTIFIER_BYTES; i--) {
    next = mempcpy(next, &commands[i]->told, sizeof commands[i]->told);
    next = stpcpy(next, commands[i]->identifier) + 1;
  }
  put(peer, END, NULL, (size_t)(next - begin));
  return true;
}

/* Bulk is not moved here: the socket goes to a program of its own, which lives as long as its peer wants. */
static bool hand_over(struct connection *connection, struct peer *peer) {
  char *arguments[] = {"transfer", NULL};
  if (peer->start < peer->filled) return false; /* it did not wait for the answer */
  if ((connection->transfer = start_program(transfer_program, arguments, &peer->socket, 1)) < 0) return false;
  close(peer->socket);
  peer->socket = -1;
  return true;
}

static bool handle(struct connection *connection, struct peer *peer) {
  uint8_t type = peer->type;
  if (type == SPAWN) return handle_spawn(connection, peer);
  if (type == STDIN) return handle_stdin(connection, peer);
  if (type == CONTROL) return handle_control(peer);
  if (type == TRANSFER) return hand_over(connection, peer);
  if (type == COMMANDS) return tell_commands(peer);
  if (type == SHUTDOWN) signal_tree(getpid(), SIGKILL);
  if (type == SHUTDOWN) exit(0);
  if (type == SUSPEND || type == RESUME) put_result(peer, suspend_commands(type == SUSPEND) ? 0 : EBUSY);
  return type == SUSPEND || type == RESUME;
}

/* All that can be done without waiting. */
void serve_connection(struct connection *connection, short events) {
  struct peer *peer = &connection->peer;
  bool alive = true, readable = (events & ~POLLOUT) != 0;
  while (alive && peer->socket > 0) {
    size_t before = peer->unsent;
    if (before > 0) {
      alive = send_some(peer);
      if (peer->unsent == before) break;
    } else if (connection->command != NULL) {
      alive = !readable; /* it closed, or speaks out of turn */
      if (connection->feeds) feed(connection, peer);
      else follow(connection, peer);
      if (peer->unsent == 0) break;
    } else if (next_frame(peer)) {
      alive = handle(connection, peer);
    } else if (readable) {
      alive = receive_some(peer);
      readable = false;
    } else {
      break;
    }
  }
  if (!alive) close_connection(connection);
}
