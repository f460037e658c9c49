"""An external call in a thread of the user's has no place in the journal yet, even if its error is swallowed."""

import sys
import threading


def main(event):
    sys.path.append(event["lib"])
    import outside

    def work():
        try:
            outside.get(event["url"] + "/never")
        except BaseException:
            pass

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return "as if nothing had been"


CASE = {"error": "ConcurrencyError", "code": "P0404", "says": "thread"}
