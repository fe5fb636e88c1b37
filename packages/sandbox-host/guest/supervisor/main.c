#include "supervisor.h"

#include <sys/un.h>

enum { FIRST_INPUT = 1 + MAXIMUM_CONNECTIONS, FIRST_STREAM = FIRST_INPUT + MAXIMUM_CONNECTIONS };

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "supervisor: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void accept_connection(int listener) {
  uint32_t version = PROTOCOL_VERSION;
  struct connection *connection = connections, *end = connections + MAXIMUM_CONNECTIONS;
  int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  while (connection < end && connection->peer.socket != 0) connection++;
  if (socket < 0) usleep(10000); /* out of descriptors or memory */
  if (socket > 0 && connection == end) close(socket);
  if (socket <= 0 || connection == end) return;
  connection->peer.socket = socket;
  put(&connection->peer, HELLO, &version, sizeof version);
  serve_connection(connection, 0);
}

/* One round: waits until something has happened, then does all that can be done without waiting. */
static void serve(int listener, const sigset_t *unblocked) {
  static struct pollfd polled[FIRST_STREAM + MAXIMUM_STREAMS];
  int64_t now = now_ms(), next = now + INT_MAX;
  int streams = list_streams(polled + FIRST_STREAM, &next);
  polled[0] = (struct pollfd){listener, POLLIN, 0};
  for (int i = 0; i < MAXIMUM_CONNECTIONS; i++) {
    const struct connection *connection = &connections[i];
    bool feeds = connection->command != NULL && connection->feeds;
    short events = connection->peer.unsent > 0 ? POLLOUT : feeds ? 0 : POLLIN | POLLRDHUP;
    polled[1 + i] = (struct pollfd){connection->peer.socket > 0 ? connection->peer.socket : -1, events, 0};
    int input = feeds && connection->command->begun ? connection->command->input : -1;
    polled[FIRST_INPUT + i] = (struct pollfd){input, POLLOUT, 0};
  }
  struct timespec left = {(next - now) / 1000, (next - now) % 1000 * 1000000};
  ppoll(polled, (nfds_t)(FIRST_STREAM + streams), &left, unblocked);
  read_streams(polled + FIRST_STREAM, streams);
  for (int i = 0; i < MAXIMUM_CONNECTIONS; i++) serve_connection(&connections[i], polled[1 + i].revents);
  if (polled[0].revents != 0) accept_connection(listener);
  /* Entering its cgroups takes time, from whoever runs. */
  if (waiting.pid == 0 && now_ms() >= calm) start_candidate(false, &waiting);
}

/* At a place that exists only inside; the directory says who may connect. */
static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  umask(0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 128) != 0) fail(path);
  return listener;
}

/* Ends the wait for events. */
static void on_child(int number) {
  (void)number;
}

/* LISTENER is a path, or a descriptor behind those of the workload's ENTRANCES (to its cgroups), 3 and following. */
int main(int count, char **arguments) {
  sigset_t unblocked, child;
  errno = EINVAL;
  if (count != 6) fail("usage: supervisor LISTENER ENTRANCES PROCESSES LAUNCH TRANSFER");
  int listener = *arguments[1] == '/' ? listen_at(arguments[1]) : atoi(arguments[1]);
  entrance_count = atoi(arguments[2]);
  process_limit = arguments[3]; /* 0: none */
  launch_program = arguments[4];
  transfer_program = arguments[5];
  /* The workload shares our user id: it must not trace us or open our descriptors. */
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) fail("dumpable");
  for (int fd = 3; fd < 3 + entrance_count; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (fcntl(listener, F_SETFD, FD_CLOEXEC) != 0 || fcntl(listener, F_SETFL, O_NONBLOCK) != 0) fail("listener");
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  signal(SIGCHLD, on_child);
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  if (sigprocmask(SIG_BLOCK, &child, &unblocked) != 0) fail("signals");
  for (;;) serve(listener, &unblocked);
}
