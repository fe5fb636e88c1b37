/*
 * Commands. Each has its own session and a thread that moves its output into a log of chunks (u8 stream, u32 length,
 * bytes) in order of arrival. The log keeps the first LOG_BYTES_PER_COMMAND; what follows is counted and dropped, so
 * that neither a loud command nor a slow reader can exhaust memory or block the other.
 */
#define _GNU_SOURCE
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK_HEADER_BYTES = 5, STDOUT = 0, STDERR = 1, DRAIN_READS = 64 };

struct command {
  char *identifier;
  pid_t pid;
  int output[2]; /* read ends; -1 after end of file */
  int input;     /* write end; -1 when there is none */
  int wake;      /* eventfd: the process ended, or a deadline changed */
  int direct;    /* socket that gets the output instead of the log; -1 */
  bool maintenance, exited, finished, timed_out;
  bool released; /* no thread uses it any more */
  int wait_status;
  int64_t deadline, kill_deadline; /* monotonic ms; 0: none */
  char *log;
  size_t log_length, log_capacity;
  uint64_t dropped;
  int watchers[MAXIMUM_CONNECTIONS]; /* eventfds of attached connections */
  int watcher_count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards everything below and every command */
static struct command *command_table[MAXIMUM_COMMANDS];
static int command_count;
static size_t log_bytes_total;
static bool suspended;
static int work_descriptors[MAXIMUM_FDS], work_descriptor_count;

void set_work_descriptors(const int *descriptors, int count) {
  memcpy(work_descriptors, descriptors, sizeof(int) * (size_t)count);
  work_descriptor_count = count;
}

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
  return NULL;
}

void record_exit(pid_t pid, int status) {
  pthread_mutex_lock(&command_lock);
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

/* With the lock held. NULL with errno: no command was started. */
static struct command *start_command(const char *identifier, const char *directory, char **arguments, char **variables,
                                     uint8_t flags, uint32_t timeout_ms) {
  int ours[3] = {-1, -1, -1}, theirs[3] = {-1, -1, -1};
  if (command_count == MAXIMUM_COMMANDS) forget_oldest();
  struct command *command = command_count < MAXIMUM_COMMANDS ? calloc(1, sizeof *command) : NULL;
  if (command == NULL) return NULL;
  command->identifier = strdup(identifier);
  command->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  command->direct = -1;
  command->maintenance = flags & SPAWN_MAINTENANCE;
  bool ready = command->identifier != NULL && command->wake >= 0 && open_pipes(ours, theirs, flags & SPAWN_STDIN);
  command->pid = ready ? fork() : -1;
  if (command->pid == 0) become_command(command->maintenance, theirs, directory, arguments, variables);
  int reason = errno;
  for (int fd = 0; fd < 3; fd++) {
    if (theirs[fd] >= 0) close(theirs[fd]);
  }
  if (command->pid < 0) {
    for (int fd = 0; fd < 3; fd++) {
      if (ours[fd] >= 0) close(ours[fd]);
    }
    if (command->wake >= 0) close(command->wake);
    free(command->identifier);
    free(command);
    errno = reason;
    return NULL;
  }
  command->input = ours[0];
  command->output[0] = ours[1];
  command->output[1] = ours[2];
  if (timeout_ms > 0) command->deadline = now_ms() + timeout_ms;
  command_table[command_count++] = command;
  return command;
}

enum { EXIT_REPLY_BYTES = 13 };

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
  if (!reader->valid || *identifier == '\0') return false;
  char *arguments[] = {"bash", "--norc", "--noprofile", "-c", (char *)text, NULL};
  char **variables = merge_environment(reader);
  if (variables == NULL || !reader->valid || !map_path(directory, mapped, sizeof mapped)) {
    free(variables);
    return send_error(connection->socket, ERROR_FAILED, "malformed command");
  }
  pthread_mutex_lock(&command_lock);
  struct command *command = find_command(identifier);
  bool fresh = command == NULL;
  bool crowded = fresh && count_running() >= MAXIMUM_RUNNING_COMMANDS;
  if (fresh && !crowded) command = start_command(identifier, mapped, arguments, variables, flags, timeout_ms);
  free(variables);
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
  reply[0] = (char)suspended;
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
  suspended = suspend;
  for (int i = 0; i < command_count && count < MAXIMUM_RUNNING_COMMANDS; i++) {
    if (command_table[i]->maintenance && !command_table[i]->exited) excluded[count++] = command_table[i]->pid;
  }
  signal_workload(suspend ? SIGSTOP : SIGCONT, excluded, count);
  pthread_mutex_unlock(&command_lock);
  return send_reply(connection->socket, REPLY_END);
}
