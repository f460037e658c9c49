"""A parent that starts children and waits for all of them: each is a session, and a process, of its own.

    perdure run examples/children                        # three children
    python examples/children/kills.py                    # fifty, while everything is killed at random
"""

import time

import perdure


def on_order(event):
    event = {"items": 3, "step_s": 0.02} | (event or {})
    orders = [{"item": number, "step_s": event["step_s"]} for number in range(event["items"])]
    children = [perdure.start("main.py:pack", order) for order in orders]
    perdure.status({"children": len(children)})
    parcels = perdure.wait(children)  # the parent holds no process meanwhile
    for parcel in parcels:
        print(parcel.value if parcel.completed else f"lost: {parcel.error['message']}")
    return {"parcels": sum(p.completed for p in parcels), "lost": sum(not p.completed for p in parcels)}


def pack(order):
    for _ in range(3):
        time.sleep(order["step_s"])
        perdure.add_values("steps", 1)  # shared by all sessions of the project, and counted once
    if order["item"] % 10 == 7:
        raise ValueError(f"item {order['item']} is out of stock")
    return f"parcel {order['item']}"
