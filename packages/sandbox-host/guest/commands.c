/*
 * The table of commands, and the requests about them. A command is found by its identifier as long as the sandbox
 * lives, running or not, so that whoever lost a connection can join it again at the byte where it was.
 */
#define _GNU_SOURCE
#include "commands.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_REPLY_BYTES = 13 };

pthread_mutex_t command_lock = PTHREAD_MUTEX_INITIALIZER;
struct command *command_table[MAXIMUM_COMMANDS];
int command_count;

static struct command *find_command(const char *identifier) {
  for (int i = command_count - 1; i >= 0; i--) {
    if (strcmp(command_table[i]->identifier, identifier) == 0) return command_table[i];
  }
  return NULL;
}

static int count_running(void) {
  int running = 0;
  for (int i = 0; i < command_count; i++) running += !command_table[i]->finished;
  return running;
}

static void release_command(struct command *command) {
  pthread_mutex_lock(&command_lock);
  command->released = true;
  pthread_mutex_unlock(&command_lock);
}

static void *serve_command(void *argument) {
  run_command(argument);
  release_command(argument);
  prepare_candidate(); /* now, and not while a command starts: it would have to wait for the kernel */
  return NULL;
}

void record_exit(pid_t pid, int status) {
  pthread_mutex_lock(&command_lock);
  forget_candidate(pid);
  for (int i = command_count - 1; i >= 0; i--) {
    struct command *command = command_table[i];
    if (command->pid != pid || command->exited) continue;
    command->exited = true;
    command->wait_status = status;
    wake_up(command->wake);
    break;
  }
  pthread_mutex_unlock(&command_lock);
}

static void forget_oldest(void) {
  for (int i = 0; i < command_count; i++) {
    struct command *old = command_table[i];
    if (!old->released || old->watcher_count > 0) continue;
    drop_log(old);
    close(old->wake);
    if (old->input >= 0) close(old->input);
    free(old->identifier);
    free(old);
    memmove(command_table + i, command_table + i + 1, sizeof *command_table * (size_t)(--command_count - i));
    return;
  }
}

/* With the lock held. NULL: no command was started. */
static struct command *start_command(const char *identifier, const char *directory, const char *text,
                                     struct reader *overrides, uint8_t flags, uint32_t timeout_ms) {
  struct candidate candidate;
  if (command_count == MAXIMUM_COMMANDS) forget_oldest();
  struct command *command = command_count < MAXIMUM_COMMANDS ? calloc(1, sizeof *command) : NULL;
  if (command == NULL) return NULL;
  command->maintenance = flags & SPAWN_MAINTENANCE;
  command->direct = -1;
  command->identifier = strdup(identifier);
  command->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  bool ready = command->identifier != NULL && command->wake >= 0;
  if (!ready || !take_candidate(command->maintenance, &candidate)) {
    if (command->wake >= 0) close(command->wake);
    free(command->identifier);
    free(command);
    return NULL;
  }
  bool sent = send_order(&candidate, flags & SPAWN_STDIN, directory, text, overrides);
  if (!sent) kill(candidate.pid, SIGKILL); /* its end is reported like any other */
  command->pid = candidate.pid;
  command->input = candidate.pipes[0];
  command->output[0] = candidate.pipes[1];
  command->output[1] = candidate.pipes[2];
  if (timeout_ms > 0) command->deadline = now_ms() + timeout_ms;
  command_table[command_count++] = command;
  return command;
}

static void describe_exit(const struct command *command, char *next) {
  int status = command->wait_status;
  uint8_t kind = command->timed_out ? EXIT_TIMED_OUT : WIFSIGNALED(status) ? EXIT_SIGNALLED : EXIT_EXITED;
  next += put_number(next, kind, 1);
  next += put_number(next, (uint64_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)), 4);
  put_number(next, command->dropped, 8);
}

static void watch(struct command *command, int event, bool add) {
  if (add) command->watchers[command->watcher_count++] = event;
  for (int i = 0; !add && i < command->watcher_count; i++) {
    if (command->watchers[i] == event) command->watchers[i--] = command->watchers[--command->watcher_count];
  }
}

/* With the lock held; returns without it. Sends output from `offset` on until the command has finished. */
static bool follow_command(struct connection *connection, struct command *command, uint64_t offset) {
  struct cursor cursor = {.position = 0, .to_skip = offset};
  char *chunk = malloc(CHUNK_BYTES);
  bool alive = chunk != NULL, finished = false;
  watch(command, connection->wake, true);
  pthread_mutex_unlock(&command_lock);
  alive = alive && send_reply(connection->socket, REPLY_STARTED);
  pthread_mutex_lock(&command_lock);
  while (alive && !finished) {
    uint8_t stream = 0;
    size_t count = take_output(command, &cursor, &stream, chunk);
    finished = count == 0 && command->finished;
    pthread_mutex_unlock(&command_lock);
    if (count > 0) {
      alive = send_frame(connection->socket, REPLY_OUTPUT, &stream, 1, chunk, count);
    } else if (!finished) {
      struct pollfd polled[2] = {{connection->wake, POLLIN, 0}, {connection->socket, POLLIN | POLLRDHUP, 0}};
      poll(polled, 2, -1);
      uint64_t ignored;
      if (polled[0].revents != 0 && read(connection->wake, &ignored, sizeof ignored) < 0) alive = errno == EAGAIN;
      if (polled[1].revents != 0) alive = false; /* closed, or spoke out of turn */
    }
    pthread_mutex_lock(&command_lock);
  }
  char reply[EXIT_REPLY_BYTES];
  describe_exit(command, reply);
  watch(command, connection->wake, false);
  pthread_mutex_unlock(&command_lock);
  free(chunk);
  return alive && send_frame(connection->socket, REPLY_EXIT, reply, sizeof reply, NULL, 0);
}

/* Output goes straight to the connection, at its pace. */
static bool follow_directly(struct connection *connection, struct command *command) {
  char reply[EXIT_REPLY_BYTES];
  if (!send_reply(connection->socket, REPLY_STARTED)) signal_command_tree(command->pid, SIGKILL);
  run_command(command);
  bool alive = command->direct >= 0;
  describe_exit(command, reply);
  release_command(command);
  return alive && send_frame(connection->socket, REPLY_EXIT, reply, sizeof reply, NULL, 0);
}

/* Without a thread nothing would read its output: end it, and say so. */
static void abandon_command(struct command *command) {
  signal_command_tree(command->pid, SIGKILL);
  command->exited = command->finished = command->released = true;
  command->wait_status = SIGKILL;
}

/* A second spawn under a known identifier joins the first: a repeated request never runs a command twice. */
bool handle_spawn(struct connection *connection, struct reader *reader) {
  uint8_t flags = (uint8_t)read_number(reader, 1);
  uint32_t timeout_ms = (uint32_t)read_number(reader, 4);
  const char *identifier = read_string(reader), *directory = read_string(reader), *text = read_string(reader);
  char mapped[PATH_MAX];
  bool terminated = reader->next == reader->end || reader->end[-1] == '\0';
  if (!reader->valid || !terminated || *identifier == '\0' || !map_path(directory, mapped, sizeof mapped)) {
    return send_error(connection->socket, ERROR_FAILED, "malformed command");
  }
  pthread_mutex_lock(&command_lock);
  struct command *command = find_command(identifier);
  bool fresh = command == NULL;
  bool crowded = fresh && count_running() >= MAXIMUM_RUNNING_COMMANDS;
  if (fresh && !crowded) command = start_command(identifier, mapped, text, reader, flags, timeout_ms);
  if (command == NULL) {
    pthread_mutex_unlock(&command_lock);
    return send_error(connection->socket, ERROR_FAILED, crowded ? "too many commands are running" : "cannot start a process");
  }
  if (fresh && (flags & SPAWN_DIRECT)) {
    command->direct = connection->socket;
    pthread_mutex_unlock(&command_lock);
    return follow_directly(connection, command);
  }
  if (fresh && !start_thread(serve_command, command)) abandon_command(command);
  return follow_command(connection, command, 0);
}

bool handle_attach(struct connection *connection, struct reader *reader) {
  uint64_t offset = read_number(reader, 8);
  const char *identifier = read_string(reader);
  if (!reader->valid) return false;
  pthread_mutex_lock(&command_lock);
  struct command *command = find_command(identifier);
  if (command != NULL) return follow_command(connection, command, offset);
  pthread_mutex_unlock(&command_lock);
  return send_reply(connection->socket, REPLY_ABSENT);
}

bool handle_stdin(struct connection *connection, struct reader *reader) {
  const char *identifier = read_string(reader);
  if (!reader->valid) return false;
  pthread_mutex_lock(&command_lock);
  struct command *command = find_command(identifier);
  int input = command == NULL ? -1 : command->input;
  if (command != NULL) command->input = -1;
  pthread_mutex_unlock(&command_lock);
  struct frame frame;
  bool alive, wanted = input >= 0;
  while ((alive = receive_frame(connection, &frame)) && frame.type == STREAM_DATA) {
    if (wanted && !write_fully(input, frame.payload, frame.length)) wanted = false;
  }
  if (input >= 0) close(input);
  return alive && frame.type == STREAM_END && send_reply(connection->socket, input >= 0 ? REPLY_END : REPLY_ABSENT);
}

bool handle_kill(struct connection *connection, struct reader *reader) {
  const char *identifier = read_string(reader);
  if (!reader->valid) return false;
  pthread_mutex_lock(&command_lock);
  struct command *command = find_command(identifier);
  if (command != NULL && !command->exited) {
    kill(-command->pid, SIGTERM);
    command->kill_deadline = now_ms() + KILL_GRACE_MS;
    wake_up(command->wake);
  }
  pthread_mutex_unlock(&command_lock);
  return send_reply(connection->socket, command == NULL ? REPLY_ABSENT : REPLY_END);
}

/* Answers u8 suspended, then the NUL-terminated identifiers of the workload's running commands. */
bool handle_status(struct connection *connection) {
  char *reply = malloc(MAXIMUM_FRAME_BYTES / 2);
  if (reply == NULL) return false;
  size_t length = 1;
  pthread_mutex_lock(&command_lock);
  reply[0] = (char)is_suspended();
  for (int i = 0; i < command_count; i++) {
    size_t size = strlen(command_table[i]->identifier) + 1;
    if (command_table[i]->finished || command_table[i]->maintenance || length + size > MAXIMUM_FRAME_BYTES / 2) continue;
    memcpy(reply + length, command_table[i]->identifier, size);
    length += size;
  }
  pthread_mutex_unlock(&command_lock);
  bool alive = send_frame(connection->socket, REPLY_DATA, reply, length, NULL, 0);
  free(reply);
  return alive;
}

bool handle_suspend(struct connection *connection, bool suspend) {
  pid_t excluded[MAXIMUM_RUNNING_COMMANDS];
  int count = 0;
  pthread_mutex_lock(&command_lock);
  set_suspended(suspend);
  for (int i = 0; i < command_count && count < MAXIMUM_RUNNING_COMMANDS; i++) {
    if (command_table[i]->maintenance && !command_table[i]->exited) excluded[count++] = command_table[i]->pid;
  }
  signal_workload(suspend ? SIGSTOP : SIGCONT, excluded, count);
  pthread_mutex_unlock(&command_lock);
  return send_reply(connection->socket, REPLY_END);
}
