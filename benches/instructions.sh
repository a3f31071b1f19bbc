#!/bin/sh
# Counts the instructions of the core's hot paths with callgrind and writes the table instructions.md.
# The counts of two runs of different length are subtracted, so what happens once does not count.
set -eu
cd "$(dirname "$0")"
cargo build --release --bin core-path
program=${CARGO_TARGET_DIR:-target}/release/core-path

# collected ARGUMENTS...: the instructions of one run.
collected() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$@" 2>&1 |
        sed -n 's/.*Collected : *//p'
}

# row NAME UNIT ROUND ROUNDS ARGUMENTS...: a line of the table.
row() {
    name=$1 unit=$2 round=$3 rounds=$4
    shift 4
    short=$(collected "$@" --round "$round" --rounds "$rounds")
    long=$(collected "$@" --round "$round" --rounds $((3 * rounds)))
    echo "| $name | $(((long - short) / (2 * rounds * round))) | $unit |"
}

{
    echo '# Instructions of the core'
    echo
    echo "Written by \`instructions.sh\`: $(valgrind --version), $(rustc --version | cut -d' ' -f1,2), $(uname -m)."
    echo '64 messages, each on the next stream, are queued before they are sent; on a single stream one at a time, since'
    echo 'they would share frames there. callgrind counts a copy by `rep movsb` as one instruction a byte.'
    echo
    echo '| path | instructions | per |'
    echo '|---|---|---|'
    for streams in 1 100 10000 100000; do
        round=64
        [ $streams -gt 1 ] || round=1
        row "out: 64 bytes, $streams streams open" message $round 500 --path out --streams $streams
        row "in: 64 bytes, $streams streams open" message $round 500 --path in --streams $streams
        row "through, v1: 64 bytes, $streams streams open" message $round 500 --path through-v1 --streams $streams
        row "through, v2: 64 bytes, $streams streams open" message $round 500 --path through-v2 --streams $streams
        row "open and close, $streams streams open" stream 64 500 --path open-close --streams $streams
    done
    row 'through, v1: 32 KiB, 1 stream open' message 4 500 --path through-v1 --size 32768
    row 'through, v2: 32 KiB, 1 stream open' message 4 500 --path through-v2 --size 32768
} >instructions.new
mv instructions.new instructions.md
cat instructions.md
