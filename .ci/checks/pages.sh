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
    command=$(unoptimized_command README.md "cargo run --release -p smux-tokio --example quickstart")
    section "the README's quickstart"
    run cargo build -p smux-tokio --example quickstart
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
    local prefix="cargo run --release -p smux-tokio --features tracing --example tunnel --"
    local command pid address output quickstart server client arguments pages=()
    section "the tunnel"
    run cargo build -p smux-tokio --features tracing --example tunnel --example quickstart
    run "$EXAMPLES/tunnel" --version
    start_listener "$EXAMPLES/quickstart" --listen 127.0.0.1:0 --once
    quickstart=$pid
    command=$(page_command "$page" "$prefix server")
    command=${command/127.0.0.1:4000/127.0.0.1:0}
    read -ra arguments <<<"${command#"$prefix"}"
    start_listener "$EXAMPLES/tunnel" "${arguments[@]/#127.0.0.1:8080/$address}" --metrics 127.0.0.1:0
    server=$pid
    pages+=("$(metrics_page)")
    command=$(page_command "$page" "$prefix client")
    command=${command/127.0.0.1:8081/127.0.0.1:0}
    read -ra arguments <<<"${command#"$prefix"}"
    start_listener "$EXAMPLES/tunnel" "${arguments[@]/#127.0.0.1:4000/$address}" --metrics 127.0.0.1:0
    client=$pid
    pages+=("$(metrics_page)")
    run timeout 120 "$EXAMPLES/quickstart" --connect "$address" --bytes 64MiB
    wait "$quickstart" || fail "the listener behind the tunnel ended with an error"
    # All that the quickstart moved, and one session, at both ends.
    for command in "${pages[@]}"; do
        scrape "$command" 'smux_sessions==1' 'smux_payload_bytes_total{direction="sent"}>67108864' \
            'smux_session_bytes_total{direction="sent"}>67108864'
    done
    { kill -TERM "$client" && wait "$client"; } || fail "the tunnel's client ended with an error"
    { kill -TERM "$server" && wait "$server"; } || fail "the tunnel's server ended with an error"
}

# Fails by itself if an answer is missing or wrong.
http() {
    local command
    command=$(unoptimized_command smux-tokio/examples/http/README.md "cargo run --release -p smux-tokio")
    section "HTTP over smux"
    run cargo build -p smux-tokio --features axum --example http
    # With the descriptors that every shell allows, macOS's being the fewest.
    run timeout 120 bash -c "ulimit -Sn 256 && $command -- --requests 5000"
    # Fewer connections than requests at once.
    run timeout 120 bash -c "$command -- --requests 5000 --concurrency 200 --streams 20"
}

# The same, for calls; 5000 of them are over soon.
grpc() {
    local command
    command=$(unoptimized_command smux-tokio/examples/grpc/README.md "cargo run --release -p smux-tokio")
    section "gRPC over smux"
    run cargo build -p smux-tokio --features tonic,tower --example grpc
    run timeout 120 bash -c "$command -- --calls 5000"
}

# Both compare every byte, and fail by themselves.
websocket() {
    local command
    command=$(unoptimized_command smux-tokio/examples/websocket/README.md "cargo run --release -p smux-tokio")
    section "smux over WebSockets"
    run cargo build -p smux-tokio --example websocket
    run timeout 120 bash -c "$command"
}

reverse() {
    local command
    command=$(unoptimized_command smux-tokio/examples/reverse/README.md "cargo run --release -p smux-tokio")
    section "a server that dials out"
    run cargo build -p smux-tokio --example reverse
    run timeout 120 bash -c "$command"
}

# Two swarms in one process, which compare every byte. Their dependencies are outside of the workspace.
libp2p() {
    local folder=smux-async-std/examples/libp2p command
    command=$(page_command "$folder/README.md" "cargo run")
    section "smux in libp2p"
    # No clippy: it would go through a few hundred crates once more. Some of them are built already.
    local -x CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}
    run cargo fmt --manifest-path "$folder/Cargo.toml" --check
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

# Where the listener that was started last serves its counters.
metrics_page() {
    local line
    read -r line <&"$output" || fail "no line about the metrics"
    printf '%s' "${line#metrics on }"
}

# Real values, read as Prometheus does.
metrics() {
    local command pid address output line bytes arguments
    local prefix="cargo run -p smux-tokio --example metrics --"
    command=$(page_command smux-tokio/examples/metrics/README.md "$prefix")
    section "sessions' counters for Prometheus"
    run cargo build -p smux-tokio --example metrics
    read -ra arguments <<<"${command#"$prefix"}"
    start_listener "${CARGO_TARGET_DIR:-target}/debug/examples/metrics" "${arguments[@]/%:9184/:0}"
    read -r line <&"$output" || fail "the example moved nothing"
    [[ $line =~ ^moved\ ([0-9]+)\ bytes ]] || fail "not what it moved: $line"
    bytes=${BASH_REMATCH[1]}
    scrape "http://$address/metrics" "smux_payload_bytes_total{direction=\"sent\"}==$bytes" \
        "smux_payload_bytes_total{direction=\"received\"}==$bytes" 'smux_sessions==2' \
        'smux_frames_total{direction="sent",command="syn"}==8' 'smux_streams_total{event="accepted"}==8' \
        'smux_stall_seconds_total{cause="peer_window"}>0.1' 'smux_session_waiting_writes==0' \
        'smux_session_receive_buffered_bytes{session="server"}==0'
    kill "$pid"
    wait "$pid" || true
}

scrape() { run timeout 30 "$SCRAPER" -B .ci/checks/scrape.py "$@"; }

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
        'A waited for the window 1×, 0.050 s' 'stream 3, .*finished' 'no frame breaks the protocol'; do
        grep -Eq "$words" <<<"$text" || fail "no '$words' in: $text"
    done
    if timeout 60 "${CARGO_TARGET_DIR:-target}/debug/examples/smux-dump" <<<"no capture"; then
        fail "what is no capture was taken for one"
    fi
}

# On io_uring if this kernel has it: the example prints which driver ran. The suite runs on both ways.
completion() {
    local page=smux-proto/examples/completion/README.md
    local manifest=smux-proto/examples/completion/Cargo.toml
    local command tests
    command=$(page_command "$page" "cargo run --manifest-path $manifest --example echo")
    tests=$(page_command "$page" "cargo test --manifest-path $manifest")
    section "smux over completion I/O"
    # Most of its dependencies are built already.
    local -x CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}
    run cargo fmt --manifest-path "$manifest" --check
    run cargo clippy --locked --manifest-path "$manifest" --all-targets -- -D warnings
    run timeout 300 bash -c "$command"
    run cargo test --manifest-path "$manifest" --no-run
    run timeout 300 bash -c "$tests"
}
