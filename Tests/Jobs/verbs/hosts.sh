#!/usr/bin/env bash
# A server and a client on two hosts, which are network namespaces joined by a pair of virtual Ethernet devices:
# hosts.sh SERVER CLIENT, two shell commands, the client's run when the server's has had a moment. Exit status and
# output: the client's. 10.77.0.1 is the server's host, 10.77.0.2 the client's.
set -euo pipefail
. "$(dirname "$0")/faults-of-others.sh"
server=$1 client=$2
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
hosts=()
for number in 1 2; do
    unshare --net sleep 1000 & hosts[number]=$!
    until [ "$(readlink /proc/self/ns/net)" != "$(readlink "/proc/${hosts[number]}/ns/net")" ]; do sleep 0.01; done
done
on() { local number=$1; shift; nsenter --target "${hosts[number]}" --net "$@"; }
on 1 ip link add veth1 type veth peer name veth2 netns "${hosts[2]}"
for number in 1 2; do
    on $number ip address add "10.77.0.$number/24" dev veth$number
    on $number ip link set veth$number up
    on $number ip link set lo up
done
play() {
    (FERMATA_NODE=1@10.77.0.1 exec nsenter --target "${hosts[1]}" --net sh -c "exec $server") >server.out 2>&1 &
    local pid=$!
    sleep 0.5
    FERMATA_NODE=2@10.77.0.2 attend nsenter --target "${hosts[2]}" --net sh -c "$client"
    status=$(status_but_for_race "$status" client.err)
    kill $pid 2>/dev/null || true
    wait $pid || true
}

play_until_measured client.err server.out
cat client.err >&2
exit $status
