/*
 * What a person types instead of openssl's command lines, and what to do with the files that come
 * of it.
 */
#include "app/karezd_ca.h"

#include <stdio.h>
#include <string.h>

#include "app/karezd_options.h"
#include "base/err.h"
#include "ev/ev.h"
#include "proto/time_text.h"
#include "wire/tls_ca.h"

/* Bytes of "2026-11-21", NUL included. */
#define DAY_TEXT 11

#define MEMBER(member) .offset = offsetof(struct karezd_settings, ca.member)
#define HERE_ONLY      (CONFIG_NOT_ENV | CONFIG_NOT_FILE)

static const struct config_option dir_rows[] = {
	{.name = "dir",
	 .type = CONFIG_TEXT,
	 .metavar = "DIR",
	 .group = "Authority",
	 .help = "Where the authority is kept; by default ca in --state-dir",
	 .flags = HERE_ONLY,
	 MEMBER(dir)},
};

static const struct config_option init_rows[] = {
	{.name = "name",
	 .type = CONFIG_TEXT,
	 .metavar = "NAME",
	 .initial = "karez CA",
	 .group = "Authority",
	 .help = "What the authority is called in its certificates",
	 .flags = HERE_ONLY,
	 MEMBER(authority)},
};

static const struct config_option issue_rows[] = {
	{.name = "server",
	 .type = CONFIG_FLAG,
	 .group = "Certificate",
	 .help = "For a server, with host names, *.HOST or IP addresses; without it for an agent, "
		 "with its one name",
	 .flags = HERE_ONLY,
	 MEMBER(server)},
	{.name = "days",
	 .type = CONFIG_NUM,
	 .metavar = "N",
	 .min = 1,
	 .max = TLS_CA_DAYS,
	 .group = "Certificate",
	 .help = "How long it is good; by default 365 for an agent, 825 for a server",
	 .flags = HERE_ONLY,
	 MEMBER(days)},
	{.name = "out",
	 .type = CONFIG_TEXT,
	 .metavar = "DIR",
	 .initial = ".",
	 .group = "Certificate",
	 .help = "The directory that gets NAME.pem and NAME-key.pem",
	 .flags = HERE_ONLY,
	 MEMBER(out)},
};

static const struct config_option issue_args[] = {
	{.name = "NAME",
	 .type = CONFIG_LIST,
	 .help = "AGENT@REALM or AGENT; with --server one or several names",
	 .flags = CONFIG_REQUIRED | HERE_ONLY,
	 MEMBER(names)},
};

static const struct config_option revoke_args[] = {
	{.name = "NAME",
	 .type = CONFIG_TEXT,
	 .help = "Whose certificates, or the serial of one",
	 .flags = CONFIG_REQUIRED | HERE_ONLY,
	 MEMBER(what)},
};

static const struct config_table init_tables[] = {CONFIG_TABLE(init_rows), CONFIG_TABLE(dir_rows)};
static const struct config_table issue_tables[] = {CONFIG_TABLE(issue_rows),
						   CONFIG_TABLE(dir_rows)};
static const struct config_table dir_tables[] = {CONFIG_TABLE(dir_rows)};

const struct config_command karezd_ca_commands[KAREZD_CA_COMMANDS] = {
	{.name = "ca init",
	 .summary = "Make a certificate authority for agents and servers of your own",
	 .detail = "It writes ca.pem, ca-key.pem and crl.pem. Keep the key secret and have a copy "
		   "of it in a safe place.",
	 .tables = init_tables,
	 .n_tables = ARRAY_LEN(init_tables)},
	{.name = "ca issue",
	 .summary = "Issue a certificate with a new key to an agent, or to a server",
	 .detail = "A name like TestClient1@example.org makes it that agent's alone: an account "
		   "that has the certificate name *@example.org lets all agents of the realm in.",
	 .tables = issue_tables,
	 .n_tables = ARRAY_LEN(issue_tables),
	 .args = issue_args,
	 .n_args = ARRAY_LEN(issue_args)},
	{.name = "ca revoke",
	 .summary = "Revoke the certificates of a name, or the one of a serial",
	 .detail = "A server that runs with --agent-crl ends their sessions within seconds.",
	 .tables = dir_tables,
	 .n_tables = ARRAY_LEN(dir_tables),
	 .args = revoke_args,
	 .n_args = ARRAY_LEN(revoke_args)},
	{.name = "ca list",
	 .summary = "Show what was issued, until when it is good, and what is revoked",
	 .tables = dir_tables,
	 .n_tables = ARRAY_LEN(dir_tables)},
};

/* ---- doing it ---- */

static int karezd_ca_fail(const char *why)
{
	fprintf(stderr, "karezd: %s\n", why);
	return 1;
}

static void karezd_ca_day(int64_t ms, char out[DAY_TEXT])
{
	char text[TIME_TEXT];

	time_text_format(ms, text);
	str_printf(out, DAY_TEXT, "%s", text);
}

static int karezd_ca_init(const struct karezd_ca_settings *set, const char *dir, int64_t now_ms)
{
	char why[TLS_CA_WHY];

	if (tls_ca_init(dir, set->authority, now_ms, why) != 0)
		return karezd_ca_fail(why);
	printf("The authority \"%s\" is made; its key %s/ca-key.pem must stay secret.\n",
	       set->authority, dir);
	printf("Let agents prove who they are by its certificates:\n"
	       "    karezd --agent-ca %s/ca.pem --agent-crl %s/crl.pem ...\n",
	       dir, dir);
	printf("Make the certificate of an agent:\n    karezd ca issue AGENT@REALM\n");
	return 0;
}

static void karezd_ca_say_agent(const char *name, const struct tls_ca_issued *made)
{
	const char *at = strchr(name, '@');

	printf("Bring both to the agent:\n    karez http TARGET --cert %s --key %s ...\n",
	       made->cert, made->key);
	printf("Tell the server once whose it is:\n    karez cert add %s --account ID\n", name);
	if (at != NULL)
		printf("or, for all agents of the realm:\n    karez cert add '*%s' --account ID\n",
		       at);
}

static int karezd_ca_issue(const struct karezd_ca_settings *set, const char *dir, int64_t now_ms)
{
	struct tls_ca_issue opt = {.dir = dir,
				   .out = set->out,
				   .names = (const char *const *)set->names.v,
				   .n_names = set->names.n,
				   .server = set->server,
				   .days = set->days};
	struct tls_ca_issued made;
	char why[TLS_CA_WHY], day[DAY_TEXT];

	if (tls_ca_issue(&opt, now_ms, &made, why) != 0)
		return karezd_ca_fail(why);
	karezd_ca_day(made.until_ms, day);
	printf("%s and its key %s are made, good until %s, serial %s.\n", made.cert, made.key, day,
	       made.serial);
	if (!set->server)
		karezd_ca_say_agent(set->names.v[0], &made);
	else
		printf("On the server:\n    karezd --tls-cert %s --tls-key %s ...\n"
		       "or put both into the directory of --tls-dir. Who connects needs\n"
		       "    --ca-file %s/ca.pem\n",
		       made.cert, made.key, dir);
	return 0;
}

static int karezd_ca_revoke(const struct karezd_ca_settings *set, const char *dir, int64_t now_ms)
{
	char why[TLS_CA_WHY];
	size_t n;

	if (tls_ca_revoke(dir, set->what, now_ms, &n, why) != 0)
		return karezd_ca_fail(why);
	if (n == 0)
		printf("All of it was revoked before; %s/crl.pem is written anew.\n", dir);
	else
		printf("%zu certificate%s revoked; %s/crl.pem is written anew.\n", n,
		       n == 1 ? " is" : "s are", dir);
	printf("A server that runs with --agent-crl %s/crl.pem ends their sessions within "
	       "seconds.\n",
	       dir);
	if (why[0] != '\0')
		fprintf(stderr,
			"karezd: %s: the certificate that it was about is not known here; if it is "
			"to be revoked, mend the line\n",
			why);
	return 0;
}

static void karezd_ca_on_entry(void *arg, const struct tls_ca_entry *entry)
{
	const int64_t *now_ms = arg;
	const char *state = entry->revoked		 ? "revoked"
			    : entry->until_ms <= *now_ms ? "ended"
							 : "good";
	char day[DAY_TEXT];

	karezd_ca_day(entry->until_ms, day);
	printf("%-32s  %-6s  %-7s  %s  %s\n", entry->serial, entry->server ? "server" : "agent",
	       state, day, entry->name);
}

static int karezd_ca_list(const char *dir, int64_t now_ms)
{
	char why[TLS_CA_WHY];

	if (tls_ca_list(dir, karezd_ca_on_entry, &now_ms, why) != 0)
		return karezd_ca_fail(why);
	return 0;
}

/* The loop is not run: it has the clock. */
static int karezd_ca_now(int64_t *now_ms)
{
	struct ev *ev = NULL;
	int e = ev_new(&ev);

	if (e == 0)
		*now_ms = ev_wall_ms(ev);
	if (e == 0)
		ev_free(ev);
	return e;
}

int karezd_ca_run(const struct karezd_ca_settings *set, const char *command, const char *state_dir)
{
	char dir[TLS_CA_PATH];
	int64_t now_ms = 0;
	int code;

	if (set->dir != NULL)
		str_printf(dir, sizeof dir, "%s", set->dir);
	else
		str_printf(dir, sizeof dir, "%s/ca", state_dir);
	if (karezd_ca_now(&now_ms) != 0)
		return karezd_ca_fail("cannot start: no event loop");
	if (strcmp(command, "ca init") == 0)
		code = karezd_ca_init(set, dir, now_ms);
	else if (strcmp(command, "ca issue") == 0)
		code = karezd_ca_issue(set, dir, now_ms);
	else if (strcmp(command, "ca revoke") == 0)
		code = karezd_ca_revoke(set, dir, now_ms);
	else
		code = karezd_ca_list(dir, now_ms);
	if (fflush(stdout) != 0 && code == 0)
		code = karezd_ca_fail("cannot write to standard output");
	return code;
}
