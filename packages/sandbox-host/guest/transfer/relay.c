/* A connection to a port of the sandbox's own loopback interface: bytes both ways, each at its reader's pace. */
#include "transfer.h"

#include <netinet/in.h>

struct flow {
  int from, to;
  char *next, *buffer;
  size_t left; /* to be written, from `next` on */
  bool ended;
};

/* What can be done without waiting. False: one side is gone. */
static bool carry(struct flow *flow) {
  ssize_t put = flow->left > 0 ? write(flow->to, flow->next, flow->left) : 0;
  if (put < 0) return errno == EAGAIN || errno == EINTR;
  flow->next += put;
  flow->left -= (size_t)put;
  if (flow->left > 0 || flow->ended) return true;
  ssize_t got = read(flow->from, flow->buffer, READ_AHEAD_BYTES);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  flow->next = flow->buffer;
  flow->left = (size_t)got;
  flow->ended = got == 0;
  if (flow->ended) shutdown(flow->to, SHUT_WR);
  return true;
}

static int connect_loopback(uint16_t port) {
  struct sockaddr_in old = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct sockaddr_in6 new = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&old, sizeof old) == 0) return fd;
  if (fd >= 0) close(fd);
  fd = socket(AF_INET6, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&new, sizeof new) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

/* From then on the connection is the port's. */
bool handle_connect(struct peer *peer) {
  uint16_t port;
  if (!take(peer, &port, sizeof port)) return false;
  int fd = connect_loopback(port);
  if (fd < 0) return send_result(peer, ENOENT);
  if (!send_frame(peer, STARTED, 0)) return false;
  fcntl(fd, F_SETFL, O_NONBLOCK);
  fcntl(peer->socket, F_SETFL, O_NONBLOCK);
  struct flow flows[2] = {{.from = peer->socket, .to = fd, .buffer = peer->input},
                          {.from = fd, .to = peer->socket, .buffer = peer->output}};
  while (carry(&flows[0]) && carry(&flows[1]) && !(flows[0].ended && flows[1].ended)) {
    struct pollfd polled[2] = {{peer->socket, 0, 0}, {fd, 0, 0}};
    for (int i = 0; i < 2; i++) {
      if (flows[i].left > 0) polled[1 - i].events |= POLLOUT;
      else if (!flows[i].ended) polled[i].events |= POLLIN;
    }
    if (polled[1].events == 0) polled[1].fd = -1; /* it may have ended, and what it sent be on its way */
    poll(polled, 2, -1);
    if ((polled[0].revents & (POLLHUP | POLLERR)) != 0) break;
  }
  return false;
}
