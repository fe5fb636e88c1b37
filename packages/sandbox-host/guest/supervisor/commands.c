/*
 * The table of commands, and the requests about them. A command is found by its identifier as long as the sandbox
 * lives, running or not, so that whoever lost a connection can join it again at the byte where it was.
 */
#define _GNU_SOURCE
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DRAIN_READS = 64, SUMMARY_BYTES = 22, MAXIMUM_LINGERING = 256 };

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
struct command *commands[MAXIMUM_COMMANDS];
int command_count;
bool suspended;
static int events, poke; /* the main thread's epoll; eventfd in it: deadlines changed */

void start_commands(int epoll) {
  events = epoll;
  poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_ctl(events, EPOLL_CTL_ADD, poke, &(struct epoll_event){.events = EPOLLIN | EPOLLET, .data.ptr = &poke});
}

static void poke_main(void) {
  uint64_t one = 1;
  if (write(poke, &one, sizeof one) < 0) return; /* full: it is awake anyway */
}

static struct command *find_command(const char *identifier) {
  for (int i = command_count - 1; i >= 0; i--) {
    if (strcmp(commands[i]->identifier, identifier) == 0) return commands[i];
  }
  return NULL;
}

static void close_stream(struct stream *stream) {
  if (stream->fd < 0) return;
  epoll_ctl(events, EPOLL_CTL_DEL, stream->fd, NULL); /* a child may hold it open for a moment longer */
  close(stream->fd);
  stream->fd = -1;
}

/* Of what a finished command left behind we go on reading, so that SIGPIPE does not kill it, and throw it away. */
static bool read_stream(struct stream *stream) {
  static char chunk[PIPE_BYTES]; /* the main thread's */
  ssize_t got = read(stream->fd, chunk, sizeof chunk);
  pthread_mutex_lock(&lock);
  if (got > 0 && !stream->command->finished) append_output(stream->command, stream->number, chunk, (size_t)got);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) close_stream(stream);
  pthread_mutex_unlock(&lock);
  return got > 0;
}

void pump_output(void *told) {
  struct stream *stream = told;
  uint64_t ignored;
  if (told == &poke) (void)!read(poke, &ignored, sizeof ignored);
  else if (stream->fd >= 0) read_stream(stream);
}

static void close_input(struct command *command) {
  if (command->input >= 0) close(command->input);
  command->input = -1;
}

/* A command has ended when its process has, and what it wrote until then is read. */
void record_exit(pid_t pid, int status) {
  struct command *command = NULL;
  pthread_mutex_lock(&lock);
  forget_candidate(pid);
  for (int i = command_count - 1; i >= 0 && command == NULL; i--) {
    if (commands[i]->pid == pid && !commands[i]->exited) command = commands[i];
  }
  if (command != NULL) command->exited = true;
  pthread_mutex_unlock(&lock);
  if (command == NULL) return;
  for (int i = 0; i < 2; i++) {
    for (int reads = 0; reads < DRAIN_READS && command->output[i].fd >= 0 && read_stream(&command->output[i]);) reads++;
  }
  pthread_mutex_lock(&lock);
  command->wait_status = status;
  command->finished = true;
  close_input(command);
  if (command->terminal >= 0) close(command->terminal);
  wake_followers(command);
  pthread_mutex_unlock(&lock);
  prepare_candidate(); /* now, and not while a command starts: it would have to wait for the kernel */
}

int keep_deadlines(void) {
  int64_t now = now_ms(), next = INT64_MAX;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < command_count; i++) {
    struct command *command = commands[i];
    if (command->exited) continue;
    bool expired = command->deadline > 0 && now >= command->deadline;
    if (expired) command->timed_out = true;
    if (expired || (command->kill_deadline > 0 && now >= command->kill_deadline)) {
      command->deadline = command->kill_deadline = 0;
      signal_command_tree(command->pid, SIGKILL);
    }
    if (command->deadline > 0 && command->deadline < next) next = command->deadline;
    if (command->kill_deadline > 0 && command->kill_deadline < next) next = command->kill_deadline;
  }
  pthread_mutex_unlock(&lock);
  if (next == INT64_MAX) return -1;
  return next - now > INT_MAX ? INT_MAX : (int)(next - now);
}

/* Opens a terminal for a command: our end, and its name. -1: there is none. */
static int open_terminal(char *name, size_t capacity, uint16_t rows, uint16_t columns) {
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), number, unlock = 0;
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  bool ready = master >= 0 && ioctl(master, TIOCSPTLCK, &unlock) == 0 && ioctl(master, TIOCGPTN, &number) == 0 &&
               ioctl(master, TIOCSWINSZ, &size) == 0;
  if (ready) snprintf(name, capacity, "/dev/pts/%d", number);
  if (!ready && master >= 0) close(master);
  return ready ? master : -1;
}

/* With the lock held. Makes room for one more. */
static bool forget_oldest(void) {
  int oldest = 0;
  if (command_count < MAXIMUM_COMMANDS) return true;
  while (oldest < command_count && (!commands[oldest]->finished || commands[oldest]->followers != NULL)) oldest++;
  if (oldest == command_count) return false;
  struct command *command = commands[oldest];
  for (int i = 0; i < 2; i++) close_stream(&command->output[i]);
  drop_log(&command->log);
  free(command);
  memmove(commands + oldest, commands + oldest + 1, sizeof *commands * (size_t)(--command_count - oldest));
  return true;
}

static void watch_stream(struct command *command, int which, int fd) {
  command->output[which] = (struct stream){command, fd, (uint8_t)(which + 1)};
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &command->output[which]};
  if (fd >= 0) epoll_ctl(events, EPOLL_CTL_ADD, fd, &event);
}

/* With the lock held. `words`: directory, command, NAME=value ... NULL: nothing was started. */
static struct command *start_command(const char *identifier, uint8_t flags, uint32_t timeout_ms, uint16_t rows,
                                     uint16_t columns, struct reader *words) {
  struct candidate candidate;
  char terminal[32] = "";
  int master = flags & SPAWN_TERMINAL ? open_terminal(terminal, sizeof terminal, rows, columns) : -1;
  struct command *command = (flags & SPAWN_TERMINAL) && master < 0 ? NULL : calloc(1, sizeof *command);
  if (command == NULL || !forget_oldest() || !take_candidate(flags & SPAWN_MAINTENANCE, &candidate)) {
    if (master >= 0) close(master);
    free(command);
    return NULL;
  }
  strcpy(command->identifier, identifier);
  command->maintenance = flags & SPAWN_MAINTENANCE;
  command->started = now_ms();
  if (timeout_ms > 0) command->deadline = command->started + timeout_ms;
  command->pid = candidate.pid;
  command->input = candidate.pipes[0];
  command->terminal = master >= 0 ? open(terminal, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
  if (!send_order(&candidate, flags, terminal, words)) kill(candidate.pid, SIGKILL); /* an end like any other */
  if (master >= 0 || !(flags & SPAWN_STDIN)) close_input(command);
  if (master >= 0) command->input = fcntl(master, F_DUPFD_CLOEXEC, 0);
  watch_stream(command, 0, candidate.pipes[1]);
  watch_stream(command, 1, candidate.pipes[2]);
  if (master >= 0) {
    close_stream(&command->output[0]);
    watch_stream(command, 0, master);
  }
  commands[command_count++] = command;
  poke_main();
  return command;
}

/* u8 kind (0: it runs), i32 code or signal */
static char *describe_exit(const struct command *command, char *target) {
  int status = command->wait_status;
  uint8_t kind = command->timed_out ? EXIT_TIMED_OUT : WIFSIGNALED(status) ? EXIT_SIGNALLED : EXIT_EXITED;
  target = put_number(target, command->finished ? kind : 0, 1);
  return put_number(target, (uint64_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)), 4);
}

/* With the lock held; returns without it. Sends output from `wanted` on until the command has finished. */
static bool follow_command(struct connection *connection, struct command *command, uint64_t wanted) {
  struct cursor cursor = command->log.head;
  struct pollfd polled[2] = {{connection->wake, POLLIN, 0}, {connection->socket, POLLIN | POLLRDHUP, 0}};
  bool alive = true, finished = false;
  char number[8];
  connection->next_follower = command->followers;
  command->followers = connection;
  pthread_mutex_unlock(&lock);
  alive = send_reply(connection, REPLY_STARTED);
  pthread_mutex_lock(&lock);
  while (alive && !finished) {
    uint8_t stream = 0;
    uint64_t gap, ignored;
    size_t count = take_output(&command->log, &cursor, &wanted, &gap, &stream, connection->chunk);
    finished = count == 0 && command->finished;
    pthread_mutex_unlock(&lock);
    put_number(number, gap, sizeof number);
    if (gap > 0) alive = send_frame(connection, REPLY_GAP, number, sizeof number, NULL, 0);
    if (count > 0) {
      alive = alive && send_frame(connection, REPLY_OUTPUT, &stream, 1, connection->chunk, count);
    } else if (!finished) {
      poll(polled, 2, -1);
      if (polled[0].revents != 0 && read(connection->wake, &ignored, sizeof ignored) < 0) alive = errno == EAGAIN;
      if (polled[1].revents != 0) alive = false; /* closed, or spoke out of turn */
    }
    pthread_mutex_lock(&lock);
  }
  char reply[5];
  describe_exit(command, reply);
  struct connection **link = &command->followers;
  while (*link != connection) link = &(*link)->next_follower;
  *link = connection->next_follower;
  pthread_mutex_unlock(&lock);
  return alive && send_frame(connection, REPLY_EXIT, reply, sizeof reply, NULL, 0);
}

/* A second spawn under a known identifier joins the first: a repeated request never runs a command twice. */
bool handle_spawn(struct connection *connection, struct reader *request) {
  uint8_t flags = (uint8_t)read_number(request, 1);
  uint32_t timeout_ms = (uint32_t)read_number(request, 4);
  uint16_t rows = (uint16_t)read_number(request, 2), columns = (uint16_t)read_number(request, 2);
  const char *identifier = read_string(request);
  struct reader words = *request;
  read_string(request);
  read_string(request);
  size_t length = strlen(identifier);
  if (!request->valid || request->end[-1] != '\0' || length == 0 || length > MAXIMUM_IDENTIFIER_BYTES) {
    return send_error(connection, ERROR_FAILED, "malformed command");
  }
  pthread_mutex_lock(&lock);
  struct command *command = find_command(identifier);
  int running = 0;
  for (int i = 0; i < command_count; i++) running += !commands[i]->finished;
  bool crowded = running >= MAXIMUM_RUNNING_COMMANDS;
  if (command == NULL && !crowded) command = start_command(identifier, flags, timeout_ms, rows, columns, &words);
  if (command != NULL) return follow_command(connection, command, 0);
  pthread_mutex_unlock(&lock);
  return send_error(connection, ERROR_FAILED, crowded ? "too many commands are running" : "cannot start a process");
}

bool handle_attach(struct connection *connection, struct reader *request) {
  uint64_t offset = read_number(request, 8);
  const char *identifier = read_string(request);
  if (!request->valid) return false;
  pthread_mutex_lock(&lock);
  struct command *command = find_command(identifier);
  if (command != NULL) return follow_command(connection, command, offset);
  pthread_mutex_unlock(&lock);
  return send_reply(connection, REPLY_ABSENT);
}

/* At the pace of the command; a peer that hung up is not waited for. */
static bool feed(int socket, int input, struct reader *bytes) {
  while (bytes->next < bytes->end) {
    ssize_t put = write(input, bytes->next, (size_t)(bytes->end - bytes->next));
    if (put < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (put > 0) bytes->next += put;
    if (put > 0) continue;
    struct pollfd polled[2] = {{input, POLLOUT, 0}, {socket, POLLRDHUP, 0}};
    poll(polled, 2, -1);
    if (polled[1].revents != 0) return false;
  }
  return true;
}

bool handle_stdin(struct connection *connection, struct reader *request) {
  const char *identifier = read_string(request);
  if (!request->valid) return false;
  pthread_mutex_lock(&lock);
  struct command *command = find_command(identifier);
  int input = command == NULL || command->input < 0 ? -1 : fcntl(command->input, F_DUPFD_CLOEXEC, 0);
  pthread_mutex_unlock(&lock);
  bool alive, wanted = input >= 0;
  while ((alive = receive_frame(connection)) && connection->type == FRAME_DATA) {
    wanted = wanted && feed(connection->socket, input, &connection->payload);
  }
  if (input >= 0) close(input);
  return alive && connection->type == FRAME_END && send_reply(connection, wanted ? FRAME_END : REPLY_ABSENT);
}

bool handle_control(struct connection *connection, struct reader *request) {
  uint8_t action = (uint8_t)read_number(request, 1);
  uint16_t first = (uint16_t)read_number(request, 2), second = (uint16_t)read_number(request, 2);
  const char *identifier = read_string(request);
  if (!request->valid) return false;
  int reason = 0;
  pthread_mutex_lock(&lock);
  struct command *command = find_command(identifier);
  struct winsize size = {.ws_row = first, .ws_col = second};
  if (command == NULL || command->exited) {
    reason = ENOENT;
  } else if (action == CONTROL_KILL) {
    kill(-command->pid, SIGTERM);
    command->kill_deadline = now_ms() + KILL_GRACE_MS;
    poke_main();
  } else if (action == CONTROL_SIGNAL) {
    reason = kill(-command->pid, first) == 0 ? 0 : errno;
  } else if (action == CONTROL_RESIZE) {
    reason = command->terminal < 0 ? ENOTTY : ioctl(command->input, TIOCSWINSZ, &size) == 0 ? 0 : errno;
  } else if (command->terminal >= 0) {
    reason = write(command->input, "\4", 1) == 1 ? 0 : errno;
  } else {
    close_input(command);
  }
  pthread_mutex_unlock(&lock);
  return send_errno(connection, reason);
}

/* DATA: u8 suspended, then for each: u8 maintenance, its exit, u64 age in ms, u64 bytes of output, identifier. */
bool handle_commands(struct connection *connection) {
  pthread_mutex_lock(&lock);
  char *reply = malloc(1 + (size_t)command_count * (SUMMARY_BYTES + MAXIMUM_IDENTIFIER_BYTES + 1)), *next = reply;
  if (reply != NULL) next = put_number(next, suspended, 1);
  for (int i = 0; reply != NULL && i < command_count; i++) {
    next = describe_exit(commands[i], put_number(next, commands[i]->maintenance, 1));
    next = put_number(next, (uint64_t)(now_ms() - commands[i]->started), 8);
    next = put_number(next, commands[i]->log.tail.offset, 8);
    next = stpcpy(next, commands[i]->identifier) + 1;
  }
  pthread_mutex_unlock(&lock);
  bool alive = reply != NULL && send_data(connection, reply, (size_t)(next - reply));
  free(reply);
  return alive;
}

bool handle_suspend(struct connection *connection, bool suspend) {
  pthread_mutex_lock(&lock);
  suspended = suspend;
  signal_workload(suspend ? SIGSTOP : SIGCONT);
  pthread_mutex_unlock(&lock);
  return send_reply(connection, FRAME_END);
}
