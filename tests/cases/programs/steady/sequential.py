"""External calls one after the other, with output between them."""

from web import get, post


def main(event):
    url = event["url"]
    seen = []
    for name in ("a", "b", "c"):
        seen.append(get(f"{url}/{name}"))
        print("got", seen[-1])
    seen.append(post(url + "/sum", "+".join(seen)))
    print("sent", seen[-1])
    return seen


CASE = {
    "result": ["a", "b", "c", "a+b+c"],
    "prints": ["got a", "got b", "got c", "sent a+b+c"],
    "calls": ["activity web.get"] * 3 + ["activity web.post"],
    "effects": 4,
}
