package onsale;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** What the runner wrote for this run: the servers, the concerts, and the persons of `scenarios.json` at its scale. */
final class Plan {
  static final ObjectMapper JSON = new ObjectMapper();

  /** A concert with the ids and dates of its performances. */
  record Concert(String id, List<String> performances, List<String> dates) {}

  final JsonNode file;
  final List<String> targets = new ArrayList<>();
  final List<Concert> concerts = new ArrayList<>();
  final String secret;
  final String lecture;
  final int first;
  final int thinkMillis;
  final int price;
  /** What {@link #now} shows when the nanosecond clock shows `zeroNanos`. */
  private final long zeroMicros;
  private final long zeroNanos;
  private final long lengthMicros;
  /** Never, until the warm-up has ended. */
  private volatile long beganMicros = Long.MAX_VALUE / 2;

  private Plan(JsonNode file) {
    this.file = file;
    file.get("targets").forEach(target -> targets.add(target.asText()));
    for (JsonNode concert : file.get("concerts")) {
      List<String> ids = new ArrayList<>();
      List<String> dates = new ArrayList<>();
      concert.get("performances").forEach(performance -> ids.add(performance.get("id").asText()));
      concert.get("performances").forEach(performance -> dates.add(performance.get("date").asText()));
      concerts.add(new Concert(concert.get("id").asText(), ids, dates));
    }
    secret = file.path("secret").asText(null);
    lecture = file.path("lecture").asText("");
    first = file.get("first").asInt();
    thinkMillis = file.get("thinkMillis").asInt();
    price = file.get("price").asInt();
    zeroMicros = (System.currentTimeMillis() - file.get("logBeganAt").asLong()) * 1_000;
    zeroNanos = System.nanoTime();
    lengthMicros = (long) (file.get("seconds").asDouble() * 1e6);
  }

  /** Reads the file that the system property `load.plan` names. */
  static Plan read() {
    try {
      return new Plan(JSON.readTree(new File(System.getProperty("load.plan"))));
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  /** Microseconds since the log of the auditor began. */
  long now() {
    return zeroMicros + (System.nanoTime() - zeroNanos) / 1_000;
  }

  /** Lets the crowd begin after this time: instants of the plan count from then on. */
  void beginsIn(Duration time) {
    beganMicros = now() + time.toNanos() / 1_000;
  }

  /** When the crowd began or will begin, on the same clock. */
  long began() {
    return beganMicros;
  }

  /** When persons begin no more requests. */
  long ends() {
    return beganMicros + lengthMicros;
  }

  boolean isOver() {
    return now() >= ends();
  }

  /** A bearer of a user, signed as the organiser's login would (HS256). */
  String bearer(String user) {
    try {
      Base64.Encoder base64 = Base64.getUrlEncoder().withoutPadding();
      long expires = System.currentTimeMillis() / 1_000 + 86_400;
      String head = base64.encodeToString("{\"alg\":\"HS256\",\"typ\":\"JWT\"}".getBytes(StandardCharsets.UTF_8));
      String claims = "{\"sub\":\"" + user + "\",\"exp\":" + expires + "}";
      String signed = head + "." + base64.encodeToString(claims.getBytes(StandardCharsets.UTF_8));
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
      return signed + "." + base64.encodeToString(mac.doFinal(signed.getBytes(StandardCharsets.UTF_8)));
    } catch (GeneralSecurityException error) {
      throw new IllegalStateException(error);
    }
  }
}
