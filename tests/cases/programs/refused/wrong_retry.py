"""Options that make no sense are refused where they are given."""

import perdure


@perdure.activity(retry=perdure.RetryPolicy(max_attempts=-1))
def work():
    return 1


def main(event):
    return work()


CASE = {"code": "P0302", "error": "ValueError", "says": "max_attempts"}
