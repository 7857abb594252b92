package onsale;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** One person: what the last answer was, and what the next request is, and when. A person sends one request at a time. */
final class Person {
  private static final String GREEDY = "203.0.113.1";
  private static final String OFFICE = "192.0.2.1";

  /** Percent of the changes whose first answer is cut, for persons who repeat. */
  private static final int CUT_PERCENT = 5;

  final Plan plan;
  final Answers answers;
  final int number;
  final String user;
  final String bearer;
  final String address;
  final SplittableRandom dice;
  final Plan.Concert concert;
  final boolean repeats;

  String token = "";
  String tokenId = "";
  int keys;
  boolean isCut;

  /** When the next request is due, and when the last one was sent, in microseconds since the log began. */
  long due;

  long sent;

  /** The last answer: status 0 if there was none. */
  int status;
  String code = "";
  JsonNode body = MissingNode.getInstance();
  int retryAfterSeconds;
  boolean again;

  String standing = "";
  boolean soldOut;
  int pollAfterSeconds = 1;
  int pollsAfter;
  int tries;
  int performance = -1;
  int seat;
  String reservation = "";
  int amount;
  String payment = "";

  /** Why a search for a seat ended without one. */
  String without;

  /** How the payment ended. */
  String outcome;

  /** How the journey ended; null while it goes on. */
  String end;

  private Person(Plan plan, Answers answers, int number, String user, String address, String journey) {
    this.plan = plan;
    this.answers = answers;
    this.number = number;
    this.user = user;
    this.address = address;
    bearer = plan.secret == null ? "" : plan.bearer(user);
    dice = new SplittableRandom(number);
    concert = plan.concerts.get(number % plan.concerts.size());
    repeats = journey.equals("retry");
    pollsAfter = journey.equals("watch") ? 3 : journey.equals("wait") || journey.equals("office") ? Integer.MAX_VALUE : 0;
  }

  /** A person of the plan, whose first request is due at this instant. */
  static Person of(Plan plan, Answers answers, int number, String journey, long due) {
    boolean isGreedy = journey.equals("grab");
    String user = isGreedy ? "greedy" : String.format("user-%06d", number);
    String own = "10." + (number >> 16) + "." + (number >> 8 & 255) + "." + (number & 255);
    String address = isGreedy ? GREEDY : journey.equals("office") ? OFFICE : own;
    Person person = new Person(plan, answers, number, user, address, journey);
    person.due = due;
    return person;
  }

  /** A person of the warm-up, with a name and an address (RFC 5737) that no person of the plan has. */
  static Person ofWarmUp(Plan plan, Answers uncounted, int number) {
    return new Person(plan, uncounted, number, "warm-up-" + number, "198.51.100." + number % 256, "warm-up");
  }

  String target() {
    return plan.targets.get(number % plan.targets.size());
  }

  String url(Call call) {
    String query = call == Call.SEATS ? "?date=" + concert.dates().get(performance) + "&available=true" : "";
    return target()
        + call.path
            .replace("{concertId}", concert.id())
            .replace("{reservationId}", reservation)
            .replace("{paymentId}", payment)
            .replace("{lectureId}", plan.lecture)
            .replace("{userId}", user)
            .replace("{id}", user)
        + query;
  }

  String requestBody(Call call) {
    return switch (call) {
      case ENTER, GRAB_FROM_ADDRESS -> "{\"userId\":\"" + user + "\",\"concertId\":\"" + concert.id() + "\"}";
      case HOLD -> "{\"performanceId\":\"" + concert.performances().get(performance) + "\",\"seats\":[" + seat + "]}";
      case CHARGE, USE -> "{\"amount\":" + amount + "}";
      case PAY -> "{\"reservationId\":\"" + reservation + "\"}";
      case APPLY -> "{\"userId\":\"" + user + "\",\"lectureId\":\"" + plan.lecture + "\"}";
      default -> "";
    };
  }

  /** The value of a header of {@link Call#headers}. */
  String header(String name) {
    return switch (name) {
      case "X-Forwarded-For" -> address;
      case "Authorization" -> "Bearer " + bearer;
      case "Queue-Token" -> token;
      case "Idempotency-Key" -> user + "-" + keys;
      case "Content-Type" -> "application/json";
      default -> throw new IllegalArgumentException("no header " + name);
    };
  }

  /** Takes a new idempotency key, and decides whether the first answer is cut if this person repeats. */
  void beginsChange() {
    keys++;
    isCut = repeats && dice.nextInt(100) < CUT_PERCENT;
  }

  boolean isEarly() {
    return plan.now() < due;
  }

  /** The time until the next request is due, rounded up to milliseconds, which are what Gatling can wait for. */
  Duration untilDue() {
    return Duration.ofMillis(Math.max(1, (due - plan.now() + 999) / 1_000));
  }

  /** Lets the next request be due after this time, and no later than at the end of the run. */
  void rests(int millis) {
    if (millis > 0) {
      due = Math.min(plan.now() + millis * 1_000L, plan.ends());
    }
  }

  void sends() {
    sent = plan.now();
  }

  boolean isDone() {
    return status >= 200 && status < 300;
  }

  boolean isActive() {
    return standing.equals("ACTIVE");
  }

  /** Whether to poll again. */
  boolean waits() {
    if (end != null || !standing.equals("WAITING")) {
      return false;
    }
    if (soldOut && pollsAfter == 0) {
      end = "nothing left";
      return false;
    }
    if (soldOut && pollsAfter < Integer.MAX_VALUE) {
      pollsAfter--;
    }
    return true;
  }

  int think() {
    return plan.thinkMillis == 0 ? 0 : plan.thinkMillis / 2 + dice.nextInt(plan.thinkMillis);
  }

  /** Takes an answer, and writes it down. */
  void took(Call call, int newStatus, String text, String retryAfter) {
    long answered = plan.now();
    status = newStatus;
    body = parsed(text);
    code = status >= 400 ? body.path("code").asText("no code") : "";
    retryAfterSeconds = retryAfter == null ? 1 : Integer.parseInt(retryAfter);
    boolean isPlace = (call == Call.ENTER || call == Call.POLL) && isDone();
    if (isPlace) {
      token = body.path("token").asText(token);
      tokenId = body.path("tokenId").asText(tokenId);
      standing = body.path("status").asText();
      soldOut = body.path("soldOut").asBoolean();
      pollAfterSeconds = body.path("pollAfterSeconds").asInt(1);
    }
    answers.line(
        "answer", due, sent, answered, call.label, status, code, number, number % plan.targets.size(), tokenId,
        isPlace ? standing : "", isPlace ? body.path("position").asText("") : "", isPlace ? text("asOf") : "",
        isPlace ? text("issuedAt") : "", isPlace ? text("activeUntil") : "");
    // A request without a pause before it is due when the last one is answered.
    due = plan.now();
  }

  /** Decides whether the same request is sent again, after the time that the answer asks for. */
  void decides(Call call) {
    boolean isGood = call.isGood(status, code);
    again = !isGood && (status == 0 || status == 429 || status >= 500) && !plan.isOver();
    if (again) {
      rests(retryAfterSeconds * 1_000 + dice.nextInt(1_000));
    } else if (!isGood) {
      fails();
    }
  }

  private String text(String name) {
    return body.path(name).asText("").replace("null", "");
  }

  private static JsonNode parsed(String text) {
    try {
      return text == null || text.isEmpty() ? MissingNode.getInstance() : Plan.JSON.readTree(text);
    } catch (JsonProcessingException error) {
      return MissingNode.getInstance();
    }
  }

  /** The journey is over. Only the first end counts. */
  void ends(String how) {
    if (end == null) {
      end = how;
    }
  }

  /** The journey cannot go on. */
  void fails() {
    ends(plan.isOver() ? "cut short" : "failed");
  }

  void beginsSearch() {
    reservation = "";
    without = null;
    tries = 0;
  }

  /** Whether to look for a seat again. */
  boolean seeks() {
    return end == null && reservation.isEmpty() && without == null && tries < 10;
  }

  /** Chooses a date with seats left from the last answer. Without one all seats may be held, and come back. */
  void choosesDate() {
    List<Integer> left = new ArrayList<>();
    for (int index = 0; isDone() && index < body.size(); index++) {
      if (body.get(index).path("remaining").asInt() > 0) {
        left.add(index);
      }
    }
    performance = left.isEmpty() ? -1 : left.get(dice.nextInt(left.size()));
    without = isDone() ? null : "turn ended";
    tries++;
  }

  boolean seesNoDate() {
    return without == null && performance < 0;
  }

  /** Chooses a free seat from the last answer. The runner creates one performance a day. */
  void choosesSeat() {
    JsonNode seats = body.path("performances").path(0).path("seats");
    seat = !isDone() || seats.isEmpty() ? 0 : seats.get(dice.nextInt(seats.size())).path("seat").asInt();
    without = isDone() ? null : "turn ended";
  }

  void held() {
    if (isDone()) {
      reservation = body.path("reservationId").asText();
    } else if (code.equals("queue-token-expired")) {
      without = "turn ended";
    }
  }

  void paid() {
    if (!isDone()) {
      outcome = "lost the hold";
      return;
    }
    payment = body.path("paymentId").asText();
    answers.line("paid", number % plan.concerts.size() * 1_000 + performance, seat);
    // One charge and one payment of the same amount leave nothing; a second one of either would show here.
    outcome = body.path("balance").asLong(-1) == 0 ? "paid" : "wrong balance";
  }
}
