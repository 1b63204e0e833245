#!/usr/bin/env bash
# A server and its client on one host: pair.sh SERVER CLIENT, two shell commands, the client's run when the server
# listens, or has had a second (listeners of rdma_cm are not to be seen). Exit status 0: both ended with it; a server
# that goes on is ended. Output: the client's.
set -uo pipefail
. "$(dirname "$0")/faults-of-others.sh"
server=$1 client=$2

# Runs both; what they said is in server.out and client.err, how they ended in $status and $ended, 0 for a server that
# went on. $status is the server's where the client's is 0.
play() {
    sh -c "exec $server" >server.out 2>&1 & local pid=$!
    for _ in $(seq 50); do
        grep -qs ' 0A ' /proc/net/tcp /proc/net/tcp6 && break
        sleep 0.02
    done
    sleep 0.1
    attend sh -c "exec $client"
    status=$(status_but_for_race "$status" client.err)
    for _ in $(seq 50); do kill -0 $pid 2>/dev/null || break; sleep 0.02; done
    if kill $pid 2>/dev/null; then wait $pid 2>/dev/null; ended=0; return; fi
    wait $pid; ended=$(status_but_for_race $? server.out)
    [ "$ended" -ne 0 ] || status=$(status_but_for_last_message "$status" client.err)
    status=$((status ? status : ended))
}

play_until_measured client.err server.out
cat client.err >&2
[ $ended -eq 0 ] || { echo "the server ended with $ended:"; tail -5 server.out; }
exit $status
