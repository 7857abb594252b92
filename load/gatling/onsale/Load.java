package onsale;

import static io.gatling.javaapi.core.CoreDsl.atOnceUsers;
import static io.gatling.javaapi.core.CoreDsl.exec;
import static io.gatling.javaapi.core.CoreDsl.nothingFor;
import static io.gatling.javaapi.core.CoreDsl.rampUsers;
import static io.gatling.javaapi.core.CoreDsl.scenario;
import static io.gatling.javaapi.http.HttpDsl.http;

import com.fasterxml.jackson.databind.JsonNode;
import io.gatling.javaapi.core.OpenInjectionStep;
import io.gatling.javaapi.core.PopulationBuilder;
import io.gatling.javaapi.core.Simulation;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * One scenario of `scenarios.json`, at the scale of the runner's plan. Persons arrive at rates (an open workload), whatever
 * the server does.
 */
public final class Load extends Simulation {
  private final Plan plan = Plan.read();
  private final Answers answers = new Answers(plan.file.get("answers").asText());

  /** One population for each party of the scenario. */
  public Load() {
    Journeys journeys = new Journeys(plan.secret != null);
    List<PopulationBuilder> crowd = new ArrayList<>();
    for (JsonNode party : plan.file.get("crowd")) {
      String journey = party.get("journey").asText();
      List<OpenInjectionStep> steps = steps(party.get("arrivals"));
      crowd.add(
          scenario(journey)
              .exec(
                  exec(session -> Steps.with(session, new Person(plan, answers, session.userId(), journey)))
                      .exec(journeys.named(journey))
                      .exec(
                          session -> {
                            Person person = Steps.person(session);
                            answers.line("end", person.end == null ? "failed" : person.end);
                            return session;
                          }))
              .injectOpen(steps));
    }
    // Kept connections that all persons share, as behind a proxy. No request leaves this machine.
    setUp(crowd).protocols(http.shareConnections().disableWarmUp().disableCaching().disableFollowRedirect().disableAutoReferer());
    answers.line("began", plan.began());
  }

  /**
   * The arrivals in pieces with a number of persons each. Gatling leaves out stages of less than a second, so the persons of
   * such a piece arrive at once.
   */
  private static List<OpenInjectionStep> steps(JsonNode stages) {
    List<OpenInjectionStep> steps = new ArrayList<>();
    double due = 0;
    long given = 0;
    for (JsonNode stage : stages) {
      double seconds = stage.get("seconds").asDouble();
      double from = stage.get("from").asDouble();
      double to = stage.get("to").asDouble();
      int pieces = from == to ? 1 : (int) Math.ceil(seconds);
      for (int piece = 0; piece < pieces; piece++) {
        due += seconds / pieces * (from + (to - from) * (piece + 0.5) / pieces);
        int persons = (int) (Math.round(due) - given);
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

  @Override
  public void after() {
    answers.close();
  }
}
