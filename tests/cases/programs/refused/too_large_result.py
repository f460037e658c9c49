"""What the handler returns is above the manifest's limit: it fails, and does not seem to have returned nothing."""


def main(event):
    return "x" * 200_000


CASE = {"error": "ValueTooLarge", "code": "P0402", "says": "what the handler returned cannot be kept"}
