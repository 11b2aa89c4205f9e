// Command pgx does what pgx does, one line of output a finding. Arguments: connection string, text that is denied.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func say(parts ...any) { fmt.Println(parts...) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func state(err error) string {
	var found *pgconn.PgError
	if errors.As(err, &found) {
		return found.Code
	}
	if err != nil {
		return "other: " + err.Error()
	}
	return "no error"
}

func queries(ctx context.Context, c *pgx.Conn) {
	for n := 0; n < 5; n++ { // the first prepares, the others bind only
		var doubled int
		var text string
		must(c.QueryRow(ctx, "select $1::int * 2, $2::text", n, fmt.Sprint("v", n)).Scan(&doubled, &text))
		say("prepared", doubled, text)
	}
	modes := []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
		pgx.QueryExecModeDescribeExec, pgx.QueryExecModeCacheDescribe}
	for _, mode := range modes {
		var n int
		must(c.QueryRow(ctx, "select $1::int + 1", mode, 41).Scan(&n))
		say("mode", mode, n)
	}
	rows, err := c.Query(ctx, "select g from generate_series(1, 1000) g")
	must(err)
	total, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	must(err)
	say("rows", len(total))
}

func batches(ctx context.Context, c *pgx.Conn, denied string) {
	_, err := c.Exec(ctx, "create temp table b (a int primary key)")
	must(err)
	batch := &pgx.Batch{}
	for n := 0; n < 50; n++ {
		batch.Queue("insert into b values ($1)", n)
	}
	must(c.SendBatch(ctx, batch).Close())
	failing := &pgx.Batch{}
	failing.Queue("insert into b values (100)")
	failing.Queue("insert into b values (0)")
	failing.Queue("insert into b values (101)")
	say("batch conflict", state(c.SendBatch(ctx, failing).Close()))
	refused := &pgx.Batch{}
	refused.Queue("insert into b values (200)")
	refused.Queue(denied)
	refused.Queue("insert into b values (201)")
	say("batch denied", state(c.SendBatch(ctx, refused).Close()))
	var count, sum int
	must(c.QueryRow(ctx, "select count(*), sum(a) from b").Scan(&count, &sum))
	say("after batches", count, sum)
}

func copies(ctx context.Context, c *pgx.Conn) {
	source := pgx.CopyFromSlice(500, func(n int) ([]any, error) { return []any{n + 1000}, nil })
	copied, err := c.CopyFrom(ctx, pgx.Identifier{"b"}, []string{"a"}, source)
	say("copied", copied, state(err))
	var out strings.Builder
	tag, err := c.PgConn().CopyTo(ctx, &out, "copy (select a from b order by a limit 2) to stdout")
	say("copy out", tag.String(), state(err), strings.ReplaceAll(out.String(), "\n", "|"))
	_, err = c.PgConn().CopyFrom(ctx, strings.NewReader("not a number\n"), "copy b from stdin")
	say("copy bad", state(err))
}

func transactions(ctx context.Context, c *pgx.Conn, denied string) {
	tx, err := c.Begin(ctx)
	must(err)
	_, err = tx.Exec(ctx, "insert into b values (5000)")
	must(err)
	_, err = tx.Exec(ctx, denied)
	say("denied", state(err))
	_, err = tx.Exec(ctx, "select 1")
	say("failed transaction", state(err))
	say("rollback", state(tx.Rollback(ctx)))
	for n := 0; n < 3; n++ {
		_, err = c.Exec(ctx, denied)
		say("denied again", state(err))
		var alive int
		must(c.QueryRow(ctx, "select $1::int", n).Scan(&alive))
		say("alive", alive)
	}
	var left int
	must(c.QueryRow(ctx, "select count(*) from b where a >= 5000").Scan(&left))
	say("left", left)
}

func pipeline(ctx context.Context, c *pgx.Conn) {
	pipe := c.PgConn().StartPipeline(ctx)
	pipe.SendPrepare("named", "select $1::text || '!'", nil)
	pipe.SendQueryPrepared("named", [][]byte{[]byte("one")}, nil, nil)
	must(pipe.Sync())
	pipe.SendQueryPrepared("named", [][]byte{[]byte("two")}, nil, nil)
	must(pipe.Sync())
	for {
		results, err := pipe.GetResults()
		if results == nil && err == nil {
			break
		}
		if reader, ok := results.(*pgconn.ResultReader); ok {
			read := reader.Read()
			say("pipeline", string(read.Rows[0][0]), state(read.Err))
		} else if err != nil {
			say("pipeline", state(err))
		}
	}
	must(pipe.Close())
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, os.Args[1])
	must(err)
	queries(ctx, c)
	batches(ctx, c, os.Args[2])
	copies(ctx, c)
	transactions(ctx, c, os.Args[2])
	pipeline(ctx, c)
	must(c.Close(ctx))
	say("closed")
}
