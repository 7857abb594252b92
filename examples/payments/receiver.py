#!/usr/bin/env python3
"""Receives the webhook of a payment provider, and charges the buyer's points at onsale.

    ONSALE_KEY=onsale_... WEBHOOK_SECRET=... python3 receiver.py --onsale http://127.0.0.1:8080 --orders orders.json

ONSALE_KEY is a staff key with the role `cashier`; the server runs with ONSALE_CHARGE=staff. WEBHOOK_SECRET is shared with the
provider. The file of orders is what your shop knows: {"order-1": {"userId": "42", "amount": 50000}}.

The receiver stores nothing. The payment id goes to onsale as `externalId`, which counts once for ever. So it does not matter
how often a delivery arrives, in which order, or at how many receivers at once.
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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# A delivery whose timestamp differs by more seconds from this machine's clock is refused: a recorded one cannot be sent later.
REPLAY_WINDOW_SECONDS = 300
# Bytes. A longer body is refused without reading it.
BODY_MAX = 64 * 1024
# Seconds for a connection to send its request, and for onsale to answer.
CLIENT_TIMEOUT = 10
ONSALE_TIMEOUT = 10


class Refused(Exception):
    """An answer other than 200: a status and an error for the provider."""

    def __init__(self, status, code, detail):
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


def alarm(text):
    """For the people who run the sale. In production: a metric or a message."""
    print(f"ALARM {text}", file=sys.stderr, flush=True)


def check_signature(secret, headers, body, now):
    """Checks the signature over the timestamp and the raw body, and the age of the timestamp.

    Raises Refused with 401. The signature is compared first, so that only the provider learns about its clock.
    """
    timestamp = headers.get("Webhook-Timestamp", "")
    signature = headers.get("Webhook-Signature", "")
    # The timestamp is signed too: with another one the signature is wrong.
    expected = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    # Takes the same time for every wrong signature, so that it cannot be guessed byte by byte.
    if not hmac.compare_digest(f"v1={expected}".encode(), signature.encode()):
        raise Refused(401, "signature-wrong", "the signature does not fit the timestamp and the body")
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise Refused(401, "timestamp-wrong", "the timestamp is not a number of seconds")
    if abs(now - int(timestamp)) > REPLAY_WINDOW_SECONDS:
        raise Refused(401, "timestamp-old", f"the timestamp is over {REPLAY_WINDOW_SECONDS} s away from the time here")


def read_event(body):
    """Returns the payment id, the order id and the amount of a signed body."""
    try:
        event = json.loads(body)
        payment, order, amount = event["paymentId"], event["orderId"], event["amount"]
    except (ValueError, KeyError, TypeError):
        raise Refused(422, "event-wrong", "the body needs paymentId, orderId and amount") from None
    if not isinstance(payment, str) or not isinstance(order, str) or type(amount) is not int:
        raise Refused(422, "event-wrong", "paymentId and orderId are texts, amount is a whole number")
    return payment, order, amount


def find_user(orders, order, amount):
    """Returns the user of an order. The user and the price come from your own data, never from the body."""
    known = orders.get(order)
    if known is None:
        raise Refused(422, "user-unknown", "there is no order with this id, so the user is unknown")
    if known["amount"] != amount:
        raise Refused(422, "amount-wrong", "the order has another amount")
    return known["userId"]


def charge(onsale, key, user, amount, payment):
    """Charges a user. Returns the status and the body of onsale's answer.

    Raises Refused with 503 if onsale does not answer: the charge may be done or not, and a retry is safe.
    """
    connect = http.client.HTTPSConnection if onsale.scheme == "https" else http.client.HTTPConnection
    path = f"{onsale.path.rstrip('/')}/point/{urllib.parse.quote(user, safe='')}/charge"
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection = connect(onsale.netloc, timeout=ONSALE_TIMEOUT)
    try:
        connection.request("PATCH", path, json.dumps({"amount": amount, "externalId": payment}), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Refused(503, "onsale-away", f"no answer from onsale: {error}") from error
    finally:
        connection.close()


def judge(status, answer, payment):
    """Returns the answer for the provider, which retries after 5xx and stops after anything else."""
    code = answer.get("code", "")
    if status == 200:
        return {"paymentId": payment, "outcome": "charged", "balance": answer.get("balance")}
    if status == 409 and code == "external-id-reused":
        alarm(f"{payment} was charged for another user or amount")
        return {"paymentId": payment, "outcome": "not charged", "code": code}
    if status in (409, 422):
        alarm(f"{payment} cannot be charged ({code}): refund the buyer at the provider")
        return {"paymentId": payment, "outcome": "not charged", "code": code}
    if status in (401, 403):
        alarm(f"onsale refuses the key ({code}): it was deleted, or its role may not charge")
        raise Refused(500, "key-refused", f"onsale refuses the key of this receiver: {code}")
    raise Refused(503, "onsale-busy", f"onsale answered {status} {code}")


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = CLIENT_TIMEOUT

    def do_POST(self):
        server = self.server
        try:
            outcome = self.receive()
        except Refused as refused:
            self.answer(refused.status, {"code": refused.code, "detail": refused.detail})
            return
        if server.answers_to_lose.acquire(blocking=False):
            # As if the network broke after the charge: the provider cannot know that it was done.
            print("losing this answer", flush=True)
            self.close_connection = True
            return
        self.answer(200, outcome)

    def receive(self):
        server = self.server
        body = self.read_body()
        check_signature(server.secret, self.headers, body, time.time())
        payment, order, amount = read_event(body)
        user = find_user(server.orders, order, amount)
        status, answer = charge(server.onsale, server.key, user, amount, payment)
        return judge(status, answer, payment)

    def read_body(self):
        length = self.headers.get("Content-Length", "")
        # The rest of a refused body is never read, so the connection cannot be used again.
        self.close_connection = True
        if not length.isascii() or not length.isdigit():
            raise Refused(411, "length-missing", "Content-Length is required")
        if len(length) > 9 or int(length) > BODY_MAX:
            raise Refused(413, "body-long", f"a body has at most {BODY_MAX} bytes")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refused(400, "body-short", "the body ended early")
        self.close_connection = False
        return body

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        print(f"{status} {body.decode()}", flush=True)

    def log_message(self, *_):
        """Each answer is printed already."""


def main():
    parser = argparse.ArgumentParser(description="Receives the webhook of a payment provider and charges points at onsale")
    parser.add_argument("--onsale", required=True, help="base URL of the server")
    parser.add_argument("--orders", required=True, help="file of orders: {id: {userId, amount}}")
    parser.add_argument("--port", type=int, default=9090, help="port on 127.0.0.1; 0 for any (default: 9090)")
    parser.add_argument("--lose-answers", type=int, default=0, help="drop the first N answers, to see the provider retry")
    arguments = parser.parse_args()
    missing = [name for name in ("ONSALE_KEY", "WEBHOOK_SECRET") if not os.environ.get(name)]
    if missing:
        parser.error(f"set {' and '.join(missing)}")
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Receiver)
    server.onsale = urllib.parse.urlsplit(arguments.onsale)
    server.key, server.secret = os.environ["ONSALE_KEY"], os.environ["WEBHOOK_SECRET"].encode()
    server.answers_to_lose = threading.Semaphore(arguments.lose_answers)
    with open(arguments.orders, encoding="utf-8") as file:
        server.orders = json.load(file)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
