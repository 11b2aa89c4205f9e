import java.io.StringReader;
import java.io.StringWriter;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** What pgjdbc does, one line of output a finding. Arguments: JDBC URL, user, password, sentinel that is denied. */
public class Scenarios {
  static void say(Object... parts) {
    StringBuilder line = new StringBuilder();
    for (Object part : parts) line.append(part).append(' ');
    System.out.println(line.toString().trim());
  }

  interface Work {
    void run() throws Exception;
  }

  static void fails(String name, Work work) throws Exception {
    try {
      work.run();
      say(name, "no error");
    } catch (BatchUpdateException error) {
      say(name, error.getSQLState(), error.getUpdateCounts().length);
    } catch (SQLException error) {
      say(name, error.getSQLState());
    }
  }

  static void prepared(Connection c) throws Exception {
    try (PreparedStatement p = c.prepareStatement("select ?::int * 2, ?::text")) {
      for (int n = 0; n < 12; n++) { // beyond prepareThreshold, then binary and server-prepared
        p.setInt(1, n);
        p.setString(2, "v" + n);
        try (ResultSet r = p.executeQuery()) {
          r.next();
          say("prepared", r.getInt(1), r.getString(2));
        }
      }
    }
  }

  static void fetchSize(Connection c) throws Exception {
    c.setAutoCommit(false);
    try (PreparedStatement p = c.prepareStatement("select g, 'v' || g from generate_series(1, 95) g")) {
      p.setFetchSize(10);
      long sum = 0;
      try (ResultSet r = p.executeQuery()) {
        while (r.next()) sum += r.getInt(1);
      }
      say("fetchSize", sum);
    }
    c.commit();
    c.setAutoCommit(true);
  }

  static void batch(Connection c) throws Exception {
    try (Statement s = c.createStatement()) {
      s.execute("create temp table b (a int primary key, t text)");
    }
    try (PreparedStatement p = c.prepareStatement("insert into b values (?, ?)")) {
      for (int n = 0; n < 300; n++) {
        p.setInt(1, n);
        p.setString(2, "t" + n);
        p.addBatch();
      }
      say("batch", p.executeBatch().length);
      for (int n = 299; n < 305; n++) {
        p.setInt(1, n);
        p.setString(2, "again");
        p.addBatch();
      }
      fails("batch conflict", p::executeBatch);
    }
    try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("select count(*), sum(a) from b")) {
      r.next();
      say("after batch", r.getLong(1), r.getLong(2));
    }
  }

  static void keys(Connection c) throws Exception {
    try (Statement s = c.createStatement()) {
      s.execute("create temp table k (id int generated always as identity, t text)");
    }
    try (PreparedStatement p =
        c.prepareStatement("insert into k (t) values (?), (?)", Statement.RETURN_GENERATED_KEYS)) {
      p.setString(1, "a");
      p.setString(2, "b");
      p.executeUpdate();
      try (ResultSet r = p.getGeneratedKeys()) {
        while (r.next()) say("key", r.getInt(1));
      }
    }
  }

  static void copy(Connection c) throws Exception {
    CopyManager manager = c.unwrap(PGConnection.class).getCopyAPI();
    say("copy in", manager.copyIn("copy b from stdin", new StringReader("900\tnine\n901\tmore\n")));
    StringWriter out = new StringWriter();
    say("copy out", manager.copyOut("copy (select a, t from b where a >= 900 order by a) to stdout csv", out));
    say(out.toString().replace('\n', '|'));
    fails("copy bad", () -> manager.copyIn("copy b from stdin", new StringReader("x\ty\n")));
  }

  static void transactions(Connection c, String sentinel) throws Exception {
    c.setAutoCommit(false);
    try (Statement s = c.createStatement()) {
      s.executeUpdate("insert into b values (5000, 'tx')");
      fails("error", () -> s.executeQuery("select 1/0"));
      fails("failed transaction", () -> s.executeQuery("select 1"));
      c.rollback();
      s.executeUpdate("insert into b values (5001, 'tx')");
      fails("denied", () -> s.executeQuery(sentinel));
      fails("failed by denial", () -> s.executeQuery("select 1"));
      c.rollback();
      try (ResultSet r = s.executeQuery("select count(*) from b where a >= 5000")) {
        r.next();
        say("rolled back", r.getInt(1));
      }
    }
    c.commit();
    c.setAutoCommit(true);
  }

  static void denials(Connection c, String sentinel) throws Exception {
    for (int n = 0; n < 8; n++) {
      fails("denied prepared", () -> {
        try (PreparedStatement p = c.prepareStatement(sentinel)) {
          p.executeQuery();
        }
      });
      try (PreparedStatement p = c.prepareStatement("select ?::int"))  {
        p.setInt(1, n);
        try (ResultSet r = p.executeQuery()) {
          r.next();
          say("alive", r.getInt(1));
        }
      }
    }
  }

  static void cancel(Connection c) throws Exception {
    try (Statement s = c.createStatement()) {
      s.setQueryTimeout(1);
      fails("cancel", () -> s.executeQuery("select pg_sleep(30)"));
    }
    try (Statement s = c.createStatement()) {
      boolean first = s.execute("select 1; select 2");
      List<Integer> found = new ArrayList<>();
      do {
        ResultSet r = s.getResultSet();
        r.next();
        found.add(r.getInt(1));
      } while (s.getMoreResults());
      say("several", first, found);
    }
  }

  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    properties.setProperty("user", arguments[1]);
    properties.setProperty("password", arguments[2]);
    try (Connection c = DriverManager.getConnection(arguments[0], properties)) {
      prepared(c);
      fetchSize(c);
      batch(c);
      keys(c);
      copy(c);
      transactions(c, arguments[3]);
      denials(c, arguments[3]);
      cancel(c);
      say("closed", c.isValid(5));
    }
  }
}
