package onsale;

import static io.gatling.javaapi.core.CoreDsl.exec;
import static io.gatling.javaapi.core.CoreDsl.pause;
import static onsale.Steps.act;
import static onsale.Steps.person;
import static onsale.Steps.think;
import static onsale.Steps.when;
import static onsale.Steps.whilst;

import io.gatling.javaapi.core.ChainBuilder;
import java.time.Duration;

/** What persons do, call by call. `crates/bench/src/load/crowd/journeys.rs` has the same journeys. */
final class Journeys {
  private static final int LAPSE_PERCENT = 5;
  private static final int LOOKS_AGAIN_AFTER_MILLIS = 1_500;

  private final boolean hasBearers;

  Journeys(boolean hasBearers) {
    this.hasBearers = hasBearers;
  }

  ChainBuilder named(String name) {
    return switch (name) {
      case "buy", "watch", "retry" -> buy();
      case "wait", "office" -> stay();
      case "apply" -> apply().exec(act(person -> person.ends(person.isDone() ? "has a place" : "no place left")));
      case "grab" -> grab();
      case "everything" -> everything();
      default -> throw new IllegalArgumentException("Gatling has no journey " + name);
    };
  }

  private ChainBuilder insist(Call call) {
    return Steps.insist(call, hasBearers);
  }

  private ChainBuilder change(Call call) {
    return Steps.change(call, hasBearers);
  }

  /** Enters, and polls when the last answer allowed it, until the turn begins. */
  private ChainBuilder turn() {
    return insist(Call.ENTER)
        .exec(
            whilst(
                Person::waits,
                pause(session -> Duration.ofSeconds(person(session).pollAfterSeconds)).exec(insist(Call.POLL))))
        .exec(when(person -> !person.isActive(), act(person -> person.ends("turn ended"))));
  }

  private ChainBuilder stay() {
    return turn().exec(change(Call.LEAVE)).exec(act(person -> person.ends("had a turn")));
  }

  /** Looks for a free seat and holds it, or another one if it is taken meanwhile. */
  private ChainBuilder hold() {
    return exec(
        whilst(
            Person::seeks,
            insist(Call.DATES)
                .exec(when(Person::isDone, act(Person::chooseDate)))
                .exec(when(person -> !person.isDone(), act(person -> person.ends("turn ended"))))
                .exec(when(person -> person.performance < 0, pause(Duration.ofMillis(LOOKS_AGAIN_AFTER_MILLIS))))
                .exec(
                    when(
                        person -> person.performance >= 0,
                        think()
                            .exec(insist(Call.SEATS))
                            .exec(when(person -> !person.isDone(), act(person -> person.ends("turn ended"))))
                            .exec(when(Person::isDone, act(Person::chooseSeat)))
                            .exec(
                                when(
                                    person -> person.seat > 0,
                                    think().exec(change(Call.HOLD)).exec(when(person -> true, act(Person::held)))))))));
  }

  private ChainBuilder pay() {
    return change(Call.CHARGE).exec(think()).exec(change(Call.PAY)).exec(when(person -> true, act(Person::paid)));
  }

  private ChainBuilder buy() {
    return turn()
        .exec(when(person -> true, think().exec(hold())))
        .exec(
            when(
                person -> person.reservation.isEmpty(),
                change(Call.LEAVE).exec(act(person -> person.ends("found no seat")))))
        .exec(
            when(
                person -> person.dice.nextInt(100) < LAPSE_PERCENT,
                act(person -> person.ends("let the hold lapse"))))
        .exec(when(person -> true, think().exec(pay())));
  }

  private ChainBuilder apply() {
    return change(Call.APPLY);
  }

  private ChainBuilder grab() {
    return when(person -> person.number % 2 == 0, Steps.once(Call.GRAB_AS_USER, hasBearers))
        .exec(when(person -> person.number % 2 == 1, Steps.once(Call.GRAB_FROM_ADDRESS, hasBearers)))
        .exec(act(person -> person.ends("called")));
  }

  private ChainBuilder everything() {
    return insist(Call.CONCERTS)
        .exec(insist(Call.LECTURES))
        .exec(apply())
        .exec(insist(Call.APPLICATIONS))
        .exec(change(Call.CANCEL))
        .exec(turn())
        .exec(hold())
        .exec(change(Call.RELEASE))
        .exec(act(person -> person.reservation = ""))
        .exec(hold())
        .exec(insist(Call.RESERVATION))
        .exec(change(Call.CHARGE))
        .exec(change(Call.USE))
        .exec(insist(Call.POINTS))
        .exec(insist(Call.HISTORIES))
        .exec(insist(Call.RESERVATIONS))
        .exec(insist(Call.PAYMENTS))
        .exec(pay());
  }
}
