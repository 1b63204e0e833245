#!/bin/bash
# A database under constant writing: a generator of SQL, a pipe, and sqlite3 with a rollback
# journal, which creates, syncs and deletes its journal file in every transaction. The queries in
# between print what is in the tables; the dump at the end must equal that of an undisturbed run.
#
# usage: transactions.sh TRANSACTIONS      (writes data.db and dump.sql into the working directory)
transactions=${1:-500}
export LC_ALL=C
generate() {
    awk -v n="$transactions" 'BEGIN {
        print "PRAGMA journal_mode=DELETE; PRAGMA synchronous=NORMAL; PRAGMA cache_size=50;"
        print "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER, note TEXT);"
        print "CREATE TABLE entry(id INTEGER PRIMARY KEY, source INT, target INT, amount INT);"
        print "CREATE INDEX by_source ON entry(source, target);"
        x = 4711
        print "BEGIN;"
        for (i = 1; i <= 500; i++)
            printf "INSERT INTO account VALUES(%d, 1000, hex(zeroblob(%d)));\n", i, i % 100
        print "COMMIT;"
        for (i = 1; i <= n; i++) {
            print "BEGIN;"
            for (k = 0; k < 20; k++) {
                x = (x * 69069 + 1) % 4294967296; a = int(x / 65536) % 500 + 1
                x = (x * 69069 + 1) % 4294967296; b = int(x / 65536) % 500 + 1
                amount = k * 3 + i % 11
                printf "INSERT INTO entry(source,target,amount) VALUES(%d,%d,%d);\n", a, b, amount
                printf "UPDATE account SET balance=balance-%d WHERE id=%d;\n", amount, a
                printf "UPDATE account SET balance=balance+%d WHERE id=%d;\n", amount, b
            }
            print "COMMIT;"
            printf "SELECT %d, sum(balance), max(balance), min(balance), ", i
            print "(SELECT count(*) FROM entry) FROM account;"
        }
    }'
}
# Line by line: sqlite3 would keep its answers in a buffer until the end.
generate | stdbuf -oL sqlite3 -bail data.db || exit 1
sqlite3 data.db 'PRAGMA integrity_check;' || exit 1
sqlite3 data.db .dump >dump.sql || exit 1
sha256sum <dump.sql
echo done
