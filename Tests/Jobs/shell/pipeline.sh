#!/bin/bash
# One long pipeline: a generator, five filters and a checksum, all alive at once and all with
# something in their pipes. The progress line of every 2,000 records holds a running sum, so a
# byte lost or doubled between any two stages changes all later lines and the last digest.
#
# usage: pipeline.sh RECORDS
records=${1:-1000000}
export LC_ALL=C
awk -v n="$records" 'BEGIN {
    x = 12345
    for (i = 1; i <= n; i++) {
        x = (x * 69069 + 1) % 4294967296
        printf "%d record-%d %d\n", i, x % 1000, x
    }
}' |
    sed -u 's/record-/r:/' |
    tr 'a-z' 'A-Z' |
    grep --line-buffered -v 'R:13 ' |
    cat |
    awk '{
        split($2, part, ":")
        sum = (sum * 31 + $3 + part[2]) % 2147483647
        if (NR % 2000 == 0) {
            printf "line %d record %d sum %d\n", NR, $1, sum
            fflush()
        }
    } END { printf "end %d sum %d\n", NR, sum }' |
    tee >(sha256sum >digest.txt)
stages=("${PIPESTATUS[@]}")
# bash does not wait for a process substitution: wait for its answer.
while ! [ -s digest.txt ]; do sleep 0.05; done
cat digest.txt
echo "stages ${stages[*]}"
