/*
 * The supervisor: the one program of ours that is always inside a sandbox. It executes commands for whoever connects to
 * its socket, and hands those who want files or ports to a program for that. One thread, which waits for nothing but
 * the next event: a slow peer, or a command that does not read, holds back nobody else.
 */
#pragma once

#include "../frames/frames.h"

#include <limits.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { MAXIMUM_CONNECTIONS = 128, MAXIMUM_COMMANDS = 4096, MAXIMUM_RUNNING = 64, MAXIMUM_STREAMS = 1024 };
enum { IDENTIFIER_BYTES = 257, KILL_GRACE_MS = 500, CALM_MS = 50, LAUNCH_ATTEMPTS = 8, DRAIN_READS = 64, READS = 4 };
enum { LOG_BYTES = 16 << 20, ALL_LOGS_BYTES = 64 << 20, PIPE_BYTES = 64 << 10 };
enum { FLAG_MAINTENANCE = 1, FLAG_STDIN = 2, FLAG_TERMINAL = 4, FLAG_JOIN_ONLY = 8 };
enum { CONTROL_KILL = 1, CONTROL_SIGNAL = 2, CONTROL_RESIZE = 3 };
enum { RUNNING = 0, EXITED = 1, SIGNALLED = 2, TIMED_OUT = 3 };

/* Of a command, as it is told. */
struct summary {
  uint8_t maintenance, state;
  int32_t value, pid;    /* exit code or signal; of its leader */
  int64_t started;       /* monotonic ms */
  uint64_t output_bytes;
} __attribute__((packed));

struct command {
  struct summary told;
  char identifier[IDENTIFIER_BYTES];
  bool begun, timed_out, killed; /* begun: the launcher has become the command */
  int attempts;                  /* that are left to launch it, should a launcher be killed */
  char *order;                   /* for the launcher; NULL once it has begun */
  size_t order_bytes;
  int output[2], input;          /* our ends; -1: closed */
  int terminal;    /* its other end, so that a terminal nobody has open yet is no end of file; -1: none */
  int64_t deadline;              /* monotonic ms; 0: none */
  char *log;                     /* room for twice LOG_BYTES, of which only what is used takes memory */
  size_t head, tail;             /* in the log */
  uint64_t base;                 /* bytes of log that were moved out */
};

/* What goes before a piece of output, in the log and on its way. */
struct output {
  uint32_t length;
  uint8_t type;
  uint64_t offset; /* of its first byte, in all output of the command */
  uint8_t stream;
} __attribute__((packed));

struct spawn {
  uint8_t flags;
  uint32_t timeout_ms;
  uint16_t rows, columns;
  uint64_t offset; /* of the output, from where on it is wanted */
} __attribute__((packed));

struct connection {
  pid_t transfer;            /* who serves it instead of us; 0: nobody */
  struct command *command;   /* that it follows, or feeds, until that is done */
  bool feeds;
  uint64_t position, wanted; /* in the log, of the frame that is sent next; in the output, what may be left out */
  struct peer peer;          /* its socket 0: the place is free */
};

/* A started process that waits in its cgroups for what to run (launch.c). */
struct candidate {
  pid_t pid; /* 0: there is none */
  int ends[4]; /* of its standard streams; of a file for the order */
};

extern struct connection connections[MAXIMUM_CONNECTIONS];
extern struct command *commands[MAXIMUM_COMMANDS];
extern struct candidate waiting;
extern int command_count, entrance_count; /* entrances of the workload's cgroups: descriptors 3 and following */
extern bool suspended; /* by signals */
extern int64_t calm;   /* until then a command that has just begun goes first; monotonic ms */
extern const char *launch_program, *transfer_program, *process_limit;

/* connections.c */
void serve_connection(struct connection *connection, short events);
void close_connection(struct connection *connection);

/* commands.c */
int64_t now_ms(void);
struct command *find_command(const char *identifier);
int list_streams(struct pollfd *polled, int64_t *next);
void read_streams(const struct pollfd *polled, int count);
bool suspend_commands(bool suspend);

/* log.c */
bool read_output(struct command *command, int stream);
void drop_log(struct command *command);

/* start.c */
void close_one(int *fd);
pid_t start_program(const char *program, char **arguments, const int *given, int count);
bool start_candidate(bool maintenance, struct candidate *candidate);
void discard_candidate(struct candidate *candidate);
bool launch_command(struct command *command);
struct command *start_command(const char *identifier, const struct spawn *spawn, const char *words, size_t bytes);
void release_command(struct command *command);

/* processes.c */
bool signal_tree(pid_t leader, int number);
