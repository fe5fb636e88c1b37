/* A connection to a port of the sandbox's own loopback interface: bytes in both directions, each at its reader's pace. */
#include "supervisor.h"

struct flow {
  int from, to, peer;
  char *buffer;
};

static void *carry(void *argument) {
  struct flow *flow = argument;
  ssize_t got = -1;
  while (wait_until(flow->from, POLLIN, flow->peer) && (got = read(flow->from, flow->buffer, READ_AHEAD_BYTES)) > 0) {
    if (!write_patiently(flow->to, flow->buffer, (size_t)got, flow->peer)) break;
  }
  shutdown(flow->to, got == 0 ? SHUT_WR : SHUT_RDWR);
  return NULL;
}

static int connect_loopback(uint16_t port) {
  struct sockaddr_in old = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct sockaddr_in6 new = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr *)&old, sizeof old) == 0) return fd;
  if (fd >= 0) close(fd);
  fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr *)&new, sizeof new) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

bool handle_connect(struct connection *connection) {
  uint16_t port;
  pthread_t thread;
  if (!take(connection, &port, sizeof port)) return false;
  int fd = connect_loopback(port);
  if (fd < 0) return send_result(connection, ENOENT);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  bool started = send_frame(connection, STARTED, 0);
  fcntl(connection->socket, F_SETFL, O_NONBLOCK);
  struct flow in = {connection->socket, fd, connection->socket, connection->input};
  struct flow out = {fd, connection->socket, connection->socket, connection->output};
  if (started && pthread_create(&thread, NULL, carry, &in) == 0) {
    carry(&out);
    pthread_join(thread, NULL);
  }
  close(fd);
  return false;
}
