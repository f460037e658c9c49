"""Results that cannot be recorded: nobody takes them for None."""

import perdure
from perdure import testing


def large(event):
    return "x" * (65 << 20)


def live(event):
    return (n for n in (1, 2))


def parent(event):
    much, odd = perdure.wait([perdure.start(f"test_results_not_kept.py:{name}") for name in ("large", "live")])
    refused = []
    for child in (much, odd):
        try:
            refused.append(child.result)
        except perdure.ChildFailed as error:
            refused.append(str(error).partition(" ")[2])
    return [much.state, (much.error or {}).get("code"), odd.state, *refused]


def test_a_result_above_the_limit_fails_the_session():
    outcome = testing.run(large)
    assert outcome.state == "failed"
    assert outcome.error == (
        "perdure.ValueTooLarge: what the handler returned cannot be kept: "
        "the value takes 65.0 MiB recorded; the limit is 64.0 MiB"
    )


def test_a_live_object_is_shown_by_its_preview():
    outcome = testing.run(live)
    assert outcome.state == "completed"
    assert "generator" in outcome.result


def test_a_parent_gets_the_error_and_no_value():
    much, code, odd, too_large, no_value = testing.run(parent).result
    assert (much, code, odd) == ("failed", "P0402", "completed")
    assert "the limit is 64.0 MiB" in too_large
    assert no_value.startswith("returned what cannot go from session to session: ")
