#!/usr/bin/env bash
# Runs the fuzz targets, each for a bounded time: `fuzz/run.sh SECONDS [TARGET…]`.
#
# Needs neither `cargo fuzz` nor a nightly compiler: the flags that make coverage are stable, and a
# sanitizer has nothing to find in crates without `unsafe` code. Below the target folder are left: inputs
# that fail, in `artifacts`; inputs that reach new code, in `corpus`, where the next run begins.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

seconds=${1:?usage: run.sh SECONDS [TARGET…]}
shift
targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || targets=(raw_bytes operations frames)

for tool in cargo c++; do
    command -v "$tool" >/dev/null || { echo "FAILED: the fuzz targets need $tool, which is missing" >&2; exit 1; }
done

host=$(rustc -vV | sed -n 's/^host: //p')
# What `cargo fuzz` passes, without the sanitizer.
coverage="--cfg fuzzing -Cpasses=sancov-module"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    coverage+=" -Cllvm-args=-sanitizer-coverage-$option"
done
RUSTFLAGS="${RUSTFLAGS:-} $coverage" cargo build --release --target "$host"

built=${CARGO_TARGET_DIR:-target}
for target in "${targets[@]}"; do
    kept=$built/corpus/$target failing=$built/artifacts/$target
    mkdir -p "$kept" "$failing"
    echo "==> $target, $seconds s"
    log=$built/$target.log
    status=0
    "$built/$host/release/$target" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=4096 \
        -max_len=8192 -print_final_stats=1 -artifact_prefix="$failing/" \
        "$kept" "corpus/$target" >"$log" 2>&1 || status=$?
    grep -E 'panicked|ERROR|SUMMARY|Test unit written' "$log" || true
    # The last line of progress has the coverage, the statistics the executions.
    grep -E '^#[0-9]+.*cov: ' "$log" | tail -n 1 || true
    grep 'number_of_executed_units' "$log" || true
    [[ $status == 0 ]] || { echo "FAILED: $target (see $log)"; exit 1; }
done
