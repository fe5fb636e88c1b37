/*
 * The supervisor: the one program of ours inside a sandbox. It executes commands and file operations for whoever
 * connects to its socket. The main thread accepts, reaps, moves the output of all commands into their logs and keeps
 * their deadlines; every connection has a thread and one operation at a time, so that a slow peer slows down itself.
 *
 * Frames: u32 length of what follows, u8 type, payload: numbers, little-endian, then NUL-terminated strings.
 */
#ifndef EXOLOOP_SUPERVISOR_H
#define EXOLOOP_SUPERVISOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { MAXIMUM_FRAME_BYTES = 1 << 20, CHUNK_BYTES = 256 << 10, MAXIMUM_CONNECTIONS = 96, MAXIMUM_PROCESSES = 16384 };
enum { MAXIMUM_COMMANDS = 4096, MAXIMUM_RUNNING_COMMANDS = 64, MAXIMUM_IDENTIFIER_BYTES = 256, PIPE_BYTES = 64 << 10 };
enum { LOG_BYTES_PER_COMMAND = 16 << 20, LOG_BYTES_TOTAL = 64 << 20, KILL_GRACE_MS = 500, MAXIMUM_DEPTH = 1000 };
enum { READ_AHEAD_BYTES = 64 << 10, INPUT_BYTES = 4 + MAXIMUM_FRAME_BYTES + READ_AHEAD_BYTES, SHEET_BYTES = 2 * MAXIMUM_FRAME_BYTES };

enum {
  REQUEST_SPAWN = 1,     /* u8 flags, u32 timeout in ms (0: none), u16 rows, u16 columns, identifier, directory, command, NAME=value ... */
  REQUEST_ATTACH = 2,    /* u64 byte offset, identifier */
  REQUEST_STDIN = 3,     /* identifier; then DATA ... END */
  REQUEST_CONTROL = 4,   /* u8 action, u16 signal or rows, u16 columns, identifier */
  REQUEST_READ = 5,      /* u8 exact (links not followed, whatever the permissions), u64 maximum bytes, path */
  REQUEST_PLACE = 6,     /* u8 kind, u8 exact, u32 mode (UINT32_MAX: keep), i64 mtime in ms (-1: now), path, link target;
                            for a file then DATA or HOLE ... END */
  REQUEST_SCAN = 7,      /* u32 maximum entries, u32 depth, u8 follow a link at the root, path */
  REQUEST_DELETE = 8,    /* path of anything but a directory */
  REQUEST_PROCESSES = 9, /* answered by DATA: u32 pid, name, identifier of its command or "" ... */
  REQUEST_CONNECT = 10,  /* u16 port; after STARTED the connection relays bytes */
  REQUEST_COMMANDS = 11, /* answered by DATA: u8 suspended, then commands (commands.c) */
  REQUEST_SUSPEND = 12,  /* by signals, only where no cgroup can do it */
  REQUEST_RESUME = 13,
  REQUEST_SHUTDOWN = 14,
  FRAME_DATA = 15,
  FRAME_END = 16,  /* of a stream: u64 size of the file, u32 CRC-32 over the payloads of its DATA and HOLE frames */
  FRAME_HOLE = 17, /* u64 bytes that are zeros and take no room */
  REPLY_HELLO = 32, /* u32 protocol version */
  REPLY_OUTPUT = 33, /* u8 stream (1 stdout, 2 stderr), bytes */
  REPLY_EXIT = 34,   /* u8 kind, i32 code or signal */
  REPLY_GAP = 35,    /* u64 bytes of output that the log has no more */
  REPLY_ERROR = 37,  /* u8 code, message */
  REPLY_ABSENT = 38,
  REPLY_STARTED = 39, /* the command is known, output follows; or the port is connected */
};

enum { SPAWN_MAINTENANCE = 1, SPAWN_STDIN = 2, SPAWN_TERMINAL = 4 };
enum { CONTROL_KILL = 1, CONTROL_SIGNAL = 2, CONTROL_RESIZE = 3, CONTROL_CLOSE_STDIN = 4 };
enum { EXIT_EXITED = 1, EXIT_SIGNALLED = 2, EXIT_TIMED_OUT = 3 };
enum { KIND_FILE = 1, KIND_DIRECTORY = 2, KIND_SYMLINK = 3, KIND_OTHER = 4 };
enum {
  ERROR_IS_DIRECTORY = 1,
  ERROR_NOT_DIRECTORY = 2,
  ERROR_NOT_REGULAR = 3,
  ERROR_NO_PERMISSION = 4,
  ERROR_TOO_LARGE = 5,
  ERROR_NO_SPACE = 6,
  ERROR_FAILED = 7,
};

/* Payload of a request, read from the front. `valid` turns false at the first field that is not there. */
struct reader {
  char *next, *end;
  bool valid;
};

struct connection {
  int socket, wake; /* wake: eventfd, a command this connection follows has news */
  uint8_t type;     /* of the frame received last */
  struct reader payload;
  size_t start, filled; /* of what was received and not yet taken */
  struct connection *next_follower;
  char input[INPUT_BYTES];
  char chunk[CHUNK_BYTES]; /* for whatever goes out */
};

/* frames.c. False: the peer is gone, or broke the protocol. */
bool receive_frame(struct connection *connection);
bool send_frame(struct connection *connection, uint8_t type, const void *head, size_t head_bytes, const void *body,
                size_t body_bytes);
bool send_reply(struct connection *connection, uint8_t type);
bool send_data(struct connection *connection, const char *bytes, size_t count); /* DATA ... END */
bool send_error(struct connection *connection, uint8_t code, const char *message);
bool send_errno(struct connection *connection, int reason); /* 0: END; what does not exist is ABSENT */
uint64_t read_number(struct reader *reader, int bytes);
char *read_string(struct reader *reader);
char *put_number(char *target, uint64_t value, int bytes); /* returns what follows it */
void prepare_checksums(void);
uint32_t checksum(uint32_t before, const void *bytes, size_t count); /* CRC-32 as zlib's */

/* files.c and scan.c. Each handles one request and answers it. False: close the connection. */
bool handle_read(struct connection *connection, struct reader *request);
bool handle_place(struct connection *connection, struct reader *request);
bool handle_scan(struct connection *connection, struct reader *request);
int open_forced(int parent, const char *name, int flags, mode_t *restore);

/* commands.c */
bool handle_spawn(struct connection *connection, struct reader *request);
bool handle_attach(struct connection *connection, struct reader *request);
bool handle_stdin(struct connection *connection, struct reader *request);
bool handle_control(struct connection *connection, struct reader *request);
bool handle_commands(struct connection *connection);
bool handle_suspend(struct connection *connection, bool suspend);
void start_commands(int events);
void record_exit(pid_t pid, int status);
void pump_output(void *stream); /* what epoll told of it */
int keep_deadlines(void);       /* ms until the next one; -1: none */

/* processes.c, relay.c */
bool handle_processes(struct connection *connection);
bool handle_connect(struct connection *connection, struct reader *request);

#endif
