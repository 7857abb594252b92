"""Buys a seat with a generated client: journey.py BASE CONCERT USER. Prints the payment and the reservation."""

import json
import sys
import time
from typing import TypeVar
from uuid import UUID

from onsale_client import AuthenticatedClient
from onsale_client.api.concerts import list_concert_dates, list_concert_seats
from onsale_client.api.payments import create_payment, get_payment
from onsale_client.api.points import charge_points, list_point_histories
from onsale_client.api.reservations import create_reservation, get_reservation
from onsale_client.api.waiting_room import enter_queue, get_queue_place
from onsale_client.models import ChargeBody, EnterBody, HoldBody, PayBody, Problem, SeatStatus, TokenStatus

T = TypeVar("T")


def done(answer: T | Problem | None) -> T:
    """The body of a success. A problem ends the journey."""
    if isinstance(answer, Problem):
        raise SystemExit(f"{answer.code}: {answer.detail} {answer.to_dict()}")
    if answer is None:
        raise SystemExit("an answer without a body")
    return answer


base, concert, user = sys.argv[1], UUID(sys.argv[2]), sys.argv[3]

# With ONSALE_AUTH=open no bearer is needed: the one header that the client sends is free for the queue token.
stranger = AuthenticatedClient(base_url=base, token="none")
place = done(enter_queue.sync(client=stranger, body=EnterBody(user_id=user, concert_id=concert)))
client = AuthenticatedClient(base_url=base, token=place.token, prefix="", auth_header_name="Queue-Token")

seen = [place.status]
while place.status == TokenStatus.WAITING:
    time.sleep(place.poll_after_seconds or 1)
    place = done(get_queue_place.sync(client=client))
    seen.append(place.status)
assert place.status == TokenStatus.ACTIVE, place.status
assert place.position is None and place.active_until is not None

dates = done(list_concert_dates.sync(concert_id=concert, client=client))
date = next(date for date in dates if date.remaining > 0).date
shown = done(list_concert_seats.sync(concert_id=concert, client=client, date=date, available=True))
performance = shown.performances[0]
seat = next(seat for seat in performance.seats if seat.status == SeatStatus.AVAILABLE)

hold = HoldBody(performance_id=performance.performance_id, seats=[seat.seat])
reservation = done(create_reservation.sync(client=client, body=hold))
key = str(reservation.reservation_id)
wallet = charge_points.sync(id=user, client=client, body=ChargeBody(amount=seat.price), idempotency_key=f"charge-{key}")
assert done(wallet).balance == seat.price
body = PayBody(reservation_id=reservation.reservation_id)
payment = done(create_payment.sync(client=client, body=body, idempotency_key=f"pay-{key}"))
again = create_payment.sync_detailed(client=client, body=body, idempotency_key=f"pay-{key}")
assert again.parsed == payment and again.headers["Idempotency-Replayed"] == "true"

paid = done(get_reservation.sync(reservation_id=reservation.reservation_id, client=client))
missing = get_payment.sync(payment_id=UUID("00000000-0000-7000-8000-000000000000"), client=client)
assert isinstance(missing, Problem) and missing.code == "payment-not-found"
histories = done(list_point_histories.sync(id=user, client=client, limit=1))
print(json.dumps({
    "seen": sorted({status.value for status in seen}),
    "payment": payment.to_dict(),
    "reservation": paid.to_dict(),
    "reference": str(histories[0].reference),
}))
