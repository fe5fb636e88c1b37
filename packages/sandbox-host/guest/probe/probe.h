/*
 * Live probes of the escape conformance: each asks for one thing that a sandbox must refuse, and says what it was told.
 * They open, look and ask; they write nothing and mount nothing. Arguments are chosen so that what is not refused fails
 * late, for another reason.
 */
#ifndef EXOLOOP_PROBE_H
#define EXOLOOP_PROBE_H

#include <stdbool.h>

struct probe {
  const char *id;
  void (*run)(void);
};

extern const struct probe system_call_probes[], privilege_probes[], kernel_file_probes[], file_probes[];
extern const struct probe socket_probes[], process_probes[];

/* All end the probe, which runs in a process of its own. */
_Noreturn void answer_error(int error, const char *detail);
_Noreturn void answer_call(long result);
_Noreturn void answer_found(const char *detail);
_Noreturn void answer_nothing(void);
/* For something that must not be there: opened is reached. */
_Noreturn void answer_open(const char *path, int flags);

/* A fact about the outside, given as `name=value`. A probe that needs one that was not given says so and fails. */
const char *given(const char *name);
/* `name=value`, instead of what was given; one fact at most. */
void replace_fact(const char *fact);

/* Calls `see` for every file below a directory of the same file system. True from `see` ends the walk. */
bool walk(const char *directory, int depth, bool (*see)(const char *path));

/* A sandbox in which every probe reaches what it asks for, around a throw-away root. */
void enter_weak_root(const char *root);

#endif
