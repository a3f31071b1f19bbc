# shellcheck shell=bash
# Checks of the code: how it is written, built and packaged, and its tests.

layout() {
    section "layout"
    run python3 -B .ci/checks/layout.py
}

lints() {
    section "format"
    run cargo fmt --all --check
    section "clippy: workspace"
    run cargo clippy --workspace --all-targets -- -D warnings
    local features feature crate
    for crate in "${PUBLISHED[@]}"; do
        section "clippy: $crate with no feature, each alone, and all"
        run cargo clippy -p "$crate" --lib --no-default-features -- -D warnings
        features=$(features_of "$crate")
        for feature in $features; do
            run cargo clippy -p "$crate" --lib --no-default-features --features "$feature" -- -D warnings
        done
        run cargo clippy -p "$crate" --lib --all-features -- -D warnings
    done
    section "clippy: core with the poll layer and traces, which most programs have"
    run cargo clippy -p smux-proto --lib --features poll,tracing -- -D warnings
    section "clippy: smux-tokio with all features"
    run cargo clippy -p smux-tokio --all-features --all-targets -- -D warnings
    section "docs"
    RUSTDOCFLAGS="-D warnings" run cargo doc --workspace --no-deps
}

# The names of a crate's features.
features_of() {
    cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == sys.argv[1]:
        print("\n".join(sorted(package["features"])))' "$1"
}

# Whether the crates can be packaged together, and documented as docs.rs does it. That they build from their packages takes longer: leave
# `--no-verify` out.
packages() {
    section "packages"
    run cargo package --workspace --exclude smux-conformance --no-verify --allow-dirty --quiet
    local crate file packaged
    for crate in "${PUBLISHED[@]}"; do
        packaged=$(cargo package -p "$crate" --list --allow-dirty --quiet)
        for file in LICENSE-APACHE LICENSE-MIT README.md; do
            grep -qx "$file" <<<"$packaged" || fail "the package of $crate has no $file"
        done
    done
    section "docs as on docs.rs"
    # That builds with a nightly compiler, all features and this cfg; the variable stands for the first.
    for crate in "${PUBLISHED[@]}"; do
        RUSTC_BOOTSTRAP=1 RUSTDOCFLAGS="--cfg docsrs -D warnings" run cargo doc -p "$crate" --no-deps --all-features
    done
}

# What breaks programs that use the crates must be in the changelog: it decides the next version.
semver() {
    section "changes of the API since the commit before"
    local base=HEAD^ crate broken=()
    git diff --quiet HEAD || base=HEAD
    if ! git rev-parse -q --verify "$base" >/dev/null; then
        skip "cargo semver-checks (the commit before is not here)"
        return
    fi
    if ! cargo semver-checks --version >/dev/null 2>&1 &&
        ! { [[ ${SMUX_SEMVER:-} == 1 ]] && run cargo install --locked cargo-semver-checks; }; then
        skip "cargo semver-checks (not installed; SMUX_SEMVER=1 installs it, which takes minutes)"
        return
    fi
    for crate in "${PUBLISHED[@]}"; do
        run cargo semver-checks -p "$crate" --baseline-rev "$base" --release-type minor || broken+=("$crate")
    done
    [[ ${#broken[@]} == 0 ]] || git diff "$base" -- CHANGELOG.md | grep -q '^+[^+]' ||
        fail "changes of the API that CHANGELOG.md does not tell: ${broken[*]}"
}

go_peer() {
    section "Go test peer: format, vet, its own tests"
    go_format "$GO_PEER"
    (
        cd "$GO_PEER"
        run go vet -modfile=go1.5.16.mod ./...
        run go vet -modfile=go1.5.58.mod -tags=closewrite ./...
        run go test -modfile=go1.5.58.mod -tags=closewrite ./...
        # What is stored of the release before is still what it does.
        run go test -modfile=go1.5.57.mod -tags=closewrite ./record
    )
}

no_std() {
    section "core without std"
    run cargo build -p smux-proto --no-default-features --features serde,tracing
    # The host's target always has a std that a dependency could link; this one has none.
    if has_target "$BARE_TARGET"; then
        run cargo build -p smux-proto --no-default-features --features serde,tracing --target "$BARE_TARGET"
    else
        skip "core on $BARE_TARGET (target not installed)"
    fi
}

# What the libraries are built for elsewhere. Nothing is linked or run here.
targets() {
    local features target wasm=wasm32-unknown-unknown
    if has_target "$wasm"; then
        section "libraries for browsers"
        run cargo check -p smux-proto --features poll,serde,tracing --target "$wasm"
        for features in "" serde,tracing; do
            run cargo check -p smux-tokio -p smux-async-std --no-default-features --features "$features" --target "$wasm"
        done
    else
        skip "libraries on $wasm (target not installed)"
    fi
    local crates=("${PUBLISHED[@]/#/--package=}")
    for target in x86_64-pc-windows-gnu aarch64-apple-darwin; do
        if has_target "$target"; then
            section "libraries for $target"
            run cargo check "${crates[@]}" --target "$target"
            run cargo check "${crates[@]}" --all-features --target "$target"
        else
            skip "libraries on $target (target not installed)"
        fi
    done
}

oldest_rust() {
    local version
    version=$(sed -nE 's/^rust-version = "([^"]+)"/\1/p' Cargo.toml)
    section "oldest supported Rust: $version"
    if rustup run "$version" rustc --version >/dev/null 2>&1 ||
        run rustup toolchain install "$version" --profile minimal; then
        run cargo "+$version" check --workspace --all-features
    else
        skip "Rust $version (toolchain not installed)"
    fi
}

tests() {
    local command
    command=$(page_command README.md "cargo test")
    section "the README's tests, with live Go peers"
    run cargo test --workspace --no-run
    # A test that hangs is a failure; so it is below.
    run timeout 900 bash -c "$command"
    section "core's tests without the poll layer"
    run cargo test -p smux-proto --no-default-features --no-run
    run timeout 300 cargo test -p smux-proto --no-default-features
    section "configurations in files"
    run timeout 300 cargo test -p smux-proto --features serde --test serde
    section "smux-tokio under axum, hyper-util and tonic"
    run cargo test -p smux-tokio --all-features --test integrations --no-run
    run timeout 300 cargo test -p smux-tokio --all-features --test integrations
    section "what is told to tracing, and that it allocates nothing"
    run timeout 300 cargo test -p smux-proto --features poll,tracing --test tracing --test allocations
    run timeout 300 cargo test -p smux-proto --features poll,tracing --test poll subscribers
}

dependencies() {
    section "licences, sources, advisories"
    if ! cargo deny --version >/dev/null 2>&1; then
        skip "cargo deny (not installed)"
        return
    fi
    run cargo deny --all-features check bans licenses sources
    # Advisories need a database that is fetched from the network.
    if run cargo deny fetch db; then
        run cargo deny --all-features check advisories
    else
        skip "advisories (the database cannot be fetched)"
    fi
}

# The benches and the fuzz targets are outside of the workspace, so that their dependencies are too.
benches() {
    section "benches"
    run cargo clippy --manifest-path benches/Cargo.toml --all-targets -- -D warnings
    section "the Go peers of the benches: format, vet"
    go_format benches/go
    (cd benches/go && run go vet ./...)
    section "the README's measurements"
    measurements
}

# The README's table and picture must be what the saved runs make. Nothing is measured here.
measurements() {
    local picture=benches/comparison.svg command made table
    command=$(unoptimized_command benches/README.md "cargo run .* -- chart benches/comparison.jsonl")
    [[ $command == *" --output $picture" ]] || fail "the README's chart is not drawn to $picture"
    made=$(mktemp)
    table=$(bash -c "${command/%$picture/"$made"}") || fail "no chart of the saved runs"
    [[ $table == "| "* && $(<README.md) == *"$table"* ]] || fail "README.md does not have the table and notes of its runs: $table"
    cmp "$made" "$picture" || fail "$picture is not drawn from the runs of the README"
    rm "$made"
}

fuzzing() {
    section "fuzz targets, for a moment"
    # The corpus itself is replayed by the core's tests.
    run timeout 600 fuzz/run.sh 10
    skip "AddressSanitizer on the fuzz targets (needs a nightly compiler; there is no unsafe code to check)"
}
