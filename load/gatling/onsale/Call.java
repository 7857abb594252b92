package onsale;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** The calls that persons make, one place for each. A test compares paths and codes with the OpenAPI document. */
enum Call {
  ENTER("enter", "POST", "/queue/tokens"),
  POLL("poll", "GET", "/queue/token"),
  LEAVE("leave", "DELETE", "/queue/token"),
  DATES("dates", "GET", "/concerts/{concertId}/dates", "queue-token-expired"),
  SEATS("seats", "GET", "/concerts/{concertId}/seats", "queue-token-expired"),
  HOLD("hold", "POST", "/reservations", "seat-taken", "seat-limit", "queue-token-expired"),
  CHARGE("charge", "PATCH", "/point/{id}/charge"),
  PAY("pay", "POST", "/payments", "hold-expired", "already-paid", "queue-token-expired"),
  APPLY("apply", "POST", "/lectures/apply", "lecture-full", "already-applied"),
  RELEASE("release", "DELETE", "/reservations/{reservationId}"),
  RESERVATION("reservation", "GET", "/reservations/{reservationId}"),
  PAYMENT("payment", "GET", "/payments/{paymentId}"),
  RESERVATIONS("reservations", "GET", "/users/{userId}/reservations"),
  PAYMENTS("payments", "GET", "/users/{userId}/payments"),
  POINTS("points", "GET", "/point/{id}"),
  USE("use", "PATCH", "/point/{id}/use", "insufficient-balance"),
  HISTORIES("histories", "GET", "/point/{id}/histories"),
  CONCERTS("concerts", "GET", "/concerts"),
  LECTURES("lectures", "GET", "/lectures"),
  APPLICATIONS("applications", "GET", "/lectures/application/{userId}"),
  CANCEL("cancel", "DELETE", "/lectures/application/{userId}/{lectureId}", "application-not-found"),
  GRAB_AS_USER("grab as a user", "GET", "/point/{id}", "too-many-requests"),
  GRAB_FROM_ADDRESS(
      "grab from an address", "POST", "/queue/tokens", "authentication-required", "too-many-requests"),
  CONNECT("connect", "GET", "/healthz");

  final String label;
  final String method;
  final String path;

  /** Codes of refusals that are good answers to this call. */
  final Set<String> good;

  Call(String label, String method, String path, String... good) {
    this.label = label;
    this.method = method;
    this.path = path;
    this.good = Set.of(good);
  }

  /** Whether the call changes something, so that it carries an idempotency key. */
  boolean isChange() {
    return !method.equals("GET") && this != ENTER && this != GRAB_FROM_ADDRESS;
  }

  /** Whether the call has a JSON body. */
  boolean hasBody() {
    return method.equals("POST") || method.equals("PATCH");
  }

  /** Whether the call carries the queue token. */
  boolean hasToken() {
    return switch (this) {
      case POLL, LEAVE, DATES, SEATS, HOLD, PAY, RELEASE -> true;
      default -> false;
    };
  }

  /** The names of its headers, in order. {@link Person#header} has their values. */
  List<String> headers(boolean hasBearers) {
    List<String> names = new ArrayList<>(List.of("X-Forwarded-For"));
    if (hasBearers && this != GRAB_FROM_ADDRESS) {
      names.add("Authorization");
    }
    if (hasToken()) {
      names.add("Queue-Token");
    }
    if (isChange()) {
      names.add("Idempotency-Key");
    }
    if (hasBody()) {
      names.add("Content-Type");
    }
    return names;
  }

  boolean isGood(int status, String code) {
    return status >= 200 && status < 300 || good.contains(code);
  }
}
