"""httpx, called directly and from inside an activity with a client."""

import httpx
import perdure


@perdure.activity
def with_client(url):
    with httpx.Client(base_url=url, trust_env=False) as client:
        return [client.get("/one").text, client.post("/two", content="sent").text]


def main(event):
    answer = httpx.get(event["url"] + "/direct", trust_env=False)
    return [answer.status_code, answer.text, with_client(event["url"])]


CASE = {"result": [200, "direct", ["one", "sent"]], "effects": 3, "in_flight": 2, "heavy": True}
