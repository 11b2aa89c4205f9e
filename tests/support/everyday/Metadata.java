import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.Statement;

/** Asks pgjdbc for everything that a database browser shows. Arguments: JDBC URL, user, password. */
public class Metadata {
  static void drain(ResultSet rows) throws Exception {
    try (rows) {
      while (rows.next()) rows.getObject(1);
    }
  }

  public static void main(String[] given) throws Exception {
    try (Connection c = DriverManager.getConnection(given[0], given[1], given[2])) {
      DatabaseMetaData m = c.getMetaData();
      drain(m.getCatalogs());
      drain(m.getSchemas());
      drain(m.getSchemas(null, "pub%"));
      drain(m.getTableTypes());
      drain(m.getTables(null, "public", "%", null));
      drain(m.getTables(null, "public", "cust%", new String[] {"TABLE", "VIEW", "MATERIALIZED VIEW"}));
      drain(m.getColumns(null, "public", "%", "%"));
      drain(m.getColumns(null, "public", "customers", "email"));
      drain(m.getPrimaryKeys(null, "public", "orders"));
      drain(m.getImportedKeys(null, "public", "orders"));
      drain(m.getExportedKeys(null, "public", "customers"));
      drain(m.getCrossReference(null, "public", "customers", null, "public", "orders"));
      drain(m.getIndexInfo(null, "public", "customers", false, true));
      drain(m.getIndexInfo(null, "public", "customers", true, false));
      drain(m.getTablePrivileges(null, "public", "customers"));
      drain(m.getColumnPrivileges(null, "public", "customers", "%"));
      drain(m.getProcedures(null, "public", "%"));
      drain(m.getProcedureColumns(null, "public", "%", "%"));
      drain(m.getFunctions(null, "public", "%"));
      drain(m.getFunctionColumns(null, "public", "customer_total", "%"));
      drain(m.getTypeInfo());
      drain(m.getUDTs(null, "public", "%", null));
      drain(m.getBestRowIdentifier(null, "public", "orders", DatabaseMetaData.bestRowSession, true));
      drain(m.getVersionColumns(null, "public", "orders"));
      drain(m.getClientInfoProperties());
      m.getSQLKeywords();
      m.getNumericFunctions();
      m.getMaxColumnNameLength();
      m.getDefaultTransactionIsolation();
      try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
          ResultSet rows = s.executeQuery("SELECT id, note FROM orders WHERE id = 1")) {
        rows.next();
        rows.getMetaData().getColumnTypeName(1);
        rows.getMetaData().isAutoIncrement(1);
        rows.updateString("note", "seen");
        rows.updateRow();
        rows.refreshRow();
      }
      try (Statement s = c.createStatement();
          ResultSet rows = s.executeQuery("SELECT o.*, c.full_name FROM orders o JOIN customers c ON c.id = o.customer_id LIMIT 3")) {
        for (int n = 1; n <= rows.getMetaData().getColumnCount(); n++) {
          rows.getMetaData().getTableName(n);
          rows.getMetaData().isNullable(n);
        }
      }
      c.setReadOnly(true);
      c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      c.getSchema();
      c.isValid(5);
    }
  }
}
