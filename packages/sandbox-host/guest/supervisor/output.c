/* What commands wrote: for each a ring of its latest bytes, in the order of their arrival. */
#include "commands.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HEADER_BYTES = 5, SMALLEST_LOG_BYTES = 4096 };

static size_t total_capacity;

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void wake_followers(struct command *command) {
  uint64_t one = 1;
  for (struct connection *follower = command->followers; follower != NULL; follower = follower->next_follower) {
    if (write(follower->wake, &one, sizeof one) < 0) continue; /* full: it is awake anyway */
  }
}

/* Copies between `bytes` and the ring, which may end in the middle. */
static void copy_out(const struct log *log, uint64_t position, char *bytes, size_t count) {
  size_t start = position % log->capacity, first = log->capacity - start < count ? log->capacity - start : count;
  memcpy(bytes, log->bytes + start, first);
  memcpy(bytes + first, log->bytes, count - first);
}

static void copy_in(struct log *log, uint64_t position, const char *bytes, size_t count) {
  size_t start = position % log->capacity, first = log->capacity - start < count ? log->capacity - start : count;
  memcpy(log->bytes + start, bytes, first);
  memcpy(log->bytes, bytes + first, count - first);
}

static size_t read_header(const struct log *log, uint64_t position, uint8_t *stream) {
  char header[HEADER_BYTES];
  copy_out(log, position, header, sizeof header);
  struct reader reader = {header, header + sizeof header, true};
  *stream = (uint8_t)read_number(&reader, 1);
  return (size_t)read_number(&reader, 4);
}

void drop_log(struct log *log) {
  total_capacity -= log->capacity;
  free(log->bytes);
  *log = (struct log){.head = log->tail, .tail = log->tail};
}

/* Twice the room, at the cost of what finished commands wrote. False: this is as large as it gets. */
static bool grow_log(struct log *log) {
  size_t capacity = log->capacity == 0 ? SMALLEST_LOG_BYTES : log->capacity * 2;
  if (capacity > LOG_BYTES_PER_COMMAND) return false;
  for (int i = 0; i < command_count && total_capacity + capacity > LOG_BYTES_TOTAL; i++) {
    if (commands[i]->finished) drop_log(&commands[i]->log);
  }
  bool scarce = total_capacity + capacity > LOG_BYTES_TOTAL && log->capacity >= 2 * PIPE_BYTES;
  char *larger = scarce ? NULL : malloc(capacity);
  if (larger == NULL) return false;
  struct log grown = {larger, capacity, log->head, log->tail};
  for (uint64_t at = log->head.position; at < log->tail.position; at++) {
    larger[at % capacity] = log->bytes[at % log->capacity];
  }
  total_capacity += capacity - log->capacity;
  free(log->bytes);
  *log = grown;
  return true;
}

void append_output(struct command *command, uint8_t stream, const char *bytes, size_t count) {
  struct log *log = &command->log;
  size_t needed = HEADER_BYTES + count;
  char header[HEADER_BYTES];
  while (log->tail.position - log->head.position + needed > log->capacity && grow_log(log)) continue;
  if (needed > log->capacity) drop_log(log);
  while (log->capacity > 0 && log->tail.position - log->head.position + needed > log->capacity) {
    uint8_t ignored;
    size_t length = read_header(log, log->head.position, &ignored);
    log->head.position += HEADER_BYTES + length;
    log->head.offset += length;
  }
  if (log->capacity > 0) {
    put_number(put_number(header, stream, 1), count, 4);
    copy_in(log, log->tail.position, header, sizeof header);
    copy_in(log, log->tail.position + sizeof header, bytes, count);
  }
  log->tail.position += needed;
  log->tail.offset += count;
  if (log->capacity == 0) log->head = log->tail;
  wake_followers(command);
}

/* Copies out the next bytes from `wanted` on, and moves it. `gap`: bytes before these that are lost. 0: none yet. */
size_t take_output(struct log *log, struct cursor *cursor, uint64_t *wanted, uint64_t *gap, uint8_t *stream,
                   char *target) {
  if (cursor->position < log->head.position) *cursor = log->head;
  size_t count = 0;
  *gap = 0;
  while (count == 0 && cursor->position < log->tail.position) {
    size_t length = read_header(log, cursor->position, stream);
    if (cursor->offset + length > *wanted) {
      *gap = cursor->offset > *wanted ? cursor->offset - *wanted : 0;
      count = (size_t)(cursor->offset + length - *wanted - *gap);
      copy_out(log, cursor->position + HEADER_BYTES + length - count, target, count);
      *wanted = cursor->offset + length;
    }
    cursor->position += HEADER_BYTES + length;
    cursor->offset += length;
  }
  if (count == 0 && cursor->offset > *wanted) {
    *gap = cursor->offset - *wanted;
    *wanted = cursor->offset;
  }
  return count;
}
