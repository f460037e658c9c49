"""Methods, properties, class and static methods of user classes that call out; private names."""

from web import get


class Shop:
    __slots__ = ("_url", "__count")

    def __init__(self, url):
        self._url = url
        self.__count = 0

    def __fetch(self, name):
        self.__count += 1
        return get(f"{self._url}/{name}")

    @property
    def price(self):
        return int(self.__fetch("42"))

    @staticmethod
    def ping(url):
        return get(url + "/ping")

    @classmethod
    def open(cls, url):
        return cls(url + "/" + get(url + "/shop"))

    def __call__(self, name):
        return self.__fetch(name)

    def __getitem__(self, name):
        return self.__fetch(f"item{name}")

    def __len__(self):
        return self.__count


def main(event):
    shop = Shop.open(event["url"])
    return [shop.price, shop("called"), shop[3], Shop.ping(event["url"]), shop.ping(event["url"]), len(shop)]


CASE = {
    "result": [42, "called", "item3", "ping", "ping", 3],
    "calls": ["activity web.get"] * 6,
    "effects": 6,
}
