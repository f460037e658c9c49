"""The logging module: levels, arguments, several lines, exceptions, from inside activities, own loggers."""

import logging

import perdure
from web import get

logger = logging.getLogger("shop")


@perdure.activity
def inner(text):
    print("printed inside", text)
    logging.warning("logged inside %s", text)
    return text


def main(event):
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logger.debug("not shown")
    logger.info("start %s %d", "x", 3)
    logger.warning(get(event["url"] + "/careful"))
    inner("activity")
    logger.error("two\nlines")
    try:
        raise ValueError("boom")
    except ValueError as error:
        logger.error("failed: %s", error)
    return logger.isEnabledFor(logging.DEBUG)


CASE = {
    "result": False,
    "prints": ["printed inside activity"],
    "errors": [
        "INFO shop start x 3",
        "WARNING shop careful",
        "WARNING root logged inside activity",
        "ERROR shop two",
        "lines",
        "ERROR shop failed: boom",
    ],
    "calls": ["activity web.get", "activity logs.inner"],
    "effects": 1,
}
