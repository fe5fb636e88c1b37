/* Shared by commands.c (the table), output.c (logs), spawn.c (how they start) and processes.c (what they became). */
#ifndef EXOLOOP_COMMANDS_H
#define EXOLOOP_COMMANDS_H

#include "supervisor.h"

/* A place in a log, and which byte of the output is there. */
struct cursor {
  uint64_t position, offset;
};

struct log {
  char *bytes; /* a ring of chunks: u8 stream, u32 length, bytes; NULL: nothing is kept */
  size_t capacity;
  struct cursor head, tail;
};

struct stream {
  struct command *command;
  int fd; /* -1 after end of file; the main thread's */
  uint8_t number;
};

struct command {
  char identifier[MAXIMUM_IDENTIFIER_BYTES + 1];
  pid_t pid;
  struct stream output[2];
  int input;    /* write end; -1 when there is none */
  int terminal; /* kept open while it runs, so that a terminal nobody has open yet is no end of file; -1: none */
  bool maintenance, exited, finished, timed_out;
  int wait_status;
  int64_t started, deadline, kill_deadline; /* monotonic ms; 0: none */
  struct log log;
  struct connection *followers;
};

/* A started process that waits in its cgroups for what to run. */
struct candidate {
  pid_t pid;    /* 0: there is none */
  int pipes[3]; /* our ends of its standard streams */
  int order;    /* write end: one byte lets it go, closing it ends it */
  char *sheet;  /* memory shared with it: what to run */
};

extern pthread_mutex_t lock; /* guards all of this; nothing that may block happens under it */
extern struct command *commands[MAXIMUM_COMMANDS];
extern int command_count;
extern bool suspended; /* by signals */

/* output.c */
void append_output(struct command *command, uint8_t stream, const char *bytes, size_t count);
void drop_log(struct log *log);
size_t take_output(struct log *log, struct cursor *cursor, uint64_t *wanted, uint64_t *gap, uint8_t *stream, char *target);
void wake_followers(struct command *command);
int64_t now_ms(void);

/* spawn.c. With the lock held. */
bool take_candidate(bool maintenance, struct candidate *taken);
bool send_order(struct candidate *candidate, uint8_t flags, const char *terminal, struct reader *words);
void forget_candidate(pid_t pid);
pid_t waiting_candidate(void);
void prepare_candidate(void); /* takes the lock itself */
extern int entrance_count;          /* of the workload's cgroups: descriptors 3 and following */
extern uint64_t workload_processes; /* 0: no limit of ours */

/* processes.c */
void signal_command_tree(pid_t leader, int signal_number);
void signal_workload(int signal_number);

#endif
