#!/usr/bin/env python3
"""Cuts the slice of the real year that `ordermill demo` carries: 500 orders and their products.

usage: make.py JOURNEY_DIR [OUT_DIR]      (JOURNEY_DIR holds orders.ndjson.gz and products.ndjson.gz of the whole year)

The orders are the first 500 of the year, as they were. Stock is what they ask for, except that a few products are short. Some
orders get a payment method of the sandbox, and two an address that bounces, so that every kind of end is seen. Nothing is left
to chance: the same year gives the same files, byte for byte.
"""
import collections
import gzip
import json
import sys
from pathlib import Path

ORDERS = 500
journey = Path(sys.argv[1])
out = Path(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).parent)

# Every n-th order is paid like this; the first rule that fits counts.
PAYMENT_METHODS = [(97, "void_fails"), (89, "capture_fails"), (61, "timeout_then_declined"), (37, "timeout_then_ok"),
                   (29, "insufficient_funds"), (17, "declined"), (53, "slow")]
BOUNCES = {70, 310}


def read(name):
    with gzip.open(journey / name, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def write(name, rows):
    with gzip.GzipFile(out / name, "wb", compresslevel=9, mtime=0) as file:
        for row in rows:
            file.write(json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")


orders, demand = [], collections.Counter()
for number, order in enumerate(read("orders.ndjson.gz"), start=1):
    if number > ORDERS:
        break
    method = next((method for every, method in PAYMENT_METHODS if number % every == 0), None)
    if method:
        order["payment_method"] = method
    if number in BOUNCES:
        order["customer_email"] = "bounce@example.com"
    for line in order["lines"]:
        demand[line["product_id"]] += line["quantity"]
    orders.append(order)

# The tenth, twentieth and thirtieth most wanted products are short by a third.
short = {product for product, _ in sorted(demand.items(), key=lambda item: (-item[1], item[0]))[9:30:10]}
products = [product for product in read("products.ndjson.gz") if product["product_id"] in demand]
for product in products:
    wanted = demand[product["product_id"]]
    product["stock"] = wanted * 2 // 3 if product["product_id"] in short else wanted

out.mkdir(parents=True, exist_ok=True)
write("orders.ndjson.gz", orders)
write("products.ndjson.gz", products)
print(f"{len(orders)} orders, {len(products)} products, of which {len(short)} short")
