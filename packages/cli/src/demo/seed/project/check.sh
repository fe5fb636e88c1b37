#!/bin/sh
# Reads every file, slowly enough to be watched, then runs the tests.
set -eu
cd "$(dirname "$0")"
total=$(ls src/*.js test/*.js | wc -l | tr -d ' ')
number=0
for file in src/*.js test/*.js; do
  number=$((number + 1))
  echo "check $number/$total: $file"
  node --check "$file"
  sleep 0.5
done
echo "running the tests"
exec node --test
