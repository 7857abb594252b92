package onsale;

import static io.gatling.javaapi.core.CoreDsl.atOnceUsers;
import static io.gatling.javaapi.core.CoreDsl.nothingFor;
import static io.gatling.javaapi.core.CoreDsl.rampUsers;

import com.fasterxml.jackson.databind.JsonNode;
import io.gatling.javaapi.core.OpenInjectionStep;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/** Persons who make the same journey, each due at an instant of the plan. */
final class Party {
  final String journey;
  private final Plan plan;
  private final Answers answers;
  private final int first;

  /** When each person is due, in microseconds after the begin, in order. */
  private final long[] due;

  private final JsonNode stages;
  private final AtomicInteger arrived = new AtomicInteger();

  /** The party of this part of the plan. Its persons are numbered from `first` on. */
  Party(Plan plan, Answers answers, JsonNode party, int first) {
    this.plan = plan;
    this.answers = answers;
    this.first = first;
    journey = party.get("journey").asText();
    stages = party.get("arrivals");
    JsonNode instants = party.get("due");
    due = new long[instants.size()];
    for (int index = 0; index < due.length; index++) {
      due[index] = instants.get(index).asLong();
    }
  }

  int size() {
    return due.length;
  }

  /** The next person. */
  Person arrives() {
    int index = arrived.getAndIncrement();
    return Person.of(plan, answers, first + index, journey, plan.began() + due[index]);
  }

  /**
   * Starts the persons of each stage evenly, on a clock that runs ahead of the plan's: Gatling starts them in steps of its
   * own, so each waits until it is due. Gatling leaves out stages of less than a second, so the persons of such a piece start
   * at once.
   */
  List<OpenInjectionStep> steps() {
    List<OpenInjectionStep> steps = new ArrayList<>();
    double end = 0;
    int given = 0;
    for (int index = 0; index < stages.size(); index++) {
      JsonNode stage = stages.get(index);
      double seconds = stage.get("seconds").asDouble();
      // A rate that changes is given piece by piece.
      boolean isEven = stage.get("from").asDouble() == stage.get("to").asDouble();
      int pieces = isEven ? 1 : (int) Math.ceil(seconds);
      for (int piece = 0; piece < pieces; piece++) {
        end += seconds / pieces;
        boolean isLast = index == stages.size() - 1 && piece == pieces - 1;
        int persons = (isLast ? due.length : dueBefore(end)) - given;
        given += persons;
        Duration time = Duration.ofMillis(Math.max(1, Math.round(seconds * 1_000 / pieces)));
        if (persons > 0 && time.toSeconds() > 0) {
          steps.add(rampUsers(persons).during(time));
        } else {
          steps.add(atOnceUsers(persons));
          steps.add(nothingFor(time));
        }
      }
    }
    return steps;
  }

  private int dueBefore(double seconds) {
    int count = 0;
    while (count < due.length && due[count] < seconds * 1e6) {
      count++;
    }
    return count;
  }
}
