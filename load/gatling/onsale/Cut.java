package onsale;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;

/**
 * A request whose answer is cut: it is sent over a connection of its own, which is closed at once. Gatling closes connections
 * only by a timeout in milliseconds, within which most answers arrive.
 */
final class Cut {
  private static final int PATIENCE_MILLIS = 1_000;

  private Cut() {}

  /** Sends the request of a person. Takes microseconds on loopback, so that it may hold up the thread of many persons. */
  static void send(Person person, Call call) {
    URI url = URI.create(person.url(call));
    byte[] body = person.requestBody(call).getBytes(StandardCharsets.UTF_8);
    StringBuilder head = new StringBuilder(512);
    head.append(call.method).append(' ').append(url.getRawPath()).append(" HTTP/1.1\r\n");
    head.append("Host: ").append(url.getAuthority()).append("\r\n");
    for (String name : call.headers(!person.bearer.isEmpty())) {
      head.append(name).append(": ").append(person.header(name)).append("\r\n");
    }
    if (call.hasBody()) {
      head.append("Content-Length: ").append(body.length).append("\r\n");
    }
    head.append("\r\n");
    byte[] start = head.toString().getBytes(StandardCharsets.UTF_8);
    byte[] request = new byte[start.length + body.length];
    System.arraycopy(start, 0, request, 0, start.length);
    System.arraycopy(body, 0, request, start.length, body.length);
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress(url.getHost(), url.getPort()), PATIENCE_MILLIS);
      socket.getOutputStream().write(request);
      person.answers.line("cut", call.label);
    } catch (IOException error) {
      // An instance that accepts no connection gets the request when it is sent again.
    }
  }
}
