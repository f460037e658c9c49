"""A client that is made when the module is loaded."""

import random

from perdure.integrations import slack_client

CLIENT = slack_client("module")


def main(event):
    sent = CLIENT.chat_postMessage(channel="C1", text="hello")["ts"]
    random.random()
    return [sent, CLIENT.conversations_list()["channels"][0]["name"]]
