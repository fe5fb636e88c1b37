#include "supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MAXIMUM_MAPPINGS = 8 };

static struct {
  const char *virtual_path;
  const char *real_path;
} mappings[MAXIMUM_MAPPINGS];
static int mapping_count;

/* `argument` is VIRTUAL=REAL and must outlive the process. */
bool add_path_mapping(const char *argument) {
  char *separator = strchr((char *)argument, '=');
  if (separator == NULL || mapping_count == MAXIMUM_MAPPINGS) return false;
  *separator = '\0';
  mappings[mapping_count].virtual_path = argument;
  mappings[mapping_count].real_path = separator + 1;
  mapping_count++;
  return true;
}

/* Absolute paths only. Sets errno when it returns false. */
bool map_path(const char *path, char *target, size_t capacity) {
  const char *prefix = "", *rest = path;
  for (int i = 0; i < mapping_count; i++) {
    size_t length = strlen(mappings[i].virtual_path);
    if (strncmp(path, mappings[i].virtual_path, length) == 0 && (path[length] == '\0' || path[length] == '/')) {
      prefix = mappings[i].real_path;
      rest = path + length;
    }
  }
  errno = path[0] == '/' ? ENAMETOOLONG : EINVAL;
  return path[0] == '/' && (size_t)snprintf(target, capacity, "%s%s", prefix, rest) < capacity;
}
