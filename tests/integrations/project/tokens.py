"""Uses an access token where a client would, and says nothing of it but what the service says."""

import urllib.request

import perdure
from perdure.integrations import access_token


@perdure.activity
def who(url):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {access_token('mail')}"})
    with urllib.request.urlopen(request) as answer:
        return answer.status


def main(event):
    return who(event["url"])
