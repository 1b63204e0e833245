"""CPython with threads, a process pool of its own making, pipes and short-lived commands.

Every round hands work to four threads through queues and to two long-lived child processes through
pipes, and runs one short command (`tr`), so that a cut finds forks, exits and half-written pipes.

usage: workers.py ROUNDS
"""

import hashlib
import queue
import subprocess
import sys
import threading

CHILD = """
import hashlib, sys
state = hashlib.sha256()
for line in sys.stdin:
    state.update(line.encode())
    print(state.hexdigest(), flush=True)
"""


def thread_main(inbox, outbox):
    state = hashlib.sha256()
    while (item := inbox.get()) is not None:
        state.update(item)
        blocks = [bytes([b]) * 1000 for b in state.digest()]
        state.update(b"".join(blocks))
        outbox.put(state.hexdigest())


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    threads = []
    for _ in range(4):
        inbox, outbox = queue.Queue(), queue.Queue()
        thread = threading.Thread(target=thread_main, args=(inbox, outbox))
        thread.start()
        threads.append((thread, inbox, outbox))
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    joint = hashlib.sha256()
    for number in range(1, rounds + 1):
        for index, (_, inbox, _) in enumerate(threads):
            inbox.put(f"{index}:{number}".encode())
        for child in children:
            child.stdin.write(f"round {number} {'x' * (number * 37 % 5000)}\n")
            child.stdin.flush()
        for _, _, outbox in threads:
            joint.update(outbox.get().encode())
        for child in children:
            joint.update(child.stdout.readline().encode())
        shouted = subprocess.run(["tr", "a-f", "A-F"], input=joint.hexdigest(), text=True,
                                 capture_output=True, check=True).stdout
        print(f"round {number} {shouted[:32]}", flush=True)
    for thread, inbox, _ in threads:
        inbox.put(None)
        thread.join()
    for child in children:
        child.stdin.close()
        assert child.wait() == 0
    print("done", flush=True)


main()
