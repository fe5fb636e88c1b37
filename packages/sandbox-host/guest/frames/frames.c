#include "frames.h"

bool receive_some(struct peer *peer) {
  size_t have = peer->filled - peer->start;
  if (peer->start > 0) memmove(peer->input, peer->input + peer->start, have);
  /* Of a long frame just its rest, so that nothing has to be moved; of short ones many at once. */
  size_t wanted = peer->needed > have + READ_AHEAD_BYTES ? peer->needed - have : READ_AHEAD_BYTES;
  ssize_t got = recv(peer->socket, peer->input + have, wanted, 0);
  peer->start = 0;
  peer->filled = have + (got > 0 ? (size_t)got : 0);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

bool next_frame(struct peer *peer) {
  char *front = peer->input + peer->start;
  size_t have = peer->filled - peer->start;
  uint32_t length;
  peer->needed = HEADER_BYTES;
  if (have < HEADER_BYTES) return false;
  memcpy(&length, front, sizeof length);
  bool valid = length >= 1 && length <= MAXIMUM_FRAME_BYTES;
  if (valid) peer->needed = 4 + (size_t)length;
  if (have < peer->needed) return false;
  peer->type = valid ? (uint8_t)front[4] : 0;
  peer->next = front + HEADER_BYTES;
  peer->end = front + peer->needed;
  peer->start += peer->needed;
  return true;
}

bool send_some(struct peer *peer) {
  ssize_t sent = send(peer->socket, peer->output + peer->sent, peer->unsent, MSG_NOSIGNAL);
  if (sent > 0) peer->sent += (size_t)sent;
  if (sent > 0) peer->unsent -= (size_t)sent;
  return sent >= 0 || errno == EAGAIN || errno == EINTR;
}

void put(struct peer *peer, uint8_t type, const void *payload, size_t count) {
  uint32_t length = 1 + (uint32_t)count;
  memcpy(peer->output, &length, sizeof length);
  peer->output[4] = (char)type;
  if (payload != NULL) memcpy(peer->output + HEADER_BYTES, payload, count);
  peer->sent = 0;
  peer->unsent = HEADER_BYTES + count;
}

void put_result(struct peer *peer, int reason) {
  put(peer, reason == 0 ? END : ERROR, &reason, reason == 0 ? 0 : sizeof reason);
}

bool take(struct peer *peer, void *numbers, size_t count) {
  if ((size_t)(peer->end - peer->next) < count) return false;
  memcpy(numbers, peer->next, count);
  peer->next += count;
  return true;
}

char *take_string(struct peer *peer) {
  char *text = peer->next, *nul = memchr(text, '\0', (size_t)(peer->end - text));
  if (nul == NULL) return NULL;
  peer->next = nul + 1;
  return text;
}
