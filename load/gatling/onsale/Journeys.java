package onsale;

import static onsale.Steps.act;
import static onsale.Steps.rest;
import static onsale.Steps.think;
import static onsale.Steps.when;
import static onsale.Steps.whilst;

import io.gatling.javaapi.core.ChainBuilder;

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
      case "apply" -> apply();
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

  /** A change of points by this amount. */
  private ChainBuilder change(Call call, int amount) {
    return act(person -> person.amount = amount).exec(change(call));
  }

  /** Enters, and polls when the last answer allowed it, until the turn begins. */
  private ChainBuilder turn() {
    return insist(Call.ENTER)
        .exec(
            whilst(
                Person::waits,
                rest(person -> person.pollAfterSeconds * 1_000)
                    .exec(when(person -> person.plan.isOver(), act(person -> person.ends("cut short"))))
                    .exec(insist(Call.POLL))))
        .exec(when(person -> !person.isActive(), act(person -> person.ends("turn ended"))));
  }

  private ChainBuilder stay() {
    return turn().exec(change(Call.LEAVE)).exec(act(person -> person.ends("had a turn")));
  }

  /** Looks for a free seat and holds it, or another one if it is taken meanwhile. Without a seat, `without` has the cause. */
  private ChainBuilder hold() {
    return act(Person::beginsSearch)
        .exec(whilst(Person::seeks, look()))
        .exec(
            when(
                person -> person.reservation.isEmpty() && person.without == null,
                change(Call.LEAVE).exec(act(person -> person.without = "found no seat"))));
  }

  /** One look for a seat: a date with seats left, a free one of them, and a hold. */
  private ChainBuilder look() {
    ChainBuilder seat =
        insist(Call.SEATS)
            .exec(when(person -> true, act(Person::choosesSeat)))
            .exec(
                when(person -> person.seat > 0, think().exec(change(Call.HOLD)).exec(when(person -> true, act(Person::held)))));
    return insist(Call.DATES)
        .exec(when(person -> true, act(Person::choosesDate)))
        .exec(when(Person::seesNoDate, rest(person -> LOOKS_AGAIN_AFTER_MILLIS)))
        .exec(when(person -> person.performance >= 0, think().exec(seat)));
  }

  /** Charges the price and pays. */
  private ChainBuilder pay() {
    return act(person -> person.amount = person.plan.price)
        .exec(change(Call.CHARGE))
        .exec(when(person -> true, think()))
        .exec(change(Call.PAY))
        .exec(when(person -> true, act(Person::paid)));
  }

  private ChainBuilder buy() {
    return turn()
        .exec(when(person -> true, think().exec(hold())))
        .exec(when(person -> person.reservation.isEmpty(), act(person -> person.ends(person.without))))
        .exec(
            when(
                person -> person.dice.nextInt(100) < LAPSE_PERCENT,
                act(person -> person.ends("let the hold lapse"))))
        .exec(when(person -> true, think().exec(pay())))
        .exec(act(person -> person.ends(person.outcome)));
  }

  private ChainBuilder apply() {
    return change(Call.APPLY).exec(act(person -> person.ends(person.isDone() ? "has a place" : "no place left")));
  }

  private ChainBuilder grab() {
    return when(person -> person.number % 2 == 0, Steps.once(Call.GRAB_AS_USER, hasBearers))
        .exec(when(person -> person.number % 2 == 1, Steps.once(Call.GRAB_FROM_ADDRESS, hasBearers)))
        .exec(act(person -> person.ends("called")));
  }

  /** Holds a seat, or fails. */
  private ChainBuilder mustHold() {
    return when(
        person -> true,
        hold().exec(when(person -> person.reservation.isEmpty(), act(Person::fails))));
  }

  /** Each call once: lectures, the way to a paid seat, and what is read afterwards. */
  private ChainBuilder everything() {
    return insist(Call.CONCERTS)
        .exec(insist(Call.LECTURES))
        .exec(change(Call.APPLY))
        .exec(insist(Call.APPLICATIONS))
        .exec(change(Call.CANCEL))
        .exec(turn())
        .exec(mustHold())
        .exec(change(Call.RELEASE))
        .exec(mustHold())
        .exec(insist(Call.RESERVATION))
        .exec(pay())
        .exec(when(person -> !person.payment.isEmpty(), insist(Call.PAYMENT)))
        .exec(change(Call.CHARGE, 2))
        .exec(change(Call.USE, 1))
        .exec(insist(Call.POINTS))
        .exec(insist(Call.HISTORIES))
        .exec(insist(Call.RESERVATIONS))
        .exec(insist(Call.PAYMENTS))
        .exec(act(person -> person.ends(person.outcome)));
  }
}
