"""An MPI program in Python: pickled objects around a ring, collectives and a shared digest.

Rank 0 prints one line per round. The digest covers every object that every rank has seen so far,
so a message that is lost, doubled or reordered by a checkpoint changes all later lines.

usage: ring.py ROUNDS
"""

import hashlib
import sys

from mpi4py import MPI


def payload(rank, round_number):
    """An object whose pickle is sometimes a few bytes and sometimes beyond the eager limit."""
    size = 1 << ((rank * 7 + round_number) % 18)
    seed = f"{rank}/{round_number}".encode()
    return {
        "from": rank,
        "round": round_number,
        "bytes": (hashlib.sha256(seed).digest() * (size // 32 + 1))[:size],
        "numbers": [(round_number * k) % 97 for k in range(round_number % 50)],
    }


def main():
    world = MPI.COMM_WORLD
    rank, size = world.Get_rank(), world.Get_size()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    right, left = (rank + 1) % size, (rank - 1) % size
    digest = hashlib.sha256()
    for number in range(1, rounds + 1):
        carried = payload(rank, number)
        for _ in range(size):
            request = world.isend(carried, dest=right, tag=number % 1000)
            carried = world.recv(source=left, tag=number % 1000)
            request.wait()
            digest.update(repr((carried["from"], carried["numbers"])).encode())
            digest.update(carried["bytes"])
        assert carried["from"] == rank, (carried["from"], rank)
        everyone = world.allgather(digest.hexdigest())
        total = world.allreduce(int(digest.hexdigest()[:12], 16), op=MPI.SUM)
        told = world.bcast(total if rank == number % size else None, root=number % size)
        assert told == total
        if rank == 0:
            joint = hashlib.sha256("".join(everyone).encode()).hexdigest()
            print(f"round {number} total {total} digest {joint[:24]}", flush=True)
    if rank == 0:
        print("done", flush=True)


main()
