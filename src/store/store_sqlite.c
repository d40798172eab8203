/*
 * The only file that knows SQLite.
 *
 * Write-ahead log and synchronous=FULL. With a write-ahead log a killed process loses nothing that
 * was committed under either setting, since the kernel has the bytes; but with NORMAL a power cut
 * may take back commits that were answered. FULL costs one fsync a commit, and a commit serves all
 * writes that came while the one before it was under way.
 */
#include "store/store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

/* How long another process may hold the file before we give up. */
#define BUSY_MS 5000

/* Once it was held for so long, nobody waits that long again until it is free: all that is asked
 * stands in one line behind whoever waits. */
#define BUSY_HELD_MS 100

/* Two processes that switch a new file to a write-ahead log at once: SQLite does not wait there. */
#define WAL_TRIES    100
#define WAL_PAUSE_MS 20

/* "krez", in the file's header: tells our databases from those of others. */
#define APPLICATION_ID 0x6b72657a

/* Every commit removes up to this many records that are over. */
#define SWEEP_PER_COMMIT "64"

/*
 * Step i brings the tables from version i to i + 1 (PRAGMA user_version). Never change one that has
 * been released; add one.
 */
static const char *const migrations[] = {
	"CREATE TABLE record ("
	" kind TEXT NOT NULL,"
	" key BLOB NOT NULL,"
	" value BLOB NOT NULL,"
	" version INTEGER NOT NULL,"
	" expires_ms INTEGER NOT NULL,"
	" PRIMARY KEY (kind, key));"
	"CREATE INDEX record_expires ON record (expires_ms) WHERE expires_ms > 0;"
	"CREATE TABLE counter (version INTEGER NOT NULL);" /* one row: the version given last */
	"INSERT INTO counter VALUES (0);",
};

#define SCHEMA_VERSION ((int)ARRAY_LEN(migrations))

enum {
	Q_BEGIN,
	Q_COMMIT,
	Q_ROLLBACK,
	Q_SAVE,
	Q_SAVE_KEEP,
	Q_SAVE_UNDO,
	Q_COUNTER_GET,
	Q_COUNTER_SET,
	Q_VERSION,
	Q_PUT,
	Q_DROP,
	Q_SWEEP,
	Q_GET,
	Q_LIST,
	N_QUERIES
};

static const char *const queries[N_QUERIES] = {
	/* IMMEDIATE: takes the write lock at once, so that a batch never fails half way for it. */
	[Q_BEGIN] = "BEGIN IMMEDIATE",
	[Q_COMMIT] = "COMMIT",
	[Q_ROLLBACK] = "ROLLBACK",
	[Q_SAVE] = "SAVEPOINT batch",
	[Q_SAVE_KEEP] = "RELEASE batch",
	[Q_SAVE_UNDO] = "ROLLBACK TO batch",
	[Q_COUNTER_GET] = "SELECT version FROM counter",
	[Q_COUNTER_SET] = "UPDATE counter SET version = ?1",
	[Q_VERSION] = "SELECT version, expires_ms FROM record WHERE kind = ?1 AND key = ?2",
	[Q_PUT] = "INSERT INTO record (kind, key, value, version, expires_ms)"
		  " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (kind, key) DO UPDATE SET"
		  " value = excluded.value, version = excluded.version,"
		  " expires_ms = excluded.expires_ms",
	[Q_DROP] = "DELETE FROM record WHERE kind = ?1 AND key = ?2",
	[Q_SWEEP] = "DELETE FROM record WHERE rowid IN (SELECT rowid FROM record"
		    " WHERE expires_ms > 0 AND expires_ms <= ?1 LIMIT " SWEEP_PER_COMMIT ")",
	[Q_GET] = "SELECT key, value, version, expires_ms FROM record"
		  " WHERE kind = ?1 AND key = ?2 AND (expires_ms = 0 OR expires_ms > ?3)",
	[Q_LIST] = "SELECT key, value, version, expires_ms FROM record"
		   " WHERE kind = ?1 AND key > ?2 AND (expires_ms = 0 OR expires_ms > ?3)"
		   " ORDER BY key LIMIT ?4",
};

struct store_sqlite {
	sqlite3 *db;		      /* owned */
	sqlite3_stmt *q[N_QUERIES];   /* owned */
	uint64_t version, version_db; /* given last: by us in this transaction, by the file */
	int64_t now_ms;		      /* of the current run */
	bool held;		      /* by another process, when we last wanted to write */
};

/* What SQLite's result means in our terms; 0 for SQLITE_OK. */
static int sqlite_err(sqlite3 *db, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: return 0;
	case SQLITE_NOMEM: return ERR_NOMEM;
	case SQLITE_FULL: return ERR_FULL;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return ERR_TIMEOUT;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN: return ERR_DENIED;
	case SQLITE_IOERR:
		if (db != NULL && sqlite3_system_errno(db) == ENOSPC)
			return ERR_FULL;
		return ERR_IO;
	default: return ERR_IO;
	}
}

/* ---- one query at a time ---- */

/* Run a query that gives no rows, or whose rows nobody wants. */
static int db_do(struct store_sqlite *db, int query)
{
	int rc;

	while ((rc = sqlite3_step(db->q[query])) == SQLITE_ROW)
		;
	rc = sqlite3_reset(db->q[query]);
	return sqlite_err(db->db, rc);
}

/* Binding only fails for our own mistakes: the bytes stay where they are and fit. */
static void db_bind_bytes(struct store_sqlite *db, int query, int at, struct str s)
{
	/* SQLite takes a NULL pointer for the value NULL, not for no bytes. */
	CHECK(sqlite3_bind_blob(db->q[query], at, s.len == 0 ? "" : s.p, (int)s.len,
				SQLITE_STATIC) == SQLITE_OK);
}

static void db_bind_int(struct store_sqlite *db, int query, int at, int64_t n)
{
	CHECK(sqlite3_bind_int64(db->q[query], at, n) == SQLITE_OK);
}

static void db_bind_id(struct store_sqlite *db, int query, const struct store_record *rec)
{
	CHECK(sqlite3_bind_text(db->q[query], 1, rec->kind.p, (int)rec->kind.len, SQLITE_STATIC) ==
	      SQLITE_OK);
	db_bind_bytes(db, query, 2, rec->key);
}

/* ---- writes ---- */

/* *version: of the record there now, 0 when there is none or it is over. */
static int db_version(struct store_sqlite *db, const struct store_record *rec, uint64_t *version)
{
	sqlite3_stmt *q = db->q[Q_VERSION];

	*version = 0;
	db_bind_id(db, Q_VERSION, rec);
	if (sqlite3_step(q) == SQLITE_ROW && !store_is_over(sqlite3_column_int64(q, 1), db->now_ms))
		*version = (uint64_t)sqlite3_column_int64(q, 0);
	return sqlite_err(db->db, sqlite3_reset(q));
}

static int db_write_line(struct store_sqlite *db, struct store_req *req, size_t i)
{
	const struct store_write *w = &req->writes[i];
	uint64_t version;
	int e = db_version(db, &w->rec, &version);

	if (e != 0)
		return e;
	if (!store_expects(w->expected, version))
		return ERR_CONFLICT;
	if (w->op == STORE_DROP) {
		db_bind_id(db, Q_DROP, &w->rec);
		e = db_do(db, Q_DROP);
	} else {
		version = ++db->version;
		db_bind_id(db, Q_PUT, &w->rec);
		db_bind_bytes(db, Q_PUT, 3, w->rec.value);
		db_bind_int(db, Q_PUT, 4, (int64_t)version);
		db_bind_int(db, Q_PUT, 5, w->rec.expires_ms);
		e = db_do(db, Q_PUT);
	}
	if (e == 0)
		store_req_wrote(req, i, version);
	return e;
}

/* ERR_CONFLICT: this batch was undone and the transaction goes on; else it cannot. */
static int db_write(struct store_sqlite *db, struct store_req *req)
{
	bool save = req->n_writes > 1; /* a lone line checks before it writes */
	int e, undo;

	if (save && (e = db_do(db, Q_SAVE)) != 0)
		return e;
	for (size_t i = 0; i < req->n_writes; i++) {
		if ((e = db_write_line(db, req, i)) == 0)
			continue;
		req->answer.failed = i;
		if (save && e == ERR_CONFLICT && (undo = db_do(db, Q_SAVE_UNDO)) != 0)
			return undo;
		break;
	}
	if (save && (e == 0 || e == ERR_CONFLICT) && (undo = db_do(db, Q_SAVE_KEEP)) != 0)
		return undo;
	return e;
}

static void db_set_held(struct store_sqlite *db, bool held)
{
	if (held != db->held)
		sqlite3_busy_timeout(db->db, held ? BUSY_HELD_MS : BUSY_MS);
	db->held = held;
}

static int db_begin(struct store_sqlite *db)
{
	sqlite3_stmt *q = db->q[Q_COUNTER_GET];
	int e = db_do(db, Q_BEGIN);

	db_set_held(db, e == ERR_TIMEOUT);
	if (e != 0)
		return e;
	if (sqlite3_step(q) == SQLITE_ROW)
		db->version = db->version_db = (uint64_t)sqlite3_column_int64(q, 0);
	return sqlite_err(db->db, sqlite3_reset(q));
}

static int db_commit(struct store_sqlite *db)
{
	int e;

	if (db->version != db->version_db) {
		db_bind_int(db, Q_COUNTER_SET, 1, (int64_t)db->version);
		if ((e = db_do(db, Q_COUNTER_SET)) != 0)
			return e;
	}
	db_bind_int(db, Q_SWEEP, 1, db->now_ms);
	if ((e = db_do(db, Q_SWEEP)) != 0)
		return e;
	return db_do(db, Q_COMMIT);
}

/* Nothing of the transaction stays; some errors have ended it already. */
static void db_rollback(struct store_sqlite *db)
{
	if (!sqlite3_get_autocommit(db->db))
		(void)db_do(db, Q_ROLLBACK);
}

/*
 * All of these in one transaction; each batch is whole or not there.
 *   *retry  set when it failed for something that might be one request's doing alone (its size).
 */
static int db_write_group(struct store_sqlite *db, struct store_req **reqs, size_t n, bool *retry)
{
	int e = db_begin(db);

	*retry = false;
	if (e != 0)
		goto out;
	*retry = n > 1;
	for (size_t i = 0; i < n; i++) {
		reqs[i]->answer = (struct store_answer){0};
		if ((e = db_write(db, reqs[i])) != 0 && e != ERR_CONFLICT)
			goto out;
		reqs[i]->answer.e = e;
		reqs[i]->answer.n = e == 0 ? reqs[i]->n_writes : 0;
	}
	e = db_commit(db);
out:
	if (e == 0)
		return 0;
	db_rollback(db);
	for (size_t i = 0; i < n; i++)
		reqs[i]->answer = (struct store_answer){.e = e};
	return e;
}

/* ---- reads ---- */

/* Copy the row at hand into the answer's next record. */
static int db_take_row(struct store_sqlite *db, struct store_req *req, sqlite3_stmt *q,
		       size_t *bytes)
{
	/* In this order, and before the sizes: asking for a blob may convert it. */
	const void *key = sqlite3_column_blob(q, 0), *value = sqlite3_column_blob(q, 1);
	size_t key_len = (size_t)sqlite3_column_bytes(q, 0);
	size_t value_len = (size_t)sqlite3_column_bytes(q, 1);
	struct store_record *rec = &req->recs[req->answer.n];
	char *copy = store_req_keep(req, key_len + value_len);

	if (copy == NULL)
		return ERR_NOMEM;
	if (key_len > 0)
		memcpy(copy, key, key_len);
	if (value_len > 0)
		memcpy(copy + key_len, value, value_len);
	*rec = (struct store_record){
		.kind = req->writes[0].rec.kind,
		.key = {copy, key_len},
		.value = {copy + key_len, value_len},
		.version = (uint64_t)sqlite3_column_int64(q, 2),
		.expires_ms = sqlite3_column_int64(q, 3),
	};
	req->answer.n++;
	*bytes += key_len + value_len;
	return 0;
}

static int db_read(struct store_sqlite *db, struct store_req *req)
{
	int query = req->verb == STORE_GET ? Q_GET : Q_LIST;
	size_t limit = req->verb == STORE_GET ? 1 : req->limit, bytes = 0;
	sqlite3_stmt *q = db->q[query];
	int e = 0, rc;

	db_bind_id(db, query, &req->writes[0].rec);
	db_bind_int(db, query, 3, db->now_ms);
	if (query == Q_LIST)
		db_bind_int(db, query, 4, (int64_t)limit + 1);
	while (e == 0 && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		if (req->answer.n == limit || bytes >= STORE_PAGE_BYTES_MAX) {
			req->answer.more = true;
			break;
		}
		e = db_take_row(db, req, q, &bytes);
	}
	rc = sqlite3_reset(q);
	if (e == 0)
		e = sqlite_err(db->db, rc);
	if (e == 0 && query == Q_GET && req->answer.n == 0)
		e = ERR_NOTFOUND;
	return e;
}

void store_sqlite_run(struct store_sqlite *db, struct list *reqs, int64_t now_ms)
{
	struct store_req *writes[STORE_SQLITE_RUN_MAX];
	size_t n = 0;
	bool retry, again;

	db->now_ms = now_ms;
	LIST_FOR_EACH (it, reqs) {
		struct store_req *req = CONTAINER_OF(it, struct store_req, link);

		if (req->verb != STORE_WRITE)
			continue;
		CHECK(n < ARRAY_LEN(writes));
		writes[n++] = req;
	}
	/* When a group fails each has its own try: a batch too large for what is left of the disk
	 * must not take small ones with it. */
	if (n > 0 && db_write_group(db, writes, n, &retry) != 0 && retry)
		for (size_t i = 0; i < n; i++)
			(void)db_write_group(db, &writes[i], 1, &again);
	LIST_FOR_EACH (it, reqs) {
		struct store_req *req = CONTAINER_OF(it, struct store_req, link);

		if (req->verb != STORE_WRITE)
			req->answer.e = db_read(db, req);
	}
}

/* ---- opening ---- */

/* The directory, one level, and an empty file nobody else may read, unless they are there. */
static int db_make_file(const char *path, struct store_why *why)
{
	char *dir = must_strdup(path);
	char *slash = strrchr(dir, '/');
	int fd = -1, e = 0, errnum = 0;

	if (slash != NULL && slash != dir) {
		*slash = '\0';
		if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
			errnum = errno;
			e = errnum == ENOENT ? ERR_NOTFOUND : err_from_errno(errnum);
			store_why_say(why,
				      "cannot make the directory %s for the store %s: %s; make it, "
				      "or name another place",
				      dir, path, strerror(errnum));
			goto out;
		}
	}
	/* Only when it is new: closing a descriptor of an open database drops SQLite's locks. */
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST) {
		errnum = errno;
		e = errnum == EROFS ? ERR_DENIED : err_from_errno(errnum);
		store_why_say(why,
			      "cannot make the store %s: %s; name another place, or let uid %u "
			      "write in that directory",
			      path, strerror(errnum), (unsigned)geteuid());
	}
out:
	if (fd >= 0)
		close(fd);
	free(dir);
	return e;
}

/* What SQLite said while opening, with what a person can do about it. */
static int db_open_failed(struct store_sqlite *db, const char *path, int rc, struct store_why *why)
{
	int e = (rc & 0xff) == SQLITE_NOTADB ? ERR_UNSUPPORTED : sqlite_err(db->db, rc);
	const char *advice;

	switch (e) {
	case ERR_UNSUPPORTED: advice = "name another file, or move this one away"; break;
	case ERR_DENIED: advice = "the file and its directory must be writable for karezd"; break;
	case ERR_FULL: advice = "make room on the disk"; break;
	case ERR_TIMEOUT: advice = "end the process that holds the file"; break;
	default: advice = "if the file is damaged, put back a copy of it or move it away";
	}
	store_why_say(why, "cannot open the store %s: %s; %s", path,
		      db->db != NULL && sqlite3_errcode(db->db) == rc ? sqlite3_errmsg(db->db)
								      : sqlite3_errstr(rc),
		      advice);
	return e == 0 ? ERR_IO : e;
}

/* The one number that a pragma or a count answers. Returns SQLite's result. */
static int db_number(struct store_sqlite *db, const char *sql, int *out)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(db->db, sql, -1, &q, NULL);

	*out = 0;
	if (rc == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		*out = sqlite3_column_int(q, 0);
	if (rc == SQLITE_OK)
		rc = sqlite3_reset(q);
	sqlite3_finalize(q);
	return rc;
}

/*
 * Whose file is it, and how old? Nothing is changed.
 *   *schema  the version of its tables, 0 for an empty file.
 */
static int db_identify(struct store_sqlite *db, const char *path, int *schema,
		       struct store_why *why)
{
	int application, n_tables, rc;

	if ((rc = db_number(db, "PRAGMA application_id", &application)) != SQLITE_OK ||
	    (rc = db_number(db, "PRAGMA user_version", schema)) != SQLITE_OK ||
	    (rc = db_number(db, "SELECT count(*) FROM sqlite_schema", &n_tables)) != SQLITE_OK)
		return db_open_failed(db, path, rc, why);
	if (application == 0 && *schema == 0 && n_tables == 0)
		return 0;
	if (application != APPLICATION_ID || *schema < 1) {
		store_why_say(why,
			      "cannot open the store %s: it is the database of another program; "
			      "name another file",
			      path);
		return ERR_UNSUPPORTED;
	}
	if (*schema > SCHEMA_VERSION) {
		store_why_say(why,
			      "cannot open the store %s: a newer karez wrote it (its tables have "
			      "version %d, this karez knows %d); run that karez, or put back the "
			      "copy of the file from before",
			      path, *schema, SCHEMA_VERSION);
		return ERR_UNSUPPORTED;
	}
	return 0;
}

static int db_exec(struct store_sqlite *db, const char *sql)
{
	return sqlite3_exec(db->db, sql, NULL, NULL, NULL);
}

/* Run the steps that this file has not had, in one transaction. */
static int db_migrate(struct store_sqlite *db, const char *path, struct store_why *why)
{
	int schema, rc, e;
	char *sql;

	if ((rc = db_exec(db, "BEGIN IMMEDIATE")) != SQLITE_OK)
		return db_open_failed(db, path, rc, why);
	/* Asked again, now that nobody else can change it. */
	if ((e = db_identify(db, path, &schema, why)) != 0)
		goto out;
	for (; schema < SCHEMA_VERSION; schema++)
		if ((rc = db_exec(db, migrations[schema])) != SQLITE_OK)
			break;
	if (rc == SQLITE_OK) {
		sql = sqlite3_mprintf("PRAGMA application_id = %d; PRAGMA user_version = %d; "
				      "COMMIT",
				      APPLICATION_ID, SCHEMA_VERSION);
		rc = sql == NULL ? SQLITE_NOMEM : db_exec(db, sql);
		sqlite3_free(sql);
	}
	if (rc != SQLITE_OK)
		e = db_open_failed(db, path, rc, why);
out:
	if (!sqlite3_get_autocommit(db->db))
		(void)db_exec(db, "ROLLBACK");
	return e;
}

static int db_set_wal(struct store_sqlite *db, const char *path, struct store_why *why)
{
	sqlite3_stmt *q = NULL;
	bool wal = false;
	int rc = SQLITE_BUSY;

	for (int i = 0; i < WAL_TRIES && (rc & 0xff) == SQLITE_BUSY; i++) {
		if (i > 0)
			sqlite3_sleep(WAL_PAUSE_MS);
		rc = sqlite3_prepare_v2(db->db, "PRAGMA journal_mode = WAL", -1, &q, NULL);
		if (rc != SQLITE_OK)
			break;
		if (sqlite3_step(q) == SQLITE_ROW)
			wal = sqlite3_stricmp((const char *)sqlite3_column_text(q, 0), "wal") == 0;
		rc = sqlite3_reset(q);
		sqlite3_finalize(q);
	}
	if (rc != SQLITE_OK)
		return db_open_failed(db, path, rc, why);
	if (!wal) {
		store_why_say(why,
			      "cannot open the store %s: its file system has no shared memory, "
			      "which SQLite's write-ahead log needs; name a place on a local disk",
			      path);
		return ERR_UNSUPPORTED;
	}
	return 0;
}

static int db_prepare(struct store_sqlite *db, const char *path, struct store_why *why)
{
	int rc;

	for (int i = 0; i < N_QUERIES; i++) {
		rc = sqlite3_prepare_v3(db->db, queries[i], -1, SQLITE_PREPARE_PERSISTENT,
					&db->q[i], NULL);
		if (rc != SQLITE_OK)
			return db_open_failed(db, path, rc, why);
	}
	return 0;
}

static int db_setup(struct store_sqlite *db, const char *path, struct store_why *why)
{
	int schema, rc, e;

	sqlite3_extended_result_codes(db->db, 1);
	sqlite3_busy_timeout(db->db, BUSY_MS);
	sqlite3_db_config(db->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* In one view of the file: another process may be making its tables right now. */
	if ((rc = db_exec(db, "BEGIN")) != SQLITE_OK)
		return db_open_failed(db, path, rc, why);
	e = db_identify(db, path, &schema, why);
	(void)db_exec(db, "ROLLBACK");
	if (e != 0)
		return e;
	if (sqlite3_db_readonly(db->db, "main") != 0)
		return db_open_failed(db, path, SQLITE_READONLY, why);
	if ((e = db_set_wal(db, path, why)) != 0)
		return e;
	rc = db_exec(db, "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216; "
			 "PRAGMA temp_store = MEMORY");
	if (rc != SQLITE_OK)
		return db_open_failed(db, path, rc, why);
	if ((e = db_migrate(db, path, why)) != 0)
		return e;
	return db_prepare(db, path, why);
}

int store_sqlite_open(const char *path, struct store_sqlite **out, struct store_why *why)
{
	struct store_sqlite *db = must_calloc(1, sizeof *db);
	char *file = NULL;
	int rc, e;

	/* "./" in front, lest SQLite sees ":memory:" or "file:..." in a name. */
	file = sqlite3_mprintf("%s%s", path[0] == '/' ? "" : "./", path);
	CHECK(file != NULL);
	if ((e = db_make_file(file, why)) != 0)
		goto out;
	rc = sqlite3_open_v2(file, &db->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		e = db_open_failed(db, path, rc, why);
	else
		e = db_setup(db, path, why);
	if (e == 0)
		MOVE(*out, db);
out:
	sqlite3_free(file);
	store_sqlite_close(db);
	return e;
}

void store_sqlite_close(struct store_sqlite *db)
{
	if (db == NULL)
		return;
	for (int i = 0; i < N_QUERIES; i++)
		sqlite3_finalize(db->q[i]);
	CHECK(sqlite3_close(db->db) == SQLITE_OK);
	free(db);
}
