/* Frames over a socket, and checksums. Every length is taken as hostile. */
#include "supervisor.h"

bool receive_frame(struct connection *connection) {
  for (size_t needed = HEADER_BYTES;;) {
    char *front = connection->input + connection->start;
    size_t have = connection->filled - connection->start;
    if (have >= HEADER_BYTES) {
      uint32_t length;
      memcpy(&length, front, sizeof length);
      if (length < 1 || length > MAXIMUM_FRAME_BYTES) return false;
      needed = 4 + (size_t)length;
    }
    if (have >= needed) {
      connection->type = (uint8_t)front[4];
      connection->next = front + HEADER_BYTES;
      connection->end = front + needed;
      connection->start += needed;
      return true;
    }
    if (connection->start > 0) memmove(connection->input, front, have);
    connection->start = 0;
    /* Of a long frame just its rest, so that nothing has to be moved; of short ones many at once. */
    size_t wanted = needed - have > READ_AHEAD_BYTES ? needed - have : READ_AHEAD_BYTES;
    ssize_t got = recv(connection->socket, connection->input + have, wanted, 0);
    connection->filled = have + (got > 0 ? (size_t)got : 0);
    if (got == 0 || (got < 0 && errno != EINTR)) return false;
  }
}

bool send_bytes(struct connection *connection, const char *bytes, size_t count) {
  for (ssize_t sent; count > 0; bytes += sent, count -= (size_t)sent) {
    sent = send(connection->socket, bytes, count, MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) return false;
    if (sent < 0) sent = 0;
  }
  return true;
}

bool send_frame(struct connection *connection, uint8_t type, size_t count) {
  uint32_t length = 1 + (uint32_t)count;
  memcpy(connection->output, &length, sizeof length);
  connection->output[4] = (char)type;
  return send_bytes(connection, connection->output, HEADER_BYTES + count);
}

bool send_value(struct connection *connection, uint8_t type, const void *value, size_t count) {
  memcpy(connection->output + HEADER_BYTES, value, count);
  return send_frame(connection, type, count);
}

bool send_result(struct connection *connection, int reason) {
  return reason == 0 ? send_frame(connection, END, 0) : send_value(connection, ERROR, &reason, sizeof reason);
}

bool take(struct connection *connection, void *numbers, size_t count) {
  if ((size_t)(connection->end - connection->next) < count) return false;
  memcpy(numbers, connection->next, count);
  connection->next += count;
  return true;
}

char *take_string(struct connection *connection) {
  char *text = connection->next, *nul = memchr(text, '\0', (size_t)(connection->end - text));
  if (nul == NULL) return NULL;
  connection->next = nul + 1;
  return text;
}

/* False: the peer hung up, so that nobody waits for this any more. */
bool wait_until(int fd, short event, int peer) {
  struct pollfd polled[2] = {{fd, event, 0}, {peer, 0, 0}};
  while (poll(polled, 2, -1) < 0 && errno == EINTR) continue;
  return polled[1].revents == 0;
}

/* At the pace of whoever reads `to`, which does not block. */
bool write_patiently(int to, const char *bytes, size_t count, int peer) {
  for (ssize_t put; count > 0; bytes += put, count -= (size_t)put) {
    put = write(to, bytes, count);
    if (put < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (put < 0 && !wait_until(to, POLLOUT, peer)) return false;
    if (put < 0) put = 0;
  }
  return true;
}

/* Eight bytes at a time: table `n` answers for a byte that `n` others follow. */
static uint32_t tables[8][256];

void prepare_checksums(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320 : 0);
    tables[0][byte] = value;
  }
  for (int n = 1; n < 8; n++) {
    for (int i = 0; i < 256; i++) tables[n][i] = tables[n - 1][i] >> 8 ^ tables[0][tables[n - 1][i] & 255];
  }
}

uint32_t checksum(uint32_t before, const void *bytes, size_t count) {
  const unsigned char *next = bytes;
  uint32_t sum = ~before;
  for (uint64_t word; count >= 8; count -= 8, next += 8) {
    memcpy(&word, next, sizeof word);
    word ^= sum;
    sum = tables[7][word & 255] ^ tables[6][word >> 8 & 255] ^ tables[5][word >> 16 & 255] ^
          tables[4][word >> 24 & 255] ^ tables[3][word >> 32 & 255] ^ tables[2][word >> 40 & 255] ^
          tables[1][word >> 48 & 255] ^ tables[0][word >> 56];
  }
  for (; count > 0; count--) sum = sum >> 8 ^ tables[0][(sum ^ *next++) & 255];
  return ~sum;
}
