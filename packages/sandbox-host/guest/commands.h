/* Shared by commands.c (the table), output.c (what commands write) and spawn.c (how they start). */
#ifndef EXOLOOP_COMMANDS_H
#define EXOLOOP_COMMANDS_H

#include "supervisor.h"

#include <pthread.h>

struct command {
  char *identifier;
  pid_t pid;
  int output[2]; /* read ends; -1 after end of file */
  int input;     /* write end; -1 when there is none */
  int wake;      /* eventfd: the process ended, or a deadline changed */
  int direct;    /* socket that gets the output instead of the log; -1 */
  bool maintenance, exited, finished, timed_out;
  bool released; /* no thread uses it any more */
  int wait_status;
  int64_t deadline, kill_deadline; /* monotonic ms; 0: none */
  char *log;
  size_t log_length, log_capacity;
  uint64_t dropped;
  int watchers[MAXIMUM_CONNECTIONS]; /* eventfds of attached connections */
  int watcher_count;
};

struct cursor {
  size_t position;  /* of a chunk in the log */
  uint64_t to_skip; /* bytes of output before what is wanted */
};

/* A started process that waits in its cgroups for what to run. */
struct candidate {
  pid_t pid;
  int pipes[3]; /* our ends of its standard streams */
  int order;    /* write end: one byte lets it go, closing it ends it */
  char *sheet;  /* memory shared with it: what to run */
};

extern pthread_mutex_t command_lock; /* guards the table, every command and the candidate */
extern struct command *command_table[MAXIMUM_COMMANDS];
extern int command_count;

/* output.c */
void run_command(struct command *command);
void drop_log(struct command *command);
size_t take_output(struct command *command, struct cursor *cursor, uint8_t *stream, char *target);
void wake_up(int event);
int64_t now_ms(void);

/* spawn.c. With the lock held. */
bool take_candidate(bool maintenance, struct candidate *taken);
void discard_candidate(struct candidate *candidate);
bool send_order(struct candidate *candidate, bool with_input, const char *directory, const char *text,
                struct reader *overrides);
void forget_candidate(pid_t pid);
void set_suspended(bool value);
bool is_suspended(void);
void prepare_candidate(void); /* takes the lock itself; at once when there is one */

#endif
