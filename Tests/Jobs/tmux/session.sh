#!/bin/sh
# A tmux server as a job. tmux makes itself a daemon, so this script is what stays in front: it
# starts the server, waits for the file `finish` and ends with it. The harness types into the
# session from outside with clients of its own, before and after the restart.
#
# usage: session.sh SOCKET
unset TMUX
tmux -S "$1" -f /dev/null new-session -d -x 100 -y 30 -n shell 'exec bash --norc --noprofile' ||
    exit 1
echo started
while ! [ -e finish ]; do
    sleep 0.05
done
tmux -S "$1" kill-server
echo finished
