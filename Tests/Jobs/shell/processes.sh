#!/bin/bash
# Nothing lives long: every round forks, executes, pipes, waits, traps and uses here-documents and
# command substitution. At a random instant some process is always between fork and exec, or a
# zombie that its parent has not waited for yet.
#
# usage: processes.sh ROUNDS
rounds=${1:-300}
export LC_ALL=C
state=start
usr1=0
trap 'usr1=$((usr1 + 1))' USR1
for ((i = 1; i <= rounds; i++)); do
    state=$(printf '%s %d' "$state" "$i" | sha1sum | cut -c1-20)
    # Three jobs in the background, each with its own exit status.
    pids=()
    for j in 1 2 3; do
        (exit $(((i * j) % 7))) &
        pids+=($!)
    done
    total=0
    for pid in "${pids[@]}"; do
        wait "$pid"
        total=$((total * 10 + $?))
    done
    kill -USR1 $$
    lines=$(
        cat <<TEXT | sort -r | tr '\n' ' '
$state
$total
$i
TEXT
    )
    echo "round $i state $state statuses $total usr1 $usr1 lines $lines"
done
echo done
