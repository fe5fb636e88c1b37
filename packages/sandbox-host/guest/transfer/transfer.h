/*
 * Serves one connection that the supervisor was asked to hand over: moves files, or a port's bytes, until its peer
 * goes. Runs beside the workload, which has the same user id, and goes on when that is suspended.
 */
#pragma once

#include "../frames/frames.h"

#include <limits.h>

enum { KIND_FILE = 1, KIND_DIRECTORY = 2, KIND_SYMLINK = 3, KIND_OTHER = 4 };

/* False: the peer is gone, or broke the protocol. */
bool receive_frame(struct peer *peer);
bool send_frame(struct peer *peer, uint8_t type, size_t count); /* the payload is in `output` */
bool send_value(struct peer *peer, uint8_t type, const void *value, size_t count);
bool send_result(struct peer *peer, int reason); /* an errno; 0: END */

void prepare_checksums(void);
uint32_t checksum(uint32_t before, const void *bytes, size_t count); /* CRC-32 as zlib's */

/* Each handles one request and answers it. False: close the connection. */
typedef bool handler(struct peer *peer);
handler handle_read, handle_place, handle_delete, handle_scan, handle_connect;
