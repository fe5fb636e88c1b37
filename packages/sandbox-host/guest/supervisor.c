#define _GNU_SOURCE
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROTOCOL_VERSION = 1, MAXIMUM_PATHS = 32, ACCEPT_PAUSE_US = 10000 };

struct options {
  int listener, seccomp;
  int join[MAXIMUM_FDS], join_count;
  int work[MAXIMUM_FDS], work_count;
  uint64_t processes, file_bytes;
  char *readable[MAXIMUM_PATHS], *writable[MAXIMUM_PATHS];
  int readable_count, writable_count;
};

static atomic_int connection_count;

static bool handle_request(struct connection *connection, struct frame *frame) {
  struct reader reader = {frame->payload, frame->payload + frame->length, true};
  switch (frame->type) {
    case REQUEST_SPAWN: return handle_spawn(connection, &reader);
    case REQUEST_ATTACH: return handle_attach(connection, &reader);
    case REQUEST_STDIN: return handle_stdin(connection, &reader);
    case REQUEST_KILL: return handle_kill(connection, &reader);
    case REQUEST_READ: return handle_read(connection, &reader);
    case REQUEST_WRITE: return handle_write(connection, &reader);
    case REQUEST_STAT: return handle_stat(connection, &reader);
    case REQUEST_LIST: return handle_list(connection, &reader);
    case REQUEST_TREE: return handle_tree(connection, &reader);
    case REQUEST_DELETE: return handle_delete(connection, &reader);
    case REQUEST_STATUS: return handle_status(connection);
    case REQUEST_SUSPEND: return handle_suspend(connection, true);
    case REQUEST_RESUME: return handle_suspend(connection, false);
    case REQUEST_SHUTDOWN: signal_workload(SIGKILL, NULL, 0); exit(0);
    default: return false;
  }
}

static void *serve_connection(void *argument) {
  struct connection connection = {.socket = (int)(intptr_t)argument, .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  char version[4];
  put_number(version, PROTOCOL_VERSION, sizeof version);
  struct frame frame;
  bool alive = connection.wake >= 0 && send_frame(connection.socket, REPLY_HELLO, version, sizeof version, NULL, 0);
  while (alive && receive_frame(&connection, &frame)) alive = handle_request(&connection, &frame);
  close(connection.socket);
  if (connection.wake >= 0) close(connection.wake);
  free(connection.buffer);
  connection_count--;
  return NULL;
}

static void accept_connection(int listener) {
  int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (socket < 0) {
    usleep(ACCEPT_PAUSE_US); /* out of descriptors or memory: the socket stays readable */
    return;
  }
  if (++connection_count <= MAXIMUM_CONNECTIONS && start_thread(serve_connection, (void *)(intptr_t)socket)) return;
  connection_count--;
  close(socket);
}

static void add_number(int *list, int *count, const char *text) {
  errno = EINVAL;
  if (*count == MAXIMUM_FDS) fail("too many descriptors");
  list[*count] = atoi(text);
  fcntl(list[(*count)++], F_SETFD, FD_CLOEXEC);
}

static void add_path(char **list, int *count, char *text) {
  errno = EINVAL;
  if (*count == MAXIMUM_PATHS) fail("too many paths");
  list[(*count)++] = text;
}

static void read_options(int count, char **arguments, struct options *options) {
  for (int i = 1; i + 1 < count; i += 2) {
    const char *name = arguments[i];
    char *value = arguments[i + 1];
    if (strcmp(name, "--listen") == 0) options->listener = atoi(value);
    else if (strcmp(name, "--seccomp") == 0) options->seccomp = atoi(value);
    else if (strcmp(name, "--join") == 0) add_number(options->join, &options->join_count, value);
    else if (strcmp(name, "--work") == 0) add_number(options->work, &options->work_count, value);
    else if (strcmp(name, "--processes") == 0) options->processes = strtoull(value, NULL, 10);
    else if (strcmp(name, "--file-bytes") == 0) options->file_bytes = strtoull(value, NULL, 10);
    else if (strcmp(name, "--readable") == 0) add_path(options->readable, &options->readable_count, value);
    else if (strcmp(name, "--writable") == 0) add_path(options->writable, &options->writable_count, value);
    else if (strcmp(name, "--map") != 0 || !add_path_mapping(value)) {
      errno = EINVAL;
      fail(name);
    }
  }
}

/* Into our own cgroups while nothing of the workload exists; the descriptors do not outlive this. */
static void join_cgroups(struct options *options) {
  for (int i = 0; i < options->join_count; i++) {
    if (write(options->join[i], "0", 1) != 1) fail("cannot enter a cgroup");
    close(options->join[i]);
  }
  set_work_descriptors(options->work, options->work_count);
}

static void confine(struct options *options) {
  apply_resource_limits(options->processes, options->file_bytes);
  if (options->writable_count > 0) {
    apply_landlock(options->readable, options->readable_count, options->writable, options->writable_count);
  }
  if (options->seccomp >= 0) apply_seccomp(options->seccomp);
  /* The workload shares our user id: it must not trace us or open our descriptors. */
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) fail("dumpable");
}

static void *prepare_first_candidate(void *ignored) {
  prepare_candidate();
  return ignored;
}

int main(int count, char **arguments) {
  struct options options = {.listener = -1, .seccomp = -1};
  if (count == 3 && strcmp(arguments[1], "--probe") == 0) return printf("%ld\n", landlock_version()) < 0;
  read_options(count, arguments, &options);
  join_cgroups(&options);
  confine(&options);
  umask(022);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t child_signal;
  sigemptyset(&child_signal);
  sigaddset(&child_signal, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child_signal, NULL); /* before any thread: they inherit it */
  int children = signalfd(-1, &child_signal, SFD_CLOEXEC | SFD_NONBLOCK);
  if (children < 0 || fcntl(options.listener, F_SETFD, FD_CLOEXEC) != 0) fail("--listen");
  start_thread(prepare_first_candidate, NULL);
  for (;;) {
    struct pollfd polled[2] = {{options.listener, POLLIN, 0}, {children, POLLIN, 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) fail("poll");
    struct signalfd_siginfo ignored;
    while (read(children, &ignored, sizeof ignored) > 0) continue;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) record_exit(pid, status);
    if (polled[0].revents != 0) accept_connection(options.listener);
  }
}
