#include "supervisor.h"

#include <sys/prctl.h>
#include <sys/un.h>

struct connection connections[MAXIMUM_CONNECTIONS];

static handler *const handlers[] = {
    [SPAWN] = handle_spawn,     [STDIN] = handle_stdin, [CONTROL] = handle_control, [READ] = handle_read,
    [PLACE] = handle_place,     [SCAN] = handle_scan,   [DELETE] = handle_delete,   [CONNECT] = handle_connect,
    [COMMANDS] = handle_commands, [SUSPEND] = handle_suspend, [RESUME] = handle_suspend, [SHUTDOWN] = handle_shutdown,
};

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "supervisor: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void *serve_connection(void *argument) {
  struct connection *connection = argument;
  uint32_t version = PROTOCOL_VERSION;
  bool alive = send_value(connection, HELLO, &version, sizeof version);
  while (alive && receive_frame(connection)) {
    uint8_t type = connection->type;
    alive = type < sizeof handlers / sizeof *handlers && handlers[type] != NULL && handlers[type](connection);
  }
  close(connection->wake);
  close(connection->socket);
  madvise(connection->input, (size_t)((char *)(connection + 1) - connection->input), MADV_DONTNEED);
  connection->start = connection->filled = 0;
  connection->socket = 0; /* last: the place is free again */
  return NULL;
}

void accept_connection(int listener) {
  pthread_t thread;
  pthread_attr_t attributes;
  int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC), event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct connection *free_one = NULL;
  for (int i = 0; i < MAXIMUM_CONNECTIONS; i++) {
    if (connections[i].socket == 0) free_one = &connections[i];
  }
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 1 << 20);
  if (socket >= 0 && event >= 0 && free_one != NULL) {
    free_one->wake = event;
    free_one->socket = socket;
    if (pthread_create(&thread, &attributes, serve_connection, free_one) == 0) return;
    free_one->socket = 0;
  }
  if (event >= 0) close(event);
  if (socket >= 0) close(socket);
  usleep(10000); /* out of descriptors, memory or places */
}

/* The directory says who may connect. */
static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  unlink(path);
  umask(0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 128) != 0) fail(path);
  return listener;
}

static void on_child(int ignored) {
  int reason = errno;
  if (write(main_wake, &(uint64_t){1}, sizeof(uint64_t)) < 0) ignored = 0; /* full: it is awake anyway */
  errno = reason;
  (void)ignored;
}

/* `--work COUNT`: descriptors 3 and following are entrances of the workload's cgroups; `--listen FD` comes behind. */
int main(int count, char **arguments) {
  int listener = -1;
  for (int i = 1; i + 1 < count; i += 2) {
    char *name = arguments[i], *value = arguments[i + 1];
    if (strcmp(name, "--listen") == 0) listener = atoi(value);
    else if (strcmp(name, "--listen-path") == 0) listener = listen_at(value);
    else if (strcmp(name, "--work") == 0) entrance_count = atoi(value);
    else if (strcmp(name, "--processes") == 0) process_limit = value;
    else if (strcmp(name, "--launch") == 0) launch_program = value;
    else count = -1;
  }
  errno = EINVAL;
  if (count < 0 || launch_program == NULL) fail("usage: (--listen FD | --listen-path PATH) --launch PROGRAM");
  /* The workload shares our user id: it must not trace us or open our descriptors. */
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) fail("dumpable");
  for (int fd = 3; fd < 3 + entrance_count; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (fcntl(listener, F_SETFD, FD_CLOEXEC) != 0 || fcntl(listener, F_SETFL, O_NONBLOCK) != 0) fail("--listen");
  umask(0); /* modes are said for each file */
  main_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  signal(SIGCHLD, on_child);
  prepare_checksums();
  for (;;) serve_commands(listener);
}
