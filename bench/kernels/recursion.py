"""Nothing but calls of the program's own functions: trees, and Fibonacci's numbers the slow way."""


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def tree(depth):
    return (tree(depth - 1), tree(depth - 1)) if depth else (None, None)


def leaves(node):
    left, right = node
    return 1 if left is None else leaves(left) + leaves(right)


def run(size):
    return sum(fibonacci(15) + leaves(tree(8)) for _ in range(size * 10))
