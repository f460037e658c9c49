"""Integers and list slices: the greatest number of pancake flips over all permutations."""


def flips(permutation):
    row = permutation[:]
    count = 0
    while first := row[0]:
        row[: first + 1] = row[first::-1]
        count += 1
    return count


def permutations(n):
    row, counts = list(range(n)), list(range(1, n + 1))
    while True:
        yield row
        for index in range(1, n):
            row.insert(index, row.pop(0))
            counts[index] -= 1
            if counts[index] > 0:
                break
            counts[index] = index + 1
        else:
            return


def run(size):
    return {max(map(flips, permutations(7))) for _ in range(max(1, size // 5))}
