package onsale;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** One person: what the last answer was, and what the next request is. Only one request of a person is sent at a time. */
final class Person {
  private static final String GREEDY = "203.0.113.1";
  private static final String OFFICE = "192.0.2.1";

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
  long sent;

  /** The last answer: status 0 if there was none. */
  int status;
  String code = "";
  JsonNode body = MissingNode.getInstance();
  boolean again;
  int waitMillis;

  String standing = "";
  boolean soldOut;
  int pollAfterSeconds = 1;
  int pollsAfter;
  int tries;
  int performance = -1;
  int seat;
  String reservation = "";
  String end;

  Person(Plan plan, Answers answers, long userId, String journey) {
    this.plan = plan;
    this.answers = answers;
    number = plan.first + (int) userId - 1;
    boolean isGreedy = journey.equals("grab");
    user = isGreedy ? "greedy" : String.format("user-%06d", number);
    bearer = plan.secret == null ? "" : plan.bearer(user);
    address =
        isGreedy ? GREEDY : journey.equals("office") ? OFFICE : "10." + (number >> 16) + "." + (number >> 8 & 255) + "." + (number & 255);
    dice = new SplittableRandom(number);
    concert = plan.concerts.get(number % plan.concerts.size());
    repeats = journey.equals("retry");
    pollsAfter = journey.equals("watch") ? 3 : journey.equals("buy") || journey.equals("retry") ? 0 : Integer.MAX_VALUE;
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
            .replace("{lectureId}", plan.lecture)
            .replace("{userId}", user)
            .replace("{id}", user)
        + query;
  }

  String requestBody(Call call) {
    return switch (call) {
      case ENTER, GRAB_FROM_ADDRESS -> "{\"userId\":\"" + user + "\",\"concertId\":\"" + concert.id() + "\"}";
      case HOLD -> "{\"performanceId\":\"" + concert.performances().get(performance) + "\",\"seats\":[" + seat + "]}";
      case CHARGE -> "{\"amount\":" + plan.price + "}";
      case USE -> "{\"amount\":" + plan.price + "}";
      case PAY -> "{\"reservationId\":\"" + reservation + "\"}";
      case APPLY -> "{\"userId\":\"" + user + "\",\"lectureId\":\"" + plan.lecture + "\"}";
      default -> "";
    };
  }

  String key() {
    return user + "-" + keys;
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
    if (plan.isOver()) {
      end = "cut short";
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

  /** Takes an answer, writes it down, and decides whether the same request is sent again. */
  void took(Call call, int newStatus, String text, String retryAfter) {
    long answered = plan.now();
    status = newStatus;
    body = parsed(text);
    code = status >= 400 ? body.path("code").asText("no code") : "";
    boolean isPlace = (call == Call.ENTER || call == Call.POLL) && isDone();
    if (isPlace) {
      token = body.path("token").asText(token);
      tokenId = body.path("tokenId").asText(tokenId);
      standing = body.path("status").asText();
      soldOut = body.path("soldOut").asBoolean();
      pollAfterSeconds = body.path("pollAfterSeconds").asInt(1);
    }
    answers.line(
        "answer", sent, answered, call.label, status, code, number, number % plan.targets.size(), tokenId,
        isPlace ? standing : "", isPlace ? body.path("position").asText("") : "", isPlace ? text("asOf") : "",
        isPlace ? text("issuedAt") : "", isPlace ? text("activeUntil") : "");
    again = !call.isGood(status, code) && (status == 0 || status == 429 || status >= 500) && !plan.isOver();
    waitMillis = again ? (retryAfter == null ? 1 : Integer.parseInt(retryAfter)) * 1_000 + dice.nextInt(1_000) : 0;
    if (!again && !call.isGood(status, code)) {
      ends(plan.isOver() ? "cut short" : "failed");
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

  /** Chooses a date with seats left from the last answer. Without one all seats may be held, and come back. */
  void chooseDate() {
    List<Integer> left = new ArrayList<>();
    for (int index = 0; index < body.size(); index++) {
      if (body.get(index).path("remaining").asInt() > 0) {
        left.add(index);
      }
    }
    performance = left.isEmpty() ? -1 : left.get(dice.nextInt(left.size()));
    tries++;
  }

  /** Chooses a free seat from the last answer. The runner creates one performance a day. */
  void chooseSeat() {
    JsonNode seats = body.path("performances").path(0).path("seats");
    seat = seats.isEmpty() ? 0 : seats.get(dice.nextInt(seats.size())).path("seat").asInt();
  }

  /** Whether to look for a seat again. */
  boolean seeks() {
    return end == null && reservation.isEmpty() && tries < 10;
  }

  void held() {
    if (isDone()) {
      reservation = body.path("reservationId").asText();
    } else if (code.equals("queue-token-expired")) {
      ends("turn ended");
    }
  }

  void paid() {
    if (!isDone()) {
      ends("lost the hold");
      return;
    }
    answers.line("paid", number % plan.concerts.size() * 1_000 + performance, seat);
    // One charge and one payment of the same amount leave nothing; a second one of either would show here.
    ends(body.path("balance").asLong(-1) == 0 ? "paid" : "wrong balance");
  }
}
