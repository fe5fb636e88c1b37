/* Frames over a socket, and checksums. Every length is taken as hostile. */
#include "supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

bool receive_frame(struct connection *connection) {
  for (size_t needed = 5;;) {
    char *front = connection->input + connection->start;
    size_t have = connection->filled - connection->start;
    if (have >= 5) {
      struct reader header = {front, front + 4, true};
      uint64_t length = read_number(&header, 4);
      if (length < 1 || length > MAXIMUM_FRAME_BYTES) return false;
      needed = 4 + (size_t)length;
    }
    if (have >= needed) {
      connection->type = (uint8_t)front[4];
      connection->payload = (struct reader){front + 5, front + needed, true};
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

bool send_frame(struct connection *connection, uint8_t type, const void *head, size_t head_bytes, const void *body,
                size_t body_bytes) {
  char header[5];
  *put_number(header, 1 + head_bytes + body_bytes, 4) = (char)type;
  struct iovec parts[3] = {{header, sizeof header}, {(void *)head, head_bytes}, {(void *)body, body_bytes}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
  for (size_t left = sizeof header + head_bytes + body_bytes; left > 0;) {
    ssize_t sent = sendmsg(connection->socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    left -= (size_t)sent;
    for (int i = 0; i < 3; i++) {
      size_t step = (size_t)sent < parts[i].iov_len ? (size_t)sent : parts[i].iov_len;
      parts[i].iov_base = (char *)parts[i].iov_base + step;
      parts[i].iov_len -= step;
      sent -= (ssize_t)step;
    }
  }
  return true;
}

bool send_reply(struct connection *connection, uint8_t type) { return send_frame(connection, type, NULL, 0, NULL, 0); }

/* An answer of any length. */
bool send_data(struct connection *connection, const char *bytes, size_t count) {
  bool alive = true;
  for (size_t step; alive && count > 0; bytes += step, count -= step) {
    step = count < CHUNK_BYTES ? count : CHUNK_BYTES;
    alive = send_frame(connection, FRAME_DATA, NULL, 0, bytes, step);
  }
  return alive && send_reply(connection, FRAME_END);
}

bool send_error(struct connection *connection, uint8_t code, const char *message) {
  return send_frame(connection, REPLY_ERROR, &code, 1, message, strlen(message));
}

bool send_errno(struct connection *connection, int reason) {
  static const struct {
    int reason;
    uint8_t code;
  } codes[] = {{EISDIR, ERROR_IS_DIRECTORY},  {EACCES, ERROR_NO_PERMISSION}, {EPERM, ERROR_NO_PERMISSION},
               {EROFS, ERROR_NO_PERMISSION},  {ENOSPC, ERROR_NO_SPACE},      {EDQUOT, ERROR_NO_SPACE},
               {EFBIG, ERROR_TOO_LARGE},      {ENXIO, ERROR_NOT_REGULAR},    {ENOTDIR, ERROR_NOT_DIRECTORY},
               {EMEDIUMTYPE, ERROR_NOT_REGULAR}};
  if (reason == 0) return send_reply(connection, FRAME_END);
  if (reason == ENOENT) return send_reply(connection, REPLY_ABSENT);
  uint8_t code = ERROR_FAILED;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    if (codes[i].reason == reason) code = codes[i].code;
  }
  return send_error(connection, code, reason == EBADMSG ? "size or checksum are not as announced" : strerror(reason));
}

uint64_t read_number(struct reader *reader, int bytes) {
  if (!reader->valid || reader->end - reader->next < bytes) {
    reader->valid = false;
    return 0;
  }
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) value |= (uint64_t)(unsigned char)reader->next[i] << (8 * i);
  reader->next += bytes;
  return value;
}

char *read_string(struct reader *reader) {
  static char nothing[1];
  size_t left = reader->valid ? (size_t)(reader->end - reader->next) : 0;
  char *end = left > 0 ? memchr(reader->next, '\0', left) : NULL;
  char *text = end == NULL ? nothing : reader->next;
  reader->valid = end != NULL;
  if (end != NULL) reader->next = end + 1;
  return text;
}

char *put_number(char *target, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) target[i] = (char)(value >> (8 * i));
  return target + bytes;
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
    for (int byte = 0; byte < 256; byte++) {
      tables[n][byte] = tables[n - 1][byte] >> 8 ^ tables[0][tables[n - 1][byte] & 255];
    }
  }
}

uint32_t checksum(uint32_t before, const void *bytes, size_t count) {
  const unsigned char *next = bytes;
  uint32_t sum = ~before;
  for (; count >= 8; count -= 8, next += 8) {
    uint64_t word;
    memcpy(&word, next, sizeof word);
    word ^= sum;
    sum = tables[7][word & 255] ^ tables[6][word >> 8 & 255] ^ tables[5][word >> 16 & 255] ^
          tables[4][word >> 24 & 255] ^ tables[3][word >> 32 & 255] ^ tables[2][word >> 40 & 255] ^
          tables[1][word >> 48 & 255] ^ tables[0][word >> 56];
  }
  for (; count > 0; count--) sum = sum >> 8 ^ tables[0][(sum ^ *next++) & 255];
  return ~sum;
}
