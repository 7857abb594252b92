#!/usr/bin/env python3
"""Verifies the code of a ticket without a network: verify_ticket.py KEYS CODE

KEYS is a file with the answer of GET /tickets/keys, CODE is what the QR code contains. Needs the package `cryptography`.
Prints the ticket, the performance and the seat. Exit code: 0 if one of the keys signed the code, 1 if not, 2 if KEYS cannot be read.

A code that was signed may belong to a ticket that is void or that was scanned before: GET /check-ins/manifest lists these.
"""

import base64
import json
import sys
import uuid

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def unpadded(text):
    """The bytes of base64url without padding."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def verify(code, keys):
    """Returns ticket, performance and seat. Raises ValueError if this is no ticket that one of the keys signed."""
    prefix, _, rest = code.partition(".")
    data = unpadded(rest)
    if prefix != "T1" or len(data) != 105 or data[0] != 1:
        raise ValueError("this is no ticket")
    signed, signature = data[:41], data[41:]
    for key in keys:
        if key["keyId"] != data[1:5].hex():
            continue
        public = Ed25519PublicKey.from_public_bytes(unpadded(key["publicKey"]))
        try:
            public.verify(signature, b"onsale-ticket-1\0" + signed)
        except InvalidSignature:
            continue
        return uuid.UUID(bytes=data[5:21]), uuid.UUID(bytes=data[21:37]), int.from_bytes(data[37:41], "big")
    raise ValueError("none of the keys signed this code")


def main():
    path, code = sys.argv[1:]
    try:
        with open(path, encoding="utf-8") as file:
            keys = [{name: key[name] for name in ("keyId", "publicKey")} for key in json.load(file)]
    except (OSError, ValueError, TypeError, KeyError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2
    try:
        ticket, performance, seat = verify(code, keys)
    except ValueError as error:
        print(f"BROKEN  {error}")
        return 1
    print(f"signed  ticket {ticket} of performance {performance}, seat {seat}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
