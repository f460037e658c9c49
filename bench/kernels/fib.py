"""Nothing but calls of the program's own function: Fibonacci's numbers the slow way."""


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def run(size):
    return sum(fib(16) for _ in range(size * 10))
