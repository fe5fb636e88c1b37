/*
 * What commands write. A thread per command moves it into a log of chunks (u8 stream, u32 length, bytes) in order of
 * arrival. The log keeps the first LOG_BYTES_PER_COMMAND; what follows is counted and dropped, so that neither a loud
 * command nor a slow reader can exhaust memory or block the other.
 */
#define _GNU_SOURCE
#include "commands.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK_HEADER_BYTES = 5, STDOUT = 0, STDERR = 1, DRAIN_READS = 64 };

static size_t log_bytes_total;

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void wake_up(int event) {
  uint64_t one = 1;
  if (write(event, &one, sizeof one) < 0) return; /* full: the reader is awake anyway */
}

static void wake_watchers(struct command *command) {
  for (int i = 0; i < command->watcher_count; i++) wake_up(command->watchers[i]);
}

void drop_log(struct command *command) {
  for (size_t at = 0; at < command->log_length;) {
    struct reader header = {command->log + at + 1, command->log + command->log_length, true};
    uint64_t length = read_number(&header, 4);
    command->dropped += length;
    at += CHUNK_HEADER_BYTES + length;
  }
  log_bytes_total -= command->log_capacity;
  free(command->log);
  command->log = NULL;
  command->log_length = command->log_capacity = 0;
}

static bool grow_log(struct command *command, size_t needed) {
  size_t capacity = command->log_capacity == 0 ? 16 << 10 : command->log_capacity;
  while (capacity < needed) capacity *= 2;
  for (int i = 0; i < command_count && log_bytes_total + capacity > LOG_BYTES_TOTAL; i++) {
    if (command_table[i]->finished && command_table[i]->log != NULL) drop_log(command_table[i]);
  }
  char *larger = log_bytes_total + capacity > LOG_BYTES_TOTAL ? NULL : realloc(command->log, capacity);
  if (larger == NULL) return false;
  log_bytes_total += capacity - command->log_capacity;
  command->log = larger;
  command->log_capacity = capacity;
  return true;
}

static void append_output(struct command *command, int stream, const char *bytes, size_t count) {
  if (command->direct >= 0) {
    uint8_t name = (uint8_t)(stream + 1);
    if (send_frame(command->direct, REPLY_OUTPUT, &name, 1, bytes, count)) return;
    command->direct = -1; /* nobody reads any more: end it, drop the rest */
    signal_command_tree(command->pid, SIGKILL);
  }
  pthread_mutex_lock(&command_lock);
  size_t needed = command->log_length + CHUNK_HEADER_BYTES + count;
  bool full = command->dropped > 0 || needed > LOG_BYTES_PER_COMMAND;
  if (full || (needed > command->log_capacity && !grow_log(command, needed))) {
    command->dropped += count;
  } else {
    char *next = command->log + command->log_length;
    next += put_number(next, (uint64_t)stream + 1, 1);
    next += put_number(next, count, 4);
    memcpy(next, bytes, count);
    command->log_length = needed;
    wake_watchers(command);
  }
  pthread_mutex_unlock(&command_lock);
}

/* Reads once. False: nothing there now. */
static bool read_output(struct command *command, int stream, char *chunk) {
  ssize_t got = read(command->output[stream], chunk, CHUNK_BYTES);
  if (got > 0) append_output(command, stream, chunk, (size_t)got);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
    close(command->output[stream]);
    command->output[stream] = -1;
  }
  return got > 0;
}

static int enforce_deadlines(struct command *command) {
  pthread_mutex_lock(&command_lock);
  int64_t now = now_ms(), next = 0;
  bool expired = !command->exited && command->deadline > 0 && now >= command->deadline;
  if (expired) command->timed_out = true;
  bool kill_now = expired || (!command->exited && command->kill_deadline > 0 && now >= command->kill_deadline);
  if (kill_now) command->deadline = command->kill_deadline = 0;
  if (command->deadline > 0) next = command->deadline;
  if (command->kill_deadline > 0 && (next == 0 || command->kill_deadline < next)) next = command->kill_deadline;
  pthread_mutex_unlock(&command_lock);
  if (kill_now) signal_command_tree(command->pid, SIGKILL);
  if (next == 0) return -1;
  return next - now > INT_MAX ? INT_MAX : (int)(next - now);
}

static void finish_command(struct command *command) {
  pthread_mutex_lock(&command_lock);
  command->finished = true;
  wake_watchers(command);
  if (command->log != NULL && command->log_length < command->log_capacity) {
    char *exact = realloc(command->log, command->log_length);
    log_bytes_total -= exact == NULL ? 0 : command->log_capacity - command->log_length;
    if (exact != NULL) {
      command->log = exact;
      command->log_capacity = command->log_length;
    }
  }
  pthread_mutex_unlock(&command_lock);
}

/*
 * The command has ended when its process has ended and what it wrote until then is read. Processes it left behind keep
 * their pipe: we go on reading, so that they are not killed by SIGPIPE, and throw it away.
 */
void run_command(struct command *command) {
  char *chunk = malloc(CHUNK_BYTES);
  bool exited = false;
  while (chunk != NULL && !exited) {
    struct pollfd polled[3] = {
        {command->output[0], POLLIN, 0}, {command->output[1], POLLIN, 0}, {command->wake, POLLIN, 0}};
    poll(polled, 3, enforce_deadlines(command));
    uint64_t ignored;
    if (read(command->wake, &ignored, sizeof ignored) > 0) {
      pthread_mutex_lock(&command_lock);
      exited = command->exited;
      pthread_mutex_unlock(&command_lock);
    }
    if (polled[0].revents != 0) read_output(command, STDOUT, chunk);
    if (polled[1].revents != 0) read_output(command, STDERR, chunk);
  }
  for (int stream = 0; stream < 2; stream++) {
    for (int i = 0; i < DRAIN_READS && command->output[stream] >= 0; i++) {
      if (!read_output(command, stream, chunk)) break;
    }
  }
  finish_command(command);
  bool keep_reading = chunk != NULL && command->direct < 0;
  while (keep_reading && (command->output[0] >= 0 || command->output[1] >= 0)) {
    struct pollfd left[2] = {{command->output[0], POLLIN, 0}, {command->output[1], POLLIN, 0}};
    poll(left, 2, -1);
    for (int stream = 0; stream < 2; stream++) {
      if (left[stream].revents != 0 && read(command->output[stream], chunk, CHUNK_BYTES) <= 0 && errno != EAGAIN) {
        close(command->output[stream]);
        command->output[stream] = -1;
      }
    }
  }
  for (int stream = 0; stream < 2; stream++) {
    if (command->output[stream] >= 0) close(command->output[stream]);
  }
  free(chunk);
}

/* With the lock held: copies the next wanted bytes out of the log. 0: there are none yet. */
size_t take_output(struct command *command, struct cursor *cursor, uint8_t *stream, char *target) {
  while (cursor->position < command->log_length) {
    struct reader header = {command->log + cursor->position, command->log + command->log_length, true};
    *stream = (uint8_t)read_number(&header, 1);
    size_t length = (size_t)read_number(&header, 4);
    size_t skipped = cursor->to_skip < length ? (size_t)cursor->to_skip : length;
    cursor->to_skip -= skipped;
    cursor->position += CHUNK_HEADER_BYTES + length;
    if (length == skipped) continue;
    memcpy(target, header.next + skipped, length - skipped);
    return length - skipped;
  }
  return 0;
}
