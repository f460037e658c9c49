"""A file written through its handle, operation by operation: after a crash it is the same file."""


def main(event):
    path = event["dir"] + "/notes.txt"
    with open(path, "w", encoding="utf-8") as stream:
        counts = [stream.write(f"line {number}\n") for number in range(3)]
        stream.writelines(["four\n", "five\n"])
        open_inside = stream.closed
    with open(path, "a", encoding="utf-8") as stream:
        stream.write("last\n")
    with open(path, "rb") as stream:
        content = stream.read()
    return [counts, open_inside, stream.closed, stream.name == path, content.decode().splitlines()]


CASE = {
    "result": [[7, 7, 7], False, True, True, ["line 0", "line 1", "line 2", "four", "five", "last"]],
    "effects": 0,
}
