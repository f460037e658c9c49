"""64 MiB of output."""

from probing import saw


def main(event):
    line = "x" * 16000
    for _ in range(4200):
        print(line)
    return saw("64 MiB of output were taken")
