# shellcheck shell=bash
# Checks of the pages and of what they tell to run.

width() {
    section "width of comments and prose"
    run python3 -B .ci/checks/width.py
}

links() {
    section "links of the pages"
    run python3 -B .ci/checks/links.py
}

self_test() {
    section "whether layout, width and links can fail"
    run python3 -B .ci/checks/tests.py
}

# The quickstart checks every byte and fails by itself; sizes are small because this is no benchmark.
quickstart() {
    local command status=0
    command=$(page_command README.md "cargo run --release -p smux-tokio --example quickstart")
    section "the README's quickstart"
    run cargo build --release -p smux-tokio --example quickstart
    run timeout 120 bash -c "$command -- --bytes 64MiB"
    run timeout 120 bash -c "$command -- --bytes 64MiB --smux-version 1"
    section "the quickstart as two processes"
    two_processes
    section "the quickstart with a wrong argument"
    run bash -c "$command -- --streams none" || status=$?
    # 2 is what the argument parser ends with; anything else is another failure.
    [[ $status == 2 ]] || fail "a wrong argument ended with status $status instead of 2"
}

two_processes() {
    local program=$EXAMPLES/quickstart pid address
    # The server ends by itself after one session.
    start_listener "$program" --listen 127.0.0.1:0 --once
    run timeout 120 "$program" --connect "$address" --bytes 64MiB
    wait "$pid" || fail "the listener ended with an error"
}

# The quickstart's two ends, with the tunnel between them: it checks every byte.
tunnel() {
    local page=smux-tokio/examples/tunnel/README.md
    local prefix="cargo run --release -p smux-tokio --example tunnel --"
    local command pid address quickstart server client arguments
    section "the tunnel"
    run cargo build --release -p smux-tokio --example tunnel --example quickstart
    start_listener "$EXAMPLES/quickstart" --listen 127.0.0.1:0 --once
    quickstart=$pid
    command=$(page_command "$page" "$prefix server")
    command=${command/127.0.0.1:4000/127.0.0.1:0}
    read -ra arguments <<<"${command#"$prefix"}"
    start_listener "$EXAMPLES/tunnel" "${arguments[@]/#127.0.0.1:8080/$address}"
    server=$pid
    command=$(page_command "$page" "$prefix client")
    command=${command/127.0.0.1:8081/127.0.0.1:0}
    read -ra arguments <<<"${command#"$prefix"}"
    start_listener "$EXAMPLES/tunnel" "${arguments[@]/#127.0.0.1:4000/$address}"
    client=$pid
    run timeout 120 "$EXAMPLES/quickstart" --connect "$address" --bytes 64MiB
    wait "$quickstart" || fail "the listener behind the tunnel ended with an error"
    { kill -TERM "$client" && wait "$client"; } || fail "the tunnel's client ended with an error"
    { kill -TERM "$server" && wait "$server"; } || fail "the tunnel's server ended with an error"
}

# Fails by itself if an answer is missing or wrong.
http() {
    local command
    command=$(page_command smux-tokio/examples/http/README.md "cargo run --release -p smux-tokio")
    section "HTTP over smux"
    run cargo build --release -p smux-tokio --features axum --example http
    # With the descriptors that every shell allows, macOS's being the fewest.
    run timeout 120 bash -c "ulimit -Sn 256 && $command -- --requests 5000"
    # Fewer connections than requests at once.
    run timeout 120 bash -c "$command -- --requests 5000 --concurrency 200 --streams 20"
}

# The same, for calls; 5000 of them are over soon.
grpc() {
    local command
    command=$(page_command smux-tokio/examples/grpc/README.md "cargo run --release -p smux-tokio")
    section "gRPC over smux"
    run cargo build --release -p smux-tokio --features tonic,tower --example grpc
    run timeout 120 bash -c "$command -- --calls 5000"
}

# Both compare every byte, and fail by themselves.
websocket() {
    local command
    command=$(page_command smux-tokio/examples/websocket/README.md "cargo run --release -p smux-tokio")
    section "smux over WebSockets"
    run cargo build --release -p smux-tokio --example websocket
    run timeout 120 bash -c "$command"
}

reverse() {
    local command
    command=$(page_command smux-tokio/examples/reverse/README.md "cargo run --release -p smux-tokio")
    section "a server that dials out"
    run cargo build --release -p smux-tokio --example reverse
    run timeout 120 bash -c "$command"
}

# Two swarms in one process, which compare every byte. Their dependencies are outside of the workspace.
libp2p() {
    local folder=smux-async-std/examples/libp2p command
    command=$(page_command "$folder/README.md" "cargo run")
    section "smux in libp2p"
    run cargo fmt --manifest-path "$folder/Cargo.toml" --check
    run cargo clippy --locked --manifest-path "$folder/Cargo.toml" -- -D warnings
    run cargo build --locked --manifest-path "$folder/Cargo.toml"
    run timeout 120 bash -c "$command"
}

# The page compares every byte, and tells the server how it went, which ends with that status.
browser() {
    local folder=smux-async-std/examples/browser command words
    command=$(page_command "$folder/README.md" "cargo run")
    section "a page whose client opens streams over a WebSocket"
    run cargo fmt --all --manifest-path "$folder/Cargo.toml" --check
    has_target wasm32-unknown-unknown || fail "no libraries for WebAssembly: the page needs them"
    run cargo build --locked --manifest-path "$folder/Cargo.toml"
    if ! command -v chromium >/dev/null; then
        skip "the page in a browser (no Chromium)"
        return
    fi
    local pid address output chromium profile
    read -ra words <<<"$command"
    start_listener "${words[@]}" -- --once
    profile=$(mktemp -d)
    chromium --headless --no-sandbox --disable-gpu --user-data-dir="$profile" "$address" 2>"$profile/log" &
    chromium=$!
    cat <&"$output"
    wait "$pid" || { cat "$profile/log"; fail "the page or its server has failed"; }
    kill "$chromium"
    wait "$chromium" || true
    rm -r "$profile"
}

metrics() {
    section "a session's counters for Prometheus"
    run cargo build -p smux-tokio --example metrics
    local text sample
    text=$(timeout 60 cargo run -q -p smux-tokio --example metrics) || fail "the example ended with an error"
    # Real traffic moved, and the slow reader made the writer wait.
    for sample in 'smux_frames_total{.*direction="sent".*command="psh"}' \
        'smux_payload_bytes_total{.*direction="received"}' \
        'smux_stall_seconds{.*cause="peer_window"}'; do
        grep -Eq "^$sample (0\.0*)?[1-9]" <<<"$text" || fail "no value above 0 for $sample in: $text"
    done
}

event_loop() {
    local command pid address
    command=$(page_command smux-proto/examples/event_loop/README.md "cargo run -p smux-proto")
    section "the event loop on mio"
    run cargo build -p smux-proto --features std --example event_loop
    run timeout 120 bash -c "$command"
    section "the event loop as two processes, with idle sessions"
    local program=${CARGO_TARGET_DIR:-target}/debug/examples/event_loop
    start_listener "$program" --listen 127.0.0.1:0 --idle 1
    run timeout 120 "$program" --connect "$address" --connections 500 --bytes 2000 --idle 2
    wait "$pid" || fail "the server ended with an error"
}

smux_dump() {
    local page=smux-proto/examples/smux-dump/README.md command text words
    command=$(page_command "$page" "cargo run -p smux-proto --features std --example smux-dump")
    section "smux-dump"
    run cargo build -p smux-proto --features std --example smux-dump
    text=$(timeout 60 bash -c "$command") || fail "the example ended with an error"
    # The cause, with its times, and nothing else that is wrong.
    for words in 'A waits for the window since 0.051 s: B told of reads at 0.051 s for the last time' \
        'A waited for the window 1×, 0.050 s' 'stream 3, .*finished' 'nothing is wrong'; do
        grep -Eq "$words" <<<"$text" || fail "no '$words' in: $text"
    done
    if timeout 60 "${CARGO_TARGET_DIR:-target}/debug/examples/smux-dump" <<<"no capture"; then
        fail "what is no capture was taken for one"
    fi
}
