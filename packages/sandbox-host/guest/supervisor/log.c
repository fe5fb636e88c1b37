/* What commands wrote: of each the latest, as the frames that carry it. */
#include "commands.h"

size_t log_total;

void wake(int event) {
  if (write(event, &(uint64_t){1}, sizeof(uint64_t)) < 0) return; /* full: it is awake anyway */
}

void wake_followers(struct command *command) {
  for (int i = 0; i < MAXIMUM_CONNECTIONS; i++) {
    if (connections[i].followed == command) wake(connections[i].wake);
  }
}

size_t frame_size(const struct command *command, size_t at) {
  uint32_t length;
  memcpy(&length, command->log + at, sizeof length);
  return 4 + length;
}

static void drop_first(struct command *command) {
  size_t size = frame_size(command, command->head), from = command->head & ~4095UL;
  command->head += size;
  command->head_offset += size - 6;
  log_total -= size;
  size_t pages = (command->head & ~4095UL) - from;
  if (pages > 0) madvise(command->log + from, pages, MADV_DONTNEED);
}

/* Room for one more frame, at the cost of the oldest output: its own, or of who has most when all have too much. */
static char *make_room(struct command *command) {
  while (command->tail - command->head + FRAME_BYTES > LOG_BYTES) drop_first(command);
  while (log_total + FRAME_BYTES > ALL_LOGS_BYTES) {
    struct command *largest = command;
    for (int i = 0; i < command_count; i++) {
      if (commands[i]->tail - commands[i]->head > largest->tail - largest->head) largest = commands[i];
    }
    drop_first(largest);
  }
  if (command->tail + FRAME_BYTES > 2 * LOG_BYTES) {
    size_t moved = command->head, left = command->tail - command->head;
    memmove(command->log, command->log + moved, left);
    madvise(command->log + LOG_BYTES, LOG_BYTES, MADV_DONTNEED);
    command->base += moved;
    command->head = 0;
    command->tail = left;
  }
  return command->log + command->tail;
}

/* What a finished command left behind is read on, so that SIGPIPE does not kill it, and thrown away. */
bool read_output(struct command *command, int stream) {
  char *frame = make_room(command);
  ssize_t got = read(command->output[stream], frame + 6, PIPE_BYTES);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) close_one(&command->output[stream]);
  if (got <= 0 || command->finished) return got > 0;
  uint32_t length = 2 + (uint32_t)got;
  memcpy(frame, &length, sizeof length);
  frame[4] = OUTPUT;
  frame[5] = (char)(stream + 1);
  command->tail += 6 + (size_t)got;
  command->tail_offset += (uint64_t)got;
  log_total += 6 + (size_t)got;
  wake_followers(command);
  return true;
}
