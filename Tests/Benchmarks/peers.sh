# SPDX-License-Identifier: Apache-2.0
# The peers of Tests/Benchmarks/run, measured with the same program in the same run. Sourced; uses
# its functions and $work. A peer that is not on PATH, or does not work here, is said so.

# Milliseconds that "$@" takes.
took() { local t; t=$(ns); "$@" >> "$work/peer.log" 2>&1 || return; calc "($(ns)-$t)/1e6" .1f; }

# A program of $1 MiB that no peer manages yet, in a session of its own; its pid in $hog.
start_hog() {
    rm -f "$HOG_END" "$work/peer.out"
    setsid "${@:2}" "$work/hog" "$1" < /dev/null > "$work/peer.out" 2> /dev/null & hog=$!
    wait_for ready "$work/peer.out"
}

peer_criu() {
    command -v criu > /dev/null || return 0
    if ! criu check > "$work/peer.log" 2>&1; then
        echo "criu $(criu --version | awk '/Version/ {print $2}'): not measured, criu check says: $(grep -m1 Error "$work/peer.log")"
        return 0
    fi
    mkdir -p "$work/criu"; start_hog "$1"
    local dump restore first t
    dump=$(took criu dump -t "$hog" -D "$work/criu" --leave-running) || { echo "criu: dump failed: $(tail -1 "$work/peer.log")"; kill -9 "$hog"; return 0; }
    kill -9 "$hog"; : > "$work/peer.out"; sync "$work/criu"/*; drop
    t=$(ns)
    restore=$(took criu restore -D "$work/criu" -d) || { echo "criu: restore failed: $(tail -1 "$work/peer.log")"; return 0; }
    wait_for tick "$work/peer.out"; first=$(awk '$1 == "tick" {print $2; exit}' "$work/peer.out")
    echo "criu: dump $dump ms (stop, no fsync), restore cold $restore ms, first progress $(calc "($first-$t)/1e6" .1f) ms"
    touch "$HOG_END"; wait_for sum "$work/peer.out"; rm -rf "$work/criu"
}

peer_dmtcp() {
    command -v dmtcp_launch > /dev/null || return 0
    local port=$((20000 + RANDOM % 20000)) checkpoint first t
    mkdir -p "$work/dmtcp"
    dmtcp_coordinator --daemon --exit-on-last -p $port --ckptdir "$work/dmtcp" > "$work/peer.log" 2>&1
    start_hog "$1" dmtcp_launch -p $port --no-gzip --ckptdir "$work/dmtcp"
    checkpoint=$(took dmtcp_command -p $port --bcheckpoint) || { echo "dmtcp: checkpoint failed: $(tail -1 "$work/peer.log")"; dmtcp_command -p $port --kill; return 0; }
    dmtcp_command -p $port --kill > /dev/null; : > "$work/peer.out"; drop
    t=$(ns)
    dmtcp_restart -p $port "$work/dmtcp"/*.dmtcp >> "$work/peer.out" 2>> "$work/peer.log" &
    wait_for tick "$work/peer.out"; first=$(awk '$1 == "tick" {print $2; exit}' "$work/peer.out")
    echo "dmtcp: checkpoint $checkpoint ms (stop, no fsync), first progress after a cold restart $(calc "($first-$t)/1e6" .1f) ms"
    touch "$HOG_END"; wait_for sum "$work/peer.out"; dmtcp_command -p $port --quit > /dev/null 2>&1 || true
    rm -rf "$work/dmtcp"
}
