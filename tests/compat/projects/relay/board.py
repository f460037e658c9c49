"""The score board: everything that the store can do."""

from autokitteh import errors, http_outcome, inhibit_activities, packages, register_no_activity
from autokitteh.store import (
    Op,
    add_values,
    check_and_set_value,
    del_value,
    get_value,
    list_values_keys,
    mutate_value,
    publish_value,
    set_value,
    store,
    unpublish_value,
)


@inhibit_activities
def plain(value):
    return [value, str(value)]


register_no_activity([plain])


def on_board(event):
    query = event.data.url.query
    if query.get("pass"):
        http_outcome(200, body="passed")
        return
    if query.get("show"):
        http_outcome(json={"value": get_value(query["show"])})
        return
    set_value("a", {"x": [1, None, "ä"]})
    store["b"] = 2
    taken = [check_and_set_value("b", 2, 3), check_and_set_value("b", 2, 4), check_and_set_value("c", None, "new")]
    sums = [add_values("n", 5), add_values("n", 2.5), mutate_value("n", Op.ADD, 1), mutate_value("n", Op.GET)]
    publish_value("a")
    publish_value("c")
    unpublish_value("c")
    del store["b"]
    del_value("nothing")
    del store["nothing"]
    try:
        set_value("big", "x" * 100_000)
    except errors.AutoKittehError as error:
        refused = type(error).__name__
    try:
        packages.install("no-such-package-anywhere")
    except RuntimeError:
        refused += ", nothing installed"
    http_outcome(
        json={
            "a": store["a"],
            "gone": [get_value("b"), store["b"], store.get("b", "default")],
            "taken": taken,
            "sums": sums,
            "keys": [key for key in list_values_keys() if len(key) == 1],
            "refused": refused,
            "plain": plain(1),
        }
    )
