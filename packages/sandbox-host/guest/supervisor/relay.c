/* A connection to a port of the sandbox's own loopback interface. */
#define _GNU_SOURCE
#include "supervisor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_SECONDS = 5 };

struct flow {
  int from, to, peer; /* peer: when it is gone, nobody waits for this any more */
  char *bytes;
};

static bool wait_until(int fd, short event, int peer) {
  struct pollfd polled[2] = {{fd, event, 0}, {peer, 0, 0}};
  while (poll(polled, 2, -1) < 0 && errno == EINTR) continue;
  return polled[1].revents == 0;
}

static void *carry(void *argument) {
  struct flow *flow = argument;
  ssize_t got;
  while (wait_until(flow->from, POLLIN, flow->peer) && (got = recv(flow->from, flow->bytes, PIPE_BYTES, 0)) > 0) {
    for (ssize_t done = 0, put; done < got; done += put) {
      if (!wait_until(flow->to, POLLOUT, flow->peer)) return NULL;
      put = send(flow->to, flow->bytes + done, (size_t)(got - done), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (put < 0 && errno != EAGAIN && errno != EINTR) return NULL;
      if (put < 0) put = 0;
    }
  }
  shutdown(flow->to, SHUT_WR);
  return NULL;
}

static int connect_loopback(uint16_t port) {
  struct sockaddr_in old = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct sockaddr_in6 new = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  struct timeval patience = {.tv_sec = CONNECT_SECONDS};
  for (int family = 0; family < 2; family++) {
    int fd = socket(family == 0 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* of connect, too */
    if (family == 0 && connect(fd, (struct sockaddr *)&old, sizeof old) == 0) return fd;
    if (family == 1 && connect(fd, (struct sockaddr *)&new, sizeof new) == 0) return fd;
    if (fd >= 0) close(fd);
  }
  return -1;
}

bool handle_connect(struct connection *connection, struct reader *request) {
  uint16_t port = (uint16_t)read_number(request, 2);
  int fd = request->valid ? connect_loopback(port) : -1;
  if (fd < 0) return request->valid && send_reply(connection, REPLY_ABSENT);
  struct flow in = {connection->socket, fd, connection->socket, connection->input};
  struct flow out = {fd, connection->socket, connection->socket, connection->chunk};
  pthread_t thread;
  if (send_reply(connection, REPLY_STARTED) && pthread_create(&thread, NULL, carry, &in) == 0) {
    carry(&out);
    pthread_join(thread, NULL);
  }
  close(fd);
  return false;
}
