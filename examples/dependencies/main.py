"""A handler with packages of its own: they need not be installed where perdure is.

`perdure run examples/dependencies` locks requirements.txt, installs it once into a read-only environment, and runs.
"""

import jinja2
import yaml
from dateutil import parser, relativedelta

INVOICE = """
customer: Ada
issued: 30 June 2026
items: [{name: tea, price: 12}, {name: cups, price: 30}]
"""
LETTER = "Dear {{ customer }}, please pay {{ total }} by {{ due }}."


def main(event):
    invoice = yaml.safe_load(INVOICE)
    due = parser.parse(invoice["issued"]) + relativedelta.relativedelta(months=1)
    total = sum(item["price"] for item in invoice["items"])
    return jinja2.Template(LETTER).render(customer=invoice["customer"], total=total, due=due.date().isoformat())
