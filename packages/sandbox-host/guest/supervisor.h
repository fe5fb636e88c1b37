/*
 * The supervisor: the one program of ours inside a sandbox. It executes commands and file operations for whoever
 * connects to the listening socket it was started with; the workload cannot reach that socket.
 *
 * Threads: the main thread accepts connections and reaps children; every connection and every command has its own.
 * One operation at a time per connection, so that a slow peer slows down its own operation and nothing else.
 */
#ifndef EXOLOOP_SUPERVISOR_H
#define EXOLOOP_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
  MAXIMUM_FRAME_BYTES = 1 << 20,
  CHUNK_BYTES = 64 << 10,
  MAXIMUM_CONNECTIONS = 96,
  MAXIMUM_COMMANDS = 4096,
  MAXIMUM_RUNNING_COMMANDS = 64,
  LOG_BYTES_PER_COMMAND = 16 << 20,
  LOG_BYTES_TOTAL = 64 << 20,
  KILL_GRACE_MS = 500,
  MAXIMUM_TREE_DEPTH = 1000,
  MAXIMUM_FDS = 8,
};

/* Requests. A request's payload is fixed numbers, little-endian, followed by NUL-terminated strings. */
enum {
  REQUEST_SPAWN = 1,  /* u8 flags, u32 timeout in ms (0: none), identifier, directory, command, NAME=value ... */
  REQUEST_ATTACH = 2, /* u64 byte offset, identifier */
  REQUEST_STDIN = 3,  /* identifier; then DATA ... END */
  REQUEST_KILL = 4,   /* identifier */
  REQUEST_READ = 5,   /* u64 maximum bytes, path */
  REQUEST_WRITE = 6,  /* u32 mode (UINT32_MAX: keep, or 0644), path; then DATA ... END */
  REQUEST_STAT = 7,   /* path */
  REQUEST_LIST = 8,   /* path */
  REQUEST_TREE = 9,   /* u32 maximum entries, path */
  REQUEST_DELETE = 10, /* u8 recursive, path */
  REQUEST_STATUS = 11,
  REQUEST_SUSPEND = 12, /* only where no cgroup can do it */
  REQUEST_RESUME = 13,
  REQUEST_SHUTDOWN = 14,
  STREAM_DATA = 15,
  STREAM_END = 16,
};

enum {
  REPLY_HELLO = 32,  /* u32 protocol version */
  REPLY_OUTPUT = 33, /* u8 stream (1 stdout, 2 stderr), bytes */
  REPLY_EXIT = 34,   /* u8 kind, i32 code or signal, u64 bytes of output that were dropped */
  REPLY_DATA = 35,
  REPLY_END = 36,
  REPLY_ERROR = 37,  /* u8 code, message */
  REPLY_ABSENT = 38,
  REPLY_STARTED = 39, /* the command is known; output follows */
};

enum { SPAWN_MAINTENANCE = 1, SPAWN_STDIN = 2, SPAWN_DIRECT = 4 };
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
  const char *next;
  const char *end;
  bool valid;
};

struct frame {
  uint8_t type;
  uint32_t length;
  char *payload; /* `length` bytes and a NUL; the connection's buffer, overwritten by the next frame */
};

struct connection {
  int socket;
  int wake; /* eventfd: a command this connection is attached to has news */
  char *buffer;
  uint32_t capacity;
};

/* frames.c. False: the peer is gone, or broke the protocol. */
bool receive_frame(struct connection *connection, struct frame *frame);
bool send_frame(int socket, uint8_t type, const void *head, size_t head_bytes, const void *body, size_t body_bytes);
bool send_reply(int socket, uint8_t type);
bool send_error(int socket, uint8_t code, const char *message);
/* Answers with the error of `errno`, or REPLY_ABSENT when that says the path does not exist. */
bool send_errno(int socket, const char *what);
bool write_fully(int fd, const void *bytes, size_t count);
uint64_t read_number(struct reader *reader, int bytes);
const char *read_string(struct reader *reader);
size_t put_number(char *target, uint64_t value, int bytes);

/* paths.c: in a sandbox without its own root, `/workspace` and its like live somewhere else on disk. */
bool add_path_mapping(const char *argument);
bool map_path(const char *path, char *target, size_t capacity);

/* files.c. Each handles one request and answers it. False: close the connection. */
bool handle_read(struct connection *connection, struct reader *reader);
bool handle_write(struct connection *connection, struct reader *reader);
bool handle_stat(struct connection *connection, struct reader *reader);
/* tree.c */
bool handle_list(struct connection *connection, struct reader *reader);
bool handle_tree(struct connection *connection, struct reader *reader);
bool handle_delete(struct connection *connection, struct reader *reader);

/* commands.c */
void set_work_descriptors(const int *descriptors, int count);
bool handle_spawn(struct connection *connection, struct reader *reader);
bool handle_attach(struct connection *connection, struct reader *reader);
bool handle_stdin(struct connection *connection, struct reader *reader);
bool handle_kill(struct connection *connection, struct reader *reader);
bool handle_status(struct connection *connection);
bool handle_suspend(struct connection *connection, bool suspend);
void record_exit(pid_t pid, int status);

/* processes.c: everything below our children, found by walking /proc. */
void signal_command_tree(pid_t leader, int signal_number);
void signal_workload(int signal_number, const pid_t *excluded, int excluded_count);

/* confine.c. Each ends the process with a message when the kernel refuses. */
void apply_resource_limits(uint64_t processes, uint64_t file_bytes);
void apply_process_limit(void); /* in the workload's processes; async-signal-safe */
void apply_landlock(char **readable, int readable_count, char **writable, int writable_count);
long landlock_version(void); /* 0: the kernel has none */
void apply_seccomp(int program_descriptor);
bool start_thread(void *(*body)(void *), void *argument);
_Noreturn void fail(const char *what);

#endif
