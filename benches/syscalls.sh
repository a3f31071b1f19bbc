#!/bin/sh
# Counts system calls with strace and writes the table syscalls.md. Both ends run on one thread, so that no
# wake-ups between threads count; strace slows them down, which makes batches larger than they are otherwise.
set -eu
cd "$(dirname "$0")"
cargo run --release -- syscalls --output syscalls.md "$@"
