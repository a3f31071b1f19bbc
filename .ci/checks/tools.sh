# shellcheck shell=bash
# Prepares what the checks need. What is missing is installed where that is possible.

apt_install() {
    command -v apt-get >/dev/null || return 1
    local sudo=()
    [[ $(id -u) == 0 ]] || sudo=(sudo)
    run "${sudo[@]}" apt-get update -q && run "${sudo[@]}" apt-get install -qy --no-install-recommends "$@"
}

prepare_python() {
    command -v python3 >/dev/null || apt_install python3 || fail "no Python 3"
}

prepare_rust() {
    command -v cargo >/dev/null || fail "cargo is missing: see https://rustup.rs"
    command -v cc >/dev/null || apt_install gcc libc6-dev || fail "no C compiler"
    run cargo --version
}

# Whether the libraries of target $1 are there.
has_target() {
    rustup target list --installed | grep -qx "$1" || run rustup target add "$1"
}

prepare_lints() {
    cargo fmt --version >/dev/null 2>&1 || run rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || run rustup component add clippy
}

prepare_cxx() {
    command -v c++ >/dev/null || apt_install g++ || fail "no C++ compiler: the fuzz targets need it"
}

go_is_new_enough() {
    local needed found
    needed=$(sed -nE 's/^go //p' "$GO_PEER/go.mod")
    found=$(go env GOVERSION)
    [[ $(printf '%s\n' "$needed" "${found#go}" | sort -V | head -n 1) == "$needed" ]]
}

prepare_go() {
    command -v go >/dev/null || apt_install golang-go || fail "Go is missing: the interop tests need it"
    go_is_new_enough || fail "$(go version) is too old, see $GO_PEER/go.mod: get it from https://go.dev/dl"
    run go version
}

prepare_kcptun() {
    if command -v kcptun-client >/dev/null || apt_install kcptun; then
        export SMUX_REQUIRE_KCPTUN=1
    else
        skip "the tunnel with kcptun at one end (no package)"
    fi
}

prepare_chromium() {
    command -v chromium >/dev/null || apt_install chromium || skip "the page in a browser (no package of Chromium)"
}

prepare_tshark() {
    if command -v tshark >/dev/null || DEBIAN_FRONTEND=noninteractive apt_install tshark; then
        export SMUX_REQUIRE_TSHARK=1
    else
        skip "the dissector for Wireshark (no package of tshark)"
    fi
}

# The library that reads what Prometheus reads, in an environment of its own.
prepare_scraper() {
    local folder=${CARGO_TARGET_DIR:-target}/scraper
    SCRAPER=$folder/bin/python3
    "$SCRAPER" -c 'import prometheus_client' 2>/dev/null && return
    if ! python3 -m venv "$folder" 2>/dev/null; then
        apt_install python3-venv && run python3 -m venv "$folder" || fail "no Python environment"
    fi
    run "$folder/bin/pip" install -q prometheus-client || fail "no prometheus-client"
}
