#!/bin/sh
# The last tag of a repository, and the subjects of all commits since.
set -eu
directory=${1:-.}
last=$(git -C "$directory" describe --tags --abbrev=0 2>/dev/null || true)
echo "last tag: ${last:-none}"
git -C "$directory" log --no-merges --format='%h %s' "${last:+$last..}HEAD"
