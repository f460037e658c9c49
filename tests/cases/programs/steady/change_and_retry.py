"""What failed attempts have changed is still changed for the next one, as it would be in a loop."""

import perdure
from web import get, request


class Job:
    def __init__(self):
        self.attempts = 0
        self.log = []

    @perdure.activity(retry=perdure.RetryPolicy(max_attempts=4, initial_delay=0.01))
    def run(self, url, seen):
        self.attempts += 1
        seen.append(f"attempt {self.attempts}")
        self.log.append(seen)
        request("GET", f"{url}/{self.attempts}")
        if self.attempts < 3:
            raise ConnectionError("not yet")
        return self


def main(event):
    job, seen = Job(), []
    same = job.run(event["url"], seen) is job
    get(f"{event['url']}/after")
    return [same, job.attempts, seen, len(job.log), all(each is seen for each in job.log)]


CASE = {
    "plain": False,
    "result": [True, 3, ["attempt 1", "attempt 2", "attempt 3"], 3, True],
    "calls": ["activity change_and_retry.Job.run", "activity web.get"],
    "effects": 4,
}
