# To be sourced: what other people's programs do wrong once in a while without Fermata, too.

# The thread of rping that takes events may come back for another one when the main thread, which is done, has closed
# the channel; it then ends the process with 255 (rdma-core, pull request 1622: "spurious failure").
#
# $1: how a program ended, $2: what it said on stderr. Prints how it ended but for that.
status_but_for_race() {
    if [ "$1" -eq 255 ] && grep -qs 'rdma_get_cm_event: Bad file descriptor' "$2"; then echo 0; else echo "$1"; fi
}

# libfabric's verbs provider destroys its queue pair as soon as it hears that the peer has disconnected, and only then
# looks what has completed; what it does not find it takes for flushed (vrb_ep_close, prov/verbs/src/verbs_ep.c). An
# adapter whose library forgets the completions of a destroyed queue pair, as Fermata's does and mlx5_destroy_qp of
# rdma-core, makes fi_pingpong say so of its last message, "fin", which the peer has had: it ended well.
#
# $1: how the client ended, $2: what it said on stderr, its peer having ended with 0. Prints how it ended but for that.
status_but_for_last_message() {
    if [ "$1" -eq 125 ] && grep -qsx '\[error\] util/pingpong.c:[0-9]*: cq_readerr: Work Request Flushed Error' "$2"; then
        echo 0
    else
        echo "$1"
    fi
}

# A program of perftest measures the processor's frequency when all is done, and ends with 1 if the measurement was
# disturbed, as it is on a busy machine (src/get_clock.c, sample_get_cpu_mhz). $1…: what its sides said.
could_not_measure() { grep -qs 'Correlation coefficient r^2: .* < 0.9' "$@"; }

# Runs a client, $1…, which with rdma_cm waits for ever for a server that ended so: it is ended, too. $status is how it
# ended; what it said on stderr is in client.err, what the server says is in server.out.
attend() {
    "$@" 2>client.err & local client=$!
    while kill -0 $client 2>/dev/null; do
        if could_not_measure server.out; then sleep 1; kill $client 2>/dev/null || true; break; fi
        sleep 0.02
    done
    status=0
    wait $client || status=$?
}

# Calls `play`, which sets $status, once, and again where a measurement was why it failed: five times at most. $1…: what
# the sides of the last play said.
play_until_measured() {
    for _ in $(seq 5); do
        play
        [ "$status" -ne 0 ] && could_not_measure "$@" || break
    done
}
