# Server and client of one test of ucx_perftest in one job: bash ucx.sh TEST COUNT
#
# Every number that it prints is a timing. What is left is that both sides came to their end, after as
# many iterations as they were asked for.
ucx_perftest >server.out 2>&1 &
server=$!
# Its port, 13337, listening (0A in these tables).
listening=': [0-9A-F]*:3419 [0-9A-F]*:0000 0A '
until grep -qs "$listening" /proc/net/tcp /proc/net/tcp6; do
    kill -0 "$server" 2>/dev/null || break
    sleep 0.02
done
ucx_perftest 127.0.0.1 -t "$1" -n "$2" -f >client.out 2>&1
client=$?
wait "$server"
echo "client $client, server $?, $(grep -c "^ *$2 " client.out) of 1 final lines"
