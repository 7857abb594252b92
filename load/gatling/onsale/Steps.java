package onsale;

import static io.gatling.javaapi.core.CoreDsl.StringBody;
import static io.gatling.javaapi.core.CoreDsl.asLongAs;
import static io.gatling.javaapi.core.CoreDsl.bodyString;
import static io.gatling.javaapi.core.CoreDsl.doIf;
import static io.gatling.javaapi.core.CoreDsl.exec;
import static io.gatling.javaapi.core.CoreDsl.pause;
import static io.gatling.javaapi.http.HttpDsl.header;
import static io.gatling.javaapi.http.HttpDsl.http;
import static io.gatling.javaapi.http.HttpDsl.status;

import io.gatling.javaapi.core.ChainBuilder;
import io.gatling.javaapi.core.Session;
import io.gatling.javaapi.http.HttpRequestActionBuilder;
import java.time.Duration;
import java.util.function.Consumer;
import java.util.function.Predicate;

/** How requests are sent: once, until they have an answer, or as a change under a key. */
final class Steps {
  private static final String PERSON = "person";

  private Steps() {}

  static Person person(Session session) {
    return session.get(PERSON);
  }

  static Session with(Session session, Person person) {
    return session.set(PERSON, person);
  }

  /** Code that only changes the person. */
  static ChainBuilder act(Consumer<Person> act) {
    return exec(
        session -> {
          act.accept(person(session));
          return session;
        });
  }

  /** Steps of persons whose journey goes on and of whom this is true. */
  static ChainBuilder when(Predicate<Person> is, ChainBuilder then) {
    return doIf(session -> person(session).end == null && is.test(person(session))).then(then);
  }

  /** Steps again and again while this is true. */
  static ChainBuilder whilst(Predicate<Person> is, ChainBuilder steps) {
    return asLongAs(session -> is.test(person(session))).on(steps);
  }

  static ChainBuilder think() {
    return pause(session -> Duration.ofMillis(person(session).think()));
  }

  /** Sends a request once, and writes the answer down. */
  static ChainBuilder once(Call call, boolean hasBearers) {
    HttpRequestActionBuilder request =
        http(call.label)
            .httpRequest(call.method, session -> person(session).url(call))
            .header("X-Forwarded-For", session -> person(session).address)
            .check(status().saveAs("status"), bodyString().saveAs("body"), header("Retry-After").optional().saveAs("retry"));
    if (hasBearers && call != Call.GRAB_FROM_ADDRESS) {
      request = request.header("Authorization", session -> "Bearer " + person(session).bearer);
    }
    if (call.hasToken()) {
      request = request.header("Queue-Token", session -> person(session).token);
    }
    if (call.isChange()) {
      request = request.header("Idempotency-Key", session -> person(session).key());
    }
    if (call.hasBody()) {
      request =
          request
              .header("Content-Type", "application/json")
              .body(StringBody(session -> person(session).requestBody(call)));
    }
    return exec(
            session -> {
              person(session).sent = person(session).plan.now();
              return session.removeAll("status", "body", "retry");
            })
        .exec(request)
        .exec(
            session -> {
              int status = session.contains("status") ? session.getInt("status") : 0;
              person(session).took(call, status, session.getString("body"), session.getString("retry"));
              return session.markAsSucceeded();
            });
  }

  /** Sends a request until it is neither shed nor without an answer, and waits in between as the answer asks for. */
  static ChainBuilder insist(Call call, boolean hasBearers) {
    return when(
        person -> true,
        exec(act(person -> person.again = true))
            .exec(
                whilst(
                    person -> person.again,
                    once(call, hasBearers)
                        .exec(
                            doIf(session -> person(session).again)
                                .then(pause(session -> Duration.ofMillis(person(session).waitMillis)))))));
  }

  /** Sends a change under a new key; persons who repeat send it twice. */
  static ChainBuilder change(Call call, boolean hasBearers) {
    return when(
        person -> true,
        exec(act(person -> person.keys++))
            .exec(when(person -> person.repeats, once(call, hasBearers)))
            .exec(insist(call, hasBearers)));
  }
}
