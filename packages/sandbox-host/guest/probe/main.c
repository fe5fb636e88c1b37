/* Runs the probes one by one, each in a process of its own, and prints one line of JSON for each. */
#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DETAIL_BYTES = 160, PATIENCE_SECONDS = 5, MAXIMUM_FACTS = 64 };

struct slot {
  bool answered;
  char answer[24], detail[DETAIL_BYTES];
};

static struct slot *slot; /* shared with the running probe */
static char **facts;
static int fact_count;
static const char *later_fact;

#define NAME(error) {error, #error}
static const struct {
  int error;
  const char *name;
} error_names[] = {
    NAME(EPERM),        NAME(ENOENT), NAME(ESRCH),        NAME(EIO),         NAME(ENXIO),       NAME(EBADF),
    NAME(EAGAIN),       NAME(ENOMEM), NAME(EACCES),       NAME(EFAULT),      NAME(EBUSY),       NAME(EEXIST),
    NAME(ENODEV),       NAME(ENOTDIR), NAME(EISDIR),      NAME(EINVAL),      NAME(ENOTTY),      NAME(ETXTBSY),
    NAME(EROFS),        NAME(ELOOP),  NAME(ENOSYS),       NAME(EOPNOTSUPP),  NAME(EPROTONOSUPPORT),
    NAME(EAFNOSUPPORT), NAME(EADDRNOTAVAIL), NAME(ENETUNREACH), NAME(ECONNREFUSED), NAME(EHOSTUNREACH),
    NAME(ESTALE),       NAME(EINPROGRESS), NAME(ESOCKTNOSUPPORT), NAME(ENOTBLK), NAME(ETIMEDOUT), NAME(ENOEXEC),
};

static _Noreturn void answer(const char *text, const char *detail) {
  snprintf(slot->answer, sizeof slot->answer, "%s", text);
  snprintf(slot->detail, sizeof slot->detail, "%s", detail);
  slot->answered = true;
  _exit(0);
}

_Noreturn void answer_error(int error, const char *detail) {
  for (size_t i = 0; i < sizeof error_names / sizeof *error_names; i++)
    if (error_names[i].error == error) answer(error_names[i].name, detail);
  char number[16];
  snprintf(number, sizeof number, "E%d", error);
  answer(number, detail);
}

_Noreturn void answer_call(long result) {
  if (result < 0) answer_error(errno, "");
  answer("reached", "");
}

_Noreturn void answer_found(const char *detail) { answer("reached", detail); }

_Noreturn void answer_nothing(void) { answer("nothing", ""); }

_Noreturn void answer_open(const char *path, int flags) {
  if (open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) < 0) answer_error(errno, path);
  answer_found(path);
}

void replace_fact(const char *fact) { later_fact = fact; }

static const char *find_fact(const char *name) {
  size_t length = strlen(name);
  if (later_fact != NULL && strncmp(later_fact, name, length) == 0 && later_fact[length] == '=')
    return later_fact + length + 1;
  for (int i = fact_count - 1; i >= 0; i--)
    if (strncmp(facts[i], name, length) == 0 && facts[i][length] == '=') return facts[i] + length + 1;
  return NULL;
}

const char *given(const char *name) {
  const char *value = find_fact(name);
  if (value == NULL) answer("ungiven", name);
  return value;
}

static bool walk_at(const char *directory, int depth, dev_t device, bool (*see)(const char *path)) {
  DIR *listing = opendir(directory);
  if (listing == NULL) return false;
  struct dirent *entry;
  bool ended = false;
  while (!ended && (entry = readdir(listing)) != NULL) {
    char path[4096];
    struct stat found;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) >= sizeof path) continue;
    if (lstat(path, &found) != 0) continue;
    if (!S_ISDIR(found.st_mode)) ended = see(path);
    else if (depth > 1 && found.st_dev == device) ended = walk_at(path, depth - 1, device, see);
  }
  closedir(listing);
  return ended;
}

bool walk(const char *directory, int depth, bool (*see)(const char *path)) {
  struct stat top;
  return stat(directory, &top) == 0 && walk_at(directory, depth, top.st_dev, see);
}

/* Is `id` in the list `a,b,c`? All are, when there is no list. */
static bool is_wanted(const char *id) {
  const char *list = find_fact("only");
  if (list == NULL) return true;
  size_t length = strlen(id);
  for (const char *at = list; (at = strstr(at, id)) != NULL; at += length)
    if ((at == list || at[-1] == ',') && (at[length] == '\0' || at[length] == ',')) return true;
  return false;
}

static void print_plain(const char *text) {
  for (; *text != '\0'; text++) putchar(*text < ' ' || *text > '~' || *text == '"' || *text == '\\' ? '?' : *text);
}

static void run(const struct probe *probe) {
  memset(slot, 0, sizeof *slot);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(PATIENCE_SECONDS);
    probe->run();
    _exit(1); /* said nothing */
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) status = -1;
  if (status != 0 || !slot->answered) {
    snprintf(slot->answer, sizeof slot->answer, "crashed");
    snprintf(slot->detail, sizeof slot->detail, "wait status %d", status);
  }
  printf("{\"id\":\"%s\",\"answer\":\"%s\",\"detail\":\"", probe->id, slot->answer);
  print_plain(slot->detail);
  puts("\"}");
}

int main(int count, char **arguments) {
  static const struct probe *const families[] = {system_call_probes, privilege_probes, kernel_file_probes,
                                                 file_probes,        socket_probes,    process_probes};
  facts = arguments;
  fact_count = count;
  slot = mmap(NULL, sizeof *slot, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (slot == MAP_FAILED) return 1;
  if (find_fact("weak") != NULL) enter_weak_root(find_fact("weak"));
  for (size_t i = 0; i < sizeof families / sizeof *families; i++)
    for (const struct probe *probe = families[i]; probe->id != NULL; probe++)
      if (is_wanted(probe->id)) run(probe);
  return 0;
}
