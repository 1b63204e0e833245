"""CPython with a large block of memory that differs from page to page, read at places all over it,
and a small shared one.

After a restart most of the block is not there yet; every round needs four places of it, far apart.

usage: ballast.py MEBIBYTES ROUNDS
"""

import hashlib
import mmap
import sys
import time

MIB = 1 << 20


def main():
    size, rounds = int(sys.argv[1]), int(sys.argv[2])
    block = bytearray(size * MIB)
    for part in range(size):
        # SHAKE is cheap enough, and no two pages are the same.
        block[part * MIB:(part + 1) * MIB] = hashlib.shake_128(b"%d" % part).digest(MIB)
    shared = mmap.mmap(-1, 2 * MIB)
    shared[:] = hashlib.shake_128(b"shared").digest(len(shared))
    state = hashlib.sha256()
    for number in range(1, rounds + 1):
        for _ in range(4):
            place = int.from_bytes(state.digest()[:6], "little") % (len(block) - 4096)
            state.update(block[place:place + 4096])
            state.update(shared[place % MIB:place % MIB + 4096])
        print(f"round {number} {state.hexdigest()[:32]}", flush=True)
        time.sleep(0.01)
    print("done", hashlib.sha256(block + shared[:]).hexdigest(), flush=True)


main()
