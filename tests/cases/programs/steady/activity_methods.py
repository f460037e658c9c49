"""Marks on methods, static methods, class methods, classes and lambdas; activities with names of their own."""

import perdure
from web import request


class Api:
    def __init__(self, url):
        self.url = url

    @perdure.activity
    def get(self, name):
        return request("GET", f"{self.url}/{name}").decode()

    @staticmethod
    @perdure.activity(name="api.ping")
    def ping(url):
        return request("GET", url + "/ping").decode()

    @classmethod
    @perdure.activity
    def version(cls, url):
        return cls.__name__ + request("GET", url + "/v").decode()


@perdure.activity
class Fetched:
    def __init__(self, url):
        self.text = request("GET", url + "/class").decode()


shout = perdure.activity(lambda url: request("GET", url + "/lambda").decode().upper())


def main(event):
    api = Api(event["url"])
    return [api.get("x"), api.ping(api.url), Api.version(api.url), Fetched(api.url).text, shout(api.url)]


CASE = {"result": ["x", "ping", "Apiv", "class", "LAMBDA"], "effects": 5}
