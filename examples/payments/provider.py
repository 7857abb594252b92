#!/usr/bin/env python3
"""A fake payment provider: signs the webhook of one payment, and sends it until the receiver accepts it.

    WEBHOOK_SECRET=... python3 provider.py --to http://127.0.0.1:9090/ --payment pay_1 --order order-1 --amount 50000

Like a real provider it delivers at least once: two deliveries of the same event run at the same time, and each is retried
after 5xx or without an answer. It exits with 0 if every delivery was accepted, else with 1.
"""

import argparse
import hashlib
import hmac
import http.client
import json
import os
import sys
import threading
import time
import urllib.parse

# Seconds for one attempt.
TIMEOUT = 15


def sign(secret, timestamp, body):
    """HMAC-SHA-256 over the timestamp, a dot and the body."""
    return "v1=" + hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def send(url, body, headers):
    """Sends one attempt. Returns the status and the text of the answer; status 0 if there is none."""
    connect = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = connect(url.netloc, timeout=TIMEOUT)
    try:
        connection.request("POST", url.path or "/", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, f"no answer: {error}"
    finally:
        connection.close()


def deliver(number, arguments, secret, body, outcomes):
    """Sends the event until it is accepted (2xx) or refused (4xx), or no attempt is left."""
    url = urllib.parse.urlsplit(arguments.to)
    for attempt in range(1, arguments.attempts + 1):
        # Each attempt has a signature of its own time: a retry after an hour is within the receiver's window.
        timestamp = int(time.time()) - arguments.age
        headers = {
            "Content-Type": "application/json",
            "Webhook-Timestamp": str(timestamp),
            "Webhook-Signature": sign(secret, timestamp, body),
        }
        status, text = send(url, body, headers)
        print(f"delivery {number}, attempt {attempt}: {status} {text}", flush=True)
        if 200 <= status < 500:
            break
        time.sleep(arguments.pause)
    outcomes.append(200 <= status < 300)


def main():
    parser = argparse.ArgumentParser(description="A fake payment provider that sends one signed webhook")
    parser.add_argument("--to", required=True, help="URL of the receiver")
    parser.add_argument("--payment", required=True, help="id of the payment")
    parser.add_argument("--order", required=True, help="id of the order that was paid")
    parser.add_argument("--amount", type=int, required=True)
    parser.add_argument("--deliveries", type=int, default=2, help="deliveries at the same time (default: 2)")
    parser.add_argument("--attempts", type=int, default=5, help="attempts of each delivery (default: 5)")
    parser.add_argument("--pause", type=float, default=1, help="seconds between two attempts (default: 1)")
    parser.add_argument("--age", type=int, default=0, help="seconds by which the timestamp is old (default: 0)")
    arguments = parser.parse_args()
    secret = os.environ.get("WEBHOOK_SECRET", "").encode()
    if not secret:
        parser.error("set WEBHOOK_SECRET")
    event = {"type": "payment.paid", "paymentId": arguments.payment, "orderId": arguments.order, "amount": arguments.amount}
    body, outcomes = json.dumps(event).encode(), []
    numbers = range(1, arguments.deliveries + 1)
    threads = [threading.Thread(target=deliver, args=(number, arguments, secret, body, outcomes)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.exit(0 if outcomes and all(outcomes) else 1)


if __name__ == "__main__":
    main()
