"""Questions of those who stand at the desk."""

import autokitteh
from autokitteh import get_webhook_url, http_outcome, store


def on_question(event):
    asked = event.data.url.query.get("q")
    if event.data.url.path_suffix == "story":
        for part in ("once ", "upon ", "a time"):
            http_outcome(body=part, headers={"Content-Type": "text/plain"}, more=part != "a time")
    elif not asked:
        http_outcome(400, "ask something")
    elif asked == "page":
        http_outcome(200, "<html><body>come in</body></html>")
    elif asked == "where":
        http_outcome(json={"url": get_webhook_url("arrival")})
    elif asked == "nowhere":
        try:
            get_webhook_url("no_such_trigger")
        except ValueError as error:
            http_outcome(404, body=f"{type(error).__name__}")
    elif asked == "who":
        http_outcome(json={"arrived": store["count:arrived"], "nobody": store["nobody"], "keys": list(store)})
    else:
        autokitteh.outcome({"status_code": 418, "body": f"{event.event_type}: {asked}?"})
