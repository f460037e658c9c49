"""A booking with compensation: steps that are undone in reverse order when a later one fails."""

from web import HttpError, get, post


def book(url, names, failing):
    done = []
    try:
        for name in names:
            path = f"status/409/{name}" if name == failing else name
            get(f"{url}/book/{path}") if name != failing else get(f"{url}/{path}")
            done.append(name)
            print("booked", name)
    except HttpError as error:
        print("failed", error)
        for name in reversed(done):
            print("undone", post(f"{url}/undo", name))
        return "rolled back"
    return "booked"


def main(event):
    return [book(event["url"], ["flight", "hotel", "car"], failing) for failing in ("car", None)]


CASE = {
    "result": ["rolled back", "booked"],
    "prints": [
        "booked flight",
        "booked hotel",
        "failed 409 car",
        "undone hotel",
        "undone flight",
        "booked flight",
        "booked hotel",
        "booked car",
    ],
    "calls": ["activity web.get"] * 3 + ["activity web.post"] * 2 + ["activity web.get"] * 3,
    "effects": 8,
}
