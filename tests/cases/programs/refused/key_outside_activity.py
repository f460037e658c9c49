"""activity_key() has no meaning outside an activity."""

import perdure


def main(event):
    return perdure.activity_key()


CASE = {"error": "NotInSession", "says": "activity"}
