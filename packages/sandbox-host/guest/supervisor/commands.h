/* Commands (commands.c), their logs (log.c), and how they start (start.c). */
#pragma once

#include "supervisor.h"

enum { MAXIMUM_COMMANDS = 4096, MAXIMUM_RUNNING = 64, MAXIMUM_STREAMS = 1024, IDENTIFIER_BYTES = 257, KILL_GRACE_MS = 500, CALM_MS = 50 };
enum { LOG_BYTES = 16 << 20, ALL_LOGS_BYTES = 64 << 20, PIPE_BYTES = 64 << 10, FRAME_BYTES = 6 + PIPE_BYTES, DRAIN_READS = 64 };
enum { FLAG_MAINTENANCE = 1, FLAG_STDIN = 2, FLAG_TERMINAL = 4, FLAG_JOIN_ONLY = 8 };
enum { CONTROL_KILL = 1, CONTROL_SIGNAL = 2, CONTROL_RESIZE = 3, CONTROL_CLOSE_STDIN = 4 };

struct command {
  char identifier[IDENTIFIER_BYTES];
  pid_t pid;
  bool maintenance, finished, timed_out, killed;
  int status, output[2], input; /* our ends; -1: closed */
  int terminal;                 /* its other end, so that a terminal nobody has open yet is no end of file; -1: none */
  int64_t started, deadline;    /* monotonic ms; deadline 0: none */
  char *log;                    /* room for twice LOG_BYTES, of which only what is used takes memory */
  size_t head, tail;            /* in the log */
  uint64_t base, head_offset, tail_offset; /* bytes of log moved out; of output before head; of all output */
};

/* A started process that waits in its cgroups for what to run (launch.c). */
struct candidate {
  pid_t pid; /* 0: there is none */
  int pipes[3], go, order;
};

struct spawn {
  uint8_t flags;
  uint32_t timeout_ms;
  uint16_t rows, columns;
  uint64_t offset; /* of the output, from where on it is wanted */
} __attribute__((packed));

extern pthread_mutex_t lock; /* guards all here; nothing that may block happens under it */
extern struct command *commands[MAXIMUM_COMMANDS];
extern int command_count;
extern size_t log_total;
extern struct candidate waiting;
extern bool suspended; /* by signals */

void wake(int event);
void wake_followers(struct command *command);
void close_one(int *fd);
int64_t now_ms(void);
size_t frame_size(const struct command *command, size_t at);
bool read_output(struct command *command, int stream);
bool start_candidate(bool maintenance, struct candidate *candidate);
void discard_candidate(struct candidate *candidate);
struct command *start_command(const char *identifier, const struct spawn *spawn, const char *words, size_t bytes);
