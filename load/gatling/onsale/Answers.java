package onsale;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;

/** The file of answers: a line for each answer, each paid seat and each person. The runner reads it. */
final class Answers implements AutoCloseable {
  private final BufferedWriter file;

  Answers(String path) {
    try {
      file = Files.newBufferedWriter(Path.of(path));
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  private Answers() {
    file = new BufferedWriter(Writer.nullWriter());
  }

  /** Answers that do not count: their lines go nowhere. */
  static Answers uncounted() {
    return new Answers();
  }

  /** Writes a line of fields. A missing field is empty. */
  void line(Object... fields) {
    StringBuilder line = new StringBuilder(160);
    for (Object field : fields) {
      if (line.length() > 0) {
        line.append('\t');
      }
      line.append(field == null ? "" : field);
    }
    try {
      // One writer for the threads of all persons: a line is never split.
      synchronized (file) {
        file.append(line.append('\n'));
      }
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  /** Lets the runner read all lines so far. */
  void flush() {
    try {
      synchronized (file) {
        file.flush();
      }
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  @Override
  public void close() {
    try {
      synchronized (file) {
        file.close();
      }
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }
}
