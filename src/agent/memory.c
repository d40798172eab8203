/* Nobody should have to ask for the same name twice, or see a credential of somebody else. */
#include "agent/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "proto/json.h"

/* Characters of an id: none that can be misread. */
#define ID_LETTERS "abcdefghijkmnpqrstuvwxyz23456789"

struct memory {
	char *dir;	   /* owned */
	struct json *root; /* owned: the file as it was last read or written */
	char agent[MEMORY_AGENT_MAX];
	char why[MEMORY_WHY_MAX];
};

const char *memory_why(const struct memory *m)
{
	return m->why;
}

/* Why something with the file (or with the folder, what = NULL) failed, from errno. */
static int memory_failed(struct memory *m, const char *doing, const char *file)
{
	int e = err_from_errno(errno);

	str_printf(m->why, sizeof m->why, "cannot %s %s%s%s: %s", doing, m->dir,
		   file[0] != '\0' ? "/" : "", file, err_text(e));
	return e;
}

static int memory_damaged(struct memory *m, const char *what)
{
	str_printf(m->why, sizeof m->why,
		   "%s/" MEMORY_FILE " is damaged (%s); repair it, or move it away to start with "
		   "nothing remembered",
		   m->dir, what);
	return ERR_PROTO;
}

/* ---- the folder ---- */

static int memory_make_dirs(struct memory *m)
{
	char *slash = m->dir;

	while ((slash = strchr(slash + 1, '/')) != NULL) {
		*slash = '\0';
		(void)!mkdir(m->dir, 0755); /* what it lacks, the last one will say */
		*slash = '/';
	}
	if (mkdir(m->dir, 0700) != 0 && errno != EEXIST)
		return memory_failed(m, "make", "");
	return 0;
}

/* Open and lock the folder; the lock ends with the descriptor. */
static int memory_lock(struct memory *m, int *dir)
{
	*dir = open(m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*dir < 0)
		return memory_failed(m, "open", "");
	while (flock(*dir, LOCK_EX) != 0) {
		if (errno != EINTR)
			return memory_failed(m, "lock", "");
	}
	return 0;
}

/* ---- reading ---- */

static int memory_slurp(struct memory *m, int fd, struct buf *text)
{
	for (;;) {
		char *at;
		ssize_t n;
		int e;

		if ((e = buf_room(text, 16384, MEMORY_FILE_MAX + 16384, &at)) != 0)
			return e == ERR_TOOBIG ? memory_damaged(m, "it is too long") : e;
		n = read(fd, at, 16384);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return memory_failed(m, "read", MEMORY_FILE);
		if (n == 0)
			return 0;
		buf_added(text, (size_t)n);
	}
}

/* Is every part what it should be? Then nothing else needs to doubt it. */
static int memory_check(struct memory *m, const struct json *root)
{
	const struct json *servers, *server, *names;
	struct str key, text;
	void *at = NULL;
	bool flag;

	if (json_get_text(root, "agent", &text) != 0 || text.len + 1 != MEMORY_AGENT_MAX)
		return memory_damaged(m, "\"agent\" is not an id");
	for (size_t i = 0; i < text.len; i++)
		if (text.p[i] <= ' ' || text.p[i] >= 0x7f)
			return memory_damaged(m, "\"agent\" is not an id");
	if (json_get_text(root, "recent", &text) == ERR_INVAL)
		return memory_damaged(m, "\"recent\" is not a text");
	if (json_get_object(root, "servers", &servers) != 0)
		return memory_damaged(m, "\"servers\" is not an object");
	while (json_each(servers, &at, &key, &server)) {
		int e_token = json_get_text(server, "token", &text);
		int e_account, e_auto, e_names, e_websocket;

		if (e_token == 0 && text.len >= MEMORY_TOKEN_MAX)
			e_token = ERR_INVAL;
		e_account = json_get_text(server, "account", &text);
		e_auto = json_get_bool(server, "auto", &flag);
		e_websocket = json_get_bool(server, "websocket", &flag);
		e_names = json_get_object(server, "names", &names);
		if (e_token == ERR_INVAL || e_account == ERR_INVAL || e_auto == ERR_INVAL ||
		    e_names == ERR_INVAL || e_websocket == ERR_INVAL)
			return memory_damaged(m, "an entry of \"servers\" has a wrong member");
	}
	return 0;
}

/*
 * Read the file.
 *   *out  NULL when there is none yet.
 */
static int memory_read(struct memory *m, struct json **out)
{
	char path[MEMORY_DIR_MAX + 64];
	struct buf text = {0};
	struct stat st;
	int fd, e;

	*out = NULL;
	str_printf(path, sizeof path, "%s/" MEMORY_FILE, m->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : memory_failed(m, "open", MEMORY_FILE);
	if (fstat(fd, &st) == 0 && (st.st_mode & 077) != 0)
		(void)!fchmod(fd, 0600); /* somebody copied it about */
	if ((e = memory_slurp(m, fd, &text)) != 0)
		goto out;
	e = json_parse(buf_str(&text), MEMORY_FILE_MAX, out);
	if (e == ERR_NOMEM)
		goto out;
	if (e != 0)
		e = memory_damaged(m, e == ERR_TOOBIG ? "it is too long" : "it is not JSON");
	else
		e = memory_check(m, *out);
out:
	if (e != 0) {
		json_free(*out);
		*out = NULL;
	}
	buf_free(&text);
	close(fd);
	return e;
}

/* ---- writing ---- */

static int memory_write_all(int fd, struct str text)
{
	while (text.len > 0) {
		ssize_t n = write(fd, text.p, text.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text = (struct str){text.p + n, text.len - (size_t)n};
	}
	return 0;
}

/* Replace the file as a whole. */
static int memory_write(struct memory *m, int dir, const struct json *root)
{
	static const char temp[] = MEMORY_FILE ".new";
	struct buf text = {0};
	int fd = -1, e;

	if ((e = json_write(root, MEMORY_FILE_MAX, &text)) != 0 ||
	    (e = buf_add(&text, "\n", 1, MEMORY_FILE_MAX + 1)) != 0) {
		str_printf(m->why, sizeof m->why, "cannot write %s/" MEMORY_FILE ": %s", m->dir,
			   err_text(e));
		goto out;
	}
	(void)!unlinkat(dir, temp, 0); /* left over by a crash; the lock is ours */
	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || memory_write_all(fd, buf_str(&text)) != 0 || fsync(fd) != 0 ||
	    renameat(dir, temp, dir, MEMORY_FILE) != 0) {
		e = memory_failed(m, "write", MEMORY_FILE);
		(void)!unlinkat(dir, temp, 0);
		goto out;
	}
	(void)!fsync(dir);
out:
	if (fd >= 0)
		close(fd);
	buf_free(&text);
	return e;
}

/* ---- changing ---- */

/* Drop the oldest members of an object until at most `max` are left. */
static void memory_trim(struct json *obj, size_t max)
{
	while (json_count(obj) > max) {
		const struct json *value;
		char *name = NULL;
		struct str key;
		void *at = NULL;

		if (json_each(obj, &at, &key, &value))
			name = str_dup(key);
		if (name == NULL)
			return;
		json_unset(obj, name);
		free(name);
	}
}

/* The member `key` of obj, an object; made if there is none. */
static int memory_object(struct json *obj, const char *key, struct json **out)
{
	const struct json *found;
	struct json *fresh = NULL;
	int e;

	if (json_get_object(obj, key, &found) != 0) {
		if ((e = json_new_object(&fresh)) != 0 || (e = json_set(obj, key, &fresh)) != 0)
			return e;
		if ((e = json_get_object(obj, key, &found)) != 0)
			return e;
	}
	*out = (struct json *)(uintptr_t)found; /* ours: obj may be changed, and so may this */
	return 0;
}

static int memory_blank(const struct memory *m, struct json **out)
{
	struct json *servers = NULL;
	int e;

	if ((e = json_new_object(out)) != 0 || (e = json_new_object(&servers)) != 0)
		return e;
	if ((e = json_set_text(*out, "agent", str_of(m->agent))) != 0) {
		json_free(servers);
		return e;
	}
	return json_set(*out, "servers", &servers);
}

/* What shall be changed. */
struct memory_change {
	uint64_t epoch; /* not 0: a run begins, now or later than every one before */
	bool recent;	/* server, or NULL for none, is the one that was logged in to last */
	const char *server;
	const struct memory_credential *credential; /* NULL: forget `refused` */
	const char *refused;
	bool transport, websocket; /* transport: how it is carried, and nothing else */
	const char *target;	   /* NULL: the credential is meant */
	const char *name;	   /* NULL: forget it */
};

static int memory_apply_credential(struct json *server, const struct memory_change *change)
{
	const struct memory_credential *c = change->credential;
	struct str text;
	int e;

	if (json_get_text(server, "token", &text) != 0)
		text = STR("");
	if (c != NULL ? c->automatic && text.len > 0 : !str_eq(text, str_of(change->refused)))
		return 0; /* another process was faster */
	json_unset(server, "token");
	json_unset(server, "account");
	json_unset(server, "auto");
	if (c == NULL)
		return 0;
	if ((e = json_set_text(server, "token", str_of(c->token))) != 0 ||
	    (e = json_set_text(server, "account", str_of(c->account))) != 0)
		return e;
	return json_set_bool(server, "auto", c->automatic);
}

static int memory_apply_epoch(struct json *root, uint64_t now_ms)
{
	uint64_t last = 0;

	if (json_get_number(root, "epoch", JSON_NUMBER_MAX - 1, &last) != 0)
		last = 0;
	return json_set_number(root, "epoch", MAX(now_ms, last + 1));
}

static int memory_apply(struct json *root, const struct memory_change *c)
{
	struct json *servers, *server, *names;
	int e;

	if (c->epoch != 0)
		return memory_apply_epoch(root, c->epoch);
	if (c->recent) {
		json_unset(root, "recent");
		return c->server == NULL ? 0 : json_set_text(root, "recent", str_of(c->server));
	}
	if ((e = memory_object(root, "servers", &servers)) != 0 ||
	    (e = memory_object(servers, c->server, &server)) != 0)
		return e;
	memory_trim(servers, MEMORY_SERVERS_MAX);
	if (c->transport) {
		json_unset(server, "websocket");
		return c->websocket ? json_set_bool(server, "websocket", true) : 0;
	}
	if (c->target == NULL)
		return memory_apply_credential(server, c);
	if ((e = memory_object(server, "names", &names)) != 0)
		return e;
	json_unset(names, c->target); /* a name set anew is the newest */
	if (c->name == NULL)
		return 0;
	if ((e = json_set_text(names, c->target, str_of(c->name))) != 0)
		return e;
	memory_trim(names, MEMORY_NAMES_MAX);
	return 0;
}

/* Lock, read, change, write, unlock. Without a change it only makes the file. */
static int memory_update(struct memory *m, const struct memory_change *c)
{
	struct json *root = NULL;
	int dir = -1, e;

	m->why[0] = '\0';
	if ((e = memory_make_dirs(m)) != 0 || (e = memory_lock(m, &dir)) != 0 ||
	    (e = memory_read(m, &root)) != 0)
		goto out;
	if (root == NULL && (e = memory_blank(m, &root)) != 0)
		goto out;
	if (c != NULL && (e = memory_apply(root, c)) != 0)
		goto out;
	if ((e = memory_write(m, dir, root)) != 0)
		goto out;
	json_free(m->root);
	MOVE(m->root, root);
out:
	if (e != 0 && m->why[0] == '\0')
		str_printf(m->why, sizeof m->why, "cannot change %s/" MEMORY_FILE ": %s", m->dir,
			   err_text(e));
	json_free(root);
	if (dir >= 0)
		close(dir);
	return e;
}

int memory_next_epoch(struct memory *m, uint64_t now_ms, uint64_t *out)
{
	int e = memory_update(m, &(struct memory_change){.epoch = now_ms});

	*out = now_ms;
	return e != 0 ? e : json_get_number(m->root, "epoch", JSON_NUMBER_MAX, out);
}

int memory_set_credential(struct memory *m, const char *server, const struct memory_credential *c)
{
	return memory_update(m, &(struct memory_change){.server = server, .credential = c});
}

int memory_drop_credential(struct memory *m, const char *server, const char *token)
{
	return memory_update(m, &(struct memory_change){.server = server, .refused = token});
}

int memory_set_websocket(struct memory *m, const char *server, bool websocket)
{
	return memory_update(m, &(struct memory_change){.server = server,
							.transport = true,
							.websocket = websocket});
}

int memory_set_name(struct memory *m, const char *server, const char *target, const char *name)
{
	return memory_update(m, &(struct memory_change){.server = server,
							.target = target,
							.name = name});
}

int memory_set_recent(struct memory *m, const char *server)
{
	return memory_update(m, &(struct memory_change){.recent = true, .server = server});
}

/* ---- asking ---- */

const char *memory_agent(const struct memory *m)
{
	return m->agent;
}

static const struct json *memory_server(const struct memory *m, const char *server)
{
	const struct json *servers, *found;

	if (json_get_object(m->root, "servers", &servers) != 0 ||
	    json_get_object(servers, server, &found) != 0)
		return NULL;
	return found;
}

static void memory_copy(const struct json *obj, const char *key, char *out, size_t cap)
{
	struct str text;

	out[0] = '\0';
	if (obj != NULL && json_get_text(obj, key, &text) == 0 && str_copy(out, cap, text) != 0)
		out[0] = '\0';
}

void memory_credential(const struct memory *m, const char *server, struct memory_credential *out)
{
	const struct json *found = memory_server(m, server);

	memory_copy(found, "token", out->token, sizeof out->token);
	memory_copy(found, "account", out->account, sizeof out->account);
	if (found == NULL || json_get_bool(found, "auto", &out->automatic) != 0)
		out->automatic = false;
}

void memory_name(const struct memory *m, const char *server, const char *target,
		 char out[HOSTNAME_MAX + 1])
{
	const struct json *found = memory_server(m, server), *names = NULL;
	char text[HOSTNAME_MAX + 1];

	out[0] = '\0';
	if (found == NULL || json_get_object(found, "names", &names) != 0)
		return;
	memory_copy(names, target, text, sizeof text);
	if (hostname_tunnel(str_of(text), out) != 0)
		out[0] = '\0';
}

bool memory_websocket(const struct memory *m, const char *server)
{
	const struct json *found = memory_server(m, server);
	bool websocket = false;

	return found != NULL && json_get_bool(found, "websocket", &websocket) == 0 && websocket;
}

void memory_recent(const struct memory *m, char *out)
{
	memory_copy(m->root, "recent", out, URL_TEXT_MAX);
}

/* ---- birth ---- */

static void memory_make_id(struct memory *m, struct ev *ev)
{
	for (size_t i = 0; i + 1 < sizeof m->agent; i++)
		m->agent[i] = ID_LETTERS[ev_random_below(ev, sizeof ID_LETTERS - 1)];
}

int memory_open(struct ev *ev, const char *dir, struct memory **out, char *why)
{
	struct memory *m = calloc(1, sizeof *m);
	struct str agent;
	int e = ERR_NOMEM;

	if (m == NULL || (m->dir = strdup(dir)) == NULL)
		goto out;
	e = ERR_TOOBIG;
	if (strlen(dir) > MEMORY_DIR_MAX)
		goto out;
	memory_make_id(m, ev);
	if ((e = memory_read(m, &m->root)) != 0)
		goto out;
	if (m->root == NULL && (e = memory_update(m, NULL)) != 0)
		goto out;
	if ((e = json_get_text(m->root, "agent", &agent)) != 0 ||
	    (e = str_copy(m->agent, sizeof m->agent, agent)) != 0)
		goto out;
	MOVE(*out, m);
out:
	if (e != 0)
		str_printf(why, MEMORY_WHY_MAX, "%s",
			   m != NULL && m->why[0] != '\0' ? m->why : err_text(e));
	memory_close(m);
	return e;
}

void memory_close(struct memory *m)
{
	if (m == NULL)
		return;
	json_free(m->root);
	free(m->dir);
	free(m);
}
