/*
 * The services file of `karez up`: which services of this side are published, and how. YAML, and so
 * JSON, too; read with the place of everything, so that whoever wrote it is told the line.
 *
 *	hello-world: 9000			# short: a port, HOST:PORT, or a URL
 *	ssh: tcp://localhost:22
 *	site:					# long: what else a tunnel can be
 *	  target: http://127.0.0.1:3000
 *	  domain: www.example.org
 *
 * A key "services" that holds a mapping (or nothing) has the services in it; "id", "index" and
 * "server" may stand beside it. All keys: services_rows.c, doc/services.md.
 */
#ifndef KAREZ_CLI_SERVICES_H
#define KAREZ_CLI_SERVICES_H

#include "agent/agent.h"
#include "agent/memory.h"
#include "cli/cli_options.h"
#include "config/tree.h"
#include "proto/json.h"

/* Services of one file, and bytes of a sentence about it and of the usual file's path, at most. */
#define SERVICES_MAX  1000
#define SERVICES_WHY  640
#define SERVICES_PATH (MEMORY_DIR_MAX + 64)

/* A password becomes a hash: "$scrypt$...". Returns 0 or an ERR_*. out: [cap], NUL-terminated. */
typedef int services_hash_fn(void *arg, struct str password, char *out, size_t cap);

struct services_opt {
	const char *id;		/* of a person, counts before the file's; NULL: none */
	services_hash_fn *hash; /* NULL: passwords are looked at and no more; their hash is "" */
	void *arg;
};

struct services_entry {
	const char *service;	     /* as the file calls it, no controls; borrowed: the file's */
	char name[HOSTNAME_MAX + 1]; /* of its tunnel: "hello-world.tim" */
	unsigned line, col;	     /* of its key, from 1 */
	unsigned target_line, target_col;
	enum agent_kind kind;
	struct url target;
	bool insecure;	   /* the target's certificate is not looked at */
	struct json *wish; /* owned: an object with the members of an attach; never NULL */
	unsigned priority;
	unsigned proxy;		  /* 0, 1, 2: its version of the PROXY protocol */
	struct health_opt health; /* its path is the file's */
};

struct services {
	char *path;			       /* owned: of the file, for messages */
	struct tree *root;		       /* owned; NULL: an empty file */
	char id[HOSTNAME_MAX + 1];	       /* "": none */
	bool index;			       /* a page with all of them at the id */
	struct url servers[SERVERS_GIVEN_MAX]; /* [n_servers], may be none */
	size_t n_servers;
	struct services_entry *v; /* owned: [n], in the order of the file; those that are switched
				     off are not among them */
	size_t n;
};

/*
 * The file that is read when none is named: ~/.tunnel-services.json if it is there, else
 * services.yaml in cli_place_dir(). "" if there is no home.
 */
void services_default_path(const struct cli_options *set, char out[SERVICES_PATH]);

/*
 * Read a file.
 *   path  "-": standard input.
 *   *out  all zero before; services_free() it, also after a failure.
 *   why   set on failure to one line: "services.yaml:3:7: ...".
 * Returns 0, ERR_NOTFOUND (there is no such file), ERR_INVAL (also a file that cannot be read),
 * ERR_TOOBIG, ERR_NOMEM.
 */
int services_read(const char *path, const struct services_opt *opt, struct services *out,
		  char why[SERVICES_WHY]) MUST_CHECK;

/* The same for bytes that were read already; path names them. */
int services_parse(const char *path, struct str bytes, const struct services_opt *opt,
		   struct services *out, char why[SERVICES_WHY]) MUST_CHECK;

void services_free(struct services *s);

/*
 * The tunnel of an entry, for agent_add() and agent_change().
 *   before  what the same tunnel was before: what that said and now is not said any more goes back
 *           to what is usual; NULL: nothing was.
 *   text    appended to: holds the wish, which *out borrows until text changes; as *out borrows
 *           what the entry has.
 * Returns 0 or ERR_NOMEM.
 */
int services_tunnel(const struct services_entry *e, const struct services_entry *before,
		    struct buf *text, struct agent_tunnel *out) MUST_CHECK;

/* Do they say the same of the same kind and name? What they are called in the file and where it
 * stands does not count. Out of memory, they do not. */
bool services_same(const struct services_entry *a, const struct services_entry *b);

#endif
