#include "transfer.h"

/* Eight bytes at a time: table `n` answers for a byte that `n` others follow. */
static uint32_t tables[8][256];

void prepare_checksums(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320 : 0);
    tables[0][byte] = value;
  }
  for (int n = 1; n < 8; n++) {
    for (int i = 0; i < 256; i++) tables[n][i] = tables[n - 1][i] >> 8 ^ tables[0][tables[n - 1][i] & 255];
  }
}

uint32_t checksum(uint32_t before, const void *bytes, size_t count) {
  const unsigned char *next = bytes;
  uint32_t sum = ~before;
  for (uint64_t word; count >= 8; count -= 8, next += 8) {
    memcpy(&word, next, sizeof word);
    word ^= sum;
    sum = tables[7][word & 255] ^ tables[6][word >> 8 & 255] ^ tables[5][word >> 16 & 255] ^
          tables[4][word >> 24 & 255] ^ tables[3][word >> 32 & 255] ^ tables[2][word >> 40 & 255] ^
          tables[1][word >> 48 & 255] ^ tables[0][word >> 56];
  }
  for (; count > 0; count--) sum = sum >> 8 ^ tables[0][(sum ^ *next++) & 255];
  return ~sum;
}
