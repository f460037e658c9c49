"""Thread pools: map over an external function, submit, as_completed and wait."""

import sys
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, as_completed, wait


def main(event):
    sys.path.append(event["lib"])
    import outside

    url = event["url"]
    with ThreadPoolExecutor(3) as pool:
        texts = list(pool.map(outside.get, [f"{url}/{name}" for name in "abc"]))
        futures = {pool.submit(outside.get, f"{url}/slow/{delay}/{delay}"): delay for delay in (0.2, 0.05)}
        seen = [future.result() for future in as_completed(futures)]
        done, _ = wait([pool.submit(outside.get, f"{url}/w{i}") for i in range(2)], return_when=FIRST_COMPLETED)
        some = len(done) >= 1
    return [texts, sorted(seen), some]


CASE = {"result": [["a", "b", "c"], ["0.05", "0.2"], True], "effects": 7, "in_flight": 3}
