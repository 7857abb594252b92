// Buys a seat with a generated client: node journey.js BASE CONCERT USER. Prints the payment and the reservation.

import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema.js";

type QueuePlace = components["schemas"]["QueuePlace"];
type Problem = components["schemas"]["Problem"];

const [base, concertId, userId] = process.argv.slice(2);
if (!base || !concertId || !userId) throw new Error("usage: journey.js BASE CONCERT USER");

const client = createClient<paths>({ baseUrl: base });

/** The body of a success. A problem ends the journey. */
function done<T>({ data, error }: { data?: T; error?: Problem }): T {
  if (error) throw new Error(`${error.code}: ${error.detail} ${JSON.stringify(error.errors ?? [])}`);
  if (data === undefined) throw new Error("an answer without a body");
  return data;
}

const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

let place: QueuePlace = done(await client.POST("/queue/tokens", { body: { userId, concertId } }));
const withToken: Middleware = {
  onRequest({ request }) {
    request.headers.set("Queue-Token", place.token);
  },
};
client.use(withToken);

const seen = new Set([place.status]);
while (place.status === "WAITING") {
  await sleep(place.pollAfterSeconds ?? 1);
  place = done(await client.GET("/queue/token"));
  seen.add(place.status);
}
if (place.status !== "ACTIVE") throw new Error(`the place is ${place.status}`);

const dates = done(await client.GET("/concerts/{concertId}/dates", { params: { path: { concertId } } }));
const date = dates.find(({ remaining }) => remaining > 0)?.date;
if (!date) throw new Error("no seat is left");
const shown = done(await client.GET("/concerts/{concertId}/seats", {
  params: { path: { concertId }, query: { date, available: true } },
}));
const performance = shown.performances[0];
const seat = performance?.seats.find(({ status }) => status === "AVAILABLE");
if (!performance || !seat) throw new Error("no seat is free");

const reservation = done(await client.POST("/reservations", {
  body: { performanceId: performance.performanceId, seats: [seat.seat] },
}));
done(await client.PATCH("/point/{id}/charge", {
  params: { path: { id: userId }, header: { "Idempotency-Key": `charge-${reservation.reservationId}` } },
  body: { amount: seat.price },
}));
const pay = () => client.POST("/payments", {
  params: { header: { "Idempotency-Key": `pay-${reservation.reservationId}` } },
  body: { reservationId: reservation.reservationId },
});
const payment = done(await pay());
const again = await pay();
if (again.response.headers.get("Idempotency-Replayed") !== "true") throw new Error("a retry was no replay");

const { reservationId } = reservation;
const paid = done(await client.GET("/reservations/{reservationId}", { params: { path: { reservationId } } }));
const { data, error } = await client.GET("/payments/{paymentId}", {
  params: { path: { paymentId: "00000000-0000-7000-8000-000000000000" } },
});
if (data || error?.code !== "payment-not-found") throw new Error("a problem must be typed");
const histories = done(await client.GET("/point/{id}/histories", { params: { path: { id: userId }, query: { limit: 1 } } }));
console.log(JSON.stringify({ seen: [...seen], payment, reservation: paid, reference: histories[0]?.reference ?? null }));
