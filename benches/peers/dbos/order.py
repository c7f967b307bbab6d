"""The order on DBOS: pay, reserve, confirm and notify as durable steps of a workflow, with stock in a table of the same server.

Runs a closed loop in the process itself, so that no interface stands between the load and the engine, and prints one line of JSON.
Paying and notifying do nothing outside: it is the engine that is measured, and it has less to do than Ordermill, whose steps write a
provider's journal and a mail file.
"""

import argparse
import json
import multiprocessing
import queue
import threading
import time

import psycopg
from dbos import DBOS

# Products the orders are spread over, so that no single one is what limits the run.
PRODUCTS = 1_000
# A product opens with more units than any run sells.
OPENING_UNITS = 1_000_000_000

# Connections of a process to its table of stock; as many as the engine has for itself, or nearly.
CONNECTIONS = 15

url = ""
stock: queue.LifoQueue = queue.LifoQueue()


@DBOS.step()
def authorize(total_minor: int) -> str:
    return f"auth-{total_minor}"


@DBOS.step()
def reserve(product: int, quantity: int) -> bool:
    connection = stock.get() or psycopg.connect(url, autocommit=True)
    try:
        taken = connection.execute(
            "UPDATE stock SET available = available - %s WHERE product = %s AND available >= %s", (quantity, product, quantity)
        )
        return taken.rowcount == 1
    finally:
        stock.put(connection)


@DBOS.step()
def void(authorization: str) -> str:
    return f"voided {authorization}"


@DBOS.step()
def capture(authorization: str) -> str:
    return f"captured {authorization}"


@DBOS.step()
def notify(customer: str) -> str:
    return f"mailed {customer}"


@DBOS.workflow()
def place(customer: str, product: int, quantity: int, unit_price_minor: int) -> str:
    authorization = authorize(quantity * unit_price_minor)
    if not reserve(product, quantity):
        void(authorization)
        return "rejected"
    capture(authorization)
    notify(customer)
    return "confirmed"


def one_connection(number: int, begin: float, measured_from: float, until: float, latencies: list, failures: list) -> None:
    try:
        time.sleep(max(0.0, begin - time.time()))
        order = 0
        while (sent := time.time()) < until:
            outcome = place(f"c-{number}", (number * 7_919 + order) % PRODUCTS, 1, 1_999)
            ended = time.time()
            if outcome != "confirmed":
                raise RuntimeError(f"an order was {outcome}")
            if measured_from <= ended < until:
                latencies.append(ended - sent)
            order += 1
    except BaseException as error:  # noqa: BLE001 - whatever it was ends the run
        failures.append(repr(error))


def run(process: int, arguments: argparse.Namespace, ready, go, results) -> None:
    """One process with its share of the connections."""
    global url
    url = arguments.url
    for _ in range(CONNECTIONS):
        # Opened when it is first needed.
        stock.put(None)
    share = range(process, arguments.connections, arguments.processes)
    DBOS(
        config={
            "name": "order",
            "system_database_url": url.replace("postgresql://", "postgresql+psycopg://", 1),
            "executor_id": f"bench-{process}",
            "application_version": "1",
            "log_level": "ERROR",
            "run_migrations": process == 0,
        }
    )
    if process > 0:
        ready.wait()
    DBOS.launch()
    if process == 0:
        ready.set()
    go.wait()
    began = time.time()
    measured_from, until = began + arguments.warm_up, began + arguments.warm_up + arguments.seconds
    latencies: list = []
    failures: list = []
    threads = [
        # One after the other over the first half of the warm-up.
        threading.Thread(
            target=one_connection,
            args=(number, began + 0.5 * arguments.warm_up * index / len(share), measured_from, until, latencies, failures),
        )
        for index, number in enumerate(share)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put((latencies, failures))
    results.close()
    results.join_thread()
    DBOS.destroy()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--warm-up", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    arguments.processes = min(arguments.processes, arguments.connections)
    with psycopg.connect(arguments.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE stock (product int PRIMARY KEY, available bigint NOT NULL)")
        connection.execute("INSERT INTO stock SELECT n, %s FROM generate_series(0, %s) n", (OPENING_UNITS, PRODUCTS - 1))
    context = multiprocessing.get_context("spawn")
    ready, go, results = context.Event(), context.Event(), context.Queue()
    processes = [
        context.Process(target=run, args=(number, arguments, ready, go, results)) for number in range(arguments.processes)
    ]
    for process in processes:
        process.start()
    ready.wait()
    # The others have found the tables by then.
    time.sleep(2 if arguments.processes > 1 else 0)
    go.set()
    latencies, failures = [], []
    for _ in processes:
        some, failed = results.get()
        latencies += some
        failures += failed
    for process in processes:
        process.join()
    if failures or not latencies:
        raise SystemExit(f"the run failed: {failures[:1] or 'no order came to its end'}")
    latencies.sort()
    at = lambda percent: latencies[min(len(latencies) * percent // 100, len(latencies) - 1)] * 1_000
    print(
        json.dumps(
            {"fulfilled_per_second": len(latencies) / arguments.seconds, "answer_ms": {"p50": at(50), "p99": at(99)}}
        )
    )


if __name__ == "__main__":
    main()
