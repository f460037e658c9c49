"""urllib inside an activity and urlretrieve by itself."""

import urllib.error
import urllib.request

import perdure


@perdure.activity
def fetch(url):
    with urllib.request.urlopen(url) as answer:
        return [answer.status, answer.read().decode()]


def main(event):
    url = event["url"]
    where, _ = urllib.request.urlretrieve(url + "/file", event["dir"] + "/file")
    try:
        fetch(url + "/status/410/gone")
    except urllib.error.HTTPError as error:
        code = error.code
    return [where.endswith("/file"), fetch(url + "/ok"), code]


CASE = {"result": [True, [200, "ok"], 410], "effects": 3}
