/* What commands wrote: of each the latest, as the frames that carry it. */
#include "supervisor.h"

enum { FRAME_BYTES = sizeof(struct output) + PIPE_BYTES };

static size_t log_total;

static void drop_first(struct command *command) {
  uint32_t length;
  size_t from = command->head & ~4095UL;
  memcpy(&length, command->log + command->head, sizeof length);
  command->head += 4 + length;
  log_total -= 4 + length;
  size_t pages = (command->head & ~4095UL) - from;
  if (pages > 0) madvise(command->log + from, pages, MADV_DONTNEED);
}

void drop_log(struct command *command) {
  log_total -= command->tail - command->head;
  munmap(command->log, 2 * LOG_BYTES);
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

/*
 * The first byte of standard output is the launcher's, which has become the command then. What a finished command left
 * behind is read on, so that SIGPIPE does not kill it, and thrown away.
 */
bool read_output(struct command *command, int stream) {
  char *frame = make_room(command), *bytes = frame + sizeof(struct output);
  ssize_t got = read(command->output[stream], bytes, PIPE_BYTES);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) close_one(&command->output[stream]);
  bool more = got > 0;
  if (more && stream == 0 && !command->begun) {
    memmove(bytes, bytes + 1, (size_t)--got);
    command->begun = true;
    free(command->order);
    command->order = NULL;
  }
  if (got <= 0 || command->told.state != RUNNING) return more;
  uint32_t length = (uint32_t)(sizeof(struct output) - 4 + (size_t)got);
  struct output output = {length, OUTPUT, command->told.output_bytes, (uint8_t)(stream + 1)};
  memcpy(frame, &output, sizeof output);
  command->tail += 4 + length;
  command->told.output_bytes += (uint64_t)got;
  log_total += 4 + length;
  return true;
}
