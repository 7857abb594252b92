"""Checks a published draw: python3 verify_draw.py draw.json entries.csv. Exit code 0: it holds, 1: it does not, 2: not readable."""

import csv, hashlib, hmac, json, sys, uuid


def checks(draw, rows):
    ids = sorted(uuid.UUID(token).bytes for token, _ in rows)
    seed = bytes.fromhex(draw["seed"])
    entries_hash = hashlib.sha256(b"".join(ids)).digest()
    message = b"onsale-draw-1\0" + uuid.UUID(draw["concertId"]).bytes + entries_hash + (draw["beacon"] or "").encode()
    key = hmac.digest(seed, message, "sha256")
    order = sorted(ids, key=lambda token: (hmac.digest(key, token, "sha256"), token))
    places = {token: place for place, token in enumerate(order, 1)}
    yield "commitment", hashlib.sha256(seed).hexdigest() == draw["commitment"]
    yield "token ids", len(places) == len(ids)
    yield "entries", len(ids) == draw["entries"]
    yield "entriesHash", entries_hash.hex() == draw["entriesHash"]
    yield "beacon", (draw["beacon"] is None) == (draw["beaconName"] is None)
    yield "places", all(int(place) == places[uuid.UUID(token).bytes] for token, place in rows)


try:
    with open(sys.argv[1], encoding="utf-8") as file:
        draw = json.load(file)
    with open(sys.argv[2], encoding="utf-8-sig", newline="") as file:
        results = dict(checks(draw, list(csv.reader(file))[1:]))
except (OSError, LookupError, TypeError, ValueError) as error:
    sys.exit(print(f"not readable, or not drawn yet: {error!r}") or 2)
for name, holds in results.items():
    print("ok     " if holds else "BROKEN ", name)
print("beacon:", draw["beaconName"], draw["beacon"])
sys.exit(0 if all(results.values()) else 1)
