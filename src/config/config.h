/*
 * Options declared once, in tables: from a row come the flag, the environment variable, the key of
 * the file, the line of --help and the entry of the manual page.
 *
 * A value is looked for on the command line, then in the environment, then in the file, then in the
 * row's default; the first one found counts, and the others are still checked. Nothing here reads
 * the environment or the clock by itself, and nothing here ends the process.
 *
 *	struct settings {
 *		struct config_list listen;
 *		uint64_t idle_ms;
 *	};
 *	static const struct config_option rows[] = {
 *		{.name = "listen", .letter = 'l', .type = CONFIG_LIST, .metavar = "ADDRESS",
 *		 .initial = "127.0.0.1:8080", .group = "Listening", .check = check_address,
 *		 .help = "Accept visitors and agents here", .offset = offsetof(struct settings,
 *listen)},
 *		{.name = "idle-timeout", .type = CONFIG_DURATION, .min = 1000, .max = 86400000,
 *		 .initial = "60s", .group = "Deadlines", .help = "Close an idle connection after
 *this", .offset = offsetof(struct settings, idle_ms)},
 *	};
 *
 *	struct settings set = {0};
 *	struct config *cfg = NULL;
 *	int code, e = config_load(&program, &(struct config_input){argc, argv, environ}, &set,
 *&cfg);
 *
 *	if (config_finish(cfg, stdout, stderr, &code)) {
 *		config_free(cfg);
 *		return code;
 *	}
 */
#ifndef KAREZ_CONFIG_CONFIG_H
#define KAREZ_CONFIG_CONFIG_H

#include <stdio.h>

#include "base/str.h"

/* The kind of a value, and the type of the member of the settings it is stored in. */
enum config_type {
	CONFIG_FLAG,	 /* bool; --name, --no-name, or one of yes no true false on off */
	CONFIG_TEXT,	 /* char *, NUL-terminated; NULL when nobody gave one */
	CONFIG_SECRET,	 /* the same, but never shown in a message, in --help or by --show-config */
	CONFIG_NUM,	 /* uint64_t */
	CONFIG_DURATION, /* uint64_t, ms; written as num_parse_duration reads it */
	CONFIG_SIZE,	 /* uint64_t, bytes; written as num_parse_size reads it */
	CONFIG_ENUM,	 /* int: the index in words */
	CONFIG_LIST,	 /* struct config_list; repeated flags, commas, or a sequence in the file;
			    see CONFIG_MAP */
};

/* Bits of config_option.flags. */
enum {
	CONFIG_REQUIRED = 1,  /* somebody must give it */
	CONFIG_HIDDEN = 2,    /* works, but is in no help and no manual */
	CONFIG_NOT_ARGV = 4,  /* refused on the command line, which every local user can read */
	CONFIG_NOT_ENV = 8,   /* not looked for in the environment */
	CONFIG_NOT_FILE = 16, /* refused in the file */
	CONFIG_MAP = 32,      /* a LIST of NAME=VALUE, no NAME twice; a mapping in the file */
	CONFIG_WHOLE = 64,    /* a LIST that a comma does not split: one item each time */
};

#define CONFIG_LIST_MAX 1024	   /* items of one list: far more than anybody types */
#define CONFIG_TEXT_MAX (64 << 10) /* bytes of one value, from wherever it comes */

/* The value of a CONFIG_LIST. */
struct config_list {
	char **v; /* [n] NUL-terminated texts; NULL when n is 0 */
	size_t n;
};

/*
 * Say whether a value will do, beyond its type; called for each item of a list.
 *   value       [len] bytes, without NUL bytes.
 *   reason      set on refusal to a phrase that continues after the value, such as
 *               "is not an address: expected IP:PORT"; it must not repeat the value.
 *   reason_cap  bytes of reason, at least 200.
 * Returns 0 or an ERR_*, whose sentence is used when reason is left empty.
 */
typedef int (*config_check_fn)(struct str value, char *reason, size_t reason_cap);

/* One row: an option, or (in config_command.args) an argument without a dash. */
struct config_option {
	const char *name; /* "idle-timeout": --idle-timeout, KAREZ_IDLE_TIMEOUT, idle-timeout: */
	char letter;	  /* 'l' for -l, or 0; h and V are the engine's; c is, unless a command takes
			   * it */
	enum config_type type;
	const char *metavar; /* what stands for the value in help; NULL: by the type */
	const char *initial; /* the default as one would type it; NULL: 0, false, NULL, no items */
	const char *help;    /* one sentence without a full stop */
	const char *group;   /* heading in help and manual; rows of one group stand together */
	size_t offset;	     /* offsetof the member in the settings */
	uint64_t min, max;   /* NUM, DURATION (ms), SIZE; max 0: no upper bound of its own */
	const char *const *words; /* ENUM: the words, NULL-terminated */
	config_check_fn check;	  /* may be NULL */
	unsigned flags;
};

/* Some rows, to be shared by several commands. */
struct config_table {
	const struct config_option *rows;
	size_t n;
};

/* A struct config_table of an array of rows, as an initializer. */
#define CONFIG_TABLE(array)                             \
	{                                               \
		.rows = (array), .n = ARRAY_LEN(array), \
	}

/* Words of a command's name, at most. */
#define CONFIG_WORDS_MAX 3

/* One command: `karez http TARGET`, `karez token add NAME`. A program without commands has one
 * whose name is NULL. */
struct config_command {
	const char *name;		   /* its words, one space between two */
	const char *summary;		   /* one sentence without a full stop */
	const char *detail;		   /* a paragraph for help and manual, or NULL */
	const struct config_table *tables; /* [n_tables] its options, besides the program's own */
	size_t n_tables;
	const struct config_option *args; /* [n_args] its arguments in order, named in capitals; */
	size_t n_args;			  /* one that is a list comes last and takes the rest */
	const char *without; /* a group of options that its help leaves out, since they mean
				nothing to it; or NULL */
};

/* What several commands begin with: `karez token --help` tells about those. */
struct config_group {
	const char *name;    /* "token", "admin account" */
	const char *summary; /* one sentence without a full stop */
};

struct config;

struct config_program {
	const char *name; /* "karezd" */
	const char *version;
	const char *summary;	  /* one sentence without a full stop */
	const char *env_prefix;	  /* "KAREZ_"; unknown variables of this prefix are ignored, because
				   * Kubernetes makes some (KAREZ_PORT, KAREZ_SERVICE_HOST): avoid an
				   * option named port */
	const char *const *files; /* where a file is looked for, NULL-terminated, or NULL; the first
				   * that exists is read; "~/" is $HOME */
	const struct config_table *tables; /* [n_tables] options that every command takes */
	size_t n_tables;
	const struct config_command *commands; /* [n_commands], at least one */
	size_t n_commands;
	const struct config_command *more; /* [n_more] further ones, from another room */
	size_t n_more;
	const struct config_group *groups; /* [n_groups] for all commands of several words */
	size_t n_groups;
	const struct config_command *fallback; /* used when the first argument names no command
						* (`karez 3000`); NULL: that is an error */
	/*
	 * Look at all values together once every one is good; not called for --help and the like.
	 * Returns 0, or what config_fail returned. May be NULL.
	 */
	int (*check)(struct config *c, void *settings);

	int manual_section;	   /* 1 or 8 */
	const char *manual_date;   /* "November 21, 2026" */
	const char *manual_before; /* mdoc(7) text that opens the DESCRIPTION, or NULL */
	const char *manual_after;  /* mdoc(7) sections that follow the generated ones, or NULL */
};

/* What the process was given. All borrowed, for the call only. */
struct config_input {
	int argc;
	char *const *argv; /* [argc]; argv[0] is skipped */
	char *const *envp; /* "NAME=value", NULL-terminated; may be NULL */
};

/*
 * Read command line, environment and file into the settings.
 *   settings  all zero before; its texts and lists belong to *out and live as long as it does.
 *   *out      set, to be freed by config_free, also on every error but ERR_NOMEM (then NULL).
 * Returns 0 (also for --help and its like), ERR_NOMEM, or ERR_INVAL with the reason in
 * config_message. Either way config_finish says what to do next.
 */
int config_load(const struct config_program *p, const struct config_input *in, void *settings,
		struct config **out) MUST_CHECK;

/* Give back the memory of the settings, too; their texts and lists are NULL afterwards. NULL is
 * harmless. */
void config_free(struct config *c);

/*
 * Answer --help, --version, --show-config and --print-manual on `out`, or report what is wrong
 * on `err`: the message, a usage line and where to find help.
 *   c     as config_load left it; NULL stands for no memory.
 *   *code set to the exit code when the answer is true: 0, 1 (no memory), 2 (usage).
 * Returns true if the process has nothing more to do.
 */
bool config_finish(const struct config *c, FILE *out, FILE *err, int *code) MUST_CHECK;

/* What is wrong, one line without its newline: the option, the value, what is allowed and where it
 * came from. Empty when nothing is. Borrowed from c. */
const char *config_message(const struct config *c);

/* The command that was asked for; one of the program's, by pointer. NULL if none was found. */
const struct config_command *config_command(const struct config *c);

/* Where a value came from, in the order of what counts more. */
enum config_source { CONFIG_NOWHERE, CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENV, CONFIG_ARGV };

/*
 * Where the value of a member came from.
 *   member  pointer to it in the settings, as &set.listen; CONFIG_NOWHERE if no row of this command
 *           stores there.
 */
enum config_source config_source(const struct config *c, const void *member);

/* The file that was read, or NULL. Borrowed from c. */
const char *config_file(const struct config *c);

/*
 * Refuse the value of a member after all, from config_program.check: the message starts with where
 * the value came from.
 *   member  pointer to it in the settings.
 *   reason  a phrase like "needs --tls-key as well".
 * Returns ERR_INVAL.
 */
int config_fail(struct config *c, const void *member, const char *reason) MUST_CHECK;

/* Print the settings with their sources as a YAML file that can be loaded again; a secret is only
 * said to be set. */
void config_show(const struct config *c, FILE *out);

#endif
