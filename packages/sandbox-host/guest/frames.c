/* Length-prefixed frames: u32 length of what follows, u8 type, payload. Every length is taken as hostile. */
#include "supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static bool receive_fully(int socket, void *target, size_t count) {
  char *next = target;
  while (count > 0) {
    ssize_t got = recv(socket, next, count, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    next += got;
    count -= (size_t)got;
  }
  return true;
}

bool receive_frame(struct connection *connection, struct frame *frame) {
  unsigned char header[5];
  if (!receive_fully(connection->socket, header, sizeof header)) return false;
  uint32_t length = header[0] | (uint32_t)header[1] << 8 | (uint32_t)header[2] << 16 | (uint32_t)header[3] << 24;
  if (length < 1 || length > MAXIMUM_FRAME_BYTES) return false;
  length -= 1;
  if (length + 1 > connection->capacity) {
    char *larger = realloc(connection->buffer, length + 1);
    if (larger == NULL) return false;
    connection->buffer = larger;
    connection->capacity = length + 1;
  }
  if (!receive_fully(connection->socket, connection->buffer, length)) return false;
  connection->buffer[length] = '\0';
  *frame = (struct frame){.type = header[4], .length = length, .payload = connection->buffer};
  return true;
}

bool send_frame(int socket, uint8_t type, const void *head, size_t head_bytes, const void *body, size_t body_bytes) {
  char header[5];
  put_number(header, 1 + head_bytes + body_bytes, 4);
  header[4] = (char)type;
  struct iovec parts[3] = {{header, sizeof header}, {(void *)head, head_bytes}, {(void *)body, body_bytes}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
  size_t left = sizeof header + head_bytes + body_bytes;
  while (left > 0) {
    ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
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

bool send_reply(int socket, uint8_t type) { return send_frame(socket, type, NULL, 0, NULL, 0); }

bool send_error(int socket, uint8_t code, const char *message) {
  return send_frame(socket, REPLY_ERROR, &code, 1, message, strlen(message));
}

bool send_errno(int socket, const char *what) {
  int reason = errno;
  if (reason == ENOENT || reason == ENOTDIR) return send_reply(socket, REPLY_ABSENT);
  uint8_t code = ERROR_FAILED;
  if (reason == EISDIR) code = ERROR_IS_DIRECTORY;
  if (reason == EACCES || reason == EPERM || reason == EROFS) code = ERROR_NO_PERMISSION;
  if (reason == ENOSPC || reason == EDQUOT) code = ERROR_NO_SPACE;
  if (reason == EFBIG) code = ERROR_TOO_LARGE;
  char message[256];
  snprintf(message, sizeof message, "%s: %s", what, strerror(reason));
  return send_error(socket, code, message);
}

bool write_fully(int fd, const void *bytes, size_t count) {
  const char *next = bytes;
  while (count > 0) {
    ssize_t written = write(fd, next, count);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    next += written;
    count -= (size_t)written;
  }
  return true;
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

const char *read_string(struct reader *reader) {
  size_t left = reader->valid ? (size_t)(reader->end - reader->next) : 0;
  const char *end = left > 0 ? memchr(reader->next, '\0', left) : NULL;
  if (end == NULL) {
    reader->valid = false;
    return "";
  }
  const char *text = reader->next;
  reader->next = end + 1;
  return text;
}

size_t put_number(char *target, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) target[i] = (char)(value >> (8 * i));
  return (size_t)bytes;
}
