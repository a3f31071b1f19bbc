# shellcheck shell=bash
# What the checks are written with.

did_not_run=()

section() { printf '\n==> %s (after %d:%02d)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60)); }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
skip() { printf 'did not run: %s\n' "$*"; did_not_run+=("$*"); }
run() { printf '+ %s\n' "$*"; "$@"; }

# The pages' promises are tested by running what they say: the only line of page $1 that starts with $2.
page_command() {
    local found
    found=$(grep -E "^$2" "$1") || fail "$1 has no line that starts with '$2'"
    [[ $(wc -l <<<"$found") == 1 ]] || fail "$1 has several lines that start with '$2'"
    printf '%s' "$found"
}

# The same without --release: the result is the same, and the build faster, as the tests have built most of
# it already.
unoptimized_command() {
    local found
    found=$(page_command "$1" "$2")
    printf '%s' "${found/ --release/}"
}

# Starts a program that first prints where it listens; sets the caller's `pid`, `address` and `output`,
# from which the rest can be read. The limit is for one that is never told to end; with --foreground it
# passes a signal on once, not twice.
start_listener() {
    local line
    exec {output}< <(exec timeout --foreground 120 "$@")
    pid=$!
    read -r line <&"$output" || fail "$1 printed nothing"
    address=${line#listening on }
}

go_format() {
    local unformatted
    unformatted=$(gofmt -l "$1")
    [[ -z $unformatted ]] || fail "not formatted: $unformatted"
}
