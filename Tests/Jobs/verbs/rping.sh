# Server and client of rdmacm-utils' rping in one job, each validating what the other sends (-V).
#
#   bash rping.sh COUNT
#
# Ports of the connection manager are the job's own. Nothing outside tells when the server listens, so
# the client tries again; what each printed comes at the end. With SERVER_NODE and CLIENT_NODE each is on the
# node of that number.
. "$(dirname "$0")/faults-of-others.sh"
FERMATA_NODE=${SERVER_NODE:-0} rping -s -a 127.0.0.1 -C "$1" -V >server.out 2>&1 &
server=$!
for try in 1 2 3 4 5; do
    FERMATA_NODE=${CLIENT_NODE:-0} rping -c -a 127.0.0.1 -C "$1" -V >client.out 2>&1
    client=$(status_but_for_race $? client.out)
    grep -qs 'RDMA_CM_EVENT_REJECTED' client.out || break
    sleep 0.1
done
wait "$server"
server=$(status_but_for_race $? server.out)
sed -i '/rdma_get_cm_event: Bad file descriptor/d' client.out server.out
# Which side's words about the end come first differs from run to run.
sort -u client.out | sed 's/^/client: /'
sort -u server.out | sed 's/^/server: /'
echo "client $client, server $server"
[ "$client" -eq 0 ] && [ "$server" -eq 0 ]
