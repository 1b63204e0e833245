#!/usr/bin/env bash
# A server and its client on one host: pair.sh SERVER CLIENT, two shell commands, the client's run when the server
# listens, or has had a second (listeners of rdma_cm are not to be seen). Exit status 0: both ended with it; a server
# that goes on is ended. Output: the client's.
set -uo pipefail
. "$(dirname "$0")/rping-end.sh"
sh -c "exec $1" >server.out 2>&1 & server=$!
for _ in $(seq 50); do
    grep -qs ' 0A ' /proc/net/tcp /proc/net/tcp6 && break
    sleep 0.02
done
sleep 0.1
sh -c "exec $2" 2>client.err; status=$(status_but_for_race $? client.err)
cat client.err >&2
for _ in $(seq 50); do kill -0 $server 2>/dev/null || break; sleep 0.02; done
if kill $server 2>/dev/null; then wait $server 2>/dev/null; exit $status; fi
wait $server; ended=$(status_but_for_race $? server.out)
[ $ended -eq 0 ] || { echo "the server ended with $ended:"; tail -5 server.out; }
exit $((status ? status : ended))
