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
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.ToIntFunction;

/** How requests are sent: when they are due, once, until they have an answer, or as a change under a key. */
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

  /**
   * Waits until the next request is due. Again and again, because Gatling shortens a pause by the milliseconds that it took
   * for the steps before.
   */
  static ChainBuilder untilDue() {
    return whilst(Person::isEarly, pause(session -> person(session).untilDue()));
  }

  /** Waits for a number of milliseconds. The next request is due afterwards. */
  static ChainBuilder rest(ToIntFunction<Person> millis) {
    return act(person -> person.rests(millis.applyAsInt(person))).exec(untilDue());
  }

  static ChainBuilder think() {
    return rest(Person::think);
  }

  /** Sends a request once, and writes the answer down. */
  static ChainBuilder once(Call call, boolean hasBearers) {
    HttpRequestActionBuilder request =
        http(call.label)
            .httpRequest(call.method, session -> person(session).url(call))
            .check(status().saveAs("status"), bodyString().saveAs("body"), header("Retry-After").optional().saveAs("retry"));
    for (String name : call.headers(hasBearers)) {
      request = request.header(name, session -> person(session).header(name));
    }
    if (call.hasBody()) {
      request = request.body(StringBody(session -> person(session).requestBody(call)));
    }
    return exec(
            session -> {
              person(session).sends();
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
        act(person -> person.again = true)
            .exec(
                whilst(
                    person -> person.again,
                    once(call, hasBearers).exec(act(person -> person.decides(call))).exec(untilDue()))));
  }

  /** Sends a change under a new key. Persons who repeat send it twice, and may not see the first answer. */
  static ChainBuilder change(Call call, boolean hasBearers) {
    return when(
        person -> true,
        act(Person::beginsChange)
            .exec(when(person -> person.isCut, act(person -> Cut.send(person, call))))
            .exec(when(person -> person.repeats && !person.isCut, once(call, hasBearers)))
            .exec(insist(call, hasBearers)));
  }
}
