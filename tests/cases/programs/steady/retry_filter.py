"""retry_on: only the named exceptions are tried again, by class or by name."""

import perdure
from web import HttpError, request


@perdure.activity(retry=perdure.RetryPolicy(max_attempts=3, initial_delay=0.01, jitter=0, retry_on=(HttpError,)))
def by_class(url, broken=False):
    text = request("GET", url).decode()
    if broken:
        raise ValueError(text)
    return text


@perdure.activity(retry=perdure.RetryPolicy(max_attempts=3, initial_delay=0.01, jitter=0, retry_on=("KeyError",)))
def by_name(url):
    raise LookupError(request("GET", url).decode())


def main(event):
    url = event["url"]
    results = [by_class(url + "/fail/1/ok")]
    for call in (lambda: by_class(url + "/value", broken=True), lambda: by_name(url + "/lookup")):
        try:
            call()
        except (ValueError, LookupError) as error:
            results.append(repr(error))
    return results


CASE = {
    "plain": False,
    "result": ["ok", "ValueError('value')", "LookupError('lookup')"],
    "calls": ["activity retry_filter.by_class"] * 2 + ["activity retry_filter.by_name"],
    "effects": 4,
}
