"""Calls inside f-strings, nested ones and their format specifications."""

from web import get


def main(event):
    url = event["url"]
    text = f"{get(url + '/left')!r:>{len(get(url + '/123456789'))}}|{get(url + '/' + get(url + '/in'))}|{1 + 1=}"
    print(f"{text}")
    return text


CASE = {
    "result": "   'left'|in|1 + 1=2",
    "prints": ["   'left'|in|1 + 1=2"],
    "calls": ["activity web.get"] * 4,
    "effects": 4,
}
