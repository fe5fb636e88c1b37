/*
 * The supervisor: the one program of ours that stays inside a sandbox. It executes commands and file operations for
 * whoever connects to its socket. The main thread accepts, reaps, moves the output of all commands into their logs and
 * keeps their deadlines. Every connection has a thread and one operation at a time: a slow peer slows down itself.
 * What the frames carry is written in frames.ts, the other half of this. Numbers travel as this machine has them.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "frames are little-endian");

enum { PROTOCOL_VERSION = 2, HEADER_BYTES = 5, MAXIMUM_FRAME_BYTES = 1 << 20, CHUNK_BYTES = 256 << 10 };
enum { READ_AHEAD_BYTES = 64 << 10, INPUT_BYTES = 4 + MAXIMUM_FRAME_BYTES + READ_AHEAD_BYTES, MAXIMUM_CONNECTIONS = 96 };
enum { SPAWN = 1, STDIN = 3, CONTROL = 4, READ = 5, PLACE = 6, SCAN = 7, DELETE = 8, CONNECT = 10, COMMANDS = 11 };
enum { SUSPEND = 12, RESUME = 13, SHUTDOWN = 14, DATA = 15, END = 16, HOLE = 17 };
enum { HELLO = 32, OUTPUT = 33, EXIT = 34, OFFSET = 35, ERROR = 37, STARTED = 39 };
enum { KIND_FILE = 1, KIND_DIRECTORY = 2, KIND_SYMLINK = 3, KIND_OTHER = 4 };

struct connection {
  int socket, wake;         /* 0: the place is free; wake: eventfd, the command that it follows has news */
  struct command *followed; /* guarded by the lock of commands.c */
  uint8_t type;             /* of the frame received last */
  char *next, *end;         /* what of its payload was not yet taken */
  size_t start, filled;     /* of the input that belongs to later frames */
  char input[INPUT_BYTES] __attribute__((aligned(4096)));
  char output[HEADER_BYTES + CHUNK_BYTES]; /* the frame that goes out next */
};

extern struct connection connections[MAXIMUM_CONNECTIONS];

/* frames.c. False: the peer is gone, or broke the protocol. */
bool receive_frame(struct connection *connection);
bool send_bytes(struct connection *connection, const char *bytes, size_t count);
bool send_frame(struct connection *connection, uint8_t type, size_t count); /* the payload is in `output` */
bool send_value(struct connection *connection, uint8_t type, const void *value, size_t count);
bool send_result(struct connection *connection, int reason); /* an errno; 0: END */
bool take(struct connection *connection, void *numbers, size_t count);
char *take_string(struct connection *connection); /* NULL: there is none */
bool write_patiently(int to, const char *bytes, size_t count, int peer);
bool wait_until(int fd, short event, int peer);
void prepare_checksums(void);
uint32_t checksum(uint32_t before, const void *bytes, size_t count); /* CRC-32 as zlib's */

/* processes.c, under the lock of commands.c */
bool signal_tree(pid_t leader, int number);

/* Each handles one request and answers it. False: close the connection. */
typedef bool handler(struct connection *connection);
handler handle_read, handle_place, handle_delete, handle_scan, handle_connect;
handler handle_spawn, handle_stdin, handle_control, handle_commands, handle_suspend, handle_shutdown;

/* commands.c, for the main thread */
void serve_commands(int listener); /* one round */
extern int entrance_count;         /* of the workload's cgroups: descriptors 3 and following */
extern const char *launch_program, *process_limit;
extern int main_wake; /* eventfd */
void accept_connection(int listener);
