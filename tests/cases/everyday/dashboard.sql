-- Panels of a dashboard with a time range, an interval and a variable.

SELECT placed_at AS "time", total AS value, status::text AS metric FROM orders WHERE placed_at BETWEEN
    '2024-01-01T00:00:00Z' AND '2025-01-01T00:00:00Z' ORDER BY 1;

SELECT floor(extract(epoch FROM placed_at) / 86400) * 86400 AS "time", status::text AS metric, avg(total) AS
    avg FROM orders WHERE placed_at >= to_timestamp(1704067200) AND placed_at < to_timestamp(1735689600) GROUP
    BY 1, 2 ORDER BY 1, 2;

SELECT date_bin('15 minutes', happened_at, timestamptz '2001-01-01') AS time, count(*) FILTER (WHERE kind =
    'page_view') AS views, count(DISTINCT customer_id) AS visitors FROM events_all WHERE happened_at > now() -
    interval '6 hours' GROUP BY 1 ORDER BY 1;

SELECT g AS time, coalesce(sum(o.total), 0) AS revenue FROM generate_series('2024-01-01'::timestamptz,
    '2024-02-01', '1 day') g LEFT JOIN orders o ON o.placed_at >= g AND o.placed_at < g + interval '1 day'
    GROUP BY g ORDER BY g;

SELECT time, value, value - lag(value) OVER w AS delta, avg(value) OVER (ORDER BY time ROWS BETWEEN 6
    PRECEDING AND CURRENT ROW) AS smooth FROM (SELECT placed_at::date AS time, sum(total) AS value FROM orders
    GROUP BY 1) d WINDOW w AS (ORDER BY time);

SELECT DISTINCT country FROM customers ORDER BY country;

SELECT country AS __text, country AS __value FROM customers GROUP BY country;

SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema IN (SELECT CASE WHEN
    trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END FROM
    generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1),
    array_upper(string_to_array(current_setting('search_path'), ','), 1)) AS i,
    string_to_array(current_setting('search_path'), ',') s) ORDER BY table_name;

SELECT quote_ident(column_name) FROM information_schema.columns WHERE quote_ident(table_name) = 'orders' AND
    data_type IN ('timestamp with time zone', 'bigint', 'numeric');

SELECT extname, extversion FROM pg_extension WHERE extname = 'timescaledb';

SELECT current_setting('server_version_num')::int / 100 AS version;

SELECT month AS time, category AS metric, revenue FROM sales_by_month WHERE month > '2023-01-01' ORDER BY 1;

SELECT e.happened_at AS time, e.kind AS text, c.city AS tags FROM events_all e JOIN customers c ON c.id =
    e.customer_id WHERE e.kind = 'login' ORDER BY 1 LIMIT 100;

WITH first AS (SELECT customer_id, min(placed_at)::date AS day FROM orders GROUP BY 1) SELECT
    date_trunc('month', f.day) AS cohort, (o.placed_at::date - f.day) / 30 AS month, count(DISTINCT
    o.customer_id) FROM first f JOIN orders o USING (customer_id) GROUP BY 1, 2;

SELECT CASE WHEN grouping(category) = 1 THEN 'all' ELSE category END AS category, sum(stock) FROM products
    GROUP BY ROLLUP (category);

SELECT p.category, json_object_agg(p.sku, p.price) AS prices, array_agg(p.id ORDER BY p.price DESC) AS ids,
    string_agg(p.name, ', ') FROM products p GROUP BY p.category;
