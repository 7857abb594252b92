package onsale;

import static io.gatling.javaapi.core.CoreDsl.exec;
import static io.gatling.javaapi.core.CoreDsl.scenario;
import static io.gatling.javaapi.http.HttpDsl.http;

import com.fasterxml.jackson.databind.JsonNode;
import io.gatling.javaapi.core.ChainBuilder;
import io.gatling.javaapi.core.PopulationBuilder;
import io.gatling.javaapi.core.Simulation;
import java.util.ArrayList;
import java.util.List;

/**
 * One scenario of `scenarios.json`, at the scale of the runner's plan. Persons arrive at rates (an open workload), whatever
 * the server does.
 */
public final class Load extends Simulation {
  private final Plan plan = Plan.read();
  private final Answers answers = new Answers(plan.file.get("answers").asText());

  /** One population for each party of the scenario, after the warm-up. */
  public Load() {
    Journeys journeys = new Journeys(plan.secret != null);
    List<PopulationBuilder> crowd = new ArrayList<>();
    int first = plan.first;
    for (JsonNode part : plan.file.get("crowd")) {
      Party party = new Party(plan, answers, part, first);
      first += party.size();
      crowd.add(scenario(party.journey).exec(travel(party, journeys)).injectOpen(party.steps()));
    }
    // Kept connections that all persons share, as behind a proxy. No request leaves this machine.
    setUp(WarmUp.of(plan, answers).andThen(crowd))
        .protocols(http.shareConnections().disableWarmUp().disableCaching().disableFollowRedirect().disableAutoReferer());
  }

  private ChainBuilder travel(Party party, Journeys journeys) {
    return exec(session -> Steps.with(session, party.arrives()))
        .exec(Steps.untilDue())
        .exec(journeys.named(party.journey))
        .exec(Steps.act(person -> answers.line("end", person.end == null ? "failed" : person.end)));
  }

  @Override
  public void after() {
    answers.close();
  }
}
