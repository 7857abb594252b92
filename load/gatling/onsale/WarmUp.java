package onsale;

import static io.gatling.javaapi.core.CoreDsl.exec;
import static io.gatling.javaapi.core.CoreDsl.rampUsers;
import static io.gatling.javaapi.core.CoreDsl.repeat;
import static io.gatling.javaapi.core.CoreDsl.scenario;

import io.gatling.javaapi.core.PopulationBuilder;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Requests before the first person is due, which change nothing and are not counted. Java loads and compiles what it runs for
 * the first time, and the crowd's requests would be late for it.
 */
final class WarmUp {
  private static final int PERSONS = 100;
  private static final int ROUNDS = 4;
  private static final Duration DURATION = Duration.ofSeconds(1);

  /**
   * From the end of the warm-up to the begin of the plan. Gatling starts the first persons within a second after the end, and
   * those of a second of the plan within a second. The third second is for a busy machine.
   */
  private static final Duration LEAD = Duration.ofSeconds(3);

  private WarmUp() {}

  /** The persons of the warm-up. The last one starts the clock of the plan, and writes that down first of all lines. */
  static PopulationBuilder of(Plan plan, Answers answers) {
    Answers uncounted = Answers.uncounted();
    AtomicInteger arrived = new AtomicInteger();
    AtomicInteger left = new AtomicInteger(PERSONS);
    boolean hasBearers = plan.secret != null;
    return scenario("warm-up")
        .exec(
            exec(session -> Steps.with(session, Person.ofWarmUp(plan, uncounted, arrived.getAndIncrement())))
                .exec(
                    repeat(ROUNDS)
                        .on(exec(Steps.once(Call.CONNECT, hasBearers)).exec(Steps.once(Call.CONCERTS, hasBearers))))
                .exec(
                    session -> {
                      if (left.decrementAndGet() == 0) {
                        plan.beginsIn(LEAD);
                        answers.line("began", plan.began());
                        answers.flush();
                      }
                      return session;
                    }))
        .injectOpen(rampUsers(PERSONS).during(DURATION));
  }
}
