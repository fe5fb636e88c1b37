#define _GNU_SOURCE
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROTOCOL_VERSION = 2, ACCEPT_PAUSE_US = 10000, EVENTS = 16, STACK_BYTES = 1 << 20, BACKLOG = 128 };

static atomic_int connection_count;

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "supervisor: %s: %s\n", what, strerror(errno));
  exit(1);
}

static bool handle_request(struct connection *connection) {
  struct reader *request = &connection->payload;
  switch (connection->type) {
    case REQUEST_SPAWN: return handle_spawn(connection, request);
    case REQUEST_ATTACH: return handle_attach(connection, request);
    case REQUEST_STDIN: return handle_stdin(connection, request);
    case REQUEST_CONTROL: return handle_control(connection, request);
    case REQUEST_READ: return handle_read(connection, request);
    case REQUEST_PLACE: return handle_place(connection, request);
    case REQUEST_SCAN: return handle_scan(connection, request);
    case REQUEST_DELETE: return send_errno(connection, unlink(read_string(request)) == 0 ? 0 : errno);
    case REQUEST_PROCESSES: return handle_processes(connection);
    case REQUEST_CONNECT: return handle_connect(connection, request);
    case REQUEST_COMMANDS: return handle_commands(connection);
    case REQUEST_SUSPEND: return handle_suspend(connection, true);
    case REQUEST_RESUME: return handle_suspend(connection, false);
    case REQUEST_SHUTDOWN: signal_workload(SIGKILL); exit(0);
    default: return false;
  }
}

static void *serve_connection(void *argument) {
  size_t size = sizeof(struct connection);
  struct connection *connection = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char version[4];
  put_number(version, PROTOCOL_VERSION, sizeof version);
  if (connection != MAP_FAILED) {
    connection->socket = (int)(intptr_t)argument;
    connection->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool alive = connection->wake >= 0 && send_frame(connection, REPLY_HELLO, version, sizeof version, NULL, 0);
    while (alive && receive_frame(connection)) alive = handle_request(connection);
    if (connection->wake >= 0) close(connection->wake);
    munmap(connection, size);
  }
  close((int)(intptr_t)argument);
  connection_count--;
  return NULL;
}

static void accept_connection(int listener) {
  pthread_t thread;
  pthread_attr_t attributes;
  int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (socket < 0) usleep(ACCEPT_PAUSE_US); /* out of descriptors or memory: the socket stays readable */
  if (socket < 0) return;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  bool room = ++connection_count <= MAXIMUM_CONNECTIONS;
  if (room && pthread_create(&thread, &attributes, serve_connection, (void *)(intptr_t)socket) == 0) return;
  connection_count--;
  close(socket);
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  errno = ENAMETOOLONG;
  if (strlen(path) >= sizeof address.sun_path) fail(path);
  strcpy(address.sun_path, path);
  unlink(path);
  umask(0); /* the directory says who may connect */
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, BACKLOG) != 0) fail(path);
  return listener;
}

/* `--work COUNT`: descriptors 3 and following are entrances of the workload's cgroups; `--listen FD` comes behind. */
static int read_options(int count, char **arguments) {
  int listener = -1;
  for (int i = 1; i < count; i += 2) {
    const char *name = arguments[i], *value = i + 1 < count ? arguments[i + 1] : "";
    if (strcmp(name, "--listen") == 0) listener = atoi(value);
    else if (strcmp(name, "--listen-path") == 0) listener = listen_at(value);
    else if (strcmp(name, "--work") == 0) entrance_count = atoi(value);
    else if (strcmp(name, "--processes") == 0) workload_processes = strtoull(value, NULL, 10);
    else {
      errno = EINVAL;
      fail(name);
    }
  }
  return listener;
}

int main(int count, char **arguments) {
  int listener = read_options(count, arguments), events = epoll_create1(EPOLL_CLOEXEC), status;
  /* The workload shares our user id: it must not trace us or open our descriptors. */
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) fail("dumpable");
  umask(022);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t child_signal;
  sigemptyset(&child_signal);
  sigaddset(&child_signal, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child_signal, NULL); /* before any thread: they inherit it */
  int children = signalfd(-1, &child_signal, SFD_CLOEXEC | SFD_NONBLOCK);
  for (int fd = 3; fd < 3 + entrance_count; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (children < 0 || fcntl(listener, F_SETFD, FD_CLOEXEC) != 0) fail("--listen");
  epoll_ctl(events, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
  epoll_ctl(events, EPOLL_CTL_ADD, children, &(struct epoll_event){.events = EPOLLIN, .data.ptr = &children});
  start_commands(events);
  prepare_checksums();
  prepare_candidate();
  for (;;) {
    struct epoll_event told[EVENTS];
    int happened = epoll_wait(events, told, EVENTS, keep_deadlines());
    struct signalfd_siginfo ignored;
    for (int i = 0; i < happened; i++) {
      if (told[i].data.ptr == NULL) accept_connection(listener);
      else if (told[i].data.ptr == &children) (void)!read(children, &ignored, sizeof ignored);
      else pump_output(told[i].data.ptr);
    }
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) record_exit(pid, status);
  }
}
