# Server and client of one of rdma-core's ibv_*_pingpong in one job.
#
#   bash pingpong.sh ibv_rc_pingpong -c -n 1000 …
#
# What the client prints comes first, then what the server printed; exit status 0 only if both had
# it. With SERVER_NODE and CLIENT_NODE each is on the node of that number. Tests that run at a time get
# different ports by the mark of their test.
mark=${FERMATA_TEST_MARK:-ft$$-0-}
IFS=- read -r run serial _ <<<"${mark#ft}"
port=$((10000 + (run * 61 + serial) % 20000))
FERMATA_NODE=${SERVER_NODE:-0} "$@" -p "$port" >server.out 2>&1 &
server=$!
# Listening (0A in these tables), or gone.
printf -v listening ': [0-9A-F]*:%04X [0-9A-F]*:0000 0A ' "$port"
until grep -qs "$listening" /proc/net/tcp /proc/net/tcp6; do
    kill -0 "$server" 2>/dev/null || break
    sleep 0.02
done
FERMATA_NODE=${CLIENT_NODE:-0} "$@" -p "$port" 127.0.0.1
client=$?
wait "$server"
server=$?
cat server.out
echo "client $client, server $server"
[ "$client" -eq 0 ] && [ "$server" -eq 0 ]
