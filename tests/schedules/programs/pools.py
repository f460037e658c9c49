"""Thread pools: as_completed, wait, map, with failures."""

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, as_completed, wait

from outside import work


def main(event):
    seen = []
    with ThreadPoolExecutor(3) as pool:
        for future in as_completed([pool.submit(work, n) for n in range(6)]):
            seen.append(repr(future.exception() or future.result()))
        done, rest = wait([pool.submit(work, n) for n in range(4)], return_when=FIRST_COMPLETED)
        seen.append([repr(future.exception() or future.result()) for future in done])
        seen.append(len(rest))
        seen.append(list(pool.map(work, (0, 1, 2))))
    return seen
