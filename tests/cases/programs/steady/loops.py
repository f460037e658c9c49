"""while, for, else, break, continue, enumerate, zip, del, unpacking, conditional expressions around calls."""

from web import get


def main(event):
    url, seen, rest = event["url"], [], 5
    while rest:
        rest -= 1
        if rest == 3:
            continue
        if get(f"{url}/{rest}") == "1":
            break
    else:
        seen.append("exhausted")
    for number, (left, right) in enumerate(zip("abc", reversed("xyz"))):
        seen.append(get(f"{url}/{left}{right}") if number % 2 == 0 else get(f"{url}/{right}"))
    else:
        seen.append("done")
    first, *middle, last = (get(f"{url}/u{i}") for i in range(4))
    del seen[0]
    assert get(url + "/true"), get(url + "/never")
    return [rest, seen, first, middle, last, get(url + "/or") or get(url + "/not"), 1 < len(get(url + "/cmp")) < 9]


CASE = {
    "result": [1, ["y", "cx", "done"], "u0", ["u1", "u2"], "u3", "or", True],
    "calls": ["activity web.get"] * 13,
    "effects": 13,
}
