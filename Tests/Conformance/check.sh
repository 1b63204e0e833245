#!/bin/sh
# Runs programs with nothing happening to them: `check.sh OUT [name...]`. All must say ready, then PASS.
out=$1
shift
[ $# -gt 0 ] || set -- $(cd "$(dirname "$0")" && make -s list)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 skipped=0 failed=0
for name; do
    mkdir -p "$work/scratch"
    rm -f "$work/go"
    : >"$work/output"
    FERMATA_GO=$work/go FERMATA_SCRATCH=$work/scratch nice timeout -k 1 40 "$out/$name" \
        >"$work/output" 2>"$work/errors" </dev/null &
    pid=$!
    waited=0
    while ! grep -qx ready "$work/output" && kill -0 $pid 2>/dev/null && [ $waited -lt 400 ]; do
        sleep 0.05
        waited=$((waited + 1))
    done
    sleep 0.1
    touch "$work/go"
    wait $pid
    status=$?
    left=$(ls -A "$work/scratch")
    case $status:$(tr '\n' ' ' <"$work/output") in
        "0:ready PASS ") [ -z "$left" ] && passed=$((passed + 1)) && continue ;;
        "77:SKIP: "*) skipped=$((skipped + 1)); echo "$name: $(cat "$work/output")"; continue ;;
    esac
    failed=$((failed + 1))
    echo "$name: status $status, output: $(cat "$work/output" "$work/errors") left: $left"
    rm -rf "$work/scratch"
done
echo "$passed passed, $skipped skipped, $failed failed"
[ $failed -eq 0 ]
