"""An exception whose message holds lone surrogates and whose str() fails still ends the session in order."""


class Nasty(Exception):
    def __str__(self):
        raise ValueError("no text")


def main(event):
    try:
        raise RuntimeError("\ud800")
    except RuntimeError as error:
        raise Nasty() from error


CASE = {"error": "Nasty"}
