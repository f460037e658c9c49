"""Code of other projects, from the builds that lie beside one's own."""

import os

from probing import canaries, content, verdict


def main(event):
    found = []
    for start in {os.path.dirname(os.getcwd()), os.path.dirname(os.path.dirname(os.getcwd())), event["paths"]["home"]}:
        if start == "/":
            continue
        for folder, _, names in os.walk(start):
            for name in names:
                found += canaries(content(os.path.join(folder, name)))
    return verdict(set(found))
