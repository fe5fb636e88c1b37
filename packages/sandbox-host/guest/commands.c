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
static struct command *commands[MAXIMUM_COMMANDS];
static int command_count;
static size_t log_bytes_total;
static bool suspended;
static int work_descriptors[MAXIMUM_FDS], work_descriptor_count;

void set_work_descriptors(const int *descriptors, int count) {
  memcpy(work_descriptors, descriptors, sizeof(int) * (size_t)count);
  work_descriptor_count = count;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wake_up(int event) {
  uint64_t one = 1;
  if (write(event, &one, sizeof one) < 0) return; /* full: the reader is awake anyway */
}

static void wake_watchers(struct command *command) {
  for (int i = 0; i < command->watcher_count; i++) wake_up(command->watchers[i]);
}

static struct command *find_command(const char *identifier) {
  for (int i = command_count - 1; i >= 0; i--) {
    if (strcmp(commands[i]->identifier, identifier) == 0) return commands[i];
  }
  return NULL;
}

static int count_running(void) {
  int running = 0;
  for (int i = 0; i < command_count; i++) running += !commands[i]->finished;
  return running;
}

static void drop_log(struct command *command) {
  for (size_t at = 0; at < command->log_length;) {
    struct reader header = {command->log + at + 1, command->log + command->log_length, true};
    uint64_t length = read_number(&header, 4);
    command->dropped += length;
    at += CHUNK_HEADER_BYTES + length;
  }
  log_bytes_total -= command->log_capacity;
  free(command->log);
  command->log = NULL;
  command->log_length = command->log_capacity = 0;
}

static bool grow_log(struct command *command, size_t needed) {
  size_t capacity = command->log_capacity == 0 ? 16 << 10 : command->log_capacity;
  while (capacity < needed) capacity *= 2;
  for (int i = 0; i < command_count && log_bytes_total + capacity > LOG_BYTES_TOTAL; i++) {
    if (commands[i]->finished && commands[i]->log != NULL) drop_log(commands[i]);
  }
  char *larger = log_bytes_total + capacity > LOG_BYTES_TOTAL ? NULL : realloc(command->log, capacity);
  if (larger == NULL) return false;
  log_bytes_total += capacity - command->log_capacity;
  command->log = larger;
  command->log_capacity = capacity;
  return true;
}

static void append_output(struct command *command, int stream, const char *bytes, size_t count) {
  if (command->direct >= 0) {
    uint8_t name = (uint8_t)(stream + 1);
    if (send_frame(command->direct, REPLY_OUTPUT, &name, 1, bytes, count)) return;
    command->direct = -1; /* nobody reads any more: end it, drop the rest */
    signal_command_tree(command->pid, SIGKILL);
  }
  pthread_mutex_lock(&lock);
  size_t needed = command->log_length + CHUNK_HEADER_BYTES + count;
  bool full = command->dropped > 0 || needed > LOG_BYTES_PER_COMMAND;
  if (full || (needed > command->log_capacity && !grow_log(command, needed))) {
    command->dropped += count;
  } else {
    char *next = command->log + command->log_length;
    next += put_number(next, (uint64_t)stream + 1, 1);
    next += put_number(next, count, 4);
    memcpy(next, bytes, count);
    command->log_length = needed;
    wake_watchers(command);
  }
  pthread_mutex_unlock(&lock);
}

/* Reads once. False: nothing there now. */
static bool read_output(struct command *command, int stream, char *chunk) {
  ssize_t got = read(command->output[stream], chunk, CHUNK_BYTES);
  if (got > 0) append_output(command, stream, chunk, (size_t)got);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
    close(command->output[stream]);
    command->output[stream] = -1;
  }
  return got > 0;
}

static int enforce_deadlines(struct command *command) {
  pthread_mutex_lock(&lock);
  int64_t now = now_ms(), next = 0;
  bool expired = !command->exited && command->deadline > 0 && now >= command->deadline;
  if (expired) command->timed_out = true;
  bool kill_now = expired || (!command->exited && command->kill_deadline > 0 && now >= command->kill_deadline);
  if (kill_now) command->deadline = command->kill_deadline = 0;
  if (command->deadline > 0) next = command->deadline;
  if (command->kill_deadline > 0 && (next == 0 || command->kill_deadline < next)) next = command->kill_deadline;
  pthread_mutex_unlock(&lock);
  if (kill_now) signal_command_tree(command->pid, SIGKILL);
  if (next == 0) return -1;
  return next - now > INT_MAX ? INT_MAX : (int)(next - now);
}

static void finish_command(struct command *command) {
  pthread_mutex_lock(&lock);
  command->finished = true;
  wake_watchers(command);
  if (command->log != NULL && command->log_length < command->log_capacity) {
    char *exact = realloc(command->log, command->log_length);
    log_bytes_total -= exact == NULL ? 0 : command->log_capacity - command->log_length;
    if (exact != NULL) {
      command->log = exact;
      command->log_capacity = command->log_length;
    }
  }
  pthread_mutex_unlock(&lock);
}

/*
 * The command has ended when its process has ended and what it wrote until then is read. Processes it left behind keep
 * their pipe: we go on reading, so that they are not killed by SIGPIPE, and throw it away.
 */
static void run_command(struct command *command) {
  char *chunk = malloc(CHUNK_BYTES);
  bool exited = false;
  while (chunk != NULL && !exited) {
    struct pollfd polled[3] = {
        {command->output[0], POLLIN, 0}, {command->output[1], POLLIN, 0}, {command->wake, POLLIN, 0}};
    poll(polled, 3, enforce_deadlines(command));
    uint64_t ignored;
    if (read(command->wake, &ignored, sizeof ignored) > 0) {
      pthread_mutex_lock(&lock);
      exited = command->exited;
      pthread_mutex_unlock(&lock);
    }
    if (polled[0].revents != 0) read_output(command, STDOUT, chunk);
    if (polled[1].revents != 0) read_output(command, STDERR, chunk);
  }
  for (int stream = 0; stream < 2; stream++) {
    for (int i = 0; i < DRAIN_READS && command->output[stream] >= 0; i++) {
      if (!read_output(command, stream, chunk)) break;
    }
  }
  finish_command(command);
  bool keep_reading = chunk != NULL && command->direct < 0;
  while (keep_reading && (command->output[0] >= 0 || command->output[1] >= 0)) {
    struct pollfd left[2] = {{command->output[0], POLLIN, 0}, {command->output[1], POLLIN, 0}};
    poll(left, 2, -1);
    for (int stream = 0; stream < 2; stream++) {
      if (left[stream].revents != 0 && read(command->output[stream], chunk, CHUNK_BYTES) <= 0 && errno != EAGAIN) {
        close(command->output[stream]);
        command->output[stream] = -1;
      }
    }
  }
  for (int stream = 0; stream < 2; stream++) {
    if (command->output[stream] >= 0) close(command->output[stream]);
  }
  free(chunk);
}

static void release_command(struct command *command) {
  pthread_mutex_lock(&lock);
  command->released = true;
  pthread_mutex_unlock(&lock);
}

static void *serve_command(void *argument) {
  run_command(argument);
  release_command(argument);
  return NULL;
}

void record_exit(pid_t pid, int status) {
  pthread_mutex_lock(&lock);
  for (int i = command_count - 1; i >= 0; i--) {
    struct command *command = commands[i];
    if (command->pid != pid || command->exited) continue;
    command->exited = true;
    command->wait_status = status;
    wake_up(command->wake);
    break;
  }
  pthread_mutex_unlock(&lock);
}

/* Runs in the forked child: async-signal-safe calls only. The child enters its cgroups before it runs a byte of the command. */
static _Noreturn void become_command(bool maintenance, int *ends, const char *directory, char **arguments, char **variables) {
  setsid();
  for (int i = 0; !maintenance && i < work_descriptor_count; i++) {
    if (write(work_descriptors[i], "0", 1) != 1) _exit(125);
  }
  for (int fd = 0; fd < 3; fd++) dup2(ends[fd], fd);
  signal(SIGPIPE, SIG_DFL);
  signal(SIGXFSZ, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (suspended && !maintenance) raise(SIGSTOP);
  if (chdir(directory) != 0) {
    static const char message[] = "exoloop: the working directory does not exist or may not be entered\n";
    if (write(2, message, sizeof message - 1) < 0) _exit(125);
    _exit(126);
  }
  execve("/bin/bash", arguments, variables);
  char *plain[] = {"sh", "-c", arguments[4], NULL};
  execve("/bin/sh", plain, variables);
  const char *reason = errno == E2BIG ? "exoloop: the command or its environment is too long\n" : "exoloop: no shell\n";
  if (write(2, reason, strlen(reason)) < 0) _exit(125);
  _exit(126);
}

/* Our own environment with the request's NAME=value strings over it. The array is the caller's to free. */
static char **merge_environment(struct reader *reader) {
  extern char **environ;
  int base = 0, capacity;
  while (environ[base] != NULL) base++;
  capacity = base + 1;
  for (const char *at = reader->next; at < reader->end; at++) capacity += *at == '\0';
  char **merged = calloc((size_t)capacity, sizeof *merged);
  if (merged == NULL) return NULL;
  memcpy(merged, environ, sizeof *merged * (size_t)base);
  int count = base;
  while (reader->valid && reader->next < reader->end) {
    const char *variable = read_string(reader);
    size_t name_length = strcspn(variable, "=");
    int at = 0;
    while (at < count && (strncmp(merged[at], variable, name_length) != 0 || merged[at][name_length] != '=')) at++;
    merged[at] = (char *)variable;
    if (at == count) count++;
  }
  return merged;
}

static bool open_pipes(int *ours, int *theirs, bool with_input) {
  int pair[2];
  for (int fd = 0; fd < 3; fd++) {
    if (fd == 0 && !with_input) {
      theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
      continue;
    }
    if (pipe2(pair, O_CLOEXEC) != 0) return false;
    ours[fd] = fd == 0 ? pair[1] : pair[0];
    theirs[fd] = fd == 0 ? pair[0] : pair[1];
    if (fd != 0) fcntl(ours[fd], F_SETFL, O_NONBLOCK);
  }
  return theirs[0] >= 0;
}

static void forget_oldest(void) {
  for (int i = 0; i < command_count; i++) {
    struct command *old = commands[i];
    if (!old->released || old->watcher_count > 0) continue;
    drop_log(old);
    close(old->wake);
    if (old->input >= 0) close(old->input);
    free(old->identifier);
    free(old);
    memmove(commands + i, commands + i + 1, sizeof *commands * (size_t)(--command_count - i));
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
  commands[command_count++] = command;
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

struct cursor {
  size_t position;   /* of a chunk in the log */
  uint64_t to_skip;  /* bytes of output before what is wanted */
};

/* With the lock held: copies the next wanted bytes out of the log. 0: there are none yet. */
static size_t take_output(struct command *command, struct cursor *cursor, uint8_t *stream, char *target) {
  while (cursor->position < command->log_length) {
    struct reader header = {command->log + cursor->position, command->log + command->log_length, true};
    *stream = (uint8_t)read_number(&header, 1);
    size_t length = (size_t)read_number(&header, 4);
    size_t skipped = cursor->to_skip < length ? (size_t)cursor->to_skip : length;
    cursor->to_skip -= skipped;
    cursor->position += CHUNK_HEADER_BYTES + length;
    if (length == skipped) continue;
    memcpy(target, header.next + skipped, length - skipped);
    return length - skipped;
  }
  return 0;
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
  pthread_mutex_unlock(&lock);
  alive = alive && send_reply(connection->socket, REPLY_STARTED);
  pthread_mutex_lock(&lock);
  while (alive && !finished) {
    uint8_t stream = 0;
    size_t count = take_output(command, &cursor, &stream, chunk);
    finished = count == 0 && command->finished;
    pthread_mutex_unlock(&lock);
    if (count > 0) {
      alive = send_frame(connection->socket, REPLY_OUTPUT, &stream, 1, chunk, count);
    } else if (!finished) {
      struct pollfd polled[2] = {{connection->wake, POLLIN, 0}, {connection->socket, POLLIN | POLLRDHUP, 0}};
      poll(polled, 2, -1);
      uint64_t ignored;
      if (polled[0].revents != 0 && read(connection->wake, &ignored, sizeof ignored) < 0) alive = errno == EAGAIN;
      if (polled[1].revents != 0) alive = false; /* closed, or spoke out of turn */
    }
    pthread_mutex_lock(&lock);
  }
  char reply[EXIT_REPLY_BYTES];
  describe_exit(command, reply);
  watch(command, connection->wake, false);
  pthread_mutex_unlock(&lock);
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
  pthread_mutex_lock(&lock);
  struct command *command = find_command(identifier);
  bool fresh = command == NULL;
  bool crowded = fresh && count_running() >= MAXIMUM_RUNNING_COMMANDS;
  if (fresh && !crowded) command = start_command(identifier, mapped, arguments, variables, flags, timeout_ms);
  free(variables);
  if (command == NULL) {
    pthread_mutex_unlock(&lock);
    return send_error(connection->socket, ERROR_FAILED, crowded ? "too many commands are running" : "cannot start a process");
  }
  if (fresh && (flags & SPAWN_DIRECT)) {
    command->direct = connection->socket;
    pthread_mutex_unlock(&lock);
    return follow_directly(connection, command);
  }
  if (fresh && !start_thread(serve_command, command)) abandon_command(command);
  return follow_command(connection, command, 0);
}

bool handle_attach(struct connection *connection, struct reader *reader) {
  uint64_t offset = read_number(reader, 8);
  const char *identifier = read_string(reader);
  if (!reader->valid) return false;
  pthread_mutex_lock(&lock);
  struct command *command = find_command(identifier);
  if (command != NULL) return follow_command(connection, command, offset);
  pthread_mutex_unlock(&lock);
  return send_reply(connection->socket, REPLY_ABSENT);
}

bool handle_stdin(struct connection *connection, struct reader *reader) {
  const char *identifier = read_string(reader);
  if (!reader->valid) return false;
  pthread_mutex_lock(&lock);
  struct command *command = find_command(identifier);
  int input = command == NULL ? -1 : command->input;
  if (command != NULL) command->input = -1;
  pthread_mutex_unlock(&lock);
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
  pthread_mutex_lock(&lock);
  struct command *command = find_command(identifier);
  if (command != NULL && !command->exited) {
    kill(-command->pid, SIGTERM);
    command->kill_deadline = now_ms() + KILL_GRACE_MS;
    wake_up(command->wake);
  }
  pthread_mutex_unlock(&lock);
  return send_reply(connection->socket, command == NULL ? REPLY_ABSENT : REPLY_END);
}

/* Answers u8 suspended, then the NUL-terminated identifiers of the workload's running commands. */
bool handle_status(struct connection *connection) {
  char *reply = malloc(MAXIMUM_FRAME_BYTES / 2);
  if (reply == NULL) return false;
  size_t length = 1;
  pthread_mutex_lock(&lock);
  reply[0] = (char)suspended;
  for (int i = 0; i < command_count; i++) {
    size_t size = strlen(commands[i]->identifier) + 1;
    if (commands[i]->finished || commands[i]->maintenance || length + size > MAXIMUM_FRAME_BYTES / 2) continue;
    memcpy(reply + length, commands[i]->identifier, size);
    length += size;
  }
  pthread_mutex_unlock(&lock);
  bool alive = send_frame(connection->socket, REPLY_DATA, reply, length, NULL, 0);
  free(reply);
  return alive;
}

bool handle_suspend(struct connection *connection, bool suspend) {
  pid_t excluded[MAXIMUM_RUNNING_COMMANDS];
  int count = 0;
  pthread_mutex_lock(&lock);
  suspended = suspend;
  for (int i = 0; i < command_count && count < MAXIMUM_RUNNING_COMMANDS; i++) {
    if (commands[i]->maintenance && !commands[i]->exited) excluded[count++] = commands[i]->pid;
  }
  signal_workload(suspend ? SIGSTOP : SIGCONT, excluded, count);
  pthread_mutex_unlock(&lock);
  return send_reply(connection->socket, REPLY_END);
}
