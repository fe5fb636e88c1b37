#include "transfer.h"

bool receive_frame(struct peer *peer) {
  while (!next_frame(peer)) {
    if (!receive_some(peer)) return false;
  }
  return true;
}

static bool send_all(struct peer *peer) {
  while (peer->unsent > 0) {
    if (!send_some(peer)) return false;
  }
  return true;
}

bool send_frame(struct peer *peer, uint8_t type, size_t count) {
  put(peer, type, NULL, count);
  return send_all(peer);
}

bool send_value(struct peer *peer, uint8_t type, const void *value, size_t count) {
  put(peer, type, value, count);
  return send_all(peer);
}

bool send_result(struct peer *peer, int reason) {
  put_result(peer, reason);
  return send_all(peer);
}

/* Standard input is the connection. */
int main(void) {
  static handler *const handlers[] = {
      [READ] = handle_read,     [PLACE] = handle_place,     [SCAN] = handle_scan,
      [DELETE] = handle_delete, [CONNECT] = handle_connect,
  };
  static struct peer peer;
  /* The workload must not trace us or open our descriptors, also where it may read the program. */
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return 1;
  if (fcntl(peer.socket, F_SETFL, 0) != 0) return 1;
  umask(0); /* modes are said for each file */
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  prepare_checksums();
  bool alive = send_frame(&peer, STARTED, 0);
  while (alive && receive_frame(&peer)) {
    alive = peer.type < sizeof handlers / sizeof *handlers && handlers[peer.type] != NULL && handlers[peer.type](&peer);
  }
  return 0;
}
