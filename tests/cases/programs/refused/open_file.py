"""An open file is no value: the call that returns it says so, and how to do it."""


def main(event):
    with open(event["dir"] + "/file", "w") as stream:
        stream.write("x")


CASE = {"error": "UnrecordableValue", "code": "P0401", "says": "TextIOWrapper"}
