/*
 * Frames over a socket, for the supervisor and for the program that it hands connections to. What they carry is written
 * in frames.ts, the other half of this. Numbers travel as this machine has them. Every length is taken as hostile.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "frames are little-endian");

enum { PROTOCOL_VERSION = 3, HEADER_BYTES = 5, MAXIMUM_FRAME_BYTES = 1 << 20, CHUNK_BYTES = 256 << 10 };
enum { READ_AHEAD_BYTES = 64 << 10, INPUT_BYTES = 4 + MAXIMUM_FRAME_BYTES + READ_AHEAD_BYTES };
enum { SPAWN = 1, TRANSFER = 2, STDIN = 3, CONTROL = 4, READ = 5, PLACE = 6, SCAN = 7, DELETE = 8, CONNECT = 10 };
enum { COMMANDS = 11, SUSPEND = 12, RESUME = 13, SHUTDOWN = 14, DATA = 15, END = 16, HOLE = 17 };
enum { HELLO = 32, OUTPUT = 33, EXIT = 34, ERROR = 37, STARTED = 39 };

struct peer {
  int socket;
  uint8_t type;                 /* of the frame received last; 0: it broke the protocol */
  char *next, *end;             /* what of its payload was not yet taken */
  size_t start, filled, needed; /* of the input that belongs to later frames; how much makes the next one whole */
  size_t sent, unsent;          /* of the output */
  char input[INPUT_BYTES] __attribute__((aligned(4096)));
  char output[HEADER_BYTES + CHUNK_BYTES]; /* the frame that goes out next */
};

/* Once, and without waiting where the socket does not. False: the peer is gone. */
bool receive_some(struct peer *peer);
bool send_some(struct peer *peer);
bool next_frame(struct peer *peer); /* false: more has to be received */
bool take(struct peer *peer, void *numbers, size_t count);
char *take_string(struct peer *peer); /* NULL: there is none */
void put(struct peer *peer, uint8_t type, const void *payload, size_t count); /* NULL: it is in `output` */
void put_result(struct peer *peer, int reason); /* an errno; 0: END */
