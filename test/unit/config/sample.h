/* A program with commands to try everything on, and how to run it. */
#ifndef KAREZ_TEST_UNIT_CONFIG_SAMPLE_H
#define KAREZ_TEST_UNIT_CONFIG_SAMPLE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "config/slot.h"

struct sample {
	struct config_list label;
	char *server, *token, *name, *target, *fixed;
	struct config_list extra, map;
	uint64_t sessions, idle_ms, window;
	int level;
	bool quiet, verbose, wait, reconnect;
};

static inline int sample_check_target(struct str s, char *reason, size_t cap)
{
	if (s.len > 0 && s.p[0] >= '0' && s.p[0] <= '9')
		return 0;
	if (str_eq(s, STR("denied")))
		return ERR_DENIED;
	str_printf(reason, cap, "is not a target: expected PORT or HOST:PORT");
	return ERR_INVAL;
}

/* VALUE of NAME=VALUE is a number. */
static inline int sample_check_pair(struct str s, char *reason, size_t cap)
{
	size_t at = str_find(s, '=') + 1;

	if (at < s.len && s.p[at] >= '0' && s.p[at] <= '9')
		return 0;
	str_printf(reason, cap, "is not a pair: expected NAME=NUMBER");
	return ERR_INVAL;
}

static const char *const sample_levels[] = {"error", "warn", "info", "debug", NULL};

static const struct config_option sample_common[] = {
	{.name = "server",
	 .letter = 's',
	 .type = CONFIG_TEXT,
	 .metavar = "URL",
	 .group = "Server",
	 .help = "Connect to this server",
	 .offset = offsetof(struct sample, server)},
	{.name = "token",
	 .letter = 't',
	 .type = CONFIG_SECRET,
	 .group = "Server",
	 .help = "Prove who we are with this token",
	 .initial = "anonymous",
	 .offset = offsetof(struct sample, token),
	 .flags = CONFIG_NOT_ARGV},
	{.name = "sessions",
	 .letter = 'n',
	 .type = CONFIG_NUM,
	 .initial = "2",
	 .min = 1,
	 .max = 64,
	 .group = "Server",
	 .help = "Keep this many sessions, so that a lost one is not noticed",
	 .offset = offsetof(struct sample, sessions)},
	{.name = "reconnect",
	 .type = CONFIG_FLAG,
	 .initial = "yes",
	 .group = "Server",
	 .help = "Come back after a lost session",
	 .offset = offsetof(struct sample, reconnect)},
	{.name = "idle-timeout",
	 .type = CONFIG_DURATION,
	 .initial = "60s",
	 .min = 1000,
	 .max = 86400000,
	 .help = "Close an idle connection after this time; both sides count, and what a ping "
		 "brings is no sign of life",
	 .group = "Limits",
	 .offset = offsetof(struct sample, idle_ms)},
	{.name = "window",
	 .type = CONFIG_SIZE,
	 .min = 65536,
	 .max = 16 << 20,
	 .initial = "1M",
	 .group = "Limits",
	 .help = "Let this many bytes be on the way",
	 .offset = offsetof(struct sample, window)},
	{.name = "log-level",
	 .type = CONFIG_ENUM,
	 .words = sample_levels,
	 .initial = "info",
	 .group = "Output",
	 .help = "Say this much",
	 .offset = offsetof(struct sample, level)},
	{.name = "quiet",
	 .letter = 'q',
	 .type = CONFIG_FLAG,
	 .group = "Output",
	 .help = "Print nothing",
	 .offset = offsetof(struct sample, quiet)},
	{.name = "verbose",
	 .letter = 'v',
	 .type = CONFIG_FLAG,
	 .group = "Output",
	 .help = "Print more",
	 .offset = offsetof(struct sample, verbose)},
};

static const struct config_option sample_http_rows[] = {
	{.name = "name",
	 .type = CONFIG_TEXT,
	 .group = "Tunnel",
	 .help = "Ask for this public name",
	 .offset = offsetof(struct sample, name)},
	{.name = "label",
	 .letter = 'l',
	 .type = CONFIG_LIST,
	 .metavar = "LABEL",
	 .group = "Tunnel",
	 .help = "Put a label on the tunnel",
	 .offset = offsetof(struct sample, label)},
};

static const struct config_option sample_tcp_rows[] = {
	{.name = "wait",
	 .letter = 'w',
	 .type = CONFIG_FLAG,
	 .group = "Tunnel",
	 .help = "Keep trying",
	 .offset = offsetof(struct sample, wait)},
};

static const struct config_option sample_fixed_rows[] = {
	{.name = "fixed",
	 .type = CONFIG_TEXT,
	 .group = "Tunnel",
	 .help = "Set from inside only",
	 .offset = offsetof(struct sample, fixed),
	 .flags = CONFIG_HIDDEN | CONFIG_NOT_FILE | CONFIG_NOT_ENV},
	{.name = "map",
	 .type = CONFIG_LIST,
	 .group = "Tunnel",
	 .help = "What each name means",
	 .check = sample_check_pair,
	 .offset = offsetof(struct sample, map),
	 .flags = CONFIG_HIDDEN | CONFIG_MAP},
};

static const struct config_option sample_http_args[] = {
	{.name = "TARGET",
	 .type = CONFIG_TEXT,
	 .help = "Local service to publish: PORT or HOST:PORT",
	 .check = sample_check_target,
	 .offset = offsetof(struct sample, target),
	 .flags = CONFIG_REQUIRED},
};

static const struct config_option sample_tcp_args[] = {
	{.name = "TARGET",
	 .type = CONFIG_TEXT,
	 .help = "Local service to publish",
	 .offset = offsetof(struct sample, target)},
	{.name = "MORE",
	 .type = CONFIG_LIST,
	 .help = "More of them",
	 .offset = offsetof(struct sample, extra)},
};

static const struct config_table sample_tables[] = {CONFIG_TABLE(sample_common)};
static const struct config_table sample_http_tables[] = {CONFIG_TABLE(sample_http_rows),
							 CONFIG_TABLE(sample_fixed_rows)};
static const struct config_table sample_tcp_tables[] = {CONFIG_TABLE(sample_tcp_rows),
							CONFIG_TABLE(sample_fixed_rows)};

static const struct config_command sample_commands[] = {
	{.name = "http",
	 .summary = "Publish a local web server",
	 .detail = "Visitors reach it at a name of its own. Back-pressure is kept end to end.",
	 .tables = sample_http_tables,
	 .n_tables = 2,
	 .args = sample_http_args,
	 .n_args = 1},
	{.name = "tcp",
	 .summary = "Publish a local port",
	 .tables = sample_tcp_tables,
	 .n_tables = 2,
	 .args = sample_tcp_args,
	 .n_args = 2},
};

/* A pair that only --window and --quiet together make wrong. */
static inline int sample_check(struct config *c, void *settings)
{
	struct sample *set = settings;

	return set->quiet && set->verbose
		       ? config_fail(c, &set->quiet, "contradicts --verbose: give one of them")
		       : 0;
}

static const char *const sample_files[] = {"~/sample.yaml", "/nonexistent/sample.yaml", NULL};

static const struct config_program sample_program = {
	.name = "karez",
	.version = "0.1.0",
	.summary = "Publish local services",
	.env_prefix = "KAREZ_",
	.files = sample_files,
	.tables = sample_tables,
	.n_tables = 1,
	.commands = sample_commands,
	.n_commands = 2,
	.fallback = &sample_commands[0],
	.check = sample_check,
	.manual_section = 1,
	.manual_date = "November 21, 2026",
};

/* The same without a fallback. */
static inline struct config_program sample_strict(void)
{
	struct config_program p = sample_program;

	p.fallback = NULL;
	return p;
}

/* One run of config_load; free it with sample_end. */
struct sample_run {
	struct sample set;
	struct config *c;
	int e;
	char text[8192]; /* sample_text, sample_output */
};

static inline void sample_start(struct sample_run *r, const struct config_program *p,
				const char *const *argv, const char *const *envp)
{
	struct config_input in = {0};
	char *words[32], *vars[32];
	size_t n_vars = 0;

	memset(r, 0, sizeof *r);
	words[in.argc++] = strdup("karez");
	for (; argv != NULL && *argv != NULL; argv++)
		words[in.argc++] = strdup(*argv);
	for (; envp != NULL && *envp != NULL; envp++)
		vars[n_vars++] = strdup(*envp);
	vars[n_vars] = NULL;
	in.argv = words;
	in.envp = vars;
	r->e = config_load(p, &in, &r->set, &r->c);
	assert_non_null(r->c);
	/* Nothing may point into what the process was given. */
	while (in.argc > 0)
		free(words[--in.argc]);
	while (n_vars > 0)
		free(vars[--n_vars]);
}

static inline void sample_end(struct sample_run *r)
{
	struct sample none = {0};

	config_free(r->c);
	r->c = NULL;
	assert_memory_equal(&r->set, &none, sizeof none);
}

/* The error, or "command name=value ..." of what did not come from the defaults. */
static inline const char *sample_text(struct sample_run *r)
{
	FILE *f = fmemopen(r->text, sizeof r->text, "w");
	const struct config_command *command = config_command(r->c);

	assert_non_null(f);
	if (r->e != 0) {
		fputs(config_message(r->c), f);
	} else {
		fputs(command == NULL ? "none" : command->name, f);
		for (size_t i = 0; i < r->c->n_slots; i++) {
			const struct slot *s = &r->c->slots[i];

			if (s->source <= CONFIG_DEFAULT)
				continue;
			fprintf(f, " %s=", s->row->name);
			value_print(s->row, s->member, f);
		}
	}
	fclose(f);
	return r->text;
}

/* What config_finish prints, errors first; *code as it says, -1 if the program shall run. */
static inline const char *sample_output(struct sample_run *r, int *code)
{
	FILE *f = fmemopen(r->text, sizeof r->text, "w");

	assert_non_null(f);
	fputs("", f);
	if (!config_finish(r->c, f, f, code))
		*code = -1;
	fputc('\0', f);
	fclose(f);
	return r->text;
}

/* A file with these bytes; free the path after unlink. */
static inline char *sample_file(const char *bytes, size_t len)
{
	char *path = strdup("/tmp/karez-config-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
	return path;
}

#endif
