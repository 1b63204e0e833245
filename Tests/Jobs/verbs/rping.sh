# Server and client of rdmacm-utils' rping in one job, each validating what the other sends (-V).
#
#   bash rping.sh COUNT
#
# Ports of the connection manager are the job's own. Nothing outside tells when the server listens, so
# the client tries again; what each printed comes at the end.
rping -s -a 127.0.0.1 -C "$1" -V >server.out 2>&1 &
server=$!
for try in 1 2 3 4 5; do
    rping -c -a 127.0.0.1 -C "$1" -V >client.out 2>&1
    client=$?
    grep -qs 'RDMA_CM_EVENT_REJECTED' client.out || break
    sleep 0.1
done
wait "$server"
server=$?
# Which side's words about the end come first differs from run to run.
sort -u client.out | sed 's/^/client: /'
sort -u server.out | sed 's/^/server: /'
echo "client $client, server $server"
[ "$client" -eq 0 ] && [ "$server" -eq 0 ]
